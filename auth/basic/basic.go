// Package basic authenticates requests by user name and password, as curl, Helm and CI
// jobs send them to every route, and as docker login sends them to /token.
package basic

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
)

// Passwords knows who has which password: the host's users, or [Static] ones.
type Passwords interface {
	// Check returns the principal of a user name if the password is theirs. Where the
	// name is unknown or the password wrong, the error wraps auth.ErrInvalidCredential.
	Check(ctx context.Context, username, password string) (auth.Principal, error)
}

// PasswordsFunc is a function as [Passwords].
type PasswordsFunc func(ctx context.Context, username, password string) (auth.Principal, error)

// Check calls f.
func (f PasswordsFunc) Check(ctx context.Context, username, password string) (auth.Principal, error) {
	return f(ctx, username, password)
}

// New returns the authenticator of requests with an Authorization header of type Basic.
// The realm is shown by browsers and may be empty.
func New(p Passwords, realm string) *Authenticator {
	return &Authenticator{func(ctx context.Context, username, password string) (auth.Identity, error) {
		who, err := p.Check(ctx, username, password)
		return auth.Identity{Principal: who}, err
	}, realm}
}

// NewKeys returns an authenticator for access keys as they are: the user name is the id of
// the key, the password its secret. What it is had for ends with the key.
func NewKeys(keys auth.AccessKeys, realm string) *Authenticator {
	return &Authenticator{func(ctx context.Context, username, password string) (auth.Identity, error) {
		k, err := keys.AccessKey(ctx, username)
		if err != nil && !errors.Is(err, auth.ErrInvalidCredential) {
			return auth.Identity{}, err
		}
		// the same for an unknown name as for a wrong password
		got, want := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(k.Secret))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || err != nil || k.Secret == "" || k.Session != "" {
			return auth.Identity{}, auth.ErrInvalidCredential
		}
		if !k.Expires.IsZero() && time.Now().After(k.Expires) {
			return auth.Identity{}, errors.Join(auth.ErrInvalidCredential, auth.ErrExpired)
		}
		return auth.Identity{Principal: k.Principal, AccessKey: username, Expires: k.Expires}, nil
	}, realm}
}

// Authenticator implements [auth.Authenticator] and [auth.Challenger].
type Authenticator struct {
	check func(ctx context.Context, username, password string) (auth.Identity, error)
	realm string
}

// maxLength bounds name and password together, in bytes, as an Authorization header is.
const maxLength = 16 << 10

// Authenticate implements [auth.Authenticator].
func (a *Authenticator) Authenticate(r *http.Request) (auth.Identity, error) {
	encoded, ok := auth.Credential(r, "Basic")
	if !ok {
		return auth.Identity{}, auth.ErrNoCredential
	}
	if len(encoded) > maxLength {
		return auth.Identity{}, auth.ErrInvalidCredential
	}
	// not by http.Request.BasicAuth, which takes one space where RFC 9110 has any number
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	username, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		return auth.Identity{}, fmt.Errorf("%w: malformed Basic credentials", auth.ErrInvalidCredential)
	}
	id, err := a.check(r.Context(), username, password)
	if err != nil {
		return auth.Identity{}, err
	}
	return id, nil
}

// Challenge implements [auth.Challenger].
func (a *Authenticator) Challenge() string { return fmt.Sprintf("Basic realm=%q", a.realm) }

// Secret is a password and whose it is.
type Secret struct {
	Password  string
	Principal auth.Principal
}

// Static is a fixed set of passwords by user name, for programs with a handful of access
// keys. Checking takes the same time for a wrong password as for an unknown name. The
// passwords are compared as they are, so they must be long and random.
type Static map[string]Secret

// Check implements [Passwords].
func (s Static) Check(_ context.Context, username, password string) (auth.Principal, error) {
	want, known := s[username]
	got, expected := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want.Password))
	if subtle.ConstantTimeCompare(got[:], expected[:]) != 1 || !known || want.Password == "" {
		return auth.Principal{}, auth.ErrInvalidCredential
	}
	return want.Principal, nil
}
