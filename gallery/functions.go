package gallery

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/esplanade-registry/esplanade/gallery/markdown"
	"github.com/esplanade-registry/esplanade/manifest"
)

// functions are those of templates. All paths come from them, so that the site works under
// any prefix.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"to":      func(parts ...string) string { return s.to(parts...) },
		"search":  s.searchPath,
		"asset":   func(name string) (string, error) { p, err := s.assets.path(name); return s.cfg.Prefix + p, err },
		"bytes":   formatBytes,
		"count":   formatCount,
		"comma":   func(n int) string { return humanize.Comma(int64(n)) },
		"number":  func(n int64) string { return humanize.Comma(n) },
		"date":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock":   func(t time.Time) string { return t.UTC().Format(clockFormat) },
		"ago":     func(t time.Time) string { return ago(today(), t) },
		"card":    func(d Document, terms []string, pulls bool) card { return card{d, terms, pulls} },
		"row":     s.row,
		"short":   short,
		"plain":   markdown.Plain,
		"cut":     cut,
		"initial": initial,
		"hue":     hue,
		"alias":   func(name string) string { alias, _, _ := strings.Cut(name, "/"); return alias },
		"below":   func(name string) string { _, rest, _ := strings.Cut(name, "/"); return rest },
		"join":    strings.Join,
		"plural":  func(n int, word string) string { return plural(int64(n), word) },
		"report":  s.report,
		"kind":    func(s string) string { return Kind(s).Label() },
	}
}

// report returns where a repository is reported, "" for nowhere.
func (s *Site) report(name string) string {
	if s.cfg.Report == nil {
		return ""
	}
	return s.cfg.Report(name)
}

// to returns the path of a page: of a repository or publisher, or of a view of it. Each part
// is escaped.
func (s *Site) to(parts ...string) string {
	var path strings.Builder
	path.WriteString(s.cfg.Prefix)
	for _, p := range parts {
		path.WriteByte('/')
		if strings.ContainsFunc(p, func(r rune) bool { return !isWordRune(r) && !strings.ContainsRune("-._/:@", r) }) {
			p = (&url.URL{Path: p}).EscapedPath()
		}
		path.WriteString(p)
	}
	if len(parts) == 0 {
		path.WriteByte('/')
	}
	return path.String()
}

// searchPath returns the path of a search, of parameters in pairs.
func (s *Site) searchPath(params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	if len(q) == 0 {
		return s.cfg.Prefix + searchPath
	}
	return s.cfg.Prefix + searchPath + "?" + q.Encode()
}

// formatBytes writes a size in the units that docker uses, powers of 1,000.
func formatBytes(n int64) string {
	if n < 0 {
		n = 0
	}
	return humanize.Bytes(uint64(n))
}

// formatCount writes a number shortly: 1.2M.
func formatCount(n int64) string {
	if n < 10000 {
		return humanize.Comma(n)
	}
	value, unit := humanize.ComputeSI(float64(n))
	text := strconv.FormatFloat(value, 'f', 1, 64)
	if value >= 100 {
		text = strconv.FormatFloat(value, 'f', 0, 64)
	}
	return strings.TrimSuffix(text, ".0") + strings.Replace(strings.ToUpper(unit), "G", "B", 1)
}

// ago says roughly how long ago something was. It changes so seldom that a page may be kept
// for a while.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	day := 24 * time.Hour
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{365 * day, "year"}, {30 * day, "month"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int64(d / unit.size); n > 0 {
			return plural(n, unit.name) + " ago"
		}
	}
	return "just now"
}

func plural(n int64, word string) string {
	text := humanize.Comma(n) + " " + word
	if n == 1 {
		return text
	}
	if n := len(word); n > 1 && word[n-1] == 'y' && strings.IndexByte("aeiou", word[n-2]) < 0 {
		return strings.TrimSuffix(text, "y") + "ies"
	}
	return text + "s"
}

// short returns the first characters of a digest.
func short(d manifest.Digest) string {
	algorithm, hex, _ := strings.Cut(string(d), ":")
	return algorithm + ":" + hex[:min(len(hex), 12)]
}

// cut shortens text to a number of characters.
func cut(n int, s string) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}

// initial returns a letter to stand for a repository that has no logo.
func initial(name string) string {
	rest := name[strings.LastIndexByte(name, '/')+1:]
	for _, r := range rest {
		return strings.ToUpper(string(r))
	}
	return "?"
}

// hue picks one of some colours by a name.
func hue(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name)) //nolint:errcheck // it cannot fail
	return fmt.Sprintf("hue-%d", h.Sum32()%8)
}

// platformName writes os/architecture as people know it.
func platformName(s string) string { return strings.TrimPrefix(s, "linux/") }

// card is a repository in a list.
type card struct {
	Document
	Terms []string // that were searched for
	Pulls bool     // are counted
}

// Shown returns the description in pieces, of which some are what was searched for.
func (c card) Shown() []marked { return splitMarks(cut(220, markdown.Plain(c.Description)), c.Terms) }

// Platforms returns some of the architectures, and how many more there are.
func (c card) Platforms() []string { return c.Architectures[:min(len(c.Architectures), 4)] }

// rowView is a tag as a table shows it. To ask a function for each of its cells cost twice as
// much as all the rest of a page.
type rowView struct{ Link, Name, Same, DigestLink, Digest, Platforms, Size, Stamp, Clock, Age string }

// shownPlatforms is how many platforms a table names.
const shownPlatforms = 6

func (s *Site) row(repository string, t tagRow) rowView {
	view := rowView{
		Link: s.to(repository, "-", "tag", t.Name), Name: t.Name, Same: t.Same, DigestLink: s.to(repository, "-", "digest", string(t.Digest)), Digest: short(t.Digest),
		Platforms: t.Kind.Label(), Size: "-", Stamp: t.Moved.UTC().Format(time.RFC3339), Clock: t.Moved.UTC().Format(clockFormat), Age: ago(today(), t.Moved),
	}
	if t.Size > 0 {
		view.Size = formatBytes(t.Size)
	}
	var names []string
	for _, p := range t.Platforms[:min(len(t.Platforms), shownPlatforms)] {
		names = append(names, platformName(p))
	}
	if len(names) > 0 {
		view.Platforms = strings.Join(names, ", ")
	}
	if len(t.Platforms) > shownPlatforms {
		view.Platforms += " and more"
	}
	return view
}

const clockFormat = "2006-01-02 15:04 UTC"

// marked is a piece of text that may be what was searched for.
type marked struct {
	Text string
	Hit  bool
}

// splitMarks cuts text where words of a query stand in it.
func splitMarks(text string, terms []string) (list []marked) {
	lower := strings.ToLower(text)
	if len(lower) != len(text) || len(terms) == 0 {
		return []marked{{Text: text}}
	}
	from := 0
	for from < len(text) {
		at, end := -1, 0
		for _, term := range terms {
			if i := indexWord(lower, term, from); i >= 0 && (at < 0 || i < at || i == at && i+len(term) > end) {
				at, end = i, i+len(term)
			}
		}
		if at < 0 {
			break
		}
		if at > from {
			list = append(list, marked{Text: text[from:at]})
		}
		list = append(list, marked{text[at:end], true})
		from = end
	}
	if from < len(text) {
		list = append(list, marked{Text: text[from:]})
	}
	return list
}

// indexWord finds where a word begins with a term.
func indexWord(lower, term string, from int) int {
	for term != "" {
		i := strings.Index(lower[from:], term)
		if i < 0 {
			return -1
		}
		at := from + i
		if at == 0 || !isWord(lower[at-1]) {
			return at
		}
		from = at + len(term)
	}
	return -1
}

func isWordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func isWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b >= 0x80
}
