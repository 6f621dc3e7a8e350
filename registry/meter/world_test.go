package meter_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// ground is what nodes share.
type ground struct {
	store  meta.Store
	bucket storage.Bucket
}

func inMemory() ground { return ground{memmeta.New(), gocloud.New(memblob.OpenBucket(nil))} }

// node is a registry and its meter.
type node struct {
	*registrytest.Server
	meter *meter.Meter
}

func (g ground) node(t testing.TB, change ...func(*registry.Config)) *node {
	t.Helper()
	m := newMeter(t, g.store)
	return &node{registrytest.New(t, append([]func(*registry.Config){func(c *registry.Config) {
		c.Store, c.Bucket, c.Observers = g.store, g.bucket, []registry.Observer{m.Observe}
	}}, change...)...), m}
}

func newMeter(t testing.TB, store meta.Store) *meter.Meter {
	t.Helper()
	m, err := meter.New(meter.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs the meter until end is called.
func (n *node) run(t testing.TB) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- n.meter.Run(ctx, n.Registry) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// remote is a header that the requests of ask have in place of the address that they come from.
const remote = "Remote"

// ask sends a request, with pairs of headers, and returns the status and the bytes of the body.
func (n *node) ask(t testing.TB, method, path string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(t.Context(), method, "https://registry.example"+path, http.NoBody)
	req.RemoteAddr = "192.0.2.1:1234"
	for pair := range slices.Chunk(headers, 2) {
		if pair[0] == remote {
			req.RemoteAddr = pair[1] + ":1234"
			if strings.Contains(pair[1], ":") {
				req.RemoteAddr = "[" + pair[1] + "]:1234"
			}
		} else {
			req.Header.Set(pair[0], pair[1])
		}
	}
	rec := httptest.NewRecorder()
	n.ServeHTTP(rec, req)
	return rec
}

// pull pulls an image of test/hat.
func (n *node) pull(t testing.TB, ref string, headers ...string) {
	t.Helper()
	if rec := n.ask(t, "GET", "/v2/test/hat/manifests/"+ref, headers...); rec.Code != http.StatusOK {
		t.Fatalf("pull of %s: %d %s", ref, rec.Code, rec.Body)
	}
}

func repositoryOf(t testing.TB, store meta.Store, name string) meta.Repository {
	t.Helper()
	alias, rest, _ := strings.Cut(name, "/")
	repo, err := store.Find(t.Context(), alias, rest)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// flush writes what was counted.
func flush(t testing.TB, meters ...*meter.Meter) {
	t.Helper()
	for _, m := range meters {
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// ever are a beginning before and an end after everything that tests count.
var (
	never  = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	always = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// counted is all that was counted of a repository, by what it is, but for clients. By the way it
// checks that hours add up to days.
func counted(t testing.TB, m *meter.Meter, repo meta.RepositoryID) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	kinds := []string{string(meter.Pulls), string(meter.Heads), string(meter.Bytes)}
	for _, by := range []meter.Kind{meter.ByTag, meter.ByDigest, meter.ByPlatform, meter.ByClient} {
		list, err := m.By(t.Context(), repo, by, never, always, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			kinds = append(kinds, string(by)+n.Name)
			all[string(by)+n.Name] = n.N
		}
	}
	for _, kind := range kinds {
		var sums [2]int64
		for i, unit := range []meter.Unit{meter.Day, meter.Hour} {
			list, err := m.Series(t.Context(), repo, meter.Kind(kind), unit, never, always)
			if err != nil {
				t.Fatal(err)
			}
			sums[i] = meter.Sum(list)
		}
		if by, known := all[kind]; sums[0] != sums[1] || known && by != sums[0] {
			t.Errorf("%s: %d by day, %d by hour, %d by name", kind, sums[0], sums[1], by)
		}
		if sums[0] != 0 {
			all[kind] = sums[0]
		}
	}
	return all
}

// usage is what accounts used in the month of a time, without what they stored.
func usage(t testing.TB, m *meter.Meter, month time.Time) (list []meter.Usage) {
	t.Helper()
	list, err := m.Usage(t.Context(), month)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].StoredByteHours = 0
	}
	return list
}

// clientsOn is how many clients a repository had on a day, 0 if that is not known.
func clientsOn(t testing.TB, m *meter.Meter, repo meta.RepositoryID, day time.Time) int64 {
	t.Helper()
	list, err := m.Series(t.Context(), repo, meter.Clients, meter.Day, day, day)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) > 1 {
		t.Fatalf("%d numbers of one day: %v", len(list), list)
	}
	return meter.Sum(list)
}

// records are the records of the meter, by their keys.
func records(t testing.TB, store meta.Store, prefix string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := store.View(t.Context(), func(tx meta.Tx) error {
		for r, err := range tx.Records().Scan(meta.Range[meta.RecordKey]{}) {
			if err != nil {
				return err
			}
			if r.Namespace == "meter" && strings.HasPrefix(r.Key, prefix) {
				all[r.Key] = string(r.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// counters are those of the store.
func counters(t testing.TB, store meta.Store) (list []meta.Counter) {
	t.Helper()
	err := store.View(t.Context(), func(tx meta.Tx) error {
		for c, err := range tx.Counters().Scan(meta.Range[meta.CounterKey]{}) {
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// until passes the time of a bubble.
func until(at time.Time) { time.Sleep(time.Until(at)) }

func date(year int, month time.Month, day, hour, minute, second int) time.Time {
	return time.Date(year, month, day, hour, minute, second, 0, time.UTC)
}

// line is a line in the log of a cache.
func line(at time.Time, remote, method, path string, status int, bytes int64, cache string, digest manifest.Digest, agent string) string {
	return fmt.Sprintf(`{"time":%q,"remote":%q,"method":%q,"path":%q,"status":"%d","bytes":"%d","cache":%q,"digest":%q,"agent":%q}`+"\n",
		at.Format(time.RFC3339), remote, method, path, status, bytes, cache, digest, agent)
}

// ingest gives a meter a log, which it must be able to read.
func ingest(t testing.TB, m *meter.Meter, log string) meter.Ingested {
	t.Helper()
	n, err := m.Ingest(t.Context(), strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flaky is a store that fails when it is told to. What it is told is called by one at a time.
type flaky struct {
	meta.Store
	mu   sync.Mutex
	add  func(f meta.Flush, add func() error) error
	view func(view func() error) error
}

// tell sets what becomes of Adds and Views; nil leaves them alone.
func (s *flaky) tell(add func(f meta.Flush, add func() error) error, view func(view func() error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add, s.view = add, view
}

func (s *flaky) Add(ctx context.Context, f meta.Flush) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.add == nil {
		return s.Store.Add(ctx, f)
	}
	return s.add(f, func() error { return s.Store.Add(ctx, f) })
}

func (s *flaky) View(ctx context.Context, fn func(meta.Tx) error) error {
	s.mu.Lock()
	if s.view != nil {
		defer s.mu.Unlock()
		return s.view(func() error { return s.Store.View(ctx, fn) })
	}
	s.mu.Unlock()
	return s.Store.View(ctx, fn)
}

// outage is told to a store whose Adds fail.
func outage(meta.Flush, func() error) error { return errOut }

var errOut = errors.New("the database is out")

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
