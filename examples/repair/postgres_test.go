//go:build unix

package main

import (
	"path/filepath"
	"testing"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Start(t).Database(t)
	url, err := gocloud.FileURL(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := gocloud.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close() //nolint:errcheck // the test ends
	store, err := sqlmeta.OpenPostgres(t.Context(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // the test ends
	s := registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket = store, bucket })
	s.Push("test/hat", registrytest.Image{Layers: layers}, "v1")
	if status, found, sum, stderr := call(t, t.Context(), "-database", dsn, "-bucket", url); status != clean || len(found) != 0 || sum.Blobs != 4 {
		t.Errorf("while a node serves: %d, %v, %+v, %s", status, found, sum, stderr)
	}
	err = store.Update(t.Context(), func(tx meta.Tx) error {
		for e, err := range tx.Edges().Scan(meta.Range[meta.EdgeKey]{}) {
			if err != nil {
				return err
			}
			return tx.Edges().Delete(meta.EdgeKey{Repository: e.Repository, Parent: e.Parent, Child: e.Child})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{1, 0} {
		if status, _, sum, stderr := call(t, t.Context(), "-database", dsn, "-bucket", url, "-mend"); status != clean || sum.Mended[repair.EdgeMissing] != want {
			t.Errorf("a missing edge: %d, %+v, %s", status, sum, stderr)
		}
	}
}
