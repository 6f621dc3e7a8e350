package sqlmeta

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// DefaultPostgresConns is how many connections a store has to PostgreSQL at most.
const DefaultPostgresConns = 20

// PostgresOptions are the options of [OpenPostgres].
type PostgresOptions struct {
	Conns int // at most; [DefaultPostgresConns] if 0
}

// OpenPostgres opens a database by a connection string of PostgreSQL, postgres://... or
// key=value, and makes or upgrades the schema. Other processes may use it meanwhile. The error
// wraps [meta.ErrNewerSchema] if it has been upgraded beyond what this version knows.
func OpenPostgres(ctx context.Context, dsn string, opts *PostgresOptions) (*Watched, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &PostgresOptions{}
	}
	conns := opts.Conns
	if conns <= 0 {
		conns = DefaultPostgresConns
	}
	s := newStore(conns, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", func() (*conn, error) { return connectPostgres(dsn) })
	s.update, s.close = s.updatePostgres, func() error { return nil }
	for try := 1; ; try++ {
		err := s.read(ctx, migratePostgres)
		if err == nil {
			break
		}
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "55P03" || try == maxTries { // lock_not_available
			return nil, fmt.Errorf("sqlmeta: open PostgreSQL: %w", errors.Join(err, s.Close()))
		}
	}
	return &Watched{s, dsn}, nil
}

var postgresDialect = dialect{
	query:   numbered,
	closed:  func(c driver.Conn) bool { return c.(*stdlib.Conn).Conn().IsClosed() },
	settled: fmt.Sprintf("sequence < pg_snapshot_xmin(pg_current_snapshot())::text::bigint + "+transactionShift+" << %d", sequenceBits),
}

// A sequence is the number of the transaction, and the bits below it count those that the
// transaction draws. Transactions are numbered when they first write, for ever, so that what
// is below the oldest that still runs cannot change any more: a plain sequence would be drawn
// in one order and committed in another, and a reader that has seen the later could not know
// that it is to wait for the earlier.
//
// Another server, to which a dump was restored, has a count of its own. What is added to it keeps
// the order of sequences.
const (
	sequenceBits      = 20
	transactionShift  = "(SELECT shift FROM esplanade_server)"
	transactionNumber = "SELECT pg_current_xact_id()::text::bigint + " + transactionShift
)

// know notes which server the database is on. If it came from another, sequences go on beyond
// those that it has.
func know(c *conn) error {
	if err := c.script("server", "CREATE TABLE IF NOT EXISTS esplanade_server (identity BIGINT NOT NULL, shift BIGINT NOT NULL)"); err != nil {
		return err
	}
	var identity, known, shift, number int64
	if err := c.one("server", "SELECT system_identifier, pg_current_xact_id()::text::bigint FROM pg_control_system()", nil, integer[int64]{&identity}, integer[int64]{&number}); err != nil {
		return err
	}
	err := c.one("server", "SELECT identity, shift FROM esplanade_server", nil, integer[int64]{&known}, integer[int64]{&shift})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.exec("server", "INSERT INTO esplanade_server (identity, shift) VALUES (?, 0)", identity)
	case err != nil || known == identity:
		return err
	}
	var last int64
	err = c.one("server", `SELECT greatest((SELECT coalesce(max(sequence), 0) FROM move), (SELECT coalesce(max(sequence), 0) FROM event), (SELECT coalesce(max(cursor), 0) FROM sink))`,
		nil, integer[int64]{&last})
	if err != nil {
		return err
	}
	return c.exec("server", "UPDATE esplanade_server SET identity = ?, shift = ?", identity, max(shift, last>>sequenceBits+1-number))
}

func connectPostgres(dsn string) (*conn, error) {
	c, err := stdlib.GetDefaultDriver().Open(dsn)
	if err != nil {
		return nil, err
	}
	p := &conn{c, map[string]driver.Stmt{}, postgresDialect}
	if err := p.script("connect", "SET idle_in_transaction_session_timeout = '"+idleTimeout+"'"); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// idleTimeout is after which PostgreSQL breaks off the transaction of a process that says nothing
// more. One that is stopped, or cut off from the network, would hold its locks for ever.
const idleTimeout = "10s"

// numbered writes parameters as PostgreSQL has them: $1 for ?1, and for the first ?.
func numbered(query string) string {
	var out strings.Builder
	n := 0
	for i := 0; i < len(query); i++ {
		if query[i] != '?' {
			out.WriteByte(query[i])
			continue
		}
		out.WriteByte('$')
		if i+1 < len(query) && query[i+1] >= '1' && query[i+1] <= '9' {
			continue
		}
		n++
		out.WriteString(strconv.Itoa(n))
	}
	return out.String()
}

// The pauses before an Update is run again that conflicted with another.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 200 * time.Millisecond
	maxTries   = 100
)

// updatePostgres runs a job in a transaction of its own, again and again if others are in its
// way. Once COMMIT is sent, the outcome of a connection that is lost is not known, and the
// error says so.
func (s *Store) updatePostgres(j *job) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	pause := firstPause
	for try := 1; ; try++ {
		err := s.tryPostgres(j)
		if err == nil {
			for _, f := range j.after {
				f()
			}
			return nil
		}
		if !again(err) || try == maxTries {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-j.ctx.Done():
			timer.Stop()
			return errors.Join(j.ctx.Err(), err)
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

// errLost is wrapped by the error of an Update whose connection was lost before it committed:
// nothing has changed.
var errLost = errors.New("the connection was lost")

func (s *Store) tryPostgres(j *job) (err error) {
	level := "SERIALIZABLE"
	if j.adds {
		level = "READ COMMITTED"
	}
	c, err := s.begin(j.ctx, "BEGIN ISOLATION LEVEL "+level)
	if err != nil {
		return err
	}
	defer s.give(c)
	committing := false
	defer func() {
		switch {
		case err == nil:
		case !c.lost():
			if failed := c.exec("rollback", "ROLLBACK"); failed != nil {
				err = errors.Join(err, failed)
			}
		case !committing:
			err = errors.Join(errLost, err)
		}
	}()
	if j.relaxed {
		if err := c.exec("relax", "SET LOCAL synchronous_commit = off"); err != nil {
			return err
		}
	}
	t := &tx{c: c, writable: true}
	if err := protect(j.fn, t); err != nil {
		return err
	}
	j.after = t.after
	if err := t.notify(); err != nil {
		return err
	}
	committing = true
	return c.exec("commit", "COMMIT")
}

// again reports whether an Update may be run again after an error: PostgreSQL broke it off
// because of another, or the connection was lost before the end.
func again(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01" // serialization_failure, deadlock_detected
	}
	return errors.Is(err, errLost)
}

// schemaLock is held while the schema is made or upgraded, by one process.
const schemaLock = applicationID

// migratePostgres brings the database to the newest schema.
func migratePostgres(c *conn) (err error) {
	if err := c.script("begin", "BEGIN"); err != nil {
		return err
	}
	defer func() {
		if err != nil && !c.lost() {
			err = errors.Join(err, c.script("rollback", "ROLLBACK"))
		}
	}()
	if err := c.script("lock", fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", schemaLock)); err != nil {
		return err
	}
	if err := c.script("schema", "CREATE TABLE IF NOT EXISTS esplanade_schema (version BIGINT NOT NULL)"); err != nil {
		return err
	}
	var version int64
	if err := c.one("schema", "SELECT coalesce(max(version), 0) FROM esplanade_schema", nil, integer[int64]{&version}); err != nil {
		return err
	}
	newest := int64(len(migrations))
	if version > newest {
		return fmt.Errorf("schema version %d, the newest known is %d: %w", version, newest, meta.ErrNewerSchema)
	}
	// Whoever waits to change a table holds up all that come after, so nobody waits for long.
	if err := c.script("lock", "SET LOCAL lock_timeout = '1s'"); err != nil {
		return err
	}
	for i := version; i < newest; i++ {
		if err := c.script("migration", inPostgres(migrations[i])); err != nil {
			return err
		}
		if fill := backfills[int(i)+1]; fill != nil && version > 0 {
			if err := fill(c); err != nil {
				return err
			}
		}
	}
	if version < newest {
		if err := c.script("migration", fmt.Sprintf("DELETE FROM esplanade_schema; INSERT INTO esplanade_schema (version) VALUES (%d)", newest)); err != nil {
			return err
		}
	}
	if err := know(c); err != nil {
		return err
	}
	return c.script("migration", "COMMIT")
}

// postgresTypes are the types of columns as PostgreSQL has them. Text is compared by its
// bytes, as everywhere else.
var postgresTypes = strings.NewReplacer(
	" STRICT, WITHOUT ROWID;", ";", " STRICT;", ";", " INTEGER", " BIGINT", " BLOB", " BYTEA", " TEXT", ` TEXT COLLATE "C"`,
)

// inPostgres translates a migration.
func inPostgres(script string) string { return postgresTypes.Replace(script) }
