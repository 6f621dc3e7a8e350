package gallery

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
)

// BenchmarkTemplate executes the template of a page with 100 rows, and tells the slowest but
// one of a hundred.
func BenchmarkTemplate(b *testing.B) {
	s, err := New(Config{Source: struct{ Source }{}, Index: struct{ Index }{}})
	if err != nil {
		b.Fatal(err)
	}
	page := tagsPage{heading: heading{Repository: Repository{Document: Document{Name: "acme/hat"}, Publisher: Publisher{Alias: "acme"}}, Reference: "r.example/acme/hat"}}
	for i := range 100 {
		page.Tags = append(page.Tags, tagRow{Tag: Tag{
			Name: fmt.Sprintf("1.%d.0", i), Digest: manifest.SHA256.FromString(fmt.Sprint(i)), Moved: time.Now(), Pushed: time.Now(), Size: int64(i) << 20, Kind: KindImage,
			Platforms: []string{"linux/amd64", "linux/arm64", "linux/arm/v7"},
		}})
	}
	v := &visit{Site: s}
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := v.html("tags", &layout{Page: page}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
