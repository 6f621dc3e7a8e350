package registry

import (
	"net/http"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
)

func TestParseRoute(t *testing.T) {
	t.Parallel()
	const hex = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	for path, want := range map[string]route{
		"/v2":                                  {kind: routeBase},
		"/v2/":                                 {kind: routeBase},
		"/v2/_catalog":                         {kind: routeCatalog},
		"/token":                               {kind: routeToken},
		"/v2/a/b/tags/list":                    {routeTags, "a/b", ""},
		"/v2/a/tags/tags/list":                 {routeTags, "a/tags", ""},
		"/v2/a/b/manifests/v1":                 {routeManifest, "a/b", "v1"},
		"/v2/a/manifests/manifests/manifests":  {routeManifest, "a/manifests", "manifests"},
		"/v2/a/manifests/tags/list":            {routeTags, "a/manifests", ""},
		"/v2/a/tags/manifests/list":            {routeManifest, "a/tags", "list"},
		"/v2/a/b/blobs/sha256:" + hex:          {routeBlob, "a/b", "sha256:" + hex},
		"/v2/a/b/blobs/uploads/":               {routeUploads, "a/b", ""},
		"/v2/a/b/blobs/uploads":                {routeUploads, "a/b", ""},
		"/v2/a/b/blobs/uploads/ID":             {routeUpload, "a/b", "ID"},
		"/v2/a/blobs/uploads/blobs/uploads/":   {routeUploads, "a/blobs/uploads", ""},
		"/v2/a/blobs/uploads/blobs/uploads/ID": {routeUpload, "a/blobs/uploads", "ID"},
		"/v2/a/blobs/uploads/manifests/v1":     {routeManifest, "a/blobs/uploads", "v1"},
		"/v2/a/blobs/uploads/tags/list":        {routeTags, "a/blobs/uploads", ""},
		"/v2/a/referrers/referrers/sha256:00":  {routeReferrers, "a/referrers", "sha256:00"},
		"/v2/a/b":                              {},
		"/v2/a/b/c":                            {},
		"/v2/a/b/tags/other":                   {},
		"/v1/a/b/tags/list":                    {},
		"/":                                    {},
		"":                                     {},
	} {
		if got := parseRoute(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

func TestEveryRouteOfARepositoryHasAnAction(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints {
		switch e.kind {
		case routeBase, routeToken, routeCatalog:
			continue
		}
		if e.action == "" || e.action.Verb() == "*" {
			t.Errorf("%s of route %d has no action that a policy knows", e.method, e.kind)
		}
		if changes := e.method != http.MethodGet && e.method != http.MethodHead; changes && (!e.asks || e.action.Verb() == "pull") {
			t.Errorf("%s of route %d: a change is decided by the store and is no pull", e.method, e.kind)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, path := range []string{"/v2/a/b/tags/list", "/v2/a/b/manifests/v1", "/v2/a/b/blobs/uploads/x", "/v2//blobs/uploads/", "/v2/../x"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := parseRoute(path)
		if strings.Contains(r.ref, "/") {
			t.Errorf("%q: reference %q has a slash", path, r.ref)
		}
		if r.name == "" || manifest.CheckName(r.name) != nil {
			return
		}
		// what was read can be written again
		nouns := map[routeKind]string{
			routeTags: "/tags/list", routeManifest: "/manifests/" + r.ref, routeBlob: "/blobs/" + r.ref, routeUploads: "/blobs/uploads/",
			routeUpload: "/blobs/uploads/" + r.ref, routeReferrers: "/referrers/" + r.ref,
		}
		if again := parseRoute("/v2/" + r.name + nouns[r.kind]); again != r {
			t.Errorf("%q: %+v, and again %+v", path, r, again)
		}
	})
}
