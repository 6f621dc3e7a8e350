package site

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

// DefaultProof is what pages say of verified publishers.
const DefaultProof = "The operator of this registry has checked who this publisher is."

// Config is what [New] needs. Registry is required.
type Config struct {
	Registry *registry.Registry
	// Index is the search: memindex.New(nil) if nil. It has to be empty unless it is a
	// [gallery.Keeper], and nobody else's but that of other nodes of the same registry.
	Index gallery.Index
	// Viewer says who looks at a page, for hosts that show more to some. The pages then have
	// what that principal may pull; the search always has what everyone may. Everyone is
	// anonymous if it is nil.
	Viewer func(context.Context) auth.Principal
	// Proof says what the verification of publishers rests on, in a sentence:
	// [DefaultProof] if empty.
	Proof string
	// Gallery is how the pages look. Its Source, Index, Viewer and PublicURL are set by New.
	Gallery gallery.Config
	// Logger gets what a host should look at; nil logs nothing.
	Logger *slog.Logger
}

// Site is a gallery of a registry.
type Site struct {
	cfg     Config
	gallery *gallery.Site
	feeder  *feeder
}

// New returns the gallery of a registry. Its search is what the index has until [Site.Run]
// runs.
func New(cfg Config) (*Site, error) {
	if cfg.Registry == nil {
		return nil, errors.New("site: Config needs a Registry")
	}
	if cfg.Index == nil {
		cfg.Index = memindex.New(nil)
	}
	if cfg.Proof == "" {
		cfg.Proof = DefaultProof
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	digests, err := lru.New[manifest.Digest, string](knownDigests)
	if err != nil {
		return nil, err
	}
	src := &source{reg: cfg.Registry, viewer: cfg.Viewer, proof: cfg.Proof, metrics: cfg.Gallery.Metrics, digests: digests}
	g := cfg.Gallery
	g.Source, g.Index, g.PublicURL = src, cfg.Index, cfg.Registry.PublicURL
	if g.Logger == nil {
		g.Logger = cfg.Logger
	}
	if cfg.Viewer != nil {
		g.Viewer = func(ctx context.Context) string {
			if p := cfg.Viewer(ctx); !p.IsAnonymous() {
				return p.String()
			}
			return ""
		}
	}
	pages, err := gallery.New(g)
	if err != nil {
		return nil, err
	}
	everyone := &source{reg: cfg.Registry, proof: cfg.Proof, metrics: cfg.Gallery.Metrics, digests: digests, feeds: true}
	return &Site{cfg: cfg, gallery: pages, feeder: newFeeder(everyone, cfg.Index, pages.Changed, cfg.Logger)}, nil
}

// ServeHTTP implements [http.Handler].
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.gallery.ServeHTTP(w, r) }

// Run fills the index with what the registry has, deletes what else is in it, and follows the
// registry's changes until ctx ends. It returns nil then. Without it nothing new is found.
func (s *Site) Run(ctx context.Context) error { return s.feeder.run(ctx) }
