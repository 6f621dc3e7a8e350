package site_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

// ground is a registry with its gallery.
type ground struct {
	*registrytest.Server
	site *site.Site
	t    *testing.T
}

// newGround returns a gallery whose index follows the registry until the test ends.
func newGround(t *testing.T, change ...func(*site.Config)) *ground {
	t.Helper()
	server := registrytest.New(t, func(c *registry.Config) { c.AliasDecider = registry.Always{} })
	cfg := site.Config{Registry: server.Registry, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range change {
		f(&cfg)
	}
	s, err := site.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &ground{server, s, t}
}

// get asks for JSON.
func (g *ground) get(path string, want int, into any) {
	g.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	g.site.ServeHTTP(w, r)
	if w.Code != want {
		g.t.Fatalf("%s: %d %s, want %d", path, w.Code, w.Body, want)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			g.t.Fatalf("%s: %v in %s", path, err, w.Body)
		}
	}
}

// found returns the names that a search finds.
func (g *ground) found(query string) (names []string) {
	g.t.Helper()
	var reply struct{ Results []struct{ Name string } }
	g.get("/-/search?q="+query, http.StatusOK, &reply)
	for _, r := range reply.Results {
		names = append(names, r.Name)
	}
	return names
}

// bubble runs a test in a bubble, in which the index has caught up when everything waits.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Parallel()
	synctest.Test(t, f)
}

func TestIndexFollowsTheRegistry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t)
		owner, ctx := g.Owner(), t.Context()
		check := func(when string, query string, want ...string) {
			t.Helper()
			time.Sleep(2 * site.Delay)
			time.Sleep(2 * site.Delay) // of the bubble
			synctest.Wait()
			if diff := cmp.Diff(want, g.found(query)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		check("at first", "hat")
		g.Push("test/hat", registrytest.Image{}, "1.0")
		check("pushed", "hat", "test/hat")
		if _, err := owner.PutCatalogData(ctx, "test/hat", registry.CatalogData{Description: "Keeps the rain off"}); err != nil {
			t.Fatal(err)
		}
		check("described", "rain", "test/hat")
		if err := owner.TagRepository(ctx, "test/hat", map[string]string{"gallery:keywords": "headgear felt", "private": "zebra"}); err != nil {
			t.Fatal(err)
		}
		check("keywords", "headgear", "test/hat")
		check("other tags are nobody's business", "zebra")
		if _, err := owner.RequestAlias(ctx, "milliner"); err != nil {
			t.Fatal(err)
		}
		if err := owner.SetPrimaryAlias(ctx, "milliner"); err != nil {
			t.Fatal(err)
		}
		check("another primary alias", "hat", "milliner/hat")
		if err := g.SetVerified(ctx, registrytest.Account, true); err != nil {
			t.Fatal(err)
		}
		check("verified", "verified:yes", "milliner/hat")
		if _, err := owner.DeleteRepository(ctx, "test/hat", true); err != nil {
			t.Fatal(err)
		}
		check("deleted", "hat")
	})
}

func TestPagesAreRightAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t)
		g.Push("test/hat", registrytest.Image{}, "1.0")
		synctest.Wait()
		type tags struct{ Tags []struct{ Name string } }
		for i, want := range []int{1, 2, 3} {
			var reply tags
			g.get("/test/hat/-/tags", http.StatusOK, &reply)
			if len(reply.Tags) != want {
				t.Errorf("%d tags, want %d", len(reply.Tags), want)
			}
			g.Push("test/hat", registrytest.Image{Layers: [][]byte{{byte(i)}}}, "1."+string(rune('1'+i)))
		}
		g.get("/test/hat", http.StatusOK, nil)
		if _, err := g.Owner().DeleteRepository(t.Context(), "test/hat", true); err != nil {
			t.Fatal(err)
		}
		g.get("/test/hat", http.StatusNotFound, nil)
		g.get("/test/hat/-/tags", http.StatusNotFound, nil)
	})
}

func TestVanityAliases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t)
		g.Push("test/hat", registrytest.Image{}, "1.0")
		if _, err := g.Owner().RequestAlias(t.Context(), "milliner"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/test/hat", "/milliner/hat"} {
			w := httptest.NewRecorder()
			g.site.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if !strings.Contains(w.Body.String(), `<link rel="canonical" href="http://example.com/test/hat">`) {
				t.Errorf("%s has another canonical link:\n%.2000s", path, w.Body)
			}
		}
		for _, path := range []string{"/test", "/milliner"} {
			var reply struct {
				Publisher    struct{ Alias string }
				Repositories []struct{ Name string }
			}
			g.get(path, http.StatusOK, &reply)
			if reply.Publisher.Alias != "test" || len(reply.Repositories) != 1 || reply.Repositories[0].Name != "test/hat" {
				t.Errorf("%s: %+v", path, reply)
			}
		}
		g.get("/nobody", http.StatusNotFound, nil)
		g.get("/nobody/hat", http.StatusNotFound, nil)
		g.get("/"+registrytest.Account+"/hat", http.StatusNotFound, nil) // accounts are no aliases
		g.get("/"+registrytest.Account, http.StatusNotFound, nil)
	})
}

func TestRebuild(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t)
		for _, name := range []string{"hat", "cap", "deep/er/scarf"} {
			g.Push("test/"+name, registrytest.Image{OS: "linux", Architecture: "arm64"}, "1.0")
		}
		second, err := site.New(site.Config{Registry: g.Registry})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go second.Run(ctx) //nolint:errcheck // it ends with nil
		synctest.Wait()
		g.site = second
		if diff := cmp.Diff([]string{"test/cap", "test/deep/er/scarf", "test/hat"}, g.found("arch:arm64&sort=name")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestDefaultTag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t)
		for _, tag := range []string{"latest", "1.9.0", "1.10.0", "1.10", "2.0.0-rc.1"} {
			g.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte(tag)}}, tag)
		}
		var reply struct {
			Tag   string
			Image struct{ Digest manifest.Digest }
		}
		g.get("/test/hat", http.StatusOK, &reply)
		if reply.Tag != "1.10.0" {
			t.Errorf("the tag is %s", reply.Tag)
		}
		for tag, want := range map[string]string{"1.9.0": "1.9.0", "missing": "1.10.0"} {
			if err := g.Owner().TagRepository(t.Context(), "test/hat", map[string]string{"gallery:default-tag": tag}); err != nil {
				t.Fatal(err)
			}
			g.get("/test/hat", http.StatusOK, &reply)
			if reply.Tag != want {
				t.Errorf("chosen %s: the tag is %s, want %s", tag, reply.Tag, want)
			}
		}
	})
}

func TestPastedDigests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t)
		d := g.Push("test/hat", registrytest.Image{Layers: [][]byte{{1}}}, "1.0")
		g.Push("test/cap", registrytest.Image{Layers: [][]byte{{2}}}, "1.0")
		time.Sleep(2 * site.Delay) // of the bubble
		synctest.Wait()
		look := func(q string, want string) {
			t.Helper()
			r := httptest.NewRequest("GET", "/-/search?q="+q, nil)
			r.Header.Set("Accept", "text/html")
			w := httptest.NewRecorder()
			g.site.ServeHTTP(w, r)
			if got := w.Header().Get("Location"); got != want {
				t.Errorf("%s: %d, to %q, want %q", q, w.Code, got, want)
			}
		}
		page := "/test/hat/-/digest/" + string(d.Digest)
		look(string(d.Digest), page)
		look("docker+pull+r.example/test/hat@"+string(d.Digest), page)
		look("r.example/test/hat:1.0", "/test/hat/-/tag/1.0")
		look(string(manifest.SHA256.FromString("nothing")), "")
		if err := g.Owner().DeleteManifest(t.Context(), "test/hat", d.Digest); err != nil {
			t.Fatal(err)
		}
		look(string(d.Digest), "")
	})
}

func TestHistoryPages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t)
		const moves = 120
		for i := range moves {
			g.Push("test/hat", registrytest.Image{Layers: [][]byte{{byte(i)}}}, "edge")
			time.Sleep(time.Second) // of the bubble
		}
		type reply struct {
			Moves []struct{ Tag, From, To string }
			Next  string
		}
		n := 0
		for path := "/test/hat/-/history"; path != ""; {
			var r reply
			g.get(path, http.StatusOK, &r)
			n += len(r.Moves)
			if path = ""; r.Next != "" {
				path = "/test/hat/-/history?after=" + r.Next
			}
		}
		if n != moves {
			t.Errorf("%d moves, want %d", n, moves)
		}
		var none reply
		g.get("/test/hat/-/history?after=%21&tag=edge", http.StatusOK, &none)
		if len(none.Moves) != 0 {
			t.Error("a cursor of nobody's leads somewhere")
		}
	})
}

func TestViewer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		g := newGround(t, func(c *site.Config) {
			c.Viewer = func(ctx context.Context) auth.Principal { p, _ := ctx.Value(key{}).(auth.Principal); return p }
		})
		g.Push("test/hat", registrytest.Image{}, "1.0")
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, registrytest.Owner), "GET", "/test/hat", nil)
		w := httptest.NewRecorder()
		g.site.ServeHTTP(w, r)
		if got := w.Header().Get("Cache-Control"); w.Code != http.StatusOK || got != "private, no-cache" {
			t.Errorf("the owner's page: %d, %q", w.Code, got)
		}
		w = httptest.NewRecorder()
		g.site.ServeHTTP(w, httptest.NewRequest("GET", "/test/hat", nil))
		if got := w.Header().Get("Cache-Control"); w.Code != http.StatusOK || got != "public, no-cache" {
			t.Errorf("everyone's page: %d, %q", w.Code, got)
		}
	})
}
