package registry_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

func TestZZGallery(t *testing.T) {
	for _, target := range []registry.Target{{Alias: "test"}, {Account: registrytest.Account, Repository: "hat"}, {Account: registrytest.Account}} {
		synctest.Test(t, func(t *testing.T) {
			s := registrytest.New(t)
			g, err := site.New(site.Config{Registry: s.Registry})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- g.Run(ctx) }()
			d := s.Push("test/hat", registrytest.Image{}, "v1").Digest
			time.Sleep(10 * time.Second)
			synctest.Wait()
			get := func(path string) (int, string, string) {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Accept", "application/json")
				w := httptest.NewRecorder()
				g.ServeHTTP(w, r)
				return w.Code, w.Header().Get("Location"), w.Body.String()[:min(200, w.Body.Len())]
			}
			show := func(when string) {
				for _, p := range []string{"/-/search?q=hat", "/-/search?q=" + string(d), "/test/hat", "/test"} {
					a, b, c := get(p)
					t.Log(when, p, a, b, c)
				}
			}
			show("before")
			if err := s.Suspend(ctx, registry.Suspension{Target: target, Hidden: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			show("after ")
			cancel()
			<-done
		})
	}
}
