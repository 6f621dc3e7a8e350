package redislimit

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

var (
	errPaused  = errors.New("redis has failed a moment ago")
	errTimeout = errors.New("redis does not answer in time")
)

// ask calls fn, which asks Redis, and waits for it no longer than the timeout. Clients of
// go-redis heed a ctx only if told so, and otherwise wait for seconds and try again.
func ask[T any](ctx context.Context, l *Limiter, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	until, mine := l.until.Load(), int64(0)
	if until != 0 {
		now := l.now()
		mine = now + int64(l.pause)
		if now < until || !l.until.CompareAndSwap(until, mine) {
			return zero, errPaused
		}
	}
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	limited, cancel := context.WithTimeoutCause(ctx, l.timeout, errTimeout)
	go func() {
		value, err := fn(limited)
		answers <- answer{value, err}
	}()
	var a answer
	select {
	case a = <-answers:
	case <-limited.Done():
		a.err = context.Cause(limited)
	}
	cancel()
	switch {
	case ctx.Err() != nil: // which says nothing about Redis
		if mine != 0 {
			l.until.CompareAndSwap(mine, 1) // the next may try
		}
	case a.err != nil:
		l.failed(a.err)
	case mine != 0:
		l.until.Store(0)
		l.log.LogAttrs(ctx, slog.LevelInfo, "limits are shared through redis again")
	}
	return a.value, a.err
}

// now is nanoseconds since the limiter was made, never 0.
func (l *Limiter) now() int64 { return 1 + int64(time.Since(l.start)) }

func (l *Limiter) failed(err error) {
	now := l.now()
	l.until.Store(now + int64(l.pause))
	next := l.logged.Load()
	if now < next || !l.logged.CompareAndSwap(next, now+int64(logInterval)) {
		return
	}
	l.log.Warn("limits are not shared, as redis fails", "err", err)
}
