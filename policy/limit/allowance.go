package limit

import (
	"context"
	"math"
	"time"
)

// Allowance is how many bytes a key may use in a calendar month, in UTC. The zero Allowance
// is none.
type Allowance int64

// Use adds n bytes to what key has used this month, and returns what that leaves: OK where
// there is anything left. n = 0 only looks.
//
// What is being sent when the allowance ends is sent in full: look before sending, and count
// what was sent after.
func (a Allowance) Use(ctx context.Context, m Meter, key string, n int64) (Quota, error) {
	total, err := m.Add(ctx, key, n)
	if err != nil {
		return Quota{}, err
	}
	return a.quota(total, time.Now()), nil
}

func (a Allowance) quota(total int64, now time.Time) Quota {
	q := Quota{Limit: max(0, int64(a))}
	q.Remaining = max(0, q.Limit-max(0, total))
	q.OK = q.Remaining > 0
	if total > 0 {
		q.Reset = monthEnd(now).Sub(now)
	}
	switch {
	case q.OK:
	case q.Limit == 0:
		q.Retry = Never
	default:
		q.Retry = q.Reset
	}
	return q
}

// monthEnd is when the month's sums start anew.
func monthEnd(now time.Time) time.Time {
	y, m, _ := now.UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
}

// sum is what a key used in a month, which is over at end.
type sum struct{ total, end int64 }

// Add implements [Meter]. There are no errors.
func (l *Local) Add(_ context.Context, key string, n int64) (total int64, err error) {
	now := time.Now()
	s := l.sums.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	v, known := s.lru.Get(key)
	if known && now.Unix() >= v.end {
		*v = sum{end: monthEnd(now).Unix()}
	}
	switch {
	case n <= 0 && !known:
		return 0, nil
	case !known:
		v = &sum{end: monthEnd(now).Unix()}
		s.lru.Add(key, v)
	}
	if n > math.MaxInt64-v.total {
		n = math.MaxInt64 - v.total
	}
	v.total = max(0, v.total+n)
	return v.total, nil
}
