package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// This file holds every endpoint of the data plane to who may use it. What is expected is
// worked out here from the rules, without the code under test: it knows of the table of
// endpoints only which there are.

// The account that owns the repository, another one, and the id of an upload that is open.
const (
	matrixOwner    = "123456789012"
	matrixStranger = "999999999999"
	matrixUpload   = "0f8fad5b-d9cb-469f-a165-70867728950e"
)

var (
	matrixConfig   = []byte(`{"architecture":"amd64","os":"linux"}`)
	matrixLayer    = []byte("a layer")
	matrixLoose    = []byte("a blob that no manifest has")
	matrixManifest = fmt.Appendf(nil,
		`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
		manifest.MediaTypeImage, manifest.MediaTypeConfig, digestOf(matrixConfig), len(matrixConfig), digestOf(matrixLayer), len(matrixLayer))
	matrixIndex = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, manifest.MediaTypeIndex)
)

func digestOf(raw []byte) manifest.Digest { return manifest.SHA256.FromBytes(raw) }

// matrixRole is who asks, with what their identity policies say of an action.
type matrixRole struct {
	name      string
	principal auth.Principal
	policies  func(policy.Action) []string
	// allowed and denied are what the repository's policy says of them, where there is one
	allowed, denied bool
}

func identityPolicy(effect string, a policy.Action) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":%q,"Resource":"arn:aws:ecr-public::%s:repository/hat"}}`, effect, a, matrixOwner)
}

var matrixRoles = []matrixRole{
	{name: "anonymous"},
	{name: "owner", principal: auth.Principal{Account: matrixOwner, Name: auth.Root}},
	{name: "user", principal: auth.Principal{Account: matrixOwner, Name: "user"}},
	{name: "pusher", principal: auth.Principal{Account: matrixOwner, Name: "pusher"}, policies: func(a policy.Action) []string {
		return []string{identityPolicy("Allow", a)}
	}},
	{name: "denied", principal: auth.Principal{Account: matrixOwner, Name: "denied"}, policies: func(a policy.Action) []string {
		return []string{identityPolicy("Allow", "ecr-public:*"), identityPolicy("Deny", a)}
	}},
	{name: "barred", denied: true, principal: auth.Principal{Account: matrixOwner, Name: "barred"}, policies: func(a policy.Action) []string {
		return []string{identityPolicy("Allow", "ecr-public:*")}
	}},
	{name: "stranger", principal: auth.Principal{Account: matrixStranger, Name: auth.Root}},
	{name: "guest", allowed: true, principal: auth.Principal{Account: matrixStranger, Name: "guest"}, policies: func(a policy.Action) []string {
		return []string{identityPolicy("Allow", a)}
	}},
	{name: "invited only", allowed: true, principal: auth.Principal{Account: matrixStranger, Name: "invited"}},
	{name: "barred stranger", denied: true, principal: auth.Principal{Account: matrixStranger, Name: "foe"}},
}

// may says what the rules say: an explicit deny decides; within the account one allow is
// enough, and the root has one; across accounts there must be one in both.
func (r matrixRole) may(e matrixEndpoint, s matrixState) bool {
	switch {
	case e.pulls && s.exists && s.public:
		return true
	case r.name == "anonymous", r.name == "denied", r.denied && s.policy:
		return false
	case r.principal.Account == matrixOwner:
		return r.name != "user"
	}
	return r.name == "guest" && s.policy
}

type matrixState struct {
	name                             string
	exists, public, policy, recreate bool
}

var matrixStates = []matrixState{
	{name: "public", exists: true, public: true},
	{name: "public with a policy", exists: true, public: true, policy: true},
	{name: "absent"},
	{name: "deleted and made again", exists: true, public: true, recreate: true},
	{name: "private", exists: true},
	{name: "private with a policy", exists: true, policy: true},
}

// matrixEndpoint is what the test knows of a kind of route and a method.
type matrixEndpoint struct {
	kind    routeKind
	method  string
	pulls   bool
	success int // where the repository has what is asked for
	empty   int // where it was made again, and has nothing
	path    string
	body    []byte
	header  []string
}

var matrixEndpoints = []matrixEndpoint{
	{kind: routeBlob, method: "GET", pulls: true, success: 200, empty: 404, path: "/v2/acme/hat/blobs/" + string(digestOf(matrixLayer))},
	{kind: routeBlob, method: "HEAD", pulls: true, success: 200, empty: 404, path: "/v2/acme/hat/blobs/" + string(digestOf(matrixLayer))},
	{kind: routeManifest, method: "GET", pulls: true, success: 200, empty: 404, path: "/v2/acme/hat/manifests/v1"},
	{kind: routeManifest, method: "HEAD", pulls: true, success: 200, empty: 404, path: "/v2/acme/hat/manifests/" + string(digestOf(matrixManifest))},
	{kind: routeTags, method: "GET", pulls: true, success: 200, empty: 200, path: "/v2/acme/hat/tags/list"},
	{kind: routeTags, method: "HEAD", pulls: true, success: 200, empty: 200, path: "/v2/acme/hat/tags/list"},
	{kind: routeReferrers, method: "GET", pulls: true, success: 200, empty: 200, path: "/v2/acme/hat/referrers/" + string(digestOf(matrixManifest))},
	{kind: routeReferrers, method: "HEAD", pulls: true, success: 200, empty: 200, path: "/v2/acme/hat/referrers/" + string(digestOf(matrixManifest))},
	{kind: routeUploads, method: "POST", success: 202, empty: 202, path: "/v2/acme/hat/blobs/uploads/"},
	{kind: routeUpload, method: "PATCH", success: 202, empty: 404, path: "/v2/acme/hat/blobs/uploads/" + matrixUpload, body: []byte("bytes")},
	{kind: routeUpload, method: "PUT", success: 201, empty: 404, path: "/v2/acme/hat/blobs/uploads/" + matrixUpload + "?digest=" + string(digestOf([]byte("bytes"))), body: []byte("bytes")},
	{kind: routeUpload, method: "GET", success: 204, empty: 404, path: "/v2/acme/hat/blobs/uploads/" + matrixUpload},
	{kind: routeUpload, method: "HEAD", success: 204, empty: 404, path: "/v2/acme/hat/blobs/uploads/" + matrixUpload},
	{kind: routeUpload, method: "DELETE", success: 204, empty: 404, path: "/v2/acme/hat/blobs/uploads/" + matrixUpload},
	{kind: routeManifest, method: "PUT", success: 201, empty: 201, path: "/v2/acme/hat/manifests/v2", body: matrixIndex, header: []string{"Content-Type", manifest.MediaTypeIndex}},
	{kind: routeManifest, method: "DELETE", success: 202, empty: 404, path: "/v2/acme/hat/manifests/" + string(digestOf(matrixManifest))},
	{kind: routeBlob, method: "DELETE", success: 202, empty: 404, path: "/v2/acme/hat/blobs/" + string(digestOf(matrixLoose))},
}

// status works out the reply's status.
func (e matrixEndpoint) status(r matrixRole, s matrixState) int {
	may := r.may(e, s)
	switch {
	case e.kind == routeReferrers:
		return http.StatusOK // an index in any case, which is empty for who may not see one
	case may && !s.exists:
		return http.StatusNotFound
	case may && s.recreate:
		return e.empty
	case may:
		return e.success
	case e.pulls:
		return http.StatusNotFound
	case r.name == "anonymous":
		return http.StatusUnauthorized
	}
	return http.StatusForbidden
}

// matrixIdentities has the policies of one role.
type matrixIdentities struct {
	principal auth.Principal
	policies  []string
}

func (m matrixIdentities) IdentityPolicies(_ context.Context, p auth.Principal) ([]string, error) {
	if p == m.principal {
		return m.policies, nil
	}
	return nil, nil
}

func (matrixIdentities) IdentityTags(context.Context, auth.Principal) (map[string]string, error) {
	return nil, nil
}

// matrixRegistry returns a registry in a state, in which the role has an open upload.
func matrixRegistry(t *testing.T, role matrixRole, s matrixState, action policy.Action) *Registry {
	t.Helper()
	ctx := t.Context()
	store := memmeta.New()
	tokens := token.New(SigningKeys(store))
	identities := matrixIdentities{principal: role.principal}
	if role.policies != nil {
		identities.policies = role.policies(action)
	}
	cfg := Config{
		Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil)), Issuer: tokens, Verifier: tokens,
		Evaluators:     []policy.Evaluator{policy.Public{}, iam.New(identities, Policies{Store: store})},
		Authenticators: []auth.Authenticator{basic.New(basic.Static{"role": {Password: "secret", Principal: role.principal}}, "")},
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.AddAlias(ctx, matrixOwner, "acme"))
	must(r.AddAlias(ctx, matrixStranger, "other"))
	if !s.exists {
		return r
	}
	owner := r.As(auth.Principal{Account: matrixOwner, Name: auth.Root})
	repo, err := owner.CreateRepository(ctx, "acme/hat", nil)
	must(err)
	for _, raw := range [][]byte{matrixConfig, matrixLayer, matrixLoose} {
		must(owner.PushBlob(ctx, "acme/hat", digestOf(raw), bytes.NewReader(raw)))
	}
	_, err = owner.PushManifest(ctx, "acme/hat", "", matrixManifest, "v1")
	must(err)
	now := time.Now().UTC()
	must(store.Update(ctx, func(tx meta.Tx) error {
		return tx.Uploads().Put(meta.Upload{
			ID: matrixUpload, Repository: repo.ID, Principal: role.principal.String(), Algorithm: manifest.SHA256, State: []byte{}, Started: now, Active: now,
		})
	}))
	pull := func() int {
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, httptest.NewRequest("GET", "/v2/acme/hat/manifests/v1", nil))
		return rec.Code
	}
	if s.recreate {
		// the old one is in the caches, and it let everybody in
		must(owner.SetRepositoryPolicy(ctx, "acme/hat", repositoryPolicy(t, action, true), true))
		if got := pull(); got != 200 {
			t.Fatalf("pull before deleting: %d", got)
		}
		_, err := owner.DeleteRepository(ctx, "acme/hat", true)
		must(err)
		_, err = owner.CreateRepository(ctx, "acme/hat", nil)
		must(err)
		return r
	}
	if s.policy {
		must(owner.SetRepositoryPolicy(ctx, "acme/hat", repositoryPolicy(t, action, false), false))
	}
	if !s.public {
		must(store.Update(ctx, func(tx meta.Tx) error {
			row, err := tx.Repositories().Get(repo.Key())
			if err != nil {
				return err
			}
			row.Visibility = meta.Private
			return tx.Repositories().Put(row)
		}))
		// nothing makes a repository private yet, so nothing takes it out of the caches
		r, err = New(cfg)
		must(err)
	}
	return r
}

// repositoryPolicy allows and denies an action to the roles of which that is said; or allows
// everything to everybody.
func repositoryPolicy(t *testing.T, action policy.Action, open bool) string {
	t.Helper()
	type statement = map[string]any
	var allowed, denied []string
	for _, r := range matrixRoles {
		if r.allowed {
			allowed = append(allowed, r.principal.ARN())
		}
		if r.denied {
			denied = append(denied, r.principal.ARN())
		}
	}
	allow := statement{"Effect": "Allow", "Principal": statement{"AWS": allowed}, "Action": string(action)}
	// not by its name: a policy that names an action of pulling in a Deny is refused
	deny := statement{"Effect": "Deny", "Principal": statement{"AWS": denied}, "Action": "ecr-public:*"}
	list := []statement{allow, deny}
	if open {
		list = []statement{{"Effect": "Allow", "Principal": "*", "Action": "ecr-public:*"}}
	}
	raw, err := json.Marshal(statement{"Version": "2012-10-17", "Statement": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// send makes the request and returns the reply, with what differs from one to the next by
// chance taken out.
func (e matrixEndpoint) send(r *Registry, role matrixRole) (int, string) {
	req := httptest.NewRequest(e.method, "http://registry.example"+e.path, bytes.NewReader(e.body))
	if !role.principal.IsAnonymous() {
		req.SetBasicAuth("role", "secret")
	}
	for i := 0; i < len(e.header); i += 2 {
		req.Header.Set(e.header[i], e.header[i+1])
	}
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, req)
	var b strings.Builder
	rec.Header().Del("X-Request-Id")
	rec.Header().Write(&b) //nolint:errcheck // memory does not fail
	return rec.Code, b.String() + "\n" + rec.Body.String()
}

func TestEveryEndpointForEveryRoleAndState(t *testing.T) {
	t.Parallel()
	for _, e := range matrixEndpoints {
		action := byRoute[e.kind][e.method].action
		t.Run(fmt.Sprintf("%s %s", e.method, strings.NewReplacer("/", " ", "\x00", "").Replace(e.path)), func(t *testing.T) {
			t.Parallel()
			for _, role := range matrixRoles {
				for _, s := range matrixStates {
					r := matrixRegistry(t, role, s, action)
					before := matrixRows(t, r)
					status, reply := e.send(r, role)
					if want := e.status(role, s); status != want {
						t.Errorf("%s, repository %s: %d, want %d\n%s", role.name, s.name, status, want, reply)
					}
					if !role.may(e, s) {
						if diff := cmp.Diff(before, matrixRows(t, r)); diff != "" {
							t.Errorf("%s, repository %s: refused, and rows have changed (-before +after):\n%s", role.name, s.name, diff)
						}
						if e.kind == routeReferrers && strings.Contains(reply, "sha256:") {
							t.Errorf("%s, repository %s: a referrer is shown:\n%s", role.name, s.name, reply)
						}
					}
				}
			}
		})
	}
}

// What is private and what does not exist look the same to other accounts that may see
// neither: not even an explicit deny in the policy of what is private shows.
func TestPrivateLooksLikeAbsent(t *testing.T) {
	t.Parallel()
	for _, role := range matrixRoles {
		if role.principal.Account == matrixOwner {
			continue // the owner's users are told what forbids them
		}
		t.Run(role.name, func(t *testing.T) {
			t.Parallel()
			for _, e := range matrixEndpoints {
				action := byRoute[e.kind][e.method].action
				_, absent := e.send(matrixRegistry(t, role, matrixState{}, action), role)
				for _, s := range matrixStates {
					if !s.exists || s.public || role.may(e, s) {
						continue
					}
					_, reply := e.send(matrixRegistry(t, role, s, action), role)
					if diff := cmp.Diff(absent, reply); diff != "" {
						t.Errorf("%s %s: the repository %s is not answered as an absent one (-absent +got):\n%s", e.method, e.path, s.name, diff)
					}
				}
			}
		})
	}
}

// matrixRows are the rows that a request may change.
func matrixRows(t *testing.T, r *Registry) (rows []any) {
	t.Helper()
	err := r.store.View(t.Context(), func(tx meta.Tx) error {
		for _, err := range []error{
			addRows(&rows, tx.Repositories()), addRows(&rows, tx.Manifests()), addRows(&rows, tx.Edges()), addRows(&rows, tx.Tags()),
			addRows(&rows, tx.Moves()), addRows(&rows, tx.Blobs()), addRows(&rows, tx.Links()), addRows(&rows, tx.Uploads()),
			addRows(&rows, tx.Reviews()), addRows(&rows, tx.RepositoryPolicies()),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func addRows[K meta.Key, R any](rows *[]any, table meta.Table[K, R]) error {
	for row, err := range table.Scan(meta.Range[K]{}) {
		if err != nil {
			return err
		}
		*rows = append(*rows, row)
	}
	return nil
}

// An endpoint that is added has to say what policies are asked, and to come into the matrix.
func TestTheMatrixHasEveryEndpoint(t *testing.T) {
	t.Parallel()
	open := []routeKind{routeBase, routeToken, routeCatalog} // about no repository
	for kind, methods := range byRoute {
		for method, e := range methods {
			if slices.Contains(open, kind) {
				continue
			}
			if e.action == "" {
				t.Errorf("route %d, %s: no policy is asked about it", kind, method)
			}
			if !slices.Contains(policy.Actions(), e.action) {
				t.Errorf("route %d, %s: %q is no action of package policy", kind, method, e.action)
			}
			at := slices.IndexFunc(matrixEndpoints, func(m matrixEndpoint) bool { return m.kind == kind && m.method == method })
			if at < 0 {
				t.Errorf("route %d, %s: it is not in the matrix", kind, method)
				continue
			}
			m := matrixEndpoints[at]
			if pulls := e.action.Verb() == auth.Pull; pulls != m.pulls {
				t.Errorf("%s %s: pulls %v, want %v", method, m.path, pulls, m.pulls)
			}
			if !m.pulls && !e.asks {
				t.Errorf("%s %s: a cache may decide about a push", method, m.path)
			}
		}
	}
	for _, m := range matrixEndpoints {
		path, _, _ := strings.Cut(m.path, "?")
		if got := parseRoute(path).kind; got != m.kind || byRoute[m.kind][m.method] == nil {
			t.Errorf("%s %s is of route %d and no endpoint of %d", m.method, m.path, got, m.kind)
		}
	}
}

// What is in no table is refused for everybody alike, whatever the repository is.
func TestOtherMethodsAreRefusedAlike(t *testing.T) {
	t.Parallel()
	for _, s := range matrixStates {
		for _, role := range matrixRoles {
			r := matrixRegistry(t, role, s, policy.PutImage)
			before := matrixRows(t, r)
			for _, m := range matrixEndpoints {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "QUERY"} {
					if byRoute[m.kind][method] != nil {
						continue
					}
					m.method = method
					if status, reply := m.send(r, role); status != http.StatusMethodNotAllowed {
						t.Errorf("%s, repository %s: %s %s: %d, want 405\n%s", role.name, s.name, method, m.path, status, reply)
					}
				}
			}
			if diff := cmp.Diff(before, matrixRows(t, r)); diff != "" {
				t.Errorf("%s, repository %s: rows have changed:\n%s", role.name, s.name, diff)
			}
		}
	}
}

// A push creates the repository only for who may create it, too.
func TestCreateOnPushAsksForBothRights(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		policies []string
		want     int
	}{
		{"push only", []string{identityPolicy("Allow", policy.InitiateLayerUpload)}, http.StatusForbidden},
		{"create only", []string{identityPolicy("Allow", policy.CreateRepository)}, http.StatusForbidden},
		{"both", []string{identityPolicy("Allow", policy.InitiateLayerUpload), identityPolicy("Allow", policy.CreateRepository)}, http.StatusAccepted},
		{"both, and creating denied", []string{identityPolicy("Allow", "ecr-public:*"), identityPolicy("Deny", policy.CreateRepository)}, http.StatusForbidden},
	} {
		role := matrixRole{principal: auth.Principal{Account: matrixOwner, Name: "pusher"}, policies: func(policy.Action) []string { return c.policies }}
		r := matrixRegistry(t, role, matrixState{}, "")
		r.cfg.CreateOnPush = true
		i := slices.IndexFunc(matrixEndpoints, func(e matrixEndpoint) bool { return e.kind == routeUploads })
		if status, reply := matrixEndpoints[i].send(r, role); status != c.want {
			t.Errorf("%s: %d, want %d\n%s", c.name, status, c.want, reply)
		}
		err := r.store.View(t.Context(), func(tx meta.Tx) error {
			_, err := tx.Repositories().Get(meta.RepositoryKey{Account: matrixOwner, Name: "hat"})
			return err
		})
		if made := err == nil; made != (c.want == http.StatusAccepted) {
			t.Errorf("%s: the repository was made: %v (%v)", c.name, made, err)
		}
	}
}
