package sqlindex

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// maxCandidates is how many documents are scored for a search, more or less.
const maxCandidates = 1500

// search is one search, in a transaction. After an error its methods return nothing.
type search struct {
	x         *Index
	ctx       context.Context // of the one call that it is
	tx        *sql.Tx
	documents int
	err       error
}

// Search implements [gallery.Index].
func (x *Index) Search(ctx context.Context, q gallery.Query, page gallery.Page) (r gallery.Results, err error) {
	err = transaction(ctx, x.readers, func(tx *sql.Tx) error {
		s := &search{x: x, ctx: ctx, tx: tx}
		s.one("SELECT documents FROM state", nil, &s.documents)
		r = s.run(&q, page)
		return s.err
	})
	if err != nil {
		return gallery.Results{}, wrap("search", err)
	}
	return r, nil
}

func (s *search) run(q *gallery.Query, page gallery.Page) (r gallery.Results) {
	var facets gallery.Counter
	ranking := match.NewRanking(s.x.ranker, page.Sort, s.suspect)
	plan := match.Understand(q, s.x.weights, s)
	var hits []match.Hit
	if len(plan.Terms) == 0 {
		for _, c := range s.load(s.everything(q, page.Sort)) {
			if facets.Add(&c.Document, q.Misses(&c.Document)) {
				hits = append(hits, ranking.Hit(&c.Document, c.Stuffed, 1))
			}
		}
	} else {
		hits = s.find(q, plan, ranking, &facets)
	}
	slices.SortFunc(hits, match.Compare) // few enough; what gets far comes first
	r.Total, r.Corrected, r.Facets = len(hits), plan.Corrected, facets.Facets()
	r.Hits, r.More = ranking.Page(hits, page)
	for i := range r.Hits {
		var text []byte
		s.one("SELECT text FROM document WHERE name = ?", []any{[]byte(r.Hits[i].Name)}, &text)
		r.Hits[i].Text = string(text)
	}
	return r
}

// everything returns the first documents in an order.
func (s *search) everything(q *gallery.Query, order gallery.Sort) []int64 {
	loose, strict := filters(q)
	if loose == "" && strict == "" {
		column := "id"
		switch order {
		case gallery.ByPulls:
			column = "pulls DESC, name"
		case gallery.ByUpdate:
			column = "updated DESC, name"
		case gallery.ByName:
			column = "name"
		}
		return s.ids("SELECT id FROM document ORDER BY "+column+" LIMIT ?", maxCandidates)
	}
	var ids []int64
	if loose != "" {
		ids = s.match(loose, maxCandidates)
	} else {
		ids = s.ids("SELECT id FROM document ORDER BY id LIMIT ?", maxCandidates)
	}
	if len(ids) == maxCandidates && strict != "" {
		ids = append(ids, s.match(and(loose, strict), maxCandidates)...)
	}
	return ids
}

// find returns the hits of a query with words.
func (s *search) find(q *gallery.Query, plan *match.Plan, ranking *match.Ranking, facets *gallery.Counter) []match.Hit {
	terms := make([]match.Lookup, len(plan.Terms))
	for i, t := range plan.Terms {
		n := s.frequency(t)
		terms[i] = match.Lookup{Term: t, Part: len(t.Word) >= match.MinPart && n < 10*match.FewHits}
		terms[i].Longer, terms[i].Prefix = s.longer(t.Word)
		terms[i].Prefix = terms[i].Prefix && n < 10*maxCandidates // or those with the word itself are enough
		if t.Slip && n <= match.RareWord {
			if better := s.slipOf(t.Word); better != "" {
				terms[i].Forms = append(slices.Clone(t.Forms), match.Form{Word: better, Factor: match.BySlip})
				n += s.frequency(match.Term{Forms: []match.Form{{Word: better}}})
			}
		}
		terms[i].Weight = match.TermWeight(n, s.documents)
	}
	return plan.Hits(s.load(s.candidates(q, terms)), terms, ranking, facets)
}

// candidates returns documents that have all the terms, in their names, among their keywords
// and anywhere, and if these are few, documents that have any.
func (s *search) candidates(q *gallery.Query, terms []match.Lookup) (ids []int64) {
	loose, strict := filters(q)
	each := max(60, maxCandidates/(2*len(terms)+1))
	capped := false
	gather := func(filter string) {
		have := make([]string, len(terms))
		for i, t := range terms {
			have[i] = anyOf(t)
		}
		found := s.match(and(filter, have...), each)
		ids = append(ids, found...)
		if len(found) == each {
			capped = true
			for i := range terms {
				for _, columns := range []string{"name", "name keyword"} {
					in := slices.Clone(have)
					in[i] = "{" + columns + "} : " + have[i]
					ids = append(ids, s.match(and(filter, in...), each)...)
				}
			}
		}
		if len(found) >= match.FewHits || len(terms) == 1 {
			return
		}
		for i := range terms {
			ids = append(ids, s.match(and(filter, "{name} : "+have[i]), each)...)
			ids = append(ids, s.match(and(filter, have[i]), each)...)
		}
	}
	gather(loose)
	if capped && strict != "" {
		gather(and(loose, strict))
	}
	for _, t := range terms {
		if t.Part {
			ids = append(ids, s.ids("SELECT rowid FROM parts WHERE parts MATCH ? ORDER BY rowid LIMIT ?", quote(t.Word), 10*match.FewHits)...)
		}
	}
	if q.Name != "" {
		ids = append(ids, s.ids("SELECT id FROM document WHERE name = ?", []byte(q.Name))...)
	}
	return ids
}

// filters returns the filters of a query as conditions: those that have no facet, and the
// others, without which facets are counted.
func filters(q *gallery.Query) (loose, strict string) {
	join := func(lists [][]string) (condition string) {
		for _, list := range lists {
			words := make([]string, len(list))
			for i, w := range list {
				words[i] = quote(w)
			}
			condition = and(condition, "({filter} : ("+strings.Join(words, " OR ")+"))")
		}
		return condition
	}
	looseLists, strictLists := match.Filters(q)
	return join(looseLists), join(strictLists)
}

// and joins conditions, of which some may be empty.
func and(first string, rest ...string) string {
	list := slices.DeleteFunc(append([]string{first}, rest...), func(s string) bool { return s == "" })
	return strings.Join(list, " AND ")
}

// anyOf is the condition that a document has one of the forms of a term, outside of what it
// is filtered by.
func anyOf(t match.Lookup) string {
	var list []string
	for _, f := range t.Forms {
		list = append(list, quote(f.Word))
	}
	for _, w := range t.Longer {
		list = append(list, quote(w))
	}
	if t.Prefix {
		list = append(list, quote(t.Word)+"*")
	}
	return "({name keyword body} : (" + strings.Join(list, " OR ") + "))"
}

// quote makes a string of FTS5 of a word, which in it has no meaning but itself.
func quote(w string) string { return `"` + strings.ReplaceAll(w, `"`, `""`) + `"` }

// load reads documents by their ids, each once.
func (s *search) load(ids []int64) (list []*match.Candidate) {
	slices.Sort(ids)
	b, err := json.Marshal(slices.Compact(ids))
	if err != nil {
		s.err = err
		return nil
	}
	s.rows("SELECT stuffed, phrases, words, data FROM document WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", []any{string(b)},
		func(scan func(...any) error) error {
			var c match.Candidate
			var words string
			var data sql.RawBytes
			if err := scan(&c.Stuffed, &c.Phrases, &words, &data); err != nil {
				return err
			}
			c.Words = match.WordList(words)
			list = append(list, &c)
			return c.Decode(data)
		})
	return list
}

// match returns the first documents for which a condition holds.
func (s *search) match(condition string, limit int) []int64 {
	return s.ids("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid LIMIT ?", condition, limit)
}

func (s *search) ids(query string, args ...any) (list []int64) {
	s.rows(query, args, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		list = append(list, id)
		return err
	})
	return list
}

// one reads the only row of a query, if there is one.
func (s *search) one(query string, args []any, dest ...any) {
	s.rows(query, args, func(scan func(...any) error) error { return scan(dest...) })
}

// rows calls fn with what scans each row of a query.
func (s *search) rows(query string, args []any, fn func(scan func(...any) error) error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return
	}
	rows, err := s.tx.QueryContext(background, query, args...)
	if err != nil {
		s.err = err
		return
	}
	for err == nil && rows.Next() {
		err = fn(rows.Scan)
	}
	s.err = errors.Join(err, rows.Err(), rows.Close())
}
