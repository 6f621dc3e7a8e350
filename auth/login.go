package auth

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// LoginUser is the user name that goes with a [LoginToken], as AWS's tools have it.
const LoginUser = "AWS"

// Login authenticates the password of GetAuthorizationToken, in each of the ways that
// clients of ECR Public send it: as Basic with the user name [LoginUser], and the whole
// base64(AWS:password) behind Bearer (ECR Public User Guide, "Registry authentication").
func Login(v Verifier, audience string) Authenticator {
	return AuthenticatorFunc(func(r *http.Request) (Identity, error) {
		encoded, ok := Credential(r, "Basic")
		if !ok {
			if encoded, ok = Credential(r, "Bearer"); !ok || strings.Contains(encoded, ".") {
				return Identity{}, ErrNoCredential // one with a dot is a token that is not wrapped
			}
		}
		if len(encoded) > maxCredential {
			return Identity{}, ErrInvalidCredential
		}
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		user, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok || user != LoginUser {
			return Identity{}, ErrNoCredential
		}
		return v.Verify(r.Context(), LoginToken, audience, password)
	})
}
