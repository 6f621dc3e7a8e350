package prom_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/prom"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// gather returns what a registry has, by name and values of labels: of a histogram, how much
// it counted.
func gather(t *testing.T, collectors ...prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := strings.TrimPrefix(f.GetName(), "esplanade_")
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			got[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

var layer = []byte("0123456789")

// ground returns a registry that is measured, and the image that it has.
func ground(t *testing.T, change ...func(*registry.Config)) (*registrytest.Server, *prom.Metrics, manifest.Descriptor) {
	t.Helper()
	metrics := prom.New()
	s := registrytest.New(t, append([]func(*registry.Config){func(c *registry.Config) {
		c.Observers = []registry.Observer{metrics.Observe}
		c.Interceptors = []registry.Interceptor{metrics.InFlight}
	}}, change...)...)
	return s, metrics, s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
}

func request(t *testing.T, method, path, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://registry.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

func TestRequests(t *testing.T) {
	t.Parallel()
	blob := "/v2/test/hat/blobs/" + string(manifest.SHA256.FromBytes(layer))
	refuse := func(err error) func(*registry.Config) {
		return func(c *registry.Config) {
			c.Interceptors = append(c.Interceptors, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
				if op.Method != "" {
					return err
				}
				return next(ctx)
			})
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*registry.Config)
		req    func(t *testing.T) *http.Request
		// A request has its operation and code; sent is -1 for what others choose the words of.
		operation, code            string
		received, sent, redirected float64
	}{
		{"pull", nil, func(t *testing.T) *http.Request { return request(t, "GET", "/v2/test/hat/manifests/v1", "") }, "GetManifest", "200", 0, -1, 0},
		{"HEAD", nil, func(t *testing.T) *http.Request { return request(t, "HEAD", "/v2/test/hat/manifests/v1", "") }, "HeadManifest", "200", 0, 0, 0},
		{"not modified", nil, func(t *testing.T) *http.Request {
			return request(t, "GET", "/v2/test/hat/manifests/v1", "", "If-None-Match", "*")
		}, "GetManifest", "304", 0, 0, 0},
		{"range", nil, func(t *testing.T) *http.Request { return request(t, "GET", blob, "", "Range", "bytes=2-5") }, "GetBlob", "206", 0, 4, 0},
		{"push", nil, func(t *testing.T) *http.Request {
			req := request(t, "POST", "/v2/test/hat/blobs/uploads/?digest="+string(manifest.SHA256.FromBytes([]byte("new"))), "new")
			req.SetBasicAuth(registrytest.Username, registrytest.Password)
			return req
		}, "StartUpload", "201", 3, 0, 0},
		{"refused login", nil, func(t *testing.T) *http.Request {
			req := request(t, "GET", "/token", "")
			req.SetBasicAuth(registrytest.Username, "wrong")
			return req
		}, "GetToken", "401", 0, -1, 0},
		{"unknown path", nil, func(t *testing.T) *http.Request { return request(t, "GET", "/v2/x/y/z", "") }, "Unknown", "404", 0, -1, 0},
		{"limit", refuse(registry.ErrTooManyRequests), func(t *testing.T) *http.Request {
			return request(t, "GET", "/v2/test/hat/manifests/v1", "")
		}, "GetManifest", "429", 0, -1, 0},
		{"fault", refuse(errors.New("the disk is on fire")), func(t *testing.T) *http.Request {
			return request(t, "GET", "/v2/test/hat/tags/list", "")
		}, "ListTags", "500", 0, -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			change := tt.change
			if change == nil {
				change = func(*registry.Config) {}
			}
			s, metrics, _ := ground(t, change)
			if _, err := s.Transport().RoundTrip(tt.req(t)); err != nil {
				t.Fatal(err)
			}
			got := gather(t, metrics)
			if sent := got["sent_bytes_total "+tt.operation]; tt.sent < 0 && sent > 0 {
				tt.sent = sent
			}
			want := map[string]float64{
				"requests_total " + tt.code + " " + tt.operation: 1,
				"request_duration_seconds " + tt.operation:       1,
				"received_bytes_total " + tt.operation:           tt.received,
				"sent_bytes_total " + tt.operation:               tt.sent,
				"redirected_bytes_total":                         tt.redirected,
				"requests_in_flight":                             0,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("metrics (-want +got)\n%s", diff)
			}
		})
	}
}

// What no registry in memory does is told to the observer as the real one would.
func TestCodes(t *testing.T) {
	t.Parallel()
	remote := netip.MustParseAddr("192.0.2.1")
	metrics := prom.New()
	for _, o := range []struct {
		op  registry.Op
		err error
	}{
		{registry.Op{Method: "GET", Path: "/v2/", Status: 200}, errors.New("the bucket failed part-way")},
		{registry.Op{Method: "GET", Path: "/v2/"}, context.Canceled},
		{registry.Op{Method: "GET", Path: "/v2/", Status: 307, Redirected: 1 << 30}, nil},
		{registry.Op{Method: "GET", Path: "/v2/", Status: 404}, registry.ErrNameUnknown},
		{registry.Op{Remote: remote, Action: "ecr-public:DescribeImages"}, nil},
		{registry.Op{Remote: remote, Action: "ecr-public:DescribeImages"}, registry.ErrNameUnknown},
		{registry.Op{Action: "ecr-public:DescribeImages"}, nil}, // the process itself
	} {
		o.op.Began = time.Now()
		metrics.Observe(t.Context(), &o.op, o.err)
	}
	got := gather(t, metrics)
	maps.DeleteFunc(got, func(name string, _ float64) bool {
		return !strings.Contains(name, "requests_total") && !strings.Contains(name, "redirected")
	})
	want := map[string]float64{
		"requests_total cut CheckVersion": 1, "requests_total none CheckVersion": 1, "requests_total 307 CheckVersion": 1, "requests_total 404 CheckVersion": 1,
		"requests_total ok DescribeImages": 1, "requests_total error DescribeImages": 1, "redirected_bytes_total": 1 << 30,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got)\n%s", diff)
	}
}

func TestInFlight(t *testing.T) {
	t.Parallel()
	var metrics *prom.Metrics
	during := -1.
	s, metrics, _ := ground(t, func(c *registry.Config) {
		c.Interceptors = append(c.Interceptors, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Method != "" {
				during = gather(t, metrics)["requests_in_flight"]
			}
			return next(ctx)
		})
	})
	if _, err := s.Transport().RoundTrip(request(t, "GET", "/v2/test/hat/tags/list", "")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.As(auth.Principal{}).Manifest(t.Context(), "test/hat", "v1"); err != nil {
		t.Fatal(err)
	}
	if after := gather(t, metrics)["requests_in_flight"]; during != 1 || after != 0 {
		t.Errorf("%v operations in flight during one, %v after it", during, after)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s, metrics, _ := ground(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, path := range []string{"manifests/v1", "manifests/v2", "tags/list"} {
				if _, err := s.Transport().RoundTrip(request(t, "GET", "/v2/test/hat/"+path, "")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := gather(t, metrics)
	maps.DeleteFunc(got, func(name string, _ float64) bool {
		return !strings.HasPrefix(name, "request_") && !strings.HasPrefix(name, "requests_")
	})
	want := map[string]float64{
		"requests_total 200 GetManifest": 8, "requests_total 404 GetManifest": 8, "requests_total 200 ListTags": 8,
		"request_duration_seconds GetManifest": 16, "request_duration_seconds ListTags": 8, "requests_in_flight": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got)\n%s", diff)
	}
}

func TestCollection(t *testing.T) {
	t.Parallel()
	progress := gc.Progress{Rounds: 7, Failed: 1, Left: 12, ETA: 1500 * time.Millisecond}
	progress.Collected = registry.Collected{Links: 1, Blobs: 2, Objects: 3, Uploads: 4, Repositories: 5, Bytes: 6}
	c := prom.Collection(func() gc.Progress { return progress })
	want := map[string]float64{
		"collection_removed_total links": 1, "collection_removed_total blobs": 2, "collection_removed_total objects": 3,
		"collection_removed_total uploads": 4, "collection_removed_total repositories": 5, "collection_removed_bytes_total": 6,
		"collection_rounds_total": 7, "collection_failed_rounds_total": 1, "collection_left": 12, "collection_eta_seconds": 1.5,
	}
	if diff := cmp.Diff(want, gather(t, c)); diff != "" {
		t.Errorf("before the first round (-want +got)\n%s", diff)
	}
	progress.Last = time.UnixMilli(1_700_000_000_250)
	want["collection_last_round_timestamp_seconds"] = 1_700_000_000.25
	if diff := cmp.Diff(want, gather(t, c)); diff != "" {
		t.Errorf("afterwards (-want +got)\n%s", diff)
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	w := accesslog.NewWriter(new(bytes.Buffer), 4)
	w.Write([]byte("much too long\n")) //nolint:errcheck // it is dropped
	if got := testutil.ToFloat64(prom.AccessLog(w)); got != 1 {
		t.Errorf("%v lines were dropped, want 1", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	metrics := prom.New()
	metrics.Observe(t.Context(), &registry.Op{Method: "GET", Path: "/v2/", Status: 200, Began: time.Now()}, nil)
	w := accesslog.NewWriter(new(bytes.Buffer), 0)
	collection := prom.Collection(func() gc.Progress { return gc.Progress{Last: time.Now()} })
	for _, c := range []prometheus.Collector{metrics, collection, prom.AccessLog(w)} {
		problems, err := testutil.CollectAndLint(c)
		if err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	}
}
