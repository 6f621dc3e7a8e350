package registry_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	store, bucket := memmeta.New(), gocloud.New(memblob.OpenBucket(nil))
	for name, cfg := range map[string]registry.Config{
		"nothing":             {},
		"no bucket":           {Store: store},
		"an issuer alone":     {Store: store, Bucket: bucket, Issuer: token.New(registry.SigningKeys(store))},
		"a public path":       {Store: store, Bucket: bucket, PublicURL: "https://registry.example/prefix"},
		"a public host alone": {Store: store, Bucket: bucket, PublicURL: "registry.example"},
		"a short token":       {Store: store, Bucket: bucket, TokenLifetime: time.Second},
		"a negative grace":    {Store: store, Bucket: bucket, Grace: -1},
		"a sink of nothing":   {Store: store, Bucket: bucket, Sinks: map[string]event.Sink{"x": nil}},
	} {
		if _, err := registry.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := registry.New(registry.Config{Store: store, Bucket: bucket, PublicURL: "https://registry.example/"}); err != nil {
		t.Errorf("bytes and truth: %v", err)
	}
}

func TestAddAlias(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	for _, c := range []struct{ account, alias string }{
		{"123", "x"}, {"12345678901x", "x"}, {"123456789012", ""}, {"123456789012", "Upper"}, {"123456789012", "a/b"},
		{"123456789012", "v2"}, {"123456789012", "token"},
	} {
		if err := s.AddAlias(t.Context(), c.account, c.alias); err == nil {
			t.Errorf("account %q, alias %q: no error", c.account, c.alias)
		}
	}
	if err := s.AddAlias(t.Context(), registrytest.Account, registrytest.Alias); err != nil {
		t.Errorf("an alias again: %v", err)
	}
	if err := s.AddAlias(t.Context(), "999999999999", registrytest.Alias); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another's alias: %v, want fs.ErrExist", err)
	}
	// both names lead to the same registry
	if err := s.AddAlias(t.Context(), registrytest.Account, "second"); err != nil {
		t.Fatal(err)
	}
	d := s.Push("test/hat", registrytest.Image{}, "v1")
	if m, err := s.Owner().Manifest(t.Context(), "second/hat", "v1"); err != nil || m.Digest != d.Digest {
		t.Errorf("by the second alias: %v, %v", m, err)
	}
}
