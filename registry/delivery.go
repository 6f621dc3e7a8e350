package registry

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// delivery takes events to one sink, on one of the nodes.
type delivery struct {
	r     *Registry
	name  meta.SinkName
	sink  event.Sink
	wake  chan struct{}
	lease *Lease

	down int         // how often in a row the sink was not available
	lost atomic.Bool // the sink was not available in this round
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
		wake := d.wake
		if d.down > 0 {
			wake = nil // an event more does not bring the sink back
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// queue is what one repository has for the sink.
type queue struct {
	stall  *meta.Stall  // that it had when the round began
	events []meta.Event // of the page, without a stall
	failed *meta.Stall  // what could not be delivered
	err    error        // of the store
}

// round tries what is stalled and due, delivers one page of what is new, and notes how far
// it came. It returns how long to wait for more. While the sink is not available nothing new
// is read: what waits is events in the store, and the stalls of one page.
func (d *delivery) round(ctx context.Context) (time.Duration, error) {
	sink, stalls, events, err := d.read(ctx)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	next := now.Add(outboxPoll)
	held := map[meta.RepositoryID]bool{}
	var due []*queue
	for _, s := range stalls {
		held[s.Repository] = true
		switch {
		case !s.Retry.After(now):
			due = append(due, &queue{stall: &s})
		case s.Retry.Before(next):
			next = s.Retry
		}
	}
	if d.down > 0 { // one is enough to learn whether it is back
		if len(due) > 0 {
			due, events = due[:1], nil
		} else {
			events = events[:min(1, len(events))]
		}
	}
	d.lost.Store(false)
	d.each(due, func(q *queue) { q.failed, q.err = d.resume(ctx, *q.stall, sink.Cursor) })
	for _, q := range due {
		held[q.stall.Repository] = q.failed != nil
	}
	var fresh []*queue
	if !d.lost.Load() {
		byRepository := map[meta.RepositoryID]*queue{}
		for _, e := range events {
			sink.Cursor = e.Sequence
			if held[e.Repository] {
				continue
			}
			q := byRepository[e.Repository]
			if q == nil {
				q = &queue{}
				byRepository[e.Repository], fresh = q, append(fresh, q)
			}
			q.events = append(q.events, e)
		}
		d.each(fresh, func(q *queue) { q.failed = d.deliver(ctx, q.events, meta.Stall{}) })
	}
	if ctx.Err() != nil {
		return 0, ctx.Err() // what failed may have failed for that
	}
	wasDown := d.down > 0
	wait := d.pause()
	for _, q := range append(due, fresh...) {
		if q.err != nil {
			return 0, q.err
		}
		if q.failed != nil {
			if q.failed.Retry.IsZero() { // it was not its own fault
				q.failed.Retry = time.Now().UTC().Add(wait)
			}
			if q.failed.Retry.Before(next) {
				next = q.failed.Retry
			}
		}
	}
	if len(due)+len(fresh) > 0 || len(events) > 0 && !d.lost.Load() {
		if err := d.note(ctx, sink, append(due, fresh...)); err != nil {
			return 0, err
		}
	}
	switch {
	case d.down > 0:
		return wait, nil
	case wasDown || len(events) == outboxPage:
		return 0, nil
	}
	return max(time.Until(next), time.Millisecond), nil
}

// pause counts the rounds in which the sink was not available, and returns how long to leave
// it alone.
func (d *delivery) pause() time.Duration {
	if !d.lost.Load() {
		d.down = 0
		return 0
	}
	wait := min(maxDown, minRetry<<min(d.down, 10))
	d.down++
	return wait
}

// each calls f for all queues, some at once.
func (d *delivery) each(list []*queue, f func(*queue)) {
	var wg sync.WaitGroup
	room := make(chan struct{}, maxDeliveries)
	for _, q := range list {
		room <- struct{}{}
		wg.Go(func() { f(q); <-room })
	}
	wg.Wait()
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
// returns where it stalls again, or nil if that is all.
func (d *delivery) resume(ctx context.Context, s meta.Stall, cursor int64) (*meta.Stall, error) {
	for from := s.Sequence - 1; from < cursor; {
		var page, own []meta.Event
		err := d.r.store.View(ctx, func(tx meta.Tx) error {
			page, own = nil, nil
			for e, err := range tx.Events().Scan(meta.Range[meta.EventKey]{After: meta.EventKey(from), Limit: outboxPage}) {
				if err != nil {
					return err
				}
				page = append(page, e)
				if e.Repository == s.Repository && e.Sequence <= cursor {
					own = append(own, e)
				}
			}
			return nil
		})
		if err != nil {
			return &s, err
		}
		if failed := d.deliver(ctx, own, s); failed != nil {
			return failed, nil
		}
		if len(page) < outboxPage {
			break
		}
		from = page[len(page)-1].Sequence
	}
	return nil, nil
}

// deliver takes events of one repository to the sink, in order. It returns the stall at the
// first that fails, which continues the last one if that was of the same event.
func (d *delivery) deliver(ctx context.Context, list []meta.Event, last meta.Stall) *meta.Stall {
	for _, row := range list {
		s := meta.Stall{Sink: d.name, Repository: row.Repository, Sequence: row.Sequence}
		if row.Sequence == last.Sequence {
			s.Attempts = last.Attempts
		}
		if d.lost.Load() {
			s.Reason = event.ErrUnavailable.Error()
			return &s
		}
		var e event.Event
		err := json.Unmarshal(row.Data, &e)
		if err == nil {
			err = d.sink.Deliver(ctx, e)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, event.ErrUnavailable):
			if !d.lost.Swap(true) {
				d.r.cfg.Logger.WarnContext(ctx, "a sink is not available", "sink", d.name, "error", err)
			}
			s.Reason = err.Error()
		default:
			s.Attempts++
			s.Retry, s.Reason = time.Now().UTC().Add(min(maxRetry, minRetry<<min(s.Attempts-1, 10))), err.Error()
			d.r.cfg.Logger.WarnContext(ctx, "an event was not delivered", "sink", d.name, "repository", s.Repository, "attempts", s.Attempts, "retry", s.Retry, "error", err)
		}
		return &s
	}
	return nil
}

// note writes how far the sink has come, and removes events that no sink needs any more.
func (d *delivery) note(ctx context.Context, sink meta.Sink, queues []*queue) error {
	// also when ctx has ended: what was delivered is noted if it can be
	return d.lease.Update(settled(ctx), func(tx meta.Tx) error {
		if _, err := tx.Sinks().Get(sink.Name); err != nil {
			return err
		}
		if err := tx.Sinks().Put(sink); err != nil {
			return err
		}
		for _, q := range queues {
			var err error
			switch {
			case q.failed != nil:
				err = tx.Stalls().Put(*q.failed)
			case q.stall != nil:
				err = tx.Stalls().Delete(meta.StallKey{Sink: sink.Name, Repository: q.stall.Repository})
			}
			if err != nil {
				return err
			}
		}
		return trimOutbox(tx)
	})
}
