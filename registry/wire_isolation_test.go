package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// A name that is empty is a name out of the grammar, and no way past the policy.
func TestCEmptyNameIsNoWayIn(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	q := w.pushImage(w.private("secret"), "secret-tag", "secret")
	w.pushBlob("test/secret", []byte("{}"))
	sig := artifact("application/vnd.example").with(doc{"subject": descriptor(ociImage, q.raw)}).bytes()
	w.put("test/secret", "sig", ociImage, sig).want(201)
	before := w.rows()
	manifest, content := index().bytes(), []byte("free storage")
	for _, client := range []*wire{w.anonymous(), w.as(otherBasic), w} {
		for _, prefix := range []string{"/v2/", "/v2//", "/v2///"} {
			for _, r := range []*reply{
				client.send("GET", prefix+"/tags/list", nil),
				client.send("GET", prefix+"/manifests/v1", nil),
				client.send("GET", prefix+"/manifests/"+p.digest, nil),
				client.send("GET", prefix+"/blobs/"+sha(q.layer), nil),
				client.send("HEAD", prefix+"/blobs/"+sha(q.layer), nil),
				client.send("POST", prefix+"/blobs/uploads/", nil),
				client.send("POST", prefix+"/blobs/uploads", nil),
				client.send("POST", prefix+"/blobs/uploads/?digest="+sha(content), content),
				client.send("POST", prefix+"/blobs/uploads/?mount="+sha(q.layer), nil),
				client.send("POST", prefix+"/blobs/uploads/?from=test/secret&mount="+sha(q.layer), nil),
				client.send("PUT", prefix+"/manifests/v1", manifest, "Content-Type", ociIndex),
				client.send("PUT", prefix+"/manifests/"+sha(manifest)+"?tag=v1", manifest, "Content-Type", ociIndex),
				client.send("DELETE", prefix+"/manifests/v1", nil),
				client.send("DELETE", prefix+"/blobs/"+sha(q.layer), nil),
			} {
				r.is(400, 401, 403, 404)
			}
			r := client.send("GET", prefix+"/referrers/"+q.digest, nil)
			if r.is(200, 400, 401, 404); strings.Contains(string(r.body), "sha256") {
				t.Errorf("%s: %s", r.what, r.body)
			}
		}
	}
	same(t, "rows", w.rows(), before)
}

// GHSA-qq97-vm5h-rrhg: a document that is both an image and an index.
func TestCAmbiguousDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	plain := kinds()[ociImage]
	w.putDoc("test/hat", "plain", plain).want(201)
	list := index(plain.bytes())
	text := func(d doc) string { return string(d.bytes()) }
	both := plain.with(doc{"manifests": list["manifests"]})
	untyped := func(d doc) doc {
		d = d.with(nil)
		delete(d, "mediaType")
		return d
	}
	before := w.rows()
	for name, c := range map[string]struct{ kind, body string }{
		"image with manifests":            {ociImage, text(both)},
		"image with empty manifests":      {ociImage, text(plain.with(doc{"manifests": []doc{}}))},
		"untyped with both, as image":     {ociImage, text(untyped(both))},
		"untyped with both, as index":     {ociIndex, text(untyped(both))},
		"index with layers":               {ociIndex, text(list.with(doc{"layers": plain["layers"]}))},
		"index with a config":             {ociIndex, text(list.with(doc{"config": plain["config"]}))},
		"docker with both":                {dockerImage, text(both.with(doc{"mediaType": dockerImage}))},
		"docker list with layers":         {dockerList, text(list.with(doc{"mediaType": dockerList, "layers": plain["layers"]}))},
		"image as index":                  {ociIndex, text(plain)},
		"index as image":                  {ociImage, text(list)},
		"untyped image as index":          {ociIndex, text(untyped(plain))},
		"untyped index as image":          {ociImage, text(untyped(list))},
		"OCI as docker":                   {dockerImage, text(plain)},
		"mediaType of something else":     {ociImage, text(plain.with(doc{"mediaType": "application/json"}))},
		"mediaType that is no text":       {ociImage, text(plain.with(doc{"mediaType": 1}))},
		"two layers":                      {ociImage, strings.Replace(text(plain), `"layers":[`, `"layers":[],"layers":[`, 1)},
		"Layers":                          {ociImage, strings.Replace(text(plain), `"layers":[`, `"Layers":[],"layers":[`, 1)},
		"two configs":                     {ociImage, strings.Replace(text(plain), `"config":`, `"config":{},"config":`, 1)},
		"two mediaTypes":                  {ociImage, strings.Replace(text(plain), `{`, `{"mediaType":"`+ociIndex+`",`, 1)},
		"key escaped":                     {ociImage, strings.Replace(text(plain), `{`, `{"manifests":[],`, 1)},
		"two documents":                   {ociImage, text(plain) + text(list)},
		"something after it":              {ociImage, text(plain) + "x"},
		"array":                           {ociImage, "[" + text(plain) + "]"},
		"nothing":                         {ociImage, ""},
		"null":                            {ociImage, "null"},
		"no schemaVersion":                {ociImage, strings.Replace(text(plain), `"schemaVersion":2`, `"x":2`, 1)},
		"schemaVersion as text":           {ociImage, strings.Replace(text(plain), `"schemaVersion":2`, `"schemaVersion":"2"`, 1)},
		"no config":                       {ociImage, text(doc{"schemaVersion": 2, "layers": plain["layers"]})},
		"UTF-16":                          {ociImage, "\xff\xfe" + text(plain)},
		"not UTF-8":                       {ociImage, strings.Replace(text(plain), `{`, "{\"a\":\"\xff\",", 1)},
		"BOM":                             {ociImage, "\xef\xbb\xbf" + text(plain)},
		"negative size":                   {ociImage, text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": sha([]byte("{}")), "size": -1}}))},
		"size of another":                 {ociImage, text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": sha([]byte("{}")), "size": 3}}))},
		"size as a float":                 {ociImage, text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": sha([]byte("{}")), "size": 2.5}}))},
		"size beyond int64":               {ociImage, strings.Replace(text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": sha([]byte("{}")), "size": 77}})), `77`, `99999999999999999999`, 1)},
		"digest out of grammar":           {ociImage, text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": "sha256:x", "size": 2}}))},
		"digest that leaves the folder":   {ociImage, text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": "../../etc/passwd", "size": 2}}))},
		"descriptor without a type":       {ociImage, text(plain.with(doc{"config": doc{"digest": sha([]byte("{}")), "size": 2}}))},
		"data of another digest":          {ociImage, text(plain.with(doc{"config": descriptor(ociEmpty, []byte("{}")).with(doc{"data": "W10="})}))},
		"subject out of grammar":          {ociImage, text(plain.with(doc{"subject": doc{"mediaType": ociImage, "digest": "x", "size": 1}}))},
		"annotations that are no text":    {ociImage, text(plain.with(doc{"annotations": doc{"a": 1}}))},
		"nested deeply":                   {ociImage, strings.Replace(text(plain), `{`, `{"a":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,`, 1)},
		"nested deeply and never closed":  {ociImage, strings.Repeat(`{"a":`, 200_000)},
		"layers that are no descriptors":  {ociImage, text(plain.with(doc{"layers": []string{"x"}}))},
		"manifests that are no list":      {ociIndex, text(list.with(doc{"manifests": "x"}))},
		"platform that is no object":      {ociIndex, text(list.with(doc{"manifests": []doc{descriptor(ociImage, plain.bytes()).with(doc{"platform": 1})}}))},
		"config in place of manifests":    {ociIndex, text(doc{"schemaVersion": 2, "config": plain["config"], "layers": []doc{}})},
		"digest in capitals":              {ociImage, text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": strings.ToUpper(sha([]byte("{}"))), "size": 2}}))},
		"unknown algorithm of the digest": {ociImage, text(plain.with(doc{"config": doc{"mediaType": ociConfig, "digest": "md5:" + strings.Repeat("0", 32), "size": 2}}))},
	} {
		for _, ref := range []string{"v1", sha([]byte(c.body))} {
			r := w.put("test/hat", ref, c.kind, []byte(c.body))
			if r.is(400).code("MANIFEST_INVALID", "DIGEST_INVALID"); t.Failed() {
				t.Fatalf("%s", name)
			}
		}
	}
	same(t, "rows", w.rows(), before)
	w.send("GET", "/v2/test/hat/manifests/v1", nil).is(404)
}

// CVE-2026-35172: what was deleted in one repository came back when another one's was read.
func TestCDeletedStaysDeletedWhoeverReadsItElsewhere(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int64{"cached": 0, "uncached": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, func(c *registry.Config) { c.ManifestCache, c.BlobCache = cache, cache })
			a, b := w.pushImage("test/a", "v1", "one"), w.pushImage("test/b", "v1", "one")
			paths := []string{"/manifests/" + a.digest, "/manifests/v1", "/blobs/" + sha(a.layer), "/blobs/" + sha(a.config)}
			warm := func(repo string) {
				for _, path := range paths {
					w.anonymous().send("GET", "/v2/"+repo+path, nil).want(200)
					w.anonymous().send("HEAD", "/v2/"+repo+path, nil).want(200)
				}
			}
			same(t, "digests", a.digest, b.digest)
			warm("test/a")
			warm("test/b")
			for _, path := range []string{"/manifests/" + a.digest, "/blobs/" + sha(a.layer), "/blobs/" + sha(a.config)} {
				w.send("DELETE", "/v2/test/a"+path, nil).want(202)
			}
			for range 3 {
				for _, path := range paths {
					for _, client := range []*wire{w, w.anonymous()} {
						client.send("GET", "/v2/test/a"+path, nil).is(404)
						client.send("HEAD", "/v2/test/a"+path, nil).is(404)
						client.send("GET", "/v2/test/a"+path, nil, "Range", "bytes=0-0", "If-None-Match", "*").is(404)
					}
				}
				warm("test/b")
			}
		})
	}
}

// CVE-2024-39897: a digest alone got whoever asked the bytes of any repository.
func TestCBlobIsServedOnlyWhereItIsLinked(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int64{"cached": 0, "uncached": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, func(c *registry.Config) { c.ManifestCache, c.BlobCache = cache, cache })
			secret := w.private("secret")
			p := w.pushImage(secret, "v1", "secret")
			other := w.as(otherBasic)
			other.pushImage("other/hat", "v1", "hat")
			for range 2 {
				for _, path := range []string{"/blobs/" + sha(p.layer), "/blobs/" + sha(p.config), "/manifests/" + p.digest} {
					w.send("GET", "/v2/"+secret+path, nil).want(200) // so that it is cached
					for _, repo := range []string{"other/hat", "test/hat", secret} {
						other.send("GET", "/v2/"+repo+path, nil).is(401, 403, 404)
						other.send("HEAD", "/v2/"+repo+path, nil).is(401, 403, 404)
					}
				}
			}
			visible := w.visible()
			for _, d := range []string{sha(p.layer), sha(p.config)} {
				for _, query := range []string{"mount=" + d, "mount=" + d + "&from=" + secret, "mount=" + d + "&from=other/hat", "mount=" + d + "&from=test/secret&from=other/hat"} {
					location := other.send("POST", "/v2/other/hat/blobs/uploads/?"+query, nil).want(202).header.Get("Location")
					// Knowing the digest is not having the bytes.
					other.send("PUT", closing(location, d), nil).is(400)
					other.send("PUT", closing(location, d), "guess").is(400)
				}
				other.send("POST", "/v2/other/hat/blobs/uploads/?digest="+d, nil).is(400)
				other.send("HEAD", "/v2/other/hat/blobs/"+d, nil).is(404)
			}
			other.put("other/hat", "stolen", ociImage, p.raw).is(400, 404).code("MANIFEST_BLOB_UNKNOWN")
			other.putDoc("other/hat", "stolen", index(p.raw)).is(400, 404).code("MANIFEST_BLOB_UNKNOWN")
			same(t, "rows", w.visible(), visible)
			// Whoever has the bytes may push them; the digest is then theirs, too.
			other.pushBlob("other/hat", p.layer)
			other.send("GET", "/v2/other/hat/blobs/"+sha(p.layer), nil).is(200).content(p.layer)
			w.send("DELETE", "/v2/"+secret+"/blobs/"+sha(p.layer), nil).is(202)
			other.send("GET", "/v2/other/hat/blobs/"+sha(p.layer), nil).is(200).content(p.layer)
		})
	}
}

// Subjects, parents and tags of another repository are no business of this one.
func TestCRepositoriesOfOneAccountAreApart(t *testing.T) {
	t.Parallel()
	w := newWire(t, catalog)
	secret := w.private("secret")
	p := w.pushImage(secret, "hidden", "secret")
	w.pushBlob(secret, []byte("{}"))
	sig := artifact("application/vnd.example").with(doc{"subject": descriptor(ociImage, p.raw)}).bytes()
	w.put(secret, "sig", ociImage, sig).want(201)
	w.pushImage("test/hat", "v1", "hat")
	for _, client := range []*wire{w, w.anonymous(), w.as(otherBasic)} {
		same(t, "tags", client.tags("test/hat"), []string{"v1"})
		same(t, "referrers", digests(client.referrers("test/hat", p.digest, "")), []string{})
		client.send("GET", "/v2/test/hat/manifests/hidden", nil).is(404)
		client.send("GET", "/v2/test/hat/manifests/"+sha(sig), nil).is(404)
	}
	for client, want := range map[*wire][]string{
		w: {"test/hat", secret}, w.anonymous(): {"test/hat"}, w.as(otherBasic): {"test/hat"}, w.anonymous().withToken(): {"test/hat"},
		w.withToken("repository:test/hat:pull"): {"test/hat"}, w.withToken("registry:catalog:*"): {"test/hat"},
	} {
		for _, query := range []string{"", "?n=1", "?n=1099511627776", "?last=tess", "?last=tess/zzz", "?last=test/a"} {
			var got []string
			for path := "/v2/_catalog" + query; path != ""; {
				var page struct{ Repositories []string }
				r := client.send("GET", path, nil).want(200).json(&page)
				got, path = append(got, page.Repositories...), nextOf(r)
			}
			same(t, "catalog"+query, got, want)
		}
	}
}

var changing = regexp.MustCompile(`blobs/uploads/[A-Za-z0-9_-]+|"(token|access_token|issued_at)":"[^"]*"`)

// told is all that a reply tells, with the name of the repository taken out.
func (r *reply) told(name string) string {
	h := r.header.Clone()
	h.Del("Date")
	h.Del("Docker-Upload-Uuid")
	h.Del("X-Request-Id")
	text := fmt.Sprint(r.status, h, string(r.body))
	return strings.ReplaceAll(changing.ReplaceAllString(text, "…"), name, "NAME")
}

// Whether a private repository exists is told by no reply.
func TestCExistenceIsNotTold(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int64{"cached": 0, "uncached": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, catalog, func(c *registry.Config) { c.ManifestCache = cache })
			secret := w.private("secret")
			p := w.pushImage(secret, "v1", "secret")
			session := strings.TrimPrefix(w.start(secret), "/v2/"+secret)
			other := w.as(otherBasic)
			other.pushImage("other/hat", "v1", "hat")
			w.send("GET", "/v2/"+secret+"/manifests/v1", nil).want(200)
			clients := map[string]*wire{
				"anonymous": w.anonymous(), "another account": other, "anonymous token": w.anonymous().withToken("repository:" + secret + ":pull"),
				"token of another account": other.withToken("repository:"+secret+":pull,push", "repository:other/hat:pull,push"), "wrong password": w.as(basicAuth("x", "y")),
			}
			d, l := p.digest, sha(p.layer)
			for who, client := range clients {
				for _, c := range [][2]string{
					{"GET", "/manifests/v1"}, {"HEAD", "/manifests/v1"}, {"GET", "/manifests/none"}, {"GET", "/manifests/" + d}, {"HEAD", "/manifests/" + d},
					{"GET", "/blobs/" + l}, {"HEAD", "/blobs/" + l}, {"GET", "/tags/list"}, {"HEAD", "/tags/list"}, {"GET", "/tags/list?n=1"}, {"GET", "/referrers/" + d},
					{"POST", "/blobs/uploads/"}, {"POST", "/blobs/uploads/?mount=" + l}, {"POST", "/blobs/uploads/?digest=" + l}, {"PUT", "/manifests/v1"}, {"PUT", "/manifests/" + d},
					{"PUT", "/manifests/.bad"}, {"DELETE", "/manifests/v1"}, {"DELETE", "/manifests/" + d}, {"DELETE", "/blobs/" + l}, {"GET", session}, {"PATCH", session},
					{"PUT", session + "?digest=" + l}, {"DELETE", session}, {"GET", "/blobs/sha256:x"}, {"GET", "/manifests/sha256:x"}, {"GET", "/tags/list?n=-1"},
				} {
					got := client.send(c[0], "/v2/"+secret+c[1], nil, "Content-Type", ociImage).told(secret)
					want := client.send(c[0], "/v2/test/absent"+c[1], nil, "Content-Type", ociImage).told("test/absent")
					same(t, who+": "+c[0]+" "+c[1], got, want)
				}
				for _, verbs := range []string{"pull", "pull,push", "*", "delete"} {
					got := client.send("GET", "/token?scope=repository:"+secret+":"+verbs, nil)
					want := client.send("GET", "/token?scope=repository:test/absent:"+verbs, nil)
					same(t, who+": token for "+verbs, got.told(secret), want.told("test/absent"))
					if got.status == 200 {
						var a, b tokenReply
						got.json(&a)
						want.json(&b)
						same(t, who+": access in a token", claims(t, a.Token)["access"], claims(t, b.Token)["access"])
					}
				}
				got := client.send("POST", "/v2/other/hat/blobs/uploads/?mount="+l+"&from="+secret, nil).told(secret)
				want := client.send("POST", "/v2/other/hat/blobs/uploads/?mount="+l+"&from=test/absent", nil).told("test/absent")
				same(t, who+": mount", got, want)
				if r := client.send("GET", "/v2/_catalog", nil); strings.Contains(string(r.body), "secret") {
					t.Errorf("%s: catalog %s", who, r.body)
				}
			}
		})
	}
}

// counting is a store that counts what it is asked.
type counting struct {
	meta.Store
	n atomic.Int64
}

func (c *counting) Find(ctx context.Context, alias, name string) (meta.Repository, error) {
	c.n.Add(1)
	return c.Store.Find(ctx, alias, name)
}

func (c *counting) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	c.n.Add(1)
	return c.Store.Resolve(ctx, alias, name, ref)
}

func (c *counting) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	c.n.Add(1)
	return c.Store.Linked(ctx, repo, d)
}

func (c *counting) View(ctx context.Context, fn func(meta.Tx) error) error {
	c.n.Add(1)
	return c.Store.View(ctx, fn)
}

// Nor does the time of a reply tell it. Instead of measuring times, which a test cannot on a
// machine that others use too, it counts the questions to the store, each of which takes as
// long as all the rest of a reply.
func TestCExistenceCostsTheSame(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int64{"cached": 0, "uncached": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &counting{Store: memmeta.New()}
			w := newWire(t, func(c *registry.Config) { c.Store, c.ManifestCache = store, cache })
			secret := w.private("secret")
			p := w.pushImage(secret, "v1", "secret")
			questions := func(client *wire, method, path string) int64 {
				client.send(method, path, nil) // what can be cached is
				before := store.n.Load()
				client.send(method, path, nil)
				return store.n.Load() - before
			}
			for who, client := range map[string]*wire{"anonymous": w.anonymous(), "another account": w.as(otherBasic)} {
				for _, c := range [][2]string{
					{"GET", "/manifests/v1"}, {"HEAD", "/manifests/v1"}, {"GET", "/manifests/" + p.digest}, {"GET", "/blobs/" + sha(p.layer)},
					{"HEAD", "/blobs/" + sha(p.layer)}, {"GET", "/tags/list"}, {"GET", "/referrers/" + p.digest}, {"POST", "/blobs/uploads/"}, {"DELETE", "/manifests/v1"},
				} {
					got, want := questions(client, c[0], "/v2/"+secret+c[1]), questions(client, c[0], "/v2/test/absent"+c[1])
					if got != want {
						t.Errorf("%s: %s %s asks the store %d times where the repository is private, %d where it is not there", who, c[0], c[1], got, want)
					}
				}
			}
		})
	}
}

// Harbor CVE-2022-31667: an id of another project was accepted. An upload belongs to the
// repository and the principal that began it.
func TestCUploadIsOfItsRepositoryAndPrincipal(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	content := []byte("content")
	location := w.send("PATCH", w.start("test/hat"), content).want(202).header.Get("Location")
	_, id, _ := strings.Cut(location, "/v2/test/hat/")
	w.start("test/coat")
	w.as(otherBasic).start("other/hat")
	before := w.rows()
	for who, c := range map[string]struct {
		client *wire
		repo   string
		want   []int
	}{
		"another repository":              {w, "test/coat", []int{404}},
		"another repository by token":     {w.withToken("repository:test/coat:pull,push"), "test/coat", []int{404}},
		"a repository that is not there":  {w, "test/none", []int{404}},
		"another principal":               {w.as(mateBasic), "test/hat", []int{404}},
		"another principal by token":      {w.as(mateBasic).withToken("repository:test/hat:*"), "test/hat", []int{404}},
		"another account in its own":      {w.as(otherBasic), "other/hat", []int{404}},
		"another account":                 {w.as(otherBasic), "test/hat", []int{401, 403, 404}},
		"anonymous":                       {w.anonymous(), "test/hat", []int{401, 403, 404}},
		"token for another repository":    {w.withToken("repository:test/coat:*"), "test/hat", []int{401, 403, 404}},
		"in capitals":                     {w.as(mateBasic), "test/hat", []int{404}},
		"anonymous with a token for pull": {w.anonymous().withToken("repository:test/hat:pull"), "test/hat", []int{401, 403, 404}},
	} {
		if who == "token for another repository" {
			// It is the owner's: reading the state of their upload is no change.
			c.want = append(c.want, 204)
		}
		path := "/v2/" + c.repo + "/" + id
		c.client.send("GET", path, nil).is(c.want...)
		for _, r := range []*reply{
			c.client.send("PATCH", path, "more"), c.client.send("PUT", closing(path, sha(content)), nil), c.client.send("DELETE", path, nil),
		} {
			r.is(401, 403, 404)
		}
		same(t, "rows after "+who, w.rows(), before)
	}
	w.send("PUT", closing(location, sha(content)), nil).is(201)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// Logs are pasted: they name no credential and no query.
func TestCLogsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	var bucket *storagetest.Faulty
	w := newWire(t, faulty(&bucket), func(c *registry.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}).failing()
	p := w.pushImage("test/hat", "v1", "hat")
	token := w.withToken("repository:test/hat:*")
	bucket.Set(storagetest.Faults{PutBefore: errors.New("broken"), Get: errors.New("broken"), Delete: errors.New("broken")})
	for _, client := range []*wire{w, token} {
		client.send("POST", "/v2/test/hat/blobs/uploads/?digest="+sha([]byte("x"))+"&_state=s3cr3t", "x").is(500, 503)
		client.send("GET", "/v2/test/hat/blobs/"+sha(p.layer)+"?X-Amz-Signature=s3cr3t", nil).is(500, 503)
		client.send("PATCH", client.start("test/hat")+"?_state=s3cr3t", "x").is(500, 503)
	}
	w.anonymous().form("grant_type", "password", "username", "u", "password", "s3cr3t")
	log.mu.Lock()
	defer log.mu.Unlock()
	text := log.b.String()
	if !strings.Contains(text, "broken") {
		t.Errorf("the fault is not in the log: %s", text)
	}
	for _, secret := range []string{"s3cr3t", "test-secret-0123456789", strings.TrimPrefix(ownerBasic, "Basic "), strings.TrimPrefix(token.auth, "Bearer ")} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

// A client's Host is not where others are sent: locations are paths.
func TestCLocationsStayOnTheHost(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	raw := index().bytes()
	header := []string{"Host", "evil.example", "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "X-Forwarded-Prefix", "/evil", "Content-Type", ociIndex}
	content := []byte("content")
	location := w.send("POST", "/v2/test/hat/blobs/uploads/", nil, header...).want(202).header.Get("Location")
	for _, r := range []*reply{
		w.send("GET", location, nil, header...),
		w.send("PATCH", location, content, header...),
		w.send("PATCH", location, content, append(header, "Content-Range", "99-105")...),
		w.send("PUT", closing(location, sha(content)), nil, header...),
		w.send("POST", "/v2/test/coat/blobs/uploads/?from=test/hat&mount="+sha(content), nil, header...),
		w.send("PUT", "/v2/test/hat/manifests/v1", raw, header...),
		w.send("PUT", "/v2/test/hat/manifests/v2", raw, header...),
		w.send("GET", "/v2/test/hat/tags/list?n=1", nil, header...),
	} {
		for _, values := range []http.Header{r.header} {
			if text := fmt.Sprint(values); strings.Contains(text, "evil") {
				t.Errorf("%s: %s", r.what, text)
			}
		}
		if r.header.Get("Location")+r.header.Get("Link") == "" {
			t.Errorf("%s: %d leads nowhere", r.what, r.status)
		}
	}
}
