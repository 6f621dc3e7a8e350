package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Collected counts what was removed.
type Collected struct {
	Links        int   // blobs that no manifest of a repository refers to
	Blobs        int   // that no repository links to
	Objects      int   // in the bucket
	Uploads      int   // that nobody goes on with
	Repositories int   // that were deleted, with all their rows
	Bytes        int64 // of Blobs
}

// Add adds counts.
func (c *Collected) Add(d Collected) {
	c.Links += d.Links
	c.Blobs += d.Blobs
	c.Objects += d.Objects
	c.Uploads += d.Uploads
	c.Repositories += d.Repositories
	c.Bytes += d.Bytes
}

// Collect looks at what may be garbage and whose grace is over, up to limit things, and removes
// what is. It reports whether there is more to look at now. It may run at any time, on several
// nodes at once, and be killed at any point: whatever it removes it looks at again within the
// transaction that removes the row, and an object goes only after the last row that names
// it. Its cost is that of what it finds; it lists no bucket. What cannot be removed is an
// error, which does not keep it from the rest, and is tried again.
func (r *Registry) Collect(ctx context.Context, limit int) (c Collected, more bool, err error) {
	now := time.Now().UTC()
	var (
		due  []meta.Review
		idle []meta.Upload
	)
	err = r.store.View(ctx, func(tx meta.Tx) (err error) {
		if due, err = tx.Due(now, limit); err == nil {
			idle, err = tx.IdleUploads(now.Add(-r.cfg.Grace), limit)
		}
		return err
	})
	if err != nil {
		return c, false, err
	}
	var errs []error
	for _, review := range due {
		if err := ctx.Err(); err != nil {
			return c, false, errors.Join(append(errs, err)...)
		}
		if err := r.collect(ctx, review, now, &c); err != nil {
			errs = append(errs, fmt.Errorf("collect %s %s: %w", review.Kind, review.Subject, err))
			if err := r.postpone(ctx, review); err != nil {
				errs = append(errs, err)
			}
		}
	}
	for _, u := range idle {
		if err := r.expireUpload(ctx, u, now, &c); err != nil {
			errs = append(errs, fmt.Errorf("upload %s: %w", u.ID, err))
		}
	}
	return c, len(due) == limit || len(idle) == limit, errors.Join(errs...)
}

func (r *Registry) collect(ctx context.Context, review meta.Review, now time.Time, c *Collected) error {
	switch review.Kind {
	case meta.ReviewLink:
		return r.collectLink(ctx, review, now, c)
	case meta.ReviewBlob:
		return r.collectBlob(ctx, review, now, c)
	case meta.ReviewObject:
		// Nothing that is queued so is ever named by another row: keys are used once.
		if err := r.blobs.Delete(ctx, review.Subject); err != nil {
			return err
		}
		c.Objects++
		return r.store.Update(ctx, func(tx meta.Tx) error { return tx.Reviews().Delete(keyOf(review)) }, meta.Relaxed)
	case meta.ReviewRepository:
		return r.collectRepository(ctx, review, c)
	}
	return nil // of a newer version
}

func keyOf(r meta.Review) meta.ReviewKey {
	return meta.ReviewKey{Kind: r.Kind, Subject: r.Subject, Repository: r.Repository}
}

// retryCollect is when what could not be removed is tried again.
const retryCollect = 10 * time.Minute

// postpone lets what could not be removed wait, so that it does not hold up the rest.
func (r *Registry) postpone(ctx context.Context, review meta.Review) error {
	return r.store.Update(ctx, func(tx meta.Tx) error {
		row, err := tx.Reviews().Get(keyOf(review))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !row.Due.Equal(review.Due) {
			return nil
		}
		if err != nil {
			return err
		}
		row.Due = time.Now().UTC().Add(retryCollect)
		return tx.Reviews().Put(row)
	}, meta.Relaxed)
}

// stillDue reports whether a review is still to be made, and has not been put off by a push.
func stillDue(tx meta.Tx, review meta.Review, now time.Time) (bool, error) {
	row, err := tx.Reviews().Get(keyOf(review))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !row.Due.After(now), err
}

// collectLink takes a blob out of a repository none of whose manifests refers to it.
func (r *Registry) collectLink(ctx context.Context, review meta.Review, now time.Time, c *Collected) error {
	removed := false
	err := r.store.Update(ctx, func(tx meta.Tx) error {
		removed = false
		due, err := stillDue(tx, review, now)
		if err != nil || !due {
			return err
		}
		if err := tx.Reviews().Delete(keyOf(review)); err != nil {
			return err
		}
		d := manifest.Digest(review.Subject)
		needed, err := isNeeded(tx, review.Repository, d)
		if err != nil || needed {
			return err
		}
		key := meta.LinkKey{Repository: review.Repository, Digest: d}
		if _, err := tx.Links().Get(key); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		if repo, err := tx.RepositoryByID(review.Repository); err == nil {
			op := operator(repo.Account)
			op.Repository, op.told = repo, unasked
			if err := r.change(ctx, tx, op, &Change{Kind: DeleteBlob, Digest: d}); err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed = true
		return r.unlink(tx, key, now)
	})
	if err == nil && removed {
		c.Links++
	}
	return err
}

// isNeeded reports whether a manifest of a repository refers to a blob. One that has it for
// its subject does not.
func isNeeded(tx meta.Tx, repo meta.RepositoryID, d manifest.Digest) (bool, error) {
	for limit := 8; ; limit *= 8 {
		parents, err := tx.Parents(repo, d, limit)
		if err != nil {
			return false, err
		}
		for _, e := range parents {
			if e.Kind != manifest.EdgeSubject {
				return true, nil
			}
		}
		if len(parents) < limit {
			return false, nil
		}
	}
}

// unlink removes a link, and queues the blob if it was the last one.
func (r *Registry) unlink(tx meta.Tx, key meta.LinkKey, now time.Time) error {
	if err := tx.Links().Delete(key); err != nil {
		return err
	}
	r.caches.forgetLink(tx, key.Repository, key.Digest)
	left, err := tx.LinksOf(key.Digest, 0, 1)
	if err != nil || len(left) > 0 {
		return err
	}
	return tx.Reviews().Put(meta.Review{Kind: meta.ReviewBlob, Subject: string(key.Digest), Due: now})
}

// collectBlob removes a blob that no repository links to. Its objects are queued: they go when
// no row names them any more.
func (r *Registry) collectBlob(ctx context.Context, review meta.Review, now time.Time, c *Collected) error {
	var gone meta.Blob
	err := r.store.Update(ctx, func(tx meta.Tx) error {
		gone = meta.Blob{}
		due, err := stillDue(tx, review, now)
		if err != nil || !due {
			return err
		}
		if err := tx.Reviews().Delete(keyOf(review)); err != nil {
			return err
		}
		d := manifest.Digest(review.Subject)
		links, err := tx.LinksOf(d, 0, 1)
		if err != nil || len(links) > 0 {
			return err
		}
		b, err := tx.Blobs().Get(meta.BlobKey(d))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		gone = b
		return errors.Join(tx.Blobs().Delete(meta.BlobKey(d)), r.drop(tx, b.Segments))
	})
	if err == nil && gone.Digest != "" {
		c.Blobs++
		c.Bytes += gone.Size
	}
	return err
}

// expireUpload ends an upload that nobody goes on with.
func (r *Registry) expireUpload(ctx context.Context, u meta.Upload, now time.Time, c *Collected) error {
	ended := false
	err := r.store.Update(ctx, func(tx meta.Tx) error {
		ended = false
		row, err := tx.Uploads().Get(u.ID)
		if errors.Is(err, fs.ErrNotExist) || err == nil && row.Active.After(now.Add(-r.cfg.Grace)) {
			return nil
		}
		if err != nil {
			return err
		}
		ended = true
		return r.endUpload(tx, row)
	})
	if err == nil && ended {
		c.Uploads++
		r.firstKeys.Remove(u.ID)
	}
	return err
}

// endUpload removes an upload's row and queues its objects: what an attempt may still be
// writing after the grace.
func (r *Registry) endUpload(tx meta.Tx, u meta.Upload) error {
	if u.Key != "" {
		if err := r.review(tx, meta.ReviewObject, 0, u.Key); err != nil {
			return err
		}
	}
	return errors.Join(r.drop(tx, u.Segments), tx.Uploads().Delete(u.ID))
}

// repositoryRows is how many rows of a deleted repository one transaction removes.
const repositoryRows = 500

// collectRepository removes the rows that a deleted repository has left, some at a time.
func (r *Registry) collectRepository(ctx context.Context, review meta.Review, c *Collected) error {
	for done := false; !done; {
		err := r.store.Update(ctx, func(tx meta.Tx) error {
			left, err := r.removeRows(tx, review.Repository, repositoryRows)
			if done = err == nil && left > 0; done {
				err = tx.Reviews().Delete(keyOf(review))
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	c.Repositories++
	return nil
}

// removeRows removes up to n rows of a repository, and returns how many more it might have:
// 0 if there may be others left.
func (r *Registry) removeRows(tx meta.Tx, repo meta.RepositoryID, n int) (left int, err error) {
	now := time.Now().UTC()
	if n, err = removeAll(tx.Tags(), meta.TagKey{Repository: repo}, n, func(t meta.Tag) meta.TagKey { return meta.TagKey{Repository: repo, Name: t.Name} }); err != nil || n == 0 {
		return 0, err
	}
	if n, err = removeAll(tx.Moves(), meta.MoveKey{Repository: repo}, n, func(m meta.Move) meta.MoveKey {
		return meta.MoveKey{Repository: repo, Tag: m.Tag, Sequence: m.Sequence}
	}); err != nil || n == 0 {
		return 0, err
	}
	if n, err = removeAll(tx.Edges(), meta.EdgeKey{Repository: repo}, n, func(e meta.Edge) meta.EdgeKey {
		return meta.EdgeKey{Repository: repo, Parent: e.Parent, Child: e.Child}
	}); err != nil || n == 0 {
		return 0, err
	}
	images, err := tx.Images(repo, "", n) // without the bytes, which a scan would read
	if err != nil {
		return 0, err
	}
	for _, m := range images {
		if err := tx.Manifests().Delete(meta.ManifestKey{Repository: repo, Digest: m.Digest}); err != nil {
			return 0, err
		}
	}
	if n -= len(images); n == 0 {
		return 0, nil
	}
	for link, err := range tx.Links().Scan(meta.Range[meta.LinkKey]{Prefix: meta.LinkKey{Repository: repo}, Limit: n}) {
		if err != nil {
			return 0, err
		}
		key := meta.LinkKey{Repository: repo, Digest: link.Digest}
		if err := tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewLink, Subject: string(link.Digest), Repository: repo}); err != nil {
			return 0, err
		}
		if err := r.unlink(tx, key, now); err != nil {
			return 0, err
		}
		n--
	}
	if n == 0 {
		return 0, nil
	}
	if n, err = removeAll(tx.ResourceTags(), meta.ResourceTagKey{Repository: repo}, n, func(t meta.ResourceTag) meta.ResourceTagKey {
		return meta.ResourceTagKey{Repository: repo, Key: t.Key}
	}); err != nil || n == 0 {
		return 0, err
	}
	catalog, err := tx.Catalogs().Get(repo)
	if err == nil && catalog.Logo != "" {
		err = tx.Reviews().Put(meta.Review{Kind: meta.ReviewObject, Subject: catalog.Logo, Due: now})
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	return n, errors.Join(tx.Catalogs().Delete(repo), tx.RepositoryPolicies().Delete(repo))
}

// removeAll removes up to n rows that begin with a prefix, and returns how many fewer there
// were.
func removeAll[K meta.Key, R any](table meta.Table[K, R], prefix K, n int, key func(R) K) (left int, err error) {
	for row, err := range table.Scan(meta.Range[K]{Prefix: prefix, Limit: n}) {
		if err != nil {
			return 0, err
		}
		if err := table.Delete(key(row)); err != nil {
			return 0, err
		}
		n--
	}
	return n, nil
}
