package ecrpublic_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"

	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
)

func TestNewNeedsRegistryAndKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, cfg := range map[string]ecrpublic.Config{"nothing": {}, "no keys": {Registry: w.Registry}, "no registry": {Keys: w.accounts}} {
		if _, err := ecrpublic.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What is no request of the protocol is answered in the protocol, and nothing is stored.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	before := w.rows()
	const body = `{"repositoryName":"coat"}`
	for _, test := range []struct {
		name         string
		method, path string
		header       []string // a pair with "" removes the header
		body         string
		want         []string
	}{
		{name: "unknown operation", header: []string{"X-Amz-Target", prefix + "ListImages"}, want: []string{"UnknownOperationException"}},
		{name: "operation of private ECR", header: []string{"X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.CreateRepository"}, want: []string{"UnknownOperationException"}},
		{name: "operation in other letters", header: []string{"X-Amz-Target", prefix + "createRepository"}, want: []string{"UnknownOperationException"}},
		{name: "operation with more behind it", header: []string{"X-Amz-Target", prefix + "CreateRepository.x"}, want: []string{"UnknownOperationException"}},
		{name: "no operation", header: []string{"X-Amz-Target", prefix}, want: []string{"UnknownOperationException"}},
		{name: "no target", header: []string{"X-Amz-Target", ""}, want: []string{"UnknownOperationException"}},
		{name: "target without prefix", header: []string{"X-Amz-Target", "CreateRepository"}, want: []string{"UnknownOperationException"}},
		{name: "GET", method: "GET", want: []string{"UnknownOperationException"}},
		{name: "PUT", method: "PUT", want: []string{"UnknownOperationException"}},
		{name: "DELETE", method: "DELETE", want: []string{"UnknownOperationException"}},
		{name: "OPTIONS", method: "OPTIONS", want: []string{"UnknownOperationException"}},
		{name: "another path", path: "/x", want: []string{"UnknownOperationException"}},
		{name: "two slashes", path: "//", want: []string{"UnknownOperationException"}},
		{name: "POST to a logo", path: "/-/logo/acme/hat/x.png", want: []string{"UnknownOperationException"}},
		{name: "JSON 1.0", header: []string{"Content-Type", "application/x-amz-json-1.0"}, want: []string{"SerializationException"}},
		{name: "form", header: []string{"Content-Type", "application/x-www-form-urlencoded"}, want: []string{"SerializationException"}},
		{name: "plain text, as pages of other hosts can send it", header: []string{"Content-Type", "text/plain"}, want: []string{"SerializationException"}},
		{name: "JSON", header: []string{"Content-Type", "application/json"}, want: []string{"SerializationException"}},
		{name: "no type", header: []string{"Content-Type", ""}, want: []string{"SerializationException"}},
		{name: "empty body", body: " ", want: []string{"InvalidParameterException"}},
		{name: "array", body: `[{"repositoryName":"coat"}]`, want: []string{"SerializationException"}},
		{name: "something behind", body: body + body, want: []string{"SerializationException"}},
		{name: "deep", body: `{"repositoryName":"coat","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}", want: []string{"SerializationException"}},
		{name: "10 MB", body: `{"repositoryName":"` + strings.Repeat("a", 10<<20) + `"}`, want: []string{"InvalidParameterException", "SerializationException", "RequestEntityTooLargeException"}},
		{name: "10 MB of nothing behind", body: body + strings.Repeat(" ", 10<<20), want: []string{"InvalidParameterException", "SerializationException", "RequestEntityTooLargeException"}},
		{name: "40 MB to an operation with large bodies", header: []string{"X-Amz-Target", prefix + "UploadLayerPart"}, body: `{"layerPartBlob":"` + strings.Repeat("A", 40<<20) + `"}`, want: []string{"InvalidParameterException", "SerializationException", "RequestEntityTooLargeException"}},
	} {
		if test.method == "" {
			test.method = "POST"
		}
		if test.body == "" {
			test.body = body
		}
		req := w.a.request("CreateRepository", test.body, test.header...)
		req.Method, req.URL.Path = test.method, "/"+strings.TrimPrefix(test.path, "/")
		if test.path == "//" {
			req.URL.Path = test.path
		}
		w.a.sign(req, test.body)
		r := w.do(req)
		r.check() // also without a target
		if !slices.Contains(test.want, r.exception()) {
			t.Errorf("%s: status %d and %.200s, want %s", test.name, r.status, r.body, strings.Join(test.want, " or "))
		}
		w.unchanged(t, test.name, before)
	}
}

// Neither a charset nor other letters make another type of it.
func TestContentTypeWithParameters(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	for _, contentType := range []string{jsonType + "; charset=utf-8", "Application/X-AMZ-JSON-1.1", jsonType + ";"} {
		w.a.send("DescribeRepositories", "{}", "Content-Type", contentType).ok()
	}
}

// An operation without input may come without a body (section 1.1).
func TestEmptyBody(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	for _, operation := range []string{"GetAuthorizationToken", "GetRegistryCatalogData", "DescribeRegistries", "DescribeRepositories", "PutRegistryCatalogData"} {
		w.a.send(operation, "").ok()
		w.a.send(operation, " \n").ok()
	}
}

// Requests that nobody, or not their sender, has signed.
func TestSignatures(t *testing.T) {
	t.Parallel()
	w, upload := matrixWorld(t)
	before := w.rows()
	for operation, test := range operationInputs {
		body := marshal(test.good(upload))
		for _, forged := range []struct {
			name   string
			change func(req *http.Request)
			want   string
		}{
			{"unsigned", func(req *http.Request) { req.Header.Del("Authorization") }, "MissingAuthenticationTokenException"},
			{"basic", func(req *http.Request) { req.SetBasicAuth(w.a.key.ID, w.a.key.Secret) }, "IncompleteSignatureException"},
			{"bearer", func(req *http.Request) { req.Header.Set("Authorization", "Bearer x") }, "IncompleteSignatureException"},
			{"other body", func(req *http.Request) { req.Body = io.NopCloser(strings.NewReader(body + "\n")) }, "InvalidSignatureException"},
			{"other operation", func(req *http.Request) {
				other := "DescribeRegistries"
				if operation == other {
					other = "DescribeRepositories"
				}
				req.Header.Set("X-Amz-Target", prefix+other)
			}, "InvalidSignatureException"},
			{"other host", func(req *http.Request) { req.Host = "another.example" }, "InvalidSignatureException"},
			{"another's key", func(req *http.Request) {
				req.Header.Set("Authorization", strings.Replace(req.Header.Get("Authorization"), w.a.key.ID, w.b.key.ID, 1))
			}, "InvalidSignatureException"},
			{"no such key", func(req *http.Request) {
				req.Header.Set("Authorization", strings.Replace(req.Header.Get("Authorization"), w.a.key.ID, "AKIANOBODY", 1))
			}, "UnrecognizedClientException"},
		} {
			req := w.a.request(operation, body+" ")
			forged.change(req)
			if r := w.do(req); r.exception() != forged.want {
				t.Errorf("%s, %s: status %d and %.200s, want %s", operation, forged.name, r.status, r.body, forged.want)
			}
			w.unchanged(t, operation+", "+forged.name, before)
		}
	}
}

// A key that was disabled is good for nothing at once.
func TestDisabledKey(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	if err := w.accounts.SetKey(t.Context(), w.a.key.ID, true); err != nil {
		t.Fatal(err)
	}
	w.a.send("DescribeRepositories", "{}").want("UnrecognizedClientException")
}

// A server with a port has what the SDK needs besides: the Date by which it sets its clock,
// and replies to bodies that it does not read.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	c := w.a.sdk(server.URL, server.Client())
	must(c.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: ptr("coat")}))(t)
	repo := must(c.DescribeRepositories(t.Context(), &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"coat"}}))(t).Repositories[0]
	same(t, "URI", *repo.RepositoryUri, strings.TrimPrefix(server.URL, "http://")+"/acme/coat")

	part := bytes.Repeat([]byte("0123456789"), 1<<20) // 10 MiB as clients send them
	w.a.Client = c
	w.a.upload("coat", part)

	for name, body := range map[string]io.Reader{
		"with a length":    bytes.NewReader(bytes.Repeat([]byte(" "), 40<<20)),
		"without a length": io.MultiReader(bytes.NewReader(bytes.Repeat([]byte(" "), 40<<20))),
	} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL, body)
		req.Header.Set("Content-Type", jsonType)
		req.Header.Set("X-Amz-Target", prefix+"UploadLayerPart")
		res, err := server.Client().Do(req)
		if err != nil {
			continue // the server may end the connection while the body comes
		}
		raw, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if at, err := http.ParseTime(res.Header.Get("Date")); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("%s: the Date is %q", name, res.Header.Get("Date"))
		}
		if res.StatusCode != 400 || !strings.Contains(string(raw), `"__type":"`) {
			t.Errorf("%s: status %d: %s", name, res.StatusCode, raw)
		}
	}
}

// Whoever begins large bodies and does not go on must not keep others from uploading: a
// signature is checked only after the whole body has come.
func TestLargeBodiesThatNeverComeDoNotBlockOthers(t *testing.T) {
	t.Parallel()
	w, upload := matrixWorld(t)
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	var conns []net.Conn
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	answered := make(chan struct{}, 32)
	for range 32 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		// The server asks for the body once it reads it, so that it is known when it does.
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nX-Amz-Target: %sUploadLayerPart\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", jsonType, prefix, 30<<20)
		go func() {
			if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				answered <- struct{}{}
			}
		}()
	}
	for range 16 {
		select {
		case <-answered:
		case <-time.After(5 * time.Second): // fewer are let in
		}
	}
	ok := make(chan error, 1)
	go func() {
		c := w.a.sdk(server.URL, server.Client())
		part := make([]byte, 4<<20)
		_, err := c.UploadLayerPart(t.Context(), &sdk.UploadLayerPartInput{
			RepositoryName: ptr("hat"), UploadId: &upload, PartFirstByte: ptr(int64(4)), PartLastByte: ptr(int64(len(part) + 3)), LayerPartBlob: part,
		})
		ok <- err
	}()
	select {
	case err := <-ok:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("32 requests without a signature, whose bodies never come, keep a signed one waiting")
	}
}

// The whole of a part's range can be used: what 20 MiB are as base64 (section 2.1).
func TestLargestPart(t *testing.T) {
	t.Parallel()
	w, upload := matrixWorld(t)
	blob := base64.StdEncoding.EncodeToString(make([]byte, 20<<20))
	const first, last = 4, 4 + (20 << 20) - 1
	body := fmt.Sprintf(`{"repositoryName":"hat","uploadId":"%s","partFirstByte":%d,"partLastByte":%d,"layerPartBlob":"%s"}`, upload, first, last, blob)
	got := w.a.send("UploadLayerPart", body).ok()
	same(t, "last byte", got["lastByteReceived"], float64(last))
}
