package importer_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/importer"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
)

// keep leaves names as they are, where those of the source begin with the target's alias.
func keep(name string) (string, bool) { return name, true }

// requests counts those that a server was sent, by method and kind, and may answer some.
type requests struct {
	next http.Handler

	mu     sync.Mutex
	count  map[string]int
	answer func(w http.ResponseWriter, r *http.Request) bool // whether it did; nil never does
}

func (h *requests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := "/v2/"
	for _, k := range []string{"_catalog", "/tags/list", "/manifests/", "/blobs/", "/referrers/"} {
		if strings.Contains(r.URL.Path, k) {
			kind = strings.Trim(k, "/")
		}
	}
	h.mu.Lock()
	h.count[r.Method+" "+kind]++
	answer := h.answer
	h.mu.Unlock()
	if answer == nil || !answer(w, r) {
		h.next.ServeHTTP(w, r)
	}
}

// let has some requests answered from now on, or none.
func (h *requests) let(answer func(w http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

// reset forgets what was counted, and returns it.
func (h *requests) reset() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.count
	h.count = map[string]int{}
	return old
}

// server is a registry of this library with the content, which answers on a port.
func server(t *testing.T, f *fixture) (*requests, *importer.Remote) {
	t.Helper()
	s := registrytest.New(t, func(c *registry.Config) { c.Catalog = true })
	f.esplanade(s.Owner())
	h := &requests{next: s, count: map[string]int{}}
	return h, connect(t, h, nil)
}

// connect returns a source for what a handler serves.
func connect(t *testing.T, h http.Handler, opts *importer.RemoteOptions) *importer.Remote {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	o := importer.RemoteOptions{}
	if opts != nil {
		o = *opts
	}
	o.PlainHTTP = true
	r, err := importer.NewRemote(strings.TrimPrefix(web.URL, "http://"), &o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// copied runs an import that has no problems.
func copied(t *testing.T, to *registrytest.Server, from importer.Source, opts *importer.Options) *importer.Report {
	t.Helper()
	report, err := importer.Import(t.Context(), to.Owner(), from, keep, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems)+len(report.Skipped) > 0 {
		t.Errorf("problems: %+v, %+v", report.Problems, report.Skipped)
	}
	return report
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// fallback adds what clients make where a registry knows no referrers: an index of them, tagged
// with the subject's digest.
func fallback(f *fixture) *fixture {
	f.t.Helper()
	for _, i := range slices.Clone(f.items) {
		m, err := manifest.Decode(i.mediaType, i.raw, manifest.SHA256)
		if err != nil {
			f.t.Fatal(err)
		}
		if m.Subject != nil {
			f.index(i.repo, []manifest.Descriptor{m.Descriptor()}, strings.Replace(string(m.Subject.Digest), ":", "-", 1))
		}
	}
	return f
}

// TestSources imports everything from each kind of source, twice: the second time nothing is
// copied, and nothing is read that was copied.
func TestSources(t *testing.T) {
	t.Parallel()
	refuse := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			w.WriteHeader(status)
			return true
		}
	}
	remote := func(f *fixture, answer func(http.ResponseWriter, *http.Request) bool) (importer.Source, func() map[string]int) {
		h, s := server(f.t, f)
		h.let(answer)
		return s, h.reset
	}
	folder := func(f *fixture) (importer.Source, func() map[string]int) {
		return importer.NewDistribution(f.folder()), func() map[string]int { return nil }
	}
	for _, c := range []struct {
		name    string
		fixture func(*testing.T) *fixture
		source  func(*fixture) (importer.Source, func() map[string]int)
		again   map[string]int // requests of the second time
	}{
		{
			name: "remote", fixture: everything,
			source: func(f *fixture) (importer.Source, func() map[string]int) { return remote(f, nil) },
			again:  map[string]int{"GET _catalog": 1, "GET tags/list": 2, "HEAD manifests": 7, "GET referrers": 13},
		},
		{
			name: "remote without referrers", fixture: func(t *testing.T) *fixture { return fallback(everything(t)) },
			source: func(f *fixture) (importer.Source, func() map[string]int) {
				return remote(f, refuse(http.StatusNotFound))
			},
		},
		{
			name: "remote that refuses to list referrers", fixture: func(t *testing.T) *fixture { return fallback(everything(t)) },
			source: func(f *fixture) (importer.Source, func() map[string]int) {
				return remote(f, refuse(http.StatusMethodNotAllowed))
			},
		},
		{
			name: "folder", fixture: func(t *testing.T) *fixture {
				f := everything(t)
				f.image(hat, []string{"an image that has lost its tag"})
				return f
			}, source: folder,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := c.fixture(t)
			source, reset := c.source(f)
			to := registrytest.New(t)
			report := copied(t, to, source, nil)
			equal(t, "target", look(t, to), f.want())
			manifests, tags := len(f.items), 0
			for _, i := range f.items {
				tags += len(i.tags)
			}
			unique := map[manifest.Digest]int64{}
			for _, b := range f.blobs {
				unique[manifest.SHA256.FromBytes(b.raw)] = int64(len(b.raw))
			}
			want := &importer.Report{
				Repositories: 2, Manifests: importer.Count{Copied: manifests}, Tags: importer.Count{Copied: tags},
				Blobs: importer.Count{Copied: len(unique), Mounted: len(f.blobs) - len(unique)},
			}
			for _, n := range unique {
				want.Bytes += n
			}
			equal(t, "report", report, want)

			reset()
			var events []event.Event
			defer to.Follow(func(e event.Event) { events = append(events, e) })()
			report = copied(t, to, source, nil)
			equal(t, "second report", report, &importer.Report{
				Repositories: 2, Manifests: importer.Count{Present: manifests}, Tags: importer.Count{Present: tags}, Blobs: importer.Count{Present: len(f.blobs)},
			})
			equal(t, "changes of the second time", events, []event.Event(nil))
			again := reset()
			if c.again != nil {
				equal(t, "requests of the second time", again, c.again)
			}
			for _, kind := range []string{"GET blobs", "HEAD blobs"} {
				if again[kind] > 0 {
					t.Errorf("the second time, there were %d requests %s", again[kind], kind)
				}
			}
		})
	}
}

// TestReferrers asks for referrers where there is an API for them and where there is none.
func TestReferrers(t *testing.T) {
	t.Parallel()
	f := fallback(everything(t))
	h, source := server(t, f)
	list := func() []manifest.Digest {
		t.Helper()
		var list []manifest.Digest
		for _, i := range f.items {
			for d, err := range source.Referrers(t.Context(), tool, manifest.SHA256.FromBytes(i.raw)) {
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, d)
			}
		}
		slices.Sort(list)
		return list
	}
	want := list()
	if len(want) != 4 {
		t.Fatalf("%d referrers: %v", len(want), want)
	}
	h.let(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			http.NotFound(w, r)
			return true
		}
		return false
	})
	source = connect(t, h, nil)
	equal(t, "by tags", list(), want)
}

// TestChanges repeats an import after the source has changed.
func TestChanges(t *testing.T) {
	t.Parallel()
	f := everything(t)
	h, source := server(t, f)
	to := registrytest.New(t)
	copied(t, to, source, nil)
	own := to.Push(hat, registrytest.Image{OS: "plan9", Architecture: "386"}, "own")

	origin := h.next.(*registrytest.Server)
	moved := origin.Push(hat, registrytest.Image{Layers: [][]byte{[]byte("hat 3")}}, "latest")
	signature := origin.Push(hat, registrytest.Image{ArtifactType: "application/vnd.example.late", Subject: &moved})
	if err := origin.Owner().DeleteTag(t.Context(), hat, "v1"); err != nil {
		t.Fatal(err)
	}
	// what the target lost comes again
	lost := f.blobs[1]
	if err := to.Owner().DeleteBlob(t.Context(), lost.repo, manifest.SHA256.FromBytes(lost.raw)); err != nil {
		t.Fatal(err)
	}
	report := copied(t, to, source, nil)
	equal(t, "copied", []int{report.Tags.Copied, report.Manifests.Copied}, []int{1, 2})
	got := look(t, to)[hat]
	want := f.want()[hat].Tags // v1 stays
	want["own"], want["latest"] = own.Digest, moved.Digest
	equal(t, "tags", got.Tags, want)
	equal(t, "referrers", got.Referrers[moved.Digest], []manifest.Digest{signature.Digest})

	v1 := f.want()[hat].Tags["v1"]
	if err := origin.Owner().DeleteManifest(t.Context(), hat, v1); err != nil {
		t.Fatal(err)
	}
	copied(t, to, source, nil)
	equal(t, "tags after a manifest is gone", look(t, to)[hat].Tags, want)
}

// TestCatalogOfMore has a repository in the catalog that the registry does not know besides.
func TestCatalogOfMore(t *testing.T) {
	t.Parallel()
	h, source := server(t, everything(t))
	h.let(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/hat/tags/list") {
			http.NotFound(w, r)
			return true
		}
		return false
	})
	report := copied(t, registrytest.New(t), source, nil)
	equal(t, "repositories and tags", []int{report.Repositories, report.Tags.Copied}, []int{2, 2})
}

// TestSHA512 has an index, a child and a blob of other digests than the usual ones.
func TestSHA512(t *testing.T) {
	t.Parallel()
	h, source := server(t, &fixture{t: t})
	origin := h.next.(*registrytest.Server).Owner()
	config := []byte(`{"os":"linux","architecture":"amd64"}`)
	put := func(text, tag string) manifest.Descriptor {
		t.Helper()
		d := manifest.Descriptor{MediaType: manifest.MediaTypeImage, Digest: manifest.SHA512.FromString(text), Size: int64(len(text))}
		if _, err := origin.PutImage(t.Context(), hat, "", []byte(text), tag, d.Digest); err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := manifest.Descriptor{MediaType: manifest.MediaTypeConfig, Digest: manifest.SHA512.FromBytes(config), Size: int64(len(config))}
	if err := origin.PushBlob(t.Context(), hat, d.Digest, bytes.NewReader(config)); err != nil {
		t.Fatal(err)
	}
	child := put(`{"schemaVersion":2,"mediaType":"`+manifest.MediaTypeImage+`","config":`+text(d)+`,"layers":[]}`, "")
	index := put(`{"schemaVersion":2,"mediaType":"`+manifest.MediaTypeIndex+`","manifests":[`+text(child)+"]}", "v1")
	to := registrytest.New(t)
	copied(t, to, source, nil)
	got := look(t, to)
	equal(t, "target", got, look(t, h.next.(*registrytest.Server)))
	equal(t, "tags", got[hat].Tags, map[string]manifest.Digest{"v1": index.Digest})
}

// TestNames imports what the mapping chooses, under an alias, into a registry where pushing
// creates nothing.
func TestNames(t *testing.T) {
	t.Parallel()
	f := everything(t)
	_, source := server(t, f)
	to := registrytest.New(t, func(c *registry.Config) { c.CreateOnPush = false })
	report, err := importer.Import(t.Context(), to.Owner(), source, func(name string) (string, bool) {
		target, _ := importer.Under(registrytest.Alias)(name)
		return target, name == tool
	}, nil)
	if err != nil || len(report.Problems) > 0 {
		t.Fatal(err, report.Problems)
	}
	equal(t, "target", look(t, to), state{"test/" + tool: f.want()[tool]})
}

// TestResume breaks an import off after each of its steps and goes on from there.
func TestResume(t *testing.T) {
	t.Parallel()
	f := everything(t)
	h, source := server(t, f)
	to := registrytest.New(t)
	enough := errors.New("that is enough")
	blobs, runs := 0, 0
	for ; ; runs++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		report, err := importer.Import(ctx, to.Owner(), source, keep, &importer.Options{Concurrency: 1, Progress: func(e importer.Event) {
			if e.Outcome == importer.Copied && e.Object != importer.Blob {
				cancel(enough)
			}
		}})
		blobs += report.Blobs.Copied
		if len(report.Problems) > 0 {
			t.Fatal(report.Problems)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	}
	if runs < 10 {
		t.Errorf("it was broken off %d times", runs)
	}
	equal(t, "target", look(t, to), f.want())
	if got := h.reset()["GET blobs"]; got != blobs {
		t.Errorf("%d blobs were read, and %d copied", got, blobs)
	}
	unique := map[string]bool{}
	for _, b := range f.blobs {
		unique[string(b.raw)] = true
	}
	if blobs != len(unique) {
		t.Errorf("%d blobs were copied, of %d that there are", blobs, len(unique))
	}
}

// TestConcurrency counts how many requests the source has at once.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t}
	for i := range 8 {
		f.image(fmt.Sprintf("test/repo-%d", i%3), []string{"common", fmt.Sprint("layer ", i), fmt.Sprint("another ", i), fmt.Sprint("third ", i)}, fmt.Sprint("v", i))
	}
	h, source := server(t, f)
	var mu sync.Mutex
	now, most := 0, 0
	next := h.next
	h.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		defer func() {
			mu.Lock()
			now--
			mu.Unlock()
		}()
		next.ServeHTTP(w, r)
	})
	to := registrytest.New(t)
	copied(t, to, source, &importer.Options{Concurrency: 3})
	equal(t, "target", look(t, to), f.want())
	if most > 3 {
		t.Errorf("%d requests at once", most)
	}
	if got := h.reset()["GET blobs"]; got != 8*3+2 {
		t.Errorf("%d blobs were read", got) // the common layer and the configuration once
	}
}

// TestRights imports as somebody who may not push, and into what does not exist.
func TestRights(t *testing.T) {
	t.Parallel()
	f := everything(t)
	to := registrytest.New(t)
	source := importer.NewDistribution(f.folder())
	for name, c := range map[string]struct {
		actor *registry.Actor
		alias string
		want  string
	}{
		"a stranger":    {to.As(auth.Principal{Account: "999999999999", Name: "stranger"}), "test", "is not authorized to perform: ecr-public:CreateRepository"},
		"anonymous":     {to.As(auth.Principal{}), "test", "authentication required"},
		"unknown alias": {to.Owner(), "nobody", "is not authorized"},
		"invalid alias": {to.Owner(), "NO", "invalid repository name"},
	} {
		report, err := importer.Import(t.Context(), c.actor, source, importer.Under(c.alias), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(report.Problems) != 2 || !strings.Contains(report.Problems[0].Error, c.want) {
			t.Errorf("%s: %+v; want one problem for each repository, with %q", name, report.Problems, c.want)
		}
	}
	equal(t, "target", look(t, to), state{})
}

// TestProgress adds up what the events tell.
func TestProgress(t *testing.T) {
	t.Parallel()
	_, source := server(t, everything(t))
	events := map[string]int{}
	var bytes int64
	report := copied(t, registrytest.New(t), source, &importer.Options{Progress: func(e importer.Event) {
		events[fmt.Sprint(e.Object, " ", e.Outcome)]++
		bytes += e.Size
		if e.Target != e.Repository || (e.Reference == "") != (e.Object == importer.Repository) {
			t.Errorf("event %+v", e)
		}
	}})
	equal(t, "events", events, map[string]int{
		"repository begun": 2, "blob copied": report.Blobs.Copied, "blob mounted": report.Blobs.Mounted, "manifest copied": 13, "tag copied": 7,
	})
	equal(t, "bytes", bytes, report.Bytes)
	raw, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(raw), `"tags":{"copied":7,"mounted":0,"present":0}`) || !strings.HasSuffix(string(raw), `"problems":[],"skipped":[]}`) {
		t.Errorf("%s, %v", raw, err)
	}
}

// generated is a source of one image with one layer, which is made while it is read.
type generated struct {
	image, config []byte
	layer         manifest.Descriptor
	open          func() io.Reader
}

func (g generated) Repositories(context.Context) iter.Seq2[string, error] { return one("test/big") }
func (g generated) Tags(context.Context, string) iter.Seq2[string, error] { return one("latest") }
func (g generated) Resolve(context.Context, string, string) (manifest.Digest, error) {
	return manifest.SHA256.FromBytes(g.image), nil
}

func (g generated) Manifest(context.Context, string, manifest.Digest) (string, []byte, error) {
	return manifest.MediaTypeImage, g.image, nil
}

func (g generated) Blob(_ context.Context, _ string, d manifest.Descriptor) (io.ReadCloser, error) {
	if d.Digest == g.layer.Digest {
		return io.NopCloser(g.open()), nil
	}
	return io.NopCloser(strings.NewReader(string(g.config))), nil
}

func one(s string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield(s, nil) }
}

// TestMemory copies a layer of 64 MiB and looks how far reading is ahead of writing.
func TestMemory(t *testing.T) {
	t.Parallel()
	const size, window = 64 << 20, 4 << 20
	layer := func() io.Reader { return io.LimitReader(zeros{}, size) }
	hash := manifest.SHA256.Digester()
	if _, err := io.Copy(hash.Hash(), layer()); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t}
	g := generated{config: []byte(`{}`), layer: manifest.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: hash.Digest(), Size: size}}
	g.image = []byte(`{"schemaVersion":2,"mediaType":"` + manifest.MediaTypeImage + `","config":` + text(f.blob("test/big", manifest.MediaTypeConfig, string(g.config))) +
		`,"layers":[` + text(g.layer) + "]}")
	var ahead, most, written atomic.Int64
	g.open = func() io.Reader {
		return counted{layer(), func(n int) {
			if now := ahead.Add(int64(n)); now > most.Load() {
				most.Store(now)
			}
		}}
	}
	to := registrytest.New(t, func(c *registry.Config) {
		c.Bucket = draining{c.Bucket, func(n int) {
			ahead.Add(int64(-n))
			written.Add(int64(n))
		}}
	})
	report := copied(t, to, g, &importer.Options{Concurrency: 1})
	if written.Load() != report.Bytes || report.Bytes != size+int64(len(g.config)) {
		t.Errorf("%d bytes were written, %d reported", written.Load(), report.Bytes)
	}
	if most.Load() > window {
		t.Errorf("reading was %d bytes ahead of writing", most.Load())
	}
}

// counted tells how much was read.
type counted struct {
	io.Reader
	read func(n int)
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read(n)
	return n, err
}

// draining is a bucket that keeps only what is small.
type draining struct {
	storage.Bucket
	took func(n int)
}

func (b draining) Put(ctx context.Context, key string, r io.Reader) error {
	r = counted{r, b.took}
	start, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return b.Bucket.Put(ctx, key, bytes.NewReader(start))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestSort has problems in the order of their references.
func TestSort(t *testing.T) {
	t.Parallel()
	f := everything(t)
	files := f.folder()
	for name := range files {
		if strings.HasSuffix(name, "current/link") {
			delete(files, name)
			files[strings.Replace(name, "current/link", "current/other", 1)] = files[dataOf(manifest.SHA256.FromBytes([]byte("{}")))]
		}
	}
	report, err := importer.Import(t.Context(), registrytest.New(t).Owner(), importer.NewDistribution(files), keep, nil)
	if err != nil || len(report.Problems) != 7 || !slices.IsSortedFunc(report.Problems, func(a, b importer.Problem) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Reference, b.Reference))
	}) {
		t.Errorf("%+v, %v", report.Problems, err)
	}
}
