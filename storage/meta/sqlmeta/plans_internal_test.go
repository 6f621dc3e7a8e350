package sqlmeta

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// What SQLite is asked is answered by an index too, and by all that the question says: not by
// reading the rows of a repository for those that have a digest.
func TestPlansOfSQLite(t *testing.T) {
	t.Parallel()
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Update(t.Context(), func(tx meta.Tx) error { // what askEverything changes
		return errors.Join(
			tx.Registries().Put(meta.Registry{Account: "000000000001"}), tx.Aliases().Put(meta.Alias{Name: "alias1", Account: "000000000001", Status: meta.AliasActive}),
			tx.Repositories().Put(meta.Repository{ID: 1, Account: "000000000001", Name: "repo1"}), tx.RepositoryPolicies().Put(meta.RepositoryPolicy{Repository: 1}),
			tx.Catalogs().Put(meta.Catalog{Repository: 1}), tx.ResourceTags().Put(meta.ResourceTag{Repository: 1, Key: "key"}), tx.Tags().Put(meta.Tag{Repository: 1, Name: "v2"}),
			tx.Blobs().Put(meta.Blob{Digest: oneDigest}), tx.Uploads().Put(meta.Upload{ID: "1"}), tx.Records().Put(meta.Record{Namespace: "space", Key: "key1"}),
			tx.AccessKeys().Put(meta.AccessKey{ID: "key1"}), tx.Principals().Put(meta.Principal{Account: "000000000001", Name: "root"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	askEverything(t, s)
	for _, query := range statements(s) {
		type step struct {
			id, parent, unused int64
			what               string
		}
		err := s.read(t.Context(), func(c *conn) error {
			steps, err := all(c, "plan", "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?")), func(s *step) []column {
				return []column{integer[int64]{&s.id}, integer[int64]{&s.parent}, integer[int64]{&s.unused}, text[string]{&s.what}}
			})
			for _, s := range steps {
				_, where, _ := strings.Cut(query, " WHERE ")
				whole := strings.HasPrefix(s.what, "SCAN ") && where != "" && !strings.Contains(query, "count(*)")
				part := strings.HasPrefix(s.what, "SEARCH ") && !strings.Contains(query, " JOIN ") && strings.Count(s.what, "=?") < strings.Count(where, " = ?")
				if (whole || part) && !strings.Contains(query, scanned["upload"]) {
					t.Errorf("%s\n%s", query, s.what)
				}
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// statements returns what the store's connections have prepared, but for what begins and ends
// transactions.
func statements(s *Store) (list []string) {
	for range cap(s.conns) {
		c := <-s.conns
		if c != nil {
			for query := range c.stmts {
				if word, _, _ := strings.Cut(query, " "); slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, word) && !slices.Contains(list, query) {
					list = append(list, query)
				}
			}
		}
		s.conns <- c
	}
	return list
}

// scanned is what may be read whole: tables that stay small, and open uploads, whose index by
// activity would be written with every chunk.
var scanned = map[string]string{"sink": "", "stall": "", "signing_key": "", "flush": "", "esplanade_schema": "", "esplanade_server": "", "upload": "active <"}

const oneDigest = manifest.Digest("sha256:c4ca4238a0b923820dcc509a6f75849b")

// askEverything asks the store every question that it answers, and makes every change.
func askEverything(t *testing.T, s meta.Store) {
	t.Helper()
	ctx, d := t.Context(), oneDigest
	check := func(err error) {
		t.Helper()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	_, err := s.Find(ctx, "alias1", "repo1")
	check(err)
	for _, ref := range []manifest.Reference{{Tag: "v2"}, {Digest: d}} {
		_, _, err = s.Resolve(ctx, "alias1", "repo1", ref)
		check(err)
	}
	_, err = s.Linked(ctx, 1, d)
	check(err)
	_, _, err = s.Upload(ctx, "alias1", "repo1", "1")
	check(err)
	_, err = s.TagNames(ctx, 1, "v5", 100)
	check(err)
	check(s.Add(ctx, meta.Flush{Node: "n", Number: 1, Counts: []meta.Counter{{Repository: 1, Name: "pull", At: 3600, Value: 1}}}))
	check(s.View(ctx, func(tx meta.Tx) error {
		var errs []error
		ask := func(_ any, err error) { errs = append(errs, err) }
		ask(tx.AliasesOf("000000000001"))
		ask(tx.AliasesLike("alias1"))
		ask(tx.PendingAliases(meta.AliasRequestKey{Account: "000000000001", Alias: "wish1"}, 100))
		ask(tx.AccessKeysOf(meta.PrincipalKey{Account: "000000000001", Name: "root"}))
		ask(tx.RepositoryByID(1))
		ask(tx.Linked(1, d))
		ask(tx.TagsOf(1, d, 0))
		ask(tx.TagsInOrder(1, "v5", 100))
		ask(tx.MovesOf(1, 100, 100))
		ask(tx.Parents(1, d, 100))
		ask(tx.LinksOf(d, 5, 100))
		ask(tx.Referrers(1, d, nil, "", 100))
		ask(tx.Referrers(1, d, []string{"a"}, d, 100))
		ask(tx.Images(1, d, 100))
		ask(tx.CountImages(1, 100))
		ask(tx.CountRepositories("000000000001", 100))
		ask(tx.LinkedBytes("000000000001"))
		ask(tx.Due(time.Now(), 100))
		ask(tx.CountDue(time.Now(), 100))
		ask(tx.IdleUploads(time.Now(), 100))
		ask(tx.NextEvents(5, 100))
		ask(tx.HasSinks())
		pageOf(tx.Repositories(), meta.RepositoryKey{Account: "000000000001"}, meta.RepositoryKey{Account: "000000000001", Name: "r"}, &errs)
		pageOf(tx.Repositories(), meta.RepositoryKey{}, meta.RepositoryKey{Account: "000000000001", Name: "r"}, &errs)
		pageOf(tx.Tags(), meta.TagKey{Repository: 1}, meta.TagKey{Repository: 1, Name: "v5"}, &errs)
		pageOf(tx.Moves(), meta.MoveKey{Repository: 1, Tag: "v2"}, meta.MoveKey{Repository: 1, Tag: "v2", Sequence: 9}, &errs)
		pageOf(tx.Edges(), meta.EdgeKey{Repository: 1, Parent: d}, meta.EdgeKey{Repository: 1, Parent: d, Child: d}, &errs)
		pageOf(tx.Links(), meta.LinkKey{Repository: 1}, meta.LinkKey{Repository: 1, Digest: d}, &errs)
		pageOf(tx.Blobs(), "", meta.BlobKey(d), &errs)
		pageOf(tx.Manifests(), meta.ManifestKey{Repository: 1}, meta.ManifestKey{Repository: 1, Digest: d}, &errs)
		pageOf(tx.Uploads(), "", "1", &errs)
		pageOf(tx.Events(), 0, 5, &errs)
		pageOf(tx.Reviews(), meta.ReviewKey{Kind: meta.ReviewObject}, meta.ReviewKey{Kind: meta.ReviewObject, Subject: "a"}, &errs)
		pageOf(tx.ResourceTags(), meta.ResourceTagKey{Repository: 1}, meta.ResourceTagKey{Repository: 1, Key: "a"}, &errs)
		pageOf(tx.Records(), meta.RecordKey{Namespace: "space"}, meta.RecordKey{Namespace: "space", Key: "a"}, &errs)
		pageOf(tx.Counters(), meta.CounterKey{Repository: 1, Name: "pull"}, meta.CounterKey{Repository: 1, Name: "pull", At: 5}, &errs)
		return errors.Join(errs...)
	}))
	check(s.Update(ctx, func(tx meta.Tx) error {
		n, err := tx.Sequence()
		return errors.Join(err,
			renew(tx.Registries(), "000000000001"), renew(tx.Aliases(), "alias1"), renew(tx.Repositories(), meta.RepositoryKey{Account: "000000000001", Name: "repo1"}),
			renew(tx.RepositoryPolicies(), 1), renew(tx.Catalogs(), 1), renew(tx.ResourceTags(), meta.ResourceTagKey{Repository: 1, Key: "key"}),
			renew(tx.Tags(), meta.TagKey{Repository: 1, Name: "v2"}), renew(tx.Blobs(), meta.BlobKey(d)), renew(tx.Uploads(), "1"),
			renew(tx.Records(), meta.RecordKey{Namespace: "space", Key: "key1"}), renew(tx.AccessKeys(), "key1"),
			renew(tx.Principals(), meta.PrincipalKey{Account: "000000000001", Name: "root"}),
			tx.Moves().Put(meta.Move{Repository: 1, Tag: "v2", Sequence: n}), tx.Moves().Delete(meta.MoveKey{Repository: 1, Tag: "v2", Sequence: n}),
			tx.Manifests().Put(meta.Manifest{Repository: 1, Digest: "x"}), tx.Manifests().Delete(meta.ManifestKey{Repository: 1, Digest: "x"}),
			tx.Edges().Put(meta.Edge{Repository: 1, Parent: "x", Child: "y"}), tx.Edges().Delete(meta.EdgeKey{Repository: 1, Parent: "x", Child: "y"}),
			tx.Links().Put(meta.Link{Repository: 1, Digest: "x"}), tx.Links().Delete(meta.LinkKey{Repository: 1, Digest: "x"}),
			tx.Reviews().Put(meta.Review{Kind: meta.ReviewLink, Subject: "x"}), tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewLink, Subject: "x"}),
			tx.Events().Put(meta.Event{Sequence: n}), tx.Events().Delete(meta.EventKey(n)), tx.Counters().Delete(meta.CounterKey{Repository: 1, Name: "x"}),
		)
	}))
}

// pageOf reads some rows from the start and some after a key, in both directions.
func pageOf[K meta.Key, R any](table meta.Table[K, R], prefix, after K, errs *[]error) {
	var none K
	for _, from := range []K{none, after} {
		for _, reverse := range []bool{false, true} {
			for _, err := range table.Scan(meta.Range[K]{Prefix: prefix, After: from, Limit: 10, Reverse: reverse}) {
				*errs = append(*errs, err)
			}
		}
	}
}

// renew gets a row that there is, puts it again and deletes it.
func renew[K meta.Key, R any](table meta.Table[K, R], key K) error {
	row, err := table.Get(key)
	if err != nil {
		return fmt.Errorf("%v: %w", key, err)
	}
	return errors.Join(table.Put(row), table.Delete(key))
}
