package durability

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	_ "gocloud.dev/blob/fileblob"
	_ "modernc.org/sqlite"

	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// inventory is what a server's folder holds, read while no server runs.
type inventory struct {
	blobs   map[string][]meta.Segment // by digest
	uploads []meta.Upload
	named   map[string]bool // keys of objects that rows name
	dropped map[string]bool // those that wait to be deleted
	objects map[string]int64
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
	inv = &inventory{blobs: map[string][]meta.Segment{}, named: map[string]bool{}, dropped: map[string]bool{}, objects: map[string]int64{}}
	for o, err := range bucket.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		inv.objects[o.Key] = o.Size
	}
	return inv, store.View(ctx, inv.read)
}

func (inv *inventory) read(tx meta.Tx) error {
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
	for r, err := range tx.Reviews().Scan(meta.Range[meta.ReviewKey]{Prefix: meta.ReviewKey{Kind: meta.ReviewObject}}) {
		if err != nil {
			return err
		}
		inv.named[r.Subject], inv.dropped[r.Subject] = true, true
	}
	return nil
}

// check holds what must be true of every folder: no object is without a row that names it,
// no blob or upload without its objects, and none of those waits to be deleted.
func (inv *inventory) check() (problems []error) {
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
