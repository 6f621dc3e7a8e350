package limit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/policy/limit/limittest"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(testing.TB) limit.Limiter { return limit.NewLocal(0) })
	limittest.RunMeter(t, func(testing.TB) limit.Meter { return limit.NewLocal(0) })
}

func take(t testing.TB, l limit.Limiter, key string, rule limit.Rule, n int64) limit.Quota {
	t.Helper()
	q, err := l.Take(t.Context(), key, rule, n)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestLocalTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLocal(0)
		rule := limit.Rule{Rate: 2, Burst: 4}
		for i, tt := range []struct {
			wait time.Duration
			rule limit.Rule
			n    int64
			want limit.Quota
		}{
			{0, rule, 4, limit.Quota{OK: true, Limit: 4, Reset: 2 * time.Second}},
			{0, rule, 1, limit.Quota{Limit: 4, Retry: time.Second / 2, Reset: 2 * time.Second}},
			{time.Second/2 - 1, rule, 1, limit.Quota{Limit: 4, Retry: 1, Reset: 3*time.Second/2 + 1}},
			{1, rule, 1, limit.Quota{OK: true, Limit: 4, Reset: 2 * time.Second}},
			{time.Second, rule, 3, limit.Quota{Limit: 4, Remaining: 2, Retry: time.Second / 2, Reset: time.Second}},
			{0, rule, 2, limit.Quota{OK: true, Limit: 4, Reset: 2 * time.Second}},
			{0, rule, -1, limit.Quota{OK: true, Limit: 4, Remaining: 1, Reset: 3 * time.Second / 2}},
			{time.Hour, rule, 0, limit.Quota{OK: true, Limit: 4, Remaining: 4}},
			{0, rule, 4, limit.Quota{OK: true, Limit: 4, Reset: 2 * time.Second}},
			// Twice as fast: two seconds were four tokens and are eight, of which it has no more
			// than its four to owe.
			{0, limit.Rule{Rate: 4, Burst: 4}, 1, limit.Quota{Limit: 4, Retry: time.Second / 4, Reset: time.Second}},
			{time.Second / 4, limit.Rule{Rate: 4, Burst: 4}, 0, limit.Quota{OK: true, Limit: 4, Reset: time.Second}},
			// One that only looks changes nothing, neither with another rule.
			{0, rule, 0, limit.Quota{OK: true, Limit: 4, Reset: 7 * time.Second / 4}},
		} {
			time.Sleep(tt.wait)
			if diff := cmp.Diff(tt.want, take(t, l, "a", tt.rule, tt.n)); diff != "" {
				t.Errorf("step %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

// TestLocalModel compares a limiter to buckets that count their tokens one by one.
func TestLocalModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				l := limit.NewLocal(0)
				rule := limit.Rule{Rate: math.Exp(r.Float64()*14 - 4), Burst: 1 + r.Int64N(200)}
				type bucket struct {
					tokens float64
					at     time.Time
				}
				model := make([]bucket, 5)
				for i := range model {
					model[i] = bucket{float64(rule.Burst), time.Now()}
				}
				for i := range 3000 {
					key := r.IntN(len(model))
					b := &model[key]
					if r.IntN(3) == 0 {
						time.Sleep(time.Duration(r.ExpFloat64() * 5e9 / rule.Rate))
					}
					now := time.Now()
					b.tokens = min(float64(rule.Burst), b.tokens+now.Sub(b.at).Seconds()*rule.Rate)
					b.at = now
					n := r.Int64N(8) - 2
					q := take(t, l, strconv.Itoa(key), rule, n)
					// What rounding to nanoseconds may come to until now.
					slack := 1e-6 + rule.Rate*1e-9*float64(i+2)
					switch {
					case q.OK && b.tokens+slack < float64(n), !q.OK && b.tokens-slack > float64(n):
						t.Fatalf("rule %+v, take %d: %d of %v: %+v", rule, i, n, b.tokens, q)
					case q.OK:
						b.tokens = min(float64(rule.Burst), b.tokens-float64(n))
					}
					if d := b.tokens - float64(q.Remaining); d < -slack || d >= 1+slack {
						t.Fatalf("rule %+v, take %d: %d remain of %v", rule, i, q.Remaining, b.tokens)
					}
				}
			})
		})
	}
}

func TestLocalForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLocal(3)
		rule := limit.Rule{Rate: 1, Burst: 1000}
		for i := range 3 {
			take(t, l, fmt.Sprint(i), rule, 100)
		}
		take(t, l, "0", rule, 0)   // used last
		take(t, l, "3", rule, 100) // in place of 1
		got := map[string]int64{}
		for i := range 4 {
			got[fmt.Sprint(i)] = take(t, l, fmt.Sprint(i), rule, 0).Remaining
		}
		if diff := cmp.Diff(map[string]int64{"0": 900, "1": 1000, "2": 900, "3": 900}, got); diff != "" {
			t.Errorf("the least recently used is not the one forgotten (-want +got):\n%s", diff)
		}
	})
}

// TestLocalMemory asks for a million keys, as a client could that has a /44.
func TestLocalMemory(t *testing.T) { // not parallel: it measures the heap
	const keys, bound = 1_000_000, 128 << 20
	rule := limit.Rule{Rate: 1e-6, Burst: 10}
	before := heap()
	l := limit.NewLocal(0)
	for i := range keys {
		key := "pull 2001:db8:0:" + strconv.FormatInt(int64(i), 16) + "::/64"
		take(t, l, key, rule, 1)
		if _, err := l.Add(t.Context(), key, 1); err != nil {
			t.Fatal(err)
		}
	}
	used := heap() - before
	t.Logf("%d keys: %d MiB", keys, used>>20)
	if used > bound {
		t.Errorf("%d keys take %d MiB, want at most %d", keys, used>>20, bound>>20)
	}
	runtime.KeepAlive(l)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestLocalMonths(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins at midnight of 2000-01-01, in UTC
		l := limit.NewLocal(0)
		const a limit.Allowance = 100
		end := func(d time.Duration) time.Duration { return 31*24*time.Hour - d }
		for i, tt := range []struct {
			wait time.Duration
			n    int64
			want limit.Quota
		}{
			{0, 0, limit.Quota{OK: true, Limit: 100, Remaining: 100}},
			{time.Hour, 60, limit.Quota{OK: true, Limit: 100, Remaining: 40, Reset: end(time.Hour)}},
			{0, 60, limit.Quota{Limit: 100, Retry: end(time.Hour), Reset: end(time.Hour)}},
			{end(time.Hour) - 1, 0, limit.Quota{Limit: 100, Retry: 1, Reset: 1}},
			{1, 0, limit.Quota{OK: true, Limit: 100, Remaining: 100}},
			{0, 10, limit.Quota{OK: true, Limit: 100, Remaining: 90, Reset: 29 * 24 * time.Hour}},
			{0, -4, limit.Quota{OK: true, Limit: 100, Remaining: 94, Reset: 29 * 24 * time.Hour}},
			{0, math.MaxInt64, limit.Quota{Limit: 100, Retry: 29 * 24 * time.Hour, Reset: 29 * 24 * time.Hour}},
			{400 * 24 * time.Hour, 1, limit.Quota{OK: true, Limit: 100, Remaining: 99, Reset: 25 * 24 * time.Hour}},
		} {
			time.Sleep(tt.wait)
			q, err := a.Use(t.Context(), l, "a", tt.n)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, q); diff != "" {
				t.Errorf("step %d (-want +got):\n%s", i, diff)
			}
		}
		var none limit.Allowance
		q, err := none.Use(t.Context(), l, "b", 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(limit.Quota{Retry: limit.Never}, q); diff != "" {
			t.Errorf("the zero allowance (-want +got):\n%s", diff)
		}
	})
}
