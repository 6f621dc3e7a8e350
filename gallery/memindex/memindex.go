// Package memindex is a gallery.Index in memory: an inverted index of the words of all
// documents, which every node builds for itself. 100,000 repositories take some 200 MB.
//
// # How a query is answered
//
// For each word, the index takes documents that have it, or another name of it (k8s,
// kubernetes), its singular, words that begin with it (from three letters on), and names
// that contain it. Words that together say what something is (message queue) are also of the
// products that are that, whatever their descriptions say. Each word counts by the best field
// it is found in; gallery.Ranker says how much, and orders the hits. Words that say little
// (docker, official, a version) need not be found.
//
// A word that nothing has is corrected to the nearest that something has. Where few documents
// have all the words, those with some of them are hits too.
//
// Suspect, for the ranker, are names that look like known ones, of verified publishers or of
// what many pull, or that are one slip away from those; who says official of what a verified
// publisher has; and who wants to be found with everything.
package memindex

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// Index implements [gallery.Index]. Make one with [New].
type Index struct {
	ranker  gallery.Ranker
	weights *match.Weights
	spare   sync.Pool // of *matches: those of large indexes are megabytes

	mu       sync.RWMutex
	docs     []*document // by number; nil where one was deleted
	numbers  map[string]uint32
	postings map[string][]posting
	vocab    vocabulary
	imitable known
	gone     int // documents that were deleted or replaced
}

// document is one with what searching needs of it.
type document struct {
	gallery.Document
	shape         match.Shape
	keywordFactor float64
	stuffed       bool
}

// posting says in which fields of a document a word is.
type posting struct {
	doc    uint32
	fields match.FieldSet
}

// New returns an empty index. The ranker may be nil: gallery.DefaultRanker.
func New(r gallery.Ranker) *Index {
	if r == nil {
		r = gallery.DefaultRanker{}
	}
	return &Index{ranker: r, weights: match.NewWeights(r), numbers: map[string]uint32{}, postings: map[string][]posting{}, imitable: newKnown()}
}

// Put implements [gallery.Index].
func (x *Index) Put(ctx context.Context, d gallery.Document) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if alias, name, ok := strings.Cut(d.Name, "/"); !ok || alias == "" || name == "" {
		return fmt.Errorf("memindex: %q is no alias/repository", d.Name)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(d.Name)
	x.add(d)
	return nil
}

// Delete implements [gallery.Index].
func (x *Index) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(name)
	return nil
}

// remove forgets a document; its postings stay until there are enough of such to build
// everything anew.
func (x *Index) remove(name string) {
	n, ok := x.numbers[name]
	if !ok {
		return
	}
	x.imitable.remove(&x.docs[n].Document)
	x.docs[n] = nil
	delete(x.numbers, name)
	x.gone++
	if x.gone < 1000 || x.gone < len(x.numbers)/2 {
		return
	}
	old := x.docs
	x.docs, x.postings, x.vocab, x.imitable, x.gone = nil, map[string][]posting{}, vocabulary{}, newKnown(), 0
	clear(x.numbers)
	for _, d := range old {
		if d != nil {
			x.add(d.Document)
		}
	}
}

func (x *Index) add(d gallery.Document) {
	read := match.Read(&d)
	n := uint32(len(x.docs))
	x.docs = append(x.docs, &document{Document: d, shape: read.Shape, keywordFactor: match.KeywordFactor(&d), stuffed: read.Stuffed})
	x.numbers[d.Name] = n
	for w, set := range read.Words {
		list, ok := x.postings[w]
		if !ok && !match.IsMark(w) {
			x.vocab.add(w)
		}
		x.postings[w] = append(list, posting{n, set})
	}
	x.imitable.add(&d)
}

// Search implements [gallery.Index].
func (x *Index) Search(ctx context.Context, q gallery.Query, page gallery.Page) (r gallery.Results, err error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var facets gallery.Counter
	ranking := match.NewRanking(x.ranker, page.Sort, x.suspect)
	hits, corrected := x.find(&q, ranking, &facets)
	r.Total, r.Corrected, r.Facets = len(hits), corrected, facets.Facets()
	r.Hits, r.More = ranking.Page(hits, page)
	return r, nil
}

// suspect reports whether a document is a look-alike.
func (x *Index) suspect(d *gallery.Document) bool { return match.Suspect(d, x.imitable.find) }
