package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/registry/event"
)

// Whatever an endpoint does, a try ends. How the bodies of answers end does not matter.
func TestTryEnds(t *testing.T) {
	t.Parallel()
	drip := func(w http.ResponseWriter) {
		for range 100 {
			if _, err := w.Write([]byte(".")); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	for name, tt := range map[string]struct {
		answer    func(testing.TB) func(http.ResponseWriter, request)
		delivered bool
		after     time.Duration
	}{
		"no answer": {hang, false, 10 * time.Second},
		"a slow answer": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(http.ResponseWriter, request) { time.Sleep(9 * time.Second) }
		}, true, 9 * time.Second},
		"a body that drips": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(w http.ResponseWriter, _ request) { drip(w) }
		}, true, 10 * time.Second},
		"a refusal that drips": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(w http.ResponseWriter, _ request) { w.WriteHeader(400); drip(w) }
		}, false, 10 * time.Second},
		"a body without end": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(w http.ResponseWriter, _ request) {
				for err := error(nil); err == nil; {
					_, err = w.Write(bytes.Repeat([]byte("."), 1<<16))
				}
			}
		}, true, 0},
		"a body cut short": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(w http.ResponseWriter, _ request) {
				w.Header().Set("Content-Length", "10")
				w.Write([]byte("."))
			}
		}, true, 0},
		"a header without end": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(w http.ResponseWriter, _ request) {
				w.Header().Set("X-Long", string(bytes.Repeat([]byte("."), 1<<20)))
			}
		}, false, 0},
		"hints without end": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(w http.ResponseWriter, _ request) {
				for range 100 {
					w.WriteHeader(http.StatusEarlyHints)
					time.Sleep(time.Second)
				}
			}
		}, false, 10 * time.Second},
		"an end": {func(testing.TB) func(http.ResponseWriter, request) {
			return func(http.ResponseWriter, request) { panic(http.ErrAbortHandler) }
		}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSink(t)
				connect(t, s).set(tt.answer(t))
				start := time.Now() // of the bubble
				err := s.Deliver(t.Context(), moved())
				if (err == nil) != tt.delivered || time.Since(start) != tt.after {
					t.Errorf("after %v: %v; want delivered %v after %v", time.Since(start), err, tt.delivered, tt.after)
				}
			})
		})
	}
}

// A server that accepts no connection, as behind a firewall that answers nothing.
func TestConnectionThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		s.HTTPTransport().DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		start := time.Now() // of the bubble
		if err := s.Deliver(t.Context(), moved()); !errors.Is(err, event.ErrUnavailable) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(30 * time.Second) // until the connection is given up too
	})
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		e := connect(t, s)
		dials, dial := 0, s.HTTPTransport().DialContext
		s.HTTPTransport().DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			return dial(ctx, network, address)
		}
		for _, size := range []int{0, 1, 1 << 10, 8 << 10} {
			for _, code := range []int{200, 400, 503} {
				e.set(func(w http.ResponseWriter, _ request) {
					w.WriteHeader(code)
					w.Write(make([]byte, size))
				})
				if err := s.Deliver(t.Context(), moved()); (err == nil) != (code == 200) {
					t.Errorf("%d: %v", code, err)
				}
			}
		}
		if dials != 1 {
			t.Errorf("%d connections for 12 requests one after another", dials)
		}
	})
}
