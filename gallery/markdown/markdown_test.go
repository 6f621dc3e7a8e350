package markdown_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/esplanade-registry/esplanade/gallery/markdown"
)

func Example() {
	fmt.Println(markdown.New().Render("# Hat\n\nSee [the docs](https://hats.example/docs) ![cat](//spy.example/cat.png)", "about"))
	// Output:
	// <h3 id="user-content-about-hat">Hat</h3>
	// <p>See <a href="https://hats.example/docs" rel="nofollow noreferrer">the docs</a> <a href="https://spy.example/cat.png" rel="nofollow noreferrer">cat</a></p>
}

func TestRender(t *testing.T) {
	t.Parallel()
	r := markdown.New()
	const rel = ` rel="nofollow noreferrer"`
	for in, want := range map[string]string{
		"":                       "",
		"plain":                  "<p>plain</p>\n",
		"###### deep":            `<h3 id="user-content-about-deep">deep</h3>` + "\n",
		"# a\n#### b\n# c":       "<h3 id=\"user-content-about-a\">a</h3>\n<h4 id=\"user-content-about-b\">b</h4>\n<h3 id=\"user-content-about-c\">c</h3>\n",
		"[a](/-/theme)":          "<p>a</p>\n",
		"[a](x.md)":              "<p>a</p>\n",
		"[a](//evil.example/x)":  `<p><a href="https://evil.example/x"` + rel + `>a</a></p>` + "\n",
		"[a](javascript:x)":      "<p>a</p>\n",
		"[a](data:text/html,x)":  "<p>a</p>\n",
		"[a](#Some-Thing)":       `<p><a href="#user-content-about-some-thing">a</a></p>` + "\n",
		"[](https://h.example/)": `<p><a href="https://h.example/"` + rel + `>h.example</a></p>` + "\n",
		"https://h.example":      `<p><a href="https://h.example"` + rel + `>https://h.example</a></p>` + "\n",
		"[![b](https://x.example/b.svg)](https://y.example)":     `<p><a href="https://y.example"` + rel + `>b</a></p>` + "\n",
		`<img src="https://x.example/i.png">`:                    `<a href="https://x.example/i.png"` + rel + `>image</a>`,
		"- [x] done\n- [ ] open":                                 "<ul>\n<li>☑  done</li>\n<li>☐  open</li>\n</ul>\n",
		`<input type="password"> <input type=checkbox>`:          "<p> ☐ </p>\n",
		`<div id="main">x</div>`:                                 `<div id="user-content-about-main">x</div>`,
		`<p id=a>1</p><p id=a>2</p>`:                             `<p id="user-content-about-a">1</p><p>2</p>`,
		`<details open><summary>s</summary>x</details>`:          `<details open=""><summary>s</summary>x</details>`,
		`<b style="position:fixed" class="x" onclick="y">z</b>`:  "<p><b>z</b></p>\n",
		"<script>alert(1)</script>x":                             "x",
		"a\u202Eb\u2066c":                                        "<p>abc</p>\n",
		`<a href="https://u:p@evil.example">z</a>`:               "<p>z</p>\n",
		`<svg><a href="javascript:x"><text>y</text></a></svg>ok`: "<p>ok</p>\n",
		`<h1>one</h1>`:                     "<h3>one</h3>",
		"| a |\n|---|\n| b |":              `<table tabindex="0">` + "\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>b</td>\n</tr>\n</tbody>\n</table>\n",
		strings.Repeat("<div>", 600) + "x": "<pre>" + strings.Repeat("&lt;div&gt;", 600) + "x</pre>",
		"<form action=/-/theme method=post><button>x</button></form>": "x",
	} {
		if got := r.Render(in, "about"); got != want {
			t.Errorf("%.80q:\n got %q\nwant %q", in, got, want)
		}
	}
}

// safe fails unless HTML is of the allowed elements and attributes alone.
func safe(t *testing.T, in, out string) {
	doc, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	elements := strings.Fields("html head body p br hr h3 h4 h5 h6 blockquote pre code kbd samp var em strong b i u s del ins sub sup small mark abbr dfn q cite " +
		"ul ol li dl dt dd table caption thead tbody tfoot tr th td details summary div span section figure figcaption a")
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(elements, n.Data) {
			t.Errorf("%q: the element %s in %q", in, n.Data, out)
		}
		for _, a := range n.Attr {
			ok := false
			switch a.Key {
			case "id":
				ok = strings.HasPrefix(a.Val, "user-content-p-")
			case "href":
				ok = strings.HasPrefix(a.Val, "https://") || strings.HasPrefix(a.Val, "http://") || strings.HasPrefix(a.Val, "mailto:") || strings.HasPrefix(a.Val, "#user-content-p-")
			case "tabindex":
				ok = n.Data == "table" && a.Val == "0"
			case "rel", "start", "colspan", "rowspan", "open", "dir":
				ok = true
			}
			if !ok {
				t.Errorf("%q: the attribute %s=%q in %q", in, a.Key, a.Val, out)
			}
		}
	}
}

func FuzzRender(f *testing.F) {
	r := markdown.New()
	for _, s := range []string{
		"# a\n\n<b onclick=x>", "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
		"<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">", "[x](javascript&#58;alert(1))", "<a href=\"java\tscript:alert(1)\">", "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
		"```js\n<script>\n```", "> > > > x", "<!--><img src=x onerror=alert(1)>", "<a href='https://a' href='javascript:x'>b</a>", "| a |\n|--|\n| <td onload=x> |",
		"<details ontoggle=alert(1) open>", "<p id='__proto__'>", "<xmp><p title=\"</xmp><svg/onload=alert(1)>\">", "<plaintext>", "<select><template><img src onerror=x>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := r.Render(s, "p")
		safe(t, s, out)
		if len(out) > 64*len(s)+1000 {
			t.Errorf("%d bytes out of %d", len(out), len(s))
		}
	})
}

// hostile are texts of the size that ECR Public allows which are dear for some parsers.
var hostile = map[string]string{
	"quotes": strings.Repeat(">", 25600), "lists": strings.Repeat("- ", 12800), "brackets": strings.Repeat("[", 25600), "links": strings.Repeat("[a](", 6400),
	"stars": strings.Repeat("*a ", 8500), "backticks": strings.Repeat("`a``b", 5000), "entities": strings.Repeat("&amp", 6400), "divs": strings.Repeat("<div>", 5000),
	"tables": "|a|\n|-|\n" + strings.Repeat("|b|\n", 6000), "underscores": strings.Repeat("_", 25600), "comments": strings.Repeat("<!--", 6000), "refs": strings.Repeat("[a]: /b\n", 3000),
	"spans": strings.Repeat("<b>x", 6000), "tildes": strings.Repeat("~~a", 8000), "images": strings.Repeat("![](", 6400), "wide": "|" + strings.Repeat("a|", 6000) + "\n|" + strings.Repeat("-|", 6000) + "\n",
}

func TestHostileTexts(t *testing.T) {
	t.Parallel()
	r := markdown.New()
	for name, text := range hostile {
		safe(t, name, r.Render(text, "p"))
	}
}

func BenchmarkRender(b *testing.B) {
	r := markdown.New()
	var text strings.Builder
	for text.Len() < 25<<10 {
		text.WriteString("## Heading\n\nSome *words* with a [link](https://hats.example) and `code`.\n\n```sh\ndocker pull x\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n")
	}
	for name, in := range hostile {
		b.Run("hostile/"+name, func(b *testing.B) {
			for b.Loop() {
				r.Render(in, "p")
			}
		})
	}
	b.Run("readme", func(b *testing.B) {
		for b.Loop() {
			r.Render(text.String(), "p")
		}
	})
}
