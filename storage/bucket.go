// Package storage owns bytes. A [Bucket] is what a driver writes: five methods over an
// object store or a folder. [Blobs] is what the rest uses: it writes while hashing, reads
// ranges over the segments of a blob, and keeps small blobs close.
//
// Nothing here decides what exists or who may read it; that is package meta's. An object
// in a bucket has a random key that is never used for anything else, so that deleting one
// can never hit bytes that were written by somebody else meanwhile.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"
)

// Bucket holds objects by key. A driver's methods may be called at once from several
// goroutines, and every driver passes the suite in storagetest.
//
// What is missing is an error that wraps fs.ErrNotExist. Other errors are the driver's own:
// they are logged, and a client never sees them. Nothing here asks for more consistency
// than reading one's own writes, because correctness never depends on List, on times, or on
// what two writers of one key do: no key is written twice.
type Bucket interface {
	// Get opens an object at an offset, for n bytes or, if n is negative, to its end. A
	// range that reaches beyond the end is cut there. ctx governs the reading too.
	Get(ctx context.Context, key string, off, n int64) (Object, error)

	// Put writes an object and is durable once it returns nil: the object survives a
	// power cut. If r or the driver fails part-way or ctx ends, there is no object. Errors
	// of r are wrapped.
	Put(ctx context.Context, key string, r io.Reader) error

	// Stat returns what is known of an object.
	Stat(ctx context.Context, key string) (Attrs, error)

	// Delete removes an object. One that is missing is an error, as above.
	Delete(ctx context.Context, key string) error

	// List yields the objects whose keys begin with prefix and are greater than after, in
	// key order. An error is yielded last. It is for repair: no request lists.
	List(ctx context.Context, prefix, after string) iter.Seq2[Attrs, error]
}

// Attrs describes an object.
type Attrs struct {
	Key      string
	Size     int64
	Modified time.Time
}

// Object is an open object, or a range of one.
type Object interface {
	io.ReadCloser
	// Size is that of the whole object in bytes.
	Size() int64
}

// FileBucket is a [Bucket] whose objects are local files, which the kernel can copy to a
// connection.
type FileBucket interface {
	// OpenFile opens the whole object. It returns an error wrapping errors.ErrUnsupported
	// where objects are not files after all.
	OpenFile(ctx context.Context, key string) (*os.File, error)
}

// OpenFile calls the bucket's [FileBucket]. One that has none is an error wrapping
// errors.ErrUnsupported.
func OpenFile(ctx context.Context, b Bucket, key string) (*os.File, error) {
	if f, ok := b.(FileBucket); ok {
		return f.OpenFile(ctx, key)
	}
	return nil, fmt.Errorf("storage: files of %T: %w", b, errors.ErrUnsupported)
}

// URLSigner is a [Bucket] that clients can read from by themselves, by a URL that is good for a
// while.
type URLSigner interface {
	// SignedURL returns a URL for GETs of an object, also of ranges of it. It says nothing about
	// whether the object is there. It returns an error wrapping errors.ErrUnsupported where the
	// bucket has no such URLs after all.
	SignedURL(ctx context.Context, key string, lifetime time.Duration) (string, error)
}

// SignedURL calls the bucket's [URLSigner]. One that has none is an error wrapping
// errors.ErrUnsupported.
func SignedURL(ctx context.Context, b Bucket, key string, lifetime time.Duration) (string, error) {
	if s, ok := b.(URLSigner); ok {
		return s.SignedURL(ctx, key, lifetime)
	}
	return "", fmt.Errorf("storage: signed URLs of %T: %w", b, errors.ErrUnsupported)
}

// Sweeper is a [Bucket] whose Put can leave something behind when its process is killed:
// half-written files, unfinished multi-part uploads, under names that nothing refers to.
type Sweeper interface {
	// SweepUnfinished removes what was begun before a time, and returns how much it was.
	// What a running Put has begun since then is not touched.
	SweepUnfinished(ctx context.Context, before time.Time) (int, error)
}

// SweepUnfinished calls the bucket's [Sweeper]. One that has none is an error wrapping
// errors.ErrUnsupported.
func SweepUnfinished(ctx context.Context, b Bucket, before time.Time) (int, error) {
	if s, ok := b.(Sweeper); ok {
		return s.SweepUnfinished(ctx, before)
	}
	return 0, fmt.Errorf("storage: sweep of %T: %w", b, errors.ErrUnsupported)
}
