package storage_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
)

// Content is written under a key that was never used, and hashed on the way. What comes in
// several chunks becomes one blob without being copied.
func Example() {
	ctx := context.Background()
	blobs := storage.NewBlobs(gocloud.New(memblob.OpenBucket(nil)), nil)

	var blob storage.Blob
	h := sha256.New()
	for _, chunk := range []string{"Hello, ", "world!"} {
		key := storage.NewKey()
		n, err := blobs.Write(ctx, key, strings.NewReader(chunk), h)
		if err != nil {
			fmt.Println(err)
			return
		}
		blob.Segments = append(blob.Segments, storage.Segment{Key: key, Size: n})
		blob.Size += n
	}
	blob.Digest = manifest.Digest(fmt.Sprintf("sha256:%x", h.Sum(nil)))
	fmt.Println(blob.Digest, blob.Size)

	r, err := blobs.Open(ctx, blob)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	if _, err := r.Seek(5, io.SeekStart); err != nil {
		fmt.Println(err)
		return
	}
	rest, err := io.ReadAll(r)
	fmt.Printf("%q %v\n", rest, err)
	// Output:
	// sha256:315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3 13
	// ", world!" <nil>
}
