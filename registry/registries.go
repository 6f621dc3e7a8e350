package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"math/big"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// putRegistry makes an account's registry if there is none.
func putRegistry(tx meta.Tx, account meta.AccountID) error {
	_, err := tx.Registries().Get(account)
	if errors.Is(err, fs.ErrNotExist) {
		err = tx.Registries().Put(meta.Registry{Account: account, Created: time.Now().UTC()})
	}
	return err
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

// changeRegistry tells guards and sinks of a change of the operation's registry.
func (r *Registry) changeRegistry(ctx context.Context, tx meta.Tx, op *Op) error {
	op.Repository = meta.Repository{Account: op.account}
	return r.change(ctx, tx, op, &Change{Kind: ChangeRegistry})
}

// operator is who decides about aliases: no policy is asked.
func operator(account meta.AccountID) *Op {
	return &Op{account: account, Identity: auth.Identity{Principal: auth.Principal{Account: string(account), Name: "operator"}}}
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
