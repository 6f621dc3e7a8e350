package site_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/site"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// The gallery of a registry, at a path of its own.
func ExampleNew_mountBelowAPath() {
	reg, err := registry.New(registry.Config{Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil))})
	if err != nil {
		log.Fatal(err)
	}
	pages, err := site.New(site.Config{Registry: reg, Gallery: gallery.Config{
		Prefix: "/images", Name: "Acme Images", Footer: []gallery.Link{{Text: "Terms", URL: "/terms"}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go pages.Run(ctx) //nolint:errcheck // it returns nil
	mux := http.NewServeMux()
	mux.Handle("/v2/", reg)
	mux.Handle("/images/", pages)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/images/", nil))
	fmt.Println(w.Code, strings.Contains(w.Body.String(), "Acme Images"))
	// Output: 200 true
}
