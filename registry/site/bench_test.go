package site_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// BenchmarkPage makes pages over SQLite, of repositories with few and with very many tags,
// and answers with those that are kept.
func BenchmarkPage(b *testing.B) {
	store, err := sqlmeta.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "meta.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	server := registrytest.New(b, func(c *registry.Config) { c.Store = store })
	for _, n := range []int{100, 100000} {
		name := fmt.Sprintf("test/tags-%d", n)
		d := server.Push(name, registrytest.Image{Layers: [][]byte{{1}}}, "latest")
		repo, err := store.Find(b.Context(), "test", name[len("test/"):])
		if err != nil {
			b.Fatal(err)
		}
		for i := 0; i < n; i += 1000 {
			err := store.Update(b.Context(), func(tx meta.Tx) error {
				for j := i; j < min(i+1000, n); j++ {
					if err := tx.Tags().Put(meta.Tag{Repository: repo.ID, Name: fmt.Sprintf("1.%d.%d", j/100, j%100), Digest: d.Digest, Moved: time.Now()}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	pages := func(cache int64) http.Handler {
		s, err := site.New(site.Config{Registry: server.Registry, Gallery: gallery.Config{CacheBytes: cache}})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	bare, kept := pages(-1), pages(0)
	run := func(name string, h http.Handler, path, etag string, want int) (tag string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Accept", "text/html")
				if etag != "" {
					r.Header.Set("If-None-Match", etag)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != want {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
				tag = w.Header().Get("ETag")
			}
		})
		return tag
	}
	for _, n := range []int{100, 100000} {
		base := fmt.Sprintf("/test/tags-%d", n)
		run(fmt.Sprintf("repository/%d", n), bare, base, "", http.StatusOK)
		run(fmt.Sprintf("tags/%d", n), bare, base+"/-/tags", "", http.StatusOK)
		run(fmt.Sprintf("tags-middle/%d", n), bare, base+"/-/tags?after=1.0.50", "", http.StatusOK)
		run(fmt.Sprintf("tag/%d", n), bare, base+"/-/tag/1.0.1", "", http.StatusOK)
	}
	etag := run("kept", kept, "/test/tags-100", "", http.StatusOK)
	run("304", kept, "/test/tags-100", etag, http.StatusNotModified)
}
