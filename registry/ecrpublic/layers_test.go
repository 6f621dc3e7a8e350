package ecrpublic_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
)

// get asks for something as anybody may: with a token for it that needs no credentials.
func (w *world) get(path, scope string, header ...string) *reply {
	w.t.Helper()
	send := func(path, auth string) *reply {
		req, err := http.NewRequestWithContext(w.t.Context(), "GET", base+path, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		return w.do(req)
	}
	if scope == "" {
		return send(path, "")
	}
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(send("/token?service="+host+"&scope="+scope, "").body), &token); err != nil {
		w.t.Fatal(err)
	}
	return send(path, "Bearer "+token.Token)
}

const (
	mib     = 1 << 20
	minPart = 5 * mib
)

// pattern is bytes of which no two runs are the same.
func pattern(n int) []byte {
	raw := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(raw) //nolint:errcheck // it cannot fail
	return raw
}

// A layer in parts, whose client loses its place twice and goes on from what the error
// says, and the image of it, pulled by anybody.
func TestPushByTheControlPlaneAndPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	ctx := t.Context()
	layer := pattern(2*minPart + 1000)
	start := must(w.a.InitiateLayerUpload(ctx, &sdk.InitiateLayerUploadInput{RepositoryName: ptr("hat"), RegistryId: ptr(aliasA)}))(t)
	// The offsets at which the client believes to be: three times it is wrong.
	at := 0
	for _, wrong := range []int{1, 0, -1, 0, -minPart, 0} {
		first := at + wrong
		size := min(minPart, len(layer)-first)
		out, err := part(ctx, w.a.Client, "hat", *start.UploadId, int64(first), layer[first:first+size])
		switch e, ok := errors.AsType[*types.InvalidLayerPartException](err); {
		case ok && wrong != 0:
			same(t, "where to go on", int(*e.LastValidByteReceived)+1, at)
		case err != nil || wrong != 0:
			t.Fatalf("a part from %d on, at %d: %v", first, at, err)
		default:
			at = int(*out.LastByteReceived) + 1
		}
	}
	same(t, "bytes that have come", at, len(layer))
	if err := finish(ctx, w.a.Client, "hat", *start.UploadId, layer); err != nil {
		t.Fatal(err)
	}

	i := imageOf("unused")
	i.layer = layer
	i.raw = strings.NewReplacer(sha([]byte("unused")), sha(layer), `"size":6`, fmt.Sprintf(`"size":%d`, len(layer))).Replace(i.raw)
	i.digest = sha([]byte(i.raw))
	w.a.upload("hat", i.config)
	must(w.a.PutImage(ctx, &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: &i.raw, ImageTag: ptr("v1")}))(t)

	scope := "repository:acme/hat:pull"
	r := w.get("/v2/acme/hat/manifests/v1", scope, "Accept", ociImage)
	same(t, "manifest", []any{r.status, r.body, r.header.Get("Docker-Content-Digest")}, []any{200, i.raw, i.digest})
	r = w.get("/v2/acme/hat/blobs/"+sha(layer), scope)
	if r.status != 200 || r.body != string(layer) {
		t.Errorf("the layer: status %d and %d bytes, want %d", r.status, len(r.body), len(layer))
	}
	r = w.get("/v2/acme/hat/blobs/"+sha(i.config), scope)
	same(t, "config", r.body, string(i.config))
}

// Only the last part may be small. What is too small is told at the end and leaves the
// upload as it is.
func TestSmallParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	ctx := t.Context()
	random := pattern(10*mib + 1)
	for _, test := range []struct {
		name  string
		sizes []int
		want  string
	}{
		{"one small part", []int{1}, ""},
		{"small last part", []int{minPart, 1}, ""},
		{"small first part", []int{minPart - 1, minPart}, "*types.LayerPartTooSmallException"},
		{"small part in the middle", []int{minPart, 1, minPart}, "*types.LayerPartTooSmallException"},
	} {
		id := must(begin(ctx, w.a.Client, "hat", nil))(t)
		layer := append([]byte(test.name), random...)
		at := 0
		for _, size := range test.sizes {
			must(part(ctx, w.a.Client, "hat", id, int64(at), layer[at:at+size]))(t)
			at += size
		}
		err := finish(ctx, w.a.Client, "hat", id, layer[:at])
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if kind, message := typed(err); kind != test.want {
			t.Errorf("%s: %s: %s", test.name, kind, message)
		}
		r := w.get("/v2/acme/hat/blobs/"+sha(layer[:at]), "repository:acme/hat:pull")
		same(t, test.name+": status of the layer", r.status, 404)
	}
}

// What ends an upload, ends it once.
func TestEndsOfUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat", "coat")
	ctx, raw := t.Context(), []byte("a layer")
	id := must(begin(ctx, w.a.Client, "hat", raw))(t)
	if kind, _ := typed(finish(ctx, w.a.Client, "hat", id, []byte("other"))); kind != "*types.InvalidLayerException" {
		t.Errorf("a wrong digest: %s", kind)
	}
	same(t, "status of the layer", w.get("/v2/acme/hat/blobs/"+sha([]byte("other")), "repository:acme/hat:pull").status, 404)

	id = must(begin(ctx, w.a.Client, "hat", raw))(t)
	if err := finish(ctx, w.a.Client, "hat", id, raw); err != nil {
		t.Fatal(err)
	}
	if kind, _ := typed(finish(ctx, w.a.Client, "hat", id, raw)); kind != "*types.UploadNotFoundException" {
		t.Errorf("the end of one that has ended: %s", kind)
	}
	if kind, _ := typed(of(part(ctx, w.a.Client, "hat", id, 7, raw))); kind != "*types.UploadNotFoundException" {
		t.Errorf("a part of one that has ended: %s", kind)
	}
	// A layer is known by repository: of another one, it must be uploaded again.
	r := w.a.send("BatchCheckLayerAvailability", object{"repositoryName": "coat", "layerDigests": []string{sha(raw)}}).ok()
	if !strings.Contains(marshal(r), "UNAVAILABLE") {
		t.Errorf("the layer of another repository is there: %v", r)
	}
	w.a.upload("coat", raw)
}

// Many end one upload at a time: one of them succeeds.
func TestEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	ctx, raw := t.Context(), []byte("a layer")
	id := must(begin(ctx, w.a.Client, "hat", raw))(t)
	var (
		all   sync.WaitGroup
		kinds = make([]string, 8)
	)
	for i := range kinds {
		all.Go(func() {
			if err := finish(ctx, w.a.Client, "hat", id, raw); err != nil {
				kinds[i], _ = typed(err)
			}
		})
	}
	all.Wait()
	won := 0
	for _, kind := range kinds {
		switch kind {
		case "":
			won++
		case "*types.UploadNotFoundException", "*types.LayerAlreadyExistsException":
		default:
			t.Errorf("one of many: %s", kind)
		}
	}
	same(t, "successes", won, 1)
}

// A part is there once, however often it is sent at a time.
func TestPartsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	ctx, raw := t.Context(), pattern(1000)
	id := must(begin(ctx, w.a.Client, "hat", nil))(t)
	var (
		all   sync.WaitGroup
		kinds = make([]string, 8)
	)
	for i := range kinds {
		all.Go(func() {
			if _, err := part(ctx, w.a.Client, "hat", id, 0, raw); err != nil {
				kinds[i], _ = typed(err)
			}
		})
	}
	all.Wait()
	for _, kind := range kinds {
		if kind != "" && kind != "*types.InvalidLayerPartException" {
			t.Errorf("one of many: %s", kind)
		}
	}
	if err := finish(ctx, w.a.Client, "hat", id, raw); err != nil {
		t.Errorf("the layer is not what was sent: %v", err)
	}
}

// BatchDeleteImage, by section 2.3. Each case begins with three images, an index of the
// first, and tags.
func TestBatchDeleteImage(t *testing.T) {
	t.Parallel()
	one, two, bare := imageOf("one"), imageOf("two"), imageOf("bare")
	index := indexOf(one)
	for _, test := range []struct {
		name     string
		ids      []any
		deleted  []string // tag@digest, by text
		failures []string // tag@digest code: reason
		left     []string // digest: tags
	}{
		{
			"tag of two", []any{object{"imageTag": "t1"}},
			[]string{"t1@" + two.digest}, nil, []string{one.digest + ": v1", two.digest + ": t2", bare.digest + ":", index.digest + ": all"},
		},
		{
			"both tags, which deletes the image", []any{object{"imageTag": "t1"}, object{"imageTag": "t2"}},
			[]string{"t1@" + two.digest, "t2@" + two.digest}, nil, []string{one.digest + ": v1", bare.digest + ":", index.digest + ": all"},
		},
		{
			"digest, with all its tags", []any{object{"imageDigest": two.digest}},
			[]string{"t1@" + two.digest, "t2@" + two.digest}, nil, []string{one.digest + ": v1", bare.digest + ":", index.digest + ": all"},
		},
		{
			"digest without tags", []any{object{"imageDigest": bare.digest}},
			[]string{"@" + bare.digest}, nil, []string{one.digest + ": v1", two.digest + ": t1 t2", index.digest + ": all"},
		},
		{
			"image of an index", []any{object{"imageDigest": one.digest}},
			nil, []string{"@" + one.digest + " ImageReferencedByManifestList: Requested image referenced by manifest list: [" + index.digest + "]"},
			[]string{one.digest + ": v1", two.digest + ": t1 t2", bare.digest + ":", index.digest + ": all"},
		},
		{
			"index and then its image", []any{object{"imageTag": "all"}, object{"imageDigest": one.digest}},
			[]string{"all@" + index.digest, "v1@" + one.digest}, nil, []string{two.digest + ": t1 t2", bare.digest + ":"},
		},
		{
			"tag and digest", []any{object{"imageTag": "t1", "imageDigest": two.digest}},
			[]string{"t1@" + two.digest}, nil, []string{one.digest + ": v1", two.digest + ": t2", bare.digest + ":", index.digest + ": all"},
		},
		{
			"what cannot be, and what can", []any{
				object{}, object{"imageDigest": "no digest"}, object{"imageTag": "nope"}, object{"imageDigest": sha([]byte("nope"))},
				object{"imageTag": "t1", "imageDigest": bare.digest}, object{"imageTag": "t1"},
			},
			[]string{"t1@" + two.digest},
			[]string{
				"@ MissingDigestAndTag: Invalid request parameters: both tag and digest cannot be null",
				"@" + sha([]byte("nope")) + " ImageNotFound: Requested image not found",
				"@no digest InvalidImageDigest: Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
				"nope@ ImageNotFound: Requested image not found",
				"t1@" + bare.digest + " ImageTagDoesNotMatchDigest",
			},
			[]string{one.digest + ": v1", two.digest + ": t2", bare.digest + ":", index.digest + ": all"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.a.create("hat")
			w.a.push("hat", one, "v1")
			w.a.push("hat", two, "t1", "t2")
			w.a.push("hat", bare)
			w.a.push("hat", index, "all")
			w.t = t
			var out struct {
				ImageIds []types.ImageIdentifier
				Failures []types.ImageFailure
			}
			r := w.a.send("BatchDeleteImage", object{"repositoryName": "hat", "imageIds": test.ids})
			if err := json.Unmarshal([]byte(r.body), &out); err != nil || r.status != 200 {
				t.Fatalf("status %d: %s", r.status, r.body)
			}
			text := func(id types.ImageIdentifier) string {
				var tag, digest string
				if id.ImageTag != nil {
					tag = *id.ImageTag
				}
				if id.ImageDigest != nil {
					digest = *id.ImageDigest
				}
				return tag + "@" + digest
			}
			var deleted, failures, left []string
			for _, id := range out.ImageIds {
				deleted = append(deleted, text(id))
			}
			for _, f := range out.Failures {
				s := text(*f.ImageId) + " " + string(f.FailureCode)
				if f.FailureCode != types.ImageFailureCodeImageTagDoesNotMatchDigest { // whose words nobody has seen
					s += ": " + *f.FailureReason
				}
				failures = append(failures, s)
			}
			for _, d := range must(w.a.DescribeImages(t.Context(), &sdk.DescribeImagesInput{RepositoryName: ptr("hat")}))(t).ImageDetails {
				left = append(left, strings.TrimSpace(*d.ImageDigest+": "+strings.Join(d.ImageTags, " ")))
			}
			for _, list := range [][]string{deleted, failures, left, test.left, test.deleted, test.failures} {
				slices.Sort(list)
			}
			same(t, "deleted", deleted, test.deleted)
			same(t, "failures", failures, test.failures)
			same(t, "left", left, test.left)
		})
	}
}

// Tags move to a new image and leave the old one without (section 2.3), and the history of
// pushes changes nothing of when an image came.
func TestPutImageMovesTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	one, two := imageOf("one"), imageOf("two")
	w.a.push("hat", one, "latest")
	w.a.push("hat", two)
	must(w.a.PutImage(t.Context(), &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: &two.raw, ImageTag: ptr("latest")}))(t)
	tags := map[string][]string{}
	for _, d := range must(w.a.DescribeImages(t.Context(), &sdk.DescribeImagesInput{RepositoryName: ptr("hat")}))(t).ImageDetails {
		tags[*d.ImageDigest] = d.ImageTags
	}
	same(t, "tags", tags, map[string][]string{one.digest: nil, two.digest: {"latest"}})
	err := of(w.a.PutImage(t.Context(), &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: &two.raw}))
	if kind, _ := typed(err); kind != "*types.ImageAlreadyExistsException" {
		t.Errorf("an image that is there, without a tag: %s", kind)
	}
}

// Manifests are kept byte for byte, whatever the JSON that carried them looked like.
func TestManifestsAreKeptByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	i := imageOf("x")
	w.a.push("hat", i)
	odd := strings.Replace(i.raw, `"schemaVersion":2`, "\n\t\"annotations\" : {\"a\":\"<&>\u2028 \\u00e9 é 👒 \\\" \\/\"},\r\n \"schemaVersion\" :2", 1)
	out := must(w.a.PutImage(t.Context(), &sdk.PutImageInput{RepositoryName: ptr("hat"), ImageManifest: &odd, ImageTag: ptr("odd"), ImageDigest: ptr(sha([]byte(odd)))}))(t)
	same(t, "manifest", *out.Image.ImageManifest, odd)
	r := w.get("/v2/acme/hat/manifests/odd", "repository:acme/hat:pull", "Accept", ociImage)
	if !bytes.Equal([]byte(r.body), []byte(odd)) {
		t.Errorf("the manifest is\n%q, want\n%q", r.body, odd)
	}
}
