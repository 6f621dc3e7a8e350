package match

import (
	"math"
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Indexes that are kept in tables score a limited number of candidates: those that matter
// most by themselves, of what has the words.

// Merit is the place of a document in the order of what matters by itself, from the lowest
// for the best. There are some hundred places, so that documents that follow each other in
// that order have numbers near each other, which tables compress.
func Merit(r gallery.Ranker, d *gallery.Document, stuffed bool) int64 {
	if stuffed {
		// far behind: it wants to be found with everything
		far := *d
		far.Deprecated, far.Pulls = true, 0
		d = &far
	}
	const half = 2048
	score := r.Score(d, 1, false, Today())
	if !(score > 0) {
		return 2*half - 1
	}
	return int64(half - 1 - max(-half, min(half-1, math.Floor(math.Log2(score)*32))))
}

// Likely says how likely a word is meant, in thousandths: by how much is found with it.
func (w *Weights) Likely(set FieldSet, pulls int64) int64 {
	return int64(1000 * w.Best(set) * math.Log10(10+float64(max(pulls, 0))))
}

// Lookup is a word of a query, and how it is looked for.
type Lookup struct {
	Term
	Longer []string // words that begin with it, if these are few
	Prefix bool     // they are not
	Part   bool     // within names too
	Weight float64
}

// Candidate is a document that may be a hit.
type Candidate struct {
	gallery.Document
	Stuffed bool
	Phrases string
	Words   WordList

	keywordFactor float64
}

// Decode reads the document.
func (c *Candidate) Decode(data []byte) error {
	err := Decode(data, &c.Document)
	c.keywordFactor = KeywordFactor(&c.Document)
	return err
}

// best returns how much a term counts in a document.
func (c *Candidate) best(weights *Weights, t *Lookup) (best float64) {
	count := func(set FieldSet, factor float64) {
		if OnlyKeyword(set) {
			factor *= c.keywordFactor
		}
		best = max(best, factor*weights.Best(set))
	}
	for _, f := range t.Forms {
		count(c.Words.Fields(f.Word), f.Factor)
	}
	if len(t.Word) >= MinPrefix {
		for w, set := range c.Words.All(t.Word) {
			if w != t.Word {
				count(set, ByPrefix)
			}
		}
	}
	if part := weights.Field(gallery.NamePart); t.Part && best < part && strings.Contains(Names(c.Name).Folded, t.Word) {
		best = part
	}
	return best
}

// Lacks reports whether a document is not known to have one of the terms.
func (p *Plan) Lacks(c *Candidate, terms []Lookup) bool {
	for i := range terms {
		if c.best(p.weights, &terms[i]) == 0 {
			return true
		}
	}
	return false
}

// Hits returns the hits among candidates: those that have all terms, or some where only few
// have all.
func (p *Plan) Hits(candidates []*Candidate, terms []Lookup, ranking *Ranking, facets *gallery.Counter) (hits []Hit) {
	all := 0.0
	for i := range terms {
		all += terms[i].Weight
	}
	type scored struct {
		*Candidate
		sum, share float64
	}
	var list []scored
	complete := 0
	for _, c := range candidates {
		found := scored{Candidate: c}
		for i := range terms {
			if best := c.best(p.weights, &terms[i]); best > 0 {
				found.share += terms[i].Weight
				found.sum += terms[i].Weight * best
			}
		}
		if found.share == 0 {
			continue
		}
		if Complete(found.share, all) {
			complete++
		}
		list = append(list, found)
	}
	for _, c := range list {
		if complete >= FewHits && !Complete(c.share, all) || !facets.Add(&c.Document, p.query.Misses(&c.Document)) {
			continue
		}
		weak := 0.0
		for _, t := range p.Weak {
			weak += c.best(p.weights, &Lookup{Term: Term{Forms: t.Forms}})
		}
		shape := Names(c.Name)
		shape.Phrases = c.Phrases
		hits = append(hits, ranking.Hit(&c.Document, c.Stuffed, p.Match(&c.Document, &shape, c.sum, c.share, all, weak)))
	}
	return hits
}
