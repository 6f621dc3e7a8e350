package gc_test

import (
	"context"
	"fmt"
	"log"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// Collect garbage beside the server, until it stops.
func ExampleCollector_Run() {
	reg, err := registry.New(registry.Config{Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil))})
	if err != nil {
		log.Fatal(err)
	}
	collector := gc.New(reg, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- collector.Run(ctx) }()
	// serve ...
	cancel()
	fmt.Println(<-done, collector.Progress().Failed)
	// Output: <nil> 0
}
