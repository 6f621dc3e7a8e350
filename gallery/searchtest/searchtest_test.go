package searchtest

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
)

var now = time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)

func TestData(t *testing.T) {
	docs, err := Documents(now)
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) < 3000 {
		t.Errorf("%d repositories, want 3000", len(docs))
	}
	known := make(map[string]*gallery.Document)
	for i, d := range docs {
		if known[d.Name] != nil {
			t.Errorf("%s is there twice", d.Name)
		}
		known[d.Name] = &docs[i]
	}
	qs, err := Queries()
	if err != nil {
		t.Fatal(err)
	}
	others, err := Frozen()
	if err != nil {
		t.Fatal(err)
	}
	qs = append(qs, others...)
	counts := make(map[string]int)
	seen := make(map[string]bool)
	for _, q := range qs {
		counts[q.Stratum]++
		if seen[q.Text] {
			t.Errorf("%q is there twice", q.Text)
		}
		seen[q.Text] = true
		parsed, best := gallery.ParseQuery(q.Text), 0
		for name, g := range q.Grades {
			best = max(best, g)
			d := known[name]
			if d == nil {
				t.Errorf("%q: there is no %s", q.Text, name)
				continue
			}
			if g < 1 || g > 3 {
				t.Errorf("%q: %s has grade %d", q.Text, name, g)
			}
			if parsed.Misses(d) != 0 {
				t.Errorf("%q: the filters exclude %s", q.Text, name)
			}
		}
		if best != 3 {
			t.Errorf("%q: nothing has grade 3", q.Text)
		}
	}
	want := map[string]int{
		"exact": 45, "prefix": 45, "path": 45, "concept": 45,
		"typo": 45, "reference": 45, "trust": 45, "facet": 45,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("queries of each stratum (-want +got):\n%s", diff)
	}
}

func TestFigures(t *testing.T) {
	grades := map[string]int{"a": 3, "b": 2, "c": 1}
	var f Figures
	f.add([]string{"x", "b", "a"}, grades)
	f.add(nil, grades)
	f.mean()
	// The gains are 0, 3, 7 of at best 7, 3, 1; the discounts 1, log2(3), 2.
	ndcg := (3/math.Log2(3) + 7.0/2) / (7 + 3/math.Log2(3) + 1.0/2)
	want := Figures{Queries: 2, Empty: 1, NDCG: ndcg / 2, Success: .5, MRR: 1. / 6}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, f, near); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSubstring(t *testing.T) {
	docs, err := Documents(now)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var s Substring
	for _, d := range docs {
		if err := s.Put(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	judged, err := Queries()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Evaluate(ctx, &s, judged)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%v", r)
	if r.Overall.Queries != 240 || r.Overall.NDCG <= 0 || r.Overall.NDCG >= 1 {
		t.Errorf("overall: %+v", r.Overall)
	}
}
