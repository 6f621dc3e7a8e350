package ecrpublic_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accounts"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// A registry and its control plane at one address: AWS's tools create repositories and get
// passwords by POST to the root, and docker pushes and pulls below /v2/.
func ExampleNew() {
	ctx := context.Background()
	store := memmeta.New()
	people := accounts.New(store)
	tokens := token.New(registry.SigningKeys(store))
	reg, err := registry.New(registry.Config{
		Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil)),
		Issuer: tokens, Verifier: tokens,
		Authenticators: []auth.Authenticator{basic.NewKeys(people, "example")}, AccessKeys: people,
		Evaluators: []policy.Evaluator{policy.Public{}, iam.New(people, registry.Policies{Store: store})},
	})
	if err != nil {
		log.Fatal(err)
	}
	control, err := ecrpublic.New(ecrpublic.Config{Registry: reg, Keys: people})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") || r.URL.Path == "/token" {
			reg.ServeHTTP(w, r)
			return
		}
		control.ServeHTTP(w, r)
	}))
	defer server.Close()

	// An account, its alias, and the access key of its root.
	if err := reg.AddAlias(ctx, "123456789012", "acme"); err != nil {
		log.Fatal(err)
	}
	key, err := people.CreateKey(ctx, auth.Principal{Account: "123456789012", Name: auth.Root})
	if err != nil {
		log.Fatal(err)
	}

	// The SDK is told where to go, and nothing else.
	client := sdk.New(sdk.Options{
		BaseEndpoint: aws.String(server.URL), Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, nil
		}),
	})
	out, err := client.CreateRepository(ctx, &sdk.CreateRepositoryInput{RepositoryName: aws.String("team/hat")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*out.Repository.RepositoryArn)
	fmt.Println(strings.TrimPrefix(*out.Repository.RepositoryUri, server.Listener.Addr().String()))
	// Output:
	// arn:aws:ecr-public::123456789012:repository/team/hat
	// /acme/team/hat
}

// Another account may push to one repository: its policy allows it, and the other account's
// own policy, or its root, as here, allows it too.
func ExampleHandler_letAnotherAccountPush() {
	policyText := `{
		"Version": "2012-10-17",
		"Statement": [{
			"Effect": "Allow",
			"Principal": {"AWS": "arn:aws:iam::210987654321:root"},
			"Action": [
				"ecr-public:BatchCheckLayerAvailability", "ecr-public:InitiateLayerUpload",
				"ecr-public:UploadLayerPart", "ecr-public:CompleteLayerUpload", "ecr-public:PutImage"
			]
		}]
	}`
	_ = func(ctx context.Context, owner *sdk.Client) error {
		_, err := owner.SetRepositoryPolicy(ctx, &sdk.SetRepositoryPolicyInput{RepositoryName: aws.String("team/hat"), PolicyText: &policyText})
		return err
	}
}

// All repositories of an account, page by page.
func ExampleHandler_listRepositories() {
	_ = func(ctx context.Context, client *sdk.Client) error {
		pages := sdk.NewDescribeRepositoriesPaginator(client, &sdk.DescribeRepositoriesInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, r := range page.Repositories {
				fmt.Println(*r.RepositoryUri)
			}
		}
		return nil
	}
}

// The password for docker login, as aws ecr-public get-login-password prints it.
func ExampleHandler_login() {
	_ = func(ctx context.Context, client *sdk.Client) (user, password string, err error) {
		out, err := client.GetAuthorizationToken(ctx, &sdk.GetAuthorizationTokenInput{})
		if err != nil {
			return "", "", err
		}
		req := http.Request{Header: http.Header{"Authorization": {"Basic " + *out.AuthorizationData.AuthorizationToken}}}
		user, password, _ = req.BasicAuth()
		return user, password, nil
	}
}
