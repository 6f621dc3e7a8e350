package registry_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// Make a repository, and let another account push to it.
func Example_createRepositoryAndSetItsPolicy() {
	ctx := context.Background()
	store := memmeta.New()
	reg, err := registry.New(registry.Config{
		Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil)),
		// who pulls what is public is not asked; all else is for policies
		Evaluators: []policy.Evaluator{policy.Public{}, iam.New(nil, registry.Policies{Store: store})},
	})
	if err != nil {
		log.Fatal(err)
	}
	owner := reg.As(auth.Principal{Account: "111122223333", Name: auth.Root})
	partner := reg.As(auth.Principal{Account: "444455556666", Name: auth.Root})

	// by the account's number: the first repository comes with an alias
	repo, err := owner.CreateRepository(ctx, "111122223333/hat", &registry.CreateOptions{
		Catalog: &registry.CatalogData{Description: "A hat for every head"},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = partner.StartLayer(ctx, "111122223333/hat")
	fmt.Println("before:", err != nil)

	err = owner.SetRepositoryPolicy(ctx, "111122223333/hat", `{
		"Version": "2012-10-17",
		"Statement": {
			"Effect": "Allow",
			"Principal": {"AWS": "444455556666"},
			"Action": ["ecr-public:InitiateLayerUpload", "ecr-public:UploadLayerPart", "ecr-public:CompleteLayerUpload", "ecr-public:PutImage"]
		}
	}`, false)
	if err != nil {
		log.Fatal(err)
	}
	_, err = partner.StartLayer(ctx, "111122223333/hat")
	fmt.Println("after:", err != nil)

	uri, err := reg.URI(ctx, repo, "registry.example")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Count(uri, "/"), strings.HasSuffix(uri, "/hat"))
	// Output:
	// before: true
	// after: false
	// 2 true
}

// Ask for an alias, which the operator grants by hand.
func ExampleActor_RequestAlias() {
	ctx := context.Background()
	reg, ann := inMemory(nil)
	actor := reg.As(ann)

	req, err := actor.RequestAlias(ctx, "milliner")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(req.Alias, req.Status)

	// elsewhere, by whoever runs the registry
	err = reg.DecideAlias(ctx, string(req.Account), string(req.Alias), registry.AliasDecision{Status: "ACTIVE"})
	if err != nil {
		log.Fatal(err)
	}

	if err := actor.SetPrimaryAlias(ctx, "milliner"); err != nil {
		log.Fatal(err)
	}
	info, err := actor.Registry(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, alias := range info.Aliases {
		fmt.Println(alias.Name, alias.Status, alias.Primary)
	}
	// Output:
	// milliner PENDING
	// acme ACTIVE false
	// milliner ACTIVE true
}

// Get the password that docker login takes, and log in with it.
func ExampleActor_AuthorizationToken() {
	ctx := context.Background()
	reg, ann := inMemory(func(c *registry.Config) {
		tokens := token.New(registry.SigningKeys(c.Store))
		c.Issuer, c.Verifier = tokens, tokens
	})
	password, err := reg.As(ann).AuthorizationToken(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(password.Expires.Sub(password.Issued))

	req := httptest.NewRequest("GET", "/v2/", nil)
	req.SetBasicAuth(auth.LoginUser, password.Value)
	rec := httptest.NewRecorder()
	reg.ServeHTTP(rec, req)
	fmt.Println(rec.Code)
	// Output:
	// 12h0m0s
	// 200
}
