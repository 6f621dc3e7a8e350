package sqlmeta

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"modernc.org/sqlite"
)

// conn is one connection with its prepared statements, used by one goroutine at a time. It
// speaks to the driver directly: going through database/sql made a cold pull a third dearer
// (measured), and its pool cannot tell the one connection that writes from the others.
type conn struct {
	c       driver.Conn
	stmts   map[string]driver.Stmt
	dialect dialect
}

// dialect is how a database differs from SQLite, which the statements are written for.
type dialect struct {
	query    func(string) string    // rewrites a statement; nil: it stays
	closed   func(driver.Conn) bool // reports whether a connection was lost; nil: it cannot be
	hint     string                 // before the name of an index that is to be used; "" where the database needs no hint
	sequence string                 // the statement that draws a number, "" where transactions are numbered
	settled  string                 // the condition on events that none can precede any more; "" where all are such
}

// by says that an index is to be used.
func (d dialect) by(index string) string {
	if d.hint == "" {
		return ""
	}
	return d.hint + index
}

// lost reports whether the connection is of no use any more.
func (c *conn) lost() bool { return c.dialect.closed != nil && c.dialect.closed(c.c) }

// sqlite is the dialect that needs no translation.
var sqliteDialect = dialect{hint: " INDEXED BY ", sequence: "UPDATE sequence SET value = value + 1 RETURNING value"}

func connect(dsn string) (*conn, error) {
	c, err := new(sqlite.Driver).Open(dsn)
	if err != nil {
		return nil, err
	}
	return &conn{c, map[string]driver.Stmt{}, sqliteDialect}, nil
}

func (c *conn) close() error {
	if c.dialect.closed != nil {
		c.c.Close() //nolint:errcheck // the server forgets all there is; it may have left already
		return nil
	}
	var err error
	for _, s := range c.stmts {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, c.c.Close())
}

// background is the context of statements. The driver starts a goroutine for each
// statement under a context that can end, and a statement here takes microseconds: contexts
// are asked before, not during.
var background = context.Background()

// script runs statements that are not worth preparing.
func (c *conn) script(what, text string) error {
	_, err := c.c.(driver.ExecerContext).ExecContext(background, text, nil)
	return wrap(what, err)
}

func (c *conn) prepare(query string) (driver.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	text := query
	if c.dialect.query != nil {
		text = c.dialect.query(query)
	}
	s, err := c.c.Prepare(text)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

// exec runs a statement; what names it in errors.
func (c *conn) exec(what, query string, args ...any) error {
	s, err := c.prepare(query)
	if err == nil {
		_, err = s.(driver.StmtExecContext).ExecContext(background, named(args))
	}
	return wrap(what, err)
}

// one reads the first row of a query, or wraps fs.ErrNotExist.
func (c *conn) one(what, query string, args []any, dest ...column) error {
	found := false
	err := c.rows(what, query, args, func(values []driver.Value) (bool, error) {
		found = true
		return false, scan(values, dest)
	})
	if err == nil && !found {
		return notExist(what)
	}
	return err
}

// all reads every row of a query that has a LIMIT.
func all[R any](c *conn, what, query string, args []any, dest func(*R) []column) (list []R, err error) {
	err = c.rows(what, query, args, func(values []driver.Value) (bool, error) {
		var row R
		err := scan(values, dest(&row))
		list = append(list, row)
		return true, err
	})
	return list, err
}

// rows calls fn with each row until it returns false.
func (c *conn) rows(what, query string, args []any, fn func([]driver.Value) (bool, error)) error {
	s, err := c.prepare(query)
	if err != nil {
		return wrap(what, err)
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(background, named(args))
	if err != nil {
		return wrap(what, err)
	}
	values := make([]driver.Value, len(rows.Columns()))
	for more := true; more && err == nil; {
		if err = rows.Next(values); err == nil {
			more, err = fn(values)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return wrap(what, errors.Join(err, rows.Close()))
}

// named makes arguments of values, which are what drivers take but for int and for no
// bytes, which would be NULL.
func named(args []any) []driver.NamedValue {
	list := make([]driver.NamedValue, len(args))
	for i, v := range args {
		switch x := v.(type) {
		case int:
			v = int64(x)
		case bool: // columns of flags are integers
			v = int64(0)
			if x {
				v = int64(1)
			}
		case []byte:
			if x == nil {
				v = []byte{}
			}
		}
		list[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return list
}

func scan(values []driver.Value, dest []column) error {
	if len(values) != len(dest) {
		return fmt.Errorf("%d columns for %d destinations", len(values), len(dest))
	}
	for i, v := range values {
		if err := dest[i].set(v); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("sqlmeta: %s: %w", what, err)
	}
	return nil
}

func notExist(what string) error { return fmt.Errorf("%s: %w", what, fs.ErrNotExist) }
