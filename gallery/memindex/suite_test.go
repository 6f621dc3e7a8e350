package memindex_test

import (
	"testing"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/indextest"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
)

func TestIndex(t *testing.T) {
	t.Parallel()
	indextest.Run(t, func(*testing.T) gallery.Index { return memindex.New(nil) })
}
