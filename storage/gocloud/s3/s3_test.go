package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/esplanade-registry/esplanade/internal/s3test"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

func open(t *testing.T, bucketURL string, opts *s3.Options) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(t.Context(), bucketURL, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBucket(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	storagetest.Run(t, func(t *testing.T) storage.Bucket { return open(t, server.Bucket(t), nil) })
}

// Without what this package adds, a bucket of S3 is a bucket too.
func TestPlainBucket(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	storagetest.Run(t, func(t *testing.T) storage.Bucket {
		b, err := gocloud.Open(t.Context(), server.Bucket(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	})
}

// pattern is bytes that differ from part to part.
func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i>>20) ^ byte(i*31)
	}
	return data
}

func TestParts(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	for name, c := range map[string]struct {
		size    int
		buffers int64
	}{
		"all of the first buffer":      {16 << 10, 0},
		"one byte over the first":      {16<<10 + 1, 0},
		"all of the second":            {128 << 10, 0},
		"one byte over the second":     {128<<10 + 1, 0},
		"one byte short of a part":     {s3.PartSize - 1, 0},
		"a part":                       {s3.PartSize, 0},
		"two parts":                    {2 * s3.PartSize, 0},
		"one byte over":                {2*s3.PartSize + 1, 0},
		"more than are sent at once":   {6*s3.PartSize + 7, 0},
		"with one buffer":              {3*s3.PartSize + 7, 1},
		"with less than all in flight": {5*s3.PartSize + 7, 2 * s3.PartSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, key, want := open(t, server.Bucket(t), &s3.Options{Buffers: c.buffers}), storage.NewKey(), pattern(c.size)
			if err := b.Put(t.Context(), key, iotest.HalfReader(bytes.NewReader(want))); err != nil {
				t.Fatal(err)
			}
			for _, off := range []int64{0, int64(c.size) - 5} {
				o, err := b.Get(t.Context(), key, off, -1)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(o)
				if err := errors.Join(err, o.Close()); err != nil || !bytes.Equal(got, want[off:]) || o.Size() != int64(c.size) {
					t.Errorf("from %d: %d bytes of %d, %v", off, len(got), o.Size(), err)
				}
			}
		})
	}
}

func TestUnfinishedUploadsAreSwept(t *testing.T) {
	t.Parallel()
	b := open(t, s3test.Start(t).Bucket(t), nil)
	whole := storage.NewKey()
	if err := b.Put(t.Context(), whole, bytes.NewReader(pattern(3*s3.PartSize))); err != nil {
		t.Fatal(err)
	}
	// What runs since the time given is not touched, and ends.
	running, swept := storage.NewKey(), 0
	r := io.MultiReader(bytes.NewReader(pattern(3*s3.PartSize)), readFunc(func([]byte) (int, error) {
		n, err := b.SweepUnfinished(t.Context(), time.Now().Add(-time.Hour))
		if n != 0 || err != nil {
			t.Errorf("swept %d, %v; want none", n, err)
		}
		return 0, io.EOF
	}))
	if err := b.Put(t.Context(), running, r); err != nil {
		t.Fatal(err)
	}
	// What was begun before it is.
	killed := storage.NewKey()
	r = io.MultiReader(bytes.NewReader(pattern(3*s3.PartSize)), readFunc(func([]byte) (int, error) {
		n, err := b.SweepUnfinished(t.Context(), time.Now().Add(time.Hour))
		if swept += n; err != nil {
			t.Error(err)
		}
		return 0, io.EOF
	}))
	if err := b.Put(t.Context(), killed, r); err == nil || swept != 1 {
		t.Errorf("swept %d; the write says %v", swept, err)
	}
	for key, want := range map[string]error{whole: nil, running: nil, killed: fs.ErrNotExist} {
		if _, err := b.Stat(t.Context(), key); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestBusyServerIsAskedAgain(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	proxy := server.Proxy(t)
	server.Bucket(t)
	b := open(t, s3test.URL("test1", proxy.Addr()), nil)
	for _, size := range []int{1, s3.PartSize - 1, 2*s3.PartSize + 1} {
		key, want := storage.NewKey(), pattern(size)
		proxy.Busy.Store(true)
		refused := proxy.Refused.Load()
		done := make(chan error, 1)
		go func() { done <- b.Put(t.Context(), key, bytes.NewReader(want)) }()
		for proxy.Refused.Load() == refused {
			select {
			case err := <-done:
				t.Fatalf("the write ended: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
		proxy.Busy.Store(false)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if a, err := b.Stat(t.Context(), key); err != nil || a.Size != int64(size) {
			t.Errorf("%d bytes: %+v, %v", size, a, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "file:///tmp", "s3://bucket?region=eu-west-1&colour=blue", "s3://", "s3://a b"} {
		if _, err := s3.Open(t.Context(), u, nil); err == nil {
			t.Errorf("%q was opened", u)
		}
	}
}

// counting counts what is read of it.
type counting struct {
	io.Reader
	n atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A write that finds no buffer does not read on, until another has sent its part; one that needs
// none is not held up.
func TestWritesShareBuffers(t *testing.T) {
	t.Parallel()
	b := open(t, s3test.Start(t).Bucket(t), &s3.Options{Buffers: s3.PartSize})
	holds, goesOn := make(chan struct{}), make(chan struct{})
	stuck := io.MultiReader(bytes.NewReader(pattern(1<<20)), readFunc(func([]byte) (int, error) {
		close(holds)
		<-goesOn
		return 0, io.EOF
	}))
	done := make(chan error, 2)
	go func() { done <- b.Put(t.Context(), storage.NewKey(), stuck) }()
	<-holds
	const head = 128 << 10
	waits := &counting{Reader: bytes.NewReader(pattern(3 * s3.PartSize))}
	go func() { done <- b.Put(t.Context(), storage.NewKey(), waits) }()
	for waits.n.Load() < head {
		runtime.Gosched()
	}
	for i := range 20 { // each asks the server, which gives the other time
		if err := b.Put(t.Context(), storage.NewKey(), bytes.NewReader(pattern(1000*i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := waits.n.Load(); n != head {
		t.Errorf("%d bytes were read without a buffer, want %d", n, head)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, storage.NewKey(), bytes.NewReader(pattern(1<<20))); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits under a context that has ended: %v", err)
	}
	close(goesOn)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
