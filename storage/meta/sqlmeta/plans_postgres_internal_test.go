//go:build unix

package sqlmeta

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
)

var rows = flag.Int("rows", 50_000, "how many tags and manifests TestPlans has")

// fillings fill each table that grows with as many rows as tags, or a part of it. Half of
// everything is in the repository 1.
var fillings = []string{
	`INSERT INTO registry SELECT lpad(g::text, 12, '0'), 0, '', 0 FROM generate_series(1, $1::bigint / 100) g`,
	`INSERT INTO alias SELECT 'alias' || g, lpad(g::text, 12, '0'), 'ACTIVE', 1, 1, 0, 'alias' || g, 0 FROM generate_series(1, $1::bigint / 100) g`,
	`INSERT INTO alias_request SELECT lpad(g::text, 12, '0'), 'wish' || g, CASE WHEN g % 100 = 0 THEN 'PENDING' ELSE 'ACTIVE' END, '', '', 0, 0 FROM generate_series(1, $1::bigint / 100) g`,
	`INSERT INTO repository SELECT lpad((g / 10 + 1)::text, 12, '0'), 'repo' || g, g, 'PUBLIC', 0, '', 0 FROM generate_series(1, $1::bigint / 10) g`,
	`INSERT INTO repository_policy SELECT g, '{}', 0, '' FROM generate_series(1, $1::bigint / 10) g`,
	`INSERT INTO catalog SELECT g, '', '[]', '[]', '', '', '', '', '', 0, 0 FROM generate_series(1, $1::bigint / 10) g`,
	`INSERT INTO resource_tag SELECT g, 'key', 'value' FROM generate_series(1, $1::bigint / 10) g`,
	`INSERT INTO manifest SELECT ` + repositoryOfRow + `, 'sha256:' || md5(g::text), 't', '', '', 100, 100, '', CASE WHEN g % 10 = 0 THEN 'sha256:' || md5((g - 1)::text) ELSE '' END,
		'{}', 0, '', decode(repeat('00', 100), 'hex') FROM generate_series(1, $1::bigint) g`,
	`INSERT INTO edge SELECT ` + repositoryOfRow + `, 'sha256:' || md5(g::text), 'sha256:' || md5((g / 2)::text), 1 FROM generate_series(1, $1::bigint) g`,
	`INSERT INTO tag SELECT ` + repositoryOfRow + `, 'v' || g, 'sha256:' || md5(g::text), 0, 'p' || g FROM generate_series(1, $1::bigint) g`,
	`INSERT INTO move SELECT ` + repositoryOfRow + `, 'v' || g, g, '', 'sha256:' || md5(g::text), 0, '' FROM generate_series(1, $1::bigint) g`,
	`INSERT INTO blob SELECT 'sha256:' || md5(g::text), 1, '[]', 0 FROM generate_series(1, $1::bigint) g`,
	`INSERT INTO link SELECT ` + repositoryOfRow + `, 'sha256:' || md5(g::text), 0 FROM generate_series(1, $1::bigint) g`,
	`INSERT INTO upload SELECT g::text, 1, '', 'sha256', '', 0, '[]', '', 0, g FROM generate_series(1, $1::bigint / 100) g`,
	`INSERT INTO review SELECT CASE WHEN g % 2 = 0 THEN 'link' ELSE 'object' END, md5(g::text), g % 2, g FROM generate_series(1, $1::bigint / 2) g`,
	`INSERT INTO event SELECT g, 1, 0, '' FROM generate_series(1, $1::bigint / 10) g`,
	`INSERT INTO access_key SELECT 'key' || g, lpad(g::text, 12, '0'), 'root', '', 0, 0 FROM generate_series(1, $1::bigint / 100) g`,
	`INSERT INTO principal SELECT lpad(g::text, 12, '0'), 'root', '{}', '{}' FROM generate_series(1, $1::bigint / 100) g`,
	`INSERT INTO record SELECT 'space', 'key' || g, '' FROM generate_series(1, $1::bigint / 10) g`,
	`INSERT INTO counter SELECT ` + repositoryOfRow + `, 'pull', g * 3600, 1 FROM generate_series(1, $1::bigint) g`,
}

const repositoryOfRow = `CASE WHEN g % 2 = 0 THEN 1 ELSE g / 10 + 2 END`

// Whatever a request, the outbox or the collector asks of PostgreSQL is answered by indexes, so
// that its cost does not grow with the tables. The plans are those that hold for any arguments.
func TestPlans(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it fills tables")
	}
	ctx, dsn := t.Context(), pgtest.Start(t).Database(t)
	s, err := OpenPostgres(ctx, dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the database goes with the test
	for _, f := range fillings {
		if _, err := c.Exec(ctx, f, *rows); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
	}
	if _, err := c.Exec(ctx, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	askEverything(t, s)
	if _, err := c.Exec(ctx, "SET plan_cache_mode = force_generic_plan"); err != nil {
		t.Fatal(err)
	}
	asked := statements(s.Store)
	for i, query := range asked {
		explain(t, c, fmt.Sprintf("q%d", i), query)
	}
	t.Logf("%d statements over %d tags and manifests", len(asked), *rows)
}

// plan is a node of a plan as PostgreSQL shows it.
type plan struct {
	Type     string `json:"Node Type"`
	Rows     int    `json:"Plan Rows"`
	Relation string `json:"Relation Name"`
	Plans    []plan `json:"Plans"`
}

func explain(t *testing.T, c *pgx.Conn, name, query string) {
	t.Helper()
	ctx, text := t.Context(), postgresDialect.query(query)
	d, err := c.Prepare(ctx, name, text)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	args := strings.TrimSuffix(strings.Repeat("NULL, ", len(d.ParamOIDs)), ", ")
	if args != "" {
		args = "(" + args + ")"
	}
	var raw []byte
	if err := c.QueryRow(ctx, "EXPLAIN (FORMAT JSON) EXECUTE "+name+args).Scan(&raw); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var plans []struct{ Plan plan }
	if err := json.Unmarshal(raw, &plans); err != nil {
		t.Fatal(err)
	}
	var walk func(p plan)
	walk = func(p plan) {
		if only, ok := scanned[p.Relation]; p.Type == "Seq Scan" && (!ok || !strings.Contains(query, only)) {
			t.Errorf("%s is read whole by: %s\n%s", p.Relation, query, raw)
		}
		if p.Type == "Sort" && p.Rows > 100 && !strings.Contains(query, scanned["upload"]) {
			t.Errorf("%d rows are sorted by: %s\n%s", p.Rows, query, raw)
		}
		for _, q := range p.Plans {
			walk(q)
		}
	}
	walk(plans[0].Plan)
}
