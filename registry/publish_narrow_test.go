package registry_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// Whatever is had for a credential that is limited is limited too: a refresh token must not
// give more than the password did.
func TestRefreshTokenKeepsTheScope(t *testing.T) {
	t.Parallel()
	scope := &auth.Scope{Access: []auth.Access{{Account: registrytest.Account, Repository: "hat", Verbs: []auth.Verb{auth.Pull}}}}
	s := registrytest.New(t, func(c *registry.Config) {
		c.Authenticators = []auth.Authenticator{auth.AuthenticatorFunc(func(r *http.Request) (auth.Identity, error) {
			if _, ok := auth.Credential(r, "Basic"); !ok {
				return auth.Identity{}, auth.ErrNoCredential
			}
			return auth.Identity{Principal: registrytest.Owner, Scope: scope}, nil
		})}
	})
	s.Push("test/hat", registrytest.Image{}, "v1")
	ask := func(form url.Values) (reply struct {
		Scope        string `json:"scope"`
		RefreshToken string `json:"refresh_token"`
	}) {
		t.Helper()
		form.Set("scope", "repository:test/hat:pull,push,delete")
		form.Set("access_type", "offline")
		req := httptest.NewRequest("POST", "/token", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		return reply
	}
	first := ask(url.Values{"grant_type": {"password"}, "username": {"x"}, "password": {"y"}})
	again := ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}})
	for what, got := range map[string]string{"the password": first.Scope, "the refresh token": again.Scope} {
		if got != "repository:test/hat:pull" {
			t.Errorf("%s is good for %q", what, got)
		}
	}
}

// Tags are compared with the patterns of policies, at a cost that grows with their length:
// those that are too long never are.
func TestLongTagsAreNotCompared(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, func(c *registry.Config) {
		c.Evaluators = []policy.Evaluator{iam.New(nil, registry.Policies{Store: c.Store})}
	})
	owner := s.As(auth.Principal{Account: registrytest.Account, Name: auth.Root})
	if _, err := owner.CreateRepository(t.Context(), "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	hostile := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr-public:*Tag*","Condition":{"ForAnyValue:StringLike":{"aws:TagKeys":"*` +
		strings.Repeat("a", 9000) + `b"}}}]}`
	if err := owner.SetRepositoryPolicy(t.Context(), "test/hat", hostile, false); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 1<<20)
	start := time.Now()
	wantErr(t, "untag", owner.UntagRepository(t.Context(), "test/hat", long), registry.ErrResourceTagInvalid)
	wantErr(t, "tag", owner.TagRepository(t.Context(), "test/hat", map[string]string{long: "x"}), registry.ErrResourceTagInvalid)
	wantErr(t, "create", second(owner.CreateRepository(t.Context(), "test/cap", &registry.CreateOptions{Tags: map[string]string{"x": long}})), registry.ErrResourceTagInvalid)
	if took := time.Since(start); took > 5*time.Second { // where they are compared, it is minutes
		t.Errorf("it took %s", took)
	}
}

// What a repository's policy is called in is its owner's matter.
func TestRefusalsDoNotQuotePolicies(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, func(c *registry.Config) {
		c.Evaluators = []policy.Evaluator{policy.Public{}, iam.New(nil, registry.Policies{Store: c.Store})}
	})
	ctx := t.Context()
	owner, stranger := s.As(auth.Principal{Account: registrytest.Account, Name: auth.Root}), s.As(auth.Principal{Account: "999988887777", Name: auth.Root})
	if _, err := owner.CreateRepository(ctx, "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	text := `{"Version":"2012-10-17","Statement":[{"Sid":"SecretWord","Effect":"Deny","Principal":"*","Action":["ecr-public:DescribeImages","ecr-public:SetRepositoryPolicy","ecr-public:DeleteRepositoryPolicy"]}]}`
	wantErr(t, "a policy that locks out", owner.SetRepositoryPolicy(ctx, "test/hat", text, false), registry.ErrPolicyInvalid)
	wantErr(t, "with force", owner.SetRepositoryPolicy(ctx, "test/hat", text, true), nil)
	for name, a := range map[string]*registry.Actor{"the owner": owner, "a stranger": stranger} {
		_, err := a.DescribeImages(ctx, "test/hat")
		wantErr(t, name, err, registry.ErrDenied)
		if told := strings.Contains(err.Error(), "SecretWord"); told != (a == owner) {
			t.Errorf("%s is told: %v", name, err)
		}
	}
	// and the operator lets the owner in again
	wantErr(t, "delete", second(owner.DeleteRepositoryPolicy(ctx, "test/hat")), registry.ErrDenied)
	wantErr(t, "the operator", s.RemoveRepositoryPolicy(ctx, "test/hat"), nil)
	wantErr(t, "no policy", second(owner.RepositoryPolicy(ctx, "test/hat")), registry.ErrPolicyUnknown)
	wantErr(t, "certify", s.SetCertified(ctx, "test/hat", true), nil)
	if c, err := owner.PutCatalogData(ctx, "test/hat", registry.CatalogData{Description: "hats"}); err != nil || !c.Certified {
		t.Errorf("certified, and described since: %+v, %v", c, err)
	}
}
