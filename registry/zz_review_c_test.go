package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

func TestZZDeliveryStorm(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			truth := map[int64][]string{} // ids in order by repository
			got := map[int64][]string{}
			calls := 0
			calm := false
			sink := &zzSink{}
			sink.fail = func(e event.Event) error {
				mu.Lock()
				defer mu.Unlock()
				calls++
				if !calm {
					switch n := rnd.IntN(100); {
					case n < 10:
						return fmt.Errorf("down: %w", event.ErrUnavailable)
					case n < 15:
						return errors.New("bad")
					}
				}
				got[e.RepositoryID] = append(got[e.RepositoryID], e.ID)
				return nil
			}
			s := registrytest.New(t, func(c *registry.Config) { c.Sinks = map[string]event.Sink{"test": sink} })
			s.Follow(func(e event.Event) {
				mu.Lock()
				truth[e.RepositoryID] = append(truth[e.RepositoryID], e.ID)
				mu.Unlock()
			})
			stop := run(t, s)
			for i := range 60 {
				for r := range 12 {
					name := fmt.Sprintf("test/r%d", r)
					s.Push(name, registrytest.Image{Layers: [][]byte{[]byte(fmt.Sprint(i))}}, "v")
					if i%20 == 19 {
						if _, err := s.Owner().DeleteRepository(context.Background(), name, true); err != nil {
							t.Fatal(err)
						}
					}
				}
				time.Sleep(time.Duration((i*977)%3000) * time.Millisecond)
				if i%15 == 7 {
					stop()
					stop = run(t, s)
				}
			}
			mu.Lock()
			calm = true
			mu.Unlock()
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			stop()
			mu.Lock()
			defer mu.Unlock()
			for repo, want := range truth {
				at := map[string]int{}
				for i, id := range want {
					at[id] = i
				}
				high := -1
				for _, id := range got[repo] {
					i := at[id]
					if i > high+1 {
						t.Errorf("seed %d repo %d: event %d after %d", seed, repo, i, high)
					}
					high = max(high, i)
				}
				if high != len(want)-1 {
					t.Errorf("seed %d repo %d: %d of %d came", seed, repo, high+1, len(want))
				}
			}
			t.Logf("seed %d: %d repositories, %d calls", seed, len(truth), calls)
		})
	}
}

// A sink that refuses one event about no repository holds back takedowns.
func TestZZTakedownBehindPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &zzSink{fail: func(e event.Event) error {
			if e.Type == event.RegistryChanged {
				return errors.New("poison")
			}
			return nil
		}}
		s := registrytest.New(t, func(c *registry.Config) { c.Sinks = map[string]event.Sink{"test": sink} })
		stop := run(t, s)
		defer stop()
		if err := s.AddAlias(t.Context(), "999999999999", "somebody"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := s.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Alias: "test"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		sink.mu.Lock()
		defer sink.mu.Unlock()
		t.Logf("a day later the sink has: %v", sink.got)
		if len(sink.got) == 0 {
			t.Error("the takedown was never told")
		}
	})
}

// Backoff of a sink that takes one at a time only.
func TestZZHungRepository(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink slowSink
		s := registrytest.New(t, func(c *registry.Config) { c.Sinks = map[string]event.Sink{"test": &sink} })
		stop := run(t, s)
		defer stop()
		s.Push("test/slow", registrytest.Image{}, "v1")
		time.Sleep(10 * time.Millisecond)
		s.Push("test/fast", registrytest.Image{}, "v1")
		begun := time.Now()
		for {
			time.Sleep(time.Second)
			sink.mu.Lock()
			n := sink.fast
			sink.mu.Unlock()
			if n > 0 || time.Since(begun) > time.Hour {
				t.Logf("the first event of another repository came after %v", time.Since(begun))
				break
			}
		}
	})
}

type slowSink struct {
	mu   sync.Mutex
	fast int
}

func (z *slowSink) Deliver(ctx context.Context, e event.Event) error {
	if e.Repository == "slow" {
		select {
		case <-ctx.Done():
		case <-time.After(30 * time.Second): // a client's timeout
		}
		return errors.New("timeout")
	}
	z.mu.Lock()
	z.fast++
	z.mu.Unlock()
	return nil
}
