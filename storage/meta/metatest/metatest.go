// Package metatest is the suite that every meta.Store passes. It keeps the
// implementations equal: what one answers, the others answer too.
package metatest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Run tests the stores that open makes. Each call of open must make an empty one.
func Run(t *testing.T, open func(t *testing.T) meta.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, meta.Store)
	}{
		{"RowsComeBackAsPut", testRows},
		{"MissingIsErrNotExist", testMissing},
		{"PutReplaces", testReplace},
		{"ScanIsInKeyOrder", testScan},
		{"ScanPagesWhileChanging", testScanNested},
		{"FindAndResolve", testResolve},
		{"LinkIsTheRightToRead", testLinked},
		{"UploadIsOfItsRepositoryAlone", testUpload},
		{"IndexedQuestions", testIndexes},
		{"IndexesFollowChanges", testIndexChanges},
		{"TagsInOrderAndTheirMoves", testOrder},
		{"ReferrersByTypeAndPage", testReferrers},
		{"AliasesByAccountLookAndState", testAliases},
		{"AccessKeysOfAPrincipal", testAccessKeys},
		{"ImagesInPagesAndCounted", testImages},
		{"LinkedBytes", testLinkedBytes},
		{"DueAndIdle", testDue},
		{"CountersAddUp", testCounters},
		{"FlushesAreAddedOnce", testFlushes},
		{"FlushesMeetInTheSameRows", testConcurrentFlushes},
		{"FailedUpdateChangesNothing", testRollback},
		{"ViewIsASnapshot", testSnapshot},
		{"ViewCannotChange", testReadOnly},
		{"AfterCommitRunsOnceAndOnlyOnSuccess", testAfterCommit},
		{"ConcurrentUpdatesAreSerializable", testSerializable},
		{"OneFailureLeavesOthersAlone", testBatch},
		{"PanicFailsItsUpdateAlone", testPanic},
		{"EndedContextPreventsUpdate", testContext},
		{"TenThousandTags", testManyTags},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			c.test(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// at is a time with the precision that stores keep.
var at = time.Date(2026, 11, 21, 8, 57, 0, 123456789, time.UTC)

func digestOf(s string) manifest.Digest { return manifest.SHA256.FromString(s) }

func update(t *testing.T, s meta.Store, fn func(meta.Tx) error, opts ...meta.UpdateOption) {
	t.Helper()
	if err := s.Update(t.Context(), fn, opts...); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func view(t *testing.T, s meta.Store, fn func(meta.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// put is Put for a row of any table.
func put[K meta.Key, R any](table func(meta.Tx) meta.Table[K, R], rows ...R) func(meta.Tx) error {
	return func(tx meta.Tx) error {
		for _, row := range rows {
			if err := table(tx).Put(row); err != nil {
				return err
			}
		}
		return nil
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func scan[K meta.Key, R any](t *testing.T, table meta.Table[K, R], r meta.Range[K]) (rows []R) {
	t.Helper()
	for row, err := range table.Scan(r) {
		if err != nil {
			t.Fatalf("Scan(%+v): %v", r, err)
		}
		rows = append(rows, row)
	}
	return rows
}

func testRows(t *testing.T, s meta.Store) {
	round(t, s, meta.Tx.Registries, "123456789012", meta.Registry{Account: "123456789012", Created: at, DisplayName: "Hüte", Verified: true})
	round(t, s, meta.Tx.Aliases, "hats", meta.Alias{
		Name: "hats", Account: "1", Status: meta.AliasActive, Default: true, Primary: true, Created: at, Skeleton: "hats", Released: at,
	})
	round(t, s, meta.Tx.AliasRequests, meta.AliasRequestKey{Account: "1", Alias: "hats"}, meta.AliasRequest{
		Account: "1", Alias: "hats", Status: meta.AliasRejected, Reason: "taken", Challenge: "x", Requested: at, Decided: at,
	})
	round(t, s, meta.Tx.Repositories, meta.RepositoryKey{Account: "1", Name: "a/b"},
		meta.Repository{ID: 1<<63 - 1, Account: "1", Name: "a/b", Visibility: meta.Public, Created: at, CreatedBy: "1/ann", HasPolicy: true})
	round(t, s, meta.Tx.RepositoryPolicies, meta.RepositoryID(7), meta.RepositoryPolicy{Repository: 7, Text: "{}", Changed: at, ChangedBy: "1/ann"})
	round(t, s, meta.Tx.Catalogs, meta.RepositoryID(7), meta.Catalog{
		Repository: 7, Description: "d", Architectures: []string{"ARM 64", "x86"}, OperatingSystems: []string{"Linux"}, About: "# a", Usage: "u",
		Logo: "k", LogoType: "image/png", LogoDigest: digestOf("l"), LogoSize: 9, Certified: true,
	})
	round(t, s, meta.Tx.ResourceTags, meta.ResourceTagKey{Repository: 7, Key: "team"}, meta.ResourceTag{Repository: 7, Key: "team", Value: "a b"})
	round(t, s, meta.Tx.AccessKeys, "AKIA", meta.AccessKey{ID: "AKIA", Account: "1", Principal: "ann", Secret: "s", Created: at, Disabled: true})
	round(t, s, meta.Tx.Principals, meta.PrincipalKey{Account: "1", Name: "ann"}, meta.Principal{
		Account: "1", Name: "ann", Policies: map[string]string{"p": "{}"}, Tags: map[string]string{"team": "hats"},
	})
	round(t, s, meta.Tx.Manifests, meta.ManifestKey{Repository: 7, Digest: digestOf("m")}, meta.Manifest{
		Repository: 7, Digest: digestOf("m"), MediaType: manifest.MediaTypeImage, ArtifactType: "a/b", ConfigType: "c/d", Size: 3, ImageSize: 1 << 40,
		Platform: "linux/arm64/v8", Subject: digestOf("s"), Annotations: map[string]string{"k": "v\x00\u2028 ü", "": ""}, Pushed: at, PushedBy: "p", Raw: []byte("{}\n"),
	})
	round(t, s, meta.Tx.Edges, meta.EdgeKey{Repository: 7, Parent: "p", Child: "c"}, meta.Edge{Repository: 7, Parent: "p", Child: "c", Kind: manifest.EdgeSubject})
	round(t, s, meta.Tx.Tags, meta.TagKey{Repository: 7, Name: "v1"}, meta.Tag{Repository: 7, Name: "v1", Digest: digestOf("m"), Moved: at})
	round(t, s, meta.Tx.Moves, meta.MoveKey{Repository: 7, Tag: "v1", Sequence: 9}, meta.Move{Repository: 7, Tag: "v1", Sequence: 9, From: "f", To: "t", At: at, By: "p"})
	round(t, s, meta.Tx.Blobs, meta.BlobKey(digestOf("b")),
		meta.Blob{Digest: digestOf("b"), Size: 5, Segments: []meta.Segment{{Key: "x/1", Size: 2}, {Key: "x/2", Size: 3}}, Created: at})
	round(t, s, meta.Tx.Blobs, meta.BlobKey(digestOf("")), meta.Blob{Digest: digestOf(""), Created: at})
	round(t, s, meta.Tx.Links, meta.LinkKey{Repository: 7, Digest: "d"}, meta.Link{Repository: 7, Digest: "d", Created: at})
	round(t, s, meta.Tx.Uploads, "u", meta.Upload{
		ID: "u", Repository: 7, Principal: "p", Algorithm: manifest.SHA512, State: []byte{0, 1, 255}, Offset: 1 << 41,
		Segments: []meta.Segment{{Key: "k", Size: 1 << 41}}, Key: "k2", Started: at, Active: at.Add(time.Second),
	})
	round(t, s, meta.Tx.Reviews, meta.ReviewKey{Kind: meta.ReviewObject, Subject: "k"}, meta.Review{Kind: meta.ReviewObject, Subject: "k", Due: at})
	round(t, s, meta.Tx.Events, 4, meta.Event{Sequence: 4, Repository: 7, At: at, Data: []byte(`{"a":1}`)})
	round(t, s, meta.Tx.Sinks, "hook", meta.Sink{Name: "hook", Cursor: 3})
	round(t, s, meta.Tx.Stalls, meta.StallKey{Sink: "hook", Repository: 7}, meta.Stall{Sink: "hook", Repository: 7, Sequence: 2, Attempts: 5, Retry: at, Reason: "no"})
	round(t, s, meta.Tx.SigningKeys, "k1", meta.SigningKey{ID: "k1", Algorithm: "EdDSA", Private: []byte{1, 2}, Created: at})
	round(t, s, meta.Tx.Records, meta.RecordKey{Namespace: "n", Key: "k"}, meta.Record{Namespace: "n", Key: "k", Value: []byte{}})
	round(t, s, meta.Tx.Records, meta.RecordKey{Namespace: "n", Key: "nil"}, meta.Record{Namespace: "n", Key: "nil"})
}

// round puts a row and gets it, changes nothing by deleting another, and deletes it.
func round[K meta.Key, R any](t *testing.T, s meta.Store, table func(meta.Tx) meta.Table[K, R], key K, row R) {
	t.Helper()
	update(t, s, put(table, row))
	view(t, s, func(tx meta.Tx) error {
		got, err := table(tx).Get(key)
		if err != nil {
			t.Errorf("Get(%v): %v", key, err)
		}
		same(t, fmt.Sprintf("%T", row), got, row)
		same(t, "Scan", scan(t, table(tx), meta.Range[K]{}), []R{row})
		return nil
	})
	update(t, s, func(tx meta.Tx) error { return table(tx).Delete(key) })
	view(t, s, func(tx meta.Tx) error {
		if _, err := table(tx).Get(key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get of a deleted %T: %v, want fs.ErrNotExist", row, err)
		}
		return nil
	})
}

func testMissing(t *testing.T, s meta.Store) {
	view(t, s, func(tx meta.Tx) error {
		for what, err := range map[string]error{
			"tag":        second(tx.Tags().Get(meta.TagKey{Repository: 1, Name: "x"})),
			"repository": second(tx.RepositoryByID(1)),
			"find":       second(s.Find(t.Context(), "a", "b")),
			"linked":     second(s.Linked(t.Context(), 1, digestOf("x"))),
			"upload":     third(s.Upload(t.Context(), "a", "b", "x")),
		} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want fs.ErrNotExist", what, err)
			}
		}
		return nil
	})
	update(t, s, func(tx meta.Tx) error { return tx.Tags().Delete(meta.TagKey{Repository: 1, Name: "x"}) })
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func testReplace(t *testing.T, s meta.Store) {
	tag := meta.Tag{Repository: 1, Name: "v", Digest: digestOf("a"), Moved: at}
	update(t, s, put(meta.Tx.Tags, tag))
	tag.Digest = digestOf("b")
	update(t, s, put(meta.Tx.Tags, tag))
	view(t, s, func(tx meta.Tx) error {
		same(t, "tags", scan(t, tx.Tags(), meta.Range[meta.TagKey]{}), []meta.Tag{tag})
		return nil
	})
}

func testScan(t *testing.T, s meta.Store) {
	names := []string{"-", "1", "1-a", "1.0", "10", "1_a", "A", "Z", "_", "a", "aa", "b"} // in the order of bytes
	for _, repo := range []meta.RepositoryID{3, 1, 2, 1<<63 - 1} {
		for _, i := range []int{5, 1, 0, 11, 3, 4, 2, 8, 7, 6, 10, 9} {
			update(t, s, put(meta.Tx.Tags, meta.Tag{Repository: repo, Name: names[i], Digest: "d", Moved: at}))
		}
	}
	key := func(repo meta.RepositoryID, name string) meta.TagKey {
		return meta.TagKey{Repository: repo, Name: name}
	}
	backwards := slices.Clone(names)
	slices.Reverse(backwards)
	for _, c := range []struct {
		name string
		r    meta.Range[meta.TagKey]
		want []string
	}{
		{"prefix", meta.Range[meta.TagKey]{Prefix: key(2, "")}, names},
		{"last prefix", meta.Range[meta.TagKey]{Prefix: key(1<<63-1, "")}, names},
		{"unknown prefix", meta.Range[meta.TagKey]{Prefix: key(9, "")}, nil},
		{"whole key", meta.Range[meta.TagKey]{Prefix: key(2, "1")}, []string{"1"}},
		{"limit", meta.Range[meta.TagKey]{Prefix: key(2, ""), Limit: 2}, names[:2]},
		{"after", meta.Range[meta.TagKey]{Prefix: key(2, ""), After: key(2, "1.0")}, names[4:]},
		{"after what is not there", meta.Range[meta.TagKey]{Prefix: key(2, ""), After: key(2, "1/")}, names[4:]},
		{"after the last", meta.Range[meta.TagKey]{Prefix: key(2, ""), After: key(2, "b")}, nil},
		{"reverse", meta.Range[meta.TagKey]{Prefix: key(2, ""), Reverse: true}, backwards},
		{"reverse of the last prefix", meta.Range[meta.TagKey]{Prefix: key(1<<63-1, ""), Reverse: true, Limit: 1}, []string{"b"}},
		{"reverse after", meta.Range[meta.TagKey]{Prefix: key(2, ""), After: key(2, "1.0"), Reverse: true, Limit: 2}, []string{"1-a", "1"}},
		{"no prefix, after", meta.Range[meta.TagKey]{After: key(3, "aa")}, append([]string{"b"}, names...)},
	} {
		view(t, s, func(tx meta.Tx) error {
			var got []string
			for _, tag := range scan(t, tx.Tags(), c.r) {
				got = append(got, tag.Name)
			}
			same(t, c.name, got, c.want)
			return nil
		})
	}
}

func testScanNested(t *testing.T, s meta.Store) {
	const n = 1201
	update(t, s, func(tx meta.Tx) error {
		for i := range n {
			if err := tx.Tags().Put(meta.Tag{Repository: 1, Name: fmt.Sprintf("t%04d", i), Digest: "d", Moved: at}); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, func(tx meta.Tx) error {
		for tag, err := range tx.Tags().Scan(meta.Range[meta.TagKey]{Prefix: meta.TagKey{Repository: 1}}) {
			if err != nil {
				return err
			}
			if _, err := tx.TagsOf(1, tag.Digest, 0); err != nil {
				return err
			}
			if err := tx.Tags().Delete(meta.TagKey{Repository: 1, Name: tag.Name}); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(tx meta.Tx) error {
		same(t, "tags left", scan(t, tx.Tags(), meta.Range[meta.TagKey]{}), []meta.Tag(nil))
		return nil
	})
}

func testRollback(t *testing.T, s meta.Store) {
	bad := errors.New("bad")
	err := s.Update(t.Context(), func(tx meta.Tx) error {
		if err := put(meta.Tx.Tags, meta.Tag{Repository: 1, Name: "v", Digest: "d", Moved: at})(tx); err != nil {
			return err
		}
		if _, err := tx.Sequence(); err != nil {
			return err
		}
		if tags, err := tx.TagsOf(1, "d", 0); err != nil || len(tags) != 1 {
			t.Errorf("an Update does not see its own change: %v, %v", tags, err)
		}
		return bad
	})
	if err != bad {
		t.Errorf("Update returned %v, want the function's own error", err)
	}
	view(t, s, func(tx meta.Tx) error {
		same(t, "tags", scan(t, tx.Tags(), meta.Range[meta.TagKey]{}), []meta.Tag(nil))
		return nil
	})
}

func testSnapshot(t *testing.T, s meta.Store) {
	update(t, s, put(meta.Tx.Tags, meta.Tag{Repository: 1, Name: "a", Digest: "d", Moved: at}))
	view(t, s, func(tx meta.Tx) error {
		before := scan(t, tx.Tags(), meta.Range[meta.TagKey]{})
		update(t, s, put(meta.Tx.Tags, meta.Tag{Repository: 1, Name: "b", Digest: "d", Moved: at}))
		same(t, "a View after another's commit", scan(t, tx.Tags(), meta.Range[meta.TagKey]{}), before)
		return nil
	})
}

func testReadOnly(t *testing.T, s meta.Store) {
	view(t, s, func(tx meta.Tx) error {
		if tx.Tags().Put(meta.Tag{Repository: 1, Name: "v"}) == nil || tx.Tags().Delete(meta.TagKey{Repository: 1, Name: "v"}) == nil || second(tx.Sequence()) == nil {
			t.Error("a View changed something")
		}
		return nil
	})
}

func testAfterCommit(t *testing.T, s meta.Store) {
	var ran atomic.Int32
	s.Update(t.Context(), func(tx meta.Tx) error { //nolint:errcheck // it fails
		tx.AfterCommit(func() { ran.Add(100) })
		return errors.New("no")
	})
	update(t, s, func(tx meta.Tx) error {
		tx.AfterCommit(func() {
			view(t, s, func(tx meta.Tx) error {
				if _, err := tx.Tags().Get(meta.TagKey{Repository: 1, Name: "v"}); err != nil {
					t.Errorf("AfterCommit ran before the commit: %v", err)
				}
				return nil
			})
			ran.Add(1)
		})
		return put(meta.Tx.Tags, meta.Tag{Repository: 1, Name: "v", Digest: "d", Moved: at})(tx)
	})
	if n := ran.Load(); n != 1 {
		t.Errorf("AfterCommit functions ran %d, want 1", n)
	}
}

func testSerializable(t *testing.T, s meta.Store) {
	const workers, rounds = 16, 25
	key := meta.SinkName("counter")
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range rounds {
				var opts []meta.UpdateOption
				if w%2 == 0 {
					opts = append(opts, meta.Relaxed)
				}
				err := s.Update(context.Background(), func(tx meta.Tx) error {
					row, err := tx.Sinks().Get(key)
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						return err
					}
					last, err := tx.Sinks().Get("last")
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						return err
					}
					n, err := tx.Sequence()
					if err != nil || n <= last.Cursor {
						return fmt.Errorf("sequence %d, %v after %d", n, err, last.Cursor)
					}
					return errors.Join(tx.Sinks().Put(meta.Sink{Name: key, Cursor: row.Cursor + 1}), tx.Sinks().Put(meta.Sink{Name: "last", Cursor: n}))
				}, opts...)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	view(t, s, func(tx meta.Tx) error {
		if has, err := tx.HasSinks(); !has || err != nil {
			t.Errorf("HasSinks with one: %v, %v", has, err)
		}
		row, err := tx.Sinks().Get(key)
		if err != nil || row.Cursor != workers*rounds {
			t.Errorf("%d increments were kept of %d (%v)", row.Cursor, workers*rounds, err)
		}
		return nil
	})
}

func testBatch(t *testing.T, s meta.Store) {
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			bad := errors.New("bad")
			err := s.Update(context.Background(), func(tx meta.Tx) error {
				if i%7 == 1 {
					return bad
				}
				if err := tx.Tags().Put(meta.Tag{Repository: 1, Name: fmt.Sprintf("t%d", i), Digest: "d", Moved: at}); err != nil {
					return err
				}
				if i%7 == 0 {
					return bad
				}
				return nil
			})
			if want := i%7 < 2; want != (err == bad) || !want && err != nil {
				t.Errorf("update %d returned %v", i, err)
			}
		})
	}
	wg.Wait()
	view(t, s, func(tx meta.Tx) error {
		for i := range 200 {
			_, err := tx.Tags().Get(meta.TagKey{Repository: 1, Name: fmt.Sprintf("t%d", i)})
			if kept := err == nil; kept != (i%7 >= 2) {
				t.Errorf("tag %d kept: %v", i, kept)
			}
		}
		return nil
	})
}

func testPanic(t *testing.T, s meta.Store) {
	func() {
		defer func() { recover() }()                                                      //nolint:errcheck // either way is fine, as long as the store goes on
		s.Update(t.Context(), func(tx meta.Tx) error { tx.Sequence(); panic("no such") }) //nolint:errcheck
	}()
	update(t, s, put(meta.Tx.Tags, meta.Tag{Repository: 1, Name: "v", Digest: "d", Moved: at}))
}

func testContext(t *testing.T, s meta.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Update(ctx, func(meta.Tx) error { t.Error("an Update ran under an ended context"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want context.Canceled", err)
	}
	if err := s.View(ctx, func(meta.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View: %v, want context.Canceled", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if err := s.Update(ctx, func(tx meta.Tx) error {
		cancel()
		return put(meta.Tx.Tags, meta.Tag{Repository: 1, Name: "v", Digest: "d", Moved: at})(tx)
	}); err != nil {
		t.Errorf("an Update whose context ended while it ran: %v", err)
	}
}

func testManyTags(t *testing.T, s meta.Store) {
	const n = 10_000
	update(t, s, func(tx meta.Tx) error {
		for i := range n {
			if err := tx.Tags().Put(meta.Tag{Repository: 5, Name: fmt.Sprint(i), Digest: digestOf(fmt.Sprint(i % 10)), Moved: at}); err != nil {
				return err
			}
		}
		return nil
	})
	var all []string
	for after := ""; ; {
		page, err := s.TagNames(t.Context(), 5, after, 999)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all, after = append(all, page...), page[len(page)-1]
	}
	if len(all) != n || !slices.IsSorted(all) {
		t.Errorf("pages hold %d names, sorted: %v; want all %d", len(all), slices.IsSorted(all), n)
	}
	view(t, s, func(tx meta.Tx) error {
		if tags, err := tx.TagsOf(5, digestOf("3"), 0); err != nil || len(tags) != n/10 {
			t.Errorf("TagsOf: %d, %v", len(tags), err)
		}
		return nil
	})
}
