// Package storagetest is the suite that every storage.Bucket passes, and a bucket that
// fails on purpose.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/storage"
)

// Run tests the buckets that open makes. Each call of open must make an empty one.
func Run(t *testing.T, open func(t *testing.T) storage.Bucket) {
	for _, c := range []struct {
		name string
		test func(*testing.T, storage.Bucket)
	}{
		{"GetReturnsWhatWasPut", testRoundTrip},
		{"RangesAreExact", testRanges},
		{"MissingIsErrNotExist", testMissing},
		{"FailingReaderLeavesNothing", testFailingReader},
		{"EndedContextLeavesNothing", testContext},
		{"PutIsInvisibleUntilDone", testInvisible},
		{"ListIsInKeyOrder", testList},
		{"DeleteRemoves", testDelete},
		{"ConcurrentPuts", testConcurrent},
		{"SweepLeavesObjectsAlone", testSweep},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func put(t *testing.T, b storage.Bucket, key string, data []byte) {
	t.Helper()
	if err := b.Put(t.Context(), key, bytes.NewReader(data)); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func get(t *testing.T, b storage.Bucket, key string, off, n int64) ([]byte, int64) {
	t.Helper()
	o, err := b.Get(t.Context(), key, off, n)
	if err != nil {
		t.Fatalf("Get(%d, %d): %v", off, n, err)
	}
	data, err := io.ReadAll(o)
	if err := errors.Join(err, o.Close()); err != nil {
		t.Fatalf("read of (%d, %d): %v", off, n, err)
	}
	return data, o.Size()
}

// mustNotExist checks that no method finds the object.
func mustNotExist(t *testing.T, b storage.Bucket, key string) {
	t.Helper()
	if _, err := b.Get(t.Context(), key, 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of a missing object: %v, want fs.ErrNotExist", err)
	}
	if _, err := b.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of a missing object: %v, want fs.ErrNotExist", err)
	}
	for a, err := range b.List(t.Context(), "", "") {
		if err != nil || a.Key == key {
			t.Errorf("List yields %q, %v", a.Key, err)
		}
	}
}

func testRoundTrip(t *testing.T, b storage.Bucket) {
	for _, size := range []int{0, 1, 511, 512, 513, 128 << 10, 1<<20 + 7} {
		data := bytes.Repeat([]byte{byte(size), 1, 2}, size)[:size]
		key := storage.NewKey()
		put(t, b, key, data)
		got, total := get(t, b, key, 0, -1)
		if !bytes.Equal(got, data) || total != int64(size) {
			t.Errorf("%d bytes: got %d, size %d", size, len(got), total)
		}
		a, err := b.Stat(t.Context(), key)
		if err != nil || a.Size != int64(size) || a.Key != key || time.Since(a.Modified).Abs() > time.Hour {
			t.Errorf("Stat: %+v, %v", a, err)
		}
	}
}

func testRanges(t *testing.T, b storage.Bucket) {
	key := storage.NewKey()
	put(t, b, key, []byte("0123456789"))
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, -1, "0123456789"}, {3, -1, "3456789"}, {3, 4, "3456"}, {0, 0, ""}, {9, 1, "9"}, {8, 100, "89"}} {
		if got, size := get(t, b, key, c.off, c.n); string(got) != c.want || size != 10 {
			t.Errorf("Get(%d, %d) = %q of %d bytes, want %q of 10", c.off, c.n, got, size, c.want)
		}
	}
}

func testMissing(t *testing.T, b storage.Bucket) {
	key := storage.NewKey()
	mustNotExist(t, b, key)
	if err := b.Delete(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Delete of a missing object: %v, want fs.ErrNotExist", err)
	}
}

func testFailingReader(t *testing.T, b storage.Bucket) {
	bad := errors.New("the client went away")
	for _, size := range []int64{0, 10, 600, 1 << 20} {
		key := storage.NewKey()
		r := io.MultiReader(io.LimitReader(zeros{}, size), iotest.ErrReader(bad))
		if err := b.Put(t.Context(), key, r); !errors.Is(err, bad) {
			t.Errorf("Put after %d bytes: %v, want the reader's error", size, err)
		}
		mustNotExist(t, b, key)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func testContext(t *testing.T, b storage.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	key := storage.NewKey()
	r := io.MultiReader(io.LimitReader(zeros{}, 1000), readFunc(func([]byte) (int, error) { cancel(); return 0, ctx.Err() }))
	if err := b.Put(ctx, key, r); !errors.Is(err, context.Canceled) {
		t.Errorf("Put under a context that ended: %v, want context.Canceled", err)
	}
	mustNotExist(t, b, key)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func testInvisible(t *testing.T, b storage.Bucket) {
	key := storage.NewKey()
	r := io.MultiReader(io.LimitReader(zeros{}, 1<<20), readFunc(func([]byte) (int, error) {
		mustNotExist(t, b, key)
		return 0, io.EOF
	}))
	if err := b.Put(t.Context(), key, r); err != nil {
		t.Fatal(err)
	}
	get(t, b, key, 0, -1)
}

func testList(t *testing.T, b storage.Bucket) {
	var want []string
	for i := range 40 {
		key := fmt.Sprintf("%02x/%d", i%7, i)
		put(t, b, key, []byte("x"))
		want = append(want, key)
	}
	slices.Sort(want)
	list := func(prefix, after string) (keys []string) {
		for a, err := range b.List(t.Context(), prefix, after) {
			if err != nil {
				t.Fatal(err)
			}
			if a.Size != 1 {
				t.Errorf("%s has size %d, want 1", a.Key, a.Size)
			}
			keys = append(keys, a.Key)
		}
		return keys
	}
	if diff := cmp.Diff(want, list("", "")); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[11:], list("", want[10])); diff != "" {
		t.Errorf("after a key (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(slices.DeleteFunc(slices.Clone(want), func(k string) bool { return k[:3] != "03/" }), list("03/", "")); diff != "" {
		t.Errorf("with a prefix (-want +got):\n%s", diff)
	}
}

func testDelete(t *testing.T, b storage.Bucket) {
	key, other := storage.NewKey(), storage.NewKey()
	put(t, b, key, []byte("a"))
	put(t, b, other, []byte("b"))
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	mustNotExist(t, b, key)
	get(t, b, other, 0, -1)
}

func testConcurrent(t *testing.T, b storage.Bucket) {
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			key, data := storage.NewKey(), bytes.Repeat([]byte{byte(i)}, 10_000*(i%3)+i)
			if err := b.Put(t.Context(), key, bytes.NewReader(data)); err != nil {
				t.Error(err)
				return
			}
			o, err := b.Get(t.Context(), key, 0, -1)
			if err != nil {
				t.Error(err)
				return
			}
			defer o.Close()
			if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, data) {
				t.Errorf("object %d: %d bytes, %v; want %d", i, len(got), err, len(data))
			}
		})
	}
	wg.Wait()
}

func testSweep(t *testing.T, b storage.Bucket) {
	key := storage.NewKey()
	put(t, b, key, []byte("kept"))
	n, err := storage.SweepUnfinished(t.Context(), b, time.Now().Add(time.Hour))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("sweep: %v", err)
	}
	if n != 0 {
		t.Errorf("a sweep removed %d, want none", n)
	}
	get(t, b, key, 0, -1)
}
