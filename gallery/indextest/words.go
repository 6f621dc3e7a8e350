package indextest

import (
	"slices"
	"testing"

	"github.com/esplanade-registry/esplanade/gallery"
)

func testWords(t *testing.T, x gallery.Index) {
	fill(t, x, shelf...)
	for _, c := range []struct{ query, first, rule string }{
		{"redis", "docker/library/redis", "a whole name, the most popular first"},
		{"REDIS", "docker/library/redis", "case is nothing"},
		{"bitnami redis", "bitnami/redis", "a publisher and a name"},
		{"redis bitnami", "bitnami/redis", "in either order"},
		{"redis cluster", "bitnami/redis-cluster", "words of a name"},
		{"rediscluster", "bitnami/redis-cluster", "a name without its separators"},
		{"fluentbit", "fluent/fluent-bit", "likewise"},
		{"fluent bit", "fluent/fluent-bit", "likewise"},
		{"wardrobe", "acme/tools/wardrobe", "the last part of a name"},
		{"coats", "acme/tools/wardrobe", "a word of the description"},
		{"moths", "acme/tools/wardrobe", "a word of the text"},
		{"browsers redis", "old/redis-ui", "a plural finds the singular"},
		{"sql", "docker/library/postgres", "a keyword"},
		{"postgresql", "docker/library/postgres", "another name"},
		{"pg", "docker/library/postgres", "another name"},
		{"k8s", "kube/pause", "another name, in the description"},
		{"message queue", "rabbitmq/server", "two words of the description"},
		{"redi", "docker/library/redis", "a prefix"},
		{"wardr", "acme/tools/wardrobe", "a prefix of the last part"},
		{"ardrob", "acme/tools/wardrobe", "a part of a name"},
		{".net", "ms/dotnet-runtime", "a word with punctuation that counts"},
		{"ms/dotnet-runtime", "ms/dotnet-runtime", "a name with its alias"},
		{"docker pull x.example/ms/dotnet-runtime:8", "ms/dotnet-runtime", "a pasted command"},
		{"https://x.example/bitnami/redis@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "bitnami/redis", "a pasted reference"},
	} {
		if got := names(search(t, x, c.query, gallery.Page{})); len(got) == 0 || got[0] != c.first {
			t.Errorf("%q: %v, want %s first: %s", c.query, got, c.first, c.rule)
		}
	}
}

// Names that are made to look like a verified one come after what is meant.
func testTrust(t *testing.T, x gallery.Index) {
	fill(t, x, shelf...)
	for query, pair := range map[string][2]string{
		"redis":      {"bitnami/redis-cluster", "redls/redis"},
		"prometheus": {"prometheus/prometheus", "prometeus/prometheus"},
		"prometeus":  {"prometheus/prometheus", "prometeus/prometheus"},
	} {
		got := names(search(t, x, query, gallery.Page{}))
		good, bad := slices.Index(got, pair[0]), slices.Index(got, pair[1])
		if good < 0 || bad >= 0 && bad < good {
			t.Errorf("%q: %s comes before %s: %v", query, pair[1], pair[0], got)
		}
	}
	score := func() float64 {
		r := search(t, x, "prometeus/prometheus", gallery.Page{})
		if len(r.Hits) == 0 || r.Hits[0].Name != "prometeus/prometheus" {
			t.Fatalf("a look-alike is not found by its whole name: %v", names(r))
		}
		return r.Hits[0].Score
	}
	before := score()
	if err := x.Delete(t.Context(), "prometheus/prometheus"); err != nil {
		t.Fatal(err)
	}
	if after := score(); after <= before {
		t.Errorf("a look-alike of what is not there any more has a score of %v, it was %v", after, before)
	}
}

// What nothing has is taken for a slip, and the answer says so.
func testCorrections(t *testing.T, x gallery.Index) {
	fill(t, x, shelf...)
	for query, c := range map[string]struct{ corrected, first string }{
		"redis":           {"", "docker/library/redis"},
		"postgers":        {"postgres", "docker/library/postgres"},
		"wardrbe":         {"wardrobe", "acme/tools/wardrobe"},
		"bitnami rediss":  {"bitnami redis", "bitnami/redis"},
		"promtheus":       {"prometheus", "prometheus/prometheus"},
		"fluentt bit log": {"fluent bit log", "fluent/fluent-bit"},
	} {
		r := search(t, x, query, gallery.Page{})
		if got := names(r); r.Corrected != c.corrected || len(got) == 0 || got[0] != c.first {
			t.Errorf("%q: corrected to %q, %v; want %q, %s first", query, r.Corrected, got, c.corrected, c.first)
		}
	}
}

// A query that nothing answers has an empty page, without an error.
func testNothing(t *testing.T, x gallery.Index) {
	for range 2 { // an empty index, and one that is not
		for _, query := range []string{"qqqqqq", "qqqqqq xxyyzz", "redis publisher:nobody", "arch:riscv64"} {
			r := search(t, x, query, gallery.Page{})
			if len(r.Hits) > 0 || r.Total != 0 || r.More {
				t.Errorf("%q finds %v, %d in all", query, names(r), r.Total)
			}
		}
		fill(t, x, shelf...)
	}
}
