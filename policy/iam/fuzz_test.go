package iam_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
)

// FuzzParse holds that no text panics, neither when it is read nor when it decides, and that
// a policy means what its JSON says, however that is written.
func FuzzParse(f *testing.F) {
	for _, what := range slices.Sorted(maps.Keys(validDocuments)) { // in order, so that a seed has the same number in every run
		if tt := validDocuments[what]; len(tt.text) < 8<<10 {
			f.Add(uint8(tt.kind), tt.text)
		}
	}
	for _, condition := range []string{
		`"StringLike":{"aws:UserAgent":["*a*b*","${*}${aws:username, 'x'}?"]}`,
		`"ForAllValues:StringNotEquals":{"aws:TagKeys":["a","${aws:PrincipalTag/k}"]}`,
		`"ArnLike":{"aws:PrincipalArn":"arn:*:iam::${aws:PrincipalAccount}:${aws:PrincipalTag/k, 'a:b'}"}`,
		`"NumericLessThanEquals":{"aws:EpochTime":[1,-0.5,"1e3"]},"Null":{"aws:SourceIp":true}`,
		`"DateGreaterThan":{"aws:CurrentTime":["2026","2026-01-02T03:04:05.6+07:00","1767225600"]}`,
		`"NotIpAddressIfExists":{"aws:SourceIp":["::ffff:0:0/96","203.0.113.7"]},"BinaryEquals":{"aws:PrincipalTag/k":"YQ=="}`,
	} {
		f.Add(uint8(iam.Identity), document(`{"Effect":"Deny","NotAction":"s3:?*","NotResource":["*","arn:aws:x:::${a:b/c}"],"Condition":{`+condition+`}}`))
		f.Add(uint8(iam.Repository), document(`{"Effect":"Allow","NotPrincipal":{"AWS":["`+guest+`"]},"Action":"ecr-public:*","Condition":{`+condition+`}}`))
	}
	for _, text := range []string{"", "null", `{"Statement":[]}`, nested(20), `{"Version":"2012-10-17","Version":"2008-10-17"}`, "{\"Id\":\"\xff\"}", `{"Id":"\ud800"}`} {
		f.Add(uint8(iam.Repository), text)
	}
	f.Fuzz(func(t *testing.T, number uint8, text string) {
		kind := iam.Identity
		if number%2 == 0 {
			kind = iam.Repository
		}
		p, err := iam.Parse(kind, text)
		if err != nil {
			parsed, ok := errors.AsType[*iam.Error](err)
			if !ok || !errors.Is(err, iam.ErrPolicy) || p != nil || parsed.Statement < 0 || parsed.Problem == "" {
				t.Fatalf("%v, %#v", p != nil, err)
			}
			if _, again := iam.Parse(kind, text); fmt.Sprint(again) != fmt.Sprint(err) {
				t.Fatalf("%v, and then %v", err, again)
			}
			return
		}
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) || utf8.RuneCountInString(text) > iam.MaxLength {
			t.Fatalf("%q is a policy", text)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil {
			t.Fatal(err)
		}
		first := decisions(t, kind, text)
		if diff := cmp.Diff(first, decisions(t, kind, text)); diff != "" {
			t.Fatalf("another decision the second time (-first +second)\n%s", diff)
		}
		if diff := cmp.Diff(first, decisions(t, kind, compact.String())); diff != "" {
			t.Fatalf("another decision without its blanks (-with +without)\n%s", diff)
		}
	})
}

// decisions are those of a new evaluator with one policy, for requests that differ in all
// that conditions ask about.
func decisions(t *testing.T, kind iam.Kind, text string) (list []policy.Decision) {
	t.Helper()
	s := &sources{
		tags:           map[string]string{"k": "a", "K": "b", "team": "r?d*"},
		repositoryTags: map[string]string{"k": "10", "team": "1999-12-31"},
		policy:         document(allowAnyone),
	}
	if kind == iam.Repository {
		s.policies, s.policy = []string{document(allowAll)}, text
	} else {
		s.policies = []string{text}
	}
	e := iam.New(s, s)
	bare := push(bob)
	bare.Remote, bare.UserAgent, bare.Secure = netip.Addr{}, "", false
	full := push(session)
	full.Remote, full.UserAgent = netip.MustParseAddr("2001:db8::1"), "a\xffb*?"
	full.RequestTags, full.TagKeys = map[string]string{"k": "a", "team": ""}, []string{"k", "team"}
	nowhere := &policy.Request{Principal: alice, Action: policy.GetAuthorizationToken, Time: bare.Time}
	registry := &policy.Request{Principal: root(owner), Action: policy.DescribeRegistries, Resource: policy.Resource{Account: owner}, Time: bare.Time}
	odd := push(auth.Principal{Account: "\xff", Name: "${aws:username}/*"})
	odd.Action, odd.Resource.Repository = "?", "*"
	for _, req := range []*policy.Request{push(alice), bare, full, nowhere, registry, odd} {
		d, err := e.Evaluate(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	return list
}

// FuzzStringLike compares how the package matches patterns with trying out everything that a
// star may stand for, with and without the variables of the newer version.
func FuzzStringLike(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", "a"}, {"**", "a"}, {"?", "é"}, {"a*b*c", "abcbc"}, {"*ab", "aab"}, {"*aab*", "xaaab"}, {"a?*?b", "a12b"},
		{"[a]", "a"}, {`\*`, "*"}, {"$", "$"}, {"${*}", "*"}, {"${a", "${a"}, {"a\u0000*", "a\u0000b"}, {"*?*?*", "😀😀"}, {"\ufffd*", "\ufffd"}, {"*a*a*a*a*b", "aaaaaaaaaaaa"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		// the naive matcher takes exponential time, an empty text is no value, and a policy
		// is UTF-8
		if len(pattern) > 40 || len(text) > 40 || strings.Count(pattern, "*") > 6 || text == "" || !utf8.ValidString(pattern) || !utf8.ValidString(text) {
			t.Skip()
		}
		req := push(alice)
		req.UserAgent = text
		want := globs(symbols(pattern), []rune(text))
		for version, pattern := range map[string]string{
			"2008-10-17": pattern,
			"2012-10-17": strings.ReplaceAll(pattern, "$", "${$}"),
		} {
			quoted, err := json.Marshal(pattern)
			if err != nil {
				t.Fatal(err)
			}
			for operator, want := range map[string]bool{"StringLike": want, "StringNotLike": !want} {
				statement := `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"` + operator + `":{"aws:UserAgent":` + string(quoted) + `}}}`
				if got := matches(t, &sources{}, req, version, statement); got != want {
					t.Errorf("%s of %q: %v, want %v", operator, pattern, got, want)
				}
			}
		}
	})
}
