package sqlindex

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
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// encode writes a document but for its text. JSON would not keep what is no UTF-8, and is
// read more slowly, which is done for each candidate.
func encode(d *gallery.Document) []byte {
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

var errDamaged = errors.New("sqlindex: a row is damaged")

// decode reads what encode wrote.
func decode(b []byte, d *gallery.Document) (err error) {
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

// wordList is the words of a document in order, each with its fields, as the text of a
// column: it is searched as it is, which is faster than to take it apart.
type wordList string

func newWordList(words map[string]match.FieldSet) wordList {
	var b strings.Builder
	b.WriteByte('\n')
	for _, w := range slices.Sorted(maps.Keys(words)) {
		fmt.Fprintf(&b, "%s\t%03x\n", w, words[w])
	}
	return wordList(b.String())
}

// fields returns where a word is.
func (l wordList) fields(w string) match.FieldSet {
	at := strings.Index(string(l), "\n"+w+"\t")
	if at < 0 {
		return 0
	}
	return l.at(at + len(w) + 2)
}

func (l wordList) at(i int) match.FieldSet {
	n, err := strconv.ParseUint(string(l[i:min(i+3, len(l))]), 16, 16)
	if err != nil || n >= 1<<gallery.Fields {
		return 0
	}
	return match.FieldSet(n)
}

// all yields the words that begin with p.
func (l wordList) all(p string) func(func(string, match.FieldSet) bool) {
	return func(yield func(string, match.FieldSet) bool) {
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

// nameFields is the fields of a name.
const nameFields = match.FieldSet(1<<gallery.Keyword - 1)

// filterWords returns what a document can be filtered by, as words.
func filterWords(d *gallery.Document) string {
	alias, _, _ := strings.Cut(d.Name, "/")
	list := []string{filterWord('p', alias), filterWord('v', strconv.FormatBool(d.Verified)), filterWord('d', strconv.FormatBool(d.Deprecated)), filterWord('k', string(d.Kind))}
	for _, a := range d.Architectures {
		list = append(list, filterWord('a', a))
	}
	for _, o := range d.OperatingSystems {
		list = append(list, filterWord('o', o))
	}
	return strings.Join(list, " ")
}

// maxFilter is how much of a value tells it from others: tokens cannot be of any length.
const maxFilter = 200

func filterWord(kind byte, value string) string {
	value = strings.ToLower(value)
	return string(kind) + hex.EncodeToString([]byte(value[:min(len(value), maxFilter)]))
}
