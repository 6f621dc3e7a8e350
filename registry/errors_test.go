package registry

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"strings"
	"testing"
)

// specified are the codes of the distribution specification, and UNKNOWN for the faults
// that it has none for.
var specified = strings.Fields(`BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN
	MANIFEST_INVALID MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS UNKNOWN`)

func TestErrorTable(t *testing.T) {
	t.Parallel()
	for _, row := range wireErrors {
		for _, err := range []error{row.err, fmt.Errorf("wrapped: %w", row.err), says(row.err, "words"), &Error{Err: row.err, Cause: errors.New("driver text")}} {
			got, message, _ := wire(err)
			if got.code != row.code || got.status != row.status {
				t.Errorf("%v is %s %d, want %s %d", err, got.code, got.status, row.code, row.status)
			}
			if strings.Contains(message, "driver text") {
				t.Errorf("the client is told %q", message)
			}
		}
		if strings.Contains(row.code, " ") || http.StatusText(row.status) == "" {
			t.Errorf("row %v", row)
		}
		known := false
		for _, code := range specified {
			known = known || code == row.code
		}
		if !known {
			t.Errorf("%s is not a code of the specification", row.code)
		}
		if row.status == http.StatusNotFound && row.err != ErrManifestBlobUnknown && !errors.Is(row.err, fs.ErrNotExist) {
			t.Errorf("%v does not wrap fs.ErrNotExist", row.err)
		}
	}
	if row, message, _ := wire(errors.New("driver text")); row.status != http.StatusInternalServerError || strings.Contains(message, "driver") {
		t.Errorf("an unknown error is %d %q", row.status, message)
	}
	if row, _, _ := wire(fs.ErrNotExist); row.status != http.StatusInternalServerError {
		t.Errorf("an object that the bucket has lost is answered %d; that is not the client's not found", row.status)
	}
}

// TestErrorTableIsWhole finds every exported sentinel of the package in the table.
func TestErrorTableIsWhole(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	var sentinels []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, name := range spec.Names {
			switch {
			case strings.HasPrefix(name.Name, "Err"):
				sentinels = append(sentinels, name.Name)
			case name.Name == "wireErrors":
				ast.Inspect(spec, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						rows[id.Name] = true
					}
					return true
				})
			}
		}
		return true
	})
	for _, name := range sentinels {
		if !rows[name] {
			t.Errorf("%s has no row in the table", name)
		}
	}
	if len(sentinels) < 20 {
		t.Errorf("found only %d sentinels", len(sentinels))
	}
}
