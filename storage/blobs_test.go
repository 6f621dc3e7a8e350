package storage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// world is a bucket in memory: memory reaches under it, faulty makes it fail, and counting
// counts what is asked of it.
type world struct {
	memory *blob.Bucket
	faulty *storagetest.Faulty
	reads  *counting
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{memory: memblob.OpenBucket(nil)}
	bucket := gocloud.New(w.memory)
	tb.Cleanup(func() { bucket.Close() })
	w.faulty = &storagetest.Faulty{Bucket: bucket}
	w.reads = &counting{Bucket: w.faulty}
	return w
}

func (w *world) blobs(opts *storage.Options) *storage.Blobs { return storage.NewBlobs(w.reads, opts) }

// noCache makes every read go to the bucket.
func noCache() *storage.Options { return &storage.Options{CacheBytes: -1} }

// counting counts objects that were opened, and those that were not closed.
type counting struct {
	storage.Bucket
	mu           sync.Mutex
	opened, open int
}

func (c *counting) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	o, err := c.Bucket.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened++
	c.open++
	return &countedObject{Object: o, in: c}, nil
}

func (c *counting) counts() (opened, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened, c.open
}

type countedObject struct {
	storage.Object
	in   *counting
	once sync.Once
}

func (o *countedObject) Close() error {
	o.once.Do(func() {
		o.in.mu.Lock()
		defer o.in.mu.Unlock()
		o.in.open--
	})
	return o.Object.Close()
}

func digestOf(content []byte) manifest.Digest {
	sum := sha256.Sum256(content)
	return manifest.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// random returns bytes that no two places of which look alike.
func random(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

// store writes content as segments of the given sizes and returns the blob.
func (w *world) store(tb testing.TB, content []byte, sizes ...int) storage.Blob {
	tb.Helper()
	if sizes == nil {
		sizes = []int{len(content)}
	}
	b := storage.Blob{Digest: digestOf(content), Size: int64(len(content))}
	for _, size := range sizes {
		key := storage.NewKey()
		if err := w.memory.WriteAll(context.Background(), key, content[:size], nil); err != nil {
			tb.Fatal(err)
		}
		b.Segments = append(b.Segments, storage.Segment{Key: key, Size: int64(size)})
		content = content[size:]
	}
	if len(content) != 0 {
		tb.Fatalf("%d bytes are in no segment", len(content))
	}
	return b
}

// open opens a blob until the test ends.
func open(tb testing.TB, blobs *storage.Blobs, b storage.Blob) *storage.Reader {
	tb.Helper()
	r, err := blobs.Open(tb.Context(), b)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	return r
}

func TestWrite(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 513, 64 << 10, 1<<20 + 3} {
		w := newWorld(t)
		content := random(1, size)
		h, key := sha256.New(), storage.NewKey()
		// a reader that gives its last bytes with io.EOF, one that gives few at a time
		n, err := w.blobs(nil).Write(t.Context(), key, iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(content))), h)
		if err != nil || n != int64(size) {
			t.Fatalf("Write of %d bytes: %d, %v", size, n, err)
		}
		if got := manifest.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))); got != digestOf(content) {
			t.Errorf("%d bytes have digest %s, want %s", size, got, digestOf(content))
		}
		if got, err := w.memory.ReadAll(t.Context(), key); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the object has %d bytes, %v; want the %d that were written", len(got), err, size)
		}
	}
}

// A hash that has seen the chunks before goes on.
func TestWriteContinuesAHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(2, 1000)
	h := sha512.New()
	for i := 0; i < len(content); i += 300 {
		chunk := content[i:min(i+300, len(content))]
		if _, err := w.blobs(nil).Write(t.Context(), storage.NewKey(), bytes.NewReader(chunk), h); err != nil {
			t.Fatal(err)
		}
	}
	if want := sha512.Sum512(content); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Error("the hash is not that of all chunks")
	}
}

func (w *world) mustNotExist(t *testing.T, key string) {
	t.Helper()
	if ok, err := w.memory.Exists(t.Context(), key); ok || err != nil {
		t.Errorf("the object exists: %v, %v", ok, err)
	}
}

// A client that goes away is told apart from a bucket that fails, and neither leaves an
// object.
func TestWriteErrors(t *testing.T) {
	t.Parallel()
	gone, broken := errors.New("the client went away"), errors.New("the bucket is broken")
	for name, tt := range map[string]struct {
		faults storagetest.Faults
		r      io.Reader
		n      int64 // read at least
		err    error
		reader bool
	}{
		"the reader fails at once":     {r: iotest.ErrReader(gone), err: gone, reader: true},
		"the reader fails later":       {r: io.MultiReader(bytes.NewReader(random(3, 1<<20)), iotest.ErrReader(gone)), n: 1 << 20, err: gone, reader: true},
		"the reader ends early":        {r: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)), n: 3, err: io.ErrUnexpectedEOF, reader: true},
		"the reader's time is over":    {r: iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc"))), n: 1, err: iotest.ErrTimeout, reader: true},
		"the bucket fails at once":     {faults: storagetest.Faults{PutBefore: broken}, r: strings.NewReader("abc"), err: broken},
		"the bucket fails at its end":  {faults: storagetest.Faults{PutAtEnd: broken}, r: strings.NewReader("abc"), n: 3, err: broken},
		"the bucket is not even asked": {faults: storagetest.Faults{PutBefore: broken}, r: iotest.ErrReader(gone), err: broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.faulty.Set(tt.faults)
			key := storage.NewKey()
			n, err := w.blobs(nil).Write(t.Context(), key, tt.r, sha256.New())
			if !errors.Is(err, tt.err) || n < tt.n {
				t.Errorf("%d, %v; want at least %d and %v", n, err, tt.n, tt.err)
			}
			read, ok := errors.AsType[*storage.ReadError](err)
			if ok != tt.reader {
				t.Errorf("%T %v is a ReadError: %v, want %v", err, err, ok, tt.reader)
			}
			if ok && (!errors.Is(read.Err, tt.err) || !errors.Is(read.Unwrap(), tt.err) || read.Error() == "") {
				t.Errorf("the ReadError has %v", read.Err)
			}
			w.mustNotExist(t, key)
		})
	}
}

func TestWriteOfACanceledContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	key := storage.NewKey()
	_, err := w.blobs(nil).Write(ctx, key, io.MultiReader(strings.NewReader("abc"), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	})), sha256.New())
	if err == nil {
		t.Error("the context ended and Write succeeded")
	}
	w.mustNotExist(t, key)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestNewKey(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`\A[0-9a-f]{2}/[0-9a-f]{30}\z`)
	seen := map[string]bool{}
	folders := map[string]bool{}
	for range 5000 {
		key := storage.NewKey()
		if !form.MatchString(key) || seen[key] {
			t.Fatalf("NewKey() = %q, seen before: %v", key, seen[key])
		}
		seen[key], folders[key[:2]] = true, true
	}
	if len(folders) < 200 {
		t.Errorf("5000 keys are in %d folders", len(folders))
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blobs := w.blobs(nil)
	b := w.store(t, []byte("abc"))
	for range 2 { // the second finds nothing, which is no error
		if err := blobs.Delete(t.Context(), b.Segments[0].Key); err != nil {
			t.Error(err)
		}
		w.mustNotExist(t, b.Segments[0].Key)
	}
	broken := errors.New("the bucket is broken")
	w.faulty.Set(storagetest.Faults{Delete: broken})
	if err := blobs.Delete(t.Context(), b.Segments[0].Key); !errors.Is(err, broken) {
		t.Errorf("%v, want the bucket's error", err)
	}
}

func TestRehash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(4, 200_000)
	b := w.store(t, content, 1, 99_999, 100_000)
	h := sha512.New()
	if err := w.blobs(nil).Rehash(t.Context(), b.Segments, h); err != nil {
		t.Fatal(err)
	}
	if want := sha512.Sum512(content); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Error("another digest")
	}
	if _, open := w.reads.counts(); open != 0 {
		t.Errorf("%d objects are still open", open)
	}
	if err := w.blobs(nil).Rehash(t.Context(), nil, sha512.New()); err != nil {
		t.Errorf("of no segments: %v", err)
	}
	b.Segments[1].Size--
	if err := w.blobs(nil).Rehash(t.Context(), b.Segments, sha512.New()); err == nil {
		t.Error("an object of another size is not noticed")
	}
	b.Segments[1].Size++
	broken := errors.New("the bucket is broken")
	w.faulty.Set(storagetest.Faults{GetAfter: 10_000, GetError: broken})
	if err := w.blobs(nil).Rehash(t.Context(), b.Segments, sha512.New()); !errors.Is(err, broken) {
		t.Errorf("%v, want the bucket's error", err)
	}
	w.faulty.Set(storagetest.Faults{})
	if err := w.memory.Delete(t.Context(), b.Segments[2].Key); err != nil {
		t.Fatal(err)
	}
	if err := w.blobs(nil).Rehash(t.Context(), b.Segments, sha512.New()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want an error wrapping fs.ErrNotExist", err)
	}
	if _, open := w.reads.counts(); open != 0 {
		t.Errorf("%d objects are still open", open)
	}
}

func TestSmallBlobsAreCached(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1000, storage.MaxCachedBlob} {
		w := newWorld(t)
		blobs := w.blobs(nil)
		content := random(5, size)
		b := w.store(t, content)
		if r := open(t, blobs, b); !bytes.Equal(r.Bytes(), content) || r.Bytes() == nil || r.Size() != int64(size) {
			t.Fatalf("%d bytes: %d, size %d", size, len(r.Bytes()), r.Size())
		}
		first, _ := w.reads.counts()
		w.faulty.Set(storagetest.Faults{Get: errors.New("the bucket was asked again")})
		for range 2 {
			r := open(t, blobs, b)
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes from the cache: %d, %v", size, len(got), err)
			}
			if raw, err := blobs.ReadAll(t.Context(), b); err != nil || !bytes.Equal(raw, content) {
				t.Errorf("ReadAll from the cache: %d, %v", len(raw), err)
			}
		}
		if opened, open := w.reads.counts(); opened != first || open != 0 {
			t.Errorf("%d more objects were opened, %d are open", opened-first, open)
		}
	}
}

func TestLargeBlobsAreNotCached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blobs := w.blobs(nil)
	content := random(6, storage.MaxCachedBlob+1)
	b := w.store(t, content)
	for range 2 {
		if r := open(t, blobs, b); r.Bytes() != nil {
			t.Error("a large blob is in memory")
		}
		if raw, err := blobs.ReadAll(t.Context(), b); err != nil || !bytes.Equal(raw, content) {
			t.Errorf("ReadAll: %d bytes, %v", len(raw), err)
		}
	}
	if opened, _ := w.reads.counts(); opened < 2 {
		t.Errorf("%d objects were opened for two reads", opened)
	}
}

func TestNoCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blobs := w.blobs(noCache())
	b := w.store(t, []byte("abc"))
	for i := range 3 {
		if raw, err := blobs.ReadAll(t.Context(), b); err != nil || string(raw) != "abc" {
			t.Errorf("%q, %v", raw, err)
		}
		if opened, open := w.reads.counts(); opened != i+1 || open != 0 {
			t.Errorf("%d objects were opened for %d reads, %d are open", opened, i+1, open)
		}
	}
}

// The empty blob is a blob, however it is stored and with any cache.
func TestEmptyBlob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	none := storage.Blob{Digest: digestOf(nil)}
	for name, b := range map[string]storage.Blob{"no segments": none, "an empty segment": w.store(t, nil, 0), "two empty segments": w.store(t, nil, 0, 0)} {
		for cache, opts := range map[string]*storage.Options{"a cache": nil, "no cache": noCache()} {
			t.Run(name+", "+cache, func(t *testing.T) {
				t.Parallel()
				r, err := w.blobs(opts).Open(t.Context(), b)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if got, err := io.ReadAll(r); err != nil || len(got) != 0 || r.Size() != 0 {
					t.Errorf("%d bytes, size %d, %v", len(got), r.Size(), err)
				}
			})
		}
	}
}

// What goes wrong on a disk is found before it is served, and nothing wrong is remembered.
func TestCorruptedSmallBlob(t *testing.T) {
	t.Parallel()
	for name, damaged := range map[string]string{
		"a flipped bit": "abd", "cut short": "ab", "longer": "abcd", "emptied": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			blobs := w.blobs(nil)
			b := w.store(t, []byte("abc"))
			key := b.Segments[0].Key
			if err := w.memory.WriteAll(t.Context(), key, []byte(damaged), nil); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if r, err := blobs.Open(t.Context(), b); err == nil {
					t.Errorf("Open succeeded with %q", r.Bytes())
				}
				if raw, err := blobs.ReadAll(t.Context(), b); err == nil {
					t.Errorf("ReadAll succeeded with %q", raw)
				}
			}
			if err := w.memory.WriteAll(t.Context(), key, []byte("abc"), nil); err != nil {
				t.Fatal(err)
			}
			if raw, err := blobs.ReadAll(t.Context(), b); err != nil || string(raw) != "abc" {
				t.Errorf("repaired: %q, %v", raw, err)
			}
			if err := w.memory.WriteAll(t.Context(), key, []byte(damaged), nil); err != nil {
				t.Fatal(err)
			}
			if raw, err := blobs.ReadAll(t.Context(), b); err != nil || string(raw) != "abc" {
				t.Errorf("from the cache: %q, %v", raw, err)
			}
			if _, open := w.reads.counts(); open != 0 {
				t.Errorf("%d objects are still open", open)
			}
		})
	}
}

func TestMissingObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, b := range map[string]storage.Blob{"small": w.store(t, []byte("abc")), "large": w.store(t, random(7, 100_000)), "in parts": w.store(t, random(8, 100_000), 50_000, 50_000)} {
		for cache, opts := range map[string]*storage.Options{"a cache": nil, "no cache": noCache()} {
			blobs := w.blobs(opts)
			if err := blobs.Delete(t.Context(), b.Segments[len(b.Segments)-1].Key); err != nil {
				t.Fatal(err)
			}
			r, err := blobs.Open(t.Context(), b)
			if err == nil {
				_, err = io.ReadAll(r)
				if r.Err() == nil {
					t.Errorf("%s, %s: the bucket failed and Err says nothing", name, cache)
				}
				r.Close()
			}
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s, %s: %v, want an error wrapping fs.ErrNotExist", name, cache, err)
			}
		}
	}
}

// Readers of one Blobs share its cache.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blobs := storage.NewBlobs(w.reads, &storage.Options{CacheBytes: 1 << 20})
	var all []storage.Blob
	var contents [][]byte
	for i := range 12 {
		content := random(uint64(100+i), 1000+i*9000)
		contents = append(contents, content)
		all = append(all, w.store(t, content, 500, len(content)-500))
	}
	var group sync.WaitGroup
	for g := range 6 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 4))
			for range 60 {
				i := rng.IntN(len(all))
				r, err := blobs.Open(t.Context(), all[i])
				if err != nil {
					t.Error(err)
					continue
				}
				at := rng.Int64N(all[i].Size)
				if _, err := r.Seek(at, io.SeekStart); err != nil {
					t.Error(err)
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, contents[i][at:]) {
					t.Errorf("blob %d from %d: %d bytes, %v", i, at, len(got), err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if _, open := w.reads.counts(); open != 0 {
		t.Errorf("%d objects are still open", open)
	}
}

func TestSweepUnfinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if n, err := storage.SweepUnfinished(t.Context(), w.faulty, time.Now()); n != 0 || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a bucket that has no Sweeper: %d, %v; want errors.ErrUnsupported", n, err)
	}
	s := &sweeper{Bucket: w.faulty}
	before := time.Now().Add(-time.Hour)
	if n, err := storage.SweepUnfinished(t.Context(), s, before); n != 3 || err != nil || !s.before.Equal(before) {
		t.Errorf("%d, %v, before %v", n, err, s.before)
	}
}

type sweeper struct {
	storage.Bucket
	before time.Time
}

func (s *sweeper) SweepUnfinished(_ context.Context, before time.Time) (int, error) {
	s.before = before
	return 3, nil
}
