package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// variant is how version 1.1 of the suite can be told to go about it.
type variant struct {
	stream      bool // bodies have no length
	blobsBefore bool // blobs are deleted before the manifests that refer to them
}

// A descriptor of version 1.1 has a field that no specification knows, also where it says
// nothing.
type descriptor11 struct {
	ocispec.Descriptor
	Unspecified []byte `json:"newUnspecifiedField"`
}

type image11 struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor11      `json:"config"`
	Layers        []descriptor11    `json:"layers"`
	Subject       *descriptor11     `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type index11 struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Manifests     []descriptor11    `json:"manifests"`
	Subject       *descriptor11     `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// The types of artifacts in version 1.1.
const (
	typeA     = "application/vnd.example.bagel"
	typeB     = "application/vnd.example.croissant"
	typeIndex = "application/vnd.example.stand"
	noteKey   = "org.example.conformance.test"
)

// content11 is what version 1.1 pushes. Its parts, which are numbered, each have an image.
type content11 struct {
	*content
	configs        [5]blob
	images         [5]document
	layer          blob
	bare           document // an image without layers that does not say its media type
	blobA, blobB   blob
	artifactBlobs  [2]blob     // of types A and B
	artifacts      [2]document // that have their type from the configuration
	typedArtifacts [2]document // that say their type
	stand          document    // an index
	orphan         document    // whose subject is not there
}

// indented adds a manifest as version 1.1 writes it.
func (c *content11) indented(mediaType string, v any) document {
	raw, err := json.MarshalIndent(v, "", "\t")
	c.must(err)
	return document{raw: raw, descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}}
}

func (b blob) described(mediaType string) descriptor11 {
	return descriptor11{Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: b.digest, Size: int64(len(b.content))}}
}

// artifact11 returns an artifact with a subject, whose referrer it adds.
func (c *content11) artifact11(artifactType, note string, m image11, subject document) document {
	m.SchemaVersion, m.MediaType, m.Subject = 2, ociImage, &descriptor11{Descriptor: subject.descriptor}
	if note != "" {
		m.Annotations = map[string]string{noteKey: note}
	}
	return c.refersTo(subject, c.indented(ociImage, m), artifactType, m.Annotations)
}

func (c *content11) refersTo(subject, d document, artifactType string, annotations map[string]string) document {
	d.subject = subject.digest()
	c.referrers[d.subject] = append(c.referrers[d.subject],
		referrer{d.descriptor.MediaType, d.digest(), d.descriptor.Size, artifactType, annotations})
	return d
}

func (s *session) content11() *content11 {
	c := &content11{content: s.content(digest.SHA256)}
	layer, _ := c.content.layer(options{})
	c.layer = c.blobs[0]
	for i := range c.configs {
		raw, err := json.MarshalIndent(ocispec.Image{
			Author: c.word(), Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
			RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}},
		}, "", "\t")
		c.must(err)
		c.configs[i] = blob{digest: digest.FromBytes(raw), content: raw}
		config := c.configs[i].described(ociConfig)
		config.Data, config.Unspecified = raw, []byte("hello world")
		m := image11{SchemaVersion: 2, MediaType: ociImage, Config: config, Layers: []descriptor11{{Descriptor: layer}}}
		c.images[i] = c.indented(ociImage, m)
		if i == 1 {
			m.MediaType, m.Layers = "", []descriptor11{}
			c.bare = c.indented(ociImage, m)
		}
	}
	c.blobA, c.blobB = c.random(42), c.random(42)
	empty := blob{digest: digest.FromString("{}"), content: []byte("{}")}.described(ociEmpty)
	for i, artifactType := range []string{typeA, typeB} {
		b := c.random(33)
		c.artifactBlobs[i] = b
		c.artifacts[i] = c.artifact11(artifactType, fmt.Sprintf("config %d", i),
			image11{Config: b.described(artifactType), Layers: []descriptor11{empty}}, c.images[4])
		typed := image11{ArtifactType: artifactType, Config: empty, Layers: []descriptor11{b.described(artifactType)}}
		c.typedArtifacts[i] = c.artifact11(artifactType, fmt.Sprintf("layer %d", i), typed, c.images[4])
		if i == 1 {
			c.orphan = c.artifact11(artifactType, "", typed, c.images[3])
		}
	}
	stand := index11{
		SchemaVersion: 2, MediaType: ociIndex, ArtifactType: typeIndex, Subject: &descriptor11{Descriptor: c.images[4].descriptor},
		Manifests:   []descriptor11{{Descriptor: c.artifacts[0].descriptor}, {Descriptor: c.typedArtifacts[0].descriptor}},
		Annotations: map[string]string{noteKey: "index"},
	}
	c.stand = c.refersTo(c.images[4], c.indented(ociIndex, stand), typeIndex, stand.Annotations)
	return c
}

// The replies that version 1.1 allows where it does not look closer.
var (
	success = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}
	gone    = append(slices.Clip(success), http.StatusNotFound)
)

// table11 is the way of version 1.1 through a repository, of which each part begins with
// nothing and leaves nothing.
type table11 struct {
	variant
	*content11
	repo, other string
}

// body adds one.
func (c table11) body(r request, body []byte) request {
	if c.stream {
		return r.streaming(body)
	}
	return r.sending(body)
}

// put pushes a blob with a PUT.
func (c table11) put(name string, b blob) []step {
	return []step{
		{name + ": POST", to(http.MethodPost, uploads(c.repo)), status(http.StatusAccepted).saving("upload")},
		{name + ": PUT", c.body(b.finish(to(http.MethodPut, "{upload}")), b.content), status(http.StatusCreated).saving("blob")},
	}
}

// putManifest pushes a manifest to a tag or digest.
func (c table11) putManifest(name, reference string, d document) step {
	r := to(http.MethodPut, manifests(c.repo, reference)).manifest(d)
	r.stream = c.stream
	w := status(http.StatusCreated).saving("manifest")
	if d.subject != "" {
		w = w.has("OCI-Subject", string(d.subject))
	}
	return step{name, r, w}
}

func (c table11) ask(name, method, reference string, w want) step {
	return step{name, to(method, manifests(c.repo, reference)).with("Accept", ociImage), w}
}

func (c table11) askBlob(name, method string, b blob, w want) step {
	return step{name, to(method, b.path(c.repo)), w}
}

// clean deletes manifests and blobs, in the order of the variant.
func (c table11) clean(manifest want, documents []document, blobs ...blob) []step {
	var first, then []step
	for _, d := range documents {
		first = append(first, step{"clean up", to(http.MethodDelete, manifests(c.repo, string(d.digest()))), manifest})
	}
	for _, b := range blobs {
		then = append(then, c.askBlob("clean up", http.MethodDelete, b, status(gone...)))
	}
	if c.blobsBefore {
		first, then = then, first
	}
	return append(first, then...)
}

// noReference is nothing that a manifest can be called.
const noReference = ".INVALID_MANIFEST_NAME"

func (c table11) pull() []step {
	nowhere := blob{digest: digest.FromString("hello world")}
	zero, one := c.images[0], c.images[1]
	known := status(http.StatusOK)
	steps := slices.Concat(
		c.put("configuration 0", c.configs[0]), c.put("configuration 1", c.configs[1]), c.put("layer", c.layer),
		[]step{
			c.putManifest("by tag", "tagtest0", zero),
			c.putManifest("by digest", string(one.digest()), one),
			c.askBlob("HEAD of a missing blob", http.MethodHead, nowhere, status(http.StatusNotFound)),
			c.askBlob("HEAD of a blob", http.MethodHead, c.configs[0], known.digest(c.configs[0].digest)),
			c.askBlob("GET of a missing blob", http.MethodGet, nowhere, status(http.StatusNotFound)),
			c.askBlob("GET of a blob", http.MethodGet, c.configs[0], known.content(c.configs[0].content)),
			c.ask("HEAD of a missing manifest", http.MethodHead, noReference, status(http.StatusNotFound)),
			c.ask("HEAD by digest", http.MethodHead, string(zero.digest()), known.digest(zero.digest())),
			c.ask("HEAD by digest", http.MethodHead, string(one.digest()), known.digest(one.digest())),
			c.ask("HEAD by tag", http.MethodHead, "tagtest0", known.digest(zero.digest())),
			c.ask("GET of a missing manifest", http.MethodGet, noReference, status(http.StatusNotFound)),
			c.ask("GET by digest", http.MethodGet, string(zero.digest()), known.content(zero.raw)),
			c.ask("GET by digest", http.MethodGet, string(one.digest()), known.content(one.raw)),
			c.ask("GET by tag", http.MethodGet, "tagtest0", known.content(zero.raw)),
			{
				"an error has a document", to(http.MethodGet, manifests(c.repo, "sha256:totallywrong")).with("Content-Type", ociImage),
				status(http.StatusBadRequest, http.StatusNotFound),
			},
		})
	return append(steps, c.clean(status(success...), []document{zero, one}, c.configs[0], c.configs[1], c.layer)...)
}

func (c table11) push() []step {
	created := status(http.StatusCreated).saving("blob")
	post := step{"POST", to(http.MethodPost, uploads(c.repo)), begun()}
	from := c.configs[1]
	half := len(c.blobB.content)/2 + 1
	range1, range2 := fmt.Sprintf("0-%d", half-1), fmt.Sprintf("%d-%d", half, len(c.blobB.content)-1)
	patch := func(r request, of string, body []byte) request { return c.body(r, body).with("Content-Range", of) }
	nowhere := digest.FromString("hello world")
	mount := func(d digest.Digest) request { return to(http.MethodPost, uploads(c.other)).param("mount", string(d)) }
	mounted := "/v2/" + c.other + "/blobs/" + string(c.blobA.digest)

	steps := []step{
		post,
		{"PATCH", c.body(to(http.MethodPatch, "{upload}"), c.blobA.content), status(http.StatusAccepted).saving("upload")},
		{"PUT without a body", c.blobA.finish(to(http.MethodPut, "{upload}").with("Content-Type", octetStream)), created},
		c.askBlob("GET of a missing blob", http.MethodGet, from, status(http.StatusNotFound)),
		{"POST only", c.body(from.finish(to(http.MethodPost, uploads(c.repo))), from.content), created},
		c.askBlob("GET of a blob", http.MethodGet, from, status(http.StatusOK).content(from.content)),
	}
	steps = append(steps, c.put("the same again", from)...)
	steps = append(steps, c.askBlob("GET of a blob", http.MethodGet, from, status(http.StatusOK).content(from.content)))
	steps = append(steps, c.put("layer", c.layer)...)
	steps = append(
		steps,
		c.askBlob("GET of the layer", http.MethodGet, c.layer, status(http.StatusOK).content(c.layer.content)),
		post,
		step{
			"the second chunk first", patch(to(http.MethodPatch, "{upload}"), range2, c.blobB.content[half:]),
			status(http.StatusRequestedRangeNotSatisfiable),
		},
		step{"POST", to(http.MethodPost, uploads(c.repo)), begun().saving("begin")},
		step{
			"the first chunk", patch(to(http.MethodPatch, "{begin}"), range1, c.blobB.content[:half]),
			status(http.StatusAccepted).has("Range", range1).saving("upload"),
		},
		step{
			"the first chunk again", patch(to(http.MethodPatch, "{begin}"), range1, c.blobB.content[:half]),
			status(http.StatusRequestedRangeNotSatisfiable),
		},
		step{
			"how far it is, by the first Location", to(http.MethodGet, "{begin}"),
			status(http.StatusNoContent).has("Range", range1).saving("upload"),
		},
		step{
			"the second chunk", patch(to(http.MethodPatch, "{upload}"), range2, c.blobB.content[half:]),
			status(http.StatusAccepted).saving("upload"),
		},
		step{"PUT without a body", c.blobB.finish(to(http.MethodPut, "{upload}").with("Content-Type", octetStream)), created},

		step{
			"mount of what is nowhere", mount(nowhere),
			status(http.StatusAccepted).matches("Location", regexp.MustCompile("^/v2/"+c.other+"/blobs/uploads/.")),
		},
		step{"mount", mount(c.blobA.digest).param("from", c.repo), status(http.StatusCreated).has("Location", mounted).saving("mounted")},
		step{"GET of what is mounted", to(http.MethodGet, "{mounted}"), status(http.StatusOK).content(c.blobA.content)},
		step{"mount from anywhere", mount(c.blobA.digest), status(http.StatusCreated)},

		c.ask("GET of a missing manifest", http.MethodGet, noReference, status(http.StatusNotFound)),
	)
	for i := range 4 {
		steps = append(steps, c.putManifest("to a tag", fmt.Sprintf("test%d", i), c.images[1]))
	}
	steps = append(
		steps,
		c.putManifest("without layers", "emptylayer", c.bare),
		c.ask("GET by digest", http.MethodGet, string(c.images[1].digest()), status(http.StatusOK).content(c.images[1].raw)),
	)
	return append(steps, c.clean(status(success...), []document{c.images[1], c.bare}, from, c.layer)...)
}

func (c table11) discovery() []step {
	empty := blob{digest: digest.FromString("{}"), content: []byte("{}")}
	steps := append(c.put("configuration", c.configs[2]), c.put("layer", c.layer)...)
	for i := range 4 {
		steps = append(steps, c.putManifest("to a tag", fmt.Sprintf("test%d", i), c.images[2]))
	}
	byDigest := func(name string, d document) step { return c.putManifest(name, string(d.digest()), d) }
	steps = slices.Concat(steps, c.put("empty JSON", empty), c.put("blob of A", c.artifactBlobs[0]), []step{
		byDigest("A before its subject", c.artifacts[0]),
		byDigest("A that says its type, before its subject", c.typedArtifacts[0]),
		byDigest("index before its subject", c.stand),
	}, c.put("configuration of the subject", c.configs[4]), c.put("layer again", c.layer), []step{
		c.putManifest("the subject", "tagtest0", c.images[4]),
	}, c.put("blob of B", c.artifactBlobs[1]), []step{
		byDigest("B after its subject", c.artifacts[1]),
		byDigest("B that says its type, after its subject", c.typedArtifacts[1]),
		byDigest("without a subject", c.orphan),
	})
	tags := to(http.MethodGet, "/v2/"+c.repo+"/tags/list")
	refs := func(d digest.Digest) request { return to(http.MethodGet, "/v2/"+c.repo+"/referrers/"+string(d)) }
	all := c.referrers[c.images[4].digest()]
	ofA := slices.DeleteFunc(slices.Clone(all), func(r referrer) bool { return r.ArtifactType != typeA })
	steps = append(
		steps,
		step{"all tags", tags, listed([]string{"tagtest0", "test0", "test1", "test2", "test3"})},
		step{"two tags", tags.param("n", "2"), listed([]string{"tagtest0", "test0"})},
		step{"the next two", tags.param("n", "2").param("last", "test0"), listed([]string{"test1", "test2"})},
		step{"referrers of what is nowhere", refs(digest.FromString("hello world")), refers()},
		step{"referrers", refs(c.images[4].digest()), refers(all...)},
		step{"referrers of a type", refs(c.images[4].digest()).param("artifactType", typeA), refers(ofA...).has("OCI-Filters-Applied", "artifactType")},
		step{"referrers of what is missing", refs(c.images[3].digest()), refers(c.referrers[c.images[3].digest()]...)},
	)
	documents := []document{
		c.stand, c.images[2], c.images[4], c.artifacts[0], c.typedArtifacts[0], c.artifacts[1], c.typedArtifacts[1], c.orphan,
	}
	blobs := []blob{c.configs[2], c.layer, c.configs[4], c.artifactBlobs[0], c.artifactBlobs[1], empty}
	steps = append(steps, c.clean(status(gone...), documents, blobs...)...)
	// Everything is gone, and the suite deletes some of it again.
	return append(steps, c.clean(status(gone...), documents[:3], blobs[:2]...)...)
}

func (c table11) management() []step {
	image := c.images[3]
	reference := string(image.digest())
	tags := to(http.MethodGet, "/v2/"+c.repo+"/tags/list")
	return slices.Concat(c.put("configuration", c.configs[3]), c.put("layer", c.layer), []step{
		c.putManifest("the image", "tagtest0", image),
		{"tags before", tags, listed([]string{"tagtest0"})},
		{"DELETE of the tag", to(http.MethodDelete, manifests(c.repo, "tagtest0")), status(http.StatusAccepted)},
		{"DELETE of the manifest", to(http.MethodDelete, manifests(c.repo, reference)), status(http.StatusAccepted)},
		c.ask("GET of what was deleted", http.MethodGet, reference, status(http.StatusNotFound)),
		{"tags after", tags, listed(nil)},
		c.askBlob("DELETE of a blob", http.MethodDelete, c.configs[3], status(http.StatusAccepted)),
		c.askBlob("DELETE of a blob", http.MethodDelete, c.layer, status(http.StatusAccepted)),
		c.askBlob("GET of what was deleted", http.MethodGet, c.configs[3], status(http.StatusNotFound)),
	})
}

// version11 goes through the tables of version 1.1.
func (s *session) version11(v variant, repo, other string) {
	c := table11{v, s.content11(), repo, other}
	s.table("pull", c.pull()...)
	s.table("push", c.push()...)
	s.table("content discovery", c.discovery()...)
	s.table("content management", c.management()...)
}
