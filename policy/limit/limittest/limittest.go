// Package limittest tests what every limit.Limiter and limit.Meter must do.
package limittest

import (
	"context"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/policy/limit"
)

// hourly buckets do not get a token while a test runs.
func hourly(burst int64) limit.Rule { return limit.Rule{Rate: 1.0 / 3600, Burst: burst} }

// step is a take, and what must come of it. Times are checked apart: they pass.
type step struct {
	why       string // the rule that is broken otherwise
	key       string
	rule      limit.Rule
	n         int64
	ok        bool
	remaining int64
}

var sequences = map[string][]step{
	"burst": {
		{"a bucket that is not known is full", "a", hourly(3), 0, true, 3},
		{"the burst passes", "a", hourly(3), 1, true, 2},
		{"the burst passes", "a", hourly(3), 1, true, 1},
		{"the burst passes", "a", hourly(3), 1, true, 0},
		{"an empty bucket refuses", "a", hourly(3), 1, false, 0},
		{"keys have buckets of their own", "b", hourly(3), 1, true, 2},
		{"to look is always OK", "a", hourly(3), 0, true, 0},
	},
	"all or nothing": {
		{"some of the burst", "a", hourly(10), 6, true, 4},
		{"more than there is", "a", hourly(10), 5, false, 4},
		{"a refused take costs nothing", "a", hourly(10), 4, true, 0},
	},
	"give back": {
		{"some", "a", hourly(10), 7, true, 3},
		{"part of it", "a", hourly(10), -5, true, 8},
		{"more than was taken: the bucket holds no more than its burst", "a", hourly(10), -100, true, 10},
		{"nothing is kept beyond the burst", "a", hourly(10), 11, false, 10},
		{"a full bucket", "a", hourly(10), -1, true, 10},
		{"as much as can be said", "a", hourly(10), math.MinInt64, true, 10},
		{"one that is not known", "b", hourly(10), -1, true, 10},
		{"all of it", "b", hourly(10), 10, true, 0},
		{"an empty bucket", "b", hourly(10), -10, true, 10},
	},
	"closed": {
		{"the zero rule", "a", limit.Rule{}, 1, false, 0},
		{"to look is always OK", "a", limit.Rule{}, 0, true, 0},
		{"to give back is always OK", "a", limit.Rule{}, -1, true, 0},
		{"no rate", "b", limit.Rule{Burst: 5}, 1, false, 0},
		{"a negative rate", "b", limit.Rule{Rate: -1, Burst: 5}, 1, false, 0},
		{"no number", "b", limit.Rule{Rate: math.NaN(), Burst: 5}, 1, false, 0},
		{"no burst", "b", limit.Rule{Rate: 5}, 1, false, 0},
		{"a negative burst", "b", limit.Rule{Rate: 5, Burst: -1}, 1, false, 0},
	},
	"extremes": {
		{"very slow", "a", limit.Rule{Rate: 1e-300, Burst: 1}, 1, true, 0},
		{"very slow", "a", limit.Rule{Rate: 1e-300, Burst: 1}, 1, false, 0},
	},
	"a change of the rule": {
		{"empty", "a", hourly(10), 10, true, 0},
		{"a wider burst applies at once", "a", hourly(15), 5, true, 0},
		{"a narrower one: empty at worst", "a", hourly(2), 1, false, 0},
		{"what is given back counts in the new rule", "a", hourly(2), -1, true, 1},
		{"closed", "a", limit.Rule{}, 1, false, 0},
		{"open again", "a", hourly(2), 1, true, 0},
	},
	"keys": {
		{"an empty key is a key", "", hourly(1), 1, true, 0},
		{"an empty key is a key", "", hourly(1), 1, false, 0},
		{"any bytes are a key", "a\x00\n \xff{b}", hourly(1), 1, true, 0},
		{"any bytes are a key", "a\x00\n \xff{b}", hourly(1), 1, false, 0},
		{"cut at no byte", "a\x00\n \xff{c}", hourly(1), 1, true, 0},
	},
}

// Run tests limiters that newLimiter returns, each of which knows no bucket yet.
func Run(t *testing.T, newLimiter func(t testing.TB) limit.Limiter) {
	for name, steps := range sequences {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLimiter(t)
			for i, s := range steps {
				q := take(t, l, s.key, s.rule, s.n)
				want := limit.Quota{OK: s.ok, Limit: max(0, s.rule.Burst), Remaining: s.remaining, Retry: q.Retry, Reset: q.Reset}
				if !(s.rule.Rate > 0) {
					want.Limit = 0
				}
				if q != want {
					t.Fatalf("step %d, %s: Take(%q, %v, %d) = %+v, want %+v", i, s.why, s.key, s.rule, s.n, q, want)
				}
				if (q.Retry == 0) != q.OK || q.Retry < 0 || q.Reset < 0 {
					t.Fatalf("step %d: Take(%q, %v, %d) = %+v, want a time to wait only where it is refused", i, s.key, s.rule, s.n, q)
				}
			}
		})
	}
	t.Run("times", func(t *testing.T) {
		t.Parallel()
		testTimes(t, newLimiter(t))
	})
	t.Run("a faster rule", func(t *testing.T) {
		t.Parallel()
		l := newLimiter(t)
		take(t, l, "a", hourly(10), 10)
		// 10 hours of debt are no reason to wait longer than for a bucket that is empty.
		if q := take(t, l, "a", limit.Rule{Rate: 1000, Burst: 10}, 0); q.Reset > 10*time.Millisecond {
			t.Errorf("after the rule got faster the bucket is full in %v, want at most 10ms", q.Reset)
		}
	})
	t.Run("concurrent", func(t *testing.T) {
		t.Parallel()
		testConcurrent(t, newLimiter(t))
	})
	t.Run("levels", func(t *testing.T) {
		t.Parallel()
		testLevels(t, newLimiter(t))
	})
}

func take(t *testing.T, l limit.Limiter, key string, rule limit.Rule, n int64) limit.Quota {
	t.Helper()
	q, err := l.Take(t.Context(), key, rule, n)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// testTimes waits as long as it is told, after which the take must pass.
func testTimes(t *testing.T, l limit.Limiter) {
	rule := limit.Rule{Rate: 200, Burst: 4}
	for range 3 {
		q := take(t, l, "a", rule, 4)
		if !q.OK {
			t.Fatalf("a full bucket: %+v", q)
		}
		if q.Reset > 20*time.Millisecond {
			t.Errorf("an empty bucket is full in %v, want at most 20ms", q.Reset)
		}
		// Refused, or a slow machine let the time pass.
		if q = take(t, l, "a", rule, 3); !q.OK {
			if q.Retry > 15*time.Millisecond || q.Retry > q.Reset {
				t.Errorf("3 tokens of an empty bucket in %v, full in %v; want at most 15ms, and no longer than until full", q.Retry, q.Reset)
			}
			wait(t.Context(), q.Retry)
			if q = take(t, l, "a", rule, 3); !q.OK {
				t.Fatalf("after waiting as told: %+v", q)
			}
		}
		wait(t.Context(), q.Reset)
		if q = take(t, l, "a", rule, 0); q.Remaining != 4 || q.Reset != 0 {
			t.Fatalf("after waiting until full: %+v", q)
		}
	}
	if q := take(t, l, "a", rule, 5); q.OK || q.Retry != limit.Never || q.Remaining != 4 {
		t.Errorf("more than the burst: %+v, want to wait forever", q)
	}
	if q := take(t, l, "b", limit.Rule{}, 1); q.Retry != limit.Never {
		t.Errorf("a closed bucket: %+v, want to wait forever", q)
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func testConcurrent(t *testing.T, l limit.Limiter) {
	const burst = 50
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				q, err := l.Take(t.Context(), "a", hourly(burst), 1)
				if err != nil {
					t.Error(err)
					return
				}
				if q.OK {
					passed.Add(1)
				}
				if _, err := l.Take(t.Context(), strconv.Itoa(i), hourly(burst), 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := passed.Load(); got != burst {
		t.Errorf("%d of 160 passed, want %d", got, burst)
	}
	for i := range 20 {
		if q := take(t, l, strconv.Itoa(i), hourly(burst), 0); q.Remaining != burst-8 {
			t.Errorf("key %d has %d left, want %d", i, q.Remaining, burst-8)
		}
	}
}

func testLevels(t *testing.T, l limit.Limiter) {
	site := func(i int) []limit.Level {
		return []limit.Level{{Key: "site" + strconv.Itoa(i), Rule: hourly(3)}, {Key: "wide", Rule: hourly(5)}}
	}
	for i, want := range []struct {
		site      int
		n         int64
		ok        bool
		remaining int64 // of the level that has the fewest
	}{
		{1, 2, true, 1},
		{1, 2, false, 1}, // the site has 1
		{2, 2, true, 1},  // the wide one has 1, and so has the site
		{3, 2, false, 1}, // the wide one has 1
		{3, 0, true, 1},
		{3, 1, true, 0},
		{3, -1, true, 1},
		{2, 1, true, 0},
		{4, 1, false, 0},
	} {
		q, err := limit.TakeAll(t.Context(), l, site(want.site), want.n)
		if err != nil {
			t.Fatal(err)
		}
		if q.OK != want.ok || q.Remaining != want.remaining {
			t.Fatalf("step %d: %+v, want %+v", i, q, want)
		}
	}
	for i, want := range map[int]int64{1: 1, 2: 0, 3: 3, 4: 3} {
		if q := take(t, l, "site"+strconv.Itoa(i), hourly(3), 0); q.Remaining != want {
			t.Errorf("site %d has %d left, want %d: what a refused take had taken is given back", i, q.Remaining, want)
		}
	}
}

// RunMeter tests meters that newMeter returns, each of which has counted nothing yet. It
// does not test that months end.
func RunMeter(t *testing.T, newMeter func(t testing.TB) limit.Meter) {
	add := func(t *testing.T, m limit.Meter, key string, n, want int64) {
		t.Helper()
		got, err := m.Add(t.Context(), key, n)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("Add(%q, %d) = %d, want %d", key, n, got, want)
		}
	}
	t.Run("sum", func(t *testing.T) {
		t.Parallel()
		m := newMeter(t)
		add(t, m, "a", 0, 0)
		add(t, m, "a", 5, 5)
		add(t, m, "a", 7, 12)
		add(t, m, "b", 1, 1)
		add(t, m, "a", 0, 12)
		add(t, m, "a", -2, 10)
		add(t, m, "a", 1<<60, 1<<60+10) // exact, beyond what a float64 holds
		add(t, m, "a", math.MaxInt64, math.MaxInt64)
		add(t, m, "a", 1, math.MaxInt64)
		add(t, m, "a", -1, math.MaxInt64-1)
		add(t, m, "a", math.MinInt64, 0)
	})
	t.Run("never below zero", func(t *testing.T) {
		t.Parallel()
		m := newMeter(t)
		add(t, m, "a", -1, 0)
		add(t, m, "a", 0, 0)
		add(t, m, "a", 3, 3)
		add(t, m, "a", -5, 0)
		add(t, m, "a", 3, 3)
	})
	t.Run("concurrent", func(t *testing.T) {
		t.Parallel()
		m := newMeter(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 25 {
					if _, err := m.Add(t.Context(), "a", 3); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		add(t, m, "a", 0, 600)
	})
}
