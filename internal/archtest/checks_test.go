package archtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// line is one of a text: what stands before its mark, and the words after it.
type line struct {
	name  string
	words []string
}

// parse reads the lines of a text. A line without the mark is a problem, and so is a name
// that has two, since the reader of one would miss the other.
func parse(text, mark string) (lines []line, problems []string) {
	seen := map[string]bool{}
	for l := range strings.Lines(strings.TrimSpace(text)) {
		name, rest, ok := strings.Cut(l, mark)
		name = strings.TrimSpace(name)
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%q: no %q in this line of the text", strings.TrimSpace(l), mark))
		case seen[name] && mark == ":":
			problems = append(problems, fmt.Sprintf("%s: has two lines in the text; make them one", name))
		default:
			lines = append(lines, line{name, strings.Fields(rest)})
		}
		seen[name] = true
	}
	return lines, problems
}

// checkGraph compares a module with a text like [graph].
func checkGraph(m tree, text string) []string {
	lines, problems := parse(text, ":")
	may := map[string][]string{}
	for _, l := range lines {
		for _, w := range l.words {
			if _, above := may[w]; !above {
				problems = append(problems, fmt.Sprintf("graph: %s may import %s, which does not stand above it: "+
					"move the line, or ask whether the direction is right", l.name, w))
			}
		}
		may[l.name] = l.words
		if m[l.name] == nil {
			problems = append(problems, fmt.Sprintf("graph: there is no package %s: remove its line", l.name))
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(m)) {
		allowed, ok := may[pkg]
		if !ok {
			problems = append(problems, fmt.Sprintf("graph: package %s is new: give it a line that says what it may import", pkg))
			continue
		}
		by := m.imports(pkg)
		for _, imp := range slices.Sorted(maps.Keys(by)) {
			if m[imp] != nil && !slices.Contains(allowed, imp) {
				problems = append(problems, fmt.Sprintf("graph: %s imports %s, which its line does not allow: "+
					"do without it, or add it there and say why in the commit", by[imp], imp))
			}
		}
	}
	return problems
}

// checkImporters compares a module with a text like [importers].
func checkImporters(m tree, text string) []string {
	lines, problems := parse(text, "<-")
	for _, pkg := range slices.Sorted(maps.Keys(m)) {
		by := m.imports(pkg)
		for _, imp := range slices.Sorted(maps.Keys(by)) {
			var allowed []string
			kept := false
			for _, l := range lines {
				if matches(l.name, imp) {
					kept = true
					allowed = append(allowed, l.words...)
				}
			}
			if kept && !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, pkg) }) {
				problems = append(problems, fmt.Sprintf("importers: %s imports %s, which only %s may: "+
					"declare an interface where it is needed, or move the code there", by[imp], imp, strings.Join(allowed, " ")))
			}
		}
	}
	return problems
}

// matches reports whether a package is pattern or, if that is x/..., x or below it.
func matches(pattern, pkg string) bool {
	prefix, below := strings.CutSuffix(pattern, "/...")
	return pkg == prefix || below && strings.HasPrefix(pkg, prefix+"/")
}

// checkModules compares a module with a text like [modules].
func checkModules(m tree, text string) []string {
	lines, problems := parse(text, ":")
	allowed := map[string][]string{}
	for _, l := range lines {
		allowed[l.name] = l.words
		imports := m.imports(l.name)
		for _, mod := range l.words {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(imports)), func(imp string) bool { return matches(mod+"/...", imp) }) {
				problems = append(problems, fmt.Sprintf("modules: %s does not import %s any more: remove it from the line", l.name, mod))
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(m)) {
		by := m.imports(pkg)
		for _, imp := range slices.Sorted(maps.Keys(by)) {
			if isForeign(imp) && !slices.ContainsFunc(allowed[pkg], func(mod string) bool { return matches(mod+"/...", imp) }) {
				problems = append(problems, fmt.Sprintf("modules: %s imports %s, of a module that its package's line does not have: "+
					"do without it, or add the module there and say why in the commit", by[imp], imp))
			}
		}
	}
	return problems
}

// checkLinks compares what go list says of a package and its dependencies with texts like
// [registryLinks] and [registryLinksNot]. Of what should not be there it names only what
// comes first: what that brings along goes with it.
func checkLinks(listing, links, linksNot string) (problems []string) {
	promised, refused := strings.Fields(links), strings.Fields(linksNot)
	linked := map[string]bool{} // modules
	wrong := map[string]bool{}  // packages
	importers := map[string][]string{}
	for l := range strings.Lines(listing) {
		fields := strings.Split(strings.TrimSpace(l), "|")
		pkg, mod := fields[0], fields[1]
		linked[mod] = true
		wrong[pkg] = mod != "" && !slices.Contains(promised, mod) || slices.Contains(refused, pkg)
		for imp := range strings.FieldsSeq(fields[2]) {
			importers[imp] = append(importers[imp], pkg)
		}
	}
	for _, mod := range promised {
		if !linked[mod] {
			problems = append(problems, fmt.Sprintf("registryLinks: package registry does not link %s any more: remove its line", mod))
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(wrong)) {
		if !wrong[pkg] {
			continue
		}
		for _, by := range importers[pkg] {
			if !wrong[by] {
				problems = append(problems, fmt.Sprintf("registryLinks: package registry links %s, since %s imports it, and promises not to: "+
					"move what needs it to a package that hosts import for themselves", pkg, own(by)))
			}
		}
	}
	return problems
}

// checkComments finds packages without exactly one package comment. One in a test file is
// not shown to anybody.
func checkComments(m tree) (problems []string) {
	for _, pkg := range slices.Sorted(maps.Keys(m)) {
		var in []string
		for _, f := range m[pkg] {
			switch {
			case f.hasComment && f.isTest():
				problems = append(problems, fmt.Sprintf("%s: a package comment in a test file: move it, or put an empty line after it", f.name))
			case f.hasComment:
				in = append(in, f.name)
			}
		}
		switch {
		case len(in) == 0:
			problems = append(problems, fmt.Sprintf("package %s has no package comment: say in doc.go what it is for", pkg))
		case len(in) > 1:
			problems = append(problems, fmt.Sprintf("package %s has %d package comments, in %s: make them one", pkg, len(in), strings.Join(in, ", ")))
		}
	}
	return problems
}

// checkLengths finds files that are too long.
func checkLengths(m tree) (problems []string) {
	for _, pkg := range slices.Sorted(maps.Keys(m)) {
		for _, f := range m[pkg] {
			limit := maxLines
			if f.isTest() {
				limit = maxTestLines
			}
			if f.lines > limit {
				problems = append(problems, fmt.Sprintf("%s has %d lines, more than %d: split it by noun", f.name, f.lines, limit))
			}
		}
	}
	return problems
}

// TestChecks shows to each check a module that is as it should be, and then one that has
// what the check is for.
func TestChecks(t *testing.T) {
	t.Parallel()
	base := map[string]string{
		"go.mod":           "module " + modulePath,
		"a/a.go":           "// Package a is below.\npackage a\n",
		"b/b.go":           "// Package b is above.\npackage b\n\nimport (\n\t\"io\"\n\t\"" + modulePath + "/a\"\n\t\"example.com/mod/v2/pkg\"\n)\n",
		"b/b_test.go":      "package b\n\nimport _ \"example.com/only/in/tests\"\n",
		"testdata/x.go":    "package x\n",
		"nested/go.mod":    "module nested\n",
		"nested/nested.go": "package nested\n",
	}
	inGraph := func(text string) func(tree) []string {
		return func(m tree) []string { return checkGraph(m, text) }
	}
	inImporters := func(text string) func(tree) []string {
		return func(m tree) []string { return checkImporters(m, text) }
	}
	inModules := func(text string) func(tree) []string {
		return func(m tree) []string { return checkModules(m, text) }
	}
	inLinks := func(listing string) func(tree) []string {
		return func(tree) []string { return checkLinks(listing, "example.com/mod", "testing") }
	}
	const listing = modulePath + "/a||io\nio||\nexample.com/mod/x|example.com/mod|io\n"

	for name, c := range map[string]struct {
		check func(tree) []string
		name  string // a file that is added to the module
		src   string
		want  string // what is said of it; "": nothing
	}{
		"graph": {check: inGraph("a:\nb: a")},
		"graph, import of a test": {
			check: inGraph("a:\nb: a"), name: "a/a_test.go", src: "package a_test\n\nimport _ \"" + modulePath + "/b\"\n",
		},
		"graph, import": {
			check: inGraph("a:\nb:"), want: "b/b.go imports a, which its line does not allow",
		},
		"graph, import under a build constraint": {
			check: inGraph("a:\nb: a"), name: "a/a_plan9.go", src: "package a\n\nimport _ \"" + modulePath + "/b\"\n",
			want: "a/a_plan9.go imports b",
		},
		"graph, root": {
			check: inGraph(".:\na:\nb: a"), name: "doc.go", src: "package esplanade\n\nimport _ \"" + modulePath + "/a\"\n",
			want: "doc.go imports a",
		},
		"graph, new package":         {check: inGraph("a:\nb: a"), name: "c/c.go", src: "package c\n", want: "package c is new"},
		"graph, no such package":     {check: inGraph("a:\nb: a\nc:"), want: "no package c"},
		"graph, against the order":   {check: inGraph("b: a\na:"), want: "b may import a, which does not stand above it"},
		"graph, two lines":           {check: inGraph("a:\nb:\nb: a"), want: "b: has two lines"},
		"graph, no mark":             {check: inGraph("a:\nb a"), want: `"b a": no ":"`},
		"importers":                  {check: inImporters("a <- x\na/... <- b/...\nexample.com/... <- b")},
		"importers, own package":     {check: inImporters("a <- b/below c"), want: "b/b.go imports a, which only b/below c may"},
		"importers, foreign package": {check: inImporters("example.com/... <- a"), want: "b/b.go imports example.com/mod/v2/pkg"},
		"importers, standard":        {check: inImporters("io <- a"), want: "b/b.go imports io"},
		"modules":                    {check: inModules("b: example.com/mod/v2")},
		"modules, new":               {check: inModules(""), want: "b/b.go imports example.com/mod/v2/pkg"},
		"modules, of like name":      {check: inModules("b: example.com/mod/v"), want: "b/b.go imports example.com/mod/v2/pkg"},
		"modules, unused":            {check: inModules("b: example.com/mod/v2\na: example.com/mod/v2"), want: "a does not import example.com/mod/v2 any more"},
		"links":                      {check: inLinks(listing)},
		"links, new":                 {check: inLinks(listing + modulePath + "/b||gocloud.dev/blob\ngocloud.dev/blob|gocloud.dev|\n"), want: "links gocloud.dev/blob, since b imports it"},
		"links, standard":            {check: inLinks(listing + modulePath + "/b||testing\ntesting||\n"), want: "links testing, since b imports it"},
		"links, unused":              {check: inLinks("io||\n"), want: "does not link example.com/mod any more"},
		"comments":                   {check: checkComments},
		"comments, none":             {check: checkComments, name: "c/c.go", src: "//go:build linux\npackage c\n", want: "package c has no package comment"},
		"comments, two":              {check: checkComments, name: "a/z.go", src: "// Package a again.\npackage a\n", want: "package a has 2 package comments, in a/a.go, a/z.go"},
		"comments, in a test":        {check: checkComments, name: "a/a_test.go", src: "// Package a.\npackage a\n", want: "a/a_test.go: a package comment in a test file"},
		"lengths":                    {check: checkLengths, name: "a/long_test.go", src: "package a\n" + strings.Repeat("\n", maxTestLines-1)},
		"lengths, source":            {check: checkLengths, name: "a/long.go", src: "package a\n" + strings.Repeat("\n", maxLines), want: "a/long.go has 601 lines"},
		"lengths, test":              {check: checkLengths, name: "a/long_test.go", src: "package a\n" + strings.Repeat("\n", maxTestLines), want: "a/long_test.go has 1001 lines"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{}
			for name, src := range base {
				fsys[name] = &fstest.MapFile{Data: []byte(src)}
			}
			if c.name != "" {
				fsys[c.name] = &fstest.MapFile{Data: []byte(c.src)}
			}
			got := c.check(readModule(t, fsys))
			if c.want == "" {
				report(t, got)
			} else if !slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Errorf("the check said %q, nothing of %q", got, c.want)
			}
		})
	}
}
