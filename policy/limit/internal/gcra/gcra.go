// Package gcra is the arithmetic of token buckets that are kept as one number, their debt:
// how long it takes until the bucket is full again (the generic cell rate algorithm). It
// knows neither clock nor store, so that all of them count alike.
package gcra

import "math"

// Never is how long to wait for what does not come. It is the longest time.Duration.
const Never = math.MaxInt64

// longest is more than the longest debt, so that two and a time of the process can be added
// up. Buckets that would take longer than half of it to fill, 36 years, are filled by then.
const longest = 1 << 61

// Bucket is a rule, in nanoseconds. The zero Bucket is closed.
type Bucket struct {
	interval float64 // between tokens
	burst    int64   // tokens
	full     int64   // the debt of an empty bucket
}

// New returns the bucket of a rule, which is closed where the rule lets nothing through.
func New(rate float64, burst int64) Bucket {
	if !(rate > 0) || burst <= 0 { // a NaN too
		return Bucket{}
	}
	b := Bucket{interval: min(max(1, 1e9/rate), longest/2/float64(burst)), burst: burst}
	// Beyond 2^53 nanoseconds, 104 days, numbers are rounded: up.
	b.full = nanoseconds(math.Nextafter(math.Ceil(float64(burst)*b.interval), math.Inf(1)))
	return b
}

// nanoseconds cuts towards zero.
func nanoseconds(f float64) int64 {
	switch {
	case f >= longest:
		return longest
	case f <= -longest:
		return -longest
	}
	return int64(f)
}

// Full is the debt of an empty bucket.
func (b Bucket) Full() int64 { return b.full }

// Burst is how many tokens a full bucket has.
func (b Bucket) Burst() int64 { return b.burst }

// Cost is by how much n tokens change the debt. It is rounded down and [Bucket.Full] up, so
// that taking them one by one takes no more than taking them at once, and a full bucket
// always has its burst.
func (b Bucket) Cost(n int64) int64 { return nanoseconds(float64(n) * b.interval) }

// Take takes n tokens from a bucket with a debt. It returns the new debt, and how long to
// wait where the take is refused, else 0. A negative n gives back.
func (b Bucket) Take(debt, n int64) (after, retry int64) {
	// A debt from a wider rule, or of a clock that was set back, is not waited for: at worst
	// the bucket is empty.
	debt = min(max(debt, 0), b.full)
	if n > b.burst {
		return debt, Never
	}
	next := debt + b.Cost(n)
	if n > 0 && next > b.full {
		return debt, next - b.full
	}
	return max(next, 0), 0
}

// Left is the most tokens that a take gets from a bucket with a debt.
func (b Bucket) Left(debt int64) int64 {
	room := b.full - debt
	if room <= 0 {
		return 0
	}
	n := min(b.burst, nanoseconds(float64(room)/b.interval))
	if n < b.burst && b.Cost(n+1) <= room {
		n++ // the rounding of Cost
	}
	for n > 0 && b.Cost(n) > room {
		n--
	}
	return n
}
