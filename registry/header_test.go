package registry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// with returns a call of a request with one header.
func with(name, value string) *call {
	req := httptest.NewRequest(http.MethodGet, "/v2/", nil)
	req.Header[name] = []string{value}
	return &call{r: &Registry{}, req: req}
}

func TestRanged(t *testing.T) {
	t.Parallel()
	const size = 1000
	for _, c := range []struct {
		header    string
		ok, whole bool
		length    int64
	}{
		{"bytes=0-0", true, false, 1}, {"bytes=0-", true, false, 1000}, {"bytes=999-", true, false, 1}, {"bytes=-1", true, false, 1}, {"bytes=-5000", true, false, 1000},
		{"bytes=900-5000", true, false, 100}, {"bytes=0-1, 5-6", true, false, 4}, {"bytes=0-1,2000-", true, false, 2}, {"bytes=0-9223372036854775807", true, false, 1000},
		{"bytes=1000-", false, false, 0}, {"bytes=-0", false, false, 0}, {"bytes=500-0", false, false, 0}, {"bytes=a-b", false, false, 0}, {"bytes=-", false, false, 0},
		{"bytes=1", false, false, 0}, {"bytes=+1-2", false, false, 0}, {"bytes=0-99999999999999999999", false, false, 0}, {"bytes=", false, false, 0},
		{"bytes=" + strings.Repeat("0-1,", 16) + "2-3", false, false, 0},
		{"lines=0-1", true, true, 1000}, {"0-1", true, true, 1000},
	} {
		req, asked, err := with("Range", c.header).ranged(size)
		if (err == nil) != c.ok || length(asked) != c.length {
			t.Errorf("%s: %v, %v", c.header, asked, err)
		}
		if c.ok && (req.Header.Get("Range") == "") != c.whole {
			t.Errorf("%s: passed on as %q", c.header, req.Header.Get("Range"))
		}
	}
	if req, _, err := with("Range", "bytes=0-").ranged(0); err != nil || req.Header.Get("Range") != "" {
		t.Errorf("a range of nothing: %v", err)
	}
}

// FuzzRange finds headers that ranged lets through and net/http answers in its own words.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-5", "bytes=500-0", "bytes=0-1,5-6", "bytes= 1-2 , 3-", "lines=1-2", "bytes=,", "bytes=0-1\t"} {
		f.Add(s, int64(1000))
		f.Add(s, int64(0))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 || size > 1<<20 {
			return
		}
		req, asked, err := with("Range", header).ranged(size)
		if err != nil {
			return
		}
		for _, s := range asked {
			if s.first < 0 || s.first > 0 && s.first >= size || s.length < 0 || s.first+s.length > size {
				t.Errorf("%q of %d bytes: %v", header, size, s)
			}
		}
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, req, "", time.Time{}, io.NewSectionReader(strings.NewReader(strings.Repeat("x", int(size))), 0, size))
		if w.Code != http.StatusOK && w.Code != http.StatusPartialContent {
			t.Errorf("%q of %d bytes: net/http answers %d %s", header, size, w.Code, w.Body)
		}
	})
}

func TestContentRange(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int64{
		"0-0": 1, "5-9": 5, "0-1099511627775": 1 << 40,
		"": -1, "bytes 0-1/2": 0, "bytes=0-1": 0, "1-0": 0, "-1": 0, "1-": 0, "a-b": 0, "0-9223372036854775807": 0, "+0-1": 0, "0-1-2": 0, " 0-1": 0,
	} {
		c := with("Content-Range", header)
		c.req.ContentLength = -1
		got, err := c.chunk()
		if (err != nil) != (want == 0) || err == nil && got.size != want {
			t.Errorf("%q: %+v, %v; want size %d", header, got, err, want)
		}
	}
	c := with("Content-Range", "0-9")
	c.req.ContentLength = 9
	if _, err := c.chunk(); err == nil {
		t.Error("ten bytes announced, nine sent: no error")
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"0-0", "5-9", "bytes 0-1/2", "9-5", "-", "99999999999999999999-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c := with("Content-Range", header)
		c.req.ContentLength = -1
		got, err := c.chunk()
		if err == nil && header != "" && (got.start < 0 || got.size < 1 || got.start+got.size < 0) {
			t.Errorf("%q: %+v", header, got)
		}
	})
}

func TestRemote(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		peer, forwarded, want string
		trusted               []netip.Prefix
	}{
		{"192.0.2.1:1", "", "192.0.2.1", nil},
		{"192.0.2.1:1", "203.0.113.9", "192.0.2.1", nil},     // nobody is trusted
		{"192.0.2.1:1", "203.0.113.9", "192.0.2.1", proxies}, // not by this peer
		{"10.0.0.1:1", "203.0.113.9", "203.0.113.9", proxies},
		{"10.0.0.1:1", "1.2.3.4, 203.0.113.9", "203.0.113.9", proxies}, // what stands before is the client's claim
		{"10.0.0.1:1", "203.0.113.9, 10.1.1.1", "203.0.113.9", proxies},
		{"10.0.0.1:1", "nonsense", "10.0.0.1", proxies},
		{"10.0.0.1:1", "203.0.113.9, nonsense", "10.0.0.1", proxies},
		{"[::1]:1", "2001:db8::1", "2001:db8::1", proxies},
		{"[::ffff:10.0.0.1]:1", "203.0.113.9", "203.0.113.9", proxies},
		{"@", "203.0.113.9", "invalid IP", proxies}, // a unix socket
	} {
		call := with("X-Forwarded-For", c.forwarded)
		call.req.RemoteAddr, call.r.cfg.TrustedProxies = c.peer, c.trusted
		if got := call.r.remote(call.req).String(); got != c.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func FuzzForwardedFor(f *testing.F) {
	f.Add("203.0.113.9, 10.0.0.1")
	f.Add(",,::1%eth0, 1")
	f.Fuzz(func(t *testing.T, header string) {
		call := with("X-Forwarded-For", header)
		call.req.RemoteAddr, call.r.cfg.TrustedProxies = "10.0.0.1:1", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		if got := call.r.remote(call.req); !got.IsValid() {
			t.Errorf("%q: no address", header)
		}
	})
}

func TestETagMatches(t *testing.T) {
	t.Parallel()
	const d = "sha256:44136fa3"
	for value, want := range map[string]bool{
		`"` + d + `"`: true, d: true, `W/"` + d + `"`: true, `"x", "` + d + `"`: true, "*": true, `"x"`: false, "": false, `"sha256:44"`: false,
	} {
		if got := etagMatches([]string{value}, d); got != want {
			t.Errorf("%s: %v", value, got)
		}
	}
}
