package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// maxSegments bounds how many chunks an upload may come in, because their list is written
// with each of them. Chunks of 5 MiB, the smallest that S3 takes, make 48 GiB.
const maxSegments = 10_000

// chunk is what a request adds to an upload.
type chunk struct {
	start int64     // where the client believes the upload ends; -1: it does not say
	size  int64     // of body; -1: unknown
	body  io.Reader // nil: nothing
}

// startUpload makes an upload, with the key of its first object.
func (r *Registry) startUpload(ctx context.Context, op *Op, algorithm manifest.Algorithm) (meta.Upload, error) {
	now := time.Now().UTC()
	u := meta.Upload{
		ID: newUploadID(), Principal: op.Identity.Principal.String(), Algorithm: algorithm,
		State: []byte{}, Key: storage.NewKey(), Started: now, Active: now,
	}
	err := r.update(ctx, op, func(tx meta.Tx) error {
		u.Repository = op.Repository.ID
		return tx.Uploads().Put(u)
	}, meta.Relaxed)
	if err == nil {
		r.firstKeys.Add(u.ID, u.Key)
	}
	return u, err
}

// newUploadID draws a random UUID (RFC 9562, version 4), which is what upload ids of ECR
// are.
func newUploadID() meta.UploadID {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return meta.UploadID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// upload returns the upload that the operation names. Its URL is of no use to another
// principal, or with another repository.
func (r *Registry) upload(op *Op) (meta.Upload, error) {
	if op.upload == nil {
		return meta.Upload{}, ErrBlobUploadUnknown
	}
	return own(op, *op.upload, nil)
}

// own passes on an upload that belongs to the operation's repository and principal.
func own(op *Op, u meta.Upload, err error) (meta.Upload, error) {
	if errors.Is(err, fs.ErrNotExist) || err == nil && (u.Repository != op.Repository.ID || u.Principal != op.Identity.Principal.String()) {
		return u, ErrBlobUploadUnknown
	}
	return u, err
}

// ownUpload reads an upload within a transaction.
func ownUpload(tx meta.Tx, op *Op, id meta.UploadID) (meta.Upload, error) {
	u, err := tx.Uploads().Get(id)
	return own(op, u, err)
}

// attempt is one request's addition to an upload. Its bytes are in an object of its own,
// so that whatever other attempts do, they cannot touch it; which attempt counts is
// decided by the row.
type attempt struct {
	upload meta.Upload // as it was when the attempt began
	hash   hash.Hash   // of all bytes including the attempt's
	key    string      // of the attempt's object; "" if it has no bytes
	size   int64
}

// receive writes a chunk to an object of its own.
func (r *Registry) receive(ctx context.Context, op *Op, u meta.Upload, c chunk) (attempt, error) {
	a := attempt{upload: u}
	if c.start >= 0 && c.start != u.Offset {
		return a, outOfOrder(u)
	}
	h, err := restore(u)
	if err != nil {
		return a, err
	}
	a.hash = h
	if c.body == nil || c.size == 0 {
		return a, nil
	}
	if c.size < 0 {
		// An empty chunk makes no object.
		var first [1]byte
		switch _, err := io.ReadFull(c.body, first[:]); err {
		case nil:
			c.body = io.MultiReader(bytes.NewReader(first[:]), c.body)
		case io.EOF:
			return a, nil
		default:
			return a, cutShort(err)
		}
	}
	if len(u.Segments) >= maxSegments {
		return a, says(ErrBlobUploadInvalid, "an upload has at most %d chunks", maxSegments)
	}
	if err := ctx.Err(); err != nil {
		return a, cutShort(err) // a client that has gone must not take the upload from its own next try
	}
	room := r.cfg.Quotas.LayerSize - u.Offset
	if c.size > room {
		return a, tooLarge(r.cfg.Quotas.LayerSize)
	}
	if a.upload, err = r.claim(ctx, op, u); err != nil {
		return a, err
	}
	if c.size < 0 {
		c.body = &bounded{c.body, room, r.cfg.Quotas.LayerSize}
	}
	a.key = a.upload.Key
	a.size, err = r.blobs.Write(ctx, a.key, c.body, a.hash)
	op.Received += a.size
	if err != nil {
		if errors.Is(err, ErrTooLarge) {
			return a, tooLarge(r.cfg.Quotas.LayerSize)
		}
		if read, ok := errors.AsType[*storage.ReadError](err); ok {
			return a, cutShort(read.Err)
		}
		return a, fmt.Errorf("write of an upload: %w", err)
	}
	if c.size > 0 && a.size != c.size {
		r.discard(ctx, a.key)
		return a, says(ErrSizeInvalid, "%d bytes came where %d were announced", a.size, c.size)
	}
	return a, nil
}

// bounded is a body that must not have more than left bytes.
type bounded struct {
	io.Reader
	left, limit int64
}

// Read fails with the byte that is too many.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	return n, err
}

func tooLarge(limit int64) error {
	return says(ErrTooLarge, "the blob has more than %d bytes, which is the limit", limit)
}

// cutShort is the error of a body that did not come whole: there may be nobody to tell.
func cutShort(err error) error {
	return &Error{Err: ErrBlobUploadInvalid, Message: "the body ended early", Cause: err}
}

func outOfOrder(u meta.Upload) error {
	return &Error{
		Err: ErrRange, Message: fmt.Sprintf("the upload has %d bytes; send what follows them", u.Offset),
		Header: http.Header{"Range": {uploadRange(u)}, "Docker-Upload-Uuid": {string(u.ID)}},
	}
}

// uploadRange is what has come of an upload, as a Range header says it. Nothing at all is
// said as the first byte, because docker parses two numbers and refuses an end before the
// start.
func uploadRange(u meta.Upload) string { return fmt.Sprintf("0-%d", max(0, u.Offset-1)) }

// claim records the key of the object that the attempt will write, before its first byte,
// so that no object exists that no row names. The key that the POST recorded is good for one
// attempt on the node that answered it; every other attempt claims a key of its own, and
// takes the upload from an attempt that is still running. (A database that crashes may lose a
// relaxed commit, and with it the name of an object: package repair finds that.)
func (r *Registry) claim(ctx context.Context, op *Op, u meta.Upload) (meta.Upload, error) {
	if first, ok := r.firstKeys.Peek(u.ID); ok && r.firstKeys.Remove(u.ID) && first == u.Key && u.Offset == 0 {
		return u, nil
	}
	key, id, offset := storage.NewKey(), u.ID, u.Offset // the function may run again, after a read that failed
	err := r.store.Update(ctx, func(tx meta.Tx) (err error) {
		if u, err = ownUpload(tx, op, id); err != nil {
			return err
		}
		if u.Offset != offset {
			return outOfOrder(u)
		}
		if u.Key != "" {
			// its attempt may still be writing, for as long as the grace
			if err := r.review(tx, meta.ReviewObject, 0, u.Key); err != nil {
				return err
			}
		}
		u.Key, u.Active = key, time.Now().UTC()
		return tx.Uploads().Put(u)
	}, meta.Relaxed)
	return u, err
}

// finish checks in a transaction that the attempt still holds the upload, and returns the
// row with its bytes added.
func (a attempt) finish(tx meta.Tx, op *Op) (meta.Upload, error) {
	u, err := ownUpload(tx, op, a.upload.ID)
	if err != nil {
		return u, err
	}
	if u.Offset != a.upload.Offset || a.key != "" && u.Key != a.key {
		return u, outOfOrder(u)
	}
	if a.key == "" {
		return u, nil
	}
	u.Segments = append(slices.Clip(u.Segments), meta.Segment{Key: a.key, Size: a.size})
	u.Offset += a.size
	u.Key = ""
	u.State, err = a.hash.(encoding.BinaryMarshaler).MarshalBinary()
	return u, err
}

// appendUpload adds a chunk. What is acknowledged survives the process: any node goes on
// from there.
func (r *Registry) appendUpload(ctx context.Context, op *Op, u meta.Upload, c chunk) (meta.Upload, error) {
	a, err := r.receive(ctx, op, u, c)
	if err != nil {
		return a.upload, err
	}
	err = r.store.Update(settled(ctx), func(tx meta.Tx) error {
		if u, err = a.finish(tx, op); err != nil {
			return err
		}
		u.Active = time.Now().UTC()
		return tx.Uploads().Put(u)
	}, meta.Relaxed)
	if err != nil {
		r.giveUp(ctx, a, err)
	}
	return u, err
}

// giveUp deletes the object of an attempt whose transaction was refused. If the store failed
// instead, the transaction may have taken place all the same and the object be part of the
// blob; it is left, and a row names it either way.
func (r *Registry) giveUp(ctx context.Context, a attempt, err error) {
	if row, _, _ := wire(err); row.status < http.StatusInternalServerError {
		r.discard(ctx, a.key)
	}
}

// settled is the context of a transaction that concludes work already done: it is not for
// a client's disconnecting to lose it.
func settled(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// finishUpload adds the last chunk, which may be empty, and makes the upload a blob of the
// repository if it has the digest. If it does not, nothing has changed.
func (r *Registry) finishUpload(ctx context.Context, op *Op, u meta.Upload, d manifest.Digest, c chunk) error {
	if err := r.refuseSuspended(ctx, d); err != nil {
		return err
	}
	if u.Offset == 0 {
		u.Algorithm = d.Algorithm()
	}
	a, err := r.receive(ctx, op, u, c)
	if err != nil {
		return err
	}
	got, err := r.sum(ctx, a, d.Algorithm())
	if err == nil && got != d {
		err = says(ErrDigestInvalid, "the content has digest %s, not %s", got, d)
	}
	if err != nil {
		r.discard(ctx, a.key)
		return err
	}
	return r.commit(ctx, op, a, d)
}

// sum returns the digest of all bytes. Where another algorithm was hashed while they came,
// which happens when a client names its algorithm only at the end, they are read again.
func (r *Registry) sum(ctx context.Context, a attempt, algorithm manifest.Algorithm) (manifest.Digest, error) {
	h := a.hash
	if a.upload.Algorithm != algorithm {
		list := segments(a.upload.Segments)
		if a.key != "" {
			list = append(list, storage.Segment{Key: a.key, Size: a.size})
		}
		h = algorithm.Hash()
		if err := r.blobs.Rehash(ctx, list, h); err != nil {
			return "", fmt.Errorf("rehash of an upload: %w", err)
		}
	}
	return manifest.Digest(fmt.Sprintf("%s:%x", algorithm, h.Sum(nil))), nil
}

// commit binds the digest to the upload's objects and links the repository to it. Nothing
// is copied. Where the content is stored already, the new objects are dropped.
func (r *Registry) commit(ctx context.Context, op *Op, a attempt, d manifest.Digest) error {
	var (
		blob    meta.Blob
		dropped []meta.Segment
		fill    = r.caches.links.Begin()
	)
	err := r.update(settled(ctx), op, func(tx meta.Tx) error {
		dropped = nil
		u, err := a.finish(tx, op)
		if err != nil {
			return err
		}
		if err := tx.Uploads().Delete(u.ID); err != nil {
			return err
		}
		if u.Key != "" {
			// an attempt that is still running, and has lost
			if err := r.review(tx, meta.ReviewObject, 0, u.Key); err != nil {
				return err
			}
		}
		blob, err = tx.Blobs().Get(meta.BlobKey(d))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			blob = meta.Blob{Digest: d, Size: u.Offset, Segments: u.Segments, Created: time.Now().UTC()}
			err = tx.Blobs().Put(blob)
		case err == nil:
			dropped = u.Segments
			err = r.drop(tx, dropped)
		}
		if err != nil {
			return err
		}
		return r.link(ctx, tx, op, blob)
	})
	if err != nil {
		r.giveUp(ctx, a, err)
		return err
	}
	fill.Add(meta.LinkKey{Repository: op.Repository.ID, Digest: d}, blob)
	r.firstKeys.Remove(a.upload.ID)
	for _, s := range dropped {
		r.remove(ctx, s.Key)
	}
	op.Descriptor = manifest.Descriptor{Digest: d, Size: blob.Size}
	return nil
}

// uploadWhole takes a blob in one go.
func (r *Registry) uploadWhole(ctx context.Context, op *Op, d manifest.Digest, c chunk) error {
	u, err := r.startUpload(ctx, op, d.Algorithm())
	if err != nil {
		return err
	}
	if err = r.finishUpload(ctx, op, u, d, c); err == nil {
		return nil
	}
	// nobody else knows of the upload, so nobody will go on with it
	if err := r.cancelUpload(settled(ctx), op, u.ID); err != nil {
		r.cfg.Logger.WarnContext(ctx, "an upload is left to expire", "error", err)
	}
	return err
}

// drop queues objects for deletion at once.
func (r *Registry) drop(tx meta.Tx, list []meta.Segment) error {
	now := time.Now().UTC()
	for _, s := range list {
		if err := tx.Reviews().Put(meta.Review{Kind: meta.ReviewObject, Subject: s.Key, Due: now}); err != nil {
			return err
		}
	}
	return nil
}

// cancelUpload ends an upload and drops its bytes.
func (r *Registry) cancelUpload(ctx context.Context, op *Op, id meta.UploadID) error {
	var u meta.Upload
	err := r.store.Update(ctx, func(tx meta.Tx) (err error) {
		if u, err = ownUpload(tx, op, id); err != nil {
			return err
		}
		return r.endUpload(tx, u)
	})
	if err != nil {
		return err
	}
	r.firstKeys.Remove(id)
	for _, s := range u.Segments {
		r.remove(ctx, s.Key)
	}
	return nil
}

// discard deletes the object of an attempt that came to nothing. A row still names it, so
// that failing here loses nothing.
func (r *Registry) discard(ctx context.Context, key string) {
	if key == "" {
		return
	}
	if err := r.blobs.Delete(settled(ctx), key); err != nil {
		r.cfg.Logger.WarnContext(ctx, "an object could not be deleted and is left for review", "key", key, "error", err)
	}
}

// remove deletes an object that was queued for it, and takes it out of the queue.
func (r *Registry) remove(ctx context.Context, key string) {
	if err := r.blobs.Delete(settled(ctx), key); err != nil {
		r.cfg.Logger.WarnContext(ctx, "an object could not be deleted and is left for review", "key", key, "error", err)
		return
	}
	err := r.store.Update(settled(ctx), func(tx meta.Tx) error {
		return tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewObject, Subject: key})
	}, meta.Relaxed)
	if err != nil {
		r.cfg.Logger.WarnContext(ctx, "a deleted object is still queued for review", "key", key, "error", err)
	}
}

// restore returns the hash as it was after the upload's bytes so far.
func restore(u meta.Upload) (hash.Hash, error) {
	h := u.Algorithm.Hash()
	if len(u.State) == 0 {
		return h, nil
	}
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(u.State); err != nil {
		return nil, fmt.Errorf("hash of upload %s: %w", u.ID, err)
	}
	return h, nil
}

// mountBlob links the repository to a blob of another one, or of any that the caller may
// pull from where none is named. It reports whether there was one.
func (r *Registry) mountBlob(ctx context.Context, op *Op, d manifest.Digest, from string) (bool, error) {
	if err := r.refuseSuspended(ctx, d); err != nil {
		return false, err
	}
	source, err := r.mountable(ctx, op, d, from)
	if err != nil || source == 0 {
		return false, err
	}
	mounted := false
	err = r.update(ctx, op, func(tx meta.Tx) error {
		blob, err := tx.Linked(source, d)
		if mounted = err == nil; !mounted {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile
			}
			return err
		}
		op.Descriptor = manifest.Descriptor{Digest: d, Size: blob.Size}
		return r.link(ctx, tx, op, blob)
	})
	return mounted, err
}

// maxMountSources bounds how many repositories are tried for a mount that names none.
const maxMountSources = 64

// mountable finds a repository with the blob from which the caller may pull, or 0.
func (r *Registry) mountable(ctx context.Context, op *Op, d manifest.Digest, from string) (meta.RepositoryID, error) {
	var candidates []meta.Repository
	if from != "" {
		alias, name := splitName(from)
		s, err := r.suspended(ctx, Target{Alias: alias})
		if err != nil || s != nil {
			return 0, err
		}
		repo, err := r.store.Find(ctx, alias, name)
		if err == nil {
			candidates = append(candidates, repo)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	} else {
		err := r.store.View(ctx, func(tx meta.Tx) error {
			links, err := tx.LinksOf(d, 0, maxMountSources)
			for _, l := range links {
				repo, err := tx.RepositoryByID(l.Repository)
				if err == nil {
					candidates = append(candidates, repo)
				} else if !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	for _, repo := range candidates {
		decision, err := r.permitted(ctx, op, policy.GetDownloadURLForLayer, repo)
		if err != nil {
			return 0, err
		}
		if decision.Effect != policy.Allow {
			continue
		}
		if _, err := r.store.Linked(ctx, repo.ID, d); err == nil {
			return repo.ID, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return 0, nil
}

// renewFor renews the review of a blob if the operation's principal may push.
func (r *Registry) renewFor(ctx context.Context, op *Op, d manifest.Digest) error {
	if op.Identity.IsAnonymous() {
		return nil
	}
	decision, err := r.permitted(ctx, op, policy.InitiateLayerUpload, op.Repository)
	if err != nil || decision.Effect != policy.Allow {
		return err
	}
	return r.renew(ctx, op, d)
}

// renew puts off the review of a blob that a pusher has just been told is here, if it is
// due within half the grace: the manifest that needs it may be under way.
func (r *Registry) renew(ctx context.Context, op *Op, d manifest.Digest) error {
	key := meta.ReviewKey{Kind: meta.ReviewLink, Subject: string(d), Repository: op.Repository.ID}
	soon := time.Now().Add(r.cfg.Grace / 2)
	link := meta.LinkKey{Repository: op.Repository.ID, Digest: d}
	due := false
	err := r.store.View(ctx, func(tx meta.Tx) error {
		row, err := tx.Reviews().Get(key)
		due = err == nil && !row.Due.After(soon)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// not queued: a manifest needs it, or it was collected after it was found
		if _, err = tx.Links().Get(link); errors.Is(err, fs.ErrNotExist) {
			return blobUnknown(op, d)
		}
		return err
	})
	if err != nil || !due {
		return err
	}
	return r.store.Update(ctx, func(tx meta.Tx) error {
		if _, err := tx.Links().Get(link); errors.Is(err, fs.ErrNotExist) {
			return blobUnknown(op, d) // deleted since it was found
		} else if err != nil {
			return err
		}
		return r.review(tx, meta.ReviewLink, op.Repository.ID, string(d))
	})
}
