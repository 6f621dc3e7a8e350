package registry

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"unicode/utf8"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// nameSyntax is that of ECR Public's repository names, of 2 to 205 characters.
var nameSyntax = regexp.MustCompile(`^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// The bounds of a repository's name, in characters (ECR Public).
const (
	minName = 2
	maxName = 205
)

// CheckRepositoryName accepts the name of a repository that is to be made, without its alias.
// The error wraps [ErrNameInvalid].
func (r *Registry) CheckRepositoryName(name string) error {
	if r.cfg.WideNames {
		if err := manifest.CheckName(name); err != nil {
			return says(ErrNameInvalid, "%s", err.Error())
		}
		return nil
	}
	if len(name) < minName || len(name) > maxName || !nameSyntax.MatchString(name) {
		return says(ErrNameInvalid, "the name %q of a new repository must have %d to %d characters: parts of lower-case letters and digits, which single ., _ or - may separate, with / between the parts",
			name, minName, maxName)
	}
	return nil
}

// checkText refuses text that is too long, in characters, or that is not UTF-8.
func checkText(field, s string, limit int, lines bool) error {
	if !utf8.ValidString(s) {
		return says(ErrCatalogInvalid, "Invalid parameter at '%s' failed to satisfy constraint: 'Member must be UTF-8'", field)
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return says(ErrCatalogInvalid, "Invalid parameter at '%s' failed to satisfy constraint: 'Member must have length less than or equal to %d'", field, limit)
	}
	for _, c := range s {
		if c < ' ' && !(lines && (c == '\n' || c == '\r' || c == '\t')) || c == 0x7f {
			return says(ErrCatalogInvalid, "Invalid parameter at '%s' failed to satisfy constraint: 'Member must not have control characters'", field)
		}
	}
	return nil
}

// CreateOptions is what a repository may be created with.
type CreateOptions struct {
	Catalog *CatalogData
	Tags    map[string]string
}

// CreateRepository makes a public repository. With it comes the registry of the account and
// its default alias, if it is the first. One that exists is an error wrapping fs.ErrExist
// ([ErrNameExists]). If anything of opts cannot be, there is no repository either.
func (a *Actor) CreateRepository(ctx context.Context, name string, opts *CreateOptions) (meta.Repository, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	if err := checkTags(opts.Tags); err != nil {
		return meta.Repository{}, err
	}
	var repo meta.Repository
	op := Op{Action: policy.CreateRepository, Name: name, asks: true, creates: true, RequestTags: opts.Tags}
	for key := range opts.Tags {
		op.TagKeys = append(op.TagKeys, key)
	}
	err := a.do(ctx, op, func(ctx context.Context, op *Op) error {
		if op.Repository.ID != 0 {
			return nameExists(op.Name)
		}
		if len(opts.Tags) > 0 {
			if err := a.r.authorize(ctx, op, policy.TagResource); err != nil {
				return err
			}
		}
		put, err := a.r.prepareCatalog(ctx, opts.Catalog)
		if err != nil {
			return err
		}
		err = a.r.update(ctx, op, func(tx meta.Tx) error {
			if op.found {
				return nameExists(op.Name)
			}
			if err := a.r.putTags(ctx, tx, op, opts.Tags); err != nil {
				return err
			}
			return put(ctx, tx, op)
		})
		repo = op.Repository
		return err
	})
	return repo, err
}

func nameExists(name string) error {
	return says(ErrNameExists, "the repository %s exists already", name)
}

// Repository returns one repository.
func (a *Actor) Repository(ctx context.Context, name string) (repo meta.Repository, err error) {
	err = a.do(ctx, Op{Action: policy.DescribeRepositories, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		repo = op.Repository
		return nil
	})
	return repo, err
}

// RepositoriesOf yields the repositories of an account after a name, by name.
func (a *Actor) RepositoriesOf(ctx context.Context, account, after string) iter.Seq2[meta.Repository, error] {
	return pages(after, func(after string) (list []meta.Repository, more bool, err error) {
		if !isAccount(account) {
			return nil, false, nameUnknown(account)
		}
		op := Op{Action: policy.DescribeRepositories, overall: true, account: meta.AccountID(account)}
		err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
			return a.r.store.View(ctx, func(tx meta.Tx) error {
				for repo, err := range tx.Repositories().Scan(meta.Range[meta.RepositoryKey]{
					Prefix: meta.RepositoryKey{Account: op.account}, After: meta.RepositoryKey{Account: op.account, Name: after}, Limit: describePage + 1,
				}) {
					if err != nil {
						return err
					}
					if len(list) == describePage {
						more = true
						break
					}
					list = append(list, repo)
				}
				return nil
			})
		})
		return list, more, err
	}, func(repo meta.Repository) string { return repo.Name })
}

// DeleteRepository deletes a repository with its tags, policy and catalog data. One that has
// images is deleted only with force; else the error is [ErrRepositoryNotEmpty]. It returns
// what was deleted.
func (a *Actor) DeleteRepository(ctx context.Context, name string, force bool) (repo meta.Repository, err error) {
	err = a.do(ctx, Op{Action: policy.DeleteRepository, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		repo = op.Repository
		return a.r.update(ctx, op, func(tx meta.Tx) error {
			n, err := tx.CountImages(op.Repository.ID, 1)
			if err != nil {
				return err
			}
			if n > 0 && !force {
				return says(ErrRepositoryNotEmpty, "the repository %s cannot be deleted because it still contains images", op.Name)
			}
			if err := a.r.change(ctx, tx, op, &Change{Kind: DeleteRepository}); err != nil {
				return err
			}
			return a.r.removeRepository(tx, op.Repository)
		})
	})
	return repo, err
}

// removeRepository takes a repository out of reach at once, however much it holds. Its rows
// are left for review after the grace: a backup of the database that still has it may be followed
// by one of the bucket.
func (r *Registry) removeRepository(tx meta.Tx, repo meta.Repository) error {
	if err := tx.Repositories().Delete(repo.Key()); err != nil {
		return err
	}
	r.caches.forgetRepository(tx, repo.Key())
	return r.review(tx, meta.ReviewRepository, repo.ID, "")
}

// URI returns where clients find a repository: host, primary alias and name. For the host
// see [Registry.Host].
func (r *Registry) URI(ctx context.Context, repo meta.Repository, host string) (string, error) {
	alias, err := r.primaryAlias(ctx, repo.Account)
	if err == nil && alias == "" {
		err = fmt.Errorf("registry: the account %s has no alias", repo.Account)
	}
	if err != nil {
		return "", err
	}
	return host + "/" + alias + "/" + repo.Name, nil
}
