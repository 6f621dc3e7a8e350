package registry

import (
	"regexp"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// aliasSyntax is that of ECR Public's registry aliases.
var aliasSyntax = regexp.MustCompile(`^[a-z][a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// The bounds of an alias, in characters (ECR Public).
const (
	minAlias = 2
	maxAlias = 50
)

// lookAlikes are characters and what they are taken for. A letter that two others make up
// is replaced by those, so that there is one way to read a name.
var lookAlikes = strings.NewReplacer("m", "rn", "w", "vv", "d", "cl", "0", "o", "1", "l", "i", "l", "5", "s", "2", "z", "8", "b", "_", "-", ".", "-")

// skeleton returns what all names that look like s have in common. Runs of separators
// count as one. A skeleton is its own.
func skeleton(s string) string {
	s = lookAlikes.Replace(s)
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	return s
}

// reserved are the first segments of paths that handlers of this library serve, none of
// which can be an alias.
var reserved = []string{"v2", "token", "-", "robots.txt", "favicon.ico", "sitemap.xml", "opensearch.xml", "_catalog", "metrics", "healthz"}

// checkAlias accepts an alias that an operator gives: one component of a repository's name
// that no route begins with, and no account's id.
func (r *Registry) checkAlias(s string) error {
	switch {
	case manifest.CheckName(s) != nil || strings.Contains(s, "/"):
		return says(ErrAliasInvalid, "the alias %q is not one component of a repository's name", s)
	case isAccount(s):
		return says(ErrAliasInvalid, "the alias %q looks like an account", s)
	}
	for _, list := range [][]string{reserved, r.cfg.ReservedAliases} {
		for _, name := range list {
			if s == name || skeleton(s) == skeleton(name) {
				return says(ErrAliasInvalid, "the alias %q is reserved", s)
			}
		}
	}
	return nil
}

// checkRequestedAlias accepts an alias that a publisher asks for.
func (r *Registry) checkRequestedAlias(s string) error {
	if len(s) < minAlias || len(s) > maxAlias || !aliasSyntax.MatchString(s) {
		return says(ErrAliasInvalid, "Invalid parameter at 'registryAliasName' failed to satisfy constraint: "+
			"'Member must satisfy regular expression pattern: %s'", strings.Trim(aliasSyntax.String(), "^$"))
	}
	return r.checkAlias(s)
}
