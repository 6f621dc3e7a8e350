//go:build unix

package model

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// world is what all workers share.
type world struct {
	t      *testing.T
	ctx    context.Context // ends with the first failure
	cancel context.CancelFunc
	nodes  []*node
	client *client
	grace  time.Duration
	pool   *pool
	shared []*commons
	keys   *cluster
	store  meta.Store // what the nodes share
	bucket storage.Bucket

	limit      int64
	operations atomic.Int64
	requests   atomic.Int64
	late       atomic.Int64 // answers from caches that were late
	latest     atomic.Int64 // the latest of them, in nanoseconds

	mu     sync.Mutex
	counts map[string]int64
}

// count counts an operation.
func (w *world) count(kind string) {
	w.operations.Add(1)
	w.note(kind)
}

// note counts what is no operation of its own.
func (w *world) note(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[kind]++
}

// done reports whether there is nothing more to do.
func (w *world) done() bool { return w.ctx.Err() != nil || w.operations.Load() >= w.limit }

// table lists the counts.
func (w *world) table() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(w.counts)) {
		fmt.Fprintf(&b, "%9d %s\n", w.counts[kind], kind)
	}
	return b.String()
}

// report tells how far the workers are until ctx ends.
func (w *world) report(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	begun, before := time.Now(), int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := 0
		err := w.store.View(ctx, func(tx meta.Tx) (err error) { due, err = tx.CountDue(time.Now(), math.MaxInt32); return err })
		now := w.operations.Load()
		w.t.Logf("%4.0f s: %d operations, %d a second, %d requests; removed %s; %d are due, %v", time.Since(begun).Seconds(), now, (now-before)/10,
			w.requests.Load(), removed(w.nodes), due, err)
		before = now
	}
}

// pool is blobs that workers take from each other's repositories, and some that all push
// by themselves.
type pool struct {
	mu     sync.Mutex
	common []blob
	stalls []stall // a ring
	next   int
}

// stall is where a blob was.
type stall struct {
	repo string
	blob blob
}

// Sizes of the pool.
const (
	commonCount = 24
	stallCount  = 256
)

func newPool(r *rand.Rand) *pool {
	p := &pool{}
	for range commonCount {
		p.common = append(p.common, newBlob(r))
	}
	return p
}

func (p *pool) offer(repo string, b blob) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.stalls) < stallCount {
		p.stalls = append(p.stalls, stall{repo, b})
		return
	}
	p.stalls[p.next] = stall{repo, b}
	p.next = (p.next + 1) % stallCount
}

// pick returns a blob and where it was; of a common one that is not said.
func (p *pool) pick(r *rand.Rand) stall {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.stalls) == 0 || r.IntN(3) == 0 {
		return stall{blob: p.common[r.IntN(len(p.common))]}
	}
	return p.stalls[r.IntN(len(p.stalls))]
}
