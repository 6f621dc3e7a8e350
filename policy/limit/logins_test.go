package limit_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/policy/limit"
)

var (
	home  = netip.MustParseAddr("192.0.2.7")
	other = netip.MustParseAddr("198.51.100.1")
)

// guess tries secrets that are wrong, and returns how many were verified.
func guess(l *limit.Logins, addr func(i int) netip.Addr, keyID string, tries int) (verified int) {
	for i := range tries {
		if _, ok := l.Check(addr(i), keyID, ""); ok {
			l.Failed(addr(i), keyID, fmt.Sprint("secret", i))
			verified++
		}
	}
	return verified
}

func only(a netip.Addr) func(int) netip.Addr { return func(int) netip.Addr { return a } }

func many(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func check(t *testing.T, l *limit.Logins, addr netip.Addr, keyID string, want bool) (retry time.Duration) {
	t.Helper()
	retry, ok := l.Check(addr, keyID, "never tried")
	if ok != want || ok != (retry == 0) {
		t.Errorf("Check(%s, %s) = %v, %v, want %v", addr, keyID, retry, ok, want)
	}
	return retry
}

func TestLoginsOfAnAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLogins(nil)
		if n := guess(l, only(other), "KEY", 100); n != 10 {
			t.Errorf("%d guesses of an address were verified, want 10", n)
		}
		if retry := check(t, l, other, "ANOTHER", false); retry != 6*time.Second {
			t.Errorf("retry in %v, want 6s", retry)
		}
		check(t, l, home, "KEY", true)
		time.Sleep(6 * time.Second)
		if n := guess(l, only(other), "KEY2", 100); n != 1 {
			t.Errorf("%d guesses were verified 6 s later, want 1", n)
		}
		time.Sleep(time.Hour)
		if n := guess(l, only(other), "KEY3", 100); n != 10 {
			t.Errorf("%d guesses were verified an hour later, want 10", n)
		}
	})
}

func TestLoginsOfManyAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			addr func(i int) netip.Addr
			want int
		}{
			"IPv4, one key": {many, 100},
			"a /64": {func(i int) netip.Addr {
				return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%x", i))
			}, 10},
			"a /48": {func(i int) netip.Addr {
				return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::", i))
			}, 100}, // the key's
		} {
			if n := guess(limit.NewLogins(nil), tt.addr, "KEY", 1000); n != tt.want {
				t.Errorf("%s: %d guesses were verified, want %d", name, n, tt.want)
			}
		}
		// Keys that others guess at are not slowed down.
		l := limit.NewLogins(nil)
		guess(l, many, "KEY", 1000)
		check(t, l, home, "ANOTHER", true)
		if retry := check(t, l, home, "KEY", false); retry != time.Second {
			t.Errorf("retry in %v, want 1s", retry)
		}
	})
}

func TestLoginsFromHome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLogins(nil)
		l.Succeeded(home, "KEY")
		guess(l, many, "KEY", 1000)
		check(t, l, home, "KEY", true)
		check(t, l, netip.MustParseAddr("::ffff:192.0.2.7"), "KEY", true)
		check(t, l, other, "KEY", false)

		// Others behind the same address fail with keys of theirs.
		guess(l, only(home), "ANOTHER", 1000)
		check(t, l, home, "ANOTHER", false)
		check(t, l, home, "KEY", true)

		// Who guesses from there has no more tries than elsewhere.
		if n := guess(l, only(home), "KEY", 1000); n != 10 {
			t.Errorf("%d guesses from home were verified, want 10", n)
		}
		if retry := check(t, l, home, "KEY", false); retry != 6*time.Second {
			t.Errorf("retry in %v, want 6s", retry)
		}
	})
}

func TestLoginsFromManyHomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLogins(nil)
		for i := range 40 {
			l.Succeeded(many(i), "KEY")
			l.Succeeded(many(0), "KEY") // one that is used all the time
		}
		guess(l, func(i int) netip.Addr { return many(1000 + i) }, "KEY", 1000)
		check(t, l, many(0), "KEY", true)
		check(t, l, many(39), "KEY", true)
		check(t, l, many(1), "KEY", false) // forgotten
		// Other accounts that log in from many addresses push nobody out.
		for i := range 1000 {
			l.Succeeded(many(i), "ANOTHER")
		}
		check(t, l, many(39), "KEY", true)
	})
}

func TestLoginsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLogins(&limit.LoginOptions{Address: limit.Rule{Rate: 1e-9, Burst: 4}})
		failed := func(addr netip.Addr, keyID, secret string, times int) {
			for range times {
				l.Failed(addr, keyID, secret)
			}
		}
		failed(home, "KEY", "old", 100)
		failed(home, "KEY", "older", 2)
		check(t, l, home, "KEY", true)
		failed(home, "KE", "Yold", 1) // another credential, whatever it is joined to
		check(t, l, home, "KEY", true)
		time.Sleep(time.Minute - 1)
		failed(home, "KEY", "old", 100)
		check(t, l, home, "KEY", true)
		time.Sleep(time.Nanosecond)
		failed(home, "KEY", "old", 100) // counts again
		check(t, l, home, "KEY", false)

		if _, ok := l.Check(home, "KEY", "old"); !ok {
			t.Error("the same attempt has to wait for itself")
		}
		failed(other, "KEY", "old", 100) // counts for each address
		failed(other, "KEY", "", 1)
		failed(other, "", "old", 1)
		check(t, l, other, "KEY", true)
		failed(other, "", "", 1)
		check(t, l, other, "KEY", false)
	})
}

func TestLoginsOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLogins(&limit.LoginOptions{
			Address: limit.Rule{Rate: 1, Burst: 2}, Key: limit.Rule{Rate: 1, Burst: 5}, Repeat: time.Hour, Keys: 1000,
		})
		if n := guess(l, only(other), "KEY", 100); n != 2 {
			t.Errorf("%d guesses of an address were verified, want 2", n)
		}
		if n := guess(l, many, "KEY", 100); n != 3 {
			t.Errorf("%d guesses at a key were verified, want the 3 that are left", n)
		}
		for range 10 { // what was counted is not again within the hour
			time.Sleep(5 * time.Minute)
			for i := range 100 {
				l.Failed(other, "KEY", fmt.Sprint("secret", i%2))
			}
			check(t, l, other, "KEY", true)
		}
	})
}

func TestLoginsConcurrent(t *testing.T) {
	t.Parallel()
	l := limit.NewLogins(&limit.LoginOptions{Keys: 100})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				l.Check(many(i), "KEY", "")
				l.Failed(many(i), "KEY", fmt.Sprint(g, i))
				l.Succeeded(many(i), fmt.Sprint("KEY", i%7))
			}
		})
	}
	wg.Wait()
	check(t, l, home, "KEY", false)
}

// TestLoginsMemory tries what takes the most: other addresses, keys and secrets each time, and
// long ones.
func TestLoginsMemory(t *testing.T) { // not parallel: it measures the heap
	const tries, bound = 50_000, 16 << 20
	before := heap()
	l := limit.NewLogins(&limit.LoginOptions{Keys: 10_000})
	long := strings.Repeat("x", 1000)
	for i := range tries {
		key := fmt.Sprint(long, i)
		l.Check(many(i), key, "")
		l.Failed(many(i), key, key)
		l.Succeeded(many(i), key)
	}
	used := heap() - before
	t.Logf("%d tries: %d KiB", tries, used>>10)
	if used > bound {
		t.Errorf("%d tries take %d MiB, want at most %d", tries, used>>20, bound>>20)
	}
	runtime.KeepAlive(l)
}
