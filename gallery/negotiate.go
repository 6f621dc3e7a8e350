package gallery

import (
	"strconv"
	"strings"
)

// wanted returns the format of an answer: what the parameter format says, or else what the
// client accepts.
func (v *visit) wanted() string {
	if f := v.query.Get("format"); f != "" {
		return f
	}
	accept := v.r.Header["Accept"]
	// The search is an interface for programs too, most of which take anything.
	if prefersJSON(accept) || v.path == searchPath && !mentionsHTML(accept) {
		return "json"
	}
	return "html"
}

// prefersJSON reports whether a client wants JSON more than HTML.
func prefersJSON(accept []string) bool {
	json, html := 0.0, 0.0
	for _, h := range accept {
		for part := range strings.SplitSeq(h, ",") {
			kind, params, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "application/json", "application/problem+json":
				json = max(json, quality(params))
			case "text/html", "application/xhtml+xml":
				html = max(html, quality(params))
			}
		}
	}
	return json > html
}

func mentionsHTML(accept []string) bool {
	for _, h := range accept {
		if strings.Contains(strings.ToLower(h), "text/html") {
			return true
		}
	}
	return false
}

// quality reads q of the parameters of an Accept header's entry.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		if name, value, ok := strings.Cut(p, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}
