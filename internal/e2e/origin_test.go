package e2e

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// origin is a registry within this process, on a port of its own, with the two accounts of
// the quickstart server. What it says to clients is the same; what happens inside can be asked.
type origin struct {
	*registrytest.Server
	host  string
	meter *meter.Meter
	log   *requestLog
	http  *httptest.Server
}

// newOrigin starts one. Each function may change the configuration first.
func newOrigin(t *testing.T, change ...func(*registry.Config)) *origin {
	t.Helper()
	o := &origin{log: &requestLog{}}
	o.Server = registrytest.New(t, func(c *registry.Config) {
		store := memmeta.New()
		tokens := token.New(registry.SigningKeys(store))
		m, err := meter.New(meter.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		o.meter = m
		users := basic.Static{registrytest.Username: {Password: registrytest.Password, Principal: registrytest.Owner}}
		for _, a := range []account{owner, stranger} {
			users[a.AccessKeyID] = basic.Secret{Password: a.SecretAccessKey, Principal: auth.Principal{Account: a.AccountID, Name: a.Alias}}
		}
		c.Store, c.Bucket, c.Issuer, c.Verifier = store, gocloud.New(memblob.OpenBucket(nil)), tokens, tokens
		c.Authenticators = []auth.Authenticator{basic.New(users, "esplanade")}
		c.Logins = limit.NewLogins(nil)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.Observers = []registry.Observer{m.Observe, accesslog.New(slog.New(slog.NewJSONHandler(o.log, nil)))}
		for _, f := range change {
			f(c)
		}
	})
	for _, a := range []account{owner, stranger} {
		if err := o.AddAlias(t.Context(), a.AccountID, a.Alias); err != nil {
			t.Fatal(err)
		}
	}
	o.http = httptest.NewServer(o)
	t.Cleanup(o.http.Close)
	o.host = strings.TrimPrefix(o.http.URL, "http://")
	return o
}

// ownerActor is the owner of [owner]'s repositories.
func (o *origin) ownerActor() *registry.Actor {
	return o.As(auth.Principal{Account: owner.AccountID, Name: owner.Alias})
}

// publish pushes a fixture to a tag, past all that stands before the registry.
func (o *origin) publish(t *testing.T, repo, tag string, f *fixture) published {
	t.Helper()
	s := newOras(t, o.host)(t, owner.person())
	if err := s.login(t); err != nil {
		t.Fatal(err)
	}
	f.makeLayout(t)
	d, err := s.push(t, o.host+"/"+repo+":"+tag, f)
	if err != nil {
		t.Fatal(err)
	}
	return published{f, tag, d}
}

// request is a record of the access log.
type request struct {
	Remote    string `json:"remote"`
	Principal string `json:"principal"`
	Method    string `json:"method"`
	Path      string `json:"path"`
	Status    int    `json:"status"`
	UserAgent string `json:"user_agent"`
}

// requestLog keeps the access log. It is safe for concurrent use.
type requestLog struct {
	mu  sync.Mutex
	raw []byte
}

// Write implements io.Writer.
func (l *requestLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw = append(l.raw, p...)
	return len(p), nil
}

// of returns the requests for a repository, by alias/name, since it was last asked for them.
func (l *requestLog) of(t *testing.T, repo string) []request {
	t.Helper()
	return l.take(t, func(r request) bool { return strings.HasPrefix(r.Path, "/v2/"+repo+"/") })
}

// take returns some of the requests, and forgets them.
func (l *requestLog) take(t *testing.T, which func(request) bool) (some []request) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest []byte
	for raw := range bytes.Lines(l.raw) {
		var r request
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		if which(r) {
			some = append(some, r)
		} else {
			rest = append(rest, raw...)
		}
	}
	l.raw = rest
	return some
}
