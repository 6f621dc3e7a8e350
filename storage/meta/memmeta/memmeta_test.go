package memmeta_test

import (
	"testing"

	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/meta/metatest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	metatest.Run(t, func(*testing.T) meta.Store { return memmeta.New() })
}
