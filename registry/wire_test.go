package registry_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// The tests named TestB… hold the statements of what real clients need, by their numbers;
// those named TestC… hold how other registries were broken. What they expect is the
// distribution specification's word and that of the clients, spelled out here and not taken
// from the code under test.

// The media types, as they stand on the wire.
const (
	ociImage    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociEmpty    = "application/vnd.oci.empty.v1+json"
	dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
)

const (
	fourMiB     = 4 << 20
	emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// A second account, and a second principal of the first.
const (
	otherAccount = "210987654321"
	otherAlias   = "other"
)

var (
	ownerBasic = basicAuth(registrytest.Username, registrytest.Password)
	otherBasic = basicAuth("AKIAOTHEROTHEROTHERO", "other-secret-0123456789")
	mateBasic  = basicAuth("AKIAMATEMATEMATEMATE", "mate-secret-0123456789")

	otherPrincipal = auth.Principal{Account: otherAccount, Name: "other"}
)

// wire is a client of a registry. It checks what must hold for every reply.
type wire struct {
	*registrytest.Server
	t      testing.TB
	base   string
	rt     http.RoundTripper
	auth   string // the Authorization header
	issuer auth.Issuer
	broken bool // replies of 500 and more are expected
}

// newWire returns the owner's client of a registry with two accounts.
func newWire(t testing.TB, change ...func(*registry.Config)) *wire {
	t.Helper()
	w := &wire{t: t, base: "http://registry.example", auth: ownerBasic}
	accounts := func(c *registry.Config) {
		c.Authenticators = []auth.Authenticator{basic.New(basic.Static{
			registrytest.Username:  {Password: registrytest.Password, Principal: registrytest.Owner},
			"AKIAOTHEROTHEROTHERO": {Password: "other-secret-0123456789", Principal: otherPrincipal},
			"AKIAMATEMATEMATEMATE": {Password: "mate-secret-0123456789", Principal: auth.Principal{Account: registrytest.Account, Name: "mate"}},
		}, "test")}
	}
	keep := func(c *registry.Config) { w.issuer = c.Issuer }
	w.Server = registrytest.New(t, append(append([]func(*registry.Config){accounts}, change...), keep)...)
	if err := w.AddAlias(t.Context(), otherAccount, otherAlias); err != nil {
		t.Fatal(err)
	}
	w.rt = w.Transport()
	return w
}

// eachStore runs a test over memory and over SQLite.
func eachStore(t *testing.T, f func(t *testing.T, w *wire)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		f(t, newWire(t))
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		store, err := sqlmeta.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "meta.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		f(t, newWire(t, func(c *registry.Config) {
			tokens := token.New(registry.SigningKeys(store))
			c.Store, c.Issuer, c.Verifier = store, tokens, tokens
		}))
	})
}

// as returns a client with another Authorization header; "" is anonymous.
func (w *wire) as(authorization string) *wire {
	c := *w
	c.auth = authorization
	return &c
}

func (w *wire) anonymous() *wire { return w.as("") }

// at returns a client for another test of the same registry.
func (w *wire) at(t testing.TB) *wire {
	c := *w
	c.t = t
	return &c
}

// failing returns a client that expects internal errors.
func (w *wire) failing() *wire {
	c := *w
	c.broken = true
	return &c
}

// served returns a client that reaches the registry over TCP.
func (w *wire) served() *wire {
	server := httptest.NewServer(w.Server)
	transport := &http.Transport{DisableCompression: true}
	w.t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	c := *w
	c.base, c.rt = server.URL, transport
	return &c
}

// reply is a whole reply.
type reply struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	length int64
	body   []byte
}

// request makes a request. body is nil, a string, bytes or a reader, whose length the server
// is not told; header has names and values in turn.
func (w *wire) request(method, path string, body any, header ...string) *http.Request {
	w.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	case []byte:
		in = bytes.NewReader(b)
	case io.Reader:
		in = struct{ io.Reader }{b}
	default:
		w.t.Fatalf("a body of %T", body)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.auth != "" {
		req.Header.Set("Authorization", w.auth)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// send makes a request and returns the reply, having checked it.
func (w *wire) send(method, path string, body any, header ...string) *reply {
	w.t.Helper()
	r := &reply{t: w.t, what: method + " " + short(path)}
	res, err := w.rt.RoundTrip(w.request(method, path, body, header...))
	if err != nil {
		w.t.Errorf("%s: %v", r.what, err)
		return r
	}
	defer res.Body.Close()
	r.status, r.header, r.length = res.StatusCode, res.Header, res.ContentLength
	if r.body, err = io.ReadAll(res.Body); err != nil {
		w.t.Errorf("%s: body: %v", r.what, err)
	}
	w.check(method, r)
	return r
}

func short(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// codes are those of the distribution specification.
var codes = []string{
	"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID",
	"MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
}

var warning = regexp.MustCompile(`^299 - "[^"]*"$`)

// check holds what every reply must be.
func (w *wire) check(method string, r *reply) {
	w.t.Helper()
	if r.status >= 500 && !w.broken {
		w.t.Errorf("%s: %d %s", r.what, r.status, r.body)
	}
	if got := r.header.Get("Docker-Distribution-Api-Version"); got != "registry/2.0" && got != "" {
		w.t.Errorf("%s: Docker-Distribution-API-Version %q", r.what, got)
	}
	if e := r.header.Get("Content-Encoding"); e != "" {
		w.t.Errorf("%s: Content-Encoding %s", r.what, e)
	}
	if l := r.header.Get("Location"); l != "" && (!strings.HasPrefix(l, "/") || strings.HasPrefix(l, "//")) {
		w.t.Errorf("%s: Location %s does not stay on the host", r.what, l)
	}
	if r.status >= 300 && r.status != http.StatusNotModified && r.status < 400 {
		w.t.Errorf("%s: redirected: %d", r.what, r.status)
	}
	if r.status == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") == "" {
		w.t.Errorf("%s: 401 without a challenge", r.what)
	}
	warnings := 0
	for _, v := range r.header["Warning"] {
		if warnings += len(v); !warning.MatchString(v) || warnings > 4096 {
			w.t.Errorf("%s: Warning %s", r.what, v)
		}
	}
	empty := method == http.MethodHead || r.status == http.StatusNoContent || r.status == http.StatusNotModified
	if empty && len(r.body) > 0 {
		w.t.Errorf("%s: a reply of %d with a body of %d bytes", r.what, r.status, len(r.body))
	}
	if precondition := r.status == http.StatusPreconditionFailed && len(r.body) == 0; r.status >= 400 && !empty && !precondition {
		w.checkError(r)
	}
}

type errorReply struct {
	Errors []struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	} `json:"errors"`
}

// checkError holds a reply to the specification's form of errors.
func (w *wire) checkError(r *reply) {
	w.t.Helper()
	var e errorReply
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || dec.More() || len(e.Errors) == 0 {
		w.t.Errorf("%s: %d with a body that is no error of the specification: %.300q", r.what, r.status, r.body)
		return
	}
	for _, one := range e.Errors {
		known := slices.Contains(codes, one.Code) || r.status >= 500 && one.Code == "UNKNOWN"
		if !known || one.Message == "" {
			w.t.Errorf("%s: %d with code %q, message %q", r.what, r.status, one.Code, one.Message)
		}
	}
	if ct := r.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		w.t.Errorf("%s: an error of type %q", r.what, ct)
	}
	if len(r.body) > 16<<10 {
		w.t.Errorf("%s: an error of %d bytes", r.what, len(r.body))
	}
}

// want ends the test unless the status is one of these.
func (r *reply) want(statuses ...int) *reply {
	r.t.Helper()
	if !slices.Contains(statuses, r.status) {
		r.t.Fatalf("%s: %d %.500s; want %d", r.what, r.status, r.body, statuses)
	}
	return r
}

// is is want for replies that nothing else depends on.
func (r *reply) is(statuses ...int) *reply {
	r.t.Helper()
	if !slices.Contains(statuses, r.status) {
		r.t.Errorf("%s: %d %.500s; want %d", r.what, r.status, r.body, statuses)
	}
	return r
}

// has checks headers, given as names and values in turn.
func (r *reply) has(header ...string) *reply {
	r.t.Helper()
	for i := 0; i < len(header); i += 2 {
		if got := r.header.Values(header[i]); len(got) != 1 || got[0] != header[i+1] {
			r.t.Errorf("%s: %s %q, want %q", r.what, header[i], got, header[i+1])
		}
	}
	return r
}

// lacks checks that headers are not there.
func (r *reply) lacks(names ...string) *reply {
	r.t.Helper()
	for _, name := range names {
		if got := r.header.Values(name); len(got) > 0 {
			r.t.Errorf("%s: %s is %q, want none", r.what, name, got)
		}
	}
	return r
}

// code checks that the error has one of these codes.
func (r *reply) code(want ...string) *reply {
	r.t.Helper()
	var e errorReply
	if err := json.Unmarshal(r.body, &e); err != nil || len(e.Errors) == 0 || !slices.Contains(want, e.Errors[0].Code) {
		r.t.Errorf("%s: %d %.500s; want code %s", r.what, r.status, r.body, want)
	}
	return r
}

// content checks the body.
func (r *reply) content(want []byte) *reply {
	r.t.Helper()
	if !bytes.Equal(r.body, want) {
		r.t.Errorf("%s: %d bytes %.100q, want %d %.100q", r.what, len(r.body), r.body, len(want), want)
	}
	return r
}

// json reads the body.
func (r *reply) json(v any) *reply {
	r.t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%s: %v in %.300q", r.what, err, r.body)
	}
	return r
}

// same reports a difference.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(want, got) { // cmp takes seconds for megabytes
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%.1500s", what, diff)
	}
}

func basicAuth(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

func sha(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func sha512of(b []byte) string { return fmt.Sprintf("sha512:%x", sha512.Sum512(b)) }

// doc is a JSON document, or a part of one.
type doc map[string]any

func (d doc) bytes() []byte {
	raw, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return raw
}

// with returns a copy with more or other fields.
func (d doc) with(more doc) doc {
	all := doc{}
	for k, v := range d {
		all[k] = v
	}
	for k, v := range more {
		all[k] = v
	}
	return all
}

func descriptor(mediaType string, content []byte) doc {
	return doc{"mediaType": mediaType, "digest": sha(content), "size": len(content)}
}

// image is an OCI image manifest over blobs.
func image(config []byte, layers ...[]byte) doc {
	list := []doc{}
	for _, l := range layers {
		list = append(list, descriptor(ociLayer, l))
	}
	return doc{"schemaVersion": 2, "mediaType": ociImage, "config": descriptor(ociConfig, config), "layers": list}
}

// index is an OCI index over manifests of type ociImage.
func index(manifests ...[]byte) doc {
	list := []doc{}
	for _, m := range manifests {
		list = append(list, descriptor(ociImage, m))
	}
	return doc{"schemaVersion": 2, "mediaType": ociIndex, "manifests": list}
}

// artifact is an image manifest with the empty configuration.
func artifact(artifactType string) doc {
	return doc{
		"schemaVersion": 2, "mediaType": ociImage, "artifactType": artifactType,
		"config": descriptor(ociEmpty, []byte("{}")), "layers": []doc{descriptor(ociEmpty, []byte("{}"))},
	}
}

// start begins an upload and returns its location.
func (w *wire) start(repo string) string {
	w.t.Helper()
	return w.send("POST", "/v2/"+repo+"/blobs/uploads/", nil).want(202).header.Get("Location")
}

// closing returns an upload's location with the digest, as a client appends it.
func closing(location, digest string) string { return appended(location, "digest="+digest) }

func appended(location, param string) string {
	if strings.Contains(location, "?") {
		return location + "&" + param
	}
	return location + "?" + param
}

// pushBlob pushes as containerd does, and returns the digest.
func (w *wire) pushBlob(repo string, content []byte) string {
	w.t.Helper()
	d := sha(content)
	w.send("PUT", closing(w.start(repo), d), content).want(201)
	return d
}

// putDoc puts a manifest of the type that it says it has.
func (w *wire) putDoc(repo, ref string, d doc) *reply {
	w.t.Helper()
	mediaType, _ := d["mediaType"].(string)
	return w.put(repo, ref, mediaType, d.bytes())
}

func (w *wire) put(repo, ref, mediaType string, raw []byte) *reply {
	w.t.Helper()
	return w.send("PUT", "/v2/"+repo+"/manifests/"+ref, raw, "Content-Type", mediaType)
}

// pushed is an image that is in a repository.
type pushed struct {
	config, layer []byte
	raw           []byte
	digest        string
}

// pushImage pushes an image of one layer. seed makes it different from others.
func (w *wire) pushImage(repo, ref, seed string) pushed {
	w.t.Helper()
	p := pushed{config: []byte(`{"architecture":"amd64","os":"linux","author":"` + seed + `"}`), layer: []byte("layer of " + seed)}
	w.pushBlob(repo, p.config)
	w.pushBlob(repo, p.layer)
	p.raw = image(p.config, p.layer).bytes()
	p.digest = sha(p.raw)
	if ref == "" {
		ref = p.digest
	}
	w.put(repo, ref, ociImage, p.raw).want(201)
	return p
}

func (w *wire) tags(repo string) []string {
	w.t.Helper()
	var list struct {
		Name string
		Tags []string
	}
	w.send("GET", "/v2/"+repo+"/tags/list", nil).want(200).json(&list)
	return list.Tags
}

// private makes a private repository under [registrytest.Alias].
func (w *wire) private(name string) string {
	w.t.Helper()
	err := w.Store.Update(w.t.Context(), func(tx meta.Tx) error {
		return tx.Repositories().Put(meta.Repository{
			ID: 4242, Account: registrytest.Account, Name: name, Visibility: meta.Private, Created: time.Now().UTC(),
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return registrytest.Alias + "/" + name
}

type tokenReply struct {
	Token        string `json:"token"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
	IssuedAt     string `json:"issued_at"`
	Scope        string `json:"scope"`
}

// askToken asks for a token by GET, with the client's credentials.
func (w *wire) askToken(scopes ...string) (t tokenReply) {
	w.t.Helper()
	w.send("GET", "/token?"+url.Values{"service": {"registry.example"}, "scope": scopes}.Encode(), nil).want(200).json(&t)
	return t
}

// withToken returns a client with a token for scopes, which the client's credentials get.
func (w *wire) withToken(scopes ...string) *wire {
	w.t.Helper()
	return w.as("Bearer " + w.askToken(scopes...).Token)
}

// claims reads the body of a token.
func claims(t testing.TB, token string) (c map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// issue returns a token of the registry's issuer that /token would not give.
func (w *wire) issue(g auth.Grant) string {
	w.t.Helper()
	if g.Audience == "" {
		switch aud := claims(w.t, w.askToken().Token)["aud"].(type) {
		case string:
			g.Audience = aud
		case []any:
			g.Audience = aud[0].(string)
		}
	}
	token, err := w.issuer.Issue(w.t.Context(), g)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.Value
}

// challenge is a parsed WWW-Authenticate header of the Bearer scheme.
func challenge(r *reply) map[string]string {
	r.t.Helper()
	header := r.header.Get("WWW-Authenticate")
	rest, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		r.t.Fatalf("%s: challenge %q is not Bearer", r.what, header)
	}
	params := map[string]string{}
	for _, m := range regexp.MustCompile(`([a-z]+)="([^"]*)"(,|$)`).FindAllStringSubmatch(rest, -1) {
		params[m[1]] = m[2]
	}
	return params
}

// rows are all rows of a store that a client's request may change, by kind.
func (w *wire) rows() map[string][]any {
	w.t.Helper()
	all := map[string][]any{}
	err := w.Store.View(w.t.Context(), func(tx meta.Tx) error {
		return errorsOf(
			scan(all, "registry", tx.Registries()), scan(all, "alias", tx.Aliases()), scan(all, "repository", tx.Repositories()),
			scan(all, "manifest", tx.Manifests()), scan(all, "edge", tx.Edges()), scan(all, "tag", tx.Tags()),
			scan(all, "move", tx.Moves()), scan(all, "blob", tx.Blobs()), scan(all, "link", tx.Links()),
			scan(all, "upload", tx.Uploads()), scan(all, "review", tx.Reviews()), scan(all, "event", tx.Events()),
		)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func scan[K meta.Key, R any](all map[string][]any, kind string, table meta.Table[K, R]) error {
	for row, err := range table.Scan(meta.Range[K]{}) {
		if err != nil {
			return err
		}
		all[kind] = append(all[kind], row)
	}
	return nil
}

func errorsOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// visible are the rows without those of unfinished uploads and of what waits for review.
func (w *wire) visible() map[string][]any {
	w.t.Helper()
	all := w.rows()
	delete(all, "upload")
	delete(all, "review")
	return all
}
