// Package event has the events that a registry tells of, and the sinks that receive them.
//
// Events leave through an outbox: an event is written in the transaction that made the
// change, and delivered to every sink at least once, in order for each repository. A sink
// that fails is tried again later; meanwhile the events of that repository wait and those
// of others go on.
package event

import (
	"context"
	"errors"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
)

// Type says what happened.
type Type string

// The types of events. New ones may come with any release; a sink ignores those that it does
// not know.
const (
	RepositoryCreated Type = "repository.created"
	ManifestPushed    Type = "manifest.pushed" // not for a repeated push of the same bytes
	ManifestDeleted   Type = "manifest.deleted"
	TagMoved          Type = "tag.moved" // made, or pointed to another manifest
	TagDeleted        Type = "tag.deleted"
	BlobLinked        Type = "blob.linked" // uploaded or mounted
	BlobDeleted       Type = "blob.deleted"
	RepositoryDeleted Type = "repository.deleted" // with all that it had, of which nothing more is told
	PolicyChanged     Type = "repository.policy"
	CatalogChanged    Type = "repository.catalog"
	TagsChanged       Type = "repository.tags"  // those of the repository, not of images
	RegistryChanged   Type = "registry.changed" // aliases, name or verification; there is no repository
	// Suspended and Restored are an operator's takedown and its end: of an account, an alias, a
	// repository or a digest. Caches before the registry are to forget what is below Paths.
	Suspended Type = "takedown.suspended"
	Restored  Type = "takedown.restored"
	// Missed says that changes of other processes may have gone unheard: read everything
	// again. Only who follows is told, no sink, which misses nothing.
	Missed Type = "missed"
)

// Event is one change.
type Event struct {
	ID           string          `json:"id"` // the same in every delivery
	Type         Type            `json:"type"`
	Time         time.Time       `json:"time"`
	Account      string          `json:"account"` // that owns the registry
	Repository   string          `json:"repository"`
	RepositoryID int64           `json:"repositoryId"`
	Principal    string          `json:"principal"` // who did it
	Digest       manifest.Digest `json:"digest,omitempty"`
	Previous     manifest.Digest `json:"previous,omitempty"` // what a tag pointed to before
	Tag          string          `json:"tag,omitempty"`
	MediaType    string          `json:"mediaType,omitempty"`
	ArtifactType string          `json:"artifactType,omitempty"`
	Size         int64           `json:"size,omitempty"` // bytes of the manifest or blob

	Alias  string `json:"alias,omitempty"`  // that was suspended or restored
	Reason string `json:"reason,omitempty"` // of a takedown
	// Paths are those of URLs that caches are to forget which keep what digests name; one that
	// ends with a slash stands for all below it.
	Paths []string `json:"paths,omitempty"`
	// Incomplete says that there are more paths than those: purge what ends with the digest.
	Incomplete bool   `json:"incomplete,omitempty"`
	Remote     string `json:"remote,omitempty"`  // address of the client, if it came from one
	Request    string `json:"request,omitempty"` // name of the request in the access log
}

// ErrUnavailable is wrapped by the error of a sink that can take nothing for now, such as one
// whose server is down. All its events wait then, not only those of one repository, and go
// on in order.
var ErrUnavailable = errors.New("the sink is not available")

// Sink receives events. Those of different repositories come at once, from several goroutines.
type Sink interface {
	// Deliver takes one event. With an error, the event and those of its repository that
	// follow it are delivered again later; see [ErrUnavailable] too. An event may come more
	// than once, also after Deliver returned nil.
	Deliver(ctx context.Context, e Event) error
}

// SinkFunc is a function as a [Sink].
type SinkFunc func(ctx context.Context, e Event) error

// Deliver calls f.
func (f SinkFunc) Deliver(ctx context.Context, e Event) error { return f(ctx, e) }
