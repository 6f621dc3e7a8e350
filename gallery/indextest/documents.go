package indextest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Hits carry the documents as they were put.
func testDocuments(t *testing.T, x gallery.Index) {
	want := gallery.Document{
		Name: "acme/tools/hat", Description: "A hat \x00 \"quoted\"", Text: "Wear it.\n\nOften.", Keywords: []string{"head", "Clothes, warm"},
		Architectures: []string{"amd64", "arm64"}, OperatingSystems: []string{"linux"}, Kind: gallery.Kind("chart"), Tag: "1.2", Logo: "/-/logo",
		Verified: true, Deprecated: true, Pulls: 12345678901, Updated: time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC),
	}
	fill(t, x, want, gallery.Document{Name: "acme/cap"})
	for _, query := range []string{"hat", "often", "clothes", "is:deprecated"} {
		r := search(t, x, query, gallery.Page{})
		if len(r.Hits) != 1 {
			t.Fatalf("%q finds %v", query, names(r))
		}
		if diff := cmp.Diff(want, r.Hits[0].Document); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
		if r.Hits[0].Score <= 0 {
			t.Errorf("%q: the score is %v", query, r.Hits[0].Score)
		}
	}
}

// A document takes the place of the one of its name, with all that was found of it.
func testChanges(t *testing.T, x gallery.Index) {
	fill(t, x, gallery.Document{Name: "acme/hat", Description: "straw", Pulls: 1e9}, gallery.Document{Name: "acme/cap", Description: "wool", Pulls: 1e6})
	found(t, x, "straw", "acme/hat")
	fill(t, x, gallery.Document{Name: "acme/hat", Description: "felt", Verified: true})
	found(t, x, "straw")
	found(t, x, "felt", "acme/hat")
	found(t, x, "", "acme/hat", "acme/cap")
	for range 2 { // the second time there is nothing to delete
		if err := x.Delete(t.Context(), "acme/hat"); err != nil {
			t.Error(err)
		}
	}
	found(t, x, "felt")
	found(t, x, "", "acme/cap")
	found(t, x, "acme", "acme/cap")
	fill(t, x, gallery.Document{Name: "acme/hat", Description: "straw"})
	found(t, x, "straw", "acme/hat")
	for _, name := range []string{"acme/hat", "acme/cap"} {
		if err := x.Delete(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	found(t, x, "")
}

// A name has an alias and a rest.
func testNames(t *testing.T, x gallery.Index) {
	for _, name := range []string{"", "a", "a/", "/b", "/"} {
		if err := x.Put(t.Context(), gallery.Document{Name: name}); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
		if err := x.Delete(t.Context(), name); err != nil {
			t.Errorf("deleting %q, which is not there: %v", name, err)
		}
	}
	found(t, x, "")
}

// An index that outlives its process names what it holds.
func testKeeper(t *testing.T, x gallery.Index) {
	k, ok := x.(gallery.Keeper)
	if !ok {
		t.Log("it is none")
		return
	}
	kept := func() (list []string) {
		for name, err := range k.Names(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, name)
		}
		return list
	}
	if got := kept(); len(got) > 0 {
		t.Errorf("an empty index holds %q", got)
	}
	// in the order of their bytes, with more of them than are read at once
	want := []string{"A/b", "a-b/c", "a/b", "a/b/c", "a/b-c", "a/\xff", "\xff/a", "é/a"}
	for i := range 1100 {
		want = append(want, fmt.Sprintf("many/x%d", i))
	}
	docs := make([]gallery.Document, len(want))
	for i, name := range want {
		docs[i].Name = name
	}
	if all, ok := x.(interface {
		PutAll(context.Context, ...gallery.Document) error
	}); !ok {
		fill(t, x, docs...)
	} else if err := all.PutAll(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, kept()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, err := range k.Names(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if name != "a/b" {
			if err := x.Delete(t.Context(), name); err != nil { // on the way
				t.Fatal(err)
			}
		}
		if name == "a/b/c" {
			break
		}
	}
	gone := map[string]bool{"A/b": true, "a-b/c": true, "a/b-c": true, "a/b/c": true}
	want = slices.DeleteFunc(want, func(name string) bool { return gone[name] })
	if diff := cmp.Diff(want, kept()); diff != "" {
		t.Errorf("after some were deleted (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range k.Names(ctx) {
		if name != "" || !errors.Is(err, context.Canceled) {
			t.Errorf("an ended context: %q, %v", name, err)
		}
	}
}
