package limit_test

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/esplanade-registry/esplanade/policy/limit"
)

// BenchmarkTake is what a request pays: the key of its address, and a take.
func BenchmarkTake(b *testing.B) {
	wide, narrow := limit.Rule{Rate: 1, Burst: 1e9}, limit.Rule{Rate: 1e-9, Burst: 1}
	for _, bb := range []struct {
		name, addr string
		rule       limit.Rule
	}{
		{"IPv4", "192.0.2.7", wide},
		{"IPv6", "2001:db8:1:2::3", wide},
		{"refused", "192.0.2.7", narrow},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l, addr, ctx := limit.NewLocal(0), netip.MustParseAddr(bb.addr), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Take(ctx, limit.AddressKey("pull ", addr, 0), bb.rule, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("TakeAll-IPv6", func(b *testing.B) {
		l, addr, ctx := limit.NewLocal(0), netip.MustParseAddr("2001:db8:1:2::3"), b.Context()
		b.ReportAllocs()
		for b.Loop() {
			var array [2]limit.Level
			if _, err := limit.TakeAll(ctx, l, limit.AddressLevels(array[:0], "pull ", addr, wide), 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) { // each evicts another, once there are 262,144
		l, ctx := limit.NewLocal(0), b.Context()
		b.ReportAllocs()
		var i int64
		for b.Loop() {
			i++
			if _, err := l.Take(ctx, strconv.FormatInt(i, 10), narrow, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		l, ctx := limit.NewLocal(0), b.Context()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			var a [4]byte
			for pb.Next() {
				a[3]++
				if _, err := l.Take(ctx, limit.AddressKey("pull ", netip.AddrFrom4(a), 0), wide, 1); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkLogins(b *testing.B) {
	l, addr := limit.NewLogins(nil), netip.MustParseAddr("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := l.Check(addr, "AKIAIOSFODNN7EXAMPLE", ""); !ok {
			b.Fatal("refused")
		}
		l.Succeeded(addr, "AKIAIOSFODNN7EXAMPLE")
	}
}
