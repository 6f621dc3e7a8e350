package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// tardy is a store of which one read answers only when the test lets it, with what it read
// before.
type tardy struct {
	meta.Store
	hold atomic.Pointer[chan struct{}]
}

func (s *tardy) wait() {
	if hold := s.hold.Swap(nil); hold != nil {
		<-*hold
	}
}

func (s *tardy) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	repo, m, err := s.Store.Resolve(ctx, alias, name, ref)
	s.wait()
	return repo, m, err
}

func (s *tardy) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	b, err := s.Store.Linked(ctx, repo, d)
	s.wait()
	return b, err
}

// Who asks after a change was committed gets none of what was read before it, also while those
// who asked before are still waiting for that, and it is kept for nobody.
func TestFlightEndsWithACommit(t *testing.T) {
	t.Parallel()
	blob := []byte("nothing refers to it")
	blobDigest := manifest.SHA256.FromBytes(blob)
	for name, c := range map[string]struct {
		path   string
		change func(ctx context.Context, r *registry.Registry, v2 *manifest.Manifest) error
		want   string        // status, what is answered, and Cache-Control
		heard  time.Duration // when others know of it that hear nothing
	}{
		"repository deleted": {"manifests/v1", func(ctx context.Context, r *registry.Registry, _ *manifest.Manifest) error {
			return second(r.As(registrytest.Owner).DeleteRepository(ctx, "test/hat", true))
		}, "404  no-store", 0},
		"tag moved": {"manifests/v1", func(ctx context.Context, r *registry.Registry, v2 *manifest.Manifest) error {
			return second(r.As(registrytest.Owner).PushManifest(ctx, "test/hat", v2.MediaType, v2.Raw, "v1"))
		}, "200 v2 public, max-age=60", 0},
		"tag deleted": {"manifests/v1", func(ctx context.Context, r *registry.Registry, _ *manifest.Manifest) error {
			return r.As(registrytest.Owner).DeleteTag(ctx, "test/hat", "v1")
		}, "404  no-store", 0},
		"new policy": {"manifests/v1", func(ctx context.Context, r *registry.Registry, _ *manifest.Manifest) error {
			return r.As(registrytest.Owner).SetRepositoryPolicy(ctx, "test/hat", policyOf(statement("Allow", mate, policy.PutImage)), true)
		}, "200 v1 private, no-cache", 0},
		"blob deleted": {"blobs/" + string(blobDigest), func(ctx context.Context, r *registry.Registry, _ *manifest.Manifest) error {
			return r.As(registrytest.Owner).DeleteBlob(ctx, "test/hat", blobDigest)
		}, "404  no-store", 0},
		"taken down": {"manifests/v1", func(ctx context.Context, r *registry.Registry, _ *manifest.Manifest) error {
			return r.Suspend(ctx, registry.Suspension{Target: registry.Target{Account: registrytest.Account, Repository: "hat"}})
		}, "451  no-store", time.Second},
	} {
		for _, kind := range []string{"alone", "shared and watched", "shared and not watched"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					store := &tardy{}
					var cfg registry.Config
					s := registrytest.New(t, func(c *registry.Config) {
						store.Store, c.Store = c.Store, store
						if kind != "alone" {
							c.Store = &sharedStore{Store: store}
						}
						withIAM(nil)(c)
						c.SharedMaxAge = time.Minute
						cfg = *c
					})
					names := map[string]string{string(s.Push("test/hat", registrytest.Image{}, "v1").Digest): "v1"}
					v2 := must(s.Owner().Manifest(t.Context(), "test/hat", string(s.Push("test/hat", registrytest.Image{Architecture: "arm64", OS: "linux"}, "v2").Digest)))
					names[string(v2.Digest)] = "v2"
					if err := s.Owner().PushBlob(t.Context(), "test/hat", blobDigest, strings.NewReader(string(blob))); err != nil {
						t.Fatal(err)
					}
					fresh := &registrytest.Server{Registry: must(registry.New(cfg))} // which has cached nothing
					changer := fresh.Registry
					switch kind {
					case "shared and watched":
						run(t, fresh)
					case "shared and not watched":
						changer = must(registry.New(cfg))
					}
					ask := func() <-chan *http.Response {
						answered := make(chan *http.Response, 1)
						go func() {
							resp, err := fresh.Client().Get("http://registry.test/v2/test/hat/" + c.path) //nolint:noctx // its end is the test's
							if err != nil {
								t.Error(err)
								resp = &http.Response{}
							}
							answered <- resp
						}()
						synctest.Wait()
						return answered
					}
					hold := make(chan struct{})
					release := sync.OnceFunc(func() { close(hold) })
					defer release()
					store.hold.Store(&hold)
					before := ask()
					if store.hold.Load() != nil {
						t.Fatal("the store was not read")
					}
					if err := c.change(t.Context(), changer, v2); err != nil {
						t.Fatal(err)
					}
					if kind == "shared and not watched" {
						time.Sleep(c.heard) // on the clock of the bubble
					}
					after := ask()
					release()
					<-before // may have either
					for when, answered := range map[string]<-chan *http.Response{"while the first waits": after, "afterwards": ask()} {
						resp := <-answered
						got := fmt.Sprint(resp.StatusCode, " ", names[resp.Header.Get("Docker-Content-Digest")], " ", resp.Header.Get("Cache-Control"))
						if got != c.want {
							t.Errorf("asked after the change, %s: %s; want %s", when, got, c.want)
						}
					}
				})
			})
		}
	}
}

// panicky is a store of which one method panics, as a bug in a driver might.
type panicky struct {
	meta.Store
	method atomic.Value // its name
}

func (s *panicky) fail(method string) {
	if s.method.Load() == method {
		panic("a bug in a driver")
	}
}

func (s *panicky) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	s.fail("Resolve")
	return s.Store.Resolve(ctx, alias, name, ref)
}

func (s *panicky) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	s.fail("Linked")
	return s.Store.Linked(ctx, repo, d)
}

func (s *panicky) View(ctx context.Context, fn func(meta.Tx) error) error {
	s.fail("View")
	return s.Store.View(ctx, fn)
}

// A panic of the store where many wait for one read is an error for each of them, and not the
// end of the process.
func TestFlightPanics(t *testing.T) {
	t.Parallel()
	layer := []byte("layer")
	for method, path := range map[string]string{
		"Resolve": "/v2/test/hat/manifests/v1",
		"Linked":  "/v2/test/hat/blobs/" + string(manifest.SHA256.FromBytes(layer)),
		"View":    "/v2/test/hat/manifests/v1", // which reads what is taken down
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			store := &panicky{}
			var log strings.Builder
			var cfg registry.Config
			s := registrytest.New(t, func(c *registry.Config) {
				store.Store, c.Store = c.Store, store
				cfg = *c
			})
			s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
			var told []string
			cfg.Observers = []registry.Observer{func(_ context.Context, op *registry.Op, err error) {
				told = append(told, fmt.Sprint(op.Status, " ", strings.Contains(fmt.Sprint(err), "a bug in a driver")))
			}}
			fresh := must(registry.New(cfg))
			store.method.Store(method)
			for range 2 { // it is over with the first
				rec := httptest.NewRecorder()
				fresh.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
				fmt.Fprintln(&log, rec.Code, rec.Header().Get("Cache-Control"), rec.Body)
			}
			store.method.Store("")
			rec := httptest.NewRecorder()
			fresh.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
			fmt.Fprintln(&log, rec.Code)
			const fault = `500 no-store {"errors":[{"code":"UNKNOWN","message":"internal error"}]}` + "\n"
			if diff := cmp.Diff(fault+fault+"200\n", log.String()); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"500 true", "500 true", "200 false"}, told); diff != "" {
				t.Errorf("observers (-want +got):\n%s", diff)
			}
		})
	}
}

// A request that ends in a panic is observed once too, as an error, and the panic goes on to
// the server.
func TestObserversOfPanics(t *testing.T) {
	t.Parallel()
	var o observed
	s := registrytest.New(t, func(c *registry.Config) {
		c.Observers = []registry.Observer{o.observe}
		c.Interceptors = append(c.Interceptors, func(_ context.Context, op *registry.Op, _ func(context.Context) error) error {
			panic("a bug in " + op.Method)
		})
	})
	func() {
		defer func() {
			if p := recover(); p != "a bug in GET" {
				t.Errorf("recovered %v", p)
			}
		}()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/v2/test/hat/manifests/v1", nil))
	}()
	if diff := cmp.Diff([]string{"GET /v2/test/hat/manifests/v1 500 UNKNOWN anonymous 0"}, o.take()); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}

// viewed counts the snapshots of a store.
type viewed struct {
	meta.Store
	views atomic.Int32
}

func (s *viewed) View(ctx context.Context, fn func(meta.Tx) error) error {
	s.views.Add(1)
	return s.Store.View(ctx, fn)
}

// A node that does not hear of others asks every half a second what is taken down, not for
// every pull, and what it takes down itself holds at once.
func TestTakedownOnAStoreThatIsNotWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &viewed{}
		var cfg registry.Config
		s := registrytest.New(t, func(c *registry.Config) {
			store.Store, c.Store = c.Store, &sharedStore{Store: store}
			cfg = *c
		})
		other := must(registry.New(cfg))
		s.Push("test/hat", registrytest.Image{}, "v1")
		repository, account := registry.Target{Account: registrytest.Account, Repository: "hat"}, registry.Target{Account: registrytest.Account}
		ctx := t.Context()
		for _, c := range []struct {
			what   string
			do     func() error
			wait   time.Duration
			status int
		}{
			{"nothing", func() error { return nil }, time.Second, 200},
			{"suspended elsewhere", func() error { return other.Suspend(ctx, registry.Suspension{Target: repository}) }, time.Second, 451},
			{"restored here", func() error { return s.Restore(ctx, repository, "") }, 0, 200},
			{"suspended here", func() error { return s.Suspend(ctx, registry.Suspension{Target: account}) }, 0, 451},
			{"restored elsewhere", func() error { return other.Restore(ctx, account, "") }, time.Second, 200},
		} {
			wantErr(t, c.what, c.do(), nil)
			time.Sleep(c.wait)
			store.views.Store(0)
			for range 10 {
				if status, body := answer(t, s, "GET", "/v2/test/hat/manifests/v1"); status != c.status {
					t.Errorf("%s: %d %s", c.what, status, body)
				}
			}
			if n := store.views.Load(); n != 1 {
				t.Errorf("%s: %d snapshots for 10 pulls", c.what, n)
			}
		}
	})
}
