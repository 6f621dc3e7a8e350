package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// recorder is a sink that fails when it is told to.
type recorder struct {
	mu    sync.Mutex
	got   []string
	fails func(event.Event) bool
}

func (r *recorder) Deliver(_ context.Context, e event.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails != nil && r.fails(e) {
		return errors.New("not now")
	}
	text := string(e.Type) + " " + e.Repository
	if e.Tag != "" {
		text += ":" + e.Tag
	}
	r.got = append(r.got, text)
	return nil
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func (r *recorder) set(fails func(event.Event) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = fails
}

// start runs a registry with a sink named "test" until the test ends.
func start(t *testing.T, sink event.Sink, change ...func(*registry.Config)) *registrytest.Server {
	t.Helper()
	s := registrytest.New(t, append(change, func(c *registry.Config) { c.Sinks = map[string]event.Sink{"test": sink} })...)
	run(t, s)
	return s
}

// run runs a registry and returns a function that stops it.
func run(t *testing.T, s *registrytest.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// delivered waits until what was told so far has come: rounds of deliveries are a moment apart.
func delivered() {
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
}

// want compares what came, in order for each repository.
func want(t *testing.T, r *recorder, events ...string) {
	t.Helper()
	delivered()
	got := r.take()
	for _, list := range [][]string{got, events} {
		slices.SortStableFunc(list, func(a, b string) int { return strings.Compare(repositoryIn(a), repositoryIn(b)) })
	}
	if diff := cmp.Diff(events, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestSinkReceivesEveryChangeInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		s := start(t, sink)
		d := s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("layer")}}, "v1", "latest")
		want(t, sink, "repository.created hat", "blob.linked hat", "blob.linked hat", "manifest.pushed hat", "tag.moved hat:v1", "tag.moved hat:latest")
		s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("layer")}}, "v1")
		want(t, sink) // nothing changed
		owner := s.Owner()
		if err := owner.DeleteTag(t.Context(), "test/hat", "v1"); err != nil {
			t.Fatal(err)
		}
		if err := owner.DeleteManifest(t.Context(), "test/hat", d.Digest); err != nil {
			t.Fatal(err)
		}
		want(t, sink, "tag.deleted hat:v1", "tag.deleted hat:latest", "manifest.deleted hat")
	})
}

func repositoryIn(text string) string {
	_, repo, _ := strings.Cut(text, " ")
	repo, _, _ = strings.Cut(repo, ":")
	return repo
}

// What a sink cannot take for an hour waits in the store, is asked for once a minute, and comes
// in order afterwards.
func TestSinkThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			mu    sync.Mutex
			down  = true
			tries int
			got   = map[string][]string{}
		)
		s := registrytest.New(t, func(c *registry.Config) {
			c.Sinks = map[string]event.Sink{"test": event.SinkFunc(func(_ context.Context, e event.Event) error {
				mu.Lock()
				defer mu.Unlock()
				if tries++; down {
					return fmt.Errorf("connection refused: %w", event.ErrUnavailable)
				}
				got[e.Repository] = append(got[e.Repository], e.Tag)
				return nil
			})}
		})
		run(t, s)
		const repositories, pushes = 30, 40
		want := map[string][]string{}
		for i := range pushes {
			for n := range repositories {
				repo := fmt.Sprint("r", n)
				s.Push("test/"+repo, registrytest.Image{}, fmt.Sprint("v", i))
				if i == 0 {
					want[repo] = []string{"", "", ""} // the repository, its configuration and its manifest
				}
				want[repo] = append(want[repo], fmt.Sprint("v", i))
			}
			time.Sleep(time.Hour / pushes)
		}
		mu.Lock()
		if tries > 2*66+16 { // two a minute, after some more often, and once for each that was on its way
			t.Errorf("the sink was asked %d times in an hour", tries)
		}
		down = false
		mu.Unlock()
		time.Sleep(time.Minute)
		delivered()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events by repository (-want +got):\n%s", diff)
		}
		s.Push("test/r0", registrytest.Image{}, "after")
		delivered()
		if list := got["r0"]; list[len(list)-1] != "after" {
			t.Errorf("afterwards: %v", list)
		}
	})
}

func TestFailingEventStallsItsRepositoryAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{fails: func(e event.Event) bool { return e.Repository == "bad" && e.Type == event.ManifestPushed }}
		s := start(t, sink)
		s.Push("test/bad", registrytest.Image{}, "v1")
		s.Push("test/good", registrytest.Image{}, "v1")
		s.Push("test/bad", registrytest.Image{}, "v2")
		want(t, sink, "repository.created bad", "blob.linked bad",
			"repository.created good", "blob.linked good", "manifest.pushed good", "tag.moved good:v1")
		time.Sleep(time.Minute) // the clock of the bubble: retries in between fail too
		want(t, sink)
		sink.set(nil)
		time.Sleep(15 * time.Minute)
		want(t, sink, "manifest.pushed bad", "tag.moved bad:v1", "tag.moved bad:v2")
		s.Push("test/bad", registrytest.Image{}, "v3")
		want(t, sink, "tag.moved bad:v3")
	})
}

func TestSinkGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		s := registrytest.New(t, func(c *registry.Config) { c.Sinks = map[string]event.Sink{"test": sink} })
		s.Push("test/hat", registrytest.Image{}, "before") // no sink is known to the store yet
		stop := run(t, s)
		want(t, sink)
		stop()
		s.Push("test/hat", registrytest.Image{}, "meanwhile")
		want(t, sink)
		run(t, s)
		want(t, sink, "tag.moved hat:meanwhile")
	})
}

func TestOutboxIsEmptiedAndWithoutSinksUnused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		count := func(s *registrytest.Server) (n int) {
			err := s.Store.View(t.Context(), func(tx meta.Tx) error {
				for _, err := range tx.Events().Scan(meta.Range[meta.EventKey]{}) {
					if err != nil {
						return err
					}
					n++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		none := registrytest.New(t)
		none.Push("test/hat", registrytest.Image{}, "v1")
		if n := count(none); n != 0 {
			t.Errorf("%d events were written that nobody is told of", n)
		}

		sink := &recorder{}
		s := start(t, sink)
		for i := range 300 {
			s.Push("test/hat", registrytest.Image{}, fmt.Sprint("v", i))
		}
		delivered()
		if got, left := len(sink.take()), count(s); got != 303 || left != 0 {
			t.Errorf("%d events delivered, %d left; want 303 and 0", got, left)
		}

		sink.set(func(event.Event) bool { return true })
		s.Push("test/hat", registrytest.Image{}, "kept")
		delivered()
		if n := count(s); n != 1 {
			t.Errorf("%d events are kept for a sink that fails, want 1", n)
		}
		if err := s.RemoveSink(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		if n := count(s); n != 0 {
			t.Errorf("%d events are kept for a sink that is gone", n)
		}
	})
}
