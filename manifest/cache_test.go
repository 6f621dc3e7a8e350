package manifest_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
)

// newCache returns a cache of strings that cost what they are long.
func newCache(max int64) *manifest.Cache[string, string] {
	return manifest.NewCache(max, func(k, v string) int64 { return int64(len(k) + len(v)) })
}

func add(c *manifest.Cache[string, string], key, value string) { c.Begin().Add(key, value) }

func TestCacheKeeps(t *testing.T) {
	t.Parallel()
	c := newCache(1 << 20)
	if v, ok := c.Get("a"); ok || v != "" {
		t.Errorf("an empty cache has %q", v)
	}
	add(c, "a", "1")
	add(c, "b", "")
	for key, want := range map[string]string{"a": "1", "b": ""} {
		if v, ok := c.Get(key); !ok || v != want {
			t.Errorf("Get(%s) = %q, %v; want %q", key, v, ok, want)
		}
	}
	add(c, "a", "2")
	if v, ok := c.Get("a"); !ok || v != "2" || c.Len() != 2 {
		t.Errorf("after a second Add: %q, %v, %d entries; want the new value", v, ok, c.Len())
	}
	c.Remove("a")
	if v, ok := c.Get("a"); ok || v != "" || c.Len() != 1 {
		t.Errorf("after Remove: %q, %v, %d entries", v, ok, c.Len())
	}
	c.Remove("b")
	c.Remove("never there")
	if c.Len() != 0 || c.Bytes() != 0 {
		t.Errorf("empty again, it has %d entries of %d bytes", c.Len(), c.Bytes())
	}
}

func TestCacheOfNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []*manifest.Cache[string, string]{nil, newCache(0), newCache(-1)} {
		if c != nil {
			t.Error("a cache without a bound is not nil")
		}
		fill := c.Begin()
		c.Remove("a")
		fill.Add("a", "1")
		c.Begin().Add("a", "1")
		if v, ok := c.Get("a"); ok || v != "" || c.Len() != 0 || c.Bytes() != 0 {
			t.Errorf("it has %q, %d entries, %d bytes", v, c.Len(), c.Bytes())
		}
	}
	var zero manifest.Fill[string, string]
	zero.Add("a", "1") // must not panic
}

// A value that would push out much of the rest is not worth it.
func TestCacheRefusesTheOversize(t *testing.T) {
	t.Parallel()
	const max = 1 << 20
	c := newCache(max)
	add(c, "small", "x")
	for _, size := range []int{max/8 + 1, max, 10 * max} {
		add(c, "large", string(make([]byte, size)))
		if _, ok := c.Get("large"); ok {
			t.Errorf("a value of %d bytes is kept by a cache of %d", size, max)
		}
	}
	if _, ok := c.Get("small"); !ok {
		t.Error("it pushed out a small one")
	}
	add(c, "large", string(make([]byte, max/16)))
	if _, ok := c.Get("large"); !ok {
		t.Errorf("a value of a sixteenth is not kept")
	}
}

// What was changed in the store after it was read must never be inserted.
func TestCacheFillRace(t *testing.T) {
	t.Parallel()
	c := newCache(1 << 20)
	fill := c.Begin()
	c.Remove("a") // the store changed
	fill.Add("a", "stale")
	if v, ok := c.Get("a"); ok {
		t.Errorf("the cache has %q, read before the change", v)
	}

	early, late := c.Begin(), c.Begin()
	early.Add("a", "1")
	c.Remove("a")
	late.Add("a", "1")
	if v, ok := c.Get("a"); ok {
		t.Errorf("the cache has %q, read before the change by a second reader", v)
	}

	add(c, "a", "fresh")
	if v, ok := c.Get("a"); !ok || v != "fresh" {
		t.Errorf("Begin after the change: %q, %v; want it kept", v, ok)
	}
	fill.Add("a", "stale")
	if v, _ := c.Get("a"); v != "fresh" {
		t.Errorf("an old Fill replaced the value by %q", v)
	}

	// Adding one key is no change of another.
	fill = c.Begin()
	add(c, "b", "1")
	fill.Add("c", "1")
	if _, ok := c.Get("c"); !ok {
		t.Error("Add of another key counts as an invalidation")
	}
}

// The entries that are there are always those used last: a model of the order is enough to
// know which they must be.
func TestCacheOrder(t *testing.T) {
	t.Parallel()
	const max = 8 << 10
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := newCache(max)
		var recent []string // the most recent first
		touch := func(key string) {
			recent = slices.DeleteFunc(recent, func(k string) bool { return k == key })
			recent = slices.Insert(recent, 0, key)
		}
		for range 3000 {
			key := fmt.Sprint("k", rng.IntN(60))
			switch rng.IntN(8) {
			case 0:
				c.Remove(key)
				recent = slices.DeleteFunc(recent, func(k string) bool { return k == key })
			case 1, 2, 3:
				if v, ok := c.Get(key); ok {
					if v[:len(key)] != key {
						t.Fatalf("Get(%s) is the value %q", key, v)
					}
					touch(key)
				}
			default:
				add(c, key, key+string(make([]byte, rng.IntN(700)))) // at most max/8 with its overhead
				touch(key)
			}
			if c.Bytes() < 0 || c.Bytes() > max {
				t.Fatalf("%d bytes in a cache of %d", c.Bytes(), max)
			}
			recent = recent[:min(len(recent), c.Len())]
			if len(recent) != c.Len() {
				t.Fatalf("%d entries, of which only %d were ever added", c.Len(), len(recent))
			}
		}
		if len(recent) < 8 {
			t.Fatalf("only %d entries are left in %d bytes", len(recent), max)
		}
		var missing []string
		for _, key := range slices.Backward(recent) {
			if _, ok := c.Get(key); !ok {
				missing = append(missing, key)
			}
		}
		if diff := cmp.Diff([]string(nil), missing); diff != "" {
			t.Errorf("seed %d: entries used lately were evicted before others: %s", seed, diff)
		}
		for _, key := range recent {
			c.Remove(key)
		}
		if c.Len() != 0 || c.Bytes() != 0 {
			t.Errorf("seed %d: with all removed there are %d entries of %d bytes", seed, c.Len(), c.Bytes())
		}
	}
}

func TestCacheCountsAValueOnce(t *testing.T) {
	t.Parallel()
	c := newCache(64 << 10)
	for i := range 10_000 {
		add(c, "a", string(make([]byte, i%100)))
	}
	once := newCache(64 << 10)
	add(once, "a", string(make([]byte, 9999%100)))
	if c.Len() != 1 || c.Bytes() != once.Bytes() {
		t.Errorf("%d entries of %d bytes, want 1 of %d", c.Len(), c.Bytes(), once.Bytes())
	}
	if c.Bytes() < 99+1 {
		t.Errorf("an entry of 100 bytes counts as %d", c.Bytes())
	}
}

// Writers change a store and invalidate, readers fill from it: once Remove has returned, no
// reader may find what was there before.
func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	const keys, rounds, max = 8, 3000, 4 << 10
	c := manifest.NewCache(max, func(int, int64) int64 { return 8 })
	var (
		store, floor [keys]atomic.Int64
		hits         atomic.Int64
		group        sync.WaitGroup
	)
	for w := range 2 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 2))
			for range rounds {
				key := rng.IntN(keys/2)*2 + w // each has its own, so that a floor never falls
				version := store[key].Add(1)
				c.Remove(key)
				floor[key].Store(version)
			}
		})
	}
	for r := range 4 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 3))
			for range rounds * 4 {
				key := rng.IntN(keys)
				least := floor[key].Load()
				if got, ok := c.Get(key); ok {
					hits.Add(1)
					if got < least {
						t.Errorf("key %d: version %d, after %d was made valid", key, got, least)
					}
				} else {
					fill := c.Begin()
					version := store[key].Load()
					if rng.IntN(4) == 0 {
						runtime.Gosched() // a store takes its time
					}
					fill.Add(key, version)
				}
				if n := c.Bytes(); n < 0 || n > max {
					t.Errorf("%d bytes", n)
				}
			}
		})
	}
	group.Wait()
	for key := range keys {
		if got, ok := c.Get(key); ok && got != store[key].Load() {
			t.Errorf("key %d: version %d at rest, the store has %d", key, got, store[key].Load())
		}
	}
	t.Logf("%d hits", hits.Load())
}
