package policy_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
)

// A host adds a rule of its own to those that make a public registry: nobody writes but
// from the company's network, whatever else allows it.
func ExampleEvaluate() {
	office := netip.MustParsePrefix("192.0.2.0/24")
	network := policy.EvaluatorFunc(func(_ context.Context, req *policy.Request) (policy.Decision, error) {
		if req.Action.Verb() != auth.Pull && !office.Contains(req.Remote) {
			return policy.Decision{Effect: policy.Deny, Reason: "writing from outside the office"}, nil
		}
		return policy.Decision{}, nil // no opinion
	})
	list := []policy.Evaluator{policy.Public{}, policy.Owner{}, network}

	app := policy.Resource{Account: "123456789012", Repository: "app", ID: 1, Public: true}
	alice := auth.Principal{Account: "123456789012", Name: "alice"}
	inside, outside := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.7")
	for _, req := range []*policy.Request{
		{Action: policy.BatchGetImage, Resource: app, Remote: outside},
		{Action: policy.PutImage, Resource: app, Remote: inside},
		{Action: policy.PutImage, Resource: app, Remote: inside, Principal: alice},
		{Action: policy.PutImage, Resource: app, Remote: outside, Principal: alice},
	} {
		decision, err := policy.Evaluate(context.Background(), list, req)
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println(req.Principal, req.Action.Verb(), decision.Effect == policy.Allow, decision.Reason)
	}
	// Output:
	// anonymous pull true the repository is public
	// anonymous push false no policy allows it
	// 123456789012/alice push true the principal is of the account that owns the registry
	// 123456789012/alice push false writing from outside the office
}
