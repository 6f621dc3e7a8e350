package repair_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	_ "gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

const grace = 24 * time.Hour

// ground is a registry in a bubble of time, with some images that are older than the grace.
type ground struct {
	*registrytest.Server
	t      *testing.T
	folder string // of the bucket, if it is one
	opts   repair.Options

	a, b, index, artifact manifest.Descriptor // of test/hat
	cap                   manifest.Descriptor // of test/cap
	hat, capID            meta.Repository
	logo                  string // key
}

// layers of the images; the large one is longer than what is kept in memory.
var (
	sharedLayer = []byte("a layer that all images have")
	layerA      = []byte("a layer of hat:a alone")
	layerB      = bytes.Repeat([]byte("a large layer of hat:b. "), 10_000)
	parts       = [][]byte{[]byte("a layer that came "), []byte("in two chunks")}
)

func digestOf(raw ...[]byte) manifest.Digest {
	return manifest.SHA256.FromBytes(bytes.Join(raw, nil))
}

// worlds runs a test over memory, and over an SQLite database and a folder, each in a bubble.
func worlds(t *testing.T, f func(g *ground)) {
	t.Helper()
	for _, world := range []string{"memory", "disk"} {
		t.Run(world, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				if world == "memory" {
					f(newGround(t, memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), ""))
					return
				}
				store, bucket := openDisk(t, dir)
				f(newGround(t, store, bucket, filepath.Join(dir, "blobs")))
				if err := errors.Join(store.Close(), bucket.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func openDisk(t *testing.T, dir string) (*sqlmeta.Store, *gocloud.Bucket) {
	t.Helper()
	store, err := sqlmeta.OpenSQLite(context.Background(), filepath.Join(dir, "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := gocloud.FileURL(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := gocloud.Open(context.Background(), u)
	if err != nil {
		t.Fatal(err)
	}
	return store, bucket
}

func newGround(t *testing.T, store meta.Store, bucket storage.Bucket, folder string) *ground {
	t.Helper()
	s := registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket, c.Grace, c.BlobCache = store, bucket, grace, -1 })
	g := &ground{Server: s, t: t, folder: folder}
	g.opts.Serving = s.Registry
	g.push()
	g.pass(3 * grace)
	return g
}

// push pushes everything, whatever of it is there already.
func (g *ground) push() {
	g.t.Helper()
	g.chunked("test/hat", parts...)
	g.a = g.Push("test/hat", registrytest.Image{Layers: [][]byte{sharedLayer, layerA}}, "a", "latest")
	g.b = g.Push("test/hat", registrytest.Image{Layers: [][]byte{sharedLayer, layerB, bytes.Join(parts, nil)}}, "b")
	g.index = g.PushIndex("test/hat", []manifest.Descriptor{g.a, g.b}, "index")
	g.artifact = g.Push("test/hat", registrytest.Image{ArtifactType: "application/vnd.example", Subject: &g.index})
	g.cap = g.Push("test/cap", registrytest.Image{Layers: [][]byte{sharedLayer}}, "latest")
	var picture bytes.Buffer
	g.must(png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 64))))
	_, err := g.Owner().PutCatalogData(g.t.Context(), "test/hat", registry.CatalogData{Description: "hats", Logo: picture.Bytes()})
	g.must(err)
	g.hat, err = g.Owner().Repository(g.t.Context(), "test/hat")
	g.must(err)
	g.capID, err = g.Owner().Repository(g.t.Context(), "test/cap")
	g.must(err)
	g.view(func(tx meta.Tx) error {
		c, err := tx.Catalogs().Get(g.hat.ID)
		g.logo = c.Logo
		return err
	})
}

// chunked pushes a blob in several chunks, unless it is there.
func (g *ground) chunked(name string, chunks ...[]byte) {
	g.t.Helper()
	location := "/v2/" + name + "/blobs/uploads/"
	send := func(method, url string, body []byte, want int) {
		req, err := http.NewRequestWithContext(g.t.Context(), method, "http://registry.example"+url, bytes.NewReader(body))
		g.must(err)
		req.SetBasicAuth(registrytest.Username, registrytest.Password)
		req.Header.Set("Content-Type", "application/octet-stream")
		res, err := g.Client().Do(req)
		g.must(err)
		g.must(res.Body.Close())
		if res.StatusCode != want {
			g.t.Fatalf("%s %s: %s", method, url, res.Status)
		}
		u, err := req.URL.Parse(res.Header.Get("Location"))
		g.must(err)
		location = u.RequestURI()
	}
	send(http.MethodPost, location, nil, http.StatusAccepted)
	for _, c := range chunks {
		send(http.MethodPatch, location, c, http.StatusAccepted)
	}
	send(http.MethodPut, location+"?digest="+string(digestOf(chunks...)), nil, http.StatusCreated)
}

func (g *ground) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *ground) view(f func(tx meta.Tx) error) {
	g.t.Helper()
	g.must(g.Store.View(context.Background(), f))
}

func (g *ground) update(f func(tx meta.Tx) error) {
	g.t.Helper()
	g.must(g.Store.Update(context.Background(), f))
}

// pass lets time go by, and the collector do what is due then.
func (g *ground) pass(d time.Duration) {
	g.t.Helper()
	time.Sleep(d)
	for more := true; more; {
		var err error
		_, more, err = g.Collect(g.t.Context(), 100)
		g.must(err)
	}
	if g.folder == "" {
		return
	}
	// the files' times are of the clock outside of the bubble
	then := time.Now().Add(-d)
	g.must(filepath.WalkDir(g.folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.ModTime().After(time.Now()) {
			err = os.Chtimes(path, then, then)
		}
		return err
	}))
}

// run looks at everything, with the summary's counts checked against what was reported.
func (g *ground) run(o repair.Options) []repair.Finding {
	g.t.Helper()
	list, sum := g.runFrom(repair.Checkpoint{}, o)
	if n := len(list); int64(n) != total(sum.Found) || !sum.Complete || sum.Rows == 0 || sum.Objects == 0 || sum.Bytes < int64(len(layerA)) && n == 0 {
		g.t.Errorf("%d findings, and the summary is %+v", n, sum)
	}
	return list
}

func (g *ground) runFrom(c repair.Checkpoint, o repair.Options) ([]repair.Finding, repair.Summary) {
	g.t.Helper()
	var list []repair.Finding
	o.Found = func(f repair.Finding) error {
		if f.Text == "" || f.Mend == "" || f.Note != f.Kind.Note() {
			g.t.Errorf("the finding %+v does not say what it is", f)
		}
		list = append(list, f)
		return nil
	}
	o.Age, o.Serving = grace, g.opts.Serving
	sum, err := repair.Run(g.t.Context(), g.Store, g.Bucket, c, &o)
	g.must(err)
	return list, sum
}

func total(m map[repair.Kind]int64) (n int64) {
	for _, i := range m {
		n += i
	}
	return n
}

// want compares findings but for their sentences.
func (g *ground) want(when string, want, got []repair.Finding) {
	g.t.Helper()
	sorted := cmpopts.SortSlices(func(a, b repair.Finding) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	silent := func(list []repair.Finding) []repair.Finding {
		list = append([]repair.Finding{}, list...)
		for i := range list {
			list[i].Text, list[i].Mend = "", ""
		}
		return list
	}
	if diff := cmp.Diff(silent(want), silent(got), sorted); diff != "" {
		g.t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

func (g *ground) inHat(k repair.Kind, d manifest.Digest) repair.Finding {
	return repair.Finding{Kind: k, Note: k.Note(), Account: registrytest.Account, Repository: "hat", RepositoryID: g.hat.ID, Digest: d}
}

func (g *ground) inCap(k repair.Kind, d manifest.Digest) repair.Finding {
	return repair.Finding{Kind: k, Note: k.Note(), Account: registrytest.Account, Repository: "cap", RepositoryID: g.capID.ID, Digest: d}
}

// key returns the key of an object of a blob.
func (g *ground) key(d manifest.Digest, segment int) (key string) {
	g.t.Helper()
	g.view(func(tx meta.Tx) error {
		b, err := tx.Blobs().Get(meta.BlobKey(d))
		if err == nil {
			key = b.Segments[segment].Key
		}
		return err
	})
	return key
}

// rewrite changes an object.
func (g *ground) rewrite(key string, change func([]byte) []byte) {
	g.t.Helper()
	ctx := context.Background()
	o, err := g.Bucket.Get(ctx, key, 0, -1)
	g.must(err)
	raw, err := io.ReadAll(o)
	g.must(errors.Join(err, o.Close()))
	g.must(g.Bucket.Delete(ctx, key))
	g.must(g.Bucket.Put(ctx, key, bytes.NewReader(change(raw))))
}

func flip(raw []byte) []byte {
	raw[len(raw)/2] ^= 1
	return raw
}

// everything is all rows, and the bytes of all objects.
func (g *ground) everything() map[string][]any {
	g.t.Helper()
	all := map[string][]any{}
	g.view(func(tx meta.Tx) error {
		return errors.Join(
			dump(all, "registries", tx.Registries()), dump(all, "aliases", tx.Aliases()), dump(all, "requests", tx.AliasRequests()),
			dump(all, "repositories", tx.Repositories()), dump(all, "policies", tx.RepositoryPolicies()), dump(all, "catalogs", tx.Catalogs()),
			dump(all, "tags", tx.ResourceTags()), dump(all, "manifests", tx.Manifests()), dump(all, "edges", tx.Edges()), dump(all, "image tags", tx.Tags()),
			dump(all, "moves", tx.Moves()), dump(all, "blobs", tx.Blobs()), dump(all, "links", tx.Links()), dump(all, "uploads", tx.Uploads()),
			dump(all, "reviews", tx.Reviews()), dump(all, "events", tx.Events()), dump(all, "records", tx.Records()),
		)
	})
	ctx := context.Background()
	for a, err := range g.Bucket.List(ctx, "", "") {
		g.must(err)
		o, err := g.Bucket.Get(ctx, a.Key, 0, -1)
		g.must(err)
		raw, err := io.ReadAll(o)
		g.must(errors.Join(err, o.Close()))
		all["objects"] = append(all["objects"], a.Key, manifest.SHA256.FromBytes(raw), a.Modified)
	}
	return all
}

func dump[K meta.Key, R any](all map[string][]any, name string, table meta.Table[K, R]) error {
	for row, err := range table.Scan(meta.Range[K]{}) {
		if err != nil {
			return err
		}
		all[name] = append(all[name], row)
	}
	return nil
}

// whole fails unless an image can be pulled with all its blobs.
func (g *ground) whole(name, reference string) {
	g.t.Helper()
	ctx, owner := g.t.Context(), g.Owner()
	m, err := owner.Manifest(ctx, name, reference)
	if err != nil {
		g.t.Errorf("%s:%s: %v", name, reference, err)
		return
	}
	for e := range m.Edges() {
		switch {
		case e.Kind == manifest.EdgeChild:
			g.whole(name, string(e.Descriptor.Digest))
		case e.NeedsBlob():
			r, err := owner.Blob(ctx, name, e.Descriptor.Digest)
			if err != nil {
				g.t.Errorf("%s:%s: %s: %v", name, reference, e.Field(), err)
				continue
			}
			raw, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil || manifest.SHA256.FromBytes(raw) != e.Descriptor.Digest {
				g.t.Errorf("%s:%s: %s: %d bytes, %v", name, reference, e.Field(), len(raw), err)
			}
		}
	}
}

func (g *ground) allWhole() {
	g.t.Helper()
	for _, image := range []string{"test/hat:a", "test/hat:latest", "test/hat:b", "test/hat:index", "test/cap:latest"} {
		name, tag, _ := strings.Cut(image, ":")
		g.whole(name, tag)
	}
}
