// Package markdown turns what publishers write, Markdown with HTML in it, into HTML that a
// gallery can show: nothing in it runs, and nothing is fetched.
//
// The HTML is sanitized last of all, by an allow list. Before that it is changed so that it
// fits the page it stands on: headings begin below the page's own, ids have a prefix so that
// they cannot pass for the page's, images become links, because an image on another host
// tells that host who reads the page, and relative links, which lead nowhere, become text.
package markdown

import (
	"bytes"
	"errors"
	"html"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	raw "github.com/yuin/goldmark/renderer/html"
)

// MaxSize is how many bytes are rendered; what follows is left out. It holds every text that
// ECR Public's 25,600 characters allow.
const MaxSize = 4 * 25600

// Renderer renders Markdown. It is safe for concurrent use.
type Renderer struct {
	markdown goldmark.Markdown
	policy   *bluemonday.Policy
}

// New returns a renderer.
func New() *Renderer {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "kbd", "samp", "var", "em", "strong", "b", "i", "u", "s", "del", "ins",
		"sub", "sup", "small", "mark", "abbr", "dfn", "q", "cite", "ul", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr",
		"details", "summary", "div", "span", "section", "figure", "figcaption")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowElements("ol", "th", "td")
	p.AllowAttrs("colspan", "rowspan").Matching(regexp.MustCompile(`^[1-9][0-9]?$`)).OnElements("th", "td")
	p.AllowAttrs("open").Matching(regexp.MustCompile(`^$`)).OnElements("details")
	p.AllowAttrs("tabindex").Matching(regexp.MustCompile(`^0$`)).OnElements("table") // a wide one is moved by keys
	p.AllowAttrs("dir").Matching(regexp.MustCompile(`^(?:ltr|rtl|auto)$`)).Globally()
	p.AllowAttrs("id").Matching(regexp.MustCompile(`^user-content-[a-z0-9-]{1,100}$`)).Globally()
	p.AllowAttrs("href").Matching(regexp.MustCompile(`^(?:https?://[^\s]+|mailto:[^\s]+|#user-content-[a-z0-9-]{1,100})$`)).OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(true) // of which the pattern leaves the fragments
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnFullyQualifiedLinks(true)
	p.RequireNoReferrerOnFullyQualifiedLinks(true)
	return &Renderer{
		markdown: goldmark.New(
			goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify, extension.TaskList),
			goldmark.WithParserOptions(parser.WithAutoHeadingID()),
			goldmark.WithRendererOptions(raw.WithUnsafe()),
		),
		policy: p,
	}
}

// Render returns HTML to stand below a heading of level 2. prefix, of lower-case letters,
// tells the ids of several texts on one page apart.
func (r *Renderer) Render(text, prefix string) string {
	if len(text) > MaxSize {
		text = text[:MaxSize]
	}
	text = Plain(strings.ToValidUTF8(text, "\uFFFD"))
	if excessive(text) {
		return literal(text)
	}
	var out limited
	if err := r.markdown.Convert([]byte(text), &out); err != nil {
		return literal(text)
	}
	fitted, err := fit(out.String(), prefix)
	if err != nil {
		return literal(text) // nested too deep, which no honest text is
	}
	if len(fitted) > maxHTML {
		return literal(text)
	}
	return r.policy.Sanitize(fitted)
}

// maxHTML is how many bytes a text may become: a few characters can stand for a long address
// again and again.
const maxHTML = 160 << 10

// limited is a buffer that refuses to grow beyond [maxHTML].
type limited struct{ bytes.Buffer }

func (b *limited) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxHTML {
		return 0, errors.New("the text becomes too long")
	}
	return b.Buffer.Write(p)
}

// The parser's time, and for tables its memory, grows with the square of these, and no honest
// text has so many.
const (
	maxBrackets = 2000
	maxQuotes   = 32    // one within another; of lists twice as many
	maxCells    = 20000 // of a table: rows have as many as its head, also those that are not written
)

func excessive(text string) bool {
	if strings.Count(text, "[") > maxBrackets {
		return true
	}
	columns, lines := 0, 0
	for line := range strings.Lines(text) {
		within := line[:len(line)-len(strings.TrimLeft(line, " \t>-+*.)0123456789"))]
		if strings.Count(within, ">") > maxQuotes || len(strings.Fields(within)) > 2*maxQuotes {
			return true
		}
		if strings.Trim(line, " \t\r\n|:->+*.0123456789") == "" { // what may stand below the head of a table, in a list or a quotation
			columns = max(columns, strings.Count(line, "|")+1)
		}
		lines++
	}
	return columns*lines > maxCells
}

// literal shows text as it is.
func literal(text string) string { return "<pre>" + html.EscapeString(text) + "</pre>" }

// Plain returns text without the characters that make a reader see it in another order than
// it is in, with which one name passes for another.
func Plain(s string) string {
	if !strings.ContainsFunc(s, disorders) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if disorders(r) {
			return -1
		}
		return r
	}, s)
}

func disorders(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0
}
