package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/esplanade-registry/esplanade/auth"
)

// A token request may name several resources, in several parameters or in one.
func ExampleParseScopes() {
	for _, w := range auth.ParseScopes([]string{
		"repository:team/app:push,pull repository:team/base:pull",
		"registry:catalog:*",
		"what is not a scope is left out",
	}) {
		fmt.Println(w.Type, w.Name, w.Verbs)
	}
	// Output:
	// repository team/app [push pull]
	// repository team/base [pull]
	// registry catalog [*]
}

// A scope limits the bearer of a token to some verbs on some repositories.
func ExampleScope_Allows() {
	scope := &auth.Scope{Access: []auth.Access{
		{Account: "123456789012", Repository: "team/app", Verbs: []auth.Verb{auth.Pull}},
	}}
	fmt.Println(scope.Allows("123456789012", "team/app", auth.Pull))
	fmt.Println(scope.Allows("123456789012", "team/app", auth.Push))
	fmt.Println(scope.Allows("999999999999", "team/app", auth.Pull))

	var unrestricted *auth.Scope
	fmt.Println(unrestricted.Allows("123456789012", "team/app", auth.Push))
	// Output:
	// true
	// false
	// false
	// true
}

// A host's own sessions become principals by a function.
func ExampleAuthenticatorFunc() {
	sessions := map[string]string{"8b1a9953": "alice"}
	authenticator := auth.AuthenticatorFunc(func(r *http.Request) (auth.Identity, error) {
		cookie, err := r.Cookie("session")
		if err != nil {
			return auth.Identity{}, auth.ErrNoCredential // the next authenticator is asked
		}
		name, ok := sessions[cookie.Value]
		if !ok {
			return auth.Identity{}, fmt.Errorf("%w: no such session", auth.ErrInvalidCredential)
		}
		return auth.Identity{Principal: auth.Principal{Account: "123456789012", Name: name}}, nil
	})

	for _, cookie := range []string{"session=8b1a9953", "session=00000000", ""} {
		r := httptest.NewRequest(http.MethodGet, "/v2/", strings.NewReader(""))
		r.Header.Set("Cookie", cookie)
		identity, err := authenticator.Authenticate(r)
		fmt.Println(identity.Principal, err)
	}
	// Output:
	// 123456789012/alice <nil>
	// anonymous invalid credential: no such session
	// anonymous no credential
}
