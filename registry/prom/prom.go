// Package prom measures a registry for Prometheus, with the names below. Nothing is registered
// by itself: [Metrics] and what the functions here return are collectors for the host's own
// registry.
//
//	metrics := prom.New()
//	reg.MustRegister(metrics, prom.Collection(collector.Progress), prom.AccessLog(lines))
//	cfg.Observers = append(cfg.Observers, metrics.Observe)
//	cfg.Interceptors = append(cfg.Interceptors, metrics.InFlight)
//
// What clients ask for is counted, and not what the process asks of itself, such as the pages
// of a gallery:
//
//	esplanade_requests_total{operation,code}             requests that are over
//	esplanade_request_duration_seconds{operation}        histogram, until the end of the reply
//	esplanade_requests_in_flight                         operations being carried out
//	esplanade_received_bytes_total{operation}            bodies of requests
//	esplanade_sent_bytes_total{operation}                bodies of replies
//	esplanade_redirected_bytes_total                     of blobs that clients were sent to the bucket for
//
// An operation is one of [accesslog.Operation]'s. The code is the status of HTTP; "cut" where
// the reply ended before it was whole, and "none" where there was no reply, since the client had
// gone. What comes by the control plane has "ok" or "error". No label has words of a client's,
// so that there are some hundreds of series however many repositories there are.
//
// Garbage collection, on the node that does it at the time:
//
//	esplanade_collection_removed_total{kind}             links, blobs, objects, uploads, repositories
//	esplanade_collection_removed_bytes_total             of blobs
//	esplanade_collection_rounds_total
//	esplanade_collection_failed_rounds_total             something could not be removed
//	esplanade_collection_last_round_timestamp_seconds    missing before the first
//	esplanade_collection_left                            things that were still to be looked at
//	esplanade_collection_eta_seconds                     how long they will take
//
// And lines that are missing from the access log: esplanade_accesslog_dropped_lines_total.
package prom

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
)

// namespace begins every name.
const namespace = "esplanade"

// buckets are few, since each operation has them all: from a manifest in memory to a layer
// over a slow line.
var buckets = [...]float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60}

// Metrics measures operations. It is a collector.
type Metrics struct {
	requests       *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
	received, sent *prometheus.CounterVec
	redirected     prometheus.Counter
	inFlight       prometheus.Gauge

	// To look series up by their labels takes longer than to count, and a key of a sync.Map
	// is an allocation.
	known atomic.Pointer[map[labels]*series] // replaced when one is added, under mu
	mu    sync.Mutex
}

// labels are those of a request: the code is a status of HTTP, or one of those below.
type labels struct {
	operation string
	code      int
}

// Codes that are no status of HTTP.
const (
	codeNone = -iota
	codeCut
	codeOK
	codeError
)

// series is where one request is counted.
type series struct {
	requests       prometheus.Counter
	seconds        prometheus.Observer
	received, sent prometheus.Counter
}

// New returns metrics that are all zero.
func New() *Metrics {
	counters := func(name, help string, by ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, by)
	}
	m := &Metrics{
		requests: counters("requests_total", "Requests that are over.", "operation", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds", Help: "Time until the end of the reply.", Buckets: buckets[:],
		}, []string{"operation"}),
		received: counters("received_bytes_total", "Bytes of bodies of requests.", "operation"),
		sent:     counters("sent_bytes_total", "Bytes of bodies of replies.", "operation"),
		redirected: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "redirected_bytes_total", Help: "Bytes of blobs that clients were sent to the bucket for.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "requests_in_flight", Help: "Operations that are being carried out.",
		}),
	}
	m.known.Store(&map[labels]*series{})
	return m
}

// Observe is a [registry.Observer].
func (m *Metrics) Observe(_ context.Context, op *registry.Op, err error) {
	operation := accesslog.Operation(op)
	if operation == "" {
		return
	}
	s := m.series(labels{operation, code(op, err)})
	s.requests.Inc()
	s.seconds.Observe(op.Duration.Seconds())
	if op.Received > 0 {
		s.received.Add(float64(op.Received))
	}
	if op.Sent > 0 {
		s.sent.Add(float64(op.Sent))
	}
	if op.Redirected > 0 {
		m.redirected.Add(float64(op.Redirected))
	}
}

// InFlight is a [registry.Interceptor]. It does not see what is refused before interceptors
// are called.
func (m *Metrics) InFlight(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
	if accesslog.Operation(op) == "" {
		return next(ctx)
	}
	m.inFlight.Inc()
	defer m.inFlight.Dec()
	return next(ctx)
}

func code(op *registry.Op, err error) int {
	switch {
	case op.Method == "" && err == nil:
		return codeOK
	case op.Method == "":
		return codeError
	case op.Status == 0:
		return codeNone
	case err != nil && op.Status < http.StatusBadRequest:
		return codeCut
	}
	return op.Status
}

func (l labels) text() string {
	switch l.code {
	case codeNone:
		return "none"
	case codeCut:
		return "cut"
	case codeOK:
		return "ok"
	case codeError:
		return "error"
	}
	return strconv.Itoa(l.code)
}

// series finds or makes what counts requests with some labels.
func (m *Metrics) series(l labels) *series {
	if s := (*m.known.Load())[l]; s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := *m.known.Load()
	if s := known[l]; s != nil {
		return s
	}
	s := &series{
		requests: m.requests.WithLabelValues(l.operation, l.text()), seconds: m.seconds.WithLabelValues(l.operation),
		received: m.received.WithLabelValues(l.operation), sent: m.sent.WithLabelValues(l.operation),
	}
	known = maps.Clone(known)
	known[l] = s
	m.known.Store(&known)
	return s
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.seconds, m.received, m.sent, m.redirected, m.inFlight}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
}
