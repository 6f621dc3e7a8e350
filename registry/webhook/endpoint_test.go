package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/webhook"
)

var (
	secret = bytes.Repeat([]byte("new secret "), 3)
	older  = bytes.Repeat([]byte("old secret "), 3)
)

// request is one that an endpoint got, verified.
type request struct {
	Header http.Header
	Body   []byte
	Event  event.Event // the data of the body
}

// endpoint is an HTTP server without a network, so that it can be used where time is not real.
type endpoint struct {
	t     testing.TB
	conns chan net.Conn

	mu     sync.Mutex
	got    []request
	answer func(w http.ResponseWriter, r request)
}

// connect gives a sink an endpoint, at every URL, that answers 200 at first.
func connect(t testing.TB, s *webhook.Sink) *endpoint {
	t.Helper()
	e := &endpoint{t: t, conns: make(chan net.Conn)}
	closed := make(chan struct{})
	tr := s.HTTPTransport()
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case e.conns <- server:
			return client, nil
		case <-closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	server := &http.Server{Handler: e}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener{e.conns, closed}) //nolint:errcheck // it always ends with one
	}()
	t.Cleanup(func() {
		close(closed)
		tr.CloseIdleConnections()
		if err := server.Shutdown(context.Background()); err != nil { // when handlers have ended
			t.Error(err)
		}
		<-done
	})
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := receive(e.t, r)
	e.mu.Lock()
	e.got = append(e.got, req)
	answer := e.answer
	e.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

// set changes what is answered from now on.
func (e *endpoint) set(answer func(http.ResponseWriter, request)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

// take returns what came since it was last called.
func (e *endpoint) take() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

// receive reads a request as a receiver would.
func receive(t testing.TB, r *http.Request) request {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("the body of a request: %v", err)
	}
	if err := webhook.Verify([][]byte{secret}, r.Header, body, time.Now()); err != nil {
		t.Errorf("a request to %s: %v", r.URL, err)
	}
	var m struct{ Data event.Event }
	if err := json.Unmarshal(body, &m); err != nil {
		t.Errorf("a request with %s: %v", body, err)
	}
	return request{Header: r.Header.Clone(), Body: body, Event: m.Data}
}

// status answers with a status, and headers by their names and values.
func status(code int, header ...string) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// hang answers nothing, not even when the client has gone, before the test ends.
func hang(t testing.TB) func(http.ResponseWriter, request) {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	return func(http.ResponseWriter, request) { <-end }
}

// letters takes dead letters, unless it fails.
type letters struct {
	mu    sync.Mutex
	got   []request
	fails error
}

func (l *letters) take(_ context.Context, e event.Event, _ error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails == nil {
		l.got = append(l.got, request{Event: e})
	}
	return l.fails
}

// all returns those that it took, as if they had come to an endpoint.
func (l *letters) all() []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

// listener has the connections that a transport makes.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (listener) Close() error   { return nil }
func (listener) Addr() net.Addr { return &net.UnixAddr{} }

// config returns one that is complete, for an endpoint of [connect] or of the loopback.
func config(change ...func(*webhook.Config)) webhook.Config {
	cfg := webhook.Config{
		URL:     "http://endpoint.example/events",
		Secrets: [][]byte{secret},
		Source:  "https://registry.example",
		Allow:   []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Dead:    (&letters{fails: errors.New("no dead letter is expected")}).take,
	}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

func newSink(t testing.TB, change ...func(*webhook.Config)) *webhook.Sink {
	t.Helper()
	s, err := webhook.New(config(change...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// moved returns an event of now.
func moved() event.Event {
	return event.Event{
		ID: "NLSIY2CJBZUD7N4NCI7WFNHMUH", Type: event.TagMoved, Time: time.Now().UTC(), Account: "123456789012",
		Repository: "hat", RepositoryID: 7, Principal: "123456789012/owner", Digest: "sha256:00", Tag: "v1",
	}
}
