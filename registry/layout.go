package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
)

// ImportLayout pushes every image of an OCI image layout, such as os.DirFS of a folder or
// an embed.FS, into a repository. An entry of the layout's index is tagged with its
// annotation org.opencontainers.image.ref.name, if it has one; of a whole reference the tag
// counts. What the repository has already is not pushed again, so that an import that was
// interrupted can be repeated.
func (a *Actor) ImportLayout(ctx context.Context, name string, layout fs.FS) error {
	l := layoutImport{actor: a, name: name, layout: layout}
	raw, err := fs.ReadFile(layout, ocispec.ImageLayoutFile)
	if err != nil {
		return fmt.Errorf("not an image layout: %w", err)
	}
	var version ocispec.ImageLayout
	if err := json.Unmarshal(raw, &version); err != nil || version.Version != ocispec.ImageLayoutVersion {
		return fmt.Errorf("image layout of version %q, want %s", version.Version, ocispec.ImageLayoutVersion)
	}
	if raw, err = fs.ReadFile(layout, ocispec.ImageIndexFile); err != nil {
		return err
	}
	index, err := manifest.Decode(manifest.MediaTypeIndex, raw, manifest.SHA256)
	if err != nil {
		return fmt.Errorf("%s: %w", ocispec.ImageIndexFile, err)
	}
	for _, d := range index.Manifests {
		if err := l.entry(ctx, d); err != nil {
			return fmt.Errorf("import of %s: %w", d.Digest, err)
		}
	}
	return nil
}

type layoutImport struct {
	actor  *Actor
	name   string
	layout fs.FS
}

func (l layoutImport) entry(ctx context.Context, d manifest.Descriptor) error {
	root, err := l.manifest(ctx, d)
	if err != nil {
		return err
	}
	var tags []string
	if ref := d.Annotations[ocispec.AnnotationRefName]; ref != "" {
		tag := ref[strings.LastIndexAny(ref, "/:")+1:]
		if err := manifest.CheckTag(tag); err != nil {
			return err
		}
		tags = []string{tag}
	}
	return manifest.Walk(ctx, root, l.manifest, func(m *manifest.Manifest) error {
		for e := range m.Edges() {
			if e.NeedsBlob() {
				if err := l.blob(ctx, *e.Descriptor); err != nil {
					return err
				}
			}
		}
		if m == root {
			return l.actor.push(ctx, l.name, m, tags...)
		}
		return l.actor.push(ctx, l.name, m)
	})
}

func (l layoutImport) open(d manifest.Digest) (fs.File, error) {
	if _, err := manifest.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	return l.layout.Open("blobs/" + string(d.Algorithm()) + "/" + d.Encoded())
}

func (l layoutImport) manifest(_ context.Context, d manifest.Descriptor) (*manifest.Manifest, error) {
	f, err := l.open(d.Digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, manifest.MaxSize+1))
	if err != nil {
		return nil, err
	}
	m, err := manifest.Decode(d.MediaType, raw, d.Digest.Algorithm())
	if err == nil && m.Digest != d.Digest {
		err = says(ErrDigestInvalid, "the content of %s has digest %s", d.Digest, m.Digest)
	}
	return m, err
}

func (l layoutImport) blob(ctx context.Context, d manifest.Descriptor) error {
	if has, err := l.actor.HasBlob(ctx, l.name, d.Digest); has || err != nil {
		return err
	}
	f, err := l.open(d.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.actor.PushBlob(ctx, l.name, d.Digest, f)
}

// foundOr turns an error about something that is not there into false.
func foundOr(err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
