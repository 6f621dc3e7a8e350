package registry

import (
	"bytes"
	"context"
	"io"
	"iter"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage"
)

// Actor is the registry as one principal uses it from Go. Its operations go the same way
// as those that come over HTTP: interceptors, policy, guards and events apply, and errors
// are the same. Names of repositories are alias/repository; instead of the alias, the 12
// digits of the account that owns the registry will do.
type Actor struct {
	r        *Registry
	identity auth.Identity
	client   Client
}

// As returns the actor of a principal, whom the host has authenticated. The zero Principal
// is anonymous.
func (r *Registry) As(p auth.Principal) *Actor {
	return r.AsIdentity(auth.Identity{Principal: p}, Client{})
}

// AsIdentity returns the actor of an identity that a credential proved, for requests that
// come from a client: for fronts other than HTTP's own.
func (r *Registry) AsIdentity(id auth.Identity, c Client) *Actor { return &Actor{r, id, c} }

// do runs an operation as HTTP's would.
func (a *Actor) do(ctx context.Context, op Op, act func(ctx context.Context, op *Op) error) error {
	op.Began, op.Identity, op.local = time.Now(), a.identity, true
	op.Remote, op.UserAgent, op.Secure = a.client.Remote, a.client.UserAgent, !a.client.Insecure
	var err error
	if !op.wide && !op.overall {
		err = manifest.CheckName(op.Name)
	}
	if err == nil {
		err = a.r.do(ctx, &op, func(ctx context.Context) error { return act(ctx, &op) })
	}
	a.r.observe(ctx, &op, err)
	return err
}

// Manifest pulls the manifest that a tag or digest names.
func (a *Actor) Manifest(ctx context.Context, name, reference string) (m *manifest.Manifest, err error) {
	ref, err := manifest.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	op := Op{Action: policy.BatchGetImage, Name: name, Reference: ref, pulls: true}
	err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
		p, err := a.r.manifest(ctx, op)
		if err != nil {
			return err
		}
		m, err = manifest.Decode(p.descriptor.MediaType, p.raw, p.descriptor.Digest.Algorithm())
		return err
	})
	return m, err
}

// Blob opens a blob, which the caller closes. ctx governs the reading too.
func (a *Actor) Blob(ctx context.Context, name string, d manifest.Digest) (in *storage.Reader, err error) {
	op := Op{Action: policy.GetDownloadURLForLayer, Name: name, Reference: manifest.Reference{Digest: d}}
	err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
		b, err := a.r.blob(ctx, op, d)
		if err != nil {
			return err
		}
		op.Descriptor = manifest.Descriptor{Digest: d, Size: b.Size}
		in, err = a.r.openBlob(ctx, op, b, 0)
		return err
	})
	return in, err
}

// HasBlob reports whether the repository has a blob, as a client asks before it pushes.
func (a *Actor) HasBlob(ctx context.Context, name string, d manifest.Digest) (bool, error) {
	op := Op{Action: policy.GetDownloadURLForLayer, Name: name, Reference: manifest.Reference{Digest: d}, asks: true}
	err := a.do(ctx, op, func(ctx context.Context, op *Op) error {
		if _, err := a.r.blob(ctx, op, d); err != nil {
			return err
		}
		return a.r.renewFor(ctx, op, d)
	})
	return foundOr(err)
}

// PushBlob uploads all of r, which must have the digest.
func (a *Actor) PushBlob(ctx context.Context, name string, d manifest.Digest, r io.Reader) error {
	if _, err := manifest.ParseDigest(string(d)); err != nil {
		return err
	}
	op := Op{Action: policy.InitiateLayerUpload, Name: name, Reference: manifest.Reference{Digest: d}, asks: true, creates: true}
	return a.do(ctx, op, func(ctx context.Context, op *Op) error {
		return a.r.uploadWhole(ctx, op, d, chunk{start: -1, size: -1, body: r})
	})
}

// MountBlob links the repository to a blob of another one that the principal may pull
// from, and reports whether it was there.
func (a *Actor) MountBlob(ctx context.Context, name string, d manifest.Digest, from string) (mounted bool, err error) {
	op := Op{Action: policy.InitiateLayerUpload, Name: name, Reference: manifest.Reference{Digest: d}, asks: true, creates: true}
	err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
		mounted, err = a.r.mountBlob(ctx, op, d, from)
		return err
	})
	return mounted, err
}

// PushManifest writes a manifest and points tags to it. What it refers to must have been
// pushed. With an empty media type, the document's own counts.
func (a *Actor) PushManifest(ctx context.Context, name, mediaType string, raw []byte, tags ...string) (manifest.Descriptor, error) {
	for _, tag := range tags {
		if err := manifest.CheckTag(tag); err != nil {
			return manifest.Descriptor{}, err
		}
	}
	m, err := manifest.Decode(mediaType, bytes.Clone(raw), manifest.SHA256)
	if err != nil {
		return manifest.Descriptor{}, err
	}
	return m.Descriptor(), a.push(ctx, name, m, tags...)
}

func (a *Actor) push(ctx context.Context, name string, m *manifest.Manifest, tags ...string) error {
	op := Op{Action: policy.PutImage, Name: name, Reference: manifest.Reference{Digest: m.Digest}, asks: true, creates: true}
	return a.do(ctx, op, func(ctx context.Context, op *Op) error { return a.r.putManifest(ctx, op, m, tags) })
}

// DeleteTag deletes a tag and nothing else.
func (a *Actor) DeleteTag(ctx context.Context, name, tag string) error {
	op := Op{Action: policy.BatchDeleteImage, Name: name, Reference: manifest.Reference{Tag: tag}, asks: true}
	return a.do(ctx, op, func(ctx context.Context, op *Op) error { return a.r.deleteTag(ctx, op, tag) })
}

// DeleteManifest deletes a manifest and its tags.
func (a *Actor) DeleteManifest(ctx context.Context, name string, d manifest.Digest) error {
	op := Op{Action: policy.BatchDeleteImage, Name: name, Reference: manifest.Reference{Digest: d}, asks: true}
	return a.do(ctx, op, func(ctx context.Context, op *Op) error { return a.r.deleteManifest(ctx, op, d) })
}

// DeleteBlob takes a blob out of a repository.
func (a *Actor) DeleteBlob(ctx context.Context, name string, d manifest.Digest) error {
	op := Op{Action: policy.BatchDeleteImage, Name: name, Reference: manifest.Reference{Digest: d}, asks: true}
	return a.do(ctx, op, func(ctx context.Context, op *Op) error { return a.r.deleteBlob(ctx, op, d) })
}

// Tags yields the tags of a repository after a name, in the order of their bytes.
func (a *Actor) Tags(ctx context.Context, name, after string) iter.Seq2[string, error] {
	return pages(after, func(after string) (names []string, more bool, err error) {
		op := Op{Action: policy.ListImages, Name: name}
		err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
			names, more, err = a.r.tags(ctx, op, after, MaxPage)
			return err
		})
		return names, more, err
	}, func(s string) string { return s })
}

// Repositories yields the repositories that the principal may pull from, as
// alias/repository, after a name.
func (a *Actor) Repositories(ctx context.Context, after string) iter.Seq2[string, error] {
	return pages(after, func(after string) (names []string, more bool, err error) {
		err = a.do(ctx, Op{Action: policy.BatchGetImage, wide: true}, func(ctx context.Context, op *Op) error {
			names, more, err = a.r.repositories(ctx, op, after, MaxPage)
			return err
		})
		return names, more, err
	}, func(s string) string { return s })
}

// Referrers yields the manifests whose subject is a digest, in the order of their own
// digests; with artifact types, those of one of them.
func (a *Actor) Referrers(ctx context.Context, name string, subject manifest.Digest, types ...string) iter.Seq2[manifest.Descriptor, error] {
	const batch = 16 // annotations can be large
	return pages("", func(after manifest.Digest) (list []manifest.Descriptor, more bool, err error) {
		op := Op{Action: policy.BatchGetImage, Name: name, Reference: manifest.Reference{Digest: subject}}
		err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
			list, more, err = a.r.referrers(ctx, op, subject, types, after, batch)
			return err
		})
		return list, more, err
	}, func(d manifest.Descriptor) manifest.Digest { return d.Digest })
}

// pages yields what fetch returns page by page. It ends with an error of fetch.
func pages[T, K any](after K, fetch func(after K) (list []T, more bool, err error), key func(T) K) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			list, more, err := fetch(after)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range list {
				if !yield(item, nil) {
					return
				}
			}
			if !more || len(list) == 0 {
				return
			}
			after = key(list[len(list)-1])
		}
	}
}
