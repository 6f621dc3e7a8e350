package markdown

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// fit changes HTML so that it fits the page that it will stand on.
func fit(text, prefix string) (string, error) {
	body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(text), body)
	if err != nil {
		return "", err
	}
	f := fitter{prefix: "user-content-" + prefix + "-", ids: map[string]bool{}, level: headings}
	var out strings.Builder
	for _, n := range nodes {
		body.AppendChild(n)
	}
	f.children(body)
	for n := range body.ChildNodes() {
		if err := html.Render(&out, n); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

type fitter struct {
	prefix string
	ids    map[string]bool
	level  int // of the last heading
}

func (f *fitter) children(n *html.Node) {
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		if c.Type == html.ElementNode {
			f.element(c)
		}
		c = next
	}
}

// headings is how far down a text's headings go: the page has those of level 1 and 2.
const headings = 2

func (f *fitter) element(n *html.Node) {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Template, atom.Iframe, atom.Object, atom.Svg, atom.Math, atom.Noscript, atom.Textarea, atom.Select, atom.Title:
		n.Parent.RemoveChild(n)
		return
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		level, _ := strconv.Atoi(n.Data[1:])        // it is a digit
		f.level = min(level+headings, f.level+1, 6) // none is left out, which would mislead who goes by them
		n.Data = "h" + strconv.Itoa(f.level)
		n.DataAtom = atom.Lookup([]byte(n.Data))
	case atom.Img:
		f.image(n)
		return
	case atom.Input:
		f.checkbox(n)
		return
	}
	if n.DataAtom == atom.Table {
		n.Attr = append(without(n.Attr, "tabindex"), html.Attribute{Key: "tabindex", Val: "0"})
	}
	f.id(n)
	f.direction(n)
	f.children(n)
	if n.DataAtom == atom.A {
		f.link(n)
	}
}

// direction lets each block be read in the direction of its own text.
func (f *fitter) direction(n *html.Node) {
	switch n.DataAtom {
	case atom.P, atom.Li, atom.Ul, atom.Ol, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Table, atom.Td, atom.Th, atom.Dt, atom.Dd, atom.Summary:
		if attr(n, "dir") == "" && rightToLeft(n) {
			n.Attr = append(n.Attr, html.Attribute{Key: "dir", Val: "auto"})
		}
	}
}

// rightToLeft reports whether a text has letters that are written so.
func rightToLeft(n *html.Node) bool {
	for d := range n.Descendants() {
		if d.Type == html.TextNode && strings.ContainsFunc(d.Data, func(r rune) bool {
			return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko)
		}) {
			return true
		}
	}
	return false
}

// id gives an element's id the prefix, and drops it if another one has it.
func (f *fitter) id(n *html.Node) {
	for i, a := range n.Attr {
		if a.Key != "id" {
			continue
		}
		id := f.prefix + slug(a.Val)
		if f.ids[id] || id == f.prefix {
			n.Attr = append(n.Attr[:i], n.Attr[i+1:]...)
			return
		}
		f.ids[id], n.Attr[i].Val = true, id
		return
	}
}

// slug returns what of an id may stay.
func slug(s string) string {
	s = strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s), "-")
	return s[:min(len(s), 60)]
}

// image puts a link in the place of an image, or its text where it is within a link.
func (f *fitter) image(n *html.Node) {
	text := strings.TrimSpace(attr(n, "alt"))
	at := &html.Node{Type: html.TextNode, Data: text}
	if href := absolute(attr(n, "src")); href != "" && !within(n, atom.A) {
		if text == "" {
			text = "image"
		}
		at.Data = text
		link := &html.Node{Type: html.ElementNode, Data: "a", DataAtom: atom.A, Attr: []html.Attribute{{Key: "href", Val: href}}}
		link.AppendChild(at)
		at = link
	}
	n.Parent.InsertBefore(at, n)
	n.Parent.RemoveChild(n)
}

// checkbox puts a sign in the place of a task's box, which nobody can tick here.
func (f *fitter) checkbox(n *html.Node) {
	if strings.EqualFold(attr(n, "type"), "checkbox") {
		sign := "☐ "
		for _, a := range n.Attr {
			if a.Key == "checked" {
				sign = "☑ "
			}
		}
		n.Parent.InsertBefore(&html.Node{Type: html.TextNode, Data: sign}, n)
	}
	n.Parent.RemoveChild(n)
}

// link keeps a link within the text and one to another host. One that leads nowhere loses
// its href, and one with no text says where it leads.
func (f *fitter) link(n *html.Node) {
	href := ""
	if fragment, ok := strings.CutPrefix(strings.TrimSpace(attr(n, "href")), "#"); ok {
		if s := slug(fragment); s != "" {
			href = "#" + f.prefix + s
		}
	} else {
		href = absolute(attr(n, "href"))
	}
	kept := n.Attr[:0]
	for _, a := range n.Attr {
		if a.Key == "id" {
			kept = append(kept, a)
		}
	}
	n.Attr = kept
	if href == "" {
		return
	}
	n.Attr = append(n.Attr, html.Attribute{Key: "href", Val: href})
	if !hasText(n) {
		label := href
		if u, err := url.Parse(href); err == nil && u.Host != "" {
			label = u.Host
		}
		n.AppendChild(&html.Node{Type: html.TextNode, Data: label})
	}
}

// absolute returns a URL of the web or of mail as it was meant, or "".
func absolute(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil {
		return ""
	}
	if u.Scheme == "" && u.Host != "" {
		u.Scheme = "https"
	}
	switch {
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil, u.Scheme == "mailto" && u.Opaque != "":
		return u.String()
	}
	return ""
}

func without(list []html.Attribute, key string) []html.Attribute {
	return slices.DeleteFunc(list, func(a html.Attribute) bool { return a.Key == key })
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func within(n *html.Node, a atom.Atom) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.DataAtom == a {
			return true
		}
	}
	return false
}

func hasText(n *html.Node) bool {
	for d := range n.Descendants() {
		if d.Type == html.TextNode && strings.TrimSpace(d.Data) != "" {
			return true
		}
	}
	return false
}
