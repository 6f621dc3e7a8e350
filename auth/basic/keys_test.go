package basic_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
)

// keysFunc is a function as auth.AccessKeys.
type keysFunc func(ctx context.Context, id string) (auth.AccessKey, error)

func (f keysFunc) AccessKey(ctx context.Context, id string) (auth.AccessKey, error) {
	return f(ctx, id)
}

func byKey(t *testing.T, keys auth.AccessKeys, authorization ...string) (auth.Identity, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/", nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return basic.NewKeys(keys, "test").Authenticate(r)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	keys := auth.StaticKeys{
		"AKIAALICE": {ID: "AKIAALICE", Secret: "alice-secret", Principal: alice},
		"AKIABOB":   {ID: "AKIABOB", Secret: "b:o:b", Principal: bob},
		"AKIASOON":  {ID: "AKIASOON", Secret: "soon-secret", Principal: alice, Expires: soon},
		"AKIAPAST":  {ID: "AKIAPAST", Secret: "past-secret", Principal: alice, Expires: past},
		"ASIA":      {ID: "ASIA", Secret: "session-secret", Principal: alice, Session: "token", Expires: soon},
		"ASIAPAST":  {ID: "ASIAPAST", Secret: "session-secret", Principal: alice, Session: "token", Expires: past},
		"AKIAEMPTY": {ID: "AKIAEMPTY", Principal: alice},
	}
	for name, tt := range map[string]struct {
		authorization []string
		want          auth.Identity
		err           error
		expired       bool
	}{
		"right":                             {[]string{header("AKIAALICE:alice-secret")}, auth.Identity{Principal: alice, AccessKey: "AKIAALICE"}, nil, false},
		"right, in lower case":              {[]string{strings.Replace(header("AKIAALICE:alice-secret"), "B", "b", 1)}, auth.Identity{Principal: alice, AccessKey: "AKIAALICE"}, nil, false},
		"right, with colons":                {[]string{header("AKIABOB:b:o:b")}, auth.Identity{Principal: bob, AccessKey: "AKIABOB"}, nil, false},
		"right, with an end":                {[]string{header("AKIASOON:soon-secret")}, auth.Identity{Principal: alice, AccessKey: "AKIASOON", Expires: soon}, nil, false},
		"expired":                           {[]string{header("AKIAPAST:past-secret")}, auth.Identity{}, auth.ErrInvalidCredential, true},
		"expired, and the secret is wrong":  {[]string{header("AKIAPAST:x")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a session's, its token is missing": {[]string{header("ASIA:session-secret")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a session's, its token behind":     {[]string{header("ASIA:session-secret:token")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a session's, the token alone":      {[]string{header("ASIA:token")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a session's that has ended":        {[]string{header("ASIAPAST:session-secret")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a wrong secret":                    {[]string{header("AKIAALICE:alice-secre")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a longer secret":                   {[]string{header("AKIAALICE:alice-secret ")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a secret in upper case":            {[]string{header("AKIAALICE:ALICE-SECRET")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"another's secret":                  {[]string{header("AKIAALICE:b:o:b")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"no secret":                         {[]string{header("AKIAALICE:")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"unknown":                           {[]string{header("AKIACAROL:alice-secret")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"unknown, no secret":                {[]string{header("AKIACAROL:")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"a key without a secret":            {[]string{header("AKIAEMPTY:")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"the key in lower case":             {[]string{header("akiaalice:alice-secret")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"no key":                            {[]string{header(":alice-secret")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"nothing":                           {[]string{header(":")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"no colon":                          {[]string{header("AKIAALICE")}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"no base64":                         {[]string{"Basic AKIAALICE:alice-secret"}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"too long":                          {[]string{header("AKIAALICE:" + strings.Repeat("x", 16<<10))}, auth.Identity{}, auth.ErrInvalidCredential, false},
		"another scheme":                    {[]string{"Bearer " + base64.StdEncoding.EncodeToString([]byte("AKIAALICE:alice-secret"))}, auth.Identity{}, auth.ErrNoCredential, false},
		"no header":                         {nil, auth.Identity{}, auth.ErrNoCredential, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := byKey(t, keys, tt.authorization...)
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) || errors.Is(err, auth.ErrExpired) != tt.expired {
				t.Errorf("%v, want %v, expired %v (-want +got)\n%s", err, tt.err, tt.expired, diff)
			}
		})
	}
}

func TestKeysEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := auth.StaticKeys{"AKIA": {ID: "AKIA", Secret: "secret", Principal: alice, Expires: time.Now().Add(time.Minute)}}
		time.Sleep(time.Minute - 1)
		if _, err := byKey(t, keys, header("AKIA:secret")); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(2 * time.Nanosecond)
		if got, err := byKey(t, keys, header("AKIA:secret")); !errors.Is(err, auth.ErrExpired) || !cmp.Equal(got, auth.Identity{}) {
			t.Errorf("just after its end: %+v, %v", got, err)
		}
	})
}

// A wrong secret, an unknown key and one that was disabled must be told apart by nobody; a
// source that is down is another matter.
func TestKeysSayNothing(t *testing.T) {
	t.Parallel()
	down := errors.New("the store is down")
	keys := keysFunc(func(_ context.Context, id string) (auth.AccessKey, error) {
		switch id {
		case "right":
			return auth.AccessKey{ID: id, Secret: "secret", Principal: alice}, nil
		case "disabled": // a source that says more than it has to
			return auth.AccessKey{ID: id, Secret: "secret", Principal: alice}, fmt.Errorf("%w: disabled in May", auth.ErrInvalidCredential)
		case "down":
			return auth.AccessKey{ID: id, Secret: "secret", Principal: alice}, fmt.Errorf("keys: %w", down)
		}
		return auth.AccessKey{}, auth.ErrInvalidCredential
	})
	_, wrong := byKey(t, keys, header("right:x"))
	if !errors.Is(wrong, auth.ErrInvalidCredential) {
		t.Fatal(wrong)
	}
	for _, credential := range []string{"unknown:x", "unknown:", "disabled:secret", "disabled:x", "right:"} {
		if got, err := byKey(t, keys, header(credential)); fmt.Sprint(err) != fmt.Sprint(wrong) || !cmp.Equal(got, auth.Identity{}) {
			t.Errorf("%s: %+v, %q; want %q", credential, got, err, wrong)
		}
	}
	for _, credential := range []string{"down:secret", "down:x"} {
		if got, err := byKey(t, keys, header(credential)); !errors.Is(err, down) || errors.Is(err, auth.ErrInvalidCredential) || !cmp.Equal(got, auth.Identity{}) {
			t.Errorf("%s: %+v, %v; want the source's error", credential, got, err)
		}
	}
}

// What cannot be a credential costs the source nothing, and what can reaches it as it is.
func TestKeysAskTheSource(t *testing.T) {
	t.Parallel()
	var asked []string
	keys := keysFunc(func(_ context.Context, id string) (auth.AccessKey, error) {
		asked = append(asked, id)
		return auth.AccessKey{}, auth.ErrInvalidCredential
	})
	for _, authorization := range []string{header("AKIA:x"), header(strings.Repeat("x", 1<<20)), "Basic !!!!", "Basic", "Bearer x", header("ümlaut:x")} {
		if _, err := byKey(t, keys, authorization); err == nil {
			t.Errorf("%.40q is let in", authorization)
		}
	}
	if diff := cmp.Diff([]string{"AKIA", "ümlaut"}, asked); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
	var _ auth.Challenger = basic.NewKeys(keys, "test")
	if got := basic.NewKeys(keys, "test").Challenge(); got != `Basic realm="test"` {
		t.Errorf("Challenge() = %s", got)
	}
}
