package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "gocloud.dev/blob/fileblob"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// stores are the ways that the bytes of a blob come: from the cache of small ones, from an
// object, from several, from a file that the kernel sends.
func stores(t *testing.T) map[string]*wire {
	dir := func(c *registry.Config) {
		u, err := gocloud.FileURL(filepath.Join(t.TempDir(), "blobs"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := gocloud.Open(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		c.Bucket, c.BlobCache = b, -1
	}
	return map[string]*wire{
		"cache":  newWire(t),
		"object": newWire(t, func(c *registry.Config) { c.BlobCache = -1 }),
		"file":   newWire(t, dir),
		"served": newWire(t, dir).served(),
	}
}

// pushChunks pushes a blob in chunks, which become its segments.
func (w *wire) pushChunks(repo string, content []byte, size int) string {
	w.t.Helper()
	location := w.start(repo)
	for len(content) > 0 {
		chunk := content[:min(size, len(content))]
		location = w.send("PATCH", location, chunk).want(202).header.Get("Location")
		content = content[len(chunk):]
	}
	return location
}

func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + i%26 + i/26%3)
	}
	return b
}

func TestB34BlobHasItsHeaders(t *testing.T) {
	t.Parallel()
	content := text(1000)
	for name, w := range stores(t) {
		w.pushBlob("test/hat", content)
		path := "/v2/test/hat/blobs/" + sha(content)
		var headers []http.Header
		for _, method := range []string{"GET", "HEAD"} {
			r := w.anonymous().send(method, path, nil).want(200).has(
				"Content-Length", "1000", "Docker-Content-Digest", sha(content), "Content-Type", "application/octet-stream", "Accept-Ranges", "bytes")
			r.header.Del("Date")
			r.header.Del("Cache-Control") // caches keep no HEAD
			headers = append(headers, r.header)
			if method == "GET" {
				r.content(content)
			}
		}
		same(t, name+": headers of HEAD", headers[1], headers[0])
	}
}

// Clients ask for encodings on blobs, and would decode.
func TestB35NothingIsEncoded(t *testing.T) {
	t.Parallel()
	zipped := append([]byte("\x1f\x8b\x08\x00"), bytes.Repeat([]byte("zipped"), 1000)...)
	plain := bytes.Repeat([]byte("compressible "), 10000)
	memory := newWire(t)
	for _, w := range []*wire{memory, memory.served()} {
		p := w.pushImage("test/hat", "v1", "hat")
		for _, accept := range []string{"zstd;q=1.0, gzip;q=0.8, identity;q=0.1", "gzip", "identity;q=0, gzip", "*", "br"} {
			for _, content := range [][]byte{zipped, plain} {
				w.pushBlob("test/hat", content)
				path := "/v2/test/hat/blobs/" + sha(content)
				w.send("GET", path, nil, "Accept-Encoding", accept).is(200).lacks("Content-Encoding").has("Content-Length", fmt.Sprint(len(content))).content(content)
				w.send("GET", path, nil, "Accept-Encoding", accept, "Range", "bytes=2-").is(206).content(content[2:])
				w.send("HEAD", path, nil, "Accept-Encoding", accept).is(200).has("Content-Length", fmt.Sprint(len(content)))
			}
			w.send("GET", "/v2/test/hat/manifests/v1", nil, "Accept-Encoding", accept).is(200).content(p.raw)
		}
	}
}

func TestB36RangesAreExact(t *testing.T) {
	t.Parallel()
	content := text(100_000) // more than the cache of small blobs takes
	for name, w := range stores(t) {
		t.Run(name, func(t *testing.T) {
			w := w.at(t)
			for _, chunk := range []int{1 << 20, 30_000} {
				repo := fmt.Sprint("test/hat", chunk)
				c := append(content, repo...)
				w.send("PUT", closing(w.pushChunks(repo, c, chunk), sha(c)), nil).want(201)
				path, size := "/v2/"+repo+"/blobs/"+sha(c), len(c)
				for _, from := range []int{0, 1, 29_999, 30_000, 30_001, 65_536, 90_000, size - 1} {
					w.send("GET", path, nil, "Range", fmt.Sprintf("bytes=%d-", from)).want(206).has(
						"Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, size-1, size), "Content-Length", fmt.Sprint(size-from),
						"Docker-Content-Digest", sha(c)).content(c[from:])
					to := min(from+31_000, size-1)
					w.send("GET", path, nil, "Range", fmt.Sprintf("bytes=%d-%d", from, to)).want(206).has(
						"Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size)).content(c[from : to+1])
				}
				w.send("GET", path, nil, "Range", "bytes=-10").want(206).has("Content-Range", fmt.Sprintf("bytes %d-%d/%d", size-10, size-1, size)).content(c[size-10:])
				w.send("GET", path, nil, "Range", "bytes=10-9999999999").want(206).has("Content-Range", fmt.Sprintf("bytes 10-%d/%d", size-1, size)).content(c[10:])
				for _, beyond := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=9999999999-", "bytes=9223372036854775807-", "bytes=-0"} {
					w.send("GET", path, nil, "Range", beyond).want(416).has("Content-Range", fmt.Sprintf("bytes */%d", size))
				}
				w.send("GET", path, nil, "Range", "octets=0-9").want(200).content(c)
				w.send("HEAD", path, nil, "Range", "bytes=5-").is(200, 206)
				w.several(path, c)
				// If-Range, with which a client resumes what it has begun.
				w.send("GET", path, nil, "Range", "bytes=5-", "If-Range", `"`+sha(c)+`"`).want(206).content(c[5:])
				w.send("GET", path, nil, "Range", "bytes=5-", "If-Range", `"other"`).want(200).content(c)
			}
		})
	}
}

// several asks for several ranges at once.
func (w *wire) several(path string, c []byte) {
	w.t.Helper()
	r := w.send("GET", path, nil, "Range", "bytes=0-1,50000-50004,-3").want(206)
	kind, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		w.t.Fatalf("Content-Type %q, %v", r.header.Get("Content-Type"), err)
	}
	in := multipart.NewReader(bytes.NewReader(r.body), params["boundary"])
	for _, want := range [][2]int{{0, 2}, {50_000, 50_005}, {len(c) - 3, len(c)}} {
		part, err := in.NextPart()
		if err != nil {
			w.t.Fatal(err)
		}
		got, err := io.ReadAll(part)
		header := fmt.Sprintf("bytes %d-%d/%d", want[0], want[1]-1, len(c))
		if err != nil || !bytes.Equal(got, c[want[0]:want[1]]) || part.Header.Get("Content-Range") != header {
			w.t.Errorf("part %s: %q, %v; want %s", part.Header.Get("Content-Range"), got, err, header)
		}
	}
	if _, err := in.NextPart(); err != io.EOF {
		w.t.Errorf("more parts: %v", err)
	}
}

func TestB36ManyOrMalformedRangesAreNoFault(t *testing.T) {
	t.Parallel()
	content := text(1000)
	memory := newWire(t)
	for _, w := range []*wire{memory, memory.served()} {
		w.pushBlob("test/hat", content)
		w.pushBlob("test/hat", nil)
		for _, r := range []string{
			"bytes=", "bytes=-", "bytes=x-y", "bytes=5-1", "bytes=--5", "bytes=1--5", "bytes=99999999999999999999-", "bytes=0-99999999999999999999",
			"bytes=-99999999999999999999", "bytes", "=", "bytes=0-0," + strings.Repeat("1-1,", 10_000), "bytes=" + strings.Repeat("0-,", 2000), "bytes=,,,", "bytes=0-0 ,\t2-2",
		} {
			w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil, "Range", r).is(200, 206, 400, 416)
			w.send("GET", "/v2/test/hat/blobs/"+emptyDigest, nil, "Range", r).is(200, 400, 416)
		}
		for _, method := range []string{"GET", "HEAD"} {
			w.send(method, "/v2/test/hat/blobs/"+sha(content), nil, "If-None-Match", `"`+sha(content)+`"`).is(304, 200)
			w.send(method, "/v2/test/hat/blobs/"+sha(content), nil, "If-None-Match", `"other"`).is(200)
		}
	}
}

// endless is an object of any size in no memory.
type endless struct {
	size   int64
	off    int64 // where it was opened
	ctx    context.Context
	stall  int64 // reads nothing beyond this many bytes until ctx ends; 0: never
	read   atomic.Int64
	closed chan struct{}
	once   sync.Once
}

func (e *endless) Size() int64 { return e.size }

func (e *endless) Read(p []byte) (int, error) {
	if e.stall > 0 && e.read.Load() >= e.stall {
		<-e.ctx.Done()
		return 0, e.ctx.Err()
	}
	clear(p)
	e.read.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

// plant puts the rows of a blob whose bytes the bucket makes up.
func (w *wire) plant(repo string, size int64) string {
	w.t.Helper()
	d := manifest.Digest(sha(fmt.Appendf(nil, "planted %d", size)))
	r, err := w.Store.Find(w.t.Context(), strings.Split(repo, "/")[0], strings.SplitN(repo, "/", 2)[1])
	if err == nil {
		err = w.Store.Update(w.t.Context(), func(tx meta.Tx) error {
			now := time.Now().UTC()
			return errors.Join(
				tx.Blobs().Put(meta.Blob{Digest: d, Size: size, Segments: []meta.Segment{{Key: "planted", Size: size}}, Created: now}),
				tx.Links().Put(meta.Link{Repository: r.ID, Digest: d, Created: now}),
			)
		})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return string(d)
}

// containerd opens many ranges to the end, and closes each after a chunk.
func TestB37ClosedRangeStopsTheBucketAtOnce(t *testing.T) {
	t.Parallel()
	for name, stall := range map[string]int64{"flowing": 0, "stalled": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const size = 10 << 30
			objects := make(chan *endless, 100)
			w := newWire(t, tapped(&tap{get: func(ctx context.Context, key string, off int64) (storage.Object, bool) {
				e := &endless{size: size, off: off, ctx: ctx, stall: stall, closed: make(chan struct{})}
				if key == "planted" {
					objects <- e
				}
				return e, key == "planted"
			}})).served()
			w.pushImage("test/hat", "v1", "hat")
			d := w.plant("test/hat", size)
			for _, from := range []int64{0, 5 << 30} {
				ctx, cancel := context.WithCancel(t.Context())
				res, err := w.rt.RoundTrip(w.request("GET", "/v2/test/hat/blobs/"+d, nil, "Range", fmt.Sprintf("bytes=%d-", from)).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(io.Discard, res.Body, 1024); err != nil || res.StatusCode != 206 {
					t.Fatalf("%s: %v", res.Status, err)
				}
				res.Body.Close()
				cancel()
				var read int64
				for first := true; first || len(objects) > 0; first = false {
					e := <-objects
					select {
					case <-e.closed:
					case <-time.After(10 * time.Second):
						t.Fatal("the object is still open")
					}
					if read += e.read.Load(); e.off != from {
						t.Errorf("the object was opened at %d for a range from %d", e.off, from)
					}
				}
				if read > 64<<20 {
					t.Errorf("%d bytes were read for 1024", read)
				}
			}
		})
	}
}

// Clients resume only what ends unexpectedly.
func TestB38FailureMidwayCutsTheConnection(t *testing.T) {
	t.Parallel()
	var bucket *storagetest.Faulty
	w := newWire(t, faulty(&bucket))
	content := text(1 << 20)
	w.pushBlob("test/one", content)
	w.send("PUT", closing(w.pushChunks("test/many", append(content, 'x'), 300<<10), sha(append(content, 'x'))), nil).want(201)
	for _, client := range []*wire{w, w.served()} {
		for _, path := range []string{"/v2/test/one/blobs/" + sha(content), "/v2/test/many/blobs/" + sha(append(content, 'x'))} {
			for _, rang := range []string{"", "bytes=1000-", "bytes=1000-900000"} {
				bucket.Set(storagetest.Faults{GetAfter: 200 << 10, GetError: errors.New("the backend fails")})
				res, err := client.rt.RoundTrip(client.request("GET", path, nil, "Range", rang))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if !errors.Is(err, io.ErrUnexpectedEOF) || res.StatusCode/100 != 2 || res.Header.Get("Content-Length") == "" {
					t.Errorf("%s %q: %s, Content-Length %s, %d bytes, %v; want an unexpected end", path, rang, res.Status, res.Header.Get("Content-Length"), len(got), err)
				}
				bucket.Set(storagetest.Faults{})
				client.send("GET", path, nil, "Range", fmt.Sprintf("bytes=%d-", len(got))).want(206)
			}
			bucket.Set(storagetest.Faults{Get: errors.New("the backend fails at once")})
			res, err := client.rt.RoundTrip(client.request("GET", path, nil))
			if err == nil {
				if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode == 200 {
					t.Errorf("%s: a clean 200 from a bucket that fails", path)
				}
				res.Body.Close()
			}
			bucket.Set(storagetest.Faults{})
			client.send("GET", path, nil).want(200)
		}
	}
}
