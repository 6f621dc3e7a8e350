package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
)

func TestPrincipal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p         auth.Principal
		anonymous bool
		text      string
	}{
		{auth.Principal{}, true, "anonymous"},
		{auth.Principal{Account: "123456789012", Name: "ci"}, false, "123456789012/ci"},
		{auth.Principal{Account: "123456789012"}, false, "123456789012/"},
		{auth.Principal{Name: "ci"}, false, "/ci"},
	} {
		if tt.p.IsAnonymous() != tt.anonymous || tt.p.String() != tt.text {
			t.Errorf("%#v: anonymous %v, %q; want %v, %q", tt.p, tt.p.IsAnonymous(), tt.p, tt.anonymous, tt.text)
		}
	}
	if (auth.Principal{Name: "anonymous"}).String() == (auth.Principal{}).String() {
		t.Error("a principal can be called so that logs show it as anonymous")
	}
	if i := (auth.Identity{}); !i.IsAnonymous() || i.Scope != nil || !i.Expires.IsZero() {
		t.Errorf("the zero Identity is %+v", i)
	}
}

func request(t *testing.T, authorization ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/", nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

// RFC 9110, 11.1 and 11.4: the scheme is case-insensitive and is separated from what
// follows by one or more spaces.
func TestCredential(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header, scheme, want string
		ok                   bool
	}{
		{"Bearer abc", "Bearer", "abc", true},
		{"bearer abc", "Bearer", "abc", true},
		{"BEARER abc", "Bearer", "abc", true},
		{"Bearer   abc", "Bearer", "abc", true},
		{"Basic YTpi", "Basic", "YTpi", true},
		{"Basic YTpi", "Bearer", "", false},
		{"Bearer abc", "Basic", "", false},
		{"Bearerx abc", "Bearer", "", false},
		{"Bear abc", "Bearer", "", false},
		{"", "Bearer", "", false},
		{"abc", "Bearer", "", false},
		{" Bearer abc", "Bearer", "", false}, // net/http trims what a client sends
		{"AWS4-HMAC-SHA256 Credential=x, Signature=y", "AWS4-HMAC-SHA256", "Credential=x, Signature=y", true},
	} {
		if got, ok := auth.Credential(request(t, tt.header), tt.scheme); got != tt.want || ok != tt.ok {
			t.Errorf("Credential(%q, %s) = %q, %v; want %q, %v", tt.header, tt.scheme, got, ok, tt.want, tt.ok)
		}
	}
	if got, ok := auth.Credential(request(t), "Bearer"); got != "" || ok {
		t.Errorf("without the header: %q, %v", got, ok)
	}
}

// verifier records what it is asked.
type verifier struct {
	identity auth.Identity
	err      error
	asked    []string
}

func (v *verifier) Verify(_ context.Context, kind auth.Kind, audience, token string) (auth.Identity, error) {
	v.asked = append(v.asked, string(kind)+" "+audience+" "+token)
	return v.identity, v.err
}

func TestBearer(t *testing.T) {
	t.Parallel()
	want := auth.Identity{Principal: auth.Principal{Account: "123456789012", Name: "ci"}, Scope: &auth.Scope{}}
	v := &verifier{identity: want}
	got, err := auth.Bearer(v, "registry").Authenticate(request(t, "Bearer a.b.c"))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"access registry a.b.c"}, v.asked); diff != "" {
		t.Errorf("asked: (-want +got)\n%s", diff)
	}
}

func TestBearerRefuses(t *testing.T) {
	t.Parallel()
	unavailable := errors.New("the key store is down")
	expired := errors.Join(auth.ErrInvalidCredential, auth.ErrExpired)
	for name, tt := range map[string]struct {
		header string // "-" for none
		answer error  // of the verifier
		want   error
		asked  int
	}{
		"no header":              {"-", nil, auth.ErrNoCredential, 0},
		"an empty header":        {"", nil, auth.ErrNoCredential, 0},
		"another scheme":         {"Basic YTpi", nil, auth.ErrNoCredential, 0},
		"no scheme":              {"a.b.c", nil, auth.ErrNoCredential, 0},
		"a wrong token":          {"Bearer a.b.c", auth.ErrInvalidCredential, auth.ErrInvalidCredential, 1},
		"an expired token":       {"Bearer a.b.c", expired, auth.ErrExpired, 1},
		"a store that is down":   {"Bearer a.b.c", unavailable, unavailable, 1},
		"a token of a megabyte":  {"Bearer " + strings.Repeat("a", 1<<20), nil, auth.ErrInvalidCredential, 0},
		"a megabyte of dots":     {"Bearer " + strings.Repeat(".", 1<<20), nil, auth.ErrInvalidCredential, 0},
		"no token, but a scheme": {"Bearer", auth.ErrInvalidCredential, auth.ErrInvalidCredential, -1}, // of an empty variable; net/http trims the space
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &verifier{identity: auth.Identity{Principal: auth.Principal{Account: "123456789012"}}, err: tt.answer}
			if tt.answer != nil {
				v.identity = auth.Identity{}
			}
			r := request(t, tt.header)
			if tt.header == "-" {
				r = request(t)
			}
			got, err := auth.Bearer(v, "registry").Authenticate(r)
			if !errors.Is(err, tt.want) || !cmp.Equal(got, auth.Identity{}) {
				t.Errorf("%+v, %v; want nobody and an error wrapping %v", got, err, tt.want)
			}
			if tt.asked >= 0 && len(v.asked) != tt.asked {
				t.Errorf("the verifier was asked %d times, want %d", len(v.asked), tt.asked)
			}
		})
	}
}

func TestAuthenticatorFunc(t *testing.T) {
	t.Parallel()
	want := auth.Identity{Principal: auth.Principal{Account: "123456789012", Name: "ci"}}
	r := request(t)
	var a auth.Authenticator = auth.AuthenticatorFunc(func(got *http.Request) (auth.Identity, error) {
		if got != r {
			t.Error("another request")
		}
		return want, auth.ErrExpired
	})
	if got, err := a.Authenticate(r); !cmp.Equal(got, want) || !errors.Is(err, auth.ErrExpired) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Clients are told different things for each.
func TestErrorsAreDistinct(t *testing.T) {
	t.Parallel()
	list := []error{auth.ErrNoCredential, auth.ErrInvalidCredential, auth.ErrExpired}
	for i, a := range list {
		for j, b := range list {
			if errors.Is(a, b) != (i == j) {
				t.Errorf("errors.Is(%v, %v) = %v", a, b, errors.Is(a, b))
			}
		}
	}
}
