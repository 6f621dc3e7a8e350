package main

import (
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	x := memindex.New(nil)
	const seed = "acme|hat|3.5|1|10|0|A hat|clothes, head\n\nacme|tools/cap|0|0|400|1|An old cap|\n"
	if n, err := load(t.Context(), x, strings.NewReader(seed)); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	r, err := x.Search(t.Context(), gallery.ParseQuery("clothes"), gallery.Page{})
	if err != nil || len(r.Hits) != 1 || r.Hits[0].Name != "acme/hat" || !r.Hits[0].Verified || r.Hits[0].Pulls != 3162 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, line := range []string{"acme|hat", "acme|hat|x|0|1|0|d|k", "acme|hat|1|0|-1|0|d|k", "|hat|1|0|1|0|d|k", "a|b|99|0|1|0|d|k"} {
		if _, err := load(t.Context(), x, strings.NewReader(line)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", line, err)
		}
	}
}
