package site_test

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
	"github.com/esplanade-registry/esplanade/gallery/sqlindex"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

// run runs a site until the returned function is called.
func run(t *testing.T, cfg site.Config) (stop func()) {
	t.Helper()
	s, err := site.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func holds(t *testing.T, when string, k gallery.Keeper, want ...string) {
	t.Helper()
	var got []string
	for name, err := range k.Names(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, the index holds (-want +got):\n%s", when, diff)
	}
}

// What changed while nobody followed is in the index after the next start.
func TestIndexOutlivesTheProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := registrytest.New(t)
		index, err := sqlindex.Open(t.Context(), filepath.Join(t.TempDir(), "search.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer index.Close()
		for _, name := range []string{"cap", "hat", "scarf"} {
			server.Push("test/"+name, registrytest.Image{}, "1.0")
		}
		for _, name := range []string{"test/ghost", "nobody/hat", "test/No Name"} {
			if err := index.Put(t.Context(), gallery.Document{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		run(t, site.Config{Registry: server.Registry, Index: index})()
		holds(t, "after the first start", index, "test/cap", "test/hat", "test/scarf")
		if _, err := server.Owner().DeleteRepository(t.Context(), "test/hat", true); err != nil {
			t.Fatal(err)
		}
		server.Push("test/glove", registrytest.Image{}, "1.0")
		run(t, site.Config{Registry: server.Registry, Index: index})()
		holds(t, "after the second", index, "test/cap", "test/glove", "test/scarf")
		if err := server.AddAlias(t.Context(), registrytest.Account, "milliner"); err != nil {
			t.Fatal(err)
		}
		if err := server.Owner().SetPrimaryAlias(t.Context(), "milliner"); err != nil {
			t.Fatal(err)
		}
		run(t, site.Config{Registry: server.Registry, Index: index})()
		holds(t, "under another primary alias", index, "milliner/cap", "milliner/glove", "milliner/scarf")
	})
}

// shared is an index that outlives the process, in which something happens meanwhile.
type shared struct {
	*memindex.Index
	before func(delete string) error

	mu    sync.Mutex
	names map[string]bool
}

func (s *shared) Put(ctx context.Context, d gallery.Document) error {
	s.mu.Lock()
	s.names[d.Name] = true
	s.mu.Unlock()
	return s.Index.Put(ctx, d)
}

func (s *shared) Delete(ctx context.Context, name string) error {
	if err := s.before(name); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.names, name)
	s.mu.Unlock()
	return s.Index.Delete(ctx, name)
}

func (s *shared) Names(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		names := make([]string, 0, len(s.names))
		for name := range s.names {
			names = append(names, name)
		}
		s.mu.Unlock()
		slices.Sort(names)
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// A repository that is created while its name is deleted from the index is not lost, even if
// this node never hears of it; nor is the deletion if it fails.
func TestCreatedWhileDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := registrytest.New(t)
		index := &shared{Index: memindex.New(nil), names: map[string]bool{}}
		for _, name := range []string{"test/ghost", "test/hat"} {
			if err := index.Put(t.Context(), gallery.Document{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		// a node that does not tell this one
		other, err := registry.New(registry.Config{Store: server.Store, Bucket: server.Bucket})
		if err != nil {
			t.Fatal(err)
		}
		attempts := 0
		index.before = func(name string) error {
			switch attempts++; {
			case attempts == 1:
				return errors.New("it is down")
			case name == "test/hat":
				if _, err := other.As(registrytest.Owner).CreateRepository(t.Context(), "test/hat", nil); err != nil {
					t.Error(err)
				}
				return index.Put(t.Context(), gallery.Document{Name: "test/hat"})
			}
			return nil
		}
		stop := run(t, site.Config{Registry: server.Registry, Index: index})
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		stop()
		holds(t, "at the end", index, "test/hat")
	})
}

// A document whose deletion fails is deleted later.
func TestDeletionThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := registrytest.New(t)
		index := &shared{Index: memindex.New(nil), names: map[string]bool{}}
		server.Push("test/hat", registrytest.Image{}, "1.0")
		attempts := 0
		index.before = func(string) error {
			if attempts++; attempts < 3 {
				return errors.New("it is down")
			}
			return nil
		}
		stop := run(t, site.Config{Registry: server.Registry, Index: index})
		if _, err := server.Owner().DeleteRepository(t.Context(), "test/hat", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		stop()
		holds(t, "at the end", index)
	})
}
