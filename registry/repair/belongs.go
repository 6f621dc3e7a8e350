package repair

import (
	"context"
	"errors"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// belongs refuses to mend where the bucket has objects and none that a row names: with another
// registry's bucket, or an empty database before a full one, every object would be an orphan, and
// every blob lost. A bucket that is empty has lost everything; to say so is MendContent's.
func (r *run) belongs(ctx context.Context) error {
	var some []meta.Blob
	err := r.view(ctx, func(tx meta.Tx) error {
		for b, err := range tx.Blobs().Scan(meta.Range[meta.BlobKey]{Limit: pageRows}) {
			if err != nil {
				return err
			}
			some = append(some, b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range some {
		if len(b.Segments) == 0 {
			continue
		}
		_, err := r.bucket.Stat(ctx, b.Segments[0].Key)
		if ok, err := exists(err); ok || err != nil {
			return err
		}
	}
	// There may be nothing but uploads as yet, so that all rows are asked.
	keys := &keySet{}
	for a, err := range r.list(ctx, "") {
		if err != nil {
			return err
		}
		if keys.add(a.Key); keys.listed == pageRows {
			break
		}
	}
	keys.seal()
	if err := r.nameAll(ctx, keys); err != nil {
		return err
	}
	left := keys.left()
	if len(left) < keys.listed {
		return nil
	}
	for _, key := range left {
		_, err := r.bucket.Stat(ctx, key)
		there, err := exists(err)
		if err != nil {
			return err
		}
		if there {
			return errors.New("no row names any object that is in the bucket: it is not this registry's, or the metadata is not whole; nothing was mended")
		}
	}
	return nil
}
