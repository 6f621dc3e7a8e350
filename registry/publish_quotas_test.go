package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// numbered is a manifest that needs nothing, different for each number.
func numbered(n int) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[],"annotations":{"n":"%d"}}`, ociIndex, n)
}

func withQuotas(q registry.Quotas) func(*registry.Config) {
	return func(c *registry.Config) { c.Quotas = q }
}

func TestQuotaOfRepositories(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withQuotas(registry.Quotas{Repositories: 3}))
	ctx := t.Context()
	owner := s.Owner()
	for i := range 2 {
		wantErr(t, "create", second(owner.CreateRepository(ctx, fmt.Sprintf("test/hat%d", i), nil)), nil)
	}
	s.Push("test/pushed", registrytest.Image{}, "v1")
	wantErr(t, "one too many", second(owner.CreateRepository(ctx, "test/hat3", nil)), registry.ErrQuota)
	wantErr(t, "one too many by a push", second(owner.PushManifest(ctx, "test/hat3", "", numbered(1))), registry.ErrQuota)
	wantErr(t, "one that exists", second(owner.CreateRepository(ctx, "test/hat1", nil)), registry.ErrNameExists)
	wantErr(t, "a push to one that exists", second(owner.PushManifest(ctx, "test/hat1", "", numbered(1))), nil)
	wantErr(t, "of another account", second(s.As(rootOf(account1)).CreateRepository(ctx, account1+"/hat", nil)), nil)
	wantErr(t, "delete", second(owner.DeleteRepository(ctx, "test/hat0", false)), nil)
	wantErr(t, "in its place", second(owner.CreateRepository(ctx, "test/hat3", nil)), nil)
	wantErr(t, "one too many again", second(owner.CreateRepository(ctx, "test/hat4", nil)), registry.ErrQuota)
}

// One node fills a repository to the last image, and not beyond, however far it counts ahead.
func TestQuotaOfImages(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 3, 16, 17, 18, 33, 100} {
		s := registrytest.New(t, withQuotas(registry.Quotas{Images: limit}))
		ctx := t.Context()
		push := func(n int) error {
			d := manifest.SHA256.FromBytes(numbered(n))
			_, err := s.Owner().PutImage(ctx, "test/hat", "", numbered(n), "", d)
			return err
		}
		if _, err := s.Owner().CreateRepository(ctx, "test/hat", nil); err != nil {
			t.Fatal(err)
		}
		for i := range limit {
			if err := push(i); err != nil {
				t.Fatalf("limit %d: image %d: %v", limit, i+1, err)
			}
		}
		for range 2 {
			wantErr(t, fmt.Sprintf("limit %d, one too many", limit), push(limit), registry.ErrQuota)
		}
		if n := len(collect(t, s.Owner().Images(ctx, "test/hat", ""))); n != limit {
			t.Errorf("limit %d: there are %d images", limit, n)
		}
		wantErr(t, "a tag for one that is there", second(s.Owner().PushManifest(ctx, "test/hat", "", numbered(0), "tag")), nil)
		wantErr(t, "another repository", second(s.Owner().PushManifest(ctx, "test/cap", "", numbered(0))), nil)
		wantErr(t, "delete", s.Owner().DeleteManifest(ctx, "test/hat", manifest.SHA256.FromBytes(numbered(0))), nil)
		wantErr(t, "in its place", push(limit), nil)
		wantErr(t, "one too many again", push(limit+1), registry.ErrQuota)
	}
}

// Several nodes at one repository exceed its quota by no more than each one's share, by turns
// or each at a stretch.
func TestQuotaOfImagesHoldsForSeveralNodes(t *testing.T) {
	t.Parallel()
	const limit, nodes = 100, 16
	for name, node := range map[string]func(i int) int{
		"by turns":     func(i int) int { return i % nodes },
		"at a stretch": func(i int) int { return i / 7 % nodes },
		"one begins":   func(i int) int { return max(0, i-20) % nodes },
	} {
		var regs []*registrytest.Server
		for range nodes {
			regs = append(regs, registrytest.New(t, withQuotas(registry.Quotas{Images: limit}), func(c *registry.Config) {
				if len(regs) > 0 {
					c.Store, c.Bucket, c.Issuer, c.Verifier = regs[0].Store, regs[0].Bucket, nil, nil
				}
			}))
		}
		for i := range 2 * limit {
			_, err := regs[node(i)].Owner().PushManifest(t.Context(), "test/hat", "", numbered(i))
			if err != nil && !errors.Is(err, registry.ErrQuota) {
				t.Fatal(err)
			}
		}
		n := len(collect(t, regs[0].Owner().Images(t.Context(), "test/hat", "")))
		if n < limit || n > limit+(nodes-1)*limit/16 {
			t.Errorf("%s: %d images, want %d or a little more", name, n, limit)
		}
	}
}

// A push that is refused for another reason does not use the quota up.
func TestRefusedPushesDoNotCount(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withQuotas(registry.Quotas{Images: 40}), func(c *registry.Config) { c.Guards = []registry.Guard{immutable{}} })
	ctx := t.Context()
	wantErr(t, "the first", second(s.Owner().PushManifest(ctx, "test/hat", "", numbered(0), "v1")), nil)
	for i := range 100 {
		wantErr(t, "a moved tag", second(s.Owner().PushManifest(ctx, "test/hat", "", numbered(1000+i), "v1")), registry.ErrDenied)
	}
	for i := range 39 {
		if _, err := s.Owner().PushManifest(ctx, "test/hat", "", numbered(i+1)); err != nil {
			t.Fatalf("image %d: %v", i+2, err)
		}
	}
	wantErr(t, "one too many", second(s.Owner().PushManifest(ctx, "test/hat", "", numbered(99))), registry.ErrQuota)
}

func TestQuotaOfTagsPerImage(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withQuotas(registry.Quotas{TagsPerImage: 3}))
	ctx := t.Context()
	push := func(n int, tags ...string) error {
		_, err := s.Owner().PushManifest(ctx, "test/hat", "", numbered(n), tags...)
		return err
	}
	wantErr(t, "up to the limit", push(1, "a", "b"), nil)
	wantErr(t, "the last", push(1, "c"), nil)
	wantErr(t, "one too many", push(1, "d"), registry.ErrQuota)
	wantErr(t, "one that it has", push(1, "a"), nil)
	wantErr(t, "all that it has", push(1, "c", "b", "a"), nil)
	wantErr(t, "one that it has, and one too many", push(1, "a", "d"), registry.ErrQuota)
	wantErr(t, "another image", push(2, "d"), nil)
	wantErr(t, "one from another image", push(1, "d"), registry.ErrQuota)
	wantErr(t, "one moves away", push(2, "a"), nil)
	wantErr(t, "another in its place", push(1, "e"), nil)
	wantErr(t, "one is deleted", s.Owner().DeleteTag(ctx, "test/hat", "e"), nil)
	wantErr(t, "another in its place", push(1, "f"), nil)
	wantErr(t, "by PutImage", second(s.Owner().PutImage(ctx, "test/hat", "", numbered(1), "g", "")), registry.ErrQuota)
	same(t, "tags", collect(t, s.Owner().Tags(ctx, "test/hat", "")), []string{"a", "b", "c", "d", "f"})
}

// A new image has as many tags at most as one that is there.
func TestQuotaOfTagsOfANewImage(t *testing.T) {
	t.Parallel()
	w := newWire(t, withQuotas(registry.Quotas{TagsPerImage: 3}))
	wantErr(t, "from Go", second(w.Owner().PushManifest(t.Context(), "test/hat", "", numbered(1), "a", "b", "c", "d")), registry.ErrQuota)
	w.send("PUT", "/v2/test/hat/manifests/a?tag=b&tag=c&tag=d", numbered(2), "Content-Type", ociIndex).is(403)
	wantErr(t, "one tag twice", second(w.Owner().PushManifest(t.Context(), "test/cap", "", numbered(3), "a", "b", "c", "a")), nil)
}

func TestQuotaOfLayerSize(t *testing.T) {
	t.Parallel()
	const limit = 1000
	exact, over := strings.Repeat("a", limit), strings.Repeat("b", limit+1)
	w := newWire(t, withQuotas(registry.Quotas{LayerSize: limit}))
	ctx := t.Context()
	if _, err := w.Owner().CreateRepository(ctx, "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	left := func(what string) {
		t.Helper()
		rows := w.rows()
		if keys := objects(t, w.Bucket); len(keys) > 0 || len(rows["blob"]) > 0 || len(rows["link"]) > 0 {
			t.Errorf("%s: objects %v, blobs %v, links %v", what, keys, rows["blob"], rows["link"])
		}
	}
	uploads := func(what string, want int) {
		t.Helper()
		if list := w.rows()["upload"]; len(list) != want {
			t.Errorf("%s: %d uploads are left, want %d", what, len(list), want)
		}
	}
	d := sha([]byte(over))
	w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+d, over).is(413)
	uploads("whole, of known length", 0)
	w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+d, io.MultiReader(strings.NewReader(over))).is(413)
	uploads("whole, of unknown length", 0)
	wantErr(t, "from Go", w.Owner().PushBlob(ctx, "test/hat", manifest.Digest(d), strings.NewReader(over)), registry.ErrTooLarge)
	uploads("from Go", 0)
	left("whole")

	location := w.start("test/hat")
	w.send("PATCH", location, over).is(413)
	left("a chunk of known length")
	w.send("PATCH", location, io.MultiReader(strings.NewReader(over))).is(413)
	left("a chunk of unknown length")
	w.send("PUT", closing(location, d), io.MultiReader(strings.NewReader(over))).is(413)
	left("the last chunk")
	// the upload is as it was, and can be finished
	w.send("PATCH", location, exact[:600]).is(202)
	w.send("PATCH", location, exact[:401]).is(413)
	w.send("PATCH", location, io.MultiReader(strings.NewReader(exact[:401]))).is(413)
	w.send("PUT", closing(location, d), exact[:401]).is(413)
	w.send("PUT", closing(location, sha([]byte(exact))), io.MultiReader(strings.NewReader(exact[:400]))).is(201)
	w.send("GET", "/v2/test/hat/blobs/"+sha([]byte(exact)), nil).is(200).content([]byte(exact))
	uploads("finished", 0)
	if n := len(objects(t, w.Bucket)); n != 2 {
		t.Errorf("%d objects, want two chunks", n)
	}
	wantErr(t, "exactly the limit from Go", w.Owner().PushBlob(ctx, "test/cap", manifest.Digest(sha([]byte(exact))), strings.NewReader(exact)), nil)
}

func TestQuotaOfLayerParts(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withQuotas(registry.Quotas{LayerParts: 2}))
	ctx := t.Context()
	owner := s.Owner()
	if _, err := owner.CreateRepository(ctx, "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	id, err := owner.StartLayer(ctx, "test/hat")
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Repeat([]byte("a"), registry.MinLayerPart)
	last, err := owner.PutLayerPart(ctx, "test/hat", id, 0, first)
	if err != nil || last != registry.MinLayerPart-1 {
		t.Fatalf("first part: %d, %v", last, err)
	}
	_, err = owner.PutLayerPart(ctx, "test/hat", id, 5, []byte("x"))
	if e, ok := errors.AsType[*registry.PartError](err); !ok || e.LastByte != registry.MinLayerPart-1 || !errors.Is(err, registry.ErrRange) {
		t.Errorf("a part that does not follow: %v", err)
	}
	if last, err = owner.PutLayerPart(ctx, "test/hat", id, last+1, []byte("bc")); err != nil || last != registry.MinLayerPart+1 {
		t.Fatalf("second part: %d, %v", last, err)
	}
	wantErr(t, "third part", second(owner.PutLayerPart(ctx, "test/hat", id, last+1, []byte("d"))), registry.ErrQuota)
	whole := manifest.SHA256.FromBytes(append(first, "bc"...))
	for _, d := range []manifest.Digest{"", "nonsense", "sha256:", "sha999:00", "sha256:zz", manifest.SHA256.FromString("other")} {
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("finish with digest %q panics: %v", d, p)
				}
			}()
			if err := owner.FinishLayer(ctx, "test/hat", id, d); err == nil {
				t.Errorf("finished with digest %q", d)
			}
		}()
	}
	wantErr(t, "finish", owner.FinishLayer(ctx, "test/hat", id, whole), nil)
	wantErr(t, "finish twice", owner.FinishLayer(ctx, "test/hat", id, whole), registry.ErrBlobUploadUnknown)
	found, err := owner.HasLayers(ctx, "test/hat", whole, emptyDigest, "nonsense")
	if wantErr(t, "layers", err, nil); err == nil {
		same(t, "layers", found, map[manifest.Digest]int64{whole: registry.MinLayerPart + 2})
	}
	for what, c := range map[string]struct {
		parts []string
		want  error
	}{
		"no parts":          {nil, registry.ErrUploadEmpty},
		"an empty part":     {[]string{""}, registry.ErrUploadEmpty},
		"a small part":      {[]string{"a", "b"}, registry.ErrLayerPartTooSmall},
		"one small part":    {[]string{"a"}, nil},
		"one that is there": {[]string{"a"}, registry.ErrLayerExists},
	} {
		t.Run(what, func(t *testing.T) {
			repo := "test/" + strings.ReplaceAll(what, " ", "-")
			if _, err := owner.CreateRepository(ctx, repo, nil); err != nil {
				t.Fatal(err)
			}
			content := strings.Join(c.parts, "")
			d := manifest.SHA256.FromString(content)
			if errors.Is(c.want, registry.ErrLayerExists) {
				wantErr(t, "push", owner.PushBlob(ctx, repo, d, strings.NewReader(content)), nil)
			}
			id, err := owner.StartLayer(ctx, repo)
			if err != nil {
				t.Fatal(err)
			}
			at := int64(0)
			for _, p := range c.parts {
				if last, err := owner.PutLayerPart(ctx, repo, id, at, []byte(p)); err != nil || last != at+int64(len(p))-1 {
					t.Fatalf("part at %d: %d, %v", at, last, err)
				}
				at += int64(len(p))
			}
			if n, err := owner.LayerReceived(ctx, repo, id); err != nil || n != at {
				t.Errorf("received %d, %v; want %d", n, err, at)
			}
			wantErr(t, "another principal's", second(s.As(mate).LayerReceived(ctx, repo, id)), registry.ErrBlobUploadUnknown)
			wantErr(t, "finish", owner.FinishLayer(ctx, repo, id, d), c.want)
		})
	}
}

// Quotas of less than 0 are none, and of 0 are ECR Public's.
func TestNoQuotas(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withQuotas(registry.Quotas{Repositories: -1, Images: -1, TagsPerImage: -1, LayerParts: -1, LayerSize: -1, Aliases: -1}))
	var tags []string
	for i := range 1001 {
		tags = append(tags, fmt.Sprintf("v%d", i))
	}
	s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("a layer")}}, "v1")
	d := s.Push("test/hat", registrytest.Image{}, "v1")
	raw, err := s.Owner().Manifest(t.Context(), "test/hat", "v1")
	if err != nil || raw.Digest != d.Digest {
		t.Fatal(err)
	}
	wantErr(t, "1,001 tags", second(s.Owner().PushManifest(t.Context(), "test/hat", "", raw.Raw, tags...)), nil)

	s = registrytest.New(t)
	wantErr(t, "one image", second(s.Owner().PushManifest(t.Context(), "test/hat", "", numbered(1))), nil)
	wantErr(t, "1,000 tags", second(s.Owner().PushManifest(t.Context(), "test/hat", "", numbered(1), tags[:1000]...)), nil)
	wantErr(t, "the 1,001st tag", second(s.Owner().PushManifest(t.Context(), "test/hat", "", numbered(1), tags[1000])), registry.ErrQuota)
	err = s.Store.View(t.Context(), func(tx meta.Tx) error {
		for tag, err := range tx.Tags().Scan(meta.Range[meta.TagKey]{}) {
			if err != nil || tag.Name == tags[1000] {
				return fmt.Errorf("%v, %w", tag, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
