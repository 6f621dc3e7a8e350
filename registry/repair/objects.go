package repair

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// keySize is how many random bytes a key of storage.NewKey has.
const keySize = 16

// keySet holds keys of objects, most of them in 16 bytes each, and forgets those that are
// named.
type keySet struct {
	random [][keySize]byte // sorted
	named  []uint64        // a bit for each
	others map[string]bool // keys of another form
	listed int             // how many were added
}

// add takes a key; all are added before any is named.
func (s *keySet) add(key string) {
	s.listed++
	if k, ok := parseKey(key); ok {
		s.random = append(s.random, k)
		return
	}
	if s.others == nil {
		s.others = map[string]bool{}
	}
	s.others[key] = true
}

// seal ends the adding.
func (s *keySet) seal() {
	slices.SortFunc(s.random, compareKeys) // a bucket lists in this order
	s.named = make([]uint64, (len(s.random)+63)/64)
}

func compareKeys(a, b [keySize]byte) int { return bytes.Compare(a[:], b[:]) }

// name takes a key out, if it is there.
func (s *keySet) name(key string) {
	k, ok := parseKey(key)
	if !ok {
		delete(s.others, key)
		return
	}
	if i, ok := slices.BinarySearchFunc(s.random, k, compareKeys); ok {
		s.named[i/64] |= 1 << (i % 64)
	}
}

// left returns the keys that nobody has named, in order.
func (s *keySet) left() []string {
	list := slices.Collect(maps.Keys(s.others))
	for i, k := range s.random {
		if s.named[i/64]&(1<<(i%64)) == 0 {
			list = append(list, formatKey(k))
		}
	}
	slices.Sort(list)
	return list
}

// parseKey reads a key of the form that storage.NewKey makes.
func parseKey(s string) (k [keySize]byte, ok bool) {
	if len(s) != 2*keySize+1 || s[2] != '/' {
		return k, false
	}
	for i := range 2 * keySize {
		c := s[i]
		if i >= 2 {
			c = s[i+1]
		}
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return k, false
		}
		k[i/2] = k[i/2]<<4 | c
	}
	return k, true
}

func formatKey(k [keySize]byte) string {
	s := hex.EncodeToString(k[:])
	return s[:2] + "/" + s[2:]
}

// objects looks for objects that no row names. Keys are listed first and rows read
// afterwards, since a row names a key before the object's first byte is written.
func (r *run) objects(ctx context.Context, after json.RawMessage) error {
	last, err := position[string](after)
	if err != nil {
		return err
	}
	chunk := chunkObjects
	if r.opts.chunk > 0 {
		chunk = r.opts.chunk
	}
	old := time.Now().Add(-r.opts.Age)
	keys := &keySet{}
	for a, err := range r.list(ctx, last) {
		if err != nil {
			return err
		}
		r.sum.Objects++
		if !a.Modified.Before(old) {
			continue
		}
		keys.add(a.Key)
		if keys.listed < chunk {
			continue
		}
		if err := r.orphans(ctx, keys); err != nil {
			return err
		}
		keys = &keySet{}
		if err := r.reached(r.phase, a.Key); err != nil {
			return err
		}
	}
	return r.orphans(ctx, keys)
}

// listTries is how often listing is begun again without having come further.
const listTries = 50

// list lists the bucket. gocloud's driver for folders fails if a file is deleted, or gets its
// name, between reading its folder and asking for its size; it is then begun again from there.
func (r *run) list(ctx context.Context, after string) iter.Seq2[storage.Attrs, error] {
	return func(yield func(storage.Attrs, error) bool) {
		for tries := 0; ; tries++ {
			var failed error
			for a, err := range r.bucket.List(ctx, "", after) {
				if errors.Is(err, fs.ErrNotExist) && tries < listTries {
					failed = err
					break
				}
				if !yield(a, err) || err != nil {
					return
				}
				after, tries = a.Key, 0
			}
			if failed == nil {
				return
			}
		}
	}
}

// orphansAtOnce is how many orphans one transaction queues.
const orphansAtOnce = 100

// orphans finds which of the keys no row names.
func (r *run) orphans(ctx context.Context, keys *keySet) error {
	if keys.listed == 0 {
		return nil
	}
	keys.seal()
	if err := r.nameAll(ctx, keys); err != nil {
		return err
	}
	for list := range slices.Chunk(keys.left(), orphansAtOnce) {
		var there []Finding
		for _, key := range list {
			a, err := r.bucket.Stat(ctx, key)
			if errors.Is(err, fs.ErrNotExist) {
				continue // the collector has been here
			}
			if err != nil {
				return err
			}
			there = append(there, Finding{Kind: ObjectOrphan, Key: key, Text: fmt.Sprintf("no row names the object, of %d bytes", a.Size)})
		}
		queued := map[string]bool{}
		if r.mends(ObjectOrphan) && len(there) > 0 {
			err := r.store.Update(ctx, func(tx meta.Tx) (err error) {
				queued, err = r.queueOrphans(tx, there)
				return err
			})
			if err != nil {
				return fmt.Errorf("mend of %s: %w", ObjectOrphan, err)
			}
		}
		for _, f := range there {
			if f.Mended = queued[f.Key]; r.mends(f.Kind) && !f.Mended {
				continue // a row names it after all
			}
			if err := r.report(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// nameAll takes out of the keys what rows name. A key moves from the row of an upload to that of a
// blob, from the queue to catalog data, and from all of them to the queue, within one transaction
// each; the tables are read in that order, so that it is seen in one of them. It never
// comes back: what is not seen once is named by no row ever.
func (r *run) nameAll(ctx context.Context, keys *keySet) error {
	queue := func() error {
		return each(ctx, r, func(tx meta.Tx) meta.Table[meta.ReviewKey, meta.Review] { return tx.Reviews() }, meta.ReviewKey{Kind: meta.ReviewObject},
			func(row meta.Review) meta.ReviewKey {
				keys.name(row.Subject)
				return meta.ReviewKey{Kind: row.Kind, Subject: row.Subject, Repository: row.Repository}
			})
	}
	if err := queue(); err != nil {
		return err
	}
	err := each(ctx, r, func(tx meta.Tx) meta.Table[meta.RepositoryID, meta.Catalog] { return tx.Catalogs() }, 0,
		func(row meta.Catalog) meta.RepositoryID {
			keys.name(row.Logo)
			return row.Repository
		})
	if err != nil {
		return err
	}
	err = each(ctx, r, func(tx meta.Tx) meta.Table[meta.UploadID, meta.Upload] { return tx.Uploads() }, "",
		func(row meta.Upload) meta.UploadID {
			keys.name(row.Key)
			for _, s := range row.Segments {
				keys.name(s.Key)
			}
			return row.ID
		})
	if err != nil {
		return err
	}
	err = each(ctx, r, func(tx meta.Tx) meta.Table[meta.BlobKey, meta.Blob] { return tx.Blobs() }, "",
		func(row meta.Blob) meta.BlobKey {
			for _, s := range row.Segments {
				keys.name(s.Key)
			}
			return meta.BlobKey(row.Digest)
		})
	if err != nil {
		return err
	}
	return queue()
}

// each calls f with all rows that begin with a prefix, page by page; f returns their keys.
func each[K meta.Key, R any](ctx context.Context, r *run, table func(meta.Tx) meta.Table[K, R], prefix K, f func(R) K) error {
	var at K
	limit := r.page(pageRows)
	for n := limit; n == limit; {
		n = 0
		err := r.view(ctx, func(tx meta.Tx) error {
			for row, err := range table(tx).Scan(meta.Range[K]{Prefix: prefix, After: at, Limit: limit}) {
				if err != nil {
					return err
				}
				at, n = f(row), n+1
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// queueOrphans queues objects but for those that a row names after all, and returns which.
// Uploads are asked again, which are few; for blobs, see [run.nameAll].
func (r *run) queueOrphans(tx meta.Tx, list []Finding) (map[string]bool, error) {
	named := map[string]bool{}
	for u, err := range tx.Uploads().Scan(meta.Range[meta.UploadID]{}) {
		if err != nil {
			return nil, err
		}
		named[u.Key] = true
		for _, s := range u.Segments {
			named[s.Key] = true
		}
	}
	queued := map[string]bool{}
	for _, f := range list {
		before, err := isQueued(tx, meta.ReviewObject, 0, f.Key)
		if err != nil {
			return nil, err
		}
		if before || named[f.Key] {
			continue
		}
		if err := r.queue(tx, meta.ReviewObject, 0, f.Key); err != nil {
			return nil, err
		}
		queued[f.Key] = true
	}
	return queued, nil
}
