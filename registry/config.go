package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Defaults of [Config].
const (
	DefaultManifestCache = 16 << 20
	DefaultGrace         = 24 * time.Hour
	DefaultTokenLifetime = 15 * time.Minute
	DefaultAliasHold     = 90 * 24 * time.Hour
	DefaultMaxRequests   = 16384
)

// MinTokenLifetime is the least that Docker's token specification allows; clients take a
// shorter one for it.
const MinTokenLifetime = time.Minute

// Config is what [New] needs. Store and Bucket are required. With nothing else, anyone may
// pull what is public and nobody may push.
type Config struct {
	Store  meta.Store     // truth
	Bucket storage.Bucket // bytes

	// Authenticators are asked in order; see package auth.
	Authenticators []auth.Authenticator
	// Issuer and Verifier serve /token and read its tokens, ahead of Authenticators.
	// Without them clients are challenged for what an authenticator names itself.
	Issuer   auth.Issuer
	Verifier auth.Verifier
	// TokenLifetime is that of access tokens: [DefaultTokenLifetime] if 0, and at least
	// [MinTokenLifetime].
	TokenLifetime time.Duration

	// Logins slows down who tries credentials that are wrong; limit.NewLogins makes one. Nobody
	// is slowed down if it is nil.
	Logins Logins

	// AccessKeys are what tokens are bound to that were had with an access key: within a
	// second of the key's end they are refused. Without it they are good until they expire.
	AccessKeys auth.AccessKeys
	// ExpiredIsAnonymous lets who pulls with credentials that have expired in as anonymous.
	// ECR Public refuses them, and so does this library unless it is set.
	ExpiredIsAnonymous bool

	// Evaluators decide who may do what: policy.Public and policy.Owner if nil.
	Evaluators []policy.Evaluator
	// Interceptors wrap every operation, the first outermost.
	Interceptors []Interceptor
	// Observers are told of every operation that is over.
	Observers []Observer
	// Guards check every change within its transaction.
	Guards []Guard
	// Sinks receive events, by the names that the store knows them by, while Run runs.
	Sinks map[string]event.Sink

	// PublicURL is where clients reach the registry, such as https://registry.example.com.
	// Where it is empty, it is taken from each request: its Host, and whether it came over
	// TLS. Behind a proxy that ends TLS it must be set.
	PublicURL string
	// TrustedProxies are the addresses whose X-Forwarded-For is believed. The address of a
	// client is the last entry that is not one of them.
	TrustedProxies []netip.Prefix

	// SharedMaxAge is how long caches between the registry and its clients may serve where a
	// tag leads, in whole seconds: what a publisher changes is seen that much later there. What
	// digests name they may keep for a year, until an event tells them to forget it. A cache must
	// pass HEAD on, by which clients ask before they push, and not answer it from a GET. They get
	// only what anonymous clients may have of public repositories without a policy, and no header
	// about the client, such as its rate limit; an evaluator or interceptor that refuses some
	// of those clients and not others does not hold for what a cache has. 0 means that they
	// store nothing: every pull comes to the registry.
	SharedMaxAge time.Duration
	// Redirect decides which GETs of blobs are sent to the bucket, by a URL signed for an hour,
	// instead of being answered; none if nil, or if the bucket cannot sign. HEADs, manifests and blobs
	// up to storage.MaxCachedBlob are never sent. It must be quick. size is that of the blob.
	Redirect func(op *Op, size int64) bool
	// MaxRequests is how many requests are worked on at once: [DefaultMaxRequests] if 0, no
	// bound if less. Those beyond it are answered 503 with Retry-After.
	MaxRequests int

	// ManifestCache bounds the memory of what pulls need: decoded manifests and where tags
	// lead, in bytes. 0 means [DefaultManifestCache], less than 0 that every pull asks the
	// store.
	ManifestCache int64
	// BlobCache bounds the memory of blobs up to storage.MaxCachedBlob, in bytes. 0 means
	// storage.DefaultCacheBytes, less than 0 none.
	BlobCache int64

	// Quotas bound what an account may have.
	Quotas Quotas
	// AliasDecider decides which aliases registries get that ask for them; nobody but the
	// host, by [Registry.DecideAlias], if it is nil.
	AliasDecider AliasDecider
	// AliasHold is how long an alias that was given up is not free for others:
	// [DefaultAliasHold] if 0.
	AliasHold time.Duration
	// ReservedAliases are not free for anybody, nor is what looks like one of them.
	ReservedAliases []string
	// WideNames accepts every name of the OCI grammar for new repositories. Otherwise they
	// are of the pattern and the length of ECR Public's.
	WideNames bool

	// CreateOnPush makes a push to a repository that does not exist create it, public, if
	// the principal may.
	CreateOnPush bool
	// AllowMissing accepts manifests whose blobs or children are not in the repository:
	// sparse indexes. Such an image cannot be pulled whole.
	AllowMissing bool
	// Catalog serves /v2/_catalog, the list of all repositories that the caller may pull.
	Catalog bool

	// Grace is how long what may be garbage is left alone: [DefaultGrace] if 0. It must be
	// longer than a push takes.
	Grace time.Duration
	// Logger gets what a host should look at; nil logs nothing.
	Logger *slog.Logger
}

// resolve checks the configuration and fills in defaults.
func (c Config) resolve() (Config, error) {
	if c.Store == nil || c.Bucket == nil {
		return c, errors.New("registry: Config needs a Store and a Bucket")
	}
	if (c.Issuer == nil) != (c.Verifier == nil) {
		return c, errors.New("registry: Config needs both Issuer and Verifier, or neither")
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return c, fmt.Errorf("registry: PublicURL %q is not of the form https://host[:port]", c.PublicURL)
		}
		c.PublicURL = u.Scheme + "://" + u.Host
	}
	if c.Evaluators == nil {
		c.Evaluators = []policy.Evaluator{policy.Public{}, policy.Owner{}}
	}
	if c.ManifestCache == 0 {
		c.ManifestCache = DefaultManifestCache
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = DefaultTokenLifetime
	}
	if c.AliasHold == 0 {
		c.AliasHold = DefaultAliasHold
	}
	if c.AliasDecider == nil {
		c.AliasDecider = ByHand{}
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = DefaultMaxRequests
	}
	if c.SharedMaxAge < 0 || c.SharedMaxAge%time.Second != 0 {
		return c, fmt.Errorf("registry: SharedMaxAge %v is not of whole seconds", c.SharedMaxAge)
	}
	c.Quotas = c.Quotas.resolve()
	if c.Grace < 0 || c.TokenLifetime < MinTokenLifetime {
		return c, errors.New("registry: Grace or TokenLifetime is too short")
	}
	for name, s := range c.Sinks {
		if name == "" || s == nil {
			return c, fmt.Errorf("registry: sink %q has no name or is nil", name)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
