package redislimit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/policy/limit/limittest"
	"github.com/esplanade-registry/esplanade/policy/limit/redislimit"
)

// none is a fallback that must not be asked.
type none struct{ t testing.TB }

func (n none) Take(context.Context, string, limit.Rule, int64) (limit.Quota, error) {
	n.t.Error("Redis failed")
	return limit.Quota{}, errors.New("no fallback")
}

func (n none) Add(context.Context, string, int64) (int64, error) {
	n.t.Error("Redis failed")
	return 0, errors.New("no fallback")
}

// patient options are for tests on machines that are slow.
func patient(t testing.TB, prefix string) *redislimit.Options {
	return &redislimit.Options{Prefix: prefix, Timeout: time.Minute, Fallback: none{t}, FallbackMeter: none{t}}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	s := start(t)
	var n atomic.Int64
	fresh := func(t testing.TB) *redislimit.Limiter {
		return redislimit.New(s.client(t), patient(t, fmt.Sprintf("test%d:", n.Add(1))))
	}
	// Subtests that are parallel would outlive this test's server.
	t.Run("suite", func(t *testing.T) {
		limittest.Run(t, func(t testing.TB) limit.Limiter { return fresh(t) })
		limittest.RunMeter(t, func(t testing.TB) limit.Meter { return fresh(t) })
	})
}

// TestNodes has three nodes take as fast as they can, by one rule.
func TestNodes(t *testing.T) {
	t.Parallel()
	s := start(t)
	rule := limit.Rule{Rate: 500, Burst: 100}
	const span = time.Second
	var passed, asked atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range 3 {
		l := redislimit.New(s.client(t), patient(t, ""))
		wg.Go(func() {
			for time.Since(begin) < span {
				q, err := l.Take(t.Context(), "a", rule, 1)
				if err != nil {
					t.Error(err)
					return
				}
				asked.Add(1)
				if q.OK {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	// How long it took is no bound but what the rule is multiplied with. Tokens are lost only
	// where nobody asked for as long as the burst lasts.
	want := float64(rule.Burst) + rule.Rate*took.Seconds()
	got := float64(passed.Load())
	t.Logf("%d takes in %v: %v passed, the rule says %.1f", asked.Load(), took, got, want)
	if math.Abs(got-want) > want/10 {
		t.Errorf("%v passed in %v, want %.1f within 10 %%", got, took, want)
	}
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(t)
	l := redislimit.New(c, patient(t, "x:"))
	take := func(n int64) {
		t.Helper()
		if _, err := l.Take(t.Context(), "a", limit.Rule{Rate: 1, Burst: 100}, n); err != nil {
			t.Fatal(err)
		}
	}
	left := func(key string) time.Duration {
		t.Helper()
		d, err := c.PTTL(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const missing = -2 // as Redis says it
	take(0)
	if d := left("x:a"); d != missing {
		t.Errorf("a look leaves a key for %v", d)
	}
	take(60)
	if d := left("x:a"); d <= 0 || d > time.Minute {
		t.Errorf("60 tokens leave a key for %v, want at most a minute", d)
	}
	take(-60)
	if d := left("x:a"); d != missing {
		t.Errorf("a full bucket leaves a key for %v", d)
	}

	if _, err := l.Add(t.Context(), "m", 5); err != nil {
		t.Fatal(err)
	}
	keys, err := c.Keys(t.Context(), "x:*:m").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys of the meter: %q, %v, want one", keys, err)
	}
	if d := left(keys[0]); d <= 0 || d > 33*24*time.Hour {
		t.Errorf("the month's sum is there for %v, want at most a month and a day", d)
	}
}

// TestServerLost kills Redis, and starts it again.
func TestServerLost(t *testing.T) {
	t.Parallel()
	s := start(t)
	var log lines
	rule := limit.Rule{Rate: 1e-6, Burst: 100}
	c := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer c.Close()
	l := redislimit.New(c, &redislimit.Options{Pause: 20 * time.Millisecond, Timeout: 10 * time.Second, Logger: log.logger()})
	shared := s.client(t)
	remaining := func() int64 {
		t.Helper()
		q, err := l.Take(t.Context(), "a", rule, 1)
		if err != nil || !q.OK {
			t.Fatalf("Take = %+v, %v", q, err)
		}
		return q.Remaining
	}
	if n := remaining(); n != 99 {
		t.Fatalf("%d left, want 99", n)
	}
	s.stop()
	for i := range int64(10) { // by itself, from the beginning
		if n := remaining(); n != 99-i {
			t.Fatalf("%d left without Redis, want %d", n, 99-i)
		}
		if n, err := l.Add(t.Context(), "m", 10); err != nil || n != 10*(i+1) {
			t.Fatalf("Add without Redis = %d, %v, want %d", n, err, 10*(i+1))
		}
	}
	if got := log.get(); len(got) != 1 || !strings.Contains(got[0], "limits are not shared") {
		t.Errorf("logged %q, want one line", got)
	}
	s.launch(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; shared.Exists(t.Context(), redislimit.DefaultPrefix+"a").Val() == 0; i++ {
		if i == 10_000 {
			t.Fatal("Redis is not used again")
		}
		if _, err := l.Take(t.Context(), "a", rule, 1); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	if got := log.get(); len(got) != 2 || !strings.Contains(got[1], "shared through redis again") {
		t.Errorf("logged %q, want a second line", got)
	}
	if n, err := l.Add(t.Context(), "m", 1); err != nil || n != 1 {
		t.Errorf("Add with Redis again = %d, %v, want 1", n, err)
	}
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.buf.String(), "\n"), "\n")
}

// TestServerStuck measures, by a clock that is the test's own, for how long requests wait for
// a server that is there and does not answer.
func TestServerStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hook := &hangs{release: release}
		c := redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:1", MaxRetries: -1,
			// Its goroutines outlive the client.
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		defer c.Close()
		c.AddHook(hook)
		l := redislimit.New(c, nil)
		rule := limit.Rule{Rate: 1, Burst: 1000}
		waited := func() time.Duration {
			t.Helper()
			begin := time.Now()
			q, err := l.Take(t.Context(), "a", rule, 1)
			if err != nil || !q.OK {
				t.Fatalf("Take = %+v, %v", q, err)
			}
			return time.Since(begin)
		}
		if d := waited(); d != redislimit.DefaultTimeout {
			t.Errorf("the first request waited %v, want %v", d, redislimit.DefaultTimeout)
		}
		for range 100 {
			if d := waited(); d != 0 {
				t.Errorf("a request after it waited %v, want none", d)
			}
		}
		time.Sleep(redislimit.DefaultPause)
		before := hook.asked.Load()
		var wg sync.WaitGroup
		var late atomic.Int64
		for range 100 {
			wg.Go(func() {
				if waited() != 0 {
					late.Add(1)
				}
			})
		}
		wg.Wait()
		if n := late.Load(); n != 1 || hook.asked.Load() != before+1 {
			t.Errorf("after the pause %d of 100 requests waited, want 1", n)
		}
		// A request that ends says nothing about Redis, and the next one tries.
		time.Sleep(redislimit.DefaultPause)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := l.Take(ctx, "a", rule, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request that ended: %v", err)
		}
		if d := waited(); d != redislimit.DefaultTimeout {
			t.Errorf("the request after one that ended waited %v, want %v", d, redislimit.DefaultTimeout)
		}
		close(release)
		synctest.Wait()
	})
}

// hangs is a client that waits, whatever its ctx says.
type hangs struct {
	release chan struct{}
	asked   atomic.Int64
}

func (h *hangs) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *hangs) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		h.asked.Add(1)
		<-h.release
		err := errors.New("released")
		cmd.SetErr(err)
		return err
	}
}

func (h *hangs) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// BenchmarkTake is what a request waits for Redis on the same machine.
func BenchmarkTake(b *testing.B) {
	s := start(b)
	l := redislimit.New(s.client(b), patient(b, ""))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Take(b.Context(), "a", limit.Rule{Rate: 1, Burst: 1e9}, 1); err != nil {
			b.Fatal(err)
		}
	}
}
