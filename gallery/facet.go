package gallery

import (
	"cmp"
	"slices"
	"strings"
)

// Facets counts what the hits of a query would be with another filter: for each value, the
// documents that have it and for which all filters hold but those about the same thing.
type Facets struct {
	Verified         int     `json:"verified"`
	Kinds            []Count `json:"types"`
	OperatingSystems []Count `json:"operatingSystems"`
	Architectures    []Count `json:"architectures"`
}

// Count is how many documents have a value.
type Count struct {
	Value string `json:"value"`
	N     int    `json:"count"`
}

// Filters is a set of the filters of a [Query].
type Filters uint8

// The filters.
const (
	FilterPublisher Filters = 1 << iota
	FilterVerified
	FilterDeprecated
	FilterArchitecture
	FilterOS
	FilterKind
)

// Misses returns the filters of the query that do not hold for a document.
func (q *Query) Misses(d *Document) (f Filters) {
	if q.Publisher != "" {
		if alias, _, _ := strings.Cut(d.Name, "/"); !strings.EqualFold(alias, q.Publisher) {
			f |= FilterPublisher
		}
	}
	if q.Verified != nil && *q.Verified != d.Verified {
		f |= FilterVerified
	}
	if q.Deprecated != nil && *q.Deprecated != d.Deprecated {
		f |= FilterDeprecated
	}
	if !anyOf(q.Architectures, d.Architectures...) {
		f |= FilterArchitecture
	}
	if !anyOf(q.OperatingSystems, d.OperatingSystems...) {
		f |= FilterOS
	}
	if !anyOf(q.Kinds, string(d.Kind)) {
		f |= FilterKind
	}
	return f
}

// anyOf reports whether a document has one of the values that are wanted, if any are.
func anyOf(want []string, have ...string) bool {
	return len(want) == 0 || slices.ContainsFunc(want, func(w string) bool {
		return slices.ContainsFunc(have, func(s string) bool { return strings.EqualFold(s, w) })
	})
}

// Counter counts facets, for implementations of [Index].
type Counter struct {
	verified int
	lists    [3]tally
}

// Add counts a document that has the words of a query, and of whose filters some may not
// hold. It reports whether the document is a hit: all of them hold.
func (c *Counter) Add(d *Document, misses Filters) bool {
	if misses&^FilterVerified == 0 && d.Verified {
		c.verified++
	}
	if misses&^FilterKind == 0 && d.Kind != "" {
		c.lists[0].add(string(d.Kind))
	}
	if misses&^FilterOS == 0 {
		c.lists[1].add(d.OperatingSystems...)
	}
	if misses&^FilterArchitecture == 0 {
		c.lists[2].add(d.Architectures...)
	}
	return misses == 0
}

// Facets returns the counts, the highest first.
func (c *Counter) Facets() Facets {
	return Facets{c.verified, c.lists[0].counts(), c.lists[1].counts(), c.lists[2].counts()}
}

// maxValues bounds how many values of a facet are told apart: publishers may write anything.
const maxValues = 64

// tally counts values in lower case, of which there are few: faster than a map.
type tally []Count

func (t *tally) add(values ...string) {
next:
	for i, v := range values {
		for _, before := range values[:i] {
			if strings.EqualFold(before, v) {
				continue next
			}
		}
		for i := range *t {
			if known := (*t)[i].Value; known == v || strings.EqualFold(known, v) {
				(*t)[i].N++
				continue next
			}
		}
		if len(*t) < maxValues {
			*t = append(*t, Count{strings.ToLower(v), 1})
		}
	}
}

func (t *tally) counts() []Count {
	slices.SortFunc(*t, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Value, b.Value)) })
	if *t == nil {
		return []Count{}
	}
	return *t
}
