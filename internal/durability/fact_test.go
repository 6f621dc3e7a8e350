package durability

import (
	"fmt"
	"slices"
	"testing"
)

// fact is what a pusher knows of something on the server: what was acknowledged last, and
// what may be so instead, because it was asked for and no answer came.
type fact[T comparable] struct {
	is      T
	asked   []T
	outcome outcome
}

// outcome is what became of a question without an answer.
type outcome int

const (
	unknown outcome = iota // or nothing was to change
	undone
	done
)

// ask says what is about to be asked for.
func (f *fact[T]) ask(v T) { f.asked = append(f.asked, v) }

// answer says that it was acknowledged.
func (f *fact[T]) answer(v T) { f.is, f.asked = v, nil }

// find settles the fact by what is there after a kill. What was acknowledged may only have
// given way to what was asked for later.
func (f *fact[T]) find(v T) error {
	f.outcome = unknown
	was, asked := f.is, f.asked
	f.answer(v)
	switch {
	case v != was && !slices.Contains(asked, v):
		return fmt.Errorf("found %v, acknowledged was %v, and %v asked for since", v, was, asked)
	case v != was:
		f.outcome = done
	case len(asked) > 0 && asked[len(asked)-1] != was:
		f.outcome = undone
	}
	return nil
}

func (f *fact[T]) result() outcome { return f.outcome }

// change is facts that one request changes: all of them or none.
type change []interface{ result() outcome }

func (c change) check() error {
	var seen [3]bool
	for _, f := range c {
		seen[f.result()] = true
	}
	if seen[done] && seen[undone] {
		return fmt.Errorf("a request without an answer was carried out in part")
	}
	return nil
}

func TestFactIsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		asked  []string
		found  string
		want   outcome
		broken bool
	}{
		"as acknowledged":    {found: "old"},
		"lost":               {found: "", broken: true},
		"of nobody":          {asked: []string{"new"}, found: "other", broken: true},
		"asked for, done":    {asked: []string{"new"}, found: "new", want: done},
		"asked for, undone":  {asked: []string{"new"}, found: "old", want: undone},
		"asked for as it is": {asked: []string{"old"}, found: "old"},
	} {
		f := fact[string]{is: "old", asked: c.asked}
		if err := f.find(c.found); (err != nil) != c.broken || f.outcome != c.want || f.is != c.found || f.asked != nil {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
	}
	if err := (change{&fact[int]{outcome: done}, &fact[bool]{outcome: unknown}}).check(); err != nil {
		t.Error(err)
	}
	if err := (change{&fact[int]{outcome: done}, &fact[bool]{outcome: undone}}).check(); err == nil {
		t.Error("a half-done change is not noticed")
	}
}
