package sqlmeta

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// addedRows is how many counters one statement adds to.
const addedRows = 50

// forgetFlushes is how long it is remembered how far a node had come that is silent.
const forgetFlushes = 30 * 24 * time.Hour

// Add implements [meta.Store]. On PostgreSQL it is the one change that is not serializable: who
// adds to a row waits for who added to it before, and nobody is broken off for it.
func (s *Store) Add(ctx context.Context, f meta.Flush) error {
	counts := merge(f.Counts)
	return s.update(&job{ctx: ctx, relaxed: true, adds: true, done: make(chan struct{}), fn: func(t meta.Tx) error {
		return t.(*tx).add(f, counts)
	}})
}

// merge adds up counts of the same counter, in the order of their keys: two that add to the same
// rows take them in the same order, so that none waits for the other in a circle.
func merge(list []meta.Counter) (merged []meta.Counter) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b meta.Counter) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Name, b.Name), cmp.Compare(a.At, b.At))
	})
	for _, c := range list {
		if n := len(merged); n > 0 && merged[n-1].Key() == c.Key() {
			merged[n-1].Value += c.Value
		} else {
			merged = append(merged, c)
		}
	}
	return merged
}

func (t *tx) add(f meta.Flush, counts []meta.Counter) error {
	now := time.Now()
	t.wrote = true
	var reached int64
	err := t.c.one("flush", "INSERT INTO flush (node, number, at) VALUES (?, ?, ?) ON CONFLICT (node) DO UPDATE SET number = excluded.number, at = excluded.at "+
		"WHERE flush.number < excluded.number RETURNING number", []any{f.Node, f.Number, nanos(now)}, integer[int64]{&reached})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // added before
	}
	if err != nil {
		return err
	}
	if f.Number == 1 {
		if err := t.c.exec("flush", "DELETE FROM flush WHERE at < ?", nanos(now.Add(-forgetFlushes))); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(counts, addedRows) {
		var args []any
		for _, c := range chunk {
			args = append(args, counters.values(c)...)
		}
		query := "INSERT INTO counter (" + counters.list() + ") VALUES " + strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?), ", len(chunk)), ", ") +
			" ON CONFLICT (repository, name, at) DO UPDATE SET value = counter.value + excluded.value"
		if err := t.c.exec("counter", query, args...); err != nil {
			return err
		}
	}
	return nil
}
