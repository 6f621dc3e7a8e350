package registry_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	_ "gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
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
