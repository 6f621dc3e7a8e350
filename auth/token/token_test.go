package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/token"
)

func TestIssueAndVerify(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]auth.Grant{
		"unrestricted": access(),
		"anonymous":    {Kind: auth.AccessToken, Scope: &auth.Scope{Access: []auth.Access{{Account: "1", Repository: "a", Verbs: []auth.Verb{auth.Pull}}}}, Audience: registry, Lifetime: time.Minute},
		"of nothing":   {Kind: auth.AccessToken, Principal: alice, Scope: &auth.Scope{}, Audience: registry, Lifetime: time.Minute},
		"refresh":      {Kind: auth.RefreshToken, Principal: alice, Audience: "another", Lifetime: 12 * time.Hour},
		"limited": {Kind: auth.AccessToken, Principal: alice, Scope: &auth.Scope{Access: []auth.Access{
			{Account: "123456789012", Repository: "team/app", Verbs: []auth.Verb{auth.Pull, auth.Push}},
			{Account: "999999999999", Repository: "b", Verbs: []auth.Verb{auth.Any}},
		}}, Audience: registry, Lifetime: time.Minute},
		"of odd names": {Kind: auth.AccessToken, Principal: auth.Principal{Account: "1", Name: `"é\ </script>` + "\n"}, Audience: "https://example.com/?a=b&c=d", Lifetime: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := token.New(&memoryKeys{})
			tok := issue(t, s, g)
			if life := tok.Expires.Sub(tok.Issued); life != g.Lifetime || time.Since(tok.Issued).Abs() > 2*time.Second {
				t.Errorf("issued %v for %v, want now for %v", tok.Issued, life, g.Lifetime)
			}
			if strings.Count(tok.Value, ".") != 2 || strings.ContainsAny(tok.Value, " \r\n\",=") {
				t.Errorf("%q cannot be sent in a header", tok.Value)
			}
			for range 2 { // the second comes from the cache
				got, err := s.Verify(t.Context(), g.Kind, g.Audience, tok.Value)
				if err != nil {
					t.Fatal(err)
				}
				if !got.Expires.Equal(tok.Expires) {
					t.Errorf("expires %v, want %v", got.Expires, tok.Expires)
				}
				if diff := cmp.Diff(g.Principal, got.Principal); diff != "" {
					t.Errorf("principal: (-want +got)\n%s", diff)
				}
				if diff := cmp.Diff(g.Scope, got.Scope); diff != "" {
					t.Errorf("scope: (-want +got)\n%s", diff)
				}
			}
		})
	}
}

// The header and claims that RFC 7515, RFC 7519 and RFC 8037 define, for those who look.
func TestTokenIsAJWT(t *testing.T) {
	t.Parallel()
	keys := &memoryKeys{}
	s := token.New(keys)
	a, b := issue(t, s, access()), issue(t, s, access())
	id, _ := keys.newest(t)
	header, claims := parse(t, a.Value)
	if header["alg"] != "EdDSA" || header["kid"] != id || header["jwk"] != nil {
		t.Errorf("header %v, want EdDSA and key %s", header, id)
	}
	if claims["exp"] != float64(a.Expires.Unix()) || claims["iat"] != float64(a.Issued.Unix()) {
		t.Errorf("claims %v, want exp %d and iat %d", claims, a.Expires.Unix(), a.Issued.Unix())
	}
	_, other := parse(t, b.Value)
	if claims["jti"] == "" || claims["jti"] == other["jti"] || a.Value == b.Value {
		t.Errorf("two tokens with the ids %v and %v", claims["jti"], other["jti"])
	}
	if len(keys.keys) != 1 {
		t.Errorf("%d keys were made, want 1", len(keys.keys))
	}
}

func TestKindsAndAudiencesAreApart(t *testing.T) {
	t.Parallel()
	keys := &memoryKeys{}
	warm := token.New(keys)
	grants := []auth.Grant{
		{Kind: auth.AccessToken, Principal: alice, Audience: registry, Lifetime: time.Minute},
		{Kind: auth.RefreshToken, Principal: alice, Audience: registry, Lifetime: time.Minute},
		{Kind: auth.AccessToken, Principal: alice, Audience: "another", Lifetime: time.Minute},
		{Kind: auth.RefreshToken, Principal: alice, Audience: "another", Lifetime: time.Minute},
	}
	for _, g := range grants {
		tok := issue(t, warm, g)
		if _, err := warm.Verify(t.Context(), g.Kind, g.Audience, tok.Value); err != nil {
			t.Fatal(err)
		}
		for _, other := range grants {
			if other != g {
				mustRefuse(t, keys, warm, other.Kind, other.Audience, tok.Value)
			}
		}
		mustRefuse(t, keys, warm, "", g.Audience, tok.Value)
		mustRefuse(t, keys, warm, g.Kind, "", tok.Value)
		mustRefuse(t, keys, warm, g.Kind, strings.ToUpper(g.Audience), tok.Value)
		mustRefuse(t, keys, warm, g.Kind, g.Audience+"/", tok.Value)
	}
}

// Ten seconds, for clocks that differ, and not more; neither with a token that was seen
// before nor with a new service.
func TestExpiry(t *testing.T) {
	t.Parallel()
	const leeway = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		keys := &memoryKeys{}
		warm := token.New(keys)
		g := access()
		tok := issue(t, warm, g)
		check := func(when string, want bool) {
			t.Helper()
			for name, s := range map[string]*token.Service{"warm": warm, "fresh": token.New(keys)} {
				got, err := s.Verify(t.Context(), g.Kind, g.Audience, tok.Value)
				switch {
				case want && (err != nil || got.Principal != alice):
					t.Errorf("%s, %s service: %+v, %v", when, name, got, err)
				case !want && (!errors.Is(err, auth.ErrExpired) || !errors.Is(err, auth.ErrInvalidCredential) || got.Principal != auth.Principal{}):
					t.Errorf("%s, %s service: %+v, %v; want an error wrapping ErrExpired and ErrInvalidCredential", when, name, got, err)
				}
			}
		}
		check("at once", true)
		time.Sleep(time.Until(tok.Expires) - time.Second)
		check("a second before", true)
		time.Sleep(2 * time.Second)
		check("a second after", true)
		time.Sleep(time.Until(tok.Expires.Add(leeway)) - time.Millisecond)
		check("at the end of the leeway", true)
		time.Sleep(2 * time.Millisecond)
		check("after the leeway", false)
		time.Sleep(24 * time.Hour)
		check("a day later", false)
	})
}

// A wrong token is not told to be expired, which would say that it was right once.
func TestForgedIsNotExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := &memoryKeys{}
		s := token.New(keys)
		header, claims := parse(t, issue(t, s, access()).Value)
		forged := sign(t, header, claims, newKey(t))
		time.Sleep(time.Hour)
		if _, err := s.Verify(t.Context(), auth.AccessToken, registry, forged); !errors.Is(err, auth.ErrInvalidCredential) || errors.Is(err, auth.ErrExpired) {
			t.Errorf("%v; want ErrInvalidCredential alone", err)
		}
	})
}

// A node whose clock is behind takes the tokens of another within the leeway, and none from
// further ahead.
func TestNotBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := &memoryKeys{}
		s := token.New(keys)
		header, claims := parse(t, issue(t, s, access()).Value)
		_, key := keys.newest(t)
		at := func(d time.Duration) string {
			return sign(t, header, claims.with("nbf", time.Now().Add(d).Unix()), key)
		}
		if _, err := s.Verify(t.Context(), auth.AccessToken, registry, at(5*time.Second)); err != nil {
			t.Errorf("5 s ahead: %v", err)
		}
		mustRefuse(t, keys, s, auth.AccessToken, registry, at(time.Minute))
	})
}

func TestServicesShareKeys(t *testing.T) {
	t.Parallel()
	keys := &memoryKeys{}
	a, b := token.New(keys), token.New(keys)
	for _, from := range []*token.Service{a, b} {
		tok := issue(t, from, access())
		for _, to := range []*token.Service{a, b, token.New(keys)} {
			if got, err := to.Verify(t.Context(), auth.AccessToken, registry, tok.Value); err != nil || got.Principal != alice {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
	if len(keys.keys) != 1 {
		t.Errorf("%d keys, want the second service to use the first's", len(keys.keys))
	}

	// Another service's keys are nothing to this one.
	foreign := issue(t, token.New(&memoryKeys{}), access())
	mustRefuse(t, keys, a, auth.AccessToken, registry, foreign.Value)
}

// Another node may add a key at any time: its tokens are good a moment later, and those of
// the old key still are.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := &memoryKeys{}
		s := token.New(keys)
		old := issue(t, s, access())
		added := &memoryKeys{}
		issue(t, token.New(added), access())
		if err := keys.AddKey(t.Context(), added.keys[0]); err != nil {
			t.Fatal(err)
		}
		// Nobody signs with it before all nodes know it.
		if header, _ := parse(t, issue(t, token.New(keys), access()).Value); header["kid"] == added.keys[0].ID {
			t.Errorf("signed with key %v at once", header["kid"])
		}
		time.Sleep(3 * time.Second)
		tok := issue(t, token.New(keys), access())
		if header, _ := parse(t, tok.Value); header["kid"] != added.keys[0].ID {
			t.Errorf("signed with key %v, want the newest", header["kid"])
		}
		for name, value := range map[string]string{"new": tok.Value, "old": old.Value} {
			if _, err := s.Verify(t.Context(), auth.AccessToken, registry, value); err != nil {
				t.Errorf("%s key: %v", name, err)
			}
		}
	})
}

// Two nodes that start at once over an empty store each make a key, and accept both.
func TestTwoFirstKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := &memoryKeys{}
		a := token.New(keys)
		ofA := issue(t, a, access())
		// b read the store before a's key was there, and added its own after
		late := &memoryKeys{}
		issue(t, token.New(late), access())
		if err := keys.AddKey(t.Context(), late.keys[0]); err != nil {
			t.Fatal(err)
		}
		b := token.New(keys)
		ofB := issue(t, b, access())
		for name, tok := range map[string]auth.Token{"a": ofA, "b": ofB} {
			for to, s := range map[string]*token.Service{"a": a, "b": b} {
				if _, err := s.Verify(t.Context(), auth.AccessToken, registry, tok.Value); err != nil {
					t.Errorf("a token of node %s at node %s, at once: %v", name, to, err)
				}
			}
		}
	})
}

// Anybody can invent a key id: that must not become load on the store.
func TestForgedKeyIDsSpareTheStore(t *testing.T) {
	t.Parallel()
	down := errors.New("the store is down")
	for name, fail := range map[string]error{"a store that answers": nil, "a store that fails": down} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				keys := &memoryKeys{}
				s := token.New(keys)
				header, claims := parse(t, issue(t, s, access()).Value)
				time.Sleep(time.Minute)
				keys.fail(fail)
				before := keys.readCount()
				foreign := newKey(t)
				for i := range 100 {
					if _, err := s.Verify(t.Context(), auth.AccessToken, registry, sign(t, header.with("kid", fmt.Sprint("forged", i)), claims, foreign)); err == nil {
						t.Fatal("accepted")
					}
				}
				if n := keys.readCount() - before; n > 2 {
					t.Errorf("100 forged tokens at one moment made the store be read %d times", n)
				}
			})
		})
	}
}

func TestKeyStoreErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("the store is down")
		keys := &memoryKeys{}
		s := token.New(keys)
		keys.fail(down)
		if _, err := s.Issue(t.Context(), access()); !errors.Is(err, down) {
			t.Errorf("Issue: %v, want the store's error", err)
		}
		keys.fail(nil)
		tok := issue(t, s, access()) // it recovers
		header, claims := parse(t, tok.Value)
		_, key := keys.newest(t)

		keys.fail(down)
		time.Sleep(time.Minute)
		if _, err := s.Verify(t.Context(), auth.AccessToken, registry, tok.Value); err != nil {
			t.Errorf("a known key while the store is down: %v", err)
		}
		// Whether this one is good cannot be known, so nobody is told that it is wrong.
		_, err := token.New(keys).Verify(t.Context(), auth.AccessToken, registry, tok.Value)
		if !errors.Is(err, down) || errors.Is(err, auth.ErrInvalidCredential) {
			t.Errorf("an unknown key while the store is down: %v, want the store's error alone", err)
		}
		keys.fail(nil)
		if _, err := s.Verify(t.Context(), auth.AccessToken, registry, sign(t, header, claims.with("jti", "x"), key)); err != nil {
			t.Errorf("after the store came back: %v", err)
		}
	})
}

// Keys of algorithms that are not known may be in the store, for newer programs; a broken
// one is an error.
func TestOtherKeysInTheStore(t *testing.T) {
	t.Parallel()
	keys := &memoryKeys{keys: []auth.Key{{ID: "later", Algorithm: "ML-DSA-65", Private: []byte("not read")}}}
	s := token.New(keys)
	tok := issue(t, s, access())
	if _, err := s.Verify(t.Context(), auth.AccessToken, registry, tok.Value); err != nil {
		t.Error(err)
	}
	if header, _ := parse(t, tok.Value); header["kid"] == "later" {
		t.Error("signed with the key of another algorithm")
	}
	broken := token.New(&memoryKeys{keys: []auth.Key{{ID: "x", Algorithm: "EdDSA", Private: []byte("not a key")}}})
	if tok, err := broken.Issue(t.Context(), access()); err == nil || errors.Is(err, auth.ErrInvalidCredential) {
		t.Errorf("with a broken key: %+v, %v", tok, err)
	}
}

// The longest token that a scope of 64 repositories makes can be read back.
func TestLargestToken(t *testing.T) {
	t.Parallel()
	g := access()
	g.Scope = &auth.Scope{}
	for range 2 { // a client that mounts asks for two repositories, of the longest names
		g.Scope.Access = append(g.Scope.Access, auth.Access{
			Account: "123456789012", Repository: strings.Repeat("a", 255), Verbs: []auth.Verb{auth.Pull, auth.Push, auth.Delete, auth.Any},
		})
	}
	s := token.New(&memoryKeys{})
	if _, err := s.Verify(t.Context(), g.Kind, g.Audience, issue(t, s, g).Value); err != nil {
		t.Errorf("a scope of two repositories: %v", err)
	}
	for range 62 {
		g.Scope.Access = append(g.Scope.Access, g.Scope.Access[0])
	}
	tok, err := s.Issue(t.Context(), g)
	if err != nil {
		return // it may refuse; what it issues must be good
	}
	if _, err := s.Verify(t.Context(), g.Kind, g.Audience, tok.Value); err != nil {
		t.Errorf("a token of %d bytes was issued for 64 repositories and is refused: %v", len(tok.Value), err)
	}
}

func TestConcurrently(t *testing.T) {
	t.Parallel()
	keys := &memoryKeys{}
	nodes := []*token.Service{token.New(keys), token.New(keys)}
	issue(t, nodes[0], access()) // the first key; see TestTwoFirstKeys
	shared := issue(t, nodes[0], access())
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			s := nodes[i%2]
			for range 20 {
				tok, err := s.Issue(t.Context(), access())
				if err != nil {
					t.Error(err)
					return
				}
				for _, value := range []string{tok.Value, shared.Value} {
					if got, err := nodes[(i+1)%2].Verify(t.Context(), auth.AccessToken, registry, value); err != nil || got.Principal != alice {
						t.Errorf("%+v, %v", got, err)
					}
				}
				if _, err := s.Verify(t.Context(), auth.AccessToken, registry, tok.Value+"x"); !errors.Is(err, auth.ErrInvalidCredential) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	group.Wait()
}

// While a service rotates its keys, no token that is still good is ever refused by any
// node, and keys that nothing needs any more go away.
func TestRotate(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{token.EdDSA, token.RS256, token.HS256} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				keys := &memoryKeys{}
				nodes := []*token.Service{token.NewAlgorithm(keys, algorithm), token.NewAlgorithm(keys, algorithm)}
				type issued struct {
					value string
					until time.Time
				}
				var tokens []issued
				seen := map[any]bool{}
				for range 40 {
					if err := nodes[0].Rotate(t.Context()); err != nil {
						t.Fatal(err)
					}
					for range 4 {
						g := access()
						g.Kind, g.Lifetime, g.AccessKey = auth.LoginToken, token.MaxLifetime, "AKIA"
						tok := issue(t, nodes[1], g)
						header, _ := parse(t, tok.Value)
						seen[header["kid"]] = true
						tokens = append(tokens, issued{tok.Value, tok.Expires})
						for _, tok := range tokens {
							for i, s := range nodes {
								id, err := s.Verify(t.Context(), auth.LoginToken, registry, tok.value)
								if good := !time.Now().After(tok.until.Add(token.Leeway)); good != (err == nil) || good && id.AccessKey != "AKIA" {
									t.Fatalf("node %d, good until %s, now %s: %+v, %v", i, tok.until, time.Now(), id, err)
								}
							}
						}
						time.Sleep(15 * time.Minute)
					}
				}
				if len(seen) < 30 {
					t.Errorf("signed with %d keys, want one for each hour", len(seen))
				}
				if n := len(keys.keys); n > 15 {
					t.Errorf("%d keys are kept, want those of about 13 hours", n)
				}
			})
		})
	}
}

// What a revoked key has signed is refused at once, and within a second elsewhere; the
// cache of verified tokens does not save it.
func TestRevoke(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := &memoryKeys{}
		here, there := token.New(keys), token.New(keys)
		value := issue(t, here, access()).Value
		for _, s := range []*token.Service{here, there} {
			if _, err := s.Verify(t.Context(), auth.AccessToken, registry, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := here.Revoke(t.Context(), keys.keys[0].ID); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, keys, here, auth.AccessToken, registry, value)
		time.Sleep(time.Second)
		mustRefuse(t, keys, there, auth.AccessToken, registry, value)
		if _, err := here.Verify(t.Context(), auth.AccessToken, registry, issue(t, here, access()).Value); err != nil {
			t.Errorf("a token of the key that took its place: %v", err)
		}
	})
}

// A token signed with another algorithm than its key's is refused: the public half of a
// key must never be taken for a shared secret.
func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	keys := &memoryKeys{}
	rsaService, hmacService := token.NewAlgorithm(keys, token.RS256), token.NewAlgorithm(&memoryKeys{}, token.HS256)
	issue(t, rsaService, access())
	forged := issue(t, hmacService, access())
	header, _ := parse(t, issue(t, rsaService, access()).Value)
	parts := strings.Split(forged.Value, ".")
	for _, alg := range []string{"HS256", "EdDSA", "none"} {
		raw, err := json.Marshal(map[string]any{"alg": alg, "kid": header["kid"], "typ": "JWT"})
		if err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, keys, rsaService, auth.AccessToken, registry, b64.EncodeToString(raw)+"."+parts[1]+"."+parts[2])
	}
}
