package sqlmeta

import (
	"errors"
	"fmt"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// applicationID marks the file as ours ("Espl"), so that another program's database is
// not taken for an empty one.
const applicationID = 0x4573706c

// migrations lead from each version of the schema to the next: the first makes version 1
// out of an empty database. One that has been released is never changed.
//
// On PostgreSQL nodes of the version before go on serving while and after one runs, until they
// are replaced too. So a migration only adds: tables, indexes, and columns with a default. What
// the version before writes must be good for the new one, and a table is locked for a moment
// alone: an index on one that may be large wants CREATE INDEX CONCURRENTLY, outside of the
// transaction, which no migration has needed yet.
//
// Times are nanoseconds since 1970, in UTC. Tables whose rows are small are clustered by
// their primary key; manifest is not, for its bytes.
var migrations = []string{`
CREATE TABLE registry (
	account TEXT PRIMARY KEY,
	created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alias (
	name       TEXT PRIMARY KEY,
	account    TEXT NOT NULL,
	status     TEXT NOT NULL,
	is_default INTEGER NOT NULL,
	is_primary INTEGER NOT NULL,
	created    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_account ON alias (account);

CREATE TABLE repository (
	account    TEXT NOT NULL,
	name       TEXT NOT NULL,
	id         INTEGER NOT NULL UNIQUE,
	visibility TEXT NOT NULL,
	created    INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest (
	repository    INTEGER NOT NULL,
	digest        TEXT NOT NULL,
	media_type    TEXT NOT NULL,
	artifact_type TEXT NOT NULL,
	config_type   TEXT NOT NULL,
	size          INTEGER NOT NULL,
	image_size    INTEGER NOT NULL,
	platform      TEXT NOT NULL,
	subject       TEXT NOT NULL,
	annotations   TEXT NOT NULL,
	pushed        INTEGER NOT NULL,
	pushed_by     TEXT NOT NULL,
	raw           BLOB NOT NULL,
	PRIMARY KEY (repository, digest)
) STRICT;
CREATE INDEX manifest_subject ON manifest (repository, subject, digest) WHERE subject <> '';

CREATE TABLE edge (
	repository INTEGER NOT NULL,
	parent     TEXT NOT NULL,
	child      TEXT NOT NULL,
	kind       INTEGER NOT NULL,
	PRIMARY KEY (repository, parent, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_child ON edge (repository, child, parent);

CREATE TABLE tag (
	repository INTEGER NOT NULL,
	name       TEXT NOT NULL,
	digest     TEXT NOT NULL,
	moved      INTEGER NOT NULL,
	PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_digest ON tag (repository, digest, name);

CREATE TABLE move (
	repository  INTEGER NOT NULL,
	tag         TEXT NOT NULL,
	sequence    INTEGER NOT NULL,
	from_digest TEXT NOT NULL,
	to_digest   TEXT NOT NULL,
	at          INTEGER NOT NULL,
	by          TEXT NOT NULL,
	PRIMARY KEY (repository, tag, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
	digest   TEXT PRIMARY KEY,
	size     INTEGER NOT NULL,
	segments TEXT NOT NULL,
	created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
	repository INTEGER NOT NULL,
	digest     TEXT NOT NULL,
	created    INTEGER NOT NULL,
	PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_blob ON link (digest, repository);

CREATE TABLE upload (
	id         TEXT PRIMARY KEY,
	repository INTEGER NOT NULL,
	principal  TEXT NOT NULL,
	algorithm  TEXT NOT NULL,
	state      BLOB NOT NULL,
	position   INTEGER NOT NULL,
	segments   TEXT NOT NULL,
	key        TEXT NOT NULL,
	started    INTEGER NOT NULL,
	active     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE review (
	kind       TEXT NOT NULL,
	subject    TEXT NOT NULL,
	repository INTEGER NOT NULL,
	due        INTEGER NOT NULL,
	PRIMARY KEY (kind, subject, repository)
) STRICT, WITHOUT ROWID;
CREATE INDEX review_due ON review (due);

CREATE TABLE event (
	sequence   INTEGER PRIMARY KEY,
	repository INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	data       BLOB NOT NULL
) STRICT;

CREATE TABLE sink (
	name   TEXT PRIMARY KEY,
	cursor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stall (
	sink       TEXT NOT NULL,
	repository INTEGER NOT NULL,
	sequence   INTEGER NOT NULL,
	attempts   INTEGER NOT NULL,
	retry      INTEGER NOT NULL,
	reason     TEXT NOT NULL,
	PRIMARY KEY (sink, repository)
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_key (
	id        TEXT PRIMARY KEY,
	algorithm TEXT NOT NULL,
	private   BLOB NOT NULL,
	created   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
	namespace TEXT NOT NULL,
	key       TEXT NOT NULL,
	value     BLOB NOT NULL,
	PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE sequence (
	value INTEGER NOT NULL
) STRICT;
INSERT INTO sequence (value) VALUES (0);
`, `
ALTER TABLE registry ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
ALTER TABLE registry ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alias ADD COLUMN skeleton TEXT NOT NULL DEFAULT '';
ALTER TABLE alias ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
CREATE INDEX alias_skeleton ON alias (skeleton) WHERE skeleton <> '';
ALTER TABLE repository ADD COLUMN has_policy INTEGER NOT NULL DEFAULT 0;

CREATE TABLE alias_request (
	account   TEXT NOT NULL,
	alias     TEXT NOT NULL,
	status    TEXT NOT NULL,
	reason    TEXT NOT NULL,
	challenge TEXT NOT NULL,
	requested INTEGER NOT NULL,
	decided   INTEGER NOT NULL,
	PRIMARY KEY (account, alias)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_request_pending ON alias_request (account, alias) WHERE status = 'PENDING';

CREATE TABLE repository_policy (
	repository INTEGER PRIMARY KEY,
	text       TEXT NOT NULL,
	changed    INTEGER NOT NULL,
	changed_by TEXT NOT NULL
) STRICT;

CREATE TABLE catalog (
	repository        INTEGER PRIMARY KEY,
	description       TEXT NOT NULL,
	architectures     TEXT NOT NULL,
	operating_systems TEXT NOT NULL,
	about             TEXT NOT NULL,
	usage             TEXT NOT NULL,
	logo              TEXT NOT NULL,
	logo_type         TEXT NOT NULL,
	logo_digest       TEXT NOT NULL,
	logo_size         INTEGER NOT NULL,
	certified         INTEGER NOT NULL
) STRICT;

CREATE TABLE resource_tag (
	repository INTEGER NOT NULL,
	key        TEXT NOT NULL,
	value      TEXT NOT NULL,
	PRIMARY KEY (repository, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_key (
	id        TEXT PRIMARY KEY,
	account   TEXT NOT NULL,
	principal TEXT NOT NULL,
	secret    TEXT NOT NULL,
	created   INTEGER NOT NULL,
	disabled  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_key_principal ON access_key (account, principal);

CREATE TABLE principal (
	account  TEXT NOT NULL,
	name     TEXT NOT NULL,
	policies TEXT NOT NULL,
	tags     TEXT NOT NULL,
	PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE tag ADD COLUMN place TEXT NOT NULL DEFAULT '';
CREATE INDEX tag_place ON tag (repository, place, name);
CREATE INDEX move_sequence ON move (repository, sequence);
`, `
CREATE TABLE counter (
	repository INTEGER NOT NULL,
	name       TEXT NOT NULL,
	at         INTEGER NOT NULL,
	value      INTEGER NOT NULL,
	PRIMARY KEY (repository, name, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE flush (
	node   TEXT PRIMARY KEY,
	number INTEGER NOT NULL,
	at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`}

// backfills fill columns that SQL alone cannot, once the schema has the version.
var backfills = map[int]func(*conn) error{3: placeTags}

// placeTags gives the tags of version 2 their place in the order of [manifest.TagOrder].
func placeTags(c *conn) error {
	names, err := all(c, "tag", "SELECT DISTINCT name FROM tag", nil, func(s *string) []column { return []column{text[string]{s}} })
	if err != nil {
		return err
	}
	if err := c.script("migration", "CREATE INDEX migration_tag ON tag (name)"); err != nil {
		return err
	}
	for _, name := range names {
		if err := c.exec("migration", "UPDATE tag SET place = ? WHERE name = ?", manifest.TagOrder(name), name); err != nil {
			return err
		}
	}
	return c.script("migration", "DROP INDEX migration_tag")
}

// migrate brings the database to the newest schema, in one transaction.
func migrate(c *conn) (err error) {
	if err := c.script("begin", "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.script("rollback", "ROLLBACK"))
		}
	}()
	var id, version, tables int64
	if err := c.one("schema", "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)",
		nil, integer[int64]{&id}, integer[int64]{&version}, integer[int64]{&tables}); err != nil {
		return err
	}
	newest := int64(len(migrations))
	if id != applicationID && (id != 0 || tables > 0) {
		return fmt.Errorf("not a database of this library (application id %#x)", id)
	}
	if version > newest {
		return fmt.Errorf("schema version %d, the newest known is %d: %w", version, newest, meta.ErrNewerSchema)
	}
	if version == newest {
		return c.script("end of migration", "ROLLBACK") // writes nothing: the disk may be full
	}
	for i, script := range migrations[version:] {
		if err := c.script("migration", script); err != nil {
			return err
		}
		if fill := backfills[int(version)+i+1]; fill != nil {
			if err := fill(c); err != nil {
				return err
			}
		}
	}
	return c.script("migration", fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", applicationID, newest))
}
