package importer_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"testing/fstest"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/importer"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// The folder of a registry of distribution is copied under an alias. A program would read
// os.DirFS("/var/lib/registry").
func ExampleImport() {
	ctx := context.Background()
	target, err := registry.New(registry.Config{Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil))})
	if err != nil {
		log.Fatal(err)
	}
	if err := target.AddAlias(ctx, "123456789012", "acme"); err != nil {
		log.Fatal(err)
	}
	owner := target.As(auth.Principal{Account: "123456789012", Name: auth.Root})

	report, err := importer.Import(ctx, owner, importer.NewDistribution(varLibRegistry()), importer.Under("acme"), &importer.Options{
		Progress: func(e importer.Event) {
			if e.Object == importer.Tag {
				fmt.Printf("%s:%s %s\n", e.Target, e.Reference, e.Outcome)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Blobs.Copied, "blobs,", len(report.Problems), "problems")
	for _, p := range report.Problems {
		fmt.Printf("%s:%s was not copied\n", p.Repository, p.Reference)
	}
	// Unordered output:
	// acme/team/hat:v1 copied
	// acme/team/hat:v2 failed
	// 1 blobs, 1 problems
	// team/hat:v2 was not copied
}

// varLibRegistry is a folder with one image, and a tag that points to another that is gone.
func varLibRegistry() fstest.MapFS {
	config := []byte(`{"os":"linux","architecture":"arm64"}`)
	image := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		manifest.MediaTypeImage, manifest.MediaTypeConfig, manifest.SHA256.FromBytes(config), len(config))
	folder := fstest.MapFS{}
	for kind, content := range map[string][]byte{"_layers": config, "_manifests/revisions": image} {
		d := manifest.SHA256.FromBytes(content)
		folder[linkOf("team/hat", kind, d)] = &fstest.MapFile{Data: []byte(d)}
		folder[dataOf(d)] = &fstest.MapFile{Data: content}
	}
	folder[tagOf("team/hat", "v1")] = &fstest.MapFile{Data: []byte(manifest.SHA256.FromBytes(image))}
	folder[tagOf("team/hat", "v2")] = &fstest.MapFile{Data: []byte(manifest.SHA256.FromBytes(bytes.ToUpper(image)))}
	return folder
}
