package gallery_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
)

// doc is a page, of which one asks by CSS selectors.
type doc struct {
	*html.Node
	t    testing.TB
	path string
}

func (r reply) parse(t testing.TB) doc {
	t.Helper()
	n, err := html.Parse(bytes.NewReader(r.body))
	if err != nil {
		t.Fatalf("%s: %v", r.what, err)
	}
	return doc{n, t, r.what}
}

// all returns the elements that match a selector.
func (d doc) all(selector string) []*html.Node {
	d.t.Helper()
	s, err := cascadia.ParseGroup(selector)
	if err != nil {
		d.t.Fatalf("%s: %v", selector, err)
	}
	return cascadia.QueryAll(d.Node, s)
}

// text returns the text of an element, with single spaces.
func text(n *html.Node) string {
	var out strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			out.WriteString(c.Data)
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// texts returns the text of each element that matches.
func (d doc) texts(selector string) []string {
	d.t.Helper()
	list := []string{}
	for _, n := range d.all(selector) {
		list = append(list, text(n))
	}
	return list
}

// attr returns an attribute; "" where there is none.
func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

// attrs returns an attribute of each element that matches.
func (d doc) attrs(selector, key string) []string {
	d.t.Helper()
	list := []string{}
	for _, n := range d.all(selector) {
		list = append(list, attr(n, key))
	}
	return list
}

// Values of checks that stand for many.
const (
	none = "\x00none" // nothing matches
	some = "\x00some" // something does
)

// checks says for selectors what the texts of the elements are that match, with | between
// them. A selector may end in @ and the name of an attribute, whose values are then meant.
type checks map[string]string

func (want checks) run(d doc) {
	d.t.Helper()
	for _, selector := range slices.Sorted(maps.Keys(want)) {
		css, key, ok := strings.Cut(selector, "@")
		got := d.texts(css)
		if ok {
			got = d.attrs(css, key)
		}
		switch w := want[selector]; {
		case w == none && len(got) > 0:
			d.t.Errorf("%s: %s: %q, want none", d.path, selector, got)
		case w == some && len(got) == 0:
			d.t.Errorf("%s: there is no %s", d.path, selector)
		case w != none && w != some && strings.Join(got, "|") != w:
			d.t.Errorf("%s: %s: %q, want %q", d.path, selector, got, strings.Split(w, "|"))
		}
	}
}

// elements returns the elements below a node, but not what is below one that skip matches.
func elements(n *html.Node, skip func(*html.Node) bool) (list []*html.Node) {
	for c := range n.ChildNodes() {
		if c.Type == html.ElementNode {
			list = append(list, c)
		}
		if skip == nil || !skip(c) {
			list = append(list, elements(c, skip)...)
		}
	}
	return list
}

// closest returns the nearest element around a node, or it itself, that has a tag name.
func closest(n *html.Node, tag string) *html.Node {
	for ; n != nil; n = n.Parent {
		if n.Type == html.ElementNode && n.Data == tag {
			return n
		}
	}
	return nil
}

// describe writes an element's start tag.
func describe(n *html.Node) string {
	var out strings.Builder
	fmt.Fprintf(&out, "<%s", n.Data)
	for _, a := range n.Attr {
		fmt.Fprintf(&out, " %s=%.60q", a.Key, a.Val)
	}
	return out.String() + ">"
}
