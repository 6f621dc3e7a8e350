// Package redislimit shares limits between nodes through Redis: its [Limiter] counts as
// limit.Local does, exactly, over all nodes together, by one script of Redis for a take and
// by the clock of Redis. Keys expire by themselves, once they say nothing any more.
//
// Limits are not worth failing for: where Redis does not answer soon, a node counts for
// itself until it does. What was counted meanwhile is not counted again in Redis.
//
// It needs Redis 5, or a server that is compatible with it, which may be a cluster, as each
// script is about one key. What go-redis itself writes to standard error when it cannot
// connect, the host turns off with redis.SetLogger.
package redislimit

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/policy/limit/internal/gcra"
)

// What [New] takes where options are zero.
const (
	DefaultPrefix  = "esplanade:limit:"
	DefaultTimeout = 100 * time.Millisecond
	DefaultPause   = time.Second
)

// logInterval is how often a failure is logged at most.
const logInterval = time.Minute

// Options is the options of [New].
type Options struct {
	Prefix  string        // of all keys in Redis; empty: DefaultPrefix
	Timeout time.Duration // that Redis has to answer; zero: DefaultTimeout
	// Pause is how long Redis is not asked after it failed; zero: DefaultPause. Then one
	// request tries it, while the others go on without.
	Pause time.Duration
	// Fallback and FallbackMeter count while Redis fails; nil: a limit.Local.
	Fallback      limit.Limiter
	FallbackMeter limit.Meter
	Logger        *slog.Logger // nil: nothing is logged
}

// Limiter is a limit.Limiter and a limit.Meter on Redis.
type Limiter struct {
	client        redis.Cmdable
	prefix        string
	timeout       time.Duration
	pause         time.Duration
	fallback      limit.Limiter
	fallbackMeter limit.Meter
	log           *slog.Logger

	start  time.Time    // of the times below, by the monotonic clock
	until  atomic.Int64 // Redis is not asked until then; 0: it answers
	logged atomic.Int64 // when a failure may be logged again
}

// New returns a limiter on a client, which stays the host's to close. Nothing is sent yet.
// opts may be nil.
func New(client redis.UniversalClient, opts *Options) *Limiter {
	var o Options
	if opts != nil {
		o = *opts
	}
	local := limit.NewLocal(0)
	l := &Limiter{
		client: client, prefix: cmp.Or(o.Prefix, DefaultPrefix),
		timeout: o.Timeout, pause: o.Pause,
		fallback: o.Fallback, fallbackMeter: o.FallbackMeter, log: o.Logger,
		start: time.Now(),
	}
	if l.timeout <= 0 {
		l.timeout = DefaultTimeout
	}
	if l.pause <= 0 {
		l.pause = DefaultPause
	}
	if l.fallback == nil {
		l.fallback = local
	}
	if l.fallbackMeter == nil {
		l.fallbackMeter = local
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l
}

var (
	//go:embed take.lua
	takeLua string
	//go:embed add.lua
	addLua string
)

// The scripts are sent once to each server, and then named by their hashes.
var (
	take = redis.NewScript(takeLua)
	add  = redis.NewScript(addLua)
)

// Take implements limit.Limiter. There is an error only where ctx ends, or from the
// fallback.
func (l *Limiter) Take(ctx context.Context, key string, rule limit.Rule, n int64) (limit.Quota, error) {
	b := gcra.New(rule.Rate, rule.Burst)
	cost := b.Cost(n)
	if n > b.Burst() {
		cost = 0 // never, but what is left is told
	}
	got, err := ask(ctx, l, func(ctx context.Context) ([]int64, error) {
		got, err := take.Run(ctx, l.client, []string{l.prefix + key}, cost, b.Full()).Int64Slice()
		if err == nil && len(got) != 2 {
			err = errors.New("the script does not return two numbers")
		}
		return got, err
	})
	switch {
	case ctx.Err() != nil:
		return limit.Quota{}, ctx.Err()
	case err != nil:
		return l.fallback.Take(ctx, key, rule, n)
	}
	debt := got[1]
	q := limit.Quota{OK: true, Limit: b.Burst(), Remaining: b.Left(debt), Reset: time.Duration(debt)}
	switch {
	case n > b.Burst():
		q.OK, q.Retry = false, limit.Never
	case got[0] == 0:
		q.OK, q.Retry = false, max(1, time.Duration(debt+cost-b.Full()))
	}
	return q, nil
}

// Add implements limit.Meter. There is an error only where ctx ends, or from the fallback.
// The month is that of this node's clock.
func (l *Limiter) Add(ctx context.Context, key string, n int64) (total int64, err error) {
	now := time.Now().UTC()
	name := l.prefix + now.Format("2006-01:") + key
	total, err = ask(ctx, l, func(ctx context.Context) (int64, error) {
		if n == 0 {
			total, err := l.client.Get(ctx, name).Int64()
			if errors.Is(err, redis.Nil) {
				return 0, nil
			}
			return total, err
		}
		// A day later than need be, for nodes whose clocks are late.
		gone := time.Date(now.Year(), now.Month()+1, 2, 0, 0, 0, 0, time.UTC).Unix()
		text, err := add.Run(ctx, l.client, []string{name}, n, gone).Text()
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(text, 10, 64)
	})
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		return l.fallbackMeter.Add(ctx, key, n)
	}
	return total, nil
}
