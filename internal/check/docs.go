package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// docs is the step that finds exported names without a doc comment in the files that make
// up the library's API.
func docs(root string, files []string) func(context.Context, io.Writer) error {
	return func(_ context.Context, out io.Writer) error {
		var missing int
		for _, name := range files {
			if !isAPI(name) {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, u := range undocumented(f) {
				fmt.Fprintf(out, "%s:%d: %s has no doc comment\n", name, fset.Position(u.pos).Line, u.name)
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d exported names have no doc comment", missing)
		}
		return nil
	}
}

// isAPI reports whether a file may declare what users of the library see. The name has
// slashes, and is relative to the module.
func isAPI(name string) bool {
	folders := strings.Split(path.Dir(name), "/")
	return !strings.HasSuffix(name, "_test.go") && folders[0] != "examples" &&
		!slices.Contains(folders, "internal") && !slices.Contains(folders, "testdata")
}

// exported is a declared name that users see.
type exported struct {
	name string
	pos  token.Pos
}

// undocumented returns the exported names that a file declares at package level, methods of
// exported types among them, without a doc comment.
func undocumented(f *ast.File) (list []exported) {
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			recv := receiver(decl)
			if decl.Name.IsExported() && (recv == "" || ast.IsExported(recv)) && !isDoc(decl.Doc) {
				list = append(list, exported{strings.TrimPrefix(recv+"."+decl.Name.Name, "."), decl.Name.Pos()})
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				list = append(list, undocumentedIn(decl, spec)...)
			}
		}
	}
	return list
}

// undocumentedIn is [undocumented] for a type, constants or variables. In a block each type
// has its own comment; constants and variables may share the block's, or have theirs at the
// end of the line.
func undocumentedIn(decl *ast.GenDecl, spec ast.Spec) (list []exported) {
	var names []*ast.Ident
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if isDoc(spec.Doc) || !decl.Lparen.IsValid() && isDoc(decl.Doc) {
			return nil
		}
		names = []*ast.Ident{spec.Name}
	case *ast.ValueSpec:
		if isDoc(decl.Doc) || isDoc(spec.Doc) || decl.Lparen.IsValid() && isDoc(spec.Comment) {
			return nil
		}
		names = spec.Names
	}
	for _, n := range names {
		if n.IsExported() {
			list = append(list, exported{n.Name, n.Pos()})
		}
	}
	return list
}

// isDoc reports whether a comment says something to a reader. Directives do not.
func isDoc(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) != "" }

// receiver returns the name of the type that a method belongs to, or "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	expr := f.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}
