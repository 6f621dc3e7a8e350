package memindex

import (
	"slices"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// known is the names that others may imitate, by their keys.
type known struct {
	names map[string]*knownName
	keys  map[string][]*knownName
}

// knownName is a name and how many documents have it. Of those that were replaced it keeps
// the most pulls: what was well known is for long.
type knownName struct {
	match.Known
	documents int
}

func newKnown() known { return known{map[string]*knownName{}, map[string][]*knownName{}} }

func (x known) add(d *gallery.Document) {
	for _, k := range match.Imitable(d) {
		n := x.names[k.Name]
		if n == nil {
			n = &knownName{Known: match.Known{Name: k.Name}}
			x.names[k.Name] = n
		}
		n.documents++
		n.Pulls, n.Verified = max(n.Pulls, k.Pulls), n.Verified || k.Verified
		for _, key := range n.Keys() {
			if list := x.keys[key]; !slices.Contains(list, n) {
				x.keys[key] = append(list, n)
			}
		}
	}
}

func (x known) remove(d *gallery.Document) {
	for _, k := range match.Imitable(d) {
		n := x.names[k.Name]
		if n.documents--; n.documents > 0 {
			continue
		}
		delete(x.names, k.Name)
		for _, key := range n.Keys() {
			if list := slices.DeleteFunc(x.keys[key], func(other *knownName) bool { return other == n }); len(list) > 0 {
				x.keys[key] = list
			} else {
				delete(x.keys, key)
			}
		}
	}
}

func (x known) find(keys []string) (list []match.Known) {
	for _, key := range keys {
		for _, n := range x.keys[key] {
			list = append(list, n.Known)
		}
	}
	return list
}
