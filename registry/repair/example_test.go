package repair_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// Look at a registry whose bucket has lost an object.
func ExampleRun() {
	ctx := context.Background()
	store, bucket := memmeta.New(), gocloud.New(memblob.OpenBucket(nil))
	reg, err := registry.New(registry.Config{Store: store, Bucket: bucket, CreateOnPush: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := reg.AddAlias(ctx, "111122223333", "acme"); err != nil {
		log.Fatal(err)
	}
	ann := reg.As(auth.Principal{Account: "111122223333", Name: "ann"})
	layer := []byte("a layer")
	if err := ann.PushBlob(ctx, "acme/hat", manifest.SHA256.FromBytes(layer), bytes.NewReader(layer)); err != nil {
		log.Fatal(err)
	}
	for object, err := range bucket.List(ctx, "", "") {
		if err != nil {
			log.Fatal(err)
		}
		if err := bucket.Delete(ctx, object.Key); err != nil {
			log.Fatal(err)
		}
	}

	sum, err := repair.Run(ctx, store, bucket, repair.Checkpoint{}, &repair.Options{
		Serving: reg,
		Found: func(f repair.Finding) error {
			fmt.Println(f.Kind, f.Digest.Encoded()[:12])
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("left:", sum.Left())
	// Output:
	// blob-missing e28d98ac666a
	// left: 1
}
