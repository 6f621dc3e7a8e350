package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// identities are the identity policies of principals, by account/name.
type identities map[string][]string

func (i identities) IdentityPolicies(_ context.Context, p auth.Principal) ([]string, error) {
	return i[p.String()], nil
}

func (identities) IdentityTags(context.Context, auth.Principal) (map[string]string, error) {
	return nil, nil
}

// anything allows everything, as an identity policy.
const anything = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// withIAM lets policies decide; the owner's user may do anything.
func withIAM(more identities) func(*registry.Config) {
	return func(c *registry.Config) {
		all := identities{registrytest.Owner.String(): {anything}}
		for who, list := range more {
			all[who] = list
		}
		c.Evaluators = []policy.Evaluator{policy.Public{}, iam.New(all, registry.Policies{Store: c.Store})}
	}
}

var (
	mate = auth.Principal{Account: registrytest.Account, Name: "mate"}
	root = rootOf(registrytest.Account)
)

// statement is one of a repository policy, about one principal.
func statement(effect string, p auth.Principal, actions ...policy.Action) doc {
	return doc{"Effect": effect, "Principal": doc{"AWS": p.ARN()}, "Action": actions}
}

func policyOf(statements ...doc) string {
	return string(doc{"Version": "2012-10-17", "Statement": statements}.bytes())
}

func hasPolicy(t testing.TB, a *registry.Actor, name string) bool {
	t.Helper()
	repo, err := a.Repository(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return repo.HasPolicy
}

func TestRepositoryPolicy(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withIAM(nil))
	ctx := t.Context()
	owner := s.Owner()
	told := recordEvents(t, s.Store)
	s.Push("test/hat", registrytest.Image{}, "v1")
	has := func(want string) {
		t.Helper()
		text, err := owner.RepositoryPolicy(ctx, "test/hat")
		if want == "" {
			if wantErr(t, "policy", err, registry.ErrPolicyUnknown); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v is not fs.ErrNotExist", err)
			}
		} else if err != nil || text != want {
			t.Errorf("policy %s, %v; want %s", text, err, want)
		}
		if got := hasPolicy(t, owner, "test/hat"); got != (want != "") {
			t.Errorf("HasPolicy %v with policy %q", got, want)
		}
	}
	has("")
	wantErr(t, "delete of none", second(owner.DeleteRepositoryPolicy(ctx, "test/hat")), registry.ErrPolicyUnknown)

	allow := "\n " + policyOf(statement("Allow", mate, policy.PutImage)) + "\n"
	wantErr(t, "set", owner.SetRepositoryPolicy(ctx, "test/hat", allow, false), nil)
	has(allow) // byte for byte
	for name, text := range map[string]string{
		"nothing":          "",
		"spaces":           "  ",
		"no JSON":          "{",
		"no object":        "[]",
		"no statement":     `{"Version":"2012-10-17"}`,
		"no principal":     `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*"}}`,
		"a resource":       strings.Replace(policyOf(statement("Allow", mate, policy.PutImage)), `"Action"`, `"Resource":"*","Action"`, 1),
		"another version":  `{"Version":"2013-10-17","Statement":[]}`,
		"too long":         policyOf(doc{"Sid": strings.Repeat("a", 10240), "Effect": "Allow", "Principal": "*", "Action": "*"}),
		"two texts":        allow + allow,
		"a denied pull":    policyOf(statement("Deny", mate, policy.BatchGetImage)),
		"no such effect":   policyOf(statement("Forbid", mate, policy.PutImage)),
		"no such account":  policyOf(doc{"Effect": "Allow", "Principal": doc{"AWS": "arn:aws:iam::123:root"}, "Action": "*"}),
		"not UTF-8":        strings.Replace(allow, "PutImage", "Put\xffImage", 1),
		"identity's words": anything,
	} {
		for _, force := range []bool{false, true} { // force is for who locks themselves out, and for nothing else
			wantErr(t, fmt.Sprintf("%s, force %v", name, force), owner.SetRepositoryPolicy(ctx, "test/hat", text, force), registry.ErrPolicyInvalid)
		}
	}
	has(allow)

	lockout := policyOf(statement("Deny", registrytest.Owner, policy.SetRepositoryPolicy))
	wantErr(t, "lock-out", owner.SetRepositoryPolicy(ctx, "test/hat", lockout, false), registry.ErrPolicyInvalid)
	has(allow)
	notOwner := policyOf(statement("Deny", mate, policy.SetRepositoryPolicy))
	wantErr(t, "somebody else's lock-out", owner.SetRepositoryPolicy(ctx, "test/hat", notOwner, false), nil)
	has(notOwner)
	wantErr(t, "lock-out with force", owner.SetRepositoryPolicy(ctx, "test/hat", lockout, true), nil)
	has(lockout)
	for _, force := range []bool{false, true} {
		wantErr(t, "set after lock-out", owner.SetRepositoryPolicy(ctx, "test/hat", allow, force), registry.ErrDenied)
	}
	wantErr(t, "set by the account itself", s.As(root).SetRepositoryPolicy(ctx, "test/hat", allow, false), nil)
	has(allow)
	text, err := owner.DeleteRepositoryPolicy(ctx, "test/hat")
	if err != nil || text != allow {
		t.Errorf("delete returned %s, %v", text, err)
	}
	has("")
	changes := slices.DeleteFunc(typesOf(told()), func(typ event.Type) bool { return typ != event.PolicyChanged })
	if len(changes) != 5 {
		t.Errorf("%d events of the policy, want 5", len(changes))
	}
	var row meta.RepositoryPolicy
	err = s.Store.View(ctx, func(tx meta.Tx) error {
		for r, err := range tx.RepositoryPolicies().Scan(meta.Range[meta.RepositoryID]{}) {
			if err != nil {
				return err
			}
			row = r
		}
		return nil
	})
	if err != nil || row.Repository != 0 {
		t.Errorf("a row is left: %+v, %v", row, err)
	}
}

// Who has the right only by the repository's policy must not take it from themselves.
func TestLockOutOfWhoThePolicyLetIn(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withIAM(nil))
	ctx := t.Context()
	s.Push("test/hat", registrytest.Image{}, "v1")
	invite := policyOf(statement("Allow", mate, policy.SetRepositoryPolicy))
	wantErr(t, "mate, without a policy", s.As(mate).SetRepositoryPolicy(ctx, "test/hat", invite, true), registry.ErrDenied)
	wantErr(t, "invite", s.Owner().SetRepositoryPolicy(ctx, "test/hat", invite, false), nil)
	without := policyOf(statement("Allow", mate, policy.PutImage))
	wantErr(t, "mate's own lock-out", s.As(mate).SetRepositoryPolicy(ctx, "test/hat", without, false), registry.ErrPolicyInvalid)
	wantErr(t, "with force", s.As(mate).SetRepositoryPolicy(ctx, "test/hat", without, true), nil)
	wantErr(t, "after that", s.As(mate).SetRepositoryPolicy(ctx, "test/hat", invite, true), registry.ErrDenied)
}

func TestWithoutDocumentsThereAreNoRepositoryPolicies(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	s.Push("test/hat", registrytest.Image{}, "v1")
	for _, force := range []bool{false, true} {
		wantErr(t, "set", s.Owner().SetRepositoryPolicy(t.Context(), "test/hat", policyOf(), force), registry.ErrUnsupported)
	}
	if hasPolicy(t, s.Owner(), "test/hat") {
		t.Error("HasPolicy")
	}
	wantErr(t, "get", second(s.Owner().RepositoryPolicy(t.Context(), "test/hat")), registry.ErrPolicyUnknown)
}

// A token says who somebody is and bounds what they may do; what they may is asked each time.
func TestAChangedPolicyHoldsForTokensThatAreOut(t *testing.T) {
	t.Parallel()
	w := newWire(t, withIAM(nil))
	ctx := t.Context()
	w.pushImage("test/hat", "v1", "hat")
	owner := w.Owner()
	set := func(statements ...doc) {
		t.Helper()
		if err := owner.SetRepositoryPolicy(ctx, "test/hat", policyOf(statements...), false); err != nil {
			t.Fatal(err)
		}
	}
	push := []policy.Action{policy.BatchCheckLayerAvailability, policy.InitiateLayerUpload, policy.UploadLayerPart, policy.CompleteLayerUpload, policy.PutImage}
	set(statement("Allow", mate, push...))
	client := w.as(mateBasic).withToken("repository:test/hat:pull,push")
	status := func(what string, want int) {
		t.Helper()
		for _, c := range []*wire{client, w.as(mateBasic)} {
			c.send("PUT", "/v2/test/hat/manifests/v2", emptyIndex, "Content-Type", ociIndex).is(want)
		}
		client.send("GET", "/v2/test/hat/manifests/v1", nil).is(200)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	status("allowed", 201)
	location := client.start("test/hat")
	set(statement("Allow", mate, push...), statement("Deny", mate, policy.PutImage))
	status("an explicit deny", 403)
	client.send("PATCH", location, "bytes").is(202)
	set(statement("Allow", mate, policy.PutImage))
	status("allowed again", 201)
	client.send("PATCH", location, "more").is(403) // no longer allowed to
	set(statement("Deny", registrytest.Owner, policy.PutImage))
	status("of others only", 403)
	w.send("PUT", "/v2/test/hat/manifests/v3", emptyIndex, "Content-Type", ociIndex).is(403)
	set(statement("Allow", mate, push...))
	status("allowed a third time", 201)
	if _, err := owner.DeleteRepositoryPolicy(ctx, "test/hat"); err != nil {
		t.Fatal(err)
	}
	status("deleted", 403)
	w.send("PUT", "/v2/test/hat/manifests/v3", emptyIndex, "Content-Type", ociIndex).is(201)
}

// An account is let in by both sides, or not at all.
func TestAcrossAccountsBothSidesMustAllow(t *testing.T) {
	t.Parallel()
	allowPush := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr-public:PutImage","Resource":"*"}}`
	w := newWire(t, withIAM(identities{otherPrincipal.String(): {allowPush}, otherAccount + "/poor": nil}))
	ctx := t.Context()
	w.pushImage("test/hat", "v1", "hat")
	push := func(p auth.Principal) error {
		return second(w.As(p).PushManifest(ctx, "test/hat", "", []byte(emptyIndex), "v2"))
	}
	poor := auth.Principal{Account: otherAccount, Name: "poor"}
	wantErr(t, "identity policy only", push(otherPrincipal), registry.ErrDenied)
	if err := w.Owner().SetRepositoryPolicy(ctx, "test/hat", policyOf(doc{"Effect": "Allow", "Principal": doc{"AWS": otherAccount}, "Action": "ecr-public:*"}), false); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "both", push(otherPrincipal), nil)
	wantErr(t, "repository policy only", push(poor), registry.ErrDenied)
	wantErr(t, "the account itself", push(rootOf(otherAccount)), nil)
	wantErr(t, "manage by the account itself", second(w.As(rootOf(otherAccount)).RepositoryPolicy(ctx, "test/hat")), nil)
	for _, name := range []string{"test/new", "test/hat/new"} {
		wantErr(t, "create "+name, second(w.As(rootOf(otherAccount)).CreateRepository(ctx, name, nil)), registry.ErrDenied)
	}
}

// managing has the operations on a repository by the action that each is to ask about. They
// create another one.
func managing(name, other string) map[policy.Action]func(context.Context, *registry.Actor) error {
	return map[policy.Action]func(context.Context, *registry.Actor) error{
		policy.DescribeRepositories: func(ctx context.Context, a *registry.Actor) error { return second(a.Repository(ctx, name)) },
		policy.DescribeImages: func(ctx context.Context, a *registry.Actor) error {
			for _, err := range a.Images(ctx, name, "") {
				return err
			}
			return nil
		},
		policy.DescribeImageTags: func(ctx context.Context, a *registry.Actor) error {
			for _, err := range a.ImageTags(ctx, name, "") {
				return err
			}
			return nil
		},
		policy.GetRepositoryCatalogData: func(ctx context.Context, a *registry.Actor) error { return second(a.CatalogData(ctx, name)) },
		policy.PutRepositoryCatalogData: func(ctx context.Context, a *registry.Actor) error {
			return second(a.PutCatalogData(ctx, name, registry.CatalogData{}))
		},
		policy.GetRepositoryPolicy: func(ctx context.Context, a *registry.Actor) error {
			return second(a.RepositoryPolicy(ctx, name))
		},
		policy.SetRepositoryPolicy: func(ctx context.Context, a *registry.Actor) error {
			return a.SetRepositoryPolicy(ctx, name, policyOf(statement("Allow", mate, policy.PutImage)), true)
		},
		policy.DeleteRepositoryPolicy: func(ctx context.Context, a *registry.Actor) error {
			return second(a.DeleteRepositoryPolicy(ctx, name))
		},
		policy.ListTagsForResource: func(ctx context.Context, a *registry.Actor) error { return second(a.RepositoryTags(ctx, name)) },
		policy.TagResource: func(ctx context.Context, a *registry.Actor) error {
			return a.TagRepository(ctx, name, map[string]string{"a": "b"})
		},
		policy.UntagResource: func(ctx context.Context, a *registry.Actor) error { return a.UntagRepository(ctx, name, "a") },
		policy.DeleteRepository: func(ctx context.Context, a *registry.Actor) error {
			return second(a.DeleteRepository(ctx, name, true))
		},
		policy.CreateRepository: func(ctx context.Context, a *registry.Actor) error {
			return second(a.CreateRepository(ctx, other, nil))
		},
		policy.BatchDeleteImage: func(ctx context.Context, a *registry.Actor) error { return second(a.DeleteImages(ctx, name)) },
		policy.BatchCheckLayerAvailability: func(ctx context.Context, a *registry.Actor) error {
			return second(a.HasLayers(ctx, name, emptyDigest))
		},
		policy.InitiateLayerUpload: func(ctx context.Context, a *registry.Actor) error { return second(a.StartLayer(ctx, name)) },
		policy.PutImage: func(ctx context.Context, a *registry.Actor) error {
			return second(a.PutImage(ctx, name, "", []byte(emptyIndex), "v2", ""))
		},
	}
}

// The operations that manage a repository ask about it: each for its own action, and for
// nobody more than that.
func TestManagingAsksForItsAction(t *testing.T) {
	t.Parallel()
	for action, do := range managing("test/hat", "test/cap") {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			only := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":%q,"Resource":"*"}}`, action)
			but := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":%q,"Resource":"*"}]}`, action)
			user := func(name string) auth.Principal { return auth.Principal{Account: registrytest.Account, Name: name} }
			s := registrytest.New(t, withIAM(identities{user("only").String(): {only}, user("but").String(): {but}}))
			ctx := t.Context()
			s.Push("test/hat", registrytest.Image{}, "v1")
			if err := s.Owner().SetRepositoryPolicy(ctx, "test/hat", policyOf(statement("Allow", mate, policy.PutImage)), false); err != nil {
				t.Fatal(err)
			}
			wantErr(t, "nobody", do(ctx, s.As(auth.Principal{})), registry.ErrUnauthorized)
			for _, p := range []auth.Principal{user("but"), user("none"), rootOf(otherAccount)} {
				wantErr(t, p.String(), do(ctx, s.As(p)), registry.ErrDenied)
			}
			// a token that is limited to repositories is not good for managing them
			limited := registrytest.Owner
			scope := &auth.Scope{Access: []auth.Access{{Account: registrytest.Account, Repository: "hat", Verbs: []auth.Verb{auth.Pull}}}}
			err := do(ctx, s.AsIdentity(auth.Identity{Principal: limited, Scope: scope}, registry.Client{}))
			if !errors.Is(err, registry.ErrUnauthorized) && !errors.Is(err, registry.ErrDenied) {
				t.Errorf("a token to pull: %v", err)
			}
			wantErr(t, "who is allowed nothing else", do(ctx, s.As(user("only"))), nil)
		})
	}
}

// Another account learns nothing of what is private, whatever its policy says of them: neither
// that it is there nor that it has a policy.
func TestManagingTellsStrangersNothing(t *testing.T) {
	t.Parallel()
	w := newWire(t, withIAM(identities{otherPrincipal.String(): {anything}}))
	ctx := t.Context()
	private := w.private("secret")
	set := func(text string) {
		t.Helper()
		if err := w.Owner().SetRepositoryPolicy(ctx, private, text, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []auth.Principal{{}, otherPrincipal, rootOf(otherAccount), {Account: otherAccount, Name: "poor"}} {
		for _, text := range []string{policyOf(statement("Allow", mate, policy.PutImage)), policyOf(doc{"Effect": "Deny", "Principal": doc{"AWS": otherAccount}, "Action": "*"})} {
			set(text)
			absent := managing("test/absent", "test/absent/new")
			for action, do := range managing(private, "test/absent/new") {
				got, want := do(ctx, w.As(p)), absent[action](ctx, w.As(p))
				if got == nil || want == nil {
					t.Errorf("%s: %s: %v, %v; want them refused", p, action, got, want)
					continue
				}
				if text := strings.ReplaceAll(got.Error(), "secret", "absent"); text != want.Error() {
					t.Errorf("%s: %s of what is private:\n%s\nof what is absent:\n%s", p, action, text, want)
				}
			}
		}
	}
}

// To have tags set with it, a repository takes the right to tag as well.
func TestCreateWithTagsAsksForBoth(t *testing.T) {
	t.Parallel()
	only := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr-public:CreateRepository","Resource":"*"}}`
	s := registrytest.New(t, withIAM(identities{mate.String(): {only}}))
	opts := &registry.CreateOptions{Tags: map[string]string{"a": "b"}}
	wantErr(t, "with tags", second(s.As(mate).CreateRepository(t.Context(), "test/hat", opts)), registry.ErrDenied)
	wantErr(t, "is it there", second(s.Owner().Repository(t.Context(), "test/hat")), fs.ErrNotExist)
	wantErr(t, "without", second(s.As(mate).CreateRepository(t.Context(), "test/hat", nil)), nil)
	wantErr(t, "by who may", second(s.Owner().CreateRepository(t.Context(), "test/cap", opts)), nil)
}

// The repositories of an account are for that account, however the question is put.
func TestRepositoriesOfOneAccountOnly(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withIAM(nil))
	publish(t, s.Registry, account1, "mine")
	publish(t, s.Registry, account1, "yours/too")
	publish(t, s.Registry, account2, "theirs")
	a := s.As(rootOf(account1))
	names := func(account, after string) (list []string, err error) {
		for repo, err := range a.RepositoriesOf(t.Context(), account, after) {
			if err != nil {
				return list, err
			}
			list = append(list, string(repo.Account)+"/"+repo.Name)
		}
		return list, nil
	}
	own := []string{account1 + "/mine", account1 + "/yours/too"}
	list, err := names(account1, "")
	wantErr(t, "own", err, nil)
	same(t, "own", list, own)
	list, err = names(account1, "mine")
	wantErr(t, "after", err, nil)
	same(t, "after", list, own[1:])
	list, err = names(account2, "")
	wantErr(t, "another's", err, registry.ErrDenied)
	same(t, "another's", list, []string(nil))
	for _, account := range []string{"", "1", "*", account1[:6], "000000000000"} {
		list, _ := names(account, "")
		if slices.ContainsFunc(list, func(s string) bool { return !strings.HasPrefix(s, account1) }) {
			t.Errorf("of the account %q: %v, some of which are another account's", account, list)
		}
	}
}

// A policy's conditions are about the client that an actor was made for.
func TestPoliciesSeeTheClient(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, withIAM(nil))
	s.Push("test/hat", registrytest.Image{}, "v1")
	text, err := json.Marshal(doc{"Version": "2012-10-17", "Statement": []doc{
		statement("Allow", mate, policy.DescribeImages).with(doc{"Condition": doc{"Bool": doc{"aws:SecureTransport": "true"}, "StringLike": doc{"aws:UserAgent": "good/*"}}}),
	}})
	if err == nil {
		err = s.Owner().SetRepositoryPolicy(t.Context(), "test/hat", string(text), false)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client registry.Client
		want   error
	}{
		{registry.Client{UserAgent: "good/1"}, nil},
		{registry.Client{UserAgent: "good/1", Insecure: true}, registry.ErrDenied},
		{registry.Client{UserAgent: "bad/1"}, registry.ErrDenied},
		{registry.Client{}, registry.ErrDenied},
	} {
		_, err := s.AsIdentity(auth.Identity{Principal: mate}, c.client).DescribeImages(t.Context(), "test/hat")
		wantErr(t, fmt.Sprintf("%+v", c.client), err, c.want)
	}
}
