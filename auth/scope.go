package auth

import (
	"regexp"
	"slices"
	"strings"
)

// Verb is what a scope allows, in the words that registry clients use.
type Verb string

// The verbs of the token protocol.
const (
	Pull   Verb = "pull"
	Push   Verb = "push"
	Delete Verb = "delete"
	Any    Verb = "*"
)

// Scope limits an identity to some verbs on some repositories. The zero Scope allows
// nothing. It names repositories by the account that owns them, never by an alias, which
// may belong to somebody else by the time the token is used.
type Scope struct {
	Access []Access
}

// Access is one entry of a [Scope].
type Access struct {
	Account    string
	Repository string
	Verbs      []Verb
}

// Allows reports whether a repository of an account is in the scope for a verb. A nil
// scope allows everything.
func (s *Scope) Allows(account, repository string, verb Verb) bool {
	if s == nil {
		return true
	}
	return slices.ContainsFunc(s.Access, func(a Access) bool {
		return a.Account == account && a.Repository == repository && (slices.Contains(a.Verbs, verb) || slices.Contains(a.Verbs, Any))
	})
}

// Wanted is one resource that a client asks a token for, by the name it uses.
type Wanted struct {
	Type  string // "repository", or something this library does not know
	Name  string
	Verbs []Verb
}

// maxWanted bounds how many resources are read from one request: a client that mounts
// blobs asks for two, and a token must fit into a header.
const maxWanted = 16

// resourceType is a type and perhaps a class: repository, repository(plugin).
var resourceType = regexp.MustCompile(`^[a-z0-9]+(\([a-z0-9]+\))?$`)

// ParseScopes reads the values of scope parameters, each a list of entries separated by
// spaces: type[(class)]:name:verb[,verb]. It cannot fail: what is not of that form is left
// out, because a token request never fails as a whole for one of its scopes
// (distribution's token specification).
func ParseScopes(values []string) (list []Wanted) {
	for _, value := range values {
		for entry := range strings.SplitSeq(value, " ") {
			kind, rest, ok := strings.Cut(entry, ":")
			i := strings.LastIndexByte(rest, ':') // the name may have a host with a port
			if !ok || i <= 0 || !resourceType.MatchString(kind) || len(list) == maxWanted {
				continue
			}
			kind, _, _ = strings.Cut(kind, "(")
			w := Wanted{Type: kind, Name: rest[:i]}
			for verb := range strings.SplitSeq(rest[i+1:], ",") {
				switch v := Verb(verb); v {
				case Pull, Push, Delete, Any:
					if !slices.Contains(w.Verbs, v) {
						w.Verbs = append(w.Verbs, v)
					}
				}
			}
			list = append(list, w)
		}
	}
	return list
}

// String writes w as clients do.
func (w Wanted) String() string {
	verbs := make([]string, len(w.Verbs))
	for i, v := range w.Verbs {
		verbs[i] = string(v)
	}
	return w.Type + ":" + w.Name + ":" + strings.Join(verbs, ",")
}
