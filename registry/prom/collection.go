package prom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/gc"
)

// Collection returns a collector of what a [gc.Collector] has done, by its method Progress.
func Collection(progress func() gc.Progress) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "collection", name), help, labels, nil)
	}
	return &collection{
		progress: progress,
		removed:  desc("removed_total", "Garbage that was removed.", "kind"),
		bytes:    desc("removed_bytes_total", "Bytes of blobs that were removed."),
		rounds:   desc("rounds_total", "Rounds of garbage collection."),
		failed:   desc("failed_rounds_total", "Rounds in which something could not be removed."),
		last:     desc("last_round_timestamp_seconds", "When the last round ended."),
		left:     desc("left", "Things that were still to be looked at after the last round."),
		eta:      desc("eta_seconds", "How long what is left will take."),
	}
}

type collection struct {
	progress                                        func() gc.Progress
	removed, bytes, rounds, failed, last, left, eta *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collection) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.removed, c.bytes, c.rounds, c.failed, c.last, c.left, c.eta} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collection) Collect(ch chan<- prometheus.Metric) {
	p := c.progress()
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	gauge := func(d *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	counter(c.removed, int64(p.Links), "links")
	counter(c.removed, int64(p.Blobs), "blobs")
	counter(c.removed, int64(p.Objects), "objects")
	counter(c.removed, int64(p.Uploads), "uploads")
	counter(c.removed, int64(p.Repositories), "repositories")
	counter(c.bytes, p.Bytes)
	counter(c.rounds, p.Rounds)
	counter(c.failed, p.Failed)
	if !p.Last.IsZero() {
		gauge(c.last, float64(p.Last.UnixMilli())/1000)
	}
	gauge(c.left, float64(p.Left))
	gauge(c.eta, p.ETA.Seconds())
}

// AccessLog returns a collector of the lines that a writer has dropped.
func AccessLog(w *accesslog.Writer) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: "accesslog", Name: "dropped_lines_total", Help: "Lines that are missing from the access log.",
	}, func() float64 { return float64(w.Dropped()) })
}
