package registry_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// What is referred to can be deleted, unless the repository protects it.
func TestProtectedContent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tag  string
		want error
	}{
		"as it is":           {"", nil},
		"with another value": {"false", nil},
		"protected":          {"true", registry.ErrReferenced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, s := t.Context(), registrytest.New(t)
			layer := []byte("layer")
			child := s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "child")
			index := []byte(`{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[{"mediaType":"` + child.MediaType +
				`","digest":"` + string(child.Digest) + `","size":` + strconv.FormatInt(child.Size, 10) + `}]}`)
			parent, err := s.Owner().PushManifest(ctx, "test/hat", ociIndex, index, "latest")
			if err != nil {
				t.Fatal(err)
			}
			if c.tag != "" {
				if err := s.Owner().TagRepository(ctx, "test/hat", map[string]string{registry.ProtectTag: c.tag}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Owner().DeleteBlob(ctx, "test/hat", manifest.SHA256.FromBytes(layer)); !errors.Is(err, c.want) {
				t.Errorf("a blob of a manifest: %v, want %v", err, c.want)
			}
			if err := s.Owner().DeleteManifest(ctx, "test/hat", child.Digest); !errors.Is(err, c.want) {
				t.Errorf("a child of an index: %v, want %v", err, c.want)
			}
			if c.want == nil {
				return
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodDelete, "http://registry.example/v2/test/hat/manifests/"+string(child.Digest), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth(registrytest.Username, registrytest.Password)
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusConflict {
				t.Errorf("over HTTP: %s, want 409", resp.Status)
			}
			// The tag of a child can go; once nothing refers to it, so can the child and its blob.
			if err := s.Owner().DeleteTag(ctx, "test/hat", "child"); err != nil {
				t.Error(err)
			}
			for _, d := range []manifest.Digest{parent.Digest, child.Digest} {
				if err := s.Owner().DeleteManifest(ctx, "test/hat", d); err != nil {
					t.Error(err)
				}
			}
			if err := s.Owner().DeleteBlob(ctx, "test/hat", manifest.SHA256.FromBytes(layer)); err != nil {
				t.Error(err)
			}
		})
	}
}
