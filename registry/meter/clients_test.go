package meter_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// unlike is text that cannot be compressed.
func unlike(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n/2)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return hex.EncodeToString(b)
}

// addresses are so many different ones.
func addresses(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()
		if i%5 == 4 {
			list[i] = fmt.Sprintf("2001:db8:%x:%x::%x", i>>16, i&0xffff, i)
		}
	}
	return list
}

func near(t *testing.T, got int64, want, within float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > within*want+0.5 {
		t.Errorf("%d clients, want %.0f within %.0f %%", got, want, 100*within)
	}
	if want > 0 {
		t.Logf("%d clients of %.0f: %+.2f %%", got, want, 100*(float64(got)/want-1))
	}
}

// visits are lines of a cache's log: one pull from each address.
func visits(at time.Time, digest string, list []string) string {
	var log strings.Builder
	for _, a := range list {
		log.WriteString(line(at, a, "GET", "/v2/test/hat/manifests/"+digest, 200, 1, "HIT", "", docker))
	}
	return log.String()
}

func TestHowManyClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		clients int
		within  float64
	}{
		{0, 0}, {1, 0}, {10, 0}, {100, 0.01}, {1000, 0.01},
		{20_000, 0.08}, {50_000, 0.08}, // five times the standard error: secrets are drawn anew each time
	} {
		t.Run(fmt.Sprint(c.clients), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := inMemory()
				nodes, ends := []*node{g.node(t), g.node(t), g.node(t)}, []func(){}
				image := nodes[0].Push("test/hat", registrytest.Image{}, "v1")
				repo := repositoryOf(t, g.store, "test/hat").ID
				for _, n := range nodes {
					ends = append(ends, n.run(t))
				}
				synctest.Wait()
				list := addresses(c.clients)
				for i, n := range nodes { // two thirds of all to each, so that a third of them is seen by two
					seen := slices.Concat(list[i*len(list)/3:], list[:i*len(list)/3])[:(len(list)*2+2)/3]
					for range 2 {
						ingest(t, n.meter, visits(time.Now(), string(image.Digest), seen))
					}
				}
				time.Sleep(time.Minute)
				today := time.Now()
				fresh := clientsOn(t, nodes[1].meter, repo, today)
				near(t, fresh, float64(c.clients), c.within)

				// A node that is started again within the day has forgotten nobody.
				ends[0]()
				nodes[0] = g.node(t)
				ends[0] = nodes[0].run(t)
				synctest.Wait()
				ingest(t, nodes[0].meter, visits(time.Now(), string(image.Digest), list))
				time.Sleep(time.Minute)
				if again := clientsOn(t, nodes[1].meter, repo, today); again != fresh && c.clients < 1000 {
					t.Errorf("%d clients, %d before a node was started again", again, fresh)
				} else {
					near(t, again, float64(c.clients), c.within)
					fresh = again
				}

				// When the day is over it is one number.
				for _, end := range ends {
					end()
				}
				until(date(2000, 1, 2, 23, 59, 0))
				if n := clientsOn(t, nodes[2].meter, repo, today); n != fresh {
					t.Errorf("%d clients the day after, %d on the day", n, fresh)
				}
				ends = []func(){nodes[1].run(t), nodes[2].run(t)}
				time.Sleep(5 * time.Minute)
				for _, end := range ends {
					end()
				}
				if n := clientsOn(t, nodes[0].meter, repo, today); n != fresh {
					t.Errorf("%d clients two days later, %d on the day", n, fresh)
				}
				if left := records(t, g.store, "clients/"); len(left) > 0 {
					t.Errorf("%d sketches are left", len(left))
				}
			})
		})
	}
}

func TestWhoIsOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		from  []string
		want  int64
		heads bool
	}{
		{"one address", []string{"192.0.2.7", "192.0.2.7", "192.0.2.7"}, 1, false},
		{"two", []string{"192.0.2.7", "192.0.2.8"}, 2, false},
		{"a /64", []string{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1:a:b:c:d"}, 1, false},
		{"two /64", []string{"2001:db8:0:1::1", "2001:db8:0:2::1"}, 2, false},
		{"IPv4 as IPv6", []string{"192.0.2.7", "::ffff:192.0.2.7"}, 1, false},
		{"HEAD is nobody", []string{"192.0.2.7"}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := inMemory()
				nodes := []*node{g.node(t), g.node(t)}
				nodes[0].Push("test/hat", registrytest.Image{}, "v1")
				ends := []func(){nodes[0].run(t), nodes[1].run(t)}
				synctest.Wait()
				for i, from := range c.from {
					method := "GET"
					if c.heads {
						method = "HEAD"
					}
					nodes[i%2].ask(t, method, "/v2/test/hat/manifests/v1", remote, from)
				}
				ends[0]()
				ends[1]()
				if got := clientsOn(t, nodes[0].meter, repositoryOf(t, g.store, "test/hat").ID, time.Now()); got != c.want {
					t.Errorf("%d clients, want %d", got, c.want)
				}
			})
		})
	}
}

// TestNoAddresses looks for addresses in everything that is stored, and for what anybody could
// compute of them.
func TestNoAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1")
		end := n.run(t)
		const address = "203.0.113.77"
		written := map[string]bool{}
		for range 3 { // days
			synctest.Wait()
			n.pull(t, "v1", remote, address)
			time.Sleep(time.Minute)
			raw := slices.Collect(maps.Values(records(t, g.store, "clients/")))
			if len(raw) == 0 {
				t.Fatal("no sketch was written")
			}
			for _, r := range raw {
				written[r] = true
			}
			var all bytes.Buffer
			for key, value := range records(t, g.store, "") {
				all.WriteString(key + " " + value + "\n")
			}
			for _, c := range counters(t, g.store) {
				fmt.Fprintln(&all, c)
			}
			sum := sha256.Sum256([]byte(address))
			binary4 := netip.MustParseAddr(address).As4()
			packed := sha256.Sum256(binary4[:])
			for what, secret := range map[string][]byte{
				"the address": []byte(address), "its bytes": binary4[:], "its hash": sum[:8], "the hash of its bytes": packed[:8],
				"its hash in hexadecimal": []byte(hex.EncodeToString(sum[:8])), "the end of its hash": sum[24:],
			} {
				if bytes.Contains(all.Bytes(), secret) {
					t.Errorf("%s is stored", what)
				}
			}
			for what, add := range map[string]func(*hyperloglog.Sketch){
				"of the address":           func(s *hyperloglog.Sketch) { s.Insert([]byte(address)) },
				"of its bytes":             func(s *hyperloglog.Sketch) { s.Insert(binary4[:]) },
				"of its hash":              func(s *hyperloglog.Sketch) { s.InsertHash(binary.BigEndian.Uint64(sum[:8])) },
				"of the hash of its bytes": func(s *hyperloglog.Sketch) { s.InsertHash(binary.BigEndian.Uint64(packed[:8])) },
			} {
				s, err := hyperloglog.NewSketch(12, true)
				if err != nil {
					t.Fatal(err)
				}
				add(s)
				plain, err := s.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				if written[string(plain)] {
					t.Errorf("a sketch %s without a secret is stored", what)
				}
			}
			time.Sleep(24 * time.Hour)
		}
		end()
		if len(written) != 3 {
			t.Errorf("%d different sketches of one address on three days", len(written))
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		a, b := g.node(t), g.node(t)
		endA, endB := a.run(t), b.run(t)
		synctest.Wait()
		ever := map[string]string{} // by day
		keys := func(want ...int) {
			t.Helper()
			now, days := records(t, g.store, "secret/"), []string{}
			for key, value := range now {
				if old, known := ever[key]; known && old != value {
					t.Errorf("%s is another than it was", key)
				}
				if len(value) != 32 {
					t.Errorf("%s has %d bytes", key, len(value))
				}
				ever[key] = value
				days = append(days, key)
			}
			var wanted []string
			for _, d := range want {
				wanted = append(wanted, fmt.Sprintf("secret/%d", date(2000, 1, d, 0, 0, 0).Unix()))
			}
			slices.Sort(days)
			if diff := cmp.Diff(wanted, days); diff != "" {
				t.Errorf("%s: secrets (-want +got)\n%s", time.Now(), diff)
			}
		}
		keys(1, 2)
		until(date(2000, 1, 1, 23, 59, 59))
		keys(1, 2)
		until(date(2000, 1, 2, 0, 1, 0))
		keys(1, 2, 3)
		endB()
		until(date(2000, 1, 2, 23, 59, 59))
		keys(1, 2, 3)
		until(date(2000, 1, 3, 0, 1, 0))
		keys(2, 3, 4) // that of the first is gone, two days after it began
		endA()
		until(date(2000, 1, 9, 0, 1, 0)) // nobody ran
		c := g.node(t)
		endC := c.run(t)
		synctest.Wait()
		keys(9, 10)
		endC()
		different := map[string]bool{}
		for _, v := range ever {
			different[v] = true
		}
		if len(different) != len(ever) {
			t.Error("two days have one secret")
		}
	})
}

// TestFoldAfterPause stops all nodes for some days: the clients of the days before are not lost, and no
// sketches are left.
func TestFoldAfterPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1")
		repo := repositoryOf(t, g.store, "test/hat").ID
		end := n.run(t)
		synctest.Wait()
		n.pull(t, "v1", remote, "192.0.2.1")
		n.pull(t, "v1", remote, "192.0.2.2")
		end()
		until(date(2000, 1, 5, 12, 0, 0))
		n = g.node(t)
		end = n.run(t)
		time.Sleep(2 * time.Minute)
		end()
		if got := clientsOn(t, n.meter, repo, date(2000, 1, 1, 0, 0, 0)); got != 2 {
			t.Errorf("%d clients four days later, want 2", got)
		}
		if left := records(t, g.store, "clients/"); len(left) > 0 {
			t.Errorf("%d sketches are left", len(left))
		}
	})
}

// TestFoldTwice folds a day on a node after another has, and with its records still there.
func TestFoldTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1")
		repo := repositoryOf(t, g.store, "test/hat").ID
		end := n.run(t)
		synctest.Wait()
		n.pull(t, "v1", remote, "192.0.2.1")
		end()
		kept := records(t, g.store, "clients/")
		until(date(2000, 1, 3, 0, 0, 0))
		for range 3 {
			nodes := []*node{g.node(t), g.node(t)}
			ends := []func(){nodes[0].run(t), nodes[1].run(t)}
			time.Sleep(5 * time.Minute)
			ends[0]()
			ends[1]()
			if got := clientsOn(t, n.meter, repo, date(2000, 1, 1, 0, 0, 0)); got != 1 {
				t.Errorf("%d clients, want 1", got)
			}
			if left := records(t, g.store, "clients/"); len(left) > 0 {
				t.Errorf("%d sketches are left", len(left))
			}
			// as if a node had ended between the sum and what it deletes
			err := g.store.Update(t.Context(), func(tx meta.Tx) error {
				for key, value := range kept {
					if err := tx.Records().Put(meta.Record{Namespace: "meter", Key: key, Value: []byte(value)}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestClientsByHour is about what there is not.
func TestClientsByHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1")
		end := n.run(t)
		synctest.Wait()
		n.pull(t, "v1")
		end()
		list, err := n.meter.Series(t.Context(), repositoryOf(t, g.store, "test/hat").ID, meter.Clients, meter.Hour, never, always)
		if err != nil || len(list) > 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
