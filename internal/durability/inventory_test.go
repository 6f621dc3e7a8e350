package durability

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	_ "gocloud.dev/blob/fileblob"
	_ "modernc.org/sqlite"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// inventory is what a database and a bucket hold, read while no server runs.
type inventory struct {
	blobs   map[string][]meta.Segment // by digest
	uploads []meta.Upload
	reviews int
	named   map[string]bool // keys of objects that rows name
	dropped map[string]bool // those that wait to be deleted
	objects map[string]int64
	broken  []error // rows that lead to no other
}

// takeInventory reads a folder. It changes nothing but the database's log.
func takeInventory(ctx context.Context, dir string) (inv *inventory, err error) {
	store, err := sqlmeta.OpenSQLite(ctx, filepath.Join(dir, "meta.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	u, err := gocloud.FileURL(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil, err
	}
	bucket, err := gocloud.Open(ctx, u)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	return readInventory(ctx, store, bucket)
}

func readInventory(ctx context.Context, store meta.Store, bucket storage.Bucket) (*inventory, error) {
	inv := &inventory{blobs: map[string][]meta.Segment{}, named: map[string]bool{}, dropped: map[string]bool{}, objects: map[string]int64{}}
	for o, err := range bucket.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		inv.objects[o.Key] = o.Size
	}
	return inv, store.View(ctx, func(tx meta.Tx) error { return errors.Join(inv.readBlobs(tx), inv.readImages(tx)) })
}

func (inv *inventory) readBlobs(tx meta.Tx) error {
	for b, err := range tx.Blobs().Scan(meta.Range[meta.BlobKey]{}) {
		if err != nil {
			return err
		}
		inv.blobs[string(b.Digest)] = b.Segments
		for _, s := range b.Segments {
			inv.named[s.Key] = true
		}
	}
	for u, err := range tx.Uploads().Scan(meta.Range[meta.UploadID]{}) {
		if err != nil {
			return err
		}
		inv.uploads = append(inv.uploads, u)
		for _, s := range u.Segments {
			inv.named[s.Key] = true
		}
		inv.named[u.Key] = true
	}
	for r, err := range tx.Reviews().Scan(meta.Range[meta.ReviewKey]{}) {
		if err != nil {
			return err
		}
		inv.reviews++
		if r.Kind == meta.ReviewObject {
			inv.named[r.Subject], inv.dropped[r.Subject] = true, true
		}
	}
	return nil
}

// readImages follows tags to manifests, manifests to the repositories' links, and links to
// blobs. No image was made whose parts were deleted one by one.
func (inv *inventory) readImages(tx meta.Tx) error {
	want := func(what string, found bool) {
		if !found {
			inv.broken = append(inv.broken, errors.New(what))
		}
	}
	links, manifests := map[meta.LinkKey]bool{}, map[meta.ManifestKey]bool{}
	for l, err := range tx.Links().Scan(meta.Range[meta.LinkKey]{}) {
		if err != nil {
			return err
		}
		links[meta.LinkKey{Repository: l.Repository, Digest: l.Digest}] = true
		_, found := inv.blobs[string(l.Digest)]
		want(fmt.Sprintf("a link leads to the blob %s, which is not there", l.Digest), found)
	}
	for m, err := range tx.Manifests().Scan(meta.Range[meta.ManifestKey]{}) {
		if err != nil {
			return err
		}
		manifests[meta.ManifestKey{Repository: m.Repository, Digest: m.Digest}] = true
	}
	for e, err := range tx.Edges().Scan(meta.Range[meta.EdgeKey]{}) {
		if err != nil {
			return err
		}
		want(fmt.Sprintf("an edge is of the manifest %s, which is not there", e.Parent), manifests[meta.ManifestKey{Repository: e.Repository, Digest: e.Parent}])
		want(fmt.Sprintf("the manifest %s needs %s, which is not there", e.Parent, e.Child), links[meta.LinkKey{Repository: e.Repository, Digest: e.Child}])
	}
	for g, err := range tx.Tags().Scan(meta.Range[meta.TagKey]{}) {
		if err != nil {
			return err
		}
		want(fmt.Sprintf("the tag %s leads to %s, which is not there", g.Name, g.Digest), manifests[meta.ManifestKey{Repository: g.Repository, Digest: g.Digest}])
	}
	return nil
}

// check holds what must be true always: no object is without a row that names it, no blob or
// upload without its objects, none of those waits to be deleted, and no row leads nowhere.
func (inv *inventory) check() (problems []error) {
	problems = append(problems, inv.broken...)
	for key := range inv.objects {
		if !inv.named[key] {
			problems = append(problems, fmt.Errorf("no row names the object %s", key))
		}
	}
	segments := func(what string, list []meta.Segment) {
		for _, s := range list {
			if size, ok := inv.objects[s.Key]; !ok || size != s.Size {
				problems = append(problems, fmt.Errorf("%s needs %d bytes of %s; found: %v, %d bytes", what, s.Size, s.Key, ok, size))
			}
			if inv.dropped[s.Key] {
				problems = append(problems, fmt.Errorf("%s needs %s, which waits to be deleted", what, s.Key))
			}
		}
	}
	for d, list := range inv.blobs {
		segments("blob "+d, list)
	}
	for _, u := range inv.uploads {
		segments("upload "+string(u.ID), u.Segments)
	}
	return problems
}

// forgive lets objects be that no row names, and returns how many there are.
func (inv *inventory) forgive() (n int) {
	for key := range inv.objects {
		if !inv.named[key] {
			inv.named[key] = true
			n++
		}
	}
	return n
}

// intact asks SQLite whether the database is.
func intact(ctx context.Context, dir string) error {
	db, err := sql.Open("sqlite", filepath.Join(dir, "meta.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	var answer string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		return fmt.Errorf("integrity_check: %s, %w", answer, err)
	}
	return nil
}
