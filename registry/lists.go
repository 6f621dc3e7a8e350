package registry

import (
	"context"
	"errors"
	"io/fs"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// MaxPage is how many entries a page of tags, repositories or referrers has at most, and
// how many it has where the client does not say.
const MaxPage = 1000

// page bounds a number of entries that a client asks for; less than 0 means it did not.
func page(n int) int {
	if n < 0 || n > MaxPage {
		return MaxPage
	}
	return n
}

// tags returns up to n tags after a name, and whether there are more.
func (r *Registry) tags(ctx context.Context, op *Op, after string, n int) (names []string, more bool, err error) {
	if n == 0 {
		return nil, false, nil
	}
	names, err = r.store.TagNames(ctx, op.Repository.ID, after, n+1)
	if len(names) > n {
		return names[:n], true, err
	}
	return names, false, err
}

// referrers returns up to n manifests about a digest after another one, and whether there
// are more.
func (r *Registry) referrers(ctx context.Context, op *Op, subject manifest.Digest, types []string, after manifest.Digest, n int) (list []manifest.Descriptor, more bool, err error) {
	if n == 0 {
		return nil, false, nil
	}
	gone, err := r.suspensions(ctx)
	for more = true; more && len(list) < n && err == nil; {
		var rows []meta.Manifest
		err = r.store.View(ctx, func(tx meta.Tx) (err error) {
			rows, err = tx.Referrers(op.Repository.ID, subject, types, after, n-len(list)+1)
			return err
		})
		if more = len(rows) > n-len(list); more {
			rows = rows[:n-len(list)]
		}
		for _, m := range rows {
			after = m.Digest
			if _, ok := gone[Target{Digest: m.Digest}]; !ok {
				list = append(list, manifest.Descriptor{
					MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: m.Digest, Size: m.Size, Annotations: m.Annotations,
				})
			}
		}
	}
	return list, more, err
}

// named is a repository and a name that leads to it.
type named struct {
	alias meta.AliasName
	repo  meta.Repository
}

func (n named) String() string { return string(n.alias) + "/" + n.repo.Name }

// repositories returns up to n names, alias/repository, of those that the caller may pull
// from, and whether there may be more. They are in the order of aliases and, for each, of
// names. after need not exist any more.
func (r *Registry) repositories(ctx context.Context, op *Op, after string, n int) (names []string, more bool, err error) {
	if n == 0 {
		return nil, false, nil
	}
	for {
		found, err := r.nextRepositories(ctx, after, n+1)
		if err != nil {
			return nil, false, err
		}
		for _, f := range found {
			// not within the View: an evaluator may have questions of its own
			d, err := r.permitted(ctx, op, policy.BatchGetImage, f.repo)
			if err != nil {
				return nil, false, err
			}
			if d.Effect != policy.Allow {
				continue
			}
			if s, err := r.suspended(ctx, Target{Alias: string(f.alias)}); err != nil {
				return nil, false, err
			} else if s != nil {
				continue
			}
			if len(names) == n {
				return names, true, nil
			}
			names = append(names, f.String())
		}
		if len(found) <= n {
			return names, false, nil
		}
		after = found[n].String()
	}
}

// nextRepositories returns up to limit repositories by their primary aliases.
func (r *Registry) nextRepositories(ctx context.Context, after string, limit int) (found []named, err error) {
	alias, name := splitName(after)
	err = r.store.View(ctx, func(tx meta.Tx) error {
		found = nil
		visit := func(a meta.Alias, name string) error {
			if a.Status != meta.AliasActive || !a.Primary {
				return nil
			}
			key := meta.RepositoryKey{Account: a.Account}
			for repo, err := range tx.Repositories().Scan(meta.Range[meta.RepositoryKey]{
				Prefix: key, After: meta.RepositoryKey{Account: a.Account, Name: name}, Limit: limit - len(found),
			}) {
				if err != nil {
					return err
				}
				found = append(found, named{a.Name, repo})
			}
			return nil
		}
		if alias != "" {
			a, err := tx.Aliases().Get(meta.AliasName(alias))
			if err == nil {
				err = visit(a, name)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		for a, err := range tx.Aliases().Scan(meta.Range[meta.AliasName]{After: meta.AliasName(alias)}) {
			if err != nil || len(found) >= limit {
				return err
			}
			if err := visit(a, ""); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}
