package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// ledger has what happened and what a sink took, each in order for each repository.
type ledger struct {
	mu          sync.Mutex
	truth, took map[string][]string // IDs of events
	fails       func(event.Event) error
}

func newLedger(fails func(event.Event) error) *ledger {
	return &ledger{truth: map[string][]string{}, took: map[string][]string{}, fails: fails}
}

// place is what an event is in order with.
func place(e event.Event) string {
	if e.RepositoryID == 0 {
		return string(e.Type) + e.Account
	}
	return fmt.Sprint(e.Repository, " ", e.RepositoryID)
}

func (l *ledger) follow(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.truth[place(e)] = append(l.truth[place(e)], e.ID)
}

func (l *ledger) Deliver(_ context.Context, e event.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fails(e); err != nil {
		return err
	}
	l.took[place(e)] = append(l.took[place(e)], e.ID)
	return nil
}

func (l *ledger) set(fails func(event.Event) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = fails
}

// wantAll checks that all came, in order. What came twice may, from where it began again.
func (l *ledger) wantAll(t *testing.T, twice bool) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for where, list := range l.truth {
		if !twice {
			if diff := cmp.Diff(list, l.took[where]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", where, diff)
			}
			continue
		}
		at := map[string]int{}
		for i, id := range list {
			at[id] = i
		}
		came := 0
		for _, id := range l.took[where] {
			if at[id] > came {
				t.Errorf("%s: event %d came when %d had come", where, at[id], came)
			}
			came = max(came, at[id]+1)
		}
		if came != len(list) {
			t.Errorf("%s: %d of %d events came", where, came, len(list))
		}
	}
	for where, list := range l.took {
		if len(l.truth[where]) == 0 {
			t.Errorf("%s: %d events of nothing that happened", where, len(list))
		}
	}
}

var (
	errRefused = errors.New("not this one")
	errDown    = fmt.Errorf("503: %w", event.ErrUnavailable)
)

// A sink that fails at random, for one event or for all, of a registry that is started again
// and again: nothing is lost, and the order of each repository is kept.
func TestDeliveryStorm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				ledger := newLedger(func(event.Event) error { // one at a time
					switch n := random.IntN(100); {
					case n < 10:
						return errDown
					case n < 15:
						return errRefused
					}
					return nil
				})
				s := registrytest.New(t, func(c *registry.Config) { c.Sinks = map[string]event.Sink{"test": ledger} })
				stop := run(t, s)
				s.Follow(ledger.follow)
				elsewhere := registry.Target{Alias: "elsewhere"}
				for i := range 40 {
					for n := range 8 {
						name := fmt.Sprint("test/r", n)
						s.Push(name, registrytest.Image{Layers: [][]byte{{byte(i)}}}, "v")
						if i%20 == 19 {
							if _, err := s.Owner().DeleteRepository(t.Context(), name, true); err != nil {
								t.Fatal(err)
							}
						}
					}
					if i%10 == 5 {
						if err := errors.Join(s.Suspend(t.Context(), registry.Suspension{Target: elsewhere}), s.Restore(t.Context(), elsewhere, "")); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Duration(i*977%3000) * time.Millisecond)
					if i%15 == 7 {
						stop()
						stop = run(t, s)
					}
				}
				ledger.set(func(event.Event) error { return nil })
				time.Sleep(2 * time.Hour)
				stop()
				ledger.wantAll(t, true)
			})
		})
	}
}

// One event that a sink never takes, and says is the sink's own fault, keeps nobody else
// waiting for longer than a sink that is down is left alone.
func TestEventThatIsNeverTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		ledger := newLedger(func(e event.Event) error {
			if e.Repository == "bad" && e.Type == event.ManifestPushed {
				tries++
				return errDown
			}
			return nil
		})
		s := start(t, ledger)
		s.Follow(ledger.follow)
		s.Push("test/bad", registrytest.Image{}, "v1")
		for i := range 60 {
			s.Push(fmt.Sprint("test/good", i%20), registrytest.Image{}, fmt.Sprint("v", i))
			time.Sleep(61 * time.Second)
			ledger.mu.Lock()
			for where, list := range ledger.truth {
				if got := len(ledger.took[where]); got != len(list) && !strings.HasPrefix(where, "bad ") {
					t.Errorf("round %d: %s has %d of %d events after a minute", i, where, got, len(list))
				}
			}
			ledger.mu.Unlock()
		}
		ledger.mu.Lock()
		if limit := 2 * 61; tries > limit {
			t.Errorf("the event was tried %d times in an hour, want %d at most", tries, limit)
		}
		ledger.mu.Unlock()
		ledger.set(func(event.Event) error { return nil })
		time.Sleep(15 * time.Minute)
		ledger.wantAll(t, false)
	})
}

// What a sink does not take of an account keeps neither takedowns waiting nor other accounts.
func TestTakedownDoesNotWait(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{"the event is refused": errRefused, "the sink is not available": errDown} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got []string
				s := start(t, event.SinkFunc(func(_ context.Context, e event.Event) error {
					if e.Type == event.RegistryChanged && e.Account == "999999999999" {
						return fault
					}
					got = append(got, fmt.Sprint(e.Type, " ", e.Account, e.Alias))
					return nil
				}))
				for _, step := range []struct {
					do   func() error
					want []string
				}{
					{func() error { return s.AddAlias(t.Context(), "999999999999", "somebody") }, nil},
					{
						func() error {
							return s.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Account: "999999999999"}})
						},
						[]string{"takedown.suspended 999999999999"},
					},
					{func() error { return s.AddAlias(t.Context(), "888888888888", "else") }, []string{"registry.changed 888888888888"}},
					{
						func() error {
							return s.Restore(t.Context(), registry.Target{Account: "999999999999"}, "ann")
						},
						[]string{"takedown.restored 999999999999"},
					},
				} {
					got = nil
					if err := step.do(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(61 * time.Second)
					synctest.Wait()
					if diff := cmp.Diff(step.want, got); diff != "" {
						t.Errorf("within a minute (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}

// A process that ends in the middle of a round has noted what was taken, and what was not
// comes to the next.
func TestDeliveryEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(context.Context) error{
		"taken":         func(context.Context) error { return nil },
		"cut off":       func(ctx context.Context) error { return ctx.Err() },
		"refused":       func(context.Context) error { return errRefused },
		"not available": func(context.Context) error { return errDown },
	} {
		for _, last := range []int{1, 2, 17, 50, 80} {
			t.Run(fmt.Sprintf("%s, event %d", name, last), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ledger := newLedger(func(event.Event) error { return nil })
					n := 0
					running, end := context.WithCancel(context.Background())
					defer end()
					s := registrytest.New(t, func(c *registry.Config) {
						c.Sinks = map[string]event.Sink{"test": event.SinkFunc(func(ctx context.Context, e event.Event) error {
							ledger.mu.Lock()
							n++
							now := n == last
							ledger.mu.Unlock()
							if now {
								end()
								<-ctx.Done()
								if err := fault(ctx); err != nil {
									return err
								}
							}
							return ledger.Deliver(ctx, e)
						})}
					})
					run(t, s)() // so that the sink is known
					s.Follow(ledger.follow)
					for i := range 20 {
						s.Push(fmt.Sprint("test/r", i), registrytest.Image{}, "v1")
					}
					if err := s.Run(running); err != nil {
						t.Errorf("Run: %v", err)
					}
					if took := n; took > last+16 { // those on their way
						t.Errorf("%d events were tried after the end", took-last)
					}
					stop := run(t, s)
					time.Sleep(time.Hour)
					stop()
					ledger.wantAll(t, false)
				})
			})
		}
	}
}

// Several events that are never taken do not pass for a sink that is down, once others come.
func TestEventsThatAreNeverTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Int32
		s := start(t, event.SinkFunc(func(_ context.Context, e event.Event) error {
			if strings.HasPrefix(e.Repository, "bad") {
				return errDown
			}
			good.Add(1)
			return nil
		}))
		for i := range 5 {
			s.Push(fmt.Sprint("test/bad", i), registrytest.Image{}, "v1")
		}
		time.Sleep(time.Hour)
		s.Push("test/good", registrytest.Image{}, "v1")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := good.Load(); n != 4 {
			t.Errorf("%d of 4 came", n)
		}
	})
}
