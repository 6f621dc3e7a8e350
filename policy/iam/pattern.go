package iam

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The wildcards within a compiled pattern, which no text contains.
const (
	star     rune = -1
	question rune = -2
)

// pattern matches texts. It is literal runes and wildcards, with variables between them.
type pattern struct {
	literal string // the whole, where there are neither wildcards nor variables
	plain   bool
	head    string // what comes before the first wildcard, where there are no variables
	parts   []part // of what follows it
}

// part is a run of runes, or a variable.
type part struct {
	runes    []rune
	variable string
	fallback *string
}

// compile reads a pattern. Wildcards and variables are read only if they are meant to be.
func compile(s string, wildcards, variables bool) (pattern, error) {
	p := pattern{}
	var runes []rune
	special := false
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case variables && strings.HasPrefix(rest, "${"):
			body, after, ok := strings.Cut(rest[2:], "}")
			if !ok {
				return p, fmt.Errorf("%q has a variable without an end", s)
			}
			rest = after
			switch body {
			case "*", "?", "$":
				runes = append(runes, rune(body[0]))
				special = true
				continue
			}
			v := part{}
			name, def, has := strings.Cut(body, ",")
			if v.variable, ok = parseKey(strings.TrimSpace(name)); !ok {
				return p, fmt.Errorf("%q has a variable that is no condition key", s)
			}
			if has {
				def = strings.TrimSpace(def)
				if len(def) < 2 || def[0] != '\'' || def[len(def)-1] != '\'' {
					return p, fmt.Errorf("%q has a variable whose default is not quoted", s)
				}
				def = def[1 : len(def)-1]
				v.fallback = &def
			}
			p.parts = append(p.parts, part{runes: runes}, v)
			runes, special = nil, true
			continue
		case wildcards && r == '*':
			if len(runes) == 0 || runes[len(runes)-1] != star {
				runes = append(runes, star)
			}
			special = true
		case wildcards && r == '?':
			runes = append(runes, question)
			special = true
		default:
			runes = append(runes, r)
		}
		rest = rest[n:]
	}
	if !special {
		return pattern{literal: s, plain: true}, nil
	}
	if p.parts == nil {
		if i := slices.IndexFunc(runes, func(r rune) bool { return r < 0 }); i > 0 {
			p.head, runes = string(runes[:i]), runes[i:]
		}
	}
	p.parts = append(p.parts, part{runes: runes})
	return p, nil
}

// expand returns the pattern with variables as literals, or false if one has no value.
func (p pattern) expand(c *facts) ([]rune, bool) {
	if len(p.parts) == 1 {
		return p.parts[0].runes, true
	}
	var out []rune
	for _, t := range p.parts {
		if t.variable == "" {
			out = append(out, t.runes...)
			continue
		}
		values, ok := c.values(t.variable)
		switch {
		case ok && len(values) == 1:
			out = append(out, []rune(values[0])...)
		case t.fallback != nil && !ok:
			out = append(out, []rune(*t.fallback)...)
		default:
			return nil, false
		}
	}
	return out, true
}

// match reports whether the pattern is that of all of s. defined is false if a variable
// has no value: then nothing can be said.
func (p pattern) match(c *facts, s string) (ok, defined bool) {
	if p.plain {
		return p.literal == s, true
	}
	s, ok = strings.CutPrefix(s, p.head)
	if !ok {
		return false, true
	}
	runes, defined := p.expand(c)
	return defined && glob(runes, s), defined
}

// glob matches without recursion: on a mismatch, the last star takes one rune more.
func glob(p []rune, s string) bool {
	i, at := 0, 0
	back, from := -1, 0
	for at < len(s) {
		r, n := utf8.DecodeRuneInString(s[at:])
		switch {
		case i < len(p) && p[i] == star:
			back, from = i, at
			i++
			if i == len(p) {
				return true
			}
			continue
		case i < len(p) && (p[i] == question || p[i] == r):
			i++
			at += n
			continue
		case back < 0:
			return false
		}
		_, n = utf8.DecodeRuneInString(s[from:])
		from += n
		i, at = back+1, from
	}
	for i < len(p) && p[i] == star {
		i++
	}
	return i == len(p)
}
