package gallery

import (
	"encoding/csv"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// The days that pages of pulls show.
const (
	chartDays = 90
	maxDays   = 365
)

// pullsPage is the page of a repository's pulls.
type pullsPage struct {
	heading
	Tag  string  `json:"tag,omitempty"`
	Days int     `json:"days"`
	Data *series `json:"pulls"` // null where there is no data
	CSV  string  `json:"-"`     // path
}

// series is pulls by day.
type series struct {
	Total int64      `json:"total"`
	Days  []DayPulls `json:"days"`
}

// series asks for pulls; nil where nobody counts them.
func (v *visit) series(name, tag string, days int) (*series, error) {
	if v.cfg.Metrics == nil {
		return nil, nil
	}
	list, err := v.cfg.Metrics.Pulls(v.ctx(), name, tag, days)
	if err != nil {
		return nil, err
	}
	s := &series{Days: list}
	for _, d := range list {
		s.Total += d.Pulls
	}
	return s, nil
}

func (v *visit) pulls(name string) (*page, error) {
	head, err := v.open(name, "pulls")
	if err != nil {
		return nil, err
	}
	data := pullsPage{heading: head, Tag: v.query.Get("tag"), Days: chartDays}
	if data.Tag != "" && manifest.CheckTag(data.Tag) != nil {
		return nil, badRequest("tag must be a tag.")
	}
	if s := v.query.Get("days"); s != "" {
		if data.Days, err = strconv.Atoi(s); err != nil || data.Days < 1 || data.Days > maxDays {
			return nil, badRequest("days must be a number from 1 to %d.", maxDays)
		}
	}
	if data.Data, err = v.series(head.Repository.Name, data.Tag, data.Days); err != nil {
		return nil, err
	}
	if v.format == "csv" {
		return data.csv()
	}
	data.CSV = fmt.Sprintf("%s?format=csv&days=%d", v.to(head.Repository.Name, "-", "pulls"), data.Days)
	if data.Tag != "" {
		data.CSV += "&tag=" + queryEscape(data.Tag)
	}
	return &page{
		template: "pulls", title: "Pulls of " + head.Repository.Name, description: "How often " + head.Reference + " is pulled.",
		canonical: "/" + head.Repository.Name + "/-/pulls", noindex: v.r.URL.RawQuery != "", data: data,
	}, nil
}

func (p *pullsPage) csv() (*page, error) {
	if p.Data == nil {
		return nil, notFound("Pulls are not counted here.")
	}
	var out strings.Builder
	w := csv.NewWriter(&out)
	w.Write([]string{"day", "pulls"}) //nolint:errcheck // kept until Error
	for _, d := range p.Data.Days {
		w.Write([]string{d.Day.Format("2006-01-02"), strconv.FormatInt(d.Pulls, 10)}) //nolint:errcheck // kept until Error
	}
	w.Flush()
	return &page{noindex: true, raw: &raw{contentType: "text/csv; charset=utf-8", body: []byte(out.String())}}, w.Error()
}

// The size of a chart in its own units.
const (
	chartWidth  = 720
	chartHeight = 160
)

// Chart draws the days as an area. It has no style of its own, which the policy of the site
// forbids, and says nothing to screen readers that the table beside it does not say better.
func (s *series) Chart() template.HTML {
	if len(s.Days) < 2 || s.Total == 0 {
		return ""
	}
	var most int64 = 1
	for _, d := range s.Days {
		most = max(most, d.Pulls)
	}
	var line strings.Builder
	for i, d := range s.Days {
		x := float64(i) * chartWidth / float64(len(s.Days)-1)
		y := chartHeight - float64(d.Pulls)*(chartHeight-8)/float64(most)
		fmt.Fprintf(&line, "%.1f,%.1f ", x, y)
	}
	points := strings.TrimSpace(line.String())
	return template.HTML(fmt.Sprintf(`<svg class="chart" viewBox="0 0 %d %d" preserveAspectRatio="none" aria-hidden="true" focusable="false">`+
		`<polygon points="0,%d %s %d,%d"/><polyline points="%s"/></svg>`, chartWidth, chartHeight, chartHeight, points, chartWidth, chartHeight, points))
}

// Most returns the day with the most pulls.
func (s *series) Most() (most DayPulls) {
	for _, d := range s.Days {
		if d.Pulls > most.Pulls || most.Day.IsZero() {
			most = d
		}
	}
	return most
}

// Weeks adds the days up by seven, for a table that one can read.
func (s *series) Weeks() (list []DayPulls) {
	for i := len(s.Days); i > 0; i -= 7 {
		week := DayPulls{Day: s.Days[max(0, i-7)].Day}
		for _, d := range s.Days[max(0, i-7):i] {
			week.Pulls += d.Pulls
		}
		list = append(list, week)
	}
	return list
}
