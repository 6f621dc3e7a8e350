package gallery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

// ground is a registry with its gallery.
type ground struct {
	*registrytest.Server
	site *site.Site
	t    testing.TB
}

// newGround returns the gallery of a registry that fill fills. Nothing is found in it before
// run.
func newGround(t testing.TB, fill func(*registrytest.Server), change ...func(*site.Config)) *ground {
	t.Helper()
	return newGroundOf(t, registrytest.New(t, func(c *registry.Config) {
		c.AliasDecider = registry.Always{}
		c.Quotas = registry.Quotas{Images: 100_000, TagsPerImage: 100_000}
	}), fill, change...)
}

func newGroundOf(t testing.TB, server *registrytest.Server, fill func(*registrytest.Server), change ...func(*site.Config)) *ground {
	t.Helper()
	if fill != nil {
		fill(server)
	}
	cfg := site.Config{Registry: server.Registry, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range change {
		f(&cfg)
	}
	s, err := site.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &ground{server, s, t}
}

// run has the index follow the registry until the test ends, in a bubble. It returns when
// everything that there is can be found.
func (g *ground) run() *ground {
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.t.Context()))
	done := make(chan error, 1)
	go func() { done <- g.site.Run(ctx) }()
	g.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Error(err)
		}
	})
	synctest.Wait()
	return g
}

// catchUp waits until the index knows of all changes.
func catchUp() {
	time.Sleep(2 * site.Delay) // of the bubble
	synctest.Wait()
}

// bubble runs a test in a bubble, in which the index has caught up when everything waits.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// reply is an answer as it was.
type reply struct {
	what   string // was asked
	status int
	header http.Header
	body   []byte
}

// acceptHTML is what browsers accept.
const acceptHTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// with sets a header of a request; "" removes it.
func with(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
		if name == "Host" {
			r.Header.Del(name)
			r.Host = value
		}
	}
}

// ask sends a request as browsers do.
func (g *ground) ask(method, path string, change ...func(*http.Request)) reply {
	g.t.Helper()
	return ask(g.t, g.site, method, path, change...)
}

func ask(t testing.TB, h http.Handler, method, path string, change ...func(*http.Request)) reply {
	t.Helper()
	method, body, _ := strings.Cut(method, " ") // a form may follow
	r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	u, err := r.URL.Parse(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if strings.HasPrefix(path, "//") { // which is a path here, and a host to Parse
		u.Host = ""
		u.Path, u.RawQuery, _ = strings.Cut(path, "?")
	}
	r.URL, r.RequestURI = u, u.RequestURI()
	r.Header.Set("Accept", acceptHTML)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{method + " " + path, w.Code, w.Header(), w.Body.Bytes()}
}

// get asks for a page, which must have a status.
func (g *ground) get(path string, want int, change ...func(*http.Request)) reply {
	g.t.Helper()
	r := g.ask("GET", path, change...)
	if r.status != want {
		g.t.Errorf("%s: %d, want %d: %.80q", r.what, r.status, want, r.body)
	}
	return r
}

// page asks for a page and parses it.
func (g *ground) page(path string) doc {
	g.t.Helper()
	r := g.get(path, http.StatusOK)
	if got := r.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		g.t.Errorf("%s: the type is %q", path, got)
	}
	return r.parse(g.t)
}

// json asks for a page as JSON.
func (g *ground) json(path string, into any) {
	g.t.Helper()
	r := g.get(path, http.StatusOK, with("Accept", "application/json"))
	if err := json.Unmarshal(r.body, into); err != nil {
		g.t.Errorf("%s: %v in %.300s", path, err, r.body)
	}
}

// layer is a layer of an artifact, or a file.
type layer struct{ mediaType, title, text string }

// artifact is one whose every part a test can choose.
type artifact struct {
	config       any
	configType   string // of an image, if empty
	artifactType string
	layers       []layer
	annotations  map[string]string
	subject      *manifest.Descriptor
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func pushBlob(t testing.TB, s *registrytest.Server, name, mediaType string, raw []byte) manifest.Descriptor {
	t.Helper()
	d := manifest.Descriptor{MediaType: mediaType, Digest: manifest.SHA256.FromBytes(raw), Size: int64(len(raw))}
	if err := s.Owner().PushBlob(t.Context(), name, d.Digest, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return d
}

// push pushes an artifact. One that the registry refuses is an error.
func push(t testing.TB, s *registrytest.Server, name string, a artifact, tags ...string) (manifest.Descriptor, error) {
	t.Helper()
	if a.configType == "" {
		a.configType = manifest.MediaTypeConfig
	}
	m := ocispec.Manifest{
		MediaType: manifest.MediaTypeImage, ArtifactType: a.artifactType, Config: pushBlob(t, s, name, a.configType, mustJSON(t, a.config)),
		Layers: []manifest.Descriptor{}, Annotations: a.annotations, Subject: a.subject,
	}
	m.SchemaVersion = 2
	for _, l := range a.layers {
		d := pushBlob(t, s, name, l.mediaType, []byte(l.text))
		if l.title != "" {
			d.Annotations = map[string]string{ocispec.AnnotationTitle: l.title}
		}
		m.Layers = append(m.Layers, d)
	}
	return s.Owner().PushManifest(t.Context(), name, m.MediaType, mustJSON(t, m), tags...)
}

func pushIndex(t testing.TB, s *registrytest.Server, name string, index ocispec.Index, tags ...string) (manifest.Descriptor, error) {
	t.Helper()
	index.MediaType, index.SchemaVersion = manifest.MediaTypeIndex, 2
	return s.Owner().PushManifest(t.Context(), name, index.MediaType, mustJSON(t, index), tags...)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// logo is a picture of one colour.
func logo(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// steady is a [gallery.Metrics] of so many pulls a day.
type steady int64

func (n steady) Pulls(_ context.Context, _, _ string, days int) (list []gallery.DayPulls, err error) {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for i := range days {
		list = append(list, gallery.DayPulls{Day: today.AddDate(0, 0, i+1-days), Pulls: int64(n)})
	}
	return list, nil
}

func counted(c *site.Config) { c.Gallery.Metrics = steady(7) }
func under(prefix string) func(*site.Config) {
	return func(c *site.Config) { c.Gallery.Prefix = prefix }
}

// The other publisher of the town, whom nobody verifies.
var stranger = auth.Principal{Account: "210987654321", Name: "owner"}

// town fills a registry, in a bubble, with something of everything.
func town(t testing.TB) func(*registrytest.Server) {
	return func(s *registrytest.Server) {
		t.Helper()
		ctx, owner := t.Context(), s.Owner()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(owner.PutRegistryCatalogData(ctx, "Test & Söhne"))
		check(s.SetVerified(ctx, registrytest.Account, true))
		catalog := func(name string, c registry.CatalogData) {
			t.Helper()
			_, err := owner.PutCatalogData(ctx, name, c)
			check(err)
		}

		// an index, whose floating tags have moved
		for _, version := range []string{"1.26.0", "1.27.3"} {
			amd64 := s.Push("test/hat", registrytest.Image{OS: "linux", Architecture: "amd64", Layers: [][]byte{[]byte("amd64 " + version)}})
			arm64 := s.Push("test/hat", registrytest.Image{OS: "linux", Architecture: "arm64", Layers: [][]byte{[]byte("arm64 " + version)}})
			attested := s.Push("test/hat", registrytest.Image{OS: "unknown", Architecture: "unknown", Layers: [][]byte{[]byte("{}" + version)}, LayerType: "application/vnd.in-toto+json"})
			amd64.Platform = &manifest.Platform{OS: "linux", Architecture: "amd64"}
			arm64.Platform = &manifest.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
			attested.Platform = &manifest.Platform{OS: "unknown", Architecture: "unknown"}
			attested.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": string(amd64.Digest)}
			tags := []string{version}
			if version == "1.27.3" {
				tags = append(tags, "1", "1.27", "latest")
			} else {
				tags = append(tags, "latest", "gone")
			}
			s.PushIndex("test/hat", []manifest.Descriptor{amd64, arm64, attested}, tags...)
			time.Sleep(time.Hour) // of the bubble
		}
		check(owner.DeleteTag(ctx, "test/hat", "gone"))
		for _, tag := range []string{"1.27.3-alpine", "2.0.0-rc.1", "nightly-7"} {
			s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte(tag)}}, tag)
			time.Sleep(time.Hour) // of the bubble
		}
		catalog("test/hat", registry.CatalogData{
			Description: "Keeps the rain off", About: "# Hat\n\nA **hat**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", Usage: "# Run\n\n    docker run hat\n",
			Architectures: []string{"ARM 64"}, OperatingSystems: []string{"Linux"}, Logo: logo(t),
		})
		check(owner.TagRepository(ctx, "test/hat", map[string]string{"gallery:keywords": "headgear felt"}))

		// an image with all that a configuration has
		created := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
		_ = must(push(t, s, "test/full", artifact{
			config: ocispec.Image{
				Created: &created, Author: "Ada", Platform: ocispec.Platform{OS: "linux", Architecture: "riscv64"},
				Config: ocispec.ImageConfig{
					Entrypoint: []string{"/bin/full", "--now"}, Cmd: []string{"serve"}, User: "1000:1000", WorkingDir: "/srv", Env: []string{"A=1", "B=2"},
					ExposedPorts: map[string]struct{}{"8080/tcp": {}, "53/udp": {}}, Volumes: map[string]struct{}{"/data": {}}, StopSignal: "SIGTERM",
					Labels: map[string]string{"org.opencontainers.image.source": "https://code.example/full", "team": "red"},
				},
				RootFS:  ocispec.RootFS{Type: "layers", DiffIDs: []manifest.Digest{manifest.SHA256.FromString("a"), manifest.SHA256.FromString("b")}},
				History: []ocispec.History{{CreatedBy: "/bin/sh -c #(nop) ADD file:1 in /"}, {CreatedBy: "/bin/sh -c #(nop) ENV A=1", EmptyLayer: true}, {CreatedBy: "RUN /bin/sh -c make # buildkit"}},
			},
			layers: []layer{{ocispec.MediaTypeImageLayerGzip, "", "first"}, {ocispec.MediaTypeImageLayerGzip, "", strings.Repeat("second", 100)}},
			annotations: map[string]string{
				ocispec.AnnotationVersion: "3.1.4", ocispec.AnnotationLicenses: "MIT", ocispec.AnnotationBaseImageName: "docker.io/library/alpine:3", "com.example.note": "a note",
			},
		}, "3.1.4", "stable"))(t)

		_ = must(push(t, s, "test/chart", artifact{
			config: map[string]any{
				"name": "chart", "version": "0.9.0+b1", "appVersion": "5.0", "description": "Installs hats", "type": "application", "kubeVersion": ">=1.30", "home": "https://chart.example/",
				"dependencies": []map[string]string{{"name": "redis", "version": "~7", "repository": "oci://redis.example/charts"}},
			},
			configType: "application/vnd.cncf.helm.config.v1+json", layers: []layer{{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "", "chart"}},
		}, "0.9.0_b1"))(t)
		files := must(push(t, s, "test/files", artifact{
			config: struct{}{}, configType: ocispec.MediaTypeEmptyJSON, artifactType: "application/vnd.example.report", layers: []layer{{"text/plain", "report.txt", "all is well"}, {"application/json", "data.json", "{}"}},
		}, "v1"))(t)
		_ = must(push(t, s, "test/files", artifact{
			config: struct{}{}, configType: ocispec.MediaTypeEmptyJSON, artifactType: "application/vnd.example.signature", subject: &files,
		}, strings.Replace(string(files.Digest), ":", "-", 1)))(t)

		_ = must(owner.CreateRepository(ctx, "test/empty", nil))(t)
		s.Push("test/old", registrytest.Image{}, "1.0")
		check(owner.TagRepository(ctx, "test/old", map[string]string{"gallery:deprecated": "Use test/hat instead."}))
		s.Push("test/chosen", registrytest.Image{Layers: [][]byte{[]byte("1")}}, "1.0")
		s.Push("test/chosen", registrytest.Image{Layers: [][]byte{[]byte("2")}}, "2.0")
		check(owner.TagRepository(ctx, "test/chosen", map[string]string{"gallery:default-tag": "1.0"}))
		s.Push("test/deep/er/scarf", registrytest.Image{Architecture: "arm64", OS: "linux"}, "latest")
		catalog("test/deep/er/scarf", registry.CatalogData{Description: "A kubernetes scarf"})
		check(s.SetCertified(ctx, "test/deep/er/scarf", true))

		// more than a page of tags, of moves, of repositories
		for i := range 130 {
			s.Push("test/many", registrytest.Image{Layers: [][]byte{fmt.Append(nil, i%7)}}, fmt.Sprintf("v1.%d.0", i))
			time.Sleep(time.Minute) // of the bubble
		}
		check(s.AddAlias(ctx, stranger.Account, "other"))
		for i := range 40 {
			name := fmt.Sprintf("other/thing-%02d", i)
			_ = must(s.As(stranger).CreateRepository(ctx, name, &registry.CreateOptions{Catalog: &registry.CatalogData{Description: "One of many things"}}))(t)
		}
	}
}

func escapeQuery(s string) string { return url.QueryEscape(s) }

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
