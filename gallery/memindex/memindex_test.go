package memindex_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
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
}

func TestSearch(t *testing.T) {
	t.Parallel()
	x := fill(t, shelf...)
	for q, want := range map[string]string{
		"redis":         "docker/library/redis",
		"redi":          "docker/library/redis", // a prefix
		"bitnami redis": "bitnami/redis",
		"redis cluster": "bitnami/redis-cluster",
		"rediscluster":  "bitnami/redis-cluster",
		"postgresql":    "docker/library/postgres", // another name
		"pg":            "docker/library/postgres",
		"postgers":      "docker/library/postgres", // a slip
		"fluentbit":     "fluent/fluent-bit",
		"fluent bit":    "fluent/fluent-bit",
		"k8s":           "kube/pause",
		"message queue": "rabbitmq/server",
		".net":          "ms/dotnet-runtime",
		"docker pull x.example/ms/dotnet-runtime:8": "ms/dotnet-runtime",
		"publisher:bitnami redis":                   "bitnami/redis",
		"database verified:yes":                     "docker/library/postgres",
		"arch:arm64":                                "ms/dotnet-runtime",
		"is:deprecated redis":                       "old/redis-ui",
	} {
		if got := search(t, x, q); len(got) == 0 || got[0] != want {
			t.Errorf("%q: %v, want %s first", q, got, want)
		}
	}
	got := search(t, x, "redis")
	if at := slices.Index(got, "redls/redis"); at >= 0 && at < 3 {
		t.Errorf("a look-alike of a verified publisher comes %d.: %v", at+1, got)
	}
	if got := search(t, x, "qqqqqq"); len(got) > 0 {
		t.Errorf("nonsense finds %v", got)
	}
	r, err := x.Search(t.Context(), gallery.ParseQuery("postgers"), gallery.Page{})
	if err != nil || r.Corrected != "postgres" {
		t.Errorf("corrected to %q, %v", r.Corrected, err)
	}
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
	for _, name := range []string{"", "a", "a/", "/b"} {
		if err := x.Put(t.Context(), gallery.Document{Name: name}); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	var docs []gallery.Document
	for i := range 260 {
		docs = append(docs, gallery.Document{Name: fmt.Sprintf("acme/hat-%03d", i), Pulls: int64(i % 7)})
	}
	x := fill(t, docs...)
	var all []string
	page := gallery.Page{Limit: 100}
	for {
		r, err := x.Search(t.Context(), gallery.ParseQuery("hat"), page)
		if err != nil || r.Total != len(docs) {
			t.Fatalf("%d in all, %v", r.Total, err)
		}
		for _, h := range r.Hits {
			all = append(all, h.Name)
		}
		if !r.More {
			break
		}
		page.After = r.Hits[len(r.Hits)-1].Name
	}
	if slices.Sort(all); len(slices.Compact(all)) != len(docs) {
		t.Errorf("%d of %d on all pages", len(all), len(docs))
	}
}

// corpus makes documents with words that are as unequal as those of languages.
func corpus(n int) (docs []gallery.Document) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string { return fmt.Sprintf("w%d", int(1/(r.Float64()+1e-5))) }
	for i := range n {
		d := gallery.Document{Name: fmt.Sprintf("pub%d/%s-%s%d", i%5000, word(), word(), i), Pulls: int64(1 / (r.Float64() + 1e-9)), Updated: time.Now()}
		for range 12 {
			d.Description += word() + " "
		}
		docs = append(docs, d)
	}
	return docs
}

func BenchmarkSearch(b *testing.B) {
	const repositories = 100_000
	x := fill(b, corpus(repositories)...)
	for name, q := range map[string]string{"common": "w1 w2", "rare": "w4711 w99", "typo": "wx4711q", "prefix": "w47", "publisher": "pub17"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				search(b, x, q)
			}
		})
	}
}
