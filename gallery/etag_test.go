package gallery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

func etag(r reply) string { return r.header.Get("Etag") }

func TestETags(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t), counted).run()
		zipped := with("Accept-Encoding", "gzip")
		for _, path := range []string{"/", "/test", "/test/hat", "/test/hat/-/tags", "/test/hat/-/tag/1.27.3", "/-/search?q=hat", "/test/hat/-/feed.atom", "/-/openapi.json", "/test/hat?format=json", "/-/help"} {
			first := g.get(path, 200)
			tag := etag(first)
			if len(tag) < 12 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.ContainsAny(tag[1:len(tag)-1], "\" ,") {
				t.Errorf("%s: the entity tag %s", path, tag)
			}
			g.site.ServeHTTP(discard{http.Header{}}, mustRequest(t, path)) // another page between
			time.Sleep(time.Minute)                                        // of the bubble, in which nothing changes but the time of day
			if again := g.get(path, 200); etag(again) != tag && bytes.Equal(again.body, first.body) {
				t.Errorf("%s: the entity tag was %s and is %s for the same bytes", path, tag, etag(again))
			}
			first = g.get(path, 200)
			tag = etag(first)
			zip := g.get(path, 200, zipped)
			if zip.header.Get("Content-Encoding") != "gzip" || etag(zip) == tag || etag(zip) == "" {
				t.Errorf("%s: in gzip the entity tag is %s, coding %q", path, etag(zip), zip.header.Get("Content-Encoding"))
				continue
			}
			z, err := gzip.NewReader(bytes.NewReader(zip.body))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err := io.ReadAll(z); err != nil || !bytes.Equal(raw, first.body) {
				t.Errorf("%s: gzip has other bytes, %v", path, err)
			}
			for _, match := range []string{tag, "W/" + tag, "*", `"other", ` + tag, ` "a" ,W/` + tag + ` , "b"`} {
				if r := g.ask("GET", path, with("If-None-Match", match)); r.status != 304 || len(r.body) > 0 || etag(r) != tag || r.header.Get("Content-Encoding") != "" {
					t.Errorf("%s: If-None-Match: %s: %d, %s", path, match, r.status, etag(r))
				}
				if r := g.ask("HEAD", path, with("If-None-Match", match)); r.status != 304 {
					t.Errorf("%s: HEAD: If-None-Match: %s: %d", path, match, r.status)
				}
			}
			if r := g.ask("GET", path, zipped, with("If-None-Match", etag(zip))); r.status != 304 || etag(r) != etag(zip) {
				t.Errorf("%s: in gzip: %d, %s", path, r.status, etag(r))
			}
			for _, match := range []string{`"other"`, strings.Trim(tag, `"`), "", `W/"other"`, tag[:8] + `"`, `"*"`} {
				if r := g.ask("GET", path, with("If-None-Match", match)); r.status != 200 || len(r.body) == 0 {
					t.Errorf("%s: If-None-Match: %s: %d", path, match, r.status)
				}
			}
			for _, coding := range []string{"gzip;q=0", "identity", "br", "gzip; q=0.0, br"} {
				if r := g.ask("GET", path, with("Accept-Encoding", coding)); r.header.Get("Content-Encoding") != "" {
					t.Errorf("%s: Accept-Encoding: %s: %s", path, coding, r.header.Get("Content-Encoding"))
				}
			}
		}
	})
}

func mustRequest(t *testing.T, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "example.com"
	return r
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// What a change changes has another entity tag as soon as the call that made it returns.
func TestETagsChangeAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, func(s *registrytest.Server) {
			town(t)(s)
			if _, err := s.Owner().RequestAlias(t.Context(), "milliner"); err != nil {
				t.Fatal(err)
			}
		}).run()
		owner, ctx := g.Owner(), t.Context()
		var hat struct{ Image struct{ Digest string } }
		g.json("/test/hat", &hat)
		repo := []string{"/test/hat", "/test/hat?format=json", "/milliner/hat"}
		for _, step := range []struct {
			name    string
			change  func() error
			changed []string
			same    []string
		}{
			{"a tag moves", func() error {
				g.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("new")}}, "1.27.3")
				return nil
			}, append(repo, "/test/hat/-/tags", "/test/hat/-/tags?filter=1.27", "/test/hat/-/history", "/test/hat/-/history?tag=1.27.3", "/test/hat/-/tag/1.27.3", "/test/hat/-/feed.atom", "/test/hat/-/pull?with=podman&pin=1", "/test/-/feed.atom"),
				[]string{"/other", "/other/thing-00", "/test/full", "/-/help"}},
			{"a tag is made", func() error {
				g.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("newer")}}, "1.28.0")
				return nil
			}, append(repo, "/test/hat/-/tags", "/test/hat/-/badge/version.svg", "/test/hat/-/badge"), nil},
			{"a tag is deleted", func() error { return owner.DeleteTag(ctx, "test/hat", "1.28.0") },
				append(repo, "/test/hat/-/tags", "/test/hat/-/badge/version.svg", "/test/hat/-/history"), nil},
			{"catalog data change", func() error {
				_, err := owner.PutCatalogData(ctx, "test/hat", registry.CatalogData{Description: "Keeps the sun off", About: "New."})
				return err
			}, append(repo, "/test", "/milliner", "/test/hat/-/tags", "/test/hat/-/tag/1.27", "/test/hat/-/pulls", "/test/hat/-/history", "/test/hat/-/badge"), []string{"/other", "/test/hat/-/badge/version.svg"}},
			{"keywords change", func() error {
				return owner.TagRepository(ctx, "test/hat", map[string]string{"gallery:keywords": "straw"})
			}, repo, nil},
			{"it is deprecated", func() error {
				return owner.TagRepository(ctx, "test/hat", map[string]string{"gallery:deprecated": "No."})
			}, append(repo, "/test", "/test/hat/-/tags"), nil},
			{"it is no more", func() error { return owner.UntagRepository(ctx, "test/hat", "gallery:deprecated") }, append(repo, "/test"), nil},
			{"the default tag is chosen", func() error {
				return owner.TagRepository(ctx, "test/hat", map[string]string{"gallery:default-tag": "1.26.0"})
			}, append(repo, "/test", "/test/hat/-/badge/version.svg"), nil},
			{"it is certified", func() error { return g.SetCertified(ctx, "test/hat", true) }, append(repo, "/test/hat/-/tags"), nil},
			{"the publisher has another name", func() error { return owner.PutRegistryCatalogData(ctx, "Milliners") },
				append(repo, "/test", "/milliner", "/test/hat/-/tags", "/test/full", "/test/empty"), []string{"/other", "/other/thing-00"}},
			{"the publisher is verified no more", func() error { return g.SetVerified(ctx, registrytest.Account, false) }, append(repo, "/test", "/milliner", "/test/full/-/history"), nil},
			{"the publisher is verified", func() error { return g.SetVerified(ctx, registrytest.Account, true) }, append(repo, "/test", "/test/full"), nil},
			{"a repository is made", func() error { _, err := owner.CreateRepository(ctx, "test/new", nil); return err }, []string{"/test", "/milliner"}, []string{"/test/hat", "/other"}},
			{"another alias", func() error { _, err := owner.RequestAlias(ctx, "headgear"); return err }, []string{"/test"}, nil},
			{"another primary alias", func() error { return owner.SetPrimaryAlias(ctx, "milliner") }, append(repo, "/test", "/milliner", "/test/full"), nil},
		} {
			before := map[string]string{}
			for _, path := range slices.Concat(step.changed, step.same) {
				before[path] = etag(g.get(path, 200))
			}
			time.Sleep(time.Millisecond) // of the bubble
			if err := step.change(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			for _, path := range step.changed {
				if r := g.ask("GET", path, with("If-None-Match", before[path])); r.status != 200 {
					t.Errorf("%s: %s is %d, as if nothing had changed", step.name, path, r.status)
				}
			}
			for _, path := range step.same {
				if r := g.ask("GET", path, with("If-None-Match", before[path])); r.status != 304 {
					t.Errorf("%s: %s is %d, as if that had changed it", step.name, path, r.status)
				}
			}
		}
		for _, path := range append(repo, "/test/hat/-/tags", "/test/hat/-/tag/1.27.3", "/test/hat/-/feed.atom", "/test/hat/-/badge/version.svg") {
			g.get(path, 200)
		}
		if _, err := owner.DeleteRepository(ctx, "test/hat", true); err != nil {
			t.Fatal(err)
		}
		for _, path := range append(repo, "/test/hat/-/tags", "/test/hat/-/tag/1.27.3", "/test/hat/-/feed.atom", "/test/hat/-/badge/version.svg") {
			g.get(path, 404, with("If-None-Match", "*"))
		}
		if got := strings.Join(g.page("/test").texts(".card h3"), " "); strings.Contains(got, "/hat") {
			t.Errorf("deleted, and still on the publisher's page: %s", got)
		}
	})
}

// A new alias is as good as the first: what it shows is never older.
func TestNewAliasIsUpToDate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		if _, err := g.Owner().RequestAlias(t.Context(), "milliner"); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"3.0.0", "3.0.1", "3.0.2"} {
			g.get("/milliner/hat", 200)
			g.get("/milliner", 200)
			g.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte(want)}}, want)
			if got := g.page("/milliner/hat").texts("#pull-title"); got[0] != "Pull "+want {
				t.Errorf("%d: pushed %s, and /milliner/hat says %q", i, want, got)
			}
			if i == 1 {
				catchUp()
			}
		}
	})
}

// The search knows of a change after the delay, whoever has searched before that.
func TestSearchIsUpToDate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		look := func(when, path, name string, want bool) {
			t.Helper()
			if got := slices.Contains(g.page(path).texts(".card h3"), name); got != want {
				t.Errorf("%s: %s has %s: %t, want %t", when, path, name, got, want)
			}
		}
		paths := []string{"/-/search?q=hat", "/-/search?sort=updated&limit=100", "/"}
		for _, path := range paths[:2] {
			look("at first", path, "test/hat", true)
		}
		if _, err := g.Owner().DeleteRepository(t.Context(), "test/hat", true); err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			g.get(path, 200) // while the index does not know yet
		}
		catchUp()
		for _, path := range paths {
			look("deleted", path, "test/hat", false)
		}
		g.Push("test/bowler", registrytest.Image{}, "1.0")
		for _, path := range []string{"/-/search?q=bowler", "/-/search?sort=updated&limit=100", "/"} {
			g.get(path, 200)
		}
		catchUp()
		for _, path := range []string{"/-/search?q=bowler", "/-/search?sort=updated&limit=100", "/"} {
			look("pushed", path, "test/bowler", true)
		}
	})
}

// What one has is not for another: pages differ by host, theme, format and viewer.
func TestPagesAreNotShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		g := newGround(t, town(t), func(c *site.Config) {
			c.Viewer = func(ctx context.Context) auth.Principal { p, _ := ctx.Value(key{}).(auth.Principal); return p }
		}).run()
		plain := func(*http.Request) {}
		for _, path := range []string{"/", "/test", "/test/hat", "/test/hat/-/tags", "/-/search?q=hat"} {
			seen := map[string]string{}
			for range 2 { // the second time from the cache
				for name, change := range map[string]func(*http.Request){
					"plain": plain, "host": with("Host", "evil.example"), "port": with("Host", "example.com:8443"), "dark": with("Cookie", "theme=dark"), "light": with("Cookie", "a=b; theme=light"), "json": with("Accept", "application/json"),
				} {
					r := g.get(path, 200, change)
					if old, ok := seen[name]; ok && old != string(r.body) {
						t.Errorf("%s: %s: two answers", path, name)
					}
					seen[name] = string(r.body)
					if own := g.get(path, 200); !bytes.Equal(own.body, r.body) {
						if r := g.ask("GET", path, change, with("If-None-Match", etag(own))); r.status != 200 {
							t.Errorf("%s: %s has the entity tag of another", path, name)
						}
					}
					if got, want := strings.Contains(string(r.body), "evil.example"), name == "host"; got != want && name != "json" && path != "/test/hat/-/tags" && path != "/-/search?q=hat" {
						t.Errorf("%s: %s: the host of another: %t", path, name, got)
					}
				}
			}
			if seen["plain"] == seen["dark"] || seen["dark"] == seen["light"] || seen["plain"] == seen["json"] {
				t.Errorf("%s: the same for all", path)
			}
			d := g.get(path, 200, with("Cookie", "theme=dark")).parse(t)
			checks{"html@data-theme": "dark", "button[aria-pressed=true]": "Dark"}.run(d)
			checks{"html[data-theme]": none, "button[aria-pressed=true]": "Auto"}.run(g.get(path, 200, with("Cookie", `theme="><script>`)).parse(t))
		}
		if r := g.get("/test/hat", 200, with("Accept", "application/json")); r.header.Get("Content-Type") != typeJSON {
			t.Error("who wants JSON gets a page")
		}
	})
}

// One address written in two ways is one page, and nobody's spelling is on the page of others.
func TestSpellingOfAddresses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		want := g.get("/test/hat", 200).body
		other := newGround(t, town(t)).run()
		other.ask("GET", "/test/h%61t")
		if got := other.get("/test/hat", 200).body; !bytes.Equal(got, want) {
			for _, line := range strings.Split(string(got), "\n") {
				if strings.Contains(line, "h%61t") {
					t.Errorf("somebody asked for /test/h%%61t, and now /test/hat has %s", line)
				}
			}
		}
	})
}

// With an address of its own, a registry does not care what a request says.
func TestPublicURL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := registrytest.New(t, func(c *registry.Config) { c.AliasDecider, c.PublicURL = registry.Always{}, "https://registry.example" })
		g := newGroundOf(t, server, town(t)).run()
		for _, path := range []string{"/", "/test/hat", "/-/search?q=hat", "/test/hat/-/feed.atom", "/-/sitemap.xml", "/-/opensearch.xml", "/robots.txt", "/-/suggest?q=hat", "/test/hat/-/badge", "/test/hat/-/pull"} {
			want := g.get(path, 200)
			for _, host := range []string{"evil.example", `"><script>alert(1)</script>`, "a@b", "evil.example/x", ""} {
				if r := g.get(path, 200, with("Host", host), with("X-Forwarded-Host", "evil.example"), with("Forwarded", "host=evil.example")); etag(r) != etag(want) {
					t.Errorf("%s for the host %q: another page", path, host)
				}
			}
		}
		r := g.ask("POST theme=dark", "/-/theme", with("Content-Type", "application/x-www-form-urlencoded"))
		if got := r.header.Get("Set-Cookie"); !strings.Contains(got, "Secure") || !strings.Contains(got, "Path=/") || strings.Contains(got, "Domain") {
			t.Errorf("the cookie is %q", got)
		}
	})
}
