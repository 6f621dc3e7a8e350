package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
)

// chart pushes a Helm chart.
type chart struct {
	Name         string       `json:"name"`
	Version      string       `json:"version"`
	AppVersion   string       `json:"appVersion,omitempty"`
	Description  string       `json:"description"`
	APIVersion   string       `json:"apiVersion"`
	Type         string       `json:"type"`
	KubeVersion  string       `json:"kubeVersion,omitempty"`
	Home         string       `json:"home,omitempty"`
	Keywords     []string     `json:"keywords,omitempty"`
	Dependencies []dependency `json:"dependencies,omitempty"`
}

type dependency struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Repository string `json:"repository"`
}

// push is a [maker].
func (c chart) push(ctx context.Context, p *pusher, rel release) manifest.Descriptor {
	c.Name = p.program()
	c.Version, c.Description, c.APIVersion, c.Type = rel.version, p.repository.description, "v2", "application"
	c.Home, c.Keywords = "https://git.example.org/"+p.name, strings.Fields(p.repository.keywords)
	// JSON is YAML
	_, zipped, err := archive(
		file{c.Name + "/Chart.yaml", p.marshal(c)}, file{c.Name + "/values.yaml", []byte("replicas: 1\n")}, file{c.Name + "/crds/packed.bin", noise(p.name+rel.version, 18)},
	)
	if err != nil {
		p.err = err
	}
	annotations := p.annotations(rel)
	annotations[ocispec.AnnotationDescription] = c.Description
	return p.manifest(ctx, ocispec.Manifest{
		Config:      p.json(ctx, "application/vnd.cncf.helm.config.v1+json", c),
		Layers:      []manifest.Descriptor{p.blob(ctx, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", zipped)},
		Annotations: annotations,
	}, rel.at)
}

// pushWasm is a [maker] of WebAssembly modules: a header, and a section that nothing reads.
func pushWasm(ctx context.Context, p *pusher, rel release) manifest.Descriptor {
	size := 120
	section := noise(p.name+rel.version, size)
	section = append([]byte("\x04demo"), section...)
	module := []byte("\x00asm\x01\x00\x00\x00\x00")
	for n := len(section); ; n >>= 7 { // the length, seven bits at a time
		if n < 0x80 {
			module = append(module, byte(n))
			break
		}
		module = append(module, byte(n)|0x80)
	}
	l := p.blob(ctx, "application/wasm", append(module, section...))
	l.Annotations = map[string]string{ocispec.AnnotationTitle: p.program() + ".wasm"}
	return p.manifest(ctx, ocispec.Manifest{
		Config: p.json(ctx, "application/vnd.wasm.config.v0+json", map[string]any{
			"created": rel.at.Format(time.RFC3339), "architecture": "wasm", "os": "wasip2", "layerDigests": []string{string(l.Digest)},
			"component": map[string]any{"exports": []string{"wasi:http/incoming-handler@0.2.3"}, "imports": []string{"wasi:http/types@0.2.3", "wasi:logging/logging"}},
		}),
		Layers: []manifest.Descriptor{l}, Annotations: p.annotations(rel),
	}, rel.at)
}

// pushModel is a [maker] of models for machine learning.
func pushModel(ctx context.Context, p *pusher, rel release) manifest.Descriptor {
	name := p.program()
	var layers []manifest.Descriptor
	var digests []string
	add := func(mediaType, path string, raw []byte) {
		d := p.blob(ctx, mediaType, raw)
		d.Annotations = map[string]string{"org.cncf.model.filepath": path, ocispec.AnnotationTitle: path}
		layers, digests = append(layers, d), append(digests, string(d.Digest))
	}
	add("application/vnd.cncf.model.weight.v1.raw", name+"-q4.gguf", noise(p.name+"weights"+rel.version, 900))
	add("application/vnd.cncf.model.weight.config.v1.raw", "config.json", []byte(`{"hidden_size":2048,"num_hidden_layers":22,"vocab_size":32000}`))
	add("application/vnd.cncf.model.weight.config.v1.raw", "tokenizer.json", noise(p.name+"tokenizer", 64))
	add("application/vnd.cncf.model.doc.v1.raw", "README.md", []byte("# "+name+"\n\nThe weights of this model are noise: it belongs to a demonstration.\n"))
	return p.manifest(ctx, ocispec.Manifest{
		ArtifactType: "application/vnd.cncf.model.manifest.v1+json",
		Config: p.json(ctx, "application/vnd.cncf.model.config.v1+json", map[string]any{
			"descriptor": map[string]any{"name": name, "version": rel.version, "createdAt": rel.at.Format(time.RFC3339), "licenses": []string{"Apache-2.0"}},
			"modelfs":    map[string]any{"type": "layers", "diffIds": digests},
			"config":     map[string]any{"architecture": "transformer", "format": "gguf", "paramSize": "1.1b", "precision": "int4", "quantization": "gguf"},
		}),
		Layers: layers, Annotations: p.annotations(rel),
	}, rel.at)
}

// pushPolicies is a [maker] of two files, as oras pushes them.
func pushPolicies(ctx context.Context, p *pusher, rel release) manifest.Descriptor {
	add := func(mediaType, title string, raw []byte) manifest.Descriptor {
		d := p.blob(ctx, mediaType, raw)
		d.Annotations = map[string]string{ocispec.AnnotationTitle: title}
		return d
	}
	rules := fmt.Sprintf("# Baseline rules, version %s\nrules:\n  - id: no-root\n    severity: high\n  - id: no-latest\n    severity: medium\n  - id: signed\n    severity: high\n", rel.version)
	return p.manifest(ctx, ocispec.Manifest{
		ArtifactType: "application/vnd.mossgate.policies.v1", Config: p.blob(ctx, ocispec.MediaTypeEmptyJSON, []byte("{}")),
		Layers: []manifest.Descriptor{
			add("application/yaml", "baseline.yaml", []byte(rules)), add("application/vnd.mossgate.bundle.v1.tar+gzip", "exceptions.tar.gz", noise(p.name+rel.version, 26)),
		},
		Annotations: p.annotations(rel),
	}, rel.at)
}
