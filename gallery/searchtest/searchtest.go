// Package searchtest measures how well a gallery's search finds what people mean: repositories,
// queries in eight strata with the repositories that answer them, graded, and the usual figures.
//
// The grades say what a person who types the query wants, whatever the words of a description.
// One judge gave those of [Queries] and another those of [Frozen]; no ranker was run while the
// data was written. Of 60 queries that both judged, with as many pairs that neither graded as
// such that one did, Cohen's kappa is 0.69, and 0.82 weighted linearly.
package searchtest

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
)

//go:embed testdata/repositories.txt
var repositories string

//go:embed testdata/queries.txt
var queries string

//go:embed testdata/frozen.txt
var frozen string

// Query is a judged query.
type Query struct {
	Stratum string
	Text    string
	Grades  map[string]int // 3: what is meant, 2: good, 1: related; what is missing is wrong
}

// lines calls f with the fields of each line that is no comment.
func lines(file, text string, fields int, f func([]string) error) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != fields {
			return fmt.Errorf("%s:%d: %d fields, want %d", file, n, len(parts), fields)
		}
		if err := f(parts); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
	}
	return nil
}

// Documents returns the repositories as they are at a time: ages are relative to it, so that
// results do not change as the clock goes on.
func Documents(now time.Time) ([]gallery.Document, error) {
	var docs []gallery.Document
	err := lines("repositories.txt", repositories, 8, func(p []string) error {
		pulls, err := strconv.ParseFloat(p[2], 64)
		if err != nil {
			return err
		}
		days, err := strconv.Atoi(p[4])
		if err != nil {
			return err
		}
		d := gallery.Document{
			Name:        p[0] + "/" + p[1],
			Description: p[6],
			Pulls:       int64(math.Pow(10, pulls)),
			Updated:     now.AddDate(0, 0, -days),
		}
		if d.Verified, err = strconv.ParseBool(p[3]); err != nil {
			return err
		}
		if d.Deprecated, err = strconv.ParseBool(p[5]); err != nil {
			return err
		}
		if p[7] != "" {
			d.Keywords = strings.Split(p[7], ",")
		}
		docs = append(docs, d)
		return nil
	})
	return docs, err
}

// Queries returns the judged queries that rankers may be tuned with.
func Queries() ([]Query, error) { return parse("queries.txt", queries) }

// Frozen returns those that no ranker is tuned with, of another judge: what a ranker comes to
// with queries that its author does not know.
func Frozen() ([]Query, error) { return parse("frozen.txt", frozen) }

func parse(file, text string) ([]Query, error) {
	var qs []Query
	err := lines(file, text, 3, func(p []string) error {
		q := Query{Stratum: p[0], Text: p[1], Grades: make(map[string]int)}
		for _, f := range strings.Fields(p[2]) {
			name, grade, _ := strings.Cut(f, "=")
			g, err := strconv.Atoi(grade)
			if err != nil {
				return err
			}
			if _, ok := q.Grades[name]; ok {
				return fmt.Errorf("%s has two grades", name)
			}
			q.Grades[name] = g
		}
		qs = append(qs, q)
		return nil
	})
	return qs, err
}

// Evaluate asks an index that holds [Documents] some queries.
func Evaluate(ctx context.Context, index gallery.Index, qs []Query) (Report, error) {
	r := Report{Strata: make(map[string]Figures)}
	for _, q := range qs {
		res, err := index.Search(ctx, gallery.ParseQuery(q.Text), gallery.Page{Limit: depth})
		if err != nil {
			return Report{}, fmt.Errorf("%q: %w", q.Text, err)
		}
		names := make([]string, len(res.Hits))
		for i, h := range res.Hits {
			names[i] = h.Name
		}
		f := r.Strata[q.Stratum]
		f.add(names, q.Grades)
		r.Strata[q.Stratum] = f
		r.Overall.add(names, q.Grades)
	}
	r.Overall.mean()
	for s, f := range r.Strata {
		f.mean()
		r.Strata[s] = f
	}
	return r, nil
}

// Judge fails a test if an index that holds [Documents] comes to less than the gate, in nDCG@10,
// with [Queries] or with [Frozen]. It logs the figures of all strata.
func Judge(t testing.TB, index gallery.Index, gate float64) {
	t.Helper()
	for name, queries := range map[string]func() ([]Query, error){"queries": Queries, "frozen": Frozen} {
		qs, err := queries()
		if err != nil {
			t.Fatal(err)
		}
		report, err := Evaluate(t.Context(), index, qs)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s:\n%s", name, report)
		if report.Overall.NDCG < gate {
			t.Errorf("%s: nDCG@10 is %.3f, the gate is %.2f", name, report.Overall.NDCG, gate)
		}
	}
}
