package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
)

// madeUp is a [gallery.Metrics] without any pulls behind it: numbers that look like those of a
// real repository, always the same for a name and a day.
type madeUp struct {
	now    time.Time
	habits map[string]habit // by alias/repository
}

// habit is how a repository is pulled.
type habit struct {
	pulls float64   // log10 of those of 90 days
	since time.Time // its creation
}

func newMadeUp(publishers []publisher, now time.Time) *madeUp {
	m := &madeUp{now: now, habits: map[string]habit{}}
	for _, p := range publishers {
		for _, r := range p.repositories {
			if r.pulls > 0 {
				m.habits[p.alias+"/"+r.name] = habit{r.pulls, daysBefore(now, float64(r.age()))}
			}
		}
	}
	return m
}

// Pulls implements [gallery.Metrics].
func (m *madeUp) Pulls(_ context.Context, name, tag string, days int) ([]gallery.DayPulls, error) {
	today := m.now.Truncate(24 * time.Hour)
	h, pulled := m.habits[name]
	share := 1.0
	if tag != "" {
		share = 0.02 + 0.3*math.Pow(drawn(name, "tag", tag), 3)
	}
	growth := math.Pow(10, 1.2*drawn(name, "growth")-0.35) // within a year
	weekend := 0.3 + 0.5*drawn(name, "weekend")            // most of it is pulled at work
	list := make([]gallery.DayPulls, days)
	for i := range list {
		day := today.AddDate(0, 0, i-days+1)
		list[i].Day = day
		if !pulled || day.Before(h.since) {
			continue
		}
		n := math.Pow(10, h.pulls) / 90 * share * math.Pow(growth, -float64(days-1-i)/365)
		date := day.Format(time.DateOnly)
		n *= 0.8 + 0.4*drawn(name, tag, date)
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			n *= weekend
		}
		if drawn(name, "event", date) > 0.985 { // a release, or a talk that mentions it
			n *= 1.9
		}
		if n < 20 && drawn(name, tag, "quiet", date) < 0.3 {
			continue
		}
		list[i].Pulls = int64(n + drawn(name, tag, "rest", date))
	}
	return list, nil
}

// drawn returns a number from 0 to 1 that looks random and is always the same for the texts.
func drawn(texts ...string) float64 {
	h := sha256.New()
	for _, s := range texts {
		h.Write([]byte(s + "\x00")) //nolint:errcheck // it cannot fail
	}
	return float64(binary.BigEndian.Uint64(h.Sum(nil))>>11) / (1 << 53)
}

// daysBefore returns the time some days before another.
func daysBefore(t time.Time, days float64) time.Time {
	return t.Add(-time.Duration(days * 24 * float64(time.Hour)))
}
