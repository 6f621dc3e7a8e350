package registry

import (
	"net/http"
	"strings"
	"testing"
)

// TestServedPathsAreReserved finds a path for every kind of route: none may begin with what
// can be an alias.
func TestServedPathsAreReserved(t *testing.T) {
	t.Parallel()
	r := &Registry{}
	paths := map[routeKind]string{
		routeBase: "/v2/", routeToken: "/token", routeCatalog: "/v2/_catalog", routeTags: "/v2/a/b/tags/list", routeManifest: "/v2/a/b/manifests/c",
		routeBlob: "/v2/a/b/blobs/c", routeUploads: "/v2/a/b/blobs/uploads/", routeUpload: "/v2/a/b/blobs/uploads/c", routeReferrers: "/v2/a/b/referrers/c",
	}
	list := []string{LogoPath, "/-/search"}
	for _, e := range endpoints {
		path := paths[e.kind]
		if path == "" || parseRoute(path).kind != e.kind {
			t.Errorf("%s: no path leads to routes of kind %d", http.MethodGet, e.kind)
		}
		list = append(list, path)
	}
	for _, path := range list {
		first, _, _ := strings.Cut(path[1:], "/")
		if r.checkAlias(first) == nil {
			t.Errorf("%q, which begins %s, can be an alias", first, path)
		}
	}
}
