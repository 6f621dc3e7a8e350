package meter

import (
	"context"
	"time"
)

// MaxCounts is how much is counted apart within one flush.
const MaxCounts = maxCounts

// Chores does what one node does for all, until ctx ends, without a registry.
func (m *Meter) Chores(ctx context.Context) error { return m.chores(ctx, nil) }

// Sweep deletes what is old.
func (m *Meter) Sweep(ctx context.Context, now time.Time) error { return m.sweep(ctx, now) }
