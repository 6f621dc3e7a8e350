package meter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// wantPulls are the counts of n pulls of tag v1 of an image for linux/amd64.
func wantPulls(image manifest.Descriptor, n int64) map[string]int64 {
	return map[string]int64{
		"pull": n, "bytes": n * image.Size, "tag/v1": n, "digest/" + string(image.Digest): n, "platform/linux/amd64": n, "client/other": n,
	}
}

func checkPulls(t *testing.T, n *node, image manifest.Descriptor, pulls int64) {
	t.Helper()
	fresh := newMeter(t, n.Store) // another node, that sees what was written and nothing else
	if diff := cmp.Diff(wantPulls(image, pulls), counted(t, fresh, repositoryOf(t, n.Store, "test/hat").ID)); diff != "" {
		t.Errorf("counted (-want +got)\n%s", diff)
	}
	want := []meter.Usage{{Account: registrytest.Account, Month: date(2000, 1, 1, 0, 0, 0), Pulls: pulls, EgressBytes: pulls * image.Size}}
	if diff := cmp.Diff(want, usage(t, fresh, time.Now())); diff != "" {
		t.Errorf("used (-want +got)\n%s", diff)
	}
}

// TestFlaky pulls once a second while the store has its troubles, and a few times at the end.
func TestFlaky(t *testing.T) {
	t.Parallel()
	lost := func(n int) func(int, func() error) error {
		return func(i int, add func() error) error {
			if i%n != 0 {
				return add()
			}
			if err := add(); err != nil {
				return err
			}
			return errOut // although it was added
		}
	}
	for _, c := range []struct {
		name string
		add  func(i int, add func() error) error // of the i-th time, from 0
		view func(i int, view func() error) error
	}{
		{name: "all is well"},
		{name: "every third fails", add: func(i int, add func() error) error {
			if i%3 == 0 {
				return errOut
			}
			return add()
		}},
		{name: "out for a while", add: func(i int, add func() error) error {
			if i < 20 {
				return errOut
			}
			return add()
		}},
		{name: "every second answer is lost", add: lost(2)},
		{name: "every third answer is lost", add: lost(3)},
		{name: "lost, then out", add: func(i int, add func() error) error {
			switch {
			case i%10 == 0:
				return lost(1)(0, add)
			case i%10 < 5:
				return errOut
			}
			return add()
		}},
		{
			// all of the store is out, so that it cannot be asked where an image runs either
			name: "out altogether",
			add: func(i int, add func() error) error {
				if i < 10 {
					return errOut
				}
				return add()
			},
			view: func(i int, view func() error) error {
				if i < 10 {
					return errOut
				}
				return view()
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := inMemory()
				store := &flaky{Store: g.store}
				m := newMeter(t, store)
				n := g.node(t, func(c *registry.Config) { c.Observers = []registry.Observer{m.Observe} })
				image := n.Push("test/hat", registrytest.Image{}, "v1")
				var adds, views int
				var add func(f meta.Flush, add func() error) error
				if c.add != nil {
					add = func(f meta.Flush, add func() error) error {
						if !strings.HasPrefix(f.Node, "meter ") { // those of chores are another matter
							adds++
							return c.add(adds-1, add)
						}
						return add()
					}
				}
				end := (&node{n.Server, m}).run(t)
				synctest.Wait()
				var view func(view func() error) error
				if c.view != nil {
					view = func(view func() error) error {
						views++
						return c.view(views-1, view)
					}
				}
				store.tell(add, view)
				var pulls int64
				for range 50 {
					n.pull(t, "v1")
					pulls++
					time.Sleep(700 * time.Millisecond)
				}
				time.Sleep(30 * time.Second)
				n.pull(t, "v1")
				store.tell(nil, nil)
				end()
				checkPulls(t, n, image, pulls+1)
			})
		})
	}
}

// TestEndAfterOutage ends the meter right after an outage: what waited and what was counted since are
// both written.
func TestEndAfterOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		store := &flaky{Store: g.store}
		m := newMeter(t, store)
		n := g.node(t, func(c *registry.Config) { c.Observers = []registry.Observer{m.Observe} })
		image := n.Push("test/hat", registrytest.Image{}, "v1")
		end := (&node{n.Server, m}).run(t)
		synctest.Wait()
		store.tell(outage, nil)
		n.pull(t, "v1")
		time.Sleep(meter.DefaultFlush + time.Millisecond) // which fails
		n.pull(t, "v1")
		store.tell(nil, nil)
		end()
		checkPulls(t, n, image, 2)
	})
}

// TestFlushAfterOutage is the same by hand: a Flush that returns nil has written everything.
func TestFlushAfterOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		store := &flaky{Store: g.store}
		m := newMeter(t, store)
		n := g.node(t, func(c *registry.Config) { c.Observers = []registry.Observer{m.Observe} })
		image := n.Push("test/hat", registrytest.Image{}, "v1")
		n.pull(t, "v1")
		store.tell(outage, nil)
		if err := m.Flush(t.Context()); err == nil {
			t.Error("a flush that failed is none")
		}
		store.tell(nil, nil)
		n.pull(t, "v1")
		flush(t, m)
		checkPulls(t, n, image, 2)
	})
}

// TestKilled drops a meter whose Run has not ended: what was written stays, the rest is lost.
func TestKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		store := &flaky{Store: g.store}
		m := newMeter(t, store)
		n := g.node(t, func(c *registry.Config) { c.Observers = []registry.Observer{m.Observe} })
		image := n.Push("test/hat", registrytest.Image{}, "v1")
		end := (&node{n.Server, m}).run(t)
		for range 10 {
			n.pull(t, "v1")
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(meter.DefaultFlush)
		n.pull(t, "v1")
		n.pull(t, "v1")
		store.tell(outage, nil) // the process is no more
		end()

		next := g.node(t) // its successor
		end = next.run(t)
		next.pull(t, "v1")
		end()
		checkPulls(t, n, image, 11)
	})
}

// TestNothingCounted checks that a pull writes nothing, and that without pulls nothing is written.
func TestNothingCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		store := &flaky{Store: g.store}
		var adds int
		store.tell(func(f meta.Flush, add func() error) error {
			if !strings.HasPrefix(f.Node, "meter ") {
				adds++
			}
			return add()
		}, nil)
		m := newMeter(t, store)
		n := g.node(t, func(c *registry.Config) { c.Observers = []registry.Observer{m.Observe} })
		n.Push("test/hat", registrytest.Image{}, "v1")
		for range 100 {
			n.pull(t, "v1")
		}
		if adds != 0 {
			t.Errorf("pulls wrote %d times", adds)
		}
		end := (&node{n.Server, m}).run(t)
		time.Sleep(time.Minute)
		end()
		if adds != 1 {
			t.Errorf("written %d times, want once", adds)
		}
	})
}

// TestMaxCounts counts more things apart than a flush holds: their sum is right all the same.
func TestMaxCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		store, tags := &flaky{Store: g.store}, map[string]bool{}
		keep := g.store
		store.tell(func(f meta.Flush, _ func() error) error { // of tags their number is enough, all of them take long
			f.Counts = slices.DeleteFunc(slices.Clone(f.Counts), func(c meta.Counter) bool {
				name, is := strings.CutPrefix(c.Name, "d tag/")
				if is {
					tags[name] = true
				}
				return strings.Contains(c.Name, " tag/t")
			})
			return keep.Add(t.Context(), f)
		}, nil)
		g.store = store
		n := g.node(t)
		image := n.Push("test/hat", registrytest.Image{}, "v1")
		repo := repositoryOf(t, g.store, "test/hat")
		const beyond = 1000
		var log strings.Builder
		for i := range meter.MaxCounts + beyond {
			log.WriteString(line(time.Now(), "192.0.2.1", "GET", fmt.Sprintf("/v2/test/hat/manifests/t%d", i), 200, 3, "HIT", image.Digest, docker))
			if i%1000 == 0 {
				log.WriteString(line(time.Now(), "192.0.2.1", "HEAD", "/v2/test/hat/manifests/v1", 200, 0, "HIT", image.Digest, docker))
				log.WriteString(line(time.Now(), "192.0.2.1", "GET", "/v2/test/hat/blobs/"+string(image.Digest), 200, 7, "HIT", "", docker))
			}
		}
		got := ingest(t, n.meter, log.String())
		const others = int64(meter.MaxCounts+beyond+999) / 1000
		pulls := int64(meter.MaxCounts + beyond)
		if want := int(pulls + 2*others); got.Counted != want {
			t.Errorf("%+v, want %d", got, want)
		}
		flush(t, n.meter)
		month := []meter.Usage{{Account: registrytest.Account, Month: date(2000, 1, 1, 0, 0, 0), Pulls: pulls, EgressBytes: 3*pulls + 7*others}}
		if diff := cmp.Diff(month, usage(t, n.meter, time.Now())); diff != "" {
			t.Errorf("used (-want +got)\n%s", diff)
		}
		for kind, want := range map[meter.Kind]int64{meter.Pulls: pulls, meter.Heads: others, meter.Bytes: 3*pulls + 7*others, meter.ByClient + "docker": pulls} {
			for _, unit := range []meter.Unit{meter.Hour, meter.Day} {
				list, err := n.meter.Series(t.Context(), repo.ID, kind, unit, never, always)
				if err != nil || meter.Sum(list) != want {
					t.Errorf("%s: %d, %v; want %d", kind, meter.Sum(list), err, want)
				}
			}
		}
		if len(tags) > meter.MaxCounts || len(tags) < meter.MaxCounts-10 {
			t.Errorf("%d tags are counted apart, want some %d", len(tags), meter.MaxCounts)
		}
		// The next flush counts apart again.
		n.pull(t, "v1")
		flush(t, n.meter)
		if list, err := n.meter.Series(t.Context(), repo.ID, meter.ByTag+"v1", meter.Day, never, always); err != nil || meter.Sum(list) != 1 {
			t.Errorf("tag v1: %v, %v", list, err)
		}
	})
}
