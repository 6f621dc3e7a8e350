package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// Two accounts that have nothing to begin with.
const (
	account1 = "111122223333"
	account2 = "444455556666"
)

func rootOf(account string) auth.Principal {
	return auth.Principal{Account: account, Name: auth.Root}
}

// always is a configuration in which an alias is had for the asking.
func always(c *registry.Config) { c.AliasDecider = registry.Always{} }

type deciderFunc func(context.Context, meta.AliasRequest) (registry.AliasDecision, error)

func (f deciderFunc) DecideAlias(ctx context.Context, req meta.AliasRequest) (registry.AliasDecision, error) {
	return f(ctx, req)
}

// aliasState is what Registry tells of an alias.
type aliasState struct {
	Name             string
	Status           meta.AliasStatus
	Default, Primary bool
}

func aliasesOf(t testing.TB, a *registry.Actor) (list []aliasState) {
	t.Helper()
	info, err := a.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range info.Aliases {
		list = append(list, aliasState{string(x.Name), x.Status, x.Default, x.Primary})
	}
	return list
}

// pulls reports whether anybody can pull tag v1 by a name.
func pulls(t testing.TB, r *registry.Registry, name string) bool {
	t.Helper()
	_, err := r.As(auth.Principal{}).Manifest(t.Context(), name, "v1")
	if err != nil && !errors.Is(err, registry.ErrNameUnknown) {
		t.Fatalf("pull %s: %v", name, err)
	}
	return err == nil
}

const emptyIndex = `{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[]}`

// publish makes a repository with tag v1, by the account's id.
func publish(t testing.TB, r *registry.Registry, account, name string) meta.Repository {
	t.Helper()
	a := r.As(rootOf(account))
	repo, err := a.CreateRepository(t.Context(), account+"/"+name, nil)
	if err == nil {
		_, err = a.PushManifest(t.Context(), account+"/"+name, "", []byte(emptyIndex), "v1")
	}
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// recordEvents makes the store keep events, and returns what reads their types so far.
func recordEvents(t testing.TB, store meta.Store) func() []event.Event {
	t.Helper()
	err := store.Update(t.Context(), func(tx meta.Tx) error { return tx.Sinks().Put(meta.Sink{Name: "test"}) })
	if err != nil {
		t.Fatal(err)
	}
	return func() (list []event.Event) {
		t.Helper()
		err := store.View(t.Context(), func(tx meta.Tx) error {
			for row, err := range tx.Events().Scan(meta.Range[meta.EventKey]{}) {
				if err != nil {
					return err
				}
				var e event.Event
				if err := json.Unmarshal(row.Data, &e); err != nil {
					return err
				}
				list = append(list, e)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
}

func typesOf(list []event.Event) (types []event.Type) {
	for _, e := range list {
		types = append(types, e.Type)
	}
	return types
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestDefaultAliasComesWithTheFirstRepository(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	a := s.As(rootOf(account1))
	_, err := a.Registry(t.Context())
	wantErr(t, "registry before the first repository", err, fs.ErrNotExist)

	repo, err := a.CreateRepository(t.Context(), account1+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	list := aliasesOf(t, a)
	if len(list) != 1 || !regexp.MustCompile(`^([a-z][0-9]){4}$`).MatchString(list[0].Name) {
		t.Fatalf("aliases %+v, want one of four letters and digits in turn", list)
	}
	alias := list[0].Name
	same(t, "aliases", list, []aliasState{{alias, meta.AliasActive, true, true}})
	uri, err := s.URI(t.Context(), repo, "registry.example")
	if want := "registry.example/" + alias + "/app"; err != nil || uri != want {
		t.Errorf("URI %s, %v; want %s", uri, err, want)
	}
	if _, err := a.CreateRepository(t.Context(), account1+"/second", nil); err != nil {
		t.Fatal(err)
	}
	same(t, "aliases after a second repository", aliasesOf(t, a), list)
	if _, err := a.PushManifest(t.Context(), alias+"/second", "", []byte(emptyIndex), "v1"); err != nil {
		t.Fatal(err)
	}
	if !pulls(t, s.Registry, alias+"/second") {
		t.Error("nobody can pull by the default alias")
	}
	for _, name := range []string{account1 + "/app/nothing", account2 + "/app", account1} {
		if _, err := a.Repository(t.Context(), name); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, registry.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantErr(t, "create in another account's registry", second(a.CreateRepository(t.Context(), account2+"/app", nil)), registry.ErrDenied)
	if _, err := s.As(rootOf(account2)).Registry(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused create has made a registry: %v", err)
	}
	// The wire knows no accounts: their numbers are nobody's alias.
	res, err := s.Client().Get("http://r.example/v2/" + account1 + "/second/manifests/v1")
	if err != nil || res.StatusCode != 404 {
		t.Errorf("pull by the account's id: %v, %v", res.Status, err)
	}
}

func TestAFailedFirstRepositoryLeavesNoAlias(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	a := s.As(rootOf(account1))
	_, err := a.CreateRepository(t.Context(), account1+"/app", &registry.CreateOptions{Tags: map[string]string{"aws:x": "y"}})
	wantErr(t, "create", err, registry.ErrResourceTagInvalid)
	_, err = a.Registry(t.Context())
	wantErr(t, "registry", err, fs.ErrNotExist)
}

func TestDeciders(t *testing.T) {
	t.Parallel()
	dns := func(records map[string][]string, err error) registry.AliasDecider {
		return registry.ByDNS{LookupTXT: func(_ context.Context, name string) ([]string, error) {
			if err != nil {
				return nil, err
			}
			if list, ok := records[name]; ok {
				return list, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}}
	}
	proved := deciderFunc(func(ctx context.Context, req meta.AliasRequest) (registry.AliasDecision, error) {
		return dns(map[string][]string{"_esplanade-challenge." + string(req.Alias) + ".": {"v=spf1", "esplanade-alias=" + req.Challenge}}, nil).DecideAlias(ctx, req)
	})
	for name, c := range map[string]struct {
		decider registry.AliasDecider
		alias   string
		want    meta.AliasStatus
	}{
		"none":                        {nil, "acme", meta.AliasPending},
		"Always":                      {registry.Always{}, "acme", meta.AliasActive},
		"ByHand":                      {registry.ByHand{}, "acme", meta.AliasPending},
		"ByDNS, no domain":            {dns(nil, nil), "acme", meta.AliasRejected},
		"ByDNS, no record":            {dns(nil, nil), "acme.example", meta.AliasPending},
		"ByDNS, another record":       {dns(map[string][]string{"_esplanade-challenge.acme.example.": {"esplanade-alias=", "esplanade-alias=x"}}, nil), "acme.example", meta.AliasPending},
		"ByDNS, the record elsewhere": {dns(map[string][]string{"acme.example": {"esplanade-alias=x"}}, nil), "acme.example", meta.AliasPending},
		"ByDNS, failing":              {dns(nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}), "acme.example", meta.AliasPending},
		"ByDNS, proved":               {proved, "acme.example", meta.AliasActive},
		"one that fails": {deciderFunc(func(context.Context, meta.AliasRequest) (registry.AliasDecision, error) {
			return registry.AliasDecision{Status: meta.AliasActive}, errors.New("out of order")
		}), "acme", meta.AliasPending},
		"one that rejects": {deciderFunc(func(context.Context, meta.AliasRequest) (registry.AliasDecision, error) {
			return registry.AliasDecision{Status: meta.AliasRejected, Reason: "no"}, nil
		}), "acme", meta.AliasRejected},
		"ByDNS, with a domain of its own": {registry.ByDNS{Domain: func(a string) string { return a + ".example" }, LookupTXT: func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsNotFound: true} }}, "acme", meta.AliasPending},
		// what is no decision is none
		"one that answers PENDING": {deciderFunc(func(context.Context, meta.AliasRequest) (registry.AliasDecision, error) {
			return registry.AliasDecision{Status: meta.AliasPending}, nil
		}), "acme", meta.AliasPending},
		"one that answers RELEASED": {deciderFunc(func(context.Context, meta.AliasRequest) (registry.AliasDecision, error) {
			return registry.AliasDecision{Status: meta.AliasReleased}, nil
		}), "acme", meta.AliasPending},
		"one that answers nonsense": {deciderFunc(func(context.Context, meta.AliasRequest) (registry.AliasDecision, error) {
			return registry.AliasDecision{Status: "MAYBE"}, nil
		}), "acme", meta.AliasPending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := registrytest.New(t, func(cfg *registry.Config) { cfg.AliasDecider = c.decider })
			told := recordEvents(t, s.Store)
			a := s.As(rootOf(account1))
			publish(t, s.Registry, account1, "app")
			before := len(told())
			req, err := a.RequestAlias(t.Context(), c.alias)
			if err != nil || req.Status != c.want {
				t.Fatalf("request: %+v, %v; want %s", req, err, c.want)
			}
			if decided := !req.Decided.IsZero(); decided != (c.want != meta.AliasPending) {
				t.Errorf("decided at %v, but it is %s", req.Decided, req.Status)
			}
			active := c.want == meta.AliasActive
			if got := pulls(t, s.Registry, c.alias+"/app"); got != active {
				t.Errorf("the alias leads to the repository: %v", got)
			}
			list := aliasesOf(t, a)
			want := []aliasState{{list[0].Name, meta.AliasActive, true, true}, {c.alias, c.want, false, false}}
			if active {
				want[0].Primary, want[1].Primary = false, true
				if list[0].Name == c.alias {
					want[0], want[1] = want[1], aliasState{list[1].Name, meta.AliasActive, true, false}
				}
			}
			same(t, "aliases", list, want)
			asked, err := a.AliasRequests(t.Context())
			if err != nil || len(asked) != 1 || asked[0].Status != c.want || asked[0].Account != account1 {
				t.Errorf("requests %+v, %v", asked, err)
			}
			var types []event.Type
			if active {
				types = []event.Type{event.RegistryChanged}
			}
			same(t, "events", typesOf(told()[before:]), types)
		})
	}
}

func TestByHand(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	told := recordEvents(t, s.Store)
	for account, aliases := range map[string][]string{account1: {"acme", "bolt"}, account2: {"acme", "zinc"}} {
		publish(t, s.Registry, account, "app")
		for _, alias := range aliases {
			if req, err := s.As(rootOf(account)).RequestAlias(ctx, alias); err != nil || req.Status != meta.AliasPending || req.Challenge == "" {
				t.Fatalf("request for %s: %+v, %v", alias, req, err)
			}
		}
	}
	keys := func(list []meta.AliasRequest, err error) (keys []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			keys = append(keys, string(r.Account+"/"+meta.AccountID(r.Alias)))
		}
		return keys
	}
	all := []string{account1 + "/acme", account1 + "/bolt", account2 + "/acme", account2 + "/zinc"}
	same(t, "pending", keys(s.PendingAliases(ctx, meta.AliasRequestKey{}, 10)), all)
	same(t, "first page", keys(s.PendingAliases(ctx, meta.AliasRequestKey{}, 3)), all[:3])
	same(t, "second page", keys(s.PendingAliases(ctx, meta.AliasRequestKey{Account: account2, Alias: "acme"}, 3)), all[3:])

	for what, err := range map[string]error{
		"nobody asked":        s.DecideAlias(ctx, account1, "zinc", registry.AliasDecision{Status: meta.AliasActive}),
		"no such account":     s.DecideAlias(ctx, "777777777777", "acme", registry.AliasDecision{Status: meta.AliasActive}),
		"no decision":         s.DecideAlias(ctx, account1, "acme", registry.AliasDecision{}),
		"a decision to wait":  s.DecideAlias(ctx, account1, "acme", registry.AliasDecision{Status: meta.AliasPending}),
		"a decision to free":  s.DecideAlias(ctx, account1, "acme", registry.AliasDecision{Status: meta.AliasReleased}),
		"a decision of words": s.DecideAlias(ctx, account1, "acme", registry.AliasDecision{Status: "maybe"}),
	} {
		if err == nil {
			t.Errorf("%s: decided", what)
		}
	}
	before := len(told())
	wantErr(t, "approve", s.DecideAlias(ctx, account2, "acme", registry.AliasDecision{Status: meta.AliasActive}), nil)
	wantErr(t, "reject", s.DecideAlias(ctx, account2, "zinc", registry.AliasDecision{Status: meta.AliasRejected, Reason: "not yours"}), nil)
	wantErr(t, "decide twice", s.DecideAlias(ctx, account2, "acme", registry.AliasDecision{Status: meta.AliasRejected}), fs.ErrNotExist)
	changed := told()[before:]
	same(t, "events", typesOf(changed), []event.Type{event.RegistryChanged})
	if len(changed) == 1 {
		e := changed[0]
		same(t, "event", []string{e.Account, e.Repository, fmt.Sprint(e.RepositoryID)}, []string{account2, "", "0"})
	}
	// Who asked first has no right to it; the first that was granted has it.
	wantErr(t, "approve what another has meanwhile", s.DecideAlias(ctx, account1, "acme", registry.AliasDecision{Status: meta.AliasActive}), registry.ErrAliasTaken)
	asked, err := s.As(rootOf(account1)).AliasRequests(ctx)
	if err != nil || len(asked) != 2 || asked[0].Status != meta.AliasRejected || asked[0].Reason == "" || asked[1].Status != meta.AliasPending {
		t.Errorf("requests %+v, %v", asked, err)
	}
	same(t, "pending at last", keys(s.PendingAliases(ctx, meta.AliasRequestKey{}, 10)), []string{account1 + "/bolt"})
	// A rejected one may be asked for again, and is proved by another challenge then.
	one, err := s.As(rootOf(account2)).RequestAlias(ctx, "zinc")
	if err != nil || one.Status != meta.AliasPending || one.Reason != "" || one.Challenge == "" {
		t.Errorf("asked again: %+v, %v", one, err)
	}
	two, err := s.As(rootOf(account2)).RequestAlias(ctx, "zinc")
	if err != nil || two.Challenge != one.Challenge {
		t.Errorf("asked while it is pending: %+v, %v", two, err)
	}
}

// What is pending is decided while Run runs, once the decider can.
func TestRunDecidesWhatIsPending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ready atomic.Bool
		s := registrytest.New(t, func(c *registry.Config) {
			c.AliasDecider = registry.ByDNS{LookupTXT: func(_ context.Context, name string) ([]string, error) {
				if !ready.Load() {
					return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
				}
				var challenge string
				err := c.Store.View(context.Background(), func(tx meta.Tx) error {
					req, err := tx.AliasRequests().Get(meta.AliasRequestKey{Account: account1, Alias: "acme.example"})
					challenge = req.Challenge
					return err
				})
				return []string{"esplanade-alias=" + challenge}, err
			}}
		})
		publish(t, s.Registry, account1, "app")
		if req, err := s.As(rootOf(account1)).RequestAlias(t.Context(), "acme.example"); err != nil || req.Status != meta.AliasPending {
			t.Fatalf("%+v, %v", req, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(24 * time.Hour)
		if pulls(t, s.Registry, "acme.example/app") {
			t.Error("the alias was granted without proof")
		}
		ready.Store(true)
		time.Sleep(24 * time.Hour)
		if !pulls(t, s.Registry, "acme.example/app") {
			t.Error("the alias was not granted a day after it was proved")
		}
		cancel()
		wantErr(t, "Run", <-done, nil)
	})
}

func TestPrimaryAlias(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, always)
	ctx := t.Context()
	a := s.As(rootOf(account1))
	repo := publish(t, s.Registry, account1, "app")
	given := aliasesOf(t, a)[0].Name
	told := recordEvents(t, s.Store)
	shown := func(want string) {
		t.Helper()
		uri, err := s.URI(ctx, repo, "h")
		if err != nil || uri != "h/"+want+"/app" {
			t.Errorf("URI %s, %v; want it by %s", uri, err, want)
		}
		primaries := 0
		for _, x := range aliasesOf(t, a) {
			if x.Primary {
				primaries++
			}
		}
		if primaries != 1 {
			t.Errorf("%d primary aliases: %+v", primaries, aliasesOf(t, a))
		}
	}
	shown(given)
	for _, alias := range []string{"acme", "bolt"} { // the first that is asked for is primary, the second is not
		if _, err := a.RequestAlias(ctx, alias); err != nil {
			t.Fatal(err)
		}
		shown("acme")
	}
	for _, alias := range []string{given, "acme", "bolt"} {
		if !pulls(t, s.Registry, alias+"/app") {
			t.Errorf("%s does not lead to the repository", alias)
		}
		wantErr(t, "primary "+alias, a.SetPrimaryAlias(ctx, alias), nil)
		shown(alias)
	}
	wantErr(t, "the default alias deleted", a.DeleteAlias(ctx, given), registry.ErrAliasInvalid)
	wantErr(t, "one that is not primary deleted", a.DeleteAlias(ctx, "acme"), nil)
	shown("bolt")
	wantErr(t, "a deleted one made primary", a.SetPrimaryAlias(ctx, "acme"), registry.ErrAliasUnknown)
	wantErr(t, "the primary one deleted", a.DeleteAlias(ctx, "bolt"), nil)
	shown(given)
	same(t, "aliases at last", aliasesOf(t, a), []aliasState{{given, meta.AliasActive, true, true}})
	types := typesOf(told())
	if len(types) != 7 { // two requests, three choices, two deletions
		t.Errorf("%d events %v, want 7", len(types), types)
	}
	for _, typ := range types {
		if typ != event.RegistryChanged {
			t.Errorf("event %s", typ)
		}
	}
	wantErr(t, "the only alias of the operator deleted", s.Owner().DeleteAlias(ctx, registrytest.Alias), registry.ErrAliasInvalid)
	if !pulls(t, s.Registry, given+"/app") {
		t.Error("the default alias has gone")
	}
}

// An alias that is given up leads nowhere at once, also where it was pulled by just before,
// by a cache or by the wire.
func TestDeletedAliasStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, always)
	ctx := t.Context()
	a := s.As(rootOf(account1))
	publish(t, s.Registry, account1, "app")
	given := aliasesOf(t, a)[0].Name
	if _, err := a.RequestAlias(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	status := func(alias string) int {
		t.Helper()
		res, err := s.Client().Get("http://r.example/v2/" + alias + "/app/manifests/v1")
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	for range 3 {
		if got := status("acme"); got != 200 {
			t.Fatalf("pull: %d", got)
		}
	}
	wantErr(t, "delete", a.DeleteAlias(ctx, "acme"), nil)
	for range 2 {
		if got := status("acme"); got != 404 {
			t.Errorf("pull by an alias that was given up: %d", got)
		}
	}
	wantErr(t, "push by it", second(a.PushManifest(ctx, "acme/app", "", []byte(emptyIndex), "v2")), registry.ErrDenied)
	if got := status(given); got != 200 {
		t.Errorf("pull by another alias: %d", got)
	}
	// its former owner may have it back at once
	if req, err := a.RequestAlias(ctx, "acme"); err != nil || req.Status != meta.AliasActive {
		t.Fatalf("%+v, %v", req, err)
	}
	if got := status("acme"); got != 200 {
		t.Errorf("pull by an alias that was had back: %d", got)
	}
}

func TestAliasHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const hold = 10 * 24 * time.Hour
		s := registrytest.New(t, always, func(c *registry.Config) { c.AliasHold = hold })
		ctx := t.Context()
		one, two := s.As(rootOf(account1)), s.As(rootOf(account2))
		publish(t, s.Registry, account1, "app")
		publish(t, s.Registry, account2, "other")
		if _, err := one.RequestAlias(ctx, "modern"); err != nil {
			t.Fatal(err)
		}
		_, active := two.RequestAlias(ctx, "modern")
		wantErr(t, "delete", one.DeleteAlias(ctx, "modern"), nil)
		for _, wait := range []time.Duration{0, hold - time.Minute} {
			time.Sleep(wait)
			for _, alias := range []string{"modern", "modem", "m0dem"} {
				_, err := two.RequestAlias(ctx, alias)
				wantErr(t, alias+" while it is held", err, registry.ErrAliasTaken)
				if err != nil && active != nil && err.Error() != active.Error() {
					t.Errorf("one that is held is refused as %q, one that is in use as %q", err, active)
				}
			}
			wantErr(t, "by the operator while it is held", s.AddAlias(ctx, account2, "modern"), fs.ErrExist)
		}
		time.Sleep(2 * time.Minute)
		if req, err := two.RequestAlias(ctx, "modem"); err != nil || req.Status != meta.AliasActive {
			t.Fatalf("after the hold: %+v, %v", req, err)
		}
		// What was its name looks like another's now.
		for _, alias := range []string{"modern", "modem"} {
			_, err := one.RequestAlias(ctx, alias)
			wantErr(t, alias+" for its former owner", err, registry.ErrAliasTaken)
		}
		if !pulls(t, s.Registry, "modem/other") || pulls(t, s.Registry, "modern/app") || pulls(t, s.Registry, "modem/app") || pulls(t, s.Registry, "modern/other") {
			t.Error("the aliases lead elsewhere")
		}
	})
}

func TestLookAlikesAreRefused(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, always, func(cfg *registry.Config) { cfg.Quotas.Aliases = -1 })
	ctx := t.Context()
	one, two := s.As(rootOf(account1)), s.As(rootOf(account2))
	for _, pair := range [][2]string{
		{"hello", "hell0"}, {"lima", "iima"}, {"mail", "mai1"}, {"modern", "modem"}, {"wave", "vvave"}, {"cloud", "doud"},
		{"hat-box", "hat_box"}, {"net-works", "net.works"}, {"same", "same"}, {"to-r.u-e", "to.r-u_e"},
		{"client", "c1ient"}, // one l of which is a digit
	} {
		if _, err := one.RequestAlias(ctx, pair[0]); err != nil {
			t.Fatal(err)
		}
		req, err := two.RequestAlias(ctx, pair[1])
		wantErr(t, fmt.Sprintf("%s where another has %s", pair[1], pair[0]), err, registry.ErrAliasTaken)
		wantErr(t, fmt.Sprintf("%s by the operator", pair[1]), s.AddAlias(ctx, account2, pair[1]), fs.ErrExist)
		if err == nil {
			t.Logf("%s is %s", pair[1], req.Status)
			continue
		}
		if req, err := one.RequestAlias(ctx, pair[1]); err != nil || req.Status != meta.AliasActive {
			t.Errorf("%s for who has %s: %+v, %v", pair[1], pair[0], req, err)
		}
	}
	for _, alias := range []string{"hat", "hatbox", "hats-box", "hello-world", "mails", "clouds", "sames", "waves"} {
		if req, err := two.RequestAlias(ctx, alias); err != nil || req.Status != meta.AliasActive {
			t.Errorf("%s looks like none: %+v, %v", alias, req, err)
		}
	}
	// runs of separators, which only an operator can give
	wantErr(t, "hat--box", s.AddAlias(ctx, account2, "hat--box"), fs.ErrExist)
	wantErr(t, "hat__box", s.AddAlias(ctx, account2, "hat__box"), fs.ErrExist)
}

func TestAliasSyntax(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, always, func(c *registry.Config) { c.ReservedAliases = []string{"brand", "house-mark"} })
	a := s.As(rootOf(account1))
	for _, alias := range []string{
		"", "a", "1a", "0day", "-ab", "ab-", "a--b", "a__b", "a..b", "a.-b", "Acme", "acmé", "a b", "a/b", "acme/", "a\n", "ab\n", "a\x00b", strings.Repeat("a", 51), account2,
		"token", "t0ken", "metrics", "rnetrics", "metr1cs", "metric5", "healthz", "health2", "robots.txt", "robots-txt", "r0b0ts_txt", "favicon.ico", "favicon.ic0", "sitemap.xml", "sitemap-xrnl",
		"v2", "vz", "brand", "8rand", "brancl", "house-mark", "house.mark", "house_rnark", "h0u5e-mark",
	} {
		req, err := a.RequestAlias(t.Context(), alias)
		if !errors.Is(err, registry.ErrAliasInvalid) {
			t.Errorf("%q: %+v, %v; want it invalid", alias, req, err)
		}
	}
	if list, err := a.AliasRequests(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("requests %v, %v", list, err)
	}
	for _, alias := range []string{"ab", "a0", strings.Repeat("a", 50), "ab.b_c-d", "brands", "tokens", "v3", "ex-token"} {
		if req, err := a.RequestAlias(t.Context(), alias); err != nil || req.Status != meta.AliasActive {
			t.Errorf("%q: %+v, %v", alias, req, err)
		}
	}
	for _, alias := range []string{"v2", "vz", "token", "-", "", "a/b", "ACME", account2, "brand", "8rand"} {
		if err := s.AddAlias(t.Context(), account1, alias); err == nil {
			t.Errorf("the operator gave %q", alias)
		}
	}
}

// However many ask at once, by names that are the same or only look so, one gets it.
func TestRacingForOneAlias(t *testing.T) {
	t.Parallel()
	looks := []string{"model1", "rnodel1", "moclel1", "mode1l", "modell", "rnode1l", "mode11", "m0del1"}
	for name, open := range map[string]func(t *testing.T) meta.Store{
		"memory": func(*testing.T) meta.Store { return memmeta.New() },
		"SQLite": func(t *testing.T) meta.Store {
			store, err := sqlmeta.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "meta.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			return store
		},
	} {
		for _, alike := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, look-alikes %v", name, alike), func(t *testing.T) {
				t.Parallel()
				s := registrytest.New(t, always, func(c *registry.Config) {
					c.Store, c.Issuer, c.Verifier = open(t), nil, nil
				})
				var (
					wg   sync.WaitGroup
					won  atomic.Int64
					got  [100]meta.AliasStatus
					errs [100]error
				)
				for i := range 100 {
					wg.Go(func() {
						alias := looks[0]
						if alike {
							alias = looks[i%len(looks)]
						}
						req, err := s.As(rootOf(fmt.Sprintf("%012d", i+1))).RequestAlias(t.Context(), alias)
						got[i], errs[i] = req.Status, err
						if err == nil && req.Status == meta.AliasActive {
							won.Add(1)
						}
					})
				}
				wg.Wait()
				if won.Load() != 1 {
					t.Errorf("%d have won", won.Load())
				}
				for i := range 100 {
					if errs[i] != nil && !errors.Is(errs[i], registry.ErrAliasTaken) || errs[i] == nil && got[i] != meta.AliasActive {
						t.Errorf("account %d: %s, %v", i, got[i], errs[i])
					}
				}
				active := 0
				err := s.Store.View(t.Context(), func(tx meta.Tx) error {
					for a, err := range tx.Aliases().Scan(meta.Range[meta.AliasName]{}) {
						if err != nil {
							return err
						}
						if !a.Default && a.Account != registrytest.Account {
							active++
						}
					}
					for req, err := range tx.AliasRequests().Scan(meta.Range[meta.AliasRequestKey]{}) {
						if err != nil {
							return err
						}
						if req.Status == meta.AliasPending {
							t.Errorf("request of %s is still pending", req.Account)
						}
					}
					return nil
				})
				if err != nil || active != 1 {
					t.Errorf("%d accounts have the alias, %v", active, err)
				}
			})
		}
	}
}

func TestQuotaOfAliases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ quota, asked int }{{0, 20}, {2, 2}, {-1, 30}} {
		s := registrytest.New(t, func(cfg *registry.Config) { cfg.Quotas.Aliases = c.quota })
		a := s.As(rootOf(account1))
		for i := range c.asked {
			if _, err := a.RequestAlias(t.Context(), fmt.Sprintf("want%c%c", 'a'+i/26, 'a'+i%26)); err != nil {
				t.Fatalf("quota %d, request %d: %v", c.quota, i+1, err)
			}
		}
		if c.quota < 0 {
			continue
		}
		wantErr(t, "one too many", second(a.RequestAlias(t.Context(), "toomany")), registry.ErrQuota)
		wantErr(t, "one that is pending", second(a.RequestAlias(t.Context(), "wantaa")), nil)
		wantErr(t, "one of another account", second(s.As(rootOf(account2)).RequestAlias(t.Context(), "toomany")), nil)
		// taking one back makes room, a rejection does when it is taken away, and what is given
		// up when it is not held any more
		wantErr(t, "take back", a.DeleteAlias(t.Context(), "wantaa"), nil)
		wantErr(t, "in its place", second(a.RequestAlias(t.Context(), "again")), nil)
		wantErr(t, "reject", s.DecideAlias(t.Context(), account1, "again", registry.AliasDecision{Status: meta.AliasRejected}), nil)
		wantErr(t, "beside one that is rejected", second(a.RequestAlias(t.Context(), "another")), registry.ErrQuota)
		wantErr(t, "take the rejected one away", a.DeleteAlias(t.Context(), "again"), nil)
		wantErr(t, "in its place", second(a.RequestAlias(t.Context(), "another")), nil)
		wantErr(t, "approve", s.DecideAlias(t.Context(), account1, "another", registry.AliasDecision{Status: meta.AliasActive}), nil)
		wantErr(t, "give up", a.DeleteAlias(t.Context(), "another"), nil)
		wantErr(t, "beside one that is held", second(a.RequestAlias(t.Context(), "third")), registry.ErrQuota)
		wantErr(t, "what was given up", second(a.RequestAlias(t.Context(), "another")), nil)
	}
}

// A request holds no name, and tells its owner nothing about who else has asked.
func TestRequestsHoldNoName(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	one, two := s.As(rootOf(account1)), s.As(rootOf(account2))
	publish(t, s.Registry, account1, "app")
	first, err := one.RequestAlias(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	other, err := two.RequestAlias(ctx, "acme")
	if err != nil || other.Status != meta.AliasPending || other.Challenge == first.Challenge {
		t.Errorf("a second account's request: %+v, %v", other, err)
	}
	alone, err := two.RequestAlias(ctx, "nobodys")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*meta.AliasRequest{&other, &alone} {
		r.Alias, r.Challenge, r.Requested = "", "", time.Time{}
	}
	same(t, "a request for what another has asked for, and for what nobody has", other, alone)
	list, err := two.AliasRequests(ctx)
	if err != nil || len(list) != 2 || list[0].Account != account2 || list[1].Account != account2 {
		t.Errorf("requests %+v, %v", list, err)
	}
	if pulls(t, s.Registry, "acme/app") {
		t.Error("a request leads to the repository")
	}
	wantErr(t, "primary", one.SetPrimaryAlias(ctx, "acme"), registry.ErrAliasUnknown)
	// taking back one's own request leaves the other's
	wantErr(t, "take back", two.DeleteAlias(ctx, "acme"), nil)
	wantErr(t, "take back twice", two.DeleteAlias(ctx, "acme"), registry.ErrAliasUnknown)
	wantErr(t, "the other's is still there", s.DecideAlias(ctx, account1, "acme", registry.AliasDecision{Status: meta.AliasActive}), nil)
}

// To others, an alias of an account looks as one that does not exist.
func TestAliasesOfOthersAreNotThere(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, always)
	ctx := t.Context()
	one, two := s.As(rootOf(account1)), s.As(rootOf(account2))
	publish(t, s.Registry, account1, "app")
	publish(t, s.Registry, account2, "app")
	if _, err := one.RequestAlias(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.RequestAlias(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "delete", one.DeleteAlias(ctx, "gone"), nil)
	given := aliasesOf(t, one)
	for what, do := range map[string]func(string) error{
		"delete":  func(alias string) error { return two.DeleteAlias(ctx, alias) },
		"primary": func(alias string) error { return two.SetPrimaryAlias(ctx, alias) },
	} {
		nothing := do("nothing")
		wantErr(t, what, nothing, registry.ErrAliasUnknown)
		for _, alias := range []string{"acme", given[0].Name, given[1].Name, "gone", ""} {
			err := do(alias)
			wantErr(t, what+" "+alias, err, registry.ErrAliasUnknown)
			if got := strings.ReplaceAll(err.Error(), "'"+alias+"'", "'nothing'"); got != nothing.Error() {
				t.Errorf("%s %s: %q, want %q", what, alias, got, nothing)
			}
		}
	}
	same(t, "the owner's aliases", aliasesOf(t, one), given)
	for what, err := range map[string]error{
		"request":  second(s.As(auth.Principal{}).RequestAlias(ctx, "anything")),
		"delete":   s.As(auth.Principal{}).DeleteAlias(ctx, "acme"),
		"primary":  s.As(auth.Principal{}).SetPrimaryAlias(ctx, "acme"),
		"requests": second(s.As(auth.Principal{}).AliasRequests(ctx)),
		"registry": second(s.As(auth.Principal{}).Registry(ctx)),
		"name":     s.As(auth.Principal{}).PutRegistryCatalogData(ctx, "x"),
	} {
		wantErr(t, what+" by nobody", err, registry.ErrUnauthorized)
	}
}

// An alias that the operator gives while it is asked for is there once, and asked for no more.
func TestTheOperatorGivesWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	a := s.As(rootOf(account1))
	publish(t, s.Registry, account1, "app")
	if _, err := a.RequestAlias(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAlias(t.Context(), account1, "acme"); err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for _, x := range aliasesOf(t, a) {
		names[x.Name]++
	}
	if names["acme"] != 1 {
		t.Errorf("the alias is listed %d times: %+v", names["acme"], aliasesOf(t, a))
	}
	if req, err := a.RequestAlias(t.Context(), "acme"); err != nil || req.Status != meta.AliasActive {
		t.Errorf("asked for again: %s, %v; want it active", req.Status, err)
	}
	if list, err := s.PendingAliases(t.Context(), meta.AliasRequestKey{}, 10); err != nil || len(list) > 0 {
		t.Errorf("pending %+v, %v", list, err)
	}
}

func TestRegistryNameAndVerification(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	publish(t, s.Registry, account1, "app")
	told := recordEvents(t, s.Store)
	ctx := t.Context()
	a := s.As(rootOf(account1))
	for _, name := range []string{strings.Repeat("é", 101), "a\nb", "\x7f", "\xff"} {
		wantErr(t, fmt.Sprintf("%.10q", name), a.PutRegistryCatalogData(ctx, name), registry.ErrCatalogInvalid)
	}
	wantErr(t, "verify what is not there", s.SetVerified(ctx, account2, true), fs.ErrNotExist)
	for _, name := range []string{strings.Repeat("é", 100), "", "Acme & Söhne"} {
		wantErr(t, name, a.PutRegistryCatalogData(ctx, name), nil)
		if got, err := a.RegistryCatalogData(ctx); err != nil || got != name {
			t.Errorf("name %q, %v; want %q", got, err, name)
		}
	}
	wantErr(t, "verify", s.SetVerified(ctx, account1, true), nil)
	wantErr(t, "verify twice", s.SetVerified(ctx, account1, true), nil)
	info, err := a.Registry(ctx)
	if err != nil || !info.Verified || info.DisplayName != "Acme & Söhne" || info.Account != account1 || len(info.Aliases) != 1 {
		t.Errorf("registry %+v, %v", info, err)
	}
	if diff := cmp.Diff([]event.Type{event.RegistryChanged, event.RegistryChanged, event.RegistryChanged, event.RegistryChanged}, typesOf(told())); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Whoever gave it, a new alias is a change of the registry that sinks are told of.
func TestEveryNewAliasIsTold(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	told := recordEvents(t, s.Store)
	count := func() (n int) {
		for _, typ := range typesOf(told()) {
			if typ == event.RegistryChanged {
				n++
			}
		}
		return n
	}
	if err := s.AddAlias(t.Context(), account1, "acme"); err != nil {
		t.Fatal(err)
	}
	if count() != 1 {
		t.Errorf("the operator's alias: %d events, want 1", count())
	}
	if err := s.AddAlias(t.Context(), account1, "acme"); err != nil || count() != 1 {
		t.Errorf("given again: %d events, %v; nothing has changed", count(), err)
	}
	publish(t, s.Registry, account2, "app")
	if count() != 2 {
		t.Errorf("the default alias: %d events, want 2", count())
	}
}
