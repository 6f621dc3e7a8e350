//go:build unix

package model

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// requestTime is how long a request may take before it counts as lost.
const requestTime = 2 * time.Minute

// client makes requests of all nodes.
type client struct {
	http  *http.Client
	basic []string // the header Authorization
}

func newClient(user, password string, workers int) *client {
	return &client{
		http:  &http.Client{Timeout: requestTime, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2 * workers}},
		basic: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))},
	}
}

// request is what a node is asked.
type request struct {
	method, path string
	body         []byte
	header       []string // names and values
	anonymous    bool
	cut          int // if more than 0, the client goes away after as many bytes
}

// answer is a whole reply.
type answer struct {
	node         int
	method, path string
	status       int
	header       http.Header
	body         []byte
	began, ended time.Time
}

// errCut is the error of a body whose sender goes away.
var errCut = errors.New("the client goes away")

type cutBody struct{ io.Reader }

func (c cutBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = errCut
	}
	return n, err
}

// send makes a request. An error means that no whole answer came.
func (c *client) send(ctx context.Context, n int, base string, r request) (*answer, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	if r.cut > 0 {
		body = cutBody{bytes.NewReader(r.body[:r.cut])}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(r.body))
	if !r.anonymous {
		req.Header["Authorization"] = c.basic
	}
	for i := 0; i < len(r.header); i += 2 {
		req.Header.Set(r.header[i], r.header[i+1])
	}
	a := &answer{node: n, method: r.method, path: r.path, began: time.Now()}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if r.method != http.MethodHead && res.ContentLength != 0 {
		buf := bytes.NewBuffer(make([]byte, 0, max(res.ContentLength, 0)+bytes.MinRead))
		if _, err := buf.ReadFrom(res.Body); err != nil {
			return nil, err
		}
		a.body = buf.Bytes()
	}
	a.ended = time.Now()
	return a, nil
}

// problem is the specification's error document.
type problem struct {
	Errors []struct {
		Code   string `json:"code"`
		Detail struct {
			Digests []string `json:"digests"`
		} `json:"detail"`
	} `json:"errors"`
}

// code returns what the answer calls an error, and the digests that it is about.
func (a *answer) code() (code string, digests []string) {
	var p problem
	if err := json.Unmarshal(a.body, &p); err != nil || len(p.Errors) != 1 {
		return "", nil
	}
	return p.Errors[0].Code, p.Errors[0].Detail.Digests
}
