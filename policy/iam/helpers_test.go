package iam_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
)

// The owner of the repository that requests are about, and two other accounts.
const (
	owner    = "123456789012"
	guest    = "444455556666"
	stranger = "999999999999"
)

var (
	alice   = auth.Principal{Account: owner, Name: "alice"}
	bob     = auth.Principal{Account: guest, Name: "bob"}
	carol   = auth.Principal{Account: guest, Name: "carol"}
	session = auth.Principal{Account: guest, Name: "assumed-role/ci/build-7"}
	mallory = auth.Principal{Account: stranger, Name: "mallory"}
	nobody  = auth.Principal{}
)

// root is the principal that is an account.
func root(account string) auth.Principal { return auth.Principal{Account: account, Name: auth.Root} }

// sources is a user database of one user and a store of one repository.
type sources struct {
	policies       []string
	tags           map[string]string
	policy         string
	repositoryTags map[string]string

	policiesErr, tagsErr, policyErr, repositoryTagsErr error

	asked atomic.Int64
}

var (
	_ iam.Identities   = &sources{}
	_ iam.Repositories = &sources{}
)

func (s *sources) IdentityPolicies(context.Context, auth.Principal) ([]string, error) {
	s.asked.Add(1)
	return s.policies, s.policiesErr
}

func (s *sources) IdentityTags(context.Context, auth.Principal) (map[string]string, error) {
	s.asked.Add(1)
	return s.tags, s.tagsErr
}

func (s *sources) RepositoryPolicy(_ context.Context, id int64) (string, error) {
	s.asked.Add(1)
	if id != 7 {
		return "", errors.New("asked for another repository")
	}
	return s.policy, s.policyErr
}

func (s *sources) RepositoryTags(_ context.Context, id int64) (map[string]string, error) {
	s.asked.Add(1)
	if id != 7 {
		return nil, errors.New("asked for another repository")
	}
	return s.repositoryTags, s.repositoryTagsErr
}

// push is the request that most tests ask about: who writes an image to the public
// repository app of the owner.
func push(who auth.Principal) *policy.Request {
	return &policy.Request{
		Principal: who,
		Action:    policy.PutImage,
		Resource:  policy.Resource{Account: owner, Repository: "app", ID: 7, Public: true, HasPolicy: true},
		Remote:    netip.MustParseAddr("203.0.113.7"),
		UserAgent: "docker/28.5.1",
		Secure:    true,
		Time:      time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
}

// document is a policy of the newer version around statements.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// oldDocument is a policy of the version that knows no variables.
func oldDocument(statements ...string) string {
	return `{"Version":"2008-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// Statements that match whatever is asked.
const (
	allowAll    = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	denyAll     = `{"Effect":"Deny","Action":"*","Resource":"*"}`
	allowAnyone = `{"Effect":"Allow","Principal":"*","Action":"*"}`
	denyAnyone  = `{"Effect":"Deny","Principal":"*","Action":"*"}`
)

// evaluate asks a new evaluator. Whatever the test, an error must not come with an Allow.
func evaluate(t testing.TB, s *sources, req *policy.Request) (policy.Decision, error) {
	t.Helper()
	d, err := iam.New(s, s).Evaluate(t.Context(), req)
	if err != nil && d.Effect == policy.Allow {
		t.Errorf("allowed along with the error %v", err)
	}
	return d, err
}

// expect fails a test where the decision has another effect or there is an error.
func expect(t testing.TB, s *sources, req *policy.Request, effect policy.Effect) {
	t.Helper()
	got, err := evaluate(t, s, req)
	if err != nil || got.Effect != effect {
		t.Errorf("%s, %q, %v; want %s", effectName(got.Effect), got.Reason, err, effectName(effect))
	}
}

func effectName(e policy.Effect) string {
	return map[policy.Effect]string{policy.Abstain: "Abstain", policy.Allow: "Allow", policy.Deny: "Deny"}[e]
}

// matches reports whether a statement of an identity policy matches a request: whether the
// principal is allowed what nothing else allows them. A statement that denies is asked about
// next to one that allows everything.
func matches(t testing.TB, s *sources, req *policy.Request, version, statement string) bool {
	t.Helper()
	document := func(list ...string) string {
		return `{"Version":"` + version + `","Statement":[` + strings.Join(list, ",") + `]}`
	}
	effect := policy.Allow
	s.policies = []string{document(statement)}
	if strings.Contains(statement, `"Effect":"Deny"`) {
		effect = policy.Deny
		s.policies = append(s.policies, document(allowAll))
	}
	got, err := evaluate(t, s, req)
	if err != nil {
		t.Fatal(err)
	}
	return got.Effect == effect
}
