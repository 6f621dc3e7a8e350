// Package importer copies registries into an Esplanade registry: all of one, or chosen
// repositories, with their tags, indexes, referrers and untagged manifests.
//
// [Import] reads from a [Source] and writes through a registry.Actor, so that policies,
// quotas, guards and events apply as to any other push. There are two sources: [Remote] is a
// registry that answers over HTTP, and [Distribution] the folder in which the registry of
// the distribution project keeps its data, which may be read while that registry is switched
// off or read-only.
//
// # Order
//
// In each repository blobs come first, then manifests, children before the indexes that list
// them, then what refers to them, and tags last: whoever pulls by a tag finds the image whole
// and signed. A blob that the target's bucket has already in another repository is mounted
// instead of copied. Manifests keep their bytes and media types, Docker's schema 2 included.
//
// # Again
//
// What the target has is not copied again, and a tag that points where it should is left
// alone, so an import that was interrupted is repeated, and one that is repeated brings what
// has changed. Nothing is deleted: tags that only the target has stay.
//
// # Errors
//
// What cannot be copied stands in the [Report], by its tag or digest, and does not keep the
// rest from being copied; an index is not copied without one of its children. Import returns an
// error only if ctx ends or if the source or the target fails as a whole. Manifests of Docker's
// schema 1 are skipped, which is no problem but is reported too: the registry does not hold them.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

// DefaultConcurrency is that of [Options].
const DefaultConcurrency = 4

// ErrUnreachable is wrapped by errors of a source that can tell that asking it for anything
// else is of no use. It ends an import.
var ErrUnreachable = errors.New("the source cannot be reached")

// Source is where an import reads from. Its methods are called from several goroutines. An
// error about something that is not there wraps fs.ErrNotExist. The last pair of a list may
// be an error.
//
// A source is also a [Lister] if it knows manifests that no tag leads to, and a
// [ReferrerLister] if it can be asked what refers to a manifest.
type Source interface {
	// Repositories lists the repositories that are to be copied. A repository that cannot be
	// read is listed all the same, so that it is reported.
	Repositories(ctx context.Context) iter.Seq2[string, error]
	// Tags lists the tags of a repository.
	Tags(ctx context.Context, repository string) iter.Seq2[string, error]
	// Resolve returns the digest of the manifest that a tag points to.
	Resolve(ctx context.Context, repository, tag string) (manifest.Digest, error)
	// Manifest returns the media type and the bytes of a manifest. The media type is "" where
	// the manifest alone says it. More than manifest.MaxSize bytes need not be read. Whether
	// the bytes have the digest is for the importer to check.
	Manifest(ctx context.Context, repository string, d manifest.Digest) (mediaType string, raw []byte, err error)
	// Blob opens a blob. ctx governs the reading too. Whether the bytes have the digest is
	// for the target to check.
	Blob(ctx context.Context, repository string, d manifest.Descriptor) (io.ReadCloser, error)
}

// Lister is a [Source] that lists all manifests of a repository, whether tags lead to them or
// not.
type Lister interface {
	Manifests(ctx context.Context, repository string) iter.Seq2[manifest.Digest, error]
}

// ReferrerLister is a [Source] that lists the manifests whose subject is a given one.
type ReferrerLister interface {
	Referrers(ctx context.Context, repository string, subject manifest.Digest) iter.Seq2[manifest.Digest, error]
}

// Options are those of [Import]; nil and the zero Options stand for the defaults.
type Options struct {
	// Concurrency is how many requests the source is to answer at once, each blob that is
	// being copied being one: [DefaultConcurrency] if 0.
	Concurrency int
	// Progress is told of every step once it is done, by one call at a time. The import waits
	// for it.
	Progress func(Event)
}

// Under returns a mapping of names for [Import]: a repository is called alias/NAME.
func Under(alias string) func(string) (string, bool) {
	return func(name string) (string, bool) { return alias + "/" + name, true }
}

// Import copies the repositories of a source. name says what one is called in the target, as
// alias/repository, or false if it is not to be copied. A repository that the target does not
// have is created, public, if anything is to be copied to it and the actor may.
//
// The report says how far the import came, also if there is an error.
func Import(ctx context.Context, to *registry.Actor, from Source, name func(repository string) (target string, ok bool), opts *Options) (*Report, error) {
	if opts == nil {
		opts = &Options{}
	}
	limit := opts.Concurrency
	if limit <= 0 {
		limit = DefaultConcurrency
	}
	r := &run{
		to: to, from: from, name: name, progress: opts.Progress, limit: limit, slots: make(chan struct{}, limit),
		copying: map[manifest.Digest]chan struct{}{}, report: &Report{Problems: []Problem{}, Skipped: []Problem{}},
	}
	err := r.all(ctx)
	for _, list := range [][]Problem{r.report.Problems, r.report.Skipped} {
		slices.SortStableFunc(list, func(a, b Problem) int {
			if c := strings.Compare(a.Repository, b.Repository); c != 0 {
				return c
			}
			return strings.Compare(a.Reference, b.Reference)
		})
	}
	return r.report, err
}

// run is one import.
type run struct {
	to       *registry.Actor
	from     Source
	name     func(string) (string, bool)
	progress func(Event)
	limit    int
	slots    chan struct{} // one is held for each request to the source

	mu       sync.Mutex
	report   *Report
	failures int                               // of the target, since it last took something
	copying  map[manifest.Digest]chan struct{} // what is held, until closed
}

func (r *run) all(ctx context.Context) error {
	var names []string
	for name, err := range r.from.Repositories(ctx) {
		if err != nil {
			return fmt.Errorf("list of the source's repositories: %w", err)
		}
		names = append(names, name)
	}
	return each(ctx, r.limit, names, r.repository)
}

// each calls f for every item, up to limit at a time, until one of them fails or ctx ends.
func each[T any](ctx context.Context, limit int, items []T, f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	room := make(chan struct{}, limit)
	for _, item := range items {
		select {
		case <-ctx.Done():
		case room <- struct{}{}:
			wg.Go(func() {
				defer func() { <-room }()
				if err := f(ctx, item); err != nil {
					cancel(err)
				}
			})
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

// ask waits until the source may be asked something, and returns what to call when it has
// answered. Whoever has a slot waits for nothing but the source and the target.
func (r *run) ask(ctx context.Context) (answered func(), err error) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// collect reads a list of the source. With an error, it returns what came before.
func collect[T any](ctx context.Context, r *run, seq iter.Seq2[T, error]) (list []T, err error) {
	answered, err := r.ask(ctx)
	if err != nil {
		return nil, err
	}
	defer answered()
	for item, err := range seq {
		if err != nil {
			return list, err
		}
		list = append(list, item)
	}
	return list, nil
}

// hold keeps a blob or manifest from being copied twice at the same time, to one repository or
// to two: the second to come finds it there, or mounts it. Whoever holds a manifest waits only
// for what that refers to.
func (r *run) hold(ctx context.Context, d manifest.Digest) (release func(), err error) {
	for {
		r.mu.Lock()
		other, busy := r.copying[d]
		if !busy {
			done := make(chan struct{})
			r.copying[d] = done
			r.mu.Unlock()
			return func() {
				r.mu.Lock()
				delete(r.copying, d)
				r.mu.Unlock()
				close(done)
			}, nil
		}
		r.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// maxFailures is how often in a row the target may fail by its own fault. Once may be the
// fault of one image, which is not to stop the rest; a full disk fails every time.
const maxFailures = 10

// errTarget marks what ends the import.
var errTarget = errors.New("the target fails")

// judge marks an error of the target that ends the import.
func (r *run) judge(err error) error {
	switch {
	case errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrTooManyRequests):
	case err == nil || isRefusal(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.failures++; r.failures < maxFailures {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errTarget, err)
}

// isRefusal reports whether an error of the target is about what it was asked for.
func isRefusal(err error) bool {
	if _, ok := errors.AsType[*registry.Error](err); ok {
		return true
	}
	for _, kind := range []error{
		fs.ErrNotExist, fs.ErrExist, registry.ErrUnauthorized, manifest.ErrName, manifest.ErrTag, manifest.ErrDigest, manifest.ErrManifest,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// fatal returns the error that ends the import, if err is or there is one.
func fatal(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrUnreachable) || errors.Is(err, errTarget):
		return err
	}
	return nil
}
