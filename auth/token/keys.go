package token

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
)

const (
	// reload is how old what is known of the keys may be: how long a revoked one is still
	// good on other nodes.
	reload = time.Second
	// again is how often an unknown key id may make the store be asked before that:
	// another node may have made the first key, but anybody can invent an id.
	again = 100 * time.Millisecond
	// activation is how old a key must be to sign: by then every node has seen it.
	activation = 3 * reload
	// retention is how long a key is kept after another took its place: as long as a token
	// that it signed can be good.
	retention = MaxLifetime + Leeway + activation
)

// key is a key that was parsed.
type key struct {
	id, algorithm   string
	created         time.Time
	private, public any
}

// ring is all keys as they were at a time. It is immutable.
type ring struct {
	list []key // the oldest first
	byID map[string]key
	read time.Time
}

// signing returns the newest key that every node knows; while there is none such, the
// oldest.
func (r *ring) signing() (k key, ok bool) {
	for i, candidate := range r.list {
		if i == 0 || time.Since(candidate.created) >= activation {
			k, ok = candidate, true
		}
	}
	return k, ok
}

// keys returns the ring, read within the last second. If the store fails, an older one has
// to do.
func (s *Service) keys(ctx context.Context) (*ring, error) {
	r := s.ring.Load()
	if r != nil && time.Since(r.read) < reload {
		return r, nil
	}
	if r != nil && !s.mu.TryLock() {
		return r, nil // somebody reads it
	}
	if r == nil {
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if now := s.ring.Load(); now != r {
		return now, nil
	}
	fresh, err := s.load(ctx)
	if err == nil || r == nil {
		return fresh, err
	}
	s.ring.Store(&ring{r.list, r.byID, time.Now()}) // until the next try
	return r, nil
}

// signingKey returns the key to sign with, and makes the first.
func (s *Service) signingKey(ctx context.Context) (key, error) {
	r, err := s.keys(ctx)
	if err != nil {
		return key{}, err
	}
	if k, ok := r.signing(); ok {
		return k, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, err = s.load(ctx); err != nil {
		return key{}, err
	}
	if len(r.list) == 0 {
		if err := s.create(ctx); err != nil {
			return key{}, err
		}
		if r, err = s.load(ctx); err != nil {
			return key{}, err
		}
	}
	k, ok := r.signing()
	if !ok {
		return key{}, fmt.Errorf("token: the new key is not there")
	}
	return k, nil
}

// key returns the key that a token names.
func (s *Service) key(ctx context.Context, id string) (key, error) {
	r, err := s.keys(ctx)
	if err != nil {
		return key{}, err
	}
	if k, ok := r.byID[id]; ok {
		return k, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.ring.Load(); now != r {
		r = now
	} else if time.Since(s.asked) >= again {
		s.asked = time.Now()
		if r, err = s.load(ctx); err != nil {
			return key{}, err
		}
	}
	if k, ok := r.byID[id]; ok {
		return k, nil
	}
	return key{}, invalid("unknown key")
}

// load reads the keys; s.mu is held.
func (s *Service) load(ctx context.Context) (*ring, error) {
	list, err := s.store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("token: keys: %w", err)
	}
	r := &ring{byID: map[string]key{}, read: time.Now()}
	for _, stored := range list {
		if stored.Algorithm != EdDSA && stored.Algorithm != RS256 && stored.Algorithm != HS256 {
			continue // of a newer version of the library
		}
		k, err := parse(stored)
		if err != nil {
			return nil, fmt.Errorf("token: key %s: %w", stored.ID, err)
		}
		r.list, r.byID[k.id] = append(r.list, k), k
	}
	s.ring.Store(r)
	return r, nil
}

func parse(stored auth.Key) (key, error) {
	k := key{id: stored.ID, algorithm: stored.Algorithm, created: stored.Created}
	if k.algorithm == HS256 {
		if len(stored.Private) < 32 {
			return k, fmt.Errorf("a secret of %d bytes is too short", len(stored.Private))
		}
		k.private, k.public = stored.Private, stored.Private
		return k, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(stored.Private)
	if err != nil {
		return k, err
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return k, fmt.Errorf("a %T cannot sign", parsed)
	}
	k.private, k.public = signer, signer.Public()
	switch signer.(type) {
	case ed25519.PrivateKey:
		ok = k.algorithm == EdDSA
	case *rsa.PrivateKey:
		ok = k.algorithm == RS256
	default:
		ok = false
	}
	if !ok {
		return k, fmt.Errorf("a %T is not for %s", parsed, k.algorithm)
	}
	return k, nil
}

// create adds a key. Two nodes that make the first at once both sign with the older one as
// soon as they see it, and accept both.
func (s *Service) create(ctx context.Context) error {
	var (
		raw     []byte
		private any
		err     error
	)
	switch s.algorithm {
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case HS256:
		raw = make([]byte, 32)
		rand.Read(raw)
	}
	if err == nil && raw == nil {
		raw, err = x509.MarshalPKCS8PrivateKey(private)
	}
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if err := s.store.AddKey(ctx, auth.Key{ID: rand.Text(), Algorithm: s.algorithm, Private: raw, Created: time.Now().UTC()}); err != nil {
		return fmt.Errorf("token: new key: %w", err)
	}
	return nil
}

// Rotate adds a key, which signs three seconds later, and removes keys that were replaced
// so long ago that all they have signed has expired. A host calls it now and then, such as
// once a month, on any node.
func (s *Service) Rotate(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.load(ctx)
	if err != nil {
		return err
	}
	if err := s.create(ctx); err != nil {
		return err
	}
	for i := 0; i+1 < len(r.list); i++ {
		if time.Since(r.list[i+1].created) > retention {
			if err := s.store.RemoveKey(ctx, r.list[i].id); err != nil {
				return fmt.Errorf("token: old key: %w", err)
			}
		}
	}
	_, err = s.load(ctx)
	return err
}

// Revoke removes a key: what it has signed is refused from now on, within a second on other
// nodes.
func (s *Service) Revoke(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.store.RemoveKey(ctx, id); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	_, err := s.load(ctx)
	return err
}
