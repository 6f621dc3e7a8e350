package gallery

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

// ui has the templates and the static files, as they are written.
//
//go:embed ui/*.tmpl ui/static
var ui embed.FS

// overlaid is the files of the site, with those of the host in the place of their namesakes.
type overlaid struct{ overlay fs.FS }

// read returns a file by its name, or nil where there is none.
func (o overlaid) read(name string) ([]byte, error) {
	if o.overlay != nil {
		raw, err := fs.ReadFile(o.overlay, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return raw, err
		}
	}
	raw, err := ui.ReadFile("ui/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// names returns the names of all files that match a pattern.
func (o overlaid) names(pattern string) ([]string, error) {
	own, err := fs.Glob(ui, "ui/"+pattern)
	if err != nil {
		return nil, err
	}
	for i := range own {
		own[i] = strings.TrimPrefix(own[i], "ui/")
	}
	if o.overlay != nil {
		others, err := fs.Glob(o.overlay, pattern)
		if err != nil {
			return nil, err
		}
		own = append(own, others...)
	}
	slices.Sort(own)
	return slices.Compact(own), nil
}

// staticPath is what the paths of static files begin with. A part that changes with their
// content follows, so that clients may keep them for ever.
const staticPath = "/-/static/"

// assets are the static files by name.
type assets map[string]*answer

func newAssets(files overlaid) (assets, error) {
	names, err := files.names("static/*")
	if err != nil {
		return nil, fmt.Errorf("gallery: static files: %w", err)
	}
	list := assets{}
	for _, name := range names {
		raw, err := files.read(name)
		if err != nil {
			return nil, fmt.Errorf("gallery: %s: %w", name, err)
		}
		if name == "static/style.css" {
			theme, err := files.read("static/theme.css")
			if err != nil {
				return nil, fmt.Errorf("gallery: theme.css: %w", err)
			}
			raw = append(slices.Clip(raw), theme...)
		}
		a := newAnswer(contentType(name), raw)
		a.immutable = true
		list[path.Base(name)] = a
	}
	return list, nil
}

func contentType(name string) string {
	switch path.Ext(name) { // the types that a system knows differ
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// path returns the path of a static file, without the prefix of the site.
func (a assets) path(name string) (string, error) {
	file, ok := a[name]
	if !ok {
		return "", fmt.Errorf("gallery: there is no static file %q", name)
	}
	return staticPath + strings.Trim(file.etag, `"`)[:12] + "/" + name, nil
}

// serve answers with a file, at whose old paths it still is.
func (a assets) serve(w http.ResponseWriter, r *http.Request, rest string, missing func()) {
	_, name, _ := strings.Cut(rest, "/")
	file, ok := a[name]
	if !ok {
		missing()
		return
	}
	if p, _ := a.path(name); p != staticPath+rest {
		// an old page's: what it gets is newer, and must not be kept under the old name
		file = newAnswer(file.contentType, file.body)
	}
	if strings.HasSuffix(name, ".svg") {
		// a host's own, which may be opened by itself
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	}
	file.serve(w, r, true)
}
