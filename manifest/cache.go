package manifest

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache keeps the values used last within a number of bytes. A value that a store may
// change is filled through [Cache.Begin], so that an invalidation between the read of the
// store and the insert is never lost:
//
//	fill := cache.Begin()
//	value, err := store.Get(key)
//	...
//	fill.Add(key, value)
//
// A nil *Cache holds nothing and is valid. All methods may be called at once from
// several goroutines.
type Cache[K comparable, V any] struct {
	mu         sync.Mutex
	lru        *simplelru.LRU[K, sized[V]]
	cost       func(K, V) int64
	max        int64
	used       int64
	generation atomic.Uint64 // counts invalidations, from 1; written with mu held
	suspended  bool
}

type sized[V any] struct {
	value V
	bytes int64
}

// entryOverhead is about what an entry costs beside its key and value: the list element
// and the map's slot of simplelru.
const entryOverhead = 160

// NewCache returns a cache of at most max bytes, as cost counts them for each entry in
// addition to a fixed overhead. It returns nil, a cache that holds nothing, for a max
// of 0 or less.
func NewCache[K comparable, V any](max int64, cost func(K, V) int64) *Cache[K, V] {
	if max <= 0 {
		return nil
	}
	c := &Cache[K, V]{cost: cost, max: max}
	c.generation.Store(1)
	c.lru, _ = simplelru.NewLRU(math.MaxInt, func(_ K, s sized[V]) { c.used -= s.bytes }) // fails for a size of 0 alone
	return c
}

// Get returns the value of key, if it is there.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	if c == nil {
		return value, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.lru.Get(key)
	return s.value, ok
}

// Remove invalidates key: what was there is gone, and what is being filled from a store
// that was read before this call will not be kept.
func (c *Cache[K, V]) Remove(key K) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.lru.Remove(key)
}

// Suspend forgets everything and keeps nothing until [Cache.Resume]: for as long as nobody
// tells what has changed.
func (c *Cache[K, V]) Suspend() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.suspended = true
	c.lru.Purge()
}

// Resume ends [Cache.Suspend]. What is being filled from a store that was read before is not
// kept.
func (c *Cache[K, V]) Resume() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.suspended = false
}

// Len returns the number of entries.
func (c *Cache[K, V]) Len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Len()
}

// Bytes returns what the entries cost, at most the cache's bound.
func (c *Cache[K, V]) Bytes() int64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

// Fill is the right to insert what a store answers, unless something was invalidated
// meanwhile. That may have been another key; the value is then read again the next time.
type Fill[K comparable, V any] struct {
	cache      *Cache[K, V]
	generation uint64
	suspended  bool
}

// Generation counts the invalidations of the cache before [Cache.Begin], and never goes back: what
// was read in the same one is as new. It is 0 where nobody counts: for a nil cache, and while
// it is suspended.
func (f Fill[K, V]) Generation() uint64 {
	if f.suspended {
		return 0
	}
	return f.generation
}

// Current reports whether nothing was invalidated since [Cache.Begin], as far as this process
// knows.
func (f Fill[K, V]) Current() bool {
	c := f.cache
	return c != nil && c.generation.Load() == f.generation
}

// Begin is called before the store is read.
func (c *Cache[K, V]) Begin() Fill[K, V] {
	if c == nil {
		return Fill[K, V]{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return Fill[K, V]{c, c.generation.Load(), c.suspended}
}

// Add inserts what the store answered, if no [Cache.Remove] came between, and drops the
// entries used longest ago until the cache is within its bound. A value over an eighth of
// the bound is not kept: it would push out too much.
func (f Fill[K, V]) Add(key K, value V) {
	c := f.cache
	if c == nil {
		return
	}
	s := sized[V]{value, entryOverhead + c.cost(key, value)}
	if s.bytes > c.max/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation.Load() != f.generation || c.suspended {
		return
	}
	c.lru.Remove(key) // the eviction callback accounts for it; Add alone would not
	c.lru.Add(key, s)
	for c.used += s.bytes; c.used > c.max; {
		c.lru.RemoveOldest()
	}
}
