// Package sqlmeta is a meta.Store in an SQL database: SQLite, in one file that one process
// opens ([OpenSQLite]), or PostgreSQL, which any number of processes share ([OpenPostgres]).
//
// # SQLite: durability
//
// The database is in write-ahead mode. An Update returns once its commit has been synced
// to disk; one that is [meta.Relaxed] once the operating system has it. Updates that come
// at the same time share a commit, up to 64 of them, so that what a sync costs is shared
// too. If a sync fails, nothing is written any more until the file is opened again: what the
// system could not write it may have forgotten.
//
// # SQLite: backup
//
// Copy the file with SQLite's own means (the .backup command, VACUUM INTO); a plain copy of
// a file that is in use may miss what is still in its log.
//
// # PostgreSQL
//
// Version 14 or later. Updates are SERIALIZABLE transactions; those that PostgreSQL breaks off
// because of another are run again within Update, after a pause that grows. A [meta.Relaxed]
// one commits without waiting for the disk (synchronous_commit = off); others wait as the
// server is configured to, so synchronous_commit must not be off there. Sequences are made of
// the number of the transaction: no two Updates wait for each other because of them, and their
// order is that of transactions, not of commits.
//
// Processes tell each other what they change by NOTIFY, over one more connection each
// ([Watched.Watch]); a registry caches nothing while that connection is lost.
package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Store implements [meta.Store].
type Store struct {
	connect func() (*conn, error)
	conns   chan *conn // for reading; nil where the connection is yet to be opened
	view    string     // begins one
	update  func(*job) error
	close   func() error // what is not in conns
}

// OpenSQLite opens or creates the database file, and upgrades its schema. The error wraps
// [meta.ErrNewerSchema] if the file has been upgraded beyond what this version knows.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s, err := open(dsn(path))
	if err != nil {
		return nil, fmt.Errorf("sqlmeta: open %s: %w", path, err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("sqlmeta: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

// dsn sets what every connection needs: a wait for locks that other processes (a backup)
// hold, a page cache of 1 MiB where SQLite would take 2, and a log of up to 16 MiB where it
// would be copied back at 4.
func dsn(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-1024)&_pragma=temp_store(MEMORY)&_pragma=wal_autocheckpoint(4000)"
}

// maxReaders bounds the connections that read; each holds a page cache.
const maxReaders = 8

func open(dsn string) (*Store, error) {
	c, err := connect(dsn)
	if err != nil {
		return nil, err
	}
	// Inserts go to random places of the indexes, whose pages had better be here.
	if err := errors.Join(c.script("writer's cache", "PRAGMA cache_size = -3072"), migrate(c)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	w := newWriter(c)
	s := newStore(max(2, min(maxReaders, 2*runtime.GOMAXPROCS(0))), "BEGIN", func() (*conn, error) { return connect(dsn) })
	s.update = w.do
	s.close = func() error {
		w.turn <- struct{}{} // forever: no Update comes after
		return w.conn.close()
	}
	return s, nil
}

// newStore returns a store that reads over so many connections.
func newStore(conns int, view string, connect func() (*conn, error)) *Store {
	s := &Store{connect: connect, view: view, conns: make(chan *conn, conns)}
	for range conns {
		s.conns <- nil
	}
	return s
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
	err := s.close()
	for range cap(s.conns) {
		if c := <-s.conns; c != nil {
			err = errors.Join(err, c.close())
		}
	}
	return err
}

// read lends a connection to fn.
func (s *Store) read(ctx context.Context, fn func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// After the server has been restarted, each connection of before is found out once.
	for left := cap(s.conns); ; left-- {
		c, err := s.take(ctx)
		if err != nil {
			return err
		}
		err = fn(c)
		lost := c.lost()
		s.give(c)
		if err == nil || !lost || left == 0 {
			return err
		}
	}
}

func (s *Store) take(ctx context.Context) (*conn, error) {
	select {
	case c := <-s.conns:
		if c != nil {
			return c, nil
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := s.connect()
	if err != nil {
		s.give(nil)
		return nil, wrap("open", err)
	}
	return c, nil
}

func (s *Store) give(c *conn) {
	if c != nil && c.lost() {
		c.close() //nolint:errcheck // it is lost
		c = nil
	}
	s.conns <- c
}

// one runs a query that answers at most one row, in no transaction.
func (s *Store) one(ctx context.Context, what, query string, args []any, dest ...column) error {
	return s.read(ctx, func(c *conn) error { return c.one(what, query, args, dest...) })
}

// repositoryOf begins the statements that go from an alias and a name to a repository. The
// joins are outer ones: an alias without the repository, or the repository without what is
// asked for, is a row with nulls.
const repositoryOf = ` FROM alias a LEFT JOIN repository r ON r.account = a.account AND r.name = ?2
`

const (
	repositoryColumns = `SELECT a.account, r.name, r.id, r.visibility, r.created, r.created_by, r.has_policy`
	activeAlias       = `WHERE a.name = ?1 AND a.status = 'ACTIVE'`
	findRepository    = repositoryColumns + repositoryOf + activeAlias
)

// Find implements [meta.Store].
func (s *Store) Find(ctx context.Context, alias, name string) (r meta.Repository, err error) {
	err = s.one(ctx, "repository", findRepository, []any{alias, name}, repositories.dest(&r)...)
	if err == nil && r.ID == 0 {
		err = notExist("repository")
	}
	return r, err
}

// The two ways to a manifest, with what a pull needs of it.
const (
	resolveColumns = repositoryColumns + `, m.digest, m.media_type, m.artifact_type, m.size, m.raw` + repositoryOf
	resolveDigest  = resolveColumns + `LEFT JOIN manifest m ON m.repository = r.id AND m.digest = ?3
` + activeAlias
	resolveTag = resolveColumns + `LEFT JOIN tag t ON t.repository = r.id AND t.name = ?3
LEFT JOIN manifest m ON m.repository = r.id AND m.digest = t.digest
` + activeAlias
)

// Resolve implements [meta.Store].
func (s *Store) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (r meta.Repository, m meta.Manifest, err error) {
	query := resolveTag
	if ref.Digest != "" {
		query = resolveDigest
	}
	dest := append(repositories.dest(&r), text[manifest.Digest]{&m.Digest}, text[string]{&m.MediaType}, text[string]{&m.ArtifactType},
		integer[int64]{&m.Size}, bytes{&m.Raw})
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

var resolveUpload = repositoryColumns + ", u." + strings.Join(uploads.columns, ", u.") + repositoryOf +
	"LEFT JOIN upload u ON u.id = ?3 AND u.repository = r.id\n" + activeAlias

// Upload implements [meta.Store].
func (s *Store) Upload(ctx context.Context, alias, name string, id meta.UploadID) (r meta.Repository, u meta.Upload, err error) {
	err = s.one(ctx, "repository", resolveUpload, []any{alias, name, string(id)}, append(repositories.dest(&r), uploads.dest(&u)...)...)
	if err == nil && u.ID == "" {
		err = notExist("upload")
	}
	return r, u, err
}

// TagNames implements [meta.Store].
func (s *Store) TagNames(ctx context.Context, repo meta.RepositoryID, after string, limit int) (names []string, err error) {
	err = s.read(ctx, func(c *conn) error {
		names, err = all(c, "tag", "SELECT name FROM tag WHERE repository = ? AND name > ? ORDER BY name LIMIT ?",
			[]any{int64(repo), after, limit}, func(s *string) []column { return []column{text[string]{s}} })
		return err
	})
	return names, err
}

// View implements [meta.Store].
func (s *Store) View(ctx context.Context, fn func(meta.Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &tx{open: func() (*conn, error) { return s.begin(ctx, s.view) }}
	defer func() {
		if t.c != nil {
			err = errors.Join(err, t.c.exec("end of view", "ROLLBACK"))
			s.give(t.c)
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
	return s.update(j)
}

// begin takes a connection and begins a transaction on it. One that was lost while nobody
// used it is replaced.
func (s *Store) begin(ctx context.Context, how string) (*conn, error) {
	for range cap(s.conns) {
		c, err := s.take(ctx)
		if err != nil {
			return nil, err
		}
		if err = c.exec("begin", how); err == nil {
			return c, nil
		}
		lost := c.lost()
		s.give(c)
		if !lost {
			return nil, err
		}
	}
	return nil, errors.New("sqlmeta: every connection was lost")
}
