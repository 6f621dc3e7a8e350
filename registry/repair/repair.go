// Package repair looks for what must not be: rows of the metadata store that contradict each
// other, bytes that are gone or changed, objects in the bucket that no row names. It reports
// what it finds and mends it only when told to. Command examples/repair is it as a program.
//
//	sum, err := repair.Run(ctx, store, bucket, repair.Checkpoint{}, &repair.Options{Found: report})
//
// Nothing stops for it: it may run on any node while all serve, or on a registry that is
// stopped. A disk that fails, a restored backup of one half, an administrator's mistake are
// what it is for; a healthy registry has none of what it finds, however busy it is, and need
// not be looked at regularly for its own sake.
//
// # What is found
//
// A [Finding] has a [Kind], whose constants say what each means. Some findings are notes:
// states that publishers may make, and that look the same as a loss. One cause can show in
// several places: a manifest whose edge is missing may leave a blob that seems unneeded.
//
// Rows are compared within one snapshot, so that changes under way are not mistaken for faults.
// Bytes are read outside of it; what does not match is looked at again before it is a finding.
// An object is an orphan only if it was listed first and no row named it afterwards: rows name a
// key before its first byte, and let go of it for ever. The bucket must hold nothing else
// than this registry's objects.
//
// # Mending
//
// [Options.Mend] removes nothing by itself that a client could be served. What may be garbage
// is queued for the collector (registry/gc), which decides again once the time has come; a
// missing edge is put; what nothing leads to is unhooked. Each mend asks again within the
// transaction that makes it.
//
// [Options.MendContent] is for content that is lost. A registry that has a blob's row answers
// a client's push with "exists already" and drops the bytes, so that damaged content could never
// be replaced. With this option the row is removed and what is left of its objects is
// queued. From then on, and until somebody pushes the blob again, every image that needs it fails
// to be pulled with "blob unknown" (before, pulls failed in the middle of the blob, or brought bytes
// that clients refuse); a client that pushes such an image uploads the blob once more. Links
// are kept: whoever pushes the content to one repository heals all that have it. Until then
// they are found as [LinkWithoutBlob]. A damaged manifest is removed likewise, with its edges; its
// tags stay, and lead to it again when it is pushed again.
//
// Look without mending first, and at the numbers: if the metadata was restored from a backup that
// is older than the bucket, orphans are what was pushed since, and may be all that is left of
// it. Where no row names any object of the bucket, nothing is mended: it is another's.
//
// What neither option can mend is for people: [Finding.Mend] says what.
//
// # Cost
//
// Every row is read some few times, in pages each with a snapshot of its own, every byte once,
// as fast as [Options.BytesPerSecond] allows, and the bucket is listed once. In memory are 16 bytes
// for each object, for up to four million objects at a time; the rows that name objects are
// read once for each four million. A run that was ended goes on from its last [Checkpoint].
package repair

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"golang.org/x/time/rate"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// DefaultAge is what [Options.Age] is if 0.
const DefaultAge = registry.DefaultGrace

// Options are the options of [Run]; nil means the defaults, which mend nothing.
type Options struct {
	// Mend mends what can be without a loss.
	Mend bool
	// MendContent makes room for content that is damaged to be pushed again; see the package
	// comment for what it means.
	MendContent bool
	// Age is how old objects are that nobody names before they count as orphans, and how long
	// what is queued waits for the collector: as long as registry.Config.Grace. [DefaultAge]
	// if 0.
	Age time.Duration
	// SizesOnly looks at the sizes of the objects of blobs and logos, and not at their bytes: what
	// a bucket that was restored from a backup wants, before anybody is served.
	SizesOnly bool
	// BytesPerSecond bounds how fast the bucket is read. 0 means no bound.
	BytesPerSecond int64
	// Found is called with each finding, once it has been mended if it is to be. Its error
	// ends the run.
	Found func(Finding) error
	// Reached is called when what lies before a checkpoint is done with: after each blob, and
	// after each page of rows or objects. Its error ends the run.
	Reached func(Checkpoint) error
	// Serving is the registry that serves from the same store in this process, if one does:
	// it forgets what is mended. Other processes hear of it without.
	Serving *registry.Registry

	page, chunk int // rows and objects looked at in one go; other than the constants in tests
}

// Checkpoint is how far a run has come. The zero Checkpoint is the beginning. It can be kept
// as JSON.
type Checkpoint struct {
	Phase   string          `json:"phase"`
	After   json.RawMessage `json:"after,omitempty"` // key of the last row or object
	Summary Summary         `json:"summary"`         // so far
}

// Summary counts. That of a run which went on from a checkpoint is of the whole.
type Summary struct {
	Rows    int64          `json:"rows"`    // looked at
	Blobs   int64          `json:"blobs"`   // whose bytes were read
	Bytes   int64          `json:"bytes"`   // read from the bucket
	Objects int64          `json:"objects"` // listed
	Found   map[Kind]int64 `json:"found,omitempty"`
	Mended  map[Kind]int64 `json:"mended,omitempty"` // of those
	// Complete says that there was nothing left to look at.
	Complete bool `json:"complete"`
}

// Left is how many findings are neither mended nor notes.
func (s Summary) Left() (n int64) {
	for kind, found := range s.Found {
		if !kind.Note() {
			n += found - s.Mended[kind]
		}
	}
	return n
}

func (s Summary) clone() Summary {
	s.Found, s.Mended = maps.Clone(s.Found), maps.Clone(s.Mended)
	return s
}

// Rows and objects that are looked at in one go. Manifests come with their bytes, up to 4 MiB each.
const (
	pageRows      = 500
	pageManifests = 16
	chunkObjects  = 4 << 20
)

// run is one run.
type run struct {
	store  meta.Store
	bucket storage.Bucket
	opts   Options
	phase  string
	sum    Summary
	pace   *rate.Limiter
	buf    []byte

	// the repository of the last row of the current snapshot; rows come in their order
	last      meta.Repository
	lastID    meta.RepositoryID
	lastFound bool
}

// phases are what a run does, in this order: what is mended early is not found again later.
var phases = []struct {
	name string
	do   func(r *run, ctx context.Context, after json.RawMessage) error
}{
	{"registries", (*run).registries},
	{"aliases", (*run).aliases},
	{"repositories", (*run).repositories},
	{"tags", (*run).tags},
	{"manifests", (*run).manifests},
	{"edges", (*run).edges},
	{"links", (*run).links},
	{"blobs", (*run).blobs},
	{"content", (*run).content},
	{"uploads", (*run).uploads},
	{"logos", (*run).logos},
	{"objects", (*run).objects},
}

// Run looks at everything after a checkpoint. Findings are not errors. An error ends the run, and
// the summary then counts what was done: that of a ctx which has ended, of a store that fails or of
// a bucket that cannot be listed, and, before anything is looked at, of a bucket to mend that is
// another registry's. A bucket that cannot give an object is a finding ([BlobUnreadable]).
func Run(ctx context.Context, store meta.Store, bucket storage.Bucket, after Checkpoint, opts *Options) (Summary, error) {
	r := &run{store: store, bucket: bucket, sum: after.Summary.clone()}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.Age == 0 {
		r.opts.Age = DefaultAge
	}
	if r.opts.Age < 0 || r.opts.BytesPerSecond < 0 {
		return r.sum, fmt.Errorf("repair: Age %v or BytesPerSecond %d is negative", r.opts.Age, r.opts.BytesPerSecond)
	}
	r.buf, r.pace = make([]byte, bufferSize), rate.NewLimiter(rate.Inf, bufferSize)
	if n := r.opts.BytesPerSecond; n > 0 { // no more at once than a second's worth
		r.buf = r.buf[:min(n, bufferSize)]
		r.pace = rate.NewLimiter(rate.Limit(n), len(r.buf))
	}
	r.sum.Complete = false
	if r.sum.Found == nil {
		r.sum.Found = map[Kind]int64{}
	}
	if r.sum.Mended == nil {
		r.sum.Mended = map[Kind]int64{}
	}
	if r.opts.Mend || r.opts.MendContent {
		if err := r.belongs(ctx); err != nil {
			return r.sum, fmt.Errorf("repair: %w", err)
		}
	}
	begun := after.Phase == ""
	for _, p := range phases {
		key := json.RawMessage(nil)
		switch {
		case begun:
			if err := r.reached(p.name, nil); err != nil {
				return r.sum, err
			}
		case p.name == after.Phase:
			begun, key = true, after.After
		default:
			continue
		}
		r.phase = p.name
		if err := p.do(r, ctx, key); err != nil {
			return r.sum, fmt.Errorf("repair: %s: %w", p.name, err)
		}
	}
	if !begun {
		return r.sum, fmt.Errorf("repair: a checkpoint of a phase %q, which there is not", after.Phase)
	}
	r.sum.Complete = true
	return r.sum, nil
}

// reached tells of a checkpoint within a phase, after a key, or at its beginning.
func (r *run) reached(phase string, key any) error {
	if r.opts.Reached == nil {
		return nil
	}
	c := Checkpoint{Phase: phase, Summary: r.sum.clone()}
	if key != nil {
		raw, err := json.Marshal(key)
		if err != nil {
			return err
		}
		c.After = raw
	}
	return r.opts.Reached(c)
}

// position reads the key of a checkpoint.
func position[K any](after json.RawMessage) (key K, err error) {
	if len(after) == 0 {
		return key, nil
	}
	if err := json.Unmarshal(after, &key); err != nil {
		return key, fmt.Errorf("the key of the checkpoint: %w", err)
	}
	return key, nil
}

func (r *run) page(n int) int {
	if r.opts.page > 0 {
		return r.opts.page
	}
	return n
}

// problem is a finding, and what mends it.
type problem struct {
	Finding
	// mend asks again whether it is so, and mends it. Where it is not so any more it returns
	// false and changes nothing. It is nil where nothing can be done.
	mend func(tx meta.Tx) (bool, error)
}

// settle mends problems, if they are to be, and reports them.
func (r *run) settle(ctx context.Context, list ...problem) error {
	for _, p := range list {
		if p.mend != nil && r.mends(p.Kind) {
			still := false
			err := r.store.Update(ctx, func(tx meta.Tx) (err error) {
				still, err = p.mend(tx)
				return err
			})
			if err != nil {
				return fmt.Errorf("mend of %s: %w", p.Kind, err)
			}
			if !still {
				continue
			}
			p.Mended = true
		}
		if err := r.report(p.Finding); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) mends(k Kind) bool {
	if kinds[k].content {
		return r.opts.MendContent
	}
	return r.opts.Mend
}

func (r *run) report(f Finding) error {
	r.sum.Found[f.Kind]++
	if f.Mended {
		r.sum.Mended[f.Kind]++
	}
	if r.opts.Found == nil {
		return nil
	}
	f.Note = f.Kind.Note()
	if f.Mend == "" {
		f.Mend = kinds[f.Kind].mend
	}
	return r.opts.Found(f)
}
