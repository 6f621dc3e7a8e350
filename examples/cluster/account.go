package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// account is one with its first access key, which may do everything in the account's registry.
type account struct {
	id, alias string
	key       auth.AccessKey
}

func (n *node) createAccount(ctx context.Context, alias string) (*account, error) {
	a := &account{id: random(12, "123456789"), alias: alias}
	if err := n.reg.AddAlias(ctx, a.id, a.alias); err != nil {
		return nil, err
	}
	key, err := n.users.CreateKey(ctx, auth.Principal{Account: a.id, Name: auth.Root})
	a.key = key
	return a, err
}

// firstKey is the record that whoever makes the first account writes before, so that of nodes
// that start at once one does.
var firstKey = meta.RecordKey{Namespace: "examples/cluster", Key: "first account"}

// firstAccount makes an account, if no node ever has.
func (n *node) firstAccount(ctx context.Context) (*account, error) {
	mine := false
	err := n.store.Update(ctx, func(tx meta.Tx) error {
		_, err := tx.Records().Get(firstKey)
		if mine = errors.Is(err, fs.ErrNotExist); !mine {
			return err
		}
		return tx.Records().Put(meta.Record{Namespace: firstKey.Namespace, Key: firstKey.Key, Value: []byte(time.Now().UTC().Format(time.RFC3339))})
	})
	if err != nil || !mine {
		return nil, err
	}
	a, err := n.createAccount(ctx, random(1, "abcdefghijklmnopqrstuvwxyz")+random(7, "abcdefghijklmnopqrstuvwxyz0123456789"))
	if err != nil {
		return nil, fmt.Errorf("first account (make one by -create-account): %w", err)
	}
	return a, nil
}

func random(n int, letters string) string {
	s := make([]byte, n)
	for i := range s {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic(err) // never happens: crypto/rand ends the program instead
		}
		s[i] = letters[k.Int64()]
	}
	return string(s)
}
