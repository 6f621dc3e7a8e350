package main

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

// pusher pushes what one repository is made of. It remembers the first error, and does nothing
// after it.
type pusher struct {
	actor      *registry.Actor
	publisher  *publisher
	repository *repository
	name       string                        // alias/repository
	layers     map[string]layer              // that have been made, by what is in them
	pushed     map[manifest.Digest]bool      // blobs that the repository has
	times      map[manifest.Digest]time.Time // of the manifests
	err        error
}

// layer is a layer of an image.
type layer struct {
	manifest.Descriptor
	diffID manifest.Digest
	from   string // a repository that has it
}

// maker pushes what a release has, and returns what its tags are to point to.
type maker func(ctx context.Context, p *pusher, rel release) manifest.Descriptor

// blob pushes bytes.
func (p *pusher) blob(ctx context.Context, mediaType string, raw []byte) manifest.Descriptor {
	d := manifest.Descriptor{MediaType: mediaType, Digest: manifest.SHA256.FromBytes(raw), Size: int64(len(raw))}
	if p.err == nil && !p.pushed[d.Digest] {
		p.err = p.actor.PushBlob(ctx, p.name, d.Digest, bytes.NewReader(raw))
		p.pushed[d.Digest] = true
	}
	return d
}

// json pushes a value as JSON.
func (p *pusher) json(ctx context.Context, mediaType string, v any) manifest.Descriptor {
	return p.blob(ctx, mediaType, p.marshal(v))
}

func (p *pusher) marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if p.err == nil {
		p.err = err
	}
	return raw
}

// layer pushes a layer with a file that is noise. It is made once for all that want the same.
func (p *pusher) layer(ctx context.Context, path, content string, kilobytes int) layer {
	l, made := p.layers[path+content]
	if made && !p.pushed[l.Digest] && p.err == nil {
		p.pushed[l.Digest], p.err = p.actor.MountBlob(ctx, p.name, l.Digest, l.from)
	}
	if made || p.err != nil {
		return l
	}
	plain, zipped, err := archive(file{path, noise(content, kilobytes)})
	if err != nil {
		p.err = err
		return l
	}
	l = layer{p.blob(ctx, ocispec.MediaTypeImageLayerGzip, zipped), manifest.SHA256.FromBytes(plain), p.name}
	p.layers[path+content] = l
	return l
}

// manifest pushes a manifest, which is not tagged yet.
func (p *pusher) manifest(ctx context.Context, m ocispec.Manifest, at time.Time) manifest.Descriptor {
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, manifest.MediaTypeImage
	return p.raw(ctx, m.MediaType, p.marshal(m), at)
}

func (p *pusher) index(ctx context.Context, m ocispec.Index, at time.Time) manifest.Descriptor {
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, manifest.MediaTypeIndex
	return p.raw(ctx, m.MediaType, p.marshal(m), at)
}

func (p *pusher) raw(ctx context.Context, mediaType string, raw []byte, at time.Time) (d manifest.Descriptor) {
	if p.err == nil {
		d, p.err = p.actor.PushManifest(ctx, p.name, mediaType, raw)
	}
	if _, ok := p.times[d.Digest]; !ok {
		p.times[d.Digest] = at
	}
	return d
}

// tag points tags to a manifest.
func (p *pusher) tag(ctx context.Context, d manifest.Descriptor, tags []string) {
	if p.err != nil {
		return
	}
	m, err := p.actor.Manifest(ctx, p.name, string(d.Digest))
	if err == nil {
		_, err = p.actor.PushManifest(ctx, p.name, m.MediaType, m.Raw, tags...)
	}
	p.err = err
}

// sign pushes a signature that refers to a manifest.
func (p *pusher) sign(ctx context.Context, subject manifest.Descriptor, at time.Time) {
	payload := p.json(ctx, "application/vnd.dev.cosign.simplesigning.v1+json", map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": "registry.example.com/" + p.name},
			"image":    map[string]string{"docker-manifest-digest": string(subject.Digest)}, "type": "cosign container image signature",
		},
	})
	payload.Annotations = map[string]string{"dev.cosignproject.cosign/signature": "MEUCIQ" + commit("signature", string(subject.Digest))}
	p.manifest(ctx, ocispec.Manifest{
		ArtifactType: "application/vnd.dev.cosign.artifact.sig.v1+json", Config: p.blob(ctx, ocispec.MediaTypeEmptyJSON, []byte("{}")),
		Layers: []manifest.Descriptor{payload}, Subject: &manifest.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{ocispec.AnnotationCreated: at.Format(time.RFC3339)},
	}, at)
}
