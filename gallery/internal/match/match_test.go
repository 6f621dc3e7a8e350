package match

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
)

// every is a vocabulary that has some words.
type every map[string]string // a slip of what, or ""

func (v every) Nearest(t string) string { return v[t] }

func (v every) Has(name string) bool { return name == "bitnami/redis" }

func (v every) Known(t string) bool {
	for slip := range v {
		if strings.HasPrefix(slip, t) {
			return false
		}
	}
	return true
}

func words(terms []Term) (list []string) {
	for _, t := range terms {
		list = append(list, t.Word)
	}
	return list
}

func TestUnderstand(t *testing.T) {
	t.Parallel()
	w := NewWeights(gallery.DefaultRanker{})
	v := every{"postgers": "postgres", "mesage": "message"}
	for query, want := range map[string]struct {
		terms, weak []string
		corrected   string
		mark        string // of every term
	}{
		"redis":                     {terms: []string{"redis"}},
		"the redis image":           {terms: []string{"redis"}, weak: []string{"image"}},
		"docker pull redis:7":       {terms: []string{"redis"}, weak: []string{"docker", "pull", "7"}},
		"docker compose":            {terms: []string{"compose"}, weak: []string{"docker"}},
		"docker":                    {terms: []string{"docker"}},
		"bitnami/redis":             {terms: []string{"redis"}, weak: []string{"bitnami"}},
		"bitnami/mysql":             {terms: []string{"bitnami", "mysql"}},
		"the":                       {terms: []string{"the"}},
		"postgers":                  {terms: []string{"postgres"}, corrected: "postgres"},
		"message queue":             {terms: []string{"message", "queue"}, mark: "§messagequeue"},
		"message brokers":           {terms: []string{"message", "brokers"}, mark: "§messagequeue"},
		"open source message queue": {terms: []string{"message", "queue"}, weak: []string{"open", "source"}, mark: "§messagequeue"},
		"mesage queue":              {terms: []string{"message", "queue"}, corrected: "message queue", mark: "§messagequeue"},
		"single sign on":            {terms: []string{"single", "sign", "on"}, mark: "§sso"},
		"docker registry":           {terms: []string{"docker", "registry"}, mark: "§containerregistry"},
		"":                          {},
	} {
		q := gallery.ParseQuery(query)
		p := Understand(&q, w, v)
		if diff := cmp.Diff([][]string{want.terms, want.weak, {want.corrected}}, [][]string{words(p.Terms), words(p.Weak), {p.Corrected}}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
		for _, term := range p.Terms {
			if want.mark != "" && !slices.Contains(term.Forms, Form{want.mark, 1}) {
				t.Errorf("%q: %s is not taken for %s: %v", query, term.Word, want.mark, term.Forms)
			}
		}
	}
}

// What something is, its name says.
func TestProducts(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]FieldSet{
		"docker/library/rabbitmq":        Bit(gallery.Keyword),
		"rabbitmq/server":                Bit(gallery.Keyword),
		"acme/rabbitmq-alpine":           Bit(gallery.Keyword),
		"apache/activemq-artemis":        Bit(gallery.Keyword),
		"acme/rabbitmq-delayed":          Bit(gallery.Description),
		"prometheus/rabbitmq-exporter":   0,
		"acme/rabbitmq-operator":         0,
		"acme/hat":                       0,
		"server/server":                  0,
		"acme/tools/rabbitmq/management": 0,
	} {
		if got := Read(&gallery.Document{Name: name}).Words["§messagequeue"]; got != want {
			t.Errorf("%s: a message queue in %b, want %b", name, got, want)
		}
	}
	spoken := Read(&gallery.Document{Name: "acme/hat", Description: "Fast message brokers for hats", Keywords: []string{"mq"}})
	if got, want := spoken.Words["§messagequeue"], Bit(gallery.Description)|Bit(gallery.Keyword); got != want {
		t.Errorf("spoken of in %b, want %b", got, want)
	}
}

func TestStuffed(t *testing.T) {
	t.Parallel()
	d := gallery.Document{Name: "acme/all", Description: "best free redis mysql nginx", Keywords: []string{"kafka", "vault", "jenkins", "grafana", "vpn"}}
	if !Read(&d).Stuffed {
		t.Error("a repository for everything is not stuffed")
	}
	d.Verified = true
	if Read(&d).Stuffed {
		t.Error("a verified publisher's is")
	}
	if Read(&gallery.Document{Name: "acme/admin", Description: "A browser for mysql, postgres, sqlite and redis"}).Stuffed {
		t.Error("a browser for four databases is")
	}
}

func TestSuspect(t *testing.T) {
	t.Parallel()
	known := map[string][]Known{}
	for _, d := range []gallery.Document{
		{Name: "docker/library/redis", Verified: true, Pulls: 1e9},
		{Name: "prometheus/prometheus", Verified: true, Pulls: 1e8},
		{Name: "docker/library/mysql", Verified: true, Pulls: 1e9},
		{Name: "many/fluent-bit", Pulls: 1e8},
		{Name: "small/wardrobe", Verified: true, Pulls: 100},
	} {
		for _, k := range Imitable(&d) {
			for _, key := range k.Keys() {
				known[key] = append(known[key], k)
			}
		}
	}
	find := func(keys []string) (list []Known) {
		for _, k := range keys {
			list = append(list, known[k]...)
		}
		return list
	}
	for _, c := range []struct {
		name, description string
		pulls             int64
		want              bool
	}{
		{name: "redls/cache", want: true},
		{name: "acme/red1s", want: true},
		{name: "acme/redis"},
		{name: "acme/redis", description: "Official image", want: true},
		{name: "redisproject/redis", description: "Official image"},
		{name: "prometeus/hat", want: true},
		{name: "acme/prometehus", want: true},
		{name: "acme/prometheuss", want: true},
		{name: "acme/fluent-bits"}, // a plural, perhaps
		{name: "acme/pprometheus", want: true},
		{name: "acme/prometeus", pulls: 1e7}, // many use it
		{name: "acme/mssql"},                 // another letter is another name
		{name: "acme/fluentbit"},             // the same but for a hyphen
		{name: "acme/fluent-bitt", want: true},
		{name: "acme/wardorbe"}, // of what nobody knows
		{name: "acme/wardr0be", want: true},
	} {
		d := gallery.Document{Name: c.name, Description: c.description, Pulls: c.pulls}
		if got := Suspect(&d, find); got != c.want {
			t.Errorf("%s, %q, %d pulls: %v", c.name, c.description, c.pulls, got)
		}
		if d.Verified = true; Suspect(&d, find) {
			t.Errorf("%s is suspect although it is verified", c.name)
		}
	}
}

func TestSlips(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typed, meant string
		want         float64
	}{
		{"ngnix", "nginx", 1}, {"redsi", "redis", 1}, {"rediss", "redis", 1}, {"edis", "redis", 0.25}, {"redis", "redis", 0},
		{"postgers", "postgres", 1}, {"elastiksaerch", "elasticsearch", 0.125}, {"redxx", "redis", 0}, {"mürbe", "murbe", 1},
	} {
		s, ok := NewSlips(c.typed)
		if got := s.Factor(c.meant); !ok || got != c.want {
			t.Errorf("%s for %s: %v, want %v", c.typed, c.meant, got, c.want)
		}
		if c.want > 0 && !s.May(c.meant, Letters(c.meant)) {
			t.Errorf("%s for %s is not looked at", c.typed, c.meant)
		}
	}
	for _, typed := range []string{"", "abc", "äöü", strings.Repeat("a", 61)} {
		if _, ok := NewSlips(typed); ok {
			t.Errorf("%q may be a slip", typed)
		}
	}
}

// FuzzDistance holds the quick way to the plain one.
func FuzzDistance(f *testing.F) {
	f.Add("postgers", "postgres")
	f.Add("ab", "ba")
	f.Add("", "a")
	f.Add("abcdef", "fabcde")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > maxWord || len(b) > maxWord {
			return
		}
		want := plainDistance([]rune(a), []rune(b))
		for limit := 1; limit <= 2; limit++ {
			if got := distance(a, b, limit); min(got, limit+1) != min(want, limit+1) {
				t.Errorf("%q, %q within %d: %d, want %d", a, b, limit, got, want)
			}
		}
	})
}

func plainDistance(s, t []rune) int {
	rows := make([][]int, len(s)+1)
	for i := range rows {
		rows[i] = make([]int, len(t)+1)
		for j := range rows[i] {
			switch {
			case i == 0:
				rows[i][j] = j
			case j == 0:
				rows[i][j] = i
			default:
				n := min(rows[i-1][j], rows[i][j-1]) + 1
				if s[i-1] == t[j-1] {
					n = min(n, rows[i-1][j-1])
				}
				n = min(n, rows[i-1][j-1]+1)
				if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
					n = min(n, rows[i-2][j-2]+1)
				}
				rows[i][j] = n
			}
		}
	}
	return rows[len(s)][len(t)]
}

// The tables say nothing twice, and nothing that cannot be found.
func TestTables(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for line := range tableLines(conceptTable) {
		phrases, products, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(products) == "" {
			t.Errorf("%q has no products", line)
		}
		for phrase := range strings.SplitSeq(phrases, ",") {
			key := strings.Join(gallery.Words(phrase), " ")
			if key == "" {
				t.Errorf("an empty phrase in %q", phrases)
			}
			if mark := strings.TrimSpace(strings.Split(phrases, ",")[0]); seen[key] == mark {
				t.Errorf("%q is twice in %q", key, mark)
			} else {
				seen[key] = mark
			}
		}
	}
	for from, to := range synonyms() {
		for _, w := range append(to, from) {
			if got := gallery.Words(w); len(got) != 1 || got[0] != w {
				t.Errorf("%q, for %q, is no word", w, from)
			}
		}
	}
	if len(concepts().phrases) < 500 || len(concepts().products) < 500 {
		t.Errorf("%d phrases, %d products", len(concepts().phrases), len(concepts().products))
	}
}

// Words have a key in common with their slips.
func TestSlipKeys(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"redis", "rediss"}, {"redis", "wedis"}, {"redis", "erdis"}, {"redis", "rdis"}, {"redis", "rediiss"}, {"nginx", "ngnix"}, {"kafka", "kafak"},
		{"postgres", "postgers"}, {"postgres", "ostgres"}, {"postgres", "postgrse"}, {"grafana", "grafna"}, {"grafana", "graafanaa"}, {"consul", "connsuul"}, {"größe", "gröse"},
	} {
		slips, ok := NewSlips(c[1])
		if !ok {
			t.Fatalf("%s is not compared", c[1])
		}
		if slips.Factor(c[0]) == 0 {
			t.Errorf("%s is no slip of %s", c[1], c[0])
		}
		keys := SlipKeys(c[0])
		if !slices.ContainsFunc(slips.Keys(), func(k string) bool { return slices.Contains(keys, k) }) {
			t.Errorf("%s and %s have no key in common", c[0], c[1])
		}
	}
	for _, w := range []string{"", "a", "é", strings.Repeat("a", 100)} {
		if keys := SlipKeys(w); len(keys) > 0 {
			t.Errorf("%q has keys: %q", w, keys)
		}
	}
}
