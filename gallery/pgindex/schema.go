package pgindex

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// layout has to change with the schema, and with what an [entry] is.
const layout = 1

// version tells tables apart that do not hold the same.
func version(w *match.Weights) int64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %v", layout, match.Version(), *w)
	return int64(h.Sum64())
}

// schema is of an empty index. Ids of documents are in the order of merit, see match.Merit;
// so what is found first is what matters most.
//
// The GIN indexes have no list of what is still to be added to them (fastupdate): every
// search would read through it.
const schema = `
DROP TABLE IF EXISTS esplanade_index, esplanade_index_document, esplanade_index_lexemes, esplanade_index_word, esplanade_index_known;

CREATE TABLE esplanade_index (
	version   BIGINT NOT NULL,
	documents BIGINT NOT NULL,
	sequence  BIGINT NOT NULL
);

CREATE TABLE esplanade_index_document (
	id       BIGINT PRIMARY KEY,
	name     BYTEA NOT NULL UNIQUE,
	hash     BYTEA NOT NULL,
	pulls    BIGINT NOT NULL,
	updated  DOUBLE PRECISION NOT NULL,
	verified BOOLEAN NOT NULL,
	stuffed  BOOLEAN NOT NULL,
	phrases  TEXT NOT NULL,
	words    TEXT NOT NULL,
	body     TEXT NOT NULL, -- words of the text alone
	data     BYTEA NOT NULL,
	text     BYTEA NOT NULL
);
CREATE INDEX esplanade_index_document_pulls ON esplanade_index_document (pulls DESC, id);
CREATE INDEX esplanade_index_document_updated ON esplanade_index_document (updated DESC, id);

CREATE TABLE esplanade_index_lexemes (
	id      BIGINT PRIMARY KEY,
	lexemes TSVECTOR NOT NULL,
	folded  TEXT NOT NULL
);
CREATE INDEX esplanade_index_lexemes_lexemes ON esplanade_index_lexemes USING gin (lexemes) WITH (fastupdate = off);
CREATE INDEX esplanade_index_lexemes_folded ON esplanade_index_lexemes USING gin (folded gin_trgm_ops) WITH (fastupdate = off);

-- Its counts change with every document. Rows have room for that, and no index has a count.
CREATE TABLE esplanade_index_word (
	word      TEXT COLLATE "C" PRIMARY KEY,
	documents BIGINT NOT NULL,
	named     BIGINT NOT NULL, -- documents with the word in the name
	keyed     BIGINT NOT NULL, -- in the name or a keyword
	spoken    BIGINT NOT NULL, -- of which it is more than the name without separators
	weight    BIGINT NOT NULL,
	length    INTEGER NOT NULL,
	slips     TEXT[] COLLATE "C" NOT NULL,
	said      BOOLEAN GENERATED ALWAYS AS (spoken > 0) STORED
) WITH (fillfactor = 70);
CREATE INDEX esplanade_index_word_said ON esplanade_index_word (word) WHERE said;
CREATE INDEX esplanade_index_word_slips ON esplanade_index_word USING gin (slips) WITH (fastupdate = off);

CREATE TABLE esplanade_index_known (
	key      TEXT COLLATE "C" NOT NULL,
	name     TEXT COLLATE "C" NOT NULL,
	document BIGINT NOT NULL,
	PRIMARY KEY (key, name, document)
);
CREATE INDEX esplanade_index_known_document ON esplanade_index_known (document);
`

// oldest is the oldest version of PostgreSQL that will do.
const oldest = 14

// prepare makes the tables, empty, unless they are there and of this version.
func (x *Index) prepare(ctx context.Context, tx pgx.Tx) error {
	var server int
	var encoding string
	var there bool
	if err := tx.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'), to_regclass('esplanade_index') IS NOT NULL").
		Scan(&server, &encoding, &there); err != nil {
		return err
	}
	if server < oldest || encoding != "UTF8" {
		return fmt.Errorf("PostgreSQL %d with a database in %s; it must be %d or later, and UTF8", server, encoding, oldest)
	}
	if there {
		var current int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM esplanade_index WHERE version = $1", x.version).Scan(&current); err != nil || current > 0 {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pg_trgm"); err != nil {
		return fmt.Errorf("the extension pg_trgm is needed; somebody with the right to has to install it in this database (CREATE EXTENSION pg_trgm): %w", err)
	}
	if _, err := tx.Exec(ctx, schema); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO esplanade_index VALUES ($1, 0, 0)", x.version)
	return err
}

// errReplaced is what nodes get whose tables others have made anew.
var errReplaced = errors.New("another version of the program, or one with another ranker, has made the index anew")
