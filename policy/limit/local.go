package limit

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/esplanade-registry/esplanade/policy/limit/internal/gcra"
)

// DefaultKeys is how many keys a [Local] remembers, unless told otherwise. A key takes some
// 160 bytes.
const DefaultKeys = 1 << 18

// Local is a [Limiter] and a [Meter] in the memory of this process. Buckets and sums have
// nothing to do with each other, and are bounded separately.
type Local struct {
	start   time.Time // of the buckets' times, by the monotonic clock
	buckets *shards[int64]
	sums    *shards[sum]
}

// NewLocal returns a limiter that remembers that many keys, [DefaultKeys] if keys is not
// positive.
func NewLocal(keys int) *Local {
	return &Local{start: time.Now(), buckets: newShards[int64](keys), sums: newShards[sum](keys)}
}

// Take implements [Limiter]. There are no errors.
func (l *Local) Take(_ context.Context, key string, rule Rule, n int64) (Quota, error) {
	return l.take(key, rule, n), nil
}

func (l *Local) take(key string, rule Rule, n int64) Quota {
	b := gcra.New(rule.Rate, rule.Burst)
	s := l.buckets.of(key)
	s.mu.Lock()
	now := int64(time.Since(l.start))
	full, known := s.lru.Get(key) // when the bucket will be
	var debt int64
	if known {
		debt = *full - now
	}
	after, retry := b.Take(debt, n)
	switch {
	case retry != 0 || n == 0:
	case known:
		*full = now + after
	case after != 0:
		// Those that are full again make room before any that is not. Two for each new one, so
		// that what a crowd left behind goes away.
		for range 2 {
			if _, old, ok := s.lru.GetOldest(); ok && *old <= now {
				s.lru.RemoveOldest()
			}
		}
		full = new(int64)
		*full = now + after
		s.lru.Add(key, full)
	}
	s.mu.Unlock()
	return quota(b, after, retry)
}

// look is what taking one token would be.
func (l *Local) look(key string, rule Rule) Quota {
	b := gcra.New(rule.Rate, rule.Burst)
	s := l.buckets.of(key)
	s.mu.Lock()
	var debt int64
	if full, known := s.lru.Get(key); known {
		debt = *full - int64(time.Since(l.start))
	}
	s.mu.Unlock()
	after, retry := b.Take(debt, 1)
	return quota(b, after, retry)
}

func quota(b gcra.Bucket, debt, retry int64) Quota {
	return Quota{
		OK: retry == 0, Limit: b.Burst(), Remaining: b.Left(debt),
		Retry: time.Duration(retry), Reset: time.Duration(debt),
	}
}

// shards is least-recently-used caches, each with its own lock, that share the keys.
type shards[V any] struct {
	seed maphash.Seed
	list []shard[V] // a power of two
}

type shard[V any] struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, *V]
	_   [48]byte // a cache line for each lock
}

func newShards[V any](keys int) *shards[V] {
	if keys <= 0 {
		keys = DefaultKeys
	}
	n := 1
	for n < 64 && keys/(2*n) >= 1024 { // with few keys each, the wrong ones would be dropped
		n *= 2
	}
	s := &shards[V]{maphash.MakeSeed(), make([]shard[V], n)}
	for i := range s.list {
		lru, err := simplelru.NewLRU[string, *V]((keys+n-1)/n, nil)
		if err != nil {
			panic(err) // only where the size is not positive
		}
		s.list[i].lru = lru
	}
	return s
}

func (s *shards[V]) of(key string) *shard[V] {
	return &s.list[maphash.String(s.seed, key)&uint64(len(s.list)-1)]
}
