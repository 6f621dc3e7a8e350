package gallery_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/site"
)

// linked are the attributes that lead somewhere.
var linked = []string{"href", "src", "action", "data-suggest", "srcset", "poster", "formaction", "cite", "ping", "data"}

// another is what the town has many of, of which a few will do.
var another = regexp.MustCompile(`/other/thing-(?:0[1-9]|[12]\d|3[0-8])|/test/many/-/(?:tag/v1\.\d*[1-9]\.|digest/|pull\?.*tag=v1\.\d*[1-9]\.|history\?tag=.*[1-9]\.)`)

// crawl visits everything that pages of the site lead to, and calls f with each page.
func crawl(t *testing.T, g *ground, prefix string, f func(path string, d doc)) (visited map[string]reply) {
	t.Helper()
	visited = map[string]reply{}
	from := map[string]string{}
	queue := []string{prefix + "/", prefix + "/test/hat/-/digest/sha256:00", prefix + "/robots.txt"}
	for len(queue) > 0 && len(visited) < 6000 {
		path := queue[0]
		queue = queue[1:]
		if _, ok := visited[path]; ok || another.MatchString(path) {
			continue
		}
		r := g.ask("GET", path)
		visited[path] = r
		if r.status >= 400 && from[path] != "" {
			t.Errorf("%s, to which %s leads: %d", path, from[path], r.status)
		}
		if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || r.status >= 300 && r.status < 400 {
			if to := r.header.Get("Location"); to != "" {
				from[to], queue = path, append(queue, to)
			}
			continue
		}
		d := r.parse(t)
		f(path, d)
		for _, n := range elements(d.Node, nil) {
			for _, key := range linked {
				to := attr(n, key)
				if !hasAttr(n, key) || n.Data == "form" && strings.EqualFold(attr(n, "method"), "post") {
					continue
				}
				u, err := url.Parse(to)
				if err != nil {
					t.Errorf("%s: %s: %v", path, describe(n), err)
					continue
				}
				u.Fragment = ""
				own := strings.TrimPrefix(u.String(), "http://example.com")
				switch {
				case strings.HasPrefix(to, "#"):
					if len(d.all("[id='"+to[1:]+"']")) != 1 {
						t.Errorf("%s: %s leads nowhere", path, describe(n))
					}
				case u.Host != "" && u.Host != "example.com":
					if key != "href" || n.Data != "a" || !strings.Contains(attr(n, "rel"), "nofollow") || !strings.Contains(attr(n, "rel"), "noreferrer") || u.Scheme != "https" {
						t.Errorf("%s: %s leads to another site", path, describe(n))
					}
				case !strings.HasPrefix(own, prefix+"/"):
					t.Errorf("%s: %s leads out of %s", path, describe(n), prefix)
				default:
					if _, ok := from[own]; !ok {
						from[own] = path
						queue = append(queue, own)
					}
				}
			}
		}
	}
	return visited
}

func TestLinks(t *testing.T) {
	for name, prefix := range map[string]string{"at the root": "", "below a prefix": "/x/gallery"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := newGround(t, town(t), counted, under(prefix), func(c *site.Config) { c.Gallery.CacheBytes = -1 }).run()
				titles := map[string]string{} // by which canonical page
				visited := crawl(t, g, prefix, func(path string, d doc) {
					checkPage(t, path, d)
					canonical := d.attrs("link[rel=canonical]", "href")
					if len(canonical) == 0 {
						return
					}
					if len(canonical) > 1 || !strings.HasPrefix(canonical[0], "http://example.com"+prefix+"/") {
						t.Errorf("%s: the canonical address is %q", path, canonical)
						return
					}
					title := d.texts("title")[0]
					if other, ok := titles[title]; ok && other != canonical[0] {
						t.Errorf("%s: the title %q is that of %s too", canonical[0], title, other)
					}
					titles[title] = canonical[0]
					if og := d.attrs("meta[property='og:url']", "content"); len(og) != 1 || og[0] != canonical[0] {
						t.Errorf("%s: og:url is %q", path, og)
					}
					if r := g.ask("GET", strings.TrimPrefix(canonical[0], "http://example.com")); r.status != 200 {
						t.Errorf("%s: the canonical address answers %d", path, r.status)
					}
				})
				if len(visited) < 1000 || len(titles) < 90 {
					t.Errorf("%d addresses, %d pages", len(visited), len(titles))
				}
				for _, path := range []string{"/test/hat", "/test/many/-/tags", "/other/thing-39", "/-/help", "/-/api", "/-/openapi.json", "/-/opensearch.xml", "/test/hat/-/badge/version.svg", "/test/full/-/tag/3.1.4", "/test/hat/-/history", "/test/hat/-/feed.atom"} {
					if visited[prefix+path].status != 200 {
						t.Errorf("nothing leads to %s", prefix+path)
					}
				}
				theme := g.page(prefix+"/test/hat").attrs("form.theme", "action")
				if !slices.Equal(theme, []string{prefix + "/-/theme"}) {
					t.Errorf("the theme is set at %q", theme)
				}
			})
		})
	}
}

// checkPage checks what holds for every page.
func checkPage(t *testing.T, path string, d doc) {
	t.Helper()
	for selector, want := range map[string]int{"h1": 1, "main": 1, "title": 1, "html[lang]": 1, "meta[name=viewport]": 1, "meta[charset]": 1, "style": 0, "iframe": 0, "base": 0, "object": 0, "embed": 0, "meta[http-equiv]": 0, "a[target]": 0, "a:not([href])": 0} {
		if n := len(d.all(selector)); n != want {
			t.Errorf("%s: %d of %s, want %d", path, n, selector, want)
		}
	}
	if title := d.texts("title"); strings.HasPrefix(title[0], "·") || len(title[0]) < 5 {
		t.Errorf("%s: the title is %q", path, title)
	}
	ids, labels := map[string]bool{}, map[string]bool{}
	for _, n := range d.all("label[for]") {
		labels[attr(n, "for")] = true
	}
	for _, n := range d.all("[id]") {
		id := attr(n, "id")
		if ids[id] || id == "" || strings.ContainsAny(id, " \t") {
			t.Errorf("%s: the id %q is there twice, or none", path, id)
		}
		ids[id] = true
	}
	for _, key := range []string{"aria-labelledby", "aria-describedby", "for", "aria-controls"} {
		for _, value := range d.attrs("["+key+"]", key) {
			for id := range strings.FieldsSeq(value) {
				if !ids[id] {
					t.Errorf("%s: %s refers to %s, which is not there", path, key, id)
				}
			}
		}
	}
	level := 0
	for _, n := range d.all("h1, h2, h3, h4, h5, h6") {
		next := int(n.Data[1] - '0')
		if next > level+1 {
			t.Errorf("%s: after a heading of level %d comes %s %q", path, level, n.Data, text(n))
		}
		if text(n) == "" {
			t.Errorf("%s: an empty %s", path, n.Data)
		}
		level = next
	}
	for _, n := range elements(d.Node, nil) {
		checkElement(t, path, n, labels)
	}
}

func checkElement(t *testing.T, path string, n *html.Node, labels map[string]bool) {
	t.Helper()
	wrong := func(what string) { t.Helper(); t.Errorf("%s: %s: %s", path, describe(n), what) }
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
			wrong(a.Key)
		}
		if value := strings.ToLower(strings.TrimSpace(a.Val)); slices.Contains(linked, a.Key) && (strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "vbscript:")) {
			wrong("no address")
		}
	}
	switch n.Data {
	case "img":
		if !hasAttr(n, "alt") {
			wrong("no alt")
		}
	case "input":
		if attr(n, "type") != "hidden" && !labels[attr(n, "id")] && closest(n, "label") == nil && attr(n, "aria-label") == "" {
			wrong("no label")
		}
	case "select", "textarea":
		if !labels[attr(n, "id")] {
			wrong("no label")
		}
	case "th":
		prose := false
		for p := n.Parent; p != nil; p = p.Parent {
			prose = prose || p.Data == "section" && attr(p, "class") == "prose"
		}
		if scope := attr(n, "scope"); scope != "col" && scope != "row" && !prose {
			wrong("no scope")
		}
	case "script":
		switch inline := text(n) != ""; {
		case attr(n, "type") == "application/ld+json":
			var about map[string]any
			if err := json.Unmarshal([]byte(n.FirstChild.Data), &about); err != nil || about["@context"] != "https://schema.org" || about["@type"] == nil {
				wrong("JSON-LD: " + n.FirstChild.Data)
			}
			if at, ok := about["dateModified"].(string); ok && strings.HasPrefix(at, "0001") {
				wrong("JSON-LD: never modified at " + at)
			}
		case inline || !strings.HasPrefix(attr(n, "src"), "/"):
			wrong("a script")
		}
	case "a", "button":
		if text(n) == "" && attr(n, "aria-label") == "" {
			wrong("no text")
		}
	case "nav":
		if attr(n, "aria-label") == "" {
			wrong("no label")
		}
	case "time":
		if attr(n, "datetime") == "" || strings.HasPrefix(attr(n, "datetime"), "0001") {
			wrong("no time")
		}
	}
}

// Publishers begin where they like: most READMEs in the wild begin with ## or ###.
func TestHeadingsOfPublishers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		for _, about := range []string{"# One\n\n## Two\n\n# Three", "## Quick reference\n\ntext", "### What is it\n\ntext", "# One\n\n#### Four\n\n###### Six", "###### Six"} {
			if _, err := g.Owner().PutCatalogData(t.Context(), "test/hat", registry.CatalogData{About: about, Usage: about}); err != nil {
				t.Fatal(err)
			}
			checkPage(t, "about "+about, g.page("/test/hat"))
		}
	})
}

// The headings and titles of what is wrong are as good as the others.
func TestErrorPagesAreWellFormed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		for _, path := range slices.Sorted(maps.Keys(map[string]bool{"/nobody": true, "/test/hatt": true, "/-/search?sort=x": true, "/-/search?limit=x": true, "/test/hat/-/tags?filter=" + strings.Repeat("x", 200): true, "/-/theme": true, "/test/hat/-/tag/x": true})) {
			checkPage(t, path, g.ask("GET", path).parse(t))
		}
		checkPage(t, "POST", g.ask("POST", "/").parse(t))
	})
}
