// Package searchtest measures how well a gallery's search finds what people mean: repositories,
// queries in eight strata with the repositories that answer them, graded, and the usual figures.
//
// The grades say what a person who types the query wants, whatever the words of a description.
// One judge gave them, and no ranker was run while the data was written. Whoever tunes a ranker
// with a part of it should quote the figures of the rest.
package searchtest

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
)

//go:embed testdata/repositories.txt
var repositories string

//go:embed testdata/queries.txt
var queries string

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

// Queries returns the judged queries.
func Queries() ([]Query, error) {
	var qs []Query
	err := lines("queries.txt", queries, 3, func(p []string) error {
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

// Evaluate asks an index that holds [Documents] all [Queries].
func Evaluate(ctx context.Context, index gallery.Index) (Report, error) {
	qs, err := Queries()
	if err != nil {
		return Report{}, err
	}
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
