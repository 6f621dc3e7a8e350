package durability

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
)

const (
	imageType  = "application/vnd.oci.image.manifest.v1+json"
	configType = "application/vnd.oci.image.config.v1+json"
	layerType  = "application/vnd.oci.image.layer.v1.tar"
)

// blob is content that can be made again from its seed.
type blob struct {
	digest string
	size   int
	seed   uint64
	raw    []byte // of a configuration
}

func newBlob(r *rand.Rand, size int) blob {
	b := blob{size: size, seed: r.Uint64()}
	b.digest = sha(b.bytes())
	return b
}

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

func (b blob) reader() io.Reader { return bytes.NewReader(b.bytes()) }

func sha(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// image is a manifest with all that it refers to.
type image struct {
	raw    []byte
	digest string
	config blob
	layers []blob
}

func (i image) blobs() []blob { return append([]blob{i.config}, i.layers...) }

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

// newImage makes an image of layers, with a configuration of its own.
func newImage(r *rand.Rand, layers ...blob) image {
	raw := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":"%016x","rootfs":{"type":"layers","diff_ids":[]}}`, r.Uint64())
	img := image{config: blob{digest: sha(raw), size: len(raw), raw: raw}, layers: layers}
	list := []descriptor{}
	for _, l := range layers {
		list = append(list, descriptor{layerType, l.digest, l.size})
	}
	img.raw = mustJSON(map[string]any{
		"schemaVersion": 2, "mediaType": imageType, "config": descriptor{configType, img.config.digest, img.config.size}, "layers": list,
	})
	img.digest = sha(img.raw)
	return img
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
