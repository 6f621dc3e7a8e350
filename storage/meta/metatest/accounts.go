package metatest

import (
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

func testAliases(t *testing.T, s meta.Store) {
	update(t, s, put(meta.Tx.Aliases,
		meta.Alias{Name: "b", Account: "1", Status: meta.AliasActive, Skeleton: "x"},
		meta.Alias{Name: "a", Account: "1", Status: meta.AliasReleased, Skeleton: "x"},
		meta.Alias{Name: "c", Account: "2", Status: meta.AliasActive, Skeleton: "y"},
		meta.Alias{Name: "d", Account: "2", Status: meta.AliasActive}, // of the first version of the schema
	))
	update(t, s, put(meta.Tx.AliasRequests,
		meta.AliasRequest{Account: "2", Alias: "p", Status: meta.AliasPending},
		meta.AliasRequest{Account: "1", Alias: "q", Status: meta.AliasPending},
		meta.AliasRequest{Account: "1", Alias: "r", Status: meta.AliasRejected},
		meta.AliasRequest{Account: "1", Alias: "s", Status: meta.AliasPending},
	))
	names := func(list []meta.Alias, err error) (names []meta.AliasName) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			names = append(names, a.Name)
		}
		return names
	}
	pending := func(tx meta.Tx, after meta.AliasRequestKey, limit int) (keys []meta.AliasRequestKey) {
		t.Helper()
		list, err := tx.PendingAliases(after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			keys = append(keys, meta.AliasRequestKey{Account: r.Account, Alias: r.Alias})
		}
		return keys
	}
	view(t, s, func(tx meta.Tx) error {
		same(t, "aliases of 1", names(tx.AliasesOf("1")), []meta.AliasName{"a", "b"})
		same(t, "aliases of nobody", names(tx.AliasesOf("3")), []meta.AliasName(nil))
		same(t, "aliases like x", names(tx.AliasesLike("x")), []meta.AliasName{"a", "b"})
		same(t, "aliases like nothing", names(tx.AliasesLike("")), []meta.AliasName(nil))
		all := []meta.AliasRequestKey{{Account: "1", Alias: "q"}, {Account: "1", Alias: "s"}, {Account: "2", Alias: "p"}}
		same(t, "pending", pending(tx, meta.AliasRequestKey{}, 10), all)
		same(t, "the first pending", pending(tx, meta.AliasRequestKey{}, 1), all[:1])
		same(t, "pending after the first", pending(tx, all[0], 10), all[1:])
		same(t, "pending after one that is not", pending(tx, meta.AliasRequestKey{Account: "1", Alias: "r"}, 1), all[1:2])
		return nil
	})
	update(t, s, put(meta.Tx.Aliases, meta.Alias{Name: "b", Account: "2", Status: meta.AliasActive, Skeleton: "z"}))
	update(t, s, put(meta.Tx.AliasRequests, meta.AliasRequest{Account: "1", Alias: "q", Status: meta.AliasActive}))
	view(t, s, func(tx meta.Tx) error {
		same(t, "aliases of 1, changed", names(tx.AliasesOf("1")), []meta.AliasName{"a"})
		same(t, "aliases of 2, changed", names(tx.AliasesOf("2")), []meta.AliasName{"b", "c", "d"})
		same(t, "aliases like x, changed", names(tx.AliasesLike("x")), []meta.AliasName{"a"})
		same(t, "pending, changed", pending(tx, meta.AliasRequestKey{}, 1), []meta.AliasRequestKey{{Account: "1", Alias: "s"}})
		return nil
	})
}

func testAccessKeys(t *testing.T, s meta.Store) {
	update(t, s, put(meta.Tx.AccessKeys,
		meta.AccessKey{ID: "k2", Account: "1", Principal: "ann"}, meta.AccessKey{ID: "k1", Account: "1", Principal: "ann"},
		meta.AccessKey{ID: "k3", Account: "1", Principal: "bob"}, meta.AccessKey{ID: "k4", Account: "2", Principal: "ann"},
	))
	view(t, s, func(tx meta.Tx) error {
		list, err := tx.AccessKeysOf(meta.PrincipalKey{Account: "1", Name: "ann"})
		same(t, "keys of 1/ann", list, []meta.AccessKey{{ID: "k1", Account: "1", Principal: "ann"}, {ID: "k2", Account: "1", Principal: "ann"}})
		return err
	})
}

func testImages(t *testing.T, s meta.Store) {
	list := []meta.Manifest{{Repository: 1, Digest: "a"}, {Repository: 1, Digest: "b", MediaType: "m", Raw: []byte("raw")}, {Repository: 1, Digest: "c"}, {Repository: 2, Digest: "d"}}
	update(t, s, put(meta.Tx.Manifests, list...))
	update(t, s, put(meta.Tx.Repositories,
		meta.Repository{ID: 1, Account: "1", Name: "x"}, meta.Repository{ID: 2, Account: "1", Name: "y"}, meta.Repository{ID: 3, Account: "10", Name: "y"}))
	view(t, s, func(tx meta.Tx) error {
		for _, c := range []struct {
			after manifest.Digest
			limit int
			want  []meta.Manifest
		}{
			{"", 10, []meta.Manifest{list[0], {Repository: 1, Digest: "b", MediaType: "m"}, list[2]}},
			{"", 1, list[:1]},
			{"b", 10, list[2:3]},
			{"bb", 10, list[2:3]},
			{"c", 10, nil},
		} {
			got, err := tx.Images(1, c.after, c.limit)
			if err != nil {
				return err
			}
			same(t, "images after "+string(c.after), got, c.want)
		}
		for limit, want := range map[int]int{2: 2, 3: 3, 10: 3} {
			n, err := tx.CountImages(1, limit)
			if err != nil {
				return err
			}
			same(t, "number of images", n, want)
			n, err = tx.CountRepositories("1", limit)
			if err != nil {
				return err
			}
			same(t, "number of repositories", n, min(limit, 2))
		}
		return nil
	})
}

func testLinkedBytes(t *testing.T, s meta.Store) {
	update(t, s, put(meta.Tx.Repositories,
		meta.Repository{ID: 1, Account: "1", Name: "x"}, meta.Repository{ID: 2, Account: "1", Name: "y"}, meta.Repository{ID: 3, Account: "10", Name: "y"}))
	update(t, s, put(meta.Tx.Blobs, meta.Blob{Digest: "a", Size: 1}, meta.Blob{Digest: "b", Size: 10 << 40}, meta.Blob{Digest: "c", Size: 100}, meta.Blob{Digest: "d", Size: 1000}))
	update(t, s, put(meta.Tx.Links, meta.Link{Repository: 1, Digest: "a"}, meta.Link{Repository: 1, Digest: "b"}, meta.Link{Repository: 2, Digest: "b"},
		meta.Link{Repository: 3, Digest: "b"}, meta.Link{Repository: 3, Digest: "c"}, meta.Link{Repository: 4, Digest: "d"}))
	view(t, s, func(tx meta.Tx) error {
		for account, want := range map[meta.AccountID]int64{"1": 1 + 10<<40, "10": 100 + 10<<40, "2": 0} {
			n, err := tx.LinkedBytes(account)
			if err != nil {
				return err
			}
			same(t, "bytes of "+string(account), n, want)
		}
		return nil
	})
}
