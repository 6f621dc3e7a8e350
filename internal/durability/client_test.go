package durability

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client is an account's, on one connection to each server that it talks to. It makes one
// request at a time.
type client struct {
	pick    func() string // host:port for the next request
	host    string        // of the last
	account account
	http    *http.Client
	before  func() // called before each request
}

// requestTime is how long a request may take.
const requestTime = time.Minute

func newClient(host string, before func()) *client {
	if before == nil {
		before = func() {}
	}
	return &client{
		pick: func() string { return host }, account: owner, before: before,
		http: &http.Client{Timeout: requestTime, Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is a whole reply.
type answer struct {
	what   string
	status int
	header http.Header
	body   []byte
}

// want is an error unless the status is one of these.
func (a *answer) want(statuses ...int) error {
	for _, s := range statuses {
		if a.status == s {
			return nil
		}
	}
	return &statusError{fmt.Sprintf("%s: %d %.300s; want %d", a.what, a.status, a.body, statuses), a.status}
}

// statusError is an answer that should have been another, which no kill excuses.
type statusError struct {
	text   string
	status int
}

func (e *statusError) Error() string { return e.text }

// send makes a request. An error means that no whole answer came.
func (c *client) send(ctx context.Context, method, path string, body io.Reader, header ...string) (*answer, error) {
	c.before()
	c.host = c.pick()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.host+path, body)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(c.account.AccessKeyID, c.account.SecretAccessKey)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{what: method + " " + c.host + path, status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	return a, nil
}

// sendFor is send that wants one of some statuses.
func (c *client) sendFor(ctx context.Context, want []int, method, path string, body io.Reader, header ...string) (*answer, error) {
	a, err := c.send(ctx, method, path, body, header...)
	if err == nil {
		err = a.want(want...)
	}
	return a, err
}

var (
	created  = []int{http.StatusCreated}
	accepted = []int{http.StatusAccepted}
	empty    = []int{http.StatusNoContent}
)

// post begins an upload and returns its location.
func (c *client) post(ctx context.Context, repo string) (string, error) {
	a, err := c.sendFor(ctx, accepted, "POST", "/v2/"+repo+"/blobs/uploads/", nil)
	if err != nil {
		return "", err
	}
	return a.header.Get("Location"), nil
}

// patch adds a chunk to an upload.
func (c *client) patch(ctx context.Context, location string, chunk []byte) error {
	_, err := c.sendFor(ctx, accepted, "PATCH", location, bytes.NewReader(chunk))
	return err
}

// put finishes an upload, with its last bytes.
func (c *client) put(ctx context.Context, location, digest string, rest []byte) error {
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	_, err := c.sendFor(ctx, created, "PUT", location+separator+"digest="+digest, bytes.NewReader(rest))
	return err
}

// whole pushes a blob in one request.
func (c *client) whole(ctx context.Context, repo string, b blob) error {
	_, err := c.sendFor(ctx, created, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+b.digest, b.reader())
	return err
}

// mount takes a blob from another repository, and reports whether that was done.
func (c *client) mount(ctx context.Context, repo string, digest, from string) (bool, error) {
	a, err := c.sendFor(ctx, []int{http.StatusCreated, http.StatusAccepted}, "POST", "/v2/"+repo+"/blobs/uploads/?mount="+digest+"&from="+from, nil)
	return err == nil && a.status == http.StatusCreated, err
}

// manifest pushes an image's manifest to a tag or digest.
func (c *client) manifest(ctx context.Context, repo, reference string, img image) error {
	_, err := c.sendFor(ctx, created, "PUT", "/v2/"+repo+"/manifests/"+reference, bytes.NewReader(img.raw), "Content-Type", imageType)
	return err
}

// remove deletes a manifest, a tag or a blob.
func (c *client) remove(ctx context.Context, path string) error {
	_, err := c.sendFor(ctx, accepted, "DELETE", path, nil)
	return err
}
