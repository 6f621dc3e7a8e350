package gcra_test

import (
	"math"
	"testing"

	"github.com/esplanade-registry/esplanade/policy/limit/internal/gcra"
)

// FuzzBucket compares a bucket to one that counts its tokens one by one. Each operation is
// two bytes: for how long to wait, and how many tokens to take.
func FuzzBucket(f *testing.F) {
	f.Add(1.0, int64(100), []byte("\x00\x64\x00\x01\x10\x01\x20\x05"))
	f.Add(260.0, int64(260), []byte("\x00\x7f\x00\x7f\x00\x7f\x00\xf0\x00\x7f\xff\x01"))
	f.Add(1.0/6, int64(10), []byte("\x00\x03\x00\x03\x00\x05\x80\x05\x01\xff\x01\x01"))
	f.Add(3.0, int64(1), []byte("\x00\x01\x05\x01\x05\x01\x05\x01"))
	f.Add(1e6, int64(1e6), []byte("\x00\x01\xff\x81"))
	f.Fuzz(func(t *testing.T, rate float64, burst int64, ops []byte) {
		if !(rate >= 1e-3 && rate <= 1e6) || burst < 1 || burst > 1e6 {
			t.Skip("beyond what the model counts exactly")
		}
		b := gcra.New(rate, burst)
		if got := b.Left(0); got != burst {
			t.Fatalf("a full bucket of %d has %d", burst, got)
		}
		tokens, debt := float64(burst), int64(0)
		for i := 0; i+1 < len(ops); i += 2 {
			wait := int64(float64(ops[i]) / 16 * 1e9 / rate)
			debt -= wait
			tokens = min(float64(burst), tokens+float64(wait)*1e-9*rate)
			n := int64(int8(ops[i+1]))
			after, retry := b.Take(debt, n)
			// Each take so far may have been rounded by a nanosecond.
			slack := 1e-6 + rate*1e-9*float64(i+4)
			switch {
			case n > burst:
				if retry != gcra.Never {
					t.Fatalf("%d of a burst of %d: retry in %d", n, burst, retry)
				}
			case retry == 0:
				if tokens+slack < float64(n) {
					t.Fatalf("op %d: %d passed of %v", i/2, n, tokens)
				}
				tokens = min(float64(burst), tokens-float64(n))
			default:
				if tokens-slack > float64(n) {
					t.Fatalf("op %d: %d refused of %v", i/2, n, tokens)
				}
				if _, again := b.Take(after-retry, n); again != 0 {
					t.Fatalf("op %d: after waiting %d as told, %d more", i/2, retry, again)
				}
				if _, again := b.Take(after-retry+1, n); again != 1 {
					t.Fatalf("op %d: waiting %d is too long", i/2, retry)
				}
			}
			if after < 0 || after > b.Full() {
				t.Fatalf("op %d: debt %d of %d", i/2, after, b.Full())
			}
			left := b.Left(after)
			if d := tokens - float64(left); d < -slack || d >= 1+slack {
				t.Fatalf("op %d: %d left of %v", i/2, left, tokens)
			}
			if _, retry := b.Take(after, left); retry != 0 {
				t.Fatalf("op %d: %d left and refused", i/2, left)
			}
			if _, retry := b.Take(after, left+1); retry == 0 {
				t.Fatalf("op %d: %d left and one more passed", i/2, left)
			}
			debt = after
		}
	})
}

func TestBurst(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1e-9, 1.0 / 7, 1, 3, 260, 999, 12345.678} {
		b := gcra.New(rate, 1000)
		// One by one they pass as all at once do, and no more than they.
		debt, passed := int64(0), 0
		for range 2000 {
			after, retry := b.Take(debt, 1)
			if retry != 0 {
				break
			}
			debt, passed = after, passed+1
		}
		if passed != 1000 {
			t.Errorf("at %v a second, %d of a burst of 1000 passed", rate, passed)
		}
		// What is given back at once is as it was.
		if after, _ := b.Take(0, 777); true {
			if after, _ = b.Take(after, -777); after != 0 {
				t.Errorf("at %v a second, giving back leaves a debt of %d", rate, after)
			}
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	for _, b := range []gcra.Bucket{
		{}, gcra.New(0, 1), gcra.New(1, 0), gcra.New(-1, 1), gcra.New(1, -1),
		gcra.New(math.NaN(), 1), gcra.New(math.Inf(-1), 1),
	} {
		if _, retry := b.Take(0, 1); retry != gcra.Never {
			t.Errorf("%+v: retry in %d, want never", b, retry)
		}
		for _, n := range []int64{0, -1, math.MinInt64} {
			if debt, retry := b.Take(0, n); debt != 0 || retry != 0 {
				t.Errorf("%+v: taking %d leaves a debt of %d, retry in %d", b, n, debt, retry)
			}
		}
		if n := b.Left(0); n != 0 {
			t.Errorf("%+v: %d left", b, n)
		}
	}
}

func TestExtremes(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{math.SmallestNonzeroFloat64, 1e-100, 1, 1e300, math.MaxFloat64, math.Inf(1)} {
		for _, burst := range []int64{1, 2, math.MaxInt64 - 1, math.MaxInt64} {
			b := gcra.New(rate, burst)
			for _, debt := range []int64{math.MinInt64, -1, 0, 1, math.MaxInt64} {
				for _, n := range []int64{math.MinInt64, -1, 0, 1, burst, math.MaxInt64} {
					after, retry := b.Take(debt, n)
					if after < 0 || after > b.Full() || retry < 0 {
						t.Fatalf("rate %v, burst %d: taking %d with debt %d leaves %d, retry %d", rate, burst, n, debt, after, retry)
					}
					if left := b.Left(after); left < 0 || left > burst {
						t.Fatalf("rate %v, burst %d: %d left", rate, burst, left)
					}
				}
			}
		}
	}
}
