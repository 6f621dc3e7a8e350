package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// watched is a registry with an image, with all that watches and limits as the flags turn it on, unless the
// rate is 0.
func watched(t testing.TB, rate float64) *registrytest.Server {
	t.Helper()
	s := registrytest.New(t, func(cfg *registry.Config) {
		cfg.Evaluators = []policy.Evaluator{policy.Public{}, policy.Owner{}}
		if rate == 0 {
			return
		}
		e, err := open(t.Context(), cfg, options{pullRate: rate, private: "127.0.0.1:0", accessLog: filepath.Join(t.TempDir(), "access.log")}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.close() }) //nolint:errcheck // the file goes with the test
	})
	s.Push("test/hat", registrytest.Image{}, "v1")
	return s
}

// discard is a reply that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func pull(t testing.TB, s http.Handler, header ...string) func() {
	req := httptest.NewRequestWithContext(t.Context(), "GET", "http://registry.test/v2/test/hat/manifests/v1", nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := &discard{http.Header{}}
	return func() {
		clear(w.header)
		s.ServeHTTP(w, req)
	}
}

// raced says that the race detector is there, which keeps pools from keeping.
var raced bool

// How many allocations a pull may cost with everything on, of this module's own: net/http's are
// beyond it.
func TestAllocsOfPull(t *testing.T) {
	if raced {
		t.Skip("allocations are not counted under the race detector")
	}
	all, refusing := watched(t, maxPullRate), watched(t, 1)
	refused := pull(t, refusing)
	for range 200 { // its burst
		refused()
	}
	for name, c := range map[string]struct {
		pull func()
		most float64
	}{
		"of a manifest":          {pull(t, all), 8},
		"of what the client has": {pull(t, all, "If-None-Match", "*"), 9},
		"that is refused":        {refused, 16},
	} {
		if n := testing.AllocsPerRun(1000, c.pull); n > c.most {
			t.Errorf("a pull %s makes %v allocations, and may make %v", name, n, c.most)
		}
	}
}

func BenchmarkPull(b *testing.B) {
	run := func(name string, s http.Handler, header ...string) {
		b.Run(name, func(b *testing.B) {
			f := pull(b, s, header...)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	run("plain", watched(b, 0))
	all := watched(b, maxPullRate)
	run("all", all)
	run("304", all, "If-None-Match", "*")
	run("refused", watched(b, 1))
}
