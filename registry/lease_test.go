package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// sharedStore is a store in memory as several processes would share it, as one of them sees it:
// it can be cut off, and its process stopped.
type sharedStore struct {
	meta.Store
	cut     atomic.Bool
	stopped atomic.Pointer[chan struct{}] // until it is closed
}

var errCut = errors.New("the store cannot be reached")

func (s *sharedStore) Watch(ctx context.Context, _ func(string), up, down func()) {
	up()
	<-ctx.Done()
	down()
}

func (s *sharedStore) reach() error {
	if wakes := s.stopped.Load(); wakes != nil {
		<-*wakes
	}
	if s.cut.Load() {
		return errCut
	}
	return nil
}

func (s *sharedStore) View(ctx context.Context, fn func(meta.Tx) error) error {
	return errors.Join(s.reach(), s.Store.View(ctx, fn))
}

func (s *sharedStore) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	if err := s.reach(); err != nil {
		return err
	}
	return s.Store.Update(ctx, fn, opts...)
}

// leaseNode is one of several processes.
type leaseNode struct {
	*registry.Registry
	store *sharedStore
	stop  context.CancelFunc
	ended chan error
}

// terms is who has held the lease, and until when.
type terms struct {
	mu   sync.Mutex
	list []string
	now  int
}

func (s *terms) begin(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, name)
	s.now++
}

func (s *terms) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
}

func (s *terms) want(t *testing.T, when string, holders ...string) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if fmt.Sprint(s.list) != fmt.Sprint(holders) {
		t.Errorf("%s: the lease was held by %v, want %v", when, s.list, holders)
	}
}

func newLeaseNode(t *testing.T, store meta.Store) *leaseNode {
	t.Helper()
	n := &leaseNode{store: &sharedStore{Store: store}}
	reg, err := registry.New(registry.Config{Store: n.store, Bucket: gocloud.New(memblob.OpenBucket(nil))})
	if err != nil {
		t.Fatal(err)
	}
	n.Registry = reg
	return n
}

// work wants the lease until it is stopped, and does its work until the lease ends.
func (n *leaseNode) work(t *testing.T, name string, s *terms) {
	ctx, stop := context.WithCancel(t.Context())
	n.stop, n.ended = stop, make(chan error, 1)
	go func() {
		n.ended <- n.WithLease(ctx, "job", func(ctx context.Context, l *registry.Lease) error {
			s.begin(name)
			defer s.end()
			<-ctx.Done()
			return nil
		})
	}()
}

func TestLeaseIsHeldByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, s := memmeta.New(), &terms{}
		a, b := newLeaseNode(t, store), newLeaseNode(t, store)
		a.work(t, "a", s)
		s.want(t, "at first", "a")
		b.work(t, "b", s)
		time.Sleep(time.Hour)
		s.want(t, "after an hour", "a")
		a.stop()
		if err := <-a.ended; err != nil {
			t.Errorf("who was stopped: %v", err)
		}
		time.Sleep(5 * time.Second)
		s.want(t, "after it was given back", "a", "b")
		b.stop()
		<-b.ended
	})
}

func TestLeaseOfWhoIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, s := memmeta.New(), &terms{}
		a, b := newLeaseNode(t, store), newLeaseNode(t, store)
		a.work(t, "a", s)
		s.want(t, "at first", "a")
		b.work(t, "b", s)
		time.Sleep(time.Minute)
		a.store.cut.Store(true)
		for range 40 {
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
			s.mu.Lock()
			if s.now > 1 {
				t.Error("two work at once")
			}
			s.mu.Unlock()
		}
		s.want(t, "20 seconds after it was cut off", "a", "b")
		a.store.cut.Store(false)
		time.Sleep(time.Minute)
		s.want(t, "when it can be reached again", "a", "b")
		b.stop()
		<-b.ended
		time.Sleep(5 * time.Second)
		s.want(t, "when the other has ended", "a", "b", "a")
		a.stop()
		<-a.ended
	})
}

// A process that was stopped, and wakes after another has taken its lease, still believes that
// it holds it. What it does then comes to nothing.
func TestLeaseIsFenced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, s := memmeta.New(), &terms{}
		a, b := newLeaseNode(t, store), newLeaseNode(t, store)
		record := meta.RecordKey{Namespace: "test", Key: "of"}
		put := func(l *registry.Lease, value string) error {
			return l.Update(t.Context(), func(tx meta.Tx) error {
				return tx.Records().Put(meta.Record{Namespace: record.Namespace, Key: record.Key, Value: []byte(value)})
			})
		}
		holds, wakes := make(chan struct{}), make(chan struct{})
		woken := make(chan error, 1)
		ended := make(chan error, 1)
		go func() {
			first := true
			ended <- a.WithLease(t.Context(), "job", func(ctx context.Context, l *registry.Lease) error {
				if !first {
					return errors.New("done")
				}
				first = false
				if err := put(l, "a"); err != nil {
					t.Error(err)
				}
				close(holds)
				<-wakes
				woken <- put(l, "a again")
				return nil
			})
		}()
		<-holds
		a.store.stopped.Store(&wakes)
		b.work(t, "b", s)
		time.Sleep(30 * time.Second)
		s.want(t, "while the other is stopped", "b")
		if err := b.store.Update(t.Context(), func(tx meta.Tx) error {
			return tx.Records().Put(meta.Record{Namespace: record.Namespace, Key: record.Key, Value: []byte("b")})
		}); err != nil {
			t.Fatal(err)
		}
		close(wakes)
		if err := <-woken; !errors.Is(err, registry.ErrLeaseLost) {
			t.Errorf("who woke: %v, want ErrLeaseLost", err)
		}
		err := store.View(t.Context(), func(tx meta.Tx) error {
			r, err := tx.Records().Get(record)
			if string(r.Value) != "b" {
				t.Errorf("the record is %q, want that of the new holder", r.Value)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		b.stop()
		<-b.ended
		if err := <-ended; err == nil || err.Error() != "done" {
			t.Errorf("the work's own error: %v", err)
		}
	})
}

func TestLeaseOfAStoreOfOneProcess(t *testing.T) {
	t.Parallel()
	store := memmeta.New()
	reg, err := registry.New(registry.Config{Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil))})
	if err != nil {
		t.Fatal(err)
	}
	want := errors.New("the work's")
	got := reg.WithLease(t.Context(), "job", func(ctx context.Context, l *registry.Lease) error {
		if err := l.Update(ctx, func(meta.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
		return want
	})
	if got != want {
		t.Errorf("%v, want the error of the work", got)
	}
}

// countingSink is a sink that notes what it is given.
type countingSink struct {
	mu    sync.Mutex
	given map[string]int
}

func (c *countingSink) Deliver(_ context.Context, e event.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given[e.ID]++
	return nil
}

// Of the nodes that have a sink, one delivers to it, and another goes on when it ends.
func TestSinkOfSeveralNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, bucket, sink := memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), &countingSink{given: map[string]int{}}
		var nodes []*registrytest.Server
		var stops []context.CancelFunc
		var running sync.WaitGroup
		for range 3 {
			s := registrytest.New(t, func(c *registry.Config) {
				c.Store, c.Bucket, c.Sinks = &sharedStore{Store: store}, bucket, map[string]event.Sink{"sink": sink}
			})
			ctx, stop := context.WithCancel(t.Context())
			running.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			nodes, stops = append(nodes, s), append(stops, stop)
			synctest.Wait()
		}
		want := 0
		for round := range 3 {
			for i, n := range nodes {
				n.Push("test/hat", registrytest.Image{Layers: [][]byte{{byte(round), byte(i)}}}, "latest")
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			sink.mu.Lock()
			if len(sink.given) <= want {
				t.Errorf("round %d: %d events in all", round, len(sink.given))
			}
			want = len(sink.given)
			for id, n := range sink.given {
				if n != 1 {
					t.Errorf("the event %s was delivered %d times", id, n)
				}
			}
			sink.mu.Unlock()
			stops[round]()
			time.Sleep(time.Minute)
		}
		running.Wait()
	})
}
