package gallery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Defaults of [Config].
const (
	DefaultName       = "Gallery"
	DefaultCacheBytes = 16 << 20
	DefaultFresh      = 30 * time.Second
)

// Config is what [New] needs. Source and Index are required.
type Config struct {
	Source Source
	Index  Index
	// Metrics counts pulls. Where it is nil, the pages say that there is no data.
	Metrics Metrics

	// Prefix is the path under which the site is mounted, such as /gallery; "" is the root.
	// The handler wants the whole path, so do not strip it.
	Prefix string
	// PublicURL returns scheme and host of the registry as clients know them, which
	// references and canonical links begin with. From the request's Host, and whether it
	// came over TLS, if nil.
	PublicURL func(*http.Request) string
	// Viewer names what the viewer of a request may see beyond everyone: two with the same
	// name see the same. Pages for "", which is everyone, are cached. Everyone, if nil.
	Viewer func(context.Context) string

	// Name stands in the header and in titles: [DefaultName] if empty.
	Name string
	// Tagline stands on the home page, above the search.
	Tagline string
	// Footer is links at the foot of every page, such as terms of use.
	Footer []Link
	// Report returns the URL where anybody reports a repository to the operator, by its name, such as
	// https://example.com/abuse?repository=acme%2Fhat; the pages have no such link if it is
	// nil, or where it returns "".
	Report func(name string) string
	// Overlay has files that take the place of the site's own, by the same names: templates
	// (layout.tmpl, home.tmpl, ...) and static/ (logo.svg). static/theme.css is added to the
	// style sheet: it may set the CSS variables that style.css begins with.
	Overlay fs.FS

	// CacheBytes bounds the memory of pages: [DefaultCacheBytes] if 0, none if less.
	CacheBytes int64
	// Fresh is how long a page is served again without asking the source, if nothing has
	// told the site of a change: [DefaultFresh] if 0.
	Fresh time.Duration
	// Logger gets what a host should look at; nil logs nothing.
	Logger *slog.Logger
}

// Link is a link to anywhere.
type Link struct{ Text, URL string }

var prefixSyntax = regexp.MustCompile(`^(?:/[A-Za-z0-9._~-]+)+$`)

// resolve checks the configuration and fills in defaults.
func (c Config) resolve() (Config, error) {
	if c.Source == nil || c.Index == nil {
		return c, errors.New("gallery: Config needs a Source and an Index")
	}
	c.Prefix = strings.TrimSuffix(c.Prefix, "/")
	if c.Prefix != "" && !prefixSyntax.MatchString(c.Prefix) || strings.Contains(c.Prefix+"/", "/./") || strings.Contains(c.Prefix+"/", "/../") {
		return c, fmt.Errorf("gallery: Prefix %q is not of the form /path", c.Prefix)
	}
	if c.PublicURL == nil {
		c.PublicURL = func(r *http.Request) string {
			if r.TLS != nil {
				return "https://" + r.Host
			}
			return "http://" + r.Host
		}
	}
	if c.Viewer == nil {
		c.Viewer = func(context.Context) string { return "" }
	}
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Tagline == "" {
		c.Tagline = "Container images for everyone"
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.Fresh == 0 {
		c.Fresh = DefaultFresh
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
