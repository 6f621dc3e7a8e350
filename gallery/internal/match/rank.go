package match

import (
	"cmp"
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Hit is a document that was found.
type Hit struct {
	Doc   *gallery.Document
	Score float64

	match float64
	final bool // the score is; otherwise it may be less
}

// Ranking puts hits in order.
type Ranking struct {
	ranker  gallery.Ranker
	order   gallery.Sort
	suspect func(*gallery.Document) bool
	today   time.Time
}

// NewRanking returns the ranking of a search. Suspect reports whether a document is a
// look-alike; as that takes its time, it is only asked of what gets far.
func NewRanking(r gallery.Ranker, order gallery.Sort, suspect func(*gallery.Document) bool) *Ranking {
	return &Ranking{r, order, suspect, Today()}
}

// Today is the time for scores: a day makes no difference, and within it equal queries have
// equal answers.
func Today() time.Time { return time.Now().UTC().Truncate(24 * time.Hour) }

// Moment is a time as a score.
func Moment(t time.Time) float64 { return float64(t.Unix()) + float64(t.Nanosecond())/1e9 }

// Hit makes a hit of a document and how well it matches.
func (r *Ranking) Hit(d *gallery.Document, stuffed bool, match float64) Hit {
	h := Hit{Doc: d, match: match, final: true}
	switch r.order {
	case gallery.ByPulls:
		h.Score = float64(d.Pulls)
	case gallery.ByUpdate:
		h.Score = Moment(d.Updated)
	case gallery.ByName:
	default:
		h.Score, h.final = r.ranker.Score(d, match, stuffed, r.today), stuffed || d.Verified
	}
	return h
}

// settle makes the score of a hit final.
func (r *Ranking) settle(h *Hit) {
	if !h.final && r.suspect(h.Doc) {
		h.Score = min(h.Score, r.ranker.Score(h.Doc, h.match, true, r.today))
	}
	h.final = true
}

// Compare orders hits: the higher score first, and equal ones by name.
func Compare(a, b Hit) int {
	if c := cmp.Compare(b.Score, a.Score); c != 0 {
		return c
	}
	return cmp.Compare(a.Doc.Name, b.Doc.Name)
}

// Page returns the hits of a page, in order, and whether there are more after it. It uses
// hits up.
func (r *Ranking) Page(hits []Hit, page gallery.Page) ([]gallery.Hit, bool) {
	if page.After != "" {
		hits = r.after(hits, page.After)
	}
	limit := page.Size()
	var list []gallery.Hit
	for _, h := range r.first(hits, limit) {
		list = append(list, gallery.Hit{Document: *h.Doc, Score: h.Score})
	}
	return list, len(hits) > limit
}

// after returns the hits that come after the one of a name, or all if there is none.
func (r *Ranking) after(hits []Hit, name string) []Hit {
	last := slices.IndexFunc(hits, func(h Hit) bool { return h.Doc.Name == name })
	if last < 0 {
		return hits
	}
	r.settle(&hits[last])
	end := hits[last]
	return slices.DeleteFunc(hits, func(h Hit) bool {
		if Compare(h, end) > 0 {
			return false // it can only come later still
		}
		r.settle(&h)
		return Compare(h, end) <= 0
	})
}

// first returns the first n hits in order. To order them all would cost more than to find
// them, where a word is common.
func (r *Ranking) first(hits []Hit, n int) []Hit {
	var best []Hit
	late := func(h Hit) bool { return len(best) == n && Compare(h, best[n-1]) >= 0 }
	for _, h := range hits {
		if late(h) {
			continue
		}
		if r.settle(&h); late(h) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, h, Compare)
		if best = slices.Insert(best, at, h); len(best) > n {
			best = best[:n]
		}
	}
	return best
}
