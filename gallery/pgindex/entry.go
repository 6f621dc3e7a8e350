package pgindex

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// entry is what the tables have of a document.
type entry struct {
	*gallery.Document
	id          int64
	data, hash  []byte
	stuffed     bool
	phrases     string
	folded      string
	words, body match.WordList
	lexemes     string // as PostgreSQL reads them
	counts      map[string]count
	known       []known
}

// count is what a document adds to a row of esplanade_index_word.
type count struct{ documents, named, keyed, spoken, weight int64 }

// known is a name that others may imitate, under one of its keys.
type known struct{ key, name string }

// sequenceBits is how much of an id is not merit.
const sequenceBits = 32

func newID(merit, sequence int64) int64 { return merit<<sequenceBits | sequence&(1<<sequenceBits-1) }

// hash tells whether a document is stored as it is, by this version.
func (x *Index) hash(d *gallery.Document, data []byte) []byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(x.version)))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(data))))
	h.Write(data)
	h.Write([]byte(d.Text))
	return h.Sum(nil)
}

// Lexemes are words after a letter that says where they are. A word of a name has all three.
const (
	anywhere = "b"
	inKeyed  = "k" // in the name or a keyword
	inNamed  = "n"
	filter   = "%" // no word, but what is filtered by
)

const (
	// maxLexeme is how much of a word is looked for; indexes take no longer ones. The words of
	// candidates are whole.
	maxLexeme = 200
	// maxBody is how many bytes of words of the text alone are found. PostgreSQL takes a
	// megabyte, but writers wait for it.
	maxBody = 64 << 10
)

// lexeme makes one of a word.
func lexeme(kind, word string) string {
	if len(word) > maxLexeme {
		word = strings.ToValidUTF8(word[:maxLexeme], "")
	}
	return kind + word
}

// newEntry returns what the tables should have of a document, but for its id.
func (x *Index) newEntry(d *gallery.Document) *entry {
	read := match.Read(d)
	data := match.Encode(d)
	e := &entry{Document: d, data: data, hash: x.hash(d, data), stuffed: read.Stuffed, phrases: read.Shape.Phrases, folded: read.Shape.Folded, counts: map[string]count{}}
	// What a word weighs changes seldom, and so does its row.
	pulls := int64(1) << min(bits.Len64(uint64(max(d.Pulls, 0))), 62)
	var lexemes []string
	texts := map[string]match.FieldSet{}
	for word, set := range read.Words {
		if set&^match.Bit(gallery.Text) == 0 {
			texts[word] = set
			continue
		}
		lexemes = append(lexemes, lexeme(anywhere, word))
		c := count{documents: 1, weight: x.weights.Likely(set, pulls)}
		if set != match.Bit(gallery.FoldedName) {
			c.spoken = 1
		}
		if set&match.NameFields != 0 {
			c.named = 1
			lexemes = append(lexemes, lexeme(inNamed, word))
		}
		if set&(match.NameFields|match.Bit(gallery.Keyword)) != 0 {
			c.keyed = 1
			lexemes = append(lexemes, lexeme(inKeyed, word))
		}
		if len(word) <= maxLexeme {
			e.counts[word] = c
		}
	}
	for word := range texts {
		delete(read.Words, word)
	}
	e.words, e.body = match.NewWordList(read.Words), match.NewWordList(texts)
	if len(e.body) > maxBody {
		e.body = e.body[:strings.LastIndexByte(string(e.body[:maxBody]), '\n')+1]
	}
	for word := range e.body.All("") {
		if word != "" {
			lexemes = append(lexemes, lexeme(anywhere, word))
		}
	}
	for _, word := range match.FilterWords(d) {
		lexemes = append(lexemes, filter+word)
		e.counts[filter+word] = count{documents: 1}
	}
	slices.Sort(lexemes)
	e.lexemes = strings.Join(quoteAll(slices.Compact(lexemes)), " ")
	for _, k := range match.Imitable(d) {
		if len(k.Name) > maxLexeme {
			continue // nobody takes it for another
		}
		for _, key := range k.Keys() {
			e.known = append(e.known, known{key, k.Name})
		}
	}
	return e
}

// quoteAll makes lexemes of PostgreSQL of words: whatever they are of, they have no meaning
// but themselves.
func quoteAll(words []string) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = "'" + lexemeEscapes.Replace(w) + "'"
	}
	return list
}

var lexemeEscapes = strings.NewReplacer("'", "''", `\`, `\\`)
