package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUndocumented(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"documented func":         {src: "// F does.\nfunc F() {}"},
		"func":                    {src: "func F() {}", want: []string{"F"}},
		"unexported func":         {src: "func f() {}"},
		"comment apart":           {src: "// F does.\n\nfunc F() {}", want: []string{"F"}},
		"directive":               {src: "//go:noinline\nfunc F() {}", want: []string{"F"}},
		"directive and comment":   {src: "// F does.\n//\n//go:noinline\nfunc F() {}"},
		"empty comment":           {src: "//\nfunc F() {}", want: []string{"F"}},
		"method":                  {src: "func (T) M() {}", want: []string{"T.M"}},
		"method of pointer":       {src: "func (t *T) M() {}", want: []string{"T.M"}},
		"method of generic":       {src: "func (t *T[K]) M() {}\nfunc (t T[K, V]) N() {}", want: []string{"T.M", "T.N"}},
		"method in parentheses":   {src: "func (t *(T)) M() {}", want: []string{"T.M"}},
		"well-known method":       {src: "func (e *E) Error() string { return \"\" }", want: []string{"E.Error"}},
		"method of unexported":    {src: "func (t *t) M() {}"},
		"unexported method":       {src: "func (t *T) m() {}"},
		"documented method":       {src: "// M does.\nfunc (t *T) M() {}"},
		"type":                    {src: "type T struct{ F int }", want: []string{"T"}},
		"documented type":         {src: "// T is.\ntype T struct{ F int }"},
		"alias":                   {src: "type T = int", want: []string{"T"}},
		"types in block":          {src: "// Types.\ntype (\n\t// A is.\n\tA int\n\tB int\n\tc int\n)", want: []string{"B"}},
		"type with end of line":   {src: "type T int // T is.", want: []string{"T"}},
		"const":                   {src: "const C = 1", want: []string{"C"}},
		"const with end of line":  {src: "const C = 1 // C is.", want: []string{"C"}},
		"documented const":        {src: "// C is.\nconst C = 1"},
		"const block":             {src: "// They are.\nconst (\n\tA = iota\n\tB\n)"},
		"const block, own":        {src: "const (\n\t// A is.\n\tA = 1\n\tB = 2 // B is.\n\tC = 3\n\td = 4\n)", want: []string{"C"}},
		"var":                     {src: "var A, b, C = 1, 2, 3", want: []string{"A", "C"}},
		"interface satisfied":     {src: "var _ error = T{}"},
		"imports":                 {src: "import \"io\""},
		"names inside a function": {src: "// F does.\nfunc F() { type T int; const C = 1 }"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := parser.ParseFile(token.NewFileSet(), "p.go", "package p\n\n"+c.src+"\n", parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range undocumented(f) {
				got = append(got, u.name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("undocumented = %q, want %q", got, c.want)
			}
		})
	}
}

func TestIsAPI(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"doc.go":                       true,
		"registry/op.go":               true,
		"storage/meta/meta.go":         true,
		"registry/examples/x.go":       true,
		"registry/op_test.go":          false,
		"examples/embed/main.go":       false,
		"internal/check/main.go":       false,
		"registry/internal/x/x.go":     false,
		"registry/testdata/src/x/x.go": false,
	} {
		if got := isAPI(name); got != want {
			t.Errorf("isAPI(%q) = %v", name, got)
		}
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("package a\n\nfunc F() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	// The second file is none of the API, or reading it would fail.
	err := docs(root, []string{"a.go", "internal/missing.go"})(t.Context(), &out)
	if want := "a.go:3: F has no doc comment\n"; err == nil || out.String() != want {
		t.Errorf("docs printed %q and returned %v, want %q and an error", &out, err, want)
	}
}
