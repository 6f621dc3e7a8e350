package manifest

import (
	"hash/maphash"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache keeps the values used last within a number of bytes. A value that a store may
// change under it is filled through [Cache.Begin], so that an invalidation between the
// read of the store and the insert is never lost:
//
//	fill := cache.Begin(key)
//	value, err := store.Get(key)
//	...
//	fill.Add(value)
//
// A nil *Cache holds nothing and is valid. All methods may be called at once from
// several goroutines.
type Cache[K comparable, V any] struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[K, sized[V]]
	cost func(K, V) int64
	max  int64
	used int64
	seed maphash.Seed
	// generations counts the invalidations of the keys that share a hash, so that the
	// storm of a busy push elsewhere does not keep this key from being cached.
	generations [256]uint64
}

type sized[V any] struct {
	value V
	bytes int64
}

// entryOverhead is what an entry costs beside its key and value: the list element and
// the map's slot, measured with simplelru of golang-lru v2.0.7.
const entryOverhead = 160

// NewCache returns a cache of at most max bytes, as cost counts them for each entry in
// addition to a fixed overhead. It returns nil, a cache that holds nothing, for a max
// of 0 or less.
func NewCache[K comparable, V any](max int64, cost func(K, V) int64) *Cache[K, V] {
	if max <= 0 {
		return nil
	}
	c := &Cache[K, V]{cost: cost, max: max, seed: maphash.MakeSeed()}
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
	i := c.stripe(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generations[i]++
	c.lru.Remove(key)
}

// Len returns the number of entries, and Bytes what they cost.
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

// Fill is the right to insert one key, unless it was invalidated meanwhile.
type Fill[K comparable, V any] struct {
	cache      *Cache[K, V]
	key        K
	generation uint64
}

// Begin is called before the store is read.
func (c *Cache[K, V]) Begin(key K) Fill[K, V] {
	f := Fill[K, V]{cache: c, key: key}
	if c != nil {
		i := c.stripe(key)
		c.mu.Lock()
		f.generation = c.generations[i]
		c.mu.Unlock()
	}
	return f
}

// Add inserts what the store answered, if no [Cache.Remove] of the key came between, and
// drops the entries used longest ago until the cache is within its bound. A value over
// an eighth of the bound is not kept: it would push out too much.
func (f Fill[K, V]) Add(value V) {
	c := f.cache
	if c == nil {
		return
	}
	s := sized[V]{value, entryOverhead + c.cost(f.key, value)}
	if s.bytes > c.max/8 {
		return
	}
	i := c.stripe(f.key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generations[i] != f.generation {
		return
	}
	c.lru.Remove(f.key) // the eviction callback accounts for it; Add alone would not
	c.lru.Add(f.key, s)
	for c.used += s.bytes; c.used > c.max; {
		c.lru.RemoveOldest()
	}
}

func (c *Cache[K, V]) stripe(key K) uint8 { return uint8(maphash.Comparable(c.seed, key)) }
