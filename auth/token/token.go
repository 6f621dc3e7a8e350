// Package token issues and verifies tokens: JSON Web Tokens signed with Ed25519 by keys
// that all nodes share through an auth.KeyStore.
//
// A token is accepted only if its header names one of those keys and the algorithm EdDSA.
// Keys that a token brings along or points to (jwk, jku, x5c, x5u) are refused rather than
// ignored (CVE-2025-24976).
package token

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
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

// Service implements [auth.Issuer] and [auth.Verifier]. It is safe for concurrent use.
type Service struct {
	store auth.KeyStore

	mu       sync.Mutex
	keys     map[string]ed25519.PrivateKey
	newest   string
	asked    time.Time // when an unknown key id last made the store be read
	verified *lru.Cache[[sha256.Size]byte, entry]
}

type entry struct {
	kind     auth.Kind
	audience string
	identity auth.Identity
}

// New returns a service over shared keys. The first key is made when it is first needed.
func New(store auth.KeyStore) *Service {
	verified, err := lru.New[[sha256.Size]byte, entry](cached)
	if err != nil {
		panic(err) // for a size of 0 or less
	}
	return &Service{store: store, verified: verified}
}

// claims is the body of a token.
type claims struct {
	jwt.Claims
	Kind      auth.Kind `json:"kind"`
	Account   string    `json:"account,omitempty"`
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
	id, key, err := s.signingKey(ctx)
	if err != nil {
		return auth.Token{}, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: id}}, (&jose.SignerOptions{}).WithType("JWT"))
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
		Kind: g.Kind, Account: g.Principal.Account, Unlimited: g.Scope == nil,
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
		return auth.Token{}, fmt.Errorf("token: the scope has %d repositories, too many for %d bytes", len(g.Scope.Access), maxToken)
	}
	return t, nil
}

// Verify implements [auth.Verifier].
func (s *Service) Verify(ctx context.Context, kind auth.Kind, audience, token string) (auth.Identity, error) {
	if len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }) {
		return auth.Identity{}, invalid("longer than %d bytes, or not of the letters that tokens have", maxToken)
	}
	sum := sha256.Sum256([]byte(token))
	e, ok := s.verified.Get(sum)
	if !ok {
		var err error
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
	t, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
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
	var c claims
	if err := t.Claims(key.Public(), &c); err != nil {
		return entry{}, invalid("%w", err)
	}
	if len(c.Audience) != 1 || c.Expiry == nil || c.NotBefore == nil || time.Now().Add(Leeway).Before(c.NotBefore.Time()) {
		return entry{}, invalid("claims")
	}
	e := entry{kind: c.Kind, audience: c.Audience[0], identity: auth.Identity{
		Principal: auth.Principal{Account: c.Account, Name: c.Subject}, Expires: c.Expiry.Time(),
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
