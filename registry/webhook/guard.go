package webhook

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ErrAddress is wrapped by the error about a connection to an address that is refused.
var ErrAddress = fmt.Errorf("the address is refused: %w", fs.ErrPermission)

// Transport returns a transport for URLs that come from others than the host. It connects to
// public unicast addresses and those in allow, and fails with [ErrAddress] for others: loopback,
// private, link-local, shared, multicast, reserved and documentation addresses, those of the
// metadata services of clouds, and IPv6 addresses that stand for such IPv4 addresses. It uses no
// proxy, which would make the connection in its place.
//
// A prefix in allow holds without exception: 169.254.0.0/16 has the metadata of most clouds.
func Transport(allow []netip.Prefix) *http.Transport {
	return guard{allow: slices.Clone(allow)}.transport()
}

// guard says which addresses may be connected to.
type guard struct {
	allow []netip.Prefix
	only  bool // the others are refused even if they are public
}

func (g guard) transport() *http.Transport {
	// Requests have shorter times of their own. These end what goes on without them: a
	// connection whose request was given up is finished for the next one.
	d := &net.Dialer{Timeout: 30 * time.Second, Control: g.control}
	return &http.Transport{
		DialContext:            d.DialContext,
		TLSHandshakeTimeout:    30 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true, // a dialer of one's own turns it off
		DisableCompression:     true,
	}
}

// control is called with each address that is to be connected to, when names are resolved.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return g.check(ap.Addr())
}

func (g guard) check(a netip.Addr) error {
	// A prefix contains no address with a zone, and no IPv6 form of an IPv4 address.
	plain := a.Unmap().WithZone("")
	if g.allows(plain) {
		return nil
	}
	if nat64.Contains(plain) {
		b := plain.As16()
		if plain = netip.AddrFrom4([4]byte(b[12:])); g.allows(plain) {
			return nil
		}
	}
	if g.only || !public(plain) {
		return fmt.Errorf("%w: %s", ErrAddress, a)
	}
	return nil
}

func (g guard) allows(a netip.Addr) bool {
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

func public(a netip.Addr) bool {
	if a.Is6() && !unicast6.Contains(a) {
		return false
	}
	return a.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

var (
	// unicast6 is all that IANA has given out of IPv6. Outside it are loopback, fe80::/10,
	// fc00::/7, multicast, and most forms of IPv4 addresses.
	unicast6 = netip.MustParsePrefix("2000::/3")
	// nat64 is how a network without IPv4 reaches it: in its last four bytes (RFC 6052). The
	// prefix for private use, 64:ff9b:1::/48 (RFC 8215), says nothing about where they are.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// special is what the IANA registries of special-purpose addresses have of IPv4 and of
// [unicast6], but for a few anycast services that are public, and one address that is missing.
var special = prefixes(
	"0.0.0.0/8",        // this host (RFC 791)
	"10.0.0.0/8",       // private (RFC 1918)
	"100.64.0.0/10",    // shared by carriers (RFC 6598), and Alibaba's metadata
	"127.0.0.0/8",      // loopback (RFC 1122)
	"168.63.129.16/32", // Azure's metadata, in a public range
	"169.254.0.0/16",   // link-local (RFC 3927), and the metadata of most clouds
	"172.16.0.0/12",    // private (RFC 1918)
	"192.0.0.0/24",     // protocols (RFC 6890), and Oracle's metadata
	"192.0.2.0/24",     // documentation (RFC 5737)
	"192.88.99.0/24",   // relays of 6to4 (RFC 7526)
	"192.168.0.0/16",   // private (RFC 1918)
	"198.18.0.0/15",    // benchmarks (RFC 2544)
	"198.51.100.0/24",  // documentation (RFC 5737)
	"203.0.113.0/24",   // documentation (RFC 5737)
	"224.0.0.0/4",      // multicast (RFC 5771)
	"240.0.0.0/4",      // reserved (RFC 1112), and broadcast
	"2001::/23",        // protocols (RFC 2928), among them Teredo, which has IPv4 addresses within
	"2001:db8::/32",    // documentation (RFC 3849)
	"2002::/16",        // 6to4 (RFC 3056), which has IPv4 addresses within
	"3fff::/20",        // documentation (RFC 9637)
)

func prefixes(list ...string) (ps []netip.Prefix) {
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}
