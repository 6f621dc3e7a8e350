package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGofmt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, src := range map[string]string{
		"good.go":   "package a\n",
		"spaces.go": "package  a\n",
		"broken.go": "package a\n\nfunc {\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	err := gofmt(root, []string{"broken.go", "good.go", "spaces.go"})(t.Context(), &out)
	if lines := strings.Split(out.String(), "\n"); err == nil || len(lines) != 3 ||
		!strings.HasPrefix(lines[0], "broken.go:3:") || lines[1] != "spaces.go" {
		t.Errorf("gofmt printed %q and returned %v", &out, err)
	}
}
