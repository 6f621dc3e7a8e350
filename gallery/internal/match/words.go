package match

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

//go:embed synonyms.txt
var synonymTable string

// synonyms is which words each word may stand for.
var synonyms = sync.OnceValue(func() map[string][]string {
	m := map[string][]string{}
	add := func(from, to string) {
		if from != to && !slices.Contains(m[from], to) {
			m[from] = append(m[from], to)
		}
	}
	for line := range tableLines(synonymTable) {
		from, to, oneWay := strings.Cut(line, " > ")
		if !oneWay {
			to = from
		}
		for _, f := range strings.Fields(from) {
			for _, t := range strings.Fields(to) {
				add(f, t)
			}
		}
	}
	return m
})

// tableLines yields the lines of a table that are no comments.
func tableLines(table string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(table) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// stopWords say nothing, unless there is nothing else.
var stopWords = set("a an and for in of on or the to with your my from by as is at it i need want some any")

// weakWords say little in a search for images. Where there are others a document need not
// have them, but one that does comes a little sooner: docker/compose for docker compose.
var weakWords = set(`docker pull container containers image images run official latest best good great free open source opensource self hosted selfhosted
	simple lightweight fast easy modern popular alternative server service app application software tool tools platform system solution program
	version tag slim alpine bookworm bullseye buster jammy focal noble lts stable edge nightly`)

// stem returns the singular of a word that looks like a plural.
func stem(t string) string {
	switch {
	case len(t) > 4 && strings.HasSuffix(t, "ies"):
		return t[:len(t)-3] + "y"
	case len(t) > 3 && strings.HasSuffix(t, "s") && !strings.HasSuffix(t, "ss"):
		return t[:len(t)-1]
	}
	return t
}

func plurals(t string) []string {
	if len(t) < 3 {
		return nil
	}
	list := []string{t + "s"}
	if strings.HasSuffix(t, "y") {
		list = append(list, t[:len(t)-1]+"ies")
	}
	return list
}
