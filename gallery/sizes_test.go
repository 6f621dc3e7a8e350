package gallery_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// maxBody is how many bytes a page has at most, whatever its publisher has pushed.
const maxBody = 400_000

// bounded asks for a page, of which there must not be too much.
func (g *ground) bounded(path string, status int) reply {
	g.t.Helper()
	r := g.get(path, status)
	if len(r.body) > maxBody {
		g.t.Errorf("%.80s has %d bytes, at most %d are allowed", r.what, len(r.body), maxBody)
	}
	return r
}

// TestSizes pushes what is as large as a registry takes.
func TestSizes(t *testing.T) {
	t.Parallel()
	fill := func(key, value string, n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("%s%05d", key, i)] = value
		}
		return m
	}
	platform := func(size int) ocispec.Platform {
		return ocispec.Platform{OS: strings.Repeat("o", size), Architecture: strings.Repeat("<", size), Variant: strings.Repeat("\"", size)}
	}
	config := func(c ocispec.Image) artifact {
		return artifact{config: c, layers: []layer{{ocispec.MediaTypeImageLayerGzip, "", "x"}}}
	}
	for name, c := range map[string]struct {
		push func(t *testing.T, s *registrytest.Server) error
		// what must be on the page all the same
		see checks
	}{
		"many small annotations": {func(t *testing.T, s *registrytest.Server) error {
			_, err := push(t, s, "test/big", artifact{config: ocispec.Image{}, annotations: fill("a", strings.Repeat("\"", 5), 20_000)}, "latest")
			return err
		}, checks{"#annotations": "Annotations", "p.note": some}},
		"a 4 MB manifest of large annotations": {func(t *testing.T, s *registrytest.Server) error {
			_, err := push(t, s, "test/big", artifact{config: ocispec.Image{}, annotations: fill(strings.Repeat("'", 1000), strings.Repeat("\"", 10_000), 180)}, "latest")
			return err
		}, checks{"#annotations": "Annotations"}},
		"one annotation of 4 MB": {func(t *testing.T, s *registrytest.Server) error {
			_, err := push(t, s, "test/big", artifact{config: ocispec.Image{}, annotations: fill("a", strings.Repeat("<", 690_000), 1)}, "latest")
			return err
		}, checks{"#annotations": "Annotations"}},
		"an index of 5,000 entries": {func(t *testing.T, s *registrytest.Server) error {
			d := s.Push("test/big", registrytest.Image{})
			var index ocispec.Index
			for i := range 5000 {
				e := d
				e.Platform = &manifest.Platform{OS: "linux", Architecture: fmt.Sprintf("arch%d", i)}
				index.Manifests = append(index.Manifests, e)
			}
			_, err := pushIndex(t, s, "test/big", index, "latest")
			return err
		}, checks{"section[aria-labelledby=platforms]": some, "p.note": some}},
		"an index of long platforms": {func(t *testing.T, s *registrytest.Server) error {
			d := s.Push("test/big", registrytest.Image{})
			var index ocispec.Index
			for i := range 100 {
				e, p := d, platform(4000)
				p.OS += fmt.Sprint(i)
				e.Platform = &p
				index.Manifests = append(index.Manifests, e)
			}
			_, err := pushIndex(t, s, "test/big", index, "latest")
			return err
		}, nil},
		"many tags of an index of long platforms": {func(t *testing.T, s *registrytest.Server) error {
			d := s.Push("test/big", registrytest.Image{})
			var index ocispec.Index
			for i := range 6 {
				e, p := d, platform(800)
				p.OS += fmt.Sprint(i)
				e.Platform = &p
				index.Manifests = append(index.Manifests, e)
			}
			tags := []string{"latest"}
			for i := range 60 {
				tags = append(tags, fmt.Sprintf("t%d", i))
			}
			_, err := pushIndex(t, s, "test/big", index, tags...)
			return err
		}, nil},
		"a configuration for a long platform": {func(t *testing.T, s *registrytest.Server) error {
			_, err := push(t, s, "test/big", config(ocispec.Image{Platform: platform(100_000)}), "latest")
			return err
		}, nil},
		"a configuration with 10,000 labels and steps": {func(t *testing.T, s *registrytest.Server) error {
			c := ocispec.Image{Config: ocispec.ImageConfig{Labels: fill("label", "value", 10_000), User: "ada"}}
			for i := range 10_000 {
				c.History = append(c.History, ocispec.History{CreatedBy: fmt.Sprint("RUN step ", i), EmptyLayer: i > 0})
			}
			_, err := push(t, s, "test/big", config(c), "latest")
			return err
		}, checks{"#labels": "Labels", "#steps": "How it was built", "#config": "How it runs"}},
		"a configuration with long values": {func(t *testing.T, s *registrytest.Server) error {
			long := strings.Repeat("\"", 800)
			var list []string
			for range 100 {
				list = append(list, long)
			}
			_, err := push(t, s, "test/big", config(ocispec.Image{Config: ocispec.ImageConfig{Entrypoint: list, Cmd: list, Env: list}}), "latest")
			return err
		}, checks{"#config": "How it runs"}},
		"many layers with long names": {func(t *testing.T, s *registrytest.Server) error {
			a := artifact{config: ocispec.Image{}}
			for i := range 1000 {
				a.layers = append(a.layers, layer{ocispec.MediaTypeImageLayerGzip, strings.Repeat("'", 700), fmt.Sprint(i)})
			}
			_, err := push(t, s, "test/big", a, "latest")
			return err
		}, checks{"#layers": "Layers", "p.note": some}},
		"a chart with much of everything": {func(t *testing.T, s *registrytest.Server) error {
			var needs []map[string]string
			for range 5000 {
				needs = append(needs, map[string]string{"name": strings.Repeat("<", 20), "version": "1", "repository": "https://charts.example/"})
			}
			_, err := push(t, s, "test/big", artifact{
				config:     map[string]any{"name": "big", "version": "1", "description": strings.Repeat("\"", 50_000), "home": "https://" + strings.Repeat("x", 100_000), "dependencies": needs},
				configType: "application/vnd.cncf.helm.config.v1+json", layers: []layer{{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "", "x"}},
			}, "latest")
			return err
		}, nil},
		"texts of 25,600 characters": {func(t *testing.T, s *registrytest.Server) error {
			s.Push("test/big", registrytest.Image{}, "latest")
			_, err := s.Owner().PutCatalogData(t.Context(), "test/big", registry.CatalogData{
				Description: strings.Repeat("\"", 1024), About: strings.Repeat("word *x* ", 2844), Usage: strings.Repeat("# a\n\n", 5120),
			})
			return err
		}, checks{"#about": "About", "#usage": "Usage"}},
		"texts made to grow": {func(t *testing.T, s *registrytest.Server) error {
			s.Push("test/big", registrytest.Image{}, "latest")
			_, err := s.Owner().PutCatalogData(t.Context(), "test/big", registry.CatalogData{
				About: strings.Repeat("http://a.b ", 2327), Usage: "|" + strings.Repeat("a|", 200) + "\n|" + strings.Repeat("-|", 200) + "\n" + strings.Repeat("|\n", 200),
			})
			return err
		}, nil},
		"a text of quotation marks": {func(t *testing.T, s *registrytest.Server) error {
			s.Push("test/big", registrytest.Image{}, "latest")
			_, err := s.Owner().PutCatalogData(t.Context(), "test/big", registry.CatalogData{About: strings.Repeat("\"", 25_600), Usage: strings.Repeat("&", 25_600)})
			return err
		}, nil},
		"nested texts": {func(t *testing.T, s *registrytest.Server) error {
			s.Push("test/big", registrytest.Image{}, "latest")
			_, err := s.Owner().PutCatalogData(t.Context(), "test/big", registry.CatalogData{About: strings.Repeat("> ", 12_800), Usage: strings.Repeat("<div>", 5120)})
			return err
		}, nil},
		"brackets and stars": {func(t *testing.T, s *registrytest.Server) error {
			s.Push("test/big", registrytest.Image{}, "latest")
			_, err := s.Owner().PutCatalogData(t.Context(), "test/big", registry.CatalogData{About: strings.Repeat("[a](", 6400), Usage: strings.Repeat("*a_ ", 6400)})
			return err
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGround(t, nil)
			if err := c.push(t, g.Server); err != nil {
				t.Skipf("the registry refuses it: %v", err)
			}
			for _, path := range []string{"/test/big", "/test/big/-/tags", "/test", "/test/big/-/history"} {
				g.bounded(path, http.StatusOK)
				g.bounded(path+"?format=json", http.StatusOK)
			}
			if c.see["#about"] != "" {
				c.see.run(g.page("/test/big"))
				c.see = nil
			}
			c.see.run(g.bounded("/test/big/-/tag/latest", http.StatusOK).parse(t))
			g.bounded("/test/big/-/tag/latest?format=json", http.StatusOK)
		})
	}
}

// What visitors send is bounded too.
func TestLongRequests(t *testing.T) {
	t.Parallel()
	g := newGround(t, func(s *registrytest.Server) { s.Push("test/hat", registrytest.Image{}, "1.0") })
	for path, status := range map[string]int{
		"/test/hat/-/tags?filter=" + strings.Repeat("x", 1000):                     400,
		"/test/hat/-/tags?after=" + strings.Repeat("x", 10_000):                    400,
		"/test/hat/-/history?after=" + strings.Repeat("1", 10_000):                 200,
		"/test/hat/-/history?tag=" + strings.Repeat("x", 10_000):                   400,
		"/-/search?q=" + strings.Repeat("x", 10_240):                               200,
		"/-/search?q=" + strings.Repeat("a+", 5120):                                200,
		"/-/search?q=" + strings.Repeat("%22", 10_240):                             200,
		"/-/search?q=" + strings.Repeat("arch:x+", 1500):                           200,
		"/-/search?" + strings.Repeat("arch=%3C%22&", 1000):                        200,
		"/-/search?" + strings.Repeat("arch=x&os=y&type=z&", 3000):                 200,
		"/-/search?" + strings.Repeat("q=x&", 3000):                                200,
		"/-/search?publisher=" + strings.Repeat("%22", 10_240):                     200,
		"/-/search?after=" + strings.Repeat("x", 100_000):                          200,
		"/-/search?limit=99999999999999999999":                                     400,
		"/-/search?limit=1000000":                                                  200,
		"/-/search.atom?q=" + strings.Repeat("%22", 10_240):                        200,
		"/-/suggest?q=" + strings.Repeat("x+", 5120):                               200,
		"/test/hat?" + strings.Repeat("x=%22&", 2000):                              200,
		"/test?after=" + strings.Repeat("x", 10_000):                               200,
		"/" + strings.Repeat("x", 10_000):                                          404,
		"/test/hat/-/pull?with=" + strings.Repeat("x", 10_000):                     404,
		"/test/hat/-/tag/" + strings.Repeat("x", 129):                              404,
		"/test/hat?format=" + strings.Repeat("x", 10_000):                          400,
		"/-/static/" + strings.Repeat("x/", 5000):                                  404,
		"/-/logo/" + strings.Repeat("x/", 400):                                     404,
		"/-/sitemap.xml?after=" + strings.Repeat("x", 10_000):                      200,
		"/-/search?q=" + strings.Repeat("sha256:"+strings.Repeat("0", 64)+"+", 20): 200,
	} {
		r := g.ask("GET", path)
		if r.status != status {
			t.Errorf("%.60s: %d, want %d", r.what, r.status, status)
		}
		g.bounded(path, r.status)
	}
	r := g.ask("POST theme=dark&back="+strings.Repeat("x", 1<<20), "/-/theme", with("Content-Type", "application/x-www-form-urlencoded"))
	if r.status != http.StatusBadRequest && r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of 1 MB: %d", r.status)
	}
}

// A text costs no more than an honest one of its length, whatever a parser might make of it.
// It is measured in memory, which does not depend on what else runs, and alone.
func TestTextsCostLittle(t *testing.T) {
	const most = 64 << 20
	lines := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	for name, text := range map[string]string{
		"honest":                    lines(100, "# Title\n\nSome *words* and `code`, a [link](https://example.com/), and so on, until the end of the line.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n- two\n"),
		"a table with many cells":   lines(1, "|"+strings.Repeat("a|", 500)) + lines(1, "|"+strings.Repeat("-|", 500)) + lines(700, "|"),
		"one without outer strokes": lines(1, strings.Repeat("a|", 500)+"a") + lines(1, strings.Repeat("-|", 500)+"-") + lines(700, "x"),
		"one in a quotation":        lines(1, "> |"+strings.Repeat("a|", 500)) + lines(1, "> |"+strings.Repeat("-|", 500)) + lines(700, "> |"),
		"lists in lists":            strings.Repeat("+ ", 12_800),
		"numbered ones":             strings.Repeat("1. ", 8_500),
		"lists in quotations":       strings.Repeat("> - ", 6_400),
		"quotations in lists":       strings.Repeat("- > ", 6_400),
		"elements in elements":      strings.Repeat("<b><p>", 4_200),
		"a long definition":         "[a]: https://" + strings.Repeat("x", 12_000) + "\n\n" + strings.Repeat("[a]", 1_900),
	} {
		g := newGround(t, func(s *registrytest.Server) { s.Push("test/big", registrytest.Image{}, "latest") })
		g.get("/test/big", http.StatusOK)
		if _, err := g.Owner().PutCatalogData(t.Context(), "test/big", registry.CatalogData{About: text}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		g.bounded("/test/big", http.StatusOK)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s: a text of %d bytes takes %d MB", name, len(text), used>>20)
		}
	}
}
