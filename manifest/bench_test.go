package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
)

// typicalImage has eight layers and the annotations of BuildKit; typicalIndex has eight
// platforms and their attestations.
func typicalImage() []byte {
	var layers []string
	for i := range 8 {
		layers = append(layers, descriptorOf(layer, digestN(i), 1<<20+i))
	}
	return []byte(imageOf(`"mediaType":"`+image+`"`, someConfig, `"layers":[`+strings.Join(layers, ",")+`]`,
		`"annotations":{"org.opencontainers.image.base.name":"docker.io/library/alpine:3.22","org.opencontainers.image.created":"2026-01-02T03:04:05Z"}`))
}

func typicalIndex() []byte {
	var entries []string
	for i := range 8 {
		entries = append(entries,
			descriptorOf(image, digestN(i), 1000+i, fmt.Sprintf(`"platform":{"architecture":"arch%d","os":"linux"}`, i)),
			descriptorOf(image, digestN(100+i), 800+i, fmt.Sprintf(`"annotations":{"vnd.docker.reference.digest":%q,"vnd.docker.reference.type":"attestation-manifest"}`, digestN(i)),
				`"platform":{"architecture":"unknown","os":"unknown"}`))
	}
	return []byte(imageOf(`"mediaType":"`+index+`"`, `"manifests":[`+strings.Join(entries, ",")+`]`))
}

func BenchmarkDecode(b *testing.B) {
	for name, tt := range map[string]struct {
		header string
		raw    []byte
	}{"image": {image, typicalImage()}, "index": {index, typicalIndex()}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(tt.raw)))
			for b.Loop() {
				if _, err := manifest.Decode(tt.header, tt.raw, manifest.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCacheGet(b *testing.B) {
	c := manifest.NewCache(64<<20, func(_ manifest.Digest, m *manifest.Manifest) int64 { return int64(len(m.Raw)) })
	var digests []manifest.Digest
	for i := range 1024 {
		d := manifest.Digest(digestN(i))
		c.Begin().Add(d, &manifest.Manifest{Digest: d, Raw: make([]byte, 1<<10)})
		digests = append(digests, d)
	}
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, ok := c.Get(digests[i%len(digests)]); !ok {
				b.Fatal("gone")
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := c.Get(digestEmpty); ok {
				b.Fatal("there")
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				c.Get(digests[i%len(digests)])
			}
		})
	})
}

func BenchmarkCheckName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := manifest.CheckName("account/team_a/some-image.v2"); err != nil {
			b.Fatal(err)
		}
	}
}
