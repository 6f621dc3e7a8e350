package memindex

import (
	"math"
	"slices"
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// matches is how well documents match the words so far.
type matches struct {
	sum   []float64
	share []float64 // of the weights of all words, those that were found
	best  []float64 // of the current word
	total float64   // the weights of all words
	found []uint32  // documents with a sum
	word  []uint32  // documents with a best
	weak  []float64 // what words count that documents need not have
}

// matches returns matches for n documents.
func (x *Index) matches(n int) *matches {
	m, ok := x.spare.Get().(*matches)
	if !ok || cap(m.sum) < n {
		n := n + n/8
		m = &matches{sum: make([]float64, n), share: make([]float64, n), best: make([]float64, n), weak: make([]float64, n)}
	}
	m.sum, m.share, m.best, m.weak, m.total = m.sum[:n], m.share[:n], m.best[:n], m.weak[:n], 0
	return m
}

// release ends the use of matches.
func (x *Index) release(m *matches) {
	for _, doc := range m.found {
		m.sum[doc], m.share[doc], m.weak[doc] = 0, 0, 0
	}
	m.found = m.found[:0]
	x.spare.Put(m)
}

func (m *matches) hit(doc uint32, weight float64) {
	if m.best[doc] == 0 {
		m.word = append(m.word, doc)
	}
	m.best[doc] = max(m.best[doc], weight)
}

// next ends a word.
func (m *matches) next() {
	weight := match.TermWeight(len(m.word), len(m.sum))
	m.total += weight
	for _, doc := range m.word {
		if m.share[doc] == 0 {
			m.found = append(m.found, doc)
		}
		m.share[doc] += weight
		m.sum[doc] += weight * m.best[doc]
		m.best[doc] = 0
	}
	m.word = m.word[:0]
}

// nextWeak ends a word that documents need not have.
func (m *matches) nextWeak() {
	for _, doc := range m.word {
		if m.share[doc] > 0 {
			m.weak[doc] += m.best[doc]
		}
		m.best[doc] = 0
	}
	m.word = m.word[:0]
}

// find returns all hits, and what the query was corrected to, if it was.
func (x *Index) find(q *gallery.Query, ranking *match.Ranking, facets *gallery.Counter) (hits []match.Hit, corrected string) {
	plan := match.Understand(q, x.weights, (*words)(x))
	if len(plan.Terms) == 0 {
		hits = make([]match.Hit, 0, len(x.numbers))
		for _, d := range x.docs {
			if d != nil && facets.Add(&d.Document, q.Misses(&d.Document)) {
				hits = append(hits, ranking.Hit(&d.Document, d.stuffed, 1))
			}
		}
		return hits, ""
	}
	m := x.matches(len(x.docs))
	for _, t := range plan.Terms {
		x.term(m, t)
		m.next()
	}
	for _, t := range plan.Weak {
		for _, f := range t.Forms {
			x.list(m, f.Word, f.Factor)
		}
		m.nextWeak()
	}
	all := 0
	for _, doc := range m.found {
		if x.docs[doc] != nil && match.Complete(m.share[doc], m.total) {
			all++
		}
	}
	hits = make([]match.Hit, 0, min(len(m.found), max(all, 1000)))
	for _, doc := range m.found {
		d := x.docs[doc]
		if d == nil || all >= match.FewHits && !match.Complete(m.share[doc], m.total) || !facets.Add(&d.Document, q.Misses(&d.Document)) {
			continue
		}
		value := plan.Match(&d.Document, &d.shape, m.sum[doc], m.share[doc], m.total, m.weak[doc])
		hits = append(hits, ranking.Hit(&d.Document, d.stuffed, value))
	}
	x.release(m)
	return hits, plan.Corrected
}

// words is the index as a vocabulary.
type words Index

// Known implements [match.Vocabulary].
func (x *words) Known(t string) bool {
	return len(x.postings[t]) > 0 || len(t) >= match.MinPrefix && x.vocab.hasPrefix(t)
}

// Has implements [match.Vocabulary].
func (x *words) Has(name string) bool {
	_, ok := x.numbers[name]
	return ok
}

// Nearest implements [match.Vocabulary].
func (x *words) Nearest(t string) string { return x.vocab.nearest(t, (*Index)(x).weight) }

// weight says how likely a word is meant: by how much is found with it in names.
func (x *Index) weight(t string) float64 {
	w := 0.0
	for _, p := range x.postings[t] {
		if d := x.docs[p.doc]; d != nil {
			w += x.weightOf(p, d)
		}
	}
	return w
}

// term finds the documents that have a term, in any of its forms.
func (x *Index) term(m *matches, t match.Term) {
	for _, f := range t.Forms {
		x.list(m, f.Word, f.Factor)
	}
	if len(t.Word) >= match.MinPrefix {
		for w := range x.vocab.prefixed(t.Word) {
			if w != t.Word {
				x.list(m, w, match.ByPrefix)
			}
		}
	}
	if len(t.Word) >= match.MinPart && len(m.word) < 10*match.FewHits {
		part := x.weights.Field(gallery.NamePart)
		for n, d := range x.docs {
			if d != nil && strings.Contains(d.shape.Folded, t.Word) {
				m.hit(uint32(n), part)
			}
		}
	}
	if t.Slip && len(m.word) <= match.RareWord {
		// what few have may be a slip of a word that many have
		if better := x.vocab.nearest(t.Word, x.weight); better != "" && x.mistyped(t.Word, x.weight(better)) {
			x.list(m, better, match.BySlip)
		}
	}
}

// mistyped reports whether a word is rather a slip of one that has a weight. It is not if it
// begins another; and names of look-alikes, which are made to be found by slips, are none.
func (x *Index) mistyped(t string, better float64) bool {
	for w := range x.vocab.prefixed(t) {
		if w != t && slices.ContainsFunc(x.postings[w], func(p posting) bool { return p.fields&^match.Bit(gallery.FoldedName) != 0 }) && x.trusted(w) > 0 {
			return false
		}
	}
	return better > match.SureSlip*x.trusted(t)
}

// trusted is the weight of a word but for look-alikes.
func (x *Index) trusted(t string) float64 {
	w := 0.0
	for _, p := range x.postings[t] {
		if d := x.docs[p.doc]; d != nil && !x.suspect(&d.Document) {
			w += x.weightOf(p, d)
		}
	}
	return w
}

func (x *Index) weightOf(p posting, d *document) float64 {
	return x.weights.Best(p.fields) * math.Log10(10+float64(d.Pulls))
}

func (x *Index) list(m *matches, t string, factor float64) {
	for _, p := range x.postings[t] {
		weight := x.weights.Best(p.fields)
		if match.OnlyKeyword(p.fields) {
			if d := x.docs[p.doc]; d != nil {
				weight *= d.keywordFactor
			}
		}
		m.hit(p.doc, factor*weight)
	}
}
