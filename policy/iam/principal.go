package iam

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/esplanade-registry/esplanade/auth"
)

// principals is the element Principal or NotPrincipal.
type principals struct {
	anybody  bool
	accounts map[string]bool
	arns     map[string]bool
}

// names is what IAM lets names and their paths be of.
const names = `[A-Za-z0-9_+=,.@/-]+`

var (
	accountID    = regexp.MustCompile(`^[0-9]{12}$`)
	principalARN = regexp.MustCompile(`^arn:aws[a-z-]*:(iam::[0-9]{12}:(root|(user|role)/` + names + `)|sts::[0-9]{12}:(assumed-role/` + names + `/` + names + `|federated-user/` + names + `))$`)
)

// parsePrincipals reads "*" or {"AWS": ...}. Services and federated users are accepted,
// as in policies that were written for AWS, and match nobody here.
func parsePrincipals(v any) (*principals, error) {
	p := &principals{accounts: map[string]bool{}, arns: map[string]bool{}}
	if v == "*" {
		p.anybody = true
		return p, nil
	}
	o, ok := v.(object)
	if !ok || len(o) == 0 {
		return nil, fmt.Errorf(`is neither "*" nor an object such as {"AWS": "arn:aws:iam::123456789012:root"}`)
	}
	for _, m := range o {
		list, err := texts(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s %w", m.name, err)
		}
		switch m.name {
		case "AWS":
		case "Service", "Federated", "CanonicalUser":
			continue
		default:
			return nil, fmt.Errorf("has no kind %q", m.name)
		}
		for _, s := range list {
			switch {
			case s == "*":
				p.anybody = true
			case accountID.MatchString(s):
				p.accounts[s] = true
			case !principalARN.MatchString(s):
				return nil, fmt.Errorf("names %q, which is no account, user or role", s)
			case strings.HasSuffix(s, ":root"):
				p.accounts[strings.Split(s, ":")[4]] = true
			default:
				p.arns[s] = true
			}
		}
	}
	return p, nil
}

// spares reports whether a Deny of everybody else spares a principal. Where an account is
// named along with principals of it, or a role along with sessions of it, only those are
// meant: AWS wants the account to be named in any case (reference, "NotPrincipal with
// Deny").
func (p *principals) spares(who auth.Principal) bool {
	switch {
	case p.anybody, p.arns[who.ARN()], who.IsRoot() && p.accounts[who.Account]:
		return true
	case p.arns[principalArn(who)]:
		_, role, _ := strings.Cut(principalArn(who), ":role/")
		return !p.named("arn:aws:sts::" + who.Account + ":assumed-role/" + role + "/")
	case p.accounts[who.Account]:
		return !p.named("arn:aws:iam::"+who.Account+":") && !p.named("arn:aws:sts::"+who.Account+":")
	}
	return false
}

// named reports whether a principal is named whose ARN begins with a prefix.
func (p *principals) named(prefix string) bool {
	for arn := range p.arns {
		if strings.HasPrefix(arn, prefix) {
			return true
		}
	}
	return false
}

// has reports whether a principal is one of those.
func (p *principals) has(who auth.Principal) bool {
	if p.anybody || p.accounts[who.Account] {
		return true
	}
	if len(p.arns) == 0 {
		return false
	}
	return p.arns[who.ARN()] || p.arns[principalArn(who)]
}

// principalArn is the ARN of who is behind a session: of the role, not of the session.
func principalArn(p auth.Principal) string {
	if rest, ok := strings.CutPrefix(p.Name, "assumed-role/"); ok {
		role, _, _ := strings.Cut(rest, "/")
		return "arn:aws:iam::" + p.Account + ":role/" + role
	}
	return p.ARN()
}
