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

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
)

var (
	alice = auth.Principal{Account: "111111111111", Name: "alice"}
	bob   = auth.Principal{Account: "222222222222", Name: "bob"}
	users = basic.Static{
		"alice":  {Password: "correct horse battery staple", Principal: alice},
		"bob":    {Password: "a:b:c:", Principal: bob},
		"ümlaut": {Password: "pässwörd", Principal: bob},
		"":       {Password: "nameless", Principal: bob},
		"empty":  {Principal: alice}, // no password was set: nobody may log in
	}
)

func TestStatic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, username, password string
		want                     auth.Principal
	}{
		{"right", "alice", "correct horse battery staple", alice},
		{"right, with colons", "bob", "a:b:c:", bob},
		{"right, in UTF-8", "ümlaut", "pässwörd", bob},
		{"right, without a name", "", "nameless", bob},
		{"a wrong password", "alice", "correct horse battery stapl", auth.Principal{}},
		{"a longer password", "alice", "correct horse battery staple ", auth.Principal{}},
		{"a password in upper case", "alice", "CORRECT HORSE BATTERY STAPLE", auth.Principal{}},
		{"another's password", "alice", "a:b:c:", auth.Principal{}},
		{"no password", "alice", "", auth.Principal{}},
		{"an unknown name", "carol", "correct horse battery staple", auth.Principal{}},
		{"an unknown name and no password", "carol", "", auth.Principal{}},
		{"a name in upper case", "Alice", "correct horse battery staple", auth.Principal{}},
		{"an empty password that was never set", "empty", "", auth.Principal{}},
		{"any password where none was set", "empty", "x", auth.Principal{}},
		{"nothing", "", "", auth.Principal{}},
	} {
		got, err := users.Check(t.Context(), tt.username, tt.password)
		if got != tt.want || (err == nil) != (tt.want != auth.Principal{}) || err != nil && !errors.Is(err, auth.ErrInvalidCredential) {
			t.Errorf("%s: Check(%q, %q) = %+v, %v; want %+v", tt.name, tt.username, tt.password, got, err, tt.want)
		}
	}
	for _, nobody := range []basic.Static{nil, {}} {
		if got, err := nobody.Check(t.Context(), "", ""); !errors.Is(err, auth.ErrInvalidCredential) || got != (auth.Principal{}) {
			t.Errorf("without users: %+v, %v", got, err)
		}
	}
}

// An unknown name and a wrong password must be told apart by nobody.
func TestStaticSaysNothing(t *testing.T) {
	t.Parallel()
	_, unknown := users.Check(t.Context(), "carol", "x")
	_, wrong := users.Check(t.Context(), "alice", "x")
	_, unset := users.Check(t.Context(), "empty", "")
	if wrong == nil || fmt.Sprint(unknown) != fmt.Sprint(wrong) || fmt.Sprint(unset) != fmt.Sprint(wrong) {
		t.Errorf("%q, %q and %q differ", unknown, wrong, unset)
	}
}

func header(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func authenticate(t *testing.T, p basic.Passwords, authorization ...string) (auth.Identity, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/", nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return basic.New(p, "test").Authenticate(r)
}

// RFC 7617: user-pass is user-id ":" password, the first colon ends the name.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	right := "alice:correct horse battery staple"
	for name, tt := range map[string]struct {
		authorization []string
		want          auth.Principal
		err           error
	}{
		"right":                    {[]string{header(right)}, alice, nil},
		"a scheme in lower case":   {[]string{strings.Replace(header(right), "Basic", "basic", 1)}, alice, nil},
		"a scheme in upper case":   {[]string{strings.Replace(header(right), "Basic", "BASIC", 1)}, alice, nil},
		"two spaces":               {[]string{strings.Replace(header(right), " ", "  ", 1)}, alice, nil}, // RFC 9110, 11.4: 1*SP
		"colons in the password":   {[]string{header("bob:a:b:c:")}, bob, nil},
		"UTF-8":                    {[]string{header("ümlaut:pässwörd")}, bob, nil},
		"no name":                  {[]string{header(":nameless")}, bob, nil},
		"no header":                {nil, auth.Principal{}, auth.ErrNoCredential},
		"an empty header":          {[]string{""}, auth.Principal{}, auth.ErrNoCredential},
		"another scheme":           {[]string{"Bearer a.b.c"}, auth.Principal{}, auth.ErrNoCredential},
		"a longer scheme":          {[]string{"Basically " + base64.StdEncoding.EncodeToString([]byte(right))}, auth.Principal{}, auth.ErrNoCredential},
		"a wrong password":         {[]string{header("alice:x")}, auth.Principal{}, auth.ErrInvalidCredential},
		"an unknown name":          {[]string{header("carol:x")}, auth.Principal{}, auth.ErrInvalidCredential},
		"an empty password":        {[]string{header("alice:")}, auth.Principal{}, auth.ErrInvalidCredential},
		"none set, none given":     {[]string{header("empty:")}, auth.Principal{}, auth.ErrInvalidCredential},
		"empty name and password":  {[]string{header(":")}, auth.Principal{}, auth.ErrInvalidCredential},
		"no colon":                 {[]string{header("alice")}, auth.Principal{}, auth.ErrInvalidCredential},
		"nothing encoded":          {[]string{header("")}, auth.Principal{}, auth.ErrInvalidCredential},
		"nothing after the scheme": {[]string{"Basic"}, auth.Principal{}, auth.ErrInvalidCredential}, // of an empty variable; net/http trims the space
		"no base64":                {[]string{"Basic !!!!"}, auth.Principal{}, auth.ErrInvalidCredential},
		"not encoded":              {[]string{"Basic " + right}, auth.Principal{}, auth.ErrInvalidCredential},
		"no padding":               {[]string{strings.TrimRight(header("alice:x"), "=")}, auth.Principal{}, auth.ErrInvalidCredential},
		"base64 for URLs":          {[]string{"Basic " + base64.URLEncoding.EncodeToString([]byte("alice:\xff\xfe\xfd"))}, auth.Principal{}, auth.ErrInvalidCredential},
		"rubbish behind":           {[]string{header(right) + " x"}, auth.Principal{}, auth.ErrInvalidCredential},
		"a comma and another":      {[]string{header(right) + ", " + header(right)}, auth.Principal{}, auth.ErrInvalidCredential},
		"16 KiB of password":       {[]string{header("alice:" + strings.Repeat("x", 16<<10))}, auth.Principal{}, auth.ErrInvalidCredential},
		"a megabyte of password":   {[]string{header("alice:" + strings.Repeat("x", 1<<20))}, auth.Principal{}, auth.ErrInvalidCredential},
		"a megabyte of dots":       {[]string{"Basic " + strings.Repeat(".", 1<<20)}, auth.Principal{}, auth.ErrInvalidCredential},
		"a NUL":                    {[]string{header("alice\x00:correct horse battery staple")}, auth.Principal{}, auth.ErrInvalidCredential},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := authenticate(t, users, tt.authorization...)
			if diff := cmp.Diff(auth.Identity{Principal: tt.want}, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v (-want +got)\n%s", err, tt.err, diff)
			}
		})
	}
}

// A host's own check sees what was sent, its errors come back, and an oversize header costs
// it nothing.
func TestAuthenticateAsksTheHost(t *testing.T) {
	t.Parallel()
	type key struct{}
	down := errors.New("the directory is down")
	var asked []string
	check := basic.PasswordsFunc(func(ctx context.Context, username, password string) (auth.Principal, error) {
		asked = append(asked, fmt.Sprintf("%v %q %q", ctx.Value(key{}), username, password))
		return auth.Principal{}, down
	})
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, "ctx"), http.MethodGet, "/v2/", nil)
	r.SetBasicAuth("alice", "x:y")
	if got, err := basic.New(check, "").Authenticate(r); !errors.Is(err, down) || errors.Is(err, auth.ErrInvalidCredential) || !cmp.Equal(got, auth.Identity{}) {
		t.Errorf("%+v, %v; want the host's error as it is", got, err)
	}
	for _, bad := range []string{header("alice:" + strings.Repeat("x", 1<<20)), "Basic !!!!", "Bearer x"} {
		if _, err := authenticate(t, check, bad); err == nil {
			t.Errorf("%.40q was let in", bad)
		}
	}
	if diff := cmp.Diff([]string{`ctx "alice" "x:y"`}, asked); diff != "" {
		t.Errorf("asked: (-want +got)\n%s", diff)
	}
}

// RFC 7617: the realm is a quoted string, and required.
func TestChallenge(t *testing.T) {
	t.Parallel()
	for realm, want := range map[string]string{
		"esplanade": `Basic realm="esplanade"`,
		"":          `Basic realm=""`,
		`a "b" \c`:  `Basic realm="a \"b\" \\c"`,
	} {
		if got := basic.New(users, realm).Challenge(); got != want {
			t.Errorf("Challenge() = %s, want %s", got, want)
		}
	}
	if got := basic.New(users, "a\r\nSet-Cookie: x").Challenge(); strings.ContainsAny(got, "\r\n") {
		t.Errorf("Challenge() = %q splits the header", got)
	}
	var _ auth.Challenger = basic.New(users, "")
}

func FuzzAuthenticate(f *testing.F) {
	for _, s := range []string{
		"", "Basic", "Basic ", "Basic  ", "basic " + base64.StdEncoding.EncodeToString([]byte("alice:correct horse battery staple")),
		header("bob:a:b:c:"), header("alice:"), header(":"), header("alice"), header("empty:"), "Bearer x", "Basic YQ", "Basic YQ=\n=", "Basic \x00",
		header("ümlaut:pässwörd"), header(":nameless"), header(strings.Repeat("a:", 100)),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		got, err := authenticate(t, users, authorization)
		scheme, rest, _ := strings.Cut(authorization, " ")
		raw, decodes := base64.StdEncoding.DecodeString(strings.TrimLeft(rest, " "))
		username, password, colon := strings.Cut(string(raw), ":")
		secret := users[username]
		right := strings.EqualFold(scheme, "Basic") && decodes == nil && colon && secret.Password != "" && secret.Password == password
		if err == nil {
			if !right || got.Principal != secret.Principal || got.Scope != nil {
				t.Fatalf("%q is %+v", authorization, got)
			}
			return
		}
		if !errors.Is(err, auth.ErrNoCredential) && !errors.Is(err, auth.ErrInvalidCredential) || !cmp.Equal(got, auth.Identity{}) {
			t.Fatalf("%q: %+v, %v", authorization, got, err)
		}
		if errors.Is(err, auth.ErrNoCredential) && strings.HasPrefix(strings.ToLower(authorization), "basic ") {
			t.Fatalf("%q counts as no credential", authorization)
		}
	})
}
