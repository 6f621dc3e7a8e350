package gallery_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
)

func get(t *testing.T, h http.Handler, path string, want int) (reply struct {
	Results []struct{ Name string }
	Total   int
	Next    string
	Title   string
}) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if w.Code != want {
		t.Fatalf("%s: %d %s, want %d", path, w.Code, w.Body, want)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
		t.Fatalf("%s: %v in %s", path, err, w.Body)
	}
	return reply
}

func TestSearchAsJSON(t *testing.T) {
	t.Parallel()
	x := memindex.New(nil)
	for i, name := range []string{"acme/hat", "acme/hat-box", "other/hat"} {
		d := gallery.Document{Name: name, Verified: i == 0, Pulls: 1 << i, Updated: time.Now(), Architectures: []string{"amd64"}}
		if err := x.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	h := gallery.Handler(x, nil)
	for path, want := range map[string][]string{
		"/-/search?q=acme/hat":                 {"acme/hat", "other/hat", "acme/hat-box"},
		"/-/search?q=hat&verified=yes":         {"acme/hat"},
		"/-/search?q=hat&publisher=other":      {"other/hat"},
		"/-/search?q=hat&arch=amd64&os=plan9":  nil,
		"/-/search?q=scarf":                    nil,
		"/-/search?verified=yes":               {"acme/hat"},
		"/-/search?q=publisher:other&limit=10": {"other/hat"},
	} {
		var names []string
		for _, r := range get(t, h, path, http.StatusOK).Results {
			names = append(names, r.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	first := get(t, h, "/-/search?q=hat&limit=2", http.StatusOK)
	rest := get(t, h, "/-/search?q=hat&limit=2&after="+first.Next, http.StatusOK)
	if first.Total != 3 || len(first.Results) != 2 || len(rest.Results) != 1 || rest.Next != "" {
		t.Errorf("pages: %+v, %+v", first, rest)
	}
	for _, limit := range []string{"0", "-1", "x"} {
		if reply := get(t, h, "/-/search?q=hat&limit="+limit, http.StatusBadRequest); reply.Title == "" {
			t.Errorf("limit %s is refused without a word", limit)
		}
	}
	get(t, gallery.Handler(broken{}, nil), "/-/search?q=hat", http.StatusInternalServerError)
}

// broken is an index that fails.
type broken struct{ gallery.Index }

func (broken) Search(context.Context, gallery.Query, gallery.Page) (gallery.Results, error) {
	return gallery.Results{}, errors.New("the index is away")
}
