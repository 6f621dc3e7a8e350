// Package sqlindex is a gallery.Index in an SQLite database: full-text search (FTS5) finds
// candidates, which are then ordered as gallery/memindex orders them.
//
// # When to choose it
//
// gallery/memindex answers faster, and needs some 2 KB of memory for each repository on
// every node, and all documents again whenever it starts. This index keeps them in a file
// and needs a few megabytes of memory whatever their number: for many repositories on small
// machines, and for hosts that want to search at once after a start.
//
// # The file
//
// What is in it is derived from documents that the host has elsewhere. A file that was
// written by another version of this package, or for a ranker with other weights, is
// emptied when it is opened: [Index.Len] tells a host that it has to put everything again.
// Commits are not synced to disk, so after the system (not the program) has crashed the last
// changes may be missing. One process writes; others may read.
//
// # Limits
//
// A search scores some 1,500 documents at most, those that the ranker puts first if nothing
// but the documents themselves counts, in each of what has the words in its name, among its
// keywords and anywhere. Where more have them, as with common words, Results.Total, the
// facets and the pages are of these candidates, and so are orders other than relevance. A
// word of the text alone is found, but is neither what a slip is corrected to nor completed.
package sqlindex

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // the driver

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// Index implements [gallery.Index] and [gallery.Keeper]. Make one with [Open].
type Index struct {
	ranker  gallery.Ranker
	weights *match.Weights
	readers *sql.DB
	writer  *sql.DB
}

// Open opens or creates the file of an index. The ranker may be nil: gallery.DefaultRanker.
func Open(ctx context.Context, path string, r gallery.Ranker) (*Index, error) {
	if path == "" {
		return nil, errors.New("sqlindex: no path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlindex: %w", err)
	}
	if r == nil {
		r = gallery.DefaultRanker{}
	}
	x := &Index{ranker: r, weights: match.NewWeights(r)}
	if x.writer, err = open(path, "&_txlock=immediate", 1); err == nil {
		x.readers, err = open(path, "", max(2, runtime.GOMAXPROCS(0)))
	}
	if err == nil {
		err = x.write(ctx, func(w *writer) error { return w.prepare(x.version()) })
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlindex: open %s: %w", path, err), x.Close())
	}
	return x, nil
}

func open(path, options string, connections int) (*sql.DB, error) {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cache_size(-4096)&_pragma=temp_store(MEMORY)"+options)
	if err == nil {
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
	}
	return db, err
}

// Close closes the file.
func (x *Index) Close() error {
	var errs []error
	for _, db := range []*sql.DB{x.readers, x.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Len returns how many documents there are.
func (x *Index) Len(ctx context.Context) (n int, err error) {
	err = transaction(ctx, x.readers, func(tx *sql.Tx) error { return tx.QueryRow("SELECT documents FROM state").Scan(&n) })
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
			err := transaction(ctx, x.readers, func(tx *sql.Tx) error {
				s := &search{ctx: ctx, tx: tx}
				s.rows("SELECT name FROM document WHERE name > ? ORDER BY name LIMIT ?", []any{after, namesPage}, func(scan func(...any) error) error {
					var name []byte
					err := scan(&name)
					names = append(names, name)
					return err
				})
				return s.err
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

// applicationID marks the file as one of this package ("Espx").
const applicationID = 0x45737078

// layout has to change with the schema.
const layout = 1

// version tells files apart that do not hold the same.
func (x *Index) version() int32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%d %d %v", layout, match.Version(), *x.weights)
	return int32(h.Sum32() & math.MaxInt32)
}

// schema is of an empty file. Rows of document are in the order of merit, see match.Merit, and
// words in it has the same rowids; so what is found first is what matters most.
const schema = `
CREATE TABLE state (sequence INTEGER NOT NULL, documents INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (0, 0);

CREATE TABLE document (
	id      INTEGER PRIMARY KEY,
	name    BLOB NOT NULL UNIQUE,
	pulls   INTEGER NOT NULL,
	updated REAL NOT NULL,
	stuffed INTEGER NOT NULL,
	phrases TEXT NOT NULL,
	filters TEXT NOT NULL,
	words   TEXT NOT NULL,
	data    BLOB NOT NULL,
	text    BLOB NOT NULL
) STRICT;
CREATE INDEX document_pulls ON document (pulls DESC, name);
CREATE INDEX document_updated ON document (updated DESC, name);

CREATE VIRTUAL TABLE words USING fts5 (name, keyword, body, filter, content='', contentless_delete=1, detail='column', tokenize='ascii', prefix='3');
CREATE VIRTUAL TABLE parts USING fts5 (folded, content='', contentless_delete=1, tokenize='trigram');

CREATE TABLE word (
	word      TEXT PRIMARY KEY,
	documents INTEGER NOT NULL,
	spoken    INTEGER NOT NULL, -- documents of which it is more than the name without separators
	weight    INTEGER NOT NULL,
	length    INTEGER NOT NULL,
	head      TEXT NOT NULL,
	tail      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX word_spoken ON word (word) WHERE spoken > 0;
CREATE INDEX word_head ON word (head, length);
CREATE INDEX word_tail ON word (tail, length);

CREATE TABLE known (
	key      TEXT NOT NULL,
	name     TEXT NOT NULL,
	document INTEGER NOT NULL,
	pulls    INTEGER NOT NULL,
	verified INTEGER NOT NULL,
	PRIMARY KEY (key, name, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_document ON known (document);
`

// prepare brings the file to a version, empty unless it has that one.
func (w *writer) prepare(version int32) error {
	var id, have, tables int64
	if err := w.tx.QueryRow("SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)").Scan(&id, &have, &tables); err != nil {
		return err
	}
	if id != applicationID && (id != 0 || tables > 0) {
		return fmt.Errorf("not a file of this package (application id %#x)", id)
	}
	if id == applicationID && have == int64(version) {
		return nil
	}
	var drop []string
	rows, err := w.tx.Query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'words_*' AND name NOT GLOB 'parts_*'")
	if err != nil {
		return err
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return errors.Join(err, rows.Close())
		}
		drop = append(drop, fmt.Sprintf("DROP TABLE %q;", name))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = w.tx.Exec(strings.Join(drop, "\n") + schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, version))
	return err
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("sqlindex: %s: %w", what, err)
	}
	return nil
}
