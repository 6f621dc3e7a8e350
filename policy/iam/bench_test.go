package iam_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
)

// BenchmarkDecide measures decisions by policies that were parsed before. 5 microseconds is
// what a decision may take.
func BenchmarkDecide(b *testing.B) {
	team := strings.Join(sixtyStatements(), ",")
	for _, bm := range []struct {
		name string
		s    *sources
		want policy.Effect
	}{
		{"small", &sources{policies: []string{document(allowAll)}}, policy.Allow},
		{"repository", &sources{policy: document(allowAnyone)}, policy.Allow},
		{"60 statements", &sources{policies: []string{document(team)}}, policy.Allow},
		{"longest", &sources{policies: []string{longest(iam.Identity)}}, policy.Allow},
		{"longest of a repository", &sources{policy: longest(iam.Repository)}, policy.Allow},
		{"refused by the longest", &sources{policies: []string{strings.Replace(longest(iam.Identity), `"Effect":"Allow"`, `"Effect":"Deny"`, 1)}}, policy.Deny},
		{"longest of dates", &sources{policies: []string{dates()}}, policy.Abstain},
		{"longest patterns", &sources{policies: []string{patterns()}}, policy.Abstain},
	} {
		b.Run(bm.name, func(b *testing.B) {
			if n := utf8.RuneCountInString(strings.Join(bm.s.policies, "")); n > iam.MaxLength {
				b.Fatalf("%d characters", n)
			}
			bm.s.tags = map[string]string{"team": "blue"}
			e, req := iam.New(bm.s, bm.s), push(alice)
			if bm.name == "longest patterns" {
				req.UserAgent = strings.Repeat("a", 2000)
			}
			b.ReportAllocs()
			for b.Loop() {
				if d, err := e.Evaluate(b.Context(), req); err != nil || d.Effect != bm.want {
					b.Fatalf("%s, %v", effectName(d.Effect), err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"small":         document(allowAll),
		"60 statements": document(sixtyStatements()...),
		"longest":       longest(iam.Identity),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := iam.Parse(iam.Identity, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// longest is a policy just as long as one may be. All its statements but the last deny, come
// near to matching, and do not.
func longest(kind iam.Kind) string {
	target := `"Resource":"arn:aws:ecr-public::` + owner + `:repository/*"`
	if kind == iam.Repository {
		target = `"Principal":{"AWS":["` + guest + `","` + owner + `"]}`
	}
	last := `{"Effect":"Allow","Action":["s3:GetObject","ecr-public:PutImage"],` + target + `}`
	var list []string
	for i := 0; ; i++ {
		next := fmt.Sprintf(`{"Sid":"S%d","Effect":"Deny","Action":["ecr-public:DescribeImages","ecr-public:TagResource","ecr-public:Put*"],%s,`+
			`"Condition":{"StringLike":{"aws:UserAgent":["podman/*","skopeo/*","*crane*"]},"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","198.51.100.0/24"]}}}`, i, target)
		if len(document(append(list, next, last)...)) > iam.MaxLength {
			break
		}
		list = append(list, next)
	}
	text := document(append(list, last)...)
	return text + strings.Repeat(" ", iam.MaxLength-len(text))
}

// dates is a policy with as many conditions on the time as there may be.
func dates() string {
	statement := `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":["2027","2028"]}}}`
	var list []string
	for len(list) < 85 {
		list = append(list, statement)
	}
	return document(list...)
}

// patterns is a policy whose patterns take longest for a client's name that is one letter
// again and again: each is tried from every place.
func patterns() string {
	var list []string
	for len(list) < 19 {
		list = append(list, `"*`+strings.Repeat("a", 512)+`b"`)
	}
	return document(`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:UserAgent":[` + strings.Join(list, ",") + `]}}}`)
}

// sixtyStatements are of the kinds that a company writes for its teams.
func sixtyStatements() (list []string) {
	for i := range 20 {
		list = append(list,
			fmt.Sprintf(`{"Sid":"Push%d","Effect":"Allow","Action":["ecr-public:PutImage","ecr-public:*Layer*"],"Resource":"arn:aws:ecr-public::%s:repository/team-%d/*"}`, i, owner, i),
			fmt.Sprintf(`{"Sid":"Keep%d","Effect":"Deny","Action":"ecr-public:*Delete*","Resource":"arn:aws:ecr-public::%s:repository/team-%d/*"}`, i, owner, i),
			fmt.Sprintf(`{"Sid":"Team%d","Effect":"Deny","Action":"ecr-public:Put*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"t%d"}}}`, i, i))
	}
	list[len(list)-1] = `{"Sid":"App","Effect":"Allow","Action":"ecr-public:*","Resource":"arn:aws:ecr-public::` + owner + `:repository/app"}`
	return list
}
