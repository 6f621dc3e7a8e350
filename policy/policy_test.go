package policy_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
)

// always answers the same, and counts.
type always struct {
	decision policy.Decision
	err      error
	asked    *int
}

func (a always) Evaluate(context.Context, *policy.Request) (policy.Decision, error) {
	if a.asked != nil {
		*a.asked++
	}
	return a.decision, a.err
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	broken := errors.New("the rules cannot be read")
	var (
		abstain = always{}
		reasons = always{decision: policy.Decision{Effect: policy.Abstain, Reason: "not mine"}}
		allow   = always{decision: policy.Decision{Effect: policy.Allow, Reason: "allowed"}}
		again   = always{decision: policy.Decision{Effect: policy.Allow, Reason: "allowed too"}}
		deny    = always{decision: policy.Decision{Effect: policy.Deny, Reason: "denied"}}
		fails   = always{err: broken}
		lies    = always{decision: policy.Decision{Effect: policy.Allow, Reason: "allowed"}, err: broken}
		odd     = always{decision: policy.Decision{Effect: 200, Reason: "odd"}}
	)
	for name, tt := range map[string]struct {
		list   []policy.Evaluator
		want   policy.Effect
		reason string // "" for any
		err    error
	}{
		"nobody":                      {nil, policy.Deny, "", nil},
		"one abstains":                {[]policy.Evaluator{abstain}, policy.Deny, "", nil},
		"all abstain":                 {[]policy.Evaluator{abstain, reasons, abstain}, policy.Deny, "", nil},
		"one allows":                  {[]policy.Evaluator{allow}, policy.Allow, "allowed", nil},
		"one denies":                  {[]policy.Evaluator{deny}, policy.Deny, "denied", nil},
		"abstain, allow":              {[]policy.Evaluator{abstain, allow}, policy.Allow, "allowed", nil},
		"allow, abstain":              {[]policy.Evaluator{allow, abstain}, policy.Allow, "allowed", nil},
		"allow, deny":                 {[]policy.Evaluator{allow, deny}, policy.Deny, "denied", nil},
		"deny, allow":                 {[]policy.Evaluator{deny, allow}, policy.Deny, "denied", nil},
		"allow, abstain, deny, allow": {[]policy.Evaluator{allow, abstain, deny, again}, policy.Deny, "denied", nil},
		"abstain, deny":               {[]policy.Evaluator{abstain, deny}, policy.Deny, "denied", nil},
		"two allow":                   {[]policy.Evaluator{allow, again}, policy.Allow, "", nil},
		"one fails":                   {[]policy.Evaluator{fails}, policy.Deny, "", broken},
		"allow, then one fails":       {[]policy.Evaluator{allow, fails}, policy.Deny, "", broken},
		"one fails, then allow":       {[]policy.Evaluator{fails, allow}, policy.Deny, "", broken},
		"one fails, and says allow":   {[]policy.Evaluator{lies}, policy.Deny, "", broken},
		"an effect that is none":      {[]policy.Evaluator{odd}, policy.Deny, "", nil},
		"that, and allow":             {[]policy.Evaluator{odd, allow}, policy.Allow, "allowed", nil},
	} {
		got, err := policy.Evaluate(t.Context(), tt.list, &policy.Request{})
		if got.Effect != tt.want || tt.reason != "" && got.Reason != tt.reason || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: %+v, %v; want effect %d, reason %q, error %v", name, got, err, tt.want, tt.reason, tt.err)
		}
		if got.Reason == "" {
			t.Errorf("%s: the host's log has no reason", name)
		}
	}
}

// Whatever the order, one that denies decides, and with an error nothing is allowed.
func TestEvaluateInAnyOrder(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	kinds := []always{{}, {decision: policy.Decision{Effect: policy.Allow}}, {decision: policy.Decision{Effect: policy.Deny}}, {err: broken}}
	const n = 4
	for code := range 4 * 4 * 4 * 4 {
		var list []policy.Evaluator
		var digits []int
		for i, c := 0, code; i < n; i, c = i+1, c/4 {
			list, digits = append(list, kinds[c%4]), append(digits, c%4)
		}
		got, err := policy.Evaluate(t.Context(), list, &policy.Request{})
		allow := slices.Contains(digits, 1) && !slices.Contains(digits, 2) && !slices.Contains(digits, 3)
		if (got.Effect == policy.Allow) != allow || got.Effect == policy.Abstain || err != nil && !errors.Is(err, broken) {
			t.Errorf("%v: %+v, %v; want allowed: %v", digits, got, err, allow)
		}
	}
}

// Evaluators get the request itself and the context, and one that decided against ends it.
func TestEvaluateAsks(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, 1)
	req := &policy.Request{Action: policy.PutImage}
	asked := 0
	see := policy.EvaluatorFunc(func(got context.Context, r *policy.Request) (policy.Decision, error) {
		asked++
		if r != req || got.Value(key{}) != 1 {
			t.Errorf("asked about %+v", r)
		}
		return policy.Decision{}, nil
	})
	after := 0
	deny := always{decision: policy.Decision{Effect: policy.Deny}}
	if _, err := policy.Evaluate(ctx, []policy.Evaluator{see, see, deny, always{asked: &after}}, req); err != nil || asked != 2 || after > 0 {
		t.Errorf("%v, asked %d times, and %d after a deny; want 2 and none", err, asked, after)
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	public := policy.Resource{Account: "123456789012", Repository: "app", ID: 7, Public: true}
	private, absent := public, public
	private.Public = false
	absent.ID = 0
	for action, verb := range verbs {
		for name, tt := range map[string]struct {
			resource policy.Resource
			want     policy.Effect
		}{
			"public":             {public, policy.Abstain},
			"private":            {private, policy.Abstain},
			"absent, but public": {absent, policy.Abstain},
			"nothing":            {policy.Resource{}, policy.Abstain},
		} {
			if name == "public" && verb == auth.Pull {
				tt.want = policy.Allow
			}
			for _, who := range []auth.Principal{{}, {Account: "123456789012", Name: "alice"}, {Account: "999999999999", Name: "mallory"}} {
				got, err := policy.Public{}.Evaluate(t.Context(), &policy.Request{Principal: who, Action: action, Resource: tt.resource})
				if got.Effect != tt.want || err != nil {
					t.Errorf("%s, %s of %s: %+v, %v; want effect %d", name, action, who, got, err, tt.want)
				}
			}
		}
	}
	for _, action := range []policy.Action{"", "*", "ecr-public:*", "ecr-public:batchgetimage", "ecr:BatchGetImage", "ecr-public:Future"} {
		if got, err := (policy.Public{}).Evaluate(t.Context(), &policy.Request{Action: action, Resource: public}); got.Effect != policy.Abstain || err != nil {
			t.Errorf("the action %q of anybody: %+v, %v", action, got, err)
		}
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	const account = "123456789012"
	for name, tt := range map[string]struct {
		who      auth.Principal
		resource policy.Resource
		want     policy.Effect
	}{
		"the owner":                      {auth.Principal{Account: account, Name: "alice"}, policy.Resource{Account: account, Repository: "app", ID: 7}, policy.Allow},
		"the owner of what is not there": {auth.Principal{Account: account, Name: "alice"}, policy.Resource{Account: account, Repository: "app"}, policy.Allow},
		"another":                        {auth.Principal{Account: "999999999999", Name: "alice"}, policy.Resource{Account: account, ID: 7, Public: true}, policy.Abstain},
		"anonymous":                      {auth.Principal{}, policy.Resource{Account: account, ID: 7, Public: true}, policy.Abstain},
		"anonymous, of no account":       {auth.Principal{}, policy.Resource{}, policy.Abstain},
		"a name without an account":      {auth.Principal{Name: "alice"}, policy.Resource{}, policy.Abstain},
		"an account named like another":  {auth.Principal{Account: account + "0", Name: "alice"}, policy.Resource{Account: account, ID: 7}, policy.Abstain},
	} {
		for action := range verbs {
			got, err := policy.Owner{}.Evaluate(t.Context(), &policy.Request{Principal: tt.who, Action: action, Resource: tt.resource})
			if got.Effect != tt.want || err != nil {
				t.Errorf("%s, %s: %+v, %v; want effect %d", name, action, got, err, tt.want)
			}
		}
	}
}

// verbs is the scope that each action needs: what the token protocol calls pull, push and
// delete.
var verbs = map[policy.Action]auth.Verb{
	policy.BatchGetImage:                 auth.Pull,
	policy.GetDownloadURLForLayer:        auth.Pull,
	policy.ListImages:                    auth.Pull,
	policy.BatchCheckLayerAvailability:   auth.Push,
	policy.InitiateLayerUpload:           auth.Push,
	policy.UploadLayerPart:               auth.Push,
	policy.CompleteLayerUpload:           auth.Push,
	policy.PutImage:                      auth.Push,
	policy.CreateRepository:              auth.Push,
	policy.BatchDeleteImage:              auth.Delete,
	policy.DeleteRepository:              auth.Any,
	policy.DescribeRepositories:          auth.Any,
	policy.DescribeImages:                auth.Any,
	policy.DescribeImageTags:             auth.Any,
	policy.GetRepositoryCatalogData:      auth.Any,
	policy.PutRepositoryCatalogData:      auth.Any,
	policy.GetRepositoryPolicy:           auth.Any,
	policy.SetRepositoryPolicy:           auth.Any,
	policy.DeleteRepositoryPolicy:        auth.Any,
	policy.ListTagsForResource:           auth.Any,
	policy.TagResource:                   auth.Any,
	policy.UntagResource:                 auth.Any,
	policy.DescribeRegistries:            auth.Any,
	policy.GetRegistryCatalogData:        auth.Any,
	policy.PutRegistryCatalogData:        auth.Any,
	policy.RequestRegistryAlias:          auth.Any,
	policy.DeleteRegistryAlias:           auth.Any,
	policy.SetPrimaryRegistryAlias:       auth.Any,
	policy.DescribeRegistryAliasRequests: auth.Any,
	policy.GetAuthorizationToken:         auth.Any,
}

func TestActionVerb(t *testing.T) {
	t.Parallel()
	for action, want := range verbs {
		if got := action.Verb(); got != want {
			t.Errorf("%s needs %s, want %s", action, got, want)
		}
		if !strings.HasPrefix(string(action), "ecr-public:") {
			t.Errorf("%s has no name that IAM policies have for it", action)
		}
	}
	for _, action := range []policy.Action{"", "*", "pull", "ecr-public:batchgetimage", "ecr-public:Future"} {
		if got := action.Verb(); got != auth.Any {
			t.Errorf("the unknown action %q needs %s, want %s", action, got, auth.Any)
		}
		limited := &auth.Scope{Access: []auth.Access{{Account: "1", Repository: "a", Verbs: []auth.Verb{auth.Pull, auth.Push, auth.Delete}}}}
		if limited.Allows("1", "a", action.Verb()) {
			t.Errorf("a limited token allows the unknown action %q", action)
		}
	}
}

// An action that is added must be added to the tables of these tests as well.
func TestEveryActionIsTested(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Action" {
			for _, value := range spec.Values {
				if lit, ok := value.(*ast.BasicLit); ok {
					declared[strings.Trim(lit.Value, `"`)] = true
				}
			}
		}
		return true
	})
	tested := map[string]bool{}
	for action := range verbs {
		tested[string(action)] = true
	}
	if diff := cmp.Diff(declared, tested); diff != "" {
		t.Errorf("(-declared +tested)\n%s", diff)
	}
}

// Nothing said is nothing allowed.
func TestZeroDecision(t *testing.T) {
	t.Parallel()
	if (policy.Decision{}).Effect != policy.Abstain {
		t.Error("the zero Decision does not abstain")
	}
}

func BenchmarkEvaluate(b *testing.B) {
	list := []policy.Evaluator{policy.Public{}, policy.Owner{}}
	resource := policy.Resource{Account: "123456789012", Repository: "app", ID: 7, Public: true}
	for name, req := range map[string]*policy.Request{
		"anonymous pull": {Action: policy.BatchGetImage, Resource: resource},
		"push by owner":  {Principal: auth.Principal{Account: "123456789012", Name: "ci"}, Action: policy.PutImage, Resource: resource},
		"refused":        {Action: policy.PutImage, Resource: resource},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := policy.Evaluate(b.Context(), list, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
