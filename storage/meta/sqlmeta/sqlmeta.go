// Package sqlmeta is a meta.Store in an SQL database: SQLite, in one file that one process
// opens.
//
// # Durability
//
// The database is in write-ahead mode. An Update returns once its commit has been synced
// to disk; one that is [meta.Relaxed] once the operating system has it. Updates that come
// at the same time share a commit, up to 64 of them, so that what a sync costs is shared
// too.
//
// # Backup
//
// Copy the file with SQLite's own means (the .backup command, VACUUM INTO); a plain copy of
// a file that is in use may miss what is still in its log.
package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // the driver named sqlite

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Store implements [meta.Store].
type Store struct {
	db      *sql.DB
	readers chan *conn // nil where the connection is yet to be opened
	writer  *writer
}

// OpenSQLite opens or creates the database file, and upgrades its schema. The error wraps
// [meta.ErrNewerSchema] if the file has been upgraded beyond what this version knows.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, fmt.Errorf("sqlmeta: %w", err)
	}
	s, err := open(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("sqlmeta: open %s: %w", path, errors.Join(err, db.Close()))
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("sqlmeta: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

// dsn sets what every connection needs: a wait for locks that other processes (a backup)
// hold, and a page cache of 1 MiB where SQLite would take 2.
func dsn(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-1024)&_pragma=temp_store(MEMORY)"
}

func open(ctx context.Context, db *sql.DB) (*Store, error) {
	n := max(2, min(8, 2*runtime.GOMAXPROCS(0)))
	db.SetMaxOpenConns(n + 1)
	db.SetMaxIdleConns(n + 1)
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := migrate(context.WithoutCancel(ctx), c); err != nil {
		return nil, err
	}
	s := &Store{db: db, readers: make(chan *conn, n), writer: newWriter(newConn(c))}
	for range n {
		s.readers <- nil
	}
	return s, nil
}

// syncFolder makes the file's entry in its folder durable. Windows has no such call.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close implements [meta.Store].
func (s *Store) Close() error {
	s.writer.turn <- struct{}{} // forever: no Update comes after
	for range cap(s.readers) {
		<-s.readers
	}
	return s.db.Close()
}

// reader takes a connection; it is given back by release.
func (s *Store) reader(ctx context.Context) (*conn, error) {
	var c *conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c != nil {
		return c, ctx.Err()
	}
	sc, err := s.db.Conn(context.WithoutCancel(ctx))
	if err != nil {
		s.release(nil)
		return nil, fmt.Errorf("sqlmeta: %w", err)
	}
	return newConn(sc), nil
}

func (s *Store) release(c *conn) { s.readers <- c }

// one runs a query that answers at most one row, in no transaction.
func (s *Store) one(ctx context.Context, what, query string, args []any, dest ...any) error {
	c, err := s.reader(ctx)
	if err != nil {
		if c != nil {
			s.release(c)
		}
		return err
	}
	defer s.release(c)
	return c.one(what, query, args, dest...)
}

const findRepository = `SELECT r.account, r.name, r.id, r.visibility, r.created, r.created_by
FROM alias a JOIN repository r ON r.account = a.account AND r.name = ?2
WHERE a.name = ?1 AND a.status = 'ACTIVE'`

// Find implements [meta.Store].
func (s *Store) Find(ctx context.Context, alias, name string) (meta.Repository, error) {
	var r meta.Repository
	err := s.one(ctx, "repository", findRepository, []any{alias, name}, repositories.dest(&r)...)
	return r, err
}

// The two ways to a manifest. A repository without it is one row with nulls.
const (
	resolveDigest = `SELECT r.account, r.name, r.id, r.visibility, r.created, r.created_by,
	m.digest, m.media_type, m.artifact_type, m.config_type, m.size, m.image_size, m.platform, m.subject, m.pushed, m.raw
FROM alias a JOIN repository r ON r.account = a.account AND r.name = ?2
LEFT JOIN manifest m ON m.repository = r.id AND m.digest = ?3
WHERE a.name = ?1 AND a.status = 'ACTIVE'`
	resolveTag = `SELECT r.account, r.name, r.id, r.visibility, r.created, r.created_by,
	m.digest, m.media_type, m.artifact_type, m.config_type, m.size, m.image_size, m.platform, m.subject, m.pushed, m.raw
FROM alias a JOIN repository r ON r.account = a.account AND r.name = ?2
LEFT JOIN tag t ON t.repository = r.id AND t.name = ?3
LEFT JOIN manifest m ON m.repository = r.id AND m.digest = t.digest
WHERE a.name = ?1 AND a.status = 'ACTIVE'`
)

// Resolve implements [meta.Store].
func (s *Store) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	query := resolveTag
	if ref.Digest != "" {
		query = resolveDigest
	}
	var (
		r meta.Repository
		m meta.Manifest
	)
	dest := append(repositories.dest(&r), text[manifest.Digest]{&m.Digest}, text[string]{&m.MediaType}, text[string]{&m.ArtifactType}, text[string]{&m.ConfigType},
		integer{&m.Size}, integer{&m.ImageSize}, text[string]{&m.Platform}, text[manifest.Digest]{&m.Subject}, timestamp{&m.Pushed}, &m.Raw)
	if err := s.one(ctx, "repository", query, []any{alias, name, ref.String()}, dest...); err != nil {
		return r, m, err
	}
	if m.Digest == "" {
		return r, m, notExist("manifest")
	}
	m.Repository = r.ID
	return r, m, nil
}

const linkedBlob = `SELECT b.digest, b.size, b.segments, b.created
FROM link l JOIN blob b ON b.digest = l.digest
WHERE l.repository = ?1 AND l.digest = ?2`

// Linked implements [meta.Store].
func (s *Store) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	var b meta.Blob
	err := s.one(ctx, "blob", linkedBlob, []any{int64(repo), string(d)}, blobs.dest(&b)...)
	return b, err
}

// View implements [meta.Store].
func (s *Store) View(ctx context.Context, fn func(meta.Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &tx{open: func() (*conn, error) {
		c, err := s.reader(ctx)
		if err != nil {
			if c != nil {
				s.release(c)
			}
			return nil, err
		}
		if err := c.exec("begin", "BEGIN"); err != nil {
			s.release(c)
			return nil, err
		}
		return c, nil
	}}
	defer func() {
		if t.c != nil {
			err = errors.Join(err, t.c.exec("end of view", "ROLLBACK"))
			s.release(t.c)
		}
	}()
	return fn(t)
}

// Update implements [meta.Store].
func (s *Store) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	j := &job{ctx: ctx, fn: fn, done: make(chan struct{})}
	for _, o := range opts {
		j.relaxed = j.relaxed || o == meta.Relaxed
	}
	return s.writer.do(j)
}
