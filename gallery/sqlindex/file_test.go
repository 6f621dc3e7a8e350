package sqlindex_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/indextest"
	"github.com/esplanade-registry/esplanade/gallery/sqlindex"
)

// flat is a ranker with other weights.
type flat struct{ gallery.DefaultRanker }

func (flat) Field(gallery.Field) float64 { return 1 }

// What was put is there after the file has been opened again; but not if it was written for
// other weights, or by another version.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := temporary(t)
	for i, c := range []struct {
		ranker gallery.Ranker
		before int
		script string
	}{
		{nil, 0, ""},
		{nil, 1, ""},
		{gallery.DefaultRanker{}, 1, ""},
		{flat{}, 0, ""},
		{flat{}, 1, "PRAGMA user_version = 1"},
		{flat{}, 0, ""},
	} {
		x, err := sqlindex.Open(t.Context(), path, c.ranker)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := x.Len(t.Context()); err != nil || n != c.before {
			t.Errorf("%d: %d documents, %v; want %d", i, n, err, c.before)
		}
		r, err := x.Search(t.Context(), gallery.ParseQuery("hat"), gallery.Page{})
		if err != nil || r.Total != c.before {
			t.Errorf("%d: %d hits, %v; want %d", i, r.Total, err, c.before)
		}
		if err := x.Put(t.Context(), gallery.Document{Name: "acme/hat"}); err != nil {
			t.Error(err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		execute(t, path, c.script)
	}
}

func execute(t *testing.T, path, script string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Dir(path))+"/a%20b%3Fc%23d%2541.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
}

// A file of somebody else is left alone.
func TestRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"PRAGMA application_id = 7", "CREATE TABLE t (x)"} {
		path := temporary(t)
		execute(t, path, script)
		if x, err := sqlindex.Open(t.Context(), path, nil); err == nil {
			t.Errorf("%s: opened, %v", script, x.Close())
		}
	}
	if _, err := sqlindex.Open(t.Context(), "", nil); err == nil {
		t.Error("no path is a path")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlindex.Open(ctx, temporary(t), nil); err == nil {
		t.Error("opened under a context that ended")
	}
}

// Where more documents have the words than are scored, pages are of what was scored, and what
// is filtered by is found however much else there is.
func TestMoreThanCandidates(t *testing.T) {
	t.Parallel()
	x := open(t, temporary(t), nil)
	docs := indextest.Corpus(1700)
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
	for query, want := range map[string]string{"hat arch:s390x": "poor/thing", "arch:s390x": "poor/thing", "publisher:poor thing": "poor/thing", "hat": "poor/hat"} {
		r, err := x.Search(t.Context(), gallery.ParseQuery(query), gallery.Page{Limit: gallery.MaxPage})
		if err != nil || !slices.ContainsFunc(r.Hits, func(h gallery.Hit) bool { return h.Name == want }) {
			t.Errorf("%q does not find %s among %d, %v", query, want, r.Total, err)
		}
	}
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "search")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	index, err := sqlindex.Open(ctx, filepath.Join(dir, "search.db"), nil)
	if err != nil {
		panic(err)
	}
	defer index.Close()
	if n, err := index.Len(ctx); err != nil {
		panic(err)
	} else if n == 0 {
		// a new file, or one of another version: the host puts what it has
		err := index.PutAll(ctx,
			gallery.Document{Name: "acme/rabbitmq", Description: "Carries messages"},
			gallery.Document{Name: "acme/hat", Description: "Keeps the rain off"})
		if err != nil {
			panic(err)
		}
	}
	found, err := index.Search(ctx, gallery.ParseQuery("message queue"), gallery.Page{})
	if err != nil {
		panic(err)
	}
	for _, hit := range found.Hits {
		fmt.Println(hit.Name)
	}
	// Output: acme/rabbitmq
}
