package match

import (
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Slips finds words that another may be a slip of.
type Slips struct {
	word    string
	limit   int
	letters uint64
	differ  int // letters that differ at most; other ones than those of ASCII count twice
}

// maxWord is how long words are that are compared.
const maxWord = 60

// NewSlips returns what finds them. Words of less than four letters are slips of too many:
// false.
func NewSlips(t string) (Slips, bool) {
	n := utf8.RuneCountInString(t)
	limit := 1
	if n >= 7 {
		limit = 2
	}
	differ := 2 * limit
	if n < len(t) {
		differ *= 2
	}
	return Slips{t, limit, Letters(t), differ}, n >= 4 && len(t) <= maxWord
}

// shortWord is how long words are at most that are found by what is left of them without a
// letter. There would be too many ways to leave two out of a longer one; it is found by how it
// begins and ends, of which most slips leave one right.
const shortWord = 6

// SlipKeys returns keys of a word. One that may be a slip of it has one of them in
// [Slips.Keys], or nearly always.
func SlipKeys(w string) []string {
	r := []rune(w)
	switch {
	case len(r) < 3 || len(w) > maxWord+4:
		return nil
	case len(r) <= shortWord:
		return without(r, 1)
	}
	return ends(r)
}

// Keys returns keys of the word, for [SlipKeys].
func (s Slips) Keys() (keys []string) {
	r := []rune(s.word)
	if len(r)-s.limit <= shortWord {
		keys = without(r, s.limit)
	}
	if len(r)+s.limit > shortWord {
		keys = append(keys, ends(r)...)
	}
	return keys
}

// without returns what is left of a word without up to some letters, each once.
func without(r []rune, letters int) []string {
	list := []string{string(r)}
	if letters > 0 {
		for i := range r {
			list = append(list, without(slices.Concat(r[:i], r[i+1:]), letters-1)...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ends returns how a word begins and how it ends, as keys: no word has their signs.
func ends(r []rune) []string { return []string{"^" + string(r[:3]), string(r[len(r)-3:]) + "$"} }

// Limit returns how many letters may be wrong.
func (s Slips) Limit() int { return s.limit }

// Letters has a bit for each letter that a word has.
func Letters(w string) (m uint64) {
	for i := range len(w) {
		m |= 1 << (w[i] & 63)
	}
	return m
}

// May is a quick look at a word, by its letters, that spares Factor most of them.
func (s Slips) May(w string, letters uint64) bool {
	return len(w) >= len(s.word)-2*s.limit && len(w) <= len(s.word)+2*s.limit && bits.OnesCount64(letters^s.letters) <= s.differ
}

// Factor is how likely the word is a slip of another, 0 if it is not. The first letter is
// seldom wrong.
func (s Slips) Factor(w string) float64 {
	d := distance(s.word, w, s.limit)
	if d > s.limit || d == 0 {
		return 0
	}
	f := 1.0
	if d == 2 {
		f /= 8
	}
	if w[0] != s.word[0] {
		f /= 4
	}
	return f
}

// distance is how many letters must be put in, left out, changed or swapped with their
// neighbour to make b of a, or more than limit if more than that.
func distance(a, b string, limit int) int {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] && a[0] < utf8.RuneSelf {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] && a[len(a)-1] < utf8.RuneSelf {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var spaces [2][maxWord + 4]rune
	s, t := runes(spaces[0][:0], a), runes(spaces[1][:0], b)
	if len(s)-len(t) > limit || len(t)-len(s) > limit || len(t) > maxWord || len(s) > maxWord {
		return limit + 1
	}
	if len(s) == 0 || len(t) == 0 {
		return max(len(s), len(t))
	}
	var rows [3][maxWord + 1]int
	for j := range len(t) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		cur, prev, before := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		low := i
		// what is farther off the diagonal than the limit is over it
		from, to := max(1, i-limit), min(len(t), i+limit)
		if from > 1 {
			cur[from-1] = limit + 1
		}
		for j := from; j <= to; j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			n := min(cur[j-1]+1, prev[j-1]+cost)
			if j < i+limit {
				n = min(n, prev[j]+1)
			}
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

func runes(list []rune, s string) []rune {
	for _, r := range s {
		list = append(list, r)
	}
	return list
}
