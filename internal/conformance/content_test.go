package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "crypto/sha512" // for go-digest
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The media types, as they stand on the wire.
const (
	octetStream    = "application/octet-stream"
	ociImage       = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociEmpty       = "application/vnd.oci.empty.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar"
	ociLayerGzip   = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociForeign     = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	ociForeignGzip = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	exampleOne     = "application/vnd.example.one"
	exampleTwo     = "application/vnd.example.two"
)

// document is a manifest to push. A bad one has other content than its digest says.
type document struct {
	descriptor ocispec.Descriptor
	raw        []byte
	subject    digest.Digest // if it has one
	bad        bool
}

// content is blobs, and the manifests and tags to push after them, in this order.
type content struct {
	t         *testing.T
	source    io.Reader
	algorithm digest.Algorithm
	blobs     []blob
	documents []document
	tags      map[string]digest.Digest
	// referrers are what the registry must list of each subject.
	referrers map[digest.Digest][]referrer
	// tagged means that tags are parameters of the PUT by digest.
	tagged bool
}

// referrer is what the specification demands of an entry of a list of referrers.
type referrer struct {
	MediaType    string            `json:"mediaType"`
	Digest       digest.Digest     `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
}

// content returns an empty one. What it is filled with differs from that of others.
func (s *session) content(algorithm digest.Algorithm) *content {
	s.contents++
	seed := sha256.Sum256(fmt.Append(nil, s.t.Name(), s.contents))
	return &content{
		t: s.t, source: rand.NewChaCha8(seed), algorithm: algorithm,
		tags: map[string]digest.Digest{}, referrers: map[digest.Digest][]referrer{},
	}
}

// bytes returns n random bytes.
func (c *content) bytes(n int) []byte {
	b := make([]byte, n)
	io.ReadFull(c.source, b) //nolint:errcheck // ChaCha8 has no end
	return b
}

func (c *content) word() string { return base32.StdEncoding.EncodeToString(c.bytes(15)) }

// random returns a blob that is not part of the content.
func (c *content) random(n int) blob {
	b := c.bytes(n)
	return blob{digest: c.algorithm.FromBytes(b), content: b}
}

// blob adds a blob, unless it is there already.
func (c *content) blob(mediaType string, raw []byte, o options) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: c.algorithm.FromBytes(raw), Size: int64(len(raw))}
	if o.data {
		d.Data = raw
	}
	if !slices.ContainsFunc(c.blobs, func(b blob) bool { return b.digest == d.Digest }) {
		c.blobs = append(c.blobs, blob{digest: d.Digest, content: raw})
	}
	return d
}

// options are what images and indexes differ in.
type options struct {
	platform     *ocispec.Platform // linux/amd64 if nil
	layers       int               // two if 0, none if less
	plain        bool              // layers are not compressed
	empty        bool              // the only layer is the empty JSON
	artifactType string            // the configuration is then the empty JSON
	layerType    string            // if layers are no tars
	annotations  map[string]string
	subject      *ocispec.Descriptor
	data         bool // descriptors hold what they describe
	custom       bool // there are fields that no specification knows
	tag          string
}

// layer adds a layer, a tar of one file, and returns its diff ID too.
func (c *content) layer(o options) (ocispec.Descriptor, digest.Digest) {
	if o.layerType != "" {
		raw := c.bytes(2048)
		if o.empty {
			raw = []byte("{}")
		}
		d := c.blob(o.layerType, raw, o)
		return d, d.Digest
	}
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	text := []byte("a lucky word: " + c.word() + "\n")
	c.must(w.WriteHeader(&tar.Header{Name: "./" + c.word() + ".txt", Size: int64(len(text)), Mode: 0o644}))
	_, err := w.Write(text)
	c.must(err)
	c.must(w.Close())
	diffID := c.algorithm.FromBytes(plain.Bytes())
	if o.plain {
		return c.blob(ociLayer, plain.Bytes(), o), diffID
	}
	z := gzip.NewWriter(&packed)
	_, err = z.Write(plain.Bytes())
	c.must(err)
	c.must(z.Close())
	return c.blob(ociLayerGzip, packed.Bytes(), o), diffID
}

// config adds the configuration of an image.
func (c *content) config(o options, diffIDs []digest.Digest) ocispec.Descriptor {
	if o.artifactType != "" {
		return c.blob(ociEmpty, []byte("{}"), o)
	}
	config := ocispec.Image{Author: c.word(), Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}
	if o.platform != nil {
		config.Platform = *o.platform
	}
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: diffIDs}
	return c.blob(ociConfig, c.json(o, config), o)
}

// image adds an image with all that it needs.
func (c *content) image(o options) ocispec.Descriptor {
	layers, diffIDs := []ocispec.Descriptor{}, []digest.Digest{}
	n := o.layers
	if n == 0 {
		n = 2
	}
	for range n {
		d, diffID := c.layer(o)
		layers, diffIDs = append(layers, d), append(diffIDs, diffID)
	}
	return c.manifest(o, c.config(o, diffIDs), layers)
}

// manifest adds the manifest of an image.
func (c *content) manifest(o options, config ocispec.Descriptor, layers []ocispec.Descriptor) ocispec.Descriptor {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ociImage, ArtifactType: o.artifactType,
		Config: config, Layers: layers, Subject: o.subject, Annotations: c.annotations(o),
	}
	artifactType := m.ArtifactType
	if artifactType == "" {
		artifactType = config.MediaType
	}
	return c.document(o, m.MediaType, artifactType, m.Annotations, c.json(o, m))
}

// index adds an index of manifests.
func (c *content) index(o options, children ...ocispec.Descriptor) ocispec.Descriptor {
	i := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ociIndex, ArtifactType: o.artifactType,
		Manifests: append([]ocispec.Descriptor{}, children...), Subject: o.subject, Annotations: c.annotations(o),
	}
	return c.document(o, i.MediaType, i.ArtifactType, i.Annotations, c.json(o, i))
}

// platforms adds an index of an image for each of two platforms. All but the tag holds for
// the images too.
func (c *content) platforms(o options) ocispec.Descriptor {
	var children []ocispec.Descriptor
	for _, arch := range []string{"amd64", "arm64"} {
		child := o
		child.tag, child.platform = "", &ocispec.Platform{OS: "linux", Architecture: arch}
		d := c.image(child)
		d.Platform = child.platform
		children = append(children, d)
	}
	return c.index(o, children...)
}

// annotations returns those of the options, and one that nothing else has.
func (c *content) annotations(o options) map[string]string {
	if o.annotations == nil {
		return nil
	}
	all := map[string]string{"org.example." + c.word(): c.word()}
	for name, value := range o.annotations {
		all[name] = value
	}
	return all
}

// document adds a manifest of any kind.
func (c *content) document(o options, mediaType, artifactType string, annotations map[string]string, raw []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: c.algorithm.FromBytes(raw), Size: int64(len(raw))}
	doc := document{descriptor: d, raw: raw}
	if o.subject != nil {
		doc.subject = o.subject.Digest
		c.referrers[doc.subject] = append(c.referrers[doc.subject], referrer{mediaType, d.Digest, d.Size, artifactType, annotations})
	}
	c.documents = append(c.documents, doc)
	if o.tag != "" {
		c.tags[o.tag] = d.Digest
	}
	return d
}

// json encodes a document, with a field of our own if the options say so.
func (c *content) json(o options, v any) []byte {
	raw, err := json.Marshal(v)
	c.must(err)
	if o.custom {
		raw = append(fmt.Appendf(nil, `{"org.%s":%q,`, c.word(), c.word()), raw[1:]...)
	}
	return raw
}

func (c *content) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// hello is on referrers.
var hello = map[string]string{"org.example.conformance": "hello"}

// artifact are the options of an artifact that is no image.
func artifact(artifactType, tag string) options {
	return options{artifactType: artifactType, layerType: artifactType, layers: 1, tag: tag}
}

// referring are the options of an artifact with a subject.
func referring(artifactType, tag string, subject ocispec.Descriptor) options {
	o := artifact(artifactType, tag)
	o.annotations, o.subject = hello, &subject
	return o
}

// dataTests are the suite's kinds of content, in its order.
var dataTests = []struct {
	name      string
	algorithm digest.Algorithm // SHA-256 if ""
	sparse    bool             // it refers to what is missing
	fill      func(c *content)
}{
	{name: "image", fill: func(c *content) { c.image(options{tag: "image"}) }},
	{name: "uncompressed image", fill: func(c *content) { c.image(options{tag: "image-uncompressed", plain: true}) }},
	{name: "large manifest", fill: func(c *content) {
		o := options{tag: "large-manifest", annotations: map[string]string{}}
		for i := range 390 {
			o.annotations[fmt.Sprintf("large-annotation-%d", i)] = string(bytes.Repeat([]byte("A"), 10_000))
		}
		c.image(o)
	}},
	{name: "index", fill: func(c *content) { c.platforms(options{tag: "index"}) }},
	{name: "nested index", fill: func(c *content) {
		c.index(options{tag: "index-of-index"}, c.platforms(options{}), c.platforms(options{}))
	}},
	{name: "empty index", fill: func(c *content) { c.index(options{tag: "index"}) }},
	{name: "artifact", fill: func(c *content) { c.image(artifact(exampleOne, "artifact")) }},
	{name: "index of artifacts", fill: func(c *content) { c.platforms(artifact(exampleOne, "artifact-index")) }},
	{name: "artifact without layers", fill: func(c *content) {
		o := artifact(exampleOne, "artifact-without-layers")
		o.layerType, o.empty = ociEmpty, true
		c.image(o)
	}},
	{name: "artifacts with a subject", fill: func(c *content) {
		subject := c.image(options{tag: "image"})
		c.image(options{subject: &subject})
		c.image(referring(exampleOne, "tagged-artifact1", subject))
		two := referring(exampleTwo, "tagged-artifact2", subject)
		two.layerType = octetStream
		c.image(two)
	}},
	{name: "index with a subject", fill: func(c *content) {
		c.platforms(referring(exampleOne, "tagged-artifact", c.platforms(options{tag: "index"})))
	}},
	{name: "missing subject", fill: func(c *content) {
		c.image(referring(exampleOne, "tagged-artifact", ocispec.Descriptor{
			MediaType: ociImage, Digest: c.algorithm.FromString("what nobody pushes"), Size: 123,
		}))
	}},
	{name: "data field", fill: func(c *content) { c.image(options{tag: "data-field", data: true}) }},
	{name: "non-distributable layers", fill: func(c *content) {
		var layers []ocispec.Descriptor
		var diffIDs []digest.Digest
		for _, mediaType := range []string{ociForeignGzip, ociForeign} {
			d := c.random(256).digest
			layers = append(layers, ocispec.Descriptor{
				MediaType: mediaType, Digest: d, Size: 123456, URLs: []string{"https://store.example.com/blobs/sha256/" + d.Encoded()},
			})
			diffIDs = append(diffIDs, c.random(256).digest)
		}
		d, diffID := c.layer(options{})
		layers, diffIDs = append(layers, d), append(diffIDs, diffID)
		c.manifest(options{tag: "non-distributable-image"}, c.config(options{}, diffIDs), layers)
	}},
	{name: "custom fields", fill: func(c *content) { c.platforms(options{tag: "custom-fields", custom: true}) }},
	{name: "no layers", fill: func(c *content) { c.image(options{tag: "no-layers", layers: -1}) }},
	{name: "sparse", sparse: true, fill: func(c *content) {
		c.image(options{tag: "sparse-image"})
		c.blobs = c.blobs[1:] // a layer
		there := c.image(options{})
		there.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
		missing := ocispec.Descriptor{MediaType: ociImage, Digest: c.random(1024).digest, Size: 1024}
		missing.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64"}
		c.index(options{tag: "sparse-index"}, there, missing)
	}},
	// A tag in the path leads to the algorithm of all registries, so there is none.
	{name: "sha512", algorithm: digest.SHA512, fill: func(c *content) { c.platforms(options{}) }},
	{name: "tag parameters", fill: func(c *content) { c.tagWith("tag-param-sha256") }},
	{name: "tag parameters with sha512", algorithm: digest.SHA512, fill: func(c *content) { c.tagWith("tag-param-sha512") }},
	{name: "bad digest", fill: func(c *content) {
		c.image(options{})
		d := &c.documents[0]
		d.raw, d.bad = append(d.raw, "  "...), true
	}},
}

// tagWith adds an index of which each manifest has a tag, and the index has two.
func (c *content) tagWith(tag string) {
	c.platforms(options{tag: tag})
	for i, d := range c.documents {
		c.tags[fmt.Sprintf("%s-%d", tag, i)] = d.descriptor.Digest
	}
	c.tagged = true
}
