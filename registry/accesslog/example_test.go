package accesslog_test

import (
	"log"
	"log/slog"
	"net/http/httptest"
	"os"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// Write a line of JSON for each request, to a file that may be slow or full.
func ExampleNew() {
	lines := accesslog.NewWriter(os.Stdout, 0) // or a file
	handler := slog.NewJSONHandler(lines, &slog.HandlerOptions{ReplaceAttr: stable})
	reg, err := registry.New(registry.Config{
		Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil)),
		Observers: []registry.Observer{accesslog.New(slog.New(handler))},
	})
	if err != nil {
		log.Fatal(err)
	}
	req := httptest.NewRequest("GET", "/v2/", nil)
	req.Header.Set("User-Agent", "docker/28.0")
	reg.ServeHTTP(httptest.NewRecorder(), req)

	// Once the server is shut down.
	if err := lines.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"level":"INFO","msg":"request","remote":"192.0.2.1","principal":"anonymous","operation":"CheckVersion","method":"GET","path":"/v2/","status":200,"sent":2,"user_agent":"docker/28.0"}
}

// stable leaves out what differs from run to run.
func stable(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, "request_id", "duration":
		return slog.Attr{}
	}
	return a
}
