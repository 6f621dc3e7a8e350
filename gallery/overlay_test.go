package gallery_test

import (
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

func overlaid(files fstest.MapFS) func(*site.Config) {
	return func(c *site.Config) { c.Gallery.Overlay = files }
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestOverlay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const mark = `<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>`
		plain := newGround(t, nil)
		g := newGround(t, func(s *registrytest.Server) { s.Push("test/hat", registrytest.Image{}, "1.0") }, overlaid(fstest.MapFS{
			"help.tmpl": file(`{{define "main"}}<h1>Help of the host</h1>{{len .Page.Kinds}} {{.Site}}{{end}}`), "_start.tmpl": file(`{{define "start"}}<section class="start"><h2>Ours</h2></section>{{end}}`),
			"static/theme.css": file(":root{--accent:hotpink}"), "static/logo.svg": file(mark), "static/extra.txt": file("more"), "README.md": file("not served"),
		}))
		checks{"h1": "Help of the host", "main": some, "footer": some}.run(g.page("/-/help"))
		checks{"h1": "Container images for everyone"}.run(g.page("/"))
		checks{".start h2": "Ours"}.run(g.page("/"))

		home, before := g.page("/"), plain.page("/")
		css, old := home.attrs("link[rel=stylesheet]", "href")[0], before.attrs("link[rel=stylesheet]", "href")[0]
		own, theirs := string(g.get(css, 200).body), string(plain.get(old, 200).body)
		if css == old || own != theirs+":root{--accent:hotpink}" {
			t.Errorf("the style is at %s, before at %s; it ends with %q", css, old, own[max(0, len(own)-60):])
		}
		icon := home.attrs("link[rel=icon]", "href")[0]
		if r := g.get(icon, 200); string(r.body) != mark || icon == before.attrs("link[rel=icon]", "href")[0] || r.header.Get("Content-Security-Policy") != policySVG {
			t.Errorf("the logo at %s: %s %v", icon, r.body, r.header)
		}
		if r := g.get("/-/static/x/extra.txt", 200); string(r.body) != "more" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
			t.Errorf("another file: %s %v", r.body, r.header)
		}
		for _, path := range []string{"/-/static/x/README.md", "/-/static/x/help.tmpl", "/-/static/x/../help.tmpl"} {
			g.get(path, http.StatusNotFound)
		}
		// what a page of before links to is there still, and is not kept for what it is no more
		r := g.get(old, 200)
		if got := r.header.Get("Cache-Control"); string(r.body) != own || strings.Contains(got, "immutable") {
			t.Errorf("the old style: %q", got)
		}
	})
}

func TestBrokenOverlays(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]fstest.MapFS{
		"no end":              {"home.tmpl": file(`{{define "main"}}`)},
		"an unknown name":     {"home.tmpl": file(`{{define "main"}}{{nothing .}}{{end}}`)},
		"a layout":            {"layout.tmpl": file(`{{if}}`)},
		"a part":              {"_parts.tmpl": file(`{{define "card"}}{{range}}`)},
		"a page of one's own": {"extra.tmpl": file(`{{`)},
		"no such template":    {"home.tmpl": file(`{{define "main"}}{{template "missing" .}}{{end}}`)},
		"ambiguous HTML":      {"home.tmpl": file(`{{define "main"}}<a href="{{if .Page}}x">{{end}}</a>{{end}}`)},
		"no such file":        {"home.tmpl": file(`{{define "main"}}{{asset "missing.png"}}{{end}}`)},
		"a folder":            {"home.tmpl/x": file("x")},
	} {
		server := registrytest.New(t)
		_, err := site.New(site.Config{Registry: server.Registry, Gallery: gallery.Config{Overlay: files}})
		if err == nil {
			t.Errorf("%s is no error of New", name)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := gallery.New(gallery.Config{}); err == nil {
		t.Error("a site of nothing")
	}
	server := registrytest.New(t)
	for prefix, ok := range map[string]bool{"": true, "/": true, "/x": true, "/x/": true, "/x/y": true, "x": false, "//x": false, "/x//y": false, "/x?y": false, "/x y": false, "/x%2f": false, "/<x>": false, "/\"": false, "http://x": false, "/x/../y": false, "/.": false, "/\x00": false, "/{x}": false} {
		if _, err := site.New(site.Config{Registry: server.Registry, Gallery: gallery.Config{Prefix: prefix}}); (err == nil) != ok {
			t.Errorf("the prefix %q: %v", prefix, err)
		}
	}
	var _ fs.FS = fstest.MapFS{}
}

// Setting the theme leads back to a page of this site, whatever the form says.
func TestTheme(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, prefix := range []string{"", "/x/gallery"} {
			g := newGround(t, nil, under(prefix))
			set := func(form string, change ...func(*http.Request)) reply {
				return g.ask("POST "+form, prefix+"/-/theme", append([]func(*http.Request){with("Content-Type", "application/x-www-form-urlencoded")}, change...)...)
			}
			for back, want := range map[string]string{
				"": "/", prefix + "/test/hat": "/test/hat", prefix + "/-/search?q=a%26b&arch=x": "/-/search?q=a%26b&arch=x", prefix + "/test/hat#x": "/test/hat", prefix + "/test/h%61t": "/test/hat",
				"https://evil.example/": "/", "//evil.example/": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", "/%5Cevil.example": "", "/%2Fevil.example": "/", "/%2f%2fevil.example/": "/", "javascript:alert(1)": "/", "evil.example": "/",
				"data:text/html,x": "/", "/\t/evil.example": "/", "/\n/evil.example": "/", "/\r\nSet-Cookie: a=b": "/", " //evil.example": "/", "http:/evil.example": "/", "http:evil.example": "/", "?x": "/", "/.//evil.example": "", "/..//evil.example": "", prefix + "/..//evil.example": "", prefix + "/../../evil": "", prefix + "/%2e%2e/%2e%2e/evil": "",
				"https:///evil.example": "/", "/@evil.example": "", "//user@evil.example": "/", "/test/hat?x=\r\nA: b": "/", "%": "/", "/%zz": "/", "/\u202Eevil": "", "//[::1": "/",
			} {
				r := set("theme=dark&back=" + url.QueryEscape(back))
				to := r.header.Get("Location")
				u, err := url.Parse(to)
				if r.status != http.StatusSeeOther || err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t ") || !strings.HasPrefix(to, prefix+"/") {
					t.Errorf("below %q: back to %q leads to %d %q", prefix, back, r.status, to)
				} else if want != "" && to != prefix+want && u.Path != prefix+want {
					t.Errorf("below %q: back to %q leads to %q, want %q", prefix, back, to, prefix+want)
				}
			}
			for name, status := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 303, "none": 303, "": 303} {
				if r := set("theme=light", with("Sec-Fetch-Site", name)); r.status != status || status == 403 && r.header.Get("Set-Cookie") != "" {
					t.Errorf("Sec-Fetch-Site %q: %d, %q", name, r.status, r.header.Get("Set-Cookie"))
				}
			}
			for origin, status := range map[string]int{"https://evil.example": 403, "null": 403, "http://example.com": 303, "http://example.com.evil.example": 403, "http://example.com:81": 403} {
				if r := set("theme=light", with("Origin", origin)); r.status != status {
					t.Errorf("Origin %q: %d, want %d", origin, r.status, status)
				}
			}
			for theme, want := range map[string]string{"dark": "theme=dark; Path=" + prefix + "/; Max-Age=31536000; HttpOnly; SameSite=Lax", "auto": "theme=auto; Path=" + prefix + "/; Max-Age=0; HttpOnly; SameSite=Lax"} {
				if got := set("theme=" + theme).header.Get("Set-Cookie"); got != want {
					t.Errorf("%s: %q, want %q", theme, got, want)
				}
			}
			for _, theme := range []string{"", "Dark", "dark%0d%0aX: y", "dark;%20Domain=evil.example", "%22%3E"} {
				if r := set("theme=" + theme); r.status != 400 || r.header.Get("Set-Cookie") != "" {
					t.Errorf("the theme %q: %d %q", theme, r.status, r.header.Get("Set-Cookie"))
				}
			}
			if r := g.ask("POST", prefix+"/-/theme?theme=dark", with("Content-Type", "application/x-www-form-urlencoded")); r.status != 400 {
				t.Errorf("a theme in the address: %d", r.status)
			}
		}
	})
}
