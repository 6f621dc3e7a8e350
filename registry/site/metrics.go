package site

import (
	"context"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry/meter"
)

// Metrics shows in a gallery what a meter has counted, for [gallery.Config].
func Metrics(m *meter.Meter) gallery.Metrics { return metrics{m} }

type metrics struct{ meter *meter.Meter }

func (m metrics) Pulls(ctx context.Context, name, tag string, days int) ([]gallery.DayPulls, error) {
	points, err := m.meter.DailyPulls(ctx, name, tag, days)
	list := make([]gallery.DayPulls, len(points))
	for i, p := range points {
		list[i] = gallery.DayPulls{Day: p.At, Pulls: p.N}
	}
	return list, err
}
