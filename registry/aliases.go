package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// AddAlias gives an account's registry a name in references, active at once, and makes it
// the primary one if there is none. It is the operator's word, which no policy is asked
// about. An alias that the account has already is left as it is; one of another account is
// an error that wraps fs.ErrExist.
func (r *Registry) AddAlias(ctx context.Context, account, alias string) error {
	if err := checkAccount(account); err != nil {
		return err
	}
	if err := r.checkAlias(alias); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return r.store.Update(ctx, func(tx meta.Tx) error {
		a, err := tx.Aliases().Get(meta.AliasName(alias))
		if err == nil && a.Account == meta.AccountID(account) && a.Status == meta.AliasActive && a.Skeleton != "" {
			return nil
		}
		if err == nil && a.Account != meta.AccountID(account) {
			return fmt.Errorf("registry: alias %s: %w", alias, fs.ErrExist)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := putRegistry(tx, meta.AccountID(account)); err != nil {
			return err
		}
		if err := r.activate(tx, meta.AccountID(account), meta.AliasName(alias), false); err != nil {
			return err
		}
		return r.changeRegistry(ctx, tx, operator(meta.AccountID(account)))
	})
}

// activate makes an alias the account's. The first one of an account is primary, and so
// is the first that was not given by default.
func (r *Registry) activate(tx meta.Tx, account meta.AccountID, name meta.AliasName, given bool) error {
	if err := r.free(tx, account, name); err != nil {
		return err
	}
	a := meta.Alias{Name: name, Account: account, Status: meta.AliasActive, Default: given, Created: time.Now().UTC(), Skeleton: skeleton(string(name))}
	if old, err := tx.Aliases().Get(name); err == nil && old.Account == account && old.Status == meta.AliasActive {
		a.Default, a.Primary, a.Created = old.Default, old.Primary, old.Created
	}
	list, err := tx.AliasesOf(account)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(o meta.Alias) bool { return o.Primary && o.Status == meta.AliasActive })
	switch {
	case at < 0:
		a.Primary = true
	case list[at].Default && !given && list[at].Name != name:
		old := list[at]
		old.Primary, a.Primary = false, true
		if err := tx.Aliases().Put(old); err != nil {
			return err
		}
	}
	r.caches.forgetAlias(tx, name)
	if err := tx.Aliases().Put(a); err != nil {
		return err
	}
	req, err := tx.AliasRequests().Get(meta.AliasRequestKey{Account: account, Alias: name})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	req.Status, req.Reason, req.Decided = meta.AliasActive, "", time.Now().UTC()
	return tx.AliasRequests().Put(req)
}

// free refuses an alias that another account has or has given up not long ago, or that
// looks like one.
func (r *Registry) free(tx meta.Tx, account meta.AccountID, name meta.AliasName) error {
	list, err := tx.AliasesLike(skeleton(string(name)))
	if err != nil {
		return err
	}
	switch a, err := tx.Aliases().Get(name); {
	case err == nil:
		list = append(list, a) // it may be of a time before skeletons
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, a := range list {
		if a.Account != account && (a.Status != meta.AliasReleased || time.Since(a.Released) < r.cfg.AliasHold) {
			return ErrAliasTaken
		}
	}
	for _, a := range list {
		if a.Account != account { // given up long ago
			if err := tx.Aliases().Delete(a.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// RequestAlias asks for an alias for the actor's registry. It is decided by the registry's
// [AliasDecider], at once or later. Asking again for one that was rejected is a new
// request; for one that is the registry's already, it changes nothing.
func (a *Actor) RequestAlias(ctx context.Context, alias string) (req meta.AliasRequest, err error) {
	err = a.do(ctx, a.overall(policy.RequestRegistryAlias), func(ctx context.Context, op *Op) error {
		if err := a.r.checkRequestedAlias(alias); err != nil {
			return err
		}
		key := meta.AliasRequestKey{Account: op.account, Alias: meta.AliasName(alias)}
		if err := a.r.store.Update(ctx, func(tx meta.Tx) (err error) {
			op.told = unasked
			req, err = a.r.request(ctx, tx, op, key)
			return err
		}); err != nil || req.Status != meta.AliasPending {
			return err
		}
		decided, err := a.r.decide(ctx, op, req)
		if err == nil {
			req = decided
		}
		return err
	})
	return req, err
}

// request puts a request that is pending, unless there is one or it has been granted.
func (r *Registry) request(ctx context.Context, tx meta.Tx, op *Op, key meta.AliasRequestKey) (meta.AliasRequest, error) {
	req, err := tx.AliasRequests().Get(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return req, err
	}
	if err == nil && req.Status == meta.AliasPending {
		return req, nil
	}
	if a, err := tx.Aliases().Get(key.Alias); err == nil && a.Account == key.Account && a.Status == meta.AliasActive {
		return meta.AliasRequest{Account: key.Account, Alias: key.Alias, Status: meta.AliasActive, Requested: a.Created, Decided: a.Created}, nil
	}
	if err := r.free(tx, key.Account, key.Alias); err != nil {
		return req, err
	}
	if err := r.countAliases(tx, key); err != nil {
		return req, err
	}
	if err := r.open(ctx, tx, op); err != nil {
		return req, err
	}
	req = meta.AliasRequest{Account: key.Account, Alias: key.Alias, Status: meta.AliasPending, Challenge: rand.Text(), Requested: time.Now().UTC()}
	return req, tx.AliasRequests().Put(req)
}

// countAliases refuses a request that would be one alias too many. What is given up counts for
// as long as it is held, or one account could keep any number of names from others.
func (r *Registry) countAliases(tx meta.Tx, key meta.AliasRequestKey) error {
	names := map[meta.AliasName]bool{}
	list, err := tx.AliasesOf(key.Account)
	if err != nil {
		return err
	}
	for _, a := range list {
		if !a.Default && (a.Status != meta.AliasReleased || time.Since(a.Released) < r.cfg.AliasHold) {
			names[a.Name] = true
		}
	}
	for o, err := range tx.AliasRequests().Scan(meta.Range[meta.AliasRequestKey]{Prefix: meta.AliasRequestKey{Account: key.Account}, Limit: r.cfg.Quotas.Aliases + 1}) {
		if err != nil {
			return err
		}
		names[o.Alias] = true
	}
	if !names[key.Alias] && len(names) >= r.cfg.Quotas.Aliases {
		return says(ErrQuota, "the registry has %d aliases and requests for them, which is the limit; delete some first", len(names))
	}
	return nil
}

// decide asks the decider and carries out what it says.
func (r *Registry) decide(ctx context.Context, op *Op, req meta.AliasRequest) (meta.AliasRequest, error) {
	limited, cancel := context.WithTimeout(ctx, decisionTime)
	defer cancel()
	d, err := r.cfg.AliasDecider.DecideAlias(limited, req)
	if err != nil {
		r.cfg.Logger.WarnContext(ctx, "an alias could not be decided and stays pending", "alias", req.Alias, "account", req.Account, "error", err)
		return req, nil
	}
	if d.Status != meta.AliasActive && d.Status != meta.AliasRejected {
		if d.Status != "" {
			r.cfg.Logger.WarnContext(ctx, "an alias cannot be decided to be that, and stays pending", "alias", req.Alias, "status", d.Status)
		}
		return req, nil
	}
	return r.settle(ctx, op, req, d)
}

// settle carries out a decision. An alias that somebody else got meanwhile is rejected.
func (r *Registry) settle(ctx context.Context, op *Op, req meta.AliasRequest, d AliasDecision) (meta.AliasRequest, error) {
	var taken error
	key := meta.AliasRequestKey{Account: req.Account, Alias: req.Alias}
	err := r.store.Update(settled(ctx), func(tx meta.Tx) error {
		now, err := tx.AliasRequests().Get(key)
		if err != nil {
			return err
		}
		if now.Status != meta.AliasPending {
			req = now
			return nil
		}
		op.told, taken = unasked, nil
		req = now
		req.Status, req.Reason, req.Decided = d.Status, d.Reason, time.Now().UTC()
		if d.Status == meta.AliasActive {
			err := r.activate(tx, req.Account, req.Alias, false)
			if err == nil {
				return r.changeRegistry(ctx, tx, op)
			}
			if !errors.Is(err, ErrAliasTaken) {
				return err
			}
			taken = err
			req.Status, req.Reason = meta.AliasRejected, "the alias is not free"
		}
		return tx.AliasRequests().Put(req)
	})
	if err == nil {
		err = taken
	}
	return req, err
}

// DecideAlias approves or rejects a request for an alias, as the operator of the registry.
// A request that is not pending is an error wrapping fs.ErrNotExist.
func (r *Registry) DecideAlias(ctx context.Context, account, alias string, d AliasDecision) error {
	if d.Status != meta.AliasActive && d.Status != meta.AliasRejected {
		return fmt.Errorf("registry: an alias cannot be decided to be %q", d.Status)
	}
	req := meta.AliasRequest{Account: meta.AccountID(account), Alias: meta.AliasName(alias)}
	err := r.store.View(ctx, func(tx meta.Tx) error {
		now, err := tx.AliasRequests().Get(meta.AliasRequestKey{Account: req.Account, Alias: req.Alias})
		if err == nil && now.Status != meta.AliasPending {
			err = ErrAliasUnknown
		}
		return err
	})
	if err == nil {
		_, err = r.settle(ctx, operator(req.Account), req, d)
	}
	return err
}

// PendingAliases returns up to limit requests for aliases that are to be decided, after a
// given one, for the operator of the registry.
func (r *Registry) PendingAliases(ctx context.Context, after meta.AliasRequestKey, limit int) (list []meta.AliasRequest, err error) {
	err = r.store.View(ctx, func(tx meta.Tx) error {
		list, err = tx.PendingAliases(after, limit)
		return err
	})
	return list, err
}

// decisionTime is how long a decider may take: a publisher's name server is not to hold up
// the others.
const decisionTime = 10 * time.Second

// aliasPoll is how often the decider is asked again about what is pending.
const aliasPoll = time.Minute

// decideAliases does so until ctx ends.
func (r *Registry) decideAliases(ctx context.Context) {
	tick := time.NewTicker(aliasPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.decidePending(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Logger.WarnContext(ctx, "aliases could not be decided", "error", err)
			}
		}
	}
}

// decidePending asks the decider again about all that is pending.
func (r *Registry) decidePending(ctx context.Context) error {
	var after meta.AliasRequestKey
	for {
		list, err := r.PendingAliases(ctx, after, MaxPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, req := range list {
			if _, err := r.decide(ctx, operator(req.Account), req); err != nil && !errors.Is(err, ErrAliasTaken) && !errors.Is(err, fs.ErrNotExist) {
				r.cfg.Logger.WarnContext(ctx, "an alias could not be settled and stays pending", "alias", req.Alias, "account", req.Account, "error", err)
			}
			after = meta.AliasRequestKey{Account: req.Account, Alias: req.Alias}
		}
	}
}

// AliasRequests returns what the actor's registry has asked for, by name.
func (a *Actor) AliasRequests(ctx context.Context) (list []meta.AliasRequest, err error) {
	err = a.do(ctx, a.overall(policy.DescribeRegistryAliasRequests), func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) error {
			for req, err := range tx.AliasRequests().Scan(meta.Range[meta.AliasRequestKey]{Prefix: meta.AliasRequestKey{Account: op.account}}) {
				if err != nil {
					return err
				}
				list = append(list, req)
			}
			return nil
		})
	})
	return list, err
}

// DeleteAlias gives an alias up, or takes back the request for it. For some time it is not
// free for others; see [Config.AliasHold]. The default alias cannot be given up.
func (a *Actor) DeleteAlias(ctx context.Context, alias string) error {
	return a.do(ctx, a.overall(policy.DeleteRegistryAlias), func(ctx context.Context, op *Op) error {
		return a.r.store.Update(ctx, func(tx meta.Tx) error {
			op.told = unasked
			key := meta.AliasRequestKey{Account: op.account, Alias: meta.AliasName(alias)}
			_, asked := tx.AliasRequests().Get(key)
			if asked != nil && !errors.Is(asked, fs.ErrNotExist) {
				return asked
			}
			if err := tx.AliasRequests().Delete(key); err != nil {
				return err
			}
			old, err := ownAlias(tx, op.account, alias)
			if errors.Is(err, ErrAliasUnknown) && asked == nil {
				return nil
			}
			if err != nil {
				return err
			}
			if old.Default {
				return says(ErrAliasInvalid, "the default alias cannot be deleted")
			}
			list, err := tx.AliasesOf(op.account)
			if err != nil {
				return err
			}
			if old.Primary {
				list = slices.DeleteFunc(list, func(o meta.Alias) bool { return o.Name == old.Name || o.Status != meta.AliasActive })
				if len(list) == 0 {
					return says(ErrAliasInvalid, "the registry's only alias cannot be deleted")
				}
				next := list[0]
				for _, o := range list {
					if o.Default {
						next = o
					}
				}
				next.Primary = true
				if err := tx.Aliases().Put(next); err != nil {
					return err
				}
			}
			old.Primary, old.Status, old.Released = false, meta.AliasReleased, time.Now().UTC()
			if err := tx.Aliases().Put(old); err != nil {
				return err
			}
			a.r.caches.forgetAlias(tx, old.Name)
			return a.r.changeRegistry(ctx, tx, op)
		})
	})
}

// ownAlias returns an active alias of an account.
func ownAlias(tx meta.Tx, account meta.AccountID, alias string) (meta.Alias, error) {
	a, err := tx.Aliases().Get(meta.AliasName(alias))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (a.Account != account || a.Status != meta.AliasActive) {
		return a, says(ErrAliasUnknown, "the registry has no alias '%s'", alias)
	}
	return a, err
}

// SetPrimaryAlias chooses the alias that URIs are shown with.
func (a *Actor) SetPrimaryAlias(ctx context.Context, alias string) error {
	return a.do(ctx, a.overall(policy.SetPrimaryRegistryAlias), func(ctx context.Context, op *Op) error {
		return a.r.store.Update(ctx, func(tx meta.Tx) error {
			op.told = unasked
			chosen, err := ownAlias(tx, op.account, alias)
			if err != nil || chosen.Primary {
				return err
			}
			list, err := tx.AliasesOf(op.account)
			if err != nil {
				return err
			}
			for _, o := range list {
				if o.Primary {
					o.Primary = false
					if err := tx.Aliases().Put(o); err != nil {
						return err
					}
				}
			}
			chosen.Primary = true
			if err := tx.Aliases().Put(chosen); err != nil {
				return err
			}
			return a.r.changeRegistry(ctx, tx, op)
		})
	})
}
