//go:build unix

package repair_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// TestNodes mends from a process that serves nothing, and asks a node that has cached where
// the content was.
func TestNodes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dsn, bucket := server.Database(t), gocloud.New(memblob.OpenBucket(nil))
	open := func() *sqlmeta.Watched {
		store, err := sqlmeta.OpenPostgres(t.Context(), dsn, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		return store
	}
	s := registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket, c.BlobCache = open(), bucket, -1 })
	events := make(chan event.Event, 1000)
	s.Follow(func(e event.Event) { events <- e })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	heard := func(kind event.Type, tag string) {
		for e := range events {
			if e.Type == kind && e.Tag == tag {
				return
			}
		}
	}
	heard(event.Missed, "") // from now on it listens, and caches

	layer := bytes.Repeat([]byte("a layer "), 1000)
	image := s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	pull := func() error {
		r, err := s.Owner().Blob(t.Context(), "test/hat", digestOf(layer))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r)
		return errors.Join(err, r.Close())
	}
	if err := pull(); err != nil {
		t.Fatal(err)
	}

	elsewhere := open()
	var key string
	var raw []byte
	err := elsewhere.Update(t.Context(), func(tx meta.Tx) error {
		b, err := tx.Blobs().Get(meta.BlobKey(digestOf(layer)))
		if err != nil {
			return err
		}
		key = b.Segments[0].Key
		for m, err := range tx.Manifests().Scan(meta.Range[meta.ManifestKey]{}) {
			if err != nil {
				return err
			}
			raw = m.Raw
			m.Size++
			return tx.Manifests().Put(m)
		}
		return errors.New("there is no manifest")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := pull(); err == nil || errors.Is(err, registry.ErrBlobUnknown) {
		t.Fatalf("the node has not cached where the blob was: %v", err)
	}
	sum, err := repair.Run(t.Context(), elsewhere, bucket, repair.Checkpoint{}, &repair.Options{Mend: true, MendContent: true})
	if err != nil || sum.Mended[repair.BlobMissing] != 1 || sum.Mended[repair.ManifestSize] != 1 || sum.Left() != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	// what is told comes in the order of commits: with a later event, the node has heard of the mend
	other := registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket = elsewhere, bucket })
	if _, err := other.Owner().PushManifest(t.Context(), "test/hat", image.MediaType, raw, "v2"); err != nil {
		t.Fatal(err)
	}
	heard(event.TagMoved, "v2")
	if err := pull(); !errors.Is(err, registry.ErrBlobUnknown) {
		t.Errorf("the node answers %v", err)
	}
	s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	if err := pull(); err != nil {
		t.Error(err)
	}
}
