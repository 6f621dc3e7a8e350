package registry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// operation is a request that needs a right.
type operation struct {
	name, verb   string
	method, path string
	body         any
	header       []string
	ok           []int
	changes      bool // a Guard sees it
}

// operations are all routes of a repository with what they need: reading first, and deleting
// last. sessions open uploads there, for the client that will use them.
func (w *wire) operations(repo string, session func() string) []operation {
	w.t.Helper()
	p := w.pushImage(repo, "v1", "hat")
	q := w.pushImage(repo, "v0", "old")
	source := w.pushImage("test/source", "v1", "source")
	content := []byte("new content")
	next := image(p.config, p.layer).with(doc{"annotations": doc{"n": "2"}}).bytes()
	third := image(p.config, p.layer).with(doc{"annotations": doc{"n": "3"}}).bytes()
	base, kind := "/v2/"+repo, []string{"Content-Type", ociImage}
	var list []operation
	for _, path := range []string{"/manifests/v1", "/manifests/" + p.digest, "/blobs/" + sha(p.layer), "/tags/list", "/referrers/" + p.digest} {
		for _, method := range []string{"GET", "HEAD"} {
			list = append(list, operation{"read", "pull", method, base + path, nil, nil, []int{200}, false})
		}
	}
	return append(list,
		operation{"begin an upload", "push", "POST", base + "/blobs/uploads/", nil, nil, []int{202}, false},
		operation{"begin an upload, no slash", "push", "POST", base + "/blobs/uploads", nil, nil, []int{202}, false},
		operation{"mount", "push", "POST", base + "/blobs/uploads/?from=test/source&mount=" + sha(source.layer), nil, nil, []int{201}, true},
		operation{"mount from anywhere", "push", "POST", base + "/blobs/uploads/?mount=" + sha(source.config), nil, nil, []int{201, 202}, true},
		operation{"upload at once", "push", "POST", base + "/blobs/uploads/?digest=" + sha(content), content, nil, []int{201}, true},
		operation{"upload a chunk", "push", "PATCH", session(), content, nil, []int{202}, false},
		operation{"finish an upload", "push", "PUT", closing(session(), sha([]byte("more"))), "more", nil, []int{201}, true},
		operation{"cancel an upload", "push", "DELETE", session(), nil, nil, []int{204}, false},
		operation{"put a tag", "push", "PUT", base + "/manifests/v2", next, kind, []int{201}, true},
		operation{"move a tag", "push", "PUT", base + "/manifests/v1", next, kind, []int{201}, true},
		operation{"put a digest", "push", "PUT", base + "/manifests/" + sha(third), third, kind, []int{201}, true},
		operation{"put a digest with a tag", "push", "PUT", base + "/manifests/" + sha(next) + "?tag=v3", next, kind, []int{201}, true},
		operation{"delete a tag", "delete", "DELETE", base + "/manifests/v1", nil, nil, []int{202}, true},
		operation{"delete a digest", "delete", "DELETE", base + "/manifests/" + q.digest, nil, nil, []int{202}, true},
		operation{"delete a blob", "delete", "DELETE", base + "/blobs/" + sha(q.layer), nil, nil, []int{202}, true},
	)
}

// GHSA-hw28-333w-qxp3, and zot 8bb211bc: scopes were not mapped to every method.
func TestCEveryRouteAsksForItsRight(t *testing.T) {
	t.Parallel()
	type role struct {
		name   string
		rights string
		client func(w *wire, repo string) *wire
	}
	token := func(credential, verbs string) func(*wire, string) *wire {
		return func(w *wire, repo string) *wire {
			return w.as(credential).withToken("repository:" + repo + ":" + verbs)
		}
	}
	const all = "pull push delete"
	for _, r := range []role{
		{"owner", all, func(w *wire, _ string) *wire { return w }},
		{"another principal of the account", all, func(w *wire, _ string) *wire { return w.as(mateBasic) }},
		{"token for all", all, token(ownerBasic, "*")},
		{"token for pull and push", "pull push", token(ownerBasic, "pull,push")},
		{"token for pull", "pull", token(ownerBasic, "pull")},
		{"token for push", "push", token(ownerBasic, "push")},
		{"token for delete", "delete", token(ownerBasic, "delete")},
		{"token for nothing", "", token(ownerBasic, "")},
		{"token for another repository", "", func(w *wire, _ string) *wire {
			return w.withToken("repository:test/another:*", "repository:test/hat/more:*")
		}},
		{"anonymous", "", func(w *wire, _ string) *wire { return w.anonymous() }},
		{"anonymous token", "", token("", "pull,push,delete,*")},
		{"another account", "", func(w *wire, _ string) *wire { return w.as(otherBasic) }},
		{"token of another account", "", token(otherBasic, "pull,push,delete,*")},
	} {
		for _, private := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, private %v", r.name, private), func(t *testing.T) {
				t.Parallel()
				w := newWire(t)
				repo := "test/hat"
				if private {
					repo = w.private("secret")
				}
				client := r.client(w, repo)
				may := func(verb string) bool { return slices.Contains(strings.Fields(r.rights), verb) }
				list := w.operations(repo, func() string {
					if may("push") {
						return client.start(repo)
					}
					return w.start(repo)
				})
				for _, o := range list {
					before := w.rows()
					reply := client.send(o.method, o.path, o.body, o.header...)
					switch {
					case may(o.verb), o.verb == "pull" && !private:
						reply.is(o.ok...)
					case o.verb == "pull" && strings.Contains(o.path, "/referrers/") && reply.status == 200:
						if strings.Contains(string(reply.body), "sha256") {
							t.Errorf("%s: %s", reply.what, reply.body)
						}
					case o.verb == "pull":
						reply.is(401, 403, 404)
						same(t, "rows after "+reply.what, w.rows(), before)
					default:
						reply.is(401, 403)
						same(t, "rows after "+reply.what, w.rows(), before)
					}
					if t.Failed() {
						t.Fatal(o.name)
					}
				}
			})
		}
	}
}

type guardFunc func(*registry.Op, *registry.Change) error

func (f guardFunc) Check(_ context.Context, _ meta.Tx, op *registry.Op, c *registry.Change) error {
	return f(op, c)
}

// CVE-2026-41888: the path that deletes tags did not ask whether deleting was enabled.
func TestCEverySwitchDeniesOnEveryPath(t *testing.T) {
	t.Parallel()
	on := new(sync.Map) // registries in which the switch is on
	for name, c := range map[string]struct {
		verb  string
		guard bool
		want  []int
		build func(deny func() bool) func(*registry.Config)
	}{
		"policy denies deleting": {"delete", false, []int{403}, func(deny func() bool) func(*registry.Config) {
			return func(c *registry.Config) { c.Evaluators = denying(deny, auth.Delete) }
		}},
		"policy denies pushing": {"push", false, []int{403}, func(deny func() bool) func(*registry.Config) {
			return func(c *registry.Config) { c.Evaluators = denying(deny, auth.Push) }
		}},
		"interceptor switches deleting off": {"delete", false, []int{400, 405}, func(deny func() bool) func(*registry.Config) {
			return func(c *registry.Config) { c.Interceptors = []registry.Interceptor{refusing(deny, auth.Delete)} }
		}},
		"interceptor switches pushing off": {"push", false, []int{400, 405}, func(deny func() bool) func(*registry.Config) {
			return func(c *registry.Config) { c.Interceptors = []registry.Interceptor{refusing(deny, auth.Push)} }
		}},
		"guard switches deleting off": {"delete", true, []int{400, 405}, func(deny func() bool) func(*registry.Config) {
			return guarding(deny, registry.DeleteTag, registry.DeleteManifest, registry.DeleteBlob)
		}},
		"guard switches pushing off": {"push", true, []int{400, 405}, func(deny func() bool) func(*registry.Config) {
			return guarding(deny, registry.LinkBlob, registry.PutManifest, registry.MoveTag)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, c.build(func() bool { _, ok := on.Load(name); return ok }))
			list := w.operations("test/hat", func() string { return w.start("test/hat") })
			on.Store(name, true)
			for _, o := range list {
				if o.verb != c.verb || c.guard && !o.changes {
					continue
				}
				before := w.visible()
				r := w.send(o.method, o.path, o.body, o.header...)
				if c.guard && r.status == 202 && o.name == "mount from anywhere" {
					continue // a session, which makes no change yet
				}
				r.is(c.want...).code("UNSUPPORTED", "DENIED")
				same(t, "rows after "+o.name, w.visible(), before)
			}
			on.Delete(name)
			for _, o := range list {
				if o.verb == c.verb && o.verb == "delete" { // nothing was lost
					w.send(o.method, o.path, o.body, o.header...).is(o.ok...)
				}
			}
		})
	}
}

func denying(deny func() bool, verb auth.Verb) []policy.Evaluator {
	return []policy.Evaluator{policy.Public{}, policy.Owner{}, policy.EvaluatorFunc(func(_ context.Context, req *policy.Request) (policy.Decision, error) {
		if deny() && req.Action.Verb() == verb {
			return policy.Decision{Effect: policy.Deny, Reason: "a test"}, nil
		}
		return policy.Decision{}, nil
	})}
}

func refusing(deny func() bool, verb auth.Verb) registry.Interceptor {
	return func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		if deny() && op.Name != "" && op.Action.Verb() == verb {
			return registry.ErrUnsupported
		}
		return next(ctx)
	}
}

func guarding(deny func() bool, kinds ...registry.ChangeKind) func(*registry.Config) {
	return func(c *registry.Config) {
		c.Guards = []registry.Guard{guardFunc(func(_ *registry.Op, change *registry.Change) error {
			if deny() && slices.Contains(kinds, change.Kind) {
				return registry.ErrUnsupported
			}
			return nil
		})}
	}
}

// CVE-2026-31801: moving a tag was checked as making one.
func TestCMovingATagIsNotMakingOne(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(c *registry.Config) {
		c.Guards = []registry.Guard{guardFunc(func(op *registry.Op, change *registry.Change) error {
			if op.Identity.Name == "mate" && change.Before != "" {
				return registry.ErrDenied
			}
			return nil
		})}
	})
	p := w.pushImage("test/hat", "latest", "hat")
	w.put("test/hat", "v1", ociImage, p.raw).want(201)
	creator := w.as(mateBasic)
	next := image(p.config, p.layer).with(doc{"annotations": doc{"n": "2"}}).bytes()
	before := w.rows()
	for _, ref := range []string{"latest", "v1", sha(next) + "?tag=latest", sha(next) + "?tag=new&tag=v1", sha(next) + "?tag=v1&tag=new"} {
		creator.put("test/hat", ref, ociImage, next).is(403).code("DENIED")
	}
	for _, ref := range []string{"latest", "v1", p.digest} {
		creator.send("DELETE", "/v2/test/hat/manifests/"+ref, nil).is(403)
	}
	same(t, "rows", w.rows(), before)
	creator.put("test/hat", "v1", ociImage, p.raw).is(201) // where it is already
	creator.put("test/hat", sha(next)+"?tag=new", ociImage, next).is(201)
	w.put("test/hat", "v1", ociImage, next).is(201)

	// Of many who make one tag at once, one does.
	const clients = 8
	for round := range 10 {
		tag := fmt.Sprint("race", round)
		statuses := make([]int, clients)
		var wg sync.WaitGroup
		for i := range clients {
			raw := image(p.config, p.layer).with(doc{"annotations": doc{"n": fmt.Sprint(round, i)}}).bytes()
			wg.Go(func() {
				ref := tag
				if i%2 == 1 {
					ref = sha(raw) + "?tag=" + tag
				}
				statuses[i] = creator.put("test/hat", ref, ociImage, raw).status
			})
		}
		wg.Wait()
		slices.Sort(statuses)
		same(t, "statuses", statuses, []int{201, 403, 403, 403, 403, 403, 403, 403})
	}
}

// Quay CVE-2025-4374: repositories came to be where nobody was allowed to make them.
func TestCRefusedPushMakesNoRepository(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*registry.Config){
		"created by a push": func(*registry.Config) {},
		"created by nobody": func(c *registry.Config) { c.CreateOnPush = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, change)
			content, manifest := []byte("content"), index().bytes()
			pushes := func(client *wire, repo string) []*reply {
				base := "/v2/" + repo
				return []*reply{
					client.send("POST", base+"/blobs/uploads/", nil),
					client.send("POST", base+"/blobs/uploads/?digest="+sha(content), content),
					client.send("POST", base+"/blobs/uploads/?mount="+sha(content), nil),
					client.put(repo, "v1", ociIndex, manifest),
					client.put(repo, sha(manifest)+"?tag=v1", ociIndex, manifest),
				}
			}
			before := w.rows()
			for _, client := range []*wire{
				w.anonymous(), w.anonymous().withToken("repository:test/new:pull,push"), w.as(otherBasic), w.as(otherBasic).withToken("repository:test/new:*"),
				w.withToken("repository:test/new:pull"), w.withToken(), w.withToken("repository:test/another:*"),
			} {
				for _, r := range pushes(client, "test/new") {
					r.is(401, 403)
				}
			}
			for _, r := range pushes(w, "other/new") { // of another account
				r.is(401, 403)
			}
			for _, r := range pushes(w, "none/new") { // of nobody
				r.is(401, 403, 404)
			}
			if name == "created by nobody" {
				for _, r := range pushes(w, "test/new") {
					r.is(404).code("NAME_UNKNOWN")
				}
			}
			// Nor does a push that fails for other reasons.
			w.put("test/new", "v1", ociIndex, []byte("{")).is(400, 404)
			w.put("test/new", "v1", ociImage, image([]byte("{}")).bytes()).is(400, 404)
			w.send("POST", "/v2/test/new/blobs/uploads/?digest="+sha(content), "x").is(400, 404)
			w.send("PATCH", "/v2/test/new/blobs/uploads/none", "x").is(404)
			w.send("DELETE", "/v2/test/new/manifests/v1", nil).is(404)
			after := w.rows()
			delete(before, "review") // of the bytes that were refused
			delete(after, "review")
			delete(before, "upload")
			delete(after, "upload")
			if name == "created by a push" {
				// POST with a wrong digest begins an upload, which does create it
				if n := len(after["repository"]); n > 1 {
					t.Errorf("%d repositories", n)
				}
				delete(after, "repository")
			}
			same(t, "rows", after, before)
		})
	}
}

// Every path but those of the specification is refused.
func TestCNothingElseIsServed(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	for _, client := range []*wire{w, w.anonymous(), w.as(otherBasic)} {
		for _, path := range []string{
			"/", "/metrics", "/debug/pprof/", "/debug/vars", "/healthz", "/v2/metrics", "/v2/_catalog", "/v2/_ext", "/v2/_catalog/", "/v1/", "/v1/_ping", "/v3/",
			"/v2/test/hat", "/v2/test/hat/", "/v2/test/hat/tags", "/v2/test/hat/tags/", "/v2/test/hat/tags/list/", "/v2/test/hat/tags/v1", "/v2/test/hat/blobs/",
			"/v2/test/hat/_oci/ext/discover", "/v2/test/hat/_trust/tuf/root.json", "/v2/_oci/ext/discover", "/robots.txt", "/api/v1", "/v2/-/", "/auth", "/v2/token",
		} {
			for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"} {
				client.send(method, path, nil).is(400, 401, 404, 405)
			}
		}
	}
}

// zot bfc59ad1: any site's scripts could use the credentials of who visited it.
func TestCNoOriginIsAllowedCredentials(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	for _, origin := range []string{"https://evil.example", "null", "https://registry.example.evil.example", "http://registry.example"} {
		for _, client := range []*wire{w, w.anonymous()} {
			for _, c := range [][2]string{{"GET", "/v2/"}, {"GET", "/v2/test/hat/manifests/v1"}, {"OPTIONS", "/v2/test/hat/manifests/v1"}, {"GET", "/token"}, {"POST", "/v2/test/hat/blobs/uploads/"}} {
				r := client.send(c[0], c[1], nil, "Origin", origin, "Access-Control-Request-Method", "PUT").lacks("Access-Control-Allow-Credentials")
				if got := r.header.Get("Access-Control-Allow-Origin"); got != "" && got != "*" {
					t.Errorf("%s: Access-Control-Allow-Origin %s", r.what, got)
				}
			}
		}
	}
}
