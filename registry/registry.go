package registry

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Registry serves any number of registries from one store and one bucket. It is safe for
// concurrent use.
type Registry struct {
	cfg     Config
	store   meta.Store
	blobs   *storage.Blobs
	auth    []auth.Authenticator // of everything but /token
	logins  []auth.Authenticator // of /token
	caches  caches
	flights flights
	// firstKeys has the object key that each upload begun here recorded with its row. It
	// may be used once, by this node, without claiming another; see claim.
	firstKeys *lru.Cache[meta.UploadID, string]
	keys      *lru.Cache[string, keyState]
	headroom  *lru.Cache[meta.RepositoryID, headroom]
	signed    *lru.Cache[string, signedURL]
	logos     chan struct{} // held while one is decoded
	running   chan struct{} // one for each request that is worked on; nil: without bound
	sharedFor []string      // Cache-Control of tags, where it is Shared
	wake      chan struct{} // tells Run of new events

	readying sync.Mutex // held while whether it is ready is asked
	ready    readiness

	following sync.Mutex // held while who follows changes
	followers atomic.Pointer[[]*func(event.Event)]
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
		logins: cfg.Authenticators,
		caches: newCaches(cfg.ManifestCache),
		logos:  make(chan struct{}, maxLogos),
		wake:   make(chan struct{}, 1),

		sharedFor: sharedFor(cfg.SharedMaxAge),
	}
	if cfg.MaxRequests > 0 {
		r.running = make(chan struct{}, cfg.MaxRequests)
	}
	if _, shared := cfg.Store.(meta.Watcher); shared {
		r.caches.shared, r.caches.node = true, rand.Text()
		r.caches.suspend() // until Run watches
	}
	if r.firstKeys, err = lru.New[meta.UploadID, string](maxFirstKeys); err != nil {
		return nil, err
	}
	if cfg.Verifier != nil {
		r.logins = append([]auth.Authenticator{auth.Login(cfg.Verifier, audience)}, cfg.Authenticators...)
		// passwords before tokens, because both come behind Bearer
		r.auth = slices.Insert(slices.Clone(r.logins), 1, auth.Bearer(cfg.Verifier, audience))
	}
	if r.keys, err = lru.New[string, keyState](rememberedKeys); err != nil {
		return nil, err
	}
	if r.signed, err = lru.New[string, signedURL](rememberedURLs); err != nil {
		return nil, err
	}
	if r.headroom, err = lru.New[meta.RepositoryID, headroom](rememberedCounts); err != nil {
		return nil, err
	}
	return r, nil
}

func checkAccount(s string) error {
	if len(s) != 12 || strings.Trim(s, "0123456789") != "" {
		return fmt.Errorf("registry: account %q has not 12 digits", s)
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

func (s signingKeys) RemoveKey(ctx context.Context, id string) error {
	return s.store.Update(ctx, func(tx meta.Tx) error { return tx.SigningKeys().Delete(meta.KeyID(id)) })
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
