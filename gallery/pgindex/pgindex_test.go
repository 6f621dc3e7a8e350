//go:build unix

package pgindex_test

import (
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/indextest"
	"github.com/esplanade-registry/esplanade/gallery/pgindex"
	"github.com/esplanade-registry/esplanade/gallery/searchtest"
	"github.com/esplanade-registry/esplanade/internal/pgtest"
)

func open(t testing.TB, dsn string, r gallery.Ranker) *pgindex.Index {
	t.Helper()
	x, err := pgindex.Open(t.Context(), dsn, r)
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

func TestIndex(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	indextest.Run(t, func(t *testing.T) gallery.Index { return open(t, server.Database(t), nil) })
}

// TestJudged holds the order of hits to what people judged, as that of memindex is.
func TestJudged(t *testing.T) {
	t.Parallel()
	docs, err := searchtest.Documents(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, pgtest.Start(t).Database(t), nil)
	if err := x.PutAll(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	searchtest.Judge(t, x, gate)
}

// gate is at most 0.03 below that of memindex.
const gate = 0.91

func BenchmarkSearch(b *testing.B) {
	x := open(b, pgtest.Start(b).Database(b), nil)
	if err := x.PutAll(b.Context(), indextest.Corpus(100_000)...); err != nil {
		b.Fatal(err)
	}
	indextest.Benchmark(b, x)
}

// BenchmarkPut is one document in one transaction.
func BenchmarkPut(b *testing.B) {
	x := open(b, pgtest.Start(b).Database(b), nil)
	docs := indextest.Corpus(20_000)
	for i := 0; b.Loop(); i++ {
		if err := x.Put(b.Context(), docs[i%len(docs)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutAgain is one document that is there already.
func BenchmarkPutAgain(b *testing.B) {
	x := open(b, pgtest.Start(b).Database(b), nil)
	d := indextest.Corpus(1)[0]
	for b.Loop() {
		if err := x.Put(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}
