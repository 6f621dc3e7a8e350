package otel_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/otel"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// Continue the traces that clients begin. With otelhttp, its handler does what the function
// here does.
func ExampleTracing() {
	exporter := tracetest.NewInMemoryExporter() // or otlptracehttp.New(ctx)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	reg, err := registry.New(registry.Config{
		Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil)),
		Interceptors: []registry.Interceptor{otel.Tracing(provider)},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		reg.ServeHTTP(w, r.WithContext(ctx))
	})

	req := httptest.NewRequest("GET", "/v2/acme/hat/manifests/v1", nil)
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	handler.ServeHTTP(httptest.NewRecorder(), req)
	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name, "in trace", span.SpanContext.TraceID())
	}
	// Output:
	// GetManifest in trace 0af7651916cd43dd8448eb211c80319c
}
