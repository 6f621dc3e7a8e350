package accesslog

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean returns text with what does not print replaced, such as an escape that would act on
// the terminal of who reads the log, and cut to a limit in bytes, with a mark where it was.
func clean(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return s // nearly always
	}
	const mark = "…"
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r)+len(mark) > limit {
			b.WriteString(mark)
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain reports whether all of s is ASCII that prints.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
