package throttle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/throttle"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// asked is a store that counts what is asked of it to answer pulls.
type asked struct {
	meta.Store
	n atomic.Int64
}

func (a *asked) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	a.n.Add(1)
	return a.Store.Resolve(ctx, alias, name, ref)
}

func (a *asked) View(ctx context.Context, fn func(meta.Tx) error) error {
	a.n.Add(1)
	return a.Store.View(ctx, fn)
}

// world is a registry with limits, an image in it, and how it is asked.
type world struct {
	*registrytest.Server
	t     *testing.T
	store *asked
	image string
	layer string
}

func newWorld(t *testing.T, cfg throttle.Config, change ...func(*registry.Config)) *world {
	t.Helper()
	limits, err := throttle.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: &asked{}}
	w.Server = registrytest.New(t, append(change, func(c *registry.Config) {
		w.store.Store, c.Store = c.Store, w.store
		c.Interceptors = append(c.Interceptors, limits.Intercept)
		c.Observers = append(c.Observers, limits.Observe)
		c.ManifestCache = -1 // so that every pull asks the store
	})...)
	layer := []byte("a layer of 24 bytes, yes")
	w.image = string(w.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1").Digest)
	w.layer = string(manifest.SHA256.FromBytes(layer))
	return w
}

// ask sends a request from an address, with headers in pairs.
func (w *world) ask(method, path, from string, headers ...string) *http.Response {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), method, "http://registry.test/v2/test/hat"+path, nil)
	req.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 4711).String()
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if req.Header.Get("Login") != "" {
		req.SetBasicAuth(registrytest.Username, registrytest.Password)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, req)
	return rec.Result()
}

func rules(rate float64, burst int64) throttle.Config {
	return throttle.Config{Limits: limit.Preset{Anonymous: limit.Rule{Rate: rate, Burst: burst}, Named: limit.Rule{Rate: 10 * rate, Burst: 10 * burst}}}
}

func TestWhatIsCharged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rules(1, 5))
		const client = "192.0.2.1"
		for _, c := range []struct {
			method, path string
			headers      []string
			status       int
			left         string
		}{
			{"HEAD", "/manifests/v1", nil, 200, "5;w=5"},
			{"GET", "/manifests/v1", nil, 200, "4;w=5"},
			{"GET", "/manifests/v1", []string{"If-None-Match", `"` + w.image + `"`}, 304, "4;w=5"},
			{"GET", "/manifests/v1", []string{"If-None-Match", `"sha256:old"`}, 200, "3;w=5"},
			{"GET", "/manifests/none", nil, 404, "2;w=5"},
			{"GET", "/blobs/" + w.layer, nil, 200, ""},
			{"GET", "/blobs/" + w.layer, []string{"Range", "bytes=0-3"}, 206, ""},
			{"HEAD", "/blobs/" + w.layer, nil, 200, ""},
			{"GET", "/tags/list", nil, 200, ""},
			{"GET", "/referrers/" + w.image, nil, 200, ""},
			{"GET", "/manifests/v1", []string{"Login", "yes"}, 200, "49;w=5"},
			{"GET", "/manifests/" + w.image, nil, 200, "1;w=5"},
			{"GET", "/manifests/" + w.image, nil, 200, "0;w=5"},
			{"GET", "/manifests/" + w.image, nil, 429, "0;w=5"},
			{"GET", "/manifests/v1", []string{"If-None-Match", `"` + w.image + `"`}, 429, "0;w=5"},
			{"HEAD", "/manifests/v1", nil, 200, "0;w=5"},
			{"GET", "/blobs/" + w.layer, nil, 200, ""},
		} {
			before := w.store.n.Load()
			resp := w.ask(c.method, c.path, client, c.headers...)
			if left := resp.Header.Get("RateLimit-Remaining"); resp.StatusCode != c.status || left != c.left {
				t.Errorf("%s %s %v: %d, %q left; want %d, %q", c.method, c.path, c.headers, resp.StatusCode, left, c.status, c.left)
			}
			if c.status == 429 && w.store.n.Load() != before {
				t.Errorf("%s %s: the store was asked for a refused pull", c.method, c.path)
			}
			source, limited := client, "5;w=5"
			if len(c.headers) > 0 && c.headers[0] == "Login" {
				source, limited = registrytest.Account, "50;w=5"
			}
			if c.left != "" && (resp.Header.Get("RateLimit-Limit") != limited || resp.Header.Get("RateLimit-Source") != source) {
				t.Errorf("%s %s: %v", c.method, c.path, resp.Header)
			}
		}
		time.Sleep(2 * time.Second)
		if resp := w.ask("GET", "/manifests/v1", client); resp.StatusCode != 200 || resp.Header.Get("RateLimit-Remaining") != "1;w=5" {
			t.Errorf("two seconds later: %d, %v", resp.StatusCode, resp.Header)
		}
	})
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := rules(0.5, 1)
		cfg.Advice = "log in: docker login registry.test"
		w := newWorld(t, cfg)
		w.ask("GET", "/manifests/v1", "192.0.2.1")
		resp := w.ask("GET", "/manifests/v1", "192.0.2.1")
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Errors []struct{ Code, Message string }
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got.Errors = append(got.Errors, struct{ Code, Message string }{resp.Status, resp.Header.Get("Retry-After")})
		want := []struct{ Code, Message string }{
			{"TOOMANYREQUESTS", "192.0.2.1 pulls more than 0.5 images a second, with bursts of 1; try again in 2 seconds; log in: docker login registry.test"},
			{"429 Too Many Requests", "2"},
		}
		if diff := cmp.Diff(want, got.Errors); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A newcomer's first "docker compose up" of 15 images passes, for HEAD, index, image and
// configuration of each.
func TestComposeFilePasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, throttle.Config{})
		for i := range 15 {
			for _, c := range [][2]string{{"HEAD", "/manifests/v1"}, {"GET", "/manifests/v1"}, {"GET", "/manifests/" + w.image}, {"GET", "/blobs/" + w.layer}} {
				if resp := w.ask(c[0], c[1], "203.0.113.9"); resp.StatusCode != 200 {
					t.Fatalf("image %d: %s %s: %d", i, c[0], c[1], resp.StatusCode)
				}
			}
		}
	})
}

// Nobody gets more by saying to be somebody else.
func TestWhoIsCharged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from    func(i int) string
		headers func(i int) []string
		trusted string
		passes  int // of 400
	}{
		"one address":                    {func(int) string { return "192.0.2.1" }, nil, "", 10},
		"many addresses":                 {func(i int) string { return fmt.Sprintf("192.0.%d.%d", i/200, i%200) }, nil, "", 400},
		"forged headers":                 {func(int) string { return "192.0.2.1" }, forged, "", 10},
		"forged headers through a proxy": {func(int) string { return "10.0.0.1" }, through, "10.0.0.0/8", 10},
		"IPv4 in IPv6":                   {func(i int) string { return []string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2] }, nil, "", 10},
		"addresses of a /64":             {func(i int) string { return fmt.Sprintf("2001:db8:0:7::%x", i+1) }, nil, "", 10},
		"networks of a /48":              {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) }, nil, "", 160},
		"networks of several /48":        {func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, nil, "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, rules(1, 10), func(cfg *registry.Config) {
					if c.trusted != "" {
						cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
					}
				})
				passes := 0
				for i := range 400 {
					var headers []string
					if c.headers != nil {
						headers = c.headers(i)
					}
					if resp := w.ask("GET", "/manifests/v1", c.from(i), headers...); resp.StatusCode == 200 {
						passes++
					}
				}
				if passes != c.passes {
					t.Errorf("%d pulls of 400 pass, want %d", passes, c.passes)
				}
			})
		})
	}
}

func forged(i int) []string {
	return []string{"X-Forwarded-For", fmt.Sprint("198.51.100.", i%250), "X-Real-Ip", fmt.Sprint("198.51.100.", i%250), "Forwarded", fmt.Sprint("for=198.51.100.", i%250)}
}

// through is what a proxy passes on of a client that claims to be another each time.
func through(i int) []string {
	return []string{"X-Forwarded-For", fmt.Sprintf("198.51.100.%d, 192.0.2.1", i%250)}
}

func TestAllowance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := throttle.Config{Limits: limit.Preset{AnonymousBytes: 60}}
		w := newWorld(t, cfg)
		for i, want := range []int{200, 200, 200, 429} { // 24 bytes each
			if resp := w.ask("GET", "/blobs/"+w.layer, "192.0.2.1"); resp.StatusCode != want {
				t.Errorf("blob %d: %d, want %d", i, resp.StatusCode, want)
			}
		}
		resp := w.ask("GET", "/manifests/v1", "192.0.2.1")
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Errors []struct{ Code, Message string }
		}
		if err := json.Unmarshal(body, &got); err != nil || resp.StatusCode != 429 || got.Errors[0].Code != "TOOMANYREQUESTS" {
			t.Errorf("manifest: %d %s, %v", resp.StatusCode, body, err)
		}
		for _, ok := range []*http.Response{
			w.ask("HEAD", "/manifests/v1", "192.0.2.1"), w.ask("HEAD", "/blobs/"+w.layer, "192.0.2.1"),
			w.ask("GET", "/blobs/"+w.layer, "192.0.2.2"), w.ask("GET", "/blobs/"+w.layer, "192.0.2.1", "Login", "yes"),
		} {
			if ok.StatusCode != 200 {
				t.Errorf("%d", ok.StatusCode)
			}
		}
		time.Sleep(31 * 24 * time.Hour)
		if resp := w.ask("GET", "/manifests/v1", "192.0.2.1"); resp.StatusCode != 200 {
			t.Errorf("the next month: %d", resp.StatusCode)
		}
	})
}

func TestCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, throttle.Config{Limits: limit.Preset{Actions: map[policy.Action]limit.Rule{policy.DescribeRegistries: {Rate: 1, Burst: 2}}}})
		caller := w.AsIdentity(auth.Identity{Principal: registrytest.Owner}, registry.Client{Remote: netip.MustParseAddr("192.0.2.1")})
		for i, want := range []bool{true, true, false, false} {
			if _, err := caller.Registry(t.Context()); errors.Is(err, registry.ErrTooManyRequests) == want {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if _, err := w.Owner().Registry(t.Context()); err != nil {
			t.Errorf("the process itself: %v", err)
		}
	})
}

func TestExempt(t *testing.T) {
	t.Parallel()
	cfg := rules(1, 1)
	cfg.Exempt = func(op *registry.Op) bool { return netip.MustParsePrefix("10.0.0.0/8").Contains(op.Remote) }
	w := newWorld(t, cfg)
	for range 5 {
		if resp := w.ask("GET", "/manifests/v1", "10.1.2.3"); resp.StatusCode != 200 || resp.Header.Get("RateLimit-Limit") != "" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	}
}

// broken is a limiter that does not know.
type broken struct{}

func (broken) Take(context.Context, string, limit.Rule, int64) (limit.Quota, error) {
	return limit.Quota{}, errors.New("connection refused")
}

func (broken) Add(context.Context, string, int64) (int64, error) {
	return 0, errors.New("connection refused")
}

func TestBrokenLimiterLetsThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, throttle.Config{Limiter: broken{}, Meter: broken{}})
	for _, path := range []string{"/manifests/v1", "/blobs/" + w.layer} {
		if resp := w.ask("GET", path, "192.0.2.1"); resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []throttle.Config{
		{Limits: limit.Preset{Anonymous: limit.Rule{Rate: 1}}}, {Limits: limit.Preset{Named: limit.Rule{Burst: 1}}}, {Limits: limit.Preset{NamedBytes: -1}},
	} {
		if _, err := throttle.New(c); err == nil {
			t.Errorf("%+v is accepted", c.Limits)
		}
	}
}

func BenchmarkPull(b *testing.B) {
	limits, err := throttle.New(rules(1e9, 1e9))
	if err != nil {
		b.Fatal(err)
	}
	s := registrytest.New(b, func(c *registry.Config) { c.Interceptors = []registry.Interceptor{limits.Intercept} })
	s.Push("test/hat", registrytest.Image{}, "v1")
	plain := registrytest.New(b, func(c *registry.Config) { c.Store, c.Bucket = s.Store, s.Bucket })
	for name, h := range map[string]http.Handler{"limited": s, "plain": plain} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			req := httptest.NewRequestWithContext(b.Context(), "GET", "http://registry.test/v2/test/hat/manifests/v1", nil)
			rec := httptest.NewRecorder()
			for b.Loop() {
				rec.Body.Reset()
				clear(rec.Header())
				h.ServeHTTP(rec, req)
			}
		})
	}
}
