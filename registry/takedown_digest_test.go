package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// The event of a digest's takedown names all that caches may have of it: by digest and by each
// tag, in all repositories, under all aliases.
func TestTakedownOfDigestNamesItsPaths(t *testing.T) {
	t.Parallel()
	layer := []byte("layer")
	s := registrytest.New(t)
	ctx := t.Context()
	if err := s.AddAlias(ctx, registrytest.Account, "second"); err != nil {
		t.Fatal(err)
	}
	image := s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1", "latest").Digest
	s.Push("test/cap", registrytest.Image{Layers: [][]byte{layer}}, "old")
	s.Push("test/cap", registrytest.Image{OS: "linux", Architecture: "arm64"}, "other")
	crowded := s.Push("test/crowd", registrytest.Image{OS: "linux", Architecture: "s390x"}).Digest
	m := must(s.Owner().Manifest(ctx, "test/crowd", string(crowded)))
	for page := range 20 {
		var tags []string
		for i := range registry.MaxTags {
			tags = append(tags, fmt.Sprint("v", page, ".", i))
		}
		if _, err := s.Owner().PushManifest(ctx, "test/crowd", m.MediaType, m.Raw, tags...); err != nil {
			t.Fatal(err)
		}
	}
	layerDigest := manifest.SHA256.FromBytes(layer)
	for name, c := range map[string]struct {
		digest     manifest.Digest
		paths      []string // below each alias; nil: more than there is room for
		incomplete bool
	}{
		"manifest": {image, []string{"hat/manifests/" + string(image), "hat/manifests/v1", "hat/manifests/latest", "cap/manifests/" + string(image), "cap/manifests/old"}, false},
		"blob":     {layerDigest, []string{"hat/blobs/" + string(layerDigest), "cap/blobs/" + string(layerDigest)}, false},
		"nowhere":  {emptyDigest, []string{}, false},
		"many":     {crowded, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			var told []event.Event
			stop := s.Follow(func(e event.Event) { told = append(told, e) })
			defer stop()
			target := registry.Target{Digest: c.digest}
			if err := errors.Join(s.Suspend(ctx, registry.Suspension{Target: target, By: "ann"}), s.Restore(ctx, target, "bob")); err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, path := range c.paths {
				want = append(want, "/v2/test/"+path, "/v2/second/"+path)
			}
			if len(told) != 2 {
				t.Fatalf("%d events, want 2", len(told))
			}
			for i, kind := range []event.Type{event.Suspended, event.Restored} {
				e := told[i]
				if e.Type != kind || e.Digest != c.digest || e.Incomplete != c.incomplete || e.Repository != "" || e.Account != "" {
					t.Errorf("event %+v", e)
				}
				if c.incomplete {
					if len(e.Paths) != 1000 {
						t.Errorf("%d paths", len(e.Paths))
					}
					continue
				}
				if diff := cmp.Diff(want, e.Paths, cmpopts.SortSlices(strings.Compare), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", kind, diff)
				}
			}
		})
	}
}

// What is suspended by its digest is on no list of referrers, whatever the pages; its tags are
// listed still.
func TestTakedownOfDigestAndLists(t *testing.T) {
	t.Parallel()
	for _, hidden := range []bool{false, true} {
		t.Run(fmt.Sprint("hidden ", hidden), func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			base := w.Push("test/hat", registrytest.Image{}, "v1")
			var kept, gone []string
			for i := range 7 {
				d := string(w.Push("test/hat", registrytest.Image{
					ArtifactType: "application/x", Subject: &base, Annotations: map[string]string{"text": fmt.Sprint("leaked ", i)},
				}, fmt.Sprint("sig", i)).Digest)
				if i%2 == 0 {
					gone = append(gone, d)
					if err := w.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Digest: manifest.Digest(d)}, Hidden: hidden}); err != nil {
						t.Fatal(err)
					}
				} else {
					kept = append(kept, d)
				}
			}
			slices.Sort(kept)
			for _, query := range []string{"", "?n=1", "?n=2", "?artifactType=application/x", "?n=1&artifactType=application/x"} {
				var got []string
				for _, r := range w.referrers("test/hat", string(base.Digest), query) {
					got = append(got, r.Digest)
				}
				if diff := cmp.Diff(kept, got); diff != "" {
					t.Errorf("referrers%s (-want +got):\n%s", query, diff)
				}
			}
			var got []string
			for _, d := range collect(t, w.As(auth.Principal{}).Referrers(t.Context(), "test/hat", base.Digest)) {
				got = append(got, string(d.Digest))
			}
			if diff := cmp.Diff(kept, got); diff != "" {
				t.Errorf("referrers from Go (-want +got):\n%s", diff)
			}
			for _, d := range gone {
				status := 451
				if hidden {
					status = 404
				}
				w.anonymous().send("GET", "/v2/test/hat/manifests/"+d, nil).is(status)
			}
			same(t, "tags", w.tags("test/hat"), []string{"sig0", "sig1", "sig2", "sig3", "sig4", "sig5", "sig6", "v1"})
		})
	}
}

// Nobody brings back what is suspended by its digest, in any of the ways to push or mount.
func TestTakedownOfDigestRefusesPushes(t *testing.T) {
	t.Parallel()
	layer, free := []byte("layer"), []byte("free")
	layerDigest, freeDigest := manifest.SHA256.FromBytes(layer), manifest.SHA256.FromBytes(free)
	for _, hidden := range []bool{false, true} {
		t.Run(fmt.Sprint("hidden ", hidden), func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			ctx, owner := t.Context(), w.Owner()
			image := w.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
			w.Push("test/new", registrytest.Image{Layers: [][]byte{layer}}, "v2") // it has all that the image needs
			m := must(owner.Manifest(ctx, "test/hat", "v1"))
			for _, d := range []manifest.Digest{image.Digest, layerDigest} {
				if err := w.Suspend(ctx, registry.Suspension{Target: registry.Target{Digest: d}, Reason: "court order 7", Hidden: hidden}); err != nil {
					t.Fatal(err)
				}
			}
			status, kind, words := http.StatusUnavailableForLegalReasons, registry.ErrSuspended, true
			if hidden {
				status, kind, words = http.StatusForbidden, registry.ErrDenied, false
			}
			session := w.start("test/new")
			for what, r := range map[string]*reply{
				"whole":        w.send("POST", "/v2/test/new/blobs/uploads/?digest="+string(layerDigest), layer),
				"in a PUT":     w.send("PUT", closing(session, string(layerDigest)), layer),
				"mount from":   w.send("POST", "/v2/test/new/blobs/uploads/?from=test/hat&mount="+string(layerDigest), nil),
				"mount":        w.send("POST", "/v2/test/new/blobs/uploads/?mount="+string(layerDigest), nil),
				"by tag":       w.put("test/new", "v3", m.MediaType, m.Raw),
				"by digest":    w.put("test/new", string(m.Digest), m.MediaType, m.Raw),
				"where it was": w.put("test/hat", "v3", m.MediaType, m.Raw),
			} {
				r.is(status).code("DENIED")
				if strings.Contains(string(r.body), "court order 7") != words {
					t.Errorf("%s: %s", what, r.body)
				}
			}
			_, mounted := owner.MountBlob(ctx, "test/new", layerDigest, "test/hat")
			_, pushed := owner.PushManifest(ctx, "test/new", m.MediaType, m.Raw, "v3")
			_, put := owner.PutImage(ctx, "test/new", m.MediaType, m.Raw, "v3", "")
			w.pushBlob("test/third", free)
			id := must(owner.StartLayer(ctx, "test/third"))
			must(owner.PutLayerPart(ctx, "test/third", id, 0, layer))
			for what, err := range map[string]error{
				"mount": mounted, "manifest": pushed, "image": put,
				"blob":  owner.PushBlob(ctx, "test/new", layerDigest, strings.NewReader(string(layer))),
				"layer": owner.FinishLayer(ctx, "test/third", id, layerDigest),
			} {
				wantErr(t, what+" from Go", err, kind)
			}
			// Other content is taken as ever, in the same session too.
			w.send("PUT", closing(session, string(freeDigest)), free).is(201)
			for _, d := range []manifest.Digest{image.Digest, layerDigest} {
				if err := w.Restore(ctx, registry.Target{Digest: d}, ""); err != nil {
					t.Fatal(err)
				}
			}
			w.send("POST", "/v2/test/new/blobs/uploads/?from=test/hat&mount="+string(layerDigest), nil).is(201)
			w.put("test/new", "v3", m.MediaType, m.Raw).is(201)
		})
	}
}

// A mount from an alias that is suspended finds nothing, as from one that does not exist, and
// becomes an upload.
func TestMountFromSuspendedAlias(t *testing.T) {
	t.Parallel()
	for _, hidden := range []bool{false, true} {
		t.Run(fmt.Sprint("hidden ", hidden), func(t *testing.T) {
			t.Parallel()
			layer := []byte("layer")
			d := manifest.SHA256.FromBytes(layer)
			w := newWire(t)
			w.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
			if err := w.AddAlias(t.Context(), registrytest.Account, "second"); err != nil {
				t.Fatal(err)
			}
			target := registry.Target{Alias: "test"}
			if err := w.Suspend(t.Context(), registry.Suspension{Target: target, Hidden: hidden}); err != nil {
				t.Fatal(err)
			}
			for _, from := range []string{"test/hat", "nobody/hat"} {
				mounted, err := w.Owner().MountBlob(t.Context(), "second/new", d, from)
				if mounted || err != nil {
					t.Errorf("from %s: %v, %v", from, mounted, err)
				}
				w.send("POST", "/v2/second/new/blobs/uploads/?from="+from+"&mount="+string(d), nil).is(202)
			}
			w.send("POST", "/v2/second/new/blobs/uploads/?from=second/hat&mount="+string(d), nil).is(201)
			if err := w.Restore(t.Context(), target, ""); err != nil {
				t.Fatal(err)
			}
			w.send("POST", "/v2/second/more/blobs/uploads/?from=test/hat&mount="+string(d), nil).is(201)
		})
	}
}

// The control plane of what is suspended is closed to its owner, who can neither change it nor
// delete it, nor make something new of its name.
func TestTakedownClosesTheControlPlane(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]registry.Target{
		"account":    {Account: registrytest.Account},
		"alias":      {Alias: "test"},
		"repository": {Account: registrytest.Account, Repository: "hat"},
	} {
		for _, hidden := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hidden %v", name, hidden), func(t *testing.T) {
				t.Parallel()
				s := registrytest.New(t, withIAM(nil))
				ctx := t.Context()
				if err := s.AddAlias(ctx, registrytest.Account, "second"); err != nil {
					t.Fatal(err)
				}
				d := s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("layer")}}, "v1").Digest
				if err := s.Owner().SetRepositoryPolicy(ctx, "test/hat", policyOf(statement("Allow", mate, "ecr-public:PutImage")), true); err != nil {
					t.Fatal(err)
				}
				if err := s.Suspend(ctx, registry.Suspension{Target: target, Reason: "court order 7", Hidden: hidden}); err != nil {
					t.Fatal(err)
				}
				want := registry.ErrSuspended
				if hidden {
					want = registry.ErrNameUnknown
				}
				refused := func(repo string, list map[string]func(context.Context, *registry.Actor) error) {
					t.Helper()
					for what, do := range list {
						wantErr(t, what+" of "+repo, do(ctx, s.Owner()), want)
						if err := do(ctx, s.As(otherPrincipal)); err == nil || strings.Contains(err.Error(), "court order 7") && target.Alias == "" {
							t.Errorf("%s of %s by another account: %v", what, repo, err)
						}
					}
				}
				names := []string{"test/hat"}
				if target.Alias == "" {
					names = append(names, "second/hat", registrytest.Account+"/hat")
				}
				for _, repo := range names {
					list := map[string]func(context.Context, *registry.Actor) error{
						"delete a tag":      func(ctx context.Context, a *registry.Actor) error { return a.DeleteTag(ctx, repo, "v1") },
						"delete a manifest": func(ctx context.Context, a *registry.Actor) error { return a.DeleteManifest(ctx, repo, d) },
						"delete a blob": func(ctx context.Context, a *registry.Actor) error {
							return a.DeleteBlob(ctx, repo, manifest.SHA256.FromBytes([]byte("layer")))
						},
					}
					for action, do := range managing(repo, repo) {
						list[string(action)] = do
					}
					refused(repo, list)
				}
				if target.Repository == "" {
					refused("test/new", map[string]func(context.Context, *registry.Actor) error{
						"create": func(ctx context.Context, a *registry.Actor) error {
							return second(a.CreateRepository(ctx, "test/new", nil))
						},
						"push": func(ctx context.Context, a *registry.Actor) error {
							return a.PushBlob(ctx, "test/new", emptyDigest, strings.NewReader(""))
						},
					})
				}
				if err := s.Restore(ctx, target, ""); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Owner().Manifest(ctx, "test/hat", "v1"); err != nil {
					t.Errorf("restored: %v", err)
				}
				if _, err := s.Owner().DeleteRepository(ctx, "test/hat", true); err != nil {
					t.Errorf("restored: %v", err)
				}
			})
		}
	}
}
