package registry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

type zzLate struct {
	meta.Store
	hold atomic.Pointer[chan struct{}]
	read atomic.Int32
}

func (c *zzLate) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	r, m, err := c.Store.Resolve(ctx, alias, name, ref)
	c.read.Add(1)
	if h := c.hold.Load(); h != nil {
		<-*h
	}
	return r, m, err
}

func TestZZStaleFlight(t *testing.T) {
	store := &zzLate{}
	s := registrytest.New(t, func(c *registry.Config) { store.Store, c.Store = c.Store, store })
	s.Push("test/hat", registrytest.Image{}, "v1")
	if err := s.AddAlias(t.Context(), registrytest.Account, "second"); err != nil {
		t.Fatal(err)
	}
	get := func() int {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/v2/second/hat/manifests/v1", nil))
		return rec.Code
	}
	hold := make(chan struct{})
	store.hold.Store(&hold)
	before := store.read.Load()
	a := make(chan int)
	go func() { a <- get() }()
	for store.read.Load() == before {
		time.Sleep(time.Millisecond)
	}
	if _, err := s.Owner().DeleteRepository(t.Context(), "test/hat", true); err != nil {
		t.Fatal(err)
	}
	b := make(chan int)
	go func() { b <- get() }()
	time.Sleep(50 * time.Millisecond)
	store.hold.Store(nil)
	close(hold)
	t.Log("A (began before the delete):", <-a)
	if got := <-b; got != 404 {
		t.Errorf("B (began after the delete returned): %d", got)
	}
	if got := get(); got != 404 {
		t.Errorf("C (long after): %d", got)
	}
}

func header(t *testing.T, s *registrytest.Server, path string, h ...string) *http.Response {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://registry.test"+path, nil)
	for i := 0; i < len(h); i += 2 {
		req.Header[h[i]] = append(req.Header[h[i]], h[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func TestZZReferrersOracle(t *testing.T) {
	s := registrytest.New(t, func(c *registry.Config) { c.SharedMaxAge = time.Minute })
	d := string(s.Push("test/hat", registrytest.Image{}, "v1").Digest)
	if err := s.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Account: registrytest.Account, Repository: "hat"}, Hidden: true}); err != nil {
		t.Fatal(err)
	}
	hidden := header(t, s, "/v2/test/hat/referrers/"+d)
	absent := header(t, s, "/v2/test/nothing/referrers/"+d)
	if h, a := hidden.Header.Get("Cache-Control"), absent.Header.Get("Cache-Control"); h != a {
		t.Errorf("hidden %d %q, absent %d %q", hidden.StatusCode, h, absent.StatusCode, a)
	}
}

func TestZZDeniedReferrersShared(t *testing.T) {
	bad := netip.MustParseAddr("192.0.2.1")
	s := registrytest.New(t, func(c *registry.Config) {
		c.SharedMaxAge = time.Minute
		c.Evaluators = append(c.Evaluators, policy.Public{}, policy.EvaluatorFunc(func(_ context.Context, r *policy.Request) (policy.Decision, error) {
			if r.Remote == bad {
				return policy.Decision{Effect: policy.Deny}, nil
			}
			return policy.Decision{}, nil
		}), policy.EvaluatorFunc(func(_ context.Context, r *policy.Request) (policy.Decision, error) {
			if r.Principal == registrytest.Owner {
				return policy.Decision{Effect: policy.Allow}, nil
			}
			return policy.Decision{}, nil
		}))
	})
	d := string(s.Push("test/hat", registrytest.Image{}, "v1").Digest)
	denied := header(t, s, "/v2/test/hat/referrers/"+d)
	t.Log(denied.StatusCode, denied.Header.Get("Cache-Control"), header(t, s, "/v2/test/hat/manifests/v1").StatusCode)
	if strings.HasPrefix(denied.Header.Get("Cache-Control"), "public") {
		t.Errorf("the empty answer to a client that is denied is %q", denied.Header.Get("Cache-Control"))
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/v2/test/hat/manifests/v1", nil)) // 192.0.2.1 too
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/test/hat/manifests/v1", nil)
	req.RemoteAddr = "198.51.100.7:1"
	rec = httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	t.Log("allowed client:", rec.Code, rec.Header().Get("Cache-Control"))
}

func TestZZ412(t *testing.T) {
	s := registrytest.New(t, func(c *registry.Config) { c.SharedMaxAge = time.Minute })
	layer := []byte("layer")
	s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	resp := header(t, s, "/v2/test/hat/blobs/"+string(manifest.SHA256.FromBytes(layer)), "If-Match", `"x"`)
	if resp.StatusCode >= 400 && strings.HasPrefix(resp.Header.Get("Cache-Control"), "public") {
		t.Errorf("%d %q", resp.StatusCode, resp.Header.Get("Cache-Control"))
	}
	resp = header(t, s, "/v2/", "Authorization", "Basic QUtJQVRFU1RURVNUVEVTVFRFU1Q6dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OQ==")
	t.Logf("/v2/ %d %q", resp.StatusCode, resp.Header.Get("Cache-Control"))
}

func TestZZDigestLists(t *testing.T) {
	s := registrytest.New(t)
	base := s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("layer")}}, "v1")
	evil := s.Push("test/hat", registrytest.Image{ArtifactType: "application/x", Subject: &base, Annotations: map[string]string{"secret": "leaked text"}}, "sig")
	var told []event.Event
	s.Follow(func(e event.Event) { told = append(told, e) })
	if err := s.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Digest: evil.Digest}, Hidden: true}); err != nil {
		t.Fatal(err)
	}
	if status, _ := answer(t, s, "GET", "/v2/test/hat/manifests/"+string(evil.Digest)); status != 404 {
		t.Error(status)
	}
	if _, body := answer(t, s, "GET", "/v2/test/hat/referrers/"+string(base.Digest)); strings.Contains(body, "leaked text") {
		t.Errorf("referrers: %s", body)
	}
	if _, body := answer(t, s, "GET", "/v2/test/hat/tags/list"); strings.Contains(body, "sig") {
		t.Errorf("tags: %s", body)
	}
	list, _, err := s.As(auth.Principal{}).TagsInOrder(t.Context(), "test/hat", "", 10)
	for _, l := range list {
		if l.Image.Digest == evil.Digest {
			t.Errorf("TagsInOrder has it: %v %v", l.Name, err)
		}
	}
	t.Log("paths of a manifest's takedown:", told[0].Paths)
	found := false
	for _, p := range told[0].Paths {
		found = found || strings.Contains(p, "/manifests/")
	}
	if !found {
		t.Errorf("no path of the manifest to purge: %v", told[0].Paths)
	}
	// pushed again
	s.Push("test/cap", registrytest.Image{Layers: [][]byte{[]byte("layer")}}, "v1")
	if err := s.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Digest: manifest.SHA256.FromBytes([]byte("layer"))}}); err != nil {
		t.Fatal(err)
	}
	t.Log("push again of a suspended blob:", s.Owner().PushBlob(t.Context(), "test/new", manifest.SHA256.FromBytes([]byte("layer")), strings.NewReader("layer")))
	d512 := manifest.SHA512.FromBytes([]byte("layer"))
	t.Log("as sha512:", s.Owner().PushBlob(t.Context(), "test/new", d512, strings.NewReader("layer")))
	status, _ := answer(t, s, "GET", "/v2/test/new/blobs/"+string(d512))
	t.Log("pull as sha512:", status)
}

func TestZZLoginBypass(t *testing.T) {
	logins := limit.NewLogins(nil)
	s := registrytest.New(t, func(c *registry.Config) { c.Logins = logins })
	try := func(sep string, i int) int {
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/", nil)
		req.SetBasicAuth(registrytest.Username, strings.Repeat("x", i+1))
		h := req.Header.Get("Authorization")
		req.Header.Set("Authorization", strings.Replace(h, "Basic ", "Basic"+sep, 1))
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		return rec.Code
	}
	for _, sep := range []string{" ", "  "} {
		verified := 0
		for i := range 200 {
			if try(sep, i) == 401 {
				verified++
			}
		}
		t.Logf("%q: %d of 200 guesses were verified", sep, verified)
		if sep == "  " && verified > 20 {
			t.Error("bypassed")
		}
	}
}

func TestZZMountFromSuspendedAlias(t *testing.T) {
	s := registrytest.New(t)
	layer := []byte("layer")
	s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	if err := s.AddAlias(t.Context(), registrytest.Account, "second"); err != nil {
		t.Fatal(err)
	}
	if err := s.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Alias: "test"}}); err != nil {
		t.Fatal(err)
	}
	ok, err := s.Owner().MountBlob(t.Context(), "second/new", manifest.SHA256.FromBytes(layer), "test/hat")
	t.Log("mount from suspended alias:", ok, err)
}

func TestZZObserverPanic(t *testing.T) {
	var n int
	var got error
	var status int
	s := registrytest.New(t, func(c *registry.Config) {
		c.Observers = append(c.Observers, func(_ context.Context, op *registry.Op, err error) { n++; got = err; status = op.Status })
		c.Interceptors = append(c.Interceptors, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Method == "GET" {
				panic("bug")
			}
			return next(ctx)
		})
	})
	func() {
		defer func() { recover() }()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/v2/test/hat/manifests/v1", nil))
	}()
	t.Logf("observed %d times, err %v, status %d", n, got, status)
}
