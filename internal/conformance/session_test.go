package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// step is a row of a table: one request, and the reply that it must get.
type step struct {
	name    string
	request request
	want    want
}

// request is what a step sends. Its methods return it with more to it.
type request struct {
	method string
	path   string   // begins with /v2/, or is the name of a saved Location in braces
	params []string // of the query, names and values in turn
	header []string // names and values in turn
	body   []byte   // nil: none
	stream bool     // the body's length is not announced
}

func to(method, path string) request { return request{method: method, path: path} }

// param adds a parameter to the query that the URL has.
func (r request) param(name, value string) request {
	r.params = append(slices.Clip(r.params), name, value)
	return r
}

func (r request) with(name, value string) request {
	r.header = append(slices.Clip(r.header), name, value)
	return r
}

// sending adds a body and its length.
func (r request) sending(body []byte) request {
	r.body, r.stream = body, false
	return r.with("Content-Type", octetStream)
}

// streaming adds a body without its length: HTTP/1.1 sends it with Transfer-Encoding
// chunked.
func (r request) streaming(body []byte) request {
	r.body, r.stream = body, true
	return r.with("Content-Type", octetStream)
}

// manifest adds a manifest, as streaming does.
func (r request) manifest(d document) request {
	r.body, r.stream = d.raw, true
	return r.with("Content-Type", d.descriptor.MediaType)
}

// accepting names the media types as two headers.
func (r request) accepting() request {
	return r.with("Accept", ociIndex).with("Accept", ociImage)
}

// want is what a reply must be. Its methods return it with more to it.
type want struct {
	status  []int                        // one of these
	headers []func(h http.Header) string // each says what is wrong
	bodies  []func(body []byte) string   // each says what is wrong
	save    string                       // name for the Location, which must be there
	update  string                       // name for the Location, if there is one
}

func status(list ...int) want { return want{status: list} }

func (w want) rule(f func(h http.Header) string) want {
	w.headers = append(slices.Clip(w.headers), f)
	return w
}

// has demands that one of a header's values is this one.
func (w want) has(name, value string) want {
	return w.rule(func(h http.Header) string {
		if got := h.Values(name); !slices.Contains(got, value) {
			return fmt.Sprintf("%s is %q, want %q", name, got, value)
		}
		return ""
	})
}

// lists is has for headers whose values are lists.
func (w want) lists(name, value string) want {
	return w.rule(func(h http.Header) string {
		for _, v := range h.Values(name) {
			for item := range strings.SplitSeq(v, ",") {
				if strings.TrimSpace(item) == value {
					return ""
				}
			}
		}
		return fmt.Sprintf("%s is %q, want %q among them", name, h.Values(name), value)
	})
}

func (w want) lacks(name string) want {
	return w.rule(func(h http.Header) string {
		if got := h.Values(name); len(got) > 0 {
			return fmt.Sprintf("%s is %q, want none", name, got)
		}
		return ""
	})
}

func (w want) matches(name string, re *regexp.Regexp) want {
	return w.rule(func(h http.Header) string {
		if got := h.Get(name); !re.MatchString(got) {
			return fmt.Sprintf("%s is %q, want %v", name, got, re)
		}
		return ""
	})
}

func (w want) digest(d digest.Digest) want { return w.has("Docker-Content-Digest", string(d)) }
func (w want) length(n int) want           { return w.has("Content-Length", strconv.Itoa(n)) }

// reading looks at the body.
func (w want) reading(f func(body []byte) string) want {
	w.bodies = append(slices.Clip(w.bodies), f)
	return w
}

// content demands a body, which may be empty.
func (w want) content(body []byte) want {
	return w.reading(func(got []byte) string {
		if !bytes.Equal(got, body) {
			return fmt.Sprintf("%d bytes %.80q, want %d bytes %.80q", len(got), got, len(body), body)
		}
		return ""
	})
}

// saving demands a Location and keeps it.
func (w want) saving(name string) want {
	w.save = name
	return w
}

// updating keeps a Location, if there is one.
func (w want) updating(name string) want {
	w.update = name
	return w
}

// counts are how much was checked.
type counts struct{ requests, checks, challenges int }

func (c counts) log(t *testing.T) {
	t.Helper()
	t.Logf("%d requests, %d checks, %d challenges", c.requests, c.checks, c.challenges)
}

// session is the suite's client. It sends a request without credentials or, if it keeps
// tokens, with one that it got for the repository and the class of request; it answers one
// 401 with a new token.
type session struct {
	t              *testing.T
	client         *http.Client
	base           string
	user, password string
	keeps          bool
	tokens         map[string]string   // by host, repository and class
	saved          map[string]*url.URL // Locations
	contents       int                 // how many were made
	counts
}

// setup is how a session is run.
type setup struct {
	name   string
	keeps  bool // tokens
	tls    bool // and so HTTP/2
	sparse bool // the registry allows what is missing
	nobody bool // no credentials
}

// newSession serves a new registry.
func newSession(t *testing.T, how setup) (*session, *registrytest.Server) {
	t.Helper()
	r := registrytest.New(t, func(c *registry.Config) { c.AllowMissing = how.sparse })
	server := httptest.NewUnstartedServer(r)
	server.EnableHTTP2 = true
	if how.tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	s := &session{
		t: t, client: server.Client(), base: server.URL, user: registrytest.Username, password: registrytest.Password,
		keeps: how.keeps, tokens: map[string]string{}, saved: map[string]*url.URL{},
	}
	if how.nobody {
		s.user, s.password = "", ""
	}
	return s, r
}

// table takes the steps of a table in turn. One that fails ends it only if those after it
// need its Location.
func (s *session) table(name string, steps ...step) {
	s.t.Run(name, func(t *testing.T) {
		for i, one := range steps {
			if !s.step(t, one) && one.want.save != "" {
				t.Fatalf("%d steps were left out", len(steps)-i-1)
			}
		}
	})
}

// step reports whether there was a reply with a status that is wanted.
func (s *session) step(t *testing.T, one step) bool {
	t.Helper()
	s.requests++
	name := fmt.Sprintf("%s: %s %.100s", one.name, one.request.method, one.request.path)
	req, err := s.build(t, one.request)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	res, err := s.send(req)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	s.checks++
	if !slices.Contains(one.want.status, res.StatusCode) {
		t.Errorf("%s: %s %#.300q; want %v", name, res.Status, res.body, one.want.status)
		return false
	}
	for _, rule := range one.want.headers {
		s.checks++
		if wrong := rule(res.Header); wrong != "" {
			t.Errorf("%s: %s: %s", name, res.Status, wrong)
		}
	}
	for _, rule := range one.want.bodies {
		s.checks++
		if wrong := rule(res.body); wrong != "" {
			t.Errorf("%s: %s: %s", name, res.Status, wrong)
		}
	}
	s.location(t, name, one.want, res)
	if res.StatusCode >= http.StatusBadRequest && req.Method != http.MethodHead {
		s.checks++
		checkError(t, name, res.body)
	}
	return true
}

// location keeps the Location of a reply.
func (s *session) location(t *testing.T, name string, w want, res *reply) {
	t.Helper()
	location := res.Header.Get("Location")
	if w.save != "" {
		s.checks++
	}
	if location == "" {
		if w.save != "" {
			t.Errorf("%s: %s without a Location", name, res.Status)
			delete(s.saved, w.save)
		}
		return
	}
	u, err := res.Request.URL.Parse(location)
	if err != nil {
		t.Errorf("%s: Location %q: %v", name, location, err)
		return
	}
	for _, as := range []string{w.save, w.update} {
		if as != "" {
			s.saved[as] = u
		}
	}
}

// codes are those that the specification has for errors.
var codes = []string{
	"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID",
	"MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
}

// checkError checks that a body is the specification's document of errors.
func checkError(t *testing.T, name string, body []byte) {
	t.Helper()
	var doc struct{ Errors []struct{ Code string } }
	if err := json.Unmarshal(body, &doc); err != nil || len(doc.Errors) == 0 || !slices.Contains(codes, doc.Errors[0].Code) {
		t.Errorf("%s: %#.300q is no error of the specification", name, body)
	}
}

// resolve returns the URL of a path, or a Location that was saved.
func (s *session) resolve(path string) (*url.URL, error) {
	name, ok := strings.CutPrefix(path, "{")
	if !ok {
		return url.Parse(s.base + path)
	}
	saved := s.saved[strings.TrimSuffix(name, "}")]
	if saved == nil {
		return nil, errors.New("no reply had a Location for this")
	}
	u := *saved
	return &u, nil
}

// build makes the request of a step.
func (s *session) build(t *testing.T, r request) (*http.Request, error) {
	u, err := s.resolve(r.path)
	if err != nil {
		return nil, err
	}
	if len(r.params) > 0 {
		q := u.Query()
		for pair := range slices.Chunk(r.params, 2) {
			q.Add(pair[0], pair[1])
		}
		u.RawQuery = q.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		// A body of a type that net/http does not know, with a length or with none.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
		if !r.stream {
			req.ContentLength = int64(len(r.body))
		}
	}
	for pair := range slices.Chunk(r.header, 2) {
		req.Header.Add(pair[0], pair[1])
	}
	return req, nil
}

// reply is a reply with its body.
type reply struct {
	*http.Response
	body []byte
}

func (s *session) roundTrip(req *http.Request) (*reply, error) {
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return &reply{res, body}, err
}

// send sends a request, and sends it once more with a token if it is told to.
func (s *session) send(req *http.Request) (*reply, error) {
	key := class(req)
	if token := s.tokens[key]; token != "" {
		req.Header.Set("Authorization", token)
	}
	res, err := s.roundTrip(req)
	if err != nil || res.StatusCode != http.StatusUnauthorized || s.user == "" {
		return res, err
	}
	token, err := s.token(req, res.Header.Get("WWW-Authenticate"))
	if err != nil {
		return nil, err
	}
	if s.keeps {
		s.tokens[key] = token
	}
	req.Header.Set("Authorization", token)
	if req.GetBody != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return s.roundTrip(req)
}

// class is what a token is kept for.
func class(req *http.Request) string {
	repo := ""
	for _, noun := range []string{"/blobs/", "/manifests/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(req.URL.Path, noun); i >= 0 {
			repo = req.URL.Path[:i]
		}
	}
	verb := req.Method
	switch verb {
	case http.MethodGet, http.MethodHead:
		verb = "pull"
	case http.MethodPost, http.MethodPatch, http.MethodPut:
		verb = "push"
	}
	return req.URL.Host + " " + repo + " " + verb
}

// token answers a challenge: the realm, asked for the service and scope with the user's name
// and password, has a token.
func (s *session) token(req *http.Request, challenge string) (string, error) {
	s.challenges++
	s.checks++
	scheme, params := parseChallenge(challenge)
	if !strings.EqualFold(scheme, "Bearer") || params["realm"] == "" || params["service"] == "" {
		return "", fmt.Errorf("401 with the challenge %q", challenge)
	}
	u, err := req.URL.Parse(params["realm"])
	if err != nil {
		return "", err
	}
	q := url.Values{"service": {params["service"]}}
	if params["scope"] != "" {
		q.Set("scope", params["scope"])
	}
	u.RawQuery = q.Encode()
	ask, err := http.NewRequestWithContext(req.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	ask.Header.Set("Accept", "application/json")
	ask.SetBasicAuth(s.user, s.password)
	res, err := s.roundTrip(ask)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token  string
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(res.body, &answer); err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("token: %s %#.300q, %v", res.Status, res.body, err)
	}
	// The suite prefers one, and its version 1.1 the other.
	if diff := cmp.Diff(answer.Token, answer.Access); diff != "" || answer.Token == "" {
		return "", fmt.Errorf("token is not access_token, or there is none:\n%s", diff)
	}
	return "Bearer " + answer.Token, nil
}

// parseChallenge reads a challenge whose values are all in quotes.
func parseChallenge(s string) (scheme string, params map[string]string) {
	params = map[string]string{}
	scheme, s, _ = strings.Cut(s, " ")
	for {
		name, rest, ok := strings.Cut(s, `="`)
		value, after, closed := strings.Cut(rest, `"`)
		if !ok || !closed {
			return scheme, params
		}
		params[strings.ToLower(name)] = value
		s = strings.TrimLeft(after, ", ")
	}
}
