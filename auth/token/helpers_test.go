package token_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/token"
)

const registry = "registry.example.com"

var alice = auth.Principal{Account: "123456789012", Name: "alice"}

// memoryKeys is an auth.KeyStore in memory.
type memoryKeys struct {
	mu    sync.Mutex
	keys  []auth.Key
	reads int   // calls of Keys
	err   error // of every call
}

func (m *memoryKeys) Keys(context.Context) ([]auth.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	return slices.Clone(m.keys), m.err
}

func (m *memoryKeys) AddKey(_ context.Context, k auth.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.keys = append(m.keys, k)
	}
	return m.err
}

func (m *memoryKeys) RemoveKey(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = slices.DeleteFunc(m.keys, func(k auth.Key) bool { return k.ID == id })
	return m.err
}

func (m *memoryKeys) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memoryKeys) readCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// newest returns the key that tokens are signed with now.
func (m *memoryKeys) newest(tb testing.TB) (id string, key ed25519.PrivateKey) {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.keys) == 0 {
		tb.Fatal("there is no key")
	}
	k := m.keys[len(m.keys)-1]
	parsed, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		tb.Fatal(err)
	}
	return k.ID, parsed.(ed25519.PrivateKey)
}

func newKey(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func issue(tb testing.TB, s *token.Service, g auth.Grant) auth.Token {
	tb.Helper()
	t, err := s.Issue(context.Background(), g)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// access is the grant of an access token that most tests use.
func access() auth.Grant {
	return auth.Grant{Kind: auth.AccessToken, Principal: alice, Audience: registry, Lifetime: 5 * time.Minute}
}

var b64 = base64.RawURLEncoding

// object is a JSON object of a token.
type object map[string]any

// with returns a copy with one member set, or removed where value is nil.
func (o object) with(name string, value any) object {
	c := object{}
	for k, v := range o {
		c[k] = v
	}
	if c[name] = value; value == nil {
		delete(c, name)
	}
	return c
}

func (o object) encode(tb testing.TB) string {
	tb.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	return b64.EncodeToString(raw)
}

// parse takes a token apart without regard to its signature.
func parse(tb testing.TB, value string) (header, claims object) {
	tb.Helper()
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		tb.Fatalf("a token of %d parts: %s", len(parts), value)
	}
	for i, into := range []*object{&header, &claims} {
		raw, err := b64.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return header, claims
}

// sign makes a compact JWS (RFC 7515, 7.1) with Ed25519 (RFC 8037), without a library.
func sign(tb testing.TB, header, claims object, key ed25519.PrivateKey) string {
	tb.Helper()
	return signRaw(header.encode(tb), claims.encode(tb), key)
}

func signRaw(header, claims string, key ed25519.PrivateKey) string {
	input := header + "." + claims
	return input + "." + b64.EncodeToString(ed25519.Sign(key, []byte(input)))
}

// mustRefuse verifies with a service that has seen nothing and with one that has.
func mustRefuse(tb testing.TB, keys auth.KeyStore, warm *token.Service, kind auth.Kind, audience, value string) {
	tb.Helper()
	for name, s := range map[string]*token.Service{"fresh": token.New(keys), "warm": warm} {
		got, err := s.Verify(context.Background(), kind, audience, value)
		if !errors.Is(err, auth.ErrInvalidCredential) || got.Principal != (auth.Principal{}) || got.Scope != nil {
			tb.Errorf("%s service: %+v, %v; want nobody and an error wrapping ErrInvalidCredential", name, got, err)
		}
	}
}
