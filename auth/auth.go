// Package auth owns who asks: principals and the scope of what they were given, the
// authenticators that find them in a request, and the tokens that carry them.
//
// A request without credentials has the zero [Identity], which is anonymous. An
// [Authenticator] is asked for each request, in the order the host lists them; the first
// that knows the kind of credential decides, and one that is wrong is refused even where
// anonymous would be let in, so that nobody's expired password looks as if it worked.
//
// Package auth says nothing of what a principal may do; that is package policy's. A
// [Scope] only takes away: it is what the bearer of a token was limited to.
package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Errors of authenticators and verifiers.
var (
	// ErrNoCredential means that a request carries nothing that this authenticator
	// knows, and the next is asked.
	ErrNoCredential = errors.New("no credential")
	// ErrInvalidCredential is wrapped by the error for a credential that is wrong, unknown,
	// expired or malformed. The client is told so, never which of them.
	ErrInvalidCredential = errors.New("invalid credential")
	// ErrExpired is wrapped, along with ErrInvalidCredential, where a credential was right
	// once: the client is told to get a new one.
	ErrExpired = errors.New("expired")
)

// Root is the name of the principal that is the account itself.
const Root = "root"

// Principal is who asks. The zero Principal is anonymous.
type Principal struct {
	Account string // 12 digits
	// Name is that of a user, or [Root]; or, with what it is before it, user/NAME,
	// role/NAME or assumed-role/ROLE/SESSION.
	Name string
}

// IsRoot reports whether p is the account itself.
func (p Principal) IsRoot() bool { return p.Account != "" && p.Name == Root }

// ARN returns the principal as IAM policies name it, or "" for anonymous.
func (p Principal) ARN() string {
	switch kind, _, _ := strings.Cut(p.Name, "/"); {
	case p.IsAnonymous():
		return ""
	case kind == "assumed-role":
		return "arn:aws:sts::" + p.Account + ":" + p.Name
	case p.IsRoot(), kind == "user", kind == "role":
		return "arn:aws:iam::" + p.Account + ":" + p.Name
	}
	return "arn:aws:iam::" + p.Account + ":user/" + p.Name
}

// IsAnonymous reports whether p is nobody in particular.
func (p Principal) IsAnonymous() bool { return p == Principal{} }

// String returns account/name, or "anonymous".
func (p Principal) String() string {
	if p.IsAnonymous() {
		return "anonymous"
	}
	return p.Account + "/" + p.Name
}

// Identity is a principal as a credential proved it.
type Identity struct {
	Principal
	Scope   *Scope    // nil: unrestricted; it is shared and must not be modified
	Expires time.Time // of the credential; zero: never
	// AccessKey is the id of the access key behind the credential, "" if there is none. A
	// token is good for as long as the access key that it was had for.
	AccessKey string
}

// Authenticator finds the principal of a request.
type Authenticator interface {
	// Authenticate returns ErrNoCredential where the request has no credential of its
	// kind, an error wrapping ErrInvalidCredential where it has one that is not good, and
	// any other error where it could not find out.
	Authenticate(r *http.Request) (Identity, error)
}

// AuthenticatorFunc is a function as an [Authenticator].
type AuthenticatorFunc func(r *http.Request) (Identity, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(r *http.Request) (Identity, error) { return f(r) }

// Challenger is an [Authenticator] that can tell clients in a WWW-Authenticate header how
// to ask, where there is no issuer of tokens to send them to.
type Challenger interface {
	Challenge() string
}

// Kind tells tokens for different uses apart; one is never accepted for another.
type Kind string

// The kinds of tokens.
const (
	AccessToken  Kind = "access"  // minutes: what /token answers
	RefreshToken Kind = "refresh" // what an access token can be had for again
	LoginToken   Kind = "login"   // 12 hours: the password of GetAuthorizationToken
)

// Grant is what a token shall say.
type Grant struct {
	Kind      Kind
	Principal Principal
	AccessKey string // see Identity
	Scope     *Scope // nil: unrestricted
	Audience  string // the service that accepts it
	Lifetime  time.Duration
}

// Token is what an [Issuer] answers.
type Token struct {
	Value   string
	Issued  time.Time
	Expires time.Time
}

// Issuer makes tokens.
type Issuer interface {
	Issue(ctx context.Context, g Grant) (Token, error)
}

// Verifier reads tokens that an [Issuer] made.
type Verifier interface {
	// Verify returns the identity in a token of a kind. A token that is forged, of another
	// kind or audience, or malformed is an error wrapping ErrInvalidCredential; one that
	// has expired wraps ErrExpired too.
	Verify(ctx context.Context, kind Kind, audience, token string) (Identity, error)
}

// maxCredential bounds an Authorization header, in bytes.
const maxCredential = 16 << 10

// Bearer authenticates access tokens in the Authorization header.
func Bearer(v Verifier, audience string) Authenticator {
	return AuthenticatorFunc(func(r *http.Request) (Identity, error) {
		token, ok := Credential(r, "Bearer")
		if !ok {
			return Identity{}, ErrNoCredential
		}
		if len(token) > maxCredential {
			return Identity{}, ErrInvalidCredential
		}
		return v.Verify(r.Context(), AccessToken, audience, token)
	})
}

// BasicCredential returns the user name and the password of a request, as package auth/basic
// reads them, and whether there are any.
func BasicCredential(r *http.Request) (user, password string, ok bool) {
	encoded, ok := Credential(r, "Basic")
	if !ok || len(encoded) > maxCredential {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}

// Credential returns what follows a scheme in the Authorization header, and whether the
// scheme is there. Nothing at all may follow it.
func Credential(r *http.Request, scheme string) (string, bool) {
	list := r.Header["Authorization"] // not by Get, which looks at every letter of the name
	if len(list) == 0 {
		return "", false
	}
	got, rest, _ := strings.Cut(list[0], " ")
	if !strings.EqualFold(got, scheme) {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}
