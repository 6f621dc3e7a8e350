package registry

import (
	"context"
	"fmt"

	"golang.org/x/sync/singleflight"

	"github.com/esplanade-registry/esplanade/manifest"
)

// flights lets those who ask for the same thing at the same time share one read of the
// store: when a new image is pulled by thousands at once, the first reads it for all.
type flights struct{ group singleflight.Group }

// together returns what read returns, for the first who asks, and gives it to the others. Who asks after a
// change was committed never gets what was read before it: the cache that fill is of has
// counted the change, and with no cache nothing is shared. read goes on without who asked
// first, for the others.
func together[K comparable, V, T any](ctx context.Context, f *flights, fill manifest.Fill[K, V], key string, read func(context.Context) (T, error)) (T, error) {
	generation := fill.Generation()
	if generation == 0 {
		return read(ctx)
	}
	shared := f.group.DoChan(fmt.Sprint(generation, " ", key), func() (any, error) { return read(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case got := <-shared:
		value, _ := got.Val.(T)
		return value, got.Err
	}
}
