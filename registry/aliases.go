package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
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

// putRegistry makes an account's registry if there is none.
func putRegistry(tx meta.Tx, account meta.AccountID) error {
	_, err := tx.Registries().Get(account)
	if errors.Is(err, fs.ErrNotExist) {
		err = tx.Registries().Put(meta.Registry{Account: account, Created: time.Now().UTC()})
	}
	return err
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

// open makes sure that an account has a registry with an alias, before its first
// repository.
func (r *Registry) open(ctx context.Context, tx meta.Tx, op *Op) error {
	list, err := tx.AliasesOf(op.account)
	if err != nil || primary(list) != "" {
		return err
	}
	if err := putRegistry(tx, op.account); err != nil {
		return err
	}
	for err = ErrAliasTaken; errors.Is(err, ErrAliasTaken); {
		err = r.activate(tx, op.account, defaultAlias(), true)
	}
	if err != nil {
		return err
	}
	return r.changeRegistry(ctx, tx, op)
}

// defaultAlias draws an alias of the form that ECR Public gives: k3v9f2x1.
func defaultAlias() meta.AliasName {
	var s strings.Builder
	for range 4 {
		for _, letters := range []string{"abcdefghijklmnopqrstuvwxyz", "0123456789"} {
			n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(letters)))) // it cannot fail
			s.WriteByte(letters[n.Int64()])
		}
	}
	return meta.AliasName(s.String())
}

// overall begins an operation on the registry of an account: the actor's own if account is
// empty.
func (a *Actor) overall(action policy.Action) Op {
	return Op{Action: action, overall: true, account: meta.AccountID(a.identity.Account)}
}

// RegistryInfo is a registry with its aliases, active ones first and then those that are
// asked for.
type RegistryInfo struct {
	meta.Registry
	Aliases []meta.Alias
}

// Registry returns the actor's registry. One that has no repository yet may not exist: the
// error then wraps fs.ErrNotExist.
func (a *Actor) Registry(ctx context.Context) (info RegistryInfo, err error) {
	err = a.do(ctx, a.overall(policy.DescribeRegistries), func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) error {
			info, err = registryInfo(tx, op.account)
			return err
		})
	})
	return info, err
}

func registryInfo(tx meta.Tx, account meta.AccountID) (info RegistryInfo, err error) {
	if info.Registry, err = tx.Registries().Get(account); err != nil {
		return info, err
	}
	list, err := tx.AliasesOf(account)
	if err != nil {
		return info, err
	}
	for _, alias := range list {
		if alias.Status == meta.AliasActive {
			info.Aliases = append(info.Aliases, alias)
		}
	}
	for req, err := range tx.AliasRequests().Scan(meta.Range[meta.AliasRequestKey]{Prefix: meta.AliasRequestKey{Account: account}}) {
		if err != nil {
			return info, err
		}
		if req.Status != meta.AliasActive {
			info.Aliases = append(info.Aliases, meta.Alias{Name: req.Alias, Account: account, Status: req.Status, Created: req.Requested})
		}
	}
	return info, nil
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
	pending := 0
	for o, err := range tx.AliasRequests().Scan(meta.Range[meta.AliasRequestKey]{Prefix: meta.AliasRequestKey{Account: key.Account}}) {
		if err != nil {
			return req, err
		}
		if o.Status == meta.AliasPending {
			pending++
		}
	}
	if pending >= r.cfg.Quotas.AliasRequests {
		return req, says(ErrQuota, "the registry has %d requests for aliases that are not decided, which is the limit", pending)
	}
	if err := r.open(ctx, tx, op); err != nil {
		return req, err
	}
	req = meta.AliasRequest{Account: key.Account, Alias: key.Alias, Status: meta.AliasPending, Challenge: rand.Text(), Requested: time.Now().UTC()}
	return req, tx.AliasRequests().Put(req)
}

// decide asks the decider and carries out what it says.
func (r *Registry) decide(ctx context.Context, op *Op, req meta.AliasRequest) (meta.AliasRequest, error) {
	d, err := r.cfg.AliasDecider.DecideAlias(ctx, req)
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
	err := r.store.Update(settled(ctx), func(tx meta.Tx) error {
		now, err := tx.AliasRequests().Get(meta.AliasRequestKey{Account: req.Account, Alias: req.Alias})
		if err != nil || now.Status != meta.AliasPending {
			req = now
			return err
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

// changeRegistry tells guards and sinks of a change of the operation's registry.
func (r *Registry) changeRegistry(ctx context.Context, tx meta.Tx, op *Op) error {
	op.Repository = meta.Repository{Account: op.account}
	return r.change(ctx, tx, op, &Change{Kind: ChangeRegistry})
}

// operator is who decides about aliases: no policy is asked.
func operator(account meta.AccountID) *Op {
	return &Op{account: account, Identity: auth.Identity{Principal: auth.Principal{Account: string(account), Name: "operator"}}}
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

// decidePending asks the decider again about all that is pending.
func (r *Registry) decidePending(ctx context.Context) error {
	var after meta.AliasRequestKey
	for {
		list, err := r.PendingAliases(ctx, after, MaxPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, req := range list {
			if _, err := r.decide(ctx, operator(req.Account), req); err != nil && !errors.Is(err, ErrAliasTaken) {
				return err
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

// RegistryCatalogData returns the display name of the actor's registry.
func (a *Actor) RegistryCatalogData(ctx context.Context) (displayName string, err error) {
	err = a.do(ctx, a.overall(policy.GetRegistryCatalogData), func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) error {
			row, err := tx.Registries().Get(op.account)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			displayName = row.DisplayName
			return err
		})
	})
	return displayName, err
}

// MaxDisplayName is how many characters the name of a registry has at most.
const MaxDisplayName = 100

// PutRegistryCatalogData sets the display name of the actor's registry, of up to
// [MaxDisplayName] characters. The registry comes to be with it.
func (a *Actor) PutRegistryCatalogData(ctx context.Context, displayName string) error {
	return a.do(ctx, a.overall(policy.PutRegistryCatalogData), func(ctx context.Context, op *Op) error {
		if err := checkText("displayName", displayName, MaxDisplayName, false); err != nil {
			return err
		}
		return a.r.store.Update(ctx, func(tx meta.Tx) error {
			op.told = unasked
			if err := a.r.open(ctx, tx, op); err != nil {
				return err
			}
			row, err := tx.Registries().Get(op.account)
			if err != nil {
				return err
			}
			row.DisplayName = displayName
			if err := tx.Registries().Put(row); err != nil {
				return err
			}
			return a.r.changeRegistry(ctx, tx, op)
		})
	})
}

// SetVerified says whether the operator vouches for who an account is.
func (r *Registry) SetVerified(ctx context.Context, account string, verified bool) error {
	op := operator(meta.AccountID(account))
	return r.store.Update(ctx, func(tx meta.Tx) error {
		op.told = unasked
		row, err := tx.Registries().Get(op.account)
		if err != nil || row.Verified == verified {
			return err
		}
		row.Verified = verified
		if err := tx.Registries().Put(row); err != nil {
			return err
		}
		return r.changeRegistry(ctx, tx, op)
	})
}
