package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/otel"
	"github.com/esplanade-registry/esplanade/registry/prom"
	"github.com/esplanade-registry/esplanade/registry/throttle"
)

// eyes is what watches the requests: counts, metrics, the access log.
type eyes struct {
	meter   *meter.Meter
	metrics *prom.Metrics
	log     *accesslog.Writer // nil: none
	files   []io.Closer
	traces  *sdktrace.TracerProvider // nil: none
}

// auditSink is what the store calls the sink of the audit log.
const auditSink = "audit"

// lastSpans is how long the last spans may take to be sent.
const lastSpans = 5 * time.Second

// burst is how many images may be pulled at once: what a newcomer's first compose file needs.
const burst = 100

// open adds to the configuration what watches and limits, as the flags say.
func open(ctx context.Context, cfg *registry.Config, o options, stdout io.Writer) (e *eyes, err error) {
	e = &eyes{}
	if e.meter, err = meter.New(meter.Config{Store: cfg.Store, Logger: cfg.Logger}); err != nil {
		return nil, err
	}
	cfg.Observers = append(cfg.Observers, e.meter.Observe)
	if o.private != "" {
		e.metrics = prom.New()
		cfg.Observers = append(cfg.Observers, e.metrics.Observe)
		cfg.Interceptors = append(cfg.Interceptors, e.metrics.InFlight)
	}
	if o.traces {
		out, err := otlptracehttp.New(ctx) // which connects when there is something to send, and drops what it cannot
		if err != nil {
			return nil, err
		}
		e.traces = sdktrace.NewTracerProvider(sdktrace.WithBatcher(out))
		cfg.Interceptors = append(cfg.Interceptors, otel.Tracing(e.traces))
	}
	if o.pullRate > 0 {
		rule := func(rate float64) limit.Rule {
			return limit.Rule{Rate: rate, Burst: int64(max(burst, math.Ceil(rate)))}
		}
		limits, err := throttle.New(throttle.Config{
			Limits: limit.Preset{Anonymous: rule(o.pullRate), Named: rule(min(maxPullRate, 10*o.pullRate))}, Logger: cfg.Logger,
		})
		if err != nil {
			return nil, err
		}
		cfg.Interceptors = append(cfg.Interceptors, limits.Intercept)
		cfg.Observers = append(cfg.Observers, limits.Observe)
	}
	if o.auditLog != "" {
		f, err := e.append(o.auditLog)
		if err != nil {
			return nil, err
		}
		cfg.Sinks = map[string]event.Sink{auditSink: event.Audit(f)}
	}
	if o.accessLog == "" {
		return e, nil
	}
	out := stdout
	if o.accessLog != "-" {
		if out, err = e.append(o.accessLog); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	e.log = accesslog.NewWriter(out, 0)
	cfg.Observers = append(cfg.Observers, accesslog.JSON(e.log))
	return e, nil
}

// append opens a file to write at its end.
func (e *eyes) append(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		e.files = append(e.files, f)
	}
	return f, err
}

func (e *eyes) close() (err error) {
	if e.traces != nil {
		last, cancel := context.WithTimeout(context.Background(), lastSpans)
		defer cancel()
		err = e.traces.Shutdown(last)
	}
	if e.log != nil {
		err = errors.Join(err, e.log.Close())
	}
	for _, f := range e.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// listenPrivately listens on a loopback address, and on no other: who gets in may do anything.
func listenPrivately(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("-private-addr %s is not a loopback address, and who reaches it needs no password", addr)
	}
	return net.Listen("tcp", addr)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// operator answers on the private address.
func (e *eyes) operator(reg *registry.Registry, garbage *gc.Collector) http.Handler {
	gathered := prometheus.NewRegistry()
	gathered.MustRegister(e.metrics, prom.Collection(garbage.Progress), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if e.log != nil {
		gathered.MustRegister(prom.AccessLog(e.log))
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gathered, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /usage", e.usage)
	mux.HandleFunc("POST /ingest", e.ingest)
	t := takedowns{reg}
	mux.HandleFunc("GET /takedowns", t.list)
	mux.HandleFunc("POST /takedowns", t.suspend)
	mux.HandleFunc("DELETE /takedowns", t.restore)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// a name of somebody's own that leads here would let a page read what is private
		if host, _, err := net.SplitHostPort(r.Host); err != nil || !isLoopback(host) {
			http.Error(w, "ask by a loopback address", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// usage answers with what every account used in a month.
func (e *eyes) usage(w http.ResponseWriter, r *http.Request) {
	month := time.Now().UTC()
	if s := r.FormValue("month"); s != "" {
		var err error
		if month, err = time.Parse("2006-01", s); err != nil {
			http.Error(w, "month is of the form 2006-01", http.StatusBadRequest)
			return
		}
	}
	list, err := e.meter.Usage(r.Context(), month)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case r.FormValue("format") == "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		meter.WriteCSV(w, list) //nolint:errcheck // the client has gone
	default:
		answer(w, list)
	}
}

// ingest counts what the log of a cache tells, and says how far it has read.
func (e *eyes) ingest(w http.ResponseWriter, r *http.Request) {
	n, err := e.meter.Ingest(r.Context(), r.Body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
	answer(w, n)
}

// takedowns lets the operator suspend and restore.
type takedowns struct{ reg *registry.Registry }

func (t takedowns) list(w http.ResponseWriter, r *http.Request) {
	list, err := t.reg.Suspensions(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, list)
}

func (t takedowns) suspend(w http.ResponseWriter, r *http.Request) {
	t.change(w, r, func(s registry.Suspension) error { return t.reg.Suspend(r.Context(), s) })
}

func (t takedowns) restore(w http.ResponseWriter, r *http.Request) {
	t.change(w, r, func(s registry.Suspension) error { return t.reg.Restore(r.Context(), s.Target, s.By) })
}

// change takes JSON alone, which a page in the operator's browser cannot send from elsewhere
// without being allowed to.
func (t takedowns) change(w http.ResponseWriter, r *http.Request, change func(registry.Suspension) error) {
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "the body is application/json", http.StatusUnsupportedMediaType)
		return
	}
	var s registry.Suspension
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	in.DisallowUnknownFields()
	if err := in.Decode(&s); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch err := change(s); {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client has gone
}
