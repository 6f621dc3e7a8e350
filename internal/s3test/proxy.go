package s3test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// Proxy stands before a server, counts what it is asked, and is busy when told to be.
type Proxy struct {
	// Busy makes it answer 503 SlowDown.
	Busy atomic.Bool
	// What came, with what was refused.
	Gets, Puts, Deletes, Lists, Refused atomic.Int64

	front *httptest.Server
	pass  httputil.ReverseProxy
}

// Proxy starts a proxy that ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	p := &Proxy{}
	p.pass.Rewrite = func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: s.addr})
		r.Out.Host = r.In.Host // which is signed
	}
	p.pass.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusServiceUnavailable) }
	p.front = httptest.NewServer(p)
	t.Cleanup(p.front.Close)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.front.Listener.Addr().String() }

const slowDown = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && (q.Has("list-type") || q.Has("uploads")):
		p.Lists.Add(1)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		p.Gets.Add(1)
	case r.Method == http.MethodDelete:
		p.Deletes.Add(1)
	default:
		p.Puts.Add(1)
	}
	if p.Busy.Load() {
		p.Refused.Add(1)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(slowDown)) //nolint:errcheck // the client has gone
		return
	}
	p.pass.ServeHTTP(w, r)
}
