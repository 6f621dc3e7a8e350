package memindex_test

import (
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/gallery/memindex"
	"github.com/esplanade-registry/esplanade/gallery/searchtest"
)

// TestJudged holds the order of hits to what people judged: less than the gate is a step
// back.
func TestJudged(t *testing.T) {
	t.Parallel()
	docs, err := searchtest.Documents(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	x := memindex.New(nil)
	for _, d := range docs {
		if err := x.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	searchtest.Judge(t, x, gate)
}

// gate is a little below what was reached last. A plain substring ranker comes to 0.63.
const gate = 0.93
