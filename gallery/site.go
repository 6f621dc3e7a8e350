package gallery

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/gallery/markdown"
	"github.com/esplanade-registry/esplanade/manifest"
)

// Site is the handler of a gallery. It is safe for concurrent use.
type Site struct {
	cfg       Config
	templates map[string]*template.Template
	assets    assets
	pages     pageCache
	markdown  *markdown.Renderer
	texts     *manifest.Cache[string, template.HTML] // rendered Markdown by prefix and text
	openAPI   []byte
	guard     *http.CrossOriginProtection
}

// New checks the configuration, reads the templates and returns the site. Nothing runs yet.
func New(cfg Config) (*Site, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	s := &Site{
		cfg: cfg, pages: newPageCache(cfg.CacheBytes, cfg.Fresh), markdown: markdown.New(), guard: http.NewCrossOriginProtection(),
		texts: manifest.NewCache(cfg.CacheBytes/4, func(text string, html template.HTML) int64 { return int64(len(text) + len(html)) }),
	}
	files := overlaid{cfg.Overlay}
	if s.assets, err = newAssets(files); err != nil {
		return nil, err
	}
	if s.templates, err = parseTemplates(files, s.functions()); err != nil {
		return nil, err
	}
	if s.openAPI, err = openAPI(cfg.Prefix); err != nil {
		return nil, err
	}
	return s, s.try()
}

// Changed tells the site that what it shows has changed: of a repository (alias/repository),
// of a publisher (an alias), or of everything (""). Lists that the index answers count as
// changed with each of them. Without being told, pages are up to date within [Config.Fresh].
func (s *Site) Changed(name string) { s.pages.changed(name) }

// visit is one request on its way.
type visit struct {
	*Site
	r      *http.Request
	query  url.Values
	path   string // without the prefix
	origin string // scheme and host of the registry
	theme  string // light or dark, if the visitor has chosen one
	format string // html, json, or another that the page knows
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// host is the first part of references.
func (v *visit) host() string {
	_, host, _ := strings.Cut(v.origin, "://")
	return host
}

// page is what a route answers with, in one of its formats.
type page struct {
	template    string // without its ending
	title       string
	description string
	canonical   string // path, without the prefix; "" for none
	noindex     bool
	feed        string // path of an Atom feed
	data        any    // what the template and JSON show
	linked      any    // JSON-LD about it
	raw         *raw   // instead of all that
}

// raw is an answer that no template makes.
type raw struct {
	contentType string
	body        []byte
	immutable   bool   // the URL will always answer the same
	shared      bool   // pages of others may show it
	redirect    string // where to look instead, with status
	status      int
}

// ServeHTTP implements [http.Handler].
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	path, ok := strings.CutPrefix(r.URL.Path, s.cfg.Prefix)
	if ok && path == "" && s.cfg.Prefix != "" {
		http.Redirect(w, r, (&url.URL{Path: s.cfg.Prefix + "/", RawQuery: r.URL.RawQuery}).String(), http.StatusPermanentRedirect)
		return
	}
	v := &visit{Site: s, r: r, path: path, origin: s.cfg.PublicURL(r), theme: themeOf(r), format: "html"}
	if !ok || !canBePage(path) {
		v.fail(w, notFound("There is no such page."))
		return
	}
	if path == themePath {
		v.setTheme(w)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		v.fail(w, &Error{Status: http.StatusMethodNotAllowed, Title: "This page can only be read."})
		return
	}
	if rest, ok := strings.CutPrefix(path, staticPath); ok {
		s.assets.serve(w, r, rest, func() { v.fail(w, notFound("There is no such file.")) })
		return
	}
	public := s.cfg.Viewer(r.Context()) == ""
	key := ""
	if public && len(r.URL.RawQuery) <= maxCachedQuery {
		key = v.key()
		if p := s.pages.get(key); p != nil {
			p.serve(w, r, public)
			return
		}
	}
	v.query = r.URL.Query()
	v.format = v.wanted()
	stamps := s.pages.stamps(path)
	p, err := v.route()
	if err != nil {
		v.fail(w, err)
		return
	}
	if p.raw != nil && p.raw.redirect != "" {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header()["Vary"] = vary
		http.Redirect(w, r, p.raw.redirect, p.raw.status)
		return
	}
	out, err := v.render(p)
	if err != nil {
		v.fail(w, err)
		return
	}
	if key != "" {
		s.pages.add(key, out, stamps)
	}
	out.serve(w, r, public)
}

// The longest path and query that are looked at, in bytes. A name has at most 255, a digest
// 135.
const (
	maxPath        = 1024
	maxCachedQuery = 512
)

// canBePage reports whether a path can lead anywhere. One with an empty part cannot, and in a
// redirect it could be taken for another host.
func canBePage(path string) bool {
	return strings.HasPrefix(path, "/") && len(path) <= maxPath && !strings.Contains(strings.TrimRight(path, "/"), "//") && !strings.HasPrefix(path, "//")
}

// key names all that an answer depends on.
func (v *visit) key() string {
	accept := "h"
	switch h := v.r.Header.Values("Accept"); {
	case prefersJSON(h):
		accept = "j"
	case !mentionsHTML(h):
		accept = "a"
	}
	return accept + v.theme + "|" + v.origin + "|" + v.path + "?" + v.r.URL.RawQuery
}

// route finds the page of a path.
func (v *visit) route() (*page, error) {
	if v.path == "/" {
		return v.home()
	}
	if file, ok := strings.CutPrefix(v.path, LogoPath); ok {
		return v.logo(file)
	}
	if trimmed := strings.TrimRight(v.path, "/"); trimmed != v.path {
		return &page{raw: &raw{redirect: (&url.URL{Path: v.cfg.Prefix + trimmed, RawQuery: v.r.URL.RawQuery}).String(), status: http.StatusMovedPermanently}}, nil
	}
	if rest, ok := strings.CutPrefix(v.path, "/-/"); ok {
		if f, ok := siteRoutes[rest]; ok {
			return f(v)
		}
		return nil, notFound("There is no such page.")
	}
	switch v.path {
	case "/robots.txt":
		return v.robots()
	case "/favicon.ico": // which browsers ask for beside what is no HTML
		logo, err := v.assets.path("logo.svg")
		return &page{raw: &raw{redirect: v.cfg.Prefix + logo, status: http.StatusFound}}, err
	}
	name, view, _ := strings.Cut(v.path[1:], "/-/")
	if manifest.CheckName(name) != nil {
		return nil, v.unknown(name)
	}
	if !strings.Contains(name, "/") {
		switch {
		case v.path == "/"+name:
			return v.publisher(name)
		case view == "feed.atom":
			return v.publisherFeed(name)
		}
		return nil, notFound("A publisher has no such page.")
	}
	if v.path == "/"+name {
		return v.repository(name)
	}
	noun, ref, more := strings.Cut(view, "/")
	if f, ok := viewRoutes[noun]; ok && !more {
		return f(v, name)
	}
	if f, ok := refRoutes[noun]; ok && more && ref != "" {
		return f(v, name, ref)
	}
	return nil, notFound("A repository has no such page.")
}

// siteRoutes are the pages below /-/.
var siteRoutes = map[string]func(*visit) (*page, error){
	"search": (*visit).search, "search.atom": (*visit).searchFeed, "suggest": (*visit).suggest, "help": (*visit).help, "api": (*visit).api,
	"openapi.json": (*visit).openAPIFile, "opensearch.xml": (*visit).openSearch, "sitemap.xml": (*visit).sitemap, "healthz": (*visit).healthz,
}

// viewRoutes are the views of a repository.
var viewRoutes = map[string]func(*visit, string) (*page, error){
	"tags": (*visit).tags, "pulls": (*visit).pulls, "history": (*visit).history, "feed.atom": (*visit).feed, "badge": (*visit).badges, "pull": (*visit).pull,
}

// refRoutes are those with something after them.
var refRoutes = map[string]func(*visit, string, string) (*page, error){
	"tag": (*visit).tag, "digest": (*visit).digest, "badge": (*visit).badge,
}

// Error is what a page answers with instead.
type Error struct {
	Status int        `json:"status"`
	Title  string     `json:"title"`
	Detail string     `json:"detail,omitempty"`
	Near   []Document `json:"-"` // what may have been meant
}

// Error returns the title.
func (e *Error) Error() string { return e.Title }

func notFound(title string) *Error { return &Error{Status: http.StatusNotFound, Title: title} }

func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Title: fmt.Sprintf(format, args...)}
}

// fail answers with an error. Only those that are [*Error] have words for the visitor.
func (v *visit) fail(w http.ResponseWriter, err error) {
	if v.query == nil {
		v.query = v.r.URL.Query()
		v.format = v.wanted()
	}
	e := (*Error)(nil)
	switch {
	case errors.As(err, &e):
	case v.ctx().Err() != nil:
		panic(http.ErrAbortHandler) // there is nobody to answer
	case errors.Is(err, fs.ErrNotExist):
		e = notFound("There is no such page.")
	default:
		v.cfg.Logger.ErrorContext(v.ctx(), "a page failed", "path", v.r.URL.Path, "error", err)
		e = &Error{Status: http.StatusInternalServerError, Title: "Something went wrong here.", Detail: "It has been noted. Try again in a moment."}
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h["Vary"] = vary
	out, err := v.renderError(e)
	if err != nil {
		v.cfg.Logger.ErrorContext(v.ctx(), "the error page failed", "path", v.r.URL.Path, "error", err)
		http.Error(w, e.Title, e.Status)
		return
	}
	h.Set("Content-Type", out.contentType)
	w.WriteHeader(e.Status)
	w.Write(out.body) //nolint:errcheck // the client has gone
}

// unknown is the error of a name that leads nowhere, with what is near it.
func (v *visit) unknown(name string) error {
	e := notFound("There is no such repository or publisher.")
	e.Detail = "It may have been deleted or renamed, or not be public."
	if len(name) > manifest.MaxName {
		return e
	}
	found, err := v.cfg.Index.Search(v.ctx(), ParseQuery(strings.ReplaceAll(name, "/", " ")), Page{Limit: 5})
	if err != nil {
		return err
	}
	e.Near = documents(found)
	return e
}

// missing turns the error of a source about a name into one for the visitor.
func (v *visit) missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return v.unknown(name)
	}
	return err
}

// today is the day that ages are counted from, so that a page is the same for a while.
func today() time.Time { return time.Now().UTC() }
