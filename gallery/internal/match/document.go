package match

import (
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Document is what of a document is compared with queries.
type Document struct {
	Words   map[string]FieldSet // where each word is
	Shape   Shape
	Stuffed bool // it speaks of everything
}

// Shape is what of a document is compared with a query as a whole.
type Shape struct {
	Folded   string // alias and name, without what separates words
	Name     string // the name alone
	Reversed string // name and alias
	Phrases  string // words of the name, a bar, and words of the description
}

// Names returns the shape of a name.
func Names(fullName string) Shape {
	alias, name, _ := strings.Cut(fullName, "/")
	a, n := gallery.Fold(alias), gallery.Fold(name)
	return Shape{Folded: a + n, Name: n, Reversed: n + a}
}

// Read takes a document apart.
func Read(d *gallery.Document) Document {
	alias, name, _ := strings.Cut(d.Name, "/")
	last := name[strings.LastIndexByte(name, '/')+1:]
	out := Document{Words: map[string]FieldSet{}, Shape: Names(d.Name)}
	mark := func(f gallery.Field, words ...string) {
		for _, w := range words {
			if w != "" {
				out.Words[w] |= Bit(f)
			}
		}
	}
	words := gallery.Words(name)
	mark(gallery.AliasWord, gallery.Words(alias)...)
	mark(gallery.AliasWord, gallery.Fold(alias))
	mark(gallery.NameWord, words...)
	if len(words) > 0 {
		mark(gallery.NamePrefix, words[0])
	}
	for _, whole := range []string{name, last} {
		if w := gallery.Words(whole); len(w) == 1 {
			mark(gallery.WholeName, w[0])
		}
		mark(gallery.FoldedName, gallery.Fold(whole))
	}
	mark(gallery.FoldedName, plainName(last))
	for _, k := range d.Keywords {
		mark(gallery.Keyword, gallery.Words(k)...)
		mark(gallery.Keyword, gallery.Fold(k))
	}
	description := gallery.Words(d.Description)
	mark(gallery.Description, description...)
	mark(gallery.Text, gallery.Words(d.Text)...)
	out.Shape.Phrases = " " + strings.Join(words, " ") + " | " + strings.Join(description, " ") + " "
	out.understand(d, alias, name, description, mark)
	return out
}

// understand marks the concepts of a document: of the product that it is, and those that it
// speaks of.
func (out *Document) understand(d *gallery.Document, alias, name string, description []string, mark func(gallery.Field, ...string)) {
	k := concepts()
	marks, itself := k.productOf(alias, name)
	field := gallery.Description
	if itself {
		field = gallery.Keyword
	}
	mark(field, marks...)
	topics := map[string]bool{}
	speaks := func(words []string, whole bool) {
		k.spans(words, func(from, to int, marks []string) {
			field := gallery.Text // one word may mean much
			switch {
			case whole && to-from == len(words):
				field = gallery.Keyword
			case to-from > 1:
				field = gallery.Description
			}
			mark(field, marks...)
			topics[marks[0]] = true
		})
		for _, w := range words {
			if k.products[w] != nil || bait[w] {
				topics[w] = true
			}
		}
	}
	for _, w := range gallery.Words(name) {
		if k.products[w] != nil || bait[w] {
			topics[w] = true
		}
	}
	speaks(description, false)
	for _, w := range d.Keywords {
		speaks(gallery.Words(w), true)
	}
	out.Stuffed = len(topics) >= manyTopics && !d.Verified && d.Pulls < knownPulls
}

const (
	// manyTopics is how many products and concepts something speaks of that wants to be found
	// with everything.
	manyTopics = 8
	// manyKeywords is how many keywords count in full.
	manyKeywords = 6
	// knownPulls is how many pulls nobody has without being known.
	knownPulls = 1e6
)

// bait is what publishers say of what nobody else praises.
var bait = set("best free fast download downloads full crack cracked unlimited official premium cheap hack top version generator")

// KeywordFactor is how much less a document is found with each of its keywords because it
// has one for everything.
func KeywordFactor(d *gallery.Document) float64 {
	if len(d.Keywords) > manyKeywords {
		return manyKeywords / float64(len(d.Keywords))
	}
	return 1
}

// OnlyKeyword reports whether a keyword is the best field of a set.
func OnlyKeyword(set FieldSet) bool {
	return set&Bit(gallery.Keyword) != 0 && set&(Bit(gallery.Keyword)-1) == 0
}
