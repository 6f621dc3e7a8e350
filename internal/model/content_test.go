//go:build unix

package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
)

const (
	imageType  = "application/vnd.oci.image.manifest.v1+json"
	indexType  = "application/vnd.oci.image.index.v1+json"
	configType = "application/vnd.oci.image.config.v1+json"
	emptyType  = "application/vnd.oci.empty.v1+json"
	layerType  = "application/vnd.oci.image.layer.v1.tar"
)

// artifactTypes are those of artifacts.
var artifactTypes = []string{"application/vnd.example.sbom", "application/vnd.example.signature"}

// blob is content that can be made again from its seed.
type blob struct {
	digest string
	size   int
	seed   uint64
	raw    []byte // of a configuration
}

// newBlob draws a blob: mostly small, and sometimes beyond what nodes keep in memory, which
// is 64 KiB.
func newBlob(r *rand.Rand) blob {
	size := 100 + r.IntN(4<<10)
	switch n := r.IntN(1000); {
	case n < 3:
		size = 0
	case n < 6:
		size = 65<<10 + r.IntN(400<<10)
	case n < 50:
		size = r.IntN(64 << 10)
	}
	b := blob{size: size, seed: r.Uint64()}
	b.digest = sha(b.bytes())
	return b
}

func newConfig(raw []byte) blob { return blob{digest: sha(raw), size: len(raw), raw: raw} }

// emptyConfig is that of artifacts, and so in many repositories at a time.
var emptyConfig = newConfig([]byte("{}"))

func (b blob) bytes() []byte {
	if b.raw != nil {
		return b.raw
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], b.seed)
	raw := make([]byte, b.size)
	rand.NewChaCha8(seed).Read(raw) //nolint:errcheck // it never fails
	return raw
}

func sha(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// doc is a manifest of any kind, with all that it refers to, each once.
type doc struct {
	digest, mediaType, artifactType string
	raw                             []byte
	blobs                           []blob
	children                        []*doc
	subject                         string
}

type descriptor struct {
	MediaType    string `json:"mediaType"`
	ArtifactType string `json:"artifactType,omitempty"`
	Digest       string `json:"digest"`
	Size         int    `json:"size"`
}

func (d *doc) descriptor() descriptor {
	return descriptor{MediaType: d.mediaType, Digest: d.digest, Size: len(d.raw)}
}

// newImage makes an image of layers. With a subject or a type it is an artifact.
func newImage(r *rand.Rand, artifactType string, subject *doc, layers ...blob) *doc {
	layers = distinct(layers)
	config, mediaType := emptyConfig, emptyType
	if artifactType == "" {
		mediaType = configType
		config = newConfig(fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":"%016x","rootfs":{"type":"layers","diff_ids":[]}}`, r.Uint64()))
	}
	list := []descriptor{}
	for _, l := range layers {
		list = append(list, descriptor{MediaType: layerType, Digest: l.digest, Size: l.size})
	}
	m := map[string]any{
		"schemaVersion": 2, "mediaType": imageType, "layers": list,
		"config": descriptor{MediaType: mediaType, Digest: config.digest, Size: config.size},
	}
	d := &doc{mediaType: imageType, artifactType: artifactType, blobs: distinct(append([]blob{config}, layers...))}
	if artifactType != "" {
		m["artifactType"] = artifactType
		m["annotations"] = map[string]string{"org.example.number": fmt.Sprint(r.Uint64())}
	} else {
		d.artifactType = configType
	}
	return d.seal(m, subject)
}

// newIndex makes an index of manifests.
func newIndex(r *rand.Rand, subject *doc, children ...*doc) *doc {
	list := []descriptor{}
	for _, c := range children {
		list = append(list, c.descriptor())
	}
	m := map[string]any{
		"schemaVersion": 2, "mediaType": indexType, "manifests": list,
		"annotations": map[string]string{"org.example.number": fmt.Sprint(r.Uint64())},
	}
	d := &doc{mediaType: indexType, children: children}
	return d.seal(m, subject)
}

func (d *doc) seal(m map[string]any, subject *doc) *doc {
	if subject != nil {
		m["subject"], d.subject = subject.descriptor(), subject.digest
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err) // maps and text alone
	}
	d.raw, d.digest = raw, sha(raw)
	return d
}

func distinct(list []blob) (out []blob) {
	for _, b := range list {
		if !slices.ContainsFunc(out, func(o blob) bool { return o.digest == b.digest }) {
			out = append(out, b)
		}
	}
	return out
}
