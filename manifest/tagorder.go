package manifest

import (
	"strings"
)

// TagVersion is what a tag says of a version: 1.27.3-alpine is 1, 27 and 3, and alpine.
type TagVersion struct {
	Numbers []string // one to four, without leading zeros
	Suffix  string   // what follows, without what separates it
	// Prerelease: the suffix says that the version is yet to come, as rc1 or beta.2 do.
	Prerelease bool
}

// IsRelease reports whether the tag names one released version and no variant of it.
func (v TagVersion) IsRelease() bool { return len(v.Numbers) > 0 && v.Suffix == "" }

// ParseTagVersion reads a tag as a version. It is not strict, because tags are not: a v may
// stand before it, one number will do, and a suffix may follow without a dash. A long number
// alone is a date or a build and no version, and a digit followed by a letter is more likely
// the beginning of a commit.
func ParseTagVersion(tag string) (v TagVersion, ok bool) {
	s := tag
	if len(s) > 1 && (s[0] == 'v' || s[0] == 'V') {
		s = s[1:]
	}
	for len(v.Numbers) < 4 {
		n := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if n == 0 || n > 18 {
			return TagVersion{}, false
		}
		v.Numbers = append(v.Numbers, trimZeros(s[:n]))
		s = s[n:]
		if len(s) < 2 || s[0] != '.' || s[1] < '0' || s[1] > '9' {
			break
		}
		s = s[1:]
	}
	joined := s != "" && strings.IndexByte("-_.+", s[0]) < 0
	if len(v.Numbers) == 1 && (len(v.Numbers[0]) > 5 || joined) {
		return TagVersion{}, false
	}
	v.Suffix = strings.TrimLeft(s, "-_.+")
	_, _, v.Prerelease = prerelease(v.Suffix)
	return v, true
}

func trimZeros(digits string) string {
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		return "0"
	}
	return digits
}

// prereleases are the words that say so, the nearest to a release first. Those of one letter
// do only with a number.
var prereleases = map[string]byte{
	"rc": '1', "cr": '1', "beta": '2', "b": '2', "alpha": '3', "a": '3', "m": '4', "milestone": '4', "ea": '4', "pre": '5', "preview": '5',
	"dev": '6', "snapshot": '6', "nightly": '6', "canary": '6', "unstable": '6', "experimental": '6',
}

// prerelease finds the first word of a suffix among [prereleases], and what follows it.
func prerelease(suffix string) (rank byte, rest string, ok bool) {
	s := strings.ToLower(suffix)
	word := s[:len(s)-len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz"))]
	rank, ok = prereleases[word]
	rest = strings.TrimLeft(s[len(word):], "-_.")
	if ok && len(word) == 1 && (rest == "" || rest[0] < '0' || rest[0] > '9') {
		return 0, "", false
	}
	return rank, rest, ok
}

// channels are the tags that follow what is newest in some sense, in the order in which
// people want them.
var channels = map[string]byte{
	"latest": 'a', "stable": 'b', "lts": 'c', "mainline": 'd', "current": 'd', "release": 'd', "main": 'e', "master": 'e', "edge": 'f', "next": 'g',
	"rc": 'h', "beta": 'i', "alpha": 'j', "nightly": 'k', "canary": 'k', "dev": 'l', "develop": 'l', "devel": 'l', "unstable": 'm', "testing": 'm', "preview": 'm',
}

// IsChannel reports whether a tag is one of the usual names, such as latest or stable, for
// what is newest in some sense.
func IsChannel(tag string) bool { return channels[strings.ToLower(tag)] != 0 }

// IsFallbackTag reports whether a tag is what clients make of a digest to attach signatures
// and the like to it, where they do not rely on referrers: sha256-HEX, with or without an
// ending such as .sig.
func IsFallbackTag(tag string) bool {
	algorithm, rest, ok := strings.Cut(tag, "-")
	hex, _, _ := strings.Cut(rest, ".")
	return ok && (algorithm == "sha256" && len(hex) == 64 || algorithm == "sha512" && len(hex) == 128) && strings.Trim(hex, "0123456789abcdef") == ""
}

// TagOrder returns a key by which a repository's tags are in the order in which people look
// for them: channels such as latest; versions, the highest first, each after those that
// float above it (1, 1.27, 1.27.3) and before its variants (1.27.3-alpine) and prereleases
// (1.27.3-rc.2); then other names, with higher numbers first; and what clients derive from
// digests last.
//
// Stores keep these keys, so that what a tag's key is never changes.
func TagOrder(tag string) string {
	if rank, ok := channels[strings.ToLower(tag)]; ok {
		return "0" + string(rank)
	}
	if IsFallbackTag(tag) {
		return "4"
	}
	v, ok := ParseTagVersion(tag)
	if !ok {
		if len(tag) >= 7 && strings.Trim(strings.TrimPrefix(tag, "sha-"), "0123456789abcdef") == "" && strings.ContainsAny(tag, "0123456789") && strings.ContainsAny(tag, "abcdef") {
			return "3" // a commit: there is no order
		}
		return "2" + descending(tag)
	}
	var key strings.Builder
	key.WriteByte('1')
	for i := range 4 {
		if i < len(v.Numbers) {
			writeInverse(&key, v.Numbers[i])
		} else {
			key.WriteByte('!')
		}
	}
	switch rank, rest, pre := prerelease(v.Suffix); {
	case v.Suffix == "":
		key.WriteByte('0')
	case pre:
		key.WriteByte('2')
		key.WriteByte(rank)
		key.WriteString(descending(rest))
	default:
		key.WriteByte('1')
		key.WriteString(descending(v.Suffix))
	}
	return key.String()
}

// descending returns text in lower case in which each number stands for itself from above,
// so that the highest comes first.
func descending(s string) string {
	var key strings.Builder
	s = strings.ToLower(s)
	for s != "" {
		n := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if n == 0 {
			key.WriteByte(s[0])
			s = s[1:]
			continue
		}
		writeInverse(&key, trimZeros(s[:n]))
		s = s[n:]
	}
	return key.String()
}

// writeInverse writes a number so that a higher one comes first: how many digits it has, and
// then the digits, each from above. What it writes begins behind '!' and before letters.
func writeInverse(key *strings.Builder, digits string) {
	for n := len(digits); ; n -= 9 {
		key.WriteByte('9' - byte(min(n, 9)))
		if n < 9 {
			break
		}
	}
	for i := range len(digits) {
		key.WriteByte('9' - (digits[i] - '0'))
	}
}
