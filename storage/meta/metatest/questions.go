package metatest

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// seed makes alias/name with one manifest, tagged latest.
func seed(t *testing.T, s meta.Store, alias meta.AliasName, name string, id meta.RepositoryID) (meta.Repository, meta.Manifest) {
	t.Helper()
	account := meta.AccountID(alias + "-account")
	repo := meta.Repository{ID: id, Account: account, Name: name, Visibility: meta.Public, Created: at, CreatedBy: "ann"}
	m := meta.Manifest{
		Repository: id, Digest: digestOf(name), MediaType: manifest.MediaTypeImage, ArtifactType: "a/b", ConfigType: "c/d",
		Size: 4, ImageSize: 44, Platform: "linux/amd64", Pushed: at, Raw: []byte("raw " + name),
	}
	update(t, s, func(tx meta.Tx) error {
		return errors.Join(
			tx.Aliases().Put(meta.Alias{Name: alias, Account: account, Status: meta.AliasActive, Created: at}),
			tx.Aliases().Put(meta.Alias{Name: alias + "-wanted", Account: account, Status: meta.AliasPending, Created: at}),
			tx.Repositories().Put(repo),
			tx.Manifests().Put(m),
			tx.Tags().Put(meta.Tag{Repository: id, Name: "latest", Digest: m.Digest, Moved: at}),
		)
	})
	return repo, m
}

func testResolve(t *testing.T, s meta.Store) {
	repo, m := seed(t, s, "hats", "cat/hat", 1)
	seed(t, s, "other", "hat", 2)
	for _, c := range []struct {
		name, alias, repo string
		ref               manifest.Reference
		finds, resolves   bool
	}{
		{"tag", "hats", "cat/hat", manifest.Reference{Tag: "latest"}, true, true},
		{"digest", "hats", "cat/hat", manifest.Reference{Digest: m.Digest}, true, true},
		{"missing tag", "hats", "cat/hat", manifest.Reference{Tag: "v1"}, true, false},
		{"digest of another repository", "hats", "cat/hat", manifest.Reference{Digest: digestOf("hat")}, true, false},
		{"repository of another alias", "other", "cat/hat", manifest.Reference{Tag: "latest"}, false, false},
		{"missing alias", "nobody", "cat/hat", manifest.Reference{Tag: "latest"}, false, false},
		{"alias that is not active", "hats-wanted", "cat/hat", manifest.Reference{Tag: "latest"}, false, false},
	} {
		found, err := s.Find(t.Context(), c.alias, c.repo)
		if c.finds != (err == nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: Find: %v", c.name, err)
		}
		if !c.finds {
			want := meta.Repository{}
			if c.alias == "other" {
				want.Account = "other-account"
			}
			same(t, c.name, found, want)
		}
		got, gotManifest, err := s.Resolve(t.Context(), c.alias, c.repo, c.ref)
		if c.resolves != (err == nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: Resolve: %v", c.name, err)
		}
		same(t, c.name, got, found)
		if c.finds {
			same(t, c.name, found, repo)
		}
		if c.resolves {
			want := meta.Manifest{Repository: m.Repository, Digest: m.Digest, MediaType: m.MediaType, ArtifactType: m.ArtifactType, Size: m.Size, Raw: m.Raw}
			same(t, c.name, gotManifest, want)
		}
	}
}

func testLinked(t *testing.T, s meta.Store) {
	blob := meta.Blob{Digest: digestOf("b"), Size: 1, Segments: []meta.Segment{{Key: "k", Size: 1}}, Created: at}
	update(t, s, func(tx meta.Tx) error {
		return errors.Join(tx.Blobs().Put(blob), tx.Links().Put(meta.Link{Repository: 1, Digest: blob.Digest, Created: at}))
	})
	got, err := s.Linked(t.Context(), 1, blob.Digest)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "blob", got, blob)
	view(t, s, func(tx meta.Tx) error {
		got, err := tx.Linked(1, blob.Digest)
		same(t, "blob within a transaction", got, blob)
		return err
	})
	if _, err := s.Linked(t.Context(), 2, blob.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a repository without the link: %v, want fs.ErrNotExist", err)
	}
	update(t, s, func(tx meta.Tx) error { return tx.Links().Delete(meta.LinkKey{Repository: 1, Digest: blob.Digest}) })
	if _, err := s.Linked(t.Context(), 1, blob.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the link was deleted: %v, want fs.ErrNotExist", err)
	}
}

func testUpload(t *testing.T, s meta.Store) {
	repo, _ := seed(t, s, "hats", "cat/hat", 1)
	seed(t, s, "other", "hat", 2)
	want := meta.Upload{ID: "u", Repository: 1, Principal: "p", Algorithm: manifest.SHA256, State: []byte{1}, Offset: 3,
		Segments: []meta.Segment{{Key: "k", Size: 3}}, Key: "k2", Started: at, Active: at}
	update(t, s, put(meta.Tx.Uploads, want))
	got, u, err := s.Upload(t.Context(), "hats", "cat/hat", "u")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "repository", got, repo)
	same(t, "upload", u, want)
	got, u, err = s.Upload(t.Context(), "other", "hat", "u")
	if !errors.Is(err, fs.ErrNotExist) || got.ID != 2 || u.ID != "" {
		t.Errorf("from another repository: %v, %v, %v; want its repository and fs.ErrNotExist", got.ID, u.ID, err)
	}
}

func testIndexes(t *testing.T, s meta.Store) {
	a, b, c := digestOf("a"), digestOf("b"), digestOf("c")
	update(t, s, func(tx meta.Tx) error {
		return errors.Join(
			put(meta.Tx.Tags, meta.Tag{Repository: 1, Name: "x", Digest: a, Moved: at}, meta.Tag{Repository: 1, Name: "y", Digest: a, Moved: at},
				meta.Tag{Repository: 1, Name: "z", Digest: b, Moved: at}, meta.Tag{Repository: 2, Name: "x", Digest: a, Moved: at})(tx),
			put(meta.Tx.Edges, meta.Edge{Repository: 1, Parent: a, Child: c, Kind: manifest.EdgeLayer}, meta.Edge{Repository: 1, Parent: b, Child: c, Kind: manifest.EdgeChild},
				meta.Edge{Repository: 2, Parent: a, Child: c, Kind: manifest.EdgeLayer})(tx),
			put(meta.Tx.Links, meta.Link{Repository: 3, Digest: c, Created: at}, meta.Link{Repository: 1, Digest: c, Created: at},
				meta.Link{Repository: 2, Digest: a, Created: at})(tx),
			tx.Repositories().Put(meta.Repository{ID: 8, Account: "1", Name: "r", Visibility: meta.Private, Created: at}),
		)
	})
	view(t, s, func(tx meta.Tx) error {
		tags, err := tx.TagsOf(1, a, 0)
		same(t, "TagsOf", names(tags), []string{"x", "y"})
		first, err0 := tx.TagsOf(1, a, 1)
		same(t, "TagsOf, one", names(first), []string{"x"})
		edges, err2 := tx.Parents(1, c, 10)
		same(t, "Parents", len(edges), 2)
		one, err3 := tx.Parents(1, c, 1)
		same(t, "Parents, one", len(one), 1)
		links, err4 := tx.LinksOf(c, 0, 10)
		same(t, "LinksOf", links, []meta.Link{{Repository: 1, Digest: c, Created: at}, {Repository: 3, Digest: c, Created: at}})
		rest, err5 := tx.LinksOf(c, 1, 10)
		same(t, "LinksOf after", rest, links[1:])
		repo, err6 := tx.RepositoryByID(8)
		same(t, "RepositoryByID", repo.Name, "r")
		return errors.Join(err, err0, err2, err3, err4, err5, err6)
	})
}

func testOrder(t *testing.T, s meta.Store) {
	a := digestOf("a")
	update(t, s, func(tx meta.Tx) error {
		for i, name := range []string{"1.9.0", "latest", "1.10.0", "1.10.0-rc.1", "1.10", "zebra", "1.10.0-alpine", "gone"} {
			err := errors.Join(
				tx.Tags().Put(meta.Tag{Repository: 1, Name: name, Digest: a, Moved: at}),
				tx.Moves().Put(meta.Move{Repository: 1, Tag: name, Sequence: int64(i + 1), To: a, At: at, By: "ann"}),
			)
			if err != nil {
				return err
			}
		}
		return errors.Join(
			tx.Tags().Put(meta.Tag{Repository: 2, Name: "latest", Digest: a, Moved: at}),
			tx.Moves().Put(meta.Move{Repository: 2, Tag: "latest", Sequence: 9, To: a, At: at}),
			tx.Tags().Put(meta.Tag{Repository: 1, Name: "zebra", Digest: digestOf("b"), Moved: at}),
			tx.Tags().Delete(meta.TagKey{Repository: 1, Name: "gone"}),
		)
	})
	want := []string{"latest", "1.10", "1.10.0", "1.10.0-alpine", "1.10.0-rc.1", "1.9.0", "zebra"}
	view(t, s, func(tx meta.Tx) error {
		all, err := tx.TagsInOrder(1, "", 10)
		same(t, "TagsInOrder", names(all), want)
		for i := range want {
			page, err2 := tx.TagsInOrder(1, want[i], 2)
			same(t, "TagsInOrder after "+want[i], names(page), append([]string(nil), want[i+1:min(i+3, len(want))]...))
			err = errors.Join(err, err2)
		}
		beyond, err3 := tx.TagsInOrder(1, "1.9.99", 1) // which is not there
		same(t, "TagsInOrder after a missing one", names(beyond), []string{"1.9.0"})
		moves, err4 := tx.MovesOf(1, 0, 3)
		older, err5 := tx.MovesOf(1, 6, 3)
		var sequences []int64
		for _, m := range append(moves, older...) {
			sequences = append(sequences, m.Sequence)
		}
		same(t, "MovesOf", sequences, []int64{8, 7, 6, 5, 4, 3})
		same(t, "MovesOf, the first", moves[0], meta.Move{Repository: 1, Tag: "gone", Sequence: 8, To: a, At: at, By: "ann"})
		return errors.Join(err, err3, err4, err5)
	})
}

func names(tags []meta.Tag) (list []string) {
	for _, t := range tags {
		list = append(list, t.Name)
	}
	return list
}

func testIndexChanges(t *testing.T, s meta.Store) {
	a, b := digestOf("a"), digestOf("b")
	review := meta.Review{Kind: meta.ReviewLink, Subject: string(a), Repository: 1, Due: at}
	update(t, s, func(tx meta.Tx) error {
		return errors.Join(tx.Tags().Put(meta.Tag{Repository: 1, Name: "x", Digest: a, Moved: at}), tx.Reviews().Put(review))
	})
	review.Due = at.Add(time.Hour)
	update(t, s, func(tx meta.Tx) error {
		return errors.Join(tx.Tags().Put(meta.Tag{Repository: 1, Name: "x", Digest: b, Moved: at}), tx.Reviews().Put(review))
	})
	view(t, s, func(tx meta.Tx) error {
		old, err := tx.TagsOf(1, a, 0)
		now, err2 := tx.TagsOf(1, b, 0)
		due, err3 := tx.Due(at, 10)
		later, err4 := tx.Due(at.Add(time.Hour), 10)
		same(t, "tags of the old, of the new, due, due later", []int{len(old), len(now), len(due), len(later)}, []int{0, 1, 0, 1})
		return errors.Join(err, err2, err3, err4)
	})
	update(t, s, func(tx meta.Tx) error { return tx.Tags().Delete(meta.TagKey{Repository: 1, Name: "x"}) })
	view(t, s, func(tx meta.Tx) error {
		gone, err := tx.TagsOf(1, b, 0)
		same(t, "tags of the deleted", len(gone), 0)
		return err
	})
}

func testReferrers(t *testing.T, s meta.Store) {
	subject := digestOf("subject")
	types := []string{"a/sbom", "a/signature", "a/vex"}
	var want []manifest.Digest
	update(t, s, func(tx meta.Tx) error {
		for i := range 30 {
			m := meta.Manifest{
				Repository: 1, Digest: digestOf(string(rune('A' + i))), MediaType: manifest.MediaTypeImage, ArtifactType: types[i%3],
				Subject: subject, Annotations: map[string]string{"n": string(rune('A' + i))}, Pushed: at, Raw: []byte("x"),
			}
			if err := tx.Manifests().Put(m); err != nil {
				return err
			}
			m.Repository, m.Subject = 2, digestOf("another")
			if err := tx.Manifests().Put(m); err != nil {
				return err
			}
		}
		return tx.Manifests().Put(meta.Manifest{Repository: 1, Digest: subject, MediaType: manifest.MediaTypeImage, Pushed: at, Raw: []byte("s")})
	})
	view(t, s, func(tx meta.Tx) error {
		for after := manifest.Digest(""); ; {
			page, err := tx.Referrers(1, subject, nil, after, 7)
			if err != nil {
				return err
			}
			for _, m := range page {
				if m.Raw != nil || len(m.Annotations) != 1 {
					t.Errorf("referrer %+v: want annotations and no Raw", m)
				}
				want = append(want, m.Digest)
			}
			if len(page) < 7 {
				break
			}
			after = page[len(page)-1].Digest
		}
		if len(want) != 30 {
			t.Errorf("pages hold %d referrers, want 30", len(want))
		}
		two, err := tx.Referrers(1, subject, []string{"a/sbom", "a/vex"}, "", 100)
		if err != nil || len(two) != 20 {
			t.Errorf("of two types: %d, %v; want 20", len(two), err)
		}
		none, err := tx.Referrers(1, "", nil, "", 100)
		if err != nil || len(none) != 0 {
			t.Errorf("of no subject: %d, %v; want 0", len(none), err)
		}
		return err
	})
}

func testDue(t *testing.T, s meta.Store) {
	update(t, s, func(tx meta.Tx) error {
		for i, key := range []string{"c", "a", "b", "d"} {
			if err := errors.Join(
				tx.Reviews().Put(meta.Review{Kind: meta.ReviewObject, Subject: key, Due: at.Add(time.Duration(i) * time.Second)}),
				tx.Uploads().Put(meta.Upload{ID: meta.UploadID(key), State: []byte{}, Started: at.Add(time.Duration(i)), Active: at.Add(time.Duration(i) * time.Second)}),
			); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(tx meta.Tx) error {
		due, err := tx.Due(at.Add(2*time.Second), 10)
		var subjects, ids []string
		for _, r := range due {
			subjects = append(subjects, r.Subject)
		}
		same(t, "Due, oldest first", subjects, []string{"c", "a", "b"})
		idle, err2 := tx.IdleUploads(at.Add(2*time.Second), 10)
		for _, u := range idle {
			ids = append(ids, string(u.ID))
		}
		same(t, "IdleUploads, oldest first", ids, []string{"c", "a"})
		if has, err := tx.HasSinks(); has || err != nil {
			t.Errorf("HasSinks without any: %v, %v", has, err)
		}
		one, err3 := tx.Due(at.Add(time.Hour), 1)
		same(t, "Due, one", len(one), 1)
		n, err4 := tx.CountDue(at.Add(2*time.Second), 10)
		same(t, "CountDue", n, 3)
		n, err5 := tx.CountDue(at.Add(2*time.Second), 2)
		same(t, "CountDue with a limit", n, 2)
		return errors.Join(err, err2, err3, err4, err5)
	})
}
