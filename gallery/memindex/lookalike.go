package memindex

import (
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
)

// lookAlikes knows the names of verified publishers and of their repositories, to tell names
// that are made to look like them.
type lookAlikes struct {
	aliases map[string]map[string]int // by skeleton: how often each is there
	names   map[string]map[string]int
}

func newLookAlikes() lookAlikes {
	return lookAlikes{map[string]map[string]int{}, map[string]map[string]int{}}
}

// parts calls f for the alias and the last part of the name, with their skeletons.
func (l lookAlikes) parts(d *document, f func(names map[string]map[string]int, look, name string)) {
	alias, name, _ := strings.Cut(d.Name, "/")
	f(l.aliases, d.looks[0], alias)
	f(l.names, d.looks[1], name[strings.LastIndexByte(name, '/')+1:])
}

func (l lookAlikes) add(d *document) {
	l.parts(d, func(names map[string]map[string]int, look, name string) {
		if names[look] == nil {
			names[look] = map[string]int{}
		}
		names[look][name]++
	})
}

func (l lookAlikes) remove(d *document) {
	l.parts(d, func(names map[string]map[string]int, look, name string) {
		if names[look][name]--; names[look][name] == 0 {
			delete(names[look], name)
		}
	})
}

// suspect reports whether a publisher that nobody vouches for has an alias, or a repository
// a name, that looks like a verified one's and is not it.
func (l lookAlikes) suspect(d *document) (found bool) {
	l.parts(d, func(names map[string]map[string]int, look, name string) {
		same := names[look]
		found = found || len(same) > 0 && same[name] == 0 && len(name) >= minSuspect
	})
	// an alias that looks like a product
	alias, _, _ := strings.Cut(d.Name, "/")
	same := l.names[d.looks[0]]
	return found || len(same) > 0 && same[alias] == 0 && len(alias) >= minSuspect
}

// minSuspect is how long a name must be to be taken for another: of two or three letters
// there are too few.
const minSuspect = 4

var homoglyphs = strings.NewReplacer("m", "rn", "w", "vv", "0", "o", "1", "l", "i", "l", "5", "s", "2", "z", "8", "b")

// skeleton is what names have in common that are taken for each other: letters that look
// alike are one, and so are letters that are doubled, and separators are none.
func skeleton(s string) string {
	s = homoglyphs.Replace(gallery.Fold(s))
	var out []byte
	for i := range len(s) {
		if i == 0 || s[i] != s[i-1] {
			out = append(out, s[i])
		}
	}
	return string(out)
}
