package registry

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Client is where a request of an [Actor] comes from, for policies and limits. The zero
// Client is the process itself.
type Client struct {
	Remote    netip.Addr
	UserAgent string
	Insecure  bool // it did not come over TLS
}

// Client returns what a request says of its sender; see [Config.TrustedProxies].
func (r *Registry) Client(req *http.Request) Client {
	return Client{r.remote(req), req.UserAgent(), !r.secure(req)}
}

// PublicURL returns scheme and host of the registry as clients know them: from the
// configuration, or else from a request.
func (r *Registry) PublicURL(req *http.Request) string {
	switch {
	case r.cfg.PublicURL != "":
		return r.cfg.PublicURL
	case req.TLS != nil:
		return "https://" + req.Host
	}
	return "http://" + req.Host
}

// Host returns the host in references to the registry's images.
func (r *Registry) Host(req *http.Request) string { return service(r.PublicURL(req)) }

// secure reports whether a request came over TLS: to this process, or to the proxy before
// it, of which the configured URL tells.
func (r *Registry) secure(req *http.Request) bool {
	return req.TLS != nil || strings.HasPrefix(r.cfg.PublicURL, "https://")
}

// remote returns the client's address.
func (r *Registry) remote(req *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap()
	if !r.trusted(addr) {
		return addr
	}
	// Each proxy appends the address that it saw. The last that is not a proxy is the
	// client; what stands before it is the client's own claim.
	hops := strings.Split(strings.Join(req.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		forwarded, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return addr
		}
		if addr = forwarded.Unmap(); !r.trusted(addr) {
			return addr
		}
	}
	return addr
}

func (r *Registry) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(r.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
