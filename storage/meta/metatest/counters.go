package metatest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

func add(t *testing.T, s meta.Store, node string, number int64, counts ...meta.Counter) {
	t.Helper()
	if err := s.Add(t.Context(), meta.Flush{Node: node, Number: number, Counts: counts}); err != nil {
		t.Fatalf("Add: %v", err)
	}
}

// counted is all counters.
func counted(t *testing.T, s meta.Store) (rows []meta.Counter) {
	t.Helper()
	view(t, s, func(tx meta.Tx) error {
		rows = scan(t, tx.Counters(), meta.Range[meta.CounterKey]{})
		return nil
	})
	return rows
}

func testCounters(t *testing.T, s meta.Store) {
	add(t, s, "n1", 1, meta.Counter{Repository: 1, Name: "pull", At: 3600, Value: 2}, meta.Counter{Repository: 1, Name: "head", At: 3600, Value: 1})
	add(t, s, "n2", 1, meta.Counter{Repository: 1, Name: "pull", At: 3600, Value: 3}, meta.Counter{Repository: 1, Name: "pull", At: 7200, Value: 1})
	add(t, s, "n2", 2, meta.Counter{Repository: 2, Name: "pull", At: 7200, Value: 1}, meta.Counter{Repository: 1, Name: "pull", At: 7200, Value: 1},
		meta.Counter{Repository: 1, Name: "pull", At: 7200, Value: 5}) // twice in one flush
	add(t, s, "n2", 3) // an empty one
	same(t, "counters", counted(t, s), []meta.Counter{
		{Repository: 1, Name: "head", At: 3600, Value: 1}, {Repository: 1, Name: "pull", At: 3600, Value: 5},
		{Repository: 1, Name: "pull", At: 7200, Value: 7}, {Repository: 2, Name: "pull", At: 7200, Value: 1},
	})
	view(t, s, func(tx meta.Tx) error {
		same(t, "of one name", scan(t, tx.Counters(), meta.Range[meta.CounterKey]{
			Prefix: meta.CounterKey{Repository: 1, Name: "pull"}, After: meta.CounterKey{Repository: 1, Name: "pull", At: 3600},
		}), []meta.Counter{{Repository: 1, Name: "pull", At: 7200, Value: 7}})
		return nil
	})
	update(t, s, func(tx meta.Tx) error {
		return tx.Counters().Delete(meta.CounterKey{Repository: 1, Name: "pull", At: 3600})
	})
	add(t, s, "n1", 2, meta.Counter{Repository: 1, Name: "pull", At: 3600, Value: 1}) // begins anew
	view(t, s, func(tx meta.Tx) error {
		c, err := tx.Counters().Get(meta.CounterKey{Repository: 1, Name: "pull", At: 3600})
		same(t, "after it was deleted", c, meta.Counter{Repository: 1, Name: "pull", At: 3600, Value: 1})
		return err
	})
}

func testFlushes(t *testing.T, s meta.Store) {
	pull := meta.Counter{Repository: 1, Name: "pull", At: 3600, Value: 1}
	for _, number := range []int64{1, 2, 2, 1, 4, 4, 3} {
		add(t, s, "n", number, pull)
	}
	pull.Value = 3
	same(t, "after flushes 1, 2 and 4, some of them sent again", counted(t, s), []meta.Counter{pull})
}

func testConcurrentFlushes(t *testing.T, s meta.Store) {
	const nodes, flushes, names = 8, 20, 120
	var wg sync.WaitGroup
	for n := range nodes {
		wg.Go(func() {
			var counts []meta.Counter
			for i := range names {
				counts = append(counts, meta.Counter{Repository: 7, Name: fmt.Sprintf("pull:%03d", i), At: 3600, Value: 1})
			}
			if n%2 == 0 {
				slices.Reverse(counts) // the worst order for those who lock rows
			}
			for i := range int64(flushes) {
				if err := s.Add(t.Context(), meta.Flush{Node: fmt.Sprint(n), Number: i + 1, Counts: counts}); err != nil {
					t.Errorf("node %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	rows := counted(t, s)
	if len(rows) != names {
		t.Errorf("%d counters, want %d", len(rows), names)
	}
	for _, c := range rows {
		if c.Value != nodes*flushes {
			t.Errorf("%s: %d, want %d", c.Name, c.Value, nodes*flushes)
		}
	}
}
