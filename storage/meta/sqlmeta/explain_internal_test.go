//go:build unix

package sqlmeta

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
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
	asked := statements(s)
	for i, query := range asked {
		explain(t, c, fmt.Sprintf("q%d", i), query)
	}
	t.Logf("%d statements over %d tags and manifests", len(asked), *rows)
}

// statements returns what the store's connections have prepared, but for what begins and ends
// transactions.
func statements(s *Watched) (list []string) {
	for range cap(s.conns) {
		c := <-s.conns
		if c != nil {
			for query := range c.stmts {
				if word, _, _ := strings.Cut(query, " "); slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, word) && !slices.Contains(list, query) {
					list = append(list, query)
				}
			}
		}
		s.conns <- c
	}
	return list
}

// scanned is what may be read whole: tables that stay small, and open uploads, whose index by
// activity would be written with every chunk.
var scanned = map[string]string{"sink": "", "stall": "", "signing_key": "", "flush": "", "esplanade_schema": "", "upload": "active <"}

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

// askEverything asks the store every question that it answers, and makes every change.
func askEverything(t *testing.T, s *Watched) {
	t.Helper()
	ctx, d := t.Context(), manifest.Digest("sha256:c4ca4238a0b923820dcc509a6f75849b")
	check := func(err error) {
		t.Helper()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	_, err := s.Find(ctx, "alias1", "repo1")
	check(err)
	for _, ref := range []manifest.Reference{{Tag: "v2"}, {Digest: d}} {
		_, _, err = s.Resolve(ctx, "alias1", "repo1", ref)
		check(err)
	}
	_, err = s.Linked(ctx, 1, d)
	check(err)
	_, _, err = s.Upload(ctx, "alias1", "repo1", "1")
	check(err)
	_, err = s.TagNames(ctx, 1, "v5", 100)
	check(err)
	check(s.Add(ctx, meta.Flush{Node: "n", Number: 1, Counts: []meta.Counter{{Repository: 1, Name: "pull", At: 3600, Value: 1}}}))
	check(s.View(ctx, func(tx meta.Tx) error {
		var errs []error
		ask := func(_ any, err error) { errs = append(errs, err) }
		ask(tx.AliasesOf("000000000001"))
		ask(tx.AliasesLike("alias1"))
		ask(tx.PendingAliases(meta.AliasRequestKey{Account: "000000000001", Alias: "wish1"}, 100))
		ask(tx.AccessKeysOf(meta.PrincipalKey{Account: "000000000001", Name: "root"}))
		ask(tx.RepositoryByID(1))
		ask(tx.Linked(1, d))
		ask(tx.TagsOf(1, d, 0))
		ask(tx.TagsInOrder(1, "v5", 100))
		ask(tx.MovesOf(1, 100, 100))
		ask(tx.Parents(1, d, 100))
		ask(tx.LinksOf(d, 5, 100))
		ask(tx.Referrers(1, d, nil, "", 100))
		ask(tx.Referrers(1, d, []string{"a"}, d, 100))
		ask(tx.Images(1, d, 100))
		ask(tx.CountImages(1, 100))
		ask(tx.CountRepositories("000000000001", 100))
		ask(tx.Due(time.Now(), 100))
		ask(tx.CountDue(time.Now(), 100))
		ask(tx.IdleUploads(time.Now(), 100))
		ask(tx.NextEvents(5, 100))
		ask(tx.HasSinks())
		pageOf(tx.Repositories(), meta.RepositoryKey{Account: "000000000001"}, meta.RepositoryKey{Account: "000000000001", Name: "r"}, &errs)
		pageOf(tx.Repositories(), meta.RepositoryKey{}, meta.RepositoryKey{Account: "000000000001", Name: "r"}, &errs)
		pageOf(tx.Tags(), meta.TagKey{Repository: 1}, meta.TagKey{Repository: 1, Name: "v5"}, &errs)
		pageOf(tx.Moves(), meta.MoveKey{Repository: 1, Tag: "v2"}, meta.MoveKey{Repository: 1, Tag: "v2", Sequence: 9}, &errs)
		pageOf(tx.Edges(), meta.EdgeKey{Repository: 1, Parent: d}, meta.EdgeKey{Repository: 1, Parent: d, Child: d}, &errs)
		pageOf(tx.Links(), meta.LinkKey{Repository: 1}, meta.LinkKey{Repository: 1, Digest: d}, &errs)
		pageOf(tx.Blobs(), "", meta.BlobKey(d), &errs)
		pageOf(tx.Manifests(), meta.ManifestKey{Repository: 1}, meta.ManifestKey{Repository: 1, Digest: d}, &errs)
		pageOf(tx.Uploads(), "", "1", &errs)
		pageOf(tx.Events(), 0, 5, &errs)
		pageOf(tx.Reviews(), meta.ReviewKey{Kind: meta.ReviewObject}, meta.ReviewKey{Kind: meta.ReviewObject, Subject: "a"}, &errs)
		pageOf(tx.ResourceTags(), meta.ResourceTagKey{Repository: 1}, meta.ResourceTagKey{Repository: 1, Key: "a"}, &errs)
		pageOf(tx.Records(), meta.RecordKey{Namespace: "space"}, meta.RecordKey{Namespace: "space", Key: "a"}, &errs)
		pageOf(tx.Counters(), meta.CounterKey{Repository: 1, Name: "pull"}, meta.CounterKey{Repository: 1, Name: "pull", At: 5}, &errs)
		return errors.Join(errs...)
	}))
	check(s.Update(ctx, func(tx meta.Tx) error {
		n, err := tx.Sequence()
		return errors.Join(err,
			renew(tx.Registries(), "000000000001"), renew(tx.Aliases(), "alias1"), renew(tx.Repositories(), meta.RepositoryKey{Account: "000000000001", Name: "repo1"}),
			renew(tx.RepositoryPolicies(), 1), renew(tx.Catalogs(), 1), renew(tx.ResourceTags(), meta.ResourceTagKey{Repository: 1, Key: "key"}),
			renew(tx.Tags(), meta.TagKey{Repository: 1, Name: "v2"}), renew(tx.Blobs(), meta.BlobKey(d)), renew(tx.Uploads(), "1"),
			renew(tx.Records(), meta.RecordKey{Namespace: "space", Key: "key1"}), renew(tx.AccessKeys(), "key1"),
			renew(tx.Principals(), meta.PrincipalKey{Account: "000000000001", Name: "root"}),
			tx.Moves().Put(meta.Move{Repository: 1, Tag: "v2", Sequence: n}), tx.Moves().Delete(meta.MoveKey{Repository: 1, Tag: "v2", Sequence: n}),
			tx.Manifests().Put(meta.Manifest{Repository: 1, Digest: "x"}), tx.Manifests().Delete(meta.ManifestKey{Repository: 1, Digest: "x"}),
			tx.Edges().Put(meta.Edge{Repository: 1, Parent: "x", Child: "y"}), tx.Edges().Delete(meta.EdgeKey{Repository: 1, Parent: "x", Child: "y"}),
			tx.Links().Put(meta.Link{Repository: 1, Digest: "x"}), tx.Links().Delete(meta.LinkKey{Repository: 1, Digest: "x"}),
			tx.Reviews().Put(meta.Review{Kind: meta.ReviewLink, Subject: "x"}), tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewLink, Subject: "x"}),
			tx.Events().Put(meta.Event{Sequence: n}), tx.Events().Delete(meta.EventKey(n)), tx.Counters().Delete(meta.CounterKey{Repository: 1, Name: "x"}),
		)
	}))
}

// pageOf reads some rows from the start and some after a key, in both directions.
func pageOf[K meta.Key, R any](table meta.Table[K, R], prefix, after K, errs *[]error) {
	var none K
	for _, from := range []K{none, after} {
		for _, reverse := range []bool{false, true} {
			for _, err := range table.Scan(meta.Range[K]{Prefix: prefix, After: from, Limit: 10, Reverse: reverse}) {
				*errs = append(*errs, err)
			}
		}
	}
}

// renew gets a row that there is, puts it again and deletes it.
func renew[K meta.Key, R any](table meta.Table[K, R], key K) error {
	row, err := table.Get(key)
	if err != nil {
		return fmt.Errorf("%v: %w", key, err)
	}
	return errors.Join(table.Put(row), table.Delete(key))
}
