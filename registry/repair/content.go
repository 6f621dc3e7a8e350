package repair

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// bufferSize is how much is read at a time, in bytes.
const bufferSize = 128 << 10

// manyLinks is how many links to a blob are counted at most, for the sentence.
const manyLinks = 100

// content reads the bytes of all blobs.
func (r *run) content(ctx context.Context, after json.RawMessage) error {
	at, err := position[meta.BlobKey](after)
	if err != nil {
		return err
	}
	limit := r.page(pageRows)
	for {
		var page []meta.Blob
		err := r.view(ctx, func(tx meta.Tx) error {
			for b, err := range tx.Blobs().Scan(meta.Range[meta.BlobKey]{After: at, Limit: limit}) {
				if err != nil {
					return err
				}
				page = append(page, b)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, b := range page {
			if err := r.blob(ctx, b); err != nil {
				return err
			}
			at = meta.BlobKey(b.Digest)
			if err := r.reached(r.phase, at); err != nil {
				return err
			}
		}
		if len(page) < limit {
			return nil
		}
	}
}

// blob reads a blob's bytes.
func (r *run) blob(ctx context.Context, b meta.Blob) error {
	r.sum.Blobs++
	f, err := r.verify(ctx, b)
	if err != nil || f.Kind == "" {
		return err
	}
	// It may have been collected since its row was read: rows go before objects.
	var links []meta.Link
	still := false
	err = r.view(ctx, func(tx meta.Tx) (err error) {
		if still, err = r.unchanged(tx, b); err == nil && still {
			links, err = tx.LinksOf(b.Digest, 0, manyLinks)
		}
		return err
	})
	if err != nil || !still {
		return err
	}
	f.Digest = b.Digest
	switch len(links) {
	case manyLinks:
		f.Text += fmt.Sprintf("; %d repositories or more have it", manyLinks)
	default:
		f.Text += fmt.Sprintf("; repositories that have it: %d", len(links))
	}
	p := problem{Finding: f}
	if f.Kind != BlobUnreadable {
		p.mend = func(tx meta.Tx) (bool, error) { return r.removeBlob(tx, b) }
	}
	return r.settle(ctx, p)
}

// unchanged reports whether a blob's row still names the same objects.
func (r *run) unchanged(tx meta.Tx, b meta.Blob) (bool, error) {
	now, err := tx.Blobs().Get(meta.BlobKey(b.Digest))
	ok, err := exists(err)
	return ok && slices.Equal(now.Segments, b.Segments) && now.Size == b.Size, err
}

// verify reads a blob and returns what is wrong with it, which is of no kind if nothing is. A
// digest that does not match is computed a second time: what was wrong may have been on the way.
func (r *run) verify(ctx context.Context, b meta.Blob) (f Finding, err error) {
	d, err := manifest.ParseDigest(string(b.Digest))
	if err != nil {
		return Finding{Kind: BlobCorrupt, Text: "the blob's row has no valid digest"}, nil
	}
	var size int64
	for _, s := range b.Segments {
		size += s.Size
	}
	if size != b.Size {
		return Finding{Kind: BlobSize, Text: fmt.Sprintf("the blob has %d bytes, and its objects %d", b.Size, size)}, nil
	}
	if r.opts.SizesOnly {
		for _, s := range b.Segments {
			if f, err := r.statObject(ctx, s); err != nil || f.Kind != "" {
				return f, err
			}
		}
		return f, nil
	}
	var got manifest.Digest
	for range 2 {
		h := d.Algorithm().Hash()
		for _, s := range b.Segments {
			if f, err := r.readObject(ctx, s, h); err != nil || f.Kind != "" {
				return f, err
			}
		}
		if got = manifest.Digest(fmt.Sprintf("%s:%x", d.Algorithm(), h.Sum(nil))); got == d {
			return f, nil
		}
	}
	f = Finding{Kind: BlobCorrupt, Text: fmt.Sprintf("the blob's bytes have the digest %s", got)}
	if len(b.Segments) == 1 {
		f.Key = b.Segments[0].Key
	}
	return f, nil
}

// statObject asks for the size of an object, and returns what is wrong with it.
func (r *run) statObject(ctx context.Context, s meta.Segment) (Finding, error) {
	a, err := r.bucket.Stat(ctx, s.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad(ctx, BlobMissing, s, "the object %s does not exist", s.Key)
	case err != nil:
		return bad(ctx, BlobUnreadable, s, "the object %s cannot be asked for: %v", s.Key, err)
	case a.Size != s.Size:
		return bad(ctx, BlobSize, s, "the object %s has %d bytes, and its row says %d", s.Key, a.Size, s.Size)
	}
	return Finding{}, nil
}

// bad is a finding about an object, unless ctx has ended.
func bad(ctx context.Context, k Kind, s meta.Segment, format string, args ...any) (Finding, error) {
	return Finding{Kind: k, Key: s.Key, Text: fmt.Sprintf(format, args...)}, ctx.Err()
}

// readObject reads an object into w, and returns what is wrong with it.
func (r *run) readObject(ctx context.Context, s meta.Segment, w io.Writer) (f Finding, err error) {
	found := func(k Kind, format string, args ...any) (Finding, error) { return bad(ctx, k, s, format, args...) }
	o, err := r.bucket.Get(ctx, s.Key, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return found(BlobMissing, "the object %s does not exist", s.Key)
	}
	if err != nil {
		return found(BlobUnreadable, "the object %s cannot be opened: %v", s.Key, err)
	}
	defer o.Close()
	if o.Size() != s.Size {
		return found(BlobSize, "the object %s has %d bytes, and its row says %d", s.Key, o.Size(), s.Size)
	}
	var size int64
	for {
		n, err := o.Read(r.buf)
		w.Write(r.buf[:n]) //nolint:errcheck // a hash
		size += int64(n)
		r.sum.Bytes += int64(n)
		if err := r.pace.WaitN(ctx, n); err != nil {
			return f, err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return found(BlobUnreadable, "the object %s cannot be read: %v", s.Key, err)
		}
	}
	if size != s.Size {
		return found(BlobUnreadable, "the object %s ended after %d of %d bytes", s.Key, size, s.Size)
	}
	return f, nil
}

// removeBlob removes the row of a blob whose content is lost, so that it can be pushed again,
// and queues its objects. Its links stay.
func (r *run) removeBlob(tx meta.Tx, b meta.Blob) (bool, error) {
	if still, err := r.unchanged(tx, b); err != nil || !still {
		return false, err
	}
	if err := tx.Blobs().Delete(meta.BlobKey(b.Digest)); err != nil {
		return false, err
	}
	for _, s := range b.Segments {
		if err := r.queue(tx, meta.ReviewObject, 0, s.Key); err != nil {
			return false, err
		}
	}
	for after := meta.RepositoryID(0); ; {
		links, err := tx.LinksOf(b.Digest, after, pageRows)
		if err != nil {
			return false, err
		}
		for _, l := range links {
			r.opts.Serving.Forget(tx, l.Repository, b.Digest)
			after = l.Repository
		}
		if len(links) < pageRows {
			return true, nil
		}
	}
}

// logos reads the logos of catalog data.
func (r *run) logos(ctx context.Context, after json.RawMessage) error {
	at, err := position[meta.RepositoryID](after)
	if err != nil {
		return err
	}
	limit := r.page(pageRows)
	for {
		var page []meta.Catalog
		var found []problem
		err := r.view(ctx, func(tx meta.Tx) error {
			for c, err := range tx.Catalogs().Scan(meta.Range[meta.RepositoryID]{After: at, Limit: limit}) {
				if err != nil {
					return err
				}
				page = append(page, meta.Catalog{Repository: c.Repository, Logo: c.Logo, LogoDigest: c.LogoDigest, LogoSize: c.LogoSize})
				list, err := r.doomedLogo(tx, c)
				if err != nil {
					return err
				}
				found = append(found, list...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.sum.Rows += int64(len(page))
		if err := r.settle(ctx, found...); err != nil {
			return err
		}
		for _, c := range page {
			if err := r.logo(ctx, c); err != nil {
				return err
			}
			at = c.Repository
		}
		if len(page) < limit {
			return nil
		}
		if err := r.reached(r.phase, at); err != nil {
			return err
		}
	}
}

func (r *run) doomedLogo(tx meta.Tx, c meta.Catalog) ([]problem, error) {
	repo, ok, err := r.repository(tx, c.Repository)
	if err != nil || !ok || c.Logo == "" {
		return nil, err
	}
	f := in(repo, ObjectDoomed, c.LogoDigest, "the object of the logo is queued to be deleted")
	f.Key = c.Logo
	return r.doomed(tx, f, func(tx meta.Tx) (bool, error) {
		_, ok, err := withLogo(tx, c)
		return ok, err
	})
}

// withLogo returns catalog data if it still has the same logo.
func withLogo(tx meta.Tx, c meta.Catalog) (meta.Catalog, bool, error) {
	now, err := tx.Catalogs().Get(c.Repository)
	ok, err := exists(err)
	return now, ok && now.Logo == c.Logo, err
}

// ofLogo says of a logo what [run.verify] says of a blob.
var ofLogo = map[Kind]Kind{BlobMissing: LogoMissing, BlobSize: LogoCorrupt, BlobCorrupt: LogoCorrupt, BlobUnreadable: LogoUnreadable}

// logo reads a repository's logo.
func (r *run) logo(ctx context.Context, c meta.Catalog) error {
	if c.Logo == "" {
		return nil
	}
	bad, err := r.verify(ctx, meta.Blob{Digest: c.LogoDigest, Size: c.LogoSize, Segments: []meta.Segment{{Key: c.Logo, Size: c.LogoSize}}})
	if err != nil || bad.Kind == "" {
		return err
	}
	var repo meta.Repository
	still := false
	err = r.view(ctx, func(tx meta.Tx) (err error) {
		if _, still, err = withLogo(tx, c); err == nil && still {
			repo, still, err = r.repository(tx, c.Repository) // it may be gone, and its rows not yet
		}
		return err
	})
	if err != nil || !still {
		return err
	}
	p := problem{Finding: in(repo, ofLogo[bad.Kind], c.LogoDigest, "the repository's logo: %s", bad.Text)}
	p.Key = c.Logo
	if bad.Kind != BlobUnreadable {
		p.mend = func(tx meta.Tx) (bool, error) {
			now, ok, err := withLogo(tx, c)
			if err != nil || !ok {
				return false, err
			}
			now.Logo, now.LogoType, now.LogoDigest, now.LogoSize = "", "", "", 0
			return true, errors.Join(tx.Catalogs().Put(now), r.queue(tx, meta.ReviewObject, 0, c.Logo))
		}
	}
	return r.settle(ctx, p)
}
