package repair

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// uploads looks whether the objects are there that uploads have so far. Their client would finish
// one without them, by the state of the hash, and nobody could read the blob.
func (r *run) uploads(ctx context.Context, after json.RawMessage) error {
	at, err := position[meta.UploadID](after)
	if err != nil {
		return err
	}
	limit := r.page(pageRows)
	for {
		var page []meta.Upload
		err := r.view(ctx, func(tx meta.Tx) error {
			for u, err := range tx.Uploads().Scan(meta.Range[meta.UploadID]{After: at, Limit: limit}) {
				if err != nil {
					return err
				}
				page = append(page, u)
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.sum.Rows += int64(len(page))
		for _, u := range page {
			if err := r.upload(ctx, u); err != nil {
				return err
			}
			at = u.ID
		}
		if len(page) < limit {
			return nil
		}
		if err := r.reached(r.phase, at); err != nil {
			return err
		}
	}
}

func (r *run) upload(ctx context.Context, u meta.Upload) error {
	for _, s := range u.Segments {
		f, err := r.statObject(ctx, s)
		if err != nil {
			return err
		}
		if f.Kind == "" || f.Kind == BlobUnreadable {
			continue
		}
		// It may have been finished or canceled since its row was read.
		still := false
		err = r.view(ctx, func(tx meta.Tx) error {
			_, still, err = sameUpload(tx, u)
			return err
		})
		if err != nil || !still {
			return err
		}
		f.Kind, f.Name = UploadMissing, string(u.ID)
		return r.settle(ctx, problem{Finding: f, mend: func(tx meta.Tx) (bool, error) { return r.endUpload(tx, u) }})
	}
	return nil
}

// sameUpload returns the row of an upload if it still has the same bytes.
func sameUpload(tx meta.Tx, u meta.Upload) (meta.Upload, bool, error) {
	now, err := tx.Uploads().Get(u.ID)
	ok, err := exists(err)
	return now, ok && slices.Equal(now.Segments, u.Segments), err
}

// endUpload removes the row of an upload, and queues its objects.
func (r *run) endUpload(tx meta.Tx, u meta.Upload) (bool, error) {
	now, still, err := sameUpload(tx, u)
	if err != nil || !still {
		return false, err
	}
	keys := []string{now.Key} // where an attempt may be writing
	for _, s := range now.Segments {
		keys = append(keys, s.Key)
	}
	for _, key := range keys {
		if key == "" {
			continue
		}
		if err := r.queue(tx, meta.ReviewObject, 0, key); err != nil {
			return false, err
		}
	}
	return true, tx.Uploads().Delete(u.ID)
}
