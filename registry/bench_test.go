package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"

	_ "gocloud.dev/blob/fileblob"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// discard is a connection that counts nothing and keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// onDisk returns a registry over SQLite and a folder, as the quickstart has it.
func onDisk(b *testing.B, cache int64) *registrytest.Server {
	b.Helper()
	dir := b.TempDir()
	store, err := sqlmeta.OpenSQLite(b.Context(), filepath.Join(dir, "meta.db"))
	if err != nil {
		b.Fatal(err)
	}
	u, err := gocloud.FileURL(filepath.Join(dir, "blobs"))
	if err != nil {
		b.Fatal(err)
	}
	bucket, err := gocloud.Open(b.Context(), u)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { bucket.Close(); store.Close() })
	return registrytest.New(b, func(c *registry.Config) { c.Store, c.Bucket, c.ManifestCache = store, bucket, cache })
}

// BenchmarkPull has the paths that pulls take, each without what net/http costs.
func BenchmarkPull(b *testing.B) {
	layer := bytes.Repeat([]byte("16 bytes of data"), 1024)
	large := bytes.Repeat(layer, 64)
	for _, c := range []struct {
		name, method, path, rang string
		cache                    int64
		status                   int
	}{
		{"hot-tag", "GET", "manifests/v1", "", 0, 200},
		{"hot-digest", "GET", "manifests/{manifest}", "", 0, 200},
		{"head-tag", "HEAD", "manifests/v1", "", 0, 200},
		{"uncached-tag", "GET", "manifests/v1", "", -1, 200},
		{"blob-small", "GET", "blobs/{layer}", "", 0, 200},
		{"range", "GET", "blobs/{large}", "bytes=100000-165535", 0, 206},
		{"tags-page", "GET", "tags/list?n=100&last=t01234", "", 0, 200},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := onDisk(b, c.cache)
			d := s.Push("test/hot", registrytest.Image{Layers: [][]byte{layer, large}}, "v1")
			if c.name == "tags-page" {
				tag(b, s, 5000)
			}
			path := c.path
			for name, d := range map[string]manifest.Digest{
				"{manifest}": d.Digest, "{layer}": manifest.SHA256.FromBytes(layer), "{large}": manifest.SHA256.FromBytes(large),
			} {
				path = string(bytes.ReplaceAll([]byte(path), []byte(name), []byte(d)))
			}
			req, err := http.NewRequest(c.method, "http://r.example/v2/test/hot/"+path, nil)
			if err != nil {
				b.Fatal(err)
			}
			req.RemoteAddr = "192.0.2.1:1234"
			if c.rang != "" {
				req.Header.Set("Range", c.rang)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := &discard{header: http.Header{}}
				s.ServeHTTP(w, req)
				if w.status != c.status {
					b.Fatalf("status %d, want %d", w.status, c.status)
				}
			}
		})
	}
}

// tag points many tags to the manifest that v1 has.
func tag(b *testing.B, s *registrytest.Server, n int) {
	b.Helper()
	m, err := s.Owner().Manifest(b.Context(), "test/hot", "v1")
	if err != nil {
		b.Fatal(err)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("t%05d", i)
	}
	if _, err := s.Owner().PushManifest(b.Context(), "test/hot", m.MediaType, m.Raw, names...); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPush pushes an image with a layer of 16 KiB as docker does: layer by POST, PATCH
// and PUT, configuration by POST and PUT, manifest by PUT.
func BenchmarkPush(b *testing.B) {
	s := onDisk(b, 0)
	layer := make([]byte, 16<<10)
	random := rand.NewChaCha8([32]byte{})
	send := func(method, path string, body []byte, contentType string, want int) http.Header {
		req, err := http.NewRequestWithContext(context.Background(), method, "http://r.example"+path, bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if body == nil {
			req.Body = http.NoBody
		}
		req.RemoteAddr = "192.0.2.1:1234"
		req.SetBasicAuth(registrytest.Username, registrytest.Password)
		req.Header.Set("Content-Type", contentType)
		w := &discard{header: http.Header{}}
		s.ServeHTTP(w, req)
		if w.status != want {
			b.Fatalf("%s %s: status %d, want %d", method, path, w.status, want)
		}
		return w.header
	}
	const uploads = "/v2/test/pushed/blobs/uploads/"
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := io.ReadFull(random, layer); err != nil {
			b.Fatal(err)
		}
		layerDigest := manifest.SHA256.FromBytes(layer)
		config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, layerDigest)
		configDigest := manifest.SHA256.FromBytes(config)
		h := send("POST", uploads, nil, "", 202)
		h = send("PATCH", h.Get("Location"), layer, "application/octet-stream", 202)
		send("PUT", h.Get("Location")+"?digest="+string(layerDigest), nil, "", 201)
		h = send("POST", uploads, nil, "", 202)
		send("PUT", h.Get("Location")+"?digest="+string(configDigest), config, "application/octet-stream", 201)
		m := ocispec.Manifest{
			MediaType: manifest.MediaTypeImage,
			Config:    manifest.Descriptor{MediaType: manifest.MediaTypeConfig, Digest: configDigest, Size: int64(len(config))},
			Layers:    []manifest.Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: layerDigest, Size: int64(len(layer))}},
		}
		m.SchemaVersion = 2
		raw, err := json.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		send("PUT", fmt.Sprintf("/v2/test/pushed/manifests/v%d", i), raw, m.MediaType, 201)
	}
}
