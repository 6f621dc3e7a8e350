// Package token issues and verifies tokens: JSON Web Tokens signed by keys that all nodes
// share through an auth.KeyStore, with Ed25519 unless the host wants another algorithm.
//
// A token is accepted only if its header names one of those keys and that key's algorithm.
// Keys that a token brings along or points to (jwk, jku, x5c, x5u) are refused rather than
// ignored (CVE-2025-24976).
//
// # Rotation
//
// [Service.Rotate] adds a key and removes those that no token can need any more. A new key
// signs only once every node has seen it, so that nobody is ever refused meanwhile.
// [Service.Revoke] removes a key that was stolen, and with it all tokens it has signed, within
// a second on every node.
package token

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/esplanade-registry/esplanade/auth"
)

// Leeway is how long after its end a token is still accepted: clients do not allow for
// clocks that differ (containerd, oras-go).
const Leeway = 10 * time.Second

// maxToken bounds what is parsed, in bytes: as much as an Authorization header may have.
const maxToken = 16 << 10

// alphabet is what a token is written in. The decoder would pass over line breaks (RFC
// 7515, section 5.2 forbids them), and one token would have any number of spellings.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// cached is how many verified tokens are remembered. A verification costs 60 microseconds,
// and a push presents the same token again and again.
const cached = 4096

// MaxLifetime is the longest that a token may be good for: that of ECR Public's.
const MaxLifetime = 12 * time.Hour

// The algorithms of keys, by their names in JOSE.
const (
	EdDSA = string(jose.EdDSA) // Ed25519
	RS256 = string(jose.RS256) // RSA of 2048 bits, for verifiers that know nothing newer
	HS256 = string(jose.HS256) // a secret that whoever verifies must have too
)

var algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.RS256, jose.HS256}

// Service implements [auth.Issuer] and [auth.Verifier]. It is safe for concurrent use.
type Service struct {
	store     auth.KeyStore
	algorithm string // of new keys
	mu        sync.Mutex
	asked     time.Time // when an unknown key id last made the store be read
	ring      atomic.Pointer[ring]
	verified  *lru.Cache[[sha256.Size]byte, entry]
}

type entry struct {
	key      string
	kind     auth.Kind
	audience string
	identity auth.Identity
}

// New returns a service over shared keys. The first key is made when it is first needed, of
// the algorithm EdDSA.
func New(store auth.KeyStore) *Service { return NewAlgorithm(store, EdDSA) }

// NewAlgorithm is [New] with the algorithm of the keys that the service makes. Keys of the
// others that are in the store are good too. It panics if it does not know the algorithm.
func NewAlgorithm(store auth.KeyStore, algorithm string) *Service {
	if algorithm != EdDSA && algorithm != RS256 && algorithm != HS256 {
		panic("token: unknown algorithm " + algorithm)
	}
	verified, err := lru.New[[sha256.Size]byte, entry](cached)
	if err != nil {
		panic(err) // for a size of 0 or less
	}
	return &Service{store: store, algorithm: algorithm, verified: verified}
}

// claims is the body of a token.
type claims struct {
	jwt.Claims
	Kind      auth.Kind `json:"kind"`
	Account   string    `json:"account,omitempty"`
	AccessKey string    `json:"accessKey,omitempty"`
	Unlimited bool      `json:"unlimited,omitempty"`
	Access    []access  `json:"access,omitempty"`
}

type access struct {
	Account    string      `json:"account"`
	Repository string      `json:"repository"`
	Verbs      []auth.Verb `json:"verbs"`
}

// Issue implements [auth.Issuer].
func (s *Service) Issue(ctx context.Context, g auth.Grant) (auth.Token, error) {
	if g.Lifetime > MaxLifetime {
		return auth.Token{}, fmt.Errorf("token: a lifetime of %s, the limit is %s", g.Lifetime, MaxLifetime)
	}
	key, err := s.signingKey(ctx)
	if err != nil {
		return auth.Token{}, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.algorithm), Key: key.private},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", key.id))
	if err != nil {
		return auth.Token{}, fmt.Errorf("token: %w", err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	t := auth.Token{Issued: now, Expires: now.Add(g.Lifetime)}
	c := claims{
		Claims: jwt.Claims{
			Issuer: g.Audience, Audience: jwt.Audience{g.Audience}, Subject: g.Principal.Name, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(t.Issued), NotBefore: jwt.NewNumericDate(t.Issued.Add(-Leeway)), Expiry: jwt.NewNumericDate(t.Expires),
		},
		Kind: g.Kind, Account: g.Principal.Account, AccessKey: g.AccessKey, Unlimited: g.Scope == nil,
	}
	if g.Scope != nil {
		for _, a := range g.Scope.Access {
			c.Access = append(c.Access, access(a))
		}
	}
	t.Value, err = jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		return auth.Token{}, fmt.Errorf("token: %w", err)
	}
	if len(t.Value) > maxToken {
		return auth.Token{}, fmt.Errorf("token: the principal and its scope are too long for %d bytes", maxToken)
	}
	return t, nil
}

// Verify implements [auth.Verifier].
func (s *Service) Verify(ctx context.Context, kind auth.Kind, audience, token string) (auth.Identity, error) {
	if len(token) > maxToken {
		return auth.Identity{}, invalid("longer than %d bytes", maxToken)
	}
	keys, err := s.keys(ctx)
	if err != nil {
		return auth.Identity{}, err
	}
	sum := sha256.Sum256([]byte(token))
	e, ok := s.verified.Get(sum)
	if ok {
		_, ok = keys.byID[e.key] // it may have been revoked
	}
	if !ok {
		if e, err = s.verify(ctx, token); err != nil {
			return auth.Identity{}, err
		}
		s.verified.Add(sum, e)
	}
	if e.kind != kind || e.audience != audience {
		return auth.Identity{}, invalid("a token of kind %q for %q", e.kind, e.audience)
	}
	if time.Now().After(e.identity.Expires.Add(Leeway)) {
		return auth.Identity{}, fmt.Errorf("%w: token %w", auth.ErrInvalidCredential, auth.ErrExpired)
	}
	return e.identity, nil
}

// verify checks everything but kind, audience and expiry.
func (s *Service) verify(ctx context.Context, token string) (entry, error) {
	if strings.ContainsFunc(token, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }) {
		return entry{}, invalid("not of the letters that tokens have")
	}
	t, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return entry{}, invalid("%w", err)
	}
	if len(t.Headers) != 1 {
		return entry{}, invalid("%d signatures", len(t.Headers))
	}
	header := t.Headers[0]
	for _, name := range []jose.HeaderKey{"jku", "x5u", "crit"} {
		if _, ok := header.ExtraHeaders[name]; ok {
			return entry{}, invalid("header %s", name)
		}
	}
	_, err = header.Certificates(x509.VerifyOptions{})
	if header.JSONWebKey != nil || !errors.Is(err, jose.ErrMissingX5cHeader) {
		return entry{}, invalid("the token brings its own key")
	}
	key, err := s.key(ctx, header.KeyID)
	if err != nil {
		return entry{}, err
	}
	if header.Algorithm != key.algorithm {
		return entry{}, invalid("the key is of another algorithm")
	}
	var c claims
	if err := t.Claims(key.public, &c); err != nil {
		return entry{}, invalid("%w", err)
	}
	if len(c.Audience) != 1 || c.Expiry == nil || c.NotBefore == nil || time.Now().Add(Leeway).Before(c.NotBefore.Time()) {
		return entry{}, invalid("claims")
	}
	e := entry{key: key.id, kind: c.Kind, audience: c.Audience[0], identity: auth.Identity{
		Principal: auth.Principal{Account: c.Account, Name: c.Subject}, Expires: c.Expiry.Time(), AccessKey: c.AccessKey,
	}}
	if !c.Unlimited {
		e.identity.Scope = &auth.Scope{}
		for _, a := range c.Access {
			e.identity.Scope.Access = append(e.identity.Scope.Access, auth.Access(a))
		}
	}
	return e, nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", auth.ErrInvalidCredential, fmt.Errorf("token: "+format, args...))
}
