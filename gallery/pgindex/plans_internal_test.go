//go:build unix

package pgindex

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/indextest"
	"github.com/esplanade-registry/esplanade/internal/pgtest"
)

// seen remembers the statements of a search.
type seen struct {
	list []statement
}

type statement struct {
	text string
	args []any
}

func (s *seen) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (s *seen) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *seen) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *seen) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	s.list = append(s.list, statement{data.SQL, data.Args})
}

func (s *seen) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// No statement of a search reads a whole table, with statistics or without.
func TestPlans(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	tracer := &seen{}
	x, err := open(t.Context(), pgtest.Start(t).Database(t), nil, tracer)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.PutAll(t.Context(), indextest.Corpus(100_000)...); err != nil {
		t.Fatal(err)
	}
	for _, statistics := range []bool{false, true} {
		if statistics {
			if _, err := x.pool.Exec(t.Context(), "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range []string{"w4711", "w47", "w1 w2", "server", "nginx4", "wx4711q", "postgrasqlx", "pub17/w1", "publisher:pub17", "server verified:yes", "arch:arm64", ""} {
			for _, order := range []gallery.Sort{gallery.ByRelevance, gallery.ByPulls, gallery.ByUpdate, gallery.ByName} {
				tracer.list = nil
				if _, err := x.Search(t.Context(), gallery.ParseQuery(q), gallery.Page{Sort: order}); err != nil {
					t.Fatal(err)
				}
				for _, s := range tracer.list {
					plan := explain(t, x, s)
					for _, table := range []string{"document", "lexemes", "word", "known"} {
						if strings.Contains(plan, "Seq Scan on esplanade_index_"+table) {
							t.Errorf("%q reads all of %s:\n%s\n%s", q, table, s.text, plan)
						}
					}
				}
			}
		}
	}
	if len(tracer.list) == 0 {
		t.Error("a search has no statements")
	}
}

func explain(t *testing.T, x *Index, s statement) string {
	t.Helper()
	var lines []string
	err := x.transaction(t.Context(), reading, func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), "EXPLAIN "+s.text, s.args...)
		if err == nil {
			lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// What another transaction was in the way of is done again.
func TestAgain(t *testing.T) {
	t.Parallel()
	x, err := open(t.Context(), pgtest.Start(t).Database(t), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for code, want := range map[string]int{"40001": 3, "40P01": 3, "23505": 1} {
		tries := 0
		err := x.transaction(t.Context(), writing, func(pgx.Tx) error {
			if tries++; tries == 3 {
				return nil
			}
			return &pgconn.PgError{Code: code}
		})
		if tries != want || (err == nil) != (want == 3) {
			t.Errorf("%s: %d tries, %v; want %d", code, tries, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = x.transaction(ctx, writing, func(pgx.Tx) error {
		cancel()
		return &pgconn.PgError{Code: "40001"}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("tried again under a context that ended: %v", err)
	}
}

// The connection string says how many connections there are, or there are few.
func TestConns(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Start(t).Database(t)
	for option, want := range map[string]int32{"": DefaultConns, "&pool_max_conns=9": 9} {
		x, err := open(t.Context(), dsn+option, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.pool.Config().MaxConns; got != want {
			t.Errorf("%q: %d connections", option, got)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}
