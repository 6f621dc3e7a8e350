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

	"github.com/esplanade-registry/esplanade/auth"
)

// Action is what a principal wants to do, by the name that IAM policies have for it.
type Action string

// The actions. Those for pulling have no counterpart in ECR Public, where no permission is
// needed to pull; they are named as in private ECR.
const (
	BatchGetImage          Action = "ecr-public:BatchGetImage"          // read manifests and referrers
	GetDownloadURLForLayer Action = "ecr-public:GetDownloadUrlForLayer" // read blobs
	DescribeImageTags      Action = "ecr-public:DescribeImageTags"      // list tags
	DescribeRepositories   Action = "ecr-public:DescribeRepositories"   // list repositories
	InitiateLayerUpload    Action = "ecr-public:InitiateLayerUpload"    // begin an upload, mount a blob
	UploadLayerPart        Action = "ecr-public:UploadLayerPart"        // add to an upload, ask about or cancel it
	CompleteLayerUpload    Action = "ecr-public:CompleteLayerUpload"    // finish an upload
	PutImage               Action = "ecr-public:PutImage"               // write manifests and tags
	BatchDeleteImage       Action = "ecr-public:BatchDeleteImage"       // delete manifests, tags and blobs
	CreateRepository       Action = "ecr-public:CreateRepository"       //
)

// verbs maps actions to the scopes that tokens are limited by.
var verbs = map[Action]auth.Verb{
	BatchGetImage:          auth.Pull,
	GetDownloadURLForLayer: auth.Pull,
	DescribeImageTags:      auth.Pull,
	DescribeRepositories:   auth.Pull,
	InitiateLayerUpload:    auth.Push,
	UploadLayerPart:        auth.Push,
	CompleteLayerUpload:    auth.Push,
	PutImage:               auth.Push,
	CreateRepository:       auth.Push,
	BatchDeleteImage:       auth.Delete,
}

// Verb returns the verb that a token's scope must have for the action; [auth.Any] for an
// action that it does not know, so that a limited token never allows it.
func (a Action) Verb() auth.Verb {
	if v, ok := verbs[a]; ok {
		return v
	}
	return auth.Any
}

// Resource is the repository that a request is about.
type Resource struct {
	Account    string // that owns the registry
	Repository string // name within the registry
	ID         int64  // 0: there is no such repository (yet)
	Public     bool   // anyone may pull
}

// Request is one question.
type Request struct {
	Principal auth.Principal
	Action    Action
	Resource  Resource
	Remote    netip.Addr // of the client; invalid for calls within the process
	UserAgent string
}

// Effect is an evaluator's answer.
type Effect uint8

// The effects. The zero Effect says nothing, and where nobody says anything the request is
// denied.
const (
	Abstain Effect = iota
	Allow
	Deny
)

// Decision is an effect and what decided it, for the host's log.
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
		}
	}
	return allowed, nil
}

// Public allows anyone to pull from public repositories.
type Public struct{}

// Evaluate implements [Evaluator].
func (Public) Evaluate(_ context.Context, req *Request) (Decision, error) {
	if req.Resource.ID != 0 && req.Resource.Public && req.Action.Verb() == auth.Pull {
		return Decision{Allow, "the repository is public"}, nil
	}
	return Decision{}, nil
}

// Owner allows every named principal of an account everything in the account's registry.
type Owner struct{}

// Evaluate implements [Evaluator].
func (Owner) Evaluate(_ context.Context, req *Request) (Decision, error) {
	if req.Principal.Account != "" && req.Principal.Account == req.Resource.Account {
		return Decision{Allow, "the principal is of the account that owns the registry"}, nil
	}
	return Decision{}, nil
}
