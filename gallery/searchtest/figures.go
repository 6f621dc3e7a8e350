package searchtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// depth is how many hits of a query count: a page that is seen without scrolling.
const depth = 10

// Figures are means over queries, but for the counts.
type Figures struct {
	Queries int
	Empty   int     // queries without results
	NDCG    float64 // nDCG@10
	Success float64 // how often something of grade 2 or 3 is among the first three
	MRR     float64 // of the first hit of grade 3, within the first ten
}

// Report is what [Evaluate] finds.
type Report struct {
	Overall Figures
	Strata  map[string]Figures
}

// String returns the report as a table.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %7s %7s %9s %6s %6s\n", "", "queries", "nDCG@10", "success@3", "MRR", "empty")
	row := func(name string, f Figures) {
		fmt.Fprintf(&b, "%-10s %7d %7.3f %9.3f %6.3f %6d\n", name, f.Queries, f.NDCG, f.Success, f.MRR, f.Empty)
	}
	for _, s := range slices.Sorted(maps.Keys(r.Strata)) {
		row(s, r.Strata[s])
	}
	row("overall", r.Overall)
	return b.String()
}

// add adds a query's figures; mean has to be called in the end.
func (f *Figures) add(names []string, grades map[string]int) {
	f.Queries++
	if len(names) == 0 {
		f.Empty++
	}
	f.NDCG += ndcg(names, grades)
	if slices.ContainsFunc(names[:min(3, len(names))], func(n string) bool { return grades[n] >= 2 }) {
		f.Success++
	}
	first := slices.IndexFunc(names[:min(depth, len(names))], func(n string) bool { return grades[n] == 3 })
	if first >= 0 {
		f.MRR += 1 / float64(first+1)
	}
}

func (f *Figures) mean() {
	if n := float64(f.Queries); n > 0 {
		f.NDCG /= n
		f.Success /= n
		f.MRR /= n
	}
}

// ndcg is how near an order comes to the best one, from 0 to 1.
func ndcg(names []string, grades map[string]int) float64 {
	got := make([]int, len(names))
	for i, n := range names {
		got[i] = grades[n]
	}
	best := slices.Sorted(maps.Values(grades))
	slices.Reverse(best)
	ideal := dcg(best)
	if ideal == 0 {
		return 0
	}
	return dcg(got) / ideal
}

func dcg(grades []int) float64 {
	sum := 0.0
	for i, g := range grades[:min(depth, len(grades))] {
		sum += (math.Exp2(float64(g)) - 1) / math.Log2(float64(i+2)) // rank i+1
	}
	return sum
}
