package iam

import (
	"context"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
)

// Identities is where the policies of principals come from: the host's user database.
// It is asked for every request of a named principal that is not a pull from a public
// repository, so what it answers holds at once.
type Identities interface {
	// IdentityPolicies returns the texts of all policies of a principal; none for one that
	// it does not know.
	IdentityPolicies(ctx context.Context, p auth.Principal) ([]string, error)
	// IdentityTags returns a principal's tags, for the condition key aws:PrincipalTag.
	IdentityTags(ctx context.Context, p auth.Principal) (map[string]string, error)
}

// Repositories is where the policies of repositories come from; see registry.Policies.
type Repositories interface {
	// RepositoryPolicy returns the text of a repository's policy, or "" if it has none.
	RepositoryPolicy(ctx context.Context, id int64) (string, error)
	// RepositoryTags returns a repository's tags, for the condition key aws:ResourceTag.
	RepositoryTags(ctx context.Context, id int64) (map[string]string, error)
}

// Evaluator decides by identity policies and repository policies. It implements
// [policy.Evaluator] and [policy.Documents], and is safe for concurrent use.
type Evaluator struct {
	identities   Identities
	repositories Repositories
	parsed       *lru.Cache[source, *Policy]
}

// source is what a parsed policy is remembered by: its text, so that it cannot be stale.
type source struct {
	kind Kind
	text string
}

// remembered is how many parsed policies are kept, each of up to some 500 KB.
const remembered = 128

// New returns an evaluator. Identities may be nil: then only the root principal of an
// account, and whom a repository's policy of the same account names, may do anything.
func New(identities Identities, repositories Repositories) *Evaluator {
	parsed, err := lru.New[source, *Policy](remembered)
	if err != nil {
		panic(err) // for a size of 0 or less
	}
	return &Evaluator{identities, repositories, parsed}
}

// CheckRepositoryPolicy implements [policy.Documents].
func (e *Evaluator) CheckRepositoryPolicy(text string) error {
	_, err := Parse(Repository, text)
	return err
}

// Evaluate implements [policy.Evaluator].
func (e *Evaluator) Evaluate(ctx context.Context, req *policy.Request) (policy.Decision, error) {
	if req.Principal.IsAnonymous() || req.Pulls() && req.Resource.Public && req.Resource.ID != 0 {
		return policy.Decision{}, nil
	}
	f := &facts{req: req, now: req.Time, arn: req.Resource.ARN(), bit: actionBits[req.Action]}
	if f.now.IsZero() {
		f.now = time.Now()
	}
	f.principal.fetch = func() (map[string]string, error) { return e.identityTags(ctx, req.Principal) }
	f.resource.fetch = func() (map[string]string, error) {
		if req.Resource.ID == 0 {
			return nil, nil
		}
		return e.repositories.RepositoryTags(ctx, req.Resource.ID)
	}
	identity, err := e.identity(ctx, f)
	if err != nil || identity.Effect == policy.Deny {
		return identity, err
	}
	resource, err := e.repository(ctx, f)
	if err != nil || resource.Effect == policy.Deny {
		return resource, err
	}
	same := req.Resource.Account == "" || req.Resource.Account == req.Principal.Account
	switch {
	case same && identity.Effect == policy.Allow:
		return identity, nil
	case same && resource.Effect == policy.Allow:
		return resource, nil
	case identity.Effect == policy.Allow && resource.Effect == policy.Allow:
		return policy.Decision{Effect: policy.Allow, Reason: identity.Reason + "; " + resource.Reason}, nil
	case !same && identity.Effect == policy.Allow:
		return policy.Decision{Reason: fmt.Sprintf("no resource-based policy allows the %s action", req.Action)}, nil
	}
	return policy.Decision{Reason: fmt.Sprintf("no identity-based policy allows the %s action", req.Action)}, nil
}

func (e *Evaluator) identityTags(ctx context.Context, p auth.Principal) (map[string]string, error) {
	if e.identities == nil {
		return nil, nil
	}
	return e.identities.IdentityTags(ctx, p)
}

// identity decides by the policies of the principal.
func (e *Evaluator) identity(ctx context.Context, f *facts) (policy.Decision, error) {
	var allowed policy.Decision
	if f.req.Principal.IsRoot() {
		allowed = policy.Decision{Effect: policy.Allow, Reason: "the principal is the account"}
	}
	if e.identities == nil {
		return allowed, nil
	}
	texts, err := e.identities.IdentityPolicies(ctx, f.req.Principal)
	if err != nil {
		return policy.Decision{}, err
	}
	for i, text := range texts {
		d, err := e.decide(f, Identity, text, fmt.Sprintf("identity-based policy %d", i+1))
		if err != nil || d.Effect == policy.Deny {
			return d, err
		}
		if allowed.Effect != policy.Allow {
			allowed = d
		}
	}
	return allowed, nil
}

// repository decides by the policy of the repository.
func (e *Evaluator) repository(ctx context.Context, f *facts) (policy.Decision, error) {
	r := f.req.Resource
	switch {
	case r.Proposed != nil && *r.Proposed == "", r.Proposed == nil && (r.ID == 0 || !r.HasPolicy):
		return policy.Decision{}, nil
	case r.Proposed != nil:
		return e.decide(f, Repository, *r.Proposed, "resource-based policy")
	}
	text, err := e.repositories.RepositoryPolicy(ctx, r.ID)
	if err != nil || text == "" {
		return policy.Decision{}, err
	}
	return e.decide(f, Repository, text, "resource-based policy")
}

func (e *Evaluator) decide(f *facts, kind Kind, text, where string) (policy.Decision, error) {
	p, ok := e.parsed.Get(source{kind, text})
	if !ok {
		var err error
		if p, err = Parse(kind, text); err != nil {
			return policy.Decision{}, fmt.Errorf("%s: %w", where, err)
		}
		e.parsed.Add(source{kind, text}, p)
	}
	v := p.decide(f)
	if f.err != nil {
		return policy.Decision{}, f.err
	}
	switch v.effect {
	case policy.Deny:
		return policy.Decision{Effect: policy.Deny, Reason: "of an explicit deny in " + v.by + " of the " + where}, nil
	case policy.Allow:
		return policy.Decision{Effect: policy.Allow, Reason: v.by + " of the " + where}, nil
	}
	return policy.Decision{}, nil
}
