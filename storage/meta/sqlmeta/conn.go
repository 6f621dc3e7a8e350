package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
)

// conn is one connection with its prepared statements, used by one goroutine at a time.
type conn struct {
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

func newConn(c *sql.Conn) *conn { return &conn{c: c, stmts: map[string]*sql.Stmt{}} }

// background is the context of statements. The driver starts a goroutine for each
// statement under a context that can end (a third dearer, measured), and a statement here
// takes microseconds: contexts are asked before, not during.
var background = context.Background()

func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.c.PrepareContext(background, query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

// exec runs a statement; what names it in errors.
func (c *conn) exec(what, query string, args ...any) error {
	s, err := c.prepare(query)
	if err == nil {
		_, err = s.ExecContext(background, args...)
	}
	if err != nil {
		return fmt.Errorf("sqlmeta: %s: %w", what, err)
	}
	return nil
}

// one reads the only row of a query, or wraps fs.ErrNotExist.
func (c *conn) one(what, query string, args []any, dest ...any) error {
	s, err := c.prepare(query)
	if err == nil {
		err = s.QueryRowContext(background, args...).Scan(dest...)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return notExist(what)
	}
	if err != nil {
		return fmt.Errorf("sqlmeta: %s: %w", what, err)
	}
	return nil
}

// all reads every row of a query that has a LIMIT.
func all[R any](c *conn, what, query string, args []any, dest func(*R) []any) (list []R, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, fmt.Errorf("sqlmeta: %s: %w", what, err)
	}
	rows, err := s.QueryContext(background, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlmeta: %s: %w", what, err)
	}
	defer rows.Close()
	for rows.Next() {
		var row R
		if err := rows.Scan(dest(&row)...); err != nil {
			return nil, fmt.Errorf("sqlmeta: %s: %w", what, err)
		}
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlmeta: %s: %w", what, err)
	}
	return list, nil
}

func notExist(what string) error { return fmt.Errorf("%s: %w", what, fs.ErrNotExist) }
