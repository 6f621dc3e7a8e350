package meter

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

const (
	choreInterval = time.Minute
	sweepInterval = 24 * time.Hour

	keepHours = 8 * 24 * time.Hour
	keepDays  = 400 * 24 * time.Hour
)

// chores does what one node does for all, until ctx ends: every hour what is stored is counted,
// every day what is old is deleted.
func (m *Meter) chores(ctx context.Context, _ *registry.Lease) error {
	tick := time.NewTicker(choreInterval)
	defer tick.Stop()
	var swept time.Time
	for {
		now := time.Now()
		err := m.countStored(ctx, now)
		err = errors.Join(err, m.foldUntil(ctx, dayOf(now.Unix())-2*day)) // the day before may still be written to
		if now.Sub(swept) >= sweepInterval {
			err = errors.Join(err, m.sweep(ctx, now))
			swept = now
		}
		if err != nil && ctx.Err() == nil {
			m.cfg.Logger.ErrorContext(ctx, "what the meter does now and then failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweepPage is how many counters one transaction looks at.
const sweepPage = 500

// sweep deletes counters that are too old, and those of repositories that are no more.
func (m *Meter) sweep(ctx context.Context, now time.Time) error {
	after := meta.CounterKey{Repository: 0, Name: perMonth + "~"} // those of accounts stay
	for more := true; more; {
		var last meta.CounterKey
		err := m.cfg.Store.Update(ctx, func(tx meta.Tx) error {
			n, gone, repo := 0, false, meta.RepositoryID(0)
			more = false
			for c, err := range tx.Counters().Scan(meta.Range[meta.CounterKey]{After: after, Limit: sweepPage}) {
				if err != nil {
					return err
				}
				if n++; n == sweepPage {
					more = true
				}
				last = c.Key()
				if c.Repository == 0 {
					continue
				}
				if c.Repository != repo {
					_, err := tx.RepositoryByID(c.Repository)
					if gone = errors.Is(err, fs.ErrNotExist); err != nil && !gone {
						return err
					}
					repo = c.Repository
				}
				if gone || outdated(c, now) {
					if err := tx.Counters().Delete(c.Key()); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		after = last
	}
	return nil
}

// outdated reports whether a counter is old enough to go.
func outdated(c meta.Counter, now time.Time) bool {
	age := now.Sub(time.Unix(c.At, 0))
	switch {
	case strings.HasPrefix(c.Name, perHour):
		return age > keepHours
	case strings.HasPrefix(c.Name, perDay) && strings.Contains(c.Name, "/"):
		return age > keepDays
	}
	return false
}
