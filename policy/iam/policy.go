package iam

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/esplanade-registry/esplanade/policy"
)

// MaxLength is how many characters a policy has at most (ECR Public's API model).
const MaxLength = 10240

// ErrPolicy is wrapped by every error about the text of a policy.
var ErrPolicy = errors.New("invalid policy")

// Error says what is wrong with a policy, and where. It wraps [ErrPolicy].
type Error struct {
	Statement int    // counted from 1; 0: of no statement
	Sid       string // of the statement, if it has one
	Field     string // the element, if it is about one
	Problem   string
}

// Error returns all of it in one line.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString("invalid policy: ")
	if e.Statement > 0 {
		fmt.Fprintf(&s, "statement %d", e.Statement)
		if e.Sid != "" {
			fmt.Fprintf(&s, " (%s)", e.Sid)
		}
		s.WriteString(": ")
	}
	if e.Field != "" {
		s.WriteString(e.Field + " ")
	}
	return s.String() + e.Problem
}

// Unwrap returns [ErrPolicy].
func (e *Error) Unwrap() error { return ErrPolicy }

// Kind says what a policy is attached to.
type Kind uint8

// The kinds of policies.
const (
	Identity   Kind = iota + 1 // attached to a principal: names resources, and no principal
	Repository                 // attached to a repository: names principals, and no resource
)

// Policy is a policy that was parsed. It is immutable.
type Policy struct {
	statements []statement
}

type statement struct {
	name string // for reasons: the Sid, or its place
	deny bool

	actions    []action
	notActions bool
	known      uint64 // the bits of the library's actions that the element matches

	principals    *principals // nil in identity policies
	notPrincipals bool

	resources    []pattern // nil in repository policies
	notResources bool

	conditions []condition
}

// action is a pattern in lower case, for actions know no case.
type action struct{ pattern }

// Parse reads a policy. The error is an [*Error].
func Parse(kind Kind, text string) (*Policy, error) {
	if n := utf8.RuneCountInString(text); n > MaxLength {
		return nil, &Error{Problem: fmt.Sprintf("%d characters, the limit is %d", n, MaxLength)}
	}
	v, err := decode(text)
	if err != nil {
		return nil, &Error{Problem: err.Error()}
	}
	top, ok := v.(object)
	if !ok {
		return nil, &Error{Problem: "the text is not a JSON object"}
	}
	var (
		p          = &Policy{}
		variables  bool
		statements []any
	)
	for _, m := range top {
		switch m.name {
		case "Version":
			if m.value != "2012-10-17" && m.value != "2008-10-17" {
				return nil, &Error{Field: "Version", Problem: "is neither 2012-10-17 nor 2008-10-17"}
			}
			variables = m.value == "2012-10-17"
		case "Id":
			if _, ok := m.value.(string); !ok {
				return nil, &Error{Field: "Id", Problem: "is not text"}
			}
		case "Statement":
			if statements, ok = m.value.([]any); !ok {
				statements = []any{m.value}
			}
		default:
			return nil, &Error{Field: fmt.Sprintf("%q", m.name), Problem: "is no element of a policy"}
		}
	}
	if len(statements) == 0 {
		return nil, &Error{Field: "Statement", Problem: "is missing or empty"}
	}
	sids := map[string]bool{}
	for i, v := range statements {
		sid, err := p.add(kind, i+1, v, variables)
		if err == nil && sid != "" && sids[sid] {
			err = &fieldError{"Sid", "is there twice"}
		}
		if err != nil {
			e := &Error{Statement: i + 1, Sid: sid, Problem: err.Error()}
			if own, ok := errors.AsType[*fieldError](err); ok {
				e.Field, e.Problem = own.field, own.problem
			}
			return nil, e
		}
		sids[sid] = true
	}
	return p, nil
}

// fieldError is an error about an element of a statement.
type fieldError struct{ field, problem string }

func (e *fieldError) Error() string { return e.field + " " + e.problem }

var sidSyntax = regexp.MustCompile(`^[A-Za-z0-9]*$`)

// add parses a statement. The Sid is returned also with an error.
func (p *Policy) add(kind Kind, place int, v any, variables bool) (sid string, err error) {
	o, ok := v.(object)
	if !ok {
		return "", errors.New("is not an object")
	}
	has := map[string]any{}
	for _, m := range o {
		has[m.name] = m.value
	}
	sid, _ = has["Sid"].(string)
	for _, m := range o {
		switch m.name {
		case "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition":
		default:
			return sid, &fieldError{fmt.Sprintf("%q", m.name), "is no element of a statement"}
		}
	}
	s := statement{name: fmt.Sprintf("statement %d", place)}
	if v, ok := has["Sid"]; ok {
		if _, ok := v.(string); !ok {
			return "", &fieldError{"Sid", "is not text"}
		}
		if kind == Identity && !sidSyntax.MatchString(sid) {
			return sid, &fieldError{"Sid", "has characters that are neither letters nor digits"}
		}
		if sid != "" {
			s.name = fmt.Sprintf("statement %q", sid)
		}
	}
	if has["Effect"] != "Allow" && has["Effect"] != "Deny" {
		return sid, &fieldError{"Effect", "is neither Allow nor Deny"}
	}
	s.deny = has["Effect"] == "Deny"

	field, value, err := either(has, "Action", true)
	if err != nil {
		return sid, err
	}
	s.notActions = field == "NotAction"
	if err := s.addActions(kind, field, value); err != nil {
		return sid, err
	}
	if field, value, err = either(has, "Principal", kind == Repository); err != nil {
		return sid, err
	}
	if field != "" {
		if kind == Identity {
			return sid, &fieldError{field, "has no place in an identity policy"}
		}
		s.notPrincipals = field == "NotPrincipal"
		if s.principals, err = parsePrincipals(value); err != nil {
			return sid, &fieldError{field, err.Error()}
		}
	}
	if field, value, err = either(has, "Resource", kind == Identity); err != nil {
		return sid, err
	}
	if field != "" {
		if kind == Repository {
			return sid, &fieldError{field, "has no place in a repository policy: the repository is meant"}
		}
		s.notResources = field == "NotResource"
		if err := s.addResources(field, value, variables); err != nil {
			return sid, err
		}
	}
	if v, ok := has["Condition"]; ok {
		if s.conditions, err = parseConditions(v, variables); err != nil {
			return sid, &fieldError{"Condition", err.Error()}
		}
	}
	p.statements = append(p.statements, s)
	return sid, nil
}

// either returns the element of a name, or the one with Not before it.
func either(has map[string]any, name string, required bool) (field string, value any, err error) {
	a, yes := has[name]
	b, no := has["Not"+name]
	switch {
	case yes && no:
		return "", nil, &fieldError{name, "and Not" + name + " exclude each other"}
	case yes:
		return name, a, nil
	case no:
		return "Not" + name, b, nil
	case required:
		return "", nil, &fieldError{name, "is missing"}
	}
	return "", nil, nil
}

// texts reads one text or a list of them.
func texts(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, errors.New("is an empty list")
	}
	var out []string
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return nil, errors.New("is neither text nor a list of texts")
		}
		out = append(out, s)
	}
	return out, nil
}

// actionBits has a bit for each action of the library, so that a statement is matched with
// one in a nanosecond.
var actionBits = func() map[policy.Action]uint64 {
	m := map[policy.Action]uint64{}
	for i, a := range policy.Actions() {
		m[a] = 1 << i
	}
	if len(m) > 64 {
		panic("iam: more than 64 actions")
	}
	return m
}()

var actionSyntax = regexp.MustCompile(`^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)

func (s *statement) addActions(kind Kind, field string, v any) error {
	list, err := texts(v)
	if err != nil {
		return &fieldError{field, err.Error()}
	}
	for _, name := range list {
		if !actionSyntax.MatchString(name) {
			return &fieldError{field, fmt.Sprintf("has %q, which is neither * nor of the form ecr-public:PutImage", name)}
		}
		if kind == Repository && s.deny && !s.notActions && isPull(name) {
			return &fieldError{field, fmt.Sprintf("has %q: pulling from a public repository cannot be denied", name)}
		}
		p, err := compile(strings.ToLower(name), true, false)
		if err != nil {
			return &fieldError{field, err.Error()}
		}
		s.actions = append(s.actions, action{p})
	}
	for a, bit := range actionBits {
		if s.hasAction(a) {
			s.known |= bit
		}
	}
	return nil
}

// isPull reports whether a name, also one of private ECR, is that of a pulling action.
func isPull(name string) bool {
	_, operation, _ := strings.Cut(name, ":")
	for _, a := range []policy.Action{policy.BatchGetImage, policy.GetDownloadURLForLayer, policy.ListImages} {
		_, known, _ := strings.Cut(string(a), ":")
		if strings.EqualFold(operation, known) {
			return true
		}
	}
	return false
}

func (s *statement) hasAction(a policy.Action) bool {
	name := strings.ToLower(string(a))
	for _, p := range s.actions {
		if ok, _ := p.match(nil, name); ok {
			return !s.notActions
		}
	}
	return s.notActions
}

func (s *statement) addResources(field string, v any, variables bool) error {
	list, err := texts(v)
	if err != nil {
		return &fieldError{field, err.Error()}
	}
	for _, text := range list {
		if text != "*" && (!strings.HasPrefix(text, "arn:") || len(splitARN(text)) != 6) {
			return &fieldError{field, fmt.Sprintf("has %q, which is neither * nor an ARN", text)}
		}
		p, err := compile(text, true, variables)
		if err != nil {
			return &fieldError{field, err.Error()}
		}
		s.resources = append(s.resources, p)
	}
	return nil
}

// verdict is what a policy says about a request.
type verdict struct {
	effect policy.Effect
	by     string // the statement
}

// decide finds the first statement that denies, else the first that allows.
func (p *Policy) decide(f *facts) verdict {
	var allowed verdict
	for i := range p.statements {
		s := &p.statements[i]
		if !s.deny && allowed.effect == policy.Allow || !s.matches(f) {
			continue
		}
		if s.deny {
			return verdict{policy.Deny, s.name}
		}
		allowed = verdict{policy.Allow, s.name}
	}
	return allowed
}

func (s *statement) matches(f *facts) bool {
	matched := s.known&f.bit != 0
	if f.bit == 0 { // an action of the host's own
		matched = s.hasAction(f.req.Action)
	}
	switch {
	case !matched:
		return false
	case s.principals == nil:
	case s.deny && s.notPrincipals:
		if s.principals.spares(f.req.Principal) {
			return false
		}
	case s.principals.has(f.req.Principal) == s.notPrincipals:
		return false
	}
	if s.resources != nil && !s.hasResource(f) {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(f, s.deny) {
			return false
		}
	}
	return true
}

func (s *statement) hasResource(f *facts) bool {
	unknown := false
	for _, p := range s.resources {
		ok, defined := p.match(f, f.arn)
		if ok {
			return !s.notResources
		}
		unknown = unknown || !defined
	}
	if unknown && s.notResources {
		return s.deny
	}
	return s.notResources
}
