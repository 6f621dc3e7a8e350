// Package meta owns truth: which registries, repositories, manifests, tags and blobs
// there are, and who may read which blob where. Bytes of blobs are elsewhere, in a
// storage.Bucket; everything that decides an answer is here.
//
// A [Store] is one of two implementations, memmeta (in memory, for tests and caches) and
// sqlmeta (SQL databases), held equal by the suite in metatest. The interfaces are not for
// others to implement and may grow with any release.
//
// # Tables
//
// A [Tx] has a [Table] for each noun. Rows are values: what a table returns is the
// caller's, except that byte slices and maps of rows must not be modified. A key is a
// struct whose parts, in order, are the table's sort order; integers sort by value and
// text by its bytes. A [Range] selects by leading parts.
//
// # Errors
//
// What is not there is an error that wraps fs.ErrNotExist. Any other error means that the
// store could not do its work; whether a failed Update took place is then known to be no,
// unless the process or the database ended meanwhile.
//
// # Compatibility
//
// A store carries the version of its schema. Opening one with an older schema upgrades it
// in place, in one transaction; opening one with a newer schema than the program knows is
// an error that wraps [ErrNewerSchema], and changes nothing.
package meta

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
)

// ErrNewerSchema is wrapped by the error of opening a store that a newer version of the
// library has upgraded.
var ErrNewerSchema = errors.New("the store's schema is newer than this program knows")

// Store is the truth of any number of registries. It is safe for concurrent use.
type Store interface {
	// Find returns the repository that an active alias and a name lead to. Where there is
	// the alias and not the repository, the Account of its registry is returned along with
	// the error. It is one statement either way, so that its time tells nothing.
	Find(ctx context.Context, alias, name string) (Repository, error)

	// Resolve is Find and the manifest that ref names there, in one statement: a pull. Of
	// the manifest, Repository, Digest, MediaType, ArtifactType, Size and Raw are set.
	// Where the repository exists and the manifest does not, the repository is returned
	// along with the error.
	Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (Repository, Manifest, error)

	// Linked returns the blob if the repository has a link to it: the right to read it.
	// It is one statement.
	Linked(ctx context.Context, repo RepositoryID, d manifest.Digest) (Blob, error)

	// Upload is Find and an upload to that repository, in one statement. Where the
	// repository exists and the upload does not, the repository is returned along with the
	// error.
	Upload(ctx context.Context, alias, name string, id UploadID) (Repository, Upload, error)

	// TagNames returns up to limit names of tags after a name, in order: what a client
	// asks for far more often than for the rest of the rows. It is one statement.
	TagNames(ctx context.Context, repo RepositoryID, after string, limit int) ([]string, error)

	// View runs fn on a snapshot, which is opened by the first question asked. Changing
	// anything through its Tx is an error.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn in a serializable transaction, and is durable once it returns nil:
	// the changes survive a power cut. An error of fn is returned as it is and nothing is
	// changed. fn may run more than once, and several Updates may share one commit, so fn
	// must have no effect outside its Tx except through [Tx.AfterCommit]. A ctx that ends
	// before the transaction begins prevents it; one that ends later does not.
	Update(ctx context.Context, fn func(Tx) error, opts ...UpdateOption) error

	// Add adds a flush to the counters, all of it or nothing, apart from Updates: neither makes
	// the other run again, and flushes of several nodes add up whatever the order. One whose
	// number the node has reached already was added before, and changes nothing, so that one
	// whose answer was lost can be sent again. It survives a power cut no later than the next
	// Update.
	Add(ctx context.Context, f Flush) error

	// Close waits for running transactions and closes the store.
	Close() error
}

// MaxMessage is how long a message of [Tx.Notify] is at most, in bytes.
const MaxMessage = 2000

// Watcher is a [Store] that several processes share. Whoever keeps what it has read must watch,
// and keep nothing while it cannot.
type Watcher interface {
	// Watch calls f with what transactions tell, those of this process too, soon after their
	// commit, until ctx ends. It calls up when it begins to hear of everything, before the
	// first message, and down when it does not any more, until the next up.
	Watch(ctx context.Context, f func(message string), up, down func())
}

// UpdateOption is an option of [Store.Update].
type UpdateOption int

// Relaxed lets an Update return before it would survive a power cut; it survives the end
// of the process at once, and a power cut no later than the next Update without this
// option. It is for what nobody was promised, such as the progress of an upload.
const Relaxed UpdateOption = 1

// Tx is a transaction. It is used by one goroutine and not after its function returned.
type Tx interface {
	Registries() Table[AccountID, Registry]
	Aliases() Table[AliasName, Alias]
	AliasRequests() Table[AliasRequestKey, AliasRequest]
	Repositories() Table[RepositoryKey, Repository]
	RepositoryPolicies() Table[RepositoryID, RepositoryPolicy]
	Catalogs() Table[RepositoryID, Catalog]
	ResourceTags() Table[ResourceTagKey, ResourceTag]
	Manifests() Table[ManifestKey, Manifest]
	Edges() Table[EdgeKey, Edge]
	Tags() Table[TagKey, Tag]
	Moves() Table[MoveKey, Move]
	Blobs() Table[BlobKey, Blob]
	Links() Table[LinkKey, Link]
	Uploads() Table[UploadID, Upload]
	Reviews() Table[ReviewKey, Review]
	Events() Table[EventKey, Event]
	Sinks() Table[SinkName, Sink]
	Stalls() Table[StallKey, Stall]
	AccessKeys() Table[AccessKeyID, AccessKey]
	Principals() Table[PrincipalKey, Principal]
	SigningKeys() Table[KeyID, SigningKey]
	Records() Table[RecordKey, Record]
	Counters() Table[CounterKey, Counter]

	// AliasesOf returns all aliases of an account, by name.
	AliasesOf(account AccountID) ([]Alias, error)
	// AliasesLike returns all aliases with a skeleton.
	AliasesLike(skeleton string) ([]Alias, error)
	// PendingAliases returns up to limit requests for aliases that are not decided, after
	// a given one, by account and name.
	PendingAliases(after AliasRequestKey, limit int) ([]AliasRequest, error)
	// AccessKeysOf returns all access keys of a principal, by id.
	AccessKeysOf(p PrincipalKey) ([]AccessKey, error)
	// RepositoryByID finds a repository by what other rows call it.
	RepositoryByID(id RepositoryID) (Repository, error)
	// Linked is [Store.Linked] within the transaction.
	Linked(repo RepositoryID, d manifest.Digest) (Blob, error)
	// TagsOf returns up to limit tags that point to a manifest, by name; all, if limit is 0.
	TagsOf(repo RepositoryID, d manifest.Digest, limit int) ([]Tag, error)
	// TagsInOrder returns up to limit tags of a repository in the order of
	// [manifest.TagOrder], after the one of a name, which need not exist.
	TagsInOrder(repo RepositoryID, after string, limit int) ([]Tag, error)
	// MovesOf returns up to limit moves of a repository's tags, the last first, before the
	// one with a sequence; 0 means all.
	MovesOf(repo RepositoryID, before int64, limit int) ([]Move, error)
	// Parents returns up to limit edges that lead to d in a repository, subjects included.
	Parents(repo RepositoryID, d manifest.Digest, limit int) ([]Edge, error)
	// LinksOf returns up to limit links to a blob, from repositories after a given one.
	LinksOf(d manifest.Digest, after RepositoryID, limit int) ([]Link, error)
	// Referrers returns up to limit manifests whose subject is d, in the order of their
	// digests after a given one, without their Raw. With artifact types, only those of
	// one of them.
	Referrers(repo RepositoryID, d manifest.Digest, types []string, after manifest.Digest, limit int) ([]Manifest, error)
	// Images returns up to limit manifests of a repository in the order of their digests
	// after a given one, without their Raw.
	Images(repo RepositoryID, after manifest.Digest, limit int) ([]Manifest, error)
	// CountImages returns how many manifests a repository has, but no more than limit.
	CountImages(repo RepositoryID, limit int) (int, error)
	// CountRepositories returns how many repositories an account has, but no more than
	// limit.
	CountRepositories(account AccountID, limit int) (int, error)
	// LinkedBytes returns the size of all blobs that the repositories of an account have links
	// to, each counted once. It reads all of them.
	LinkedBytes(account AccountID) (int64, error)
	// Due returns up to limit reviews whose time has come, the oldest first.
	Due(now time.Time, limit int) ([]Review, error)
	// CountDue returns how many reviews Due would return without a limit, but no more than
	// limit.
	CountDue(now time.Time, limit int) (int, error)
	// IdleUploads returns up to limit uploads that were last active before a time, the
	// oldest first. It may look at every upload that is open.
	IdleUploads(before time.Time, limit int) ([]Upload, error)

	// NextEvents returns up to limit events after a sequence, in order, of those that no
	// transaction which is still running can precede: what a sink may be given.
	NextEvents(after int64, limit int) ([]Event, error)
	// HasSinks reports whether there is any sink to keep events for.
	HasSinks() (bool, error)
	// Sequence returns a number that orders moves and events: higher than those drawn before
	// in the transaction, and by transactions that were committed when it began. On a store
	// with one writer at a time (memory, SQLite) that is the order of commits.
	Sequence() (int64, error)
	// Notify tells other processes that watch of something, once the transaction is
	// committed; see [Watcher]. Where there are none it does nothing. A message is up to
	// [MaxMessage] bytes without line breaks.
	Notify(message string)
	// AfterCommit runs f once the transaction is committed, before Update returns.
	AfterCommit(f func())
}

// Table is one noun's rows.
type Table[K Key, R any] interface {
	// Get returns the row, or an error wrapping fs.ErrNotExist.
	Get(key K) (R, error)
	// Put inserts the row or replaces the one with its key.
	Put(row R) error
	// Delete removes the row. Removing none is not an error.
	Delete(key K) error
	// Scan yields rows in key order. It reads them in pages, so that a row yielded may be
	// changed and other questions asked meanwhile; whether a change behind the current
	// page is seen is not defined. An error is yielded last, with a zero row.
	Scan(r Range[K]) iter.Seq2[R, error]
}

// Range selects rows of a [Table]. The zero Range is all of it.
type Range[K Key] struct {
	// Prefix keeps rows whose leading parts equal its own, up to its first zero part.
	Prefix K
	// After keeps rows beyond this key, if it is not zero.
	After K
	// Limit is the most rows to yield; 0 means all.
	Limit int
	// Reverse yields the last rows first; After then keeps those before it.
	Reverse bool
}

// Key is the primary key of a row.
type Key interface {
	comparable
	// Parts returns the key's parts in order, each an int64 or a string.
	Parts() []any
}

// Prefix returns the leading parts of a key that are not zero.
func Prefix[K Key](key K) []any {
	parts := key.Parts()
	for i, p := range parts {
		if p == int64(0) || p == "" {
			return parts[:i]
		}
	}
	return parts
}
