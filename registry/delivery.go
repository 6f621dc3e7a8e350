package registry

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
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

	untrimmed bool // there may be events in the store that all sinks have

	down int // how often in a row the sink was not available

	// of one round
	accepted atomic.Int64 // events that were taken
	refused  atomic.Int64 // that found the sink not available
}

// gone reports whether so many were refused, and none accepted, that the rest of the round need
// not be tried.
func (d *delivery) gone() bool { return d.accepted.Load() == 0 && d.refused.Load() >= maxRefused }

// restTime is from one round to the next, unless there is a whole page to deliver. A round's
// transaction and those that write events get into each other's way: under load, a few large
// rounds are worth more than many small ones.
const restTime = 25 * time.Millisecond

func (d *delivery) run(ctx context.Context, l *Lease) error {
	d.lease = l
	for ctx.Err() == nil {
		began := time.Now()
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
		select {
		case <-ctx.Done():
		case <-time.After(restTime - time.Since(began)):
		}
	}
	return nil
}

// queue is what one repository has for the sink.
type queue struct {
	stall  *meta.Stall  // that it had when the round began
	events []meta.Event // of the page, without a stall
	failed *failure     // what could not be delivered
	err    error        // of the store
}

// failure is an event that was not delivered, with the stall that it makes.
type failure struct {
	meta.Stall
	err error // nil: it was not tried
}

// round tries what is stalled and due, delivers one page of what is new, and notes how far
// it came. It returns how long to wait for more.
//
// A sink that takes nothing from anybody and says that it is not available is left alone for a
// while; nothing new is read meanwhile, so that what waits is events in the store and the stalls
// of one page. Then two repositories are tried: if it takes something from one of them, the fault
// is the other event's own.
func (d *delivery) round(ctx context.Context) (time.Duration, error) {
	sink, stalls, events, err := d.read(ctx)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	held := map[meta.RepositoryID]bool{}
	var due []*queue
	slices.SortStableFunc(stalls, func(a, b meta.Stall) int { return a.Retry.Compare(b.Retry) })
	next := now.Add(outboxPoll)
	for _, s := range stalls {
		held[s.Repository] = true
		if !s.Retry.After(now) {
			due = append(due, &queue{stall: &s})
		} else if s.Retry.Before(next) {
			next = s.Retry
		}
	}
	wasDown := d.down > 0
	if wasDown {
		// the first that came since, and who was tried longest ago
		fresh := slices.IndexFunc(events, func(e meta.Event) bool { return !held[e.Repository] })
		events = events[:fresh+1]
		due = due[:min(len(due), probes-min(1, len(events)))]
	}
	d.accepted.Store(0)
	d.refused.Store(0)
	d.each(due, func(q *queue) { q.failed, q.err = d.resume(ctx, *q.stall, sink.Cursor) })
	queues := due
	for _, q := range due {
		held[q.stall.Repository] = q.failed != nil || q.err != nil
	}
	if !d.gone() {
		byRepository := map[meta.RepositoryID]*queue{}
		var fresh []*queue
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
		queues = append(queues, fresh...)
	}
	wait := d.pause()
	now = time.Now().UTC()
	for _, q := range queues {
		if q.err != nil {
			return 0, q.err
		}
		if q.failed == nil {
			continue
		}
		d.judge(ctx, q.failed, now, wait)
		if q.failed.Retry.Before(next) {
			next = q.failed.Retry
		}
	}
	if len(queues) > 0 || len(events) > 0 || d.untrimmed {
		if err := d.note(ctx, sink, queues); err != nil {
			return 0, err
		}
	}
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case d.down > 0:
		return wait, nil
	case wasDown || d.untrimmed || len(events) == outboxPage:
		return 0, nil
	}
	return max(time.Until(next), time.Millisecond), nil
}

const (
	probes     = 2 // repositories that are tried while a sink is down
	maxRefused = 4 // after which the rest of a round is not
)

// pause counts the rounds in which the sink was not available, and returns how long to leave
// it alone.
func (d *delivery) pause() time.Duration {
	if d.accepted.Load() > 0 || d.refused.Load() == 0 {
		d.down = 0
		return 0
	}
	wait := min(maxDown, minRetry<<min(d.down, 10))
	d.down++
	return wait
}

// judge says in a stall when to try again, and whose fault it was.
func (d *delivery) judge(ctx context.Context, f *failure, now time.Time, wait time.Duration) {
	switch {
	case ctx.Err() != nil, f.err == nil: // for the end of this process, or for others'
		f.Retry = now.Add(wait)
		return
	case d.down > 0 && errors.Is(f.err, event.ErrUnavailable):
		f.Retry = now.Add(wait)
		d.r.cfg.Logger.WarnContext(ctx, "a sink is not available", "sink", d.name, "retry", f.Retry, "error", f.err)
	default:
		f.Retry = now.Add(min(maxRetry, minRetry<<min(f.Attempts, 10)))
		f.Attempts++
		d.r.cfg.Logger.WarnContext(ctx, "an event was not delivered", "sink", d.name, "repository", f.Repository, "attempts", f.Attempts, "retry", f.Retry, "error", f.err)
	}
	f.Reason = f.err.Error()
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
func (d *delivery) resume(ctx context.Context, s meta.Stall, cursor int64) (*failure, error) {
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
			return nil, err
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

// deliver takes events of one repository to the sink, in order. It returns the first that fails;
// its stall continues the last one if that was of the same event.
func (d *delivery) deliver(ctx context.Context, list []meta.Event, last meta.Stall) *failure {
	for _, row := range list {
		f := failure{Stall: meta.Stall{Sink: d.name, Repository: row.Repository, Sequence: row.Sequence}}
		if row.Sequence == last.Sequence {
			f.Attempts, f.Reason = last.Attempts, last.Reason
		}
		if d.gone() || ctx.Err() != nil {
			return &f
		}
		var e event.Event
		if f.err = json.Unmarshal(row.Data, &e); f.err == nil {
			f.err = d.sink.Deliver(ctx, e)
		}
		switch {
		case f.err == nil:
			d.accepted.Add(1)
			continue
		case errors.Is(f.err, event.ErrUnavailable):
			d.refused.Add(1)
		}
		return &f
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
				err = tx.Stalls().Put(q.failed.Stall)
			case q.stall != nil:
				err = tx.Stalls().Delete(meta.StallKey{Sink: sink.Name, Repository: q.stall.Repository})
			}
			if err != nil {
				return err
			}
		}
		more, err := trimOutbox(tx)
		d.untrimmed = more
		return err
	})
}
