package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	_ "gocloud.dev/blob/fileblob"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// split cuts a size into n parts, none of them empty.
func split(rng *rand.Rand, size, n int) []int {
	var parts []int
	for ; n > 1 && size > n; n-- {
		part := 1 + rng.IntN(min(size-n, 2*size/n))
		parts = append(parts, part)
		size -= part
	}
	return append(parts, size)
}

// A blob reads as its bytes do, wherever one begins, whatever objects hold it.
func TestReaderIsLikeItsBytes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 5))
			size := []int{1, 7, 1000, storage.MaxCachedBlob, storage.MaxCachedBlob + 1, 300_000}[seed%6]
			content := random(seed, size)
			w := newWorld(t)
			b := w.store(t, content, split(rng, size, 1+rng.IntN(9))...)
			var opts *storage.Options
			if rng.IntN(2) == 0 {
				opts = noCache()
			}
			got, want := open(t, w.blobs(opts), b), bytes.NewReader(content)
			for step := range 120 {
				if rng.IntN(2) == 0 {
					whence := rng.IntN(3)
					offset := rng.Int64N(int64(2*size)+10) - int64(size) - 5
					p, perr := got.Seek(offset, whence)
					q, qerr := want.Seek(offset, whence)
					if (perr == nil) != (qerr == nil) || perr == nil && p != q {
						t.Fatalf("step %d: Seek(%d, %d) = %d, %v; bytes.Reader: %d, %v", step, offset, whence, p, perr, q, qerr)
					}
					continue
				}
				n := rng.IntN(size + 10)
				p, q := make([]byte, n), make([]byte, n)
				pn, perr := io.ReadFull(got, p)
				qn, qerr := io.ReadFull(want, q)
				if pn != qn || !errors.Is(perr, qerr) || !bytes.Equal(p[:pn], q[:qn]) {
					t.Fatalf("step %d: %d bytes of %d, %v; bytes.Reader: %d, %v", step, pn, n, perr, qn, qerr)
				}
			}
			if got.Err() != nil || got.Size() != int64(size) {
				t.Errorf("Err() = %v, Size() = %d", got.Err(), got.Size())
			}
			if err := got.Close(); err != nil {
				t.Error(err)
			}
			if _, open := w.reads.counts(); open != 0 {
				t.Errorf("%d objects are still open", open)
			}
		})
	}
}

func TestReaderIsAReader(t *testing.T) {
	t.Parallel()
	content := random(1, 200_000)
	for name, sizes := range map[string][]int{"one segment": nil, "three segments": {1, 150_000, 49_999}, "an empty one between": {100_000, 0, 100_000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := open(t, w.blobs(nil), w.store(t, content, sizes...))
			if err := iotest.TestReader(r, content); err != nil {
				t.Error(err)
			}
		})
	}
}

// io.Seeker knows three places to count from.
func TestSeekFromNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, b := range map[string]storage.Blob{"small": w.store(t, []byte("abc")), "large": w.store(t, random(1, 100_000)), "in parts": w.store(t, random(1, 100_000), 1, 99_999)} {
		r := open(t, w.blobs(nil), b)
		for _, whence := range []int{-1, 3, 100} {
			if at, err := r.Seek(1, whence); err == nil {
				t.Errorf("%s: Seek(1, %d) = %d", name, whence, at)
			}
		}
		if p, err := r.Seek(-1, io.SeekStart); err == nil {
			t.Errorf("%s: Seek before the start: %d", name, p)
		}
		if p, err := r.Seek(0, io.SeekCurrent); p != 0 || err != nil {
			t.Errorf("%s: after seeks that failed at %d, %v; want 0", name, p, err)
		}
	}
}

// Objects are opened when they are read from, one at a time: a range of a large blob must
// not cost the rest.
func TestReaderOpensWhatItNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(2, 300_000)
	b := w.store(t, content, 100_000, 100_000, 100_000)
	r := open(t, w.blobs(nil), b)
	if opened, _ := w.reads.counts(); opened != 0 {
		t.Errorf("%d objects are open before the first Read", opened)
	}
	if _, err := r.Seek(150_000, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1000)
	if _, err := io.ReadFull(r, p); err != nil || !bytes.Equal(p, content[150_000:151_000]) {
		t.Errorf("the middle: %v", err)
	}
	if opened, open := w.reads.counts(); opened != 1 || open != 1 {
		t.Errorf("%d objects were opened, %d are open; want 1", opened, open)
	}
	// Seeking to where it is, as http.ServeContent does, keeps it open.
	if at, err := r.Seek(0, io.SeekCurrent); at != 151_000 || err != nil {
		t.Errorf("%d, %v", at, err)
	}
	if _, err := io.ReadFull(r, p); err != nil || !bytes.Equal(p, content[151_000:152_000]) {
		t.Errorf("what follows: %v", err)
	}
	if opened, _ := w.reads.counts(); opened != 1 {
		t.Errorf("%d objects were opened, want 1", opened)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, open := w.reads.counts(); open != 0 {
		t.Errorf("%d objects are open after Close", open)
	}
}

// The bucket is asked for what a row says it holds. An object of another size is another
// object, or half of one.
func TestWrongObjectSize(t *testing.T) {
	t.Parallel()
	for _, delta := range []int{-1, 1, -50_000, 50_000} {
		for name, sizes := range map[string][]int{"one segment": {100_000}, "the first": {100_000, 50}, "the last": {50, 100_000}} {
			for cache, opts := range map[string]*storage.Options{"a cache": nil, "no cache": noCache()} {
				t.Run(fmt.Sprintf("%s, %s, %+d", name, cache, delta), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					total := 0
					for _, size := range sizes {
						total += size
					}
					b := w.store(t, random(3, total), sizes...)
					for _, seg := range b.Segments {
						if seg.Size == 100_000 {
							if err := w.memory.WriteAll(t.Context(), seg.Key, random(3, 100_000+delta), nil); err != nil {
								t.Fatal(err)
							}
						}
					}
					r, err := w.blobs(opts).Open(t.Context(), b)
					if err == nil {
						_, err = io.Copy(io.Discard, r)
						if !errors.Is(r.Err(), err) || err == nil {
							t.Errorf("Read: %v, Err: %v", err, r.Err())
						}
						r.Close()
					}
					if err == nil || errors.Is(err, io.EOF) {
						t.Errorf("%v, want an error about the object's size", err)
					}
					if _, open := w.reads.counts(); open != 0 {
						t.Errorf("%d objects are still open", open)
					}
				})
			}
		}
	}
}

// A row whose segments do not add up must not look like a blob that ended.
func TestSegmentsTooShort(t *testing.T) {
	t.Parallel()
	for cache, opts := range map[string]*storage.Options{"a cache": nil, "no cache": noCache()} {
		for _, size := range []int{1000, 100_000} {
			w := newWorld(t)
			b := w.store(t, random(4, size), size/2, size-size/2)
			b.Segments = b.Segments[:1]
			raw, err := w.blobs(opts).ReadAll(t.Context(), b)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, %d bytes: got %d, %v; want io.ErrUnexpectedEOF", cache, size, len(raw), err)
			}
		}
	}
}

// A bucket that breaks off is not the end of the blob, and the one that serves it can tell.
func TestBucketBreaksOff(t *testing.T) {
	t.Parallel()
	broken := errors.New("the bucket broke off")
	for name, sizes := range map[string][]int{"one segment": nil, "two segments": {60_000, 40_000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			content := random(5, 100_000)
			b := w.store(t, content, sizes...)
			w.faulty.Set(storagetest.Faults{GetAfter: 50_000, GetError: broken})
			r := open(t, w.blobs(nil), b)
			got, err := io.ReadAll(r)
			if !errors.Is(err, broken) || !errors.Is(r.Err(), broken) || !bytes.Equal(got, content[:len(got)]) || len(got) < 50_000 {
				t.Errorf("%d bytes, %v, Err() = %v", len(got), err, r.Err())
			}
			if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, broken) {
				t.Errorf("a further Read: %d, %v", n, err)
			}
			if _, err := w.blobs(nil).ReadAll(t.Context(), b); !errors.Is(err, broken) {
				t.Errorf("ReadAll: %v", err)
			}
		})
	}
}

// An object that ends before its size says so is an error, not the end.
func TestObjectEndsEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.store(t, random(6, 100_000), 50_000, 50_000)
	w.faulty.Set(storagetest.Faults{GetAfter: 1000, GetError: io.EOF})
	r := open(t, w.blobs(nil), b)
	if got, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 1000 || !errors.Is(r.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v, Err() = %v; want io.ErrUnexpectedEOF after 1000", len(got), err, r.Err())
	}
}

// obedient is a bucket that minds its context, as one on a network does.
type obedient struct{ storage.Bucket }

func (o obedient) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	object, err := o.Bucket.Get(ctx, key, off, n)
	return obedientObject{object, ctx}, err
}

type obedientObject struct {
	storage.Object
	ctx context.Context // of the Get
}

func (o obedientObject) Read(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	return o.Object.Read(p)
}

// ctx governs all reading: that of the object which is open, and of those to come.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]int64{"before the first object": 0, "within the first object": 10, "between the objects": 100_000} {
		w := newWorld(t)
		b := w.store(t, random(7, 200_000), 100_000, 100_000)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := storage.NewBlobs(obedient{w.reads}, nil).Open(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, before); err != nil {
			t.Fatal(err)
		}
		cancel()
		if n, err := io.Copy(io.Discard, r); n != 0 || !errors.Is(err, context.Canceled) || !errors.Is(r.Err(), context.Canceled) {
			t.Errorf("%s: %d bytes, %v, Err() = %v; want context.Canceled", name, n, err, r.Err())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, open := w.reads.counts(); open != 0 {
			t.Errorf("%s: %d objects are still open", name, open)
		}
		if _, err := storage.NewBlobs(obedient{w.reads}, nil).Open(ctx, w.store(t, []byte("abc"))); !errors.Is(err, context.Canceled) {
			t.Errorf("a small blob: %v, want context.Canceled", err)
		}
	}
}

// A blob that is one local file can be handed to the kernel.
func TestReaderOfAFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blobs")
	u, err := gocloud.FileURL(dir)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := gocloud.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	content := random(8, 200_000)
	put := func(raw []byte) storage.Segment {
		key := storage.NewKey()
		if err := bucket.Put(t.Context(), key, bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		return storage.Segment{Key: key, Size: int64(len(raw))}
	}
	blobs := storage.NewBlobs(bucket, nil)
	one := storage.Blob{Digest: digestOf(content), Size: int64(len(content)), Segments: []storage.Segment{put(content)}}
	r := open(t, blobs, one)
	if r.File() == nil || r.Bytes() != nil {
		t.Errorf("file %v, %d bytes in memory; want a file", r.File(), len(r.Bytes()))
	}
	if err := iotest.TestReader(r, content); err != nil {
		t.Error(err)
	}
	if _, err := r.Seek(150_000, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content[150_000:]) {
		t.Errorf("from the middle: %d bytes, %v", len(got), err)
	}
	file := r.File()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file after Close: %v, want os.ErrClosed", err)
	}

	parts := storage.Blob{Digest: one.Digest, Size: one.Size, Segments: []storage.Segment{put(content[:100_000]), put(content[100_000:])}}
	if r := open(t, blobs, parts); r.File() != nil {
		t.Error("a blob of two files is said to be one")
	} else if err := iotest.TestReader(r, content); err != nil {
		t.Error(err)
	}

	wrong := one
	wrong.Segments = []storage.Segment{{Key: one.Segments[0].Key, Size: one.Size - 1}}
	wrong.Size--
	if r, err := blobs.Open(t.Context(), wrong); err == nil {
		r.Close()
		t.Error("a file of another size is handed out")
	}
	small := storage.Blob{Digest: digestOf([]byte("abc")), Size: 3, Segments: []storage.Segment{put([]byte("abc"))}}
	if r := open(t, blobs, small); r.File() != nil || string(r.Bytes()) != "abc" {
		t.Errorf("a small blob: file %v, %q; want it in memory", r.File(), r.Bytes())
	}
}
