package match

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/esplanade-registry/esplanade/gallery"
)

//go:embed concepts.txt
var conceptTable string

// markSign begins marks. It is no letter, so that no word of a person is a mark, and not of
// ASCII, so that a tokenizer of ASCII takes it for part of one.
const markSign = "§"

// IsMark reports whether a word is a mark.
func IsMark(w string) bool { return strings.HasPrefix(w, markSign) }

// knowledge is the table of concepts.
type knowledge struct {
	phrases  map[string][]string // by the singulars of their words: marks
	longest  map[string]int      // by the first of them: words of the longest phrase
	words    map[string]bool     // of phrases
	related  map[string][]string // by words of longer phrases: marks
	products map[string][]string // by folded name: marks
}

var concepts = sync.OnceValue(func() *knowledge {
	k := &knowledge{map[string][]string{}, map[string]int{}, map[string]bool{}, map[string][]string{}, map[string][]string{}}
	for line := range tableLines(conceptTable) {
		phrases, products, _ := strings.Cut(line, ":")
		var mark string
		for phrase := range strings.SplitSeq(phrases, ",") {
			words := gallery.Words(phrase)
			if mark == "" {
				mark = markSign + strings.Join(words, "")
			}
			for i, w := range words {
				k.words[w] = true
				words[i] = stem(w)
				if !stopWords[w] && !weakWords[w] && !slices.Contains(k.related[words[i]], mark) {
					k.related[words[i]] = append(k.related[words[i]], mark)
				}
			}
			key := strings.Join(words, " ")
			k.phrases[key] = append(k.phrases[key], mark)
			k.longest[words[0]] = max(k.longest[words[0]], len(words))
		}
		for _, p := range strings.Fields(products) {
			if p = gallery.Fold(p); !slices.Contains(k.products[p], mark) {
				k.products[p] = append(k.products[p], mark)
			}
		}
	}
	return k
})

// spans calls f with each phrase of a concept among words, the longest where several begin,
// from the left to the right.
func (k *knowledge) spans(words []string, f func(from, to int, marks []string)) {
	stems := make([]string, len(words))
	for i, w := range words {
		stems[i] = stem(w)
	}
	for i := 0; i < len(stems); i++ {
		for n := min(k.longest[stems[i]], len(stems)-i); n > 0; n-- {
			if marks := k.phrases[strings.Join(stems[i:i+n], " ")]; marks != nil {
				f(i, i+n, marks)
				i += n - 1
				break
			}
		}
	}
}

// editions are words that make no other product of one.
var editions = set(`server ce ee oss community enterprise free edition official docker image container alpine debian ubuntu slim standalone
	all in one allinone app core web main full lite light base stable latest project io hq inc org team foundation labs software cloud oci
	unprivileged rootless db db2 cluster node single dev local v1 v2 v3 v4 ng next legacy classic native headless service daemon d`)

// packagings are words that say nothing of what an image is.
var packagings = set("server ce ee oss community enterprise edition official docker image alpine debian ubuntu slim")

// plainName returns a name without the words that say nothing, folded.
func plainName(name string) string {
	return strings.Join(slices.DeleteFunc(gallery.Words(name), func(w string) bool { return packagings[w] }), "")
}

// companions are words that make something else of a product: what goes with it.
var companions = set(`exporter ui gui client cli operator backup restore admin agent init test tests testing demo example examples sample training
	tutorial workshop controller plugin plugins connector connect bridge sidecar tools tool manager viewer browser proxy dashboard
	dashboards commander insight express migrator migration cron worker api frontend backend sdk runner helper utils util benchmark
	initializer config renderer webhook adapter collector monitor hook hooks driver provider builder fork sync importer loader
	companion queue service gateway bot cache`)

// productOf returns the concepts of the product that a repository's name says it is, and
// whether it is that one or a variant of it.
func (k *knowledge) productOf(alias, name string) (marks []string, itself bool) {
	parts := append([]string{alias}, strings.Split(name, "/")...)
	last := parts[len(parts)-1]
	if m := k.products[gallery.Fold(last)]; m != nil {
		return m, true
	}
	words := gallery.Words(last)
	said := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return editions[w] })
	if m := k.products[strings.Join(said, "")]; m != nil {
		return m, true
	}
	before := gallery.Fold(parts[len(parts)-2])
	if m := k.products[before+strings.Join(words, "")]; m != nil {
		return m, true
	}
	if len(said) == 0 {
		// what it stands below says what it is: vaultwarden/server
		return k.products[before], true
	}
	for n := len(words) - 1; n > 0; n-- {
		if m := k.products[strings.Join(words[:n], "")]; m != nil {
			if slices.ContainsFunc(words[n:], func(w string) bool { return companions[w] }) {
				return nil, false
			}
			return m, false
		}
	}
	return nil, false
}

// familiar reports whether a word is one of the field, and therefore no slip.
func (k *knowledge) familiar(w string) bool {
	return k.words[w] || k.products[w] != nil || len(synonyms()[w]) > 0 || weakWords[w]
}
