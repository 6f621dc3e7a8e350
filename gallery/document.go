package gallery

import (
	"context"
	"iter"
	"time"
)

// Document is what a search knows of a repository, and what lists of repositories show.
type Document struct {
	Name             string    `json:"name"`                       // alias/repository, the alias being the primary one
	Description      string    `json:"description,omitempty"`      // one line
	Text             string    `json:"-"`                          // about and usage
	Keywords         []string  `json:"keywords,omitempty"`         // of the publisher's choice
	Architectures    []string  `json:"architectures,omitempty"`    // as in manifests: amd64, arm64
	OperatingSystems []string  `json:"operatingSystems,omitempty"` // likewise
	Kind             Kind      `json:"kind,omitempty"`             // of the newest artifact; "" where there is none
	Tag              string    `json:"tag,omitempty"`              // that is shown first
	Logo             string    `json:"logo,omitempty"`             // path of an image below the site's root
	Verified         bool      `json:"verified"`                   // the operator vouches for the publisher
	Deprecated       bool      `json:"deprecated,omitempty"`       // the publisher advises against it
	Pulls            int64     `json:"pulls"`                      // in the last 90 days, by different clients if that is known
	Updated          time.Time `json:"updated"`                    // when a tag was last moved
}

// Index finds documents. It is safe for concurrent use. One that outlives its process is a
// [Keeper] too.
type Index interface {
	// Put adds a document, in place of the one of its name.
	Put(ctx context.Context, d Document) error
	// Delete removes the document of a name, if there is one.
	Delete(ctx context.Context, name string) error
	// Search returns a page of hits, the best first. Equal queries have equal answers for as
	// long as nothing changes.
	Search(ctx context.Context, q Query, page Page) (Results, error)
}

// Keeper is an [Index] that outlives its process, and can say what it holds: what was deleted
// while nobody followed is found by that.
type Keeper interface {
	// Names yields the names of all documents, in order. An error is the last pair. What is
	// put or deleted meanwhile may be among them or not; both may be done on the way.
	Names(ctx context.Context) iter.Seq2[string, error]
}

// Page says which part of the hits is wanted, and in what order.
type Page struct {
	After string // the name of the last hit of the page before; "" for the first
	Limit int    // 0: [DefaultPage]; at most [MaxPage]
	Sort  Sort
}

// The sizes of pages of hits.
const (
	DefaultPage = 25
	MaxPage     = 100
)

// Size returns how many hits the page has at most.
func (p Page) Size() int {
	if p.Limit <= 0 {
		return DefaultPage
	}
	return min(p.Limit, MaxPage)
}

// Sort is an order of hits. Equal ones are in the order of their names.
type Sort string

// The orders.
const (
	ByRelevance Sort = ""        // as the [Ranker] has it
	ByPulls     Sort = "pulls"   // the most first
	ByUpdate    Sort = "updated" // the latest first
	ByName      Sort = "name"
)

// Results is a page of hits.
type Results struct {
	Hits  []Hit
	Total int // of all pages
	// Corrected is what was searched for instead, because nothing has the words as they were
	// typed; "" if nothing had to be.
	Corrected string
	More      bool // there is another page
	Facets    Facets
}

// Hit is one document that was found.
type Hit struct {
	Document
	Score float64
}
