package otel_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/otel"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

var layer = []byte("0123456789")

// ground is a registry that is traced, with one image.
type ground struct {
	*registrytest.Server
	spans    *tracetest.SpanRecorder
	provider *sdktrace.TracerProvider
	image    manifest.Descriptor
}

func newGround(t *testing.T, then ...registry.Interceptor) *ground {
	t.Helper()
	g := &ground{spans: tracetest.NewSpanRecorder()}
	g.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(g.spans))
	g.Server = registrytest.New(t, func(c *registry.Config) {
		c.Interceptors = append([]registry.Interceptor{otel.Tracing(g.provider)}, then...)
	})
	g.image = g.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	if n := len(g.spans.Started()); n > 0 {
		t.Errorf("%d spans of what the process did itself", n)
	}
	return g
}

// span is what a test looks at.
type span struct {
	Name       string
	Kind       trace.SpanKind
	Status     codes.Code
	Attributes map[string]any
}

// ended returns the spans that are over, and fails if others are not.
func (g *ground) ended(t *testing.T) (list []span) {
	t.Helper()
	if a, b := len(g.spans.Started()), len(g.spans.Ended()); a != b {
		t.Errorf("%d spans began, %d ended", a, b)
	}
	for _, s := range g.spans.Ended() {
		got := span{s.Name(), s.SpanKind(), s.Status().Code, map[string]any{}}
		for _, a := range s.Attributes() {
			got.Attributes[string(a.Key)] = a.Value.AsInterface()
		}
		if id, _ := got.Attributes["esplanade.request_id"].(string); id == "" {
			t.Errorf("no request id in %v", got)
		}
		delete(got.Attributes, "esplanade.request_id")
		list = append(list, got)
	}
	return list
}

func (g *ground) send(ctx context.Context, t *testing.T, method, path, body string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "https://registry.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if res, err := g.Transport().RoundTrip(req); err == nil {
		res.Body.Close()
	}
}

func login(password string) http.Header {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(registrytest.Username, password)
	return req.Header
}

func TestSpans(t *testing.T) {
	t.Parallel()
	type attributes = map[string]any
	blob := string(manifest.SHA256.FromBytes(layer))
	fresh := string(manifest.SHA256.FromBytes([]byte("new")))
	busy := registry.Interceptor(func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		if op.Method != "" {
			return errors.New("the disk is on fire \xff")
		}
		return next(ctx)
	})
	limit := registry.Interceptor(func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		if op.Method != "" {
			return registry.ErrTooManyRequests
		}
		return next(ctx)
	})
	cut := registry.Interceptor(func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		if err := next(ctx); err != nil || op.Method == "" {
			return err
		}
		return errors.New("the bucket failed part-way")
	})
	for _, tt := range []struct {
		name, method, path, body string
		header                   http.Header
		then                     registry.Interceptor
		want                     []span
	}{
		{name: "pull", method: "GET", path: "/v2/test/hat/manifests/v1", header: http.Header{"User-Agent": {"x\xff" + strings.Repeat("y", 1000)}}, want: []span{{
			Name: "GetManifest", Attributes: attributes{
				"esplanade.repository": "test/hat", "esplanade.reference": "v1", "esplanade.digest": "*", "http.response.status_code": int64(200),
				"user_agent.original": "x�" + strings.Repeat("y", 510),
			},
		}}},
		{name: "HEAD", method: "HEAD", path: "/v2/test/hat/manifests/v1", want: []span{{Name: "HeadManifest", Attributes: attributes{
			"esplanade.repository": "test/hat", "esplanade.reference": "v1", "esplanade.digest": "*", "http.response.status_code": int64(200),
		}}}},
		{name: "not modified", method: "GET", path: "/v2/test/hat/manifests/v1", header: http.Header{"If-None-Match": {"*"}}, want: []span{{
			Name: "GetManifest", Attributes: attributes{
				"esplanade.repository": "test/hat", "esplanade.reference": "v1", "esplanade.digest": "*", "http.response.status_code": int64(304),
			},
		}}},
		{name: "range", method: "GET", path: "/v2/test/hat/blobs/" + blob, header: http.Header{"Range": {"bytes=2-5"}}, want: []span{{
			Name: "GetBlob", Attributes: attributes{
				"esplanade.repository": "test/hat", "esplanade.reference": blob, "esplanade.digest": blob, "http.response.status_code": int64(206),
			},
		}}},
		{name: "push", method: "POST", path: "/v2/test/hat/blobs/uploads/?digest=" + fresh, body: "new", header: login(registrytest.Password), want: []span{{
			Name: "StartUpload", Attributes: attributes{
				"esplanade.repository": "test/hat", "esplanade.digest": fresh, "http.response.status_code": int64(201),
			},
		}}},
		{name: "not found", method: "GET", path: "/v2/test/hat/manifests/v2", want: []span{{Name: "GetManifest", Attributes: attributes{
			"esplanade.repository": "test/hat", "esplanade.reference": "v2", "http.response.status_code": int64(404), "esplanade.error": "*",
		}}}},
		{name: "limit", method: "GET", path: "/v2/test/hat/tags/list", then: limit, want: []span{{Name: "ListTags", Attributes: attributes{
			"esplanade.repository": "test/hat", "http.response.status_code": int64(429), "esplanade.error": "too many requests",
		}}}},
		{name: "fault", method: "GET", path: "/v2/test/hat/tags/list", then: busy, want: []span{{Name: "ListTags", Status: codes.Error, Attributes: attributes{
			"esplanade.repository": "test/hat", "http.response.status_code": int64(500), "error.type": "500", "esplanade.error": "the disk is on fire �",
		}}}},
		{name: "cut", method: "GET", path: "/v2/test/hat/tags/list", then: cut, want: []span{{Name: "ListTags", Status: codes.Error, Attributes: attributes{
			"esplanade.repository": "test/hat", "http.response.status_code": int64(200), "error.type": "cut", "esplanade.error": "the bucket failed part-way",
		}}}},
		{name: "refused login", method: "GET", path: "/v2/test/hat/tags/list", header: login("wrong")},
		{name: "unknown path", method: "GET", path: "/v2/x/y/z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var then []registry.Interceptor
			if tt.then != nil {
				then = append(then, tt.then)
			}
			g := newGround(t, then...)
			g.send(t.Context(), t, tt.method, tt.path, tt.body, tt.header)
			got := g.ended(t)
			for i, s := range tt.want {
				tt.want[i].Kind = trace.SpanKindServer
				s.Attributes["http.request.method"] = tt.method
				s.Attributes["url.path"], _, _ = strings.Cut(tt.path, "?")
				if s.Attributes["esplanade.digest"] == "*" {
					s.Attributes["esplanade.digest"] = string(g.image.Digest)
				}
				if s.Attributes["esplanade.error"] == "*" && i < len(got) {
					s.Attributes["esplanade.error"] = got[i].Attributes["esplanade.error"] // words that are others' to choose
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("spans (-want +got)\n%s", diff)
			}
		})
	}
}

func TestParent(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	header := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	remote := propagation.TraceContext{}.Extract(t.Context(), header)
	g.send(remote, t, "GET", "/v2/test/hat/tags/list", "", nil)
	local, host := g.provider.Tracer("host").Start(remote, "the host's own")
	g.send(local, t, "GET", "/v2/test/hat/tags/list", "", nil)

	type origin struct {
		Trace, Parent string
		Kind          trace.SpanKind
	}
	var got []origin
	for _, s := range g.spans.Ended() {
		got = append(got, origin{s.SpanContext().TraceID().String(), s.Parent().SpanID().String(), s.SpanKind()})
	}
	want := []origin{
		{"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", trace.SpanKindServer},
		{"0af7651916cd43dd8448eb211c80319c", host.SpanContext().SpanID().String(), trace.SpanKindInternal},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got)\n%s", diff)
	}
}

func TestWhatIsWithinHasTheSpan(t *testing.T) {
	t.Parallel()
	var within trace.SpanContext
	g := newGround(t, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		within = trace.SpanContextFromContext(ctx)
		return next(ctx)
	})
	g.send(t.Context(), t, "GET", "/v2/test/hat/tags/list", "", nil)
	if ended := g.spans.Ended(); len(ended) != 1 || !within.Equal(ended[0].SpanContext()) {
		t.Errorf("within: %v; ended: %v", within, ended)
	}
}

func TestClientThatIsGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := newGround(t, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		if op.Method == "" {
			return next(ctx)
		}
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	g.send(ctx, t, "GET", "/v2/test/hat/tags/list", "", nil)
	want := []span{{"ListTags", trace.SpanKindServer, codes.Unset, map[string]any{
		"http.request.method": "GET", "url.path": "/v2/test/hat/tags/list", "esplanade.repository": "test/hat", "esplanade.error": "context canceled",
	}}}
	if diff := cmp.Diff(want, g.ended(t)); diff != "" {
		t.Errorf("spans (-want +got)\n%s", diff)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	g := newGround(t, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		if op.Method == "" {
			return next(ctx)
		}
		panic(http.ErrAbortHandler)
	})
	g.send(t.Context(), t, "GET", "/v2/test/hat/tags/list", "", nil)
	if got := g.ended(t); len(got) != 1 {
		t.Errorf("%d spans, want 1: %v", len(got), got)
	}
}

func TestControlPlane(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	actor := g.AsIdentity(auth.Identity{Principal: registrytest.Owner}, registry.Client{Remote: netip.MustParseAddr("198.51.100.7"), UserAgent: "aws-cli/2"})
	if err := actor.DeleteTag(t.Context(), "test/hat", "v1"); err != nil {
		t.Fatal(err)
	}
	err := actor.DeleteTag(t.Context(), "test/hat", "v1")
	if err == nil {
		t.Fatal("a tag was deleted twice")
	}
	attributes := func() map[string]any {
		return map[string]any{"esplanade.repository": "test/hat", "esplanade.reference": "v1", "user_agent.original": "aws-cli/2"}
	}
	want := []span{
		{"BatchDeleteImage", trace.SpanKindServer, codes.Unset, attributes()},
		{"BatchDeleteImage", trace.SpanKindServer, codes.Unset, attributes()},
	}
	want[1].Attributes["esplanade.error"] = err.Error()
	if diff := cmp.Diff(want, g.ended(t)); diff != "" {
		t.Errorf("spans (-want +got)\n%s", diff)
	}
}

func TestNotSampled(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.NeverSample()))
	var within trace.SpanContext
	s := registrytest.New(t, func(c *registry.Config) {
		c.Interceptors = []registry.Interceptor{otel.Tracing(provider), func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			within = trace.SpanContextFromContext(ctx)
			return next(ctx)
		}}
	})
	res, err := s.Client().Get("https://registry.example/v2/")
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v, %v", res, err)
	}
	if len(spans.Ended()) > 0 || !within.IsValid() || within.IsSampled() {
		t.Errorf("ended: %v; within: %v", spans.Ended(), within)
	}
}

// BenchmarkTracing has what one pull costs.
func BenchmarkTracing(b *testing.B) {
	for _, c := range []struct {
		name    string
		sampler sdktrace.Sampler
	}{
		{"not-sampled", sdktrace.NeverSample()},
		{"sampled", sdktrace.AlwaysSample()},
	} {
		b.Run(c.name, func(b *testing.B) {
			intercept := otel.Tracing(sdktrace.NewTracerProvider(sdktrace.WithSampler(c.sampler)))
			pull := registry.Op{Action: "ecr-public:GetDownloadUrlForLayer", Method: "GET", Path: "/v2/acme/hat/blobs/sha256:0", Name: "acme/hat", Status: 200}
			next := func(context.Context) error { return nil }
			b.ReportAllocs()
			for b.Loop() {
				op := pull
				intercept(context.Background(), &op, next) //nolint:errcheck // it has none
			}
		})
	}
}
