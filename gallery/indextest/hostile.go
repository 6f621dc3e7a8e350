package indextest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/esplanade-registry/esplanade/gallery"
)

// hostile is what nobody means, and programs that build queries of text fall over.
var hostile = []string{
	"\x00", "redis\x00", "\x00redis\x00cluster", `"`, `'`, "`", `"redis`, `redis"`, `""`, `'; DROP TABLE document; --`,
	`"a" OR b*`, "redis OR cluster", "redis AND", "NOT redis", "NEAR(redis cluster)", "name:redis", "^redis", "redis*", "*", "redis +", "{name}: redis",
	"-redis", "(redis", "redis)", "%", "_", "[a-z]", `\`, "redis\\", "${redis}", "\xff\xfe", "redis\xc3", "é", "ß", "İ", "ſ", "ﬁ", "日本語", "𝔯𝔢𝔡𝔦𝔰", "e\u0301\u0302", "\u200b", "👩‍👩‍👧",
	strings.Repeat("a", 500), strings.Repeat("a ", 250), strings.Repeat(`"`, 500), strings.Repeat("(", 500), strings.Repeat("é", 250), strings.Repeat("a/", 250),
	strings.Repeat("redis ", 1000), "docker pull", "docker pull /", "a/b/c@sha256:", "arch:", ":", "publisher:\x00", `publisher:"x`, "arch:' os:\" type:*",
}

func testHostileQueries(t *testing.T, x gallery.Index) {
	fill(t, x, shelf...)
	queries := hostile
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 500)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		queries = append(queries, string(b))
	}
	for _, s := range queries {
		for _, q := range []gallery.Query{gallery.ParseQuery(s), {Terms: []string{s}}, {Name: s, Terms: []string{s, "redis"}}, {Publisher: s, Architectures: []string{s}, Kinds: []string{s}}} {
			if _, err := x.Search(t.Context(), q, gallery.Page{After: s, Sort: gallery.Sort(s)}); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
		}
	}
	found(t, x, "wardrobe", "acme/tools/wardrobe")
}

// Documents are of the publishers' choice. Whatever is in one, it is found by its name, and
// others are.
func testHostileDocuments(t *testing.T, x gallery.Index) {
	for i, s := range hostile {
		name := fmt.Sprintf("evil%d/thing%d", i, i)
		fill(t, x, gallery.Document{
			Name: name, Description: s, Text: s, Keywords: []string{s, s}, Architectures: []string{s}, OperatingSystems: []string{s}, Kind: gallery.Kind(s), Tag: s, Logo: s,
		})
		fill(t, x, gallery.Document{Name: "odd" + s + "/" + s})
		r := search(t, x, name, gallery.Page{})
		if got := names(r); len(got) == 0 || got[0] != name {
			t.Errorf("with %q: %v", s, got)
		} else if d := r.Hits[0]; d.Description != s || d.Text != s || d.Tag != s {
			t.Errorf("%q comes back as %q, %q, %q", s, d.Description, d.Text, d.Tag)
		}
		if s = strings.TrimSpace(s); len(s) > 0 {
			r, err := x.Search(t.Context(), gallery.Query{Publisher: fmt.Sprintf("evil%d", i), Architectures: hostile[i : i+1]}, gallery.Page{})
			if err != nil || len(r.Hits) != 1 {
				t.Errorf("arch:%q finds %v, %v", s, names(r), err)
			}
		}
	}
	all(t, x, "", gallery.Page{Limit: 10})
	for i, s := range hostile {
		for _, name := range []string{fmt.Sprintf("evil%d/thing%d", i, i), "odd" + s + "/" + s} {
			if err := x.Delete(t.Context(), name); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	found(t, x, "")
}

// A context that ended ends what is done under it, and changes nothing.
func testContexts(t *testing.T, x gallery.Index) {
	fill(t, x, gallery.Document{Name: "acme/hat"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Search(ctx, gallery.ParseQuery("hat"), gallery.Page{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Search: %v", err)
	}
	if err := x.Put(ctx, gallery.Document{Name: "acme/cap"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if err := x.Delete(ctx, "acme/hat"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: %v", err)
	}
	found(t, x, "", "acme/hat")
}

func testConcurrency(t *testing.T, x gallery.Index) {
	fill(t, x, shelf...)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 30 {
				name := fmt.Sprintf("acme/hat-%d-%d", worker, i)
				if err := x.Put(t.Context(), gallery.Document{Name: name, Description: "A hat", Verified: i%3 == 0}); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					if err := x.Delete(t.Context(), name); err != nil {
						t.Error(err)
					}
				}
				if err := x.Put(t.Context(), gallery.Document{Name: "acme/contended", Description: name}); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for i := range 30 {
				query := []string{"hat", "redis", "", "wardrbe", "contended"}[i%5]
				if _, err := x.Search(t.Context(), gallery.ParseQuery(query), gallery.Page{}); err != nil {
					t.Errorf("%q: %v", query, err)
				}
			}
		})
	}
	group.Wait()
	if r := search(t, x, "hat", gallery.Page{}); r.Total < 60 {
		t.Errorf("%d hats are there, want 60 at least", r.Total)
	}
	if r := search(t, x, "contended", gallery.Page{}); r.Total != 1 {
		t.Errorf("%d documents of one name", r.Total)
	}
}
