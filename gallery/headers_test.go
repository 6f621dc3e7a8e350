package gallery_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

// The policy of everything, as it is promised, and of SVG files of the host's own.
const (
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	policySVG = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
)

// route is a request and what its answer must have.
type route struct {
	method, path string
	status       int
	contentType  string // "" for any
	change       []func(*http.Request)
}

const (
	typeHTML    = "text/html; charset=utf-8"
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
	typeAtom    = "application/atom+xml; charset=utf-8"
	typeText    = "text/plain; charset=utf-8"
)

// routes are requests for everything that the site of the town answers to.
func routes(t *testing.T, g *ground) []route {
	t.Helper()
	var hat struct {
		Repository struct{ Logo string }
		Image      struct{ Digest string }
	}
	g.json("/test/hat", &hat)
	home := g.page("/")
	list := []route{
		{"GET", "/robots.txt", 200, typeText, nil},
		{"GET", "/-/search.atom?q=hat", 200, typeAtom, nil},
		{"GET", "/test/-/feed.atom", 200, typeAtom, nil},
		{"GET", "/test/hat/-/feed.atom", 200, typeAtom, nil},
		{"GET", "/-/suggest?q=ha", 200, "application/x-suggestions+json", nil},
		{"GET", "/-/openapi.json", 200, typeJSON, nil},
		{"GET", "/-/opensearch.xml", 200, "application/opensearchdescription+xml", nil},
		{"GET", "/-/sitemap.xml", 200, "application/xml", nil},
		{"GET", "/-/healthz", 200, typeText, nil},
		{"GET", "/test/hat/-/pulls?format=csv", 200, "text/csv; charset=utf-8", nil},
		{"GET", "/test/hat/-/badge/version.svg", 200, "image/svg+xml", nil},
		{"GET", "/test/hat/-/badge/verified.svg", 200, "image/svg+xml", nil},
		{"GET", "/test/hat/-/badge/nothing.svg", 404, typeHTML, nil},
		{"GET", "/test/hat/-/pull", 200, typeText, nil},
		{"GET", "/test/hat/-/pull?with=nothing", 404, typeHTML, nil},
		{"GET", hat.Repository.Logo, 200, "image/png", nil},
		{"GET", "/-/logo/test/hat/nothing.png", 404, typeHTML, nil},
		{"GET", home.attrs("link[rel=stylesheet]", "href")[0], 200, "text/css; charset=utf-8", nil},
		{"GET", home.attrs("script[src]", "src")[0], 200, "text/javascript; charset=utf-8", nil},
		{"GET", home.attrs("link[rel=icon]", "href")[0], 200, "image/svg+xml", nil},
		{"GET", "/-/static/000000000000/logo.svg", 200, "image/svg+xml", nil},
		{"GET", "/-/static/x/nothing.svg", 404, typeHTML, nil},
		{"GET", "/-/static/", 404, typeHTML, nil},
		{"GET", "/test/hat/", 301, "", nil},
		{"GET", "/?searchTerm=x", 301, "", nil},
		{"GET", "/-/search?q=example.com/test/hat:1.27", 302, "", nil},
		{"GET", "/-/search?q=hat", 200, typeJSON, []func(*http.Request){with("Accept", "")}},
		{"GET", "/-/search?q=hat", 200, typeJSON, []func(*http.Request){with("Accept", "*/*")}},
		{"GET", "/-/search?sort=size", 400, typeHTML, nil},
		{"GET", "/test/hat/-/tags?filter=" + strings.Repeat("x", 129), 400, typeHTML, nil},
		{"GET", "/test/hat?format=nonsense", 400, typeProblem, nil},
		{"GET", "/test/missing", 404, typeHTML, nil},
		{"GET", "/test/missing?format=json", 404, typeProblem, nil},
		{"GET", "/UPPER", 404, typeHTML, nil},
		{"GET", "/-/theme", 405, typeHTML, nil},
		{"POST theme=dark", "/-/theme", 303, "", []func(*http.Request){with("Content-Type", "application/x-www-form-urlencoded")}},
		{"POST theme=auto", "/-/theme", 303, "", []func(*http.Request){with("Content-Type", "application/x-www-form-urlencoded")}},
		{"POST theme=pink", "/-/theme", 400, typeHTML, []func(*http.Request){with("Content-Type", "application/x-www-form-urlencoded")}},
		{"POST theme=%zz", "/-/theme", 400, typeHTML, []func(*http.Request){with("Content-Type", "application/x-www-form-urlencoded")}},
		{"POST theme=dark", "/-/theme", 403, typeHTML, []func(*http.Request){with("Content-Type", "application/x-www-form-urlencoded"), with("Sec-Fetch-Site", "cross-site")}},
	}
	for _, path := range []string{
		"/", "/-/search", "/-/search?q=hat", "/-/help", "/-/api", "/test", "/other", "/test/hat", "/test/full", "/test/chart", "/test/files", "/test/empty", "/test/old", "/test/deep/er/scarf",
		"/test/hat/-/tags", "/test/hat/-/tag/1.27.3", "/test/hat/-/digest/" + hat.Image.Digest, "/test/hat/-/pulls", "/test/hat/-/history", "/test/hat/-/badge",
	} {
		list = append(list, route{"GET", path, 200, typeHTML, nil}, route{"GET", path, 200, typeJSON, []func(*http.Request){with("Accept", "application/json")}})
		json := path + "?format=json"
		if strings.Contains(path, "?") {
			json = path + "&format=json"
		}
		list = append(list, route{"GET", json, 200, typeJSON, nil}, route{"GET", strings.Replace(json, "=json", "=nonsense", 1), 400, typeProblem, nil})
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "WIBBLE"} {
			list = append(list, route{method, path, 405, typeHTML, nil})
		}
	}
	for _, method := range []string{"PUT", "DELETE", "OPTIONS"} {
		list = append(list, route{method, "/-/theme", 405, typeHTML, nil}, route{method, "/-/healthz", 405, typeHTML, nil}, route{method, "/test/missing", 405, typeHTML, nil})
	}
	return list
}

// checkHeaders reports what every answer must have and this one has not.
func checkHeaders(t *testing.T, r reply, path string) {
	t.Helper()
	want := map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	}
	if ok := r.status < 400; ok && strings.HasSuffix(path, ".svg") && strings.Contains(path, "/-/static/") {
		want["Content-Security-Policy"] = policySVG
	} else if ok && strings.Contains(path, "/-/badge/") {
		want["Cross-Origin-Resource-Policy"] = "cross-origin"
	}
	for name, value := range want {
		if got := r.header.Values(name); len(got) != 1 || got[0] != value {
			t.Errorf("%s: %d: %s is %q, want %q", r.what, r.status, name, got, value)
		}
	}
	for _, feature := range []string{"camera=()", "geolocation=()", "microphone=()"} {
		if !strings.Contains(r.header.Get("Permissions-Policy"), feature) {
			t.Errorf("%s: %d: Permissions-Policy is %q, without %s", r.what, r.status, r.header.Get("Permissions-Policy"), feature)
		}
	}
	cookies := (&http.Response{Header: r.header}).Cookies()
	if theme := r.status == http.StatusSeeOther; theme != (len(cookies) == 1 && cookies[0].Name == "theme" && cookies[0].HttpOnly && cookies[0].SameSite == http.SameSiteLaxMode) || len(cookies) > 1 {
		t.Errorf("%s: %d: the cookies are %v", r.what, r.status, cookies)
	}
	for _, name := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Origin", "Set-Cookie2"} {
		if r.header.Get(name) != "" {
			t.Errorf("%s: %s is %q", r.what, name, r.header.Get(name))
		}
	}
	cache, vary := r.header.Get("Cache-Control"), r.header.Get("Vary")
	switch {
	case r.status >= 400 && cache != "no-store":
		t.Errorf("%s: %d: Cache-Control is %q, want no-store", r.what, r.status, cache)
	case r.status >= 301 && r.status <= 303 && cache != "no-cache" && cache != "no-store":
		t.Errorf("%s: %d: Cache-Control is %q", r.what, r.status, cache)
	case r.status == 200 || r.status == 304:
		immutable := strings.HasPrefix(path, "/-/logo/") || strings.HasPrefix(path, "/-/static/") && !strings.HasPrefix(path, "/-/static/0")
		if want := map[bool]string{true: "public, max-age=31536000, immutable", false: "public, no-cache"}[immutable]; cache != want {
			t.Errorf("%s: %d: Cache-Control is %q, want %q", r.what, r.status, cache, want)
		}
		if !strings.HasPrefix(r.header.Get("Etag"), `"`) {
			t.Errorf("%s: %d: the entity tag is %q", r.what, r.status, r.header.Get("Etag"))
		}
	}
	if r.status < 300 || r.status == 302 || r.status == 304 || r.status >= 400 { // what depends on what the client accepts or has chosen
		for _, name := range []string{"Accept", "Cookie"} {
			if r.status == 302 && name == "Cookie" {
				continue
			}
			if !slices.Contains(strings.Split(strings.ReplaceAll(vary, " ", ""), ","), name) {
				t.Errorf("%s: %d: Vary is %q, without %s", r.what, r.status, vary, name)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t), counted).run()
		for _, route := range routes(t, g) {
			r := g.ask(route.method, route.path, route.change...)
			if r.status != route.status || route.contentType != "" && r.header.Get("Content-Type") != route.contentType {
				t.Errorf("%s: %d %q, want %d %q", r.what, r.status, r.header.Get("Content-Type"), route.status, route.contentType)
				continue
			}
			checkHeaders(t, r, route.path)
			if r.status == 405 {
				if want := map[bool]string{false: "GET, HEAD", true: "POST"}[route.path == "/-/theme"]; r.header.Get("Allow") != want {
					t.Errorf("%s: Allow is %q, want %q", r.what, r.header.Get("Allow"), want)
				}
			}
			if route.method != "GET" {
				continue
			}
			if tag := r.header.Get("Etag"); tag != "" {
				again := g.ask("GET", route.path, append(route.change, with("If-None-Match", tag))...)
				if again.status != http.StatusNotModified || len(again.body) > 0 || again.header.Get("Etag") != tag {
					t.Errorf("%s: who has it is answered %d, %q, %d bytes", r.what, again.status, again.header.Get("Etag"), len(again.body))
				}
				checkHeaders(t, again, route.path)
			}
		}
	})
}

// A file can be read; that something else was tried is no reason to deny it.
func TestMethodsOfFiles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, nil)
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			r := g.ask(method, "/-/static/x/style.css")
			if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s: %d, Allow %q, want 405 with GET, HEAD", r.what, r.status, r.header.Get("Allow"))
			}
			checkHeaders(t, r, "/-/static/x/style.css")
		}
	})
}

// HEAD is GET without the body, over a connection, where the server has its say too.
func TestHEAD(t *testing.T) {
	t.Parallel()
	g := newGround(t, func(s *registrytest.Server) { s.Push("test/hat", registrytest.Image{}, "1.0") })
	server := httptest.NewServer(g.site)
	t.Cleanup(server.Close)
	for _, path := range []string{
		"/", "/test", "/test/hat", "/test/hat?format=json", "/test/hat/-/tags", "/-/search", "/-/healthz", "/test/hat/-/badge/version.svg", "/test/missing", "/-/theme", "/test/hat/", "/-/static/x/style.css", "/robots.txt", "/-/sitemap.xml",
		"/test/hat?format=nonsense",
	} {
		var headers []http.Header
		for _, method := range []string{"GET", "HEAD"} {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", acceptHTML)
			r.Header.Set("Accept-Encoding", "identity")
			res, err := server.Client().Transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			res.Header.Del("Date")
			res.Header.Set("Status", res.Status)
			if res.StatusCode < 300 || res.StatusCode >= 400 {
				res.Header.Set("Length", fmt.Sprint(res.ContentLength))
			} else {
				res.Header.Del("Content-Length") // of a body that says where it went, for a person
				res.Header.Del("Content-Type")
			}
			headers = append(headers, res.Header)
		}
		if diff := cmp.Diff(headers[0], headers[1]); diff != "" && path != "/-/theme" {
			t.Errorf("%s (-GET +HEAD):\n%s", path, diff)
		}
	}
}

// What the host has broken is an error page with all headers, and the log says more.
func TestInternalErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log strings.Builder
		// what only a real page finds out
		help := &fstest.MapFile{Data: []byte(`{{define "main"}}half a page {{range .Page.Kinds}}{{.Secret}}{{end}}{{end}}`)}
		for _, overlay := range []fstest.MapFS{
			{"help.tmpl": help},
			{"help.tmpl": help, "error.tmpl": {Data: []byte(`{{define "main"}}half a page {{if gt .Page.Status 499}}{{slice .Page.Title 9999}}{{end}}{{end}}`)}},
		} {
			log.Reset()
			g := newGround(t, nil, func(c *site.Config) {
				c.Gallery.Overlay = overlay
				c.Gallery.Logger = logTo(&log)
			})
			for _, accept := range []string{acceptHTML, "application/problem+json"} {
				r := g.ask("GET", "/-/help", with("Accept", accept))
				if accept != acceptHTML && r.status == http.StatusOK {
					continue // JSON needs no template
				}
				if r.status != http.StatusInternalServerError || strings.Contains(string(r.body), "half") || strings.Contains(string(r.body), "Secret") {
					t.Errorf("%d %s", r.status, r.body)
				}
				checkHeaders(t, r, "/-/help")
			}
			if !strings.Contains(log.String(), "Secret") {
				t.Errorf("the log says %q", log.String())
			}
		}
	})
}

// Requests that are well formed and rare: without a path, as a proxy gets them.
func TestOddRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, nil)
		for _, prefix := range []string{"", "/x"} {
			h := newGround(t, nil, under(prefix)).site
			for _, path := range []string{"", "*", "//", "//evil.example", "//evil.example/", "///evil.example/", "/\\evil.example/", "//evil.example/%2e%2e/", "//evil.example//", "/.//evil.example/"} {
				func() {
					defer func() {
						if p := recover(); p != nil {
							t.Errorf("prefix %q: the path %q: panic: %v", prefix, path, p)
						}
					}()
					r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
					r.URL.Path, r.RequestURI = prefix+path, path
					r.Header.Set("Accept", acceptHTML)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					got := reply{"GET " + prefix + path, w.Code, w.Header(), w.Body.Bytes()}
					if to := got.header.Get("Location"); strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`) || to != "" && to[0] != '/' {
						t.Errorf("%s leads to another site: %q", got.what, to)
					}
					if got.status == http.StatusOK && len(got.body) == 0 {
						t.Errorf("%s: 200 with nothing", got.what)
					}
				}()
			}
		}
		_ = g
	})
}

// What one viewer may see is kept from all caches.
func TestViewersAreKeptApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		g := newGround(t, town(t), func(c *site.Config) {
			c.Viewer = func(ctx context.Context) auth.Principal { p, _ := ctx.Value(key{}).(auth.Principal); return p }
		}).run()
		owner := func(r *http.Request) { *r = *r.WithContext(context.WithValue(r.Context(), key{}, registrytest.Owner)) }
		for _, path := range []string{"/", "/test", "/test/hat", "/test/hat/-/tags", "/-/search", "/test/hat/-/badge/version.svg", "/test/hat/-/feed.atom"} {
			r := g.get(path, 200, owner)
			if got := r.header.Get("Cache-Control"); got != "private, no-cache" {
				t.Errorf("the owner's %s: Cache-Control is %q", path, got)
			}
			if got := g.get(path, 200).header.Get("Cache-Control"); got != "public, no-cache" {
				t.Errorf("everyone's %s: Cache-Control is %q", path, got)
			}
		}
	})
}
