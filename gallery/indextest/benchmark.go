package indextest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
)

// field is words that descriptions have in common.
var field = strings.Fields(`server database the for and image container web proxy message queue storage monitoring object time series redis postgres
	nginx kafka python java node metrics logs search engine cache kubernetes operator exporter dashboard api gateway client backup`)

// Corpus makes documents with words that are as unequal as those of languages.
func Corpus(n int) (docs []gallery.Document) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		i := max(1, int(1/(r.Float64()+1e-5)))
		if i <= len(field) && r.IntN(2) == 0 {
			return field[r.IntN(i)]
		}
		return fmt.Sprintf("w%d", i)
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for i := range n {
		d := gallery.Document{
			Name: fmt.Sprintf("pub%d/%s-%s%d", i%5000, word(), word(), i), Pulls: int64(1 / (r.Float64() + 1e-9)), Updated: today.AddDate(0, 0, -r.IntN(1000)),
			Verified: i%50 == 0, Kind: gallery.KindImage, Architectures: []string{"amd64", "arm64"}[:1+i%2], OperatingSystems: []string{"linux"},
		}
		for range 12 {
			d.Description += word() + " "
		}
		docs = append(docs, d)
	}
	return docs
}

// Benchmark searches in an index that holds a [Corpus], and reports the median and the 99th
// percentile of each query.
func Benchmark(b *testing.B, x gallery.Index) {
	for name, query := range map[string]string{
		"common": "w1 w2", "rare": "w4711 w99", "typo": "wx4711q", "long typo": "postgrasqlx", "prefix": "w47", "publisher": "pub17", "concept": "message queue",
		"name": "redis", "part": "nginx4", "filtered": "database verified:yes arch:arm64", "everything": "", "unknown": "qqqqqqqq xxyyzz", "publisher's": "publisher:pub17 server",
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				search(b, x, query, gallery.Page{})
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
			}
		})
	}
}
