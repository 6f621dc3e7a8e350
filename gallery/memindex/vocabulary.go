package memindex

import (
	"iter"
	"math/bits"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// vocabulary is all words, in order but for the newest.
type vocabulary struct {
	sorted []string
	masks  []uint64 // of the letters of sorted
	fresh  []string
}

// maxFresh is how many words are not in order before they are put so.
const maxFresh = 512

func (v *vocabulary) add(w string) {
	if v.fresh = append(v.fresh, w); len(v.fresh) < max(maxFresh, len(v.sorted)/16) {
		return
	}
	v.sorted = append(v.sorted, v.fresh...)
	slices.Sort(v.sorted)
	v.fresh, v.masks = nil, make([]uint64, len(v.sorted))
	for i, w := range v.sorted {
		v.masks[i] = mask(w)
	}
}

// mask has a bit for each letter that a word has. Words that are an edit apart differ in two
// of them at most: what is quickly compared, before the words are.
func mask(w string) (m uint64) {
	for i := range len(w) {
		m |= 1 << (w[i] & 63)
	}
	return m
}

// maxPrefixed is how many words that begin alike are looked at.
const maxPrefixed = 200

// prefixed yields words that begin with p.
func (v *vocabulary) prefixed(p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		n := 0
		for i := sort.SearchStrings(v.sorted, p); i < len(v.sorted) && strings.HasPrefix(v.sorted[i], p) && n < maxPrefixed; i++ {
			n++
			if !yield(v.sorted[i]) {
				return
			}
		}
		for _, w := range v.fresh {
			if strings.HasPrefix(w, p) && !yield(w) {
				return
			}
		}
	}
}

func (v *vocabulary) hasPrefix(p string) bool {
	for range v.prefixed(p) {
		return true
	}
	return false
}

// nearest returns the word that t is most likely a slip of: of those within one edit (two
// from seven letters on), the one with the greatest weight for its distance.
func (v *vocabulary) nearest(t string, weight func(string) float64) string {
	n := utf8.RuneCountInString(t)
	limit := 1
	switch {
	case n < 4:
		return ""
	case n >= 7:
		limit = 2
	}
	best, bestScore := "", 0.0
	letters := mask(t)
	for k, list := range [][]string{v.sorted, v.fresh} {
		for i, w := range list {
			if k == 0 && bits.OnesCount64(v.masks[i]^letters) > 2*limit {
				continue
			}
			if w == t || len(w) < len(t)-2*limit || len(w) > len(t)+2*limit {
				continue
			}
			d := distance(t, w, limit)
			if d > limit {
				continue
			}
			score := weight(w)
			if d == 2 {
				score /= 8
			}
			if w[0] != t[0] {
				score /= 4 // the first letter is seldom wrong
			}
			if score > bestScore {
				best, bestScore = w, score
			}
		}
	}
	return best
}

// distance is how many letters must be put in, left out, changed or swapped with their
// neighbour to make b of a, or more than limit if more than that.
func distance(a, b string, limit int) int {
	s, t := []rune(a), []rune(b)
	if len(s)-len(t) > limit || len(t)-len(s) > limit {
		return limit + 1
	}
	var rows [3][64]int
	if len(t) >= 64 {
		return limit + 1
	}
	for j := range len(t) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		cur, prev, before := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		low := i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			n := min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				n = min(n, before[j-2]+1)
			}
			cur[j] = n
			low = min(low, n)
		}
		if low > limit {
			return limit + 1
		}
	}
	return rows[len(s)%3][len(t)]
}
