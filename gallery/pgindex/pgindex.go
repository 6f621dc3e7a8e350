// Package pgindex is a gallery.Index in PostgreSQL (14 or later), for any number of nodes that
// share one database: its full-text search finds candidates, which are then ordered as
// gallery/memindex orders them.
//
// # When to choose it
//
// gallery/memindex answers faster, and needs some 2 KB of memory for each repository on every
// node, and all documents again whenever it starts. gallery/sqlindex keeps them in a file of
// one node. Here they are kept once for all nodes, in the database that these have in any case.
//
// # The database
//
// The tables, which begin with esplanade_index, are made in the schema that the connection
// uses, and the extension pg_trgm if it is missing, which takes the right to create something
// in the database. What they hold is derived from documents that the host has elsewhere. If
// they were made by another version of this package, or for a ranker with other weights, they
// are dropped and made anew: [Index.Len] tells a host that it has to put everything again.
// Nodes of the version before then get errors, so nodes that share an index are of one version.
//
// 100,000 repositories take some 200 MB. Words are those of gallery/internal/match; no configuration of PostgreSQL's text search has
// a say, and there are no dictionaries. The database has to be in UTF8.
//
// # Several nodes
//
// Every node may put what it knows. To put a document that is there already as it is takes
// one look and writes nothing, and takes no lock. Writers take turns, by an advisory lock;
// readers see the index as it was at one moment, and wait for nobody.
//
// # Limits
//
// A search scores some 1,500 documents at most, those that the ranker puts first if nothing
// but the documents themselves counts, in each of what has the words in its name, among its
// keywords and anywhere. Where more have them, as with common words, Results.Total, the
// facets and the pages are of these candidates, and so are orders other than relevance. A
// word of the text alone is found, but is neither what a slip is corrected to nor completed;
// of a text with more than 64 KB of different words some are not found. A name is of some
// 2,000 bytes at most.
package pgindex

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// DefaultConns is how many connections an index has at most, unless pool_max_conns in its
// connection string says otherwise.
const DefaultConns = 4

// Index implements [gallery.Index] and [gallery.Keeper]. Make one with [Open].
type Index struct {
	ranker  gallery.Ranker
	weights *match.Weights
	version int64
	pool    *pgxpool.Pool
}

// Open opens an index by a connection string of PostgreSQL, postgres://... or key=value, and
// makes its tables if they are missing or of another version. The ranker may be nil:
// gallery.DefaultRanker.
func Open(ctx context.Context, dsn string, r gallery.Ranker) (*Index, error) {
	return open(ctx, dsn, r, nil)
}

// open opens an index whose queries a tracer sees.
func open(ctx context.Context, dsn string, r gallery.Ranker, tracer pgx.QueryTracer) (*Index, error) {
	if r == nil {
		r = gallery.DefaultRanker{}
	}
	x := &Index{ranker: r, weights: match.NewWeights(r)}
	x.version = version(x.weights)
	// pgxpool has a default of its own, and does not say whether that is it
	plain, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("pgindex: %w", err)
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("pgindex: %w", err)
	}
	if plain.RuntimeParams["pool_max_conns"] == "" {
		cfg.MaxConns = DefaultConns
	}
	if cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		// how a query is best answered depends on its words: it is planned each time
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	cfg.ConnConfig.Tracer = tracer
	if x.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("pgindex: %w", err)
	}
	if err := x.transaction(ctx, writing, func(tx pgx.Tx) error { return x.prepare(ctx, tx) }); err != nil {
		x.pool.Close()
		return nil, wrap("open", err)
	}
	return x, nil
}

// Close closes the connections, once they are not used any more.
func (x *Index) Close() error {
	x.pool.Close()
	return nil
}

// Len returns how many documents there are.
func (x *Index) Len(ctx context.Context) (n int, err error) {
	err = x.transaction(ctx, reading, func(tx pgx.Tx) error {
		s := &search{x: x, ctx: ctx, tx: tx}
		n = s.size()
		return s.err
	})
	return n, wrap("count", err)
}

// namesPage is how many names are read at once.
const namesPage = 1000

// Names implements [gallery.Keeper].
func (x *Index) Names(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after := []byte{}
		for {
			var names [][]byte
			err := x.transaction(ctx, reading, func(tx pgx.Tx) error {
				rows, err := tx.Query(ctx, "SELECT name FROM esplanade_index_document WHERE name > $1 ORDER BY name LIMIT $2", after, namesPage)
				if err == nil {
					names, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
				}
				return err
			})
			if err != nil {
				yield("", wrap("names", err))
				return
			}
			for _, name := range names {
				if !yield(string(name), nil) {
					return
				}
			}
			if len(names) < namesPage {
				return
			}
			after = names[len(names)-1]
		}
	}
}

// writer is the number of the lock that who writes has ("Espix").
const writer = "298289490296"

// How transactions begin. Somebody whose connection hangs in one is not waited for. What the
// planner takes the tables for is as old as its statistics, and there are none after they
// were filled; so it may not read whole ones, nor compile what takes milliseconds.
const (
	settings = "SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
	reading  = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; " + settings
	writing  = "BEGIN ISOLATION LEVEL READ COMMITTED; " + settings + "; SELECT pg_advisory_xact_lock(" + writer + ")"
)

// The pauses before a transaction is run again that met with another.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 200 * time.Millisecond
	maxTries   = 20
)

// transaction runs fn in a transaction, again if another was in its way.
func (x *Index) transaction(ctx context.Context, begin string, fn func(pgx.Tx) error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := ctx.Err()
		if err == nil {
			err = pgx.BeginTxFunc(ctx, x.pool, pgx.TxOptions{BeginQuery: begin}, fn)
		}
		if !again(err) || try == maxTries {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

// again reports whether PostgreSQL broke a transaction off because of another.
func again(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01") // serialization_failure, deadlock_detected
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("pgindex: %s: %w", what, err)
	}
	return nil
}
