package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// around has what the README leaves out of each of its Go snippets, by a word in it.
var around = map[string][2]string{
	"func mount": {`package main

import (
	"context"
	"net/http"

	_ "gocloud.dev/blob/fileblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

var _ = mount

func main() {}
`, ""},
	"func watch": {`package main

import (
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/otel"
	"github.com/esplanade-registry/esplanade/registry/prom"
	"github.com/esplanade-registry/esplanade/registry/throttle"
	"github.com/esplanade-registry/esplanade/registry/webhook"
)

var (
	_      = watch
	secret []byte
	tracer trace.TracerProvider
)

func main() {}
`, ""},
	"func nodes": {`package main

import (
	"context"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

var _ = nodes

func main() {}
`, ""},
	"func control": {`package main

import (
	"net/http"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accounts"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

var _ = control

func main() {}
`, ""},
	"func pages": {`package main

import (
	"context"
	"net/http"
	"os"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/site"
)

var _ = pages

func main() {}
`, ""},
	"registrytest.New": {`package main

import (
	"testing"

	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

func main() {}

func test(t *testing.T, layer []byte) {
`, "\n_, _ = want, client\n}\n\nvar _ = test\n"},
}

var snippet = regexp.MustCompile("(?s)```go\n(.*?)```")

func TestREADMECompiles(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	snippets := snippet.FindAllSubmatch(readme, -1)
	if len(snippets) != len(around) {
		t.Errorf("the README has %d Go snippets, %d are known", len(snippets), len(around))
	}
	for _, match := range snippets {
		code := string(match[1])
		found := false
		for word, text := range around {
			if !strings.Contains(code, word) {
				continue
			}
			found = true
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(text[0]+code+text[1]), 0o666); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "vet", file)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, out, code)
			}
		}
		if !found {
			t.Errorf("an unknown snippet:\n%s", code)
		}
	}
}
