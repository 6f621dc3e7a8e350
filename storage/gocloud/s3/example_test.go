package s3_test

import (
	"context"
	"log"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// A registry over PostgreSQL and S3, as any number of nodes run it.
func ExampleOpen() {
	ctx := context.Background()
	store, err := sqlmeta.OpenPostgres(ctx, "postgres://registry@db/registry", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	bucket, err := s3.Open(ctx, "s3://images?region=eu-west-1", &s3.Options{Buffers: 512 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer bucket.Close()
	reg, err := registry.New(registry.Config{Store: store, Bucket: bucket, PublicURL: "https://registry.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(reg.Run(ctx)) // beside the HTTP server
}

// What nodes that were killed left unfinished is removed now and then.
func ExampleBucket_SweepUnfinished() {
	ctx := context.Background()
	bucket, err := s3.Open(ctx, "s3://images?region=eu-west-1", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer bucket.Close()
	removed, err := bucket.SweepUnfinished(ctx, time.Now().Add(-24*time.Hour))
	log.Print(removed, err)
}
