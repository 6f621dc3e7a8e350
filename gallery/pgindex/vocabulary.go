package pgindex

import (
	"slices"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// last comes after everything that begins with what stands before it.
const last = "\U0010FFFF"

// Known implements [match.Vocabulary].
func (s *search) Known(t string) bool {
	in, end := "word = $1", t
	var longer []string
	if len(t) >= match.MinPrefix {
		in, end, longer = "word >= $1 AND word < $2", t+last, []string{lexeme(anywhere, t)}
	}
	return s.has("SELECT EXISTS (SELECT 1 FROM esplanade_index_word WHERE "+in+" AND $2 > '')", t, end) ||
		// in a text alone, perhaps
		s.has("SELECT EXISTS (SELECT 1 FROM esplanade_index_lexemes WHERE lexemes @@ $1::text::tsquery)", anyOf(0, []string{lexeme(anywhere, t)}, longer...).query)
}

// Has implements [match.Vocabulary].
func (s *search) Has(name string) bool {
	return s.has("SELECT EXISTS (SELECT 1 FROM esplanade_index_document WHERE name = $1)", []byte(name))
}

// has returns the only row of a query.
func (s *search) has(text string, args ...any) (yes bool) {
	s.ask(query{text, args, func(scan func(...any) error) error { return scan(&yes) }})
	return yes
}

// frequency is how many documents have a word in one of its forms, or more: those with
// several count several times.
type frequency struct{ documents, named, keyed int }

// term is a word of a query, how it is looked for, and how often it is there.
type term struct {
	match.Lookup
	frequency frequency
}

// in is the condition that a document has the term in some of its fields.
func (t *term) in(kind string) condition {
	var list, beginnings []string
	for _, f := range t.Forms {
		list = append(list, lexeme(kind, f.Word))
	}
	for _, w := range t.Longer {
		list = append(list, lexeme(kind, w))
	}
	if t.Prefix {
		beginnings = []string{lexeme(kind, t.Word)}
	}
	n := t.frequency.documents
	switch kind {
	case inNamed:
		n = t.frequency.named
	case inKeyed:
		n = t.frequency.keyed
	}
	return anyOf(n, list, beginnings...)
}

// count asks how many documents have one of some words.
func (f *frequency) count(words []string) query {
	return f.sum("word = ANY($1)", words)
}

// sum adds the counts of the first words of which something holds, which are all but of the
// shortest beginnings.
func (f *frequency) sum(where string, args ...any) query {
	return query{
		`SELECT coalesce(sum(documents), 0)::bigint, coalesce(sum(named), 0)::bigint, coalesce(sum(keyed), 0)::bigint
FROM (SELECT documents, named, keyed FROM esplanade_index_word WHERE ` + where + " ORDER BY word LIMIT 200) w", args,
		func(scan func(...any) error) error {
			var more frequency
			err := scan(&more.documents, &more.named, &more.keyed)
			f.documents, f.named, f.keyed = f.documents+more.documents, f.named+more.named, f.keyed+more.keyed
			return err
		},
	}
}

// maxLonger is how many words are looked for by themselves; of more, by what they begin with,
// the index of lexemes reads them all, also names without their separators, which are found
// as parts of names.
const maxLonger = 30

// lookUp finds out how to look for the terms of a query.
func (s *search) lookUp(plan []match.Term) []term {
	terms := make([]term, len(plan))
	var queries []query
	for i, t := range plan {
		terms[i].Term = t
		words := make([]string, len(t.Forms))
		for i, f := range t.Forms {
			words[i] = f.Word
		}
		queries = append(queries, terms[i].frequency.count(words))
		if len(t.Word) >= match.MinPrefix {
			queries = append(queries, terms[i].frequency.sum("word > $1 AND word < $2", t.Word, t.Word+last),
				query{"SELECT word FROM esplanade_index_word WHERE said AND word > $1 AND word < $2 ORDER BY word LIMIT $3", []any{t.Word, t.Word + last, maxLonger + 1}, func(scan func(...any) error) error {
					var w string
					err := scan(&w)
					terms[i].Longer = append(terms[i].Longer, w)
					return err
				}})
		}
	}
	s.ask(queries...)
	for i := range terms {
		t := &terms[i]
		n := min(t.frequency.documents, s.documents)
		t.Part = len(t.Word) >= match.MinPart && n < 10*match.FewHits
		if len(t.Longer) > maxLonger {
			t.Longer, t.Prefix = nil, n < 10*maxCandidates // or those with the word itself are enough
		}
		if t.Slip && n <= match.RareWord {
			if better := s.slipOf(t.Word); better != "" {
				t.Forms = append(slices.Clone(t.Forms), match.Form{Word: better, Factor: match.BySlip})
				s.ask(t.frequency.count([]string{better}))
				n = min(t.frequency.documents, s.documents)
			}
		}
		t.Weight = match.TermWeight(n, s.documents)
	}
	return terms
}

// filters returns the filters of a query as conditions: those that have no facet, and the
// others, without which facets are counted.
func (s *search) filters(q *gallery.Query) (loose, strict condition) {
	looseLists, strictLists := match.Filters(q)
	lists := slices.Concat(looseLists, strictLists)
	counts := make([]frequency, len(lists))
	var queries []query
	for i, list := range lists {
		for j := range list {
			list[j] = lexeme(filter, list[j])
		}
		queries = append(queries, counts[i].count(list))
	}
	s.ask(queries...)
	for i, list := range lists {
		if c := anyOf(counts[i].documents, list); i < len(looseLists) {
			loose = loose.and(c)
		} else {
			strict = strict.and(c)
		}
	}
	return loose, strict
}

// Nearest implements [match.Vocabulary].
func (s *search) Nearest(t string) string {
	best, _ := s.nearest(t)
	return best
}

// nearest returns the word that t is most likely a slip of, with its weight.
func (s *search) nearest(t string) (best string, weight int64) {
	slips, ok := match.NewSlips(t)
	if !ok {
		return "", 0
	}
	bestScore := 0.0
	s.ask(query{
		"SELECT word, weight FROM esplanade_index_word WHERE slips && $1 AND length BETWEEN $2 AND $3 ORDER BY word", []any{slips.Keys(), len(t) - 2*slips.Limit(), len(t) + 2*slips.Limit()},
		func(scan func(...any) error) error {
			var w string
			var n int64
			if err := scan(&w, &n); err != nil || !slips.May(w, match.Letters(w)) {
				return err
			}
			if f := slips.Factor(w); f > 0 && f*float64(n) > bestScore {
				best, weight, bestScore = w, n, f*float64(n)
			}
			return nil
		},
	})
	return best, weight
}

// slipOf returns the word that many have of which one that few have is rather a slip, or "".
// It is none if it begins another; and names of look-alikes, which are made to be found by
// slips, are none.
func (s *search) slipOf(t string) string {
	better, weight := s.nearest(t)
	if better == "" || s.has("SELECT EXISTS (SELECT 1 FROM esplanade_index_word WHERE said AND word > $1 AND word < $2)", t, t+last) {
		return ""
	}
	own := int64(0)
	_, list := s.load(s.match(match.RareWord, anyOf(0, []string{lexeme(anywhere, t)}))[0])
	for _, c := range list {
		if !s.suspect(&c.Document) {
			own += s.x.weights.Likely(c.Words.Fields(t), c.Pulls)
		}
	}
	if weight <= match.SureSlip*own {
		return ""
	}
	return better
}

// aheadOf is of how many documents the keys are looked up together: a page, mostly, and some
// that come before what turns out to be look-alikes.
const aheadOf = gallery.DefaultPage + 5

// suspect reports whether a document is a look-alike.
func (s *search) suspect(d *gallery.Document) bool {
	return match.Suspect(d, func(keys []string) (list []match.Known) {
		if slices.ContainsFunc(keys, func(k string) bool { _, ok := s.imitated[k]; return !ok }) {
			s.lookAhead(d)
		}
		for _, k := range keys {
			list = append(list, s.imitated[k]...)
		}
		return list
	})
}

// lookAhead looks up the keys of a document, and of those that are the next to be asked about.
func (s *search) lookAhead(d *gallery.Document) {
	var keys []string
	add := func(d *gallery.Document) {
		match.Suspect(d, func(more []string) []match.Known {
			keys = append(keys, more...)
			return nil
		})
	}
	add(d)
	from := max(0, slices.IndexFunc(s.ahead, func(h match.Hit) bool { return h.Doc == d }))
	for _, h := range s.ahead[from:min(from+aheadOf, len(s.ahead))] {
		add(h.Doc)
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, k := range keys {
		s.imitated[k] = nil
	}
	// Hardly any key is there. OFFSET keeps the planner from reading all that are instead.
	s.ask(query{
		`SELECT u, k.name, max(d.pulls), bool_or(d.verified)
FROM unnest($1::text[]) u, LATERAL (SELECT name, document FROM esplanade_index_known WHERE key = u OFFSET 0) k, LATERAL (SELECT pulls, verified FROM esplanade_index_document WHERE id = k.document OFFSET 0) d
GROUP BY u, k.name ORDER BY k.name`, []any{keys},
		func(scan func(...any) error) error {
			var key string
			var k match.Known
			err := scan(&key, &k.Name, &k.Pulls, &k.Verified)
			s.imitated[key] = append(s.imitated[key], k)
			return err
		},
	})
}
