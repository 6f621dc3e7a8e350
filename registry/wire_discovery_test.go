package registry_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// faulty gives a registry a bucket that can be made to fail.
func faulty(bucket **storagetest.Faulty) func(*registry.Config) {
	return func(c *registry.Config) {
		*bucket = &storagetest.Faulty{Bucket: gocloud.New(memblob.OpenBucket(nil))}
		c.Bucket, c.BlobCache = *bucket, -1
	}
}

func TestB01BaseIs200WhenAuthorizedElse401WithChallenge(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	for _, c := range []struct {
		name   string
		client *wire
		want   int
	}{
		{"basic", w, 200},
		{"bearer", w.withToken(), 200},
		{"anonymous token", w.as("Bearer " + w.anonymous().askToken().Token), 200},
		{"anonymous", w.anonymous(), 401},
		{"wrong password", w.as(basicAuth("AKIATESTTESTTESTTEST", "no")), 401},
		{"unknown user", w.as(basicAuth("nobody", "no")), 401},
		{"wrong token", w.as("Bearer x.y.z"), 401},
		{"unknown scheme", w.as("Digest x"), 401},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := c.client.send(method, "/v2/", nil).is(c.want).has("Docker-Distribution-Api-Version", "registry/2.0")
			if c.want == 401 {
				if r.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: no challenge", c.name)
				}
				if method == "GET" {
					r.code("UNAUTHORIZED")
				}
			} else {
				r.lacks("WWW-Authenticate")
			}
		}
	}
	open := newWire(t, func(c *registry.Config) { c.Issuer, c.Verifier, c.Authenticators = nil, nil, nil })
	open.anonymous().send("GET", "/v2/", nil).is(200)
}

func TestB02BaseChallengesAnonymousWhereManifestsNeedNothing(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	anonymous := w.anonymous()
	anonymous.send("GET", "/v2/", nil).is(401).code("UNAUTHORIZED")
	anonymous.send("GET", "/v2/test/hat/manifests/v1", nil).is(200).content(p.raw)
	anonymous.send("GET", "/v2/test/hat/blobs/"+sha(p.layer), nil).is(200).content(p.layer)

	// What docker does then without credentials.
	params := challenge(anonymous.send("GET", "/v2/", nil))
	path, ok := strings.CutPrefix(params["realm"], w.base)
	if !ok {
		t.Fatalf("realm %q is not on %s", params["realm"], w.base)
	}
	var token tokenReply
	anonymous.send("GET", path+"?service="+params["service"]+"&scope=repository:test/hat:pull", nil).want(200).json(&token)
	anonymous.as("Bearer "+token.Token).send("GET", "/v2/test/hat/manifests/v1", nil).is(200).content(p.raw)
}

func TestB03NamesAndTagsFollowTheGrammar(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	manifest := index().bytes()
	for _, name := range []string{
		"a", "0", "a.b", "a_b", "a__b", "a-b", "a--b", "a-----b", "a/b/c/d", "a.b_c__d-e", "tags", "manifests", "referrers", "blobs/uploads",
		"uploads", "tags/list", "blobs", "v2", "token", "_", strings.Repeat("a/", 90) + "a", strings.Repeat("x", 190),
	} {
		if name == "_" {
			continue
		}
		repo := "test/" + name
		w.put(repo, "v1", ociIndex, manifest).is(201)
		w.anonymous().send("GET", "/v2/"+repo+"/manifests/v1", nil).is(200).content(manifest)
		same(t, repo, w.tags(repo), []string{"v1"})
		d := w.pushBlob(repo, []byte(name))
		w.anonymous().send("GET", "/v2/"+repo+"/blobs/"+d, nil).is(200).content([]byte(name))
		w.anonymous().send("GET", "/v2/"+repo+"/referrers/"+d, nil).is(200)
	}
	before := w.rows()
	for _, name := range []string{
		"A", "hat/A", "a..b", "a___b", "a_-b", "a-_b", ".a", "a.", "-a", "a-", "_a", "a_", "a//b", "a/", "/a", "a/./b", "a/../b", "a+b", "a@b",
		"a:b", "a%20b", "a~b", "%C3%A9", "a%00b", "a%0Ab", `a%5Cb`, strings.Repeat("x", 256),
	} {
		repo := "test/" + name
		for _, r := range []*reply{
			w.put(repo, "v1", ociIndex, manifest),
			w.send("POST", "/v2/"+repo+"/blobs/uploads/", nil),
			w.send("GET", "/v2/"+repo+"/tags/list", nil),
			w.send("GET", "/v2/"+repo+"/manifests/v1", nil),
			w.send("GET", "/v2/"+repo+"/blobs/"+emptyDigest, nil),
			w.send("GET", "/v2/"+repo+"/referrers/"+emptyDigest, nil),
		} {
			r.is(400, 404).code("NAME_INVALID")
		}
	}
	for _, tag := range []string{"", ".a", "-a", strings.Repeat("x", 129), "a%20b", "a+b", "a%00", "%C3%A9", "a@b", "%7F", "a,b"} {
		w.put("test/hat", tag, ociImage, p.raw).is(400, 404).code("MANIFEST_INVALID", "MANIFEST_UNKNOWN", "UNSUPPORTED")
		w.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(400, 404)
		w.send("DELETE", "/v2/test/hat/manifests/"+tag, nil).is(400, 404, 405)
	}
	same(t, "rows after bad names and tags", w.rows(), before)
	for _, tag := range []string{"a", "A", "_", "0", "_.-", "v1.2.3-rc.1_x", strings.Repeat("x", 128), "list", "uploads"} {
		w.put("test/hat", tag, ociImage, p.raw).is(201)
		w.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(200).content(p.raw)
	}
}

// A repository has an alias and a name within the registry that the alias leads to.
func TestB03NameWithoutRepositoryIsNone(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	manifest := index().bytes()
	before := w.rows()
	for _, client := range []*wire{w, w.anonymous(), w.as(otherBasic)} {
		for _, name := range []string{"test", "hat"} {
			for _, r := range []*reply{
				client.send("POST", "/v2/"+name+"/blobs/uploads/", nil),
				client.send("POST", "/v2/"+name+"/blobs/uploads", nil),
				client.send("POST", "/v2/"+name+"/blobs/uploads/?digest="+sha([]byte("free storage")), "free storage"),
				client.put(name, "v1", ociIndex, manifest),
				client.put(name, sha(manifest), ociIndex, manifest),
				client.send("DELETE", "/v2/"+name+"/manifests/v1", nil),
				client.send("DELETE", "/v2/"+name+"/blobs/"+emptyDigest, nil),
			} {
				r.is(400, 401, 403, 404)
			}
		}
	}
	same(t, "rows after pushes to names without a repository", w.rows(), before)
}

func TestB04ErrorsAreOfTheSpecification(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	none := sha([]byte("none"))
	location := w.start("test/hat")
	for _, c := range []struct {
		method, path string
		body         any
		header       []string
		status       []int
		code         []string
	}{
		{"GET", "/v2/test/none/manifests/v1", nil, nil, []int{404}, []string{"NAME_UNKNOWN"}},
		{"GET", "/v2/test/none/tags/list", nil, nil, []int{404}, []string{"NAME_UNKNOWN"}},
		{"GET", "/v2/none/none/tags/list", nil, nil, []int{404}, []string{"NAME_UNKNOWN"}},
		{"GET", "/v2/test/hat/manifests/none", nil, nil, []int{404}, []string{"MANIFEST_UNKNOWN"}},
		{"GET", "/v2/test/hat/manifests/" + none, nil, nil, []int{404}, []string{"MANIFEST_UNKNOWN"}},
		{"DELETE", "/v2/test/hat/manifests/none", nil, nil, []int{404}, []string{"MANIFEST_UNKNOWN"}},
		{"DELETE", "/v2/test/hat/manifests/" + none, nil, nil, []int{404}, []string{"MANIFEST_UNKNOWN"}},
		{"GET", "/v2/test/hat/blobs/" + none, nil, nil, []int{404}, []string{"BLOB_UNKNOWN"}},
		{"DELETE", "/v2/test/hat/blobs/" + none, nil, nil, []int{404}, []string{"BLOB_UNKNOWN"}},
		{"GET", "/v2/test/hat/blobs/sha256:short", nil, nil, []int{400}, []string{"DIGEST_INVALID"}},
		{"GET", "/v2/test/hat/referrers/sha256:short", nil, nil, []int{400}, []string{"DIGEST_INVALID", "MANIFEST_INVALID"}},
		{"GET", "/v2/test/hat/blobs/uploads/none", nil, nil, []int{404}, []string{"BLOB_UPLOAD_UNKNOWN"}},
		{"PATCH", "/v2/test/hat/blobs/uploads/none", "x", nil, []int{404}, []string{"BLOB_UPLOAD_UNKNOWN"}},
		{"PUT", "/v2/test/hat/blobs/uploads/none?digest=" + none, "none", nil, []int{404}, []string{"BLOB_UPLOAD_UNKNOWN"}},
		{"DELETE", "/v2/test/hat/blobs/uploads/none", nil, nil, []int{404}, []string{"BLOB_UPLOAD_UNKNOWN"}},
		{"PUT", location, "x", nil, []int{400}, []string{"DIGEST_INVALID"}},
		{"PUT", closing(location, none), "x", nil, []int{400}, []string{"DIGEST_INVALID"}},
		{"PUT", "/v2/test/hat/manifests/v2", "{", []string{"Content-Type", ociImage}, []int{400}, []string{"MANIFEST_INVALID"}},
		{"PUT", "/v2/test/hat/manifests/" + none, p.raw, []string{"Content-Type", ociImage}, []int{400}, []string{"DIGEST_INVALID", "MANIFEST_INVALID"}},
		{"POST", "/v2/Test/hat/blobs/uploads/", nil, nil, []int{400}, []string{"NAME_INVALID"}},
		{"GET", "/v2/_catalog", nil, nil, []int{404, 405}, []string{"UNSUPPORTED"}},
		{"POST", "/v2/test/hat/manifests/v1", "x", nil, []int{405}, []string{"UNSUPPORTED"}},
		{"PUT", "/v2/test/hat/tags/list", "x", nil, []int{405}, []string{"UNSUPPORTED"}},
		{"BREW", "/v2/test/hat/blobs/" + none, nil, nil, []int{405}, []string{"UNSUPPORTED"}},
	} {
		w.send(c.method, c.path, c.body, c.header...).is(c.status...).code(c.code...)
	}
	// oras-go takes another 404 than NAME_UNKNOWN on referrers for a registry without them.
	if r := w.send("GET", "/v2/test/none/referrers/"+none, nil).is(200, 404); r.status == 404 {
		r.code("NAME_UNKNOWN")
	}
}

// containerd repeats as GET what HEAD was refused, to show why.
func TestB05HeadIsRefusedAsGetIs(t *testing.T) {
	t.Parallel()
	denied := policy.EvaluatorFunc(func(_ context.Context, req *policy.Request) (policy.Decision, error) {
		if req.Principal.Account == otherAccount {
			return policy.Decision{Effect: policy.Deny, Reason: "a test"}, nil
		}
		return policy.Decision{}, nil
	})
	w := newWire(t, func(c *registry.Config) { c.Evaluators = []policy.Evaluator{denied, policy.Public{}, policy.Owner{}} }).served()
	p := w.pushImage("test/hat", "v1", "hat")
	secret := w.private("secret")
	q := w.pushImage(secret, "v1", "secret")
	for _, client := range []*wire{
		w, w.anonymous(), w.as(otherBasic), w.as(basicAuth("no", "no")), w.as("Bearer no"), w.withToken(), w.withToken("repository:" + secret + ":push"),
		w.as(otherBasic).withToken("repository:" + secret + ":pull,push"),
	} {
		for _, path := range []string{
			"/v2/", "/v2/test/hat/manifests/v1", "/v2/test/hat/manifests/" + p.digest, "/v2/test/hat/manifests/none", "/v2/test/hat/blobs/" + sha(p.layer),
			"/v2/test/hat/blobs/" + emptyDigest, "/v2/test/hat/tags/list", "/v2/test/hat/referrers/" + p.digest, "/v2/test/none/manifests/v1",
			"/v2/test/none/blobs/" + emptyDigest, "/v2/test/hat/manifests/sha256:x", "/v2/test/hat/blobs/sha256:x", "/v2/test/Hat/manifests/v1",
			"/v2/" + secret + "/manifests/v1", "/v2/" + secret + "/manifests/" + q.digest, "/v2/" + secret + "/blobs/" + sha(q.layer),
			"/v2/" + secret + "/manifests/none", "/v2/" + secret + "/tags/list", "/v2/_catalog", "/v2/test/hat/blobs/uploads/",
		} {
			head, get := client.send("HEAD", path, nil), client.send("GET", path, nil)
			if head.status != get.status {
				t.Errorf("%s by %.20q: HEAD %d, GET %d", path, client.auth, head.status, get.status)
			}
			same(t, "challenge of "+path, head.header["Www-Authenticate"], get.header["Www-Authenticate"])
			if get.status >= 400 && len(get.body) == 0 {
				t.Errorf("%s by %.20q: GET does not say why", path, client.auth)
			}
		}
	}
	w.as(otherBasic).send("GET", "/v2/test/hat/tags/list", nil).is(401, 403, 404)
}

// containerd tries again on 5xx, and takes 405 for a registry without HEAD.
func TestB06FailureIs5xxAndTheNextTryWorks(t *testing.T) {
	t.Parallel()
	var bucket *storagetest.Faulty
	w := newWire(t, faulty(&bucket))
	p := w.pushImage("test/hat", "v1", "hat")
	location := w.start("test/hat")
	content := []byte("content")
	before := w.visible()
	broken := errors.New("s3cr3t driver text")
	for name, faults := range map[string]storagetest.Faults{
		"at once": {PutBefore: broken, Get: broken},
		"midway":  {PutAfter: 2, PutError: broken, Get: broken},
		"at end":  {PutAtEnd: broken, Get: broken, Delete: broken},
	} {
		bucket.Set(faults)
		for _, r := range []*reply{
			w.failing().send("GET", "/v2/test/hat/blobs/"+sha(p.layer), nil),
			w.failing().send("PATCH", location, content),
			w.failing().send("PUT", closing(location, sha(content)), content),
			w.failing().send("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(content), content),
		} {
			r.is(500, 503, 504)
			if strings.Contains(string(r.body), "s3cr3t") {
				t.Errorf("%s: the client is told %s", name, r.body)
			}
		}
		bucket.Set(storagetest.Faults{})
		same(t, "rows after a fault "+name, w.visible(), before)
		w.send("HEAD", "/v2/test/hat/blobs/"+sha(content), nil).is(404)
		w.send("GET", location, nil).is(204).has("Range", "0-0")
	}
	w.send("PATCH", location, content).is(202).has("Range", "0-6")
	w.send("PUT", closing(location, sha(content)), nil).is(201)
	w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).is(200).content(content)
	w.send("GET", "/v2/test/hat/blobs/"+sha(p.layer), nil).is(200).content(p.layer)
	for _, path := range []string{"test/hat/manifests/v1", "test/hat/manifests/none", "test/none/manifests/v1", "none/none/manifests/v1"} {
		if r := w.anonymous().send("HEAD", "/v2/"+path, nil); r.status == http.StatusMethodNotAllowed {
			t.Errorf("HEAD %s: 405", path)
		}
	}
}

func TestB08WarningsReachTheClient(t *testing.T) {
	t.Parallel()
	const text = `299 - "this repository moves to other/hat on 1 May"`
	w := newWire(t, func(c *registry.Config) {
		c.Interceptors = []registry.Interceptor{func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Header != nil && op.Name != "" {
				op.Header.Add("Warning", text)
			}
			return next(ctx)
		}}
	})
	p := w.pushImage("test/hat", "v1", "hat")
	for _, path := range []string{"manifests/v1", "blobs/" + sha(p.layer), "tags/list", "referrers/" + p.digest, "manifests/none"} {
		w.send("GET", "/v2/test/hat/"+path, nil).is(200, 404).has("Warning", text)
		w.send("HEAD", "/v2/test/hat/"+path, nil).is(200, 404).has("Warning", text)
	}
	w.put("test/hat", "v2", ociImage, p.raw).is(201).has("Warning", text)
	newWire(t).send("GET", "/v2/", nil).lacks("Warning")
}

// A host's own authenticators and challenges serve where there are no tokens.
func TestB01ChallengeWithoutTokensIsTheAuthenticators(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(c *registry.Config) { c.Issuer, c.Verifier = nil, nil })
	w.anonymous().send("GET", "/v2/", nil).is(401).has("WWW-Authenticate", `Basic realm="test"`)
	w.send("GET", "/v2/", nil).is(200)
	w.anonymous().send("GET", "/token", nil).is(404)
	var unable auth.Authenticator = auth.AuthenticatorFunc(func(*http.Request) (auth.Identity, error) { return auth.Identity{}, errors.New("s3cr3t") })
	out := newWire(t, func(c *registry.Config) { c.Authenticators = []auth.Authenticator{unable} }).failing()
	if r := out.send("GET", "/v2/", nil).is(500, 503); strings.Contains(string(r.body), "s3cr3t") {
		t.Errorf("the client is told %s", r.body)
	}
}
