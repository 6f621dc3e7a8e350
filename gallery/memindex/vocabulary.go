package memindex

import (
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/esplanade-registry/esplanade/gallery/internal/match"
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
		v.masks[i] = match.Letters(w)
	}
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

// nearest returns the word that t is most likely a slip of: the one with the greatest weight
// for its distance.
func (v *vocabulary) nearest(t string, weight func(string) float64) string {
	slips, ok := match.NewSlips(t)
	if !ok {
		return ""
	}
	best, bestScore := "", 0.0
	look := func(w string, letters uint64) {
		if !slips.May(w, letters) {
			return
		}
		if f := slips.Factor(w); f > 0 {
			if score := f * weight(w); score > bestScore {
				best, bestScore = w, score
			}
		}
	}
	for i, w := range v.sorted {
		look(w, v.masks[i])
	}
	for _, w := range v.fresh {
		look(w, match.Letters(w))
	}
	return best
}
