package gallery

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
)

// SearchPath is where [Handler] answers searches.
const SearchPath = "/-/search"

// resultsJSON is a page of hits.
type resultsJSON struct {
	Results   []Document `json:"results"`
	Total     int        `json:"total"`
	Corrected string     `json:"corrected,omitempty"`
	Next      string     `json:"next,omitempty"` // the after of the next page
	Facets    Facets     `json:"facets"`
}

// Handler answers GET of [SearchPath] with what an index finds, as JSON. The parameters are
// q (see [ParseQuery]), limit, after (the next of the page before), and the filters publisher,
// verified, deprecated, arch, os and type. The logger gets failures of the index; nil logs
// nothing.
func Handler(index Index, logger *slog.Logger) http.Handler {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+SearchPath, func(w http.ResponseWriter, r *http.Request) {
		params := r.URL.Query()
		q := ParseQuery(params.Get("q"))
		for _, name := range []string{"publisher", "verified", "deprecated", "arch", "os", "type"} {
			if value := params.Get(name); value != "" {
				q.filter(name + ":" + value)
			}
		}
		page := Page{After: params.Get("after")}
		if s := params.Get("limit"); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 {
				reply(w, http.StatusBadRequest, problem{Title: "limit is no number of 1 or more", Status: http.StatusBadRequest})
				return
			}
			page.Limit = n
		}
		found, err := index.Search(r.Context(), q, page)
		if err != nil {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // there is nobody to answer
			}
			logger.ErrorContext(r.Context(), "search failed", "error", err)
			reply(w, http.StatusInternalServerError, problem{Title: "the search failed", Status: http.StatusInternalServerError})
			return
		}
		out := resultsJSON{Results: []Document{}, Total: found.Total, Corrected: found.Corrected, Facets: found.Facets}
		for _, h := range found.Hits {
			out.Results = append(out.Results, h.Document)
		}
		if found.More {
			out.Next = found.Hits[len(found.Hits)-1].Name
		}
		reply(w, http.StatusOK, out)
	})
	return mux
}

// problem is an error (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
}

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"title":"the reply cannot be written","status":500}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if status != http.StatusOK {
		h.Set("Content-Type", "application/problem+json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client has gone
}
