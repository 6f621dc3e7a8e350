package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"testing"
)

// file is what is known of a source file. Its name is relative to the module.
type file struct {
	name       string
	lines      int
	imports    []string
	hasComment bool
}

func (f file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

// tree is the files of a module by package.
type tree map[string][]file

// imports returns what a package imports outside of tests, each with the file that does.
func (m tree) imports(pkg string) map[string]string {
	by := map[string]string{}
	for _, f := range m[pkg] {
		if f.isTest() {
			continue
		}
		for _, imp := range f.imports {
			by[imp] = f.name
		}
	}
	return by
}

// readModule reads the packages of a module, but no module nested in it.
func readModule(t *testing.T, fsys fs.FS) tree {
	t.Helper()
	m := tree{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && strings.ContainsAny(d.Name()[:1], "._") || d.Name() == "testdata" {
				return fs.SkipDir
			}
			if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil && name != "." {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		// Text leaves out directives: a go:build line is no comment on the package.
		f := file{name: name, lines: strings.Count(string(src), "\n"), hasComment: syntax.Doc.Text() != ""}
		for _, spec := range syntax.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, own(imp))
		}
		m[path.Dir(name)] = append(m[path.Dir(name)], f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// own shortens the name of a package of this module to what the texts call it.
func own(imp string) string {
	if imp == modulePath {
		return "."
	}
	return strings.TrimPrefix(imp, modulePath+"/")
}

// isForeign reports whether a package belongs to another module than this and the standard
// library: only such a name begins with a host's.
func isForeign(imp string) bool {
	host, _, _ := strings.Cut(imp, "/")
	return strings.Contains(host, ".") && imp != "."
}
