package webhook_test

import (
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/webhook"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		addresses []string
		want      bool
	}{
		"public":                   {[]string{"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "223.255.255.255"}, true},
		"public, of IPv6":          {[]string{"2606:4700:4700::1111", "2001:200::1", "2a00:1450::", "2003::1", "3ffe:ffff::1"}, true},
		"public, in another form":  {[]string{"::ffff:8.8.8.8", "64:ff9b::8.8.8.8"}, true},
		"unspecified":              {[]string{"0.0.0.0", "0.1.2.3", "::"}, false},
		"loopback":                 {[]string{"127.0.0.1", "127.255.255.254", "::1"}, false},
		"private":                  {[]string{"10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"}, false},
		"private, of IPv6":         {[]string{"fc00::1", "fd12:3456::1", "fdff:ffff::", "fec0::1"}, false},
		"link-local":               {[]string{"169.254.0.1", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1"}, false},
		"metadata of clouds":       {[]string{"169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"}, false},
		"shared by carriers":       {[]string{"100.64.0.0", "100.127.255.255"}, false},
		"protocols":                {[]string{"192.0.0.1", "192.88.99.1", "2001:1ff::1"}, false},
		"documentation":            {[]string{"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "3fff:fff::1"}, false},
		"benchmarks":               {[]string{"198.18.0.1", "198.19.255.255", "2001:2::1"}, false},
		"multicast":                {[]string{"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"}, false},
		"reserved":                 {[]string{"240.0.0.1", "255.255.255.255", "4000::1", "100::1", "5f00::1"}, false},
		"mapped":                   {[]string{"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0"}, false},
		"mapped, with a zone":      {[]string{"::ffff:127.0.0.1%lo"}, false},
		"compatible":               {[]string{"::127.0.0.1", "::10.0.0.1", "::8.8.8.8"}, false},
		"translated (SIIT)":        {[]string{"::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"}, false},
		"translated (NAT64)":       {[]string{"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::100.64.0.1"}, false},
		"translated, with a zone":  {[]string{"64:ff9b::10.0.0.1%eth0"}, false},
		"translated for a network": {[]string{"64:ff9b:1::8.8.8.8", "64:ff9b:1::10.0.0.1"}, false},
		"6to4":                     {[]string{"2002:7f00:1::1", "2002:a9fe:a9fe::1", "2002:808:808::1"}, false},
		"Teredo":                   {[]string{"2001::1", "2001:0:7f00:1::"}, false},
	} {
		for _, address := range tt.addresses {
			err := webhook.CheckAddress(netip.MustParseAddr(address))
			if (err == nil) != tt.want || err != nil && (!errors.Is(err, webhook.ErrAddress) || !errors.Is(err, fs.ErrPermission)) {
				t.Errorf("%s: %s: %v", what, address, err)
			}
		}
	}
	if webhook.CheckAddress(netip.Addr{}) == nil {
		t.Error("no address is public")
	}
}

func TestAllowedAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		address, allow string
		want           bool
	}{
		{"10.0.0.1", "10.0.0.0/24", true},
		{"10.0.1.1", "10.0.0.0/24", false},
		{"::ffff:10.0.0.1", "10.0.0.0/24", true},
		{"64:ff9b::10.0.0.1", "10.0.0.0/24", true},
		{"64:ff9b::10.0.0.1", "64:ff9b::/96", true},
		{"2002:a00:1::1", "10.0.0.0/24", false},
		{"127.0.0.1", "127.0.0.1/32", true},
		{"127.0.0.2", "127.0.0.1/32", false},
		{"::1", "127.0.0.0/8", false},
		{"::1", "::1/128", true},
		{"127.0.0.1", "::/0", false},
		{"fe80::1%eth0", "fe80::/10", true},
		{"169.254.169.254", "0.0.0.0/0", true}, // without exception
		{"8.8.8.8", "10.0.0.0/8", true},
	} {
		if err := webhook.CheckAddress(netip.MustParseAddr(tt.address), netip.MustParsePrefix(tt.allow)); (err == nil) != tt.want {
			t.Errorf("%s where %s is allowed: %v", tt.address, tt.allow, err)
		}
	}
}

// The check is made of every connection, whatever the URL says.
func TestTransportRefuses(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: webhook.Transport(nil)}
	t.Cleanup(client.CloseIdleConnections)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"} {
		res, err := client.Get("http://" + host + ":" + port + "/")
		if err == nil {
			res.Body.Close()
		}
		if !errors.Is(err, webhook.ErrAddress) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
	allowed := &http.Client{Transport: webhook.Transport(prefixes("127.0.0.0/8"))}
	t.Cleanup(allowed.CloseIdleConnections)
	res, err := allowed.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

func TestTransportUsesNoProxy(t *testing.T) {
	t.Parallel()
	if webhook.Transport(nil).Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}

// A name that resolves to the loopback is refused, whether the scheme is https or http.
func TestNameOfAPrivateAddress(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"https://localhost/", "http://localhost/"} {
		allow := prefixes("10.0.0.0/8", "fc00::/7")
		s := newSink(t, func(c *webhook.Config) { c.URL, c.Allow = u, allow })
		copy(allow, prefixes("127.0.0.0/8", "::1/128")) // too late
		if err := s.Deliver(t.Context(), moved()); !errors.Is(err, webhook.ErrAddress) || !errors.Is(err, event.ErrUnavailable) {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// tlsServer returns a server over TLS on the loopback, and a sink that trusts and reaches it.
func tlsServer(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *webhook.Sink) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	s := newSink(t, func(c *webhook.Config) { c.URL = server.URL + "/start" })
	s.HTTPTransport().TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	t.Cleanup(s.HTTPTransport().CloseIdleConnections)
	return server, s
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, s := tlsServer(t, func(_ http.ResponseWriter, r *http.Request) {
		receive(t, r)
		if r.ProtoMajor != 2 {
			t.Errorf("it came over %s", r.Proto)
		}
	})
	if err := s.Deliver(t.Context(), moved()); err != nil {
		t.Error(err)
	}
	stranger := newSink(t, func(c *webhook.Config) { c.URL = server.URL })
	if err := stranger.Deliver(t.Context(), moved()); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect led to http") }))
	t.Cleanup(plain.Close)
	const (
		delivered = "delivered"
		refused   = "refused"
		address   = "the address refused"
	)
	for name, tt := range map[string]struct {
		code     int
		location string // of each redirect; HOST stands for the server's
		times    int    // how many redirects there are
		want     string
	}{
		"307":                      {307, "https://HOST/next", 1, delivered},
		"308":                      {308, "https://HOST/next", 1, delivered},
		"relative":                 {308, "next", 1, delivered},
		"three":                    {307, "/next", 3, delivered},
		"four":                     {307, "/next", 4, refused},
		"301":                      {301, "https://HOST/next", 1, refused},
		"302":                      {302, "https://HOST/next", 1, refused},
		"303":                      {303, "https://HOST/next", 1, refused},
		"to http":                  {307, plain.URL, 1, refused},
		"with credentials":         {307, "https://user:password@HOST/next", 1, refused},
		"with a user":              {308, "https://user@HOST/next", 1, refused},
		"to metadata":              {307, "https://169.254.169.254/latest/meta-data/", 1, address},
		"to a private address":     {308, "https://10.0.0.1/", 1, address},
		"to another loopback":      {307, "https://127.0.0.2:PORT/", 1, address},
		"to a mapped address":      {307, "https://[::ffff:10.0.0.1]/", 1, address},
		"to IPv6's loopback":       {307, "https://[::1]:PORT/", 1, address},
		"to a file":                {307, "file:///etc/passwd", 1, refused},
		"to a scheme without host": {307, "https:next", 1, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			_, s := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
				req := receive(t, r) // the method, the body and the signature are there each time
				if r.Method != http.MethodPost || req.Header.Get("Referer") != "" || req.Header.Get("Authorization") != "" {
					t.Errorf("%s with %v", r.Method, req.Header)
				}
				if int(calls.Add(1)) <= tt.times {
					_, port, _ := net.SplitHostPort(r.Host)
					w.Header().Set("Location", strings.NewReplacer("HOST", r.Host, "PORT", port).Replace(tt.location))
					w.WriteHeader(tt.code)
				}
			})
			err := s.Deliver(t.Context(), moved())
			got := delivered
			switch {
			case errors.Is(err, webhook.ErrAddress):
				got = address
			case err != nil:
				got = refused
			}
			if got != tt.want {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
		})
	}
}
