package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/esplanade-registry/esplanade/manifest"
)

// Defaults of [Options].
const (
	DefaultCacheBytes = 8 << 20
	MaxCachedBlob     = 64 << 10 // larger blobs are read from the bucket each time
)

// Options of [NewBlobs]; nil means the defaults.
type Options struct {
	// CacheBytes bounds the cache of small blobs; 0 means [DefaultCacheBytes], less than
	// 0 no cache.
	CacheBytes int64
}

// Segment is a run of a blob's bytes: one object.
type Segment struct {
	Key  string
	Size int64
}

// Blob is content by digest, and the objects that hold it, in order.
type Blob struct {
	Digest   manifest.Digest
	Size     int64
	Segments []Segment
}

// Blobs reads and writes content in a [Bucket].
type Blobs struct {
	bucket Bucket
	small  *manifest.Cache[manifest.Digest, []byte]
}

// NewBlobs returns the blobs of a bucket.
func NewBlobs(b Bucket, opts *Options) *Blobs {
	size := int64(DefaultCacheBytes)
	if opts != nil && opts.CacheBytes != 0 {
		size = opts.CacheBytes
	}
	return &Blobs{bucket: b, small: manifest.NewCache(size, func(d manifest.Digest, raw []byte) int64 { return int64(len(d) + len(raw)) })}
}

// NewKey returns a key that was never used. Its first folder has one of 256 names, so that
// no folder of a file system grows too large.
func NewKey() string {
	var b [16]byte
	rand.Read(b[:])
	s := hex.EncodeToString(b[:])
	return s[:2] + "/" + s[2:]
}

// ReadError is an error of the reader that Write was given, not of the bucket.
type ReadError struct{ Err error }

// Error returns the text of the reader's error.
func (e *ReadError) Error() string { return e.Err.Error() }

// Unwrap returns the reader's error.
func (e *ReadError) Unwrap() error { return e.Err }

// Write puts all of r into an object that must not exist, and into h on the way. It is
// durable once it returns nil; on an error there is no object, and h is of no more use. An
// error of r is a [*ReadError].
func (b *Blobs) Write(ctx context.Context, key string, r io.Reader, h hash.Hash) (int64, error) {
	in := &hashing{r: r, h: h}
	err := b.bucket.Put(ctx, key, in)
	if in.err != nil {
		return in.n, &ReadError{in.err}
	}
	return in.n, err
}

// hashing passes bytes on and keeps the error that was not io.EOF.
type hashing struct {
	r   io.Reader
	h   hash.Hash
	n   int64
	err error
}

func (r *hashing) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.h.Write(p[:n])
	r.n += int64(n)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// Delete removes an object; that it is gone already is no error.
func (b *Blobs) Delete(ctx context.Context, key string) error {
	if err := b.bucket.Delete(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Open returns a reader of a blob, which must be closed. Objects that are not local files are
// opened when they are first read from, and ctx governs all reading. Small blobs come from the cache, into which
// they go only if their bytes match their digest.
func (b *Blobs) Open(ctx context.Context, blob Blob) (*Reader, error) {
	if raw, ok := b.small.Get(blob.Digest); ok {
		return &Reader{in: bytes.NewReader(raw), small: raw, size: blob.Size}, nil
	}
	if blob.Size <= MaxCachedBlob && b.small != nil {
		raw, err := b.load(ctx, blob)
		if err != nil {
			return nil, err
		}
		return &Reader{in: bytes.NewReader(raw), small: raw, size: blob.Size}, nil
	}
	if len(blob.Segments) == 1 {
		file, err := b.open(ctx, blob.Segments[0])
		if err == nil {
			return &Reader{in: file, closer: file, file: file, size: blob.Size}, nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
	}
	s := newSegments(ctx, b.bucket, blob.Segments, blob.Size)
	return &Reader{in: s, closer: s, size: blob.Size}, nil
}

// open opens a segment that is a local file.
func (b *Blobs) open(ctx context.Context, s Segment) (*os.File, error) {
	file, err := OpenFile(ctx, b.bucket, s.Key)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != s.Size {
		err = fmt.Errorf("storage: object %s has %d bytes, want %d", s.Key, info.Size(), s.Size)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// load reads a small blob whole, checks it and caches it.
func (b *Blobs) load(ctx context.Context, blob Blob) ([]byte, error) {
	fill := b.small.Begin()
	s := newSegments(ctx, b.bucket, blob.Segments, blob.Size)
	defer s.Close()
	raw := make([]byte, blob.Size)
	if _, err := io.ReadFull(s, raw); err != nil {
		return nil, fmt.Errorf("storage: blob %s: %w", blob.Digest, err)
	}
	if got := blob.Digest.Algorithm().FromBytes(raw); got != blob.Digest {
		return nil, fmt.Errorf("storage: blob %s: the bucket's bytes have digest %s", blob.Digest, got)
	}
	fill.Add(blob.Digest, raw)
	return raw, nil
}

// ReadAll returns all of a blob, which the caller has found to be small enough. The bytes
// must not be modified.
func (b *Blobs) ReadAll(ctx context.Context, blob Blob) ([]byte, error) {
	r, err := b.Open(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if raw := r.Bytes(); raw != nil {
		return raw, nil
	}
	raw := make([]byte, blob.Size)
	_, err = io.ReadFull(r, raw)
	return raw, err
}

// Rehash reads segments and feeds them to h: for a blob whose digest is of another
// algorithm than was hashed while it was written.
func (b *Blobs) Rehash(ctx context.Context, list []Segment, h hash.Hash) error {
	var size int64
	for _, s := range list {
		size += s.Size
	}
	s := newSegments(ctx, b.bucket, list, size)
	defer s.Close()
	_, err := io.Copy(h, s)
	return err
}
