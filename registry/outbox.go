package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

const (
	outboxPage = 100              // events read at once
	trimmed    = 2 * outboxPage   // events deleted at once
	outboxPoll = 5 * time.Second  // for events of other nodes
	minRetry   = time.Second      // after the first failure of a delivery; doubled each time
	maxRetry   = 10 * time.Minute // of one repository's events
	maxDown    = time.Minute      // of a sink that is not available

	// maxDeliveries is how many repositories' events are on their way to a sink at once: enough
	// for an endpoint on the other side of the world to keep up with some hundred a second.
	maxDeliveries = 16
)

// Run delivers events to the sinks of the configuration, watches what other processes change
// where the store is one that several share (without it, nothing is cached then), and asks the decider of aliases
// about those that are pending, until ctx ends, and returns nil then. A sink that the store
// does not know yet gets the events from now on. Of the nodes that share a store, one delivers to
// a sink at a time ([Registry.WithLease]).
func (r *Registry) Run(ctx context.Context) error {
	err := r.store.Update(ctx, func(tx meta.Tx) error {
		for name := range r.cfg.Sinks {
			if _, err := tx.Sinks().Get(meta.SinkName(name)); err == nil || !errors.Is(err, fs.ErrNotExist) {
				if err != nil {
					return err
				}
				continue
			}
			n, err := tx.Sequence()
			if err != nil {
				return err
			}
			if err := tx.Sinks().Put(meta.Sink{Name: meta.SinkName(name), Cursor: n}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return nil // it ended before it began
	}
	if err != nil {
		return fmt.Errorf("registry: sinks: %w", err)
	}
	var (
		wg    sync.WaitGroup
		woken []chan struct{}
	)
	for name, sink := range r.cfg.Sinks {
		d := &delivery{r: r, name: meta.SinkName(name), sink: sink, wake: make(chan struct{}, 1)}
		woken = append(woken, d.wake)
		wg.Go(func() {
			r.WithLease(ctx, "sink "+name, d.run) //nolint:errcheck // run has none
		})
	}
	wg.Go(func() { r.decideAliases(ctx) })
	if w, ok := r.store.(meta.Watcher); ok {
		wg.Go(func() { w.Watch(ctx, r.hear, r.watching, r.caches.suspend) })
	}
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return nil
		case <-r.wake:
			for _, w := range woken {
				select {
				case w <- struct{}{}:
				default:
				}
			}
		}
	}
}

// RemoveSink forgets a sink that the host will not configure again. Until then events are
// kept for it.
func (r *Registry) RemoveSink(ctx context.Context, name string) error {
	err := r.store.Update(ctx, func(tx meta.Tx) error {
		for s, err := range tx.Stalls().Scan(meta.Range[meta.StallKey]{Prefix: meta.StallKey{Sink: meta.SinkName(name)}}) {
			if err != nil {
				return err
			}
			if err := tx.Stalls().Delete(meta.StallKey{Sink: s.Sink, Repository: s.Repository}); err != nil {
				return err
			}
		}
		if err := tx.Sinks().Delete(meta.SinkName(name)); err != nil {
			return err
		}
		return nil
	})
	for more := true; more && err == nil; {
		err = r.store.Update(ctx, func(tx meta.Tx) (err error) {
			more, err = trimOutbox(tx)
			return err
		})
	}
	return err
}

// trimOutbox deletes events that all sinks have, and reports whether there may be more.
func trimOutbox(tx meta.Tx) (more bool, err error) {
	var keep int64 = 1<<63 - 1
	for s, err := range tx.Sinks().Scan(meta.Range[meta.SinkName]{}) {
		if err != nil {
			return false, err
		}
		keep = min(keep, s.Cursor+1)
	}
	for s, err := range tx.Stalls().Scan(meta.Range[meta.StallKey]{}) {
		if err != nil {
			return false, err
		}
		keep = min(keep, s.Sequence)
	}
	n := 0
	for e, err := range tx.Events().Scan(meta.Range[meta.EventKey]{Limit: trimmed}) {
		if err != nil || e.Sequence >= keep {
			return false, err
		}
		if err := tx.Events().Delete(meta.EventKey(e.Sequence)); err != nil {
			return false, err
		}
		n++
	}
	return n == trimmed, nil
}
