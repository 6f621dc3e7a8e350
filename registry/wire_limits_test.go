package registry_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/storage"
)

// The tests of this file measure what is allocated in the whole process, so they do not run
// beside others.

// allocates checks that f allocates at most so many bytes, of which more cannot be in use.
func allocates(t *testing.T, what string, most uint64, f func()) {
	t.Helper()
	f() // what is made once
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > most {
		t.Errorf("%s: %d bytes were allocated, at most %d may be", what, got, most)
	}
}

const (
	oneMiB   = 1 << 20
	eightMiB = 8 << 20
	tenGiB   = 10 << 30
)

// zeros is a body without end.
type zeros struct{ read int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += int64(len(p))
	return len(p), nil
}

// CVE-2023-2253: a catalog of n names was allocated for any n.
func TestCHugeCountsAllocateNothing(t *testing.T) {
	w := newWire(t, catalog)
	p := w.pushImage("test/hat", "v1", "hat")
	for _, n := range []string{"1099511627776", "9223372036854775807", "18446744073709551616"} {
		for _, path := range []string{"/v2/_catalog", "/v2/test/hat/tags/list", "/v2/test/hat/referrers/" + p.digest} {
			allocates(t, path+"?n="+n, oneMiB, func() { w.send("GET", path+"?n="+n, nil).is(200, 400) })
			allocates(t, path+"?last, n="+n, oneMiB, func() { w.send("GET", path+"?last="+sha(nil)+"&n="+n, nil).is(200, 400) })
		}
	}
}

// distribution 55ea44042 and zot 35c29b95: a layer was read through /manifests, whole.
func TestCLargeBlobIsNotReadAsAManifest(t *testing.T) {
	w := newWire(t, tapped(&tap{}))
	w.pushImage("test/hat", "v1", "hat")
	d := w.plant("test/hat", tenGiB)
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		allocates(t, method, oneMiB, func() { w.send(method, "/v2/test/hat/manifests/"+d, nil).is(404) })
	}
	allocates(t, "HEAD of the blob", oneMiB, func() {
		w.send("HEAD", "/v2/test/hat/blobs/"+d, nil).is(200).has("Content-Length", "10737418240")
	})
	allocates(t, "referrers of the blob", oneMiB, func() { w.referrersPage("/v2/test/hat/referrers/" + d) })
	// Nor is it read where a manifest names it as its configuration.
	for _, kind := range []string{ociConfig, ociEmpty} {
		m := image(nil).with(doc{"config": doc{"mediaType": kind, "digest": d, "size": int64(tenGiB)}})
		allocates(t, "configuration of 10 GiB", oneMiB, func() { w.putDoc("test/hat", "v2", m).is(201, 400) })
		lying := image(nil).with(doc{"config": doc{"mediaType": kind, "digest": d, "size": 2}})
		allocates(t, "configuration that is said to be small", oneMiB, func() { w.putDoc("test/hat", "v2", lying).is(400) })
		allocates(t, "index of it", oneMiB, func() {
			w.putDoc("test/hat", "v2", index().with(doc{"manifests": []doc{{"mediaType": ociImage, "digest": d, "size": int64(tenGiB)}}})).is(400, 404)
		})
	}
}

func TestCLargeManifestIsRefusedWithinBounds(t *testing.T) {
	w := newWire(t)
	for _, ref := range []string{"v1", sha([]byte("large"))} {
		path := "/v2/test/hat/manifests/" + ref
		allocates(t, "of unknown length", eightMiB, func() {
			body := &zeros{}
			w.send("PUT", path, io.LimitReader(body, tenGiB), "Content-Type", ociImage).is(413)
			if body.read > eightMiB {
				t.Errorf("%d bytes were read", body.read)
			}
		})
		allocates(t, "of known length", oneMiB, func() {
			body := &zeros{}
			req := w.request("PUT", path, body, "Content-Type", ociImage)
			req.ContentLength = tenGiB
			res, err := w.rt.RoundTrip(req)
			if err != nil || res.StatusCode != 413 || body.read > 0 {
				t.Errorf("%v, %v, %d bytes were read", res, err, body.read)
			}
		})
		// Over TCP the server reads no more than it needs to answer.
		served := w.served()
		allocates(t, "over TCP", eightMiB, func() {
			res, err := served.rt.RoundTrip(served.request("PUT", path, io.LimitReader(&zeros{}, 64<<20), "Content-Type", ociImage))
			if err != nil { // the connection may end before the body does
				return
			}
			defer res.Body.Close()
			if res.StatusCode != 413 {
				t.Errorf("%s", res.Status)
			}
		})
	}
	w.send("GET", "/v2/test/hat/tags/list", nil).is(200, 404)
}

// An upload and a download take as much memory as their buffers, whatever their size.
func TestCLargeBlobsStream(t *testing.T) {
	const size = 64 << 20
	w := newWire(t, tapped(&tap{
		put: func(_ context.Context, r io.Reader) io.Reader {
			io.Copy(io.Discard, r) //nolint:errcheck // a test of memory
			return strings.NewReader("")
		},
		get: func(ctx context.Context, key string, off int64) (storage.Object, bool) {
			return &endless{size: size, off: off, ctx: ctx, closed: make(chan struct{})}, key == "planted"
		},
	}))
	location := w.start("test/hat")
	allocates(t, "PATCH", oneMiB, func() { w.send("PATCH", location, io.LimitReader(&zeros{}, size)).is(202) })
	d := w.plant("test/hat", size)
	allocates(t, "GET", oneMiB, func() {
		sink := &sink{header: map[string][]string{}}
		w.ServeHTTP(sink, inbound(w.request("GET", "/v2/test/hat/blobs/"+d, nil)))
		if sink.n != size {
			t.Errorf("%d bytes", sink.n)
		}
	})
}

// sink is a client that keeps nothing.
type sink struct {
	header http.Header
	n      int64
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}

func (s *sink) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return len(p), nil
}

// inbound is a client's request as a server has it.
func inbound(req *http.Request) *http.Request {
	in := req.Clone(req.Context())
	in.RequestURI, in.RemoteAddr, in.Host, in.Body = in.URL.RequestURI(), "192.0.2.1:1234", in.URL.Host, http.NoBody
	return in
}

// zot 708adf63: the memory of parsing a header was many times its length.
func TestCLongCredentialsAreRefusedWithinBounds(t *testing.T) {
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	dots := strings.Repeat(".", oneMiB)
	for name, credential := range map[string]string{
		"dots": "Bearer " + dots, "dots and text": "Bearer " + strings.Repeat("a.", oneMiB/2), "basic": "Basic " + strings.Repeat("QUFB", oneMiB/4),
		"scheme": dots, "spaces": "Bearer" + strings.Repeat(" ", oneMiB), "basic dots": "Basic " + dots, "short dots": "Bearer " + dots[:16<<10], "less": "Bearer " + dots[:8<<10],
	} {
		client := w.as(credential)
		allocates(t, name, oneMiB, func() {
			client.send("GET", "/v2/", nil).is(401)
			client.send("GET", "/v2/test/hat/manifests/v1", nil).is(401)
		})
	}
	for name, scope := range map[string]string{
		"long": "repository:" + strings.Repeat("a", oneMiB) + ":pull", "colons": strings.Repeat(":", oneMiB), "spaces": strings.Repeat("%20", 100_000),
		"many": strings.Repeat("repository:test/hat:pull%20", 20_000), "verbs": "repository:test/hat:" + strings.Repeat("pull,", 100_000), "parentheses": strings.Repeat("(", oneMiB),
	} {
		path := "/token?scope=" + scope
		var got tokenReply
		allocates(t, "scope: "+name, 4*uint64(len(path))+2*oneMiB, func() { w.send("GET", path, nil).want(200).json(&got) })
		if len(got.Token) > 32<<10 {
			t.Errorf("scope: %s: a token of %d bytes", name, len(got.Token))
		}
		w.as("Bearer "+got.Token).send("GET", "/v2/", nil).is(200) // it is no longer than what is accepted
	}
}

// zot 934b22d1: bodies had no limits.
func TestCTokenFormIsBounded(t *testing.T) {
	w := newWire(t).anonymous()
	const form = "application/x-www-form-urlencoded"
	allocates(t, "form", eightMiB, func() {
		body := &zeros{}
		w.send("POST", "/token", io.LimitReader(body, tenGiB), "Content-Type", form).is(413, 400)
		if body.read > eightMiB {
			t.Errorf("%d bytes were read", body.read)
		}
	})
	w.send("POST", "/token", "grant_type=password&scope="+strings.Repeat("a", oneMiB), "Content-Type", form).is(413, 400)
	w.send("POST", "/token", "grant_type=password&"+strings.Repeat("a&", 30_000), "Content-Type", form).is(400, 401, 413)
	w.send("POST", "/token", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\npassword\r\n--x--\r\n", "Content-Type", "multipart/form-data; boundary=x").is(400, 401, 415)
	w.send("GET", "/v2/", io.LimitReader(&zeros{}, tenGiB)).is(401) // bodies where none is looked for
	w.send("DELETE", "/v2/test/hat/manifests/v1", io.LimitReader(&zeros{}, tenGiB)).is(401)
}
