package pgindex

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// maxCandidates is how many documents are scored for a search, more or less.
const maxCandidates = 1500

// search is one search, in a transaction. After an error its methods return nothing.
type search struct {
	x         *Index
	ctx       context.Context // of the one call that it is
	tx        pgx.Tx
	documents int
	imitated  map[string][]match.Known // by keys that were asked for
	ahead     []match.Hit              // what will be asked about
	err       error
}

// Search implements [gallery.Index].
func (x *Index) Search(ctx context.Context, q gallery.Query, page gallery.Page) (r gallery.Results, err error) {
	err = x.transaction(ctx, reading, func(tx pgx.Tx) error {
		s := &search{x: x, ctx: ctx, tx: tx, imitated: map[string][]match.Known{}}
		s.documents = s.size()
		r = s.run(&q, page)
		return s.err
	})
	if err != nil {
		return gallery.Results{}, wrap("search", err)
	}
	return r, nil
}

// size returns how many documents there are.
func (s *search) size() (n int) {
	found := false
	s.ask(query{"SELECT documents FROM esplanade_index WHERE version = $1", []any{s.x.version}, func(scan func(...any) error) error {
		found = true
		return scan(&n)
	}})
	if s.err == nil && !found {
		s.err = errReplaced
	}
	return n
}

func (s *search) run(q *gallery.Query, page gallery.Page) (r gallery.Results) {
	var facets gallery.Counter
	ranking := match.NewRanking(s.x.ranker, page.Sort, s.suspect)
	plan := match.Understand(q, s.x.weights, s)
	var hits []match.Hit
	if len(plan.Terms) == 0 {
		_, list := s.load(s.everything(q, page.Sort))
		for _, c := range list {
			if facets.Add(&c.Document, q.Misses(&c.Document)) {
				hits = append(hits, ranking.Hit(&c.Document, c.Stuffed, 1))
			}
		}
	} else {
		hits = s.find(q, plan, ranking, &facets)
	}
	slices.SortFunc(hits, match.Compare) // few enough; what gets far comes first
	s.ahead = slices.Clone(hits)
	r.Total, r.Corrected, r.Facets = len(hits), plan.Corrected, facets.Facets()
	r.Hits, r.More = ranking.Page(hits, page)
	s.addTexts(r.Hits)
	return r
}

func (s *search) addTexts(hits []gallery.Hit) {
	names, places := make([][]byte, len(hits)), map[string]int{}
	for i, h := range hits {
		names[i], places[h.Name] = []byte(h.Name), i
	}
	s.ask(query{"SELECT name, text FROM esplanade_index_document WHERE name = ANY($1)", []any{names}, func(scan func(...any) error) error {
		var name, text []byte
		err := scan(&name, &text)
		hits[places[string(name)]].Text = string(text)
		return err
	}})
}

// everything returns the first documents in an order.
func (s *search) everything(q *gallery.Query, order gallery.Sort) []int64 {
	loose, strict := s.filters(q)
	if loose.query != "" {
		ids := s.match(maxCandidates, loose)[0]
		if len(ids) == maxCandidates && strict.query != "" {
			ids = append(ids, s.match(maxCandidates, loose.and(strict))[0]...)
		}
		return ids
	}
	column := "id"
	if strict.query == "" {
		switch order {
		case gallery.ByPulls:
			column = "pulls DESC, id"
		case gallery.ByUpdate:
			column = "updated DESC, id"
		case gallery.ByName:
			column = "name"
		}
	}
	var ids []int64
	s.ask(idsOf(&ids, "SELECT id FROM esplanade_index_document ORDER BY "+column+" LIMIT $1", maxCandidates))
	if len(ids) == maxCandidates && strict.query != "" {
		ids = append(ids, s.match(maxCandidates, strict)[0]...)
	}
	return ids
}

// find returns the hits of a query with words.
func (s *search) find(q *gallery.Query, plan *match.Plan, ranking *match.Ranking, facets *gallery.Counter) []match.Hit {
	terms := s.lookUp(plan.Terms)
	lookups := make([]match.Lookup, len(terms))
	for i := range terms {
		lookups[i] = terms[i].Lookup
	}
	ids, list := s.load(s.candidates(q, terms))
	// Few of the candidates have a term in the text alone, and the words of that are many. Of
	// the others, weak terms in the text are not counted; they make next to no difference.
	var lacking []int64
	var lack []*match.Candidate
	for i, c := range list {
		if plan.Lacks(c, lookups) {
			lacking, lack = append(lacking, ids[i]), append(lack, c)
		}
	}
	if len(lacking) > 0 {
		s.ask(query{"SELECT body FROM esplanade_index_document WHERE id = ANY($1) ORDER BY id", []any{lacking}, func(scan func(...any) error) error {
			var body string
			err := scan(&body)
			lack[0].Words += match.WordList(body)
			lack = lack[1:]
			return err
		}})
	}
	return plan.Hits(list, lookups, ranking, facets)
}

// candidates returns documents that have all the terms, in their names, among their keywords
// and anywhere, and if these are few, documents that have any.
func (s *search) candidates(q *gallery.Query, terms []term) []int64 {
	loose, strict := s.filters(q)
	each := max(60, maxCandidates/(2*len(terms)+1))
	var ids []int64
	// with returns that all terms hold, one of them in its own way
	with := func(filter condition, i int, c condition) condition {
		for j, t := range terms {
			if j != i {
				filter = filter.and(t.in(anywhere))
			}
		}
		return filter.and(c)
	}
	gather := func(filter condition) (capped bool) {
		found := s.match(each, with(filter, 0, terms[0].in(anywhere)))[0]
		ids = append(ids, found...)
		var list []condition
		if capped = len(found) == each; capped {
			for i, t := range terms {
				list = append(list, with(filter, i, t.in(inNamed)), with(filter, i, t.in(inKeyed)))
			}
		}
		if len(found) < match.FewHits && len(terms) > 1 {
			for _, t := range terms {
				list = append(list, filter.and(t.in(inNamed)), filter.and(t.in(anywhere)))
			}
		}
		for _, found := range s.match(each, list...) {
			ids = append(ids, found...)
		}
		return capped
	}
	if gather(loose) && strict.query != "" {
		gather(loose.and(strict))
	}
	var queries []query
	for _, t := range terms {
		if t.Part {
			// words are letters and digits, which mean nothing else to LIKE
			queries = append(queries, idsOf(&ids, "SELECT id FROM (SELECT id FROM esplanade_index_lexemes WHERE folded LIKE $1 OFFSET 0) p ORDER BY id LIMIT $2",
				"%"+t.Word+"%", 10*match.FewHits))
		}
	}
	if q.Name != "" {
		queries = append(queries, idsOf(&ids, "SELECT id FROM esplanade_index_document WHERE name = $1", []byte(q.Name)))
	}
	s.ask(queries...)
	return ids
}

// load reads documents by their ids, each once, in the order of these.
func (s *search) load(wanted []int64) (ids []int64, list []*match.Candidate) {
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	s.ask(query{"SELECT id, stuffed, phrases, words, data FROM esplanade_index_document WHERE id = ANY($1) ORDER BY id", []any{wanted}, func(scan func(...any) error) error {
		var id int64
		var c match.Candidate
		var words string
		var data pgtype.DriverBytes
		if err := scan(&id, &c.Stuffed, &c.Phrases, &words, &data); err != nil {
			return err
		}
		c.Words = match.WordList(words)
		ids, list = append(ids, id), append(list, &c)
		return c.Decode(data)
	}})
	return ids, list
}

// condition is what documents are found by.
type condition struct {
	query string // as PostgreSQL reads it; "" holds for all
	n     int    // for how many it holds at most, as far as the counts of words tell
}

// anyOf is the condition that a document has one of some lexemes.
func anyOf(n int, lexemes []string, beginnings ...string) condition {
	list := quoteAll(lexemes)
	for _, b := range quoteAll(beginnings) {
		list = append(list, b+":*")
	}
	return condition{strings.Join(list, " | "), n}
}

func (c condition) and(other condition) condition {
	switch {
	case c.query == "":
		return other
	case other.query == "":
		return c
	}
	return condition{"(" + c.query + ") & (" + other.query + ")", min(c.n, other.n)}
}

// match returns the first documents for which conditions hold, for each up to a limit.
//
// What many documents have is looked for among the first ones, where there should be enough
// that have it; else the index of lexemes has all of them, of which all but the first are
// dropped. The one takes as long as limit / n of all documents, the other as n.
func (s *search) match(limit int, conditions ...condition) [][]int64 {
	lists := make([][]int64, len(conditions))
	var first, all []query
	for i, c := range conditions {
		if c.n == 0 {
			continue // in texts alone, if anywhere
		}
		if window := 2 * int64(limit) * int64(s.documents) / int64(c.n); window < int64(c.n) {
			first = append(first, idsOf(&lists[i], "SELECT id FROM (SELECT id, lexemes FROM esplanade_index_lexemes ORDER BY id LIMIT $1) l WHERE lexemes @@ $2::text::tsquery ORDER BY id LIMIT $3",
				window, c.query, limit))
		}
	}
	s.ask(first...)
	for i, c := range conditions {
		if len(lists[i]) < limit {
			lists[i] = nil
			// OFFSET keeps the planner from reading in the order of ids until it has enough
			all = append(all, idsOf(&lists[i], "SELECT id FROM (SELECT id FROM esplanade_index_lexemes WHERE lexemes @@ $1::text::tsquery OFFSET 0) l ORDER BY id LIMIT $2", c.query, limit))
		}
	}
	s.ask(all...)
	return lists
}

// query is a statement, and what reads its rows.
type query struct {
	text string
	args []any
	row  func(scan func(...any) error) error
}

// idsOf is a query for ids, which are added to a list.
func idsOf(ids *[]int64, text string, args ...any) query {
	return query{text, args, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		*ids = append(*ids, id)
		return err
	}}
}

// ask runs queries, all in one round trip.
func (s *search) ask(queries ...query) {
	if s.err != nil || len(queries) == 0 {
		return
	}
	b := &pgx.Batch{}
	for _, q := range queries {
		b.Queue(q.text, q.args...).Query(func(rows pgx.Rows) error {
			defer rows.Close()
			for rows.Next() {
				if err := q.row(rows.Scan); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
	if err := s.tx.SendBatch(s.ctx, b).Close(); err != nil {
		s.err = errors.Join(s.ctx.Err(), err)
	}
}
