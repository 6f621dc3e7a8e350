package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// inMemory returns a registry whose only account has the alias acme.
func inMemory(change func(*registry.Config)) (*registry.Registry, auth.Principal) {
	cfg := registry.Config{Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil)), CreateOnPush: true}
	if change != nil {
		change(&cfg)
	}
	reg, err := registry.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := reg.AddAlias(context.Background(), "111122223333", "acme"); err != nil {
		log.Fatal(err)
	}
	return reg, auth.Principal{Account: "111122223333", Name: "ann"}
}

// Mount a registry on the host's own mux, with tokens for its own users.
func ExampleNew() {
	store := memmeta.New() // or sqlmeta.OpenSQLite
	tokens := token.New(registry.SigningKeys(store))
	reg, err := registry.New(registry.Config{
		Store:  store,
		Bucket: gocloud.New(memblob.OpenBucket(nil)), // or gocloud.Open(ctx, "file:///var/lib/app/blobs")
		Issuer: tokens, Verifier: tokens,
		Authenticators: []auth.Authenticator{basic.New(basic.PasswordsFunc(
			func(ctx context.Context, username, password string) (auth.Principal, error) {
				return auth.Principal{}, auth.ErrInvalidCredential // ask the host's users
			}), "app")},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v2/", reg)
	mux.Handle("/token", reg)
}

// Push and pull without HTTP.
func ExampleActor_PushManifest() {
	ctx := context.Background()
	reg, ann := inMemory(nil)
	actor := reg.As(ann)

	layer := []byte("a layer")
	if err := actor.PushBlob(ctx, "acme/hat", manifest.SHA256.FromBytes(layer), bytes.NewReader(layer)); err != nil {
		log.Fatal(err)
	}
	config := []byte("{}")
	if err := actor.PushBlob(ctx, "acme/hat", manifest.SHA256.FromBytes(config), bytes.NewReader(config)); err != nil {
		log.Fatal(err)
	}
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"application/vnd.example.hat",
		"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},
		"layers":[{"mediaType":"application/octet-stream","digest":%q,"size":%d}]}`,
		manifest.MediaTypeImage, manifest.SHA256.FromBytes(config), manifest.SHA256.FromBytes(layer), len(layer))
	if _, err := actor.PushManifest(ctx, "acme/hat", "", raw, "v1"); err != nil {
		log.Fatal(err)
	}

	anybody := reg.As(auth.Principal{})
	m, err := anybody.Manifest(ctx, "acme/hat", "v1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.ArtifactType, len(m.Layers))
	// Output: application/vnd.example.hat 1
}

// Fill a repository from an OCI image layout, as buildah, skopeo or crane write it.
func ExampleActor_ImportLayout() {
	reg, ann := inMemory(nil)
	if err := reg.As(ann).ImportLayout(context.Background(), "acme/hat", os.DirFS("testdata/no-such-layout")); err != nil {
		fmt.Println("not imported")
	}
	// Output: not imported
}

// List the tags of a repository.
func ExampleActor_Tags() {
	ctx := context.Background()
	reg, ann := inMemory(nil)
	index := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, manifest.MediaTypeIndex)
	if _, err := reg.As(ann).PushManifest(ctx, "acme/hat", "", index, "v2", "v1", "latest"); err != nil {
		log.Fatal(err)
	}
	for tag, err := range reg.As(auth.Principal{}).Tags(ctx, "acme/hat", "") {
		fmt.Println(tag, err)
	}
	// Output:
	// latest <nil>
	// v1 <nil>
	// v2 <nil>
}

// Be told of every push.
func ExampleRegistry_Run() {
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan event.Event)
	reg, ann := inMemory(func(c *registry.Config) {
		c.Sinks = map[string]event.Sink{"pushes": event.SinkFunc(func(ctx context.Context, e event.Event) error {
			if e.Type == event.TagMoved {
				told <- e
			}
			return nil
		})}
	})
	go reg.Run(ctx) //nolint:errcheck // returns nil when ctx ends
	defer cancel()

	index := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, manifest.MediaTypeIndex)
	for i := 0; ; i++ { // until Run has made the sink known
		if _, err := reg.As(ann).PushManifest(ctx, "acme/hat", "", index, fmt.Sprintf("v%d", i)); err != nil {
			log.Fatal(err)
		}
		select {
		case e := <-told:
			fmt.Println(e.Type, e.Repository)
			return
		default:
		}
	}
	// Output: tag.moved hat
}
