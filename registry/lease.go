package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// ErrLeaseLost is wrapped by the error of an Update of a [Lease] that another process has
// taken meanwhile. Nothing has changed.
var ErrLeaseLost = errors.New("another process has taken the lease")

// The times of leases. A holder that is silent for leaseTerm by the clock of somebody who
// watched it has lost its lease, whatever its own clock says: no two clocks are compared.
const (
	leaseTerm = 15 * time.Second
	leaseBeat = 5 * time.Second
	leaseRest = 10 * time.Second // of silence after which a holder stops by itself
)

// leaseSpace is the namespace of the records of leases.
const leaseSpace = "lease"

// leaseRow is the record of a lease.
type leaseRow struct {
	Holder string // a process; "" for none
	Fence  int64  // counts holders
	Beat   int64  // counts signs of life of the holder
}

// Lease is the right of one process, among those that share a store, to do a job. The zero
// Lease is that of a process that shares its store with nobody.
type Lease struct {
	r   *Registry
	key meta.RecordKey
	row leaseRow
}

// WithLease does a job that only one process at a time should do, of all that share the store:
// it waits for the lease of that name, runs work, and gives the lease back. It begins again
// when the lease was lost, and returns when work returns by itself or when ctx ends, then with
// nil. ctx of work ends when the lease cannot be renewed; a process that was stopped for a while
// learns only then that another has taken its place, so that what must not be done twice
// belongs into [Lease.Update]. After a holder has died, another takes over within 20 seconds.
// Where the store is not shared, work runs at once.
func (r *Registry) WithLease(ctx context.Context, name string, work func(ctx context.Context, l *Lease) error) error {
	if !r.caches.shared {
		return work(ctx, &Lease{r: r})
	}
	for ctx.Err() == nil {
		l, err := r.takeLease(ctx, name)
		if err != nil {
			break
		}
		held, stop := context.WithCancel(ctx)
		renewed := make(chan struct{})
		go func() {
			defer close(renewed)
			l.renew(held, stop)
		}()
		err = work(held, l)
		lost := held.Err() != nil || errors.Is(err, ErrLeaseLost)
		stop()
		<-renewed
		l.giveBack()
		if !lost {
			return err
		}
	}
	return nil
}

// takeLease waits until the lease is free, or its holder silent for long enough.
func (r *Registry) takeLease(ctx context.Context, name string) (*Lease, error) {
	l := &Lease{r: r, key: meta.RecordKey{Namespace: leaseSpace, Key: name}}
	var seen leaseRow
	since := time.Now()
	for {
		var row leaseRow
		err := r.store.View(ctx, func(tx meta.Tx) (err error) { row, err = l.read(tx); return err })
		if err == nil && row != seen {
			seen, since = row, time.Now()
		}
		if err == nil && (row.Holder == "" || time.Since(since) >= leaseTerm) {
			var taken bool
			if taken, err = l.take(ctx, row); taken && err == nil {
				return l, nil
			}
		}
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.WarnContext(ctx, "a lease cannot be had", "lease", name, "error", err)
		}
		timer := time.NewTimer(leaseBeat)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

// take takes the lease if its row is still what it was.
func (l *Lease) take(ctx context.Context, was leaseRow) (taken bool, err error) {
	mine := leaseRow{Holder: l.r.caches.node, Fence: was.Fence + 1}
	err = l.r.store.Update(ctx, func(tx meta.Tx) error {
		row, err := l.read(tx)
		if taken = err == nil && row == was; !taken {
			return err
		}
		return l.write(tx, mine)
	})
	l.row = mine
	return taken, err
}

// renew shows that the holder lives until ctx ends, and calls stop when the lease is lost or the
// store has been silent for too long.
func (l *Lease) renew(ctx context.Context, stop func()) {
	silence := time.AfterFunc(leaseRest, stop) // an Update may wait for longer
	defer silence.Stop()
	for wait := leaseBeat; ; {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		asked := time.Now()
		err := l.Update(ctx, func(tx meta.Tx) error {
			row, err := l.read(tx)
			row.Beat++
			return errors.Join(err, l.write(tx, row))
		}, meta.Relaxed)
		switch {
		case err == nil:
			silence.Reset(leaseRest - time.Since(asked))
			wait = leaseBeat
		case errors.Is(err, ErrLeaseLost):
			l.r.cfg.Logger.WarnContext(ctx, "a lease was lost", "lease", l.key.Key)
			stop()
			return
		default:
			wait = time.Second
		}
	}
}

// giveBackTime bounds how long a process that ends tries to let another take over at once.
const giveBackTime = 5 * time.Second

func (l *Lease) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	err := l.Update(ctx, func(tx meta.Tx) error { return l.write(tx, leaseRow{Fence: l.row.Fence}) })
	if err != nil && !errors.Is(err, ErrLeaseLost) {
		l.r.cfg.Logger.WarnContext(ctx, "a lease could not be given back; another process takes it later", "lease", l.key.Key, "error", err)
	}
}

// Update is that of the store, and fails with an error that wraps [ErrLeaseLost] if another
// process has taken the lease since.
func (l *Lease) Update(ctx context.Context, fn func(tx meta.Tx) error, opts ...meta.UpdateOption) error {
	return l.r.store.Update(ctx, func(tx meta.Tx) error {
		if l.key.Key != "" {
			row, err := l.read(tx)
			if err != nil {
				return err
			}
			if row.Holder != l.row.Holder || row.Fence != l.row.Fence {
				return fmt.Errorf("registry: lease %s: %w", l.key.Key, ErrLeaseLost)
			}
		}
		return fn(tx)
	}, opts...)
}

func (l *Lease) read(tx meta.Tx) (row leaseRow, err error) {
	record, err := tx.Records().Get(l.key)
	if errors.Is(err, fs.ErrNotExist) {
		return row, nil
	}
	if err == nil {
		err = json.Unmarshal(record.Value, &row)
	}
	return row, err
}

func (l *Lease) write(tx meta.Tx, row leaseRow) error {
	raw, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return tx.Records().Put(meta.Record{Namespace: l.key.Namespace, Key: l.key.Key, Value: raw})
}
