package auth

import (
	"context"
	"time"
)

// Key signs tokens.
type Key struct {
	ID        string
	Algorithm string // of JOSE, such as EdDSA
	Private   []byte // PKCS #8, or the secret itself of an HMAC
	Created   time.Time
}

// KeyStore keeps the keys that all nodes of a service share.
type KeyStore interface {
	// Keys returns all keys, the oldest first.
	Keys(ctx context.Context) ([]Key, error)
	// AddKey adds one.
	AddKey(ctx context.Context, k Key) error
	// RemoveKey removes one, if it is there.
	RemoveKey(ctx context.Context, id string) error
}

// AccessKey is a long-lived credential of a principal: an id that is no secret, and a
// secret, with which AWS's tools sign requests.
type AccessKey struct {
	ID        string
	Secret    string
	Principal Principal
	Session   string    // token that must come along; "" for a key that is no session's
	Expires   time.Time // zero: never
}

// AccessKeys finds access keys: the host's, [StaticKeys], or those of registry/accounts.
type AccessKeys interface {
	// AccessKey returns the key with an id. One that is unknown, disabled or gone is an
	// error wrapping [ErrInvalidCredential].
	AccessKey(ctx context.Context, id string) (AccessKey, error)
}

// StaticKeys is a fixed set of access keys by their ids.
type StaticKeys map[string]AccessKey

// AccessKey implements [AccessKeys].
func (s StaticKeys) AccessKey(_ context.Context, id string) (AccessKey, error) {
	k, ok := s[id]
	if !ok {
		return AccessKey{}, ErrInvalidCredential
	}
	return k, nil
}
