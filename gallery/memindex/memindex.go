// Package memindex is a gallery.Index in memory: an inverted index of the words of all
// documents, which every node builds for itself. 100,000 repositories take some 200 MB.
//
// # How a query is answered
//
// For each word, the index takes documents that have it, or another name of it (k8s,
// kubernetes), its singular, words that begin with it (from three letters on), and names
// that contain it. Each word counts by the best field it is found in; gallery.Ranker says how
// much, and orders the hits. Where no document has all the words, those that nothing has are
// corrected to the nearest that something has; where that does not help either, documents
// with some of the words are hits.
package memindex

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/esplanade-registry/esplanade/gallery"
)

// maxTerms is how many words of a query count.
const maxTerms = 12

// Index implements [gallery.Index]. Make one with [New].
type Index struct {
	ranker gallery.Ranker

	mu       sync.RWMutex
	docs     []*document // by number; nil where one was deleted
	numbers  map[string]uint32
	postings map[string][]posting
	vocab    vocabulary
	verified lookAlikes
	gone     int // documents that were deleted or replaced
}

// document is one with what searching needs of it.
type document struct {
	gallery.Document
	folded   string    // alias and name, without what separates words
	name     string    // the name alone
	reversed string    // name and alias
	words    string    // of name and description, for phrases
	looks    [2]string // skeletons of alias and name
}

// posting says in which fields of a document a word is.
type posting struct {
	doc    uint32
	fields fieldSet
}

type fieldSet uint16

func bit(f gallery.Field) fieldSet { return 1 << f }

// New returns an empty index. The ranker may be nil: gallery.DefaultRanker.
func New(r gallery.Ranker) *Index {
	if r == nil {
		r = gallery.DefaultRanker{}
	}
	return &Index{ranker: r, numbers: map[string]uint32{}, postings: map[string][]posting{}, verified: newLookAlikes()}
}

// Put implements [gallery.Index].
func (x *Index) Put(_ context.Context, d gallery.Document) error {
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
func (x *Index) Delete(_ context.Context, name string) error {
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
	if d := x.docs[n]; d.Verified {
		x.verified.remove(d)
	}
	x.docs[n] = nil
	delete(x.numbers, name)
	x.gone++
	if x.gone < 1000 || x.gone < len(x.numbers)/2 {
		return
	}
	old := x.docs
	x.docs, x.postings, x.vocab, x.verified, x.gone = nil, map[string][]posting{}, vocabulary{}, newLookAlikes(), 0
	clear(x.numbers)
	for _, d := range old {
		if d != nil {
			x.add(d.Document)
		}
	}
}

func (x *Index) add(d gallery.Document) {
	alias, name, _ := strings.Cut(d.Name, "/")
	last := name[strings.LastIndexByte(name, '/')+1:]
	doc := &document{
		Document: d, folded: gallery.Fold(d.Name), name: gallery.Fold(name), reversed: gallery.Fold(name + " " + alias),
		looks: [2]string{skeleton(alias), skeleton(last)},
	}
	fields := map[string]fieldSet{}
	mark := func(f gallery.Field, words ...string) {
		for _, w := range words {
			if w != "" {
				fields[w] |= bit(f)
			}
		}
	}
	words := gallery.Words(name)
	mark(gallery.Publisher, gallery.Words(alias)...)
	mark(gallery.Publisher, gallery.Fold(alias))
	mark(gallery.NameWord, words...)
	if len(words) > 0 {
		mark(gallery.NamePrefix, words[0])
	}
	for _, whole := range []string{name, last} {
		if w := gallery.Words(whole); len(w) == 1 {
			mark(gallery.WholeName, w[0])
		}
		mark(gallery.FoldedName, gallery.Fold(whole))
	}
	for _, k := range d.Keywords {
		mark(gallery.Keyword, gallery.Words(k)...)
		mark(gallery.Keyword, gallery.Fold(k))
	}
	mark(gallery.Description, gallery.Words(d.Description)...)
	mark(gallery.Text, gallery.Words(d.Text)...)
	doc.words = " " + strings.Join(words, " ") + " | " + strings.Join(gallery.Words(d.Description), " ") + " "

	n := uint32(len(x.docs))
	x.docs = append(x.docs, doc)
	x.numbers[d.Name] = n
	for w, set := range fields {
		list, ok := x.postings[w]
		if !ok {
			x.vocab.add(w)
		}
		x.postings[w] = append(list, posting{n, set})
	}
	if d.Verified {
		x.verified.add(doc)
	}
}

// Search implements [gallery.Index].
func (x *Index) Search(ctx context.Context, q gallery.Query, page gallery.Page) (r gallery.Results, err error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	q.Terms = distinct(q.Terms)
	var facets gallery.Counter
	hits, corrected := x.find(&q, page.Sort, &facets)
	r.Total, r.Corrected, r.Facets = len(hits), corrected, facets.Facets()
	if page.After != "" {
		if last := slices.IndexFunc(hits, func(h hit) bool { return x.docs[h.doc].Name == page.After }); last >= 0 {
			end := hits[last]
			hits = slices.DeleteFunc(hits, func(h hit) bool { return x.compare(h, end) <= 0 })
		}
	}
	limit := page.Size()
	r.More = len(hits) > limit
	for _, h := range x.first(hits, limit) {
		r.Hits = append(r.Hits, gallery.Hit{Document: x.docs[h.doc].Document, Score: h.score})
	}
	return r, nil
}

// compare orders hits: the higher score first, and equal ones by name.
func (x *Index) compare(a, b hit) int {
	if c := cmp.Compare(b.score, a.score); c != 0 {
		return c
	}
	return cmp.Compare(x.docs[a.doc].Name, x.docs[b.doc].Name)
}

// first returns the first n hits in order. To order them all would cost more than to find
// them, where a word is common.
func (x *Index) first(hits []hit, n int) []hit {
	var best []hit
	for _, h := range hits {
		if len(best) == n && x.compare(h, best[n-1]) >= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, h, x.compare)
		if best = slices.Insert(best, at, h); len(best) > n {
			best = best[:n]
		}
	}
	return best
}

// distinct returns the first words, each once.
func distinct(terms []string) (list []string) {
	for _, t := range terms {
		if len(list) < maxTerms && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

// hit is a document that was found.
type hit struct {
	doc   uint32
	score float64
}
