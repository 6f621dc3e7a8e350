package ecrpublic_test

import (
	"bytes"
	"context"
	"encoding/base64"
	pixels "image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
)

// clientOperations are the names of the operations that the SDK's client has.
func clientOperations() (names []string) {
	context := reflect.TypeFor[context.Context]()
	for m := range reflect.TypeFor[*sdk.Client]().Methods() {
		if t := m.Type; t.NumIn() > 2 && t.In(1) == context && strings.HasSuffix(t.In(2).String(), m.Name+"Input") {
			names = append(names, m.Name)
		}
	}
	return names
}

// aliasOperations are those that ECR Public has in its console alone.
var aliasOperations = []string{"DeleteRegistryAlias", "DescribeRegistryAliasRequests", "RequestRegistryAlias", "SetPrimaryRegistryAlias"}

func TestTheSDKHasTheOperationsAndNoOthersAreThere(t *testing.T) {
	t.Parallel()
	want := append(clientOperations(), aliasOperations...)
	slices.Sort(want)
	if len(want) != 27 {
		t.Errorf("%d operations were found, the service has 23 and four for aliases", len(want))
	}
	same(t, "operations", ecrpublic.Operations(), want)
}

func TestEveryOperationIsAnAction(t *testing.T) {
	t.Parallel()
	actions := policy.Actions()
	for _, name := range ecrpublic.Operations() {
		if !slices.Contains(actions, policy.Action("ecr-public:"+name)) {
			t.Errorf("%s cannot be named in a policy", name)
		}
	}
	for _, a := range actions {
		name := strings.TrimPrefix(string(a), "ecr-public:")
		pulls := []policy.Action{policy.BatchGetImage, policy.GetDownloadURLForLayer, policy.ListImages}
		if !slices.Contains(pulls, a) && !slices.Contains(ecrpublic.Operations(), name) {
			t.Errorf("the action %s is that of no operation", a)
		}
	}
}

// plain compares outputs of the SDK by their members.
var plain = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && (f.Name() == "noSmithyDocumentSerde" || f.Name() == "ResultMetadata")
	}, cmp.Ignore()),
}

// out calls an operation and compares its output, once the times in it were found to be
// of now and set to nothing.
func out[In, Out any](t *testing.T, f func(context.Context, *In, ...func(*sdk.Options)) (*Out, error), in *In, want *Out) *Out {
	t.Helper()
	got, err := f(t.Context(), in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	metadata := reflect.ValueOf(got).Elem().FieldByName("ResultMetadata").Addr().Interface()
	if id, _ := awsmiddleware.GetRequestIDMetadata(reflect.ValueOf(metadata).Elem().Interface().(middleware.Metadata)); !uuid.MatchString(id) {
		t.Errorf("%T: the request id is %q", in, id)
	}
	forgetTimes(t, reflect.ValueOf(got))
	if d := cmp.Diff(want, got, plain); want != nil && d != "" {
		t.Errorf("%T (-want +got):\n%s", in, d)
	}
	return got
}

// forgetTimes sets all times to nil. Each must be of the last minute.
func forgetTimes(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if at, ok := v.Interface().(*time.Time); ok && at != nil {
			if ago := time.Since(*at); ago < -time.Second || ago > time.Minute {
				t.Errorf("a time is %s ago", ago)
			}
			v.SetZero()
		} else if !v.IsNil() {
			forgetTimes(t, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "ResultMetadata" {
				if _, ok := v.Field(i).Interface().(*time.Time); ok && v.Field(i).IsNil() {
					t.Errorf("%s.%s is not set", v.Type(), f.Name)
				}
				forgetTimes(t, v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			forgetTimes(t, v.Index(i))
		}
	}
}

// picture is a PNG of some size.
func picture(width, height int) []byte {
	img := pixels.NewRGBA(pixels.Rect(0, 0, width, height))
	for x := range width {
		img.Set(x, x%height, color.RGBA{uint8(x), 99, 200, 255})
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

const (
	arnHat = "arn:aws:ecr-public::" + accountA + ":repository/team/hat"
	uriHat = host + "/" + aliasA + "/team/hat"
)

// The operations on a repository, each with every member of its output.
func TestOperationsOnRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, hat, id := w.a, ptr("team/hat"), ptr(accountA)

	repo := types.Repository{RepositoryArn: ptr(arnHat), RegistryId: id, RepositoryName: hat, RepositoryUri: ptr(uriHat)}
	data := &types.RepositoryCatalogDataInput{
		Description: ptr("A hat, héllo 👒"), Architectures: []string{"ARM 64", "x86-64", "quantum"}, OperatingSystems: []string{"Linux"},
		LogoImageBlob: picture(64, 80), AboutText: ptr("# About\n"), UsageText: ptr("docker run\n"),
	}
	made := out(t, c.CreateRepository, &sdk.CreateRepositoryInput{
		RepositoryName: hat, CatalogData: data, Tags: []types.Tag{{Key: ptr("team"), Value: ptr("hats")}},
	}, nil)
	same(t, "repository", cmp.Diff(&repo, made.Repository, plain), "")
	logo := aws.ToString(made.CatalogData.LogoUrl)
	if !regexp.MustCompile(`^` + base + `/-/logo/acme/team/hat/[0-9a-f]{64}\.png$`).MatchString(logo) {
		t.Errorf("the logo is at %q", logo)
	}
	shown := &types.RepositoryCatalogData{
		Description: data.Description, Architectures: data.Architectures, OperatingSystems: data.OperatingSystems,
		LogoUrl: &logo, AboutText: data.AboutText, UsageText: data.UsageText,
	}
	same(t, "catalog data", cmp.Diff(shown, made.CatalogData, plain), "")
	out(t, c.GetRepositoryCatalogData, &sdk.GetRepositoryCatalogDataInput{RepositoryName: hat}, &sdk.GetRepositoryCatalogDataOutput{CatalogData: shown})
	out(t, c.GetRepositoryCatalogData, &sdk.GetRepositoryCatalogDataInput{RepositoryName: hat, RegistryId: id}, &sdk.GetRepositoryCatalogDataOutput{CatalogData: shown})

	shown = &types.RepositoryCatalogData{Description: ptr("Another")}
	out(t, c.PutRepositoryCatalogData, &sdk.PutRepositoryCatalogDataInput{
		RepositoryName: hat, RegistryId: id, CatalogData: &types.RepositoryCatalogDataInput{Description: ptr("Another")},
	}, &sdk.PutRepositoryCatalogDataOutput{CatalogData: shown})
	out(t, c.GetRepositoryCatalogData, &sdk.GetRepositoryCatalogDataInput{RepositoryName: hat}, &sdk.GetRepositoryCatalogDataOutput{CatalogData: shown})

	// Without catalog data there is an empty object all the same, at creation and later: what
	// Terraform reads (section 2.2).
	coat := ptr("coat")
	bare := types.Repository{RepositoryArn: ptr("arn:aws:ecr-public::123456789012:repository/coat"), RegistryId: id, RepositoryName: coat, RepositoryUri: ptr(host + "/acme/coat")}
	out(t, c.CreateRepository, &sdk.CreateRepositoryInput{RepositoryName: coat}, &sdk.CreateRepositoryOutput{Repository: &bare, CatalogData: &types.RepositoryCatalogData{}})
	out(t, c.GetRepositoryCatalogData, &sdk.GetRepositoryCatalogDataInput{RepositoryName: coat}, &sdk.GetRepositoryCatalogDataOutput{CatalogData: &types.RepositoryCatalogData{}})
	same(t, "body", c.send("GetRepositoryCatalogData", object{"repositoryName": "coat"}).body, `{"catalogData":{}}`)

	all := &sdk.DescribeRepositoriesOutput{Repositories: []types.Repository{bare, repo}}
	out(t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{}, all)
	out(t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{RegistryId: id}, all)
	out(t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"team/hat"}}, &sdk.DescribeRepositoriesOutput{Repositories: []types.Repository{repo}})

	arn := ptr(arnHat)
	out(t, c.TagResource, &sdk.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: ptr("team"), Value: ptr("felt")}, {Key: ptr("a"), Value: ptr("")}}}, &sdk.TagResourceOutput{})
	out(t, c.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceArn: arn}, &sdk.ListTagsForResourceOutput{
		Tags: []types.Tag{{Key: ptr("a"), Value: ptr("")}, {Key: ptr("team"), Value: ptr("felt")}},
	})
	out(t, c.UntagResource, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team", "never"}}, &sdk.UntagResourceOutput{})
	out(t, c.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceArn: arn}, &sdk.ListTagsForResourceOutput{Tags: []types.Tag{{Key: ptr("a"), Value: ptr("")}}})
	same(t, "body", c.send("TagResource", object{"resourceArn": arnHat, "tags": []any{}}).body, `{}`)
	same(t, "body", c.send("UntagResource", object{"resourceArn": arnHat, "tagKeys": []any{}}).body, `{}`)

	text := ptr(document(to(statement("Allow", "DescribeImages"), "arn:aws:iam::"+accountB+":root")))
	out(t, c.SetRepositoryPolicy, &sdk.SetRepositoryPolicyInput{RepositoryName: hat, RegistryId: id, PolicyText: text}, &sdk.SetRepositoryPolicyOutput{RegistryId: id, RepositoryName: hat, PolicyText: text})
	out(t, c.GetRepositoryPolicy, &sdk.GetRepositoryPolicyInput{RepositoryName: hat}, &sdk.GetRepositoryPolicyOutput{RegistryId: id, RepositoryName: hat, PolicyText: text})
	out(t, c.DeleteRepositoryPolicy, &sdk.DeleteRepositoryPolicyInput{RepositoryName: hat}, &sdk.DeleteRepositoryPolicyOutput{RegistryId: id, RepositoryName: hat, PolicyText: text})

	out(t, c.DeleteRepository, &sdk.DeleteRepositoryInput{RepositoryName: coat}, &sdk.DeleteRepositoryOutput{Repository: &bare})
	c.push("team/hat", imageOf("x"), "v1")
	out(t, c.DeleteRepository, &sdk.DeleteRepositoryInput{RepositoryName: hat, RegistryId: id, Force: true}, &sdk.DeleteRepositoryOutput{Repository: &repo})
	out(t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{}, &sdk.DescribeRepositoriesOutput{Repositories: []types.Repository{}})

	// What belonged to the deleted one is not the new one's.
	c.create("team/hat")
	out(t, c.GetRepositoryCatalogData, &sdk.GetRepositoryCatalogDataInput{RepositoryName: hat}, &sdk.GetRepositoryCatalogDataOutput{CatalogData: &types.RepositoryCatalogData{}})
	out(t, c.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceArn: arn}, &sdk.ListTagsForResourceOutput{Tags: []types.Tag{}})
	out(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: hat}, &sdk.DescribeImagesOutput{ImageDetails: []types.ImageDetail{}})
}

// The operations on layers and images, from an account that had no registry before.
func TestOperationsOnImages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, hat, id := w.b, ptr("hat"), ptr(accountB)
	c.create("hat")
	registries := out(t, c.DescribeRegistries, &sdk.DescribeRegistriesInput{}, nil)
	alias := aws.ToString(registries.Registries[0].Aliases[0].Name)
	if !regexp.MustCompile(`^([a-z][0-9]){4}$`).MatchString(alias) {
		t.Errorf("the default alias is %q", alias)
	}
	i := imageOf("a layer")

	// What is answered is the account in each case: its shape is RegistryId, where an alias
	// has no place (section 2.1).
	for _, registry := range []*string{nil, id, &alias} {
		start := out(t, c.InitiateLayerUpload, &sdk.InitiateLayerUploadInput{RepositoryName: hat, RegistryId: registry}, nil)
		same(t, "part size", aws.ToInt64(start.PartSize), int64(10<<20))
		if !uuid.MatchString(aws.ToString(start.UploadId)) {
			t.Errorf("the upload's id is %q", *start.UploadId)
		}
		out(t, c.UploadLayerPart, &sdk.UploadLayerPartInput{
			RegistryId: registry, RepositoryName: hat, UploadId: start.UploadId, PartFirstByte: ptr(int64(0)), PartLastByte: ptr(int64(6)), LayerPartBlob: i.layer,
		}, &sdk.UploadLayerPartOutput{RegistryId: id, RepositoryName: hat, UploadId: start.UploadId, LastByteReceived: ptr(int64(6))})
		layer := append([]byte(aws.ToString(registry)), i.layer...)
		start = out(t, c.InitiateLayerUpload, &sdk.InitiateLayerUploadInput{RepositoryName: hat, RegistryId: registry}, nil)
		must(part(t.Context(), c.Client, "hat", *start.UploadId, 0, layer))(t)
		out(t, c.CompleteLayerUpload, &sdk.CompleteLayerUploadInput{RegistryId: registry, RepositoryName: hat, UploadId: start.UploadId, LayerDigests: []string{sha(layer)}},
			&sdk.CompleteLayerUploadOutput{RegistryId: id, RepositoryName: hat, UploadId: start.UploadId, LayerDigest: ptr(sha(layer))})
	}
	c.upload("hat", i.config)

	checked := out(t, c.BatchCheckLayerAvailability, &sdk.BatchCheckLayerAvailabilityInput{
		RepositoryName: hat, LayerDigests: []string{sha(i.layer), sha([]byte("another")), "", "no digest"},
	}, nil)
	if len(checked.Layers) == 2 && aws.ToString(checked.Layers[0].MediaType) == "" {
		t.Error("a layer that is there has no media type")
	}
	for n := range checked.Layers {
		checked.Layers[n].MediaType = nil
	}
	for n := range checked.Failures {
		if aws.ToString(checked.Failures[n].FailureReason) == "" {
			t.Error("a failure has no reason")
		}
		checked.Failures[n].FailureReason = nil
	}
	if d := cmp.Diff(&sdk.BatchCheckLayerAvailabilityOutput{
		Layers: []types.Layer{
			{LayerDigest: ptr(sha(i.layer)), LayerAvailability: types.LayerAvailabilityAvailable, LayerSize: ptr(int64(7))},
			{LayerDigest: ptr(sha([]byte("another"))), LayerAvailability: types.LayerAvailabilityUnavailable},
		},
		Failures: []types.LayerFailure{
			{LayerDigest: ptr(""), FailureCode: types.LayerFailureCodeMissingLayerDigest},
			{LayerDigest: ptr("no digest"), FailureCode: types.LayerFailureCodeInvalidLayerDigest},
		},
	}, checked, plain); d != "" {
		t.Errorf("BatchCheckLayerAvailability (-want +got):\n%s", d)
	}

	put := func(i image, tag, mediaType, digest *string) {
		t.Helper()
		out(t, c.PutImage, &sdk.PutImageInput{RepositoryName: hat, ImageManifest: &i.raw, ImageTag: tag, ImageManifestMediaType: mediaType, ImageDigest: digest}, &sdk.PutImageOutput{Image: &types.Image{
			RegistryId: id, RepositoryName: hat, ImageId: &types.ImageIdentifier{ImageDigest: &i.digest, ImageTag: tag}, ImageManifest: &i.raw, ImageManifestMediaType: ptr(mediaTypeOf(i)),
		}})
	}
	put(i, ptr("v1"), nil, nil)
	put(i, ptr("v2"), ptr(ociImage), &i.digest) // another tag for the same manifest
	// One that does not say what it is (section 2.3: the media type is then required).
	silent := i
	silent.raw = strings.Replace(i.raw, `"mediaType":"`+ociImage+`",`, "", 1)
	silent.digest = sha([]byte(silent.raw))
	put(silent, nil, ptr(ociImage), nil)
	index := indexOf(i)
	put(index, ptr("all"), nil, nil)

	size := ptr(int64(len(i.config) + len(i.layer)))
	detail := func(digest string, mediaType, artifact *string, tags ...string) types.ImageDetail {
		return types.ImageDetail{
			RegistryId: id, RepositoryName: hat, ImageDigest: &digest, ImageTags: tags, ImageSizeInBytes: size, ImageManifestMediaType: mediaType, ArtifactMediaType: artifact,
		}
	}
	details := map[string]types.ImageDetail{
		i.digest:      detail(i.digest, ptr(ociImage), ptr(ociConfig), "v1", "v2"),
		silent.digest: detail(silent.digest, ptr(ociImage), ptr(ociConfig)),
		index.digest:  detail(index.digest, ptr(ociIndex), nil, "all"), // the size of the largest within
	}
	var list []types.ImageDetail
	for _, digest := range slices.Sorted(maps.Keys(details)) {
		list = append(list, details[digest])
	}
	out(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: hat}, &sdk.DescribeImagesOutput{ImageDetails: list})
	out(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: hat, RegistryId: id, ImageIds: []types.ImageIdentifier{
		{ImageTag: ptr("all")}, {ImageDigest: &i.digest}, {ImageDigest: &i.digest, ImageTag: ptr("v2")},
	}}, &sdk.DescribeImagesOutput{ImageDetails: []types.ImageDetail{details[index.digest], details[i.digest]}})

	tag := func(name string, d types.ImageDetail) types.ImageTagDetail {
		return types.ImageTagDetail{ImageTag: &name, ImageDetail: &types.ReferencedImageDetail{
			ImageDigest: d.ImageDigest, ImageSizeInBytes: d.ImageSizeInBytes, ImageManifestMediaType: d.ImageManifestMediaType, ArtifactMediaType: d.ArtifactMediaType,
		}}
	}
	out(t, c.DescribeImageTags, &sdk.DescribeImageTagsInput{RepositoryName: hat, RegistryId: id}, &sdk.DescribeImageTagsOutput{ImageTagDetails: []types.ImageTagDetail{
		tag("all", details[index.digest]), tag("v1", details[i.digest]), tag("v2", details[i.digest]),
	}})

	out(t, c.BatchDeleteImage, &sdk.BatchDeleteImageInput{RepositoryName: hat, RegistryId: &alias, ImageIds: []types.ImageIdentifier{
		{ImageTag: ptr("v2")}, {ImageTag: ptr("nope")}, {ImageDigest: &silent.digest},
	}}, &sdk.BatchDeleteImageOutput{
		ImageIds: []types.ImageIdentifier{{ImageTag: ptr("v2"), ImageDigest: &i.digest}, {ImageDigest: &silent.digest}},
		Failures: []types.ImageFailure{{
			ImageId: &types.ImageIdentifier{ImageTag: ptr("nope")}, FailureCode: types.ImageFailureCodeImageNotFound, FailureReason: ptr("Requested image not found"),
		}},
	})
}

func mediaTypeOf(i image) string {
	if i.config == nil {
		return ociIndex
	}
	return ociImage
}

func TestOperationsOnRegistries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := func(account, uri string, aliases ...types.RegistryAlias) *sdk.DescribeRegistriesOutput {
		return &sdk.DescribeRegistriesOutput{Registries: []types.Registry{{
			RegistryId: &account, RegistryArn: ptr("arn:aws:ecr-public::" + account + ":registry/" + account), RegistryUri: &uri, Verified: ptr(false), Aliases: aliases,
		}}}
	}
	alias := func(name string, status types.RegistryAliasStatus, primary, given bool) types.RegistryAlias {
		return types.RegistryAlias{Name: &name, Status: status, PrimaryRegistryAlias: primary, DefaultRegistryAlias: given}
	}
	out(t, w.a.DescribeRegistries, &sdk.DescribeRegistriesInput{}, of(accountA, host+"/acme", alias("acme", types.RegistryAliasStatusActive, true, false)))
	if err := w.SetVerified(t.Context(), accountA, true); err != nil {
		t.Fatal(err)
	}
	verified := of(accountA, host+"/acme", alias("acme", types.RegistryAliasStatusActive, true, false))
	verified.Registries[0].Verified = ptr(true)
	out(t, w.a.DescribeRegistries, &sdk.DescribeRegistriesInput{MaxResults: ptr(int32(1))}, verified)

	none := &types.RegistryCatalogData{}
	out(t, w.a.GetRegistryCatalogData, &sdk.GetRegistryCatalogDataInput{}, &sdk.GetRegistryCatalogDataOutput{RegistryCatalogData: none})
	acme := &types.RegistryCatalogData{DisplayName: ptr("Acme & Söhne")}
	out(t, w.a.PutRegistryCatalogData, &sdk.PutRegistryCatalogDataInput{DisplayName: acme.DisplayName}, &sdk.PutRegistryCatalogDataOutput{RegistryCatalogData: acme})
	out(t, w.a.GetRegistryCatalogData, &sdk.GetRegistryCatalogDataInput{}, &sdk.GetRegistryCatalogDataOutput{RegistryCatalogData: acme})
	out(t, w.a.PutRegistryCatalogData, &sdk.PutRegistryCatalogDataInput{DisplayName: ptr("")}, &sdk.PutRegistryCatalogDataOutput{RegistryCatalogData: none})
	out(t, w.a.GetRegistryCatalogData, &sdk.GetRegistryCatalogDataInput{}, &sdk.GetRegistryCatalogDataOutput{RegistryCatalogData: none})
	out(t, w.b.GetRegistryCatalogData, &sdk.GetRegistryCatalogDataInput{}, &sdk.GetRegistryCatalogDataOutput{RegistryCatalogData: none})

	// The first repository brings the default alias, which is primary until another comes.
	out(t, w.b.DescribeRegistries, &sdk.DescribeRegistriesInput{}, &sdk.DescribeRegistriesOutput{Registries: []types.Registry{}})
	made := must(w.b.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: ptr("hat")}))(t)
	given, _, _ := strings.Cut(strings.TrimPrefix(*made.Repository.RepositoryUri, host+"/"), "/")
	out(t, w.b.DescribeRegistries, &sdk.DescribeRegistriesInput{}, of(accountB, host+"/"+given, alias(given, types.RegistryAliasStatusActive, true, true)))
}

func TestAuthorizationToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	w.a.push("hat", imageOf("x"), "v1")
	got := must(w.a.GetAuthorizationToken(t.Context(), &sdk.GetAuthorizationTokenInput{}))(t).AuthorizationData
	if d := time.Until(*got.ExpiresAt); d < 12*time.Hour-time.Minute || d > 12*time.Hour+time.Second {
		t.Errorf("the token is good for %s, want 12 hours", d)
	}
	decoded := string(must(base64.StdEncoding.DecodeString(*got.AuthorizationToken))(t))
	user, password, _ := strings.Cut(decoded, ":")
	if user != "AWS" || password == "" || strings.Contains(password, ":") || strings.ContainsAny(*got.AuthorizationToken, " \r\n") {
		t.Errorf("the token is base64 of %s, want AWS:PASSWORD, where the password has no colon", decoded)
	}
	for what, auth := range map[string]string{"Basic": "Basic " + *got.AuthorizationToken, "the whole behind Bearer": "Bearer " + *got.AuthorizationToken} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", base+"/v2/acme/hat/blobs/uploads/", nil)
		req.Header.Set("Authorization", auth)
		if r := w.do(req); r.status != http.StatusAccepted {
			t.Errorf("%s: an upload is answered %d: %s", what, r.status, r.body)
		}
	}
}

// The alias operations have no client, so they are asked for by hand.
func TestOperationsOnAliases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := func() (list []string) {
		t.Helper()
		for _, r := range must(w.a.DescribeRegistries(t.Context(), &sdk.DescribeRegistriesInput{}))(t).Registries {
			for _, a := range r.Aliases {
				s := *a.Name + " " + string(a.Status)
				if a.PrimaryRegistryAlias {
					s += " primary"
				}
				list = append(list, s)
			}
		}
		return list
	}
	same(t, "requests", w.a.send("DescribeRegistryAliasRequests", object{}).ok(), object{"aliasRequests": []any{}})
	asked := w.a.send("RequestRegistryAlias", object{"registryAliasName": "acme-labs"}).ok()["aliasRequest"].(object)
	for _, member := range []string{"requestedAt", "decidedAt"} {
		at, ok := asked[member].(float64)
		if now := float64(time.Now().Unix()); !ok || math.Abs(now-at) > 60 {
			t.Errorf("%s is %v, want seconds since 1970 as a number", member, asked[member])
		}
	}
	same(t, "name and status", []any{asked["registryAliasName"], asked["status"]}, []any{"acme-labs", "ACTIVE"})
	same(t, "requests", w.a.send("DescribeRegistryAliasRequests", object{}).ok()["aliasRequests"], any([]any{asked}))
	same(t, "aliases", names(), []string{"acme ACTIVE primary", "acme-labs ACTIVE"})

	same(t, "body", w.a.send("SetPrimaryRegistryAlias", object{"registryAliasName": "acme-labs"}).body, "{}")
	same(t, "aliases", names(), []string{"acme ACTIVE", "acme-labs ACTIVE primary"})
	made := must(w.a.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: ptr("hat")}))(t)
	same(t, "URI", *made.Repository.RepositoryUri, host+"/acme-labs/hat")

	same(t, "body", w.a.send("DeleteRegistryAlias", object{"registryAliasName": "acme-labs"}).body, "{}")
	same(t, "aliases", names(), []string{"acme ACTIVE primary"})
	for _, operation := range []string{"SetPrimaryRegistryAlias", "DeleteRegistryAlias"} {
		for _, name := range []string{"acme-labs", "unknown"} {
			w.a.send(operation, object{"registryAliasName": name}).want("InvalidParameterException")
			w.b.send(operation, object{"registryAliasName": "acme"}).want("InvalidParameterException")
		}
	}
	w.b.send("RequestRegistryAlias", object{"registryAliasName": "acme"}).want("InvalidParameterException")
	got := w.a.send("RequestRegistryAlias", object{"registryAliasName": "Acme"}).want("InvalidParameterException").message()
	same(t, "message", got, "Invalid parameter at 'registryAliasName' failed to satisfy constraint: 'Member must satisfy regular expression pattern: [a-z][a-z0-9]+(?:[._-][a-z0-9]+)*'")
}
