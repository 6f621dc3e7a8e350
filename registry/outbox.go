package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

const (
	outboxPage = 100              // events read at once
	outboxPoll = 5 * time.Second  // for events of other nodes
	minRetry   = time.Second      // after the first failure of a delivery; doubled each time
	maxRetry   = 10 * time.Minute //
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
	return r.store.Update(ctx, func(tx meta.Tx) error {
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
		return trimOutbox(tx)
	})
}

// delivery takes events to one sink, on one of the nodes.
type delivery struct {
	r     *Registry
	name  meta.SinkName
	sink  event.Sink
	wake  chan struct{}
	lease *Lease
}

func (d *delivery) run(ctx context.Context, l *Lease) error {
	d.lease = l
	for ctx.Err() == nil {
		wait, err := d.round(ctx)
		if errors.Is(err, ErrLeaseLost) {
			return err // another node delivers again what this one could not note
		}
		if err != nil && ctx.Err() == nil {
			d.r.cfg.Logger.ErrorContext(ctx, "events cannot be read or their delivery noted", "sink", d.name, "error", err)
			wait = minRetry
		}
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// round tries what is stalled and due, delivers one page of what is new, and notes how far
// it came. It returns how long to wait for more.
func (d *delivery) round(ctx context.Context) (time.Duration, error) {
	sink, stalls, events, err := d.read(ctx)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	held := map[meta.RepositoryID]bool{}
	changed := map[meta.RepositoryID]*meta.Stall{} // nil: the stall is over
	next := now.Add(outboxPoll)
	for _, s := range stalls {
		if s.Retry.After(now) {
			held[s.Repository] = true
		} else {
			over, err := d.resume(ctx, &s, sink.Cursor)
			if err != nil {
				return 0, err
			}
			held[s.Repository], changed[s.Repository] = !over, nil
			if !over {
				changed[s.Repository] = &s
			}
		}
		if held[s.Repository] && s.Retry.Before(next) {
			next = s.Retry
		}
	}
	for _, e := range events {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if !held[e.Repository] {
			if err := d.deliver(ctx, e); err != nil {
				s := &meta.Stall{Sink: d.name, Repository: e.Repository, Sequence: e.Sequence}
				d.failed(ctx, s, err)
				held[e.Repository], changed[e.Repository] = true, s
				if s.Retry.Before(next) {
					next = s.Retry
				}
			}
		}
		sink.Cursor = e.Sequence
	}
	if len(events) > 0 || len(changed) > 0 {
		if err := d.note(ctx, sink, changed); err != nil {
			return 0, err
		}
	}
	if len(events) == outboxPage {
		return 0, nil
	}
	return max(time.Until(next), time.Millisecond), nil
}

// read returns the sink's row, its stalls and the next page of events.
func (d *delivery) read(ctx context.Context) (sink meta.Sink, stalls []meta.Stall, events []meta.Event, err error) {
	err = d.r.store.View(ctx, func(tx meta.Tx) error {
		if sink, err = tx.Sinks().Get(d.name); err != nil {
			return err
		}
		for s, err := range tx.Stalls().Scan(meta.Range[meta.StallKey]{Prefix: meta.StallKey{Sink: d.name}}) {
			if err != nil {
				return err
			}
			stalls = append(stalls, s)
		}
		events, err = tx.NextEvents(sink.Cursor, outboxPage)
		return err
	})
	return sink, stalls, events, err
}

// resume delivers what a repository's stall has held back, up to the sink's cursor. It
// reports whether that is all; else the stall says when to try again.
func (d *delivery) resume(ctx context.Context, s *meta.Stall, cursor int64) (bool, error) {
	for from := s.Sequence - 1; from < cursor; {
		var events []meta.Event
		err := d.r.store.View(ctx, func(tx meta.Tx) error {
			events = nil
			for e, err := range tx.Events().Scan(meta.Range[meta.EventKey]{After: meta.EventKey(from), Limit: outboxPage}) {
				if err != nil {
					return err
				}
				events = append(events, e)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		for _, e := range events {
			if from = e.Sequence; e.Sequence > cursor || e.Repository != s.Repository {
				continue
			}
			if err := d.deliver(ctx, e); err != nil {
				if e.Sequence != s.Sequence {
					s.Sequence, s.Attempts = e.Sequence, 0
				}
				d.failed(ctx, s, err)
				return false, nil
			}
		}
		if len(events) < outboxPage {
			break
		}
	}
	return true, nil
}

func (d *delivery) deliver(ctx context.Context, row meta.Event) error {
	var e event.Event
	if err := json.Unmarshal(row.Data, &e); err != nil {
		return err
	}
	return d.sink.Deliver(ctx, e)
}

// failed says in the stall when to try again.
func (d *delivery) failed(ctx context.Context, s *meta.Stall, err error) {
	wait := maxRetry
	if s.Attempts < 10 {
		wait = min(wait, minRetry<<s.Attempts)
	}
	s.Attempts++
	s.Retry, s.Reason = time.Now().UTC().Add(wait), err.Error()
	d.r.cfg.Logger.WarnContext(ctx, "an event was not delivered", "sink", d.name, "repository", s.Repository, "attempts", s.Attempts, "retry", s.Retry, "error", err)
}

// note writes how far the sink has come, and removes events that no sink needs any more.
func (d *delivery) note(ctx context.Context, sink meta.Sink, changed map[meta.RepositoryID]*meta.Stall) error {
	// also when ctx has ended: what was delivered is noted if it can be
	return d.lease.Update(settled(ctx), func(tx meta.Tx) error {
		if _, err := tx.Sinks().Get(sink.Name); err != nil {
			return err
		}
		if err := tx.Sinks().Put(sink); err != nil {
			return err
		}
		for repo, s := range changed {
			var err error
			if s == nil {
				err = tx.Stalls().Delete(meta.StallKey{Sink: sink.Name, Repository: repo})
			} else {
				err = tx.Stalls().Put(*s)
			}
			if err != nil {
				return err
			}
		}
		return trimOutbox(tx)
	})
}

// trimOutbox deletes the events that all sinks have.
func trimOutbox(tx meta.Tx) error {
	var keep int64 = 1<<63 - 1
	for s, err := range tx.Sinks().Scan(meta.Range[meta.SinkName]{}) {
		if err != nil {
			return err
		}
		keep = min(keep, s.Cursor+1)
	}
	for s, err := range tx.Stalls().Scan(meta.Range[meta.StallKey]{}) {
		if err != nil {
			return err
		}
		keep = min(keep, s.Sequence)
	}
	for e, err := range tx.Events().Scan(meta.Range[meta.EventKey]{Limit: 2 * outboxPage}) {
		if err != nil || e.Sequence >= keep {
			return err
		}
		if err := tx.Events().Delete(meta.EventKey(e.Sequence)); err != nil {
			return err
		}
	}
	return nil
}
