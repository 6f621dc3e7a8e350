package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
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
	var rows, objects []meta.Review
	var errs []error
	for _, review := range due {
		switch review.Kind {
		case meta.ReviewLink, meta.ReviewBlob:
			rows = append(rows, review)
		case meta.ReviewObject:
			objects = append(objects, review)
		case meta.ReviewRepository:
			if err := r.collectRepository(ctx, review, &c); err != nil {
				errs = append(errs, r.uncollected(ctx, review, err))
			}
		}
	}
	got, err := r.collectBatches(ctx, rows, now)
	c.Add(got)
	errs = append(errs, err)
	for batch := range slices.Chunk(objects, 8*collectBatch) {
		errs = append(errs, r.collectObjects(ctx, batch, &c))
	}
	for _, u := range idle {
		if err := r.expireUpload(ctx, u, now, &c); err != nil {
			errs = append(errs, fmt.Errorf("upload %s: %w", u.ID, err))
		}
	}
	// A link may leave a blob to look at, and a blob its objects.
	more = len(due) == limit || len(idle) == limit || c.Links+c.Blobs+c.Uploads > 0
	return c, more && ctx.Err() == nil, errors.Join(append(errs, ctx.Err())...)
}

// CountGarbage returns how many things Collect would look at now, but no more than limit.
func (r *Registry) CountGarbage(ctx context.Context, limit int) (n int, err error) {
	err = r.store.View(ctx, func(tx meta.Tx) error {
		n, err = tx.CountDue(time.Now().UTC(), limit)
		return err
	})
	return n, err
}

const (
	collectBatch = 25 // links or blobs of one transaction
	maxBatches   = 4  // transactions at once
	maxDeletes   = 16 // objects that are deleted at once
)

// collectBatches looks at links and blobs.
func (r *Registry) collectBatches(ctx context.Context, rows []meta.Review, now time.Time) (c Collected, err error) {
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		errs    []error
		running = make(chan struct{}, maxBatches)
	)
	for batch := range slices.Chunk(rows, collectBatch) {
		running <- struct{}{}
		wg.Go(func() {
			var got Collected
			err := r.collectRows(ctx, batch, now, &got)
			<-running
			mu.Lock()
			defer mu.Unlock()
			c.Add(got)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return c, errors.Join(errs...)
}

// collectRows looks at links and blobs in one transaction, or, if that fails, each in one of its own.
func (r *Registry) collectRows(ctx context.Context, batch []meta.Review, now time.Time, c *Collected) error {
	if ctx.Err() != nil {
		return nil
	}
	var got Collected
	err := r.store.Update(ctx, func(tx meta.Tx) error {
		got = Collected{}
		for _, review := range batch {
			collect := r.collectLink
			if review.Kind == meta.ReviewBlob {
				collect = r.collectBlob
			}
			if err := collect(ctx, tx, review, now, &got); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.Add(got)
		return nil
	}
	if len(batch) == 1 {
		return r.uncollected(ctx, batch[0], err)
	}
	var errs []error
	for i := range batch {
		errs = append(errs, r.collectRows(ctx, batch[i:i+1], now, c))
	}
	return errors.Join(errs...)
}

// collectObjects deletes objects, and then their reviews. Nothing that is queued so is ever
// named by another row: keys are used once.
func (r *Registry) collectObjects(ctx context.Context, batch []meta.Review, c *Collected) error {
	failed := make([]error, len(batch))
	var wg sync.WaitGroup
	running := make(chan struct{}, maxDeletes)
	for i, review := range batch {
		running <- struct{}{}
		wg.Go(func() {
			failed[i] = r.blobs.Delete(ctx, review.Subject)
			<-running
		})
	}
	wg.Wait()
	var errs []error
	err := r.store.Update(settled(ctx), func(tx meta.Tx) error {
		for i, review := range batch {
			if failed[i] == nil {
				if err := tx.Reviews().Delete(keyOf(review)); err != nil {
					return err
				}
			}
		}
		return nil
	}, meta.Relaxed)
	if err != nil {
		return err // they are deleted again
	}
	for i, review := range batch {
		if failed[i] != nil {
			errs = append(errs, r.uncollected(ctx, review, failed[i]))
		} else {
			c.Objects++
		}
	}
	return errors.Join(errs...)
}

// uncollected lets what could not be removed wait, and says what it was.
func (r *Registry) uncollected(ctx context.Context, review meta.Review, err error) error {
	return errors.Join(fmt.Errorf("collect %s %s: %w", review.Kind, review.Subject, err), r.postpone(ctx, review))
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
func (r *Registry) collectLink(ctx context.Context, tx meta.Tx, review meta.Review, now time.Time, c *Collected) error {
	due, err := stillDue(tx, review, now)
	if err != nil || !due {
		return err
	}
	if err := tx.Reviews().Delete(keyOf(review)); err != nil {
		return err
	}
	d := manifest.Digest(review.Subject)
	parent, err := parentOf(tx, review.Repository, d)
	if err != nil || parent != "" {
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
	c.Links++
	return r.unlink(tx, key, now)
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
func (r *Registry) collectBlob(_ context.Context, tx meta.Tx, review meta.Review, now time.Time, c *Collected) error {
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
	c.Blobs++
	c.Bytes += b.Size
	return errors.Join(tx.Blobs().Delete(meta.BlobKey(d)), r.drop(tx, b.Segments))
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
