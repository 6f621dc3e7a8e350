package gallery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

// parseTemplates makes a template of each page: layout.tmpl and the parts, whose names begin
// with an underscore, with the page's own file.
func parseTemplates(files overlaid, functions template.FuncMap) (map[string]*template.Template, error) {
	names, err := files.names("*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("gallery: templates: %w", err)
	}
	shared := template.New("site").Funcs(functions).Option("missingkey=error")
	read := func(t *template.Template, name string) error {
		text, err := files.read(name)
		if err == nil {
			_, err = t.New(name).Parse(string(text))
		}
		if err != nil {
			return fmt.Errorf("gallery: %s: %w", name, err)
		}
		return nil
	}
	var pages []string
	for _, name := range names {
		if name != "layout.tmpl" && !strings.HasPrefix(name, "_") {
			pages = append(pages, name)
			continue
		}
		if err := read(shared, name); err != nil {
			return nil, err
		}
	}
	list := map[string]*template.Template{}
	for _, name := range pages {
		t, err := shared.Clone()
		if err != nil {
			return nil, fmt.Errorf("gallery: %s: %w", name, err)
		}
		if err := read(t, name); err != nil {
			return nil, err
		}
		list[strings.TrimSuffix(name, ".tmpl")] = t.Lookup("layout.tmpl")
	}
	return list, nil
}

// samples are pages with next to nothing on them, by template.
var samples = map[string]any{
	"home": homePage{}, "search": searchPage{}, "publisher": publisherPage{}, "repository": repositoryPage{Image: &imageView{}}, "tags": tagsPage{},
	"image": imagePage{Image: &imageView{}}, "pulls": pullsPage{}, "history": historyPage{}, "badge": badgesPage{}, "help": helpPage{}, "api": apiPage{}, "error": &Error{},
}

// try executes every template, so that what is wrong with a host's is found at start.
func (s *Site) try() error {
	for name, sample := range samples {
		v := &visit{Site: s}
		if _, err := v.html(name, &layout{Page: sample}); err != nil {
			return err
		}
	}
	return nil
}

// layout is what every template gets.
type layout struct {
	Site        string // name
	Tagline     string
	Title       string
	Description string
	Canonical   string // whole URL, "" for none
	Noindex     bool
	Feed        string // path
	JSON        string // path of the same page as JSON
	Theme       string // light, dark or ""
	Path        string // of this page, for coming back to it
	Query       string // what was searched for
	Host        string // first part of references
	Origin      string
	Footer      []Link
	Linked      template.JS // JSON-LD
	Page        any
}

// contentTypes of the formats that every page has.
const (
	typeHTML    = "text/html; charset=utf-8"
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
	typeText    = "text/plain; charset=utf-8"
)

// render makes the answer of a page in the format that is wanted.
func (v *visit) render(p *page) (*answer, error) {
	if p.raw != nil {
		a := newAnswer(p.raw.contentType, p.raw.body)
		a.noindex, a.immutable, a.shared = p.noindex, p.raw.immutable, p.raw.shared
		return a, nil
	}
	switch v.format {
	case "html":
		body, err := v.html(p.template, v.layout(p))
		if err != nil {
			return nil, err
		}
		a := newAnswer(typeHTML, body)
		a.noindex = p.noindex
		return a, nil
	case "json":
		body, err := json.Marshal(p.data)
		if err != nil {
			return nil, fmt.Errorf("gallery: %w", err)
		}
		a := newAnswer(typeJSON, append(body, '\n'))
		a.noindex = true
		return a, nil
	}
	return nil, badRequest("This page has no format of that name.")
}

func (v *visit) layout(p *page) *layout {
	l := &layout{
		Site: v.cfg.Name, Tagline: v.cfg.Tagline, Title: p.title, Description: p.description, Noindex: p.noindex, Theme: v.theme,
		Path: v.here(v.r.URL.RawQuery), Query: v.query.Get("q"), Host: v.host(), Origin: v.origin, Footer: v.cfg.Footer, Page: p.data,
	}
	if v.path != searchPath {
		l.Query = ""
	}
	if p.canonical != "" {
		l.Canonical = v.origin + v.cfg.Prefix + p.canonical
	}
	if p.feed != "" {
		l.Feed = v.cfg.Prefix + p.feed
	}
	if p.data != nil {
		q := v.r.URL.Query()
		q.Set("format", "json")
		l.JSON = v.here(q.Encode())
	}
	if p.linked != nil {
		if raw, err := json.Marshal(p.linked); err == nil { // which escapes <, > and &
			l.Linked = template.JS(raw)
		}
	}
	return l
}

// here returns the path of the page, however the request has spelled it.
func (v *visit) here(query string) string {
	return (&url.URL{Path: v.cfg.Prefix + v.path, RawQuery: query}).RequestURI()
}

// html executes a template into memory, so that a failure never leaves half a page.
func (v *visit) html(name string, l *layout) ([]byte, error) {
	t, ok := v.templates[name]
	if !ok {
		return nil, fmt.Errorf("gallery: there is no template %s.tmpl", name)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, l); err != nil {
		return nil, fmt.Errorf("gallery: %w", err)
	}
	return out.Bytes(), nil
}

// renderError makes the page of an error, or the problem document of RFC 9457.
func (v *visit) renderError(e *Error) (*answer, error) {
	if v.format != "html" {
		body, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("gallery: %w", err)
		}
		return newAnswer(typeProblem, body), nil
	}
	p := &page{title: http.StatusText(e.Status), noindex: true}
	l := v.layout(p)
	l.Page = e
	body, err := v.html("error", l)
	if err != nil {
		return nil, err
	}
	return newAnswer(typeHTML, body), nil
}
