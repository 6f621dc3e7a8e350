package registry_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// hooked is a store that lets others do something before a View, or after a link was found.
type hooked struct {
	meta.Store
	view, linked func()
}

func (h *hooked) View(ctx context.Context, fn func(meta.Tx) error) error {
	if f := h.view; f != nil {
		h.view = nil
		f()
	}
	return h.Store.View(ctx, fn)
}

func (h *hooked) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	b, err := h.Store.Linked(ctx, repo, d)
	if f := h.linked; f != nil {
		h.linked = nil
		f()
	}
	return b, err
}

// A blob that is collected while it is asked for, by another node, is not there: nobody is told
// that it is, and nobody is told of a fault.
func TestBlobCollectedMeanwhile(t *testing.T) {
	t.Parallel()
	config := []byte(`{"os":"linux","architecture":"amd64"}`)
	for name, raw := range map[string][]byte{"small": config, "large": bytes.Repeat([]byte("large"), 100_000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, store, bucket := t.Context(), memmeta.New(), gocloud.New(memblob.OpenBucket(nil))
				hook := &hooked{Store: store}
				node := func(s meta.Store) *registrytest.Server {
					return registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket, c.Grace = s, bucket, time.Hour })
				}
				asked, other := node(hook), node(store)
				d := manifest.SHA256.FromBytes(raw)
				due := func() { // the blob is there, and due to be collected
					t.Helper()
					if err := other.Owner().PushBlob(ctx, "test/hat", d, bytes.NewReader(raw)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Hour)
				}
				collect := func() {
					for more := true; more; {
						var err error
						if _, more, err = other.Collect(ctx, 100); err != nil {
							t.Error(err)
						}
					}
				}
				due()
				hook.view = collect
				if has, err := asked.Owner().HasBlob(ctx, "test/hat", d); has || err != nil {
					t.Errorf("HEAD: %v, %v", has, err)
				}
				due()
				hook.view = collect
				if found, err := asked.Owner().HasLayers(ctx, "test/hat", d); len(found) > 0 || err != nil {
					t.Errorf("HasLayers: %v, %v", found, err)
				}
				due()
				hook.linked = collect
				if in, err := asked.As(auth.Principal{}).Blob(ctx, "test/hat", d); !errors.Is(err, registry.ErrBlobUnknown) {
					t.Errorf("Blob: %v, %v", in, err)
				}
				due()
				hook.linked = collect
				resp, err := asked.Client().Get("http://registry.example/v2/test/hat/blobs/" + string(d))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusNotFound {
					t.Errorf("GET: %s", resp.Status)
				}
				if name != "small" {
					return
				}
				due()
				hook.linked = collect
				image := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` +
					string(d) + `","size":37},"layers":[]}`)
				if _, err := asked.Owner().PushManifest(ctx, "test/hat", "application/vnd.oci.image.manifest.v1+json", image); !errors.Is(err, registry.ErrManifestBlobUnknown) {
					t.Errorf("push of a manifest: %v", err)
				}
			})
		})
	}
}
