package match

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Encode writes a document but for its text, as tables keep it. JSON would not keep what is no
// UTF-8, and is read more slowly, which is done for each candidate.
func Encode(d *gallery.Document) []byte {
	var b []byte
	str := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	for _, s := range []string{d.Name, d.Description, string(d.Kind), d.Tag, d.Logo} {
		str(s)
	}
	for _, list := range [][]string{d.Keywords, d.Architectures, d.OperatingSystems} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			str(s)
		}
	}
	b = binary.AppendVarint(b, d.Pulls)
	b = binary.AppendVarint(b, d.Updated.Unix())
	b = binary.AppendVarint(b, int64(d.Updated.Nanosecond()))
	var flags byte
	if d.Verified {
		flags |= 1
	}
	if d.Deprecated {
		flags |= 2
	}
	return append(b, flags)
}

var errDamaged = errors.New("a row is damaged")

// Decode reads what Encode wrote.
func Decode(b []byte, d *gallery.Document) (err error) {
	length := func() int {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			err = errDamaged
			return 0
		}
		b = b[size:]
		return int(n)
	}
	str := func() string {
		n := length()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	number := func() int64 {
		n, size := binary.Varint(b)
		if size <= 0 {
			err = errDamaged
			return 0
		}
		b = b[size:]
		return n
	}
	d.Name, d.Description, d.Kind, d.Tag, d.Logo = str(), str(), gallery.Kind(str()), str(), str()
	for _, list := range []*[]string{&d.Keywords, &d.Architectures, &d.OperatingSystems} {
		for n := length(); n > 0 && err == nil; n-- {
			*list = append(*list, str())
		}
	}
	d.Pulls = number()
	seconds := number()
	d.Updated = time.Unix(seconds, number()).UTC()
	if err != nil || len(b) != 1 {
		return errDamaged
	}
	d.Verified, d.Deprecated = b[0]&1 != 0, b[0]&2 != 0
	return nil
}

// WordList is the words of a document in order, each with its fields, as the text of a
// column: it is searched as it is, which is faster than to take it apart. Two are one if they
// are put together.
type WordList string

// NewWordList writes the words of a document.
func NewWordList(words map[string]FieldSet) WordList {
	var b strings.Builder
	b.WriteByte('\n')
	for _, w := range slices.Sorted(maps.Keys(words)) {
		fmt.Fprintf(&b, "%s\t%03x\n", w, words[w])
	}
	return WordList(b.String())
}

// Fields returns where a word is.
func (l WordList) Fields(w string) FieldSet {
	at := strings.Index(string(l), "\n"+w+"\t")
	if at < 0 {
		return 0
	}
	return l.at(at + len(w) + 2)
}

func (l WordList) at(i int) FieldSet {
	n, err := strconv.ParseUint(string(l[i:min(i+3, len(l))]), 16, 16)
	if err != nil || n >= 1<<gallery.Fields {
		return 0
	}
	return FieldSet(n)
}

// All yields the words that begin with p.
func (l WordList) All(p string) func(func(string, FieldSet) bool) {
	return func(yield func(string, FieldSet) bool) {
		for i := 0; ; {
			at := strings.Index(string(l[i:]), "\n"+p)
			if at < 0 {
				return
			}
			i += at + 1
			end := strings.IndexByte(string(l[i:]), '\t')
			if end < 0 || !yield(string(l[i:i+end]), l.at(i+end+1)) {
				return
			}
			i += end
		}
	}
}

// NameFields is the fields of a name.
const NameFields = FieldSet(1<<gallery.Keyword - 1)

// FilterWords returns what a document can be filtered by, as words.
func FilterWords(d *gallery.Document) []string {
	alias, _, _ := strings.Cut(d.Name, "/")
	list := []string{filterWord('p', alias), filterWord('v', strconv.FormatBool(d.Verified)), filterWord('d', strconv.FormatBool(d.Deprecated)), filterWord('k', string(d.Kind))}
	for _, a := range d.Architectures {
		list = append(list, filterWord('a', a))
	}
	for _, o := range d.OperatingSystems {
		list = append(list, filterWord('o', o))
	}
	return list
}

// Filters returns the filters of a query as lists of such words, of each of which a document
// has one: the filters that have no facet, and the others, without which facets are counted.
func Filters(q *gallery.Query) (loose, strict [][]string) {
	if q.Publisher != "" {
		loose = append(loose, []string{filterWord('p', q.Publisher)})
	}
	if q.Deprecated != nil {
		loose = append(loose, []string{filterWord('d', strconv.FormatBool(*q.Deprecated))})
	}
	if q.Verified != nil {
		strict = append(strict, []string{filterWord('v', strconv.FormatBool(*q.Verified))})
	}
	for _, f := range []struct {
		kind   byte
		values []string
	}{{'a', q.Architectures}, {'o', q.OperatingSystems}, {'k', q.Kinds}} {
		var words []string
		for _, v := range f.values {
			words = append(words, filterWord(f.kind, v))
		}
		if len(words) > 0 {
			strict = append(strict, words)
		}
	}
	return loose, strict
}

// maxFilter is how much of a value tells it from others: tokens cannot be of any length.
const maxFilter = 200

func filterWord(kind byte, value string) string {
	value = strings.ToLower(value)
	return string(kind) + hex.EncodeToString([]byte(value[:min(len(value), maxFilter)]))
}
