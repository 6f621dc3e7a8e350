package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/esplanade-registry/esplanade/registry/event"
)

// Defaults of [Config].
const (
	DefaultTimeout = 10 * time.Second
	DefaultMaxAge  = 72 * time.Hour // an endpoint that breaks on a Friday is looked at on the Monday
)

// MaxRest is how long an endpoint is left alone at most, whatever its Retry-After says.
const MaxRest = 10 * time.Minute

const (
	maxRedirects = 3
	maxDrain     = 16 << 10 // bytes read of an answer, so that its connection can be used again
)

// Config says where events go. URL, Secrets and Source are required, and Dead or Logger.
type Config struct {
	// URL is that of the endpoint, an https URL without credentials. An http URL reaches only
	// addresses in Allow, so that no event crosses the Internet for everyone to read.
	URL string
	// Secrets sign every request, each of them, of [MinSecret] random bytes or more. There is
	// more than one while they are changed.
	Secrets [][]byte
	// Source is the source of the CloudEvents: the public URL of the registry.
	Source string
	// Types are those of the events that are sent: all but those of blobs if there are none.
	Types []event.Type
	// Allow has addresses that are not refused although they are not public, such as
	// 10.1.2.0/24: see [Transport].
	Allow []netip.Prefix
	// Timeout is how long a try may take: [DefaultTimeout] if 0.
	Timeout time.Duration
	// MaxAge is how old an event may be and still be tried again: [DefaultMaxAge] if 0.
	MaxAge time.Duration
	// Dead receives what could not be delivered, with the reason. With an error, the event is
	// tried again later; it may come more than once too. If it is nil, dead letters are logged.
	Dead func(ctx context.Context, e event.Event, reason error) error
	// Logger gets dead letters if there is no Dead.
	Logger *slog.Logger
}

// Sink posts events to an endpoint.
type Sink struct {
	cfg    Config
	host   string // for errors: the rest of the URL may be secret
	types  map[event.Type]bool
	client *http.Client
	rest   atomic.Int64 // until when the endpoint is left alone, in nanoseconds since 1970
}

var _ event.Sink = (*Sink)(nil)

// New returns a sink. It connects to nothing yet.
func New(cfg Config) (*Sink, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("webhook: URL: %w", err)
	}
	g := guard{allow: slices.Clone(cfg.Allow), only: u.Scheme == "http"}
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("webhook: URL is not an https URL")
	case u.User != nil:
		return nil, errors.New("webhook: URL has credentials")
	case g.only && len(cfg.Allow) == 0:
		return nil, errors.New("webhook: URL is an http URL and Allow is empty")
	}
	for _, p := range cfg.Allow {
		if !p.IsValid() || p.Addr().Is4In6() {
			return nil, fmt.Errorf("webhook: Allow: %v is not a prefix of IPv4 or IPv6", p)
		}
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := g.check(a); err != nil {
			return nil, fmt.Errorf("webhook: URL: %w", err)
		}
	}
	if err := checkSecrets(cfg.Secrets); err != nil {
		return nil, err
	}
	if source, err := url.Parse(cfg.Source); err != nil || !source.IsAbs() {
		return nil, errors.New("webhook: Source is not a URL")
	}
	if cfg.Dead == nil && cfg.Logger == nil {
		return nil, errors.New("webhook: neither Dead nor Logger is there to take dead letters")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = DefaultMaxAge
	}
	s := &Sink{cfg: cfg, host: u.Host, types: map[event.Type]bool{}}
	s.cfg.Secrets = nil
	for _, secret := range cfg.Secrets {
		s.cfg.Secrets = append(s.cfg.Secrets, bytes.Clone(secret))
	}
	for _, t := range cfg.Types {
		s.types[t] = true
	}
	s.client = &http.Client{Transport: g.transport(), CheckRedirect: checkRedirect}
	return s, nil
}

// wants says whether events of a type are sent.
func (s *Sink) wants(t event.Type) bool {
	if len(s.types) > 0 {
		return s.types[t]
	}
	return t != event.BlobLinked && t != event.BlobDeleted
}

// errGone is wrapped by the error about an endpoint that answered 410.
var errGone = errors.New("the endpoint does not want it")

// Deliver posts an event, and returns nil when the endpoint or Dead has it. See the package
// comment for what errors mean, and [event.Sink].
func (s *Sink) Deliver(ctx context.Context, e event.Event) error {
	if !s.wants(e.Type) {
		return nil
	}
	err := s.send(ctx, e)
	if err == nil || ctx.Err() != nil { // whose end says nothing about the endpoint
		return err
	}
	if !errors.Is(err, errGone) && time.Since(e.Time) <= s.cfg.MaxAge {
		return err
	}
	if s.cfg.Dead == nil {
		s.cfg.Logger.ErrorContext(ctx, "an event was given up", "host", s.host, "event", e, "error", err)
		return nil
	}
	if dead := s.cfg.Dead(ctx, e, err); dead != nil {
		return fmt.Errorf("webhook: dead letter: %w, after %w", dead, err)
	}
	return nil
}

func (s *Sink) send(ctx context.Context, e event.Event) error {
	// Events that are too old are not tried either while the endpoint is left alone: if each had
	// to wait for its own timeout, the outbox of a busy registry would grow for ever.
	if until := time.Unix(0, s.rest.Load()); time.Now().Before(until) {
		return fmt.Errorf("webhook: %s is left alone until %s: %w", s.host, until.UTC().Format(time.RFC3339), event.ErrUnavailable)
	}
	body, err := message(s.cfg.Source, e)
	if err != nil {
		return fmt.Errorf("webhook: event %s: %w", e.ID, err)
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, s.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "esplanade-webhook")
	sign(req.Header, s.cfg.Secrets, e.ID, time.Now(), body)
	res, err := s.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		if limited.Err() != nil && ctx.Err() == nil {
			s.leaveAlone(s.cfg.Timeout)
			err = fmt.Errorf("no answer in %v: %w", s.cfg.Timeout, err)
		}
		return fmt.Errorf("webhook: %s: %w: %w", s.host, event.ErrUnavailable, err)
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, maxDrain) //nolint:errcheck // the status has been told
	return s.answered(res)
}

// answered returns what an answer means.
func (s *Sink) answered(res *http.Response) error {
	status := strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)
	switch code := res.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		if n, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 32); err == nil {
			s.leaveAlone(time.Duration(n) * time.Second)
		}
		return fmt.Errorf("webhook: %s: %w: it answers %s", s.host, event.ErrUnavailable, status)
	case code == http.StatusGone:
		return fmt.Errorf("webhook: %s: %w: it answers %s", s.host, errGone, status)
	default:
		return fmt.Errorf("webhook: %s refuses the event: it answers %s", s.host, status)
	}
}

// leaveAlone sends nothing to the endpoint for some time.
func (s *Sink) leaveAlone(d time.Duration) {
	s.rest.Store(time.Now().Add(min(d, MaxRest)).UnixNano())
}

// checkRedirect follows what keeps the method, the body and the scheme. Of others the answer
// counts as it is.
func checkRedirect(req *http.Request, via []*http.Request) error {
	code := req.Response.StatusCode
	if code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect ||
		len(via) > maxRedirects || req.URL.Scheme != via[0].URL.Scheme || req.URL.User != nil {
		return http.ErrUseLastResponse
	}
	req.Header.Del("Referer") // the path of the endpoint may be a secret
	return nil
}
