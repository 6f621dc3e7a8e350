package sqlindex_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/indextest"
	"github.com/esplanade-registry/esplanade/gallery/searchtest"
	"github.com/esplanade-registry/esplanade/gallery/sqlindex"
)

func open(t testing.TB, path string, r gallery.Ranker) *sqlindex.Index {
	t.Helper()
	x, err := sqlindex.Open(t.Context(), path, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func temporary(t testing.TB) string { return filepath.Join(t.TempDir(), "a b?c#d%41.db") }

func TestIndex(t *testing.T) {
	t.Parallel()
	indextest.Run(t, func(t *testing.T) gallery.Index { return open(t, temporary(t), nil) })
}

// TestJudged holds the order of hits to what people judged, as that of memindex is.
func TestJudged(t *testing.T) {
	t.Parallel()
	docs, err := searchtest.Documents(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, temporary(t), nil)
	if err := x.PutAll(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	searchtest.Judge(t, x, gate)
}

// gate is at most 0.03 below that of memindex.
const gate = 0.91

func BenchmarkSearch(b *testing.B) {
	x := open(b, temporary(b), nil)
	if err := x.PutAll(b.Context(), indextest.Corpus(100_000)...); err != nil {
		b.Fatal(err)
	}
	indextest.Benchmark(b, x)
}

// BenchmarkPut is one document in one transaction.
func BenchmarkPut(b *testing.B) {
	x := open(b, temporary(b), nil)
	docs := indextest.Corpus(20_000)
	for i := 0; b.Loop(); i++ {
		if err := x.Put(b.Context(), docs[i%len(docs)]); err != nil {
			b.Fatal(err)
		}
	}
}
