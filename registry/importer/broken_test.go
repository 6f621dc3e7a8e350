package importer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/importer"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// pair is a fixture of two images, of which one is to be broken, with the digests of what the
// broken one has.
type pair struct {
	*fixture
	layer, bad manifest.Digest // of hat:bad
	good       state           // all that can be copied
}

func newPair(t *testing.T) pair {
	t.Helper()
	f := &fixture{t: t}
	f.image(hat, []string{"a good layer"}, "good")
	f.image(tool, []string{"another good layer"}, "good")
	good := f.want()
	image := f.image(hat, []string{"a bad layer"}, "bad")
	return pair{f, manifest.SHA256.FromBytes([]byte("a bad layer")), image.Digest, good}
}

// problems runs an import that ends well but for problems, and returns those.
func problems(t *testing.T, to *registrytest.Server, from importer.Source) (texts []string) {
	t.Helper()
	report, err := importer.Import(t.Context(), to.Owner(), from, keep, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		texts = append(texts, fmt.Sprintf("%s:%s: %s", p.Repository, p.Reference, p.Error))
	}
	for _, p := range report.Skipped {
		texts = append(texts, fmt.Sprintf("skipped %s:%s: %s", p.Repository, p.Reference, p.Error))
	}
	return texts
}

// like reports differences between texts and patterns, each of which is parts with * between
// them.
func like(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	matches := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		rest := got[i]
		for _, part := range strings.Split(want[i], "*") {
			_, after, ok := strings.Cut(rest, part)
			matches = matches && ok
			rest = after
		}
	}
	if !matches {
		t.Errorf("%s: got\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestBrokenFolder damages a folder: what is damaged is reported, and the rest is copied.
func TestBrokenFolder(t *testing.T) {
	t.Parallel()
	signed := `{"schemaVersion":1,"name":"hat","fsLayers":[],"signatures":[]}`
	for _, c := range []struct {
		name  string
		spoil func(p pair, files fstest.MapFS)
		want  []string
	}{
		{"a blob is missing", func(p pair, files fstest.MapFS) { delete(files, dataOf(p.layer)) },
			[]string{"test/hat:bad: blob sha256:* file does not exist"}},
		{"a blob is empty", func(p pair, files fstest.MapFS) { files[dataOf(p.layer)] = &fstest.MapFile{} },
			[]string{"test/hat:bad: blob sha256:*: the content has digest sha256:*, not"}},
		{"a blob has other bytes", func(p pair, files fstest.MapFS) {
			files[dataOf(p.layer)] = &fstest.MapFile{Data: []byte("a BAD layer")}
		},
			[]string{"test/hat:bad: blob sha256:*: the content has digest sha256:*, not"}},
		{"a blob is a folder", func(p pair, files fstest.MapFS) { files[dataOf(p.layer)] = &fstest.MapFile{Mode: fs.ModeDir | 0o755} },
			[]string{"test/hat:bad: blob sha256:*: the body ended early: read"}},
		{"a layer has no link", func(p pair, files fstest.MapFS) { delete(files, linkOf(hat, "_layers", p.layer)) },
			[]string{"test/hat:bad: blob sha256:*link: file does not exist"}},
		{"a tag has no link", func(p pair, files fstest.MapFS) { delete(files, tagOf(hat, "bad")) },
			[]string{"test/hat:bad: open *current/link: file does not exist"}},
		{"a tag's link is no digest", func(p pair, files fstest.MapFS) {
			files[tagOf(hat, "bad")] = &fstest.MapFile{Data: []byte("sha256:../../../etc/passwd")}
		}, []string{"test/hat:bad: *current/link: invalid digest"}},
		{"a tag points to nothing", func(p pair, files fstest.MapFS) {
			delete(files, linkOf(hat, "_manifests/revisions", p.bad))
		}, []string{"test/hat:bad: open *revisions*: file does not exist"}},
		{"a manifest is missing", func(p pair, files fstest.MapFS) { delete(files, dataOf(p.bad)) },
			[]string{"test/hat:bad: open *data: file does not exist"}},
		{"a manifest without a tag is missing", func(p pair, files fstest.MapFS) {
			delete(files, dataOf(p.bad))
			for _, kind := range []string{"current/link", "index/sha256/" + p.bad.Encoded() + "/link"} {
				delete(files, path.Join(root, hat, "_manifests/tags/bad", kind))
			}
		}, []string{"test/hat:sha256:*: open *data: file does not exist"}},
		{"a manifest has other bytes", func(p pair, files fstest.MapFS) {
			files[dataOf(p.bad)] = &fstest.MapFile{Data: append([]byte(" "), files[dataOf(p.bad)].Data...)}
		}, []string{"test/hat:bad: provided digest did not match*has digest sha256"}},
		{"a manifest is no JSON", func(p pair, files fstest.MapFS) { files[dataOf(p.bad)] = &fstest.MapFile{Data: []byte("{")} },
			[]string{"test/hat:bad: invalid manifest"}},
		{"a manifest is too large", func(p pair, files fstest.MapFS) {
			files[dataOf(p.bad)] = &fstest.MapFile{Data: make([]byte, manifest.MaxSize+5)}
		}, []string{"test/hat:bad: invalid manifest: 4194305 bytes"}},
		{"a manifest is of schema 1", func(p pair, files fstest.MapFS) { files[dataOf(p.bad)] = &fstest.MapFile{Data: []byte(signed)} },
			[]string{"skipped test/hat:bad: manifests of Docker's schema 1"}},
		{"a manifest was deleted", func(p pair, files fstest.MapFS) {
			delete(files, linkOf(hat, "_manifests/revisions", p.bad))
			delete(files, tagOf(hat, "bad"))
			delete(files, path.Join(root, hat, "_manifests/tags/bad/index/sha256", p.bad.Encoded(), "link"))
			files[path.Dir(linkOf(hat, "_manifests/revisions", p.bad))] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			files := p.folder()
			c.spoil(p, files)
			to := registrytest.New(t)
			like(t, "problems", problems(t, to, importer.NewDistribution(files)), c.want...)
			want := p.good
			if strings.HasPrefix(c.name, "a tag") && !strings.HasSuffix(c.name, "nothing") {
				want = p.want() // the manifest is listed without it
				delete(want[hat].Tags, "bad")
			}
			equal(t, "target", look(t, to), want)
			like(t, "problems once it is repaired", problems(t, to, importer.NewDistribution(p.folder())))
			equal(t, "target once it is repaired", look(t, to), p.want())
		})
	}
}

// TestBrokenChild has an image without one of its layers in two indexes, one of which has a
// signature, and as the subject of another.
func TestBrokenChild(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	bad := manifest.Descriptor{MediaType: manifest.MediaTypeImage, Digest: p.bad, Size: int64(len(p.items[2].raw))}
	fine := p.image(hat, []string{"a fine layer"})
	p.index(hat, []manifest.Descriptor{fine, bad}, "index", "same")
	outer := p.index(hat, []manifest.Descriptor{p.index(hat, []manifest.Descriptor{bad})}, "outer")
	p.artifact(hat, "application/vnd.example.about.fine", fine)
	p.artifact(hat, "application/vnd.example.about.bad", bad, "about")
	p.artifact(hat, "application/vnd.example.about.outer", outer)
	h, source := server(t, p.fixture)
	h.let(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, string(p.layer)) {
			http.NotFound(w, r)
			return true
		}
		return false
	})
	to := registrytest.New(t)
	like(t, "problems", problems(t, to, source),
		"test/hat:bad: blob sha256:*: not found",
		"test/hat:index: manifest sha256:*: blob sha256:*: not found",
		"test/hat:outer: manifest sha256:*: blob sha256:*: not found",
		"test/hat:same: manifest sha256:*: blob sha256:*: not found",
	)
	// What is about the fine image is copied, and so is what has a tag.
	equal(t, "referrers", look(t, to)[hat].Referrers[fine.Digest], p.want()[hat].Referrers[fine.Digest])
	if n := h.reset()["GET blobs"]; n != 8 {
		t.Errorf("%d blobs were asked for, want each once", n)
	}
	h.let(nil)
	like(t, "problems once it is repaired", problems(t, to, source))
	equal(t, "target once it is repaired", look(t, to), p.want())
}

// TestBrokenReferrer has an index that is the referrer of its own child, and one that cannot be
// copied.
func TestBrokenReferrer(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t}
	child := f.image(hat, []string{"a layer"}, "v1")
	f.manifest(hat, manifest.MediaTypeIndex, map[string]any{
		"schemaVersion": 2, "mediaType": manifest.MediaTypeIndex, "manifests": []manifest.Descriptor{child}, "subject": child,
	}, nil)
	want := f.want()
	bad := f.artifact(hat, "application/vnd.example.bad", child)
	h, source := server(t, f)
	h.let(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/manifests/"+string(bad.Digest)) {
			http.Error(w, "no", http.StatusForbidden)
			return true
		}
		return false
	})
	to := registrytest.New(t)
	like(t, "problems", problems(t, to, source), "test/hat:"+string(bad.Digest)+": *response status code 403")
	equal(t, "target", look(t, to), want)
	h.let(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			http.Error(w, "no", http.StatusForbidden)
			return true
		}
		return false
	})
	like(t, "problems without a list", problems(t, to, source), "test/hat:"+string(child.Digest)+": list of referrers: *403")
}

// TestForgedReferrers has a list of referrers with what is no digest.
func TestForgedReferrers(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t}
	f.image(hat, []string{"a layer"}, "v1")
	h, source := server(t, f)
	h.let(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		w.Header().Set("Content-Type", manifest.MediaTypeIndex)
		io.WriteString(w, `{"schemaVersion":2,"manifests":[{"digest":"v1"},{"digest":""},{"digest":"sha1:00"},{"digest":"../../x"}]}`) //nolint:errcheck // of the test
		return true
	})
	to := registrytest.New(t)
	like(t, "problems", problems(t, to, source),
		"test/hat:: invalid digest", "test/hat:../../x: invalid digest", "test/hat:sha1:00: invalid digest", "test/hat:v1: invalid digest")
	equal(t, "target", look(t, to), f.want())
}

// impatient is a client that tries again at once.
func impatient(host string) *auth.Client {
	policy := &retry.GenericPolicy{
		Retryable: retry.DefaultPredicate, Backoff: func(int, *http.Response) time.Duration { return 0 }, MaxRetry: 5,
	}
	return &auth.Client{
		Client:     &http.Client{Transport: &retry.Transport{Policy: func() retry.Policy { return policy }}},
		Credential: auth.StaticCredential(host, auth.Credential{Username: registrytest.Username, Password: registrytest.Password}), Cache: auth.NewCache(),
	}
}

// TestBrokenRemote has a server that misbehaves when it is asked for the bad layer, or for what
// else the case names.
func TestBrokenRemote(t *testing.T) {
	t.Parallel()
	bad := newPair(t).bad
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
	}
	for _, c := range []struct {
		name, path string // "LAYER" and "IMAGE" stand for digests
		times      int    // how often; 0: always
		do         http.HandlerFunc
		want       []string
	}{
		{name: "404", path: "/blobs/LAYER", do: status(404), want: []string{"test/hat:bad: blob sha256:*: not found"}},
		{name: "500", path: "/blobs/LAYER", do: status(500), want: []string{"test/hat:bad: blob sha256:*status code 500"}},
		{name: "500 at times", path: "/blobs/LAYER", times: 3, do: status(500)},
		{name: "429 at times", path: "/blobs/LAYER", times: 2, do: status(429)},
		{name: "403", path: "/blobs/LAYER", do: status(403), want: []string{"test/hat:bad: blob sha256:*status code 403"}},
		{name: "other bytes", path: "/blobs/LAYER", do: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a BAD layer") }, //nolint:errcheck // of the test
			want: []string{"test/hat:bad: blob sha256:*the content has digest"}},
		{name: "fewer bytes", path: "/blobs/LAYER", do: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a") }, //nolint:errcheck // of the test
			want: []string{"test/hat:bad: blob sha256:*mismatch Content-Length"}},
		{name: "cut off", path: "/blobs/LAYER", do: cutOff(false), want: []string{"test/hat:bad: blob sha256:*the body ended early: unexpected EOF"}},
		{name: "cut off at times", path: "/blobs/LAYER", times: 4, do: cutOff(false)},
		{name: "cut off at times, with ranges", path: "/blobs/LAYER", times: 4, do: cutOff(true)},
		{name: "chunks that end early", path: "/blobs/LAYER", do: func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "a ba") //nolint:errcheck // of the test
		}, want: []string{"test/hat:bad: blob sha256:*the content has digest"}},
		{name: "manifest 404", path: "/manifests/IMAGE", do: status(404), want: []string{"test/hat:bad: *not found"}},
		{name: "manifest 500", path: "/manifests/IMAGE", do: status(500), want: []string{"test/hat:bad: *status code 500"}},
		{name: "manifest of schema 1", path: "/manifests/IMAGE", do: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
			w.Header().Set("Docker-Content-Digest", string(bad)) // that of what is signed
			io.WriteString(w, "{}")                              //nolint:errcheck // of the test
		}, want: []string{"skipped test/hat:bad: manifests of Docker's schema 1"}},
		{name: "manifest of two types", path: "/manifests/IMAGE", do: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", manifest.MediaTypeIndex)
			w.Header().Set("Docker-Content-Digest", string(bad))
			io.WriteString(w, `{"schemaVersion":2,"mediaType":"`+manifest.MediaTypeImage+`"}`) //nolint:errcheck // of the test
		}, want: []string{"test/hat:bad: invalid manifest: Content-Type is"}},
		{name: "tag 404", path: "/manifests/bad", do: status(404), want: []string{"test/hat:bad: *not found"}},
		{name: "tags 404", path: "test/hat/tags/list", do: status(404), want: []string{"test/hat:: list of tags:*404"}},
		{name: "no such repository", path: "test/hat/tags/list", do: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN"}]}`) //nolint:errcheck // of the test
		}, want: []string{"test/hat:: list of tags:*404: name unknown"}},
		{name: "tags without sense", path: "test/hat/tags/list", do: func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"tags":["`+strings.Repeat("x", 200)+`","latest@sha256:1","good"]}`) //nolint:errcheck // of the test
		}, want: []string{`test/hat:latest@sha256:1: invalid tag`, `test/hat:xxx*: invalid tag`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			h, _ := server(t, p.fixture)
			end := strings.NewReplacer("LAYER", string(p.layer), "IMAGE", string(p.bad)).Replace(c.path)
			var mu sync.Mutex
			times := 0
			h.let(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, end) {
					return false
				}
				mu.Lock()
				times++
				over := c.times > 0 && times > c.times
				mu.Unlock()
				if !over {
					c.do(w, r)
				}
				return !over
			})
			source := connect(t, h, &importer.RemoteOptions{Repositories: []string{hat, tool}, Client: impatient("")})
			to := registrytest.New(t)
			like(t, "problems", problems(t, to, source), c.want...)
			want := p.good
			if c.times > 0 {
				want = p.fixture.want()
			}
			if strings.HasSuffix(end, "list") {
				want = state{tool: want[tool], hat: look(t, to)[hat]}
				if want[hat].Tags == nil {
					delete(want, hat)
				}
			}
			equal(t, "target", look(t, to), want)
		})
	}
}

// cutOff announces the bad layer and sends some bytes of it, or of the range that is asked for.
func cutOff(ranges bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		const layer = "a bad layer"
		from := 0
		if ranges {
			w.Header().Set("Accept-Ranges", "bytes")
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
				w.WriteHeader(http.StatusPartialContent)
			}
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(layer)-from))
		io.WriteString(w, layer[from:from+1]) //nolint:errcheck // of the test
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// TestWholeSource has sources that fail as a whole, which ends the import.
func TestWholeSource(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	gone := strings.TrimPrefix(closed.URL, "http://")
	remote := func(host string, o importer.RemoteOptions) importer.Source {
		o.PlainHTTP = true
		r, err := importer.NewRemote(host, &o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure, err := importer.NewRemote(strings.TrimPrefix(untrusted.URL, "https://"), nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, c := range map[string]struct {
		source importer.Source
		want   error
	}{
		"no catalog":             {connect(t, http.NotFoundHandler(), nil), fs.ErrNotExist},
		"nobody listens":         {remote(gone, importer.RemoteOptions{Client: impatient("")}), importer.ErrUnreachable},
		"nobody listens to tags": {remote(gone, importer.RemoteOptions{Client: impatient(""), Repositories: []string{"a", "b"}}), importer.ErrUnreachable},
		"no such host":           {remote("registry.invalid", importer.RemoteOptions{Client: impatient("")}), importer.ErrUnreachable},
		"an unknown certificate": {secure, importer.ErrUnreachable},
		"no such folder":         {importer.NewDistribution(os.DirFS(filepath.Join(folder, "none"))), fs.ErrNotExist},
		"another folder":         {importer.NewDistribution(os.DirFS(folder)), fs.ErrNotExist},
	} {
		report, err := importer.Import(t.Context(), registrytest.New(t).Owner(), c.source, keep, nil)
		if !errors.Is(err, c.want) || report == nil || len(report.Problems) > 0 {
			t.Errorf("%s: %v, %+v", name, err, report)
		}
	}
}

// TestCanceled cancels an import while a layer comes that never ends.
func TestCanceled(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	h, source := server(t, p.fixture)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.let(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, string(p.layer)) {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len("a bad layer")))
		io.WriteString(w, "a") //nolint:errcheck // of the test
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		return true
	})
	to := registrytest.New(t)
	report, err := importer.Import(ctx, to.Owner(), source, keep, nil)
	if !errors.Is(err, context.Canceled) || len(report.Problems) > 0 {
		t.Errorf("%v, %+v", err, report)
	}
	h.let(nil)
	like(t, "problems of the next import", problems(t, to, source))
	equal(t, "target", look(t, to), p.want())
}

// full is a bucket that takes nothing.
type full struct{ storage.Bucket }

func (full) Put(context.Context, string, io.Reader) error { return errFull }

var errFull = errors.New("no space left on device")

// TestWholeTarget has targets that fail as a whole: a full disk is not reported for each image.
func TestWholeTarget(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t}
	for i := range 100 {
		f.image(hat, []string{fmt.Sprint("layer ", i)}, fmt.Sprint("v", i))
	}
	source := importer.NewDistribution(f.folder())
	to := registrytest.New(t, func(c *registry.Config) { c.Bucket = full{c.Bucket} })
	report, err := importer.Import(t.Context(), to.Owner(), source, keep, nil)
	if !errors.Is(err, errFull) || report.Blobs.Copied > 0 {
		t.Errorf("%v, %+v", err, report)
	}
	for _, refusal := range []error{registry.ErrTooManyRequests, registry.ErrUnavailable} {
		to = registrytest.New(t, func(c *registry.Config) {
			c.Interceptors = append(c.Interceptors, func(context.Context, *registry.Op, func(context.Context) error) error {
				return &registry.Error{Err: refusal}
			})
		})
		if report, err = importer.Import(t.Context(), to.Owner(), source, keep, nil); !errors.Is(err, refusal) {
			t.Errorf("%v, %+v", err, report)
		}
	}
}

// immutable lets tags be made, but not moved.
type immutable struct{}

func (immutable) Check(_ context.Context, _ meta.Tx, _ *registry.Op, c *registry.Change) error {
	if c.Kind == registry.MoveTag && c.Before != "" {
		return &registry.Error{Err: registry.ErrDenied, Message: "the tag " + c.Tag + " is immutable"}
	}
	return nil
}

// TestGuard has a target whose guard refuses one of two tags.
func TestGuard(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t}
	f.image(hat, []string{"new"}, "fixed", "free")
	to := registrytest.New(t, func(c *registry.Config) { c.Guards = append(c.Guards, immutable{}) })
	old := to.Push(hat, registrytest.Image{}, "fixed")
	like(t, "problems", problems(t, to, importer.NewDistribution(f.folder())), "test/hat:fixed: the tag fixed is immutable")
	want := f.want()[hat].Tags
	want["fixed"] = old.Digest
	equal(t, "tags", look(t, to)[hat].Tags, want)
}

// TestCredentials reads what only its owner may.
func TestCredentials(t *testing.T) {
	t.Parallel()
	f := newPair(t)
	s := registrytest.New(t, func(c *registry.Config) { c.Evaluators, c.Catalog = []policy.Evaluator{policy.Owner{}}, true })
	f.esplanade(s.Owner())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	host := strings.TrimPrefix(web.URL, "http://")
	from := func(o importer.RemoteOptions) importer.Source {
		o.PlainHTTP, o.Repositories = true, []string{hat, tool}
		r, err := importer.NewRemote(host, &o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	to := registrytest.New(t)
	like(t, "anonymous", problems(t, to, from(importer.RemoteOptions{})), "test/hat:: list of tags: *credential", "test/team/nested/tool:: list of tags: *credential")
	mine := auth.Credential{Username: registrytest.Username, Password: registrytest.Password}
	like(t, "with a function", problems(t, to, from(importer.RemoteOptions{Credential: auth.StaticCredential(host, mine)})))
	equal(t, "target", look(t, to), f.want())
	to = registrytest.New(t)
	like(t, "with a client", problems(t, to, from(importer.RemoteOptions{Client: impatient(host)})))
	equal(t, "target", look(t, to), f.want())
}
