package ecrpublic_test

import (
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
)

// invalidPolicy are the words that Terraform looks for (section 5.3).
const invalidPolicy = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"

func TestInvalidPolicies(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	before := w.rows()
	action := statement("Allow", "PutImage")
	resource := to(statement("Allow", "PutImage"), accountB)
	resource["Resource"] = "*"
	for name, text := range map[string]string{
		"empty":              "",
		"blank":              " ",
		"no JSON":            "{",
		"no object":          "[]",
		"no statement":       `{"Version":"2012-10-17"}`,
		"empty statements":   `{"Version":"2012-10-17","Statement":[]}`,
		"no principal":       document(action),
		"resource":           document(resource),
		"version":            strings.Replace(document(to(statement("Allow", "PutImage"), accountB)), "2012-10-17", "2020-01-01", 1),
		"effect":             document(to(statement("allow", "PutImage"), accountB)),
		"principal, pattern": document(to(statement("Allow", "PutImage"), "arn:aws:iam::123:*")),
		"principal, no ARN":  document(to(statement("Allow", "PutImage"), "bob")),
		"no action":          document(to(map[string]any{"Effect": "Allow"}, accountB)),
		"twice":              `{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}`,
		"something behind":   document(to(statement("Allow", "PutImage"), accountB)) + "x",
	} {
		for _, force := range []bool{false, true} {
			r := w.a.send("SetRepositoryPolicy", object{"repositoryName": "hat", "policyText": text, "force": force}).want("InvalidParameterException")
			if !strings.HasPrefix(r.message(), invalidPolicy) {
				t.Errorf("%s: the message is %q, want %q", name, r.message(), invalidPolicy)
			}
			w.unchanged(t, name, before)
		}
	}
	r := w.a.send("SetRepositoryPolicy", object{"repositoryName": "hat", "policyText": strings.Repeat(" ", 10241)}).want("InvalidParameterException")
	same(t, "message", r.message(), "Invalid parameter at 'policyText' failed to satisfy constraint: 'Member must have length less than or equal to 10240'")
}

// Policies as AWS's own examples have them are accepted, and answered as they were sent.
func TestValidPolicies(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	for name, text := range map[string]string{
		"of the command line's examples": `{
  "Version" : "2008-10-17",
  "Statement" : [ {
    "Sid" : "allow public pull",
    "Effect" : "Allow",
    "Principal" : "*",
    "Action" : [ "ecr-public:BatchGetImage", "ecr-public:GetDownloadUrlForLayer", "ecr-public:ListImages" ]
  } ]
}`,
		"of one statement":  `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + accountB + `"},"Action":"ecr-public:PutImage"}}`,
		"of private ECR":    `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["ecr:BatchGetImage"]}]}`,
		"with a service":    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"codebuild.amazonaws.com"},"Action":"ecr-public:PutImage"}]}`,
		"with a condition":  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"ecr-public:*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"hats"}}}]}`,
		"with NotAction":    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + accountB + `:root"},"NotAction":"ecr-public:DeleteRepository"}]}`,
		"as long as can be": strings.Repeat(" ", 10240-len(newPolicy)) + newPolicy,
	} {
		r := w.a.send("SetRepositoryPolicy", object{"repositoryName": "hat", "policyText": text})
		if r.status != 200 {
			t.Errorf("%s: status %d: %s", name, r.status, r.body)
			continue
		}
		got := must(w.a.GetRepositoryPolicy(t.Context(), &sdk.GetRepositoryPolicyInput{RepositoryName: ptr("hat")}))(t)
		same(t, name, *got.PolicyText, text)
	}
}

// A policy that would keep its author from setting another is set with force alone.
func TestLockOut(t *testing.T) {
	t.Parallel()
	bob := "arn:aws:iam::" + accountB + ":user/bob"
	for _, test := range []struct {
		name   string
		author func(w *world) *client
		text   string
		locks  bool
	}{
		{"denied to all", rootA, document(to(statement("Deny", "SetRepositoryPolicy"), "*")), true},
		{"everything denied to the account", rootA, document(to(statement("Deny", "*"), accountA)), true},
		{"denied to another", rootA, document(to(statement("Deny", "*"), accountB)), false},
		{"allowed to nobody, by identity all the same", rootA, document(to(statement("Allow", "PutImage"), accountB)), false},
		{"denied to others than root", rootA, document(map[string]any{
			"Effect": "Deny", "NotPrincipal": map[string]any{"AWS": []string{"arn:aws:iam::" + accountA + ":root", accountA}}, "Action": "ecr-public:*",
		}), false},
		{"another account's right taken away", userB, document(to(statement("Allow", "PutImage"), bob)), true},
		{"another account's right kept", userB, document(to(statement("Allow", "SetRepositoryPolicy"), bob)), false},
		{"a user's right from the policy alone, taken away", userA, document(to(statement("Allow", "PutImage"), bob)), true},
		{"a user's right from the policy alone, kept", userA, document(to(statement("Allow", "SetRepositoryPolicy"), "arn:aws:iam::"+accountA+":user/ann")), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.a.create("hat")
			w.a.send("SetRepositoryPolicy", object{"repositoryName": "hat", "policyText": newPolicy}).ok()
			w.userB.allow("SetRepositoryPolicy")
			c := test.author(w)
			before := w.rows()
			for _, input := range []object{
				{"registryId": accountA, "repositoryName": "hat", "policyText": test.text},
				{"registryId": accountA, "repositoryName": "hat", "policyText": test.text, "force": false},
			} {
				r := c.send("SetRepositoryPolicy", input)
				if !test.locks {
					r.ok()
					break
				}
				r.want("InvalidParameterException")
				w.unchanged(t, "refused", before)
			}
			r := c.send("SetRepositoryPolicy", object{"registryId": accountA, "repositoryName": "hat", "policyText": test.text, "force": true})
			if r.ok()["policyText"] != test.text {
				t.Errorf("the answer is %s", r.body)
			}
			again := c.send("SetRepositoryPolicy", object{"registryId": accountA, "repositoryName": "hat", "policyText": newPolicy})
			if test.locks {
				again.want("AccessDeniedException")
			} else {
				again.ok()
			}
		})
	}
}

func rootA(w *world) *client { return w.a }
func userA(w *world) *client { return w.userA }
func userB(w *world) *client { return w.userB }

// Force leaves out the one check and no other: not the right to set a policy.
func TestForceIsNoRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	before := w.rows()
	for _, c := range []*client{w.userA, w.b, w.userB} {
		c.send("SetRepositoryPolicy", object{"registryId": accountA, "repositoryName": "hat", "policyText": newPolicy, "force": true}).want("AccessDeniedException")
		w.unchanged(t, "refused", before)
	}
}

// A policy holds for the next request.
func TestPoliciesHoldAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	input := object{"registryId": accountA, "repositoryName": "hat"}
	for range 3 {
		w.b.send("DescribeImages", input).want("AccessDeniedException")
		w.a.send("SetRepositoryPolicy", object{"repositoryName": "hat", "policyText": document(to(statement("Allow", "DescribeImages"), accountB))}).ok()
		w.b.send("DescribeImages", input).ok()
		w.a.send("DeleteRepositoryPolicy", object{"repositoryName": "hat"}).ok()
	}
	w.b.send("DescribeImages", input).want("AccessDeniedException")
}

// What a policy says of tags is decided by those in the request and those of the repository.
func TestPoliciesAboutTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	allow := statement("Allow", "CreateRepository", "TagResource")
	allow["Condition"] = map[string]any{"StringEquals": map[string]any{"aws:RequestTag/team": "hats"}}
	describe := statement("Allow", "DescribeImages")
	describe["Condition"] = map[string]any{"StringEquals": map[string]any{"ecr-public:ResourceTag/team": "hats"}}
	w.userA.attach(allow, describe)
	tags := func(team string) []any { return []any{object{"Key": "team", "Value": team}} }
	w.userA.send("CreateRepository", object{"repositoryName": "hat"}).want("AccessDeniedException")
	w.userA.send("CreateRepository", object{"repositoryName": "hat", "tags": tags("coats")}).want("AccessDeniedException")
	w.userA.send("CreateRepository", object{"repositoryName": "hat", "tags": tags("hats")}).ok()
	w.userA.send("DescribeImages", object{"repositoryName": "hat"}).ok()
	w.a.send("TagResource", object{"resourceArn": arnOf("hat"), "tags": tags("coats")}).ok()
	w.userA.send("DescribeImages", object{"repositoryName": "hat"}).want("AccessDeniedException")
	w.userA.send("TagResource", object{"resourceArn": arnOf("hat"), "tags": tags("coats")}).want("AccessDeniedException")
	w.userA.send("TagResource", object{"resourceArn": arnOf("hat"), "tags": tags("hats")}).ok()
}
