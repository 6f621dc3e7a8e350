package match

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/esplanade-registry/esplanade/gallery"
)

// A look-alike is a repository that nobody vouches for, of whose alias or name somebody who
// reads fast believes that it is a known one: of a verified publisher, or of one that many
// use. Known names are kept under keys; a name that resembles one has a key in common.

// Known is a name that others may imitate.
type Known struct {
	Name     string // folded
	Pulls    int64
	Verified bool
}

// minSuspect is how long a name must be to be taken for another: of two or three letters
// there are too few. A slip of one letter says more in longer names.
const (
	minSuspect = 4
	minSlip    = 5
)

// Imitable returns the names of a document that others may imitate.
func Imitable(d *gallery.Document) (list []Known) {
	if !d.Verified && d.Pulls < knownPulls {
		return nil
	}
	for _, n := range outerNames(d) {
		if len(n) >= minSuspect && !slices.ContainsFunc(list, func(k Known) bool { return k.Name == n }) {
			list = append(list, Known{n, d.Pulls, d.Verified})
		}
	}
	return list
}

// outerNames returns the alias and the last part of the name, folded.
func outerNames(d *gallery.Document) [2]string {
	alias, name, _ := strings.Cut(d.Name, "/")
	return [2]string{gallery.Fold(alias), gallery.Fold(name[strings.LastIndexByte(name, '/')+1:])}
}

// Keys returns the keys of a known name: itself, what it looks like and, if many use it, what
// is left of it without one letter.
func (k Known) Keys() []string {
	keys := []string{"=" + k.Name, "~" + skeleton(k.Name)}
	if k.Pulls >= slipPulls && len(k.Name) >= minSlip {
		for rest := range deletions(k.Name) {
			keys = append(keys, "-"+rest)
		}
	}
	return keys
}

// slipPulls is how much something is used whose name people mistype.
const slipPulls = 1e5

// Suspect reports whether a document is a look-alike. Find returns the known names of keys.
func Suspect(d *gallery.Document, find func(keys []string) []Known) bool {
	if d.Verified {
		return false
	}
	names := outerNames(d)
	for i, n := range names {
		if len(n) < minSuspect {
			continue
		}
		keys := []string{"~" + skeleton(n)}
		if len(n) >= minSlip && !editions[n] && !companions[n] {
			keys = append(keys, "-"+n)
			for rest := range deletions(n) {
				keys = append(keys, "="+rest, "-"+rest)
			}
		}
		claims := i == 1 && strings.Contains(strings.ToLower(d.Description+" "+strings.Join(d.Keywords, " ")), "official")
		if claims {
			keys = append(keys, "="+n)
		}
		for _, k := range find(keys) {
			switch far := d.Pulls*100 <= k.Pulls; {
			case k.Name == n:
				// official, it says, of what a verified publisher has
				if claims && far && k.Verified && !related(names[0], n) {
					return true
				}
			case skeleton(k.Name) == skeleton(n):
				if far || k.Verified && d.Pulls <= k.Pulls {
					return true
				}
			case far && k.Pulls >= slipPulls && slip(n, k.Name):
				return true
			}
		}
	}
	return false
}

// related reports whether a publisher seems to be that of a product.
func related(alias, name string) bool {
	return strings.Contains(alias, name) || strings.Contains(name, alias)
}

// slip reports whether a name is another with one letter left out or put in, or with two
// neighbours swapped. Another letter makes another name more often than not (mysql, mssql),
// and so does a plural.
func slip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	n := 0
	for n < len(a) && a[n] == b[n] {
		n++
	}
	switch len(b) - len(a) {
	case 0:
		return n+1 < len(a) && a[n] == b[n+1] && a[n+1] == b[n] && a[n+2:] == b[n+2:]
	case 1:
		return a[n:] == b[n+1:] && b != a+"s"
	}
	return false
}

// deletions yields what is left of a name without each of its letters, if they are of ASCII,
// as those of repositories are.
func deletions(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		if strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return
		}
		for i := range min(len(s), 40) {
			if (i == 0 || s[i] != s[i-1]) && !yield(s[:i]+s[i+1:]) {
				return
			}
		}
	}
}

var homoglyphs = strings.NewReplacer("m", "rn", "w", "vv", "0", "o", "1", "l", "i", "l", "5", "s", "2", "z", "8", "b")

// skeleton is what names have in common that are taken for each other: letters that look
// alike are one, and so are letters that are doubled.
func skeleton(folded string) string {
	s := homoglyphs.Replace(folded)
	var out []byte
	for i := range len(s) {
		if i == 0 || s[i] != s[i-1] {
			out = append(out, s[i])
		}
	}
	return string(out)
}
