package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// putManifest writes a manifest, unless the repository has it already, and points tags to
// it.
func (r *Registry) putManifest(ctx context.Context, op *Op, m *manifest.Manifest, tags []string) error {
	if err := r.refuseSuspended(ctx, m.Digest); err != nil {
		return err
	}
	// The platform stands in a blob; bytes are never read inside a transaction.
	platform, err := r.platform(ctx, op, m)
	if err != nil {
		return err
	}
	err = r.update(ctx, op, func(tx meta.Tx) error {
		_, err := tx.Manifests().Get(meta.ManifestKey{Repository: op.Repository.ID, Digest: m.Digest})
		known := err == nil
		if errors.Is(err, fs.ErrNotExist) {
			err = r.insertManifest(ctx, tx, op, m, platform)
		}
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if known || len(tags) > r.cfg.Quotas.TagsPerImage {
				if err := r.countTag(tx, meta.Tag{Repository: op.Repository.ID, Name: tag, Digest: m.Digest}); err != nil {
					return err
				}
			}
			if err := r.moveTag(ctx, tx, op, tag, m); err != nil {
				return err
			}
		}
		return nil
	})
	op.Descriptor = m.Descriptor()
	return err
}

// insertManifest checks that what the manifest needs is there and puts its rows.
func (r *Registry) insertManifest(ctx context.Context, tx meta.Tx, op *Op, m *manifest.Manifest, platform string) error {
	row := meta.Manifest{
		Repository: op.Repository.ID, Digest: m.Digest, MediaType: m.MediaType, ArtifactType: m.ArtifactType, Size: int64(len(m.Raw)),
		Platform: platform, Annotations: m.Annotations, Pushed: time.Now().UTC(), PushedBy: op.Identity.Principal.String(), Raw: m.Raw,
	}
	if m.Config != nil {
		row.ConfigType = m.Config.MediaType
	}
	if m.Subject != nil {
		row.Subject = m.Subject.Digest
	}
	edges := map[manifest.Digest]manifest.EdgeKind{}
	var unknown []manifest.Digest
	for e := range m.Edges() {
		d := e.Descriptor.Digest
		if e.Kind == manifest.EdgeConfig || e.Kind == manifest.EdgeLayer || e.Kind == manifest.EdgeForeign {
			row.ImageSize += e.Descriptor.Size
		}
		kind, seen := edges[d]
		if !seen || e.Kind < kind {
			edges[d] = e.Kind
		}
		size, image, err := r.present(tx, op, e)
		if e.Kind == manifest.EdgeChild {
			row.ImageSize = max(row.ImageSize, image)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			unknown = append(unknown, d)
		case err != nil:
			return err
		case size >= 0 && size != e.Descriptor.Size:
			return says(ErrManifestInvalid, "%s: %s has %d bytes, the descriptor says %d", e.Field(), d, size, e.Descriptor.Size)
		}
	}
	if len(unknown) > 0 && !r.cfg.AllowMissing {
		return &Error{
			Err:     ErrManifestBlobUnknown,
			Message: fmt.Sprintf("the repository %s has no %s, which the manifest refers to; push it first", op.Name, unknown[0]),
			Detail:  map[string]any{"digests": unknown},
		}
	}
	if err := r.countImage(tx, row.Repository, op.Name); err != nil {
		return err
	}
	if err := r.change(ctx, tx, op, &Change{Kind: PutManifest, Digest: m.Digest, Size: row.Size, Manifest: m}); err != nil {
		return err
	}
	if err := tx.Manifests().Put(row); err != nil {
		return err
	}
	for child, kind := range edges {
		if err := tx.Edges().Put(meta.Edge{Repository: row.Repository, Parent: m.Digest, Child: child, Kind: kind}); err != nil {
			return err
		}
	}
	r.caches.forgetReference(tx, row.Repository, string(m.Digest))
	return nil
}

// present returns the size of what an edge leads to, and of a manifest that of its image; -1
// where it need not be there, or an error wrapping fs.ErrNotExist.
func (r *Registry) present(tx meta.Tx, op *Op, e manifest.Edge) (size, image int64, err error) {
	switch {
	case e.NeedsBlob():
		b, err := tx.Linked(op.Repository.ID, e.Descriptor.Digest)
		return b.Size, 0, err
	case e.Kind == manifest.EdgeChild:
		m, err := tx.Manifests().Get(meta.ManifestKey{Repository: op.Repository.ID, Digest: e.Descriptor.Digest})
		return m.Size, m.ImageSize, err
	}
	return -1, 0, nil
}

// platform reads where an image runs from its configuration, or "" where that does not say
// or is not here.
func (r *Registry) platform(ctx context.Context, op *Op, m *manifest.Manifest) (string, error) {
	if !m.HasPlatform() || op.Repository.ID == 0 {
		return "", nil
	}
	raw := m.Config.Data
	if raw == nil {
		// a cache may answer: whether the blob is still there is decided with the rest
		reads := &Op{Name: op.Name, Repository: op.Repository}
		b, err := r.blob(ctx, reads, m.Config.Digest)
		if errors.Is(err, ErrBlobUnknown) || err == nil && b.Size > manifest.MaxConfig {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		in, err := r.openBlob(ctx, reads, b, 0)
		if errors.Is(err, ErrBlobUnknown) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("configuration of a manifest: %w", err)
		}
		defer in.Close()
		if raw = in.Bytes(); raw != nil {
			return manifest.PlatformString(manifest.ConfigPlatform(raw)), nil
		}
		if raw, err = io.ReadAll(in); err != nil {
			return "", fmt.Errorf("configuration of a manifest: %w", err)
		}
	}
	return manifest.PlatformString(manifest.ConfigPlatform(raw)), nil
}

// deleteTag removes a tag and nothing else.
func (r *Registry) deleteTag(ctx context.Context, op *Op, tag string) error {
	return r.update(ctx, op, func(tx meta.Tx) error {
		if _, err := tx.Tags().Get(meta.TagKey{Repository: op.Repository.ID, Name: tag}); errors.Is(err, fs.ErrNotExist) {
			return says(ErrManifestUnknown, "the repository %s has no tag %s", op.Name, tag)
		} else if err != nil {
			return err
		}
		return r.moveTag(ctx, tx, op, tag, nil)
	})
}

// deleteManifest removes a manifest and its tags, and queues the blobs that lose their last
// reference for review.
func (r *Registry) deleteManifest(ctx context.Context, op *Op, d manifest.Digest) error {
	return r.update(ctx, op, func(tx meta.Tx) error {
		repo := op.Repository.ID
		m, err := tx.Manifests().Get(meta.ManifestKey{Repository: repo, Digest: d})
		if errors.Is(err, fs.ErrNotExist) {
			return says(ErrManifestUnknown, "the repository %s has no manifest %s", op.Name, d)
		}
		if err != nil {
			return err
		}
		if err := r.protect(tx, op, d); err != nil {
			return err
		}
		return r.removeManifest(ctx, tx, op, m)
	})
}

// removeManifest removes a manifest with its tags and edges.
func (r *Registry) removeManifest(ctx context.Context, tx meta.Tx, op *Op, m meta.Manifest) error {
	repo, d := m.Repository, m.Digest
	tags, err := tx.TagsOf(repo, d, 0)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := r.moveTag(ctx, tx, op, tag.Name, nil); err != nil {
			return err
		}
	}
	if err := r.change(ctx, tx, op, &Change{Kind: DeleteManifest, Digest: d, Size: m.Size}); err != nil {
		return err
	}
	for e, err := range tx.Edges().Scan(meta.Range[meta.EdgeKey]{Prefix: meta.EdgeKey{Repository: repo, Parent: d}}) {
		if err != nil {
			return err
		}
		if err := r.unlinkEdge(tx, e); err != nil {
			return err
		}
	}
	r.caches.forgetReference(tx, repo, string(d))
	tx.AfterCommit(func() { r.headroom.Remove(repo) })
	return tx.Manifests().Delete(meta.ManifestKey{Repository: repo, Digest: d})
}

// unlinkEdge removes an edge; a blob that no other manifest refers to is queued.
func (r *Registry) unlinkEdge(tx meta.Tx, e meta.Edge) error {
	if err := tx.Edges().Delete(meta.EdgeKey{Repository: e.Repository, Parent: e.Parent, Child: e.Child}); err != nil {
		return err
	}
	parent, err := parentOf(tx, e.Repository, e.Child)
	if err != nil || parent != "" {
		return err
	}
	if _, err := tx.Links().Get(meta.LinkKey{Repository: e.Repository, Digest: e.Child}); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return r.review(tx, meta.ReviewLink, e.Repository, string(e.Child))
}

// deleteBlob takes from the repository the right to serve a blob, and queues the blob for
// review if no other repository has it.
func (r *Registry) deleteBlob(ctx context.Context, op *Op, d manifest.Digest) error {
	return r.update(ctx, op, func(tx meta.Tx) error {
		key := meta.LinkKey{Repository: op.Repository.ID, Digest: d}
		b, err := tx.Linked(key.Repository, d)
		if errors.Is(err, fs.ErrNotExist) {
			return blobUnknown(op, d)
		}
		if err != nil {
			return err
		}
		if err := r.protect(tx, op, d); err != nil {
			return err
		}
		if err := r.change(ctx, tx, op, &Change{Kind: DeleteBlob, Digest: d, Size: b.Size}); err != nil {
			return err
		}
		if err := tx.Links().Delete(key); err != nil {
			return err
		}
		r.caches.forgetLink(tx, key.Repository, d)
		if err := tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewLink, Subject: string(d), Repository: key.Repository}); err != nil {
			return err
		}
		left, err := tx.LinksOf(d, 0, 1)
		if err != nil || len(left) > 0 {
			return err
		}
		return r.review(tx, meta.ReviewBlob, 0, string(d))
	})
}
