// Package accounts keeps the users and roles of accounts in a registry's metadata store:
// their access keys, identity policies and tags. It is for hosts that have no user database
// of their own.
//
// A [Store] is what the rest asks: auth.AccessKeys for signatures and tokens, and
// iam.Identities for policies. What is changed holds at once, except that a token is refused
// within a second after its access key was disabled.
package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// MaxKeys is how many access keys a principal has at most: one to use, and one to take its
// place (as in IAM).
const MaxKeys = 2

// MaxPolicies is how many identity policies a principal has at most (as in IAM).
const MaxPolicies = 10

// ErrLimit is wrapped by the error of what would be one too many.
var ErrLimit = errors.New("the limit is reached")

// Store keeps principals. It is made of the store that the registry has.
type Store struct{ store meta.Store }

// New returns the principals in a store.
func New(store meta.Store) *Store { return &Store{store} }

func key(p auth.Principal) meta.PrincipalKey {
	return meta.PrincipalKey{Account: meta.AccountID(p.Account), Name: p.Name}
}

// check refuses principals that policies could not name.
func check(p auth.Principal) error {
	if len(p.Account) != 12 || strings.Trim(p.Account, "0123456789") != "" || p.Name == "" || len(p.Name) > 512 ||
		strings.ContainsFunc(p.Name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("*?:", r) }) {
		return fmt.Errorf("accounts: %q is no principal of an account with 12 digits", p.String())
	}
	return nil
}

// CreateKey makes an access key for a principal. The secret cannot be asked for again.
func (s *Store) CreateKey(ctx context.Context, p auth.Principal) (auth.AccessKey, error) {
	if err := check(p); err != nil {
		return auth.AccessKey{}, err
	}
	k := auth.AccessKey{ID: "AKIA" + rand.Text()[:16], Secret: (rand.Text() + rand.Text())[:40], Principal: p}
	err := s.store.Update(ctx, func(tx meta.Tx) error {
		have, err := tx.AccessKeysOf(key(p))
		if err != nil {
			return err
		}
		if len(have) >= MaxKeys {
			return fmt.Errorf("accounts: %s has %d access keys: %w", p, len(have), ErrLimit)
		}
		return tx.AccessKeys().Put(meta.AccessKey{
			ID: meta.AccessKeyID(k.ID), Account: meta.AccountID(p.Account), Principal: p.Name, Secret: k.Secret, Created: time.Now().UTC(),
		})
	})
	if err != nil {
		return auth.AccessKey{}, err
	}
	return k, nil
}

// KeyInfo is an access key without its secret.
type KeyInfo struct {
	ID       string
	Created  time.Time
	Disabled bool
}

// Keys returns the access keys of a principal, by their ids.
func (s *Store) Keys(ctx context.Context, p auth.Principal) (list []KeyInfo, err error) {
	err = s.store.View(ctx, func(tx meta.Tx) error {
		rows, err := tx.AccessKeysOf(key(p))
		for _, k := range rows {
			list = append(list, KeyInfo{string(k.ID), k.Created, k.Disabled})
		}
		return err
	})
	return list, err
}

// SetKey disables or enables an access key. One that does not exist is an error wrapping
// fs.ErrNotExist.
func (s *Store) SetKey(ctx context.Context, id string, disabled bool) error {
	return s.store.Update(ctx, func(tx meta.Tx) error {
		k, err := tx.AccessKeys().Get(meta.AccessKeyID(id))
		if err != nil {
			return err
		}
		k.Disabled = disabled
		return tx.AccessKeys().Put(k)
	})
}

// DeleteKey deletes an access key, if it is there.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	return s.store.Update(ctx, func(tx meta.Tx) error { return tx.AccessKeys().Delete(meta.AccessKeyID(id)) })
}

// AccessKey implements [auth.AccessKeys].
func (s *Store) AccessKey(ctx context.Context, id string) (k auth.AccessKey, err error) {
	err = s.store.View(ctx, func(tx meta.Tx) error {
		row, err := tx.AccessKeys().Get(meta.AccessKeyID(id))
		if errors.Is(err, fs.ErrNotExist) || err == nil && row.Disabled {
			return auth.ErrInvalidCredential
		}
		k = auth.AccessKey{ID: id, Secret: row.Secret, Principal: auth.Principal{Account: string(row.Account), Name: row.Principal}}
		return err
	})
	if err != nil {
		return auth.AccessKey{}, err
	}
	return k, nil
}

// change changes the row of a principal, which comes to be with it.
func (s *Store) change(ctx context.Context, p auth.Principal, f func(*meta.Principal) error) error {
	if err := check(p); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx meta.Tx) error {
		row, err := tx.Principals().Get(key(p))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		row.Account, row.Name = meta.AccountID(p.Account), p.Name
		row.Policies, row.Tags = maps.Clone(row.Policies), maps.Clone(row.Tags)
		if err := f(&row); err != nil {
			return err
		}
		return tx.Principals().Put(row)
	})
}

// PutPolicy attaches an identity policy to a principal, in place of the one of that name.
// A text that is no policy is an error wrapping iam.ErrPolicy.
func (s *Store) PutPolicy(ctx context.Context, p auth.Principal, name, text string) error {
	if _, err := iam.Parse(iam.Identity, text); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	if name == "" || !utf8.ValidString(name) {
		return fmt.Errorf("accounts: %q is no name of a policy", name)
	}
	return s.change(ctx, p, func(row *meta.Principal) error {
		if row.Policies == nil {
			row.Policies = map[string]string{}
		}
		if row.Policies[name] = text; len(row.Policies) > MaxPolicies {
			return fmt.Errorf("accounts: %s has %d policies: %w", p, MaxPolicies, ErrLimit)
		}
		return nil
	})
}

// DeletePolicy detaches an identity policy, if it is there.
func (s *Store) DeletePolicy(ctx context.Context, p auth.Principal, name string) error {
	return s.change(ctx, p, func(row *meta.Principal) error {
		delete(row.Policies, name)
		return nil
	})
}

// SetTags sets the tags of a principal, in place of those it has.
func (s *Store) SetTags(ctx context.Context, p auth.Principal, tags map[string]string) error {
	for key, value := range tags {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return fmt.Errorf("accounts: %q=%q is no tag", key, value)
		}
	}
	return s.change(ctx, p, func(row *meta.Principal) error {
		row.Tags = maps.Clone(tags)
		return nil
	})
}

// principal returns the row of a principal, empty if there is none.
func (s *Store) principal(ctx context.Context, p auth.Principal) (row meta.Principal, err error) {
	err = s.store.View(ctx, func(tx meta.Tx) error {
		row, err = tx.Principals().Get(key(p))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return row, err
}

// IdentityPolicies implements [iam.Identities].
func (s *Store) IdentityPolicies(ctx context.Context, p auth.Principal) ([]string, error) {
	row, err := s.principal(ctx, p)
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(row.Policies)) {
		texts = append(texts, row.Policies[name])
	}
	return texts, err
}

// IdentityTags implements [iam.Identities].
func (s *Store) IdentityTags(ctx context.Context, p auth.Principal) (map[string]string, error) {
	row, err := s.principal(ctx, p)
	return maps.Clone(row.Tags), err
}
