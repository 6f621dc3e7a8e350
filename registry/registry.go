package registry

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Registry serves any number of registries from one store and one bucket. It is safe for
// concurrent use.
type Registry struct {
	cfg    Config
	store  meta.Store
	blobs  *storage.Blobs
	auth   []auth.Authenticator
	caches caches
	// firstKeys has the object key that each upload begun here recorded with its row. It
	// may be used once, by this node, without claiming another; see claim.
	firstKeys *lru.Cache[meta.UploadID, string]
	wake      chan struct{} // tells Run of new events
}

// maxFirstKeys bounds how many uploads are remembered that have no bytes yet. One that is
// forgotten claims a key of its own.
const maxFirstKeys = 8192

// New checks the configuration and returns a registry. Nothing runs yet.
func New(cfg Config) (*Registry, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	r := &Registry{
		cfg:    cfg,
		store:  cfg.Store,
		blobs:  storage.NewBlobs(cfg.Bucket, &storage.Options{CacheBytes: cfg.BlobCache}),
		auth:   cfg.Authenticators,
		caches: newCaches(cfg.ManifestCache),
		wake:   make(chan struct{}, 1),
	}
	if r.firstKeys, err = lru.New[meta.UploadID, string](maxFirstKeys); err != nil {
		return nil, err
	}
	if cfg.Verifier != nil {
		r.auth = append([]auth.Authenticator{auth.Bearer(cfg.Verifier, audience)}, r.auth...)
	}
	return r, nil
}

// AddAlias gives an account's registry a name in references, active at once, and makes it
// the primary one if there is none. It is the operator's word, which no policy is asked
// about. An alias that the account has already is left as it is; one of another account is
// an error that wraps fs.ErrExist.
func (r *Registry) AddAlias(ctx context.Context, account, alias string) error {
	if err := checkAccount(account); err != nil {
		return err
	}
	if err := checkAlias(alias); err != nil {
		return err
	}
	return r.store.Update(ctx, func(tx meta.Tx) error {
		switch a, err := tx.Aliases().Get(meta.AliasName(alias)); {
		case err == nil && a.Account != meta.AccountID(account):
			return fmt.Errorf("registry: alias %s: %w", alias, fs.ErrExist)
		case err == nil:
			return nil
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		primary := true
		for a, err := range tx.Aliases().Scan(meta.Range[meta.AliasName]{}) {
			if err != nil {
				return err
			}
			primary = primary && !(a.Account == meta.AccountID(account) && a.Primary)
		}
		now := time.Now().UTC()
		if _, err := tx.Registries().Get(meta.AccountID(account)); errors.Is(err, fs.ErrNotExist) {
			if err := tx.Registries().Put(meta.Registry{Account: meta.AccountID(account), Created: now}); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		r.caches.forgetAlias(tx, meta.AliasName(alias))
		return tx.Aliases().Put(meta.Alias{
			Name: meta.AliasName(alias), Account: meta.AccountID(account), Status: meta.AliasActive, Primary: primary, Created: now,
		})
	})
}

func checkAccount(s string) error {
	if len(s) != 12 {
		return fmt.Errorf("registry: account %q has not 12 digits", s)
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return fmt.Errorf("registry: account %q has not 12 digits", s)
		}
	}
	return nil
}

// checkAlias accepts one component of a repository's name that no route begins with.
func checkAlias(s string) error {
	if err := manifest.CheckName(s); err != nil {
		return fmt.Errorf("registry: alias: %w", err)
	}
	for _, c := range s {
		if c == '/' {
			return fmt.Errorf("registry: alias %q has a slash", s)
		}
	}
	if reserved[s] {
		return fmt.Errorf("registry: alias %q is reserved", s)
	}
	return nil
}

// SigningKeys keeps the keys of an issuer of tokens in a metadata store.
func SigningKeys(store meta.Store) auth.KeyStore { return signingKeys{store} }

type signingKeys struct{ store meta.Store }

func (s signingKeys) Keys(ctx context.Context) (keys []auth.Key, err error) {
	err = s.store.View(ctx, func(tx meta.Tx) error {
		for k, err := range tx.SigningKeys().Scan(meta.Range[meta.KeyID]{}) {
			if err != nil {
				return err
			}
			keys = append(keys, auth.Key{ID: string(k.ID), Algorithm: k.Algorithm, Private: k.Private, Created: k.Created})
		}
		return nil
	})
	slices.SortStableFunc(keys, func(a, b auth.Key) int { return a.Created.Compare(b.Created) })
	return keys, err
}

func (s signingKeys) AddKey(ctx context.Context, k auth.Key) error {
	return s.store.Update(ctx, func(tx meta.Tx) error {
		return tx.SigningKeys().Put(meta.SigningKey{ID: meta.KeyID(k.ID), Algorithm: k.Algorithm, Private: k.Private, Created: k.Created})
	})
}

// newID draws a positive number at random.
func newID() meta.RepositoryID {
	var b [8]byte
	for {
		rand.Read(b[:])
		if id := meta.RepositoryID(binary.BigEndian.Uint64(b[:]) >> 1); id > 0 {
			return id
		}
	}
}
