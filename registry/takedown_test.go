package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// answer is the status of a request and its body.
func answer(t *testing.T, s *registrytest.Server, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://registry.test"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestTakedown(t *testing.T) {
	t.Parallel()
	layer := []byte("layer")
	for name, c := range map[string]struct {
		target func(image string, layer string) registry.Target
		// what is gone of: the image by tag and by digest, its layer, the same under the other
		// alias, another repository of the account with the same image
		gone  [5]bool
		paths []string
	}{
		"account": {
			func(string, string) registry.Target { return registry.Target{Account: registrytest.Account} },
			[5]bool{true, true, true, true, true}, []string{"/v2/second/", "/v2/test/"},
		},
		"alias": {
			func(string, string) registry.Target { return registry.Target{Alias: "test"} },
			[5]bool{true, true, true, false, true}, []string{"/v2/test/"},
		},
		"repository": {
			func(string, string) registry.Target {
				return registry.Target{Account: registrytest.Account, Repository: "hat"}
			},
			[5]bool{true, true, true, true, false}, []string{"/v2/second/hat/", "/v2/test/hat/"},
		},
		"manifest": {
			func(image, _ string) registry.Target { return registry.Target{Digest: manifest.Digest(image)} },
			[5]bool{true, true, false, true, true}, nil,
		},
		"blob": {
			func(_, layer string) registry.Target { return registry.Target{Digest: manifest.Digest(layer)} },
			[5]bool{false, false, true, false, false}, nil,
		},
	} {
		for _, hidden := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hidden %v", name, hidden), func(t *testing.T) {
				t.Parallel()
				var told []event.Event
				s := registrytest.New(t)
				if err := s.AddAlias(t.Context(), registrytest.Account, "second"); err != nil {
					t.Fatal(err)
				}
				image := string(s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1").Digest)
				s.Push("test/cap", registrytest.Image{Layers: [][]byte{layer}}, "v1")
				layerDigest := string(manifest.SHA256.FromBytes(layer))
				s.Follow(func(e event.Event) { told = append(told, e) })
				paths := []string{
					"/v2/test/hat/manifests/v1", "/v2/test/hat/manifests/" + image, "/v2/test/hat/blobs/" + layerDigest, "/v2/second/hat/manifests/v1", "/v2/test/cap/manifests/v1",
				}
				check := func(suspended bool) {
					t.Helper()
					for i, path := range paths {
						want := http.StatusOK
						if suspended && c.gone[i] {
							if want = http.StatusUnavailableForLegalReasons; hidden {
								want = http.StatusNotFound
							}
						}
						for _, method := range []string{"GET", "HEAD"} {
							status, body := answer(t, s, method, path)
							if status != want || strings.Contains(body, "court order 7") != (want == http.StatusUnavailableForLegalReasons && method == "GET") {
								t.Errorf("suspended %v: %s %s: %d %s, want %d", suspended, method, path, status, body, want)
							}
						}
					}
				}
				check(false)
				target := c.target(image, layerDigest)
				if err := s.Suspend(t.Context(), registry.Suspension{Target: target, Reason: "court order 7", Hidden: hidden, By: "ann"}); err != nil {
					t.Fatal(err)
				}
				check(true)
				list, err := s.Suspensions(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want := []registry.Suspension{{Target: target, Reason: "court order 7", Hidden: hidden, By: "ann"}}
				if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(registry.Suspension{}, "At")); diff != "" {
					t.Errorf("suspensions (-want +got):\n%s", diff)
				}
				if err := s.Restore(t.Context(), target, "bob"); err != nil {
					t.Fatal(err)
				}
				check(false)
				if err := s.Restore(t.Context(), target, "bob"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("restored twice: %v", err)
				}
				var said []string
				for _, e := range told {
					said = append(said, fmt.Sprint(e.Type, " ", e.Principal, " ", e.Reason))
					if c.paths != nil {
						if diff := cmp.Diff(c.paths, e.Paths, cmpopts.SortSlices(strings.Compare)); diff != "" {
							t.Errorf("paths (-want +got):\n%s", diff)
						}
					}
				}
				if diff := cmp.Diff([]string{"takedown.suspended ann court order 7", "takedown.restored bob "}, said); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// The owner of what is suspended cannot use it either, push to it, or get round it.
func TestSuspendedOwner(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	layer := []byte("layer")
	s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	owner, ctx := s.Owner(), t.Context()
	if err := s.Suspend(ctx, registry.Suspension{Target: registry.Target{Account: registrytest.Account, Repository: "hat"}, Reason: "malware"}); err != nil {
		t.Fatal(err)
	}
	_, pull := owner.Manifest(ctx, "test/hat", "v1")
	_, listed := owner.RepositoryPolicy(ctx, "test/hat")
	var tags error
	for _, tags = range owner.Tags(ctx, "test/hat", "") {
	}
	for what, err := range map[string]error{
		"pull": pull, "policy": listed, "tags": tags,
		"push":   owner.PushBlob(ctx, "test/hat", manifest.SHA256.FromBytes([]byte("x")), strings.NewReader("x")),
		"delete": owner.DeleteTag(ctx, "test/hat", "v1"),
	} {
		if !errors.Is(err, registry.ErrSuspended) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// nobody is told who could not see it otherwise
	if err := s.As(auth.Principal{Account: "999999999999", Name: "x"}).DeleteTag(ctx, "test/hat", "v1"); !errors.Is(err, registry.ErrDenied) || strings.Contains(err.Error(), "malware") {
		t.Errorf("another account's delete: %v", err)
	}
	mounted, err := owner.MountBlob(ctx, "test/new", manifest.SHA256.FromBytes(layer), "test/hat")
	if err != nil || mounted {
		t.Errorf("mounted from what is suspended: %v, %v", mounted, err)
	}
	var names []string
	for name, err := range s.As(auth.Principal{}).Repositories(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if len(names) != 0 {
		t.Errorf("listed: %v", names)
	}
	// an account that is suspended makes nothing new
	if err := s.Suspend(ctx, registry.Suspension{Target: registry.Target{Account: registrytest.Account}}); err != nil {
		t.Fatal(err)
	}
	if err := owner.PushBlob(ctx, "test/other", manifest.SHA256.FromBytes([]byte("x")), strings.NewReader("x")); !errors.Is(err, registry.ErrSuspended) {
		t.Errorf("push to a new repository: %v", err)
	}
	if _, err := s.As(auth.Principal{}).Publisher(ctx, "test"); !errors.Is(err, registry.ErrSuspended) {
		t.Errorf("publisher: %v", err)
	}
}

func TestSuspendRefusesBadTargets(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	for _, target := range []registry.Target{
		{}, {Account: "12"}, {Account: registrytest.Account, Alias: "test"}, {Repository: "hat"}, {Digest: "sha256:x"}, {Alias: "A B"},
		{Account: registrytest.Account, Repository: "../x"}, {Alias: "test", Digest: manifest.SHA256.FromBytes(nil)},
	} {
		if err := s.Suspend(context.Background(), registry.Suspension{Target: target}); err == nil {
			t.Errorf("suspended %+v", target)
		}
	}
	if list, err := s.Suspensions(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("suspensions: %v, %v", list, err)
	}
}
