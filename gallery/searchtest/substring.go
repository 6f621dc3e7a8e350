package searchtest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Substring is the least a search can do, to quote beside others: what has all words somewhere
// in its name, description or keywords, the most pulled first. The zero Substring is empty.
type Substring struct {
	mu   sync.RWMutex
	docs map[string]gallery.Document
}

// Put implements [gallery.Index].
func (s *Substring) Put(_ context.Context, d gallery.Document) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.docs == nil {
		s.docs = make(map[string]gallery.Document)
	}
	s.docs[d.Name] = d
	return nil
}

// Delete implements [gallery.Index].
func (s *Substring) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.docs, name)
	return nil
}

// Search implements [gallery.Index].
func (s *Substring) Search(_ context.Context, q gallery.Query, page gallery.Page) (gallery.Results, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var hits []gallery.Hit
	for _, d := range s.docs {
		text := strings.ToLower(d.Name + " " + d.Description + " " + strings.Join(d.Keywords, " "))
		missing := func(word string) bool { return !strings.Contains(text, word) }
		if q.Misses(&d) == 0 && !slices.ContainsFunc(q.Terms, missing) {
			hits = append(hits, gallery.Hit{Document: d, Score: float64(d.Pulls)})
		}
	}
	slices.SortFunc(hits, func(a, b gallery.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Name, b.Name))
	})
	r := gallery.Results{Total: len(hits)}
	if page.After != "" {
		i := slices.IndexFunc(hits, func(h gallery.Hit) bool { return h.Name == page.After })
		hits = hits[i+1:]
	}
	limit := 25
	if page.Limit > 0 {
		limit = min(page.Limit, 100)
	}
	r.More = len(hits) > limit
	r.Hits = hits[:min(limit, len(hits))]
	return r, nil
}
