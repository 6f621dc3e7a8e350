package repair

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// view runs fn on a snapshot.
func (r *run) view(ctx context.Context, fn func(tx meta.Tx) error) error {
	return r.store.View(ctx, func(tx meta.Tx) error {
		r.lastID = 0
		return fn(tx)
	})
}

// scan looks at the rows of a table, page by page: each page on a snapshot of its own, so that
// none stays open for long, and all that a row is compared with on the same.
func scan[K meta.Key, R any](ctx context.Context, r *run, after json.RawMessage, limit int, table func(meta.Tx) meta.Table[K, R], key func(R) K,
	look func(tx meta.Tx, row R) ([]problem, error),
) error {
	at, err := position[K](after)
	if err != nil {
		return err
	}
	limit = r.page(limit)
	for {
		n := 0
		var found []problem
		err := r.view(ctx, func(tx meta.Tx) error {
			for row, err := range table(tx).Scan(meta.Range[K]{After: at, Limit: limit}) {
				if err != nil {
					return err
				}
				list, err := look(tx, row)
				if err != nil {
					return err
				}
				found, at, n = append(found, list...), key(row), n+1
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.sum.Rows += int64(n)
		if err := r.settle(ctx, found...); err != nil {
			return err
		}
		if n < limit {
			return nil
		}
		if err := r.reached(r.phase, at); err != nil {
			return err
		}
	}
}

// exists turns the error of a Get into whether there is such a row.
func exists(err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// repository returns the repository of a row. Rows of one that does not exist are out of
// reach, and looked at by [run.repositories] alone.
func (r *run) repository(tx meta.Tx, id meta.RepositoryID) (repo meta.Repository, ok bool, err error) {
	if r.lastID != id {
		repo, err := tx.RepositoryByID(id)
		if r.lastFound, err = exists(err); err != nil {
			return repo, false, err
		}
		r.last, r.lastID = repo, id
	}
	return r.last, r.lastFound, nil
}

// in begins a finding about a repository.
func in(repo meta.Repository, k Kind, d manifest.Digest, format string, args ...any) Finding {
	return Finding{Kind: k, Account: repo.Account, Repository: repo.Name, RepositoryID: repo.ID, Digest: d, Text: fmt.Sprintf(format, args...)}
}

// queue lets the collector look at something after the grace, unless it will anyhow.
func (r *run) queue(tx meta.Tx, kind meta.ReviewKind, repo meta.RepositoryID, subject string) error {
	if queued, err := isQueued(tx, kind, repo, subject); err != nil || queued {
		return err
	}
	return tx.Reviews().Put(meta.Review{Kind: kind, Subject: subject, Repository: repo, Due: time.Now().UTC().Add(r.opts.Age)})
}

func isQueued(tx meta.Tx, kind meta.ReviewKind, repo meta.RepositoryID, subject string) (bool, error) {
	_, err := tx.Reviews().Get(meta.ReviewKey{Kind: kind, Subject: subject, Repository: repo})
	return exists(err)
}

func (r *run) registries(ctx context.Context, after json.RawMessage) error {
	table := func(tx meta.Tx) meta.Table[meta.AccountID, meta.Registry] { return tx.Registries() }
	key := func(row meta.Registry) meta.AccountID { return row.Account }
	return scan(ctx, r, after, pageRows, table, key, func(tx meta.Tx, row meta.Registry) ([]problem, error) {
		list, err := tx.AliasesOf(row.Account)
		for _, a := range list {
			if a.Status == meta.AliasActive {
				return nil, err
			}
		}
		f := Finding{Kind: RegistryWithoutAlias, Account: row.Account, Text: "the registry has no active alias, so that nothing leads to its repositories"}
		return []problem{{Finding: f}}, err
	})
}

func (r *run) aliases(ctx context.Context, after json.RawMessage) error {
	table := func(tx meta.Tx) meta.Table[meta.AliasName, meta.Alias] { return tx.Aliases() }
	key := func(row meta.Alias) meta.AliasName { return row.Name }
	return scan(ctx, r, after, pageRows, table, key, func(tx meta.Tx, row meta.Alias) ([]problem, error) {
		_, err := tx.Registries().Get(row.Account)
		if ok, err := exists(err); ok || err != nil {
			return nil, err
		}
		f := Finding{Kind: AliasWithoutRegistry, Account: row.Account, Name: string(row.Name), Text: "the alias is of an account that has no registry"}
		return []problem{{f, func(tx meta.Tx) (bool, error) {
			_, err := tx.Registries().Get(row.Account)
			if ok, err := exists(err); ok || err != nil {
				return false, err
			}
			return true, tx.Registries().Put(meta.Registry{Account: row.Account, Created: row.Created})
		}}}, nil
	})
}

// repositories looks for rows of repositories that do not exist. It visits each repository's
// id once in each table, whatever the number of rows.
func (r *run) repositories(ctx context.Context, after json.RawMessage) error {
	at, err := position[meta.RepositoryID](after)
	if err != nil {
		return err
	}
	limit := r.page(pageRows)
	for {
		n := 0
		var found []problem
		err := r.view(ctx, func(tx meta.Tx) error {
			for ; n < limit; n++ {
				id, tables, err := nextRepository(tx, at)
				if err != nil || id == 0 {
					return err
				}
				at = id
				if gone, err := abandoned(tx, id); err != nil {
					return err
				} else if gone {
					f := Finding{
						Kind: RowsWithoutRepository, RepositoryID: id,
						Text: fmt.Sprintf("there are %s of a repository that does not exist, and nothing is queued that removes them", strings.Join(tables, ", ")),
					}
					found = append(found, problem{f, func(tx meta.Tx) (bool, error) {
						if gone, err := abandoned(tx, id); err != nil || !gone {
							return false, err
						}
						return true, r.queue(tx, meta.ReviewRepository, id, "")
					}})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.sum.Rows += int64(n)
		if err := r.settle(ctx, found...); err != nil {
			return err
		}
		if n < limit {
			return nil
		}
		if err := r.reached(r.phase, at); err != nil {
			return err
		}
	}
}

// abandoned reports whether there is neither a repository nor something queued that will
// remove its rows.
func abandoned(tx meta.Tx, id meta.RepositoryID) (bool, error) {
	_, err := tx.RepositoryByID(id)
	if ok, err := exists(err); ok || err != nil {
		return false, err
	}
	queued, err := isQueued(tx, meta.ReviewRepository, id, "")
	return !queued, err
}

// nextRepository returns the lowest id after another that any row has, and the names of the
// tables with it; 0 if there is none.
func nextRepository(tx meta.Tx, after meta.RepositoryID) (lowest meta.RepositoryID, tables []string, err error) {
	if after == math.MaxInt64 {
		return 0, nil, nil
	}
	first := after + 1 // with empty parts after it, it lies before all keys of its rows
	for _, t := range []struct {
		name string
		next func() (meta.RepositoryID, error)
	}{
		{"tags", func() (meta.RepositoryID, error) {
			return next(tx.Tags(), meta.TagKey{Repository: first}, func(row meta.Tag) meta.RepositoryID { return row.Repository })
		}},
		{"moves", func() (meta.RepositoryID, error) {
			return next(tx.Moves(), meta.MoveKey{Repository: first}, func(row meta.Move) meta.RepositoryID { return row.Repository })
		}},
		{"edges", func() (meta.RepositoryID, error) {
			return next(tx.Edges(), meta.EdgeKey{Repository: first}, func(row meta.Edge) meta.RepositoryID { return row.Repository })
		}},
		{"manifests", func() (meta.RepositoryID, error) {
			return next(tx.Manifests(), meta.ManifestKey{Repository: first}, func(row meta.Manifest) meta.RepositoryID { return row.Repository })
		}},
		{"links", func() (meta.RepositoryID, error) {
			return next(tx.Links(), meta.LinkKey{Repository: first}, func(row meta.Link) meta.RepositoryID { return row.Repository })
		}},
		{"resource tags", func() (meta.RepositoryID, error) {
			return next(tx.ResourceTags(), meta.ResourceTagKey{Repository: first}, func(row meta.ResourceTag) meta.RepositoryID { return row.Repository })
		}},
		{"catalog data", func() (meta.RepositoryID, error) {
			return next(tx.Catalogs(), after, func(row meta.Catalog) meta.RepositoryID { return row.Repository })
		}},
		{"policies", func() (meta.RepositoryID, error) {
			return next(tx.RepositoryPolicies(), after, func(row meta.RepositoryPolicy) meta.RepositoryID { return row.Repository })
		}},
	} {
		id, err := t.next()
		switch {
		case err != nil:
			return 0, nil, err
		case id == 0 || lowest != 0 && id > lowest:
		case id == lowest:
			tables = append(tables, t.name)
		default:
			lowest, tables = id, []string{t.name}
		}
	}
	return lowest, tables, nil
}

// next returns the repository of the first row beyond a key; 0 if there is none.
func next[K meta.Key, R any](table meta.Table[K, R], after K, id func(R) meta.RepositoryID) (meta.RepositoryID, error) {
	for row, err := range table.Scan(meta.Range[K]{After: after, Limit: 1}) {
		return id(row), err
	}
	return 0, nil
}

func (r *run) tags(ctx context.Context, after json.RawMessage) error {
	table := func(tx meta.Tx) meta.Table[meta.TagKey, meta.Tag] { return tx.Tags() }
	key := func(row meta.Tag) meta.TagKey { return meta.TagKey{Repository: row.Repository, Name: row.Name} }
	return scan(ctx, r, after, pageRows, table, key, func(tx meta.Tx, row meta.Tag) ([]problem, error) {
		repo, ok, err := r.repository(tx, row.Repository)
		if err != nil || !ok {
			return nil, err
		}
		_, err = tx.Manifests().Get(meta.ManifestKey{Repository: row.Repository, Digest: row.Digest})
		if ok, err := exists(err); ok || err != nil {
			return nil, err
		}
		f := in(repo, TagWithoutManifest, row.Digest, "the tag %s points to a manifest that does not exist", row.Name)
		f.Name = row.Name
		return []problem{{Finding: f}}, nil
	})
}

func (r *run) links(ctx context.Context, after json.RawMessage) error {
	table := func(tx meta.Tx) meta.Table[meta.LinkKey, meta.Link] { return tx.Links() }
	key := func(row meta.Link) meta.LinkKey { return meta.LinkKey{Repository: row.Repository, Digest: row.Digest} }
	return scan(ctx, r, after, pageRows, table, key, func(tx meta.Tx, row meta.Link) ([]problem, error) {
		repo, ok, err := r.repository(tx, row.Repository)
		if err != nil || !ok {
			return nil, err
		}
		f, ok, err := checkLink(tx, repo, row.Digest)
		if err != nil || !ok {
			return nil, err
		}
		p := problem{Finding: f}
		if f.NeededBy == "" {
			p.mend = func(tx meta.Tx) (bool, error) {
				_, err := tx.Links().Get(key(row))
				if there, err := exists(err); err != nil || !there {
					return false, err
				}
				if now, ok, err := checkLink(tx, repo, row.Digest); err != nil || !ok || now.NeededBy != "" {
					return false, err
				}
				return true, r.queue(tx, meta.ReviewLink, repo.ID, string(row.Digest))
			}
		} else {
			p.Mend = "nothing; push the content again, to any of the repositories that had it"
		}
		return []problem{p}, nil
	})
}

// checkLink looks at a link that exists.
func checkLink(tx meta.Tx, repo meta.Repository, d manifest.Digest) (f Finding, ok bool, err error) {
	_, err = tx.Blobs().Get(meta.BlobKey(d))
	there, err := exists(err)
	if err != nil {
		return f, false, err
	}
	parent, err := needs(tx, repo.ID, d)
	if err != nil || there && parent != "" {
		return f, false, err
	}
	if parent != "" {
		f = in(repo, LinkWithoutBlob, d, "the repository had the blob and it is lost; a manifest needs it")
		f.NeededBy = parent
		return f, true, nil
	}
	queued, err := isQueued(tx, meta.ReviewLink, repo.ID, string(d))
	if err != nil || queued {
		return f, false, err // the collector removes it
	}
	if !there {
		return in(repo, LinkWithoutBlob, d, "the repository had the blob and it is lost; no manifest needs it"), true, nil
	}
	return in(repo, LinkUnneeded, d, "no manifest needs the blob, and it is not queued for the collector"), true, nil
}

// needs returns a manifest that refers to a blob or manifest other than as its subject, or
// "". It is what the collector asks before it removes a link.
func needs(tx meta.Tx, repo meta.RepositoryID, d manifest.Digest) (manifest.Digest, error) {
	for limit := 8; ; limit *= 8 {
		parents, err := tx.Parents(repo, d, limit)
		if err != nil {
			return "", err
		}
		for _, e := range parents {
			if e.Kind != manifest.EdgeSubject {
				return e.Parent, nil
			}
		}
		if len(parents) < limit {
			return "", nil
		}
	}
}

// blobs looks at the rows of blobs; their bytes come later.
func (r *run) blobs(ctx context.Context, after json.RawMessage) error {
	table := func(tx meta.Tx) meta.Table[meta.BlobKey, meta.Blob] { return tx.Blobs() }
	key := func(row meta.Blob) meta.BlobKey { return meta.BlobKey(row.Digest) }
	return scan(ctx, r, after, pageRows, table, key, func(tx meta.Tx, row meta.Blob) (found []problem, err error) {
		leaks, err := unlinked(tx, row.Digest)
		if err != nil {
			return nil, err
		}
		if leaks {
			f := Finding{Kind: BlobUnlinked, Digest: row.Digest, Text: "no repository has a link to the blob, and it is not queued for the collector"}
			found = append(found, problem{f, func(tx meta.Tx) (bool, error) {
				_, err := tx.Blobs().Get(key(row))
				if there, err := exists(err); err != nil || !there {
					return false, err
				}
				if leaks, err := unlinked(tx, row.Digest); err != nil || !leaks {
					return false, err
				}
				return true, r.queue(tx, meta.ReviewBlob, 0, string(row.Digest))
			}})
		}
		for _, s := range row.Segments {
			f := Finding{Kind: ObjectDoomed, Digest: row.Digest, Key: s.Key, Text: "an object of the blob is queued to be deleted"}
			p, err := r.doomed(tx, f, func(tx meta.Tx) (bool, error) {
				return r.unchanged(tx, row)
			})
			if err != nil {
				return nil, err
			}
			found = append(found, p...)
		}
		return found, nil
	})
}

func unlinked(tx meta.Tx, d manifest.Digest) (bool, error) {
	links, err := tx.LinksOf(d, 0, 1)
	if err != nil || len(links) > 0 {
		return false, err
	}
	queued, err := isQueued(tx, meta.ReviewBlob, 0, string(d))
	return !queued, err
}

// doomed finds an object that is queued to be deleted while a row names it, which named
// asks again.
func (r *run) doomed(tx meta.Tx, f Finding, named func(tx meta.Tx) (bool, error)) ([]problem, error) {
	queued, err := isQueued(tx, meta.ReviewObject, 0, f.Key)
	if err != nil || !queued {
		return nil, err
	}
	return []problem{{f, func(tx meta.Tx) (bool, error) {
		queued, err := isQueued(tx, meta.ReviewObject, 0, f.Key)
		if err != nil || !queued {
			return false, err
		}
		if ok, err := named(tx); err != nil || !ok {
			return false, err
		}
		return true, tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewObject, Subject: f.Key})
	}}}, nil
}

// byDigest orders edges, so that what is found comes in an order.
func byDigest(a, b meta.Edge) int { return cmp.Compare(a.Child, b.Child) }
