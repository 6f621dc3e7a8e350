package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Spans arrive where the environment says, also those of the last moment.
func TestTraces(t *testing.T) { // not parallel: the environment is everybody's
	got := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- r.URL.Path + " " + string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
	url, _, stop := server(t, "-data", t.TempDir(), "-traces")
	client := &http.Client{Transport: &http.Transport{}}
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v2/nobody/nothing/manifests/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if text := <-got; !strings.HasPrefix(text, "/v1/traces ") || !strings.Contains(text, "GetManifest") || !strings.Contains(text, "nobody/nothing") {
		t.Errorf("%q", text)
	}
}
