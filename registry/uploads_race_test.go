package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// ground is what nodes stand on: one store and one bucket.
type ground struct {
	store  meta.Store
	bucket storage.Bucket
}

// grounds are those that there are: memory, a database, a store that runs every
// transaction twice, as any may, and a disk as the quickstart has it.
var grounds = map[string]func(t testing.TB) ground{
	"memory":   func(testing.TB) ground { return ground{memmeta.New(), memory()} },
	"database": func(t testing.TB) ground { return ground{database(t, t.TempDir()), memory()} },
	"again":    func(testing.TB) ground { return ground{again{memmeta.New()}, memory()} },
	"disk": func(t testing.TB) ground {
		dir := t.TempDir()
		return ground{database(t, dir), folder(t, dir)}
	},
}

// onGrounds runs a test on some of them.
func onGrounds(t *testing.T, test func(t *testing.T, g ground), names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, grounds[name](t))
		})
	}
}

func memory() storage.Bucket { return gocloud.New(memblob.OpenBucket(nil)) }

// database opens the store that the quickstart has in a folder.
func database(t testing.TB, dir string) meta.Store {
	t.Helper()
	store, err := sqlmeta.OpenSQLite(t.Context(), filepath.Join(dir, "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// folder opens the bucket that the quickstart has in a folder.
func folder(t testing.TB, dir string) storage.Bucket {
	t.Helper()
	u, err := gocloud.FileURL(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := gocloud.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	})
	return bucket
}

// again is a store whose Updates run twice, the first time in vain.
type again struct{ meta.Store }

func (a again) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	inVain := errors.New("rolled back")
	err := a.Store.Update(ctx, func(tx meta.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return inVain
	}, opts...)
	if !errors.Is(err, inVain) {
		return err
	}
	return a.Store.Update(ctx, fn, opts...)
}

// node returns a client of a new node.
func (g ground) node(t testing.TB, change ...func(*registry.Config)) *wire {
	t.Helper()
	on := func(c *registry.Config) { c.Store, c.Bucket, c.BlobCache = g.store, g.bucket, -1 }
	return newWire(t, append([]func(*registry.Config){on}, change...)...)
}

// wantNamed checks, while nothing runs, that every object is named by a row, that blobs and
// uploads have the objects that they name, and that none of those waits to be deleted.
func (g ground) wantNamed(t testing.TB) {
	t.Helper()
	objects := map[string]int64{}
	for o, err := range g.bucket.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		objects[o.Key] = o.Size
	}
	all := map[string][]any{}
	err := g.store.View(t.Context(), func(tx meta.Tx) error {
		return errorsOf(scan(all, "blob", tx.Blobs()), scan(all, "upload", tx.Uploads()), scan(all, "review", tx.Reviews()))
	})
	if err != nil {
		t.Fatal(err)
	}
	named, doomed := map[string]bool{}, map[string]bool{}
	for _, row := range all["review"] {
		if r := row.(meta.Review); r.Kind == meta.ReviewObject {
			named[r.Subject], doomed[r.Subject] = true, true
		}
	}
	has := func(what string, list []meta.Segment) {
		for _, s := range list {
			named[s.Key] = true
			if size, ok := objects[s.Key]; !ok || size != s.Size {
				t.Errorf("%s needs %d bytes of the object %s; found: %v, %d bytes", what, s.Size, s.Key, ok, size)
			}
			if doomed[s.Key] {
				t.Errorf("%s needs the object %s, which waits to be deleted", what, s.Key)
			}
		}
	}
	for _, row := range all["blob"] {
		b := row.(meta.Blob)
		has("blob "+string(b.Digest), b.Segments)
	}
	for _, row := range all["upload"] {
		u := row.(meta.Upload)
		has("upload "+string(u.ID), u.Segments)
		named[u.Key] = true
	}
	for key := range objects {
		if !named[key] {
			t.Errorf("no row names the object %s", key)
		}
	}
}

// wantObjects checks how many objects there are.
func (g ground) wantObjects(t testing.TB, want int) {
	t.Helper()
	n := 0
	for _, err := range g.bucket.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != want {
		t.Errorf("%d objects are in the bucket, want %d", n, want)
	}
}

// try sends a request whose context may end and whose reply may be cut short: it then
// returns 0. It may be called by any goroutine.
func (w *wire) try(ctx context.Context, method, path string, body any, header ...string) int {
	res, err := w.rt.RoundTrip(w.request(method, path, body, header...).WithContext(ctx))
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0
	}
	return res.StatusCode
}

// gate is a bucket whose Puts wait, when all bytes have come, for the test to let them end.
type gate struct {
	storage.Bucket
	shut    atomic.Bool
	arrived chan func() // each lets one Put end
}

func newGate(b storage.Bucket) *gate { return &gate{Bucket: b, arrived: make(chan func())} }

func (g *gate) Put(ctx context.Context, key string, r io.Reader) error {
	if !g.shut.Load() {
		return g.Bucket.Put(ctx, key, r)
	}
	wait := readerFunc(func([]byte) (int, error) {
		release := make(chan struct{})
		select {
		case g.arrived <- func() { close(release) }:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		select {
		case <-release:
			return 0, io.EOF
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	return g.Bucket.Put(ctx, key, io.MultiReader(r, wait))
}

// await returns what lets the next Put end. One that is answered without is a failure.
func (g *gate) await(t *testing.T, answered chan *reply) func() {
	t.Helper()
	select {
	case let := <-g.arrived:
		return let
	case r := <-answered:
		t.Fatalf("%s: %d %.200s, before anything was written", r.what, r.status, r.body)
		return nil
	}
}

// racer is a request on an upload. One with a body waits before its last byte is written.
type racer struct {
	method string
	body   string
	digest string // of a PUT: of all content
}

func (r racer) send(w *wire, location string) *reply {
	if r.method == "PUT" {
		location = closing(location, r.digest)
	}
	if r.body == "" {
		return w.send(r.method, location, nil)
	}
	return w.send(r.method, location, []byte(r.body))
}

// Two requests on one upload, of which the second comes while the first is writing, and
// which end in either order: one of them counts, wholly, and the other leaves nothing.
func TestUploadOfTwo(t *testing.T) {
	t.Parallel()
	of := func(content string) string { return sha([]byte(content)) }
	for name, c := range map[string]struct {
		before        string
		first, second racer
		contents      []string // one of them is what the blob has; none where it is canceled
	}{
		"two chunks": {
			first: racer{method: "PATCH", body: "first"}, second: racer{method: "PATCH", body: "second, and longer"},
			contents: []string{"first", "second, and longer"},
		},
		"two chunks later": {
			before: "before ",
			first:  racer{method: "PATCH", body: "first"}, second: racer{method: "PATCH", body: "2nd"},
			contents: []string{"before first", "before 2nd"},
		},
		"two of the same": {
			before: "before ",
			first:  racer{method: "PATCH", body: "chunk"}, second: racer{method: "PATCH", body: "chunk"},
			contents: []string{"before chunk"},
		},
		"two ends": {
			before: "before ",
			first:  racer{method: "PUT", body: "end", digest: of("before end")}, second: racer{method: "PUT", body: "end", digest: of("before end")},
			contents: []string{"before end"},
		},
		"two ends of all": {
			first:    racer{method: "PUT", body: "all", digest: of("all")},
			second:   racer{method: "PUT", body: "all", digest: of("all")},
			contents: []string{"all"},
		},
		"two different ends": {
			first: racer{method: "PUT", body: "one", digest: of("one")}, second: racer{method: "PUT", body: "other", digest: of("other")},
			contents: []string{"one", "other"},
		},
		"chunk and end": {
			before: "before",
			first:  racer{method: "PATCH", body: " chunk"}, second: racer{method: "PUT", digest: of("before")},
			contents: []string{"before"},
		},
		"chunk and end with bytes": {
			before: "before",
			first:  racer{method: "PATCH", body: " chunk"}, second: racer{method: "PUT", body: " end", digest: of("before end")},
			contents: []string{"before chunk", "before end"},
		},
		"end and chunk": {
			before: "before",
			first:  racer{method: "PUT", body: " end", digest: of("before end")}, second: racer{method: "PATCH", body: " chunk"},
			contents: []string{"before chunk", "before end"},
		},
		"end without bytes and chunk": {
			before: "before",
			first:  racer{method: "PUT", body: "x", digest: of("beforex")}, second: racer{method: "PUT", digest: of("before")},
			contents: []string{"before"},
		},
		"chunk and cancellation": {
			before: "before",
			first:  racer{method: "PATCH", body: " chunk"}, second: racer{method: "DELETE"},
		},
		"first chunk and cancellation": {
			first: racer{method: "PATCH", body: "chunk"}, second: racer{method: "DELETE"},
		},
		"end and cancellation": {
			before: "before",
			first:  racer{method: "PUT", body: " end", digest: of("before end")}, second: racer{method: "DELETE"},
		},
	} {
		for _, nodes := range []int{1, 2} {
			for _, order := range []string{"first ends first", "first ends last"} {
				t.Run(fmt.Sprintf("%s, %d nodes, %s", name, nodes, order), func(t *testing.T) {
					onGrounds(t, func(t *testing.T, g ground) {
						gated := newGate(g.bucket)
						g.bucket = gated
						a := g.node(t)
						b := a
						if nodes == 2 {
							b = g.node(t)
						}
						location := a.start("test/hat")
						if c.before != "" {
							a.send("PATCH", location, c.before).want(202)
						}
						gated.shut.Store(true)
						first, second := make(chan *reply, 1), make(chan *reply, 1)
						go func() { first <- c.first.send(a, location) }()
						letFirst := gated.await(t, first)
						go func() { second <- c.second.send(b, location) }()
						letSecond := func() {}
						if c.second.body != "" {
							letSecond = gated.await(t, second)
						}
						var one, two *reply
						if order == "first ends first" && c.second.body != "" {
							letFirst()
							one = <-first
							letSecond()
							two = <-second
						} else {
							letSecond()
							two = <-second
							letFirst()
							one = <-first
						}
						gated.shut.Store(false)
						wantOne(t, g, a, location, one, two, c.contents)
					}, "memory", "database", "again")
				})
			}
		}
	}
}

// wantOne checks what two requests on an upload have come to.
func wantOne(t *testing.T, g ground, w *wire, location string, one, two *reply, contents []string) {
	t.Helper()
	won := 0
	for _, r := range []*reply{one, two} {
		switch r.status {
		case 201, 202, 204:
			won++
		case 404:
			r.code("BLOB_UPLOAD_UNKNOWN")
		case 416:
			r.code("BLOB_UPLOAD_INVALID")
		default:
			t.Errorf("%s: %d %.200s", r.what, r.status, r.body)
		}
	}
	if won != 1 {
		t.Errorf("%s: %d, %s: %d; want one to succeed", one.what, one.status, two.what, two.status)
	}
	g.wantNamed(t)
	// What the upload has must be what one of them sent, to the byte.
	if r := w.send("GET", location, nil).want(204, 404); r.status == 204 {
		done := ""
		for _, content := range contents {
			if r.header.Get("Range") == fmt.Sprintf("0-%d", len(content)-1) && w.send("PUT", closing(location, sha([]byte(content))), nil).status == 201 {
				done = content
				break
			}
		}
		if done == "" {
			t.Fatalf("the upload has %s, which is none of %q", r.header.Get("Range"), contents)
		}
	}
	blobs := 0
	for _, content := range contents {
		if r := w.send("GET", "/v2/test/hat/blobs/"+sha([]byte(content)), nil).want(200, 404); r.status == 200 {
			r.content([]byte(content))
			blobs++
		}
	}
	if blobs != min(1, len(contents)) {
		t.Errorf("%d of %q are there", blobs, contents)
	}
	g.wantNamed(t)
	segments := 0
	for _, row := range w.rows()["blob"] {
		segments += len(row.(meta.Blob).Segments)
	}
	g.wantObjects(t, segments)
}

// Any node goes on with an upload, wherever it was begun.
func TestUploadOnManyNodes(t *testing.T) {
	t.Parallel()
	onGrounds(t, func(t *testing.T, g ground) {
		a, b, c := g.node(t), g.node(t), g.node(t)
		content := text(3000)
		location := a.start("test/hat")
		for _, w := range []*wire{a, b, c} {
			w.send("GET", location, nil).want(204).has("Range", "0-0")
		}
		b.send("PATCH", location, content[:1000]).want(202).has("Range", "0-999")
		a.send("PATCH", location, content[:500], "Content-Range", "0-499").want(416).has("Range", "0-999")
		c.send("PATCH", location, content[1000:2000]).want(202).has("Range", "0-1999")
		a.send("GET", location, nil).want(204).has("Range", "0-1999", "Location", location)
		a.as(mateBasic).send("PATCH", location, content[2000:]).want(404).code("BLOB_UPLOAD_UNKNOWN")
		other := strings.Replace(location, "/test/hat/", "/test/glove/", 1)
		a.pushBlob("test/glove", []byte("so that there is a repository"))
		b.send("PATCH", other, content[2000:]).want(404).code("BLOB_UPLOAD_UNKNOWN")
		b.send("PUT", closing(location, sha(content)), content[2000:]).want(201)
		for _, w := range []*wire{a, b, c} {
			w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).is(200).content(content)
			w.send("GET", location, nil).is(404).code("BLOB_UPLOAD_UNKNOWN")
			w.send("PATCH", location, content).is(404).code("BLOB_UPLOAD_UNKNOWN")
		}
		g.wantNamed(t)
		g.wantObjects(t, 4)
	}, "memory", "again", "disk")
}

// An upload whose first bytes came to nothing begins again, on the node that began it and on
// any other.
func TestUploadGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	content := text(1000)
	for name, fail := range map[string]func(w *wire, location string){
		"a body that ends early": func(w *wire, location string) {
			w.try(w.t.Context(), "PATCH", location, io.MultiReader(strings.NewReader("some"), failingReader{}))
		},
		"a wrong digest": func(w *wire, location string) {
			w.send("PUT", closing(location, emptyDigest), content).is(400).code("DIGEST_INVALID")
		},
		"a wrong length": func(w *wire, location string) {
			w.send("PATCH", location, strings.NewReader("five!"), "Content-Range", "0-5").is(400).code("SIZE_INVALID")
		},
		"nothing":        func(w *wire, location string) { w.send("PATCH", location, strings.NewReader("")).is(202) },
		"another's node": func(*wire, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			onGrounds(t, func(t *testing.T, g ground) {
				a, b := g.node(t), g.node(t)
				for _, w := range []*wire{a, b} {
					for _, whole := range []bool{true, false} {
						location := a.start("test/hat")
						fail(a, location)
						w.send("GET", location, nil).want(204).has("Range", "0-0")
						if whole {
							w.send("PUT", closing(location, sha(content)), content).want(201)
							continue
						}
						w.send("PATCH", location, content[:10]).want(202).has("Range", "0-9")
						w.send("PUT", closing(location, sha(content)), content[10:]).want(201)
					}
				}
				a.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).want(200).content(content)
				g.wantNamed(t)
			}, "memory", "database", "again")
		})
	}
}

// failingReader is a client that has gone.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// The forms that chunks and digests come in make no difference to what is stored.
func TestUploadInEveryForm(t *testing.T) {
	t.Parallel()
	content := text(2000)
	half := func(from, to int) io.Reader { return strings.NewReader(string(content[from:to])) }
	for name, c := range map[string]struct {
		query  string
		bodies []any // of PATCH, and last of PUT
		want   []byte
		digest string
		chunks int
	}{
		"sha512 at the end":                    {bodies: []any{content[:900], content[900:], nil}, want: content, digest: sha512of(content), chunks: 2},
		"sha512 at the end, all bytes with it": {bodies: []any{content}, want: content, digest: sha512of(content), chunks: 1},
		"sha512 at the end, bytes with it":     {bodies: []any{content[:1999], content[1999:]}, want: content, digest: sha512of(content), chunks: 2},
		"sha512 announced":                     {query: "?digest-algorithm=sha512", bodies: []any{content[:900], content[900:]}, want: content, digest: sha512of(content), chunks: 2},
		"sha512 announced, sha256 at the end":  {query: "?digest-algorithm=sha512", bodies: []any{content[:900], content[900:]}, want: content, digest: sha(content), chunks: 2},
		"unknown lengths":                      {bodies: []any{half(0, 1), half(1, 900), half(900, 2000)}, want: content, digest: sha(content), chunks: 3},
		"empty chunks":                         {bodies: []any{nil, half(0, 0), half(0, 900), "", half(0, 0), content[900:], half(0, 0)}, want: content, digest: sha(content), chunks: 2},
		"empty blob":                           {bodies: []any{nil}, digest: emptyDigest},
		"empty blob by empty chunks":           {bodies: []any{"", half(0, 0), half(0, 0)}, digest: emptyDigest},
		"empty blob by sha512":                 {bodies: []any{half(0, 0), nil}, digest: sha512of(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			onGrounds(t, func(t *testing.T, g ground) {
				nodes := []*wire{g.node(t), g.node(t)}
				for i, w := range nodes { // on the second, to another repository
					// a reader can be read once
					location := w.send("POST", fmt.Sprintf("/v2/test/hat%d/blobs/uploads/%s", i, c.query), nil).want(202).header.Get("Location")
					for n, body := range c.bodies {
						if r, ok := body.(*strings.Reader); ok {
							body = io.NewSectionReader(r, 0, r.Size())
						}
						if n < len(c.bodies)-1 {
							w.send("PATCH", location, body).want(202)
						} else {
							w.send("PUT", closing(location, c.digest), body).want(201).has("Docker-Content-Digest", c.digest)
						}
					}
					w.send("GET", fmt.Sprintf("/v2/test/hat%d/blobs/%s", i, c.digest), nil).want(200).content(c.want)
				}
				g.wantNamed(t)
				g.wantObjects(t, c.chunks) // those of the second were dropped
			}, "memory", "database", "again")
		})
	}
}

// guard holds up the transaction that sets one tag, and refuses another after it has
// written.
type guard struct {
	held    chan struct{} // closed when the transaction has begun
	release chan struct{}
}

func (g *guard) Check(_ context.Context, tx meta.Tx, op *registry.Op, c *registry.Change) error {
	if c.Kind != registry.MoveTag {
		return nil
	}
	switch {
	case c.Tag == "held":
		select {
		case <-g.held: // it runs again
		default:
			close(g.held)
			<-g.release
		}
	case strings.HasPrefix(c.Tag, "refused"):
		return registry.ErrDenied
	}
	return nil
}

// counted counts the Updates that wait or run.
type counted struct {
	meta.Store
	n atomic.Int64
}

func (c *counted) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	c.n.Add(1)
	defer c.n.Add(-1)
	return c.Store.Update(ctx, fn, opts...)
}

// Of those that share a commit, who goes away fails alone, whether it waits, runs, or has
// run; and so does who is refused after its changes were made.
func TestUploadsThatShareACommit(t *testing.T) {
	t.Parallel()
	onGrounds(t, func(t *testing.T, g ground) {
		store := &counted{Store: g.store}
		g.store = store
		for round := range 3 {
			hold := &guard{make(chan struct{}), make(chan struct{})}
			w := g.node(t, func(c *registry.Config) { c.Guards = []registry.Guard{hold} })
			const pushers = 30
			repo := func(i int) string { return fmt.Sprintf("test/hat%d/%d", round, i) }
			contents := make([][]byte, pushers)
			for i := range contents {
				contents[i] = fmt.Appendf(nil, "content %d of round %d", i, round)
				w.pushBlob(repo(i), []byte("{}"))
			}
			raw := artifact("application/vnd.example").bytes()
			held := fmt.Sprintf("test/held%d", round)
			w.pushBlob(held, []byte("{}"))
			heldDone := make(chan int, 1)
			go func() { heldDone <- w.put(held, "held", ociImage, raw).status }()
			select {
			case <-hold.held:
			case status := <-heldDone:
				t.Fatalf("the one that is to be held is not: %d", status)
			}
			statuses := make([]int, pushers)
			var wg sync.WaitGroup
			leave := make([]context.CancelFunc, pushers)
			for i := range pushers {
				ctx, cancel := context.WithCancel(t.Context())
				leave[i] = cancel
				wg.Go(func() {
					switch i % 3 {
					case 0: // stays
						statuses[i] = w.try(ctx, "POST", "/v2/"+repo(i)+"/blobs/uploads/?digest="+sha(contents[i]), contents[i])
					case 1: // goes away
						statuses[i] = w.try(ctx, "POST", "/v2/"+repo(i)+"/blobs/uploads/?digest="+sha(contents[i]), contents[i])
					case 2:
						statuses[i] = w.try(ctx, "PUT", "/v2/"+repo(i)+"/manifests/refused", raw, "Content-Type", ociImage)
					}
				})
			}
			await(t, "all wait for the one that is held", func() bool { return store.n.Load() > pushers })
			for i := range pushers {
				if i%6 == 1 { // while it waits; the others soon afterwards
					leave[i]()
				}
			}
			close(hold.release)
			for i := range pushers {
				if i%6 == 4 {
					leave[i]()
				}
			}
			wg.Wait()
			for i, status := range statuses {
				leave[i]()
				content := w.send("GET", "/v2/"+repo(i)+"/blobs/"+sha(contents[i]), nil).want(200, 404)
				switch i % 3 {
				case 0:
					if status != 201 {
						t.Errorf("pusher %d: %d, though only others went away or were refused", i, status)
					}
					content.is(200).content(contents[i])
				case 1:
					if status != 0 && status != 201 {
						t.Errorf("pusher %d, which goes away: %d", i, status)
					}
					if status == 201 {
						content.is(200)
					}
				case 2:
					if status != 403 {
						t.Errorf("pusher %d, which is refused: %d", i, status)
					}
					w.send("GET", "/v2/"+repo(i)+"/manifests/"+sha(raw), nil).is(404)
				}
			}
			if status := <-heldDone; status != 201 {
				t.Errorf("the one that was held: %d", status)
			}
			w.send("GET", "/v2/"+held+"/manifests/held", nil).is(200).content(raw)
		}
		g.wantNamed(t)
	}, "memory", "disk")
}

// await asks until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !so(); {
		select {
		case <-limit:
			t.Fatalf("%s: not so after a minute", what)
		case <-tick.C:
		}
	}
}

// storm is clients that push, cancel, fail and delete at once on two nodes.
type storm struct {
	t      *testing.T
	nodes  []*wire
	faulty *storagetest.Faulty

	mu      sync.Mutex
	uploads []stormUpload
}

type stormUpload struct {
	location string
	content  []byte
}

var stormRepos = []string{"test/a", "test/b", "test/c"}

// However pushes are mixed, cut short and failed by the bucket, no object is left that no
// row names, and nothing is served that lacks its objects.
func TestUploadStorm(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	onGrounds(t, func(t *testing.T, g ground) {
		t.Logf("seed %d", seed)
		faulty := &storagetest.Faulty{Bucket: g.bucket}
		g.bucket = faulty
		s := &storm{t: t, nodes: []*wire{g.node(t).failing(), g.node(t).failing()}, faulty: faulty}
		for i, repo := range stormRepos {
			s.nodes[0].pushBlob(repo, []byte("{}"))
			s.nodes[0].pushBlob(repo, fmt.Appendf(nil, "blob of %d", i))
		}
		steps := 200
		if testing.Short() {
			steps = 60
		}
		together(6, func(i int) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range steps {
				s.step(r)
			}
		})
		faulty.Set(storagetest.Faults{})
		g.wantNamed(t)
		s.wantWhole()
	}, "memory", "again", "disk")
}

// stormFaults are what the bucket may do at any time.
var stormFaults = []storagetest.Faults{
	{}, {}, {},
	{PutBefore: errors.New("put")},
	{PutAfter: 3, PutError: errors.New("put midway")},
	{PutAtEnd: errors.New("put at its end")},
	{Delete: errors.New("delete")},
	{Get: errors.New("get")},
}

// content draws one of few, so that pushers meet.
func (s *storm) content(r *rand.Rand) []byte {
	n := r.IntN(40)
	return []byte(strings.Repeat(fmt.Sprintf("content %d ", n), 1+n))
}

// body returns a body that may end early, or at the end of which the client is gone.
func (s *storm) body(r *rand.Rand, content []byte, leave func()) any {
	switch r.IntN(8) {
	case 0:
		return io.MultiReader(strings.NewReader(string(content[:r.IntN(len(content)+1)])), failingReader{})
	case 1:
		return io.MultiReader(strings.NewReader(string(content)), readerFunc(func([]byte) (int, error) { leave(); return 0, io.EOF }))
	case 2:
		return strings.NewReader(string(content))
	}
	return content
}

func (s *storm) upload(r *rand.Rand) (stormUpload, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uploads) == 0 {
		return stormUpload{}, false
	}
	return s.uploads[max(0, len(s.uploads)-1-r.IntN(8))], true
}

func (s *storm) step(r *rand.Rand) {
	ctx, leave := context.WithCancel(s.t.Context())
	defer leave()
	w := s.nodes[r.IntN(len(s.nodes))]
	repo := stormRepos[r.IntN(len(stormRepos))]
	content := s.content(r)
	blob := "/v2/" + repo + "/blobs/" + sha(content)
	ref := fmt.Sprintf("t%d", r.IntN(3))
	switch r.IntN(12) {
	case 0, 1:
		req := w.request("POST", "/v2/"+repo+"/blobs/uploads/", nil)
		if res, err := w.rt.RoundTrip(req); err == nil && res.StatusCode == 202 {
			s.mu.Lock()
			s.uploads = append(s.uploads, stormUpload{res.Header.Get("Location"), content})
			s.mu.Unlock()
		}
	case 2, 3, 4:
		if u, ok := s.upload(r); ok {
			at := s.end(w, u)
			if at < 0 || at >= len(u.content) {
				return
			}
			to := at + 1 + r.IntN(len(u.content)-at)
			w.try(ctx, "PATCH", u.location, s.body(r, u.content[at:to], leave), "Content-Range", fmt.Sprintf("%d-%d", at, to-1))
		}
	case 5, 6:
		if u, ok := s.upload(r); ok {
			at := s.end(w, u)
			if at < 0 {
				return
			}
			d := sha(u.content)
			if r.IntN(6) == 0 {
				d = emptyDigest
			}
			w.try(ctx, "PUT", closing(u.location, d), s.body(r, u.content[at:], leave))
		}
	case 7:
		if u, ok := s.upload(r); ok {
			w.try(ctx, "DELETE", u.location, nil)
		}
	case 8:
		w.try(ctx, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+sha(content), s.body(r, content, leave))
	case 9:
		w.try(ctx, "POST", "/v2/"+repo+"/blobs/uploads/?mount="+sha(content), nil)
		if r.IntN(2) == 0 {
			w.try(ctx, "DELETE", blob, nil)
		}
	case 10:
		w.try(ctx, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+sha(content), content)
		m := image([]byte("{}"), content).bytes()
		w.try(ctx, "PUT", "/v2/"+repo+"/manifests/"+ref, m, "Content-Type", ociImage)
		if r.IntN(3) == 0 {
			w.try(ctx, "DELETE", "/v2/"+repo+"/manifests/"+sha(m), nil)
		}
	case 11:
		s.faulty.Set(stormFaults[r.IntN(len(stormFaults))])
	}
}

// end asks where an upload ends, or returns -1.
func (s *storm) end(w *wire, u stormUpload) int {
	res, err := w.rt.RoundTrip(w.request("GET", u.location, nil))
	if err != nil || res.StatusCode != http.StatusNoContent {
		return -1
	}
	var last int
	fmt.Sscanf(res.Header.Get("Range"), "0-%d", &last) //nolint:errcheck // of the right form, or the PATCH fails
	if last == 0 {
		return 0 // or 1, which then is refused
	}
	return last + 1
}

// wantWhole reads all that can be pulled.
func (s *storm) wantWhole() {
	t, w := s.t, s.nodes[1]
	for _, row := range w.rows()["link"] {
		l := row.(meta.Link)
		var repo meta.Repository
		err := w.Store.View(t.Context(), func(tx meta.Tx) (err error) {
			repo, err = tx.RepositoryByID(l.Repository)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r := w.send("GET", "/v2/"+registrytest.Alias+"/"+repo.Name+"/blobs/"+string(l.Digest), nil).is(200)
		if sha(r.body) != string(l.Digest) {
			t.Errorf("blob %s has bytes of %s", l.Digest, sha(r.body))
		}
	}
	rows := w.rows()
	linked := map[meta.LinkKey]bool{}
	for _, row := range rows["link"] {
		l := row.(meta.Link)
		linked[meta.LinkKey{Repository: l.Repository, Digest: l.Digest}] = true
	}
	manifests := map[meta.ManifestKey]bool{}
	for _, row := range rows["manifest"] {
		m := row.(meta.Manifest)
		manifests[meta.ManifestKey{Repository: m.Repository, Digest: m.Digest}] = true
	}
	for _, row := range rows["tag"] {
		if tag := row.(meta.Tag); !manifests[meta.ManifestKey{Repository: tag.Repository, Digest: tag.Digest}] {
			t.Errorf("tag %s leads to no manifest", tag.Name)
		}
	}
	if len(rows["blob"]) < 5 || len(manifests) == 0 {
		t.Errorf("%d blobs and %d manifests came of it: the storm is none", len(rows["blob"]), len(manifests))
	}
}
