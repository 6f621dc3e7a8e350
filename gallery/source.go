package gallery

import (
	"context"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
)

// Source is where the pages get what they show. It is safe for concurrent use. What is not
// there, or not for the viewer of ctx to see, is an error that wraps fs.ErrNotExist. Names of
// repositories are alias/repository; any active alias of a publisher will do.
//
// A source may have more to say: see [Historian], [Logos], [Lister] and [Finder].
type Source interface {
	// Publisher returns who has an alias.
	Publisher(ctx context.Context, alias string) (Publisher, error)
	// Repositories returns up to limit repositories of a publisher, by name, after a name
	// without the alias, and whether there are more.
	Repositories(ctx context.Context, alias, after string, limit int) (list []Document, more bool, err error)
	// Repository returns one repository.
	Repository(ctx context.Context, name string) (Repository, error)
	// Tags returns up to limit tags in the order of manifest.TagOrder, after the one of a
	// name, which need not exist, and whether there are more.
	Tags(ctx context.Context, name, after string, limit int) (list []Tag, more bool, err error)
	// Image returns what a tag or digest names.
	Image(ctx context.Context, name, reference string) (Image, error)
}

// Historian is a [Source] that remembers where tags pointed.
type Historian interface {
	// History returns up to limit moves of a repository's tags, or of one tag if it is not
	// "", the last first, after the one of a cursor ("" for the first), and the cursor of
	// the last one if there are more.
	History(ctx context.Context, name, tag, after string, limit int) (list []Move, next string, err error)
}

// Logos is a [Source] that has the logos of repositories.
type Logos interface {
	// Logo returns an image and its media type by its path, which begins with [LogoPath].
	// The bytes at a path never change.
	Logo(ctx context.Context, path string) (raw []byte, mediaType string, err error)
}

// Lister is a [Source] that can name all repositories that anyone may see, for the sitemap.
type Lister interface {
	// Names returns up to limit names after one, in an order that does not change, and
	// whether there are more.
	Names(ctx context.Context, after string, limit int) (names []string, more bool, err error)
}

// Finder is a [Source] that knows where an image is of which only the digest is known.
type Finder interface {
	// Find returns a repository that has the image of a digest, as far as it can tell.
	Find(ctx context.Context, d manifest.Digest) (name string, err error)
}

// LogoPath is what the paths of logos begin with, below the root of the site.
const LogoPath = "/-/logo/"

// Publisher is who owns repositories.
type Publisher struct {
	Alias    string   `json:"alias"`   // the primary one
	Aliases  []string `json:"aliases"` // all that are active
	Name     string   `json:"name,omitempty"`
	Verified bool     `json:"verified"`
	// Proof says what the verification rests on, in a sentence.
	Proof   string    `json:"proof,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

// Title is the publisher's name, or the alias of one that has none.
func (p Publisher) Title() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Alias
}

// Repository is a repository as its publisher describes it.
type Repository struct {
	Document
	Publisher  Publisher `json:"publisher"`
	About      string    `json:"about,omitempty"` // Markdown
	Usage      string    `json:"usage,omitempty"` // Markdown
	Certified  bool      `json:"certified,omitempty"`
	Notice     string    `json:"deprecation,omitempty"` // why it is deprecated, or what to use instead
	DefaultTag string    `json:"defaultTag,omitempty"`  // of the owner's choice
	Created    time.Time `json:"created,omitzero"`
}

// Tag is a row of a list of tags.
type Tag struct {
	Name      string          `json:"name"`
	Digest    manifest.Digest `json:"digest"`
	Moved     time.Time       `json:"moved"`  // when it was made, or last pointed elsewhere
	Pushed    time.Time       `json:"pushed"` // when what it points to was
	Size      int64           `json:"size"`   // bytes to pull, compressed; of an index, for its largest image
	Kind      Kind            `json:"kind"`
	Platforms []string        `json:"platforms,omitempty"` // os/architecture
}

// Image is a manifest with what its repository knows of it.
type Image struct {
	Manifest *manifest.Manifest
	Config   []byte   // an image's configuration; nil where there is none that can be shown
	Platform string   // os/architecture, of an image whose configuration says so
	Size     int64    // as of a [Tag]
	Tags     []string // that point to it
	Pushed   time.Time
	Children []Child // of an index
}

// Child is an entry of an index.
type Child struct {
	manifest.Descriptor
	ImageSize int64 // as of a [Tag]; 0 where the repository does not have it
}

// Move is a step in the history of a tag.
type Move struct {
	Tag  string          `json:"tag"`
	From manifest.Digest `json:"from,omitempty"` // empty: the tag was made
	To   manifest.Digest `json:"to,omitempty"`   // empty: the tag was deleted
	At   time.Time       `json:"at"`
}

// Metrics counts pulls. A pull is one GET of a manifest by a client that may have it; HEAD,
// 304, blobs and ranges are none.
type Metrics interface {
	// Pulls returns the pulls of a repository, or of one tag if it is not "", on each of the
	// last days, the first day first and today last.
	Pulls(ctx context.Context, name, tag string, days int) ([]DayPulls, error)
}

// DayPulls is how often something was pulled on a day.
type DayPulls struct {
	Day   time.Time `json:"day"` // its beginning, in UTC
	Pulls int64     `json:"pulls"`
}
