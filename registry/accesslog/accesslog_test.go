package accesslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// record is a line as JSON. What differs from run to run is taken out, once it was seen to be
// there.
type record = map[string]any

func records(t *testing.T, lines *bytes.Buffer) (list []record) {
	t.Helper()
	for d := json.NewDecoder(lines); ; {
		var r record
		if err := d.Decode(&r); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		if id, _ := r["request_id"].(string); id == "" {
			t.Errorf("no request_id in %v", r)
		}
		if d, _ := r["duration"].(float64); d <= 0 {
			t.Errorf("no duration in %v", r)
		}
		delete(r, "request_id")
		delete(r, "duration")
		delete(r, "time")
		list = append(list, r)
	}
}

// ground is a registry with an access log, and one image.
type ground struct {
	*registrytest.Server
	t     *testing.T
	lines *bytes.Buffer
	image manifest.Descriptor
}

var layer = []byte("0123456789")

func newGround(t *testing.T, change ...func(*registry.Config)) *ground {
	t.Helper()
	g := &ground{t: t, lines: new(bytes.Buffer)}
	g.Server = registrytest.New(t, append(change, func(c *registry.Config) {
		c.Observers = append(c.Observers, accesslog.New(slog.New(slog.NewJSONHandler(g.lines, nil))))
	})...)
	g.image = g.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
	if g.lines.Len() > 0 {
		t.Errorf("logged for what the process did itself: %s", g.lines)
	}
	return g
}

// send sends a request and returns what was logged for it.
func (g *ground) send(method, path, body string, header http.Header) (*http.Response, record) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, "https://registry.example"+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := g.Transport().RoundTrip(req)
	if err != nil {
		g.t.Fatal(err)
	}
	list := records(g.t, g.lines)
	if len(list) != 1 {
		g.t.Fatalf("%s %s: %d records, want 1: %v", method, path, len(list), list)
	}
	return res, list[0]
}

func basic(username, password string) http.Header {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(username, password)
	return req.Header
}

func TestRecords(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	blob := string(manifest.SHA256.FromBytes(layer))
	for _, tt := range []struct {
		name, method, path, body string
		header                   http.Header
		want                     record
	}{
		{
			name: "pull", method: "GET", path: "/v2/test/hat/manifests/v1", header: http.Header{"User-Agent": {"containerd/2.1"}},
			want: record{
				"operation": "GetManifest", "status": 200., "sent": float64(g.image.Size), "repository": "test/hat", "reference": "v1",
				"digest": string(g.image.Digest), "decision": "the repository is public", "user_agent": "containerd/2.1",
			},
		}, {
			name: "HEAD", method: "HEAD", path: "/v2/test/hat/manifests/v1",
			want: record{
				"operation": "HeadManifest", "status": 200., "repository": "test/hat", "reference": "v1", "digest": string(g.image.Digest),
				"decision": "the repository is public",
			},
		}, {
			name: "not modified", method: "GET", path: "/v2/test/hat/manifests/v1", header: http.Header{"If-None-Match": {string(g.image.Digest)}},
			want: record{
				"operation": "GetManifest", "status": 304., "repository": "test/hat", "reference": "v1", "digest": string(g.image.Digest),
				"decision": "the repository is public",
			},
		}, {
			name: "range of a blob", method: "GET", path: "/v2/test/hat/blobs/" + blob, header: http.Header{"Range": {"bytes=2-5"}},
			want: record{
				"operation": "GetBlob", "status": 206., "sent": 4., "repository": "test/hat", "reference": blob, "digest": blob,
				"decision": "the repository is public",
			},
		}, {
			name: "push", method: "POST", path: "/v2/test/hat/blobs/uploads/?digest=" + string(manifest.SHA256.FromBytes([]byte("new"))), body: "new",
			header: basic(registrytest.Username, registrytest.Password),
			want: record{
				"operation": "StartUpload", "status": 201., "received": 3., "repository": "test/hat", "principal": registrytest.Owner.String(),
				"digest":   string(manifest.SHA256.FromBytes([]byte("new"))),
				"decision": "the principal is of the account that owns the registry",
			},
		}, {
			name: "refused login", method: "GET", path: "/token?account=me&password=hunter2", header: basic(registrytest.Username, "hunter2"),
			want: record{"operation": "GetToken", "status": 401., "error": "*"},
		}, {
			name: "refused push", method: "PUT", path: "/v2/test/hat/manifests/v2", body: "{}",
			want: record{
				"operation": "PutManifest", "status": 401., "repository": "test/hat", "reference": "v2", "error": "authentication required",
				"decision": "no policy allows it",
			},
		}, {
			name: "nothing there", method: "GET", path: "/v2/test/hat/manifests/v2",
			want: record{
				"operation": "GetManifest", "status": 404., "repository": "test/hat", "reference": "v2", "error": "*",
				"decision": "the repository is public",
			},
		}, {
			name: "unknown path", method: "GET", path: "/v2/%1b[31mx%e2%80%ae/y%ff?token=hunter2",
			want: record{"operation": "Unknown", "status": 404., "path": "/v2/�[31mx�/y�", "error": "there is nothing at this path"},
		}, {
			name: "too much", method: strings.Repeat("X", 100), path: "/v2/" + strings.Repeat("é", 500),
			header: http.Header{"User-Agent": {strings.Repeat("u", 513)}},
			want: record{
				"operation": "Unknown", "status": 404., "method": strings.Repeat("X", 13) + "…", "error": "there is nothing at this path",
				"path": "/v2/" + strings.Repeat("é", 252) + "…", "user_agent": strings.Repeat("u", 509) + "…",
			},
		},
	} {
		// One after the other, because they have one log.
		t.Run(tt.name, func(t *testing.T) {
			g.t = t
			res, got := g.send(tt.method, tt.path, tt.body, tt.header)
			want := record{"level": "INFO", "msg": "request", "remote": "192.0.2.1", "principal": "anonymous", "method": tt.method}
			want["path"], _, _ = strings.Cut(tt.path, "?")
			if res.StatusCode >= 400 {
				want["sent"] = float64(res.ContentLength)
			}
			for name, value := range tt.want {
				want[name] = value
			}
			if text, _ := got["error"].(string); want["error"] == "*" && text != "" {
				want["error"] = text // words that are others' to choose
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got)\n%s", diff)
			}
			for _, value := range got {
				if s, ok := value.(string); ok && (strings.Contains(s, "hunter2") || strings.Contains(s, registrytest.Password)) {
					t.Errorf("a secret in %v", got)
				}
			}
		})
	}
}

func TestRequestIDIsTheReplys(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	s := registrytest.New(t, func(c *registry.Config) {
		c.Observers = []registry.Observer{accesslog.New(slog.New(slog.NewJSONHandler(&lines, nil)))}
	})
	res, err := s.Client().Get("https://registry.example/v2/test/none/tags/list")
	if err != nil {
		t.Fatal(err)
	}
	var got record
	if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if id := res.Header.Get("X-Request-Id"); id == "" || got["request_id"] != id {
		t.Errorf("the log has %v, the reply %q", got["request_id"], id)
	}
}

func TestClientThatIsGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := newGround(t, func(c *registry.Config) {
		c.Interceptors = []registry.Interceptor{func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Method != "" {
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
			return next(ctx)
		}}
	})
	req, err := http.NewRequestWithContext(ctx, "GET", "https://registry.example/v2/test/hat/manifests/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := g.Transport().RoundTrip(req); err == nil {
		res.Body.Close()
	}
	want := []record{{
		"level": "INFO", "msg": "request", "remote": "192.0.2.1", "principal": "anonymous", "operation": "GetManifest", "method": "GET",
		"path": "/v2/test/hat/manifests/v1", "repository": "test/hat", "reference": "v1", "status": 0., "error": "context canceled",
	}}
	if diff := cmp.Diff(want, records(t, g.lines)); diff != "" {
		t.Errorf("records (-want +got)\n%s", diff)
	}
}

func TestControlPlane(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	actor := g.AsIdentity(auth.Identity{Principal: registrytest.Owner}, registry.Client{Remote: netip.MustParseAddr("198.51.100.7"), UserAgent: "aws-cli/2"})
	if err := actor.DeleteTag(t.Context(), "test/hat", "v1"); err != nil {
		t.Fatal(err)
	}
	if err := actor.DeleteTag(t.Context(), "test/hat", "v1"); err == nil {
		t.Fatal("a tag was deleted twice")
	}
	// behind a proxy on the same machine there is no address
	local := g.AsIdentity(auth.Identity{Principal: registrytest.Owner}, registry.Client{UserAgent: "aws-cli/2"})
	if _, err := local.Manifest(t.Context(), "test/hat", string(g.image.Digest)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.As(auth.Principal{}).Manifest(t.Context(), "test/hat", string(g.image.Digest)); err != nil {
		t.Fatal(err) // as the gallery does
	}
	got := records(t, g.lines)
	if len(got) > 1 {
		delete(got[1], "error") // words that are others' to choose
	}
	owner := "the principal is of the account that owns the registry"
	deleted := record{
		"level": "INFO", "msg": "request", "remote": "198.51.100.7", "principal": registrytest.Owner.String(), "operation": "BatchDeleteImage",
		"repository": "test/hat", "reference": "v1", "decision": owner, "user_agent": "aws-cli/2",
	}
	read := record{
		"level": "INFO", "msg": "request", "principal": registrytest.Owner.String(), "operation": "BatchGetImage", "repository": "test/hat",
		"reference": string(g.image.Digest), "digest": string(g.image.Digest), "decision": "the repository is public", "user_agent": "aws-cli/2",
	}
	if diff := cmp.Diff([]record{deleted, deleted, read}, got); diff != "" {
		t.Errorf("records (-want +got)\n%s", diff)
	}
}

func TestOperation(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got string
	s := registrytest.New(t, func(c *registry.Config) {
		c.Catalog = true
		c.Observers = []registry.Observer{func(_ context.Context, op *registry.Op, _ error) {
			mu.Lock()
			defer mu.Unlock()
			got = accesslog.Operation(op)
		}}
	})
	const d = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/v2/", "CheckVersion"},
		{"HEAD", "/v2", "CheckVersion"},
		{"GET", "/token", "GetToken"},
		{"POST", "/token", "GetToken"},
		{"GET", "/v2/_catalog", "ListRepositories"},
		{"GET", "/v2/a/b/manifests/v1", "GetManifest"},
		{"HEAD", "/v2/a/b/manifests/" + d, "HeadManifest"},
		{"PUT", "/v2/a/b/manifests/v1", "PutManifest"},
		{"DELETE", "/v2/a/b/manifests/v1", "Delete"},
		{"GET", "/v2/a/b/blobs/" + d, "GetBlob"},
		{"HEAD", "/v2/a/b/blobs/" + d, "HeadBlob"},
		{"DELETE", "/v2/a/b/blobs/" + d, "Delete"},
		{"POST", "/v2/a/b/blobs/uploads/", "StartUpload"},
		{"PATCH", "/v2/a/b/blobs/uploads/1", "AppendUpload"},
		{"PUT", "/v2/a/b/blobs/uploads/1?digest=" + d, "FinishUpload"},
		{"GET", "/v2/a/b/blobs/uploads/1", "UploadStatus"},
		{"HEAD", "/v2/a/b/blobs/uploads/1", "UploadStatus"},
		{"DELETE", "/v2/a/b/blobs/uploads/1", "CancelUpload"},
		{"GET", "/v2/a/b/tags/list", "ListTags"},
		{"HEAD", "/v2/a/b/tags/list", "ListTags"},
		{"GET", "/v2/a/b/referrers/" + d, "ListReferrers"},
		{"GET", "/v2/a", "Unknown"},
		{"BREW", "/v2/a/b/manifests/v1", "Unknown"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "https://registry.example"+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Transport().RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("%s %s is %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
}
