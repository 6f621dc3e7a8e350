package prom_test

import (
	"context"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/prom"
)

// BenchmarkObserve has what one pull costs, by one goroutine and by all.
func BenchmarkObserve(b *testing.B) {
	metrics := prom.New()
	pull := registry.Op{Began: time.Now(), Action: policy.GetDownloadURLForLayer, Method: "GET", Status: 200, Sent: 1 << 20}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		op := pull
		for b.Loop() {
			metrics.Observe(context.Background(), &op, nil)
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			op := pull
			for pb.Next() {
				metrics.Observe(context.Background(), &op, nil)
			}
		})
	})
}

func BenchmarkInFlight(b *testing.B) {
	metrics := prom.New()
	op := registry.Op{Action: policy.GetDownloadURLForLayer, Method: "GET"}
	next := func(context.Context) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		metrics.InFlight(context.Background(), &op, next) //nolint:errcheck // it has none
	}
}
