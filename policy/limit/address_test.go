package limit_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/policy/limit"
)

func TestAddressKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		addr string
		bits int
		want string
	}{
		{"192.0.2.7", 0, "192.0.2.7"},
		{"192.0.2.7", 48, "192.0.2.7"},
		{"::ffff:192.0.2.7", 0, "192.0.2.7"},
		{"::ffff:192.0.2.7%eth0", 0, "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", 0, "2001:db8:1:2::/64"},
		{"2001:db8:1:2:ffff::", 64, "2001:db8:1:2::/64"},
		{"2001:db8:1:3::", 64, "2001:db8:1:3::/64"},
		{"2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::/48"},
		{"2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6/128"},
		{"2001:db8:1:2:3:4:5:6", -1, "2001:db8:1:2::/64"},
		{"2001:db8:1:2:3:4:5:6", 129, "2001:db8:1:2::/64"},
		{"fe80::1%eth0", 0, "fe80::/64"},
		{"fe80::1%eth1", 0, "fe80::/64"},
		{"::1", 0, "::/64"},
	} {
		a := netip.MustParseAddr(tt.addr)
		if got := limit.AddressKey("", a, tt.bits); got != tt.want {
			t.Errorf("AddressKey(%s, %d) = %q, want %q", tt.addr, tt.bits, got, tt.want)
		}
		if got := limit.AddressKey("a long prefix, longer than any address would be, ", a, tt.bits); got != "a long prefix, longer than any address would be, "+tt.want {
			t.Errorf("AddressKey(%s, %d) with a prefix = %q", tt.addr, tt.bits, got)
		}
	}
	if got := limit.AddressKey("pull ", netip.Addr{}, 0); got != "pull -" {
		t.Errorf("the key of no address is %q", got)
	}
}

func TestAddressLevels(t *testing.T) {
	t.Parallel()
	rule := limit.Rule{Rate: 1, Burst: 10}
	for addr, want := range map[string][]limit.Level{
		"192.0.2.7":        {{Key: "x 192.0.2.7", Rule: rule}},
		"::ffff:192.0.2.7": {{Key: "x 192.0.2.7", Rule: rule}},
		"2001:db8:1:2::3":  {{Key: "x 2001:db8:1:2::/64", Rule: rule}, {Key: "x 2001:db8:1::/48", Rule: limit.Rule{Rate: 16, Burst: 160}}},
	} {
		if diff := cmp.Diff(want, limit.AddressLevels(nil, "x ", netip.MustParseAddr(addr), rule)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", addr, diff)
		}
	}
	if got := limit.AddressLevels(nil, "x ", netip.Addr{}, rule); len(got) != 1 {
		t.Errorf("no address is in %d levels, want 1", len(got))
	}
}

// TestRotation is a client that uses each of its addresses once.
func TestRotation(t *testing.T) {
	t.Parallel()
	rule := limit.Rule{Rate: 1e-9, Burst: 10}
	for name, tt := range map[string]struct {
		addr   func(i int) string
		passed int
	}{
		"within a /64":     {func(i int) string { return fmt.Sprintf("2001:db8:1:2::%x", i) }, 10},
		"across a /48":     {func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i) }, 160},
		"mapped and plain": {func(i int) string { return []string{"192.0.2.7", "::ffff:192.0.2.7"}[i%2] }, 10},
		"zones":            {func(i int) string { return fmt.Sprintf("fe80::1%%%d", i) }, 10},
		"across /48s":      {func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, 1000},
		"IPv4":             {func(i int) string { return fmt.Sprintf("10.0.%d.%d", i/256, i%256) }, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := limit.NewLocal(0)
			passed := 0
			for i := range 1000 {
				levels := limit.AddressLevels(nil, "", netip.MustParseAddr(tt.addr(i)), rule)
				q, err := limit.TakeAll(t.Context(), l, levels, 1)
				if err != nil {
					t.Fatal(err)
				}
				if q.OK {
					passed++
				}
			}
			if passed != tt.passed {
				t.Errorf("%d of 1000 passed, want %d", passed, tt.passed)
			}
		})
	}
}
