package accesslog_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// nowhere takes every record, unlike slog.DiscardHandler, and does nothing with it.
type nowhere struct{ slog.Handler }

func (nowhere) Enabled(context.Context, slog.Level) bool  { return true }
func (nowhere) Handle(context.Context, slog.Record) error { return nil }

// BenchmarkObserver has what one pull costs.
func BenchmarkObserver(b *testing.B) {
	lines := accesslog.NewWriter(io.Discard, 0)
	defer lines.Close()
	for _, c := range []struct {
		name    string
		handler slog.Handler
	}{
		{"off", slog.DiscardHandler},
		{"nowhere", nowhere{}},
		{"json", slog.NewJSONHandler(io.Discard, nil)},
		{"json-writer", slog.NewJSONHandler(lines, nil)},
		{"own-writer", nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			observe := accesslog.JSON(lines)
			if c.handler != nil {
				observe = accesslog.New(slog.New(c.handler))
			}
			d := manifest.SHA256.FromBytes(nil)
			ops := registry.Op{
				Began: time.Now(), Action: policy.GetDownloadURLForLayer, Remote: netip.MustParseAddr("203.0.113.7"), Method: "GET",
				Path: "/v2/acme/hat/blobs/" + string(d), UserAgent: "containerd/2.1.0", Name: "acme/hat", Reference: manifest.Reference{Digest: d},
				Descriptor: manifest.Descriptor{Digest: d}, Decision: policy.Decision{Effect: policy.Allow, Reason: "the repository is public"},
				Sent: 1 << 20, Status: 200,
			}
			b.ReportAllocs()
			for b.Loop() {
				op := ops // with a request id of its own
				observe(context.Background(), &op, nil)
			}
		})
	}
}

// BenchmarkPull has what a log adds to a pull, whether what it writes to goes on or not.
func BenchmarkPull(b *testing.B) {
	blocked := newGate()
	defer close(blocked.open)
	for _, c := range []struct {
		name string
		sink io.Writer
	}{{"no-log", nil}, {"discarded", io.Discard}, {"blocked", blocked}} {
		b.Run(c.name, func(b *testing.B) {
			s := registrytest.New(b, func(cfg *registry.Config) {
				if c.sink != nil {
					handler := slog.NewJSONHandler(accesslog.NewWriter(c.sink, 0), nil)
					cfg.Observers = []registry.Observer{accesslog.New(slog.New(handler))}
				}
			})
			s.Push("test/hat", registrytest.Image{}, "v1")
			server := httptest.NewServer(s)
			defer server.Close()
			b.ReportAllocs()
			for b.Loop() {
				res, err := server.Client().Get(server.URL + "/v2/test/hat/manifests/v1")
				if err != nil || res.StatusCode != http.StatusOK {
					b.Fatal(res, err)
				}
				io.Copy(io.Discard, res.Body) //nolint:errcheck // it is only to be read to its end
				res.Body.Close()
			}
		})
	}
}
