package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/webhook"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

var eventCount = flag.Int("events", 0, "how many events TestWebhookOutage has wait for each endpoint, such as 360000, which is an hour of 100 a second; 0: 1200, fewer with -short")

const (
	busyRepos = 300
	busyImage = 3 // images of each
	busyTags  = 7 // tags of each, all of which move at every round
)

var webhookSecret = bytes.Repeat([]byte("all hats "), 4)

// busy is a registry in which tags move, as one says.
type busy struct {
	reg    *registry.Registry
	store  meta.Store
	dir    string
	images [busyImage][]byte
	owner  *registry.Actor
}

// busyRepo is the name of a repository without its alias.
func busyRepo(n int) string { return fmt.Sprintf("hat%03d", n) }

// move is the i-th of a repository: a tag and a digest.
func (b *busy) move(i int) (tag string, image []byte) {
	return fmt.Sprint("v", i%busyTags), b.images[i%busyImage]
}

// newBusy makes a registry over SQLite that tells a sink.
func newBusy(t *testing.T, sink event.Sink) *busy {
	t.Helper()
	ctx := t.Context()
	b := &busy{dir: t.TempDir()}
	store, err := sqlmeta.OpenSQLite(ctx, filepath.Join(b.dir, "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	b.store = store
	b.reg, err = registry.New(registry.Config{
		Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil)), CreateOnPush: true, Sinks: map[string]event.Sink{"webhook": sink},
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.reg.AddAlias(ctx, owner.AccountID, owner.Alias); err != nil {
		t.Fatal(err)
	}
	b.owner = b.reg.As(auth.Principal{Account: owner.AccountID, Name: "ann"})
	for i := range b.images {
		b.images[i] = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[],"annotations":{"number":"%d"}}`, manifest.MediaTypeIndex, i)
	}
	b.each(t, func(name string, _ int) error {
		for _, raw := range b.images {
			if _, err := b.owner.PushManifest(ctx, name, "", raw); err != nil {
				return err
			}
		}
		return nil
	})
	return b
}

// each calls f for every repository, by its name with the alias and its number, several at once.
func (b *busy) each(t *testing.T, f func(name string, n int) error) {
	t.Helper()
	var wg sync.WaitGroup
	const pushers = 50
	for i := range pushers {
		wg.Go(func() {
			for n := i; n < busyRepos; n += pushers {
				if err := f(owner.Alias+"/"+busyRepo(n), n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// run runs the registry until the test ends.
func (b *busy) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.reg.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	soon(t, "the sink is known", func() bool {
		return b.store.View(t.Context(), func(tx meta.Tx) error {
			_, err := tx.Sinks().Get("webhook")
			return err
		}) == nil
	})
}

// waiting counts the events that wait, and the repositories whose delivery has failed.
func (b *busy) waiting(t *testing.T) (events, stalls int) {
	t.Helper()
	err := b.store.View(t.Context(), func(tx meta.Tx) error {
		events, stalls = 0, 0
		for _, err := range tx.Events().Scan(meta.Range[meta.EventKey]{}) {
			if err != nil {
				return err
			}
			events++
		}
		for _, err := range tx.Stalls().Scan(meta.Range[meta.StallKey]{}) {
			if err != nil {
				return err
			}
			stalls++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, stalls
}

// endpoint is where events go. It checks that those of each repository come in order.
type endpoint struct {
	t         *testing.T
	b         *busy
	addr      string
	server    *http.Server
	down      atomic.Bool // it answers 503
	tries     atomic.Int64
	taken     atomic.Int64
	repeated  atomic.Int64
	forgetful sync.Once // the answer to one event is lost

	repos map[string]*told
}

// told is what the endpoint knows of a repository.
type told struct {
	mu   sync.Mutex
	seen map[string]int // by the event's id, which move it was
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{t: t, addr: "127.0.0.1:0", repos: map[string]*told{}}
	for n := range busyRepos {
		e.repos[busyRepo(n)] = &told{seen: map[string]int{}}
	}
	e.open()
	t.Cleanup(e.close)
	return e
}

// open listens, at the same address each time.
func (e *endpoint) open() {
	l, err := net.Listen("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.addr = l.Addr().String()
	e.server = &http.Server{Handler: e, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go e.server.Serve(l) //nolint:errcheck // it ends with an error always
}

func (e *endpoint) close() { e.server.Close() }

// ServeHTTP takes an event.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.tries.Add(1)
	if e.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Errorf("the body of an event: %v", err)
	}
	if err := webhook.Verify([][]byte{webhookSecret}, r.Header, body, time.Now()); err != nil {
		e.t.Error(err)
	}
	var message struct{ Data event.Event }
	if err := json.Unmarshal(body, &message); err != nil {
		e.t.Errorf("%s: %v", body, err)
	}
	if err := e.take(message.Data); err != nil {
		e.t.Error(err)
	}
	if e.taken.Load() > 300 {
		e.forgetful.Do(func() { panic(http.ErrAbortHandler) })
	}
}

// take wants an event to be the one that follows, or to have been there before.
func (e *endpoint) take(got event.Event) error {
	r := e.repos[got.Repository]
	if r == nil {
		return fmt.Errorf("an event of no repository that there is: %+v", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i, again := r.seen[got.ID]
	if !again {
		i = len(r.seen)
		r.seen[got.ID] = i
		e.taken.Add(1)
	} else {
		e.repeated.Add(1)
	}
	tag, image := e.b.move(i)
	if want := manifest.SHA256.FromBytes(image); got.Type != event.TagMoved || got.Tag != tag || got.Digest != want {
		return fmt.Errorf("event %d of %s, come before: %v, is %s of %s to %s; want %s to %s", i, got.Repository, again, got.Type, got.Tag, got.Digest, tag, want)
	}
	return nil
}

// heldMemory is what the process holds after a collection: of its own, and with SQLite's.
func heldMemory() (heap, resident int64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), memory(os.Getpid(), "VmRSS")
}

// flatHeap is how much more heap there may be at the end of an outage than after a tenth of it.
const flatHeap = 8 << 20

// An endpoint is down while events come in, as many as in a long outage: they wait in the store and not in
// memory, and once it is back it gets all of them, those of a repository in order.
func TestWebhookOutage(t *testing.T) {
	n := *eventCount
	if n == 0 {
		n = 1200
		if testing.Short() {
			n = 600
		}
	}
	for _, c := range []struct {
		name     string
		down, up func(e *endpoint)
	}{
		{
			name: "answers 503",
			down: func(e *endpoint) { e.down.Store(true) },
			up:   func(e *endpoint) { e.down.Store(false) },
		},
		{name: "refuses connections", down: (*endpoint).close, up: (*endpoint).open},
	} {
		t.Run(c.name, func(t *testing.T) { webhookOutage(t, n, c.down, c.up) })
	}
}

func webhookOutage(t *testing.T, n int, down, up func(e *endpoint)) {
	e := newEndpoint(t)
	sink, err := webhook.New(webhook.Config{
		URL: "http://" + e.addr + "/events", Secrets: [][]byte{webhookSecret}, Source: "https://registry.example",
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Dead: func(_ context.Context, got event.Event, reason error) error {
			t.Errorf("%s is a dead letter: %v", got.ID, reason)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := newBusy(t, sink)
	e.b = b
	b.run(t)
	down(e)
	moved := make([]int, busyRepos) // by repository
	total, begun := 0, time.Now()
	move := func(until int) { // until so many events wait
		rounds := (until - total + busyRepos - 1) / busyRepos
		b.each(t, func(name string, i int) error {
			for range rounds {
				tag, raw := b.move(moved[i])
				if _, err := b.owner.PushManifest(t.Context(), name, "", raw, tag); err != nil {
					return err
				}
				moved[i]++
			}
			return nil
		})
		total += rounds * busyRepos
	}
	var first, last int64
	for _, percent := range []int{10, 50, 100} {
		move(n * percent / 100)
		heap, resident := heldMemory()
		if last = heap; first == 0 {
			first = heap
		}
		t.Logf("%6d events after %7v: heap %5d KiB, process %6d KiB, database and its log %v MiB, %d tries", total, time.Since(begun).Round(time.Millisecond),
			heap>>10, resident>>10, b.sizes(t), e.tries.Load())
	}
	if last > first+flatHeap {
		t.Errorf("the heap grew from %d to %d bytes while the endpoint was down", first, last)
	}
	if events, stalls := b.waiting(t); events != total || stalls == 0 {
		t.Errorf("%d events and %d stalls wait, want %d", events, stalls, total)
	}

	up(e)
	back := time.Now()
	soon(t, "the endpoint is tried again", func() bool { return e.taken.Load() > 0 })
	drain := time.Now()
	for got := int64(-1); e.taken.Load() < int64(total) && !t.Failed(); {
		got = e.taken.Load()
		soon(t, "the endpoint gets more events", func() bool { return e.taken.Load() > got || t.Failed() })
	}
	took := time.Since(drain)
	soon(t, "no repository waits any more", func() bool {
		_, stalls := b.waiting(t)
		return stalls == 0
	})
	heap, resident := heldMemory()
	t.Logf("tried again after %v; then all in %v, %.0f a second, %d twice; heap with what the endpoint remembers %d KiB, process %d KiB, database and its log %v MiB",
		drain.Sub(back).Round(time.Millisecond), took.Round(time.Millisecond), float64(total)/took.Seconds(), e.repeated.Load(), heap>>10, resident>>10, b.sizes(t))
	for i, n := range moved {
		if got := len(e.repos[busyRepo(i)].seen); got != n {
			t.Errorf("%s: %d events came, want %d", busyRepo(i), got, n)
		}
	}
	b.wantEmpty(t)
}

// wantEmpty waits until the store has no more events, for as long as they get fewer.
func (b *busy) wantEmpty(t *testing.T) {
	t.Helper()
	left, _ := b.waiting(t)
	for same := 0; left > 0 && same < 8; same++ { // longer than the registry waits when it finds nothing new
		time.Sleep(time.Second)
		now, _ := b.waiting(t)
		if now < left {
			same = 0
		}
		left = now
	}
	if left > 0 {
		t.Errorf("%d events stay in the store that the endpoint has got", left)
	}
}

// sizes are those of the database and its log, in MiB.
func (b *busy) sizes(t *testing.T) (list []int64) {
	t.Helper()
	for _, name := range []string{"meta.db", "meta.db-wal"} {
		info, err := os.Stat(filepath.Join(b.dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err == nil {
			list = append(list, info.Size()>>20)
		}
	}
	return list
}
