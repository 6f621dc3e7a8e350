// Package limit owns how much one client may use: [Limiter] is of requests per second, by
// token buckets; [Meter] is of bytes per month; [Logins] is of bad logins.
//
// [Local] keeps all of it in the memory of this process. Nodes that are to share their
// limits use package redislimit. What both must do, package limittest tests.
//
// # Keys
//
// Whose bucket it is, is a text that the host makes: of an account, or of an address by
// [AddressKey]. One client can have very many IPv6 addresses, so that they are counted by
// their network, and the many networks of one customer are capped together:
//
//	levels := limit.AddressLevels(nil, "pull ", addr, rule)
//	quota, err := limit.TakeAll(ctx, limiter, levels, 1)
//
// # Memory
//
// Everything is bounded by a number of keys. Beyond it the key that was not used for longest
// is forgotten, and starts anew if it comes back.
package limit

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/esplanade-registry/esplanade/policy/limit/internal/gcra"
)

// Never is how long to wait for what will not come: more tokens than a bucket can hold, or
// any of a closed one.
const Never time.Duration = gcra.Never

// Rule is a token bucket: it holds Burst tokens at most and gets Rate new ones a second.
// Where either is not positive the bucket is closed, as that of the zero Rule is. Tokens are
// counted in nanoseconds: a Rate above 1e9 is 1e9.
type Rule struct {
	Rate  float64
	Burst int64
}

// Times returns the rule for n times as much.
func (r Rule) Times(n int64) Rule {
	if n > 0 && r.Burst > math.MaxInt64/n {
		return Rule{r.Rate * float64(n), math.MaxInt64}
	}
	return Rule{r.Rate * float64(n), r.Burst * n}
}

// Quota is what a take left.
type Quota struct {
	OK        bool
	Limit     int64         // a full bucket's tokens
	Remaining int64         // that could be taken now
	Retry     time.Duration // until a refused take would pass, may be [Never]; 0 if OK
	Reset     time.Duration // until the bucket is full
}

// Limiter keeps token buckets. It may be called concurrently.
type Limiter interface {
	// Take takes n tokens from the bucket of key: all of them, or none. One that is refused
	// costs nothing. n = 0 only looks; a negative n gives back what was not used, as far as
	// the bucket holds it. Both are always OK.
	//
	// A bucket that is not known is full. A key may come with another rule than before, which
	// applies at once: the bucket keeps the time until it would have been full, but is empty
	// at worst.
	//
	// An error says that nobody knows; not that the take is refused.
	Take(ctx context.Context, key string, rule Rule, n int64) (Quota, error)
}

// Meter adds up what keys use in a calendar month, in UTC. It may be called concurrently.
type Meter interface {
	// Add adds n to what key has used this month, and returns the sum. n = 0 only looks; a
	// negative n takes back. The sum stops at 0, and at the largest int64.
	Add(ctx context.Context, key string, n int64) (total int64, err error)
}

// Level is one of several buckets that a request is counted in.
type Level struct {
	Key  string
	Rule Rule
}

// TakeAll takes n tokens of every level, or of none: what was taken when a level refuses is
// given back. It returns the Quota of the level that refused, or of the one with the fewest
// tokens left. Without levels it is OK.
//
// List the narrow levels first, so that a client beyond its own limit does not touch those
// that it shares. For a moment, others can be refused for tokens that are then given back.
func TakeAll(ctx context.Context, l Limiter, levels []Level, n int64) (Quota, error) {
	least := Quota{OK: true}
	for i, level := range levels {
		q, err := l.Take(ctx, level.Key, level.Rule, n)
		if err != nil || !q.OK {
			return q, errors.Join(err, giveBack(ctx, l, levels[:i], n))
		}
		if i == 0 || q.Remaining < least.Remaining {
			least = q
		}
	}
	return least, nil
}

// giveBack returns what was taken from levels, even where the request has ended.
func giveBack(ctx context.Context, l Limiter, levels []Level, n int64) error {
	if n == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	var all error
	for _, level := range levels {
		if _, err := l.Take(ctx, level.Key, level.Rule, -n); err != nil {
			all = errors.Join(all, err)
		}
	}
	return all
}
