package repair_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// hooked calls a function before each snapshot.
type hooked struct {
	meta.Store
	hook func()
}

func (s *hooked) View(ctx context.Context, f func(meta.Tx) error) error {
	s.hook()
	return s.Store.View(ctx, f)
}

// TestMovingKeys lets an object's key go its ways from row to row, with each step between any
// two snapshots that repair takes while it looks for orphans.
func TestMovingKeys(t *testing.T) {
	t.Parallel()
	segment := func(key string) []meta.Segment { return []meta.Segment{{Key: key, Size: 1}} }
	const id = "an upload"
	toUpload := func(tx meta.Tx, key string) error { return tx.Uploads().Put(meta.Upload{ID: id, Key: key}) }
	toSegment := func(tx meta.Tx, key string) error {
		return tx.Uploads().Put(meta.Upload{ID: id, Segments: segment(key)})
	}
	toBlob := func(tx meta.Tx, key string) error {
		return errors.Join(tx.Uploads().Delete(id), tx.Blobs().Put(meta.Blob{Digest: digestOf([]byte("x")), Size: 1, Segments: segment(key)}))
	}
	toLogo := func(tx meta.Tx, key string) error {
		return errors.Join(tx.Catalogs().Put(meta.Catalog{Repository: 7, Logo: key}), tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewObject, Subject: key}))
	}
	toQueue := func(tx meta.Tx, key string) error {
		return errors.Join(tx.Uploads().Delete(id), tx.Blobs().Delete(meta.BlobKey(digestOf([]byte("x")))), tx.Catalogs().Delete(7),
			tx.Reviews().Put(meta.Review{Kind: meta.ReviewObject, Subject: key}))
	}
	type step = func(meta.Tx, string) error
	for _, way := range [][]step{
		{toUpload, toSegment, toBlob, toQueue}, {toUpload, toQueue}, {toUpload, toSegment, toQueue}, {toUpload, toBlob}, {toQueue, toLogo, toQueue},
	} {
		// each step comes before the snapshot with its number, not before the step before it
		const snapshots = 8
		at := make([]int, len(way)) // at[0] is the beginning
		for {
			store := &hooked{Store: memmeta.New(), hook: func() {}}
			bucket, key := gocloud.New(memblob.OpenBucket(nil)), storage.NewKey()
			do := func(s step) {
				if err := store.Update(t.Context(), func(tx meta.Tx) error { return s(tx, key) }); err != nil {
					t.Fatal(err)
				}
			}
			do(way[0])
			if err := bucket.Put(t.Context(), key, strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
			seen, done := 0, 1
			store.hook = func() {
				for ; done < len(way) && at[done] <= seen; done++ {
					do(way[done])
				}
				seen++
			}
			list, _ := orphansOf(t, store, bucket)
			if len(list) != 0 {
				t.Fatalf("steps before the snapshots %v: %+v", at[1:], list)
			}
			if !nextTimes(at[1:], snapshots) {
				break
			}
		}
	}
}

// nextTimes counts up through all ascending lists of numbers below n.
func nextTimes(at []int, n int) bool {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] < n-1 {
			at[i]++
			for j := i + 1; j < len(at); j++ {
				at[j] = at[i]
			}
			return true
		}
	}
	return false
}

// orphansOf runs the search for orphans alone, over objects of every age.
func orphansOf(t *testing.T, store meta.Store, bucket storage.Bucket) (list []repair.Finding, sum repair.Summary) {
	t.Helper()
	o := repair.Options{Age: 1, Found: func(f repair.Finding) error { list = append(list, f); return nil }}
	sum, err := repair.Run(t.Context(), store, bucket, repair.Checkpoint{Phase: "objects"}, &o)
	if err != nil {
		t.Fatal(err)
	}
	return list, sum
}

// collecting is a bucket that loses an object, with its row, when it is about to be read.
type collecting struct {
	storage.Bucket
	key     string
	collect func()
}

func (b *collecting) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	if key == b.key {
		b.collect()
	}
	return b.Bucket.Get(ctx, key, off, n)
}

func TestCollectedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := &collecting{Bucket: gocloud.New(memblob.OpenBucket(nil))}
		g := newGround(t, memmeta.New(), bucket, "")
		bucket.key = g.key(digestOf(layerA), 0)
		bucket.collect = func() {
			bucket.key = ""
			g.must(g.Owner().DeleteManifest(t.Context(), "test/hat", g.index.Digest))
			g.must(g.Owner().DeleteManifest(t.Context(), "test/hat", g.a.Digest))
			g.pass(grace)
		}
		g.want("while it is collected", nil, g.run(repair.Options{}))
		g.want("afterwards", nil, g.run(repair.Options{}))
	})
}
