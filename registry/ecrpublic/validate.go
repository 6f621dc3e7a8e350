package ecrpublic

import (
	"fmt"
	"regexp"
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
func (c *checks) constraint(field, format string, args ...any) {
	if c.err == nil {
		c.err = invalidParameter("Invalid parameter at '%s' failed to satisfy constraint: '%s'", field, fmt.Sprintf(format, args...))
	}
}

// require refuses a member that is not there.
func require[T any](c *checks, field string, v *T) {
	if v == nil {
		c.constraint(field, "Member must not be null")
	}
}

// length bounds text, in characters; what is not there has been checked or need not be.
func (c *checks) length(field string, v *string, least, most int) {
	if v != nil {
		c.between(field, utf8.RuneCountInString(*v), least, most)
	}
}

func (c *checks) between(field string, n, least, most int) {
	if n < least {
		c.constraint(field, "Member must have length greater than or equal to %d", least)
	}
	if n > most {
		c.constraint(field, "Member must have length less than or equal to %d", most)
	}
}

func (c *checks) pattern(field string, v *string, p *regexp.Regexp) {
	if v != nil && !p.MatchString(*v) {
		s := p.String()
		c.constraint(field, "Member must satisfy regular expression pattern: %s", s[1:len(s)-1])
	}
}

// registryID is the id of an account, or nothing for the caller's.
func (c *checks) registryID(v *string) { c.pattern("registryId", v, registryIDSyntax) }

// registryIDOrAlias is that, or an alias.
func (c *checks) registryIDOrAlias(v *string) {
	c.length("registryId", v, 2, 50)
	if v != nil && !registryIDSyntax.MatchString(*v) {
		c.pattern("registryId", v, aliasSyntax)
	}
}

// repositoryName is that of a repository, which must be there.
func (c *checks) repositoryName(call *call, v *string) {
	require(c, "repositoryName", v)
	if v != nil && c.err == nil {
		c.length("repositoryName", v, 2, 205)
		if err := call.registry.CheckRepositoryName(*v); err != nil {
			c.constraint("repositoryName", "Member must satisfy regular expression pattern: %s",
				`(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*`)
		}
	}
}

// page checks the members of a page.
func (c *checks) page(maxResults *int) {
	if maxResults == nil {
		return
	}
	if *maxResults < 1 {
		c.constraint("maxResults", "Member must have value greater than or equal to 1")
	}
	if *maxResults > 1000 {
		c.constraint("maxResults", "Member must have value less than or equal to 1000")
	}
}
