package registry_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// errDriver is an error of a bucket. No client may see its text.
var errDriver = errors.New("s3cr3t driver text")

// wantFault checks the reply to a fault that is not the client's.
func wantFault(t testing.TB, r *reply) {
	t.Helper()
	if r.status < 500 || strings.Contains(string(r.body), "s3cr3t") {
		t.Errorf("%s: %d %.300s; want 5xx, and nothing of the driver", r.what, r.status, r.body)
	}
}

// ambiguous is a bucket that fails after it has done what it was asked to, as one does whose
// answer is lost.
type ambiguous struct {
	storage.Bucket
	fails atomic.Bool
}

func (a *ambiguous) Put(ctx context.Context, key string, r io.Reader) error {
	err := a.Bucket.Put(ctx, key, r)
	if err == nil && a.fails.Load() {
		return errDriver
	}
	return err
}

// pushing is a push that is about to send bytes, to an upload unless that is made on the way.
type pushing struct {
	upload string        // its location, if it is known
	send   func() *reply // the request that takes bytes
	rest   func() *reply // the one after it, if there is one
}

// Whenever a bucket fails to take bytes, nothing is visible of them, and the same request
// works when it is well again.
func TestFaultOfPut(t *testing.T) {
	t.Parallel()
	const large = 100 << 10
	content := text(large + 1000)
	digest := sha(content)
	stores := []string{"memory", "database"}
	if testing.Short() {
		stores = stores[:1]
	}
	ways := map[string]func(w *wire) pushing{
		"POST with the digest": func(w *wire) pushing {
			return pushing{send: func() *reply { return w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+digest, content) }}
		},
		"POST and PUT": func(w *wire) pushing {
			u := w.start("test/hat")
			return pushing{u, func() *reply { return w.send("PUT", closing(u, digest), content) }, nil}
		},
		"first chunk": func(w *wire) pushing {
			u := w.start("test/hat")
			return pushing{
				u, func() *reply { return w.send("PATCH", u, content[:large], "Content-Range", "0-102399") },
				func() *reply { return w.send("PUT", closing(u, digest), content[large:]) },
			}
		},
		"later chunk of unknown length": func(w *wire) pushing {
			u := w.start("test/hat")
			w.send("PATCH", u, content[:1000]).want(202)
			return pushing{
				u, func() *reply { return w.send("PATCH", u, strings.NewReader(string(content[1000:]))) },
				func() *reply { return w.send("PUT", closing(u, digest), nil) },
			}
		},
		"last chunk": func(w *wire) pushing {
			u := w.start("test/hat")
			w.send("PATCH", u, content[:1000]).want(202)
			return pushing{u, func() *reply { return w.send("PUT", closing(u, digest), content[1000:]) }, nil}
		},
	}
	for name, faults := range map[string]storagetest.Faults{
		"at once":                           {PutBefore: errDriver},
		"before any byte":                   {PutError: errDriver},
		"midway":                            {PutAfter: 50 << 10, PutError: errDriver},
		"on the last byte":                  {PutAfter: large - 1, PutError: errDriver},
		"at the end":                        {PutAtEnd: errDriver},
		"at the end, nothing can be undone": {PutAtEnd: errDriver, Delete: errDriver},
		"after it was written":              {},
	} {
		for way, begin := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				onGrounds(t, func(t *testing.T, g ground) {
					faulty := &storagetest.Faulty{Bucket: g.bucket}
					lost := &ambiguous{Bucket: faulty}
					g.bucket = lost
					w := g.node(t).served().failing()
					p := w.pushImage("test/hat", "v1", "hat")
					push := begin(w)
					end := func() string {
						if push.upload == "" {
							return ""
						}
						return w.send("GET", push.upload, nil).want(204).header.Get("Range")
					}
					before, ended := w.visible(), end()
					lost.fails.Store(name == "after it was written")
					faulty.Set(faults)
					wantFault(t, push.send())
					same(t, "rows", w.visible(), before)
					same(t, "end of the upload", end(), ended)
					w.send("HEAD", "/v2/test/hat/blobs/"+digest, nil).is(404)
					w.putDoc("test/hat", "v2", image(p.config, content)).is(404).code("MANIFEST_BLOB_UNKNOWN")
					w.send("GET", "/v2/test/hat/manifests/v2", nil).is(404)
					w.send("GET", "/v2/test/hat/manifests/v1", nil).is(200).content(p.raw)
					lost.fails.Store(false)
					faulty.Set(storagetest.Faults{})
					g.wantNamed(t)
					push.send().want(201, 202)
					if push.rest != nil {
						push.rest().want(201)
					}
					w.send("GET", "/v2/test/hat/blobs/"+digest, nil).is(200).content(content)
					w.putDoc("test/hat", "v2", image(p.config, content)).is(201)
					g.wantNamed(t)
				}, stores...)
			})
		}
	}
}

// active is a bucket that counts the Puts that run.
type active struct {
	storage.Bucket
	puts atomic.Int64
}

func (a *active) Put(ctx context.Context, key string, r io.Reader) error {
	a.puts.Add(1)
	defer a.puts.Add(-1)
	return a.Bucket.Put(ctx, key, r)
}

// A bucket that stalls holds up nobody else, and a client that does not wait leaves nothing
// behind.
func TestFaultStall(t *testing.T) {
	t.Parallel()
	onGrounds(t, func(t *testing.T, g ground) {
		running := &active{Bucket: g.bucket}
		faulty := &storagetest.Faulty{Bucket: running}
		counts := &active{Bucket: faulty}
		g.bucket = counts
		w := g.node(t).served()
		content := text(100 << 10)
		for _, way := range []string{"PATCH", "PUT", "POST"} {
			location := w.start("test/hat")
			path := map[string]string{
				"PATCH": location, "PUT": closing(location, sha(content)), "POST": "/v2/test/hat/blobs/uploads/?digest=" + sha(content),
			}[way]
			stall := make(chan struct{})
			faulty.Set(storagetest.Faults{PutStall: stall})
			ctx, leave := context.WithCancel(t.Context())
			answered := make(chan int, 1)
			go func() { answered <- w.try(ctx, way, path, content) }()
			await(t, "the bucket stalls", func() bool { return running.puts.Load() == 1 })
			faulty.Set(storagetest.Faults{})
			w.pushImage("test/glove", "v1", "glove of "+way)
			w.send("GET", location, nil).is(204).has("Range", "0-0")
			w.send("HEAD", "/v2/test/hat/blobs/"+sha(content), nil).is(404)
			leave()
			if status := <-answered; status != 0 {
				t.Errorf("%s by a client that went away: %d", way, status)
			}
			await(t, "the bucket is left alone", func() bool { return counts.puts.Load() == 0 })
			close(stall)
			w.send("GET", location, nil).is(204).has("Range", "0-0")
			w.send("HEAD", "/v2/test/hat/blobs/"+sha(content), nil).is(404)
			if way == "POST" {
				await(t, "the upload that nobody knows of is canceled", func() bool { return len(w.rows()["upload"]) == 1 })
			}
			g.wantNamed(t)
			w.send("PATCH", location, content[:10]).is(202)
			w.send("PUT", closing(location, sha(content)), content[10:]).is(201)
			w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).is(200).content(content)
			w.send("DELETE", "/v2/test/hat/blobs/"+sha(content), nil).is(202)
		}
		// One that goes on after all is answered for.
		location := w.start("test/hat")
		stall := make(chan struct{})
		faulty.Set(storagetest.Faults{PutStall: stall})
		answered := make(chan int, 1)
		go func() { answered <- w.try(t.Context(), "PUT", closing(location, sha(content)), content) }()
		await(t, "the bucket stalls", func() bool { return running.puts.Load() == 1 })
		close(stall)
		if status := <-answered; status != 201 {
			t.Errorf("PUT after a stall: %d", status)
		}
		g.wantNamed(t)
	}, "memory", "database", "disk")
}

// readFully returns a body, and how it ended.
func readFully(w *wire, path, ranges string) (status int, body []byte, err error) {
	var header []string
	if ranges != "" {
		header = []string{"Range", ranges}
	}
	res, err := w.rt.RoundTrip(w.request("GET", path, nil, header...))
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// What the bucket cannot give, a client must not take for whole.
func TestFaultOfGet(t *testing.T) {
	t.Parallel()
	small, large := text(4<<10), text(300<<10)
	for name, faults := range map[string]storagetest.Faults{
		"at once":              {Get: errDriver},
		"at the first byte":    {GetError: errDriver},
		"midway":               {GetAfter: 3000, GetError: errDriver},
		"midway, after a page": {GetAfter: 100 << 10, GetError: errDriver},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, cache := range []int64{-1, 0} {
				g := grounds["memory"](t)
				faulty := &storagetest.Faulty{Bucket: g.bucket}
				g.bucket = faulty
				w := g.node(t, func(c *registry.Config) { c.BlobCache = cache }).failing()
				w.pushBlob("test/hat", small)
				w.pushBlob("test/hat", large)
				chunked := append([]byte("in chunks "), large...)
				w.send("PUT", closing(w.pushChunks("test/hat", chunked, 90<<10), sha(chunked)), nil).want(201)
				for _, client := range []*wire{w, w.served()} {
					for _, content := range [][]byte{small, large, chunked} {
						path := "/v2/test/hat/blobs/" + sha(content)
						for _, ranges := range []string{"", "bytes=10-", "bytes=10-3999", "bytes=0-99,3000-4095", "bytes=-4000"} {
							faulty.Set(faults)
							status, body, err := readFully(client, path, ranges)
							faulty.Set(storagetest.Faults{})
							want, wantBody, wantErr := readFully(client, path, ranges)
							if wantErr != nil || want/100 != 2 {
								t.Fatalf("%d bytes, %q, with nothing wrong: %d, %v", len(content), ranges, want, wantErr)
							}
							switch {
							case err != nil: // cut short, or no reply at all
							case status >= 500:
								if strings.Contains(string(body), "s3cr3t") {
									t.Errorf("%d bytes, %q: the client is told %s", len(content), ranges, body)
								}
							case strings.Contains(ranges, ",") && len(body) == len(wantBody):
								// The boundary is another each time.
							case status != want || string(body) != string(wantBody):
								t.Errorf("%d bytes, %q: a clean %d of %d bytes, want %d of %d or an error", len(content), ranges, status, len(body), want, len(wantBody))
							}
						}
						client.send("HEAD", path, nil).is(200)
					}
				}
			}
		})
	}
}

// What a push needs to read is a fault like any other: a configuration for its platform, and
// bytes that were hashed by another algorithm.
func TestFaultOfGetWhilePushing(t *testing.T) {
	t.Parallel()
	onGrounds(t, func(t *testing.T, g ground) {
		faulty := &storagetest.Faulty{Bucket: g.bucket}
		g.bucket = faulty
		w := g.node(t).failing()
		config, layer := []byte(`{"architecture":"arm64","os":"linux"}`), []byte("layer")
		w.pushBlob("test/hat", config)
		w.pushBlob("test/hat", layer)
		location := w.start("test/hat")
		w.send("PATCH", location, "some ").want(202)
		before := w.visible()
		faulty.Set(storagetest.Faults{Get: errDriver})
		wantFault(t, w.putDoc("test/hat", "v1", image(config, layer)))
		wantFault(t, w.send("PUT", closing(location, sha512of([]byte("some bytes"))), "bytes"))
		same(t, "rows", w.visible(), before)
		faulty.Set(storagetest.Faults{})
		w.send("GET", location, nil).is(204).has("Range", "0-4")
		g.wantNamed(t)
		w.putDoc("test/hat", "v1", image(config, layer)).is(201)
		w.send("PUT", closing(location, sha512of([]byte("some bytes"))), "bytes").is(201)
		w.send("GET", "/v2/test/hat/blobs/"+sha512of([]byte("some bytes")), nil).is(200).content([]byte("some bytes"))
		for _, row := range w.rows()["manifest"] {
			if m := row.(meta.Manifest); m.Platform != "linux/arm64" {
				t.Errorf("the platform is %q", m.Platform)
			}
		}
		g.wantNamed(t)
	}, "memory", "database")
}

// A bucket that cannot delete is no matter for clients. What could not be deleted is not
// forgotten.
func TestFaultOfDelete(t *testing.T) {
	t.Parallel()
	onGrounds(t, func(t *testing.T, g ground) {
		faulty := &storagetest.Faulty{Bucket: g.bucket}
		g.bucket = faulty
		w := g.node(t)
		content := text(1000)
		w.pushBlob("test/hat", content)
		faulty.Set(storagetest.Faults{Delete: errDriver})
		canceled := w.start("test/hat")
		w.send("PATCH", canceled, "some").want(202)
		w.send("PATCH", canceled, "more").want(202)
		w.send("DELETE", canceled, nil).is(204)
		w.send("GET", canceled, nil).is(404)
		wrong := w.start("test/hat")
		w.send("PUT", closing(wrong, emptyDigest), content).is(400).code("DIGEST_INVALID")
		w.pushBlob("test/glove", content) // the second object of it is dropped
		w.send("POST", "/v2/test/glove/blobs/uploads/?digest="+emptyDigest, content).is(400)
		w.send("DELETE", "/v2/test/hat/blobs/"+sha(content), nil).is(202)
		g.wantObjects(t, 6)
		g.wantNamed(t)
		faulty.Set(storagetest.Faults{})
		w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).is(404)
		w.send("GET", "/v2/test/glove/blobs/"+sha(content), nil).is(200).content(content)
		w.send("PUT", closing(wrong, sha(content)), content).is(201)
		g.wantNamed(t)
	}, "memory", "database", "again")
}

// Whatever happens to an object behind the registry's back, no client gets other bytes than
// it asked for, and nobody is told that there is no such blob: that the store decides.
func TestFaultOfAnObject(t *testing.T) {
	t.Parallel()
	small, large := text(4<<10), text(300<<10)
	for name, spoil := range map[string]func(path string) error{
		"missing":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 1000) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"lengthened": func(path string) error {
			return os.Truncate(path, 400<<10)
		},
		"a folder": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o777)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			g := ground{database(t, dir), folder(t, dir)}
			w := g.node(t, func(c *registry.Config) { c.BlobCache = 0 }).failing()
			for _, content := range [][]byte{small, large} {
				w.pushBlob("test/hat", content)
			}
			for _, row := range w.rows()["blob"] {
				for _, s := range row.(meta.Blob).Segments {
					if err := spoil(filepath.Join(dir, "blobs", filepath.FromSlash(s.Key))); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, client := range []*wire{w, w.served()} {
				for _, content := range [][]byte{small, large} {
					path := "/v2/test/hat/blobs/" + sha(content)
					client.send("HEAD", path, nil).is(200)
					for _, ranges := range []string{"", "bytes=0-9", "bytes=2000-"} {
						status, body, err := readFully(client, path, ranges)
						if err == nil && status < 500 {
							t.Errorf("%d bytes, %q: a clean %d of %d bytes", len(content), ranges, status, len(body))
						}
						if strings.Contains(string(body), dir) {
							t.Errorf("the client is told %s", body)
						}
					}
				}
			}
		})
	}
	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		g := ground{database(t, dir), folder(t, dir)}
		w := g.node(t, func(c *registry.Config) { c.BlobCache = 0 }).failing()
		w.pushBlob("test/hat", small)
		blob := w.rows()["blob"][0].(meta.Blob)
		path := filepath.Join(dir, "blobs", filepath.FromSlash(blob.Segments[0].Key))
		if err := os.WriteFile(path, make([]byte, len(small)), 0o600); err != nil {
			t.Fatal(err)
		}
		wantFault(t, w.send("GET", "/v2/test/hat/blobs/"+sha(small), nil)) // small enough to be checked
	})
}

// unheard is a store whose answer to an Update is lost, once it is armed: the changes are
// made, and the caller is told that they failed.
type unheard struct {
	meta.Store
	after atomic.Int64 // how many Updates are answered before; less than 0: all
}

func (u *unheard) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	err := u.Store.Update(ctx, fn, opts...)
	if err == nil && u.after.Add(-1) == -1 {
		return errDriver
	}
	return err
}

// Where a store ends in the middle of a commit, or the connection to it does, nobody knows
// whether the changes were made. Bytes that a row may need after all are not deleted then:
// an acknowledged blob would lack them, or every later push of the same content.
func TestFaultOfTheStoresAnswer(t *testing.T) {
	t.Parallel()
	content := text(1000)
	digest := sha(content)
	chunk := func(w *wire, location string) *reply { return w.send("PATCH", location, content[:400]) }
	put := func(w *wire, location string) *reply { return w.send("PUT", closing(location, digest), content) }
	post := func(w *wire, _ string) *reply {
		return w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+digest, content)
	}
	for name, c := range map[string]struct {
		after   int64 // Updates
		request func(w *wire, location string) *reply
		before  bool // whether the content is there already
	}{
		"of a chunk":                  {0, chunk, false},
		"of an end":                   {0, put, false},
		"of the row of a whole blob":  {0, post, false},
		"of a whole blob":             {1, post, false},
		"of a cancellation":           {0, func(w *wire, location string) *reply { return w.send("DELETE", location, nil) }, false},
		"of a blob that is there":     {0, put, true},
		"of the removal of an object": {1, put, true},
	} {
		t.Run(name, func(t *testing.T) {
			onGrounds(t, func(t *testing.T, g ground) {
				store := &unheard{Store: g.store}
				store.after.Store(-1)
				g.store = store
				w := g.node(t).failing()
				location := w.start("test/hat")
				if c.before {
					w.pushBlob("test/glove", content)
				}
				store.after.Store(c.after)
				r := c.request(w, location)
				store.after.Store(-1)
				if r.status != 201 { // the removal of an object concerns no client
					wantFault(t, r)
				}
				g.wantNamed(t)
				// The client goes on where it is told that it is, or begins again.
				r = w.send("GET", location, nil).want(204, 404)
				var end int
				if r.status == 204 {
					if r.header.Get("Range") == "0-399" {
						end = 400
					}
					w.send("PUT", closing(location, digest), content[end:]).is(201)
				}
				w.send("GET", "/v2/test/hat/blobs/"+digest, nil).is(200, 404)
				w.pushBlob("test/hat", content)
				w.send("GET", "/v2/test/hat/blobs/"+digest, nil).is(200).content(content)
				g.wantNamed(t)
			}, "memory", "database")
		})
	}
}

// opened counts the objects that are open.
type opened struct {
	storage.Bucket
	n atomic.Int64
}

type openedObject struct {
	storage.Object
	n      *atomic.Int64
	closed atomic.Bool
}

func (o *opened) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	object, err := o.Bucket.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	o.n.Add(1)
	return &openedObject{Object: object, n: &o.n}, nil
}

func (o *openedObject) Close() error {
	if !o.closed.Swap(true) {
		o.n.Add(-1)
	}
	return o.Object.Close()
}

// Clients that go away in the middle of one range or several leave no object open.
func TestFaultOfAClientThatStopsReading(t *testing.T) {
	t.Parallel()
	onGrounds(t, func(t *testing.T, g ground) {
		bucket := &opened{Bucket: g.bucket}
		g.bucket = bucket
		w := g.node(t).served()
		content := text(2 << 20)
		path := "/v2/test/hat/blobs/" + w.pushBlob("test/hat", content)
		chunked := append([]byte("in chunks "), content...)
		w.send("PUT", closing(w.pushChunks("test/hat", chunked, 300<<10), sha(chunked)), nil).want(201)
		paths := []string{path, "/v2/test/hat/blobs/" + sha(chunked)}
		together(4, func(i int) {
			r := rand.New(rand.NewPCG(5, uint64(i)))
			for n := range 25 {
				ctx, leave := context.WithCancel(t.Context())
				ranges := []string{"bytes=0-", "bytes=0-1500000,1600000-2000000", "bytes=0-9,500000-1500000,10-200000"}[n%3]
				res, err := w.rt.RoundTrip(w.request("GET", paths[r.IntN(2)], nil, "Range", ranges).WithContext(ctx))
				if err != nil {
					t.Error(err)
				} else {
					if res.StatusCode != http.StatusPartialContent {
						t.Errorf("%s: %s", ranges, res.Status)
					}
					io.CopyN(io.Discard, res.Body, int64(r.IntN(300<<10))) //nolint:errcheck // it need not come
					leave()
					res.Body.Close()
				}
				leave()
			}
		})
		await(t, "all objects are closed", func() bool { return bucket.n.Load() == 0 })
		w.send("GET", path, nil).is(200).content(content)
	}, "memory", "disk")
}
