package ecrpublic

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The patterns of ECR Public's API model.
var (
	registryIDSyntax  = regexp.MustCompile(`^[0-9]{12}$`)
	uploadIDSyntax    = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	layerDigestSyntax = regexp.MustCompile(`^[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+$`)
	aliasSyntax       = regexp.MustCompile(`^[a-z][a-z0-9]+(?:[._-][a-z0-9]+)*$`)
)

// checks collects the first thing that is wrong with an input.
type checks struct{ err error }

// constraint says, in AWS's words, what a member does not satisfy.
func (v *checks) constraint(field, format string, args ...any) {
	if v.err == nil {
		v.err = invalidParameter("Invalid parameter at '%s' failed to satisfy constraint: '%s'", field, fmt.Sprintf(format, args...))
	}
}

// require refuses a member that is not there.
func require[T any](v *checks, field string, member *T) {
	if member == nil {
		v.constraint(field, "Member must not be null")
	}
}

// length bounds text, in characters; what is not there has been checked or need not be.
func (v *checks) length(field string, s *string, least, most int) {
	if s != nil {
		v.between(field, utf8.RuneCountInString(*s), least, most)
	}
}

func (v *checks) between(field string, n, least, most int) {
	if n < least {
		v.constraint(field, "Member must have length greater than or equal to %d", least)
	}
	if n > most {
		v.constraint(field, "Member must have length less than or equal to %d", most)
	}
}

func (v *checks) pattern(field string, s *string, p *regexp.Regexp) {
	if s != nil && !p.MatchString(*s) {
		v.constraint(field, "Member must satisfy regular expression pattern: %s", strings.Trim(p.String(), "^$"))
	}
}

// registryID is the id of an account, or nothing for the caller's.
func (v *checks) registryID(id *string) { v.pattern("registryId", id, registryIDSyntax) }

// registryIDOrAlias is that, or an alias.
func (v *checks) registryIDOrAlias(id *string) {
	v.length("registryId", id, 2, 50)
	if id != nil && !registryIDSyntax.MatchString(*id) {
		v.pattern("registryId", id, aliasSyntax)
	}
}

// repositoryName is that of a repository, which must be there.
func (v *checks) repositoryName(c *call, name *string) {
	require(v, "repositoryName", name)
	if name != nil && v.err == nil {
		v.length("repositoryName", name, 2, 205)
		if err := c.registry.CheckRepositoryName(*name); err != nil {
			v.constraint("repositoryName", "Member must satisfy regular expression pattern: %s",
				`(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*`)
		}
	}
}

// page checks the members of a page.
func (v *checks) page(maxResults *int) {
	if maxResults == nil {
		return
	}
	if *maxResults < 1 {
		v.constraint("maxResults", "Member must have value greater than or equal to 1")
	}
	if *maxResults > 1000 {
		v.constraint("maxResults", "Member must have value less than or equal to 1000")
	}
}
