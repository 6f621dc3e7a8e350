package gallery_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

// schemas checks JSON against those of an OpenAPI document.
type schemas map[string]any

// check reports where a value is not as a schema has it.
func (s schemas) check(at string, schema map[string]any, value any) (wrong []string) {
	if ref, ok := schema["$ref"].(string); ok {
		name, _ := strings.CutPrefix(ref, "#/components/schemas/")
		target, ok := s[name].(map[string]any)
		if !ok {
			return []string{at + ": " + ref + " is not in the document"}
		}
		return s.check(at, target, value)
	}
	if list, ok := schema["anyOf"].([]any); ok {
		for _, one := range list {
			if wrong = s.check(at, one.(map[string]any), value); len(wrong) == 0 {
				return nil
			}
		}
		return wrong
	}
	types, ok := schema["type"].([]any)
	if !ok {
		types = []any{schema["type"]}
	}
	kind := map[string]bool{}
	for _, t := range types {
		kind[fmt.Sprint(t)] = true
	}
	bad := func() []string { return []string{fmt.Sprintf("%s: %.60v, want %v", at, value, types)} }
	switch v := value.(type) {
	case nil:
		if !kind["null"] {
			return bad()
		}
	case bool:
		if !kind["boolean"] {
			return bad()
		}
	case string:
		if !kind["string"] {
			return bad()
		}
		if _, err := time.Parse(time.RFC3339Nano, v); schema["format"] == "date-time" && err != nil {
			return bad()
		}
	case float64:
		if !kind["number"] && !(kind["integer"] && v == float64(int64(v))) {
			return bad()
		}
	case []any:
		items, ok := schema["items"].(map[string]any)
		if !kind["array"] || !ok {
			return bad()
		}
		for i, one := range v {
			wrong = append(wrong, s.check(fmt.Sprintf("%s[%d]", at, i), items, one)...)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		if !kind["object"] {
			return bad()
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s: %s is missing", at, name))
			}
		}
		for name, one := range v {
			property, ok := properties[name].(map[string]any)
			if !ok {
				wrong = append(wrong, fmt.Sprintf("%s: %s is not in the schema", at, name))
				continue
			}
			wrong = append(wrong, s.check(at+"."+name, property, one)...)
		}
	}
	return wrong
}

// openAPI is the part of the document that is looked at.
type openAPI struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Paths   map[string]struct {
		Get struct {
			Summary    string
			Parameters []struct {
				Name, In string
				Required bool
				Schema   map[string]any
			}
			Responses map[string]struct {
				Description string
				Content     map[string]struct{ Schema map[string]any }
			}
		}
	}
	Components struct{ Schemas schemas }
}

// samples are paths of each kind that the document has, below the prefix.
var samples = map[string][]string{
	"/":                                 {"/"},
	"/-/search":                         {"/-/search", "/-/search?q=hat", "/-/search?q=zzqqxx", "/-/search?q=scarv", "/-/search?limit=1&sort=name", "/-/search?type=helm&arch=x"},
	"/{alias}":                          {"/test", "/other", "/other?after=thing-38"},
	"/{alias}/{repository}":             {"/test/hat", "/test/full", "/test/chart", "/test/files", "/test/empty", "/test/old", "/test/chosen", "/test/deep/er/scarf", "/other/thing-00", "/test/many"},
	"/{alias}/{repository}/-/tags":      {"/test/hat/-/tags", "/test/empty/-/tags", "/test/many/-/tags", "/test/many/-/tags?filter=zz", "/test/files/-/tags?filter=v"},
	"/{alias}/{repository}/-/tag/{tag}": {"/test/hat/-/tag/1", "/test/full/-/tag/stable", "/test/chart/-/tag/0.9.0_b1", "/test/files/-/tag/v1", "/test/deep/er/scarf/-/tag/latest"},
	"/{alias}/{repository}/-/digest/{digest}": {"DIGEST"},
	"/{alias}/{repository}/-/pulls":           {"/test/hat/-/pulls", "/test/hat/-/pulls?days=3&tag=1"},
	"/{alias}/{repository}/-/history":         {"/test/hat/-/history", "/test/many/-/history", "/test/empty/-/history", "/test/hat/-/history?tag=gone"},
	"/{alias}/{repository}/-/badge":           {"/test/hat/-/badge", "/other/thing-00/-/badge"},
}

func TestOpenAPI(t *testing.T) {
	for name, change := range map[string]func(*site.Config){"without pulls": func(*site.Config) {}, "with pulls": counted, "below a prefix": under("/x/gallery")} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := newGround(t, town(t), change).run()
				prefix := ""
				if name == "below a prefix" {
					prefix = "/x/gallery"
				}
				var api openAPI
				g.json(prefix+"/-/openapi.json", &api)
				if !strings.HasPrefix(api.OpenAPI, "3.1.") || api.Info.Title == "" || api.Info.Version == "" {
					t.Errorf("%s, %+v", api.OpenAPI, api.Info)
				}
				if diff := cmp.Diff(slices.Sorted(maps.Keys(samples)), slices.Sorted(keysBelow(api.Paths, prefix))); diff != "" {
					t.Errorf("paths (-want +got):\n%s", diff)
				}
				var full struct{ Image struct{ Digest string } }
				g.json(prefix+"/test/full", &full)
				for path, item := range api.Paths {
					for i, p := range item.Get.Parameters {
						if in := strings.Contains(path, "{"+p.Name+"}"); p.In != map[bool]string{true: "path", false: "query"}[in] || p.Required != in || p.Schema["type"] != "string" {
							t.Errorf("%s: parameter %d: %+v", path, i, p)
						}
					}
					schema := item.Get.Responses["200"].Content[typeJSON].Schema
					problem := item.Get.Responses["default"].Content[typeProblem].Schema
					if item.Get.Summary == "" || schema == nil || problem == nil {
						t.Errorf("%s: %+v", path, item)
						continue
					}
					for _, sample := range samples[strings.TrimPrefix(path, prefix)] {
						sample = prefix + strings.Replace(sample, "DIGEST", "/test/full/-/digest/"+full.Image.Digest, 1)
						var value any
						g.json(sample, &value)
						for _, wrong := range api.Components.Schemas.check(sample, schema, value) {
							t.Error(wrong)
						}
						bad := sample + "?format=nonsense"
						if strings.Contains(sample, "?") {
							bad = sample + "&format=nonsense"
						}
						if err := json.Unmarshal(g.get(bad, 400).body, &value); err != nil {
							t.Errorf("%s: %v", bad, err)
						}
						for _, wrong := range api.Components.Schemas.check(bad, problem, value) {
							t.Error(wrong)
						}
					}
				}
			})
		})
	}
}

func keysBelow[V any](m map[string]V, prefix string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if rest, ok := strings.CutPrefix(k, prefix); !ok || !yield(rest) {
				return
			}
		}
	}
}

// The two ways to ask for JSON agree, and its names are written in one way.
func TestJSON(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		paths := []string{"/-/help", "/-/api"}
		for _, list := range samples {
			paths = append(paths, list...)
		}
		for _, path := range paths {
			if path == "DIGEST" {
				continue
			}
			query := "?format=json"
			if strings.Contains(path, "?") {
				query = "&format=json"
			}
			asked, accepted := g.get(path+query, 200), g.get(path, 200, with("Accept", "application/json"))
			if !bytes.Equal(asked.body, accepted.body) || etag(asked) != etag(accepted) {
				t.Errorf("%s: ?format=json and Accept differ", path)
			}
			if r := g.get(path+query, 200, with("Accept", "text/html")); !bytes.Equal(r.body, asked.body) {
				t.Errorf("%s: Accept has the last word", path)
			}
			for accept, want := range map[string]string{
				"application/json;q=0.4, text/html;q=0.5": typeHTML, "text/html, application/json": typeHTML, "application/json, text/html;q=0.9": typeJSON, "text/html;q=0.2,application/json;q=0.3": typeJSON,
				acceptHTML: typeHTML, "APPLICATION/JSON": typeJSON, "application/json;q=0": "", "image/png": "",
			} {
				if r := g.get(path, 200, with("Accept", accept)); want != "" && r.header.Get("Content-Type") != want {
					t.Errorf("%s: who accepts %s gets %s", path, accept, r.header.Get("Content-Type"))
				}
			}
			var value any
			if err := json.Unmarshal(asked.body, &value); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, name := range names(value) {
				if name[0] < 'a' || name[0] > 'z' {
					t.Errorf("%s: the name %s begins unlike all others", path, name)
				}
			}
		}
		// what clients of registries rely on
		for _, accept := range []string{"", "*/*", "application/json"} {
			var found struct{ Results []struct{ Name string } }
			r := g.get("/-/search?q=hat", 200, with("Accept", accept))
			if err := json.Unmarshal(r.body, &found); err != nil || len(found.Results) == 0 || found.Results[0].Name != "test/hat" || !bytes.HasPrefix(r.body, []byte(`{"results":[{"name":"`)) {
				t.Errorf("who accepts %q: %v, %.100s", accept, err, r.body)
			}
		}
		if r := g.get("/-/search?q=zzqqxx", 200, with("Accept", "")); !bytes.Contains(r.body, []byte(`"results":[]`)) {
			t.Errorf("nothing found: %s", r.body)
		}
	})
}

// names returns all names of members.
func names(v any) (list []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			list = append(append(list, name), names(value)...)
		}
	case []any:
		for _, value := range v {
			list = append(list, names(value)...)
		}
	}
	return list
}

// A parameter of another kind of page, or none, is no format.
func TestFormats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t), counted)
		for _, path := range []string{"/", "/test", "/test/hat", "/test/hat/-/tags", "/test/hat/-/tag/1", "/test/hat/-/history", "/test/hat/-/badge", "/-/help", "/-/api", "/-/search?q=x"} {
			for _, format := range []string{"nonsense", "csv", "JSON", "atom", "html%00", "../json", "%22%3E%3Cscript%3E"} {
				sep := "?"
				if strings.Contains(path, "?") {
					sep = "&"
				}
				g.get(path+sep+"format="+format, http.StatusBadRequest)
			}
			sep := "?"
			if strings.Contains(path, "?") {
				sep = "&"
			}
			if r := g.get(path+sep+"format=html", 200, with("Accept", "application/json")); r.header.Get("Content-Type") != typeHTML {
				t.Errorf("%s: ?format=html gives %s", path, r.header.Get("Content-Type"))
			}
		}
		g.get("/test/hat/-/pulls?format=nonsense", http.StatusBadRequest)
	})
}

// atom is a feed as readers of RFC 4287 see it.
type atom struct {
	XMLName xml.Name
	ID      []string    `xml:"http://www.w3.org/2005/Atom id"`
	Title   []string    `xml:"http://www.w3.org/2005/Atom title"`
	Updated []string    `xml:"http://www.w3.org/2005/Atom updated"`
	Authors []string    `xml:"http://www.w3.org/2005/Atom author>name"`
	Links   []atomLink  `xml:"http://www.w3.org/2005/Atom link"`
	Entries []atomEntry `xml:"http://www.w3.org/2005/Atom entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      []string   `xml:"http://www.w3.org/2005/Atom id"`
	Title   []string   `xml:"http://www.w3.org/2005/Atom title"`
	Updated []string   `xml:"http://www.w3.org/2005/Atom updated"`
	Links   []atomLink `xml:"http://www.w3.org/2005/Atom link"`
	Summary string     `xml:"http://www.w3.org/2005/Atom summary"`
}

func TestFeeds(t *testing.T) {
	for _, prefix := range []string{"", "/x/gallery"} {
		t.Run("below "+prefix, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := newGround(t, town(t), under(prefix)).run()
				for path, want := range map[string]struct {
					title string
					n     int
				}{
					"/test/hat/-/feed.atom":             {"Tags of test/hat", 10},
					"/test/many/-/feed.atom":            {"Tags of test/many", 50},
					"/test/empty/-/feed.atom":           {"Tags of test/empty", 0},
					"/test/-/feed.atom":                 {"Tags of Test & Söhne", 28},
					"/other/-/feed.atom":                {"Tags of other", 0},
					"/-/search.atom?q=hat":              {"hat - Gallery", 1},
					"/-/search.atom?type=helm":          {"All repositories - Gallery", 1},
					"/-/search.atom":                    {"All repositories - Gallery", 49},
					"/-/search.atom?q=zzqqxx&after=a%2": {"", -1},
				} {
					if want.n < 0 {
						continue
					}
					r := g.get(prefix+path, 200)
					var feed atom
					if err := xml.Unmarshal(r.body, &feed); err != nil || feed.XMLName.Local != "feed" || feed.XMLName.Space != "http://www.w3.org/2005/Atom" {
						t.Errorf("%s: %v, %v", path, err, feed.XMLName)
						continue
					}
					if len(feed.ID) != 1 || len(feed.Title) != 1 || len(feed.Updated) != 1 || len(feed.Authors) < 1 || feed.Authors[0] == "" {
						t.Errorf("%s: ids %q, titles %q, updated %q, authors %q", path, feed.ID, feed.Title, feed.Updated, feed.Authors)
						continue
					}
					if feed.Title[0] != want.title || len(feed.Entries) < want.n {
						t.Errorf("%s: %q with %d entries, want %q with %d", path, feed.Title[0], len(feed.Entries), want.title, want.n)
					}
					ids, last := map[string]bool{feed.ID[0]: true}, ""
					dates := feed.Updated
					for _, l := range feed.Links {
						g.getAbsolute(path, l.Href)
						if l.Rel == "self" && l.Href != "http://example.com"+prefix+path {
							t.Errorf("%s: itself is %s", path, l.Href)
						}
					}
					for _, e := range feed.Entries {
						if len(e.ID) != 1 || len(e.Title) != 1 || len(e.Updated) != 1 || len(e.Links) != 1 || ids[e.ID[0]] || e.Title[0] == "" {
							t.Errorf("%s: entry %+v", path, e)
							continue
						}
						if u, err := url.Parse(e.ID[0]); err != nil || !u.IsAbs() {
							t.Errorf("%s: the id %q", path, e.ID[0])
						}
						if last != "" && e.Updated[0] > last {
							t.Errorf("%s: %s comes after %s", path, e.Updated[0], last)
						}
						ids[e.ID[0]], last = true, e.Updated[0]
						dates = append(dates, e.Updated[0])
						if strings.Contains(path, "hat") {
							g.getAbsolute(path, e.Links[0].Href)
						}
					}
					for _, date := range dates {
						if at, err := time.Parse(time.RFC3339, date); err != nil || at.Year() < 1970 {
							t.Errorf("%s: the date %q: %v", path, date, err)
							break
						}
					}
				}
				g.get(prefix+"/nobody/-/feed.atom", 404)
				g.get(prefix+"/test/missing/-/feed.atom", 404)
			})
		})
	}
}

// getAbsolute follows a link of a document that other programs read.
func (g *ground) getAbsolute(from, href string) {
	g.t.Helper()
	path, ok := strings.CutPrefix(href, "http://example.com/")
	if !ok {
		g.t.Errorf("%s: the link %q", from, href)
		return
	}
	if r := g.ask("GET", "/"+path); r.status >= 400 {
		g.t.Errorf("%s leads to %s: %d", from, href, r.status)
	}
}

func TestBadges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		long := strings.Repeat("w", 128)
		g := newGround(t, func(s *registrytest.Server) {
			town(t)(s)
			s.Push("test/long", registrytest.Image{}, long)
		}, counted)
		for path, want := range map[string]string{
			"/test/hat/-/badge/version.svg": "version: 1.27.3", "/test/hat/-/badge/size.svg": "size: 175 B", "/test/hat/-/badge/pulls.svg": "pulls in 90 days: 630", "/test/hat/-/badge/verified.svg": "publisher: verified",
			"/test/deep/er/scarf/-/badge/version.svg": "version: latest", "/test/long/-/badge/version.svg": "version: " + long[:30] + "…",
		} {
			r := g.get(path, 200)
			var svg struct {
				XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
				Label   string   `xml:"aria-label,attr"`
				Title   string   `xml:"title"`
				Text    []string `xml:"g>text"`
			}
			if err := xml.Unmarshal(r.body, &svg); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if svg.Title != want || svg.Label != want || strings.Join(svg.Text, ": ") != want || len(r.body) > 2048 {
				t.Errorf("%s: %+v, %d bytes, want %s", path, svg, len(r.body), want)
			}
		}
		for _, path := range []string{"/other/thing-00/-/badge/verified.svg", "/test/empty/-/badge/version.svg", "/test/empty/-/badge/size.svg", "/test/missing/-/badge/version.svg"} {
			g.get(path, 404)
		}
		d := g.page("/test/hat/-/badge")
		for _, code := range d.texts(".badgebox code") {
			if !strings.Contains(code, "http://example.com/test/hat/-/badge/") {
				t.Errorf("what to write elsewhere is %s", code)
			}
		}
	})
}

func TestSiteFiles(t *testing.T) {
	for _, prefix := range []string{"", "/x/gallery"} {
		t.Run("below "+prefix, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := newGround(t, town(t), under(prefix)).run()
				base := "http://example.com" + prefix

				var set struct {
					XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
					Locs    []string `xml:"url>loc"`
				}
				if err := xml.Unmarshal(g.get(prefix+"/-/sitemap.xml", 200).body, &set); err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{"/", "/-/help", "/test/hat", "/test/deep/er/scarf", "/other/thing-39"} {
					if !slices.Contains(set.Locs, base+want) {
						t.Errorf("the sitemap has no %s", base+want)
					}
				}
				if len(set.Locs) != 2+49 {
					t.Errorf("the sitemap has %d addresses", len(set.Locs))
				}
				for _, loc := range set.Locs[:12] {
					d := g.page(strings.TrimPrefix(loc, "http://example.com"))
					checks{"link[rel=canonical]@href": loc, "meta[name=robots]": none}.run(d)
				}

				robots := string(g.get(prefix+"/robots.txt", 200).body)
				for _, want := range []string{"User-agent: *\n", "Disallow: " + prefix + "/-/search\n", "Sitemap: " + base + "/-/sitemap.xml\n"} {
					if !strings.Contains(robots, want) {
						t.Errorf("robots.txt is %q", robots)
					}
				}

				var search struct {
					XMLName     xml.Name `xml:"http://a9.com/-/spec/opensearch/1.1/ OpenSearchDescription"`
					ShortName   string
					Description string
					URLs        []struct {
						Type     string `xml:"type,attr"`
						Template string `xml:"template,attr"`
					} `xml:"Url"`
				}
				if err := xml.Unmarshal(g.get(prefix+"/-/opensearch.xml", 200).body, &search); err != nil {
					t.Fatal(err)
				}
				if n := len([]rune(search.ShortName)); n < 1 || n > 16 || search.Description == "" || len(search.URLs) < 2 {
					t.Errorf("%+v", search)
				}
				for _, u := range search.URLs {
					path, ok := strings.CutPrefix(strings.Replace(u.Template, "{searchTerms}", "hat", 1), "http://example.com")
					if got := g.get(path, 200).header.Get("Content-Type"); !ok || !strings.HasPrefix(got, u.Type) {
						t.Errorf("%s: %q, want %q", u.Template, got, u.Type)
					}
				}

				var suggest []any
				r := g.get(prefix+"/-/suggest?q=hat", 200)
				if err := json.Unmarshal(r.body, &suggest); err != nil || len(suggest) != 4 || suggest[0] != "hat" {
					t.Fatalf("%v, %s", err, r.body)
				}
				if got := fmt.Sprint(suggest[1:]); got != "[[test/hat] [Keeps the rain off] ["+base+"/test/hat]]" {
					t.Errorf("suggested is %s", got)
				}
				for _, path := range []string{"/-/suggest", "/-/suggest?q=", "/-/suggest?q=%20"} {
					if r := g.get(prefix+path, 200); !bytes.HasSuffix(bytes.TrimSpace(r.body), []byte(",[],[],[]]")) {
						t.Errorf("%s: %s", path, r.body)
					}
				}
				if r := g.get(prefix+"/-/healthz", 200); string(r.body) != "ok\n" {
					t.Errorf("%s", r.body)
				}
				if prefix == "" {
					named := newGround(t, nil, func(c *site.Config) {
						c.Gallery.Name, c.Gallery.Footer = "The very large gallery of <Ada>", []gallery.Link{{Text: "Terms & so on", URL: "https://terms.example/?a=1&b=2"}}
					})
					checks{"footer a[href='https://terms.example/?a=1&b=2']": "Terms & so on", ".brand": "The very large gallery of <Ada>"}.run(named.page("/"))
					if err := xml.Unmarshal(named.get("/-/opensearch.xml", 200).body, &search); err != nil || len([]rune(search.ShortName)) > 16 {
						t.Errorf("%v, %q", err, search.ShortName)
					}
				}
			})
		})
	}
}
