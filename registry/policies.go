package registry

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// RepositoryPolicy returns the text of a repository's policy. One without a policy is
// [ErrPolicyUnknown].
func (a *Actor) RepositoryPolicy(ctx context.Context, name string) (text string, err error) {
	err = a.do(ctx, Op{Action: policy.GetRepositoryPolicy, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) error {
			text, err = policyText(tx, op)
			return err
		})
	})
	return text, err
}

func policyText(tx meta.Tx, op *Op) (string, error) {
	row, err := tx.RepositoryPolicies().Get(op.Repository.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return "", says(ErrPolicyUnknown, "the repository %s has no policy", op.Name)
	}
	return row.Text, err
}

// SetRepositoryPolicy attaches a policy to a repository, in place of the one it has. A text
// that is not valid is [ErrPolicyInvalid], as is, without force, one that would keep the
// actor from setting another. If no evaluator of the registry reads such policies, the
// error is [ErrUnsupported].
func (a *Actor) SetRepositoryPolicy(ctx context.Context, name, text string, force bool) error {
	return a.do(ctx, Op{Action: policy.SetRepositoryPolicy, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		if err := a.r.checkPolicy(text); err != nil {
			return err
		}
		if !force {
			target := resource(op.Repository)
			target.Proposed = &text
			d, err := policy.Evaluate(ctx, a.r.cfg.Evaluators, &policy.Request{
				Principal: op.Identity.Principal, Action: op.Action, Remote: op.Remote, UserAgent: op.UserAgent, Secure: op.Secure, Resource: target,
			})
			if err != nil {
				return err
			}
			if d.Effect != policy.Allow {
				return says(ErrPolicyInvalid, "the policy would keep you from setting another one (%s); set it with force if that is what you want", d.Reason)
			}
		}
		return a.r.update(ctx, op, func(tx meta.Tx) error {
			row := meta.RepositoryPolicy{Repository: op.Repository.ID, Text: text, Changed: time.Now().UTC(), ChangedBy: op.Identity.String()}
			if err := tx.RepositoryPolicies().Put(row); err != nil {
				return err
			}
			return a.r.markPolicy(ctx, tx, op, true)
		})
	})
}

func (r *Registry) checkPolicy(text string) error {
	for _, e := range r.cfg.Evaluators {
		if d, ok := e.(policy.Documents); ok {
			if err := d.CheckRepositoryPolicy(text); err != nil {
				return says(ErrPolicyInvalid, "%s", err.Error())
			}
			return nil
		}
	}
	return says(ErrUnsupported, "this registry has no repository policies")
}

// DeleteRepositoryPolicy removes the policy of a repository and returns its text.
func (a *Actor) DeleteRepositoryPolicy(ctx context.Context, name string) (text string, err error) {
	err = a.do(ctx, Op{Action: policy.DeleteRepositoryPolicy, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		return a.r.update(ctx, op, func(tx meta.Tx) error {
			if text, err = policyText(tx, op); err != nil {
				return err
			}
			if err := tx.RepositoryPolicies().Delete(op.Repository.ID); err != nil {
				return err
			}
			return a.r.markPolicy(ctx, tx, op, false)
		})
	})
	return text, err
}

// RemoveRepositoryPolicy removes the policy of a repository, named as alias/repository, as
// the operator: for an owner who has locked themselves out.
func (r *Registry) RemoveRepositoryPolicy(ctx context.Context, name string) error {
	alias, rest := splitName(name)
	repo, err := r.store.Find(ctx, alias, rest)
	if err != nil {
		return err
	}
	op := operator(repo.Account)
	op.Name, op.Repository = name, repo
	return r.update(ctx, op, func(tx meta.Tx) error {
		if err := tx.RepositoryPolicies().Delete(op.Repository.ID); err != nil {
			return err
		}
		return r.markPolicy(ctx, tx, op, false)
	})
}

// markPolicy keeps in the repository's row whether it has a policy.
func (r *Registry) markPolicy(ctx context.Context, tx meta.Tx, op *Op, has bool) error {
	op.Repository.HasPolicy = has
	r.caches.forgetRepository(tx, op.Repository.Key())
	if err := tx.Repositories().Put(op.Repository); err != nil {
		return err
	}
	return r.change(ctx, tx, op, &Change{Kind: ChangePolicy})
}

// Policies reads the policies and tags of repositories for evaluators, such as policy/iam's.
type Policies struct{ Store meta.Store }

// RepositoryPolicy returns the text of a repository's policy, "" if it has none.
func (p Policies) RepositoryPolicy(ctx context.Context, id int64) (text string, err error) {
	err = p.Store.View(ctx, func(tx meta.Tx) error {
		row, err := tx.RepositoryPolicies().Get(meta.RepositoryID(id))
		text = row.Text
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return text, err
}

// RepositoryTags returns the tags of a repository.
func (p Policies) RepositoryTags(ctx context.Context, id int64) (tags map[string]string, err error) {
	err = p.Store.View(ctx, func(tx meta.Tx) error {
		tags, err = tagsOf(tx, meta.RepositoryID(id))
		return err
	})
	return tags, err
}
