package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// layout is an OCI image layout with an index of two images, tagged, and an artifact about
// it that is not.
func layout(t *testing.T) (fstest.MapFS, manifest.Digest) {
	t.Helper()
	files := fstest.MapFS{ocispec.ImageLayoutFile: {Data: []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	add := func(mediaType string, v any) manifest.Descriptor {
		raw, ok := v.([]byte)
		if !ok {
			var err error
			if raw, err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
		d := manifest.Descriptor{MediaType: mediaType, Digest: manifest.SHA256.FromBytes(raw), Size: int64(len(raw))}
		files["blobs/sha256/"+d.Digest.Encoded()] = &fstest.MapFile{Data: raw}
		return d
	}
	image := func(arch string, subject *manifest.Descriptor) manifest.Descriptor {
		m := ocispec.Manifest{
			MediaType: manifest.MediaTypeImage, Subject: subject,
			Config: add(manifest.MediaTypeConfig, ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}}),
			Layers: []manifest.Descriptor{add(ocispec.MediaTypeImageLayer, []byte("layer for "+arch))},
		}
		m.SchemaVersion = 2
		return add(m.MediaType, m)
	}
	index := ocispec.Index{MediaType: manifest.MediaTypeIndex, Manifests: []manifest.Descriptor{image("amd64", nil), image("arm64", nil)}}
	index.SchemaVersion = 2
	tagged := add(index.MediaType, index)
	tagged.Annotations = map[string]string{ocispec.AnnotationRefName: "registry.example/some/hat:v1"}
	about := tagged
	about.Annotations = nil
	top := ocispec.Index{MediaType: manifest.MediaTypeIndex, Manifests: []manifest.Descriptor{tagged, image("riscv64", &about)}}
	top.SchemaVersion = 2
	raw, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	files[ocispec.ImageIndexFile] = &fstest.MapFile{Data: raw}
	return files, tagged.Digest
}

func TestImportLayout(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	files, want := layout(t)
	for range 2 { // the second finds everything there
		s.Import("test/hat", files)
	}
	owner := s.Owner()
	m, err := owner.Manifest(t.Context(), "test/hat", "v1")
	if err != nil || m.Digest != want || len(m.Manifests) != 2 {
		t.Fatalf("v1 is %+v, %v; want an index of two with digest %s", m, err, want)
	}
	for _, d := range m.Manifests {
		child, err := owner.Manifest(t.Context(), "test/hat", string(d.Digest))
		if err != nil {
			t.Fatal(err)
		}
		in, err := owner.Blob(t.Context(), "test/hat", child.Layers[0].Digest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close()); err != nil || !bytes.Equal(got, files["blobs/sha256/"+child.Layers[0].Digest.Encoded()].Data) {
			t.Errorf("layer of %s: %q, %v", d.Digest, got, err)
		}
	}
	var referrers int
	for d, err := range owner.Referrers(t.Context(), "test/hat", want) {
		if err != nil || d.ArtifactType != manifest.MediaTypeConfig {
			t.Errorf("referrer %+v, %v", d, err)
		}
		referrers++
	}
	if referrers != 1 {
		t.Errorf("%d referrers, want 1", referrers)
	}
}

func TestImportLayoutRefusesBrokenOnes(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(fstest.MapFS, manifest.Digest){
		"no layout file": func(f fstest.MapFS, _ manifest.Digest) { delete(f, ocispec.ImageLayoutFile) },
		"other version": func(f fstest.MapFS, _ manifest.Digest) {
			f[ocispec.ImageLayoutFile] = &fstest.MapFile{Data: []byte(`{"imageLayoutVersion":"9"}`)}
		},
		"no index": func(f fstest.MapFS, _ manifest.Digest) { delete(f, ocispec.ImageIndexFile) },
		"other bytes": func(f fstest.MapFS, d manifest.Digest) {
			path := "blobs/sha256/" + d.Encoded()
			f[path] = &fstest.MapFile{Data: append(bytes.Clone(f[path].Data), ' ')}
		},
		"a missing manifest": func(f fstest.MapFS, d manifest.Digest) { delete(f, "blobs/sha256/"+d.Encoded()) },
		"a missing layer": func(f fstest.MapFS, _ manifest.Digest) {
			delete(f, "blobs/sha256/"+manifest.SHA256.FromString("layer for amd64").Encoded())
		},
	} {
		s := registrytest.New(t)
		files, d := layout(t)
		spoil(files, d)
		if err := s.Owner().ImportLayout(t.Context(), "test/hat", files); err == nil {
			t.Errorf("%s: imported", name)
		}
		if m, err := s.Owner().Manifest(t.Context(), "test/hat", "v1"); err == nil {
			t.Errorf("%s: v1 is there: %v", name, m.Digest)
		}
	}
}

func TestActorGoesThroughPolicy(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	d := s.Push("test/hat", registrytest.Image{}, "v1")
	stranger := s.As(auth.Principal{Account: "999999999999", Name: "mallory"})
	anybody := s.As(auth.Principal{})
	ctx := t.Context()
	if _, err := anybody.Manifest(ctx, "test/hat", "v1"); err != nil {
		t.Errorf("anonymous pull: %v", err)
	}
	for what, err := range map[string]error{
		"push":            stranger.PushBlob(ctx, "test/hat", manifest.SHA256.FromString("x"), bytes.NewReader([]byte("x"))),
		"push to new":     stranger.PushBlob(ctx, "test/new", manifest.SHA256.FromString("x"), bytes.NewReader([]byte("x"))),
		"create":          second(stranger.CreateRepository(ctx, "test/new", nil)),
		"delete tag":      stranger.DeleteTag(ctx, "test/hat", "v1"),
		"delete manifest": stranger.DeleteManifest(ctx, "test/hat", d.Digest),
		"delete blob":     stranger.DeleteBlob(ctx, "test/hat", d.Digest),
	} {
		if !errors.Is(err, registry.ErrDenied) {
			t.Errorf("%s by a stranger: %v, want denied", what, err)
		}
	}
	if err := anybody.DeleteTag(ctx, "test/hat", "v1"); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("delete by nobody: %v, want unauthorized", err)
	}
	if _, err := s.Owner().CreateRepository(ctx, "test/hat", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create of what exists: %v, want fs.ErrExist", err)
	}
	if _, err := anybody.Manifest(ctx, "nobody/hat", "v1"); !errors.Is(err, registry.ErrNameUnknown) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pull from an unknown alias: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestActorLists(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, func(c *registry.Config) { c.Quotas.TagsPerImage = -1 })
	if err := s.AddAlias(t.Context(), "999999999999", "zebra"); err != nil {
		t.Fatal(err)
	}
	var tags []string
	for i := range 2100 {
		tags = append(tags, fmt.Sprintf("v%04d", i))
	}
	s.Push("test/hat", registrytest.Image{}, tags...)
	s.Push("test/a/b", registrytest.Image{}, "x")
	zebra := s.As(auth.Principal{Account: "999999999999", Name: "z"})
	if _, err := zebra.CreateRepository(t.Context(), "zebra/stripes", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tags, collect(t, s.Owner().Tags(t.Context(), "test/hat", ""))); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tags[2000:], collect(t, s.Owner().Tags(t.Context(), "test/hat", "v1999"))); diff != "" {
		t.Errorf("tags after (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"test/a/b", "test/hat", "zebra/stripes"}, collect(t, s.As(auth.Principal{}).Repositories(t.Context(), ""))); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"test/hat", "zebra/stripes"}, collect(t, s.Owner().Repositories(t.Context(), "test/a/b"))); diff != "" {
		t.Errorf("repositories after (-want +got):\n%s", diff)
	}
}

func collect[T any](t *testing.T, seq func(func(T, error) bool)) (list []T) {
	t.Helper()
	for item, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, item)
	}
	return list
}

// immutable refuses to move tags.
type immutable struct{}

func (immutable) Check(_ context.Context, _ meta.Tx, _ *registry.Op, c *registry.Change) error {
	if c.Kind == registry.MoveTag && c.Before != "" {
		return &registry.Error{Err: registry.ErrDenied, Message: "tags do not move here"}
	}
	return nil
}

func TestGuardRefusesTheWholeOperation(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, func(c *registry.Config) { c.Guards = []registry.Guard{immutable{}} })
	first := s.Push("test/hat", registrytest.Image{}, "v1")
	other := []byte(`{"schemaVersion":2,"mediaType":"` + manifest.MediaTypeIndex + `","manifests":[]}`)
	_, err := s.Owner().PushManifest(t.Context(), "test/hat", "", other, "v0", "v1")
	if !errors.Is(err, registry.ErrDenied) {
		t.Errorf("a moved tag: %v, want denied", err)
	}
	if m, err := s.Owner().Manifest(t.Context(), "test/hat", "v1"); err != nil || m.Digest != first.Digest {
		t.Errorf("v1 is %v, %v; want it where it was", m, err)
	}
	for _, ref := range []string{"v0", string(manifest.SHA256.FromBytes(other))} {
		if _, err := s.Owner().Manifest(t.Context(), "test/hat", ref); !errors.Is(err, registry.ErrManifestUnknown) {
			t.Errorf("%s of the refused push: %v, want unknown", ref, err)
		}
	}
	if _, err := s.Owner().PushManifest(t.Context(), "test/hat", "", other, "v0"); err != nil {
		t.Errorf("a new tag: %v", err)
	}
}

func TestInterceptorsWrapEveryFront(t *testing.T) {
	t.Parallel()
	var seen []string
	trace := func(name string) registry.Interceptor {
		return func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Repository.ID != 0 {
				t.Errorf("%s: the repository was looked up before the interceptors", name)
			}
			err := next(ctx)
			seen = append(seen, fmt.Sprint(name, " ", op.Action, " ", op.Reference, " ", op.Repository.Name, " ", op.Descriptor.Digest != ""))
			return err
		}
	}
	refused := errors.New("no more")
	s := registrytest.New(t, func(c *registry.Config) {
		c.Interceptors = []registry.Interceptor{trace("outer"), trace("inner"), func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Reference.Tag == "refused" {
				return fmt.Errorf("%w: %w", registry.ErrTooManyRequests, refused)
			}
			return next(ctx)
		}}
	})
	s.Push("test/hat", registrytest.Image{}, "v1")
	seen = nil
	if _, err := s.Owner().Manifest(t.Context(), "test/hat", "v1"); err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Get("http://r.example/v2/test/hat/manifests/v1")
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	line := " ecr-public:BatchGetImage v1 hat true"
	if diff := cmp.Diff([]string{"inner" + line, "outer" + line, "inner" + line, "outer" + line}, seen); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	res, err = s.Client().Get("http://r.example/v2/test/hat/manifests/refused")
	if err != nil || res.StatusCode != 429 {
		t.Errorf("refused: %v, %v", res.Status, err)
	}
}
