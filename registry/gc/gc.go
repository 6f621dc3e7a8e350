// Package gc collects the garbage of a registry while it serves: blobs that no manifest needs,
// objects that no row names, uploads that nobody goes on with, and the rows of deleted
// repositories.
//
//	collector := gc.New(reg, nil)
//	go collector.Run(ctx)
//
// Nothing stops for it, neither pushes nor other nodes; what may be garbage was queued when it
// became that, so that its cost is proportional to garbage and no bucket is listed. Every node
// runs it; of those that share a store one collects at a time, and another goes on soon after it
// has died. It may be killed at any point.
//
// Something is left alone for as long as registry.Config.Grace, and longer if a pusher asks for
// it meanwhile.
package gc

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
)

// Defaults of [Options].
const (
	DefaultInterval = time.Minute
	DefaultBatch    = 200
)

// Options are the options of [New].
type Options struct {
	Interval time.Duration // between rounds when there was nothing left to do: [DefaultInterval] if 0
	Batch    int           // things looked at in one go: [DefaultBatch] if 0
	Logger   *slog.Logger  // gets what was removed, and what could not be; nil logs nothing
}

// Collector collects garbage.
type Collector struct {
	reg  *registry.Registry
	opts Options

	mu       sync.Mutex
	progress Progress
}

// Progress is what a collector has done since it was made.
type Progress struct {
	registry.Collected
	Rounds int64
	Failed int64 // rounds in which something could not be removed
	Last   time.Time
	Behind bool // there was more to look at when the last round ended
	// Left is how much more, up to [MaxLeft], and ETA how long it will take at the pace so far.
	Left int
	ETA  time.Duration
}

// MaxLeft is how far what is left is counted.
const MaxLeft = 100_000

// New returns a collector. Nothing runs yet.
func New(reg *registry.Registry, opts *Options) *Collector {
	c := &Collector{reg: reg}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Interval <= 0 {
		c.opts.Interval = DefaultInterval
	}
	if c.opts.Batch <= 0 {
		c.opts.Batch = DefaultBatch
	}
	if c.opts.Logger == nil {
		c.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Run collects until ctx ends, and returns nil then.
func (c *Collector) Run(ctx context.Context) error {
	return c.reg.WithLease(ctx, "gc", c.run)
}

func (c *Collector) run(ctx context.Context, _ *registry.Lease) error {
	timer := time.NewTimer(c.opts.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began, looked := time.Now(), 0
		for more := true; more && ctx.Err() == nil; {
			looked += c.opts.Batch
			if more = c.round(ctx); more {
				c.estimate(ctx, time.Since(began)/time.Duration(looked))
			}
		}
		timer.Reset(c.opts.Interval)
	}
}

// round reports whether there is more to do at once. After a failure there is not.
func (c *Collector) round(ctx context.Context) bool {
	got, more, err := c.reg.Collect(ctx, c.opts.Batch)
	c.mu.Lock()
	c.progress.Add(got)
	c.progress.Rounds++
	c.progress.Last, c.progress.Behind, c.progress.Left, c.progress.ETA = time.Now(), more, 0, 0
	if err != nil && ctx.Err() == nil {
		c.progress.Failed++
	}
	c.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		c.opts.Logger.WarnContext(ctx, "some garbage could not be removed and is tried again", "error", err)
	}
	if got != (registry.Collected{}) {
		c.opts.Logger.InfoContext(ctx, "removed garbage", "links", got.Links, "blobs", got.Blobs, "bytes", got.Bytes, "objects", got.Objects,
			"uploads", got.Uploads, "repositories", got.Repositories)
	}
	return more && err == nil
}

// estimate says how much there is to do and how long it will take, if each thing takes so long.
func (c *Collector) estimate(ctx context.Context, each time.Duration) {
	left, err := c.reg.CountGarbage(ctx, MaxLeft)
	if err != nil {
		return // the next round says why
	}
	c.mu.Lock()
	c.progress.Left, c.progress.ETA = left, each*time.Duration(left)
	c.mu.Unlock()
}

// Progress returns what has been done so far.
func (c *Collector) Progress() Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress
}
