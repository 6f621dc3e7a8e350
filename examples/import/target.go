package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	_ "gocloud.dev/blob/fileblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// target is where everything is copied to.
type target struct {
	actor   *registry.Actor // the account of the alias
	alias   string
	closers []func() error
}

// close closes in reverse what was opened.
func (t *target) close() error {
	var errs []error
	for i := len(t.closers) - 1; i >= 0; i-- {
		errs = append(errs, t.closers[i]())
	}
	return errors.Join(errs...)
}

// open opens the registry to copy to, as the account that its alias belongs to.
func open(ctx context.Context, o options) (_ *target, err error) {
	t := &target{alias: o.alias}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	var (
		store     meta.Store
		bucketURL = o.bucket
		accounts  []account
	)
	if o.data != "" {
		if accounts, err = t.lock(o.data); err != nil {
			return nil, err
		}
		if t.alias == "" {
			t.alias = accounts[0].Alias
		}
		if bucketURL, err = gocloud.FileURL(filepath.Join(o.data, "blobs")); err != nil {
			return nil, err
		}
		store, err = sqlmeta.OpenSQLite(ctx, filepath.Join(o.data, "meta.db"))
	} else {
		store, err = sqlmeta.OpenPostgres(ctx, o.database, nil)
	}
	if err != nil {
		return nil, err
	}
	t.closers = append(t.closers, store.Close)
	bucket, err := openBucket(ctx, bucketURL)
	if err != nil {
		return nil, err
	}
	t.closers = append(t.closers, bucket.Close)
	// As in quickstart: what is imported is what could have been pushed.
	r, err := registry.New(registry.Config{Store: store, Bucket: bucket, CreateOnPush: true, Quotas: registry.Quotas{TagsPerImage: -1}})
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		if err := r.AddAlias(ctx, a.AccountID, a.Alias); err != nil {
			return nil, err
		}
	}
	id, err := r.AccountOf(ctx, t.alias)
	if err != nil {
		return nil, fmt.Errorf("alias %q: %w", t.alias, err)
	}
	t.actor = r.As(auth.Principal{Account: id, Name: auth.Root})
	return t, nil
}

// bucket is what buckets of both kinds are.
type bucket interface {
	storage.Bucket
	Close() error
}

// openBucket opens a bucket by its URL: s3:// or file://.
func openBucket(ctx context.Context, bucketURL string) (bucket, error) {
	if strings.HasPrefix(bucketURL, "s3://") {
		return s3.Open(ctx, bucketURL, nil)
	}
	return gocloud.Open(ctx, bucketURL)
}

// account is what is needed of an account in credentials.json.
type account struct {
	AccountID string `json:"accountId"`
	Alias     string `json:"alias"`
}

// lock keeps servers away from a folder and returns its accounts.
func (t *target) lock(dir string) ([]account, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	if err != nil {
		return nil, fmt.Errorf("start the server once, so that it makes its folder: %w", err)
	}
	var file struct {
		account
		Accounts []account `json:"accounts"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("credentials.json: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("a server uses the folder %s; stop it first", dir), err)
	}
	t.closers = append(t.closers, lock.Close)
	return append([]account{file.account}, file.Accounts...), nil
}
