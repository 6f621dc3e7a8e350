package iam_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
)

// The evaluator below is slow and follows the rules one by one: the package comment, and
// AWS's reference where that is silent. It shares nothing with the package, neither how a
// policy is read nor how a pattern is matched, so that the two do not err alike.

// question is a request as the slow evaluator sees it.
type question struct {
	account string   // of the principal
	root    bool     // the principal is the account
	names   []string // the ARNs by which a Principal may name the principal
	action  string
	arn     string // of the resource, or *
	owner   string // of the resource, or ""
	facts   map[string][]string
}

// slowly decides a question by policies as encoding/json reads them. Without a repository
// policy that is nil.
func slowly(q question, identity []map[string]any, repository map[string]any) policy.Effect {
	identityAllows := q.root
	for _, p := range identity {
		switch q.policy(p) {
		case policy.Deny:
			return policy.Deny
		case policy.Allow:
			identityAllows = true
		}
	}
	repositoryAllows := false
	if repository != nil {
		switch q.policy(repository) {
		case policy.Deny:
			return policy.Deny
		case policy.Allow:
			repositoryAllows = true
		}
	}
	allowed := identityAllows && repositoryAllows
	if q.owner == "" || q.owner == q.account {
		allowed = identityAllows || repositoryAllows
	}
	if allowed {
		return policy.Allow
	}
	return policy.Abstain
}

func (q question) policy(p map[string]any) policy.Effect {
	result := policy.Abstain
	for _, s := range several(p["Statement"]) {
		statement := s.(map[string]any)
		if !q.statement(statement, p["Version"] == "2012-10-17") {
			continue
		}
		if statement["Effect"] == "Deny" {
			return policy.Deny
		}
		result = policy.Allow
	}
	return result
}

// several is a value that may stand for a list of one.
func several(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func (q question) statement(s map[string]any, variables bool) bool {
	deny := s["Effect"] == "Deny"
	if v, ok := s["Action"]; ok && !q.isAction(v) {
		return false
	}
	if v, ok := s["NotAction"]; ok && q.isAction(v) {
		return false
	}
	if v, ok := s["Principal"]; ok && !q.isPrincipal(v) {
		return false
	}
	if v, ok := s["NotPrincipal"]; ok && q.isPrincipal(v) {
		return false
	}
	if v, ok := s["Resource"]; ok && q.isResource(v, variables) != yes {
		return false
	}
	if v, ok := s["NotResource"]; ok && !negate(q.isResource(v, variables), deny) {
		return false
	}
	operators, _ := s["Condition"].(map[string]any)
	for operator, keys := range operators {
		for key, values := range keys.(map[string]any) {
			if !q.condition(operator, key, several(values), variables, deny) {
				return false
			}
		}
	}
	return true
}

// answer has a third value for comparisons with a variable that has no value.
type answer string

const (
	yes     answer = "yes"
	no      answer = "no"
	unknown answer = "unknown"
)

// negate is what the negated forms make of an answer: what is not known is taken as it is
// safe, so that a Deny matches and an Allow does not.
func negate(a answer, deny bool) bool {
	return a == no || a == unknown && deny
}

// anyOf is yes if one answer is, else unknown if one is.
func anyOf(list []answer) answer {
	switch {
	case slices.Contains(list, yes):
		return yes
	case slices.Contains(list, unknown):
		return unknown
	}
	return no
}

func (q question) isAction(v any) bool {
	for _, item := range several(v) {
		if globs(symbols(strings.ToLower(item.(string))), []rune(strings.ToLower(q.action))) {
			return true
		}
	}
	return false
}

func (q question) isPrincipal(v any) bool {
	if v == "*" {
		return true
	}
	for _, item := range several(v.(map[string]any)["AWS"]) {
		if item == nil {
			continue // only a service
		}
		if item == "*" || item == q.account || item == "arn:aws:iam::"+q.account+":root" || slices.Contains(q.names, item.(string)) {
			return true
		}
	}
	return false
}

func (q question) isResource(v any, variables bool) answer {
	var list []answer
	for _, item := range several(v) {
		list = append(list, q.like(item.(string), q.arn, variables))
	}
	return anyOf(list)
}

func (q question) like(pattern, text string, variables bool) answer {
	list, ok := q.expand(pattern, true, variables)
	switch {
	case !ok:
		return unknown
	case globs(list, []rune(text)):
		return yes
	}
	return no
}

// symbol is a character of a pattern, or a wildcard.
type symbol struct {
	char rune
	wild bool
}

// symbols reads a pattern without variables.
func symbols(s string) (list []symbol) {
	for _, r := range s {
		list = append(list, symbol{r, r == '*' || r == '?'})
	}
	return list
}

// globs tries everything that a star may stand for.
func globs(pattern []symbol, text []rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	first, rest := pattern[0], pattern[1:]
	switch {
	case first.wild && first.char == '*':
		for i := range len(text) + 1 {
			if globs(rest, text[i:]) {
				return true
			}
		}
		return false
	case len(text) == 0:
		return false
	case first.wild || first.char == text[0]:
		return globs(rest, text[1:])
	}
	return false
}

// expand replaces variables by what they stand for, none of which is a wildcard.
func (q question) expand(s string, wildcards, variables bool) (list []symbol, ok bool) {
	literally := func(s string) {
		for _, r := range s {
			list = append(list, symbol{char: r})
		}
	}
	for s != "" {
		if variables && strings.HasPrefix(s, "${") {
			end := strings.Index(s, "}")
			inside := s[2:end]
			s = s[end+1:]
			if inside == "*" || inside == "?" || inside == "$" {
				literally(inside)
				continue
			}
			key, fallback, has := strings.Cut(inside, ", ")
			values := q.facts[strings.ToLower(key)]
			switch {
			case len(values) == 1:
				literally(values[0])
			case has:
				literally(strings.Trim(fallback, "'"))
			default:
				return nil, false
			}
			continue
		}
		r := []rune(s)[0]
		list = append(list, symbol{r, wildcards && (r == '*' || r == '?')})
		s = s[len(string(r)):]
	}
	return list, true
}

func (q question) condition(operator, key string, operands []any, variables, deny bool) bool {
	values, exists := q.facts[strings.ToLower(key)]
	if operator == "Null" {
		return exists == (fmt.Sprint(operands[0]) == "false")
	}
	set, operator, found := strings.Cut(operator, ":")
	if !found {
		set, operator = "", set
	}
	operator, ifExists := strings.CutSuffix(operator, "IfExists")
	negated := strings.Contains(operator, "Not")
	operator = strings.Replace(operator, "Not", "", 1)
	if !exists {
		return ifExists || set == "ForAllValues" || set == "" && negated
	}
	holds := func(value string) bool {
		var list []answer
		for _, o := range operands {
			list = append(list, q.compare(operator, fmt.Sprint(o), value, variables))
		}
		if negated {
			return negate(anyOf(list), deny)
		}
		return anyOf(list) == yes
	}
	n := 0
	for _, v := range values {
		if holds(v) {
			n++
		}
	}
	if set == "ForAnyValue" {
		return n > 0
	}
	return n == len(values)
}

// compare is an operator that is not negated, of one value and one operand.
func (q question) compare(operator, operand, value string, variables bool) answer {
	is := func(b bool) answer {
		if b {
			return yes
		}
		return no
	}
	switch operator {
	case "StringEquals", "StringEqualsIgnoreCase":
		list, ok := q.expand(operand, false, variables)
		if !ok {
			return unknown
		}
		text := ""
		for _, s := range list {
			text += string(s.char)
		}
		return is(text == value || operator == "StringEqualsIgnoreCase" && strings.EqualFold(text, value))
	case "StringLike":
		return q.like(operand, value, variables)
	case "ArnEquals", "ArnLike":
		pattern, arn := strings.SplitN(operand, ":", 6), strings.SplitN(value, ":", 6)
		for i, part := range pattern {
			if len(arn) != 6 {
				return no
			}
			if a := q.like(part, arn[i], variables); a != yes {
				return a
			}
		}
		return yes
	case "Bool":
		return is(operand == value)
	case "IpAddress":
		_, network, err := net.ParseCIDR(operand)
		if err != nil {
			return is(net.ParseIP(operand).Equal(net.ParseIP(value)))
		}
		return is(network.Contains(net.ParseIP(value)))
	}
	a, ok1 := amount(operand)
	b, ok2 := amount(value)
	if !ok1 || !ok2 {
		return no
	}
	relation := strings.TrimPrefix(strings.TrimPrefix(operator, "Numeric"), "Date")
	return is(b < a && strings.HasPrefix(relation, "LessThan") ||
		b > a && strings.HasPrefix(relation, "GreaterThan") ||
		b == a && strings.HasSuffix(relation, "Equals"))
}

// amount is a number, or a time in seconds.
func amount(s string) (float64, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return float64(t.Unix()), true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// dice makes policies and requests of few parts, so that they meet often.
type dice struct{ *rand.Rand }

func (d dice) of(list ...any) any { return list[d.Intn(len(list))] }

func (d dice) text(list ...string) string { return list[d.Intn(len(list))] }

// some is one of a list, or a list of up to three.
func (d dice) some(list ...any) any {
	if d.Intn(2) == 0 {
		return d.of(list...)
	}
	out := []any{}
	for range 1 + d.Intn(3) {
		out = append(out, d.of(list...))
	}
	return out
}

// usually is mostly a name, else the one with Not before it.
func (d dice) usually(name string) string {
	if d.Intn(4) == 0 {
		return "Not" + name
	}
	return name
}

const arnPrefix = "arn:aws:ecr-public::" + owner + ":"

func (d dice) policy(kind iam.Kind) map[string]any {
	p := map[string]any{"Version": d.of("2012-10-17", "2012-10-17", "2008-10-17")}
	if d.Intn(8) == 0 {
		delete(p, "Version")
	}
	statements := []any{}
	for range 1 + d.Intn(3) {
		s := map[string]any{
			"Effect": d.of("Allow", "Allow", "Allow", "Deny"),
			d.usually("Action"): d.some("*", "ecr-public:*", "ecr-public:Put*", "ECR-public:putimage", "ecr-public:?escribe*",
				"ecr-public:Describe*s", "ecr-public:PutImage", "ecr-public:GetAuthorizationToken", "ecr-public:Tag*", "s3:*"),
		}
		if kind == iam.Identity {
			s[d.usually("Resource")] = d.some("*", arnPrefix+"repository/*", arnPrefix+"repository/app", arnPrefix+"repository/a?p",
				arnPrefix+"registry/*", "arn:aws:ecr-public::*:*/app", arnPrefix+"repository/${aws:username}",
				arnPrefix+"repository/${aws:PrincipalTag/team}*", arnPrefix+"repository/${aws:principaltag/Team, 'app'}", arnPrefix+"repository/${*}")
		} else {
			s[d.usually("Principal")] = d.principal()
		}
		if d.Intn(2) == 0 {
			s["Condition"] = d.conditions()
		}
		statements = append(statements, s)
	}
	p["Statement"] = statements
	if d.Intn(4) == 0 {
		p["Statement"] = statements[0]
	}
	return p
}

func (d dice) principal() any {
	const user, role = "arn:aws:iam::" + guest + ":user/", "arn:aws:iam::" + guest + ":role/ci"
	switch d.Intn(4) {
	case 0:
		return "*"
	case 1:
		return map[string]any{"Service": "codebuild.amazonaws.com"}
	}
	// One of an account alone: what a NotPrincipal of a user and of the user's account spares
	// is a question of its own.
	return map[string]any{"AWS": d.of("*", owner, []any{guest, owner}, "arn:aws:iam::"+guest+":root", []any{user + "bob", user + "carol"},
		"arn:aws:iam::"+owner+":user/alice", role, "arn:aws:sts::"+guest+":assumed-role/ci/build-7")}
}

func (d dice) conditions() map[string]any {
	c := map[string]any{}
	for range 1 + d.Intn(2) {
		operator, key, values := d.condition()
		if c[operator] == nil {
			c[operator] = map[string]any{}
		}
		c[operator].(map[string]any)[key] = values
	}
	return c
}

func (d dice) condition() (operator, key string, values any) {
	ending := d.text("", "", "IfExists")
	switch d.Intn(9) {
	case 0:
		return "Null", d.text("aws:username", "aws:PrincipalTag/team", "aws:TagKeys", "aws:SourceIp", "s3:prefix"), d.of("true", "false", true, false)
	case 1:
		return d.text("IpAddress", "NotIpAddress") + ending, "AWS:sourceip", d.some("203.0.113.0/24", "203.0.113.7", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0")
	case 2:
		return "Bool" + ending, "aws:SecureTransport", d.of("true", "false", true, false)
	case 3:
		op := d.text("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
		return "Numeric" + op + ending, d.text("aws:PrincipalTag/size", "aws:EpochTime"), d.some("10", "9.5", 11, "1795262400", "-1")
	case 4:
		op := d.text("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
		return "Date" + op + ending, d.text("aws:CurrentTime", "aws:EpochTime"), d.some("2026-11-21T12:00:00Z", "2026-11-21T13:00:00+01:00", "2027-01-01T00:00:00Z", "1795262400", 1795262399)
	case 5:
		// The negated operators have no variables here: whether one without a value matters in
		// an ARN whose other parts differ is a question of its own.
		list := []any{"arn:aws:iam::*:user/*", "arn:aws:iam::" + guest + ":*", "arn:*:*:*:*:role/ci", "arn:aws:sts::*:*", "arn:aws:iam::*:user/${aws:username}"}
		op := d.text("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike")
		if strings.Contains(op, "Not") {
			list = list[:4]
		}
		return op + ending, "aws:PrincipalArn", d.some(list...)
	case 6:
		op := d.text("ForAnyValue:", "ForAllValues:") + d.text("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase")
		return op, "aws:TagKeys", d.some("team", "size", "t*", "Team", "${aws:username}", "*")
	}
	op := d.text("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase")
	key = d.text("aws:username", "aws:PrincipalTag/team", "aws:principaltag/TEAM", "aws:RequestTag/team", "aws:ResourceTag/team", "ecr-public:ResourceTag/team", "aws:PrincipalType", "aws:UserAgent")
	return op + ending, key, d.some("red", "RED", "r*", "re?", "*", "app", "alice", "User", "${aws:PrincipalTag/team}", "${aws:username}",
		"${aws:PrincipalTag/team, 'red'}", "r${*}d", "${aws:RequestTag/team}*", "docker/*")
}

// request returns a request, and what the slow evaluator is to know of it.
func (d dice) request(s *sources) (*policy.Request, question) {
	who := []struct {
		principal auth.Principal
		names     []string // the first is that of the key aws:PrincipalArn
		kind      string
		username  string
	}{
		{alice, []string{"arn:aws:iam::" + owner + ":user/alice"}, "User", "alice"},
		{auth.Principal{Account: owner, Name: "user/team/app"}, []string{"arn:aws:iam::" + owner + ":user/team/app"}, "User", "app"},
		{root(owner), []string{"arn:aws:iam::" + owner + ":root"}, "Account", ""},
		{bob, []string{"arn:aws:iam::" + guest + ":user/bob"}, "User", "bob"},
		{session, []string{"arn:aws:iam::" + guest + ":role/ci", "arn:aws:sts::" + guest + ":assumed-role/ci/build-7"}, "AssumedRole", ""},
		{root(guest), []string{"arn:aws:iam::" + guest + ":root"}, "Account", ""},
	}[d.Intn(6)]
	req := push(who.principal)
	q := question{account: who.principal.Account, root: who.kind == "Account", names: who.names, owner: owner, facts: map[string][]string{}}
	set := func(key string, values ...string) { q.facts[key] = values }
	set("aws:principalarn", who.names[0])
	set("aws:principalaccount", who.principal.Account)
	set("aws:principaltype", who.kind)
	if who.username != "" {
		set("aws:username", who.username)
	}

	req.Action = []policy.Action{policy.PutImage, policy.PutImage, policy.DescribeImages, policy.DescribeRepositories, policy.TagResource}[d.Intn(5)]
	q.arn = arnPrefix + "repository/app"
	switch d.Intn(6) {
	case 0:
		req.Resource.Repository, q.arn = "aap/app", arnPrefix+"repository/aap/app"
	case 1:
		req.Action, req.Resource = policy.DescribeRegistries, policy.Resource{Account: owner}
		q.arn = arnPrefix + "registry/" + owner
	case 2:
		req.Action, req.Resource, q.arn, q.owner = policy.GetAuthorizationToken, policy.Resource{}, "*", ""
	}
	q.action = string(req.Action)
	if q.owner != "" {
		set("aws:resourceaccount", owner)
	}

	req.Remote = netip.MustParseAddr(d.text("203.0.113.7", "192.0.2.1", "2001:db8::1"))
	set("aws:sourceip", req.Remote.String())
	if d.Intn(4) == 0 {
		req.Remote = netip.Addr{}
		delete(q.facts, "aws:sourceip")
	}
	req.Secure = d.Intn(2) == 0
	set("aws:securetransport", strconv.FormatBool(req.Secure))
	set("aws:useragent", req.UserAgent)
	req.Time = req.Time.Add(time.Duration(d.Intn(3)-1) * time.Second)
	set("aws:currenttime", req.Time.Format(time.RFC3339))
	set("aws:epochtime", strconv.FormatInt(req.Time.Unix(), 10))

	tags := func(prefixes ...string) map[string]string {
		m := map[string]string{}
		if d.Intn(2) == 0 {
			m["team"] = d.text("red", "blue", "app", "*", "r*d", "")
		}
		if d.Intn(2) == 0 {
			m["size"] = d.text("10", "9.5", "large")
		}
		for k, v := range m {
			for _, prefix := range prefixes {
				set(prefix+k, v)
			}
		}
		return m
	}
	s.tags = tags("aws:principaltag/")
	req.RequestTags = tags("aws:requesttag/")
	s.repositoryTags = nil
	if req.Resource.ID != 0 {
		s.repositoryTags = tags("aws:resourcetag/", "ecr-public:resourcetag/")
	}
	for name := range req.RequestTags {
		req.TagKeys = append(req.TagKeys, name)
	}
	slices.Sort(req.TagKeys) // so that a seed makes the same request each time
	if len(req.TagKeys) > 0 {
		set("aws:tagkeys", req.TagKeys...)
	}
	return req, q
}

// Random policies decide random requests as the slow evaluator does.
func TestDecideLikeTheSlowEvaluator(t *testing.T) {
	t.Parallel()
	const policies, requests = 900, 8
	for seed := range int64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			d := dice{rand.New(rand.NewSource(seed))}
			count := map[policy.Effect]int{}
			for range policies {
				s := &sources{}
				var identity []map[string]any
				for range d.Intn(3) {
					text, read := reread(t, d.policy(iam.Identity))
					s.policies, identity = append(s.policies, text), append(identity, read)
				}
				var repository map[string]any
				if d.Intn(3) > 0 {
					s.policy, repository = reread(t, d.policy(iam.Repository))
				}
				e := iam.New(s, s)
				for range requests {
					req, q := d.request(s)
					theirs := repository
					if req.Resource.ID == 0 {
						theirs = nil
					}
					want := slowly(q, identity, theirs)
					got, err := e.Evaluate(t.Context(), req)
					if err != nil || got.Effect != want {
						t.Fatalf("%s, %q, %v; want %s\nidentity: %s\nrepository: %s\nrequest: %+v\ntags: %v, of the repository %v",
							effectName(got.Effect), got.Reason, err, effectName(want), strings.Join(s.policies, "\n"), s.policy, req, s.tags, s.repositoryTags)
					}
					count[want]++
				}
			}
			for _, effect := range []policy.Effect{policy.Abstain, policy.Allow, policy.Deny} {
				if n := count[effect]; n < policies*requests/20 {
					t.Errorf("%s only %d times: the policies are not varied enough", effectName(effect), n)
				}
			}
		})
	}
}

// reread returns a policy as text, and as encoding/json reads that.
func reread(t *testing.T, p map[string]any) (text string, read map[string]any) {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	return string(raw), read
}
