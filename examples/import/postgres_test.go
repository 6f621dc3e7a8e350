//go:build unix

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	folder, err := gocloud.FileURL(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// what servers have done
	store, err := sqlmeta.OpenPostgres(t.Context(), database, nil)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := openBucket(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.New(registry.Config{Store: store, Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AddAlias(t.Context(), "123456789012", "acme"); err != nil {
		t.Fatal(err)
	}
	from, url := remote(t, true)
	d := from.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("a layer")}}, "v1")
	target := []string{"-database", database, "-bucket", folder, "-alias", "acme"}
	for _, copied := range []int{1, 0} {
		if report, _, err := imports(t, append(target, "-from", url)...); err != nil || report.Tags.Copied != copied {
			t.Errorf("%+v, %v", report, err)
		}
	}
	if diff := cmp.Diff(map[string]manifest.Digest{"acme/test/hat:v1": d.Digest}, tags(t, target...)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
