package meter_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// observed returns a meter and operations as it observes them: pulls by tag and by digest, HEAD and a
// blob.
func observed(tb testing.TB) (*node, map[string]registry.Op) {
	tb.Helper()
	g, last := inMemory(), registry.Op{}
	n := g.node(tb, func(c *registry.Config) {
		c.Observers = append(c.Observers, func(_ context.Context, op *registry.Op, _ error) { last = *op })
	})
	layer := strings.Repeat("layer", 100)
	image := n.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte(layer)}}, "v1")
	blob := image.Digest.Algorithm().FromBytes([]byte(layer))
	ops := map[string]registry.Op{}
	for name, r := range map[string][2]string{
		"tag": {"GET", "/manifests/v1"}, "digest": {"GET", "/manifests/" + string(image.Digest)}, "head": {"HEAD", "/manifests/v1"}, "blob": {"GET", "/blobs/" + string(blob)},
		"none": {"GET", "/manifests/none"},
	} {
		n.ask(tb, r[0], "/v2/test/hat"+r[1], "User-Agent", containerd, remote, "192.0.2.77")
		ops[name] = last
	}
	return n, ops
}

// TestObserveAllocates bounds what an operation costs that is like one before it.
func TestObserveAllocates(t *testing.T) { // not parallel: AllocsPerRun counts everybody's
	n, ops := observed(t)
	for name, op := range ops {
		if got := testing.AllocsPerRun(100, func() { n.meter.Observe(t.Context(), &op, nil) }); got > 2 {
			t.Errorf("%s: %.0f allocations", name, got)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	n, ops := observed(b)
	end := n.run(b) // so that there are secrets
	defer end()
	for len(records(b, n.Store, "secret/")) == 0 {
	}
	for _, name := range []string{"tag", "digest", "head", "blob"} {
		op := ops[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.meter.Observe(b.Context(), &op, nil)
			}
		})
	}
	op := ops["tag"]
	b.Run("clients", func(b *testing.B) { // each of its own
		b.ReportAllocs()
		op := op
		var i uint32
		for b.Loop() {
			i++
			op.Remote = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			n.meter.Observe(b.Context(), &op, nil)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			op := op
			for pb.Next() {
				n.meter.Observe(b.Context(), &op, nil)
			}
		})
	})
}

// BenchmarkFlush writes counts of so many tags.
func BenchmarkFlush(b *testing.B) {
	for _, tags := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(tags), func(b *testing.B) {
			n, ops := observed(b)
			op := ops["tag"]
			b.ReportAllocs()
			for b.Loop() {
				for i := range tags {
					op.Reference.Tag = fmt.Sprint("t", i)
					n.meter.Observe(b.Context(), &op, nil)
				}
				flush(b, n.meter)
			}
		})
	}
}

func BenchmarkIngest(b *testing.B) {
	n, _ := observed(b)
	log := visits(time.Now(), "v1", addresses(1000))
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		ingest(b, n.meter, log)
	}
}
