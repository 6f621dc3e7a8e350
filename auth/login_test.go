package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// wrapped is what GetAuthorizationToken answers for a password.
func wrapped(password string) string {
	return base64.StdEncoding.EncodeToString([]byte("AWS:" + password))
}

// docker sends the password as Basic; the examples of ECR Public's manual put the whole
// authorization token behind Bearer.
func TestLogin(t *testing.T) {
	t.Parallel()
	const jwt = "eyJh.eyJi.c2ln"
	down, expired := errors.New("the key store is down"), errors.Join(auth.ErrInvalidCredential, auth.ErrExpired)
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, tt := range map[string]struct {
		header []string
		answer error // of the verifier
		want   error
		asked  string // of the verifier: the token
	}{
		"Basic":                               {[]string{"Basic " + wrapped(jwt)}, nil, nil, jwt},
		"Bearer":                              {[]string{"Bearer " + wrapped(jwt)}, nil, nil, jwt},
		"basic in lower case":                 {[]string{"basic " + wrapped(jwt)}, nil, nil, jwt},
		"bearer in upper case":                {[]string{"BEARER " + wrapped(jwt)}, nil, nil, jwt},
		"more spaces":                         {[]string{"Basic   " + wrapped(jwt)}, nil, nil, jwt},
		"a colon in the password":             {[]string{"Basic " + wrapped("a:b")}, auth.ErrInvalidCredential, auth.ErrInvalidCredential, "a:b"},
		"a forged password":                   {[]string{"Basic " + wrapped(jwt)}, auth.ErrInvalidCredential, auth.ErrInvalidCredential, jwt},
		"a password that has expired":         {[]string{"Basic " + wrapped(jwt)}, expired, auth.ErrExpired, jwt},
		"a password that has expired, raw":    {[]string{"Bearer " + wrapped(jwt)}, expired, auth.ErrExpired, jwt},
		"a store that is down":                {[]string{"Basic " + wrapped(jwt)}, down, down, jwt},
		"no header":                           {nil, nil, auth.ErrNoCredential, ""},
		"an empty header":                     {[]string{""}, nil, auth.ErrNoCredential, ""},
		"another scheme":                      {[]string{"AWS4-HMAC-SHA256 Credential=x"}, nil, auth.ErrNoCredential, ""},
		"a longer scheme":                     {[]string{"Basically " + wrapped(jwt)}, nil, auth.ErrNoCredential, ""},
		"no scheme":                           {[]string{wrapped(jwt)}, nil, auth.ErrNoCredential, ""},
		"another user":                        {[]string{"Basic " + encode("alice:"+jwt)}, nil, auth.ErrNoCredential, ""},
		"an access key":                       {[]string{"Basic " + encode("AKIAIOSFODNN7EXAMPLE:secret")}, nil, auth.ErrNoCredential, ""},
		"the user in lower case":              {[]string{"Basic " + encode("aws:"+jwt)}, nil, auth.ErrNoCredential, ""},
		"the user and more":                   {[]string{"Basic " + encode("AWSx:"+jwt)}, nil, auth.ErrNoCredential, ""},
		"a space before the user":             {[]string{"Basic " + encode(" AWS:"+jwt)}, nil, auth.ErrNoCredential, ""},
		"no user":                             {[]string{"Basic " + encode(":"+jwt)}, nil, auth.ErrNoCredential, ""},
		"the user alone":                      {[]string{"Basic " + encode("AWS")}, nil, auth.ErrNoCredential, ""},
		"another user behind Bearer":          {[]string{"Bearer " + encode("alice:"+jwt)}, nil, auth.ErrNoCredential, ""},
		"an access token":                     {[]string{"Bearer " + jwt}, nil, auth.ErrNoCredential, ""},
		"nothing behind Basic":                {[]string{"Basic"}, nil, auth.ErrNoCredential, ""},
		"nothing behind Bearer":               {[]string{"Bearer "}, nil, auth.ErrNoCredential, ""},
		"no base64":                           {[]string{"Basic !!!!"}, nil, auth.ErrNoCredential, ""},
		"base64 without its end":              {[]string{"Basic " + strings.TrimRight(wrapped("abc"), "=") + "x"}, nil, auth.ErrNoCredential, ""},
		"base64 for URLs":                     {[]string{"Basic " + base64.URLEncoding.EncodeToString([]byte("AWS:\xfb\xff\xfe"))}, nil, auth.ErrNoCredential, ""},
		"base64 and rubbish":                  {[]string{"Basic " + wrapped(jwt) + " x"}, nil, auth.ErrNoCredential, ""},
		"two credentials":                     {[]string{"Basic " + wrapped(jwt) + ", Basic " + wrapped(jwt)}, nil, auth.ErrNoCredential, ""},
		"too long, Basic":                     {[]string{"Basic " + wrapped(strings.Repeat("x", 16<<10))}, nil, auth.ErrInvalidCredential, ""},
		"too long, Bearer":                    {[]string{"Bearer " + wrapped(strings.Repeat("x", 1<<20))}, nil, auth.ErrInvalidCredential, ""},
		"a NUL in the name":                   {[]string{"Basic " + encode("AWS\x00:"+jwt)}, nil, auth.ErrNoCredential, ""},
		"a second header is nothing":          {[]string{"Basic " + encode("alice:x"), "Basic " + wrapped(jwt)}, nil, auth.ErrNoCredential, ""},
		"wrapped twice is not a password":     {[]string{"Basic " + wrapped(wrapped(jwt))}, auth.ErrInvalidCredential, auth.ErrInvalidCredential, wrapped(jwt)},
		"an empty password is the token \"\"": {[]string{"Basic " + wrapped("")}, auth.ErrInvalidCredential, auth.ErrInvalidCredential, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &verifier{identity: auth.Identity{Principal: auth.Principal{Account: "123456789012", Name: "ci"}, AccessKey: "AKIA"}, err: tt.answer}
			if tt.answer != nil {
				v.identity = auth.Identity{}
			}
			var want auth.Identity
			if tt.want == nil {
				want = v.identity
			}
			got, err := auth.Login(v, "registry").Authenticate(request(t, tt.header...))
			if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v (-want +got)\n%s", err, tt.want, diff)
			}
			var asked []string
			if tt.asked != "" || tt.answer != nil {
				asked = []string{"login registry " + tt.asked}
			}
			if diff := cmp.Diff(asked, v.asked); diff != "" {
				t.Errorf("the verifier was asked (-want +got)\n%s", diff)
			}
		})
	}
}

// Two authenticators after one another, as hosts list them: who has another user name is for
// the next, who has a wrong password is not.
func TestLoginLeavesOthersToTheNext(t *testing.T) {
	t.Parallel()
	tokens := token.New(registry.SigningKeys(memmeta.New()))
	login := auth.Login(tokens, "registry")
	for header, want := range map[string]error{
		"Basic " + base64.StdEncoding.EncodeToString([]byte("alice:x")): auth.ErrNoCredential,
		"Basic " + wrapped("x"):  auth.ErrInvalidCredential,
		"Bearer " + wrapped("x"): auth.ErrInvalidCredential,
		"Bearer x.y.z":           auth.ErrNoCredential,
	} {
		_, err := login.Authenticate(request(t, header))
		if !errors.Is(err, want) || errors.Is(err, auth.ErrNoCredential) != (want == auth.ErrNoCredential) {
			t.Errorf("%s: %v, want %v", header, err, want)
		}
	}
}

// A token is good for the one use that it was made for, and at one service.
func TestLoginTokensAreOfTheirKind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := token.New(registry.SigningKeys(memmeta.New()))
		who := auth.Principal{Account: "123456789012", Name: "ci"}
		issue := func(kind auth.Kind, audience string) string {
			tok, err := tokens.Issue(t.Context(), auth.Grant{Kind: kind, Principal: who, AccessKey: "AKIA", Audience: audience, Lifetime: 12 * time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			return tok.Value
		}
		login, access, refresh := issue(auth.LoginToken, "registry"), issue(auth.AccessToken, "registry"), issue(auth.RefreshToken, "registry")
		elsewhere := issue(auth.LoginToken, "elsewhere")
		basic := func(password string) string { return "Basic " + wrapped(password) }
		end := time.Now().Add(12 * time.Hour)
		byLogin, byBearer := auth.Login(tokens, "registry"), auth.Bearer(tokens, "registry")
		good := auth.Identity{Principal: who, AccessKey: "AKIA", Expires: end}
		for name, tt := range map[string]struct {
			a      auth.Authenticator
			header string
			want   error
		}{
			"a login token":                             {byLogin, basic(login), nil},
			"a login token, raw":                        {byLogin, "Bearer " + wrapped(login), nil},
			"an access token as a password":             {byLogin, basic(access), auth.ErrInvalidCredential},
			"an access token as a raw password":         {byLogin, "Bearer " + wrapped(access), auth.ErrInvalidCredential},
			"a refresh token as a password":             {byLogin, basic(refresh), auth.ErrInvalidCredential},
			"a refresh token as a raw password":         {byLogin, "Bearer " + wrapped(refresh), auth.ErrInvalidCredential},
			"a login token of another service":          {byLogin, basic(elsewhere), auth.ErrInvalidCredential},
			"a login token that is not wrapped":         {byLogin, "Bearer " + login, auth.ErrNoCredential},
			"a login token as an access token":          {byBearer, "Bearer " + login, auth.ErrInvalidCredential},
			"an access token":                           {byBearer, "Bearer " + access, nil},
			"an access token, to the wrong one":         {byLogin, "Bearer " + access, auth.ErrNoCredential},
			"a login token, one letter of it changed":   {byLogin, basic(login[:len(login)-10] + "AAAAAAAAAA"), auth.ErrInvalidCredential},
			"a login token and a line break":            {byLogin, basic(login + "\n"), auth.ErrInvalidCredential},
			"Basic, to the one that knows Bearer":       {byBearer, basic(login), auth.ErrNoCredential},
			"a refresh token behind Bearer, as it is":   {byBearer, "Bearer " + refresh, auth.ErrInvalidCredential},
			"a refresh token behind Bearer, for logins": {byLogin, "Bearer " + refresh, auth.ErrNoCredential},
		} {
			got, err := tt.a.Authenticate(request(t, tt.header))
			var want auth.Identity
			if tt.want == nil {
				want = good
			}
			if diff := cmp.Diff(want, got); !errors.Is(err, tt.want) || diff != "" {
				t.Errorf("%s: %v, want %v (-want +got)\n%s", name, err, tt.want, diff)
			}
		}
		time.Sleep(12*time.Hour + token.Leeway + time.Second)
		for _, header := range []string{basic(login), "Bearer " + wrapped(login)} {
			if got, err := byLogin.Authenticate(request(t, header)); !errors.Is(err, auth.ErrExpired) || !errors.Is(err, auth.ErrInvalidCredential) || !cmp.Equal(got, auth.Identity{}) {
				t.Errorf("after its end: %+v, %v", got, err)
			}
		}
	})
}

// Asked before Bearer, Login takes what is wrapped and leaves the rest to it.
func TestLoginThenBearer(t *testing.T) {
	t.Parallel()
	tokens := token.New(registry.SigningKeys(memmeta.New()))
	for _, kind := range []auth.Kind{auth.LoginToken, auth.AccessToken} {
		who := auth.Principal{Account: "123456789012", Name: string(kind)}
		tok, err := tokens.Issue(t.Context(), auth.Grant{Kind: kind, Principal: who, Audience: "registry", Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		r := request(t, "Bearer "+tok.Value)
		if kind == auth.LoginToken {
			r = request(t, "Bearer "+wrapped(tok.Value))
		}
		got, err := auth.Login(tokens, "registry").Authenticate(r)
		if errors.Is(err, auth.ErrNoCredential) {
			got, err = auth.Bearer(tokens, "registry").Authenticate(r)
		}
		if err != nil || got.Principal != who {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
	}
}

// only accepts one token.
type only struct{ token string }

func (o only) Verify(_ context.Context, kind auth.Kind, audience, token string) (auth.Identity, error) {
	if kind != auth.LoginToken || audience != "registry" || token != o.token {
		return auth.Identity{}, auth.ErrInvalidCredential
	}
	return auth.Identity{Principal: auth.Principal{Account: "123456789012", Name: "ci"}}, nil
}

func FuzzLogin(f *testing.F) {
	const password = "a.b.c"
	for _, s := range []string{
		"Basic " + wrapped(password), "Bearer " + wrapped(password), "basic  " + wrapped(password), "Bearer " + password, "Basic", "Bearer", "", " ",
		"Basic " + wrapped(""), "Basic " + wrapped(password) + "\n", "Basic QVdTOmEuYi5j", "Basic QVdTOmEu\nYi5j", "Basic QVdTOmEuYi5k", "Basic QVdT",
		"Bearer ....", "Basic =", "AWS:a.b.c",
	} {
		f.Add(s)
	}
	login := auth.Login(only{password}, "registry")
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/", nil)
		r.Header["Authorization"] = []string{header}
		got, err := login.Authenticate(r)
		scheme, rest, _ := strings.Cut(header, " ")
		raw, decodes := base64.StdEncoding.DecodeString(strings.TrimLeft(rest, " "))
		right := (strings.EqualFold(scheme, "Basic") || strings.EqualFold(scheme, "Bearer")) && decodes == nil && string(raw) == "AWS:"+password
		if (err == nil) != right || (got.Name == "ci") != right {
			t.Fatalf("%q: %+v, %v", header, got, err)
		}
		if err != nil && !errors.Is(err, auth.ErrNoCredential) && !errors.Is(err, auth.ErrInvalidCredential) {
			t.Fatalf("%q: %v", header, err)
		}
	})
}
