package meta

import (
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
)

// AccountID is the 12 digits of an account, which are also its registryId.
type AccountID string

// AliasName is an alias as it stands in references.
type AliasName string

// RepositoryID is what all rows call a repository by. It is drawn at random at creation
// and never used again, so that nothing granted for a deleted repository holds for another
// of the same name. It is positive.
type RepositoryID int64

// UploadID is the random text that names an upload in its URL.
type UploadID string

// SinkName names a sink of events.
type SinkName string

// KeyID is the kid of a token's header.
type KeyID string

// Registry is an account's set of repositories.
type Registry struct {
	Account     AccountID
	Created     time.Time
	DisplayName string // for the gallery
	Verified    bool   // the operator vouches for who it is
}

// AliasStatus is where an alias, or the request for one, stands in its life.
type AliasStatus string

// The states of an alias and of a request for one. Only an active alias leads anywhere.
const (
	AliasActive   AliasStatus = "ACTIVE"
	AliasPending  AliasStatus = "PENDING"  // of a request: not decided
	AliasRejected AliasStatus = "REJECTED" // of a request
	AliasReleased AliasStatus = "RELEASED" // of an alias: given up, and not yet free for others
)

// Alias names a registry. What is asked for and not yet active is an [AliasRequest].
type Alias struct {
	Name    AliasName
	Account AccountID
	Status  AliasStatus // active or released
	Default bool        // given by the service, not asked for
	Primary bool        // shown in URIs
	Created time.Time
	// Skeleton is what names that look alike have in common; no two aliases of different
	// accounts have the same. Aliases of version 1 of the schema have none.
	Skeleton string
	Released time.Time // when it was given up
}

// AliasRequestKey is the primary key of an alias request.
type AliasRequestKey struct {
	Account AccountID
	Alias   AliasName
}

// AliasRequest is a registry's wish for an alias. It holds no name: of several who ask for
// one, the first that is granted has it.
type AliasRequest struct {
	Account   AccountID
	Alias     AliasName
	Status    AliasStatus // pending, active (granted) or rejected
	Reason    string      // of a rejection
	Challenge string      // random text to prove with that a domain is the account's
	Requested time.Time
	Decided   time.Time
}

// Visibility says who may pull from a repository.
type Visibility string

// The visibilities of a repository. The zero value is that of no repository.
const (
	Public  Visibility = "PUBLIC"
	Private Visibility = "PRIVATE"
)

// RepositoryKey is unique among repositories as well as their id.
type RepositoryKey struct {
	Account AccountID
	Name    string
}

// Repository is named inside a registry.
type Repository struct {
	ID         RepositoryID
	Account    AccountID
	Name       string
	Visibility Visibility
	Created    time.Time
	CreatedBy  string // principal
	HasPolicy  bool   // there is a [RepositoryPolicy]: what need not be read where there is none
}

// Key returns the primary key.
func (r Repository) Key() RepositoryKey { return RepositoryKey{r.Account, r.Name} }

// RepositoryPolicy is the policy that is attached to a repository.
type RepositoryPolicy struct {
	Repository RepositoryID
	Text       string
	Changed    time.Time
	ChangedBy  string // principal
}

// Catalog is what the gallery shows of a repository.
type Catalog struct {
	Repository       RepositoryID
	Description      string
	Architectures    []string
	OperatingSystems []string
	About, Usage     string // Markdown
	Logo             string // key of the object with the image; "" for none
	LogoType         string // its media type
	LogoDigest       manifest.Digest
	LogoSize         int64 // in bytes
	Certified        bool  // by the operator
}

// ResourceTagKey is the primary key of a resource tag.
type ResourceTagKey struct {
	Repository RepositoryID
	Key        string
}

// ResourceTag is a tag of a repository, for policies and bills: no tag of an image.
type ResourceTag struct {
	Repository RepositoryID
	Key        string
	Value      string
}

// ManifestKey is the primary key of a manifest: each repository has its own row.
type ManifestKey struct {
	Repository RepositoryID
	Digest     manifest.Digest
}

// Manifest is one manifest of one repository, with what lists show of it.
type Manifest struct {
	Repository   RepositoryID
	Digest       manifest.Digest
	MediaType    string
	ArtifactType string // see manifest.Manifest
	ConfigType   string // media type of an image's configuration
	Size         int64  // bytes of Raw
	ImageSize    int64  // bytes of configuration and layers, as they are stored; of an index, of its largest image
	Platform     string // os/architecture[/variant] of an image whose configuration says so
	Subject      manifest.Digest
	Annotations  map[string]string
	Pushed       time.Time // the first time
	PushedBy     string    // principal
	Raw          []byte    // exactly as received
}

// EdgeKey is the primary key of an edge.
type EdgeKey struct {
	Repository RepositoryID
	Parent     manifest.Digest
	Child      manifest.Digest
}

// Edge is a reference of a manifest to a blob or another manifest. Where a manifest
// refers to the same content twice, the lower kind is kept.
type Edge struct {
	Repository RepositoryID
	Parent     manifest.Digest
	Child      manifest.Digest
	Kind       manifest.EdgeKind
}

// TagKey is the primary key of a tag.
type TagKey struct {
	Repository RepositoryID
	Name       string
}

// Tag points to a manifest.
type Tag struct {
	Repository RepositoryID
	Name       string
	Digest     manifest.Digest
	Moved      time.Time
}

// MoveKey is the primary key of a move.
type MoveKey struct {
	Repository RepositoryID
	Tag        string
	Sequence   int64
}

// Move is an entry in the history of a tag.
type Move struct {
	Repository RepositoryID
	Tag        string
	Sequence   int64
	From       manifest.Digest // empty: the tag was made
	To         manifest.Digest // empty: the tag was deleted
	At         time.Time
	By         string // principal
}

// BlobKey is the primary key of a blob: it is stored once for all repositories.
type BlobKey manifest.Digest

// Blob binds a digest to the objects that hold its bytes.
type Blob struct {
	Digest   manifest.Digest
	Size     int64
	Segments []Segment
	Created  time.Time
}

// Segment is one object in the bucket: a run of a blob's bytes.
type Segment struct {
	Key  string `json:"k"`
	Size int64  `json:"n"`
}

// LinkKey is the primary key of a link.
type LinkKey struct {
	Repository RepositoryID
	Digest     manifest.Digest
}

// Link gives a repository the right to serve a blob.
type Link struct {
	Repository RepositoryID
	Digest     manifest.Digest
	Created    time.Time
}

// Upload is a blob being pushed: all that any node needs to continue it.
type Upload struct {
	ID         UploadID
	Repository RepositoryID
	Principal  string
	Algorithm  manifest.Algorithm
	State      []byte // of the hash after Offset bytes
	Offset     int64
	Segments   []Segment
	// Key is the object that the attempt which claimed the upload last writes to. An
	// attempt finishes only if Key and Offset are still what they were when it began.
	Key     string
	Started time.Time
	Active  time.Time
}

// ReviewKind says what a review is about.
type ReviewKind string

// The kinds of reviews.
const (
	ReviewLink   ReviewKind = "link"   // a blob of a repository, which no manifest there may refer to
	ReviewBlob   ReviewKind = "blob"   // a blob that no repository may link to
	ReviewObject ReviewKind = "object" // an object in the bucket that is not wanted any more
	// ReviewRepository is about the rows of a repository that was deleted, whose id is the
	// review's. They are out of reach already.
	ReviewRepository ReviewKind = "repository"
)

// ReviewKey is the primary key of a review.
type ReviewKey struct {
	Kind       ReviewKind
	Subject    string // digest, or key of an object
	Repository RepositoryID
}

// Review is something to look at once its time has come, because it may be garbage.
type Review struct {
	Kind       ReviewKind
	Subject    string
	Repository RepositoryID // of a link; else 0
	Due        time.Time
}

// EventKey is the primary key of an event.
type EventKey int64

// Event waits in the outbox until every sink has it.
type Event struct {
	Sequence   int64
	Repository RepositoryID // 0: of no repository
	At         time.Time
	Data       []byte // an event.Event as JSON
}

// Sink is one receiver of events, and how far it has come.
type Sink struct {
	Name   SinkName
	Cursor int64 // sequence of the last event that was delivered or is stalled
}

// StallKey is the primary key of a stall.
type StallKey struct {
	Sink       SinkName
	Repository RepositoryID
}

// Stall holds back the events of one repository from one sink, because one of them could
// not be delivered. The others go on.
type Stall struct {
	Sink       SinkName
	Repository RepositoryID
	Sequence   int64 // of the first event that is held back
	Attempts   int64
	Retry      time.Time
	Reason     string
}

// AccessKeyID names an access key.
type AccessKeyID string

// AccessKey is a long-lived credential of a principal.
type AccessKey struct {
	ID        AccessKeyID
	Account   AccountID
	Principal string // its name within the account
	Secret    string // as it is: a signature is checked by making it again
	Created   time.Time
	Disabled  bool
}

// PrincipalKey is the primary key of a principal.
type PrincipalKey struct {
	Account AccountID
	Name    string
}

// Principal is a user or role of an account.
type Principal struct {
	Account  AccountID
	Name     string
	Policies map[string]string // identity policies by name
	Tags     map[string]string
}

// SigningKey signs tokens.
type SigningKey struct {
	ID        KeyID
	Algorithm string // of JOSE, such as EdDSA
	Private   []byte // PKCS #8
	Created   time.Time
}

// RecordKey is the primary key of a record.
type RecordKey struct {
	Namespace string
	Key       string
}

// Record is a row of an optional feature, which needs no table of its own.
type Record struct {
	Namespace string
	Key       string
	Value     []byte
}

// CounterKey is the primary key of a counter.
type CounterKey struct {
	Repository RepositoryID
	Name       string
	At         int64
}

// Counter counts something of a repository within an hour, a day or whatever its name says. It
// is added to by [Store.Add], and read and removed as other rows are.
type Counter struct {
	Repository RepositoryID
	Name       string
	At         int64 // when what it counts began: seconds since 1970, in UTC
	Value      int64
}

// Key returns the primary key.
func (c Counter) Key() CounterKey { return CounterKey{c.Repository, c.Name, c.At} }

// Flush is what a node has counted since its last one.
type Flush struct {
	Node   string // the process, by a name that no other has had
	Number int64  // of the node's flushes, from 1
	Counts []Counter
}

// Parts implements [Key].
func (k AccountID) Parts() []any { return []any{string(k)} }

// Parts implements [Key].
func (k AliasName) Parts() []any { return []any{string(k)} }

// Parts implements [Key].
func (k RepositoryID) Parts() []any { return []any{int64(k)} }

// Parts implements [Key].
func (k AliasRequestKey) Parts() []any { return []any{string(k.Account), string(k.Alias)} }

// Parts implements [Key].
func (k ResourceTagKey) Parts() []any { return []any{int64(k.Repository), k.Key} }

// Parts implements [Key].
func (k AccessKeyID) Parts() []any { return []any{string(k)} }

// Parts implements [Key].
func (k PrincipalKey) Parts() []any { return []any{string(k.Account), k.Name} }

// Parts implements [Key].
func (k UploadID) Parts() []any { return []any{string(k)} }

// Parts implements [Key].
func (k SinkName) Parts() []any { return []any{string(k)} }

// Parts implements [Key].
func (k KeyID) Parts() []any { return []any{string(k)} }

// Parts implements [Key].
func (k BlobKey) Parts() []any { return []any{string(k)} }

// Parts implements [Key].
func (k EventKey) Parts() []any { return []any{int64(k)} }

// Parts implements [Key].
func (k RepositoryKey) Parts() []any { return []any{string(k.Account), k.Name} }

// Parts implements [Key].
func (k ManifestKey) Parts() []any { return []any{int64(k.Repository), string(k.Digest)} }

// Parts implements [Key].
func (k EdgeKey) Parts() []any { return []any{int64(k.Repository), string(k.Parent), string(k.Child)} }

// Parts implements [Key].
func (k TagKey) Parts() []any { return []any{int64(k.Repository), k.Name} }

// Parts implements [Key].
func (k MoveKey) Parts() []any { return []any{int64(k.Repository), k.Tag, k.Sequence} }

// Parts implements [Key].
func (k LinkKey) Parts() []any { return []any{int64(k.Repository), string(k.Digest)} }

// Parts implements [Key].
func (k ReviewKey) Parts() []any { return []any{string(k.Kind), k.Subject, int64(k.Repository)} }

// Parts implements [Key].
func (k StallKey) Parts() []any { return []any{string(k.Sink), int64(k.Repository)} }

// Parts implements [Key].
func (k CounterKey) Parts() []any { return []any{int64(k.Repository), k.Name, k.At} }

// Parts implements [Key].
func (k RecordKey) Parts() []any { return []any{k.Namespace, k.Key} }
