// Package policy owns the answer to "may they": a [Request] goes to evaluators, and what
// they decide is combined by [Evaluate]. Nothing is allowed unless an evaluator allows it.
//
// [Public] and [Owner] are the simplest policies that make a public registry: anyone pulls
// from public repositories, and named principals of an account do anything in its
// registry. A host adds its own, or replaces them.
package policy

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
)

// Resource is the repository that a request is about, or the registry of an account where
// Repository is empty, or nothing in particular where Account is empty too.
type Resource struct {
	Account    string // that owns the registry
	Repository string // name within the registry
	ID         int64  // 0: there is no such repository (yet)
	Public     bool   // anyone may pull
	HasPolicy  bool   // the repository has a policy of its own
	// Proposed is the policy that the repository would have, instead of the one it has:
	// for asking what would be allowed then.
	Proposed *string
}

// ARN returns the resource as IAM policies name it, in the format of ECR Public (Service
// Authorization Reference), or "*" for nothing in particular.
func (r Resource) ARN() string {
	switch {
	case r.Account == "":
		return "*"
	case r.Repository == "":
		return "arn:aws:ecr-public::" + r.Account + ":registry/" + r.Account
	}
	return "arn:aws:ecr-public::" + r.Account + ":repository/" + r.Repository
}

// Request is one question.
type Request struct {
	Principal   auth.Principal
	Action      Action
	Resource    Resource
	Remote      netip.Addr // of the client; invalid for calls within the process
	UserAgent   string
	Secure      bool              // the request came over TLS, or from within the process
	Time        time.Time         // zero: now
	RequestTags map[string]string // that the request would set
	TagKeys     []string          // of the tags that the request would set or remove
}

// Pulls reports whether the request is to read images over the wire, which needs no
// permission where the repository is public.
func (r *Request) Pulls() bool { return r.Action.Verb() == auth.Pull }

// Effect is an evaluator's answer.
type Effect uint8

// The effects. The zero Effect says nothing, and where nobody says anything the request is
// denied.
const (
	Abstain Effect = iota
	Allow
	Deny
)

// Decision is an effect and what decided it. The reason of an Allow is for the host's log;
// that of a Deny, and of an Abstain that has one, is told to named principals.
type Decision struct {
	Effect Effect
	Reason string
}

// Evaluator decides requests. It is called for every one and must be quick.
type Evaluator interface {
	// Evaluate returns the zero Decision for requests that it has no opinion on. An error
	// denies.
	Evaluate(ctx context.Context, req *Request) (Decision, error)
}

// EvaluatorFunc is a function as an [Evaluator].
type EvaluatorFunc func(ctx context.Context, req *Request) (Decision, error)

// Evaluate calls f.
func (f EvaluatorFunc) Evaluate(ctx context.Context, req *Request) (Decision, error) {
	return f(ctx, req)
}

// Evaluate combines evaluators: one that denies decides, else one that allows, else the
// request is denied. With an error the decision is to deny.
func Evaluate(ctx context.Context, list []Evaluator, req *Request) (Decision, error) {
	allowed := Decision{Deny, "no policy allows it"}
	for _, e := range list {
		d, err := e.Evaluate(ctx, req)
		if err != nil {
			return Decision{Deny, "a policy could not be evaluated"}, fmt.Errorf("policy: %w", err)
		}
		switch d.Effect {
		case Deny:
			return d, nil
		case Allow:
			if allowed.Effect == Deny {
				allowed = d
			}
		case Abstain:
			if allowed.Effect == Deny && d.Reason != "" {
				allowed.Reason = d.Reason
			}
		}
	}
	return allowed, nil
}

// Public allows anyone to pull from public repositories.
type Public struct{}

// Evaluate implements [Evaluator].
func (Public) Evaluate(_ context.Context, req *Request) (Decision, error) {
	if req.Pulls() && req.Resource.ID != 0 && req.Resource.Public {
		return Decision{Allow, "the repository is public"}, nil
	}
	return Decision{}, nil
}

// Owner allows every named principal of an account everything in the account's registry, and
// what is about no registry at all.
type Owner struct{}

// Evaluate implements [Evaluator].
func (Owner) Evaluate(_ context.Context, req *Request) (Decision, error) {
	if p := req.Principal; p.Account != "" && (p.Account == req.Resource.Account || req.Resource == (Resource{})) {
		return Decision{Allow, "the principal is of the account that owns the registry"}, nil
	}
	return Decision{}, nil
}

// Documents is an [Evaluator] that reads policies which publishers attach to repositories.
// Where no evaluator does, a registry has no repository policies.
type Documents interface {
	Evaluator
	// CheckRepositoryPolicy returns an error for the client if a text is no policy.
	CheckRepositoryPolicy(text string) error
}
