package ecrpublic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// The errors that cannot be met, and why.
var unseen = map[string]string{
	"ImageTagAlreadyExistsException":         "tags can always be moved",
	"RepositoryCatalogDataNotFoundException": "what was not set is {} (section 2.2)",
}

const (
	noUpload = "00000000-0000-4000-8000-000000000000"
	inHat    = "in the repository with name 'hat' in the registry with id '123456789012'"
)

// errorCase is a call that must fail with one of the SDK's own errors.
type errorCase struct {
	name    string
	change  func(*registry.Config)
	before  func(w *world) // what must be so already
	call    func(ctx context.Context, c *sdk.Client) error
	want    error  // by its type
	message string // "" leaves it open
}

// of drops the output of a call.
func of[Out any](_ *Out, err error) error { return err }

var errorCases = []errorCase{
	{
		name: "repository that is there",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.CreateRepository(ctx, &sdk.CreateRepositoryInput{RepositoryName: ptr("hat")}))
		},
		want:    &types.RepositoryAlreadyExistsException{},
		message: "The repository with name 'hat' already exists in the registry with id '123456789012'",
	},
	{
		name: "repository that is not there",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.DescribeImages(ctx, &sdk.DescribeImagesInput{RepositoryName: ptr("coat")}))
		},
		want:    &types.RepositoryNotFoundException{},
		message: "The repository with name 'coat' does not exist in the registry with id '123456789012'",
	},
	{
		name: "one of two repositories",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.DescribeRepositories(ctx, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"hat", "coat"}, RegistryId: ptr(accountA)}))
		},
		want:    &types.RepositoryNotFoundException{},
		message: "The repository with name 'coat' does not exist in the registry with id '123456789012'",
	},
	{
		name: "tags of a repository that is not there",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: ptr("arn:aws:ecr-public::" + accountA + ":repository/coat")}))
		},
		want:    &types.RepositoryNotFoundException{},
		message: "The repository with name 'coat' does not exist in the registry with id '123456789012'",
	},
	{
		name:   "repository with images",
		before: func(w *world) { w.a.push("hat", imageOf("x"), "v1") },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.DeleteRepository(ctx, &sdk.DeleteRepositoryInput{RepositoryName: ptr("hat")}))
		},
		want:    &types.RepositoryNotEmptyException{},
		message: "The repository with name 'hat' in registry with id '123456789012' cannot be deleted because it still contains images",
	},
	{
		name: "no policy to read",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.GetRepositoryPolicy(ctx, &sdk.GetRepositoryPolicyInput{RepositoryName: ptr("hat")}))
		},
		want:    &types.RepositoryPolicyNotFoundException{},
		message: "Repository policy does not exist for the repository with name 'hat' in the registry with id '123456789012'",
	},
	{
		name: "no policy to delete",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.DeleteRepositoryPolicy(ctx, &sdk.DeleteRepositoryPolicyInput{RepositoryName: ptr("hat")}))
		},
		want:    &types.RepositoryPolicyNotFoundException{},
		message: "Repository policy does not exist for the repository with name 'hat' in the registry with id '123456789012'",
	},
	{
		name: "tag that is reserved",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: ptr(arnOf("hat")), Tags: []types.Tag{{Key: ptr("aws:x"), Value: ptr("")}}}))
		},
		want: &types.InvalidTagParameterException{},
	},
	{
		name: "tag with a character that is not allowed",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.CreateRepository(ctx, &sdk.CreateRepositoryInput{RepositoryName: ptr("coat"), Tags: []types.Tag{{Key: ptr("a"), Value: ptr("<b>")}}}))
		},
		want: &types.InvalidTagParameterException{},
	},
	{
		name: "51 tags",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.CreateRepository(ctx, &sdk.CreateRepositoryInput{RepositoryName: ptr("coat"), Tags: tags(0, 51)}))
		},
		want: &types.TooManyTagsException{},
	},
	{
		name: "51 tags in two calls",
		call: func(ctx context.Context, c *sdk.Client) error {
			if _, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: ptr(arnOf("hat")), Tags: tags(0, 50)}); err != nil {
				return err
			}
			return of(c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: ptr(arnOf("hat")), Tags: tags(50, 51)}))
		},
		want: &types.TooManyTagsException{},
	},
	{
		name:   "repositories' quota",
		change: func(c *registry.Config) { c.Quotas.Repositories = 1 },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.CreateRepository(ctx, &sdk.CreateRepositoryInput{RepositoryName: ptr("coat")}))
		},
		want: &types.LimitExceededException{},
	},
	{
		name:   "images' quota",
		change: func(c *registry.Config) { c.Quotas.Images = 1 },
		before: func(w *world) { w.a.push("hat", imageOf("x"), "v1") },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: ptr(indexOf(imageOf("x")).raw)}))
		},
		want: &types.LimitExceededException{},
	},
	{
		name:   "tags' quota",
		change: func(c *registry.Config) { c.Quotas.TagsPerImage = 1 },
		before: func(w *world) { w.a.push("hat", imageOf("x"), "v1") },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: ptr(imageOf("x").raw), ImageTag: ptr("v2")}))
		},
		want: &types.LimitExceededException{},
	},
	{
		name:   "parts' quota",
		change: func(c *registry.Config) { c.Quotas.LayerParts = 1 },
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "hat", []byte("one part"))
			if err != nil {
				return err
			}
			return of(part(ctx, c, "hat", id, 8, []byte("another")))
		},
		want: &types.LimitExceededException{},
	},
	{
		name:   "layers' size",
		change: func(c *registry.Config) { c.Quotas.LayerSize = 10 },
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "hat", nil)
			if err != nil {
				return err
			}
			return of(part(ctx, c, "hat", id, 0, []byte("eleven byte")))
		},
		want: &types.LimitExceededException{},
	},
	{
		name: "image by a tag that is not there",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.DescribeImages(ctx, &sdk.DescribeImagesInput{RepositoryName: ptr("hat"), ImageIds: []types.ImageIdentifier{{ImageTag: ptr("t")}}}))
		},
		want:    &types.ImageNotFoundException{},
		message: "The image with imageId {imageDigest:'null', imageTag:'t'} does not exist within the repository with name 'hat' in the registry with id '123456789012'",
	},
	{
		name:   "image by a tag of another",
		before: func(w *world) { w.a.push("hat", imageOf("x"), "v1"); w.a.push("hat", imageOf("y"), "v2") },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.DescribeImages(ctx, &sdk.DescribeImagesInput{RepositoryName: ptr("hat"), ImageIds: []types.ImageIdentifier{{ImageTag: ptr("v1"), ImageDigest: ptr(imageOf("y").digest)}}}))
		},
		want:    &types.ImageNotFoundException{},
		message: "The image with imageId {imageDigest:'" + imageOf("y").digest + "', imageTag:'v1'} does not exist within the repository with name 'hat' in the registry with id '123456789012'",
	},
	{
		name:   "image that is there, with its tag",
		before: func(w *world) { w.a.push("hat", imageOf("x"), "v1") },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: ptr(imageOf("x").raw), ImageTag: ptr("v1")}))
		},
		want:    &types.ImageAlreadyExistsException{},
		message: "Image with digest '" + imageOf("x").digest + "' and tag 'v1' already exists in the repository with name 'hat' in registry with id '123456789012'",
	},
	{
		name: "image without its layers",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: ptr(imageOf("x").raw)}))
		},
		want: &types.LayersNotFoundException{},
	},
	{
		name: "index without its images",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: ptr(indexOf(imageOf("x")).raw)}))
		},
		want: &types.ReferencedImagesNotFoundException{},
	},
	{
		name: "image of another digest",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: ptr(imageOf("x").raw), ImageDigest: ptr(imageOf("y").digest)}))
		},
		want: &types.ImageDigestDoesNotMatchException{},
	},
	{
		name: "image that does not say what it is",
		call: func(ctx context.Context, c *sdk.Client) error {
			raw := strings.Replace(imageOf("x").raw, `"mediaType":"`+ociImage+`",`, "", 1)
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: &raw}))
		},
		want: &types.InvalidParameterException{},
	},
	{
		name: "manifest that is none",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: ptr("<html>"), ImageManifestMediaType: ptr("text/html")}))
		},
		want: &types.InvalidParameterException{},
	},
	{
		name: "part of no upload",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(part(ctx, c, "hat", noUpload, 0, []byte("x")))
		},
		want: &types.UploadNotFoundException{}, message: "The upload with id '" + noUpload + "' does not exist " + inHat,
	},
	{
		name: "end of no upload",
		call: func(ctx context.Context, c *sdk.Client) error { return finish(ctx, c, "hat", noUpload, []byte("x")) },
		want: &types.UploadNotFoundException{}, message: "The upload with id '" + noUpload + "' does not exist " + inHat,
	},
	{
		name:   "upload to another repository",
		before: func(w *world) { w.a.create("coat") },
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "coat", []byte("x"))
			if err != nil {
				return err
			}
			return finish(ctx, c, "hat", id, []byte("x"))
		},
		want: &types.UploadNotFoundException{},
	},
	{
		name: "upload without a part",
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "hat", nil)
			if err != nil {
				return err
			}
			return finish(ctx, c, "hat", id, []byte{})
		},
		want: &types.EmptyUploadException{},
	},
	{
		name: "layer of another digest",
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "hat", []byte("x"))
			if err != nil {
				return err
			}
			return finish(ctx, c, "hat", id, []byte("y"))
		},
		want: &types.InvalidLayerException{},
	},
	{
		name:   "layer that is there",
		before: func(w *world) { w.a.upload("hat", []byte("x")) },
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "hat", []byte("x"))
			if err != nil {
				return err
			}
			return finish(ctx, c, "hat", id, []byte("x"))
		},
		want: &types.LayerAlreadyExistsException{},
	},
	{
		name: "small part in the middle",
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "hat", []byte("x"))
			if err != nil {
				return err
			}
			if _, err := part(ctx, c, "hat", id, 1, []byte("y")); err != nil {
				return err
			}
			return finish(ctx, c, "hat", id, []byte("xy"))
		},
		want: &types.LayerPartTooSmallException{},
	},
	{
		name: "part after a gap",
		call: func(ctx context.Context, c *sdk.Client) error {
			id, err := begin(ctx, c, "hat", []byte("x"))
			if err != nil {
				return err
			}
			return of(part(ctx, c, "hat", id, 2, []byte("y")))
		},
		want: &types.InvalidLayerPartException{},
	},
	{
		name: "constraint",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.BatchDeleteImage(ctx, &sdk.BatchDeleteImageInput{RepositoryName: ptr("hat"), ImageIds: []types.ImageIdentifier{}}))
		},
		want:    &types.InvalidParameterException{},
		message: "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length greater than or equal to 1'",
	},
	{
		name: "pattern",
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.InitiateLayerUpload(ctx, &sdk.InitiateLayerUploadInput{RepositoryName: ptr("hat"), RegistryId: ptr("UPPER")}))
		},
		want:    &types.InvalidParameterException{},
		message: "Invalid parameter at 'registryId' failed to satisfy constraint: 'Member must satisfy regular expression pattern: [a-z][a-z0-9]+(?:[._-][a-z0-9]+)*'",
	},
	{
		name:   "tokens where there is no issuer",
		change: func(c *registry.Config) { c.Issuer, c.Verifier = nil, nil },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.GetAuthorizationToken(ctx, &sdk.GetAuthorizationTokenInput{}))
		},
		want: &types.UnsupportedCommandException{},
	},
	{
		name:   "policies where nobody reads them",
		change: func(c *registry.Config) { c.Evaluators = []policy.Evaluator{policy.Public{}, policy.Owner{}} },
		call: func(ctx context.Context, c *sdk.Client) error {
			return of(c.SetRepositoryPolicy(ctx, &sdk.SetRepositoryPolicyInput{RepositoryName: ptr("hat"), PolicyText: ptr("{}")}))
		},
		want: &types.UnsupportedCommandException{},
	},
}

func arnOf(name string) string { return "arn:aws:ecr-public::" + accountA + ":repository/" + name }

func tags(from, to int) (list []types.Tag) {
	for i := from; i < to; i++ {
		list = append(list, types.Tag{Key: ptr(fmt.Sprint("key ", i)), Value: ptr("v")})
	}
	return list
}

// begin starts an upload, with a part if there is one.
func begin(ctx context.Context, c *sdk.Client, repository string, first []byte) (string, error) {
	start, err := c.InitiateLayerUpload(ctx, &sdk.InitiateLayerUploadInput{RepositoryName: &repository})
	if err != nil {
		return "", fmt.Errorf("upload was not begun: %v", err)
	}
	if first != nil {
		if _, err := part(ctx, c, repository, *start.UploadId, 0, first); err != nil {
			return "", fmt.Errorf("first part: %v", err)
		}
	}
	return *start.UploadId, nil
}

func part(ctx context.Context, c *sdk.Client, repository, id string, first int64, raw []byte) (*sdk.UploadLayerPartOutput, error) {
	return c.UploadLayerPart(ctx, &sdk.UploadLayerPartInput{
		RepositoryName: &repository, UploadId: &id, PartFirstByte: &first, PartLastByte: ptr(first + int64(len(raw)) - 1), LayerPartBlob: raw,
	})
}

func finish(ctx context.Context, c *sdk.Client, repository, id string, raw []byte) error {
	return of(c.CompleteLayerUpload(ctx, &sdk.CompleteLayerUploadInput{RepositoryName: &repository, UploadId: &id, LayerDigests: []string{sha(raw)}}))
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, test := range errorCases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *registry.Config) {
				if test.change != nil {
					test.change(c)
				}
			})
			w.a.create("hat")
			if test.before != nil {
				test.before(w)
			}
			kind, message := typed(test.call(t.Context(), w.a.Client))
			if want := fmt.Sprintf("%T", test.want); kind != want {
				t.Fatalf("the error is %s (%s), want %s", kind, message, want)
			}
			if test.message != "" && message != test.message {
				t.Errorf("the message is\n%s, want\n%s", message, test.message)
			}
			if message == "" || strings.Contains(message, "internal") {
				t.Errorf("the message is %q", message)
			}
		})
	}
}

// Where an alias can be given, the caller's own registry may not exist yet (section 2.0).
func TestRegistryThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, hat := t.Context(), ptr("hat")
	for name, err := range map[string]error{
		"BatchCheckLayerAvailability": of(w.b.BatchCheckLayerAvailability(ctx, &sdk.BatchCheckLayerAvailabilityInput{RepositoryName: hat, LayerDigests: []string{sha(nil)}})),
		"InitiateLayerUpload":         of(w.b.InitiateLayerUpload(ctx, &sdk.InitiateLayerUploadInput{RepositoryName: hat, RegistryId: ptr(accountB)})),
		"UploadLayerPart":             of(part(ctx, w.b.Client, "hat", noUpload, 0, []byte("x"))),
		"CompleteLayerUpload":         finish(ctx, w.b.Client, "hat", noUpload, nil),
		"PutImage":                    of(w.b.PutImage(ctx, &sdk.PutImageInput{RepositoryName: hat, ImageManifest: ptr(imageOf("x").raw)})),
	} {
		if kind, message := typed(err); kind != "*types.RegistryNotFoundException" {
			t.Errorf("%s: %s: %s", name, kind, message)
		}
	}
	for name, err := range map[string]error{
		"BatchDeleteImage": of(w.b.BatchDeleteImage(ctx, &sdk.BatchDeleteImageInput{RepositoryName: hat, ImageIds: []types.ImageIdentifier{{ImageTag: hat}}})),
		"DeleteRepository": of(w.b.DeleteRepository(ctx, &sdk.DeleteRepositoryInput{RepositoryName: hat})),
	} {
		if kind, message := typed(err); kind != "*types.RepositoryNotFoundException" {
			t.Errorf("%s: %s: %s", name, kind, message)
		}
	}
}

// broken is a store whose transactions fail once they are to.
type broken struct {
	meta.Store
	fails *bool
}

func (b broken) View(ctx context.Context, fn func(meta.Tx) error) error {
	if *b.fails {
		return errors.New("disk on fire at /secret/path")
	}
	return b.Store.View(ctx, fn)
}

func TestFaultsOfTheServerTellNothing(t *testing.T) {
	t.Parallel()
	fails := false
	w := newWorld(t, func(c *registry.Config) {
		c.Store = broken{c.Store, &fails}
		c.Evaluators = []policy.Evaluator{policy.Public{}, policy.Owner{}}
	})
	w.a.create("hat")
	fails = true
	n := w.requests("DescribeImages", func() {
		err := of(w.a.DescribeImages(t.Context(), &sdk.DescribeImagesInput{RepositoryName: ptr("hat")}))
		kind, message := typed(err)
		if kind != "*types.ServerException" || strings.Contains(message, "fire") {
			t.Errorf("%s: %s", kind, message)
		}
	})
	same(t, "tries", n, 3)
	if r := w.a.send("DescribeImages", object{"repositoryName": "hat"}); r.status != 500 {
		t.Errorf("status %d, want 500", r.status)
	}
}

// Quotas are met three times by the SDK, which tries again; what is wrong with a request is
// told once (section 1.3).
func TestRetries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *registry.Config) { c.Quotas.Repositories = 1 })
	w.a.create("hat")
	for want, name := range map[int]string{3: "coat", 1: "Not A Name"} {
		n := w.requests("CreateRepository", func() {
			if _, err := w.a.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: &name}); err == nil {
				t.Errorf("%s was created", name)
			}
		})
		same(t, "tries to create "+name, n, want)
	}
}

func TestInvalidLayerPartSaysWhereToGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	ctx := t.Context()
	empty := must(begin(ctx, w.a.Client, "hat", nil))(t)
	ten := must(begin(ctx, w.a.Client, "hat", []byte("0123456789")))(t)
	for _, test := range []struct {
		name        string
		id          string
		first, last int64
		raw         string
		valid       int64 // the last valid byte
	}{
		{"gap at the start", empty, 1, 1, "x", -1},
		{"gap", ten, 11, 11, "x", 9},
		{"overlap", ten, 9, 9, "x", 9},
		{"again", ten, 0, 9, "0123456789", 9},
		{"larger than it says", ten, 10, 10, "xy", 9},
		{"smaller than it says", ten, 10, 12, "xy", 9},
		{"backwards", ten, 10, 9, "x", 9},
		{"empty", ten, 10, 9, "", 9},
		{"empty at the start", empty, 0, 0, "", -1},
		{"far away", ten, 1 << 62, 1 << 62, "x", 9},
		{"beyond what can be counted", ten, 0, 1<<63 - 1, "x", 9},
	} {
		before := w.rows()
		_, err := w.a.UploadLayerPart(ctx, &sdk.UploadLayerPartInput{
			RepositoryName: ptr("hat"), UploadId: &test.id, PartFirstByte: &test.first, PartLastByte: &test.last, LayerPartBlob: []byte(test.raw),
		})
		var got *types.InvalidLayerPartException
		if !errors.As(err, &got) {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got.Message == nil || *got.Message == "" {
			t.Errorf("%s: no message", test.name)
		}
		want := &types.InvalidLayerPartException{
			Message: got.Message, RegistryId: ptr(accountA), RepositoryName: ptr("hat"), UploadId: &test.id, LastValidByteReceived: &test.valid,
		}
		if d := cmp.Diff(want, got, plain); d != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, d)
		}
		w.unchanged(t, test.name, before)
	}
	if _, err := part(ctx, w.a.Client, "hat", ten, 10, []byte("x")); err != nil {
		t.Errorf("the upload cannot go on: %v", err)
	}
}

// snapshots returns files of the SDK with requests or replies as they stand on the wire. A
// copy of the module without them skips the test.
func snapshots(t *testing.T, pattern string) map[string]string {
	t.Helper()
	dir, err := moduleDir()
	if err != nil {
		t.Skip("the SDK's folder cannot be found:", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Skipf("the SDK has no files %s", pattern)
	}
	m := map[string]string{}
	for _, f := range files {
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		m[name] = string(must(os.ReadFile(f))(t))
	}
	return m
}

var moduleDir = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/ecrpublic").Output()
	return strings.TrimSpace(string(out)), err
})

// The SDK's own examples of requests are understood. Their values are no names of anything,
// so that what is wrong with them is their content, never their form.
func TestRequestsOfTheSDKAreUnderstood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, text := range snapshots(t, "request_snapshot/*.request.snap") {
		head, body, _ := strings.Cut(text, "\n{")
		if body = "{" + body; !json.Valid([]byte(body)) || !strings.Contains(head, "X-Amz-Target: "+prefix+name+"\n") {
			t.Errorf("%s: the file cannot be read", name)
			continue
		}
		if r := w.a.send(name, body); r.status != 200 {
			r.want("InvalidParameterException", "InvalidTagParameterException")
		}
	}
}

// Every error that the SDK has a type for is met by some test here, or cannot be met.
func TestModelledErrorsAreAllCovered(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{"ServerException": true, "RegistryNotFoundException": true}
	for _, test := range errorCases {
		covered[reflect.TypeOf(test.want).Elem().Name()] = true
	}
	modelled := snapshots(t, "response_snapshot/*.error.snap")
	for name, text := range modelled {
		if !covered[name] && unseen[name] == "" {
			t.Errorf("no test meets %s", name)
		}
		_, body, _ := strings.Cut(text, "\n{")
		var e struct {
			Type string `json:"__type"`
		}
		if err := json.Unmarshal([]byte("{"+body), &e); err != nil || e.Type != name {
			t.Errorf("%s: the name on the wire is %q, %v", name, e.Type, err)
		}
	}
	for name := range covered {
		if modelled[name] == "" {
			t.Errorf("%s is no error of the SDK", name)
		}
	}
}

// Replies have the members of the SDK's own examples, in the same JSON types, and no others.
func TestRepliesHaveModelledMembers(t *testing.T) {
	t.Parallel()
	for name, text := range snapshots(t, "response_snapshot/*.response.snap") {
		_, body, _ := strings.Cut(text, "\n{")
		var model any
		if err := json.Unmarshal([]byte("{"+body), &model); err != nil {
			t.Errorf("%s: the file cannot be read: %v", name, err)
			continue
		}
		w, upload := matrixWorld(t)
		w.a.send("PutRepositoryCatalogData", object{"repositoryName": "hat", "catalogData": goodCatalog()}).ok()
		input := operationInputs[name].good(upload)
		if name == "BatchDeleteImage" { // one that is deleted and one that is not
			input["imageIds"] = []any{object{"imageTag": "v1"}, object{"imageTag": "nope"}}
		}
		var check func(path string, got, model any)
		check = func(path string, got, model any) {
			switch got := got.(type) {
			case object:
				members, ok := model.(object)
				for k, v := range got {
					if _, known := members[k]; !ok || !known {
						t.Errorf("%s has a member %s.%s that nobody knows", name, path, k)
						continue
					}
					check(path+"."+k, v, members[k])
				}
			case []any:
				for _, v := range got {
					check(path+"[]", v, model.([]any)[0])
				}
			default:
				if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", model) {
					t.Errorf("%s: %s is a %T, want a %T", name, path, got, model)
				}
			}
		}
		check("", any(w.a.send(name, input).ok()), model)
	}
}
