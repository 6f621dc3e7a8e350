package memindex_test

import (
	"context"
	"fmt"
	"log"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
)

// Find repositories by what a person typed.
func ExampleIndex_Search() {
	ctx, x := context.Background(), memindex.New(nil)
	for _, d := range []gallery.Document{
		{Name: "acme/postgres", Description: "The database", Pulls: 1e6, Verified: true},
		{Name: "acme/hat", Description: "Keeps the rain off"},
	} {
		if err := x.Put(ctx, d); err != nil {
			log.Fatal(err)
		}
	}
	found, err := x.Search(ctx, gallery.ParseQuery("postgers"), gallery.Page{})
	if err != nil {
		log.Fatal(err)
	}
	for _, hit := range found.Hits {
		fmt.Println(hit.Name, "for", found.Corrected)
	}
	// Output: acme/postgres for postgres
}
