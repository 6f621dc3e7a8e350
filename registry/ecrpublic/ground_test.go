package ecrpublic_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accounts"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// Two accounts, of which the first has an alias from the start.
const (
	accountA = "123456789012"
	accountB = "210987654321"
	aliasA   = "acme"
	host     = "registry.example"
	base     = "http://" + host
	prefix   = "SpencerFrontendService."
	jsonType = "application/x-amz-json-1.1"
)

// world is a registry with its control plane, over memory and without a port.
type world struct {
	*registry.Registry
	t        testing.TB
	store    meta.Store
	bucket   storage.Bucket
	accounts *accounts.Store
	handler  http.Handler

	// The root principal of each account, and a user that no policy allows anything.
	a, b, userA, userB *client

	mu   sync.Mutex
	seen map[string]int // requests by operation
}

// client is one principal's, with both the SDK and requests by hand.
type client struct {
	*sdk.Client
	w         *world
	key       auth.AccessKey
	principal auth.Principal
}

func newWorld(t testing.TB, change ...func(*registry.Config)) *world {
	t.Helper()
	w := &world{t: t, store: memmeta.New(), bucket: gocloud.New(memblob.OpenBucket(nil)), seen: map[string]int{}}
	cfg := registry.Config{Store: w.store, Bucket: w.bucket, AliasDecider: registry.Always{}}
	w.accounts = accounts.New(w.store)
	tokens := token.New(registry.SigningKeys(w.store))
	cfg.Issuer, cfg.Verifier, cfg.AccessKeys = tokens, tokens, w.accounts
	cfg.Authenticators = []auth.Authenticator{basic.NewKeys(w.accounts, "test")}
	cfg.Evaluators = []policy.Evaluator{policy.Public{}, iam.New(w.accounts, registry.Policies{Store: w.store})}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if w.Registry, err = registry.New(cfg); err != nil {
		t.Fatal(err)
	}
	control, err := ecrpublic.New(ecrpublic.Config{Registry: w.Registry, Keys: w.accounts})
	if err != nil {
		t.Fatal(err)
	}
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if p := req.URL.Path; p == "/v2" || strings.HasPrefix(p, "/v2/") || p == "/token" {
			w.Registry.ServeHTTP(rw, req)
			return
		}
		control.ServeHTTP(rw, req)
	})
	if err := w.AddAlias(t.Context(), accountA, aliasA); err != nil {
		t.Fatal(err)
	}
	w.a, w.userA = w.client(accountA, auth.Root), w.client(accountA, "user/ann")
	w.b, w.userB = w.client(accountB, auth.Root), w.client(accountB, "user/bob")
	return w
}

// client returns a client with a new access key.
func (w *world) client(account, name string) *client {
	w.t.Helper()
	c := &client{w: w, principal: auth.Principal{Account: account, Name: name}}
	var err error
	if c.key, err = w.accounts.CreateKey(w.t.Context(), c.principal); err != nil {
		w.t.Fatal(err)
	}
	c.Client = c.sdk(base, &http.Client{Transport: w})
	return c
}

// sdk returns the SDK's client, which tries again as it always does, but at once.
func (c *client) sdk(endpoint string, over *http.Client) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: over,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: c.key.ID, SecretAccessKey: c.key.Secret}, nil
		}),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			o.RateLimiter = ratelimit.None
		}),
	})
}

// allow attaches an identity policy that allows some actions on everything.
func (c *client) allow(actions ...string) {
	c.w.t.Helper()
	c.attach(statement("Allow", actions...))
}

func (c *client) attach(statements ...map[string]any) {
	c.w.t.Helper()
	for _, s := range statements {
		if s["Resource"] == nil {
			s["Resource"] = "*"
		}
	}
	if err := c.w.accounts.PutPolicy(c.w.t.Context(), c.principal, "test", document(statements...)); err != nil {
		c.w.t.Fatal(err)
	}
}

func statement(effect string, actions ...string) map[string]any {
	s := map[string]any{"Effect": effect, "Action": []string{}}
	for _, a := range actions {
		s["Action"] = append(s["Action"].([]string), "ecr-public:"+a)
	}
	return s
}

// to names the principals of a statement.
func to(s map[string]any, arns ...string) map[string]any {
	s["Principal"] = map[string]any{"AWS": arns}
	return s
}

func document(statements ...map[string]any) string {
	return marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
}

func marshal(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// RoundTrip hands a request to the handler as a server would.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr = in.URL.RequestURI(), "192.0.2.1:1234"
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	} else {
		defer in.Body.Close()
		if in.ContentLength == 0 && in.Body != http.NoBody {
			in.ContentLength = -1
		}
	}
	if target, ok := strings.CutPrefix(in.Header.Get("X-Amz-Target"), prefix); ok {
		w.mu.Lock()
		w.seen[target]++
		w.mu.Unlock()
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, in)
	res := rec.Result()
	res.Request = req
	return res, nil
}

// requests returns how many requests for an operation came while f ran.
func (w *world) requests(operation string, f func()) int {
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.seen[operation]
	}
	before := count()
	f()
	return count() - before
}

// reply is that to a request by hand.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// request builds a request of the control plane, signed as it is, unless the key is empty.
func (c *client) request(target, body string, header ...string) *http.Request {
	c.w.t.Helper()
	req, err := http.NewRequestWithContext(c.w.t.Context(), "POST", base+"/", strings.NewReader(body))
	if err != nil {
		c.w.t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", prefix+target)
	req.Header.Set("Content-Type", jsonType)
	for i := 0; i < len(header); i += 2 {
		if req.Header.Del(header[i]); header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	c.sign(req, body)
	return req
}

func (c *client) sign(req *http.Request, body string) {
	c.w.t.Helper()
	sum := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(req.Context(), aws.Credentials{AccessKeyID: c.key.ID, SecretAccessKey: c.key.Secret},
		req, hex.EncodeToString(sum[:]), "ecr-public", "us-east-1", time.Now())
	if err != nil {
		c.w.t.Fatal(err)
	}
}

// send calls an operation by hand. An input that is not text is written as JSON.
func (c *client) send(operation string, input any, header ...string) *reply {
	c.w.t.Helper()
	body, ok := input.(string)
	if !ok {
		body = marshal(input)
	}
	return c.w.do(c.request(operation, body, header...))
}

func (w *world) do(req *http.Request) *reply {
	w.t.Helper()
	res, err := w.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &reply{w.t, res.StatusCode, res.Header, string(raw)}
	if req.Header.Get("X-Amz-Target") != "" {
		r.check()
	}
	return r
}

// check checks what holds for every reply of the control plane (section 1.2, 1.3).
func (r *reply) check() {
	r.t.Helper()
	if got := r.header.Get("Content-Type"); got != jsonType {
		r.t.Errorf("Content-Type %q, want %q", got, jsonType)
	}
	if id := r.header.Get("X-Amzn-Requestid"); !uuid.MatchString(id) {
		r.t.Errorf("x-amzn-RequestId %q is no UUID", id)
	}
	if !json.Valid([]byte(r.body)) || !strings.HasPrefix(r.body, "{") {
		r.t.Errorf("the body is no JSON object: %.200s", r.body)
	}
	if r.status == 200 {
		if r.exception() != "" {
			r.t.Errorf("an exception with status 200: %s", r.body)
		}
		return
	}
	if want := map[bool]int{true: 500, false: 400}[r.exception() == "ServerException"]; r.status != want {
		r.t.Errorf("status %d of %s, want %d", r.status, r.exception(), want)
	}
	if got := r.header.Get("X-Amzn-Errortype"); got != "" && got != r.exception() {
		r.t.Errorf("x-amzn-ErrorType %q differs from __type %q", got, r.exception())
	}
	if r.exception() == "" || r.message() == "" {
		r.t.Errorf("the error has no __type or no message: %s", r.body)
	}
}

func (r *reply) member(name string) string {
	var members map[string]any
	if err := json.Unmarshal([]byte(r.body), &members); err != nil {
		r.t.Errorf("%v: %.200s", err, r.body)
	}
	s, _ := members[name].(string)
	return s
}

func (r *reply) exception() string { return r.member("__type") }
func (r *reply) message() string   { return r.member("message") }

// ok requires a success and returns the output.
func (r *reply) ok() map[string]any {
	r.t.Helper()
	if r.status != 200 {
		r.t.Fatalf("status %d: %s", r.status, r.body)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(r.body), &out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// want requires one of some exceptions.
func (r *reply) want(names ...string) *reply {
	r.t.Helper()
	for _, name := range names {
		if r.exception() == name {
			return r
		}
	}
	r.t.Errorf("status %d and %.300s, want %s", r.status, r.body, strings.Join(names, " or "))
	return r
}

// rows are all that the store holds, by table, and the names of the objects in the bucket.
func (w *world) rows() map[string][]any {
	w.t.Helper()
	all := map[string][]any{}
	err := w.store.View(w.t.Context(), func(tx meta.Tx) error {
		v := reflect.ValueOf(&tx).Elem()
		for i := range v.Type().NumMethod() {
			m := v.Type().Method(i)
			if m.Type.NumIn() != 0 || m.Type.NumOut() != 1 || !strings.HasPrefix(m.Type.Out(0).Name(), "Table[") {
				continue
			}
			scan := v.Method(i).Call(nil)[0].MethodByName("Scan")
			for row, err := range scan.Call([]reflect.Value{reflect.Zero(scan.Type().In(0))})[0].Seq2() {
				if !err.IsNil() {
					return err.Interface().(error)
				}
				all[m.Name] = append(all[m.Name], row.Interface())
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for o, err := range w.bucket.List(w.t.Context(), "", "") {
		if err != nil {
			w.t.Fatal(err)
		}
		all["objects"] = append(all["objects"], o.Key)
	}
	return all
}

// unchanged fails if the store or the bucket is not as it was.
func (w *world) unchanged(t testing.TB, what string, before map[string][]any) {
	t.Helper()
	after := w.rows()
	if reflect.DeepEqual(before, after) { // cmp is slow
		return
	}
	for _, table := range slices.Sorted(maps.Keys(after)) {
		if !reflect.DeepEqual(before[table], after[table]) {
			t.Errorf("%s changed %s (-before +after):\n%.2000s", what, table, cmp.Diff(before[table], after[table]))
		}
	}
	for table := range before {
		if after[table] == nil {
			t.Errorf("%s emptied %s", what, table)
		}
	}
	clear(before) // so that one change is told once
	maps.Copy(before, after)
}

// typed finds the SDK's error and says what it is: its Go type, code and message.
func typed(err error) (kind, message string) {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return fmt.Sprintf("%T", err), fmt.Sprint(err)
	}
	return fmt.Sprintf("%T", e), e.ErrorMessage()
}

// object is one of JSON.
type object = map[string]any

func sha(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func ptr[T any](v T) *T { return &v }

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// same fails if two values differ.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// image is a manifest whose blobs are in a repository.
type image struct {
	raw           string
	digest        string
	config, layer []byte
}

const (
	ociImage  = "application/vnd.oci.image.manifest.v1+json"
	ociIndex  = "application/vnd.oci.image.index.v1+json"
	ociConfig = "application/vnd.oci.image.config.v1+json"
	ociLayer  = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// imageOf makes an image of a layer, without pushing anything.
func imageOf(layer string) image {
	i := image{config: []byte(`{"os":"linux","architecture":"amd64"}`), layer: []byte(layer)}
	i.raw = marshal(object{
		"schemaVersion": 2, "mediaType": ociImage,
		"config": object{"mediaType": ociConfig, "digest": sha(i.config), "size": len(i.config)},
		"layers": []any{object{"mediaType": ociLayer, "digest": sha(i.layer), "size": len(i.layer)}},
	})
	i.digest = sha([]byte(i.raw))
	return i
}

func indexOf(images ...image) image {
	var list []any
	for _, i := range images {
		list = append(list, object{"mediaType": ociImage, "digest": i.digest, "size": len(i.raw), "platform": object{"os": "linux", "architecture": "amd64"}})
	}
	raw := marshal(object{"schemaVersion": 2, "mediaType": ociIndex, "manifests": list})
	return image{raw: raw, digest: sha([]byte(raw))}
}

// upload puts a blob into a repository by the control plane, in one part.
func (c *client) upload(repository string, blob []byte) {
	c.w.t.Helper()
	ctx := c.w.t.Context()
	start := must(c.InitiateLayerUpload(ctx, &sdk.InitiateLayerUploadInput{RepositoryName: &repository}))(c.w.t)
	must(c.UploadLayerPart(ctx, &sdk.UploadLayerPartInput{
		RepositoryName: &repository, UploadId: start.UploadId, PartFirstByte: ptr(int64(0)), PartLastByte: ptr(int64(len(blob) - 1)), LayerPartBlob: blob,
	}))(c.w.t)
	must(c.CompleteLayerUpload(ctx, &sdk.CompleteLayerUploadInput{
		RepositoryName: &repository, UploadId: start.UploadId, LayerDigests: []string{sha(blob)},
	}))(c.w.t)
}

// push puts an image with its blobs into a repository, as root of the client's account.
func (c *client) push(repository string, i image, tags ...string) image {
	c.w.t.Helper()
	root := c.w.As(auth.Principal{Account: c.principal.Account, Name: auth.Root})
	name := c.principal.Account + "/" + repository
	for _, blob := range [][]byte{i.config, i.layer} {
		if blob != nil {
			if err := root.PushBlob(c.w.t.Context(), name, manifest.Digest(sha(blob)), bytes.NewReader(blob)); err != nil {
				c.w.t.Fatal(err)
			}
		}
	}
	if _, err := root.PushManifest(c.w.t.Context(), name, "", []byte(i.raw), tags...); err != nil {
		c.w.t.Fatal(err)
	}
	return i
}

// create makes repositories.
func (c *client) create(names ...string) {
	c.w.t.Helper()
	for _, name := range names {
		must(c.CreateRepository(c.w.t.Context(), &sdk.CreateRepositoryInput{RepositoryName: &name}))(c.w.t)
	}
}
