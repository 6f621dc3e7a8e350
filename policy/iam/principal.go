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

var (
	accountID    = regexp.MustCompile(`^[0-9]{12}$`)
	principalARN = regexp.MustCompile(`^arn:aws[a-z-]*:(iam::[0-9]{12}:(root|user/[!-~]+|role/[!-~]+)|sts::[0-9]{12}:(assumed-role/[!-~]+/[!-~]+|federated-user/[!-~]+))$`)
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
			case !principalARN.MatchString(s) || strings.ContainsAny(s, "*?"):
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
