package archtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// modulePath is this module's. In the texts below its packages are named without it, and
// the one at the root is ".".
const modulePath = "github.com/esplanade-registry/esplanade"

// graph is every package of this module, and which others of the module it may import. The
// order is that of building: a package may import only what stands above it.
//
// The texts speak of files that are not tests, whatever their build constraints; only
// [registryLinks] is of the system on which the test runs.
const graph = `
.:
manifest:
auth:
policy:                    auth manifest
policy/iam:                auth policy
policy/limit/internal/gcra:
policy/limit:              policy policy/limit/internal/gcra
policy/limit/limittest:    policy/limit
policy/limit/redislimit:   policy/limit policy/limit/internal/gcra
gallery/markdown:
gallery:                   gallery/markdown manifest
gallery/internal/match:    gallery
gallery/memindex:          gallery gallery/internal/match
gallery/sqlindex:          gallery gallery/internal/match
gallery/pgindex:           gallery gallery/internal/match
gallery/indextest:         gallery
gallery/searchtest:        gallery
storage:                   manifest
storage/storagetest:       storage
storage/gocloud:           storage
storage/gocloud/s3:        storage/gocloud
storage/meta:              manifest
storage/meta/metatest:     manifest storage/meta
storage/meta/memmeta:      manifest storage/meta
storage/meta/sqlmeta:      manifest storage/meta
auth/basic:                auth
auth/token:                auth
auth/sigv4:                auth
registry/event:            manifest
registry:                  auth manifest policy registry/event storage storage/meta
registry/accounts:         auth policy/iam storage/meta
registry/gc:               registry
registry/importer:         manifest registry
registry/repair:           manifest registry storage storage/meta
registry/accesslog:        policy registry
registry/prom:             registry registry/accesslog registry/gc
registry/otel:             registry registry/accesslog
registry/throttle:         policy policy/limit registry
registry/meter:            manifest policy policy/limit registry storage/meta
registry/webhook:          registry/event
registry/site:             auth gallery gallery/memindex manifest registry registry/event registry/meter
registry/ecrpublic:        auth auth/sigv4 manifest policy registry storage/meta
registry/registrytest:     auth auth/basic auth/token manifest registry storage storage/gocloud storage/meta storage/meta/memmeta
examples/cluster:          auth auth/basic auth/token gallery policy policy/iam policy/limit registry registry/accounts registry/ecrpublic registry/gc registry/meter registry/site storage storage/gocloud storage/gocloud/s3 storage/meta storage/meta/sqlmeta
examples/cedar:            auth auth/basic auth/token policy registry storage/gocloud storage/meta/memmeta
examples/embed:            auth auth/basic registry storage/gocloud storage/meta/memmeta
examples/gallery:          auth auth/token gallery gallery/memindex manifest registry registry/site storage/gocloud storage/meta storage/meta/memmeta
examples/import:           auth registry registry/importer storage storage/gocloud storage/gocloud/s3 storage/meta storage/meta/sqlmeta
examples/quickstart:       auth auth/basic auth/token gallery policy policy/iam policy/limit registry registry/accesslog registry/ecrpublic registry/event registry/gc registry/meter registry/otel registry/prom registry/site registry/throttle storage/gocloud storage/meta/sqlmeta
examples/repair:           registry/repair storage storage/gocloud storage/gocloud/s3 storage/meta storage/meta/sqlmeta
internal/archtest:
internal/browser:
internal/check:
internal/conformance:
internal/docs:
internal/durability:
internal/e2e:
internal/model:
internal/pgtest:
internal/s3test:
`

// importers is who alone may import what, however the graph above grows: PACKAGES <-
// IMPORTERS, where x/... is x and all below it. If several lines name a package, an
// importer in any of them will do.
//
// The bytes and the truth do not know each other, and nobody knows the registry, which puts
// them in sequence, but what is built on it. A cloud SDK or html/template is linked only by
// programs that import the one package that wants it.
const importers = `
registry                  <- registry/... examples/...
storage                   <- storage/storagetest storage/gocloud registry/... examples/...
storage/meta/...          <- storage/meta/... registry/... examples/...
gallery/...               <- gallery/... registry/site examples/...
gocloud.dev/...           <- storage/gocloud/... examples/...
gocloud.dev/blob/memblob  <- registry/registrytest
html/template             <- gallery
`

// modules is exactly which modules of others each package imports itself. A package that
// is not here imports none.
const modules = `
manifest:               github.com/hashicorp/golang-lru/v2 github.com/opencontainers/go-digest github.com/opencontainers/image-spec
auth/token:             github.com/go-jose/go-jose/v4 github.com/hashicorp/golang-lru/v2
policy/iam:             github.com/hashicorp/golang-lru/v2
policy/limit:           github.com/hashicorp/golang-lru/v2
policy/limit/redislimit: github.com/redis/go-redis/v9
auth/sigv4:             github.com/aws/aws-sdk-go-v2
gallery:                github.com/dustin/go-humanize github.com/opencontainers/image-spec
gallery/markdown:       github.com/microcosm-cc/bluemonday github.com/yuin/goldmark golang.org/x/net
gallery/sqlindex:       modernc.org/sqlite
gallery/pgindex:        github.com/jackc/pgx/v5
gallery/indextest:      github.com/google/go-cmp
storage/gocloud:        gocloud.dev google.golang.org/api
storage/gocloud/s3:     github.com/aws/aws-sdk-go-v2 github.com/aws/aws-sdk-go-v2/service/s3 gocloud.dev
storage/storagetest:    github.com/google/go-cmp
storage/meta/memmeta:   github.com/tidwall/btree
storage/meta/metatest:  github.com/google/go-cmp
storage/meta/sqlmeta:   github.com/jackc/pgx/v5 modernc.org/sqlite
registry:               github.com/hashicorp/golang-lru/v2 github.com/opencontainers/image-spec golang.org/x/sync
registry/meter:         github.com/axiomhq/hyperloglog github.com/hashicorp/golang-lru/v2
registry/otel:          go.opentelemetry.io/otel go.opentelemetry.io/otel/trace
registry/prom:          github.com/prometheus/client_golang
registry/ecrpublic:     github.com/go-json-experiment/json
registry/importer:      oras.land/oras-go/v2
registry/repair:        golang.org/x/time
registry/site:          github.com/hashicorp/golang-lru/v2
registry/registrytest:  github.com/opencontainers/image-spec gocloud.dev
examples/cedar:         github.com/cedar-policy/cedar-go gocloud.dev
examples/embed:         gocloud.dev
examples/gallery:       github.com/opencontainers/image-spec gocloud.dev
examples/import:        github.com/gofrs/flock gocloud.dev oras.land/oras-go/v2
examples/quickstart:    github.com/gofrs/flock github.com/prometheus/client_golang go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp go.opentelemetry.io/otel/sdk gocloud.dev
examples/repair:        github.com/gofrs/flock gocloud.dev
`

// registryLinks is exactly which modules of others a program gets with package registry,
// through whatever it imports. It is a promise to hosts: gocloud.dev/blob alone would
// bring 171 packages and 10 MB.
const registryLinks = `
github.com/hashicorp/golang-lru/v2
github.com/opencontainers/go-digest
github.com/opencontainers/image-spec
golang.org/x/sync
`

// registryLinksNot is packages of the standard library that package registry must not
// link either: templates keep the linker from dropping unused methods, drivers are the
// host's choice, and testing is for tests.
const registryLinksNot = `
database/sql
html/template
testing
text/template
`

// Longer files are hard to keep in mind while they are reviewed.
const (
	maxLines     = 600
	maxTestLines = 1000
)

func TestGraph(t *testing.T) {
	t.Parallel()
	report(t, checkGraph(readModule(t, os.DirFS("../..")), graph))
}

func TestImporters(t *testing.T) {
	t.Parallel()
	report(t, checkImporters(readModule(t, os.DirFS("../..")), importers))
}

func TestModules(t *testing.T) {
	t.Parallel()
	report(t, checkModules(readModule(t, os.DirFS("../..")), modules))
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	report(t, checkComments(readModule(t, os.DirFS("../.."))))
}

func TestFileLengths(t *testing.T) {
	t.Parallel()
	report(t, checkLengths(readModule(t, os.DirFS("../.."))))
}

func TestRegistryLinks(t *testing.T) {
	t.Parallel()
	// A line is: package, its module if that is another's, what it imports.
	const format = `{{.ImportPath}}|{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}|{{join .Imports " "}}`
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, "./registry")
	cmd.Dir = "../.."
	var stderr strings.Builder
	cmd.Stderr = &stderr
	listing, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
	}
	report(t, checkLinks(string(listing), registryLinks, registryLinksNot))
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}
