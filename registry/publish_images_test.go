package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

func tagRef(tag string) manifest.Reference { return manifest.Reference{Tag: tag} }

func digestRef(d manifest.Digest) manifest.Reference { return manifest.Reference{Digest: d} }

func bothRef(tag string, d manifest.Digest) manifest.Reference {
	return manifest.Reference{Tag: tag, Digest: d}
}

// sizedImage is an image whose only layer has a number of bytes.
func sizedImage(n int) registrytest.Image {
	return registrytest.Image{Layers: [][]byte{bytes.Repeat([]byte("x"), n)}}
}

// content is what an image's configuration and layers have together, in bytes.
func content(t testing.TB, s *registrytest.Server, name string, d manifest.Digest) (n int64) {
	t.Helper()
	m, err := s.Owner().Manifest(t.Context(), name, string(d))
	if err != nil {
		t.Fatal(err)
	}
	n = m.Config.Size
	for _, l := range m.Layers {
		n += l.Size
	}
	return n
}

func TestDeleteImages(t *testing.T) {
	t.Parallel()
	other := manifest.SHA256.FromString("other")
	for name, c := range map[string]struct {
		refs func(d map[string]manifest.Digest) []manifest.Reference
		want func(d map[string]manifest.Digest) []registry.ImageResult
		tags []string // that are left
		gone []string // images
	}{
		"nothing": {nil, nil, []string{"a1", "a2", "b1", "child", "index"}, nil},
		"one of two tags": {
			func(map[string]manifest.Digest) []manifest.Reference { return []manifest.Reference{tagRef("a1")} },
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: bothRef("a1", d["a"])}}
			},
			[]string{"a2", "b1", "child", "index"}, nil,
		},
		"the last tag": {
			func(map[string]manifest.Digest) []manifest.Reference { return []manifest.Reference{tagRef("b1")} },
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: bothRef("b1", d["b"])}}
			},
			[]string{"a1", "a2", "child", "index"}, []string{"b"},
		},
		"one tag after the other": {
			func(map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{tagRef("a2"), tagRef("a1")}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: bothRef("a2", d["a"])}, {Reference: bothRef("a1", d["a"])}}
			},
			[]string{"b1", "child", "index"}, []string{"a"},
		},
		"a digest with two tags": {
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{digestRef(d["a"])}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: bothRef("a1", d["a"])}, {Reference: bothRef("a2", d["a"])}}
			},
			[]string{"b1", "child", "index"}, []string{"a"},
		},
		"a digest without tags": {
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{digestRef(d["bare"])}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: digestRef(d["bare"])}}
			},
			[]string{"a1", "a2", "b1", "child", "index"}, []string{"bare"},
		},
		"both that agree": {
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{bothRef("a1", d["a"])}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: bothRef("a1", d["a"])}}
			},
			[]string{"a2", "b1", "child", "index"}, nil,
		},
		"both that do not": {
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{bothRef("a1", d["b"]), bothRef("a1", other)}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{
					{Reference: bothRef("a1", d["b"]), Code: registry.ImageTagDoesNotMatchDigest}, {Reference: bothRef("a1", other), Code: registry.ImageTagDoesNotMatchDigest},
				}
			},
			[]string{"a1", "a2", "b1", "child", "index"}, nil,
		},
		"what is not there, or cannot be": {
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{tagRef("no"), digestRef(other), bothRef("no", d["a"]), {}, digestRef("sha256:x"), digestRef("x"), tagRef("-x"), tagRef(strings.Repeat("x", 129)), tagRef("b1")}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{
					{Reference: tagRef("no"), Code: registry.ImageNotFound}, {Reference: digestRef(other), Code: registry.ImageNotFound},
					{Reference: bothRef("no", d["a"]), Code: registry.ImageNotFound}, {Code: registry.MissingDigestAndTag},
					{Reference: digestRef("sha256:x"), Code: registry.InvalidImageDigest}, {Reference: digestRef("x"), Code: registry.InvalidImageDigest},
					{Reference: tagRef("-x"), Code: registry.InvalidImageTag}, {Reference: tagRef(strings.Repeat("x", 129)), Code: registry.InvalidImageTag},
					{Reference: bothRef("b1", d["b"])}, // the failures do not keep the rest
				}
			},
			[]string{"a1", "a2", "child", "index"}, []string{"b"},
		},
		"what an index refers to": {
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{digestRef(d["child"]), digestRef(d["untagged child"])}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{
					{Reference: digestRef(d["child"]), Code: registry.ImageReferencedByManifestList}, {Reference: digestRef(d["untagged child"]), Code: registry.ImageReferencedByManifestList},
				}
			},
			[]string{"a1", "a2", "b1", "child", "index"}, nil,
		},
		"the last tag of what an index refers to": {
			func(map[string]manifest.Digest) []manifest.Reference { return []manifest.Reference{tagRef("child")} },
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: bothRef("child", d["child"])}}
			},
			[]string{"a1", "a2", "b1", "index"}, nil,
		},
		"the index and then what it refers to": {
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{digestRef(d["index"]), digestRef(d["child"]), digestRef(d["untagged child"])}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: bothRef("index", d["index"])}, {Reference: bothRef("child", d["child"])}, {Reference: digestRef(d["untagged child"])}}
			},
			[]string{"a1", "a2", "b1"}, []string{"index", "child", "untagged child"},
		},
		"what another is about": { // a subject may go
			func(d map[string]manifest.Digest) []manifest.Reference {
				return []manifest.Reference{digestRef(d["subject"])}
			},
			func(d map[string]manifest.Digest) []registry.ImageResult {
				return []registry.ImageResult{{Reference: digestRef(d["subject"])}}
			},
			[]string{"a1", "a2", "b1", "child", "index"}, []string{"subject"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := registrytest.New(t)
			ctx := t.Context()
			a, b := s.Push("test/hat", sizedImage(1), "a1", "a2"), s.Push("test/hat", sizedImage(2), "b1")
			child, untagged := s.Push("test/hat", sizedImage(3), "child"), s.Push("test/hat", sizedImage(4))
			subject := s.Push("test/hat", sizedImage(5))
			s.Push("test/hat", registrytest.Image{ArtifactType: "application/vnd.example", Subject: &subject})
			index := s.PushIndex("test/hat", []manifest.Descriptor{child, untagged}, "index")
			digests := map[string]manifest.Digest{
				"a": a.Digest, "b": b.Digest, "bare": s.Push("test/hat", sizedImage(6)).Digest, "child": child.Digest,
				"untagged child": untagged.Digest, "index": index.Digest, "subject": subject.Digest,
			}
			var refs []manifest.Reference
			var want []registry.ImageResult
			if c.refs != nil {
				refs, want = c.refs(digests), c.want(digests)
			}
			got, err := s.Owner().DeleteImages(ctx, "test/hat", refs...)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range got {
				if (r.Reason != "") != (r.Code != "") {
					t.Errorf("%+v has a reason or a code, and not both", r)
				}
				got[i].Reason = ""
			}
			same(t, "results", got, want)
			same(t, "tags", collect(t, s.Owner().Tags(ctx, "test/hat", "")), c.tags)
			for what, d := range digests {
				_, err := s.As(auth.Principal{}).Manifest(ctx, "test/hat", string(d))
				if gone := errors.Is(err, registry.ErrManifestUnknown); gone != slices.Contains(c.gone, what) || err != nil && !gone {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// What ECR Public's clients read in a failure names the index.
func TestDeleteImagesSaysWhichIndex(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	child := s.Push("test/hat", sizedImage(3))
	one := s.PushIndex("test/hat", []manifest.Descriptor{child})
	got, err := s.Owner().DeleteImages(t.Context(), "test/hat", digestRef(child.Digest))
	if err != nil || len(got) != 1 || got[0].Reason != "Requested image referenced by manifest list: ["+string(one.Digest)+"]" {
		t.Errorf("%+v, %v", got, err)
	}
	wantErr(t, "a repository that is not there", second(s.Owner().DeleteImages(t.Context(), "test/cap", tagRef("v1"))), registry.ErrNameUnknown)
}

func TestPutImage(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	owner := s.Owner()
	told := recordEvents(t, s.Store)
	one, two := numbered(1), numbered(2)
	d1, d2 := manifest.SHA256.FromBytes(one), manifest.SHA256.FromBytes(two)
	wantErr(t, "into nothing", second(owner.PutImage(ctx, "test/hat", "", one, "v1", "")), registry.ErrNameUnknown)
	if _, err := owner.CreateRepository(ctx, "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	before := len(told())
	typesSince := func(want ...event.Type) {
		t.Helper()
		list := told()
		same(t, "events", typesOf(list[before:]), want)
		before = len(list)
	}
	m, err := owner.PutImage(ctx, "test/hat", "", one, "v1", d1)
	if err != nil || m.Digest != d1 || !bytes.Equal(m.Raw, one) {
		t.Fatalf("%+v, %v", m, err)
	}
	typesSince(event.ManifestPushed, event.TagMoved)
	wantErr(t, "the same once more", second(owner.PutImage(ctx, "test/hat", "", one, "v1", "")), registry.ErrImageExists)
	wantErr(t, "the same without a tag", second(owner.PutImage(ctx, "test/hat", "", one, "", "")), registry.ErrImageExists)
	if err := second(owner.PutImage(ctx, "test/hat", "", one, "v1", "")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v is not fs.ErrExist", err)
	}
	typesSince()
	wantErr(t, "another tag", second(owner.PutImage(ctx, "test/hat", "", one, "v2", "")), nil)
	typesSince(event.TagMoved)
	wantErr(t, "another image", second(owner.PutImage(ctx, "test/hat", ociIndex, two, "v1", "")), nil)
	typesSince(event.ManifestPushed, event.TagMoved)
	wantErr(t, "back again", second(owner.PutImage(ctx, "test/hat", "", one, "v1", "")), nil)
	typesSince(event.TagMoved)
	for what, c := range map[string]struct {
		mediaType, tag string
		raw            []byte
		digest         manifest.Digest
		want           error
	}{
		"another digest":         {"", "v3", one, d2, registry.ErrDigestInvalid},
		"a digest out of form":   {"", "v3", one, "x", manifest.ErrDigest},
		"a tag out of form":      {"", "-", one, "", manifest.ErrTag},
		"no manifest":            {"", "v3", []byte("{"), "", manifest.ErrManifest},
		"a layer that is not":    {"", "v3", image([]byte("{}"), []byte("none")).bytes(), "", registry.ErrManifestBlobUnknown},
		"an image that is not":   {"", "v3", index(one, numbered(9)).bytes(), "", registry.ErrManifestBlobUnknown},
		"another media type":     {ociImage, "v3", one, "", manifest.ErrManifest},
		"no media type anywhere": {"", "v3", []byte(`{"schemaVersion":2}`), "", manifest.ErrManifest},
	} {
		wantErr(t, what, second(owner.PutImage(ctx, "test/hat", c.mediaType, c.raw, c.tag, c.digest)), c.want)
	}
	typesSince()
	long := manifest.SHA512.FromBytes(numbered(3))
	if m, err := owner.PutImage(ctx, "test/hat", "", numbered(3), "", long); err != nil || m.Digest != long {
		t.Errorf("by sha512: %+v, %v", m, err)
	}
	same(t, "tags", collect(t, owner.Tags(ctx, "test/hat", "")), []string{"v1", "v2"})
}

// Lists are the same whether they fit into one page or not.
func TestImagesAcrossPages(t *testing.T) {
	t.Parallel()
	const n = 257
	s := registrytest.New(t)
	ctx := t.Context()
	began := time.Now().Add(-time.Minute)
	var want []registry.Image
	var tags []registry.ImageTag
	for i := range n {
		raw := numbered(i)
		img := registry.Image{Digest: manifest.SHA256.FromBytes(raw), MediaType: ociIndex}
		if i%3 > 0 {
			img.Tags = []string{fmt.Sprintf("a%03d", i)}
		}
		if i%3 > 1 {
			img.Tags = append(img.Tags, fmt.Sprintf("b%03d", i))
		}
		if _, err := s.Owner().PushManifest(ctx, "test/hat", "", raw, img.Tags...); err != nil {
			t.Fatal(err)
		}
		want = append(want, img)
		for _, tag := range img.Tags {
			one := img
			one.Tags = nil // of a list of tags, the name is the only one
			tags = append(tags, registry.ImageTag{Name: tag, Image: one})
		}
	}
	s.Push("test/hats", registrytest.Image{}, "a000") // a neighbour
	slices.SortFunc(want, func(a, b registry.Image) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	slices.SortFunc(tags, func(a, b registry.ImageTag) int { return strings.Compare(a.Name, b.Name) })
	plain := func(list []registry.Image) []registry.Image {
		for i := range list {
			if list[i].Pushed.Before(began) || list[i].Pushed.After(time.Now()) {
				t.Errorf("pushed %v", list[i].Pushed)
			}
			list[i].Pushed = time.Time{}
		}
		return list
	}
	for _, from := range []int{0, 1, 99, 100, 101, 156, 157, 200, 256, 257} {
		var after manifest.Digest
		if from > 0 {
			after = want[from-1].Digest
		}
		if diff := cmp.Diff(append([]registry.Image(nil), want[from:]...), plain(collect(t, s.Owner().Images(ctx, "test/hat", after)))); diff != "" {
			t.Errorf("images after %d (-want +got):\n%.1000s", from, diff)
		}
	}
	for _, from := range []int{0, 1, 99, 100, 101, 255, len(tags)} {
		after := ""
		if from > 0 {
			after = tags[from-1].Name
		}
		got := collect(t, s.Owner().ImageTags(ctx, "test/hat", after))
		for i := range got {
			if got[i].Moved.Before(began) || got[i].Moved.After(time.Now()) {
				t.Errorf("moved %v", got[i].Moved)
			}
			got[i].Moved, got[i].Image.Pushed = time.Time{}, time.Time{}
		}
		if diff := cmp.Diff(append([]registry.ImageTag(nil), tags[from:]...), got); diff != "" {
			t.Errorf("tags after %d (-want +got):\n%.1000s", from, diff)
		}
	}
	// who stops early is not read to the end, and deleting on the way skips nothing
	seen := 0
	for img, err := range s.Owner().Images(ctx, "test/hat", "") {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Owner().DeleteImages(ctx, "test/hat", digestRef(img.Digest)); err != nil {
			t.Fatal(err)
		}
		seen++
	}
	if seen != n || len(collect(t, s.Owner().Images(ctx, "test/hat", ""))) > 0 {
		t.Errorf("%d images were seen while deleting, want %d", seen, n)
	}
}

// Repositories come in pages too.
func TestRepositoriesAcrossPages(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	var want []string
	for i := range 251 {
		want = append(want, fmt.Sprintf("r%03d", i))
		if _, err := s.Owner().CreateRepository(t.Context(), "test/"+want[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []int{0, 1, 100, 101, 250} {
		after := ""
		if from > 0 {
			after = want[from-1]
		}
		var got []string
		for _, r := range collect(t, s.Owner().RepositoriesOf(t.Context(), registrytest.Account, after)) {
			got = append(got, r.Name)
		}
		same(t, fmt.Sprintf("after %d", from), got, want[from:])
	}
}

func TestDescribeImages(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	small, large := s.Push("test/hat", sizedImage(10), "small"), s.Push("test/hat", sizedImage(5000), "large", "big")
	inner := s.PushIndex("test/hat", []manifest.Descriptor{small, large}, "inner")
	outer := s.PushIndex("test/hat", []manifest.Descriptor{small, inner}, "outer")
	empty := s.PushIndex("test/hat", nil, "empty")
	chart := s.Push("test/hat", registrytest.Image{ArtifactType: "application/vnd.example.chart", Layers: [][]byte{[]byte("chart")}}, "chart")
	describe := func(ref manifest.Reference) registry.Image {
		t.Helper()
		list, err := s.Owner().DescribeImages(ctx, "test/hat", ref)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %+v, %v", ref, list, err)
		}
		return list[0]
	}
	for _, c := range []struct {
		d      manifest.Descriptor
		tags   []string
		size   int64
		config string
	}{
		{small, []string{"small"}, content(t, s, "test/hat", small.Digest), ociConfig},
		{large, []string{"big", "large"}, content(t, s, "test/hat", large.Digest), ociConfig},
		{inner, []string{"inner"}, content(t, s, "test/hat", large.Digest), ""},
		{outer, []string{"outer"}, content(t, s, "test/hat", large.Digest), ""},
		{empty, []string{"empty"}, 0, ""},
		{chart, []string{"chart"}, content(t, s, "test/hat", chart.Digest), ociEmpty},
	} {
		for _, ref := range []manifest.Reference{digestRef(c.d.Digest), tagRef(c.tags[0]), bothRef(c.tags[0], c.d.Digest)} {
			got := describe(ref)
			got.Pushed = time.Time{}
			same(t, ref.String(), got, registry.Image{Digest: c.d.Digest, MediaType: c.d.MediaType, ArtifactType: c.config, Tags: c.tags, Size: c.size})
		}
	}
	list, err := s.Owner().DescribeImages(ctx, "test/hat", tagRef("large"), tagRef("small"), tagRef("big"), digestRef(small.Digest))
	if err != nil || len(list) != 2 || list[0].Digest != large.Digest || list[1].Digest != small.Digest {
		t.Errorf("several, some of which are the same: %+v, %v", list, err)
	}
	for _, ref := range []manifest.Reference{tagRef("none"), digestRef(manifest.SHA256.FromString("none")), bothRef("small", large.Digest), bothRef("none", small.Digest), {}, digestRef("x")} {
		list, err := s.Owner().DescribeImages(ctx, "test/hat", tagRef("small"), ref)
		wantErr(t, ref.String(), err, registry.ErrManifestUnknown)
		if e, ok := errors.AsType[*registry.Error](err); !ok || e.Detail != ref {
			t.Errorf("%s: the error does not say which: %+v (%d images)", ref, e, len(list))
		}
	}
	same(t, "no references", second(s.Owner().DescribeImages(ctx, "test/hat")), error(nil))
	wantErr(t, "no repository", second(s.Owner().DescribeImages(ctx, "test/cap")), registry.ErrNameUnknown)
	// a digest that a tag has left is an image without tags
	s.Push("test/hat", sizedImage(11), "small")
	if got := describe(digestRef(small.Digest)); len(got.Tags) > 0 {
		t.Errorf("tags %v", got.Tags)
	}
}

// An index that names an index that names it cannot be, but one can be deep; a sparse one has
// children that are not here.
func TestSizesOfDeepAndSparseIndexes(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, func(c *registry.Config) { c.AllowMissing = true })
	img := s.Push("test/hat", sizedImage(100))
	missing := manifest.Descriptor{MediaType: ociImage, Digest: manifest.SHA256.FromString("none"), Size: 5}
	at := s.PushIndex("test/hat", []manifest.Descriptor{missing, img}, "sparse")
	want := content(t, s, "test/hat", img.Digest)
	for i := range 3 {
		list, err := s.Owner().DescribeImages(t.Context(), "test/hat", digestRef(at.Digest))
		if err != nil || len(list) != 1 || list[0].Size != want {
			t.Errorf("index around %d indexes: %+v, %v; want %d bytes", i, list, err, want)
		}
		at = s.PushIndex("test/hat", []manifest.Descriptor{at})
	}
	for i := range 30 {
		at = s.PushIndex("test/hat", []manifest.Descriptor{at}, fmt.Sprintf("deep%d", i))
	}
	if _, err := s.Owner().DescribeImages(t.Context(), "test/hat", digestRef(at.Digest)); err != nil {
		t.Errorf("a deep one: %v", err)
	}
}

// Indexes can share what they lead to, so that there are many more ways to an image than there
// are indexes. Each is looked at once: few pushes must not make a list cost minutes.
func TestSizesOfIndexesThatShareTheirChildren(t *testing.T) {
	t.Parallel()
	const width = 24
	s := registrytest.New(t)
	layer := []manifest.Descriptor{s.Push("test/hat", sizedImage(100))}
	want := content(t, s, "test/hat", layer[0].Digest)
	for range 4 {
		var next []manifest.Descriptor
		for i := range width {
			index := doc{"schemaVersion": 2, "mediaType": ociIndex, "manifests": layer, "annotations": doc{"n": fmt.Sprint(i)}}
			d, err := s.Owner().PushManifest(t.Context(), "test/hat", "", index.bytes())
			if err != nil {
				t.Fatal(err)
			}
			next = append(next, d)
		}
		layer = next
	}
	top := s.PushIndex("test/hat", layer, "top")
	began := time.Now()
	list, err := s.Owner().DescribeImages(t.Context(), "test/hat", digestRef(top.Digest))
	if err != nil || len(list) != 1 || list[0].Size != want {
		t.Errorf("%+v, %v; want %d bytes", list, err, want)
	}
	if took := time.Since(began); took > 300*time.Millisecond {
		t.Errorf("%d manifests took %v", 4*width+2, took)
	}
}
