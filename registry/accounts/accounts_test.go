package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accounts"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

var (
	alice  = auth.Principal{Account: "123456789012", Name: "alice"}
	bob    = auth.Principal{Account: "123456789012", Name: "bob"}
	double = auth.Principal{Account: "210987654321", Name: "alice"} // of another account
)

// each runs a test over memory and over SQLite.
func each(t *testing.T, f func(t *testing.T, store meta.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		f(t, memmeta.New())
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		store, err := sqlmeta.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "meta.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		f(t, store)
	})
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func create(t *testing.T, s *accounts.Store, p auth.Principal) auth.AccessKey {
	t.Helper()
	k, err := s.CreateKey(t.Context(), p)
	must(t, err)
	return k
}

// unknown checks that a key is not good, and that nothing of it is shown.
func unknown(t *testing.T, s *accounts.Store, what, id string) {
	t.Helper()
	if k, err := s.AccessKey(t.Context(), id); !errors.Is(err, auth.ErrInvalidCredential) || k != (auth.AccessKey{}) {
		t.Errorf("%s: %+v, %v; want nothing and ErrInvalidCredential", what, k, err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s := accounts.New(store)
		before := time.Now()
		k := create(t, s, alice)
		if !strings.HasPrefix(k.ID, "AKIA") || len(k.ID) != 20 || len(k.Secret) != 40 || k.Principal != alice || k.Session != "" || !k.Expires.IsZero() {
			t.Errorf("the new key is %+v", k)
		}
		for _, node := range []*accounts.Store{s, accounts.New(store)} {
			got, err := node.AccessKey(t.Context(), k.ID)
			if diff := cmp.Diff(k, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		}
		list, err := s.Keys(t.Context(), alice)
		must(t, err)
		if len(list) != 1 || list[0].ID != k.ID || list[0].Disabled || list[0].Created.Before(before.Add(-time.Second)) || time.Now().Before(list[0].Created) {
			t.Errorf("keys %+v", list)
		}
		for _, id := range []string{"", "AKIA", strings.ToLower(k.ID), k.ID + " ", k.ID + "\x00", k.ID[:19], "%", k.Secret, strings.Repeat("A", 1<<16)} {
			unknown(t, s, fmt.Sprintf("%.30q", id), id)
		}
		for _, p := range []auth.Principal{bob, double, {}, {Account: alice.Account}} {
			if list, err := s.Keys(t.Context(), p); err != nil || len(list) != 0 {
				t.Errorf("%s has the keys %+v, %v", p, list, err)
			}
		}
	})
}

func TestKeysAreNotGuessed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s := accounts.New(store)
		seen := map[string]bool{}
		for i := range 50 {
			k := create(t, s, auth.Principal{Account: alice.Account, Name: fmt.Sprint("user", i)})
			if seen[k.ID] || seen[k.Secret] || strings.Contains(k.Secret, k.ID[4:]) {
				t.Errorf("%s %s again", k.ID, k.Secret)
			}
			seen[k.ID], seen[k.Secret] = true, true
		}
	})
}

func TestKeysAreDisabledAndDeleted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s, ctx := accounts.New(store), t.Context()
		k, other := create(t, s, alice), create(t, s, alice)
		must(t, s.SetKey(ctx, k.ID, true))
		unknown(t, s, "disabled", k.ID)
		unknown(t, accounts.New(store), "disabled, at another node", k.ID)
		must(t, s.SetKey(ctx, k.ID, true)) // again
		list, err := s.Keys(ctx, alice)
		must(t, err)
		want := []accounts.KeyInfo{{ID: k.ID, Disabled: true}, {ID: other.ID}}
		slices.SortFunc(want, func(a, b accounts.KeyInfo) int { return strings.Compare(a.ID, b.ID) })
		if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(accounts.KeyInfo{}, "Created")); diff != "" {
			t.Errorf("keys (-want +got)\n%s", diff)
		}
		if got, err := s.AccessKey(ctx, other.ID); err != nil || got != other {
			t.Errorf("the other key: %+v, %v", got, err)
		}
		if _, err := s.CreateKey(ctx, alice); !errors.Is(err, accounts.ErrLimit) {
			t.Errorf("a third key while one is disabled: %v", err)
		}
		must(t, s.SetKey(ctx, k.ID, false))
		if got, err := s.AccessKey(ctx, k.ID); err != nil || got != k {
			t.Errorf("enabled again: %+v, %v", got, err)
		}
		must(t, s.DeleteKey(ctx, k.ID), s.DeleteKey(ctx, k.ID), s.DeleteKey(ctx, "AKIANEVER"))
		unknown(t, s, "deleted", k.ID)
		for _, disabled := range []bool{true, false} {
			if err := s.SetKey(ctx, k.ID, disabled); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("SetKey of a key that was deleted: %v", err)
			}
		}
		unknown(t, s, "deleted and then set", k.ID)
	})
}

// The new key is made and used before the old one goes.
func TestRotation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s, ctx := accounts.New(store), t.Context()
		old := create(t, s, alice)
		for range 3 {
			fresh := create(t, s, alice)
			for _, k := range []auth.AccessKey{old, fresh} {
				if got, err := s.AccessKey(ctx, k.ID); err != nil || got != k {
					t.Fatalf("during the rotation: %+v, %v", got, err)
				}
			}
			if _, err := s.CreateKey(ctx, alice); !errors.Is(err, accounts.ErrLimit) {
				t.Errorf("a third key: %v", err)
			}
			create(t, s, auth.Principal{Account: alice.Account, Name: "not-" + fresh.ID}) // the limit is each principal's
			must(t, s.SetKey(ctx, old.ID, true), s.DeleteKey(ctx, old.ID))
			unknown(t, s, "the old key", old.ID)
			old = fresh
		}
		if list, err := s.Keys(ctx, alice); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v; want one key", list, err)
		}
	})
}

func TestKeysAreLimitedAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s := accounts.New(store)
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { _, errs[i] = s.CreateKey(t.Context(), alice) })
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else if !errors.Is(err, accounts.ErrLimit) {
				t.Error(err)
			}
		}
		if list, err := s.Keys(t.Context(), alice); err != nil || good != accounts.MaxKeys || len(list) != accounts.MaxKeys {
			t.Errorf("%d keys were made and %d are there, %v; want %d", good, len(list), err, accounts.MaxKeys)
		}
	})
}

const (
	allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr-public:*","Resource":"*"}]}`
	deny  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ecr-public:PutImage","Resource":"*"}]}`
)

// Principals that no policy could name would be out of reach of every policy, and those with
// a wildcard in their name could look like all of them.
func TestPrincipals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s, ctx := accounts.New(store), t.Context()
		for _, p := range []auth.Principal{
			{}, {Name: "alice"}, {Account: "123456789012"}, {Account: "12345678901", Name: "a"}, {Account: "1234567890123", Name: "a"},
			{Account: "12345678901x", Name: "a"}, {Account: "１２３４", Name: "a"}, {Account: "123456789012", Name: "a b"}, {Account: "123456789012", Name: "*"},
			{Account: "123456789012", Name: "al?ce"}, {Account: "123456789012", Name: "a:b"}, {Account: "123456789012", Name: "ümlaut"},
			{Account: "123456789012", Name: "a\x00"}, {Account: "123456789012", Name: "a\n"}, {Account: "123456789012", Name: strings.Repeat("a", 513)},
			{Account: "123456789012", Name: "\x7f"},
		} {
			_, err := s.CreateKey(ctx, p)
			for what, err := range map[string]error{
				"CreateKey": err, "PutPolicy": s.PutPolicy(ctx, p, "p", allow), "SetTags": s.SetTags(ctx, p, map[string]string{"a": "b"}), "DeletePolicy": s.DeletePolicy(ctx, p, "p"),
			} {
				if err == nil {
					t.Errorf("%s for %.40q", what, p)
				}
			}
			if texts, err := s.IdentityPolicies(ctx, p); err != nil || len(texts) != 0 {
				t.Errorf("%.40q has %q, %v", p, texts, err)
			}
		}
		for _, name := range []string{"alice", auth.Root, "user/alice", "role/builder", "assumed-role/builder/42", "a+b=c,d.e@f-g_h", strings.Repeat("a", 512)} {
			p := auth.Principal{Account: "123456789012", Name: name}
			k := create(t, s, p)
			must(t, s.PutPolicy(ctx, p, "p", allow))
			if got, err := s.AccessKey(ctx, k.ID); err != nil || got.Principal != p {
				t.Errorf("%.40q: %+v, %v", name, got, err)
			}
		}
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s, ctx := accounts.New(store), t.Context()
		policies := func(want ...string) {
			t.Helper()
			got, err := s.IdentityPolicies(ctx, alice)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		}
		policies()
		for _, text := range []string{
			"", "{", "[]", "null", "x", `{"Version":"2012-10-17","Statement":[]}x`, strings.Replace(allow, "Allow", "Permit", 1),
			strings.Replace(allow, `"Effect"`, `"Principal":"*","Effect"`, 1), // that is a repository policy's
		} {
			if err := s.PutPolicy(ctx, alice, "p", text); !errors.Is(err, iam.ErrPolicy) {
				t.Errorf("PutPolicy(%q): %v", text, err)
			}
		}
		policies()
		must(t, s.PutPolicy(ctx, alice, "b", deny), s.PutPolicy(ctx, alice, "a", allow), s.PutPolicy(ctx, bob, "c", deny), s.PutPolicy(ctx, double, "c", deny))
		policies(allow, deny) // by their names
		if err := s.PutPolicy(ctx, alice, "b", "x"); err == nil {
			t.Error("x is a policy")
		}
		policies(allow, deny)
		must(t, s.PutPolicy(ctx, alice, "a", deny), s.PutPolicy(ctx, alice, "B", allow))
		policies(allow, deny, deny)
		must(t, s.DeletePolicy(ctx, alice, "a"), s.DeletePolicy(ctx, alice, "a"), s.DeletePolicy(ctx, alice, "never"))
		policies(allow, deny)
		must(t, s.DeletePolicy(ctx, alice, "b"), s.DeletePolicy(ctx, alice, "B"))
		policies()
		for i := range accounts.MaxPolicies {
			must(t, s.PutPolicy(ctx, alice, fmt.Sprint("p", i), allow))
		}
		if err := s.PutPolicy(ctx, alice, "one more", allow); !errors.Is(err, accounts.ErrLimit) {
			t.Errorf("one policy too many: %v", err)
		}
		policies(slices.Repeat([]string{allow}, accounts.MaxPolicies)...)
		must(t, s.PutPolicy(ctx, alice, "p0", deny)) // one in place of another is not one more
		policies(append([]string{deny}, slices.Repeat([]string{allow}, accounts.MaxPolicies-1)...)...)
		if got, err := s.IdentityPolicies(ctx, bob); err != nil || !cmp.Equal(got, []string{deny}) {
			t.Errorf("bob's: %q, %v", got, err)
		}
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s, ctx := accounts.New(store), t.Context()
		tags := func(want map[string]string) {
			t.Helper()
			got, err := s.IdentityTags(ctx, alice)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		}
		tags(nil)
		mine := map[string]string{"team": "hats", "ключ": "", "": "x"}
		must(t, s.SetTags(ctx, alice, mine), s.SetTags(ctx, bob, map[string]string{"team": "coats"}))
		tags(map[string]string{"team": "hats", "ключ": "", "": "x"})
		mine["team"] = "changed by the caller"
		tags(map[string]string{"team": "hats", "ключ": "", "": "x"})
		if got, err := s.IdentityTags(ctx, alice); err == nil && got != nil {
			got["team"] = "changed by a reader"
		}
		tags(map[string]string{"team": "hats", "ключ": "", "": "x"})
		must(t, s.PutPolicy(ctx, alice, "p", allow), s.SetTags(ctx, alice, map[string]string{"a": "b"}))
		tags(map[string]string{"a": "b"})
		if got, err := s.IdentityPolicies(ctx, alice); err != nil || len(got) != 1 {
			t.Errorf("the tags took the policies along: %q, %v", got, err)
		}
		must(t, s.SetTags(ctx, alice, nil))
		tags(nil)
	})
}

// A name that is no text must not become another one's on its way into a store: the policy
// of that would be gone.
func TestNamesAreKeptOrRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s, ctx := accounts.New(store), t.Context()
		var want []string
		for _, name := range []string{"\xfe", "\xff"} {
			if s.PutPolicy(ctx, alice, name, deny) == nil {
				want = append(want, deny)
			}
		}
		if got, err := s.IdentityPolicies(ctx, alice); err != nil || len(got) != len(want) {
			t.Errorf("%d policies were put and %d are there, %v", len(want), len(got), err)
		}
		tags := map[string]string{"\xfe": "a", "\xff": "\xff"}
		if s.SetTags(ctx, alice, tags) == nil {
			got, err := s.IdentityTags(ctx, alice)
			if diff := cmp.Diff(tags, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		}
	})
}

func TestPoliciesHoldAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s, ctx := accounts.New(store), t.Context()
		evaluator := iam.New(accounts.New(store), registry.Policies{Store: store})
		may := func(p auth.Principal, want bool) {
			t.Helper()
			d, err := evaluator.Evaluate(ctx, &policy.Request{Principal: p, Action: policy.PutImage, Resource: policy.Resource{Account: alice.Account, Repository: "hat", ID: 7}})
			if err != nil || (d.Effect == policy.Allow) != want {
				t.Errorf("%s: %+v, %v; want allowed %v", p, d, err, want)
			}
		}
		may(alice, false)
		must(t, s.PutPolicy(ctx, alice, "all", allow))
		may(alice, true)
		may(bob, false)
		may(double, false)
		must(t, s.PutPolicy(ctx, alice, "none", deny))
		may(alice, false)
		must(t, s.DeletePolicy(ctx, alice, "none"))
		may(alice, true)
		hats := strings.Replace(allow, `"Effect"`, `"Condition":{"StringEquals":{"aws:PrincipalTag/team":"hats"}},"Effect"`, 1)
		must(t, s.PutPolicy(ctx, alice, "all", hats))
		may(alice, false)
		must(t, s.SetTags(ctx, alice, map[string]string{"team": "hats"}))
		may(alice, true)
		must(t, s.SetTags(ctx, alice, map[string]string{"team": "coats"}))
		may(alice, false)
		must(t, s.PutPolicy(ctx, bob, "all", allow))
		may(bob, true)
		must(t, s.DeletePolicy(ctx, bob, "all"))
		may(bob, false)
		may(auth.Principal{Account: alice.Account, Name: auth.Root}, true)
		must(t, s.PutPolicy(ctx, auth.Principal{Account: alice.Account, Name: auth.Root}, "none", deny))
		may(auth.Principal{Account: alice.Account, Name: auth.Root}, false)
	})
}

// A store that fails must look neither like a key that is unknown nor like a principal
// without policies.
func TestStoreErrors(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, store meta.Store) {
		s := accounts.New(store)
		k := create(t, s, alice)
		must(t, s.PutPolicy(t.Context(), alice, "p", deny))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got, err := s.AccessKey(ctx, k.ID)
		if err == nil || errors.Is(err, auth.ErrInvalidCredential) || got != (auth.AccessKey{}) {
			t.Errorf("AccessKey: %+v, %v", got, err)
		}
		_, create := s.CreateKey(ctx, alice)
		_, list := s.Keys(ctx, alice)
		_, policies := s.IdentityPolicies(ctx, alice)
		_, tags := s.IdentityTags(ctx, alice)
		for what, err := range map[string]error{
			"CreateKey": create, "Keys": list, "IdentityPolicies": policies, "IdentityTags": tags,
			"PutPolicy": s.PutPolicy(ctx, alice, "p", allow), "SetKey": s.SetKey(ctx, k.ID, true), "SetTags": s.SetTags(ctx, alice, nil), "DeleteKey": s.DeleteKey(ctx, k.ID),
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got, err := s.AccessKey(t.Context(), k.ID); err != nil || got != k {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})
}

func TestKeysAreDated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := accounts.New(memmeta.New())
		first := create(t, s, alice)
		time.Sleep(time.Hour)
		second := create(t, s, alice)
		list, err := s.Keys(t.Context(), alice)
		must(t, err)
		at := map[string]time.Time{}
		for _, k := range list {
			at[k.ID] = k.Created
		}
		if !at[second.ID].Equal(time.Now()) || at[second.ID].Sub(at[first.ID]) != time.Hour {
			t.Errorf("%v", at)
		}
	})
}
