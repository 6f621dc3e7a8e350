package registry_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// dial opens a connection to the registry of a served client.
func (w *wire) dial() *net.TCPConn {
	w.t.Helper()
	u, err := url.Parse(w.base)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// raw sends text as it is, ends the sending, and returns the reply, or nil if there is none.
func (w *wire) raw(text string) *reply {
	w.t.Helper()
	c := w.dial()
	if _, err := io.WriteString(c, text); err != nil {
		w.t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		w.t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	return w.readReply(c, method, short(text))
}

func (w *wire) readReply(c net.Conn, method, what string) *reply {
	w.t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	r := &reply{t: w.t, what: what, status: res.StatusCode, header: res.Header}
	if r.body, err = io.ReadAll(res.Body); err != nil {
		w.t.Errorf("%s: body: %v", what, err)
	}
	if r.header.Get("Docker-Distribution-Api-Version") != "" { // net/http refuses some by itself
		w.check(method, r)
	} else if r.status >= 500 {
		w.t.Errorf("%s: %d", what, r.status)
	}
	return r
}

// head is a request up to its body.
func (w *wire) head(method, path string, header ...string) string {
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: registry.example\r\n", method, path)
	if w.auth != "" {
		text += "Authorization: " + w.auth + "\r\n"
	}
	for i := 0; i < len(header); i += 2 {
		text += header[i] + ": " + header[i+1] + "\r\n"
	}
	return text + "\r\n"
}

func TestBadInputBodyThatEndsEarlyLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWire(t).served()
	content, manifest := []byte("0123456789"), index().bytes()
	location := w.send("PATCH", w.start("test/hat"), content[:4]).want(202).header.Get("Location")
	unchanged := func(what string) {
		t.Helper()
		w.send("GET", location, nil).want(204).has("Range", "0-3")
		w.send("HEAD", "/v2/test/hat/blobs/"+sha(content), nil).is(404)
		w.send("GET", "/v2/test/hat/manifests/v1", nil).is(404)
		w.send("GET", "/v2/test/hat/manifests/"+sha(manifest), nil).is(404)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	long, chunked := []string{"Content-Length", "1000"}, []string{"Transfer-Encoding", "chunked"}
	for name, text := range map[string]string{
		"chunk of a known length":            w.head("PATCH", location, long...) + "456",
		"chunk of a known length, no byte":   w.head("PATCH", location, long...),
		"chunk with its range":               w.head("PATCH", location, "Content-Length", "6", "Content-Range", "4-9") + "456",
		"chunk of unknown length":            w.head("PATCH", location, chunked...) + "3\r\n456\r\n",
		"chunk cut within a piece":           w.head("PATCH", location, chunked...) + "6\r\n456",
		"chunk that is malformed":            w.head("PATCH", location, chunked...) + "3\r\n456\r\nzz\r\nx\r\n0\r\n\r\n",
		"closing chunk":                      w.head("PUT", closing(location, sha(content)), "Content-Length", "6") + "45678",
		"closing chunk, digest of the start": w.head("PUT", closing(location, sha(content[:7])), "Content-Length", "6") + "456",
		"closing chunk of unknown length":    w.head("PUT", closing(location, sha(content[:7])), chunked...) + "3\r\n456\r\n",
		"blob at once":                       w.head("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(content[:7]), "Content-Length", "10") + "0123456",
		"blob at once, unknown length":       w.head("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(content[:7]), chunked...) + "7\r\n0123456\r\n",
		"manifest":                           w.head("PUT", "/v2/test/hat/manifests/v1", "Content-Type", ociIndex, "Content-Length", "1000") + string(manifest),
		"manifest of unknown length":         w.head("PUT", "/v2/test/hat/manifests/v1", "Content-Type", ociIndex, "Transfer-Encoding", "chunked") + fmt.Sprintf("%x\r\n%s\r\n", len(manifest), manifest),
		"manifest by digest":                 w.head("PUT", "/v2/test/hat/manifests/"+sha(manifest)+"?tag=v1", "Content-Type", ociIndex, "Content-Length", "1000") + string(manifest),
		"form":                               w.head("POST", "/token", "Content-Type", "application/x-www-form-urlencoded", "Content-Length", "1000") + "grant_type=password",
		"headers":                            "PUT " + location + " HTTP/1.1\r\nHost: x\r\nContent-",
		"two lengths":                        w.head("PATCH", location, "Content-Length", "3", "Content-Length", "4") + "4567",
		"length and chunks":                  w.head("PATCH", location, "Content-Length", "1000", "Transfer-Encoding", "chunked") + "6\r\n456",
		"negative length":                    w.head("PATCH", location, "Content-Length", "-1"),
		"length beyond int64":                w.head("PATCH", location, "Content-Length", "99999999999999999999"),
		"length of the largest int64":        w.head("PATCH", location, "Content-Length", "9223372036854775807") + "4",
	} {
		if r := w.raw(text); r != nil && (r.status < 400 || r.status >= 500) {
			t.Errorf("%s: %d", name, r.status)
		}
		unchanged(name)
	}
	// Readers that fail within the process.
	failing := func(b []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errors.New("s3cr3t")))
	}
	in := *w
	in.base, in.rt = "http://registry.example", w.Transport()
	for _, r := range []*reply{
		in.send("PATCH", location, failing(content[4:])), in.send("PATCH", location, failing(nil)),
		in.send("PUT", closing(location, sha(content)), failing(content[4:])), in.send("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(content), failing(content)),
		in.send("PUT", "/v2/test/hat/manifests/v1", failing(manifest), "Content-Type", ociIndex),
		in.send("POST", "/token", failing([]byte("grant_type=password&")), "Content-Type", "application/x-www-form-urlencoded"),
	} {
		if r.is(400, 413); strings.Contains(string(r.body), "s3cr3t") {
			t.Errorf("%s: %s", r.what, r.body)
		}
	}
	unchanged("failing readers")
	w.send("PUT", closing(location, sha(content)), content[4:]).is(201)
}

// A client that waits for 100 Continue is refused before it sends.
func TestBadInputIsRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	w := newWire(t).served()
	location := w.start("test/hat")
	large := []string{"Expect", "100-continue", "Content-Length", "10737418240", "Content-Type", ociImage}
	for name, c := range map[string]struct {
		client       *wire
		method, path string
		want         int
	}{
		"manifest that is too large": {w, "PUT", "/v2/test/hat/manifests/v1", 413},
		"manifest of nobody":         {w.anonymous(), "PUT", "/v2/test/hat/manifests/v1", 401},
		"manifest of another":        {w.as(otherBasic), "PUT", "/v2/test/hat/manifests/v1", 403},
		"chunk of nobody":            {w.anonymous(), "PATCH", location, 401},
		"chunk of another":           {w.as(otherBasic), "PATCH", location, 403},
		"chunk of no upload":         {w, "PATCH", "/v2/test/hat/blobs/uploads/none", 404},
		"closing of no upload":       {w, "PUT", closing("/v2/test/hat/blobs/uploads/none", emptyDigest), 404},
		"closing with a bad digest":  {w, "PUT", closing(location, "sha256:x"), 400},
		"blob of nobody":             {w.anonymous(), "POST", "/v2/test/hat/blobs/uploads/?digest=" + emptyDigest, 401},
		"name out of grammar":        {w, "PUT", "/v2/test/Hat/manifests/v1", 400},
	} {
		conn := c.client.dial()
		if _, err := io.WriteString(conn, c.client.head(c.method, c.path, large...)); err != nil {
			t.Fatal(err)
		}
		// http.ReadResponse returns 100 as a reply, if it comes.
		r := c.client.readReply(conn, c.method, name)
		if r == nil {
			t.Errorf("%s: no reply", name)
			continue
		}
		r.is(c.want)
	}
	w.send("GET", location, nil).is(204).has("Range", "0-0")
}

func TestBadInputPathTricks(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	secret := w.private("secret")
	q := w.pushImage(secret, "v1", "secret")
	before := w.rows()
	for _, client := range []*wire{w, w.anonymous(), w.anonymous().served()} {
		for _, path := range []string{
			"/v2/test/hat/../secret/manifests/v1", "/v2/test/hat/%2e%2e/secret/manifests/v1", "/v2/test/%2e/hat/manifests/v1", "/v2/../v2/test/hat/manifests/v1",
			"/v2/test%2Fhat/manifests/v1", "/v2/test%2fhat/manifests/v1", "/v2/test/hat%2Fmanifests%2Fv1", "/v2%2Ftest/hat/manifests/v1", "/v2/test/hat/manifests%2Fv1",
			"/v2/test/hat%252Fmanifests/v1", "/v2/test/hat/manifests/..%2F..%2Fsecret%2Fmanifests%2Fv1", "/v2/test/hat/manifests/../../secret/manifests/v1",
			"/v2/test/hat/manifests/v1%00", "/v2/test/hat%00/manifests/v1", "/v2/test/hat/manifests/%00", "/v2/test/hat/blobs/%00", "/v2/test/hat/blobs/uploads/%00",
			"/v2/test/hat/blobs/" + sha(p.layer) + "%00", "/v2/test/hat/blobs/" + sha(p.layer) + "/", "/v2/test/hat/blobs/../blobs/" + sha(p.layer),
			"/v2/test/hat/blobs/sha256:../../../../etc/passwd", "/v2/test/hat/blobs/sha256%3A..", "/v2/test/hat/blobs/..", "/v2/test/hat/manifests/..", "/v2/test/hat/manifests/.",
			`/v2/test/hat%5C..%5Csecret/manifests/v1`, "/v2/test/hat;x=y/manifests/v1", "/v2/test/hat/manifests/v1;x=y", "/v2/test/hat/manifests/v1%3Fx", "/v2/test/hat%3F/manifests/v1",
			"/v2/test/hat%23/manifests/v1", "/v2/test/hat/manifests/v1%23", "/v2/test/hat%0D%0AX-Evil:%20x/manifests/v1", "/v2/test/hat/manifests/v1%0D%0AX-Evil:%20x",
			"/v2/test/%EF%BC%8E%EF%BC%8E/secret/manifests/v1", "/v2/test/hat%E2%80%8B/manifests/v1", "/v2/test/hat/manifests/%FF%FE", "/v2/%C0%AE%C0%AE/test/manifests/v1",
			"/v2/test//hat/manifests/v1", "//v2/test/hat/manifests/v1", "/v2//test/hat/manifests/v1", "/v2/test/hat//manifests/v1", "/v2/test/hat/manifests//v1", "/V2/test/hat/manifests/v1",
			"/v2/test/hat/manifests/v1/", "/v2/test/hat/manifests/v1/v1", "/v2/test/hat/Manifests/v1", "/v2/" + strings.Repeat("a/", 20_000) + "manifests/v1", "/v2/" + strings.Repeat("../", 20_000),
			"/v2/test/hat/blobs/uploads/../../manifests/v1", "/v2/test/hat/blobs/uploads/" + strings.Repeat("u", 100_000), "/v2/test/hat/tags/list/../list", "/v2/test/hat/referrers/%00",
			"/token/../v2/test/hat/manifests/v1", "/v2/_catalog/../test/hat/manifests/v1", "/v2/%5Fcatalog%00",
		} {
			for _, method := range []string{"GET", "HEAD", "DELETE", "PUT", "POST", "PATCH"} {
				r := client.send(method, path, nil)
				if r.status < 400 {
					t.Errorf("%s: %d", r.what, r.status)
				}
				if text := fmt.Sprint(r.header); strings.Contains(text, "X-Evil") || bytes.Contains(r.body, q.raw) {
					t.Errorf("%s: %s %.200s", r.what, text, r.body)
				}
			}
		}
	}
	same(t, "rows", w.rows(), before)
	// What is written otherwise than it need be is still the same.
	w.send("GET", "/v2/%74est/h%61t/manifests/%76%31", nil).is(200, 400, 404)
	w.send("GET", "/v2/test/hat/blobs/"+strings.Replace(sha(p.layer), ":", "%3A", 1), nil).is(200).content(p.layer)
	w.send("GET", "/v2/test/hat/manifests/"+strings.Replace(p.digest, ":", "%3a", 1), nil).is(200).content(p.raw)
	for _, from := range []string{"../secret", "test/../test/secret", "test%2F..%2Ftest%2Fsecret", "test/secret%00", "/test/secret", "test//secret", "test/secret/"} {
		w.as(otherBasic).send("POST", "/v2/other/hat/blobs/uploads/?from="+from+"&mount="+sha(q.layer), nil).is(202)
	}
}

func TestBadInputMegabyteHeaders(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	location := w.start("test/hat")
	served := w.served()
	read := map[string]bool{ // by a registry
		"Authorization": true, "Range": true, "If-None-Match": true, "Content-Type": true, "Content-Range": true, "X-Forwarded-For": true, "Accept": true,
	}
	for _, name := range []string{
		"Authorization", "Accept", "Accept-Encoding", "Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "Content-Type", "Content-Range", "Cookie",
		"User-Agent", "X-Forwarded-For", "Origin", "Referer", "X-Unknown", "Connection",
	} {
		for unit, text := range map[string]string{
			"x": strings.Repeat("x", 1_000_000), ",": strings.Repeat(",", 1_000_000), "0-,": "bytes=" + strings.Repeat("0-,", 300_000), `"",`: strings.Repeat(`"",`, 300_000),
			"1-1": strings.Repeat("1", 500_000) + "-" + strings.Repeat("1", 500_000), ";": "a/b" + strings.Repeat(";", 1_000_000), ";a=b": "a/b" + strings.Repeat("; a=b", 200_000),
		} {
			for _, client := range []*wire{w, served} {
				if unit != "x" && (client == served || !read[name]) {
					continue
				}
				c := client
				header := []string{name, text}
				if name == "Authorization" {
					c, header = client.as(text), nil
				}
				for _, r := range []*reply{
					c.send("GET", "/v2/test/hat/manifests/v1", nil, header...),
					c.send("GET", "/v2/test/hat/blobs/"+sha(p.layer), nil, header...),
					c.send("PATCH", location, "x", header...),
					c.send("PUT", "/v2/test/hat/manifests/v1", p.raw, append([]string{"Content-Type", ociImage}, header...)...),
				} {
					if r.status == 0 || r.status >= 500 {
						t.Errorf("%s of %s: %s: %d", name, unit, r.what, r.status)
					}
				}
			}
		}
	}
	// Beyond what net/http reads it answers by itself.
	r := served.raw("GET /v2/ HTTP/1.1\r\nHost: registry.example\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n")
	if r != nil && r.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("2 MiB: %d", r.status)
	}
	served.send("GET", "/v2/", nil).is(200)
}

func TestBadInputQueries(t *testing.T) {
	t.Parallel()
	w := newWire(t, catalog)
	p := w.pushImage("test/hat", "v1", "hat")
	before := w.visible()
	for _, q := range []string{
		"%", "%zz", ";", "&&&", "=", "a;b=c", "n=%00", "last=%00", "last=%FF", "n=1&n=2", "last=" + strings.Repeat("x", 100_000), "n=" + strings.Repeat("9", 100_000),
		"digest=%00", "digest=" + strings.Repeat("sha256:", 10_000), "mount=%00&from=%00", "mount=&from=", "from=test/hat", "mount=x&from=x&digest=x", "artifactType=%00",
		"artifactType=" + strings.Repeat("x", 100_000), strings.Repeat("artifactType=x&", 10_000), "digest-algorithm=%00", "tag=%00", "last=../../x", "last=sha256:x", "n=0&last=%00",
	} {
		for _, c := range [][2]string{
			{"GET", "/v2/"}, {"GET", "/v2/_catalog"}, {"GET", "/v2/test/hat/tags/list"}, {"GET", "/v2/test/hat/referrers/" + p.digest}, {"GET", "/v2/test/hat/manifests/v1"},
			{"GET", "/v2/test/hat/blobs/" + sha(p.layer)}, {"HEAD", "/v2/test/hat/blobs/" + sha(p.layer)}, {"POST", "/v2/test/hat/blobs/uploads/"},
			{"PUT", "/v2/test/hat/blobs/uploads/none"}, {"PUT", "/v2/test/hat/manifests/v2"}, {"DELETE", "/v2/test/hat/manifests/none"}, {"GET", "/token"},
		} {
			w.send(c[0], c[1]+"?"+q, nil) // checked to be no 5xx, and in form
		}
	}
	same(t, "rows", w.visible(), before)
}

// zot 7bb211bc: a malformed tag was a panic. More than these are fuzzed where they are parsed.
func TestCMalformedTextIsNoPanic(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	for _, text := range []string{
		"sha256-", "sha256-.sig", "sha256-" + strings.Repeat("0", 64) + ".sig", "-.sig", ".sig", ".att", "sha256-x.sbom", "sha256:", ":", "::", "@", "v1@sha256:x", "sha512-", "sha256", "_", "--", "..", "%25",
		"%F0%9F%8E%A9", "%C3%28", "%E2%28%A1", "%ED%A0%80", "$(id)", "'--", "%22", "%3Cscript%3E", "NaN", "null", "{}", "[]", strings.Repeat("%00", 50), strings.Repeat("v", 5000),
	} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"} {
			for _, path := range []string{"test/hat/manifests/" + text, "test/hat/blobs/" + text, "test/hat/referrers/" + text, "test/hat/blobs/uploads/" + text, text + "/manifests/v1", "test/" + text + "/tags/list", text} {
				w.send(method, "/v2/"+path, nil)
				w.anonymous().send(method, "/v2/"+path, nil)
			}
		}
		w.as("Bearer "+text).send("GET", "/v2/", nil).is(401)
		w.as("Basic "+text).send("GET", "/v2/", nil).is(401)
		w.as(text).send("GET", "/v2/", nil).is(401)
		w.send("GET", "/token?scope="+text, nil).is(200)
		w.send("GET", "/token?scope=repository:"+text+":"+text, nil).is(200)
		w.send("GET", "/v2/test/hat/tags/list?last="+text, nil).is(200)
		w.put("test/hat", "v2", text, p.raw).is(400, 201)
		w.send("PATCH", "/v2/test/hat/blobs/uploads/none", "x", "Content-Range", text).is(400, 404, 416)
	}
	for _, remote := range []string{"", "x", "1.2.3.4", "[::1]:x", "@", "/run/socket"} { // of a Unix socket
		req := inbound(w.request("GET", "/v2/test/hat/manifests/v1", nil))
		req.RemoteAddr = remote
		s := &sink{header: http.Header{}}
		w.ServeHTTP(s, req)
		if s.n != int64(len(p.raw)) {
			t.Errorf("from %q: %d bytes", remote, s.n)
		}
	}
}

// A client that goes away takes nothing with it.
func TestBadInputClientThatGoesAway(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		w = w.served()
		content := text(1 << 20)
		location := w.start("test/hat")
		for range 5 {
			conn := w.dial()
			if _, err := io.WriteString(conn, w.head("PATCH", location, "Content-Length", fmt.Sprint(len(content)))+string(content[:1000])); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetLinger(0); err != nil { // a reset
				t.Fatal(err)
			}
			conn.Close()
			w.send("GET", location, nil).want(204).has("Range", "0-0")
		}
		// A request that the server only now begins to read may still take the upload from this
		// one; its client is then told to go on from where it was.
		r := w.send("PATCH", location, content)
		for i := 0; r.status == 416 && i < 5; i++ {
			r = w.send("PATCH", r.has("Range", "0-0").header.Get("Location"), content)
		}
		r.want(202).has("Range", fmt.Sprint("0-", len(content)-1))
		w.send("PUT", closing(location, sha(content)), nil).want(201)
		for range 5 { // of a download
			conn := w.dial()
			if _, err := io.WriteString(conn, w.head("GET", "/v2/test/hat/blobs/"+sha(content))); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).is(200).content(content)
	})
}
