// Package indextest is what every gallery.Index must do, as a test.
package indextest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Run tests an implementation. Open returns an empty index, which it closes when the test
// ends.
func Run(t *testing.T, open func(t *testing.T) gallery.Index) {
	for _, c := range []struct {
		name string
		test func(*testing.T, gallery.Index)
	}{
		{"words", testWords},
		{"trust", testTrust},
		{"corrections", testCorrections},
		{"nothing", testNothing},
		{"whole documents", testDocuments},
		{"replace and delete", testChanges},
		{"names", testNames},
		{"what is kept", testKeeper},
		{"filters", testFilters},
		{"facets", testFacets},
		{"orders", testOrders},
		{"pages", testPages},
		{"limits", testLimits},
		{"equal scores", testEqual},
		{"equal answers", testRepeat},
		{"hostile queries", testHostileQueries},
		{"hostile documents", testHostileDocuments},
		{"ended contexts", testContexts},
		{"concurrency", testConcurrency},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// fill puts documents into an index. Those without a time are of today.
func fill(t testing.TB, x gallery.Index, docs ...gallery.Document) {
	t.Helper()
	for _, d := range docs {
		if d.Updated.IsZero() {
			d.Updated = time.Now().UTC().Truncate(24 * time.Hour)
		}
		if err := x.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
}

func search(t testing.TB, x gallery.Index, q string, page gallery.Page) gallery.Results {
	t.Helper()
	r, err := x.Search(t.Context(), gallery.ParseQuery(q), page)
	if err != nil {
		t.Fatalf("%q: %v", q, err)
	}
	return r
}

func names(r gallery.Results) (list []string) {
	for _, h := range r.Hits {
		list = append(list, h.Name)
	}
	return list
}

// found compares the names of the hits of a query, in whatever order.
func found(t testing.TB, x gallery.Index, q string, want ...string) {
	t.Helper()
	got := names(search(t, x, q, gallery.Page{}))
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q (-want +got):\n%s", q, diff)
	}
}

// all reads every page of a query, and holds them to each other.
func all(t testing.TB, x gallery.Index, q string, page gallery.Page) (hits []gallery.Hit) {
	t.Helper()
	for {
		r := search(t, x, q, page)
		hits = append(hits, r.Hits...)
		if len(r.Hits) > page.Size() {
			t.Fatalf("%q: a page of %d hits, at most %d are wanted", q, len(r.Hits), page.Size())
		}
		if !r.More {
			if len(hits) != r.Total {
				t.Errorf("%q: %d hits on all pages, the total is %d", q, len(hits), r.Total)
			}
			return hits
		}
		if len(r.Hits) < page.Size() || len(hits) > r.Total {
			t.Fatalf("%q: %d hits on a page and %d so far, of %d, and there are more", q, len(r.Hits), len(hits), r.Total)
		}
		page.After = r.Hits[len(r.Hits)-1].Name
	}
}

// shelf is what most tests search in.
var shelf = []gallery.Document{
	{Name: "docker/library/redis", Description: "In-memory data store, cache and message broker", Keywords: []string{"cache", "database"}, Pulls: 1e9, Verified: true},
	{Name: "bitnami/redis", Description: "Redis packaged by Bitnami", Pulls: 1e8, Verified: true, Keywords: []string{"cache"}},
	{Name: "bitnami/redis-cluster", Description: "Redis with sharding", Pulls: 1e7, Verified: true},
	{Name: "redls/redis", Description: "redis redis redis redis", Pulls: 10},
	{Name: "docker/library/postgres", Description: "Object-relational database", Keywords: []string{"sql", "database"}, Pulls: 1e9, Verified: true},
	{Name: "fluent/fluent-bit", Description: "Log processor and forwarder", Keywords: []string{"logging"}, Pulls: 1e8},
	{Name: "kube/pause", Description: "Holds the namespaces of a Kubernetes pod", Pulls: 1e8},
	{Name: "rabbitmq/server", Description: "A message queue for everybody", Pulls: 1e8, Verified: true},
	{Name: "old/redis-ui", Description: "A browser for redis", Deprecated: true, Pulls: 1e5},
	{Name: "ms/dotnet-runtime", Description: "The .NET runtime", Pulls: 1e7, Architectures: []string{"amd64", "arm64"}, OperatingSystems: []string{"linux"}},
	{Name: "acme/tools/wardrobe", Description: "Keeps coats", Text: "It has a hanger for each coat, and moths are unwelcome.", Pulls: 1e3},
	{Name: "prometheus/prometheus", Description: "Monitoring system", Pulls: 1e9, Verified: true},
	{Name: "prometeus/prometheus", Description: "Monitoring system, official", Pulls: 50},
}

// hats makes documents that differ in what is not found by words.
func hats(n int) (docs []gallery.Document) {
	for i := range n {
		docs = append(docs, gallery.Document{
			Name: fmt.Sprintf("acme/hat-%03d", i*7%n), Description: "A hat", Pulls: int64(i % 7),
			Updated: time.Date(2025, 1, 1+i%5, 0, 0, 0, 0, time.UTC),
		})
	}
	return docs
}
