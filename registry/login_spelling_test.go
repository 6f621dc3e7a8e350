package registry_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// However a client writes its credentials: none is verified that is not counted.
func TestLoginsAreCountedHoweverTheyAreSpelled(t *testing.T) {
	t.Parallel()
	const burst, tries = 3, 6
	header := func(scheme string) func(req *http.Request, user, password string) {
		return func(req *http.Request, user, password string) {
			req.Header.Set("Authorization", scheme+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		}
	}
	form := func(req *http.Request, user, password string) {
		body := url.Values{"grant_type": {"password"}, "username": {user}, "password": {password}, "service": {"x"}}.Encode()
		*req = *httptest.NewRequestWithContext(req.Context(), http.MethodPost, "/token", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, c := range map[string]struct {
		spell func(req *http.Request, user, password string)
		basic bool // package basic takes it
	}{
		"as clients do":         {header("Basic "), true},
		"two spaces":            {header("Basic  "), true},
		"many spaces":           {header("Basic" + strings.Repeat(" ", 50)), true},
		"lower case":            {header("basic "), true},
		"upper case":            {header("BASIC "), true},
		"mixed case and spaces": {header("bAsIc   "), true},
		"long": {func(req *http.Request, user, password string) {
			header("Basic ")(req, user, password+strings.Repeat("x", 12000))
		}, true},
		"colons": {func(req *http.Request, user, password string) { header("Basic ")(req, user, ":"+password+":") }, true},
		"a form": {form, true},
		"two headers": {func(req *http.Request, user, password string) {
			header("basic  ")(req, user, password)
			req.Header.Add("Authorization", "Bearer x")
		}, true},
		"another header first": {func(req *http.Request, user, password string) {
			header("Basic ")(req, user, password)
			req.Header["Authorization"] = append([]string{"Other x"}, req.Header["Authorization"]...)
		}, false},
		"too long": {func(req *http.Request, user, password string) {
			header("Basic ")(req, user, password+strings.Repeat("x", 16<<10))
		}, false},
		"a tab":         {header("Basic\t"), false},
		"space and tab": {header("Basic \t"), false},
		"space before":  {header(" Basic "), false},
		"bearer":        {header("Bearer "), false},
		"no scheme":     {header(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var verified atomic.Int32
			s := registrytest.New(t, func(c *registry.Config) {
				known := basic.Static{registrytest.Username: {Password: registrytest.Password, Principal: registrytest.Owner}}
				c.Authenticators = []auth.Authenticator{basic.New(basic.PasswordsFunc(func(ctx context.Context, user, password string) (auth.Principal, error) {
					verified.Add(1)
					return known.Check(ctx, user, password)
				}), "")}
				slow := limit.Rule{Rate: 1e-9, Burst: burst}
				c.Logins = limit.NewLogins(&limit.LoginOptions{Address: slow, Key: slow})
			})
			ask := func(spell func(*http.Request, string, string), path, password string) int {
				req := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
				spell(req, registrytest.Username, password)
				rec := httptest.NewRecorder()
				s.ServeHTTP(rec, req)
				return rec.Code
			}
			var got, want []int
			for i := range tries {
				got = append(got, ask(c.spell, []string{"/v2/", "/token"}[i%2], fmt.Sprint("wrong ", i)))
				want = append(want, 401)
				if c.basic && i >= burst {
					want[i] = 429
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			counted := int32(0)
			if c.basic {
				counted = burst
			}
			if n := verified.Load(); n != counted {
				t.Errorf("%d of %d passwords were verified, want %d", n, tries, counted)
			}
			// It is the same counter for all spellings: the right password is of no use either.
			if status := ask(header("Basic "), "/v2/", registrytest.Password); (status == 429) != c.basic {
				t.Errorf("the right password afterwards: %d", status)
			}
		})
	}
}
