package repair_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// TestResume ends a run after each of its checkpoints and goes on from there.
func TestResume(t *testing.T) {
	t.Parallel()
	worlds(t, func(g *ground) {
		for _, name := range []string{
			"objects that nobody knows", "a bit of a blob of two objects has turned", "a tag of no manifest", "edges of no manifest, and of one that does not refer to that",
			"catalog data and a policy of no repository", "a registry that nothing leads to", "a logo is gone", "a link to nothing",
			"a blob that no repository has", "a publisher deletes a manifest of an index",
		} {
			harms[slices.IndexFunc(harms, func(h harm) bool { return h.name == name })].do(g)
		}
		var (
			o      repair.Options
			points []repair.Checkpoint
			before []int // findings before each
			all    []repair.Finding
		)
		o.SetPages(2, 2)
		o.Age = grace
		o.Found = func(f repair.Finding) error { all = append(all, f); return nil }
		o.Reached = func(c repair.Checkpoint) error {
			raw, err := json.Marshal(c)
			if err != nil {
				return err
			}
			var back repair.Checkpoint
			if err := json.Unmarshal(raw, &back); err != nil {
				return err
			}
			points, before = append(points, back), append(before, len(all))
			return nil
		}
		sum, err := repair.Run(g.t.Context(), g.Store, g.Bucket, repair.Checkpoint{}, &o)
		g.must(err)
		if len(all) < 15 || len(points) < 40 || !sum.Complete {
			g.t.Fatalf("only %d findings and %d checkpoints; %+v", len(all), len(points), sum)
		}
		g.want("in pages of another size", all, g.run(repair.Options{}))
		o.Reached = nil
		for i, c := range points {
			tail, again := g.runFrom(c, o)
			if diff := cmp.Diff(all, slices.Concat(all[:before[i]], tail)); diff != "" {
				g.t.Errorf("from %s %s (-want +got):\n%s", c.Phase, c.After, diff)
			}
			if diff := cmp.Diff(sum, again); diff != "" {
				g.t.Errorf("from %s %s, the summary (-want +got):\n%s", c.Phase, c.After, diff)
			}
		}
	})
}

func TestPace(t *testing.T) {
	t.Parallel()
	for _, rate := range []int64{300, 40_000, 1 << 20, 1 << 40} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGround(t, memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), "")
				begun := time.Now()
				_, sum := g.runFrom(repair.Checkpoint{}, repair.Options{BytesPerSecond: rate})
				first := min(rate, 128<<10) // one read is free
				took, ideal := time.Since(begun), time.Duration(float64(sum.Bytes-first)/float64(rate)*float64(time.Second))
				if sum.Bytes < int64(len(layerB)) || (took-ideal).Abs() > time.Millisecond {
					t.Errorf("%d bytes took %v, want %v", sum.Bytes, took, ideal)
				}
			})
		})
	}
}

func TestPaceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGround(t, memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), "")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		begun := time.Now()
		_, err := repair.Run(ctx, g.Store, g.Bucket, repair.Checkpoint{}, &repair.Options{BytesPerSecond: 1})
		if took := time.Since(begun); !errors.Is(err, context.Canceled) || took != time.Minute {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(storage.NewKey())
	f.Add("00/0000000000000000000000000000000")
	f.Add("ab/CDEF0123456789abcdef0123456789ab")
	f.Add("a/bcdef0123456789abcdef0123456789ab")
	f.Fuzz(func(t *testing.T, s string) {
		k, ok := repair.ParseKey(s)
		if ok && repair.FormatKey(k) != s {
			t.Errorf("%q comes back as %q", s, repair.FormatKey(k))
		}
		plain := len(s) == 33 && s[2] == '/' && strings.Trim(s[:2]+s[3:], "0123456789abcdef") == ""
		if ok != plain {
			t.Errorf("%q: %v", s, ok)
		}
	})
}

// FuzzCheckpoint goes on from what a file may hold by mistake.
func FuzzCheckpoint(f *testing.F) {
	f.Add(`{}`)
	f.Add(`{"phase":"tags","after":{"Repository":7,"Name":"a"},"summary":{"rows":1,"found":{"x":2}}}`)
	f.Add(`{"phase":"repositories","after":-1}`)
	f.Add(`{"phase":"objects","after":"zz","summary":{"mended":{"object-orphan":-1}}}`)
	store, bucket := memmeta.New(), gocloud.New(memblob.OpenBucket(nil))
	f.Fuzz(func(t *testing.T, text string) {
		var c repair.Checkpoint
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		sum, err := repair.Run(t.Context(), store, bucket, c, nil)
		if sum.Complete != (err == nil) {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

// BenchmarkKeys says what a key costs in memory, and what finding it takes.
func BenchmarkKeys(b *testing.B) {
	const n = 1 << 20
	keys := make([]string, n)
	for i := range keys {
		keys[i] = storage.NewKey()
	}
	slices.Sort(keys)
	b.ReportAllocs()
	for b.Loop() {
		if left := repair.NameKeys(keys[:n], keys[:n-1]); len(left) != 1 {
			b.Fatal(left)
		}
	}
}

func TestSizesOnly(t *testing.T) {
	t.Parallel()
	for _, h := range harms {
		if !slices.Contains([]string{"nothing", "an object is gone", "the second of two objects is gone", "an object is cut short"}, h.name) {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGround(t, memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), "")
				want := h.do(g)
				found, sum := g.runFrom(repair.Checkpoint{}, repair.Options{SizesOnly: true})
				g.want("by sizes", want, found)
				if sum.Bytes != 0 {
					t.Errorf("%d bytes were read", sum.Bytes)
				}
			})
		})
	}
}
