package manifest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// helm is a manifest as "helm push" writes it: the media type of the configuration says
// what kind of artifact it is.
const helm = `{
  "schemaVersion": 2,
  "config": {
    "mediaType": "application/vnd.cncf.helm.config.v1+json",
    "digest": "sha256:8ec7c0f2f6860037c19b54c3cfbab48d9b4b21b485a93d87b64690fdb68c2111",
    "size": 117
  },
  "layers": [{
    "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    "digest": "sha256:1b251d38cfe948dfc0a5745b7af5ca574ecb61e52aed10b19039db39af6e1617",
    "size": 2487
  }]
}`

// The bytes of a PUT become a manifest, whose edges are what must have been pushed before.
func ExampleDecode() {
	m, err := manifest.Decode("application/vnd.oci.image.manifest.v1+json; charset=utf-8", []byte(helm), manifest.SHA256)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.MediaType)
	fmt.Println(m.ArtifactType)
	for edge := range m.Edges() {
		fmt.Println(edge.Field(), edge.Descriptor.Size, edge.NeedsBlob())
	}
	// Output:
	// application/vnd.oci.image.manifest.v1+json
	// application/vnd.cncf.helm.config.v1+json
	// config 117 true
	// layers[0] 2487 true
}

// A document that two clients could take for different things is refused, with an error
// that the client may see.
func ExampleDecode_ambiguous() {
	raw := strings.Replace(helm, `"layers"`, `"manifests": [], "layers"`, 1)
	_, err := manifest.Decode(manifest.MediaTypeImage, []byte(raw), manifest.SHA256)
	fmt.Println(errors.Is(err, manifest.ErrManifest))
	fmt.Println(err)
	// Output:
	// true
	// invalid manifest: manifests is out of place in a document of type application/vnd.oci.image.manifest.v1+json
}

// Children come before the indexes that list them, which is the order to push in.
func ExampleWalk() {
	store := map[manifest.Digest]*manifest.Manifest{}
	decode := func(raw string) *manifest.Manifest {
		m, err := manifest.Decode("", []byte(raw), manifest.SHA256)
		if err != nil {
			panic(err)
		}
		store[m.Digest] = m
		return m
	}
	image := decode(strings.Replace(helm, `"schemaVersion"`, `"mediaType": "application/vnd.oci.image.manifest.v1+json", "schemaVersion"`, 1))
	index := decode(fmt.Sprintf(`{"schemaVersion": 2, "mediaType": %q, "manifests": [{"mediaType": %q, "digest": %q, "size": %d}]}`,
		manifest.MediaTypeIndex, image.MediaType, image.Digest, len(image.Raw)))

	err := manifest.Walk(context.Background(), index,
		func(_ context.Context, d manifest.Descriptor) (*manifest.Manifest, error) {
			return store[d.Digest], nil // nil leaves out what is not there
		},
		func(m *manifest.Manifest) error {
			fmt.Println(m.MediaType)
			return nil
		})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// application/vnd.oci.image.manifest.v1+json
	// application/vnd.oci.image.index.v1+json
}

// What stands after a repository's name is a tag or a digest. A tag that looks like a digest
// is a tag.
func ExampleParseReference() {
	for _, s := range []string{
		"v1.2",
		"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
		"sha256-44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
		"sha256:44136fa3",
	} {
		ref, err := manifest.ParseReference(s)
		switch {
		case err != nil:
			fmt.Println(err)
		case ref.Digest != "":
			fmt.Println("digest", ref.Digest)
		default:
			fmt.Println("tag", ref.Tag)
		}
	}
	// Output:
	// tag v1.2
	// digest sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
	// tag sha256-44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
	// invalid digest: "sha256:44136fa3" has 8 hexadecimal digits where sha256 has 64
}

// A value that changes in its store is cached without ever being stale: an invalidation
// between the read and the insert is not lost.
func ExampleCache() {
	tags := map[string]string{"latest": "sha256:aaaa"}
	cache := manifest.NewCache(1<<20, func(tag, digest string) int64 { return int64(len(tag) + len(digest)) })

	fill := cache.Begin()
	digest := tags["latest"]
	tags["latest"] = "sha256:bbbb" // somebody pushes now
	cache.Remove("latest")
	fill.Add("latest", digest)

	_, ok := cache.Get("latest")
	fmt.Println(ok)
	// Output: false
}
