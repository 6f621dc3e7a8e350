package token

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
)

// reload is how often an unknown key id may make the store be asked again: another node
// may have added a key, but anybody can invent an id.
const reload = time.Second

// signingKey returns the newest key, and makes the first.
func (s *Service) signingKey(ctx context.Context) (string, ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == "" {
		if err := s.load(ctx); err != nil {
			return "", nil, err
		}
	}
	if s.newest == "" {
		if err := s.create(ctx); err != nil {
			return "", nil, err
		}
	}
	return s.newest, s.keys[s.newest], nil
}

// key returns the key that a token names.
func (s *Service) key(ctx context.Context, id string) (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.keys[id]; ok {
		return key, nil
	}
	if time.Since(s.asked) >= reload {
		s.asked = time.Now()
		if err := s.load(ctx); err != nil {
			return nil, err
		}
		if key, ok := s.keys[id]; ok {
			return key, nil
		}
	}
	return nil, invalid("unknown key")
}

// load reads the keys; s.mu is held.
func (s *Service) load(ctx context.Context) error {
	list, err := s.store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("token: keys: %w", err)
	}
	keys, newest := map[string]ed25519.PrivateKey{}, ""
	for _, k := range list {
		if k.Algorithm != "EdDSA" {
			continue
		}
		parsed, err := x509.ParsePKCS8PrivateKey(k.Private)
		if err != nil {
			return fmt.Errorf("token: key %s: %w", k.ID, err)
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return fmt.Errorf("token: key %s is a %T", k.ID, parsed)
		}
		keys[k.ID], newest = key, k.ID
	}
	s.keys, s.newest = keys, newest
	return nil
}

// create adds a key; s.mu is held. Two nodes that do so at once each sign with their own
// and accept both.
func (s *Service) create(ctx context.Context) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if err := s.store.AddKey(ctx, auth.Key{ID: rand.Text(), Algorithm: "EdDSA", Private: raw, Created: time.Now().UTC()}); err != nil {
		return fmt.Errorf("token: new key: %w", err)
	}
	return s.load(ctx)
}
