package memindex

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
)

// How much other words count than the one that was typed.
const (
	byAlias   = 0.9
	byStem    = 0.95
	byPrefix  = 0.7
	bySpell   = 0.75
	fewHits   = 10 // below which documents with some of the words are hits too
	rareWord  = 3  // documents that have a word which may be a slip
	minPrefix = 3
	minPart   = 4
)

// matches is how well documents match the words so far.
type matches struct {
	sum   []float64
	share []float64 // of the weights of all words, those that were found
	best  []float64 // of the current word
	total float64   // the weights of all words
	found []uint32  // documents with a sum
	word  []uint32  // documents with a best
}

func newMatches(n int) *matches {
	return &matches{sum: make([]float64, n), share: make([]float64, n), best: make([]float64, n)}
}

func (m *matches) hit(doc uint32, weight float64) {
	if m.best[doc] == 0 {
		m.word = append(m.word, doc)
	}
	m.best[doc] = max(m.best[doc], weight)
}

// next ends a word. One that few documents have says more than one that many have.
func (m *matches) next() {
	n := float64(len(m.sum))
	weight := math.Log(1+n/float64(1+len(m.word))) / math.Log(1+n)
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

// all reports whether a document has every word.
func (m *matches) all(doc uint32) bool { return m.share[doc] >= m.total*(1-1e-9) }

// find returns all hits, with scores for the order that is wanted, and what the query was
// corrected to, if it was.
func (x *Index) find(q *gallery.Query, order gallery.Sort, facets *gallery.Counter) (hits []hit, corrected string) {
	// A day makes no difference, and within it equal queries have equal answers.
	today := time.Now().UTC().Truncate(24 * time.Hour)
	score := func(d *document, match float64) float64 {
		switch order {
		case gallery.ByPulls:
			return float64(d.Pulls)
		case gallery.ByUpdate:
			return float64(d.Updated.UnixNano())
		case gallery.ByName:
			return 0
		}
		return x.ranker.Score(&d.Document, match, !d.Verified && x.verified.suspect(d), today)
	}
	if len(q.Terms) == 0 {
		for n, d := range x.docs {
			if d != nil && facets.Add(&d.Document, q.Misses(&d.Document)) {
				hits = append(hits, hit{uint32(n), score(d, 1)})
			}
		}
		return hits, ""
	}
	if said := slices.DeleteFunc(slices.Clone(q.Terms), func(t string) bool { return stopWords[t] }); len(said) > 0 {
		q.Terms = said
	}
	terms := slices.Clone(q.Terms)
	var fixed []string
	for i, t := range terms {
		if !x.known(t) {
			if better := x.vocab.nearest(t, x.weight); better != "" {
				terms[i] = better
			}
		}
		fixed = append(fixed, terms[i])
	}
	if !slices.Equal(fixed, q.Terms) {
		corrected = strings.Join(fixed, " ")
	}
	m := newMatches(len(x.docs))
	for i, t := range terms {
		x.word(m, t, t == q.Terms[i])
		m.next()
	}
	joined := gallery.Fold(strings.Join(q.Terms, ""))
	phrase := " " + strings.Join(terms, " ") + " "
	all := 0
	for _, doc := range m.found {
		if m.all(doc) {
			all++
		}
	}
	for _, doc := range m.found {
		d := x.docs[doc]
		if d == nil || !m.all(doc) && all >= fewHits || !facets.Add(&d.Document, q.Misses(&d.Document)) {
			continue
		}
		match := m.sum[doc] / m.total
		if !m.all(doc) {
			match *= math.Pow(m.share[doc]/m.total, 2)
		}
		match = x.whole(q, d, joined, phrase, len(terms), match)
		hits = append(hits, hit{doc, score(d, match)})
	}
	return hits, corrected
}

// whole raises a match where the words stand together in the document as in the query.
func (x *Index) whole(q *gallery.Query, d *document, joined, phrase string, terms int, match float64) float64 {
	switch {
	case q.Name != "" && d.Name == q.Name:
		return max(match, 2*x.ranker.Field(gallery.FullName))
	case q.Name != "" && strings.HasSuffix(q.Name, d.Name[strings.IndexByte(d.Name, '/'):]):
		return max(match, x.ranker.Field(gallery.WholeName))
	case terms == 1:
		return match
	case d.folded == joined, d.reversed == joined:
		return max(match, x.ranker.Field(gallery.FullName))
	case d.name == joined:
		return max(match, x.ranker.Field(gallery.FoldedName))
	}
	if at := strings.Index(d.words, phrase); at >= 0 {
		if at < strings.IndexByte(d.words, '|') {
			return match * 1.5
		}
		return match * 1.25
	}
	return match
}

// known reports whether anything has a word, or a word that begins with it.
func (x *Index) known(t string) bool {
	if len(x.postings[t]) > 0 || len(aliases[t]) > 0 || len(x.postings[stem(t)]) > 0 {
		return true
	}
	return len(t) >= minPrefix && x.vocab.hasPrefix(t)
}

// weight says how likely a word is meant: by how much is found with it in names.
func (x *Index) weight(t string) float64 {
	w := 0.0
	for _, p := range x.postings[t] {
		if d := x.docs[p.doc]; d != nil {
			w += x.best(p.fields) * math.Log10(10+float64(d.Pulls))
		}
	}
	return w
}

// best is the weight of the best of some fields.
func (x *Index) best(set fieldSet) float64 {
	for f := range gallery.Fields {
		if set&bit(f) != 0 {
			return x.ranker.Field(f)
		}
	}
	return 0
}

// word finds the documents that have a word, in any of its forms. One that was typed, and
// not corrected, may be a slip.
func (x *Index) word(m *matches, t string, typed bool) {
	x.list(m, t, 1)
	if s := stem(t); s != t {
		x.list(m, s, byStem)
	}
	for _, other := range plurals(t) {
		x.list(m, other, byStem)
	}
	for _, other := range aliases[t] {
		x.list(m, other, byAlias)
	}
	if len(t) >= minPrefix {
		for w := range x.vocab.prefixed(t) {
			if w != t {
				x.list(m, w, byPrefix)
			}
		}
	}
	if len(t) >= minPart && len(m.word) < 10*fewHits {
		part := x.ranker.Field(gallery.NamePart)
		for n, d := range x.docs {
			if d != nil && strings.Contains(d.folded, t) {
				m.hit(uint32(n), part)
			}
		}
	}
	if typed && len(m.word) <= rareWord {
		// what few have may be a slip of a word that many have
		if better := x.vocab.nearest(t, x.weight); better != "" && x.weight(better) > 20*x.weight(t) {
			x.list(m, better, bySpell)
		}
	}
}

func (x *Index) list(m *matches, t string, factor float64) {
	for _, p := range x.postings[t] {
		weight := x.best(p.fields)
		if p.fields&(bit(gallery.Keyword)-1) == 0 && p.fields&bit(gallery.Keyword) != 0 {
			// who has keywords for everything is found with each of them a little less
			if d := x.docs[p.doc]; d != nil && len(d.Keywords) > manyKeywords {
				weight *= manyKeywords / float64(len(d.Keywords))
			}
		}
		m.hit(p.doc, factor*weight)
	}
}

// manyKeywords is how many keywords count in full.
const manyKeywords = 6

// stopWords say nothing in a search for images, unless there is nothing else.
var stopWords = map[string]bool{
	"a": true, "an": true, "and": true, "for": true, "in": true, "of": true, "on": true, "or": true, "the": true, "to": true, "with": true,
	"your": true, "my": true, "image": true, "images": true, "container": true, "containers": true, "official": true, "docker": true, "run": true,
}

// stem returns the singular of a word that looks like a plural.
func stem(t string) string {
	switch {
	case len(t) > 4 && strings.HasSuffix(t, "ies"):
		return t[:len(t)-3] + "y"
	case len(t) > 3 && strings.HasSuffix(t, "s") && !strings.HasSuffix(t, "ss"):
		return t[:len(t)-1]
	}
	return t
}

func plurals(t string) []string {
	if len(t) < 3 {
		return nil
	}
	list := []string{t + "s"}
	if strings.HasSuffix(t, "y") {
		list = append(list, t[:len(t)-1]+"ies")
	}
	return list
}
