package manifest

import (
	"context"
	"fmt"
	"iter"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// EdgeKind says how a manifest refers to something.
type EdgeKind uint8

// The kinds of edges. Their values are stored and never change.
const (
	EdgeConfig  EdgeKind = 1 // an image's configuration, a blob
	EdgeLayer   EdgeKind = 2 // an image's layer, a blob
	EdgeForeign EdgeKind = 3 // a layer that is fetched from elsewhere and need not be in the registry
	EdgeChild   EdgeKind = 4 // an index's manifest
	EdgeBlob    EdgeKind = 5 // an index's entry that is no manifest: BuildKit lists the blobs of a cache so
	EdgeSubject EdgeKind = 6 // the manifest that this one is about, which need not exist
)

// Edge is one reference of a manifest.
type Edge struct {
	Kind       EdgeKind
	Index      int // place in layers or manifests
	Descriptor *Descriptor
}

// NeedsBlob reports whether the edge leads to a blob that must be in the repository.
func (e Edge) NeedsBlob() bool {
	return e.Kind == EdgeConfig || e.Kind == EdgeLayer || e.Kind == EdgeBlob
}

// Field names the place in the document, such as layers[2].
func (e Edge) Field() string {
	switch e.Kind {
	case EdgeConfig:
		return "config"
	case EdgeSubject:
		return "subject"
	case EdgeLayer, EdgeForeign:
		return fmt.Sprintf("layers[%d]", e.Index)
	}
	return fmt.Sprintf("manifests[%d]", e.Index)
}

// Edges lists all that m refers to, in the order of the document.
func (m *Manifest) Edges() iter.Seq[Edge] {
	return func(yield func(Edge) bool) {
		if m.Config != nil && !yield(Edge{Kind: EdgeConfig, Descriptor: m.Config}) {
			return
		}
		for i := range m.Layers {
			kind := EdgeLayer
			if foreign[m.Layers[i].MediaType] {
				kind = EdgeForeign
			}
			if !yield(Edge{kind, i, &m.Layers[i]}) {
				return
			}
		}
		for i := range m.Manifests {
			if !yield(Edge{childKind(m.Manifests[i].MediaType), i, &m.Manifests[i]}) {
				return
			}
		}
		if m.Subject != nil {
			yield(Edge{Kind: EdgeSubject, Descriptor: m.Subject})
		}
	}
}

func childKind(mediaType string) EdgeKind {
	if isImage(mediaType) || IsIndex(mediaType) {
		return EdgeChild
	}
	return EdgeBlob
}

// Walk visits the manifests that can be reached from root through indexes, children
// before their parents and each once, which is the order to push them in. fetch returns
// a child's manifest; it may return nil to leave that branch out. Subjects are not
// followed: they point upwards.
func Walk(ctx context.Context, root *Manifest, fetch func(context.Context, Descriptor) (*Manifest, error), visit func(*Manifest) error) error {
	return walk(ctx, root, map[Digest]bool{}, 0, fetch, visit)
}

func walk(ctx context.Context, m *Manifest, seen map[Digest]bool, depth int, fetch func(context.Context, Descriptor) (*Manifest, error), visit func(*Manifest) error) error {
	if seen[m.Digest] {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: indexes nested deeper than %d", ErrManifest, maxDepth)
	}
	seen[m.Digest] = true
	for _, d := range m.Manifests {
		if seen[d.Digest] || childKind(d.MediaType) != EdgeChild {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		child, err := fetch(ctx, d)
		if err != nil {
			return err
		}
		if child == nil {
			continue
		}
		if err := walk(ctx, child, seen, depth+1, fetch, visit); err != nil {
			return err
		}
	}
	return visit(m)
}

// PlatformString writes a platform as os/architecture[/variant], or "" for none, the
// form that clients take with --platform.
func PlatformString(p *ocispec.Platform) string {
	if p == nil || p.OS == "" || p.Architecture == "" {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}
