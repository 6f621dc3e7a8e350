// Command gallery shows what a public registry with a gallery looks like when it is in use:
//
//	go run ./examples/gallery
//
// It fills a registry in memory with the repositories of invented publishers: images for
// several platforms, a Helm chart, WebAssembly, a model, files; tags that have moved, and a
// past of two years. A browser sees the gallery at the address that is printed, and any client
// can pull from there. Nothing is downloaded, nothing is kept, and nobody can push. The numbers
// of pulls are made up, and the pages say so.
//
//	go run ./examples/gallery -seed FILE
//	curl '127.0.0.1:5003/-/search?q=redis'
//
// shows the repositories of a file instead, of which there may be tens of thousands: the search
// and the pages without images. There is no registry behind them. Each line of the file is a
// repository:
//
//	alias|name|log10 of pulls|1 if verified|days since update|1 if deprecated|description|keyword,keyword
//
// The flags:
//
//	-addr host:port   where to listen (127.0.0.1:5003)
//	-seed FILE        repositories to show instead of those of the program
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/site"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:5003", "`host:port` to listen on")
	seed := flag.String("seed", "", "`file` of repositories to show instead of the program's own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *seed, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, seed string, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var handler http.Handler
	var greeting string
	if seed == "" {
		d, err := newDemonstration(ctx, time.Now().UTC().Truncate(time.Hour))
		if err != nil {
			return err
		}
		handler, greeting = d, greet(d.repositories)
		go d.pages.Run(ctx) //nolint:errcheck // it returns when ctx ends
	} else {
		pages, n, err := openSeed(ctx, seed)
		if err != nil {
			return err
		}
		handler, greeting = pages, fmt.Sprintf("%d repositories, without images:\n\n  http://ADDRESS/\n  curl 'http://ADDRESS/-/search?q=redis'\n", n)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprint(out, strings.ReplaceAll(greeting, "ADDRESS", listener.Addr().String()))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() }) //nolint:errcheck // the process ends
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// greet says where to look.
func greet(repositories int) string {
	return fmt.Sprintf("%d repositories of invented publishers, with made-up pulls:\n\n", repositories) +
		"  http://ADDRESS/\n" +
		"  http://ADDRESS/quillstone/postgres     an image for four platforms\n" +
		"  http://ADDRESS/quillstone/charts/postgres     a Helm chart\n" +
		"  http://ADDRESS/brambleworks/builder/-/tags    400 tags\n" +
		"  curl 'http://ADDRESS/-/search?q=database'     the same as JSON\n\n" +
		"They can be pulled, too:\n\n" +
		"  docker pull ADDRESS/harbourlight/nginx\n"
}

// demonstration is a registry in memory with its gallery.
type demonstration struct {
	registry     *registry.Registry
	pages        *site.Site
	repositories int
}

// newDemonstration fills a registry as if publishers had pushed to it until now.
func newDemonstration(ctx context.Context, now time.Time) (*demonstration, error) {
	store := memmeta.New()
	tokens := token.New(registry.SigningKeys(store))
	cfg := registry.Config{
		Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil)), Issuer: tokens, Verifier: tokens, AliasDecider: registry.Always{},
	}
	filling, err := registry.New(cfg)
	if err != nil {
		return nil, err
	}
	publishers, layers := allPublishers(), map[string]layer{}
	d := &demonstration{}
	for _, p := range publishers {
		if err := fill(ctx, filling, store, p, layers, now); err != nil {
			return nil, fmt.Errorf("%s: %w", p.alias, err)
		}
		d.repositories += len(p.repositories)
	}
	// a registry remembers what it has read, and the past was written behind the other's back
	if d.registry, err = registry.New(cfg); err != nil {
		return nil, err
	}
	d.pages, err = site.New(site.Config{
		Registry: d.registry, Logger: slog.Default(),
		Proof: "In this demonstration, nobody has checked anything: the publisher is as invented as its images.",
		Gallery: gallery.Config{
			Name:    "Esplanade demo",
			Tagline: "Invented publishers, made-up pulls",
			Metrics: newMadeUp(publishers, now),
			Footer: []gallery.Link{
				{Text: "A demonstration: publishers, images and pull counts are made up", URL: "https://github.com/esplanade-registry/esplanade/tree/main/examples/gallery"},
				{Text: "Esplanade", URL: "https://github.com/esplanade-registry/esplanade"},
			},
		},
	})
	return d, err
}

// ServeHTTP passes the registry what is the registry's, and the rest to the gallery. A
// ServeMux would answer odd paths with redirects of its own, where clients expect the errors of
// the protocol.
func (d *demonstration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch p := r.URL.Path; {
	case p == "/v2", strings.HasPrefix(p, "/v2/"), p == "/token", p == "/token/":
		d.registry.ServeHTTP(w, r)
	default:
		d.pages.ServeHTTP(w, r)
	}
}
