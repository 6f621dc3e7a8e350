package limit

import "net/netip"

// The networks that IPv6 addresses are counted by, unless told otherwise.
const (
	// SiteBits is the network of one customer at its smallest: whoever has one address has at
	// least the 2^64 of a /64 (RFC 6177).
	SiteBits = 64
	// WideBits is the largest network that providers commonly give to one customer.
	WideBits = 48
	// WideTimes is how many times the rule of a /64 all of a /48 gets together.
	WideTimes = 16
)

// AddressKey returns prefix and what a client's address is counted by: an IPv4 address
// itself, also where it is written as IPv6 (::ffff:192.0.2.1); an IPv6 address's network of
// v6bits, as in 2001:db8::/64, without its zone. v6bits is [SiteBits] if it is not in 1 to
// 128. All invalid addresses are one.
func AddressKey(prefix string, a netip.Addr, v6bits int) string {
	var array [64]byte
	b := append(array[:0], prefix...)
	switch a = a.Unmap(); {
	case !a.IsValid():
		b = append(b, '-')
	case a.Is4():
		b = a.AppendTo(b)
	default:
		if v6bits < 1 || v6bits > 128 {
			v6bits = SiteBits
		}
		network, err := a.Prefix(v6bits) // drops the zone
		if err != nil {
			return prefix + "-"
		}
		b = network.AppendTo(b)
	}
	return string(b)
}

// AddressLevels appends the buckets that an address is counted in, for [TakeAll]: that of
// [AddressKey], and for IPv6 the one of its [WideBits], with [WideTimes] the rule, so that a
// client that rotates through the networks it has gets no more than that.
func AddressLevels(levels []Level, prefix string, a netip.Addr, rule Rule) []Level {
	levels = append(levels, Level{AddressKey(prefix, a, SiteBits), rule})
	if a.Is6() && !a.Is4In6() {
		levels = append(levels, Level{AddressKey(prefix, a, WideBits), rule.Times(WideTimes)})
	}
	return levels
}
