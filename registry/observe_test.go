package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// observed is what an observer was told, in a line each.
type observed struct {
	mu   sync.Mutex
	list []string
}

func (o *observed) observe(_ context.Context, op *registry.Op, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	who := "anonymous"
	if !op.Identity.IsAnonymous() {
		who = "named"
	}
	status, code := registry.Status(err)
	if op.Status != 0 {
		status = op.Status
	}
	o.list = append(o.list, strings.TrimSpace(fmt.Sprintf("%s %s %d %s %s %d", op.Method, op.Path, status, code, who, op.Sent)))
}

func (o *observed) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.list
	o.list = nil
	return list
}

// Every request is observed once, also one that no interceptor sees.
func TestObservers(t *testing.T) {
	t.Parallel()
	var o observed
	intercepted := 0
	s := registrytest.New(t, func(c *registry.Config) {
		c.Observers = []registry.Observer{o.observe}
		c.Interceptors = append(c.Interceptors, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Method != "" {
				intercepted++
			}
			return next(ctx)
		})
	})
	layer := []byte("layer")
	s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	size := len(must(s.Owner().Manifest(t.Context(), "test/hat", "v1")).Raw)
	blob := "/v2/test/hat/blobs/" + string(manifest.SHA256.FromBytes(layer))
	o.take()
	for _, c := range []struct {
		method, path, password string
		want                   string // %d: the manifest's size
		intercepted            int
	}{
		{"GET", "/v2/test/hat/manifests/v1", "", "200  anonymous %d", 1},
		{"HEAD", "/v2/test/hat/manifests/v1", "", "200  anonymous 0", 1},
		{"GET", "/v2/test/hat/manifests/v1", registrytest.Password, "200  named %d", 1},
		{"GET", blob, "", "200  anonymous 5", 1},
		{"GET", "/v2/test/hat/manifests/none", "", "404 MANIFEST_UNKNOWN anonymous", 1},
		{"GET", "/v2/test/hat/manifests/v1", "wrong", "401 UNAUTHORIZED anonymous", 0},
		{"GET", "/v2/test/hat/nothing", "", "404 NAME_UNKNOWN anonymous", 0},
		{"PATCH", "/v2/test/hat/manifests/v1", "", "405 UNSUPPORTED anonymous", 0},
		{"GET", "/v2/UPPER/hat/manifests/v1", "", "400 NAME_INVALID anonymous", 0},
		{"POST", "/v2/test/hat/blobs/uploads/", "", "401 UNAUTHORIZED anonymous", 1},
	} {
		intercepted = 0
		req := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
		if c.password != "" {
			req.SetBasicAuth(registrytest.Username, c.password)
		}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		got := o.take()
		want := c.method + " " + c.path + " " + strings.ReplaceAll(c.want, "%d", fmt.Sprint(size))
		if len(got) != 1 || !strings.HasPrefix(got[0], want) || intercepted != c.intercepted {
			t.Errorf("observed %q, intercepted %d; want %q, %d", got, intercepted, want, c.intercepted)
		}
		if id := rec.Header().Get("X-Request-Id"); (id == "") != (rec.Code < 400) {
			t.Errorf("%s: %d, X-Request-Id %q", want, rec.Code, id)
		}
	}
	if _, err := s.Owner().Manifest(t.Context(), "test/hat", "v2"); err == nil {
		t.Error("there is a v2")
	}
	if diff := cmp.Diff([]string{"404 MANIFEST_UNKNOWN named 0"}, o.take()); diff != "" {
		t.Errorf("from Go (-want +got):\n%s", diff)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A reply that is cut short is observed too.
func TestObserversOfCutReplies(t *testing.T) {
	t.Parallel()
	var o observed
	s := registrytest.New(t, func(c *registry.Config) {
		c.Observers = []registry.Observer{o.observe}
		c.Interceptors = append(c.Interceptors, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if err := next(ctx); err != nil || op.Method == "" {
				return err
			}
			return errors.New("the bucket failed part-way")
		})
	})
	s.Push("test/hat", registrytest.Image{}, "v1")
	o.take()
	if _, err := s.Client().Get("http://registry.test/v2/test/hat/manifests/v1"); err == nil { //nolint:bodyclose,noctx // there is none
		t.Log("the client had all of a short reply")
	}
	if got := o.take(); len(got) != 1 || !strings.Contains(got[0], "UNKNOWN") {
		t.Errorf("observed %q", got)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{}
		s := registrytest.New(t, func(c *registry.Config) { store.Store, c.Store = c.Store, store })
		ask := func() string {
			rec := httptest.NewRecorder()
			s.ServeReady(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/-/readyz", nil))
			return fmt.Sprint(rec.Code, " ", rec.Header().Get("Cache-Control"), " ", rec.Body.String())
		}
		if got := ask(); got != "200 no-store ok\n" {
			t.Error(got)
		}
		store.fails.Store(true)
		if got := ask(); got != "200 no-store ok\n" {
			t.Errorf("within the second: %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := ask(); got != "503 no-store not ready\n" {
			t.Error(got)
		}
		store.fails.Store(false)
		time.Sleep(2 * time.Second)
		if got := ask(); got != "200 no-store ok\n" {
			t.Error(got)
		}
	})
}

// flaky is a store that fails when it is told to.
type flaky struct {
	meta.Store
	fails atomic.Bool
}

func (f *flaky) View(ctx context.Context, fn func(meta.Tx) error) error {
	if f.fails.Load() {
		return errors.New("connection refused")
	}
	return f.Store.View(ctx, fn)
}

// Who tries passwords is slowed down, by address and by user, whatever they try then; a
// client that sends one password several times has tried it once.
func TestLoginsAreSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := registrytest.New(t, func(c *registry.Config) {
			c.Logins = limit.NewLogins(&limit.LoginOptions{Address: limit.Rule{Rate: 1, Burst: 3}, Key: limit.Rule{Rate: 1, Burst: 100}})
		})
		s.Push("test/hat", registrytest.Image{}, "v1")
		ask := func(from, user, password string) (int, string) {
			req := httptest.NewRequestWithContext(t.Context(), "GET", "/token?scope=repository:test/hat:pull", nil)
			req.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 1).String()
			req.SetBasicAuth(user, password)
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, req)
			return rec.Code, rec.Header().Get("Retry-After")
		}
		for i, c := range []struct {
			from, user, password string
			status               int
			retry                string
		}{
			{"192.0.2.1", registrytest.Username, "a", 401, ""},
			{"192.0.2.1", registrytest.Username, "a", 401, ""}, // docker's second
			{"192.0.2.1", registrytest.Username, "a", 401, ""},
			{"192.0.2.1", registrytest.Username, "b", 401, ""},
			{"192.0.2.1", "other", "c", 401, ""},
			{"192.0.2.1", registrytest.Username, "d", 429, "1"},
			{"192.0.2.1", registrytest.Username, registrytest.Password, 429, "1"},
			{"192.0.2.2", registrytest.Username, registrytest.Password, 200, ""},
		} {
			status, retry := ask(c.from, c.user, c.password)
			if status != c.status || retry != c.retry {
				t.Errorf("%d: %d, Retry-After %q; want %d, %q", i, status, retry, c.status, c.retry)
			}
		}
		time.Sleep(time.Second)
		if status, _ := ask("192.0.2.1", registrytest.Username, registrytest.Password); status != 200 {
			t.Errorf("a second later: %d", status)
		}
		if status, _ := ask("192.0.2.1", registrytest.Username, "z"); status != 401 {
			t.Errorf("who has logged in before has tries of their own: %d", status)
		}
		if status, body := answer(t, s, "GET", "/v2/test/hat/manifests/v1"); status != http.StatusOK {
			t.Errorf("anonymous: %d %s", status, body)
		}
	})
}
