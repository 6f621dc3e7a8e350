package token_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/token"
)

// keyStore is the auth.KeyStore of a program with one process. Nodes that share a service
// share their keys in a database instead.
type keyStore struct{ keys []auth.Key }

func (k *keyStore) Keys(context.Context) ([]auth.Key, error) { return k.keys, nil }
func (k *keyStore) AddKey(_ context.Context, key auth.Key) error {
	k.keys = append(k.keys, key)
	return nil
}

func (k *keyStore) RemoveKey(_ context.Context, id string) error {
	k.keys = slices.DeleteFunc(k.keys, func(key auth.Key) bool { return key.ID == id })
	return nil
}

// A token carries who it was given to and what it is limited to, until it expires.
func Example() {
	ctx := context.Background()
	tokens := token.New(&keyStore{})

	t, err := tokens.Issue(ctx, auth.Grant{
		Kind:      auth.AccessToken,
		Principal: auth.Principal{Account: "123456789012", Name: "ci"},
		Scope: &auth.Scope{Access: []auth.Access{
			{Account: "123456789012", Repository: "team/app", Verbs: []auth.Verb{auth.Pull}},
		}},
		Audience: "registry.example.com",
		Lifetime: 5 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	identity, err := tokens.Verify(ctx, auth.AccessToken, "registry.example.com", t.Value)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(identity.Principal)
	fmt.Println(identity.Scope.Allows("123456789012", "team/app", auth.Pull))
	fmt.Println(identity.Scope.Allows("123456789012", "team/app", auth.Push))

	// It is of no use where another kind of token is wanted, or at another service.
	_, err = tokens.Verify(ctx, auth.RefreshToken, "registry.example.com", t.Value)
	fmt.Println(errors.Is(err, auth.ErrInvalidCredential))
	// Output:
	// 123456789012/ci
	// true
	// false
	// true
}
