package registry_test

import (
	"testing"

	"github.com/esplanade-registry/esplanade/registry"
)

func catalog(c *registry.Config) { c.Catalog = true }

func TestB51DeletingATagDeletesOnlyTheTag(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	w.put("test/hat", "v2", ociImage, p.raw).want(201)
	for _, tag := range []string{"v1", "v2"} { // the last one, too
		w.send("GET", "/v2/test/hat/manifests/"+tag, nil).want(200)
		w.send("DELETE", "/v2/test/hat/manifests/"+tag, nil).want(202)
		w.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(404).code("MANIFEST_UNKNOWN")
		w.send("DELETE", "/v2/test/hat/manifests/"+tag, nil).is(404)
		w.send("GET", "/v2/test/hat/manifests/"+p.digest, nil).is(200).content(p.raw)
		w.send("GET", "/v2/test/hat/blobs/"+sha(p.layer), nil).is(200)
	}
	same(t, "tags", w.tags("test/hat"), []string{})
}

func TestB51DeletingADigestDeletesItsTags(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		p, q := w.pushImage("test/hat", "v1", "hat"), w.pushImage("test/hat", "keep", "other")
		w.put("test/hat", "v2", ociImage, p.raw).want(201)
		w.putDoc("test/hat", "list", index(p.raw, q.raw)).want(201)
		for _, ref := range []string{"v1", "v2", p.digest} { // so that they are cached
			w.send("GET", "/v2/test/hat/manifests/"+ref, nil).want(200)
		}
		w.send("DELETE", "/v2/test/hat/manifests/"+p.digest, nil).want(202)
		for _, ref := range []string{"v1", "v2", p.digest} {
			w.send("GET", "/v2/test/hat/manifests/"+ref, nil).is(404)
			w.send("HEAD", "/v2/test/hat/manifests/"+ref, nil).is(404)
			w.send("DELETE", "/v2/test/hat/manifests/"+ref, nil).is(404)
		}
		same(t, "tags", w.tags("test/hat"), []string{"keep", "list"})
		w.send("GET", "/v2/test/hat/manifests/keep", nil).is(200).content(q.raw)
		// It can come back.
		w.put("test/hat", "v1", ociImage, p.raw).is(201)
		w.send("GET", "/v2/test/hat/manifests/v1", nil).is(200).content(p.raw)
		w.send("GET", "/v2/test/hat/manifests/v2", nil).is(404)
	})
}

func TestB51DeletedBlobIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	content := []byte("content")
	d := w.pushBlob("test/hat", content)
	w.pushBlob("test/coat", content)
	path := "/v2/test/hat/blobs/" + d
	for range 3 {
		w.send("GET", path, nil).want(200)
		w.send("DELETE", path, nil).want(202)
		w.send("GET", path, nil).is(404).code("BLOB_UNKNOWN")
		w.send("HEAD", path, nil).is(404)
		w.send("DELETE", path, nil).is(404)
		w.send("GET", "/v2/test/coat/blobs/"+d, nil).is(200).content(content)
		w.pushBlob("test/hat", content) // comes back
	}
	// Where a manifest needs it, a push of that manifest is refused then.
	p := w.pushImage("test/hat", "v1", "hat")
	w.send("DELETE", "/v2/test/hat/blobs/"+sha(p.layer), nil).want(202)
	w.put("test/hat", "v2", ociImage, image(p.config, p.layer).with(doc{"annotations": doc{"a": "b"}}).bytes()).is(400, 404).code("MANIFEST_BLOB_UNKNOWN")
}

func TestB51DeletedReferrerIsNotListed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		p := w.pushImage("test/hat", "v1", "hat")
		w.pushBlob("test/hat", []byte("{}"))
		sig := artifact("application/vnd.example").with(doc{"subject": descriptor(ociImage, p.raw)}).bytes()
		w.put("test/hat", sha(sig), ociImage, sig).want(201)
		w.send("DELETE", "/v2/test/hat/manifests/"+p.digest, nil).want(202) // the subject goes, the referrer stays
		same(t, "referrers", digests(w.referrers("test/hat", p.digest, "")), []string{sha(sig)})
		w.send("DELETE", "/v2/test/hat/manifests/"+sha(sig), nil).want(202)
		same(t, "referrers", digests(w.referrers("test/hat", p.digest, "")), []string{})
	})
}
