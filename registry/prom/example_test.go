package prom_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"gocloud.dev/blob/memblob"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/prom"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// Serve metrics of a registry, of its garbage collection and of its access log beside it.
func ExampleNew() {
	metrics := prom.New()
	lines := accesslog.NewWriter(os.Stderr, 0)
	reg, err := registry.New(registry.Config{
		Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil)),
		Observers:    []registry.Observer{metrics.Observe},
		Interceptors: []registry.Interceptor{metrics.InFlight},
	})
	if err != nil {
		log.Fatal(err)
	}
	collector := gc.New(reg, nil)

	gathered := prometheus.NewRegistry()
	gathered.MustRegister(metrics, prom.Collection(collector.Progress), prom.AccessLog(lines))
	mux := http.NewServeMux()
	mux.Handle("/v2/", reg)
	mux.Handle("/metrics", promhttp.HandlerFor(gathered, promhttp.HandlerOpts{})) // better at a port of its own

	server := httptest.NewServer(mux)
	defer server.Close()
	get := func(path string) string {
		res, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			log.Fatal(err)
		}
		return string(body)
	}
	get("/v2/")
	for line := range strings.Lines(get("/metrics")) {
		if strings.HasPrefix(line, "esplanade_requests_total") {
			fmt.Print(line)
		}
	}
	// Output:
	// esplanade_requests_total{code="200",operation="CheckVersion"} 1
}
