package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

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
			for _, order := range []string{"first ends first", "first ends last", "first ends last and nothing can be deleted"} {
				t.Run(fmt.Sprintf("%s, %d nodes, %s", name, nodes, order), func(t *testing.T) {
					onGrounds(t, func(t *testing.T, g ground) {
						faulty := &storagetest.Faulty{Bucket: g.bucket}
						g.bucket = faulty
						if strings.HasSuffix(order, "deleted") {
							faulty.Set(storagetest.Faults{Delete: errors.New("delete")})
						}
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
						if !strings.HasSuffix(order, "deleted") {
							segments := 0
							for _, row := range a.rows()["blob"] {
								segments += len(row.(meta.Blob).Segments)
							}
							g.wantObjects(t, segments)
						}
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
}

// late is a store whose next Update waits, once it is armed, until the test lets it run.
type late struct {
	meta.Store
	armed   atomic.Bool
	waiting chan func() // lets the one run
}

func (l *late) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	if l.armed.CompareAndSwap(true, false) {
		release := make(chan struct{})
		l.waiting <- func() { close(release) }
		<-release
	}
	return l.Store.Update(ctx, fn, opts...)
}

// What was decided about an upload before another request changed it does not count.
func TestUploadDecidedTooEarly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request racer
		then    racer
		want    int
	}{
		"end without bytes, then a chunk":    {racer{"PUT", "", sha([]byte("before"))}, racer{"PATCH", " chunk", ""}, 416},
		"end without bytes, then an end":     {racer{"PUT", "", sha([]byte("before"))}, racer{"PUT", "", sha([]byte("before"))}, 404},
		"end without bytes, then none":       {racer{"PUT", "", sha([]byte("before"))}, racer{"DELETE", "", ""}, 404},
		"chunk without bytes, then a chunk":  {racer{"PATCH", "", ""}, racer{"PATCH", " chunk", ""}, 416},
		"claim of a chunk, then a chunk":     {racer{"PATCH", "x", ""}, racer{"PATCH", " chunk", ""}, 416},
		"claim of a chunk, then an end":      {racer{"PATCH", "x", ""}, racer{"PUT", "", sha([]byte("before"))}, 404},
		"claim of an end, then a chunk":      {racer{"PUT", "x", sha([]byte("beforex"))}, racer{"PATCH", " chunk", ""}, 416},
		"cancellation, then an end":          {racer{"DELETE", "", ""}, racer{"PUT", "", sha([]byte("before"))}, 404},
		"cancellation, then another":         {racer{"DELETE", "", ""}, racer{"DELETE", "", ""}, 404},
		"cancellation, then a chunk, is one": {racer{"DELETE", "", ""}, racer{"PATCH", " chunk", ""}, 204},
	} {
		t.Run(name, func(t *testing.T) {
			onGrounds(t, func(t *testing.T, g ground) {
				store := &late{Store: g.store, waiting: make(chan func())}
				g.store = store
				a, b := g.node(t), g.node(t)
				location := a.start("test/hat")
				a.send("PATCH", location, "before").want(202)
				store.armed.Store(true)
				answered := make(chan *reply, 1)
				go func() { answered <- c.request.send(a, location) }()
				var let func()
				select {
				case let = <-store.waiting:
				case r := <-answered:
					t.Fatalf("%s: %d without an Update", r.what, r.status)
				}
				c.then.send(b, location).is(201, 202, 204)
				let()
				(<-answered).is(c.want)
				g.wantNamed(t)
				end := a.send("GET", location, nil).want(204, 404)
				switch {
				case c.then.method == "PATCH" && c.request.method != "DELETE":
					end.is(204).has("Range", "0-11")
					a.send("PUT", closing(location, sha([]byte("before chunk"))), nil).is(201)
					a.send("GET", "/v2/test/hat/blobs/"+sha([]byte("before chunk")), nil).is(200).content([]byte("before chunk"))
				case c.then.method == "PUT":
					end.is(404)
					a.send("GET", "/v2/test/hat/blobs/"+sha([]byte("before")), nil).is(200).content([]byte("before"))
				default:
					end.is(404)
					a.send("GET", "/v2/test/hat/blobs/"+sha([]byte("before")), nil).is(404)
				}
				g.wantNamed(t)
			}, "memory", "database")
		})
	}
}

// gone is a bucket whose client goes away when an object is written.
type gone struct {
	storage.Bucket
	leave atomic.Pointer[context.CancelFunc]
}

func (g *gone) Put(ctx context.Context, key string, r io.Reader) error {
	err := g.Bucket.Put(ctx, key, r)
	if leave := g.leave.Load(); leave != nil {
		(*leave)()
	}
	return err
}

// Bytes that have all come count, though nobody is told any more; those that were sent for
// nothing are removed all the same.
func TestUploadOfAClientThatHasGone(t *testing.T) {
	t.Parallel()
	content := text(1000)
	onGrounds(t, func(t *testing.T, g ground) {
		bucket := &gone{Bucket: g.bucket}
		g.bucket = bucket
		w := g.node(t)
		leaving := func(method, location string, body []byte) {
			t.Helper()
			ctx, leave := context.WithCancel(t.Context())
			bucket.leave.Store(&leave)
			w.try(ctx, method, location, body)
			bucket.leave.Store(nil)
			if ctx.Err() == nil {
				t.Error("nothing was written")
			}
			leave()
		}
		location := w.start("test/hat")
		leaving("PATCH", location, content[:400])
		w.send("GET", location, nil).want(204).has("Range", "0-399")
		leaving("PATCH", location, content[400:500])
		w.send("GET", location, nil).want(204).has("Range", "0-499")
		leaving("PUT", closing(location, emptyDigest), content[500:])
		g.wantObjects(t, 2)
		w.send("GET", location, nil).want(204).has("Range", "0-499")
		leaving("PUT", closing(location, sha(content)), content[500:])
		w.send("GET", location, nil).want(404)
		w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).want(200).content(content)
		g.wantObjects(t, 3)
		leaving("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(content[:10]), content[:10])
		w.send("GET", "/v2/test/hat/blobs/"+sha(content[:10]), nil).want(200).content(content[:10])
		leaving("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(content[:11]), content[:12])
		leaving("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(content), content)
		g.wantObjects(t, 4)
		if list := w.rows()["upload"]; len(list) > 0 {
			t.Errorf("uploads are left: %v", list)
		}
		g.wantNamed(t)
	}, "memory", "database", "again")
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
					location := w.send("POST", fmt.Sprintf("/v2/test/hat%d/blobs/uploads/%s", i, c.query), nil).want(202).header.Get("Location")
					for n, body := range c.bodies {
						if r, ok := body.(*strings.Reader); ok { // which can be read once
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
