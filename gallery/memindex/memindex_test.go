package memindex_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/indextest"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
)

// fill makes an index of documents.
func fill(t testing.TB, docs ...gallery.Document) *memindex.Index {
	t.Helper()
	x := memindex.New(nil)
	for _, d := range docs {
		if d.Updated.IsZero() {
			d.Updated = time.Now()
		}
		if err := x.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func search(t testing.TB, x gallery.Index, q string) []string {
	t.Helper()
	r, err := x.Search(t.Context(), gallery.ParseQuery(q), gallery.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range r.Hits {
		names = append(names, h.Name)
	}
	return names
}

// What is deleted or replaced is not found any more, also after the index has been built
// anew on the way.
func TestChanges(t *testing.T) {
	t.Parallel()
	x := fill(t)
	for round := range 4 {
		for i := range 1000 {
			d := gallery.Document{Name: fmt.Sprintf("acme/app-%d", i), Description: fmt.Sprintf("round%d", round)}
			if err := x.Put(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := search(t, x, "round2"); slices.Contains(got, "acme/app-1") && len(got) == 25 {
		if r, _ := x.Search(t.Context(), gallery.Query{Terms: []string{"round2"}}, gallery.Page{}); r.Corrected == "" {
			t.Errorf("what was replaced is found: %v", got)
		}
	}
	for i := range 999 {
		if err := x.Delete(t.Context(), fmt.Sprintf("acme/app-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"acme/app-999"}, search(t, x, "app")); diff != "" {
		t.Errorf("after deleting (-want +got):\n%s", diff)
	}
}

func BenchmarkSearch(b *testing.B) {
	indextest.Benchmark(b, fill(b, indextest.Corpus(100_000)...))
}
