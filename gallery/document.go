package gallery

import (
	"context"
	"time"
)

// Document is what a search knows of a repository.
type Document struct {
	Name             string   // alias/repository, the alias being the primary one
	Description      string   // one line
	Text             string   // about and usage
	Keywords         []string // of the publisher's choice
	Architectures    []string // as in manifests: amd64, arm64
	OperatingSystems []string
	Type             string // media type of the newest artifact, "" for an image
	Verified         bool   // the operator vouches for the publisher
	Deprecated       bool   // the publisher advises against it
	Pulls            int64  // in the last 90 days, by different clients if that is known
	Updated          time.Time
}

// Index finds documents. It is safe for concurrent use.
type Index interface {
	// Put adds a document, in place of the one of its name.
	Put(ctx context.Context, d Document) error
	// Delete removes the document of a name, if there is one.
	Delete(ctx context.Context, name string) error
	// Search returns a page of hits, the best first. Equal queries have equal answers for as
	// long as nothing changes.
	Search(ctx context.Context, q Query, page Page) (Results, error)
}

// Page says which part of the hits is wanted.
type Page struct {
	After string // the name of the last hit of the page before; "" for the first
	Limit int    // 0: 25; at most 100
}

// Results is a page of hits.
type Results struct {
	Hits  []Hit
	Total int // of all pages
	// Corrected is what was searched for instead, because nothing has the words as they were
	// typed; "" if nothing had to be.
	Corrected string
	More      bool // there is another page
}

// Hit is one document that was found.
type Hit struct {
	Document
	Score float64
}
