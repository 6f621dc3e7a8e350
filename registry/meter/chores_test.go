package meter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// again is a store that runs every Update twice, the first time in vain, as any store may.
type again struct{ meta.Store }

func (a again) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	inVain := errors.New("rolled back")
	err := a.Store.Update(ctx, func(tx meta.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return inVain
	}, opts...)
	if !errors.Is(err, inVain) {
		return err
	}
	return a.Store.Update(ctx, fn, opts...)
}

// lasting summarizes what is counted of repositories: how many counters of which length and kind, at
// which ages in days.
func lasting(t *testing.T, store meta.Store, now time.Time) map[string]int {
	t.Helper()
	names := map[meta.RepositoryID]string{repositoryOf(t, store, "test/hat").ID: "hat"}
	all := map[string]int{}
	for _, c := range counters(t, store) {
		if c.Repository == 0 {
			continue // of accounts
		}
		name := names[c.Repository]
		if name == "" {
			name = "gone"
		}
		kind, _, of := strings.Cut(c.Name, "/")
		if of {
			kind += "/"
		}
		all[fmt.Sprintf("%s %s %d", name, kind, int(now.Sub(time.Unix(c.At, 0)).Hours()/24))]++
	}
	return all
}

func TestRetention(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		wrap func(meta.Store) meta.Store
	}{
		{"once", func(s meta.Store) meta.Store { return s }},
		{"again", func(s meta.Store) meta.Store { return again{s} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := date(2002, 3, 1, 12, 0, 0)
				until(now)
				g := inMemory()
				g.store = c.wrap(g.store)
				n := g.node(t)
				image := n.Push("test/hat", registrytest.Image{}, "v1")
				n.Push("test/old", registrytest.Image{}, "v1")
				const tags = 300 // some pages of counters
				for _, days := range []int{0, 7, 9, 399, 402} {
					var log strings.Builder
					for i := range tags {
						log.WriteString(line(now.AddDate(0, 0, -days), "192.0.2.1", "GET", fmt.Sprintf("/v2/test/hat/manifests/t%03d", i), 200, 5, "HIT", image.Digest, docker))
					}
					log.WriteString(line(now.AddDate(0, 0, -days), "192.0.2.1", "HEAD", "/v2/test/old/manifests/v1", 200, 0, "HIT", image.Digest, docker))
					log.WriteString(line(now.AddDate(0, 0, -days), "192.0.2.1", "GET", "/v2/test/old/manifests/v1", 200, 5, "HIT", image.Digest, docker))
					ingest(t, n.meter, log.String())
				}
				flush(t, n.meter)
				used := map[time.Time][]meter.Usage{}
				months := []time.Time{date(2002, 3, 1, 0, 0, 0), date(2002, 2, 1, 0, 0, 0), date(2001, 1, 1, 0, 0, 0)}
				for _, month := range months {
					if used[month] = usage(t, n.meter, month); len(used[month]) != 1 {
						t.Errorf("%s: used %v", month, used[month])
					}
				}
				if _, err := n.Owner().DeleteRepository(t.Context(), "test/old", true); err != nil {
					t.Fatal(err)
				}
				if err := n.meter.Sweep(t.Context(), now); err != nil {
					t.Fatal(err)
				}
				want := map[string]int{}
				for _, days := range []int{0, 7, 9, 399, 402} {
					for kind, number := range map[string]int{"pull": 1, "bytes": 1, "tag/": tags, "digest/": 1, "platform/": 1, "client/": 1} {
						if days < 8 {
							want[fmt.Sprintf("hat h %s %d", kind, days)] = number
						}
						if days < 400 || !strings.HasSuffix(kind, "/") {
							want[fmt.Sprintf("hat d %s %d", kind, days)] = number
						}
					}
				}
				got := lasting(t, g.store, now)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("what is left (-want +got)\n%s", diff)
				}
				for _, month := range months {
					if diff := cmp.Diff(used[month], usage(t, n.meter, month)); diff != "" {
						t.Errorf("%s: used (-want +got)\n%s", month, diff)
					}
				}
			})
		})
	}
}

// TestSweepDaily leaves it to Run.
func TestSweepDaily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1")
		n.pull(t, "v1")
		flush(t, n.meter)
		hours := func() (count int) {
			for _, c := range counters(t, g.store) {
				if strings.HasPrefix(c.Name, "h ") {
					count++
				}
			}
			return count
		}
		until(date(2000, 1, 8, 12, 0, 0))
		end := n.chores(t)
		if hours() == 0 {
			t.Error("hours are gone after seven days and a half")
		}
		until(date(2000, 1, 10, 13, 0, 0))
		if n := hours(); n != 0 {
			t.Errorf("%d hours are left after nine days and a half", n)
		}
		end()
	})
}
