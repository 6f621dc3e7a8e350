// Package gocloud makes a storage.Bucket of any bucket that gocloud.dev/blob opens:
// memory, a folder, S3, Google Cloud Storage, Azure. The program imports the drivers that it
// wants to use, as in
//
//	import _ "gocloud.dev/blob/fileblob"
//
// # Folders
//
// A file:// URL given to [Open] is a folder on a local disk. gocloud by itself neither syncs
// what it writes nor reads it cheaply, so the folder is treated apart: Put syncs the file
// before it gets its name and the folder afterwards, and Get opens the file itself. A folder
// belongs to one process at a time.
package gocloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"github.com/esplanade-registry/esplanade/storage"
)

// Bucket implements [storage.Bucket].
type Bucket struct {
	bucket *blob.Bucket
	folder *folder // nil unless local
}

// Open opens the bucket that a URL names, such as mem://, file:///var/lib/esplanade/blobs
// or s3://name?region=eu-west-1. A folder is made if it is not there.
func Open(ctx context.Context, bucketURL string) (*Bucket, error) {
	u, err := url.Parse(bucketURL)
	if err != nil {
		return nil, fmt.Errorf("gocloud: %w", err)
	}
	if u.Scheme != "file" {
		b, err := blob.OpenBucket(ctx, bucketURL)
		if err != nil {
			return nil, fmt.Errorf("gocloud: %w", err)
		}
		return New(b), nil
	}
	q := u.Query()
	q.Set("create_dir", "true")
	q.Set("no_tmp_dir", "true") // a rename across file systems is a copy
	q.Set("metadata", "skip")   // one file an object
	u.RawQuery = q.Encode()
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("gocloud: %w", err)
	}
	dir := u.Path
	if len(dir) > 2 && dir[0] == '/' && dir[2] == ':' {
		dir = dir[1:] // a drive letter
	}
	f, err := openFolder(filepath.FromSlash(dir))
	if err != nil {
		return nil, fmt.Errorf("gocloud: %w", errors.Join(err, b.Close()))
	}
	return &Bucket{bucket: b, folder: f}, nil
}

// FileURL returns the URL of a folder, for [Open].
func FileURL(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	dir = filepath.ToSlash(dir)
	if !strings.HasPrefix(dir, "/") {
		dir = "/" + dir
	}
	return (&url.URL{Scheme: "file", Path: dir}).String(), nil
}

// New makes a Bucket of one that the program opened itself. For a local folder use [Open],
// which knows how to make writes durable there.
func New(b *blob.Bucket) *Bucket { return &Bucket{bucket: b} }

// Close closes the gocloud bucket.
func (b *Bucket) Close() error {
	err := b.bucket.Close()
	if b.folder != nil {
		err = errors.Join(err, b.folder.close())
	}
	return err
}

// wrap makes errors of the driver satisfy fs.ErrNotExist where that is what they mean.
func wrap(op, key string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound && !unasked(err) {
		return fmt.Errorf("gocloud: %s %s: %w: %w", op, key, fs.ErrNotExist, err)
	}
	return fmt.Errorf("gocloud: %s %s: %w", op, key, err)
}

// unasked reports whether an error says nothing of the object, although its driver calls it
// NotFound: gcsblob does so where access is denied, azureblob where the host has no address. Taken
// for an absent object, either would have good content dropped as lost.
func unasked(err error) bool {
	if denied, ok := errors.AsType[*googleapi.Error](err); ok && denied.Code == http.StatusForbidden {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

// Get implements [storage.Bucket].
func (b *Bucket) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, wrap("get", key, err)
	}
	if b.folder != nil {
		return b.folder.get(key, off, n)
	}
	r, err := b.bucket.NewRangeReader(ctx, key, off, n, nil)
	if err != nil {
		return nil, wrap("get", key, err)
	}
	return object{r}, nil
}

type object struct{ *blob.Reader }

// OpenFile implements [storage.FileBucket].
func (b *Bucket) OpenFile(_ context.Context, key string) (*os.File, error) {
	if b.folder == nil {
		return nil, fmt.Errorf("gocloud: files of a remote bucket: %w", errors.ErrUnsupported)
	}
	return b.folder.open(key)
}

// SignedURL implements [storage.URLSigner], where the driver can: S3, Google Cloud Storage and
// Azure.
func (b *Bucket) SignedURL(ctx context.Context, key string, lifetime time.Duration) (string, error) {
	u, err := b.bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Expiry: lifetime, Method: http.MethodGet})
	if gcerrors.Code(err) == gcerrors.Unimplemented {
		return "", fmt.Errorf("gocloud: signed URL of %s: %w", key, errors.ErrUnsupported)
	}
	if err != nil {
		return "", wrap("signed URL", key, err)
	}
	return u, nil
}

// contentType is that of all objects.
const contentType = "application/octet-stream"

// Put implements [storage.Bucket].
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	put := b.upload
	if b.folder != nil {
		put = b.write
	}
	if err := put(ctx, cancel, key, r); err != nil {
		return fmt.Errorf("gocloud: put %s: %w", key, err)
	}
	return nil
}

// bufferSize is how much of an object a remote driver may hold: no less than the smallest part
// that S3 takes, and less than gcsblob's 16 MiB.
const bufferSize = 5 << 20

// upload writes an object to a remote bucket. Not through a blob.Writer: that of azureblob panics when
// it is closed after a failure.
func (b *Bucket) upload(ctx context.Context, cancel context.CancelFunc, key string, r io.Reader) error {
	in := &canceling{r: r, cancel: cancel}
	err := b.bucket.Upload(ctx, key, in, &blob.WriterOptions{
		ContentType: contentType, DisableContentTypeDetection: true, BufferSize: bufferSize, MaxConcurrency: 1,
	})
	if in.err != nil {
		return in.err
	}
	return err
}

// write writes a file, and syncs it and its folder.
func (b *Bucket) write(ctx context.Context, cancel context.CancelFunc, key string, r io.Reader) error {
	if _, err := b.folder.path(key); err != nil {
		return err
	}
	var unsynced syncer
	w, err := b.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: contentType,
		// Sniffing would hold back the first 512 bytes, and with them the file.
		DisableContentTypeDetection: true,
		BeforeWrite: func(as func(any) bool) error {
			unsynced.find(as)
			return nil
		},
	})
	if err != nil {
		return err
	}
	err = copyTo(w, r)
	if err == nil {
		err = unsynced.sync()
	}
	if err != nil {
		cancel() // before Close, which would make the object appear
		w.Close()
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := b.folder.sync(key); err != nil {
		return errors.Join(err, b.bucket.Delete(context.WithoutCancel(ctx), key))
	}
	return nil
}

// Stat implements [storage.Bucket].
func (b *Bucket) Stat(ctx context.Context, key string) (storage.Attrs, error) {
	a, err := b.bucket.Attributes(ctx, key)
	if err != nil {
		return storage.Attrs{}, wrap("stat", key, err)
	}
	return storage.Attrs{Key: key, Size: a.Size, Modified: a.ModTime}, nil
}

// Delete implements [storage.Bucket].
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := b.bucket.Delete(ctx, key); err != nil {
		return wrap("delete", key, err)
	}
	return nil
}

// List implements [storage.Bucket]. gocloud cannot begin in the middle: what lies before
// after is read and passed over.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Attrs, error] {
	if b.folder != nil {
		return b.folder.list(ctx, prefix, after)
	}
	return func(yield func(storage.Attrs, error) bool) {
		it := b.bucket.List(&blob.ListOptions{Prefix: prefix})
		for {
			o, err := it.Next(ctx)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(storage.Attrs{}, fmt.Errorf("gocloud: list %s: %w", prefix, err))
				return
			}
			if o.Key <= after {
				continue
			}
			if !yield(storage.Attrs{Key: o.Key, Size: o.Size, Modified: o.ModTime}, nil) {
				return
			}
		}
	}
}
