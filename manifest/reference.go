package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of the grammar, in bytes. The specification sets that of tags; many clients cap
// host and name together at 255, so a longer name could be pushed but not pulled.
const (
	MaxName = 255
	MaxTag  = 128
)

// Errors about text outside the grammar of the distribution specification.
var (
	ErrName = errors.New("invalid repository name")
	ErrTag  = errors.New("invalid tag")
)

// Reference is what stands after the repository's name: a tag or a digest, never both.
// The zero Reference refers to nothing.
type Reference struct {
	Tag    string
	Digest Digest
}

// String returns the tag or the digest.
func (r Reference) String() string {
	if r.Digest != "" {
		return string(r.Digest)
	}
	return r.Tag
}

// ParseReference accepts a tag or a digest. A tag such as sha256-44136fa3… is an
// ordinary tag and never an alias of the digest (oras-go#1396). The error wraps [ErrTag]
// or [ErrDigest].
func ParseReference(s string) (Reference, error) {
	if strings.IndexByte(s, ':') >= 0 {
		d, err := ParseDigest(s)
		return Reference{Digest: d}, err
	}
	if err := CheckTag(s); err != nil {
		return Reference{}, err
	}
	return Reference{Tag: s}, nil
}

// CheckTag reports whether s is a tag: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}. The error
// wraps [ErrTag].
func CheckTag(s string) error {
	if s == "" || len(s) > MaxTag {
		return fmt.Errorf("%w: %s has %d characters, a tag has 1 to %d", ErrTag, quote(s), len(s), MaxTag)
	}
	for i := range len(s) {
		c := s[i]
		if !alphanumeric(c) && !(c >= 'A' && c <= 'Z') && c != '_' && (i == 0 || c != '.' && c != '-') {
			return fmt.Errorf("%w: %s, use letters, digits, '_', '.' and '-', beginning with none of the last two", ErrTag, quote(s))
		}
	}
	return nil
}

// CheckName reports whether s is a repository name: components of lower-case letters
// and digits, separated inside by one '.', one or two '_' or any number of '-', and from
// each other by '/'. The error wraps [ErrName].
func CheckName(s string) error {
	if s == "" || len(s) > MaxName {
		return fmt.Errorf("%w: %s has %d characters, a name has 1 to %d", ErrName, quote(s), len(s), MaxName)
	}
	for rest, more := s, true; more; {
		var component string
		component, rest, more = strings.Cut(rest, "/")
		if !validComponent(component) {
			return fmt.Errorf("%w: %s, use lower-case letters and digits, separated by '.', '_', '__', '-' or '/'", ErrName, quote(s))
		}
	}
	return nil
}

// validComponent matches [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*.
func validComponent(s string) bool {
	for i := 0; i < len(s); {
		if !alphanumeric(s[i]) {
			return false
		}
		for i < len(s) && alphanumeric(s[i]) {
			i++
		}
		if i == len(s) {
			return true
		}
		start := i
		for i < len(s) && s[i] == s[start] && !alphanumeric(s[i]) {
			i++
		}
		switch n := i - start; s[start] {
		case '.':
			if n > 1 {
				return false
			}
		case '_':
			if n > 2 {
				return false
			}
		case '-':
		default:
			return false
		}
	}
	return false
}

func alphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
