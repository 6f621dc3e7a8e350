package accounts_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry/accounts"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// A principal has room for two access keys, so that the new one is in use before the old one
// ends. It is disabled first: if something still used it, it can be enabled again.
func Example_rotateAnAccessKey() {
	ctx := context.Background()
	store := accounts.New(memmeta.New()) // the store of the registry
	builder := auth.Principal{Account: "123456789012", Name: "builder"}
	old, err := store.CreateKey(ctx, builder)
	if err != nil {
		fmt.Println(err)
	}

	fresh, err := store.CreateKey(ctx, builder)
	if err != nil {
		fmt.Println(err)
	}
	// Here the builder is given fresh.ID and fresh.Secret.
	if err := store.SetKey(ctx, old.ID, true); err != nil {
		fmt.Println(err)
	}
	_, err = store.AccessKey(ctx, old.ID)
	fmt.Println("the old key is refused:", errors.Is(err, auth.ErrInvalidCredential))
	k, err := store.AccessKey(ctx, fresh.ID)
	fmt.Println("the new key is that of", k.Principal, err)
	// Nobody has complained.
	if err := store.DeleteKey(ctx, old.ID); err != nil {
		fmt.Println(err)
	}
	list, err := store.Keys(ctx, builder)
	fmt.Println(len(list), err)
	// Output:
	// the old key is refused: true
	// the new key is that of 123456789012/builder <nil>
	// 1 <nil>
}
