package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Image is a manifest of a repository as lists show it.
type Image struct {
	Digest       manifest.Digest
	MediaType    string
	ArtifactType string // of the configuration, or of an artifact
	Tags         []string
	Pushed       time.Time
	// Size is that of configuration and layers as they are stored, in bytes; of an index,
	// that of the largest image in it.
	Size int64
}

// describePage is how many entries lists read at once of which each needs more to be asked.
const describePage = 100

// Images yields the images of a repository after a digest, by digest.
func (a *Actor) Images(ctx context.Context, name string, after manifest.Digest) iter.Seq2[Image, error] {
	return pages(after, func(after manifest.Digest) (list []Image, more bool, err error) {
		err = a.do(ctx, Op{Action: policy.DescribeImages, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
			return a.r.store.View(ctx, func(tx meta.Tx) error {
				rows, err := tx.Images(op.Repository.ID, after, describePage+1)
				if err != nil {
					return err
				}
				if more = len(rows) > describePage; more {
					rows = rows[:describePage]
				}
				for _, m := range rows {
					img, err := describe(tx, m, 0)
					if err != nil {
						return err
					}
					list = append(list, img)
				}
				return nil
			})
		})
		return list, more, err
	}, func(img Image) manifest.Digest { return img.Digest })
}

// DescribeImages returns the images that references name. One that is not there is an error
// that wraps fs.ErrNotExist ([ErrManifestUnknown]).
func (a *Actor) DescribeImages(ctx context.Context, name string, refs ...manifest.Reference) (list []Image, err error) {
	err = a.do(ctx, Op{Action: policy.DescribeImages, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) error {
			seen := map[manifest.Digest]bool{}
			for _, ref := range refs {
				m, err := find(tx, op.Repository.ID, ref)
				if errors.Is(err, fs.ErrNotExist) {
					return &Error{Err: ErrManifestUnknown, Message: fmt.Sprintf("the repository %s has no image %s", op.Name, ref), Detail: ref}
				}
				if err != nil {
					return err
				}
				if seen[m.Digest] {
					continue
				}
				seen[m.Digest] = true
				img, err := describe(tx, m, 0)
				if err != nil {
					return err
				}
				list = append(list, img)
			}
			return nil
		})
	})
	return list, err
}

// find returns the manifest that a reference names; with both a tag and a digest, the tag
// must point to the digest.
func find(tx meta.Tx, repo meta.RepositoryID, ref manifest.Reference) (meta.Manifest, error) {
	if ref.Tag != "" {
		tag, err := tx.Tags().Get(meta.TagKey{Repository: repo, Name: ref.Tag})
		if err != nil {
			return meta.Manifest{}, err
		}
		if ref.Digest != "" && ref.Digest != tag.Digest {
			return meta.Manifest{}, errOtherDigest
		}
		ref.Digest = tag.Digest
	}
	return tx.Manifests().Get(meta.ManifestKey{Repository: repo, Digest: ref.Digest})
}

// errOtherDigest is found where a tag does not point to the digest that goes with it.
var errOtherDigest = fmt.Errorf("the tag points to another digest: %w", fs.ErrNotExist)

// describe puts together what lists show of a manifest, with its tags, or so many of them.
func describe(tx meta.Tx, m meta.Manifest, tagsLimit int) (Image, error) {
	img := summarize(m)
	tags, err := tx.TagsOf(m.Repository, m.Digest, tagsLimit)
	for _, t := range tags {
		img.Tags = append(img.Tags, t.Name)
	}
	return img, err
}

// summarize is describe without the tags.
func summarize(m meta.Manifest) Image {
	img := Image{Digest: m.Digest, MediaType: m.MediaType, ArtifactType: m.ConfigType, Pushed: m.Pushed, Size: m.ImageSize}
	if img.ArtifactType == "" {
		img.ArtifactType = m.ArtifactType
	}
	return img
}

// ImageTag is a tag with the image that it points to.
type ImageTag struct {
	Name  string
	Moved time.Time // when it was made, or last pointed to another image
	Image Image     // without its Tags
}

// ImageTags yields the tags of a repository after a name, by name, with their images.
func (a *Actor) ImageTags(ctx context.Context, name, after string) iter.Seq2[ImageTag, error] {
	return pages(after, func(after string) (list []ImageTag, more bool, err error) {
		err = a.do(ctx, Op{Action: policy.DescribeImageTags, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
			return a.r.store.View(ctx, func(tx meta.Tx) error {
				repo, images := op.Repository.ID, map[manifest.Digest]Image{}
				for t, err := range tx.Tags().Scan(meta.Range[meta.TagKey]{
					Prefix: meta.TagKey{Repository: repo}, After: meta.TagKey{Repository: repo, Name: after}, Limit: describePage + 1,
				}) {
					if err != nil {
						return err
					}
					if more = len(list) == describePage; more {
						break
					}
					img, ok := images[t.Digest]
					if !ok {
						m, err := tx.Manifests().Get(meta.ManifestKey{Repository: repo, Digest: t.Digest})
						if err != nil {
							return err
						}
						img = summarize(m)
						images[t.Digest] = img
					}
					list = append(list, ImageTag{t.Name, t.Moved, img})
				}
				return nil
			})
		})
		return list, more, err
	}, func(t ImageTag) string { return t.Name })
}

// FailureCode says why an image of a batch was not deleted, in the words of ECR Public.
type FailureCode string

// The failures of [Actor.DeleteImages].
const (
	InvalidImageDigest            FailureCode = "InvalidImageDigest"
	InvalidImageTag               FailureCode = "InvalidImageTag"
	ImageTagDoesNotMatchDigest    FailureCode = "ImageTagDoesNotMatchDigest"
	ImageNotFound                 FailureCode = "ImageNotFound"
	MissingDigestAndTag           FailureCode = "MissingDigestAndTag"
	ImageReferencedByManifestList FailureCode = "ImageReferencedByManifestList"
)

// ImageResult is what became of one image of [Actor.DeleteImages].
type ImageResult struct {
	manifest.Reference             // as it was asked for; where it was deleted by a tag, with the digest too
	Code               FailureCode // "" if it was deleted
	Reason             string
}

// DeleteImages deletes images as ECR Public does, unlike the OCI wire: with its last tag,
// an image is deleted too; a digest deletes the image with all its tags; and an image that an
// index of the repository refers to stays. Each one is deleted or has a failure.
func (a *Actor) DeleteImages(ctx context.Context, name string, refs ...manifest.Reference) (results []ImageResult, err error) {
	err = a.do(ctx, Op{Action: policy.BatchDeleteImage, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		return a.r.update(ctx, op, func(tx meta.Tx) error {
			results = nil
			seen := map[manifest.Reference]bool{}
			for _, ref := range refs {
				if seen[ref] {
					continue
				}
				seen[ref] = true
				list, err := a.r.deleteImage(ctx, tx, op, ref)
				if err != nil {
					return err
				}
				results = append(results, list...)
			}
			return nil
		})
	})
	return results, err
}

func (r *Registry) deleteImage(ctx context.Context, tx meta.Tx, op *Op, ref manifest.Reference) ([]ImageResult, error) {
	fail := func(code FailureCode, reason string) ([]ImageResult, error) {
		return []ImageResult{{ref, code, reason}}, nil
	}
	switch {
	case ref == manifest.Reference{}:
		return fail(MissingDigestAndTag, "Invalid request parameters: both tag and digest cannot be null")
	case ref.Digest != "":
		if _, err := manifest.ParseDigest(string(ref.Digest)); err != nil {
			return fail(InvalidImageDigest, "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")
		}
	}
	if ref.Tag != "" && manifest.CheckTag(ref.Tag) != nil {
		return fail(InvalidImageTag, "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'")
	}
	m, err := find(tx, op.Repository.ID, ref)
	switch {
	case errors.Is(err, errOtherDigest):
		return fail(ImageTagDoesNotMatchDigest, "Requested image tag does not point to the requested image digest")
	case errors.Is(err, fs.ErrNotExist):
		return fail(ImageNotFound, "Requested image not found")
	case err != nil:
		return nil, err
	}
	tags, err := tx.TagsOf(op.Repository.ID, m.Digest, 0)
	if err != nil {
		return nil, err
	}
	if ref.Tag != "" && len(tags) > 1 {
		return []ImageResult{{Reference: manifest.Reference{Tag: ref.Tag, Digest: m.Digest}}}, r.moveTag(ctx, tx, op, ref.Tag, nil)
	}
	holders, err := holders(tx, m)
	if err != nil {
		return nil, err
	}
	if len(holders) > 0 {
		if ref.Tag != "" { // the tag can go all the same
			return []ImageResult{{Reference: manifest.Reference{Tag: ref.Tag, Digest: m.Digest}}}, r.moveTag(ctx, tx, op, ref.Tag, nil)
		}
		return fail(ImageReferencedByManifestList, "Requested image referenced by manifest list: ["+strings.Join(holders, ", ")+"]")
	}
	if err := r.removeManifest(ctx, tx, op, m); err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return []ImageResult{{Reference: manifest.Reference{Digest: m.Digest}}}, nil
	}
	var list []ImageResult
	for _, t := range tags {
		list = append(list, ImageResult{Reference: manifest.Reference{Tag: t.Name, Digest: m.Digest}})
	}
	return list, nil
}

// maxHolders is how many of the indexes are named that keep an image.
const maxHolders = 10

// holders returns some of the indexes that refer to a manifest. What has it as its subject
// does not keep it.
func holders(tx meta.Tx, m meta.Manifest) (list []string, err error) {
	for limit := 4 * maxHolders; ; limit *= 4 {
		parents, err := tx.Parents(m.Repository, m.Digest, limit)
		if err != nil {
			return nil, err
		}
		list = nil
		for _, e := range parents {
			if e.Kind == manifest.EdgeChild && len(list) < maxHolders {
				list = append(list, string(e.Parent))
			}
		}
		if len(list) > 0 || len(parents) < limit {
			return list, nil
		}
	}
}

// PutImage is PushManifest as ECR Public has it: one that the repository has already, with
// its tag pointing to it, is [ErrImageExists]; without a tag, one that it has at all.
func (a *Actor) PutImage(ctx context.Context, name, mediaType string, raw []byte, tag string, want manifest.Digest) (*manifest.Manifest, error) {
	algorithm := manifest.SHA256
	if want != "" {
		if _, err := manifest.ParseDigest(string(want)); err != nil {
			return nil, err
		}
		algorithm = want.Algorithm()
	}
	var tags []string
	if tag != "" {
		if err := manifest.CheckTag(tag); err != nil {
			return nil, err
		}
		tags = []string{tag}
	}
	m, err := manifest.Decode(mediaType, raw, algorithm)
	if err != nil {
		return nil, err
	}
	if want != "" && m.Digest != want {
		return nil, says(ErrDigestInvalid, "the manifest has digest %s, not %s", m.Digest, want)
	}
	op := Op{Action: policy.PutImage, Name: name, Reference: manifest.Reference{Digest: m.Digest, Tag: tag}, asks: true}
	return m, a.do(ctx, op, func(ctx context.Context, op *Op) error {
		err := a.r.store.View(ctx, func(tx meta.Tx) error {
			_, err := find(tx, op.Repository.ID, manifest.Reference{Tag: tag, Digest: m.Digest})
			if err == nil {
				return says(ErrImageExists, "the image with digest %s exists already in the repository %s", m.Digest, op.Name)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return a.r.putManifest(ctx, op, m, tags)
	})
}
