package gallery_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

// Where to report a repository is on its page, if the host says where, and only as a link that
// browsers may follow.
func TestReportLink(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report func(string) string
		want   string
	}{
		"none":       {nil, ""},
		"not here":   {func(string) string { return "" }, ""},
		"a form":     {func(name string) string { return "https://example.com/abuse?repository=" + url.QueryEscape(name) }, `<a href="https://example.com/abuse?repository=test%2Fhat" rel="nofollow">Report this repository</a>`},
		"mail":       {func(name string) string { return "mailto:abuse@example.com?subject=" + url.PathEscape(name) }, `<a href="mailto:abuse@example.com?subject=test%2Fhat" rel="nofollow">Report this repository</a>`},
		"a script":   {func(string) string { return "javascript:alert(1)" }, `<a href="#ZgotmplZ" rel="nofollow">Report this repository</a>`},
		"attributes": {func(string) string { return `https://example.com/"><script>` }, `<a href="https://example.com/%22%3e%3cscript%3e" rel="nofollow">Report this repository</a>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGround(t, func(s *registrytest.Server) { s.Push("test/hat", registrytest.Image{}, "v1") }, func(cfg *site.Config) { cfg.Gallery.Report = c.report })
			body := string(g.get("/test/hat", 200).body)
			if c.want == "" && strings.Contains(body, "Report this") || c.want != "" && !strings.Contains(body, c.want) {
				i := max(0, strings.Index(body, "Report this")-200)
				t.Errorf("want %q in ...%s", c.want, body[i:min(len(body), i+400)])
			}
		})
	}
}

// What an operator has taken down has no page, is on no list and is not found, and is there
// again afterwards.
func TestTakedownInGallery(t *testing.T) {
	for name, target := range map[string]registry.Target{
		"account":    {Account: registrytest.Account},
		"alias":      {Alias: registrytest.Alias},
		"repository": {Account: registrytest.Account, Repository: "hat"},
	} {
		for _, hidden := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					g := newGround(t, func(s *registrytest.Server) {
						s.Push("test/hat", registrytest.Image{}, "v1")
						s.Push("test/cap", registrytest.Image{}, "v1")
					}).run()
					catchUp()
					paths := []string{"/test/hat", "/test/hat/-/tags", "/test/hat/-/tag/v1", "/test/hat/-/history", "/test/hat/-/pulls", "/test/hat/-/badge/version.svg"}
					check := func(there bool) {
						t.Helper()
						status := 404
						if there {
							status = 200
						}
						for _, path := range paths {
							g.get(path, status)
						}
						if found := strings.Contains(string(g.get("/-/search?q=hat&format=json", 200).body), "test/hat"); found != there {
							t.Errorf("found %v, want %v", found, there)
						}
					}
					check(true)
					if err := g.Suspend(t.Context(), registry.Suspension{Target: target, Reason: "stolen", Hidden: hidden}); err != nil {
						t.Fatal(err)
					}
					catchUp()
					check(false)
					if err := g.Restore(t.Context(), target, ""); err != nil {
						t.Fatal(err)
					}
					catchUp()
					check(true)
				})
			})
		}
	}
}
