package limit_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/esplanade-registry/esplanade/policy/limit"
)

// A client may ask for three images at once and gets one more a second, by whichever of its
// addresses.
func ExampleTakeAll() {
	ctx := context.Background()
	limiter := limit.NewLocal(0)
	rule := limit.Rule{Rate: 1, Burst: 3}
	for _, text := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"} {
		levels := limit.AddressLevels(nil, "pull ", netip.MustParseAddr(text), rule)
		quota, err := limit.TakeAll(ctx, limiter, levels, 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(quota.OK, quota.Remaining, "of", quota.Limit)
	}
	// Output:
	// true 2 of 3
	// true 1 of 3
	// true 0 of 3
	// false 0 of 3
}

// Reserve for the most that an answer can be, and give back what it was not.
func ExampleLimiter_giveBack() {
	ctx := context.Background()
	var limiter limit.Limiter = limit.NewLocal(0)
	rule := limit.Rule{Rate: 1, Burst: 100}
	for _, n := range []int64{100, -80, 0} {
		quota, err := limiter.Take(ctx, "123456789012", rule, n)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(quota.Remaining)
	}
	// Output:
	// 0
	// 80
	// 80
}

// Anonymous clients may load some bytes a month; what was begun is sent to its end.
func ExampleAllowance_Use() {
	ctx := context.Background()
	meter := limit.NewLocal(0)
	allowance := limit.Default().AnonymousBytes
	client := limit.AddressKey("bytes ", netip.MustParseAddr("192.0.2.7"), 0)
	for range 3 {
		before, err := allowance.Use(ctx, meter, client, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		if !before.OK {
			fmt.Println("come back next month")
			continue
		}
		after, err := allowance.Use(ctx, meter, client, 300e9)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(after.Remaining/1e9, "GB left")
	}
	// Output:
	// 200 GB left
	// 0 GB left
	// come back next month
}

// A publisher keeps working while others guess at its key.
func ExampleLogins() {
	logins := limit.NewLogins(nil)
	publisher, elsewhere := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.1")
	const keyID = "AKIAIOSFODNN7EXAMPLE"
	logins.Succeeded(publisher, keyID)

	verified := 0
	for i := range 1000 {
		addr := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		if _, ok := logins.Check(addr, keyID, ""); ok {
			logins.Failed(addr, keyID, fmt.Sprint("guess ", i))
			verified++
		}
	}
	_, there := logins.Check(publisher, keyID, "")
	_, other := logins.Check(elsewhere, keyID, "")
	fmt.Println(verified < 150, there, other)
	// Output: true true false
}
