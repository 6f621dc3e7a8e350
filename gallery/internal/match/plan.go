package match

import (
	"math"
	"slices"
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
)

// How much other words count than the one that was typed.
const (
	ByAlias  = 0.9
	ByStem   = 0.95
	ByPrefix = 0.7
	BySlip   = 0.75
	// ByRelation is for words that are part of what people call what a document is.
	ByRelation = 0.5
)

const (
	// MaxTerms is how many words of a query count.
	MaxTerms = 12
	// MinPrefix is how many letters the beginning of a word has, to be taken for one.
	MinPrefix = 3
	// MinPart is the same of what is looked for within names.
	MinPart = 4
	// FewHits is below which documents with some of the words are hits too.
	FewHits = 10
	// RareWord is how many documents have a word that may be a slip.
	RareWord = 3
	// SureSlip is how much more of a word is found than of its slip.
	SureSlip = 20
)

// Term is a word of a query.
type Term struct {
	Word  string
	Slip  bool   // it may be one: documents have it, but it is no word of the field
	Forms []Form // the word itself first
}

// Form is a word that may be in a document for one of the query, and how much it counts.
type Form struct {
	Word   string
	Factor float64
}

// Plan is how a query is answered.
type Plan struct {
	Terms     []Term // that a document should have
	Weak      []Term // that it may have
	Corrected string // what was searched for instead, or ""

	query   *gallery.Query
	weights *Weights
	joined  []string // the words of the query as one, with and without the weak ones
	phrases []string // likewise, in a row
}

// Vocabulary is the words of an index.
type Vocabulary interface {
	// Known reports whether a document has a word, or one that begins with it.
	Known(t string) bool
	// Has reports whether there is a document of a name.
	Has(name string) bool
	// Nearest returns the word of documents that another is most likely a slip of, or "".
	Nearest(t string) string
}

// Understand makes a plan of a query. It has no terms if everything is asked for.
func Understand(q *gallery.Query, w *Weights, v Vocabulary) *Plan {
	p := &Plan{query: q, weights: w}
	k := concepts()
	said := distinct(gallery.Words(strings.Join(q.Terms, " ")))
	terms := make([]Term, len(said))
	fixed := slices.Clone(said)
	for i, t := range said {
		slip := !k.familiar(t)
		if slip && !stopWords[t] && !number(t) && !v.Known(t) && !v.Known(stem(t)) {
			if better := v.Nearest(t); better != "" {
				fixed[i], p.Corrected = better, better
			}
			slip = false
		}
		terms[i] = Term{fixed[i], slip, forms(fixed[i])}
	}
	if p.Corrected != "" {
		p.Corrected = strings.Join(fixed, " ")
	}
	meant := make([]bool, len(fixed)) // as part of a concept
	k.spans(fixed, func(from, to int, marks []string) {
		for i := from; i < to; i++ {
			meant[i] = true
			for _, m := range marks {
				terms[i].Forms = append(terms[i].Forms, Form{m, 1})
			}
		}
	})
	// Who names a repository wants it, and otherwise what is called so.
	var called []string
	if q.Name != "" && v.Has(q.Name) {
		called = gallery.Words(q.Name[strings.LastIndexByte(q.Name, '/')+1:])
	}
	var strong []string
	for i, t := range terms {
		switch {
		case called != nil && !slices.Contains(called, t.Word):
			p.Weak = append(p.Weak, t)
			continue
		case meant[i]:
		case stopWords[t.Word]:
			continue
		case weakWords[t.Word], number(t.Word):
			p.Weak = append(p.Weak, t)
			continue
		case len(terms) > 1:
			for _, m := range k.related[stem(t.Word)] {
				t.Forms = append(t.Forms, Form{m, ByRelation})
			}
		}
		p.Terms, strong = append(p.Terms, t), append(strong, t.Word)
	}
	if len(p.Terms) == 0 {
		p.Terms, p.Weak = p.Weak, nil
	}
	if len(p.Terms) == 0 {
		p.Terms = terms
	}
	for _, words := range [][]string{said, fixed, strong} {
		if len(words) > 1 && !slices.Contains(p.joined, strings.Join(words, "")) {
			p.joined = append(p.joined, strings.Join(words, ""))
			p.phrases = append(p.phrases, " "+strings.Join(words, " ")+" ")
		}
	}
	return p
}

// distinct returns the first words, each once.
func distinct(terms []string) (list []string) {
	for _, t := range terms {
		if len(list) < MaxTerms && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

// number reports whether a word is part of a version.
func number(t string) bool {
	return !strings.ContainsFunc(strings.TrimPrefix(t, "v"), func(r rune) bool { return r < '0' || r > '9' })
}

func forms(t string) []Form {
	list := []Form{{t, 1}}
	if s := stem(t); s != t {
		list = append(list, Form{s, ByStem})
	}
	for _, other := range plurals(t) {
		list = append(list, Form{other, ByStem})
	}
	for _, other := range synonyms()[t] {
		list = append(list, Form{other, ByAlias})
	}
	return list
}

// TermWeight is how much a word says that n of all documents have: one that few have says
// more.
func TermWeight(n, all int) float64 {
	return math.Log(1+float64(all)/float64(1+n)) / math.Log(1+float64(all))
}

// Match says how well a document matches: sum is what its words count, each by the weight of
// the term; share is the weights of the terms that it has, of all of them; and weak what the
// weak terms count.
func (p *Plan) Match(d *gallery.Document, s *Shape, sum, share, all, weak float64) float64 {
	match := sum / all
	if !Complete(share, all) {
		match *= math.Pow(share/all, 2)
	}
	return p.whole(d, s, match) * (1 + weakShare*weak)
}

// weakShare is how much sooner a document comes that has a weak word.
const weakShare = 0.02

// Complete reports whether a document has every term.
func Complete(share, all float64) bool { return share >= all*(1-1e-9) }

// pasted is how much more a repository counts that a query names with its alias: it comes
// first even if it is deprecated or a look-alike.
const pasted = 10

// nameInWords is what a query is in that says a name, of several words, and no more: as much
// as one that says it with its alias.
const nameInWords = gallery.FullName

// whole raises a match where the words stand together in the document as in the query.
func (p *Plan) whole(d *gallery.Document, s *Shape, match float64) float64 {
	switch {
	case p.query.Name != "" && d.Name == p.query.Name:
		return max(match, pasted*p.weights.Field(gallery.FullName))
	case p.query.Name != "" && strings.HasSuffix(p.query.Name, d.Name[strings.IndexByte(d.Name, '/'):]):
		return max(match, p.weights.Field(gallery.WholeName))
	case len(p.joined) == 0:
		return match
	}
	for _, j := range p.joined {
		switch j {
		case s.Folded, s.Reversed:
			return max(match, p.weights.Field(gallery.FullName))
		case s.Name:
			return max(match, p.weights.Field(nameInWords))
		}
	}
	factor := 1.0
	for _, phrase := range p.phrases {
		if at := strings.Index(s.Phrases, phrase); at >= 0 {
			if at < strings.IndexByte(s.Phrases, '|') {
				return match * 1.5
			}
			factor = 1.25
		}
	}
	return match * factor
}
