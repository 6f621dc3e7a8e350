//go:build unix

package pgindex_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/indextest"
	"github.com/esplanade-registry/esplanade/gallery/pgindex"
	"github.com/esplanade-registry/esplanade/internal/pgtest"
)

// flat is a ranker with other weights.
type flat struct{ gallery.DefaultRanker }

func (flat) Field(gallery.Field) float64 { return 1 }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.WithoutCancel(t.Context())) }) //nolint:errcheck // nothing is lost
	return c
}

func execute(t *testing.T, c *pgx.Conn, script string) {
	t.Helper()
	if _, err := c.Exec(t.Context(), script); err != nil {
		t.Fatal(err)
	}
}

// rows returns the rows of a query as text.
func rows(t *testing.T, c *pgx.Conn, query string) (list []string) {
	t.Helper()
	found, err := c.Query(t.Context(), "SELECT r::text FROM ("+query+") r")
	if err == nil {
		list, err = pgx.CollectRows(found, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What was put is there after the index has been opened again; but not if it was written for
// other weights, or by another version. Nodes that are of that get errors from then on.
func TestReopen(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Start(t).Database(t)
	c := connect(t, dsn)
	hat := gallery.Document{Name: "acme/hat"}
	var nodes []*pgindex.Index
	for i, step := range []struct {
		ranker gallery.Ranker
		before int
		script string
	}{
		{nil, 0, ""},
		{nil, 1, ""},
		{gallery.DefaultRanker{}, 1, ""},
		{flat{}, 0, ""},
		{flat{}, 1, "UPDATE esplanade_index SET version = 1"},
		{flat{}, 0, "ALTER TABLE esplanade_index_document RENAME name TO called; UPDATE esplanade_index SET version = 1"},
		{flat{}, 0, ""},
	} {
		x := open(t, dsn, step.ranker)
		nodes = append(nodes, x)
		if n, err := x.Len(t.Context()); err != nil || n != step.before {
			t.Errorf("%d: %d documents, %v; want %d", i, n, err, step.before)
		}
		r, err := x.Search(t.Context(), gallery.ParseQuery("hat"), gallery.Page{})
		if err != nil || r.Total != step.before {
			t.Errorf("%d: %d hits, %v; want %d", i, r.Total, err, step.before)
		}
		if err := x.Put(t.Context(), hat); err != nil {
			t.Error(err)
		}
		execute(t, c, step.script)
	}
	first, newest := nodes[0], nodes[len(nodes)-1]
	for what, err := range map[string]error{
		"Put":    first.Put(t.Context(), hat),
		"Delete": first.Delete(t.Context(), hat.Name),
		"Search": func() error {
			_, err := first.Search(t.Context(), gallery.ParseQuery("hat"), gallery.Page{})
			return err
		}(),
		"Len": func() error { _, err := first.Len(t.Context()); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "another version") {
			t.Errorf("%s of a node of another version: %v", what, err)
		}
	}
	if n, err := newest.Len(t.Context()); err != nil || n != 1 {
		t.Errorf("%d documents, %v", n, err)
	}
}

// Nodes start at the same time, some of another version, while others search.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Start(t).Database(t)
	var group sync.WaitGroup
	for node := range 4 {
		group.Go(func() {
			for i := range 6 {
				var r gallery.Ranker
				if (node+i)%4 == 3 {
					r = flat{}
				}
				x, err := pgindex.Open(t.Context(), dsn, r)
				if err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					err := x.Put(t.Context(), gallery.Document{Name: fmt.Sprintf("acme/hat%d-%d", node, i)})
					if err == nil {
						_, err = x.Search(t.Context(), gallery.ParseQuery("acme hat"), gallery.Page{})
					}
					if err != nil && !strings.Contains(err.Error(), "another version") {
						t.Error(err)
					}
				}
				if err := x.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dsn := server.Database(t)
	execute(t, connect(t, dsn), "CREATE ROLE weak LOGIN")
	execute(t, connect(t, dsn), "CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
	for where, want := range map[string]string{
		strings.Replace(dsn, "test@", "weak@", 1):     "CREATE EXTENSION pg_trgm",
		strings.Replace(dsn, "/test1", "/latin", 1):   "UTF8",
		strings.Replace(dsn, "/test1", "/nothing", 1): "nothing",
		"postgres://%": "parse",
	} {
		if x, err := pgindex.Open(t.Context(), where, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %s", where, x, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pgindex.Open(ctx, dsn, nil); err == nil {
		t.Error("opened under a context that ended")
	}
	// once somebody with the right to has installed it, and for whoever may create tables
	execute(t, connect(t, dsn), "CREATE EXTENSION pg_trgm; GRANT CREATE ON SCHEMA public TO weak")
	open(t, strings.Replace(dsn, "test@", "weak@", 1), nil)
}

// A node puts what is there already, as every node does when it starts: nothing is written.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Start(t).Database(t)
	docs := indextest.Corpus(30)
	docs[0].Text, docs[0].Pulls = "About it", 1e9
	if err := open(t, dsn, nil).PutAll(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	c := connect(t, dsn)
	state := func() []string {
		return rows(t, c, `SELECT ctid, xmin FROM esplanade_index UNION ALL SELECT ctid, xmin FROM esplanade_index_document
UNION ALL SELECT ctid, xmin FROM esplanade_index_lexemes UNION ALL SELECT ctid, xmin FROM esplanade_index_word UNION ALL SELECT ctid, xmin FROM esplanade_index_known`)
	}
	before := state()
	other := open(t, dsn, nil)
	execute(t, c, "BEGIN; LOCK TABLE esplanade_index") // nor is anybody waited for who writes
	for _, d := range docs {
		if err := other.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, c, "ROLLBACK")
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	docs[0].Text = "Changed"
	if err := other.Put(t.Context(), docs[0]); err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(before, state()) {
		t.Error("a changed text is not written")
	}
}

// Nodes put and delete the same documents at the same time. Whatever the order was, the
// tables are as if the documents that are left had been put once.
func TestNodes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dsn := server.Database(t)
	docs := indextest.Corpus(12)
	docs[0].Pulls, docs[1].Verified = 1e9, true
	var group sync.WaitGroup
	for node := range 3 {
		x := open(t, dsn, nil)
		for worker := range 3 {
			group.Go(func() {
				r := rand.New(rand.NewPCG(uint64(node), uint64(worker)))
				for i := range 40 {
					d := docs[r.IntN(len(docs))]
					var err error
					switch r.IntN(4) {
					case 0:
						err = x.Delete(t.Context(), d.Name)
					case 1:
						shuffled := slices.Clone(docs)
						r.Shuffle(len(docs), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
						err = x.PutAll(t.Context(), shuffled[:5]...)
					default:
						d.Pulls += int64(i * i)
						d.Description += fmt.Sprintf(" version%d of node%d", i, node)
						err = x.Put(t.Context(), d)
					}
					if err != nil {
						t.Error(err)
					}
					if _, err := x.Search(t.Context(), gallery.ParseQuery("version node1"), gallery.Page{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	group.Wait()
	once := server.Database(t)
	for i, where := range []string{dsn, once} {
		x := open(t, where, nil)
		if err := x.PutAll(t.Context(), docs[:10]...); err != nil {
			t.Fatal(err)
		}
		for _, d := range docs[10:] {
			if err := x.Delete(t.Context(), d.Name); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := x.Len(t.Context()); err != nil || n != 10 {
			t.Errorf("%d: %d documents, %v", i, n, err)
		}
	}
	a, b := connect(t, dsn), connect(t, once)
	for _, query := range []string{
		"SELECT word, documents, named, keyed, spoken, weight, length, slips FROM esplanade_index_word ORDER BY word",
		"SELECT name, hash, id >> 32, words, body FROM esplanade_index_document ORDER BY name",
		"SELECT name, lexemes, folded FROM esplanade_index_document JOIN esplanade_index_lexemes USING (id) ORDER BY name",
		"SELECT key, k.name, d.name FROM esplanade_index_known k JOIN esplanade_index_document d ON d.id = document ORDER BY 1, 2, 3",
		"SELECT (SELECT count(*) FROM esplanade_index_lexemes), (SELECT count(*) FROM esplanade_index_known)",
	} {
		if diff := cmp.Diff(rows(t, b, query), rows(t, a, query)); diff != "" {
			t.Errorf("%s (-put once +put by all):\n%s", query, diff)
		}
	}
	x := open(t, dsn, nil)
	for _, d := range docs[:10] {
		if err := x.Delete(t.Context(), d.Name); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"document", "lexemes", "word", "known"} {
		if left := rows(t, a, "SELECT * FROM esplanade_index_"+table); len(left) > 0 {
			t.Errorf("after everything was deleted, %s has %q", table, left)
		}
	}
}

// Where more documents have the words than are scored, pages are of what was scored, and what
// is filtered by is found however much else there is.
func TestMoreThanCandidates(t *testing.T) {
	t.Parallel()
	x := open(t, pgtest.Start(t).Database(t), nil)
	docs := indextest.Corpus(3000)
	for i := range docs {
		docs[i].Description = "a hat"
	}
	docs = append(docs,
		gallery.Document{Name: "poor/thing", Description: "a hat nobody has", Architectures: []string{"s390x"}},
		gallery.Document{Name: "poor/hat", Description: "nobody has it"},
		gallery.Document{Name: "poor/thing-2", Description: "nobody has it", Keywords: []string{"hat"}},
	)
	if err := x.PutAll(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"hat", ""} {
		seen, page := map[string]bool{}, gallery.Page{Limit: gallery.MaxPage}
		for more := true; more; {
			r, err := x.Search(t.Context(), gallery.ParseQuery(query), page)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range r.Hits {
				seen[h.Name] = true
			}
			if more = r.More; more {
				page.After = r.Hits[len(r.Hits)-1].Name
			} else if len(seen) != r.Total || r.Total >= len(docs) || r.Total < 500 {
				t.Errorf("%q: %d hits on all pages, the total is %d", query, len(seen), r.Total)
			}
		}
	}
	for query, want := range map[string]string{
		"hat arch:s390x": "poor/thing", "arch:s390x": "poor/thing", "publisher:poor thing": "poor/thing", "hat": "poor/hat", "hat nobody": "poor/thing",
		"publisher:poor verified:no": "poor/hat",
	} {
		r, err := x.Search(t.Context(), gallery.ParseQuery(query), gallery.Page{Limit: gallery.MaxPage})
		if err != nil || !slices.ContainsFunc(r.Hits, func(h gallery.Hit) bool { return h.Name == want }) {
			t.Errorf("%q does not find %s among %d, %v", query, want, r.Total, err)
		}
	}
}

// Texts and words may be longer than what the tables take of them.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	x := open(t, pgtest.Start(t).Database(t), nil)
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "w%d ", i)
	}
	long := strings.Repeat("é", 150)
	for _, d := range []gallery.Document{
		{Name: "acme/hat", Text: "aardvarks " + text.String()},
		{Name: "acme/cap", Text: long + "x"},
		{Name: "acme/scarf", Description: long + "y", Verified: true},
		{Name: "acme/" + strings.Repeat("z", 1000), Verified: true},
	} {
		if err := x.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		"aardvarks": "acme/hat", "aardvark hat": "acme/hat", long + "x": "acme/cap", long + "y": "acme/scarf", strings.Repeat("z", 1000): "acme/" + strings.Repeat("z", 1000),
	} {
		r, err := x.Search(t.Context(), gallery.Query{Terms: []string{query}}, gallery.Page{})
		if err != nil || len(r.Hits) != 1 || r.Hits[0].Name != want {
			t.Errorf("%.20s: %v, %v; want %.20s", query, r.Hits, err, want)
		}
	}
}

func Example() {
	ctx := context.Background()
	index, err := pgindex.Open(ctx, os.Getenv("DATABASE_URL"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	// a Put of what another node has put is cheap
	if err := index.Put(ctx, gallery.Document{Name: "acme/rabbitmq", Description: "Carries messages", Updated: time.Now()}); err != nil {
		log.Fatal(err)
	}
	found, err := index.Search(ctx, gallery.ParseQuery("message queue"), gallery.Page{})
	if err != nil {
		log.Fatal(err)
	}
	for _, hit := range found.Hits {
		fmt.Println(hit.Name)
	}
}
