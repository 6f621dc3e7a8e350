package importer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"
)

// TestPatience says after what a request is made again, and how long after.
func TestPatience(t *testing.T) {
	t.Parallel()
	status := func(code int, header ...string) *http.Response {
		res := &http.Response{StatusCode: code, Header: http.Header{}}
		if len(header) > 0 {
			res.Header.Set("Retry-After", header[0])
		}
		return res
	}
	for name, c := range map[string]struct {
		res      *http.Response
		err      error
		min, max time.Duration // 0: not again
	}{
		"found":                 {res: status(200)},
		"missing":               {res: status(404)},
		"refused":               {res: status(401)},
		"too many":              {res: status(429), min: 200 * time.Millisecond, max: time.Second},
		"too many, and when":    {res: status(429, "30"), min: 30 * time.Second, max: 30 * time.Second},
		"too many, until later": {res: status(429, "3600"), min: time.Minute, max: time.Minute},
		"a fault":               {res: status(500), min: 200 * time.Millisecond, max: time.Second},
		"a lost connection":     {err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}, min: 200 * time.Millisecond, max: time.Second},
		"nobody listens":        {err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, min: 200 * time.Millisecond, max: time.Second},
		"an early end":          {err: io.EOF, min: 200 * time.Millisecond, max: time.Second},
		"canceled":              {err: context.Canceled},
		"out of time":           {err: context.DeadlineExceeded},
		"no such host":          {err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}},
		"somebody else":         {err: &tls.CertificateVerificationError{Err: errors.New("expired")}},
	} {
		if c.err != nil {
			c.err = &url.Error{Op: "Get", URL: "https://registry.example/v2/", Err: c.err}
		}
		wait, err := patience.Retry(0, c.res, c.err)
		if again := err == nil && wait >= 0; again != (c.min > 0) || again && (wait < c.min || wait > c.max) {
			t.Errorf("%s: %v, %v", name, wait, err)
		}
		if wait, err := patience.Retry(5, c.res, c.err); err == nil && wait >= 0 {
			t.Errorf("%s: again a sixth time", name)
		}
	}
}
