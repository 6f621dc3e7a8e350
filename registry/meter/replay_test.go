package meter_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// entry is a line of a plain access log.
type entry struct {
	began        time.Time
	method, path string
	agent        string
	status       int
	sent         int64
}

// accessLog writes down every request.
type accessLog struct {
	mu      sync.Mutex
	entries []entry
}

func (l *accessLog) observe(_ context.Context, op *registry.Op, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry{op.Began, op.Method, op.Path, op.UserAgent, op.Status, op.Sent})
}

// catalog is what is in the registries of a replay.
type catalog struct {
	names    []string // of repositories
	accounts map[string]string
	refs     map[string][]string // of manifests, by repository
	blobs    map[string][]string
	tagged   map[string]manifest.Digest // by path of a tag
	platform map[manifest.Digest]string
}

func fill(s *registrytest.Server, t testing.TB) *catalog {
	t.Helper()
	c := &catalog{accounts: map[string]string{}, refs: map[string][]string{}, blobs: map[string][]string{}, tagged: map[string]manifest.Digest{}, platform: map[manifest.Digest]string{}}
	if err := s.AddAlias(t.Context(), "210987654321", "acme"); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"test/hat", "test/team/cap", "test/manifests/blobs", "acme/hat"} {
		c.names, c.accounts[name] = append(c.names, name), registrytest.Account
		var children []manifest.Descriptor
		for j, arch := range []string{"amd64", "arm64", "riscv64"} {
			layer := []byte(strings.Repeat(fmt.Sprint(i, j), 20*(i+1)*(j+1)))
			d := s.Push(name, registrytest.Image{OS: "linux", Architecture: arch, Layers: [][]byte{layer}}, arch)
			c.platform[d.Digest], children = "linux/"+arch, append(children, d)
			c.tagged[name+":"+arch] = d.Digest
			c.refs[name] = append(c.refs[name], arch, string(d.Digest))
			c.blobs[name] = append(c.blobs[name], string(manifest.SHA256.FromBytes(layer)))
		}
		d := s.PushIndex(name, children, "latest", "v1")
		c.tagged[name+":latest"], c.tagged[name+":v1"] = d.Digest, d.Digest
		c.refs[name] = append(c.refs[name], "latest", "v1", string(d.Digest), "none")
	}
	c.accounts["acme/hat"] = "210987654321"
	return c
}

// counts are what was counted of a repository: of kind, unit and beginning.
type counts map[string]int64

func (c counts) add(kind string, at time.Time, n int64) {
	if n != 0 {
		c["hour "+kind+at.UTC().Truncate(time.Hour).Format(" 2006-01-02T15")] += n
		c["day "+kind+at.UTC().Format(" 2006-01-02")] += n
	}
}

var replayAgents = map[string]string{
	docker: "docker", containerd: "containerd", "containers/5.30": "podman", "crane/0.20": "crane", "curl/8": "script", "": "other", "Mozilla/5.0": "browser",
}

// truth counts the entries of a log, by the words of the documentation.
func (c *catalog) truth(log []entry) (map[string]counts, map[string]*meter.Usage) {
	all, used := map[string]counts{}, map[string]*meter.Usage{}
	for _, name := range c.names {
		all[name] = counts{}
	}
	for _, e := range log {
		at, ok := strings.CutPrefix(e.path, "/v2/")
		var name, ref string
		for _, n := range c.names {
			if rest, is := strings.CutPrefix(at, n+"/"); ok && is {
				name, ref = n, rest
			}
		}
		if name == "" || e.status < 200 || e.status > 299 {
			continue
		}
		month := e.began.UTC().Format("2006-01")
		u := used[c.accounts[name]+" "+month]
		if u == nil {
			u = &meter.Usage{Account: c.accounts[name], Month: date(e.began.UTC().Year(), e.began.UTC().Month(), 1, 0, 0, 0)}
		}
		n := all[name]
		tag, isManifest := strings.CutPrefix(ref, "manifests/")
		switch {
		case isManifest && e.method == "HEAD":
			n.add("head", e.began, 1)
			continue
		case isManifest && e.method == "GET":
			n.add("pull", e.began, 1)
			d := manifest.Digest(tag)
			if !strings.HasPrefix(tag, "sha256:") {
				n.add("tag/"+tag, e.began, 1)
				d = c.tagged[name+":"+tag]
			}
			n.add("digest/"+string(d), e.began, 1)
			if p := c.platform[d]; p != "" {
				n.add("platform/"+p, e.began, 1)
			}
			n.add("client/"+replayAgents[e.agent], e.began, 1)
			u.Pulls++
		case strings.HasPrefix(ref, "blobs/") && e.method == "GET":
		default:
			continue
		}
		n.add("bytes", e.began, e.sent)
		u.EgressBytes += e.sent
		used[c.accounts[name]+" "+month] = u
	}
	return all, used
}

// asCounted reads all counts of a repository from a meter.
func asCounted(t *testing.T, m *meter.Meter, repo meta.RepositoryID) counts {
	t.Helper()
	kinds := []string{"pull", "head", "bytes"}
	for _, by := range []meter.Kind{meter.ByTag, meter.ByDigest, meter.ByPlatform, meter.ByClient} {
		list, err := m.By(t.Context(), repo, by, never, always, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			kinds = append(kinds, string(by)+n.Name)
		}
	}
	got := counts{}
	for _, kind := range kinds {
		for unit, format := range map[meter.Unit]string{meter.Hour: " 2006-01-02T15", meter.Day: " 2006-01-02"} {
			list, err := m.Series(t.Context(), repo, meter.Kind(kind), unit, never, always)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				got[map[meter.Unit]string{meter.Hour: "hour ", meter.Day: "day "}[unit]+kind+p.At.Format(format)] = p.N
			}
		}
	}
	return got
}

// replay sends random requests to all nodes at once while their meters run, ends those, and compares
// what they have counted with the log. pause is called between requests, and settle after the last.
func replay(t *testing.T, nodes []*node, log *accessLog, requests int, seed uint64, pause func(*rand.Rand), settle func()) {
	t.Helper()
	c := fill(nodes[0].Server, t)
	log.mu.Lock()
	log.entries = nil // of pushes
	log.mu.Unlock()
	var ends []func()
	for _, n := range nodes {
		ends = append(ends, n.run(t))
	}
	const clients = 2 // of each node
	var wg sync.WaitGroup
	agents := slices.Sorted(maps.Keys(replayAgents))
	for i := range clients * len(nodes) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			n := nodes[i%len(nodes)]
			for range requests / (clients * len(nodes)) {
				name := c.names[r.IntN(len(c.names))]
				method := "GET"
				if r.IntN(4) == 0 {
					method = "HEAD"
				}
				headers := []string{"User-Agent", agents[r.IntN(len(agents))], remote, fmt.Sprintf("198.51.100.%d", r.IntN(250))}
				path := "/v2/" + name + "/manifests/" + c.refs[name][r.IntN(len(c.refs[name]))]
				switch r.IntN(10) {
				case 0:
					headers = append(headers, "If-None-Match", "*")
				case 1, 2, 3:
					path = "/v2/" + name + "/blobs/" + c.blobs[name][r.IntN(len(c.blobs[name]))]
					if r.IntN(3) == 0 {
						headers = append(headers, "Range", fmt.Sprintf("bytes=%d-", r.IntN(60)))
					}
				case 4:
					if r.IntN(4) == 0 {
						path = "/v2/" + name + "/tags/list"
					}
				case 5:
					if r.IntN(4) == 0 {
						headers = append(headers, "Authorization", "Bearer wrong")
					}
				case 6:
					if r.IntN(4) == 0 {
						n.As(auth.Principal{}).Manifest(t.Context(), name, "latest") //nolint:errcheck // what it says does not matter
					}
				}
				n.ask(t, method, path, headers...)
				pause(r)
			}
		})
	}
	wg.Wait()
	settle()
	for _, end := range ends {
		end()
	}
	want, used := c.truth(log.entries)
	differences, compared := 0, 0
	for _, n := range nodes {
		for _, name := range c.names {
			got := asCounted(t, n.meter, repositoryOf(t, n.Store, name).ID)
			compared += len(got)
			if diff := cmp.Diff(want[name], got); diff != "" {
				differences++
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
		}
		for _, u := range used {
			i := slices.IndexFunc(usage(t, n.meter, u.Month), func(v meter.Usage) bool { return v.Account == u.Account })
			if i < 0 {
				t.Errorf("nothing of account %s in %s", u.Account, u.Month)
				continue
			}
			if diff := cmp.Diff(*u, usage(t, n.meter, u.Month)[i]); diff != "" {
				t.Errorf("usage (-want +got)\n%s", diff)
			}
		}
	}
	var total int64
	for _, n := range want {
		for k, v := range n {
			if strings.HasPrefix(k, "day pull ") {
				total += v
			}
		}
	}
	t.Logf("%d requests, %d pulls, %d numbers compared, %d repositories differ", len(log.entries), total, compared, differences)
	if total < int64(requests)/4 {
		t.Errorf("%d of %d requests were pulls, which is too few to say anything", total, requests)
	}
}

// threeNodes makes nodes over what they share, where anybody may do anything.
func threeNodes(t *testing.T, grounds ...ground) ([]*node, *accessLog) {
	log := &accessLog{}
	var nodes []*node
	for _, g := range grounds {
		nodes = append(nodes, g.node(t, func(c *registry.Config) {
			c.Observers = append(c.Observers, log.observe)
			c.Evaluators = []policy.Evaluator{policy.EvaluatorFunc(func(context.Context, *policy.Request) (policy.Decision, error) {
				return policy.Decision{Effect: policy.Allow, Reason: "a test"}, nil
			})}
		}))
	}
	return nodes, log
}

func TestReplayInMemory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			g := inMemory()
			until(date(2000, 1, 31, 21, 0, 0))
			nodes, log := threeNodes(t, g, g, g)
			replay(t, nodes, log, 6000, seed, func(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(70_000)) * time.Millisecond) }, func() {})
		})
	}
}

// TestReplayUntold loses answers of the store, and has it fail.
func TestReplayUntold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			n    int
			well atomic.Bool
		)
		g := inMemory()
		g.store = &flaky{Store: g.store, add: func(_ meta.Flush, add func() error) error {
			switch n++; {
			case well.Load():
			case n%5 < 2:
				return errOut
			case n%5 == 2:
				add() //nolint:errcheck // it is said to have failed
				return errOut
			}
			return add()
		}}
		nodes, log := threeNodes(t, g, g, g)
		replay(t, nodes, log, 2400, 7, func(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(20_000)) * time.Millisecond) }, func() {
			well.Store(true)
			time.Sleep(10 * time.Second)
		})
	})
}

func TestReplaySQLite(t *testing.T) {
	t.Parallel()
	store, err := sqlmeta.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	g := ground{store, gocloud.New(memblob.OpenBucket(nil))}
	nodes, log := threeNodes(t, g, g, g)
	replay(t, nodes, log, 4000, 1, func(*rand.Rand) {}, func() {})
}
