package iam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
)

// users is a host's user database: the policies of its principals.
type users map[auth.Principal][]string

func (u users) IdentityPolicies(_ context.Context, p auth.Principal) ([]string, error) {
	return u[p], nil
}

func (users) IdentityTags(context.Context, auth.Principal) (map[string]string, error) {
	return nil, nil
}

// policies are those of repositories, which registry.Policies reads from its store.
type policies map[int64]string

func (p policies) RepositoryPolicy(_ context.Context, id int64) (string, error) { return p[id], nil }

func (policies) RepositoryTags(context.Context, int64) (map[string]string, error) { return nil, nil }

// The publisher of a repository lets another account push. Who of that account may is for
// its own policies to say.
func Example_letAnotherAccountPush() {
	const push = `"ecr-public:BatchCheckLayerAvailability", "ecr-public:InitiateLayerUpload",
		"ecr-public:UploadLayerPart", "ecr-public:CompleteLayerUpload", "ecr-public:PutImage"`
	repositories := policies{7: `{
		"Version": "2012-10-17",
		"Statement": [{
			"Sid": "LetThePartnerPush",
			"Effect": "Allow",
			"Principal": {"AWS": "arn:aws:iam::444455556666:root"},
			"Action": [` + push + `]
		}]
	}`}
	builder := auth.Principal{Account: "444455556666", Name: "assumed-role/builder/42"}
	visitor := auth.Principal{Account: "444455556666", Name: "visitor"}
	identities := users{builder: {`{
		"Version": "2012-10-17",
		"Statement": [{
			"Sid": "PushToThePublisher",
			"Effect": "Allow",
			"Action": [` + push + `],
			"Resource": "arn:aws:ecr-public::123456789012:repository/app"
		}]
	}`}}
	evaluator := iam.New(identities, repositories)

	app := policy.Resource{Account: "123456789012", Repository: "app", ID: 7, Public: true, HasPolicy: true}
	for _, who := range []auth.Principal{builder, visitor} {
		for _, action := range []policy.Action{policy.PutImage, policy.BatchDeleteImage} {
			d, err := evaluator.Evaluate(context.Background(), &policy.Request{Principal: who, Action: action, Resource: app})
			if err != nil {
				fmt.Println(err)
			}
			fmt.Println(who.Name, d.Effect == policy.Allow, "-", d.Reason)
		}
	}
	// Output:
	// assumed-role/builder/42 true - statement "PushToThePublisher" of the identity-based policy 1; statement "LetThePartnerPush" of the resource-based policy
	// assumed-role/builder/42 false - no identity-based policy allows the ecr-public:BatchDeleteImage action
	// visitor false - no identity-based policy allows the ecr-public:PutImage action
	// visitor false - no identity-based policy allows the ecr-public:BatchDeleteImage action
}

// An error of Parse says where a policy is wrong, so that an editor can show the place.
func ExampleParse() {
	_, err := iam.Parse(iam.Repository, `{
		"Version": "2012-10-17",
		"Statement": [
			{"Sid": "LetThemLook", "Effect": "Allow", "Principal": "*", "Action": "ecr-public:DescribeImages"},
			{"Sid": "LetThemPush", "Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "PutImage"}
		]
	}`)
	fmt.Println(err)
	if e, ok := errors.AsType[*iam.Error](err); ok {
		fmt.Println(e.Statement, e.Sid, e.Field)
	}
	// Output:
	// invalid policy: statement 2 (LetThemPush): Action has "PutImage", which is neither * nor of the form ecr-public:PutImage
	// 2 LetThemPush Action
}

// A publisher, who works from home, would let nobody do anything from outside the office.
// Before a registry sets a policy it asks what that would leave the one who sets it: a Deny
// holds for the account itself, so that nobody could take this one back from there.
func ExampleEvaluator_proposedPolicy() {
	proposed := `{
		"Version": "2012-10-17",
		"Statement": {
			"Sid": "OnlyFromTheOffice",
			"Effect": "Deny",
			"Principal": "*",
			"Action": "ecr-public:*",
			"Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
		}
	}`
	evaluator := iam.New(nil, policies{})
	fmt.Println(evaluator.CheckRepositoryPolicy(proposed))

	d, err := evaluator.Evaluate(context.Background(), &policy.Request{
		Principal: auth.Principal{Account: "123456789012", Name: auth.Root},
		Action:    policy.SetRepositoryPolicy,
		Resource:  policy.Resource{Account: "123456789012", Repository: "app", ID: 7, Proposed: &proposed},
		Remote:    netip.MustParseAddr("203.0.113.7"),
	})
	fmt.Println(d.Effect == policy.Deny, d.Reason, err)
	// Output:
	// <nil>
	// true of an explicit deny in statement "OnlyFromTheOffice" of the resource-based policy <nil>
}
