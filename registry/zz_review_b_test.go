package registry_test

import (
	"context"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// zzShared is a store that says that others change it too, and that nobody watches.
type zzShared struct {
	zzLate
	views atomic.Int32
}

func (z *zzShared) Watch(ctx context.Context, hear func(string), on, off func()) { <-ctx.Done() }

func (z *zzShared) View(ctx context.Context, fn func(meta.Tx) error) error {
	z.views.Add(1)
	return z.Store.View(ctx, fn)
}

func TestZZUnwatched(t *testing.T) {
	store := &zzShared{}
	s := registrytest.New(t, func(c *registry.Config) { store.Store, c.Store = c.Store, store })
	s.Push("test/hat", registrytest.Image{}, "v1")
	other, err := registry.New(registry.Config{Store: store.Store, Bucket: s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	get := func() int {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/v2/test/hat/manifests/v1", nil))
		return rec.Code
	}
	store.views.Store(0)
	get()
	t.Log("extra snapshots of a pull on a node that does not watch:", store.views.Load())
	hold := make(chan struct{})
	store.hold.Store(&hold)
	before := store.read.Load()
	a := make(chan int)
	go func() { a <- get() }()
	for store.read.Load() == before {
		time.Sleep(time.Millisecond)
	}
	if err := other.As(registrytest.Owner).DeleteTag(t.Context(), "test/hat", "v1"); err != nil {
		// owner may not by default
		t.Log(err)
	}
	b := make(chan int)
	go func() { b <- get() }()
	time.Sleep(50 * time.Millisecond)
	store.hold.Store(nil)
	close(hold)
	<-a
	if got := <-b; got != 404 {
		t.Errorf("asked after another node's delete, on a store that is asked each time: %d", got)
	}
}

type zzPanics struct{ meta.Store }

func (z zzPanics) Resolve(context.Context, string, string, manifest.Reference) (meta.Repository, meta.Manifest, error) {
	panic("a bug in a driver")
}

func TestZZFlightPanic(t *testing.T) {
	if os.Getenv("ZZPANIC") == "" {
		t.Skip()
	}
	s := registrytest.New(t, func(c *registry.Config) { c.Store = zzPanics{c.Store} })
	front := httptest.NewServer(s)
	defer front.Close()
	_, err := front.Client().Get(front.URL + "/v2/test/hat/manifests/v1")
	t.Log("survived:", err)
	time.Sleep(100 * time.Millisecond)
}

func TestZZOwnerLists(t *testing.T) {
	s := registrytest.New(t)
	s.Push("test/hat", registrytest.Image{}, "v1")
	if err := s.Suspend(t.Context(), registry.Suspension{Target: registry.Target{Account: registrytest.Account, Repository: "hat"}, Hidden: true}); err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Owner().RepositoriesOf(t.Context(), registrytest.Account, "") {
		t.Log("DescribeRepositories:", r.Name, err)
	}
	_, err := s.Owner().DeleteRepository(t.Context(), "test/hat", true)
	t.Log("delete:", err)
	_, err = s.Owner().CreateRepository(t.Context(), "test/hat", nil)
	t.Log("create:", err)
}

type zzSink struct {
	mu   sync.Mutex
	got  []string
	fail func(event.Event) error
}

func (z *zzSink) Deliver(_ context.Context, e event.Event) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if err := z.fail(e); err != nil {
		return err
	}
	z.got = append(z.got, string(e.Type)+" "+e.Alias+" "+e.Repository+" "+e.Tag)
	return nil
}

func BenchmarkZZPull(b *testing.B) {
	for _, suspended := range []bool{false, true} {
		name := "none suspended"
		if suspended {
			name = "one suspended"
		}
		b.Run(name, func(b *testing.B) {
			s := registrytest.New(b)
			s.Push("test/hat", registrytest.Image{}, "v1")
			if suspended {
				if err := s.Suspend(b.Context(), registry.Suspension{Target: registry.Target{Alias: "other"}}); err != nil {
					b.Fatal(err)
				}
			}
			req := httptest.NewRequestWithContext(b.Context(), "GET", "/v2/test/hat/manifests/v1", nil)
			b.ReportAllocs()
			for b.Loop() {
				rec := httptest.NewRecorder()
				s.ServeHTTP(rec, req)
				if rec.Code != 200 {
					b.Fatal(rec.Code)
				}
			}
		})
	}
}

var _ = strings.Contains
