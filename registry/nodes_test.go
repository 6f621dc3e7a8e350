//go:build unix

package registry_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// node returns a registry over a database and a bucket that others use too.
func node(t *testing.T, dsn string, bucket storage.Bucket) *registrytest.Server {
	t.Helper()
	store, err := sqlmeta.OpenPostgres(t.Context(), dsn, &sqlmeta.PostgresOptions{Conns: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket = store, bucket })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, store.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// soon fails unless something comes true within a while. Processes share nothing that a test
// could wait for.
func soon(t *testing.T, what string, limit time.Duration, f func() bool) {
	t.Helper()
	for begun := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func TestNodes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dsn, bucket := server.Database(t), gocloud.New(memblob.OpenBucket(nil))
	a, b := node(t, dsn, bucket), node(t, dsn, bucket)
	ctx := t.Context()
	pull := func(s *registrytest.Server, reference string) manifest.Digest {
		m, err := s.As(auth.Principal{}).Manifest(ctx, "test/hat", reference)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if m == nil {
			return ""
		}
		return m.Digest
	}
	events := make(chan event.Event, 1000)
	b.Follow(func(e event.Event) { events <- e })

	first := a.Push("test/hat", registrytest.Image{Layers: [][]byte{{1}}}, "v1")
	if got := pull(b, "v1"); got != first.Digest { // nothing was cached yet
		t.Errorf("the other node has %s", got)
	}
	for i := range 20 {
		want := a.Push("test/hat", registrytest.Image{Layers: [][]byte{{byte(i)}}}, "v1").Digest
		soon(t, "a tag that was moved elsewhere", time.Second, func() bool { return pull(b, "v1") == want })
		for range 3 {
			if got := pull(b, "v1"); got != want {
				t.Fatalf("the tag went back to %s", got)
			}
		}
	}
	soon(t, "an event of the other node", time.Second, func() bool {
		for {
			select {
			case e := <-events:
				if e.Type == event.TagMoved && e.Repository == "hat" && e.Tag == "v1" {
					return true
				}
			default:
				return false
			}
		}
	})

	// A connection that is lost: nothing old is served afterwards, and all goes on.
	server.Stop(t, "fast")
	server.Launch(t)
	want := a.Push("test/hat", registrytest.Image{Layers: [][]byte{{99}}}, "v1").Digest
	soon(t, "a tag moved while the other node did not hear", 5*time.Second, func() bool { return pull(b, "v1") == want })
	soon(t, "word that something was missed", 10*time.Second, func() bool {
		select {
		case e := <-events:
			return e.Type == event.Missed
		default:
			return false
		}
	})

	// What is deleted on one is gone on the other.
	if err := a.Owner().DeleteManifest(ctx, "test/hat", want); err != nil {
		t.Fatal(err)
	}
	soon(t, "a manifest that was deleted elsewhere", time.Second, func() bool { return pull(b, string(want)) == "" })
}
