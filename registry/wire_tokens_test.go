package registry_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

var challengeForm = regexp.MustCompile(`^Bearer realm="[^"]+",service="[^"]+"(,scope="repository:[^"]+:[a-z*,]+")?(,error="(invalid_token|insufficient_scope)")?$`)

func TestB52ChallengeSaysWhatToAskFor(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	expired := w.as("Bearer " + w.issue(auth.Grant{Kind: auth.AccessToken, Principal: registrytest.Owner, Lifetime: -time.Hour}))
	pull := w.withToken("repository:test/hat:pull")
	push := w.withToken("repository:test/hat:pull,push")
	for _, c := range []struct {
		name          string
		client        *wire
		method, path  string
		scopes        []string
		errorExpected string
	}{
		{"base", w.anonymous(), "GET", "/v2/", []string{""}, ""},
		{"push", w.anonymous(), "POST", "/v2/test/hat/blobs/uploads/", []string{"repository:test/hat:pull,push"}, ""},
		{"push to what is not there", w.anonymous(), "POST", "/v2/test/new/blobs/uploads/", []string{"repository:test/new:pull,push"}, ""},
		{"push of a manifest", w.anonymous(), "PUT", "/v2/test/hat/manifests/v1", []string{"repository:test/hat:pull,push"}, ""},
		{"delete", w.anonymous(), "DELETE", "/v2/test/hat/manifests/v1", []string{"repository:test/hat:delete", "repository:test/hat:pull,delete", "repository:test/hat:pull,push,delete", "repository:test/hat:*"}, ""},
		{"missing push", pull, "POST", "/v2/test/hat/blobs/uploads/", []string{"repository:test/hat:pull,push"}, "insufficient_scope"},
		{"missing delete", push, "DELETE", "/v2/test/hat/manifests/" + p.digest, []string{"repository:test/hat:delete", "repository:test/hat:pull,delete", "repository:test/hat:pull,push,delete", "repository:test/hat:*"}, "insufficient_scope"},
		{"another repository", push, "POST", "/v2/test/coat/blobs/uploads/", []string{"repository:test/coat:pull,push"}, "insufficient_scope"},
		{"expired at base", expired, "GET", "/v2/", []string{""}, "invalid_token"},
		{"expired pull", expired, "GET", "/v2/test/hat/manifests/v1", []string{"repository:test/hat:pull"}, "invalid_token"},
		{"expired push", expired, "POST", "/v2/test/hat/blobs/uploads/", []string{"repository:test/hat:pull,push"}, "invalid_token"},
		{"invalid", w.as("Bearer x"), "GET", "/v2/test/hat/manifests/v1", []string{"repository:test/hat:pull"}, "invalid_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.client.at(t).send(c.method, c.path, nil).want(401).code("UNAUTHORIZED")
			if h := r.header.Get("WWW-Authenticate"); !challengeForm.MatchString(h) {
				t.Errorf("WWW-Authenticate: %s", h)
			}
			got := challenge(r)
			ok := false
			for _, s := range c.scopes {
				ok = ok || got["scope"] == s
			}
			if !ok {
				t.Errorf("scope %q, want one of %q", got["scope"], c.scopes)
			}
			same(t, "error", got["error"], c.errorExpected)
		})
	}
}

// can reports what a client may do in a private repository.
func (w *wire) can(repo string) (verbs string) {
	w.t.Helper()
	if w.send("GET", "/v2/"+repo+"/tags/list", nil).status == 200 {
		verbs += "pull "
	}
	if r := w.send("POST", "/v2/"+repo+"/blobs/uploads/", nil); r.status == 202 {
		verbs += "push "
	}
	if w.send("DELETE", "/v2/"+repo+"/blobs/"+sha([]byte("none")), nil).status == 404 {
		verbs += "delete "
	}
	return strings.TrimSpace(verbs)
}

func TestB53ScopesAreGrantedAsFarAsAllowed(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	w.as(otherBasic).pushImage("other/hat", "v1", "other hat")
	secret := w.private("secret")
	w.pushImage(secret, "v1", "secret")
	for _, c := range []struct {
		scopes []string
		want   string
	}{
		{[]string{"repository:" + secret + ":pull"}, "pull"},
		{[]string{"repository:" + secret + ":pull,push"}, "pull push"},
		{[]string{"repository:" + secret + ":push,pull"}, "pull push"},
		{[]string{"repository:" + secret + ":delete"}, "delete"},
		{[]string{"repository:" + secret + ":delete,push,pull"}, "pull push delete"},
		{[]string{"repository:" + secret + ":*"}, "pull push delete"},
		{[]string{"repository:" + secret + ":pull", "repository:" + secret + ":push"}, "pull push"},
		{[]string{"repository:" + secret + ":pull repository:test/hat:pull,push"}, "pull"},
		{[]string{"repository:test/hat:pull,push", "repository:" + secret + ":pull"}, "pull"},
		{[]string{"repository(plugin):" + secret + ":pull,push"}, "pull push"},
		{[]string{"registry:catalog:*", "repository:" + secret + ":pull"}, "pull"},
		{[]string{"repository:other/hat:pull,push repository:" + secret + ":pull,push"}, "pull push"}, // the first is denied in part
		{[]string{"repository:" + secret + ":pull,fly"}, "pull"},
		{[]string{"repository:" + secret + ":fly"}, ""},
		{[]string{"repository:" + secret + ":"}, ""},
		{[]string{"repository:test/hat:pull,push"}, ""},
		{[]string{"repository:test:*", "repository:*:*", "repository:test/*:*", "*:*:*", "repository:" + secret + "/more:*"}, ""},
		{[]string{"", " ", ":", "::", ":::", "repository", "repository::pull", "a b c", "repository:UPPER:pull", "\x00:\x00:\x00", "repository(:" + secret}, ""},
		{[]string{"repository:none/none:pull,push"}, ""},
		{nil, ""},
	} {
		if got := w.withToken(c.scopes...).can(secret); got != c.want {
			t.Errorf("scopes %q: may %q, want %q", c.scopes, got, c.want)
		}
		for _, client := range []*wire{w.as(otherBasic), w.anonymous()} {
			if got := client.withToken(c.scopes...).can(secret); got != "" {
				t.Errorf("scopes %q: %.20s may %q", c.scopes, client.auth, got)
			}
		}
	}
	// Of both repositories of a mount the one that is denied does not spoil the other.
	both := w.withToken("repository:other/hat:pull,push repository:test/hat:pull,push")
	both.send("POST", "/v2/test/hat/blobs/uploads/", nil).is(202)
	both.send("GET", "/v2/other/hat/manifests/v1", nil).is(200)
	both.send("POST", "/v2/other/hat/blobs/uploads/", nil).is(401, 403)
	anonymous := w.anonymous().withToken("repository:test/hat:pull,push")
	anonymous.send("GET", "/v2/test/hat/manifests/v1", nil).is(200)
	anonymous.send("POST", "/v2/test/hat/blobs/uploads/", nil).is(401, 403)
}

// form posts to /token.
func (w *wire) form(values ...string) *reply {
	w.t.Helper()
	v := url.Values{}
	for i := 0; i < len(values); i += 2 {
		v.Add(values[i], values[i+1])
	}
	return w.send("POST", "/token", v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func TestB54TokensComeByGetAndByPost(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	const scope = "repository:test/hat:pull,push"
	pushes := func(token string) {
		t.Helper()
		w.as("Bearer "+token).send("POST", "/v2/test/hat/blobs/uploads/", nil).is(202)
	}
	var got, refreshed tokenReply
	w.send("GET", "/token?service=registry.example&account=x&client_id=docker&scope="+scope, nil).want(200).json(&got)
	pushes(got.Token)
	same(t, "refresh token nobody asked for", got.RefreshToken, "")
	w.send("GET", "/token?service=registry.example&account=x&client_id=docker&offline_token=true&scope="+scope, nil).want(200).json(&got)
	pushes(got.Token)
	anonymous := w.anonymous()
	anonymous.form("grant_type", "refresh_token", "refresh_token", got.RefreshToken, "service", "registry.example", "client_id", "docker", "scope", scope).want(200).json(&refreshed)
	pushes(refreshed.AccessToken)

	password := []string{"grant_type", "password", "username", registrytest.Username, "password", registrytest.Password, "service", "registry.example", "client_id", "containerd-client", "scope", scope}
	got = tokenReply{}
	anonymous.form(password...).want(200).json(&got)
	pushes(got.AccessToken)
	same(t, "refresh token nobody asked for", got.RefreshToken, "")
	anonymous.form(append(password, "access_type", "offline")...).want(200).json(&got)
	pushes(got.AccessToken)
	if got.RefreshToken == "" {
		t.Error("no refresh token, though it was asked for")
	}
	// Several scopes in a form, as in a query.
	var both tokenReply
	anonymous.form(append(password, "scope", "repository:test/coat:pull,push")...).want(200).json(&both)
	pushes(both.AccessToken)
	w.as("Bearer "+both.AccessToken).send("POST", "/v2/test/coat/blobs/uploads/", nil).is(202)

	// containerd falls back to GET on 400, 401, 404 and 405.
	anonymous.form("grant_type", "password", "username", registrytest.Username, "password", "wrong", "scope", scope).is(401).code("UNAUTHORIZED")
	w.as(basicAuth(registrytest.Username, "wrong")).send("GET", "/token?scope="+scope, nil).is(401).code("UNAUTHORIZED")
	for _, bad := range [][]string{
		nil, {"grant_type", ""}, {"grant_type", "authorization_code"}, {"grant_type", "password"}, {"grant_type", "password", "username", registrytest.Username},
		{"grant_type", "refresh_token"}, {"grant_type", "refresh_token", "refresh_token", "x.y.z"}, {"grant_type", "refresh_token", "refresh_token", got.AccessToken},
	} {
		anonymous.form(bad...).is(400, 401)
	}
	anonymous.send("POST", "/token", "{}", "Content-Type", "application/json").is(400, 401, 415)
	anonymous.send("POST", "/token", "%zz=%", "Content-Type", "application/x-www-form-urlencoded").is(400)
	// Tokens of one kind are not taken for the other.
	w.as("Bearer "+got.RefreshToken).send("GET", "/v2/", nil).is(401)
	w.as("Bearer "+got.RefreshToken).send("POST", "/v2/test/hat/blobs/uploads/", nil).is(401)
	var none tokenReply
	anonymous.send("GET", "/token?offline_token=true", nil).want(200).json(&none)
	same(t, "refresh token of nobody", none.RefreshToken, "")
}

func TestB55TokenReplyIsWhatClientsRead(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	for name, client := range map[string]*wire{"owner": w, "anonymous": w.anonymous()} {
		got := client.askToken("repository:test/hat:pull")
		if got.Token == "" || got.Token != got.AccessToken {
			t.Errorf("%s: token %q, access_token %q", name, got.Token, got.AccessToken)
		}
		issued, err := time.Parse(time.RFC3339, got.IssuedAt)
		if err != nil || time.Since(issued) > time.Minute || time.Since(issued) < -time.Second {
			t.Errorf("%s: issued_at %q, %v", name, got.IssuedAt, err)
		}
		c := claims(t, got.Token)
		if exp, _ := c["exp"].(float64); got.ExpiresIn < 60 || int64(exp) != issued.Unix()+int64(got.ExpiresIn) {
			t.Errorf("%s: expires_in %d, exp %v, issued %d", name, got.ExpiresIn, c["exp"], issued.Unix())
		}
	}
	if _, err := registry.New(registry.Config{Store: w.Store, Bucket: w.Bucket, TokenLifetime: 59 * time.Second}); err == nil {
		t.Error("a lifetime of less than a minute is accepted")
	}
	scope := &auth.Scope{Access: []auth.Access{{Account: registrytest.Account, Repository: "hat", Verbs: []auth.Verb{auth.Push}}}}
	for lifetime, want := range map[time.Duration]int{time.Minute: 202, -8 * time.Second: 202, -2 * time.Minute: 401} {
		token := w.issue(auth.Grant{Kind: auth.AccessToken, Principal: registrytest.Owner, Scope: scope, Lifetime: lifetime})
		w.as("Bearer "+token).send("POST", "/v2/test/hat/blobs/uploads/", nil).is(want)
	}
}

func TestB56BasicWorksOnEveryRoute(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat") // all of it by Basic
	w.send("GET", "/v2/", nil).is(200)
	wrong := []string{
		basicAuth(registrytest.Username, "wrong"), basicAuth("nobody", registrytest.Password), basicAuth("", ""), basicAuth(registrytest.Username, ""),
		basicAuth(registrytest.Username+"\x00", registrytest.Password), basicAuth(registrytest.Username, registrytest.Password+"\x00"), "Basic ", "Basic x", "Basic =",
		"Basic bm9jb2xvbg==", "Basic", "Bearer", "Bearer ", "Negotiate x", registrytest.Username + ":" + registrytest.Password,
	}
	for _, credential := range wrong {
		for _, c := range [][2]string{
			{"GET", "/v2/"}, {"GET", "/v2/test/hat/manifests/v1"}, {"GET", "/v2/test/hat/blobs/" + sha(p.layer)}, {"GET", "/v2/test/hat/tags/list"},
			{"GET", "/v2/test/hat/referrers/" + p.digest}, {"POST", "/v2/test/hat/blobs/uploads/"}, {"DELETE", "/v2/test/hat/manifests/v1"}, {"GET", "/token"},
		} {
			w.as(credential).send(c[0], c[1], nil).is(401).code("UNAUTHORIZED")
		}
	}
	w.as(strings.Replace(ownerBasic, "Basic", "basic", 1)).send("GET", "/v2/", nil).is(200)
	w.send("DELETE", "/v2/test/hat/manifests/v1", nil).is(202)
}

func TestB57RealmIsOnThePublicHost(t *testing.T) {
	t.Parallel()
	w := newWire(t).anonymous()
	realm := func(w *wire, header ...string) string {
		t.Helper()
		return challenge(w.send("GET", "/v2/", nil, header...))["realm"]
	}
	same(t, "realm", realm(w, "Host", "registry.example"), "http://registry.example/token")
	same(t, "realm", realm(w, "Host", "registry.example:5000"), "http://registry.example:5000/token")
	same(t, "realm", realm(w, "Host", "[::1]:5000"), "http://[::1]:5000/token")
	forged := []string{"Host", "registry.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "Forwarded", "host=evil.example;proto=https", "X-Original-Host", "evil.example", "X-Forwarded-Port", "1"}
	same(t, "realm behind forged headers", realm(w, forged...), "http://registry.example/token")

	public := newWire(t, func(c *registry.Config) { c.PublicURL = "https://public.example/" }).anonymous()
	same(t, "realm", realm(public, "Host", "10.0.0.1:80"), "https://public.example/token")
	same(t, "service", challenge(public.send("GET", "/v2/", nil))["service"], "public.example")
	for _, bad := range []string{"public.example", "ftp://public.example", "https://", "https://public.example/path", "https://public.example/?q", "://"} {
		if _, err := registry.New(registry.Config{Store: w.Store, Bucket: w.Bucket, PublicURL: bad}); err == nil {
			t.Errorf("PublicURL %q is accepted", bad)
		}
	}
	server := httptest.NewTLSServer(w.Server)
	t.Cleanup(server.Close)
	secure := *w
	secure.base, secure.rt = server.URL, server.Client().Transport
	same(t, "realm over TLS", realm(&secure), fmt.Sprintf("https://%s/token", server.Listener.Addr()))
}
