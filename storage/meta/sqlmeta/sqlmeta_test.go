package sqlmeta_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/metatest"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

func open(t testing.TB) *sqlmeta.Store {
	t.Helper()
	s, err := sqlmeta.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "a b?c#d%41.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	metatest.Run(t, func(t *testing.T) meta.Store { return open(t) })
}

func TestReopenKeepsRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "meta.db")
	want := meta.Registry{Account: "123456789012", Created: time.Unix(1, 2).UTC()}
	for i := range 3 {
		s, err := sqlmeta.OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := s.Update(t.Context(), func(tx meta.Tx) error { return tx.Registries().Put(want) }); err != nil {
				t.Fatal(err)
			}
		}
		err = s.View(t.Context(), func(tx meta.Tx) error {
			got, err := tx.Registries().Get(want.Account)
			if err == nil && got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			return err
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusesOtherDatabases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		newer        bool
	}{
		{"a newer schema", "PRAGMA application_id = 0x4573706c; PRAGMA user_version = 999", true},
		{"another program's", "PRAGMA application_id = 7", false},
		{"somebody's tables", "CREATE TABLE t (x)", false},
	} {
		path := filepath.Join(t.TempDir(), "meta.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(c.script); err != nil {
			t.Fatal(err)
		}
		db.Close()
		_, err = sqlmeta.OpenSQLite(t.Context(), path)
		if err == nil || errors.Is(err, meta.ErrNewerSchema) != c.newer {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestUpgrade opens a database of version 2 of the schema: its tags get their places.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "meta.db")
	s, err := sqlmeta.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx meta.Tx) error {
		for _, name := range []string{"a", "1.2", "1.10", "latest"} {
			if err := tx.Tags().Put(meta.Tag{Repository: 1, Name: name, Digest: "d"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("DROP INDEX tag_place; ALTER TABLE tag DROP COLUMN place; DROP INDEX move_sequence; DROP TABLE counter; DROP TABLE flush; PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if s, err = sqlmeta.OpenSQLite(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(tx meta.Tx) error {
		tags, err := tx.TagsInOrder(1, "", 10)
		var names []string
		for _, tag := range tags {
			names = append(names, tag.Name)
		}
		if diff := cmp.Diff([]string{"latest", "1.10", "1.2", "a"}, names); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Error(err)
	}
}
