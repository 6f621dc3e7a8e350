package registry_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// minute lets caches between keep what is public for a minute.
func minute(c *registry.Config) { c.SharedMaxAge = time.Minute }

// Nobody keeps what a request was refused with, nor what is about its client or a push, however
// long the content itself may be kept.
func TestCacheControlOfTheRest(t *testing.T) {
	t.Parallel()
	const (
		never  = "no-store"
		shared = "public, max-age=31536000, immutable"
	)
	w := newWire(t, minute)
	layer := []byte("layer")
	image := string(w.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1").Digest)
	blob := "/v2/test/hat/blobs/" + string(manifest.SHA256.FromBytes(layer))
	session := w.start("test/hat")
	anonymous := w.anonymous()
	for _, c := range []struct {
		w            *wire
		method, path string
		header       []string
		status       int
		want         string
	}{
		{anonymous, "GET", blob, nil, 200, shared},
		{anonymous, "GET", blob, []string{"Range", "bytes=1-2"}, 206, shared},
		{anonymous, "GET", blob, []string{"Range", "bytes=99-"}, 416, never},
		{anonymous, "GET", blob, []string{"Range", "bytes=-0"}, 416, never},
		{anonymous, "GET", blob, []string{"Range", "bytes=5-,99-"}, 416, never},
		{anonymous, "GET", blob, []string{"Range", "bytes=x"}, 416, never},
		{anonymous, "GET", blob, []string{"If-Match", `"x"`}, 412, never},
		{anonymous, "GET", blob, []string{"If-Match", `"x"`, "Range", "bytes=1-2"}, 412, never},
		{anonymous, "GET", blob, []string{"If-Match", "*"}, 200, shared},
		{anonymous, "GET", blob, []string{"If-None-Match", "*"}, 304, shared},
		{anonymous, "GET", "/v2/", nil, 401, never},
		{w, "GET", "/v2/", nil, 200, never},
		{w, "HEAD", "/v2/", nil, 200, never},
		{anonymous, "GET", "/token?scope=repository:test/hat:pull", nil, 200, never},
		{anonymous, "GET", "/v2/_catalog", nil, 405, never},
		{anonymous, "GET", "/v2/test/hat/nothing", nil, 404, never},
		{anonymous, "PATCH", "/v2/test/hat/manifests/v1", nil, 405, never},
		{anonymous, "POST", "/v2/test/hat/blobs/uploads/", nil, 401, never},
		{w.as(basicAuth("x", "y")), "GET", "/v2/test/hat/manifests/v1", nil, 401, never},
		{w, "POST", "/v2/test/hat/blobs/uploads/", nil, 202, never},
		{w, "POST", "/v2/test/cap/blobs/uploads/?from=test/hat&mount=" + string(manifest.SHA256.FromBytes(layer)), nil, 201, never},
		{w, "GET", session, nil, 204, never},
		{w, "PATCH", session, nil, 202, never},
		{w, "PUT", closing(session, emptyDigest), nil, 201, never},
		{w, "GET", session, nil, 404, never},
		{w, "DELETE", "/v2/test/hat/manifests/v1", nil, 202, never},
		{w, "DELETE", "/v2/test/hat/manifests/" + image, nil, 202, never},
	} {
		r := c.w.send(c.method, c.path, nil, c.header...).is(c.status)
		if got := r.header["Cache-Control"]; len(got) != 1 || got[0] != c.want {
			t.Errorf("%s %s %q: Cache-Control %q, want %q", c.method, c.path, c.header, got, c.want)
		}
	}
}

// Who may not see a repository is answered about referrers byte for byte as if there were none,
// with the same headers, and no cache gives that to others.
func TestReferrersTellNothing(t *testing.T) {
	t.Parallel()
	suspend := func(target registry.Target) func(*wire) error {
		return func(w *wire) error {
			return w.Suspend(w.t.Context(), registry.Suspension{Target: target, Hidden: true})
		}
	}
	for name, c := range map[string]struct{ make, hide func(*wire) error }{
		"repository hidden": {hide: suspend(registry.Target{Account: registrytest.Account, Repository: "hat"})},
		"account hidden":    {hide: suspend(registry.Target{Account: registrytest.Account})},
		"alias hidden":      {hide: suspend(registry.Target{Alias: "test"})},
		"repository deleted": {hide: func(w *wire) error {
			return second(w.Owner().DeleteRepository(w.t.Context(), "test/hat", true))
		}},
		"repository private": {make: func(w *wire) error { w.private("hat"); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, minute)
			if c.make != nil {
				wantErr(t, "make", c.make(w), nil)
			}
			base := w.Push("test/hat", registrytest.Image{}, "v1")
			w.Push("test/hat", registrytest.Image{ArtifactType: "application/x", Subject: &base})
			if list := w.referrers("test/hat", string(base.Digest), ""); len(list) != 1 {
				t.Fatalf("the owner has %d referrers", len(list))
			}
			if c.hide != nil {
				wantErr(t, "hide", c.hide(w), nil)
			}
			for _, client := range []*wire{w.anonymous(), w.as(otherBasic)} {
				for _, method := range []string{"GET", "HEAD"} {
					for _, query := range []string{"", "?n=1", "?artifactType=application/x", "?n=1&last=" + emptyDigest} {
						ask := func(repo string) *reply {
							return client.send(method, "/v2/"+repo+"/referrers/"+string(base.Digest)+query, nil).is(200)
						}
						hidden, absent := ask("test/hat"), ask("nobody/hat")
						if diff := cmp.Diff(absent.header, hidden.header); diff != "" {
							t.Errorf("%s %s: headers (-absent +hidden):\n%s", method, query, diff)
						}
						if diff := cmp.Diff(string(absent.body), string(hidden.body)); diff != "" {
							t.Errorf("%s %s: body (-absent +hidden):\n%s", method, query, diff)
						}
						if got := hidden.header.Get("Cache-Control"); got != "private, no-cache" {
							t.Errorf("%s %s: Cache-Control %q", method, query, got)
						}
					}
				}
			}
		})
	}
}

// An evaluator that refuses one address: what it is answered is kept by no cache, and what
// others are is not for it.
func TestCacheControlOfARefusedAddress(t *testing.T) {
	t.Parallel()
	refused := netip.MustParseAddr("192.0.2.66")
	s := registrytest.New(t, minute, func(c *registry.Config) {
		c.Evaluators = []policy.Evaluator{
			policy.Public{}, policy.Owner{},
			policy.EvaluatorFunc(func(_ context.Context, req *policy.Request) (policy.Decision, error) {
				if req.Remote == refused {
					return policy.Decision{Effect: policy.Deny, Reason: "the address"}, nil
				}
				return policy.Decision{}, nil
			}),
		}
	})
	layer := []byte("layer")
	image := s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	s.Push("test/hat", registrytest.Image{ArtifactType: "application/x", Subject: &image})
	type told struct {
		Status   int
		Control  string
		Artifact bool // the body tells of the artifact
	}
	ask := func(from, path string) told {
		req := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		req.RemoteAddr = from + ":1"
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		return told{rec.Code, rec.Header().Get("Cache-Control"), strings.Contains(rec.Body.String(), "application/x")}
	}
	const immutable = "public, max-age=31536000, immutable"
	d := string(image.Digest)
	for path, want := range map[string][2]told{ // the one that is refused, and others
		"/v2/test/hat/manifests/v1":                                      {{404, "no-store", false}, {200, "public, max-age=60", false}},
		"/v2/test/hat/manifests/" + d:                                    {{404, "no-store", false}, {200, immutable, false}},
		"/v2/test/hat/blobs/" + string(manifest.SHA256.FromBytes(layer)): {{404, "no-store", false}, {200, immutable, false}},
		"/v2/test/hat/tags/list":                                         {{404, "no-store", false}, {200, "public, max-age=60", false}},
		"/v2/test/hat/referrers/" + d:                                    {{200, "private, no-cache", false}, {200, "public, max-age=60", true}},
	} {
		for range 2 { // nothing is cached here, and then all is
			got := [2]told{ask(refused.String(), path), ask("198.51.100.7", path)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}
