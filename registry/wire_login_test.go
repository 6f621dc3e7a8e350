package registry_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accounts"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

const (
	allowAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr-public:*","Resource":"*"}]}`
	denyPush  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["ecr-public:PutImage","ecr-public:InitiateLayerUpload"],"Resource":"*"}]}`
	pullHat   = "repository:test/hat:pull"
	pushHat   = "repository:test/hat:pull,push"
	loginSpan = 12 * time.Hour
)

// loginWire is a registry whose principals are in its own store. The client is the owner's
// with an access key, and test/hat:v1 is there.
type loginWire struct {
	*wire
	accounts *accounts.Store
	key      auth.AccessKey
	cfg      registry.Config
}

func newLoginWire(t testing.TB, change ...func(*registry.Config)) *loginWire {
	t.Helper()
	return newLoginWireOn(t, memmeta.New(), change...)
}

func newLoginWireOn(t testing.TB, store meta.Store, change ...func(*registry.Config)) *loginWire {
	t.Helper()
	l := &loginWire{}
	own := func(c *registry.Config) {
		tokens := token.New(registry.SigningKeys(store))
		c.Store, c.Issuer, c.Verifier = store, tokens, tokens
		l.accounts = accounts.New(c.Store)
		c.AccessKeys = l.accounts
		c.Authenticators = []auth.Authenticator{basic.NewKeys(l.accounts, "test")}
		c.Evaluators = []policy.Evaluator{policy.Public{}, iam.New(l.accounts, registry.Policies{Store: c.Store})}
	}
	keep := func(c *registry.Config) { l.cfg = *c }
	l.wire = newWire(t, append(append([]func(*registry.Config){own}, change...), keep)...)
	if err := l.accounts.PutPolicy(t.Context(), registrytest.Owner, "all", allowAll); err != nil {
		t.Fatal(err)
	}
	l.key = l.newKey()
	l.wire = l.as(basicAuth(l.key.ID, l.key.Secret))
	l.pushImage("test/hat", "v1", "hat")
	return l
}

func (l *loginWire) newKey() auth.AccessKey {
	l.t.Helper()
	k, err := l.accounts.CreateKey(l.t.Context(), registrytest.Owner)
	if err != nil {
		l.t.Fatal(err)
	}
	return k
}

// password is what GetAuthorizationToken answers who calls it with a key.
func (l *loginWire) password(k auth.AccessKey) string {
	l.t.Helper()
	tok, err := l.AsIdentity(auth.Identity{Principal: k.Principal, AccessKey: k.ID}, registry.Client{}).AuthorizationToken(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	if strings.Contains(tok.Value, ":") || strings.ContainsAny(tok.Value, " \r\n") {
		l.t.Errorf("the AWS CLI cannot take %q apart", tok.Value)
	}
	if got := time.Until(tok.Expires); got > loginSpan || got < loginSpan-time.Minute {
		l.t.Errorf("the password is good for %s", got)
	}
	return tok.Value
}

// node is another node over the same store and bucket.
func (l *loginWire) node() *loginWire {
	l.t.Helper()
	cfg := l.cfg
	tokens := token.New(registry.SigningKeys(cfg.Store))
	cfg.Issuer, cfg.Verifier = tokens, tokens
	r, err := registry.New(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	c, w := *l, *l.wire
	server := *l.Server
	server.Registry = r
	w.Server, w.rt = &server, server.Transport()
	c.wire = &w
	return &c
}

func wrap(password string) string {
	return base64.StdEncoding.EncodeToString([]byte("AWS:" + password))
}

// dockerLogin does what docker login does, and returns both tokens.
func (w *wire) dockerLogin(password string) tokenReply {
	w.t.Helper()
	realm := challenge(w.anonymous().send("GET", "/v2/", nil).want(401))["realm"]
	path := strings.TrimPrefix(realm, w.base)
	var got tokenReply
	w.as(basicAuth("AWS", password)).send("GET", path+"?account=AWS&client_id=docker&offline_token=true&service=registry.example", nil).want(200).json(&got)
	w.as("Bearer "+got.Token).send("GET", "/v2/", nil).want(200)
	if got.Token == "" || got.RefreshToken == "" {
		w.t.Fatalf("docker login got %+v", got)
	}
	return got
}

func (w *wire) push() *reply { return w.send("POST", "/v2/test/hat/blobs/uploads/", nil) }
func (w *wire) pull() *reply { return w.send("GET", "/v2/test/hat/manifests/v1", nil) }

// invalid checks a reply to credentials that are not good.
func (r *reply) invalid() *reply {
	r.t.Helper()
	r.is(401).code("UNAUTHORIZED")
	if got := challenge(r)["error"]; got != "invalid_token" {
		r.t.Errorf("%s: error %q in the challenge", r.what, got)
	}
	if !strings.Contains(string(r.body), "docker logout registry.example") {
		r.t.Errorf("%s: %s does not say what to do", r.what, r.body)
	}
	return r
}

func TestLoginWorksAsClientsSendIt(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, plain *wire) {
		l := newLoginWireOn(t, plain.Store)
		password := l.password(l.key)
		got := l.dockerLogin(password)
		var access tokenReply
		l.anonymous().form("grant_type", "refresh_token", "refresh_token", got.RefreshToken, "service", "registry.example", "scope", pushHat).want(200).json(&access)
		l.as("Bearer " + access.AccessToken).push().is(202)
		l.as(basicAuth("AWS", password)).withToken(pushHat).push().is(202)
		for name, authorization := range map[string]string{
			"Basic": basicAuth("AWS", password), "basic": strings.Replace(basicAuth("AWS", password), "Basic", "basic", 1),
			"raw behind Bearer": "Bearer " + wrap(password), "raw behind bearer": "bearer " + wrap(password),
		} {
			t.Run(name, func(t *testing.T) {
				c := l.as(authorization).at(t)
				c.send("GET", "/v2/", nil).is(200)
				c.pull().is(200)
				c.pushImage("test/hat", "by-"+strings.ReplaceAll(name, " ", "-"), name)
				c.send("DELETE", "/v2/test/hat/manifests/by-"+strings.ReplaceAll(name, " ", "-"), nil).is(202)
				c.withToken(pushHat).push().is(202)
			})
		}
		for _, tt := range []struct {
			name, user, password string
			want                 int
		}{
			{"right", "AWS", password, 200}, {"the access key itself", l.key.ID, l.key.Secret, 200}, {"another user", "alice", password, 401},
			{"the access key's id", l.key.ID, password, 401}, {"no user", "", password, 401}, {"cut", "AWS", password[:len(password)-4], 401},
			{"the access key's secret", "AWS", l.key.Secret, 401}, {"wrapped", "AWS", wrap(password), 401}, {"none", "AWS", "", 401},
		} {
			var form, query tokenReply
			r := l.anonymous().form("grant_type", "password", "username", tt.user, "password", tt.password, "service", "registry.example", "client_id", "containerd-client", "access_type", "offline", "scope", pushHat).is(tt.want)
			q := l.as(basicAuth(tt.user, tt.password)).send("GET", "/token?"+url.Values{"scope": {pushHat}}.Encode(), nil).is(tt.want)
			if tt.want != 200 {
				r.invalid()
				q.invalid()
				continue
			}
			l.as("Bearer " + r.json2(&form).AccessToken).push().is(202)
			l.as("Bearer " + q.json2(&query).Token).push().is(202)
			if form.RefreshToken == "" {
				t.Errorf("%s: no refresh token", tt.name)
			}
		}
	})
}

func (r *reply) json2(t *tokenReply) *tokenReply {
	r.t.Helper()
	r.json(t)
	return t
}

// Each token is good for its own use only: a password must not become an access token by the
// way that it is sent, nor an access token, which is for one repository, a password.
func TestLoginTokensAreNotTakenForOthers(t *testing.T) {
	t.Parallel()
	l := newLoginWire(t)
	password := l.password(l.key)
	got := l.dockerLogin(password)
	for name, authorization := range map[string]string{
		"a password as an access token": "Bearer " + password, "an access token as a password": basicAuth("AWS", got.Token),
		"an access token, wrapped": "Bearer " + wrap(got.Token), "a refresh token as a password": basicAuth("AWS", got.RefreshToken),
		"a refresh token, wrapped": "Bearer " + wrap(got.RefreshToken), "a refresh token as an access token": "Bearer " + got.RefreshToken,
	} {
		l.refuses(name, authorization)
	}
	// What was had at /token is no credential for another token: it would never end.
	l.as("Bearer "+got.Token).send("GET", "/token?scope="+pushHat, nil).invalid()
	for _, wrong := range []string{password, got.Token, wrap(password)} {
		l.anonymous().form("grant_type", "refresh_token", "refresh_token", wrong, "scope", pushHat).invalid()
	}
	for _, wrong := range []string{got.Token, got.RefreshToken} {
		l.anonymous().form("grant_type", "password", "username", "AWS", "password", wrong, "scope", pushHat).invalid()
	}
}

func TestLoginPasswordSaysOnlyWho(t *testing.T) {
	t.Parallel()
	l := newLoginWire(t)
	ctx := t.Context()
	password := l.password(l.key)
	if c := claims(t, password); c["access"] != nil || c["sub"] != registrytest.Owner.Name {
		t.Errorf("the password says %v", c)
	}
	byPassword, byRaw := l.as(basicAuth("AWS", password)), l.as("Bearer "+wrap(password))
	issued := byPassword.withToken(pushHat)
	refresh := l.dockerLogin(password).RefreshToken
	clients := map[string]*wire{"password": byPassword, "raw": byRaw, "access token": issued}
	may := func(when string, push bool) {
		t.Helper()
		for name, c := range clients {
			r := c.push()
			if (r.status == 202) != push || !push && r.status != 403 && r.status != 401 {
				t.Errorf("%s: push by %s: %d", when, name, r.status)
			}
			if push || name == "access token" {
				continue
			}
			r.is(403).code("DENIED") // who it is stays known
		}
		var got tokenReply
		l.anonymous().form("grant_type", "refresh_token", "refresh_token", refresh, "scope", pushHat).want(200).json(&got)
		if strings.Contains(got.Scope, "push") != push {
			t.Errorf("%s: a refreshed token is for %q", when, got.Scope)
		}
		byPassword.pull().is(200)
	}
	may("at first", true)
	if err := l.accounts.PutPolicy(ctx, registrytest.Owner, "no", denyPush); err != nil {
		t.Fatal(err)
	}
	may("denied", false)
	if err := l.accounts.DeletePolicy(ctx, registrytest.Owner, "no"); err != nil {
		t.Fatal(err)
	}
	may("allowed again", true)
	if err := l.accounts.DeletePolicy(ctx, registrytest.Owner, "all"); err != nil {
		t.Fatal(err)
	}
	may("without policies", false)
	if err := l.accounts.PutPolicy(ctx, registrytest.Owner, "all", allowAll); err != nil {
		t.Fatal(err)
	}
	may("at last", true)
}

func TestLoginPasswordIsForPrincipals(t *testing.T) {
	t.Parallel()
	l := newLoginWire(t)
	for name, who := range map[string]auth.Identity{
		"anonymous":                   {},
		"a principal without a right": {Principal: auth.Principal{Account: registrytest.Account, Name: "nobody"}},
		"the bearer of a scope":       {Principal: registrytest.Owner, Scope: &auth.Scope{}},
	} {
		tok, err := l.AsIdentity(who, registry.Client{}).AuthorizationToken(t.Context())
		if !errors.Is(err, registry.ErrDenied) && !errors.Is(err, registry.ErrUnauthorized) || tok.Value != "" {
			t.Errorf("%s: %+v, %v", name, tok, err)
		}
	}
	none := newWire(t, func(c *registry.Config) { c.Issuer, c.Verifier = nil, nil })
	if _, err := none.Owner().AuthorizationToken(t.Context()); !errors.Is(err, registry.ErrUnsupported) {
		t.Errorf("without an issuer: %v", err)
	}
	// A session's password ends with it.
	end := time.Now().Add(time.Hour)
	tok, err := l.AsIdentity(auth.Identity{Principal: registrytest.Owner, Expires: end}, registry.Client{}).AuthorizationToken(t.Context())
	if err != nil || tok.Expires.After(end) || end.Sub(tok.Expires) > 2*time.Second {
		t.Errorf("a session until %s: %s, %v", end, tok.Expires, err)
	}
}

// Within a second of its end, nothing that was had for an access key is good, at any node.
func TestLoginEndsWithTheAccessKey(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(l *loginWire) error{
		"disabled": func(l *loginWire) error { return l.accounts.SetKey(l.t.Context(), l.key.ID, true) },
		"deleted":  func(l *loginWire) error { return l.accounts.DeleteKey(l.t.Context(), l.key.ID) },
		"another's": func(l *loginWire) error {
			return l.Store.Update(l.t.Context(), func(tx meta.Tx) error {
				return tx.AccessKeys().Put(meta.AccessKey{ID: meta.AccessKeyID(l.key.ID), Account: otherAccount, Principal: "thief", Secret: l.key.Secret, Created: time.Now()})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLoginWire(t)
				nodes := map[string]*loginWire{"this node": l, "another node": l.node()}
				password := l.password(l.key)
				got := l.dockerLogin(password)
				push := l.as(basicAuth("AWS", password)).withToken(pushHat)
				derived := map[string]string{
					"password": basicAuth("AWS", password), "raw password": "Bearer " + wrap(password), "login's access token": "Bearer " + got.Token, "access token": push.auth,
				}
				rest := l.newKey()
				others := l.password(rest)
				each := func(f func(where string, node *loginWire)) {
					t.Helper()
					for where, node := range nodes {
						f(where, node)
					}
				}
				each(func(_ string, node *loginWire) { // so that every cache has them
					for _, authorization := range derived {
						node.as(authorization).pull().is(200)
					}
					node.as(push.auth).push().is(202)
					node.anonymous().form("grant_type", "refresh_token", "refresh_token", got.RefreshToken).want(200)
				})
				if err := end(l); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				refused := func(when string) {
					t.Helper()
					each(func(where string, node *loginWire) {
						for what, authorization := range derived {
							node.refuses(when+", "+where+": "+what, authorization)
							node.as(authorization).pull().invalid()
							node.as(authorization).push().invalid()
							node.as(authorization).send("GET", "/v2/", nil).invalid()
						}
						node.anonymous().form("grant_type", "refresh_token", "refresh_token", got.RefreshToken, "scope", pullHat).invalid()
						node.anonymous().form("grant_type", "password", "username", "AWS", "password", password, "scope", pullHat).invalid()
						node.anonymous().pull().is(200)
						node.anonymous().withToken(pullHat).pull().is(200)
						node.as(basicAuth("AWS", others)).push().is(202) // of the same principal
					})
				}
				refused("at once")
				time.Sleep(time.Hour)
				refused("later")
				if name != "disabled" {
					return
				}
				l.send("GET", "/v2/", nil).invalid() // the key itself
				if err := l.accounts.SetKey(t.Context(), l.key.ID, false); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				each(func(_ string, node *loginWire) {
					node.as(basicAuth("AWS", password)).push().is(202)
					node.anonymous().form("grant_type", "refresh_token", "refresh_token", got.RefreshToken).is(200)
				})
			})
		})
	}
}

// A key that is disabled while it is used all the time is not kept alive by that.
func TestLoginIsCheckedWhileItIsUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoginWire(t)
		c := l.as(basicAuth("AWS", l.password(l.key)))
		for range 30 {
			c.push().is(202)
			time.Sleep(100 * time.Millisecond)
		}
		if err := l.accounts.SetKey(t.Context(), l.key.ID, true); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for c.push().status == 202 {
			time.Sleep(100 * time.Millisecond)
			if time.Since(start) > time.Minute {
				break
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it was good for another %s", took)
		}
	})
}

// accessKeys is a function as auth.AccessKeys.
type accessKeys func(ctx context.Context, id string) (auth.AccessKey, error)

func (f accessKeys) AccessKey(ctx context.Context, id string) (auth.AccessKey, error) {
	return f(ctx, id)
}

// A store that is down is the server's fault, not the client's: nobody is logged out by it.
func TestLoginWhenKeysCannotBeAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down error
		var own *accounts.Store
		l := newLoginWire(t, func(c *registry.Config) {
			own = accounts.New(c.Store)
			c.AccessKeys = accessKeys(func(ctx context.Context, id string) (auth.AccessKey, error) {
				if down != nil {
					return auth.AccessKey{}, down
				}
				return own.AccessKey(ctx, id)
			})
		})
		c := l.as(basicAuth("AWS", l.password(l.key)))
		c.push().is(202)
		refresh := c.dockerLogin(l.password(l.key)).RefreshToken
		down = errors.New("the store is down")
		time.Sleep(time.Minute)
		c.failing().push().is(500, 503)
		l.anonymous().failing().form("grant_type", "refresh_token", "refresh_token", refresh).is(500, 503)
		l.anonymous().pull().is(200)
		down = nil
		c.push().is(202)
		l.anonymous().form("grant_type", "refresh_token", "refresh_token", refresh).is(200)
	})
}

// Without Config.AccessKeys a token is good until it expires, as its documentation says.
func TestLoginWithoutAccessKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoginWire(t, func(c *registry.Config) { c.AccessKeys = nil })
		c := l.as(basicAuth("AWS", l.password(l.key)))
		if err := l.accounts.SetKey(t.Context(), l.key.ID, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		c.push().is(202)
		time.Sleep(loginSpan)
		c.push().invalid()
	})
}

func TestLoginExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoginWire(t)
		password := l.password(l.key)
		end := time.Now().Add(loginSpan)
		c, raw := l.as(basicAuth("AWS", password)), l.as("Bearer "+wrap(password))
		time.Sleep(loginSpan - 5*time.Minute)
		c.push().is(202)
		raw.push().is(202)
		// Nothing that is had for it outlives it.
		got := c.dockerLogin(password)
		for what, tok := range map[string]string{"access": got.Token, "refresh": got.RefreshToken} {
			if exp, _ := claims(t, tok)["exp"].(float64); int64(exp) > end.Unix() {
				t.Errorf("the %s token ends %s after the password", what, time.Unix(int64(exp), 0).Sub(end))
			}
		}
		if got.ExpiresIn > 300 || got.ExpiresIn < 60 {
			t.Errorf("expires_in %d", got.ExpiresIn)
		}
		time.Sleep(5*time.Minute + token.Leeway + time.Second)
		for name, authorization := range map[string]string{"Basic": c.auth, "raw": raw.auth, "access token": "Bearer " + got.Token} {
			client := l.as(authorization)
			l.refuses(name, authorization)
			for _, r := range []*reply{client.pull(), client.push(), client.send("GET", "/v2/", nil), client.send("GET", "/v2/test/hat/tags/list", nil)} {
				if r.invalid(); !strings.Contains(string(r.body), "expired") {
					t.Errorf("%s: %s: %s does not say that it has expired", name, r.what, r.body)
				}
			}
			client.send("HEAD", "/v2/test/hat/manifests/v1", nil).is(401)
		}
		c.send("GET", "/token?scope="+pullHat, nil).invalid()
		l.anonymous().form("grant_type", "refresh_token", "refresh_token", got.RefreshToken, "scope", pullHat).invalid()
		l.anonymous().form("grant_type", "password", "username", "AWS", "password", password, "scope", pullHat).invalid()
		l.anonymous().pull().is(200)
		l.dockerLogin(l.password(l.key))
	})
}

func TestExpiredIsAnonymous(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoginWire(t, func(c *registry.Config) { c.ExpiredIsAnonymous = true })
		secret := l.private("secret")
		p := l.pushImage(secret, "v1", "secret")
		hat := l.pushImage("test/hat", "v1", "hat")
		password := l.password(l.key)
		c, raw := l.as(basicAuth("AWS", password)), l.as("Bearer "+wrap(password))
		c.send("GET", "/v2/"+secret+"/manifests/v1", nil).want(200)
		time.Sleep(loginSpan - time.Minute - time.Second)
		access := c.withToken(pushHat)
		time.Sleep(time.Minute + token.Leeway + 2*time.Second)
		before := l.visible()
		for name, client := range map[string]*wire{"Basic": c, "raw": raw, "access token": access} {
			func() { // a bubble has no subtests
				client.pull().is(200).content(hat.raw)
				client.send("HEAD", "/v2/test/hat/manifests/"+hat.digest, nil).is(200)
				client.send("GET", "/v2/test/hat/blobs/"+sha(hat.layer), nil).is(200).content(hat.layer)
				client.send("HEAD", "/v2/test/hat/blobs/"+sha(hat.layer), nil).is(200)
				client.send("GET", "/v2/test/hat/tags/list", nil).is(200)
				client.send("GET", "/v2/test/hat/referrers/"+hat.digest, nil).is(200)
				// As anonymous, and no more than that.
				client.send("GET", "/v2/"+secret+"/manifests/v1", nil).is(401, 404)
				client.send("GET", "/v2/"+secret+"/blobs/"+sha(p.layer), nil).is(401, 404)
				client.send("GET", "/v2/", nil).invalid()
				client.push().invalid()
				client.put("test/hat", "v2", ociImage, hat.raw).invalid()
				client.send("DELETE", "/v2/test/hat/manifests/v1", nil).invalid()
				for _, scopes := range [][]string{nil, {""}, {pushHat}, {"repository:test/hat:push"}, {"repository:test/hat:*"}, {"repository:test/hat:delete"}, {pullHat, "repository:test/coat:pull,push"}, {pullHat + " repository:test/coat:push"}, {"repository:test/hat:fly"}} {
					client.send("GET", "/token?"+url.Values{"scope": scopes}.Encode(), nil).invalid()
				}
				if name == "access token" {
					return // which is no credential at /token, expired or not
				}
				got := client.askToken(pullHat, "repository:"+secret+":pull")
				if who := claims(t, got.Token); who["account"] != nil || who["sub"] != nil || who["accessKey"] != nil {
					t.Errorf("the token says %v", who)
				}
				client.as("Bearer " + got.Token).pull().is(200)
				client.as("Bearer "+got.Token).send("GET", "/v2/"+secret+"/manifests/v1", nil).is(401, 404)
				client.as("Bearer "+got.Token).push().is(401, 403)
			}()
		}
		form := func(scope string) *reply {
			return l.anonymous().form("grant_type", "password", "username", "AWS", "password", password, "access_type", "offline", "scope", scope)
		}
		var got tokenReply
		form(pullHat).want(200).json(&got)
		same(t, "refresh token of nobody", got.RefreshToken, "")
		l.as("Bearer " + got.AccessToken).pull().is(200)
		form(pushHat).invalid()
		form("").invalid()
		// What is wrong has not expired.
		l.refuses("forged", basicAuth("AWS", password[:len(password)-6]+"AAAAAA"))
		l.refuses("another user", basicAuth("alice", password))
		same(t, "rows", l.visible(), before)
	})
}

// docker login keeps the refresh token in place of the password, so that is what a later
// docker pull presents.
func TestExpiredIsAnonymousAfterDockerLogin(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLoginWire(t, func(c *registry.Config) { c.ExpiredIsAnonymous = on })
				kept := l.dockerLogin(l.password(l.key)).RefreshToken
				time.Sleep(loginSpan + time.Minute)
				asks := func(scope string) *reply {
					return l.anonymous().form("grant_type", "refresh_token", "refresh_token", kept, "service", "registry.example", "client_id", "docker", "access_type", "offline", "scope", scope)
				}
				for _, scope := range []string{pushHat, "", "repository:test/hat:*"} {
					asks(scope).invalid()
				}
				if !on {
					asks(pullHat).invalid()
					return
				}
				var got tokenReply
				asks(pullHat).want(200).json(&got)
				if who := claims(t, got.AccessToken); who["sub"] != nil || who["account"] != nil {
					t.Errorf("the token says %v", who)
				}
				l.as("Bearer " + got.AccessToken).pull().is(200)
				l.as("Bearer "+got.AccessToken).push().is(401, 403)
			})
		})
	}
}

// In its last minute a password is good for no token, because none may be that short. A pull
// must not fail then that is let in before and after.
func TestExpiredIsAnonymousInTheLastMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoginWire(t, func(c *registry.Config) { c.ExpiredIsAnonymous = true })
		c := l.as(basicAuth("AWS", l.password(l.key)))
		time.Sleep(loginSpan - 2*time.Minute)
		for left := 2 * time.Minute; left > -time.Minute; left -= 5 * time.Second {
			if r := c.send("GET", "/token?scope="+pullHat, nil); r.status != 200 {
				t.Errorf("%s before the end, a token for a pull: %d", left, r.status)
			}
			c.pull().is(200)
			time.Sleep(5 * time.Second)
		}
	})
}

// Whoever has no key of the registry's makes no password, whatever the token says of itself.
func TestForgedLoginsAreRefused(t *testing.T) {
	t.Parallel()
	l := newLoginWire(t)
	genuine := l.password(l.key)
	header, body := tokenHeader(t, genuine), doc(claims(t, genuine))
	_, evil, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byEvil := func(in []byte) []byte { return ed25519.Sign(evil, in) }
	keys, err := registry.SigningKeys(l.Store).Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keys[0].Private)
	if err != nil {
		t.Fatal(err)
	}
	trusted := parsed.(ed25519.PrivateKey)
	byTrusted := func(in []byte) []byte { return ed25519.Sign(trusted, in) }
	public := trusted.Public().(ed25519.PublicKey)
	certificate, err := x509.CreateCertificate(rand.Reader, selfSigned, selfSigned, evil.Public(), evil)
	if err != nil {
		t.Fatal(err)
	}
	jwk := doc{"kty": "OKP", "crv": "Ed25519", "x": b64(evil.Public().(ed25519.PublicKey)), "kid": header["kid"], "alg": "EdDSA"}
	stranger := token.New(registry.SigningKeys(memmeta.New()))
	aud, _ := body["aud"].([]any)
	if len(aud) == 0 {
		aud = []any{body["aud"]}
	}
	foreign, err := stranger.Issue(t.Context(), auth.Grant{Kind: auth.LoginToken, Principal: registrytest.Owner, AccessKey: l.key.ID, Audience: fmt.Sprint(aud[0]), Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	// The forger's tools work.
	l.as(basicAuth("AWS", forge(header, body, byTrusted))).push().want(202)
	parts := strings.Split(genuine, ".")
	for name, password := range map[string]string{
		"alg none":                      forge(header.with(doc{"alg": "none"}), body, func([]byte) []byte { return nil }),
		"alg none, signature kept":      b64(header.with(doc{"alg": "none"}).bytes()) + "." + parts[1] + "." + parts[2],
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"another key":                   forge(header, body, byEvil),
		"HS256 with the public key":     forge(header.with(doc{"alg": "HS256"}), body, func(in []byte) []byte { h := hmac.New(sha256.New, public); h.Write(in); return h.Sum(nil) }),
		"jwk":                           forge(header.with(doc{"jwk": jwk}), body, byEvil),
		"jwk, signed by the registry":   forge(header.with(doc{"jwk": jwk}), body, byTrusted),
		"jku":                           forge(header.with(doc{"jku": "http://127.0.0.1:1/keys"}), body, byEvil),
		"jku, signed by the registry":   forge(header.with(doc{"jku": "http://127.0.0.1:1/keys"}), body, byTrusted),
		"x5c":                           forge(header.with(doc{"x5c": []string{base64.StdEncoding.EncodeToString(certificate)}}), body, byEvil),
		"x5c, signed by the registry":   forge(header.with(doc{"x5c": []string{base64.StdEncoding.EncodeToString(certificate)}}), body, byTrusted),
		"x5u":                           forge(header.with(doc{"x5u": "http://127.0.0.1:1/chain"}), body, byEvil),
		"an unknown kid":                forge(header.with(doc{"kid": "unknown"}), body, byEvil),
		"another service":               foreign.Value,
		"another service, our kid":      forge(header, doc(claims(t, foreign.Value)), byEvil),
		"another audience":              forge(header, body.with(doc{"aud": "elsewhere"}), byTrusted),
		"another kind":                  forge(header, body.with(doc{"kind": "access"}), byTrusted),
		"no kind":                       forge(header, body.with(doc{"kind": ""}), byTrusted),
		"another subject, same key":     forge(header, body.with(doc{"sub": "mate"}), byTrusted),
		"another account, same key":     forge(header, body.with(doc{"account": otherAccount}), byTrusted),
		"an access key that is unknown": forge(header, body.with(doc{"accessKey": "AKIAUNKNOWN"}), byTrusted),
		"other claims, signature kept":  parts[0] + "." + b64(body.with(doc{"sub": "root"}).bytes()) + "." + parts[2],
		"nothing":                       "",
		"a megabyte":                    strings.Repeat("x", 1<<20),
	} {
		l.refuses(name+", Basic", basicAuth("AWS", password))
		l.refuses(name+", raw", "Bearer "+wrap(password))
		if len(password) < 1<<16 {
			l.anonymous().form("grant_type", "password", "username", "AWS", "password", password, "scope", pullHat).invalid()
		}
	}
	l.as(basicAuth("AWS", genuine)).push().is(202)
}

// A password that one node gave out is good at all that share the store.
func TestLoginAtAnotherNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoginWire(t)
		other := l.node()
		password := l.password(l.key)
		got := other.dockerLogin(password)
		other.as(basicAuth("AWS", password)).push().is(202)
		other.as("Bearer " + wrap(password)).push().is(202)
		l.as("Bearer "+got.Token).send("GET", "/v2/", nil).is(200)
		l.anonymous().form("grant_type", "refresh_token", "refresh_token", got.RefreshToken).is(200)
		l.as(basicAuth("AWS", other.password(l.key))).push().is(202)
	})
}
