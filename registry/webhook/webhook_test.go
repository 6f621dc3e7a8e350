package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/webhook"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*webhook.Config)
		want   string // in the error
	}{
		"no URL":                     {func(c *webhook.Config) { c.URL = "" }, "not an https URL"},
		"another scheme":             {func(c *webhook.Config) { c.URL = "ftp://endpoint.example/" }, "not an https URL"},
		"no host":                    {func(c *webhook.Config) { c.URL = "https://:443/" }, "not an https URL"},
		"not a URL":                  {func(c *webhook.Config) { c.URL = "https://[::1/" }, "URL: "},
		"credentials":                {func(c *webhook.Config) { c.URL = "https://user:password@endpoint.example/" }, "credentials"},
		"a user":                     {func(c *webhook.Config) { c.URL = "https://user@endpoint.example/" }, "credentials"},
		"http to everywhere":         {func(c *webhook.Config) { c.Allow = nil }, "Allow is empty"},
		"http to a public address":   {func(c *webhook.Config) { c.URL = "http://8.8.8.8/" }, "address is refused"},
		"a private address":          {func(c *webhook.Config) { c.URL = "https://10.0.0.1/" }, "address is refused"},
		"a private address of IPv6":  {func(c *webhook.Config) { c.URL = "https://[fe80::1%25eth0]/" }, "address is refused"},
		"no prefix":                  {func(c *webhook.Config) { c.Allow = append(c.Allow, netip.Prefix{}) }, "not a prefix"},
		"a prefix that matches none": {func(c *webhook.Config) { c.Allow = prefixes("::ffff:10.0.0.0/104") }, "not a prefix"},
		"no secret":                  {func(c *webhook.Config) { c.Secrets = nil }, "no secret"},
		"an empty secret":            {func(c *webhook.Config) { c.Secrets = [][]byte{secret, nil} }, "0 bytes"},
		"a short secret":             {func(c *webhook.Config) { c.Secrets = [][]byte{secret[:webhook.MinSecret-1]} }, "23 bytes"},
		"no source":                  {func(c *webhook.Config) { c.Source = "" }, "Source"},
		"a source that is relative":  {func(c *webhook.Config) { c.Source = "registry.example" }, "Source"},
		"nowhere for dead letters":   {func(c *webhook.Config) { c.Dead = nil }, "dead letters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := webhook.New(config(tt.change))
			if err == nil || s != nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "password") {
				t.Errorf("New: %v; want an error with %q", err, tt.want)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		e := connect(t, s)
		if err := s.Deliver(t.Context(), moved()); err != nil {
			t.Fatal(err)
		}
		got := e.take()[0]
		for name, want := range map[string]string{
			"Content-Type":      "application/cloudevents+json",
			"Webhook-Id":        moved().ID,
			"Webhook-Timestamp": fmt.Sprint(time.Now().Unix()),
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
			}
		}
		if diff := cmp.Diff(moved(), got.Event); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		var body map[string]any
		if err := json.Unmarshal(got.Body, &body); err != nil {
			t.Fatal(err)
		}
		delete(body, "data")
		want := map[string]any{
			"specversion": "1.0", "id": moved().ID, "source": "https://registry.example", "subject": "123456789012/hat",
			"type": "io.github.esplanade-registry.tag.moved", "time": "2000-01-01T00:00:00Z", "datacontenttype": "application/json",
		}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	})
}

func TestMessageOfARegistry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		e := connect(t, s)
		if err := s.Deliver(t.Context(), event.Event{ID: "A", Type: event.RegistryChanged, Time: time.Now(), Account: "123456789012"}); err != nil {
			t.Fatal(err)
		}
		if body := e.take()[0].Body; !bytes.Contains(body, []byte(`"subject":"123456789012",`)) {
			t.Errorf("the subject is not the account: %s", body)
		}
	})
}

func TestTypes(t *testing.T) {
	t.Parallel()
	all := []event.Type{
		event.RepositoryCreated, event.ManifestPushed, event.ManifestDeleted, event.TagMoved, event.TagDeleted, event.BlobLinked,
		event.BlobDeleted, event.RepositoryDeleted, event.PolicyChanged, event.CatalogChanged, event.TagsChanged, event.RegistryChanged,
	}
	for name, tt := range map[string]struct{ types, want []event.Type }{
		"those without blobs": {nil, append(append([]event.Type{}, all[:5]...), all[7:]...)},
		"those that are said": {[]event.Type{event.BlobLinked, event.TagMoved}, []event.Type{event.TagMoved, event.BlobLinked}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSink(t, func(c *webhook.Config) { c.Types = tt.types })
				e := connect(t, s)
				for _, typ := range all {
					if err := s.Deliver(t.Context(), event.Event{ID: "A", Type: typ, Time: time.Now()}); err != nil {
						t.Errorf("%s: %v", typ, err)
					}
				}
				var got []event.Type
				for _, r := range e.take() {
					got = append(got, r.Event.Type)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("types (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What becomes of an event, by what the endpoint answers and how old it is.
func TestStatuses(t *testing.T) {
	t.Parallel()
	const (
		delivered   = "delivered"
		refused     = "refused"
		unavailable = "unavailable"
		dead        = "dead"
	)
	for code, tt := range map[int]struct{ young, old string }{
		200: {delivered, delivered},
		201: {delivered, delivered},
		202: {delivered, delivered},
		204: {delivered, delivered},
		299: {delivered, delivered},
		300: {refused, dead},
		301: {refused, dead},
		302: {refused, dead},
		303: {refused, dead},
		304: {refused, dead},
		307: {refused, dead}, // without a Location
		400: {refused, dead},
		401: {refused, dead},
		403: {refused, dead},
		404: {refused, dead},
		405: {refused, dead},
		408: {unavailable, dead},
		409: {refused, dead},
		410: {dead, dead},
		413: {refused, dead},
		422: {refused, dead},
		425: {unavailable, dead},
		429: {unavailable, dead},
		500: {unavailable, dead},
		501: {unavailable, dead},
		502: {unavailable, dead},
		503: {unavailable, dead},
		504: {unavailable, dead},
		599: {unavailable, dead},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var letters int
				s := newSink(t, func(c *webhook.Config) {
					c.Dead = func(_ context.Context, e event.Event, reason error) error {
						letters++
						if reason == nil || !strings.Contains(reason.Error(), fmt.Sprint(code)) {
							t.Errorf("the reason %v says nothing of %d", reason, code)
						}
						return nil
					}
				})
				e := connect(t, s)
				e.set(status(code))
				try := func(e event.Event) string {
					letters = 0
					err := s.Deliver(t.Context(), e)
					switch {
					case errors.Is(err, event.ErrUnavailable):
						return unavailable
					case err != nil:
						return refused
					case letters > 0:
						return dead
					}
					return delivered
				}
				ev := moved()
				if got := try(ev); got != tt.young {
					t.Errorf("a new event is %s, want %s", got, tt.young)
				}
				time.Sleep(webhook.DefaultMaxAge)
				if got := try(ev); got != tt.young {
					t.Errorf("an event as old as may be is %s, want %s", got, tt.young)
				}
				time.Sleep(time.Millisecond)
				if got := try(ev); got != tt.old {
					t.Errorf("an event that is too old is %s, want %s", got, tt.old)
				}
				if got := len(e.take()); got != 3 {
					t.Errorf("%d requests, want 3", got)
				}
			})
		})
	}
}

func TestDeadLetterIsTriedAgainUntilItIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("the disk is full")
		dead := letters{fails: full}
		s := newSink(t, func(c *webhook.Config) { c.MaxAge, c.Dead = time.Hour, dead.take })
		e := connect(t, s)
		ev := moved()
		ev.Time = ev.Time.Add(-2 * time.Hour)

		e.set(status(503))
		if err := s.Deliver(t.Context(), ev); !errors.Is(err, full) || !errors.Is(err, event.ErrUnavailable) {
			t.Errorf("Dead fails, the endpoint is unavailable: %v", err)
		}
		e.set(status(410))
		if err := s.Deliver(t.Context(), ev); !errors.Is(err, full) || errors.Is(err, event.ErrUnavailable) {
			t.Errorf("Dead fails, the endpoint does not want it: %v", err)
		}
		dead.fails = nil
		if err := s.Deliver(t.Context(), ev); err != nil {
			t.Errorf("Dead takes it: %v", err)
		}
	})
}

func TestDeadLetterIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newSink(t, func(c *webhook.Config) {
			c.URL = "http://endpoint.example/path-of-secret"
			c.Dead, c.Logger = nil, slog.New(slog.NewJSONHandler(&log, nil))
		})
		connect(t, s).set(status(410))
		if err := s.Deliver(t.Context(), moved()); err != nil {
			t.Fatal(err)
		}
		var line struct {
			Host, Error string
			Event       event.Event
		}
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(moved(), line.Event); diff != "" || line.Host != "endpoint.example" || !strings.Contains(line.Error, "410 Gone") {
			t.Errorf("%s\nevent (-want +got):\n%s", log.String(), diff)
		}
		if strings.Contains(log.String(), "path-of-secret") {
			t.Errorf("the path of the URL is in the log: %s", log.String())
		}
	})
}

// The path of a URL may be all that an endpoint knows its senders by.
func TestErrorsKeepThePathSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t, func(c *webhook.Config) { c.URL = "http://endpoint.example/path-of-secret" })
		e := connect(t, s)
		for _, answer := range []func(http.ResponseWriter, request){
			func(http.ResponseWriter, request) { panic(http.ErrAbortHandler) },
			status(400),
			status(302, "Location", "/"),
			status(503),
			hang(t),
			nil, // and left alone
		} {
			e.set(answer)
			err := s.Deliver(t.Context(), moved())
			if err == nil || strings.Contains(err.Error(), "path-of-secret") || !strings.Contains(err.Error(), "endpoint.example") {
				t.Errorf("Deliver: %v", err)
			}
		}
	})
}

// What a host does with its configuration later changes nothing.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(func(c *webhook.Config) {
			c.Secrets = [][]byte{bytes.Clone(secret)}
			c.Types = []event.Type{event.TagMoved}
		})
		s, err := webhook.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		e := connect(t, s)
		clear(cfg.Secrets[0])
		cfg.Types[0], cfg.Allow[0] = event.TagDeleted, netip.Prefix{}
		if err := s.Deliver(t.Context(), moved()); err != nil || len(e.take()) != 1 { // which are verified
			t.Errorf("Deliver: %v", err)
		}
	})
}

// An end of the context is the registry's, which stops: nothing is given up for it.
func TestEndOfTheContextIsNoFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dead letters
		s := newSink(t, func(c *webhook.Config) { c.Dead = dead.take })
		e := connect(t, s)
		e.set(hang(t))
		ev := moved()
		ev.Time = time.Time{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Deliver(ctx, ev); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Deliver: %v", err)
		}
		e.set(nil)
		e.take()
		if err := s.Deliver(t.Context(), ev); err != nil || len(e.take()) != 1 {
			t.Errorf("after it, the endpoint is left alone: %v", err)
		}
		if n := len(dead.all()); n != 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}

func TestEndpointIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(testing.TB) func(http.ResponseWriter, request)
		want   time.Duration
	}{
		"503":              {func(testing.TB) func(http.ResponseWriter, request) { return status(503) }, 0},
		"429 for a minute": {func(testing.TB) func(http.ResponseWriter, request) { return status(429, "Retry-After", "60") }, time.Minute},
		"503 for a minute": {func(testing.TB) func(http.ResponseWriter, request) { return status(503, "Retry-After", "60") }, time.Minute},
		"503 for a year":   {func(testing.TB) func(http.ResponseWriter, request) { return status(503, "Retry-After", "31536000") }, webhook.MaxRest},
		"503 for ever": {func(testing.TB) func(http.ResponseWriter, request) {
			return status(503, "Retry-After", "1"+strings.Repeat("0", 30))
		}, 0},
		"503 for less than nothing": {func(testing.TB) func(http.ResponseWriter, request) { return status(503, "Retry-After", "-60") }, 0},
		"400 for a minute":          {func(testing.TB) func(http.ResponseWriter, request) { return status(400, "Retry-After", "60") }, 0},
		"no answer":                 {hang, webhook.DefaultTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var dead letters
				s := newSink(t, func(c *webhook.Config) { c.Dead = dead.take })
				e := connect(t, s)
				e.set(tt.answer(t))
				if err := s.Deliver(t.Context(), moved()); err == nil {
					t.Fatal("it was delivered")
				}
				e.take()
				e.set(nil)
				if tt.want > 0 {
					time.Sleep(tt.want - time.Millisecond)
					if err := s.Deliver(t.Context(), moved()); !errors.Is(err, event.ErrUnavailable) {
						t.Errorf("just before the end of %v: %v", tt.want, err)
					}
					old := moved()
					old.Time = old.Time.Add(-2 * webhook.DefaultMaxAge)
					if err := s.Deliver(t.Context(), old); err != nil || len(dead.all()) != 1 {
						t.Errorf("an event that is too old meanwhile: %d dead letters, %v", len(dead.all()), err)
					}
					if n := len(e.take()); n != 0 {
						t.Errorf("%d requests meanwhile", n)
					}
					time.Sleep(time.Millisecond)
				}
				if err := s.Deliver(t.Context(), moved()); err != nil {
					t.Errorf("after %v: %v", tt.want, err)
				}
			})
		})
	}
}

func prefixes(list ...string) (ps []netip.Prefix) {
	for _, p := range list {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}
