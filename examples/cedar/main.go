// Command cedar is a registry whose owner writes policies in Cedar, by cedar-go, beside the
// rule that anyone pulls what is public:
//
//	go run ./examples/cedar
//	docker login -u ann -p correct-horse-battery-staple 127.0.0.1:5002
//	docker push 127.0.0.1:5002/acme/web/app:v1    # allowed: ann is of the web team
//	docker push 127.0.0.1:5002/acme/core/app:v1   # refused
//
// An evaluator of the host's own is one method. It stands here in place of policy.Owner;
// beside policy/iam it would be one more element of Config.Evaluators, where a forbid of
// either holds.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/cedar-policy/cedar-go"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

const account = "111122223333"

//go:embed policies.cedar
var policies []byte

// evaluator decides by Cedar policies. It implements policy.Evaluator.
type evaluator struct {
	policies *cedar.PolicySet
	entities cedar.EntityMap
}

// newEvaluator reads policies, and says which users are in which team.
func newEvaluator(teams map[string][]string) (*evaluator, error) {
	set, err := cedar.NewPolicySetFromBytes("policies.cedar", policies)
	if err != nil {
		return nil, err
	}
	e := &evaluator{set, cedar.EntityMap{}}
	for user, list := range teams {
		var parents []cedar.EntityUID
		for _, team := range list {
			parents = append(parents, cedar.NewEntityUID("Team", cedar.String(team)))
		}
		uid := cedar.NewEntityUID("User", cedar.String(user))
		e.entities[uid] = cedar.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(parents...)}
	}
	return e, nil
}

// Evaluate implements policy.Evaluator. Cedar forbids what it does not permit; only what a
// policy forbids by name is a Deny here, so that other evaluators have their say.
func (e *evaluator) Evaluate(_ context.Context, req *policy.Request) (policy.Decision, error) {
	if req.Principal.IsAnonymous() {
		return policy.Decision{}, nil
	}
	decision, diagnostic := cedar.Authorize(e.policies, e.entities, cedar.Request{
		Principal: cedar.NewEntityUID("User", cedar.String(req.Principal.Name)),
		Action:    cedar.NewEntityUID("Action", cedar.String(req.Action)),
		Resource:  cedar.NewEntityUID("Repository", cedar.String(req.Resource.ARN())),
		Context: cedar.NewRecord(cedar.RecordMap{
			"account":    cedar.String(req.Resource.Account),
			"repository": cedar.String(req.Resource.Repository),
		}),
	})
	if len(diagnostic.Errors) > 0 {
		return policy.Decision{}, errors.New(diagnostic.Errors[0].String())
	}
	if len(diagnostic.Reasons) == 0 {
		return policy.Decision{Reason: fmt.Sprintf("no Cedar policy permits the %s action", req.Action)}, nil
	}
	reason := fmt.Sprintf("of the Cedar policy %s", diagnostic.Reasons[0].PolicyID)
	if decision == cedar.Allow {
		return policy.Decision{Effect: policy.Allow, Reason: reason}, nil
	}
	return policy.Decision{Effect: policy.Deny, Reason: reason}, nil
}

// handler is the whole host.
func handler() (http.Handler, error) {
	e, err := newEvaluator(map[string][]string{"ann": {"web"}, "bob": {"core"}})
	if err != nil {
		return nil, err
	}
	store := memmeta.New()
	tokens := token.New(registry.SigningKeys(store))
	reg, err := registry.New(registry.Config{
		Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil)), CreateOnPush: true, Issuer: tokens, Verifier: tokens,
		Authenticators: []auth.Authenticator{basic.New(basic.Static{
			"ann": {Password: "correct-horse-battery-staple", Principal: auth.Principal{Account: account, Name: "ann"}},
			"bob": {Password: "another-horse-another-staple", Principal: auth.Principal{Account: account, Name: "bob"}},
		}, "acme")},
		Evaluators: []policy.Evaluator{policy.Public{}, e},
	})
	if err != nil {
		return nil, err
	}
	return reg, reg.AddAlias(context.Background(), account, "acme")
}

func main() {
	h, err := handler()
	if err != nil {
		log.Fatal(err)
	}
	log.Println("listening on 127.0.0.1:5002")
	log.Fatal(http.ListenAndServe("127.0.0.1:5002", h))
}
