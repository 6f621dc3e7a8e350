package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// call is one HTTP request on its way to an endpoint. It is the http.ResponseWriter too,
// to count what is sent.
type call struct {
	http.ResponseWriter
	r     *Registry
	req   *http.Request
	route route
	op    Op

	running bool // it counts among those that are worked on
}

// WriteHeader implements http.ResponseWriter.
func (c *call) WriteHeader(status int) {
	c.op.Status = status
	if status >= http.StatusBadRequest { // also what net/http says of a condition or a range
		c.op.Shared = false
		c.Header()["Cache-Control"] = noStore
	}
	for _, f := range c.op.onReply {
		f()
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *call) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.op.Sent += int64(n)
	return n, err
}

// ReadFrom hands a file to the kernel, where the server can.
func (c *call) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.send(r)
	c.op.Sent += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// ServeHTTP answers what is below /v2/, and /token. It is to be mounted without a prefix,
// because clients look for the API at the root of a host.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c := calls.Get().(*call)
	c.ResponseWriter, c.r, c.req = w, r, req
	c.op = Op{
		onReply: c.op.onReply, next: c.op.next,
		Began: time.Now(), Remote: r.remote(req), Method: req.Method, Path: req.URL.Path, UserAgent: req.UserAgent(), Secure: r.secure(req),
		Header: w.Header(), err: errPanic,
	}
	ended := false
	defer func() { // also of replies that are cut short
		r.observe(req.Context(), &c.op, c.op.err)
		if ended {
			clear(c.op.onReply)
			*c = call{op: Op{onReply: c.op.onReply[:0], next: c.op.next}}
			calls.Put(c)
		}
	}()
	err := c.begin()
	if c.op.err = err; err != nil {
		c.fail(err)
	}
	ended = true
}

// calls are used again: one is most of what a pull would leave to the garbage collector.
var calls = sync.Pool{New: func() any { return new(call) }}

// errPanic is what observers are told of a request that ended in none of the ways it should.
var errPanic = errors.New("registry: panic")

// begin serves the request, unless there is too much to do already.
func (c *call) begin() error {
	if c.r.running == nil {
		return c.serve()
	}
	select {
	case c.r.running <- struct{}{}:
	default:
		return &Error{Err: ErrUnavailable, Message: "the registry is busy, try again in a moment", Header: http.Header{"Retry-After": {"1"}}}
	}
	c.running = true
	defer c.finished()
	return c.serve()
}

// finished lets another request in.
func (c *call) finished() {
	if c.running {
		c.running = false
		<-c.r.running
	}
}

// apiVersion is what Docker's clients look for at /v2/.
var apiVersion = []string{"registry/2.0"}

func (c *call) serve() error {
	if raw := c.req.URL.RawPath; strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f") {
		return says(ErrNameInvalid, "a slash in the path must not be encoded")
	}
	c.route = parseRoute(c.req.URL.Path)
	if get := c.req.Method == http.MethodGet || c.req.Method == http.MethodHead; !get || c.route.kind != routeManifest && c.route.kind != routeBlob {
		// Not with content: a map of more than eight headers costs a pull twice as much.
		c.Header()["Docker-Distribution-Api-Version"] = apiVersion
		c.Header()["Cache-Control"] = noStore // unless keep says otherwise
	}
	methods := byRoute[c.route.kind]
	if methods == nil || c.route.kind == routeToken && c.r.cfg.Issuer == nil {
		return says(ErrNameUnknown, "there is nothing at this path")
	}
	e := methods[c.req.Method]
	if e == nil {
		for m := range methods {
			c.Header().Add("Allow", m)
		}
		slices.Sort(c.Header()["Allow"])
		return ErrUnsupported
	}
	c.op.Action, c.op.Name, c.op.asks, c.op.creates = e.action, c.route.name, e.asks, e.creates
	c.op.pulls = e.kind == routeManifest && !e.asks
	if e.kind == routeUpload {
		c.op.uploadID = meta.UploadID(c.route.ref)
	}
	if e.action == "" {
		c.op.wide = true
	} else if err := manifest.CheckName(c.op.Name); err != nil {
		c.op.Name = ""
		return err
	}
	if e.kind != routeToken {
		var err error
		if c.op.Identity, err = c.r.login(c.r.auth, c.req, e.action.Verb() == auth.Pull); err != nil {
			return err
		}
	}
	return e.serve(c)
}

// do carries the call's operation out through the pipeline.
func (c *call) do(act func(ctx context.Context) error) error {
	return c.r.do(c.req.Context(), &c.op, act)
}

// badCredentialError is answered with 401, also where anonymous would be let in: clients
// that keep old credentials must learn of it (moby#8376).
type badCredentialError struct{ err error }

func (e *badCredentialError) Error() string { return e.err.Error() }
func (e *badCredentialError) Unwrap() error { return e.err }

// json writes a reply with a body.
func (c *call) json(status int, contentType string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := c.Header()
	headers := [...]string{contentType, strconv.Itoa(len(body))}
	h["Content-Type"], h["Content-Length"] = headers[0:1:1], headers[1:2:2]
	c.WriteHeader(status)
	if c.req.Method == http.MethodHead {
		return nil
	}
	c.Write(body) //nolint:errcheck // the client has gone
	return nil
}

// empty writes a reply without a body.
func (c *call) empty(status int) error {
	if status != http.StatusNoContent {
		c.Header()["Content-Length"] = zeroLength
	}
	c.WriteHeader(status)
	return nil
}

var zeroLength = []string{"0"}

// fail writes the reply to an error, from the table.
func (c *call) fail(err error) {
	if c.op.Status != 0 {
		// The reply has begun: cut it short, so that nobody takes it for whole.
		c.r.cfg.Logger.ErrorContext(c.req.Context(), "reply cut short", "method", c.req.Method, "path", c.req.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
	if ctx := c.req.Context(); ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		panic(http.ErrAbortHandler) // there is nobody to answer
	}
	row, message, detail := wire(err)
	if row.status >= http.StatusInternalServerError {
		c.r.cfg.Logger.ErrorContext(c.req.Context(), "request failed", "method", c.req.Method, "path", c.req.URL.Path, "error", err)
	}
	h := c.Header()
	if own, ok := errors.AsType[*Error](err); ok {
		for name, values := range own.Header {
			h[name] = values
		}
	}
	if row.status == http.StatusUnauthorized {
		message = c.challenge(err, message)
		if h.Get("WWW-Authenticate") == "" {
			row, message = wireDenied, "this registry takes no credentials"
		}
	}
	h["X-Request-Id"] = []string{c.op.RequestID()}
	body := errorBody{}
	body.Errors[0].Code, body.Errors[0].Message, body.Errors[0].Detail = row.code, message, detail
	if err := c.json(row.status, "application/json", body); err != nil {
		c.r.cfg.Logger.ErrorContext(c.req.Context(), "error cannot be written", "error", err)
	}
}

var wireDenied, _, _ = wire(ErrDenied)

// errorBody is the specification's error document.
type errorBody struct {
	Errors [1]struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail,omitempty"`
	} `json:"errors"`
}

// challenge sets WWW-Authenticate and returns words that say what to do. A challenge for a
// token that was sent says what is wrong with it; without that containerd tries the same
// token five times.
func (c *call) challenge(err error, message string) string {
	reason := ""
	if scope := (*challengeError)(nil); errors.As(err, &scope) && scope.insufficient {
		reason = "insufficient_scope"
	}
	if bad := (*badCredentialError)(nil); errors.As(err, &bad) {
		reason = "invalid_token"
		message = fmt.Sprintf("the credentials are not valid; log in again, or remove them to pull what is public: docker logout %s", c.req.Host)
		if errors.Is(err, auth.ErrExpired) {
			message = fmt.Sprintf("the credentials have expired; log in again, or remove them to pull what is public: docker logout %s", c.req.Host)
		}
	}
	h := c.Header()
	if c.r.cfg.Issuer != nil {
		value := fmt.Sprintf(`Bearer realm="%s/token",service="%s"`, c.r.PublicURL(c.req), service(c.r.PublicURL(c.req)))
		if c.op.Name != "" {
			value += fmt.Sprintf(`,scope="%s"`, c.op.scope())
		}
		if reason != "" {
			value += fmt.Sprintf(`,error="%s"`, reason)
		}
		h.Set("WWW-Authenticate", value)
		return message
	}
	for _, a := range c.r.auth {
		if ch, ok := a.(auth.Challenger); ok {
			h.Add("WWW-Authenticate", ch.Challenge())
		}
	}
	return message
}

// service is the name that clients are asked to send to /token: the public host.
func service(publicURL string) string {
	_, host, _ := strings.Cut(publicURL, "://")
	return host
}

// getBase is end-1. It challenges anonymous clients, because docker keeps its credentials
// to itself if it does not (zot 7ceb01dc); without authenticators there is nothing to ask
// for.
func (c *call) getBase() error {
	return c.do(func(context.Context) error {
		if c.op.Identity.IsAnonymous() && c.op.Identity.Scope == nil && len(c.r.auth) > 0 {
			return ErrUnauthorized
		}
		return c.json(http.StatusOK, "application/json", struct{}{})
	})
}

// number reads a query parameter that counts something: -1 where it is not given, and as
// much as an int holds where it is more.
func (c *call) number(name string) (int, error) {
	s := c.req.URL.Query().Get(name)
	if s == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if errors.Is(err, strconv.ErrRange) && s[0] != '-' {
		return n, nil
	}
	if err != nil || n < 0 {
		return 0, says(ErrBadRequest, "%s must be a number of 0 or more", name)
	}
	return n, nil
}
