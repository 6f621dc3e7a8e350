package prom_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/prom"
)

// dashboard is what the tests look at of Grafana's format.
type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		Type    string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct {
			Name  string
			Query json.RawMessage
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	raw, err := os.ReadFile("../../examples/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// exported returns the labels of every metric that a host has which registers all of them.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	metrics := prom.New()
	metrics.Observe(t.Context(), &registry.Op{Method: "GET", Path: "/v2/", Status: 200, Began: time.Now()}, nil)
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		metrics, prom.Collection(func() gc.Progress { return gc.Progress{Last: time.Now()} }), prom.AccessLog(accesslog.NewWriter(new(bytes.Buffer), 0)),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, f := range families {
		labels := []string{"job", "instance"} // as Prometheus adds them
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		switch {
		case f.GetMetric()[0].GetHistogram() != nil:
			names[f.GetName()+"_bucket"] = append(labels, "le")
		case f.GetMetric()[0].GetSummary() != nil:
			names[f.GetName()] = append(labels, "quantile")
		default:
			names[f.GetName()] = labels
		}
	}
	return names
}

var (
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z]+)(?:=~|!=|!~|=)"`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
	variable = regexp.MustCompile(`label_values\(([a-z_]+)[^,]*, ([a-z]+)\)`)
)

func TestDashboardShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	d, names := readDashboard(t), exported(t)
	shown := map[string]bool{}
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			found := selector.FindAllStringSubmatch(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s: no metric in %s", p.Title, target.Expr)
			}
			var known []string
			for _, f := range found {
				name, labels := f[1], names[f[1]]
				shown[name] = true
				if labels == nil {
					t.Errorf("%s: there is no metric %s", p.Title, name)
				}
				for _, m := range matcher.FindAllStringSubmatch(f[2], -1) {
					if !slices.Contains(labels, m[1]) {
						t.Errorf("%s: %s has no label %s", p.Title, name, m[1])
					}
				}
				known = append(known, labels...)
			}
			for _, g := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				for label := range strings.SplitSeq(g[1], ", ") {
					if !slices.Contains(known, label) {
						t.Errorf("%s: no label %s in %s", p.Title, label, target.Expr)
					}
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if strings.HasPrefix(name, "esplanade_") && !shown[name] {
			t.Errorf("%s is not shown", name)
		}
	}
	for _, v := range d.Templating.List {
		for _, m := range variable.FindAllStringSubmatch(string(v.Query), -1) {
			if !slices.Contains(names[m[1]], m[2]) {
				t.Errorf("variable %s: %s has no label %s", v.Name, m[1], m[2])
			}
		}
	}
}

func TestDashboardHasRoom(t *testing.T) {
	t.Parallel()
	ids := map[int]string{}
	taken := map[[2]int]string{}
	for _, p := range readDashboard(t).Panels {
		if other, ok := ids[p.ID]; ok || p.ID == 0 {
			t.Errorf("%s has the id %d, as %q", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s is outside the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s is over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
