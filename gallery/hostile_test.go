package gallery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/net/html"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// attacks are what a publisher, or who makes a link, might write.
var attacks = []string{
	`<script>alert(1)</script>`,
	`"><script>alert(1)</script>`,
	`'><script>alert(1)</script>`,
	`</title><script>alert(1)</script>`,
	`</textarea><script>alert(1)</script>`,
	`</script><script>alert(1)</script>`,
	`<!--<script>`,
	`--><script>alert(1)</script>`,
	`]]><script>alert(1)</script>`,
	`<img src=x onerror=alert(1)>`,
	`"><img src=x onerror=alert(1)>`,
	`" onmouseover="alert(1)`,
	`' onfocus='alert(1)' autofocus='`,
	"` onmouseover=alert(1) `",
	`<svg/onload=alert(1)>`,
	`<svg><script href="data:,alert(1)"/></svg>`,
	`<svg><animate onbegin=alert(1) attributeName=x dur=1s>`,
	`<svg><a xlink:href="javascript:alert(1)"><text y=20>x</text></a></svg>`,
	`<math><mtext><table><mglyph><style><img src onerror=alert(1)></style></mglyph></table></mtext></math>`,
	`<math><mi//xlink:href="data:x,<script>alert(1)</script>">`,
	`<iframe srcdoc="<script>alert(1)</script>">`,
	`<iframe src=javascript:alert(1)>`,
	`<object data="javascript:alert(1)">`,
	`<embed src="javascript:alert(1)">`,
	`<a href="javascript:alert(1)">x</a>`,
	`<a href="JaVaScRiPt:alert(1)">x</a>`,
	`<a href="java&#09;script:alert(1)">x</a>`,
	`<a href="&#106;avascript:alert(1)">x</a>`,
	`<a href=" javascript:alert(1)">x</a>`,
	`<a href="data:text/html,<script>alert(1)</script>">x</a>`,
	`<a href="vbscript:msgbox(1)">x</a>`,
	`<a href="//evil.example" target=_blank>x</a>`,
	`[x](javascript:alert(1))`,
	`[x](javascript&colon;alert(1))`,
	`[x](data:text/html;base64,PHNjcmlwdD4=)`,
	`![x](https://evil.example/track.gif)`,
	`![x" onerror="alert(1)](x)`,
	`[x]: javascript:alert(1)`,
	`<javascript:alert(1)>`,
	`javascript:alert(1)`,
	`data:text/html,<script>alert(1)</script>`,
	`https://evil.example/"onclick="alert(1)`,
	`https://evil.example/'><script>alert(1)</script>`,
	`https://user:pw@evil.example/`,
	`<base href="https://evil.example/">`,
	`<meta http-equiv=refresh content="0;url=https://evil.example/">`,
	`<link rel=stylesheet href=https://evil.example/x.css>`,
	`<style>*{background:url(https://evil.example/)}</style>`,
	`<div style="position:fixed;inset:0;background:url(https://evil.example/)">x</div>`,
	`<form action=https://evil.example/><input name=q><button formaction=https://evil.example/>x</button></form>`,
	`<input type=password name=password autofocus>`,
	`<div id=main class=top>x</div>`,
	`<a id=q name=q>x</a>`,
	`<details open ontoggle=alert(1)>`,
	`<video><source onerror=alert(1)></video>`,
	`<body onload=alert(1)>`,
	`<html><head><title>x`,
	`<template><script>alert(1)</script></template>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
	`<xmp><p title="</xmp><img src=x onerror=alert(1)>">`,
	`<select><style></select><img src=x onerror=alert(1)></style>`,
	`<plaintext>`,
	`<listing>&lt;img src=x onerror=alert(1)&gt;</listing>`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	`&#60;script&#62;alert(1)&#60;/script&#62;`,
	`%3Cscript%3Ealert(1)%3C/script%3E`,
	`\u003cscript\u003ealert(1)\u003c/script\u003e`,
	`+ADw-script+AD4-alert(1)+ADw-/script+AD4-`,
	"\u2028alert(1)//\u2029",
	`{{.Page}}{{template "layout.tmpl" .}}`,
	`${7*7}#{7*7}<%= 7*7 %>`,
	`"}]}</script><script>alert(1)</script>{"`,
	`","@type":"Person","x":"`,
	`\";alert(1)//`,
	`';alert(1)//`,
	"safe\u202Egpj.exe",
	"\u202Aa\u202Bb\u202Cc\u202Dd\u2066e\u2067f\u2068g\u2069",
	"\u202E<script>\u202Calert(1)</script>",
	"＜script＞alert(1)＜/script＞",
	"<scr\u00adipt>alert(1)</scr\u00adipt>",
	"<ſcript>alert(1)</ſcript>",
	"x y z " + strings.Repeat("<b>", 300),
	strings.Repeat("><", 150),
	`<table><tr><td><form id=f></table><input form=f onfocus=alert(1) autofocus>`,
	`<p dir=rtl id="user-content-about-x" class=badge>verified</p>`,
	`<span class="badge verified">Verified</span>`,
	`<a href="https://evil.example/\"><script>alert(1)</script>">x</a>`,
	`<marquee onstart=alert(1)>`, `<portal src=https://evil.example/>`, `<x-element onclick=alert(1)>`,
}

// mischief fills a repository with a text in every place that can have one.
func mischief(t *testing.T, s *registrytest.Server, name, evil string) {
	t.Helper()
	ctx, owner := t.Context(), s.Owner()
	fitting := func(n int, ok func(rune) bool) string {
		out := []rune(strings.Map(func(r rune) rune {
			if ok != nil && !ok(r) {
				return -1
			}
			return r
		}, evil))
		return string(out[:min(len(out), n)])
	}
	legal := fitting(200, func(r rune) bool { // as tags of repositories may be
		return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Z, r) || strings.ContainsRune("_.:/=+-@", r)
	})
	said := map[string]string{
		evil: evil, "com.example." + evil: evil, ocispec.AnnotationTitle: evil, ocispec.AnnotationDescription: evil, ocispec.AnnotationSource: evil, ocispec.AnnotationURL: evil, ocispec.AnnotationDocumentation: evil,
		ocispec.AnnotationVersion: evil, ocispec.AnnotationLicenses: evil, ocispec.AnnotationRevision: evil, ocispec.AnnotationBaseImageName: evil, ocispec.AnnotationVendor: evil, ocispec.AnnotationRefName: evil,
	}
	linked := maps.Clone(said)
	for _, key := range []string{ocispec.AnnotationSource, ocispec.AnnotationURL} {
		linked[key] = "https://evil.example/" + evil
	}
	try := func(d manifest.Descriptor, err error) manifest.Descriptor {
		if err != nil {
			return manifest.Descriptor{} // refused, which is as good
		}
		return d
	}
	os, arch := evil, evil
	tag := strings.Trim(fitting(100, func(r rune) bool {
		return r < 0x80 && (unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("_.-", r))
	}), ".-")
	img := artifact{
		config: ocispec.Image{
			Author: evil, Platform: ocispec.Platform{OS: os, Architecture: arch, OSVersion: evil, Variant: evil},
			Config: ocispec.ImageConfig{
				Entrypoint: []string{evil}, Cmd: []string{evil, "x"}, User: evil, WorkingDir: evil, Env: []string{evil + "=" + evil}, ExposedPorts: map[string]struct{}{evil: {}},
				Volumes: map[string]struct{}{evil: {}}, StopSignal: evil, Labels: linked,
			},
			RootFS:  ocispec.RootFS{Type: "layers", DiffIDs: []manifest.Digest{manifest.SHA256.FromString("a")}},
			History: []ocispec.History{{CreatedBy: evil, Author: evil, Comment: evil}, {CreatedBy: "/bin/sh -c #(nop) " + evil, EmptyLayer: true}, {Comment: evil, EmptyLayer: true}},
		},
		layers: []layer{{ocispec.MediaTypeImageLayerGzip, evil, "a"}}, annotations: said,
	}
	tags := []string{"image"}
	if manifest.CheckTag(tag) == nil {
		tags = append(tags, tag)
	}
	d := try(push(t, s, name, img, tags...))
	try(push(t, s, name, artifact{
		config: map[string]any{
			"name": evil, "version": evil, "appVersion": evil, "description": evil, "type": evil, "kubeVersion": evil, "home": "https://evil.example/" + evil, "keywords": []string{evil}, "icon": evil,
			"sources": []string{evil}, "dependencies": []map[string]string{{"name": evil, "version": evil, "repository": evil}},
		},
		configType: "application/vnd.cncf.helm.config.v1+json", layers: []layer{{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", evil, "chart"}}, annotations: linked,
	}, "chart"))
	for i, kind := range []string{evil, "application/vnd.x." + fitting(60, func(r rune) bool {
		return r < 0x80 && (unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("!#$&^_.+-", r))
	})} {
		try(push(t, s, name, artifact{config: struct{}{}, configType: ocispec.MediaTypeEmptyJSON, artifactType: kind, layers: []layer{{"text/plain", evil, "file"}}, annotations: said}, "file", fmt.Sprint("file", i)))
		try(push(t, s, name, artifact{config: struct{}{}, configType: ocispec.MediaTypeEmptyJSON, artifactType: "application/vnd.x", layers: []layer{{kind, evil, "file"}}}, "layer"))
	}
	if d.Digest != "" {
		d.Platform = &manifest.Platform{OS: os, Architecture: arch, Variant: evil, OSVersion: evil, OSFeatures: []string{evil}}
		d.Annotations = said
		other := d
		other.Platform = &manifest.Platform{OS: "linux", Architecture: "amd64", OSVersion: evil}
		try(pushIndex(t, s, name, ocispec.Index{Manifests: []manifest.Descriptor{d, other}, Annotations: said}, "index"))
		try(pushIndex(t, s, name, ocispec.Index{Manifests: []manifest.Descriptor{d, other}, ArtifactType: evil}, "typed"))
	}
	platforms := []string{"x", fitting(50, func(r rune) bool { return r >= ' ' })}
	if platforms[1] == "" {
		platforms = platforms[:1]
	}
	text := fitting(20000, func(r rune) bool { return r >= ' ' })
	if _, err := owner.PutCatalogData(ctx, name, registry.CatalogData{
		Description: fitting(1000, func(r rune) bool { return r >= ' ' }), About: text + "\n\n" + text + "\n===\n\n```" + text + "\n" + text + "\n```\n", Usage: "# " + text + "\n\n* " + text + "\n\n| " + text + " |\n|---|\n| " + text + " |\n",
		Architectures: platforms, OperatingSystems: platforms,
	}); err != nil {
		t.Errorf("catalog data of %q: %v", evil, err)
	}
	if err := owner.TagRepository(ctx, name, map[string]string{"gallery:keywords": "x " + legal, "gallery:deprecated": "x " + legal}); err != nil {
		t.Errorf("tags of %q: %v", evil, err)
	}
}

// checkWellFormed reports XML and JSON that cannot be read.
func checkWellFormed(t complaints, r reply) {
	t.Helper()
	switch kind := r.header.Get("Content-Type"); {
	case r.status >= 300 && r.status < 400:
	case strings.Contains(kind, "xml"):
		for d := xml.NewDecoder(bytes.NewReader(r.body)); ; {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.once("XML", "%s: %v", r.what, err)
				break
			}
		}
	case strings.Contains(kind, "json"):
		if !json.Valid(r.body) {
			t.once("JSON", "%s: %.100q", r.what, r.body)
		}
	}
}

// shape is which elements a page has, with which attributes.
type shape map[string]bool

// complaints reports what is wrong, the same of many pages once.
type complaints struct {
	*testing.T
	made map[string]bool
}

func newComplaints(t *testing.T) complaints { return complaints{t, map[string]bool{}} }

func (c complaints) once(about, format string, args ...any) {
	c.Helper()
	if !c.made[about] {
		c.made[about] = true
		c.Errorf(format, args...)
	}
}

// proseShape is what the Markdown of publishers may become.
var proseElements = strings.Fields("p br hr h3 h4 h5 h6 blockquote pre code kbd samp var em strong b i u s del ins sub sup small mark abbr dfn q cite ul ol li dl dt dd table caption thead tbody tfoot tr th td details summary div span section figure figcaption a")

// add notes the shape of a page, and reports what none may have.
func (s shape) add(t complaints, d doc) {
	t.Helper()
	for _, n := range elements(d.Node, isProse) {
		s["<"+n.Data+">"] = true
		for _, a := range n.Attr {
			s["<"+n.Data+" "+a.Key+">"] = true
		}
	}
	for _, n := range elements(d.Node, nil) {
		for _, a := range n.Attr {
			value := strings.ToLower(strings.Map(func(r rune) rune {
				if r <= ' ' {
					return -1
				}
				return r
			}, a.Val))
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc", a.Key == "formaction", a.Key == "autofocus":
				t.Errorf("%s: %s", d.path, describe(n))
			case slices.Contains(linked, a.Key) && (strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "vbscript:")):
				t.Errorf("%s: %s", d.path, describe(n))
			case a.Key == "src" && !strings.HasPrefix(value, "/-/") && !strings.Contains(value, "/-/badge/"):
				t.Errorf("%s: %s", d.path, describe(n))
			}
		}
	}
	for _, prose := range d.all("section.prose") {
		for _, n := range elements(prose, nil)[1:] {
			for _, a := range n.Attr {
				if !slices.Contains([]string{"href", "rel", "id", "dir", "start", "colspan", "rowspan", "open", "tabindex"}, a.Key) || a.Key == "id" && !strings.HasPrefix(a.Val, "user-content-") {
					t.Errorf("%s: the publisher's %s", d.path, describe(n))
				}
			}
			if !slices.Contains(proseElements, n.Data) {
				t.Errorf("%s: the publisher's %s", d.path, describe(n))
			}
			if href := attr(n, "href"); href != "" && href[0] != '#' && (!strings.Contains(attr(n, "rel"), "nofollow") || !strings.Contains(attr(n, "rel"), "noreferrer")) {
				t.Errorf("%s: the publisher's %s may have a say with robots", d.path, describe(n))
			}
		}
	}
	ids := map[string]bool{}
	for _, id := range d.attrs("[id]", "id") {
		if ids[id] {
			t.Errorf("%s: the id %s is there twice", d.path, id)
		}
		ids[id] = true
	}
	checkReadingOrder(t, d)
}

// isProse reports whether an element has what a publisher writes in Markdown.
func isProse(n *html.Node) bool { return n.Data == "section" && attr(n, "class") == "prose" }

// checkReadingOrder reports characters by which text is seen in another order than it is in.
// What a visitor has typed stays in the field that it was typed into.
func checkReadingOrder(t complaints, d doc) {
	t.Helper()
	disordered := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 })
	}
	for n := range d.Descendants() {
		if n.Type == html.TextNode && disordered(n.Data) {
			t.once("order in "+n.Parent.Data, "%s: in %s: %.80q", d.path, describe(n.Parent), n.Data)
		}
		for _, a := range n.Attr {
			if slices.Contains([]string{"title", "alt", "aria-label", "content", "placeholder", "data-label", "label"}, a.Key) && disordered(a.Val) {
				t.once("order of "+n.Data+" "+a.Key+attr(n, "name")+attr(n, "property"), "%s: %s=%.80q of %s", d.path, a.Key, a.Val, describe(n))
			}
		}
	}
}

// beyond reports what this shape has and a harmless one has not.
func (s shape) beyond(harmless shape) (list []string) {
	for what := range s {
		if !harmless[what] {
			list = append(list, what)
		}
	}
	slices.Sort(list)
	return list
}

// mischievous are the pages of a repository, by what they are.
var mischievous = []string{"", "/-/tags", "/-/history", "/-/pulls", "/-/badge", "/-/tag/image", "/-/tag/chart", "/-/tag/file", "/-/tag/file0", "/-/tag/file1", "/-/tag/layer", "/-/tag/index", "/-/tag/typed"}

// A publisher may write anything anywhere; the pages are those of a harmless twin.
func TestHostilePublishers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		if len(attacks) < 60 {
			t.Fatalf("%d attacks", len(attacks))
		}
		harmless, c := shape{}, newComplaints(t)
		twin := newGround(t, func(s *registrytest.Server) {
			for i, text := range []string{"harmless", "https://good.example/x", "a 'b' \"c\" & d"} {
				mischief(t, s, fmt.Sprintf("test/x%d", i), text)
			}
			town(t)(s)
		}, counted).run()
		for i := range 3 {
			for _, view := range mischievous {
				if r := twin.ask("GET", fmt.Sprintf("/test/x%d%s", i, view)); r.status == http.StatusOK {
					harmless.add(c, r.parse(t))
				}
			}
		}
		for _, path := range []string{"/", "/test", "/-/search", "/-/search?q=harmless", "/-/search?q=zzqqxx", "/-/search?type=image&arch=x&sort=name", "/nobody", "/harmless", "/-/help", "/-/api", "/other", "/other?after=thing-20", "/test/hat", "/test/full/-/tag/stable", "/test/hat/-/history?tag=latest", "/test/many/-/tags?after=v1.1.0"} {
			harmless.add(c, twin.ask("GET", path).parse(t))
		}

		g := newGround(t, func(s *registrytest.Server) {
			for i, evil := range attacks {
				mischief(t, s, fmt.Sprintf("test/x%02d", i), evil)
			}
		}, counted).run()
		served := 0
		look := func(what, path string) {
			t.Helper()
			r := g.ask("GET", path)
			if r.status == http.StatusNotFound && strings.Contains(path, "/-/tag/") {
				return // it was refused
			}
			if r.status != http.StatusOK {
				t.Errorf("%s: %s: %d", what, path, r.status)
				return
			}
			served++
			d := r.parse(t)
			got := shape{}
			got.add(c, d)
			if more := got.beyond(harmless); len(more) > 0 {
				c.once(fmt.Sprint(more), "%.60q: %s has %q", what, path, more)
			}
			for _, n := range d.all("script") {
				checkElement(t, path, n, nil)
			}
			if heading := d.texts("main .crumb .verified"); len(heading) > 0 {
				t.Errorf("%s: %s is verified", what, path)
			}
		}
		for i, evil := range attacks {
			for j, view := range mischievous {
				if j >= 2 && j <= 4 && i%4 > 0 { // which have the heading of all others and little more
					continue
				}
				look(evil, fmt.Sprintf("/test/x%02d%s", i, view))
			}
			for _, path := range []string{"/-/feed.atom", "?format=json", "/-/badge/version.svg", "/-/pull", "/-/tag/index?format=json"} {
				r := g.ask("GET", fmt.Sprintf("/test/x%02d%s", i, path))
				if r.status == http.StatusOK && (strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || r.header.Get("X-Content-Type-Options") != "nosniff") {
					t.Errorf("%s: %v", path, r.header)
				}
				checkWellFormed(c, r)
			}
		}
		for _, path := range []string{"/", "/test", "/-/search", "/-/search?sort=name&limit=100", "/-/search?q=script", "/-/search?q=alert&deprecated=yes"} {
			look("all of them", path)
		}
		if served < 7*len(attacks) {
			t.Errorf("%d pages were looked at", served)
		}
		for _, evil := range attacks {
			name := []rune(strings.Map(func(r rune) rune {
				if r < ' ' {
					return -1
				}
				return r
			}, evil))
			if err := g.Owner().PutRegistryCatalogData(t.Context(), string(name[:min(len(name), registry.MaxDisplayName)])); err != nil {
				t.Errorf("%q: %v", evil, err)
			}
			look(evil, "/test")
			look(evil, "/test/x00/-/history")
			look(evil, "/test/x06")
			for _, path := range []string{"/test/-/feed.atom", "/test/x00/-/feed.atom"} {
				r := g.ask("GET", path)
				checkWellFormed(c, r)
				if strings.ContainsAny(string(r.body), "\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069") {
					c.once("feed"+path, "%s has the name %q as it was written", path, evil)
				}
			}
		}
	})
}

// Nothing of an address gets onto a page but as text.
func TestHostileLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t), counted).run()
		harmless, c := shape{}, newComplaints(t)
		for _, path := range []string{"/", "/test", "/nobody", "/harmless/hat", "/-/search?q=hat&type=image&arch=x&sort=name", "/-/search?q=zzqqxx&publisher=x", "/-/search?q=scarv&after=test/hat", "/-/search", "/-/search?publisher=other", "/other?after=thing-20", "/test/hat", "/test/hat/-/tags?filter=1", "/test/many/-/tags?filter=1&after=v1.99.0", "/test/hat/-/tags?filter=zz", "/test/hat/-/history?tag=latest", "/test/hat/-/history?after=1", "/test/hat/-/history?tag=zz", "/test/hat/-/pulls?tag=latest", "/test/hat/-/badge", "/test/hat/-/tag/1", "/test/hat/-/tag/x", "/test/full/-/tag/stable", "/-/help", "/-/api", "/-/search?sort=x"} {
			harmless.add(c, g.ask("GET", path).parse(t))
		}
		for i, evil := range attacks {
			q := escapeQuery(evil)
			p := (&url.URL{Path: "/" + strings.TrimLeft(evil, "/")}).EscapedPath()
			paths := []string{p, "/test" + p, "/test/hat" + p, "/test/hat/-" + p, "/test/hat/-/tag" + p, "/test/hat/-/digest" + p, "/test/hat/-/badge" + p, "/test/hat/-/badge" + p + ".svg", "/-" + p, "/-/logo" + p, "/-/static" + p, "/-/static/x" + p, "/test" + p + "/-/feed.atom", p + "/"}
			for _, name := range []string{"q", "publisher", "verified", "deprecated", "type", "os", "arch", "sort", "limit", "after", "theme", "format", evilName} {
				if name == evilName {
					name = q
				}
				paths = append(paths, "/-/search?q=zz&"+name+"="+q+"&"+name+"="+q)
			}
			for _, query := range []string{"/-/search?q=", "/-/search.atom?q=", "/-/suggest?q=", "/?searchTerm=", "/?verified=", "/?architectures=", "/?x=", "/test?after=", "/test/hat?x=", "/test/hat/-/tags?filter=", "/test/hat/-/tags?after=", "/test/hat/-/history?tag=", "/test/hat/-/history?after=", "/test/hat/-/pulls?tag=", "/test/hat/-/pulls?days=", "/test/hat/-/pull?with=", "/test/hat/-/pull?tag=", "/test/hat/-/pull?reference=", "/test/hat?format=", "/-/sitemap.xml?after=", "/test/hat/-/badge?x=", "/-/help?x="} {
				paths = append(paths, query+q)
			}
			for j, path := range paths {
				if (i+j)%3 > 0 && !strings.HasPrefix(path, "/-/search?q=") {
					continue // a third of them for each, every one for some
				}
				r := g.ask("GET", path)
				if r.status >= 500 {
					first, _, _ := strings.Cut(strings.TrimPrefix(path, "/-/"), "/")
					c.once("status "+first, "%s: %d", path, r.status)
				}
				if to := r.header.Get("Location"); to != "" && (to[0] != '/' || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "<>\"\r\n\\")) {
					t.Errorf("%s leads to %s", path, to)
				}
				if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || r.status >= 300 && r.status < 400 {
					checkWellFormed(c, r)
					continue
				}
				got := shape{}
				got.add(c, r.parse(t))
				if more := got.beyond(harmless); len(more) > 0 {
					c.once(fmt.Sprint(more), "%s has %q", path, more)
				}
			}
		}
	})
}

// evilName stands for a parameter whose name is an attack.
const evilName = "\x00"

// Hosts are what a request says if the registry has no address of its own: text, everywhere.
func TestHostileHosts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t), counted).run()
		harmless, c := shape{}, newComplaints(t)
		paths := []string{"/", "/test", "/test/hat", "/test/hat/-/tag/1", "/test/hat/-/badge", "/-/search?q=zzqqxx", "/-/help", "/test/empty", "/nobody"}
		for _, path := range paths {
			harmless.add(c, g.ask("GET", path).parse(t))
		}
		for i, evil := range attacks {
			if i%4 > 0 || strings.ContainsFunc(evil, func(r rune) bool { return r >= 0x80 }) {
				continue // servers let only ASCII through
			}
			for _, path := range paths {
				got := shape{}
				got.add(c, g.ask("GET", path, with("Host", evil)).parse(t))
				if more := got.beyond(harmless); len(more) > 0 {
					t.Errorf("%s for the host %q has %q", path, evil, more)
				}
			}
		}
	})
}

// A name of which nothing is seen is none.
func TestNamesThatVanish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		for _, name := range []string{"\u202E", "\u2066\u2069", " ", "\u00A0", " \u202A "} {
			if err := g.Owner().PutRegistryCatalogData(t.Context(), name); err != nil {
				continue // refused, which is as good
			}
			for _, path := range []string{"/test", "/test/hat", "/test/hat/-/tags"} {
				checkPage(t, fmt.Sprintf("%s, named %q", path, name), g.page(path))
			}
		}
	})
}

// Only pictures are served as such, whatever a source has.
func TestLogos(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGround(t, town(t)).run()
		var hat struct{ Repository struct{ Logo string } }
		g.json("/test/hat", &hat)
		r := g.get(hat.Repository.Logo, 200)
		if http.DetectContentType(r.body) != "image/png" || r.header.Get("Content-Type") != "image/png" {
			t.Errorf("%v", r.header)
		}
		for _, raw := range []string{`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "<script>alert(1)</script>", "GIF89a<script>alert(1)</script>", "%PDF-1.7", "RIFF\x00\x00\x00\x00WEBPVP8 "} {
			if _, err := g.Owner().PutCatalogData(t.Context(), "test/hat", registry.CatalogData{Logo: []byte(raw)}); err == nil {
				t.Errorf("%q is a logo", raw)
			}
		}
		if _, err := g.Owner().PutCatalogData(context.WithoutCancel(t.Context()), "test/hat", registry.CatalogData{}); err != nil {
			t.Fatal(err)
		}
		checks{".heading img": none, ".heading span.logo": "H"}.run(g.page("/test/hat"))
	})
}
