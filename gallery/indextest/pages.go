package indextest

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
)

// platforms differ in what is filtered by.
var platforms = []gallery.Document{
	{Name: "acme/one", Description: "hat", Verified: true, Kind: "image", OperatingSystems: []string{"linux"}, Architectures: []string{"amd64", "arm64"}, Pulls: 3},
	{Name: "acme/two", Description: "hat", Verified: true, Kind: "image", OperatingSystems: []string{"linux", "windows"}, Architectures: []string{"amd64"}, Pulls: 2},
	{Name: "acme/three", Description: "hat", Kind: "chart", Pulls: 1},
	{Name: "other/four", Description: "hat", Deprecated: true, Kind: "image", OperatingSystems: []string{"linux"}, Architectures: []string{"s390x"}},
	{Name: "other/five", Description: "cap"},
}

func testFilters(t *testing.T, x gallery.Index) {
	fill(t, x, platforms...)
	for query, want := range map[string][]string{
		"":                              {"acme/one", "acme/two", "acme/three", "other/four", "other/five"},
		"hat":                           {"acme/one", "acme/two", "acme/three", "other/four"},
		"hat publisher:acme":            {"acme/one", "acme/two", "acme/three"},
		"hat publisher:ACME":            {"acme/one", "acme/two", "acme/three"},
		"publisher:other":               {"other/four", "other/five"},
		"hat verified:yes":              {"acme/one", "acme/two"},
		"hat verified:no":               {"acme/three", "other/four"},
		"hat deprecated:yes":            {"other/four"},
		"hat deprecated:no":             {"acme/one", "acme/two", "acme/three"},
		"hat arch:arm64":                {"acme/one"},
		"hat arch:arm64 arch:s390x":     {"acme/one", "other/four"},
		"hat arch:AMD64":                {"acme/one", "acme/two"},
		"hat os:windows":                {"acme/two"},
		"hat os:windows os:linux":       {"acme/one", "acme/two", "other/four"},
		"hat type:chart":                {"acme/three"},
		"type:chart type:image":         {"acme/one", "acme/two", "acme/three", "other/four"},
		"hat os:linux arch:amd64":       {"acme/one", "acme/two"},
		"hat os:windows arch:arm64":     nil,
		"publisher:acme type:image hat": {"acme/one", "acme/two"},
		"publisher:*":                   nil,
	} {
		found(t, x, query, want...)
	}
}

// The counts of a facet say what its own filter could be changed to; all other filters hold.
func testFacets(t *testing.T, x gallery.Index) {
	fill(t, x, platforms...)
	all := gallery.Facets{
		Verified: 2, Kinds: []gallery.Count{{Value: "image", N: 3}, {Value: "chart", N: 1}}, OperatingSystems: []gallery.Count{{Value: "linux", N: 3}, {Value: "windows", N: 1}},
		Architectures: []gallery.Count{{Value: "amd64", N: 2}, {Value: "arm64", N: 1}, {Value: "s390x", N: 1}},
	}
	arm := all // but what has no such image
	arm.Verified = 1
	arm.Kinds, arm.OperatingSystems = []gallery.Count{{Value: "image", N: 1}}, []gallery.Count{{Value: "linux", N: 1}}
	for query, want := range map[string]gallery.Facets{
		"":               all,
		"hat":            all,
		"hat arch:arm64": arm,
		"hat type:chart": {Kinds: all.Kinds, OperatingSystems: []gallery.Count{}, Architectures: []gallery.Count{}},
		"cap":            {Kinds: []gallery.Count{}, OperatingSystems: []gallery.Count{}, Architectures: []gallery.Count{}},
		"qqqqqq":         {Kinds: []gallery.Count{}, OperatingSystems: []gallery.Count{}, Architectures: []gallery.Count{}},
	} {
		r := search(t, x, query, gallery.Page{Limit: 1})
		if diff := gocmp.Diff(want, r.Facets); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}

// orders are how hits must stand, but for relevance.
var orders = map[gallery.Sort]func(a, b gallery.Hit) int{
	gallery.ByRelevance: func(a, b gallery.Hit) int { return cmp.Compare(b.Score, a.Score) },
	gallery.ByPulls:     func(a, b gallery.Hit) int { return cmp.Compare(b.Pulls, a.Pulls) },
	gallery.ByUpdate:    func(a, b gallery.Hit) int { return b.Updated.Compare(a.Updated) },
	gallery.ByName:      func(a, b gallery.Hit) int { return cmp.Compare(a.Name, b.Name) },
}

func testOrders(t *testing.T, x gallery.Index) {
	fill(t, x, hats(60)...)
	for order, compare := range orders {
		for _, query := range []string{"", "hat"} {
			hits := all(t, x, query, gallery.Page{Sort: order, Limit: 100})
			sorted := slices.Clone(hits)
			slices.SortFunc(sorted, func(a, b gallery.Hit) int { return cmp.Or(compare(a, b), cmp.Compare(a.Name, b.Name)) })
			if diff := gocmp.Diff(sorted, hits); len(hits) != 60 || diff != "" {
				t.Errorf("%q by %q: %d hits (-in order +got):\n%s", query, order, len(hits), diff)
			}
		}
	}
}

// Pages are parts of one order, which does not depend on their size.
func testPages(t *testing.T, x gallery.Index) {
	fill(t, x, hats(40)...)
	fill(t, x, shelf...)
	for order := range orders {
		for _, query := range []string{"", "hat", "redis", "publisher:acme", "hat verified:no"} {
			want := all(t, x, query, gallery.Page{Sort: order, Limit: 100})
			for _, limit := range []int{1, 7, 50} {
				if limit == 1 && len(want) > 20 {
					continue // it would take as many searches
				}
				got := all(t, x, query, gallery.Page{Sort: order, Limit: limit})
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("%q by %q: pages of 100 and of %d (-100 +%d):\n%s", query, order, limit, limit, diff)
				}
			}
			seen := map[string]bool{}
			for _, h := range want {
				if seen[h.Name] {
					t.Errorf("%q by %q: %s is there twice", query, order, h.Name)
				}
				seen[h.Name] = true
			}
		}
	}
}

func testLimits(t *testing.T, x gallery.Index) {
	fill(t, x, hats(gallery.MaxPage+20)...)
	for limit, want := range map[int]int{-1: gallery.DefaultPage, 0: gallery.DefaultPage, 1: 1, gallery.MaxPage: gallery.MaxPage, 1 << 30: gallery.MaxPage} {
		r := search(t, x, "hat", gallery.Page{Limit: limit})
		if len(r.Hits) != want || !r.More || r.Total != gallery.MaxPage+20 {
			t.Errorf("limit %d: %d hits of %d, more: %v; want %d", limit, len(r.Hits), r.Total, r.More, want)
		}
	}
}

// Hits of one score are in the order of their names, whatever the order in which they came.
func testEqual(t *testing.T, x gallery.Index) {
	want := []string{"acme/hat/a", "acme/hat/b", "acme/hat/c", "acme/hat/d"}
	for _, i := range []int{2, 0, 3, 1} {
		fill(t, x, gallery.Document{Name: want[i], Description: "felt"})
	}
	for _, query := range []string{"felt", "hat", ""} {
		if diff := gocmp.Diff(want, names(search(t, x, query, gallery.Page{}))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}

// Equal queries have equal answers for as long as nothing changes.
func testRepeat(t *testing.T, x gallery.Index) {
	fill(t, x, shelf...)
	for _, query := range []string{"redis", "postgers", "cache", "message queue", ""} {
		first := search(t, x, query, gallery.Page{})
		for range 3 {
			if diff := gocmp.Diff(first, search(t, x, query, gallery.Page{})); diff != "" {
				t.Errorf("%q (-first +again):\n%s", query, diff)
			}
		}
	}
}
