package registry

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/singleflight"
)

// flights lets those who ask for the same thing at the same time share one read of the
// store: when a new image is pulled by thousands at once, the first reads it for all.
type flights struct{ group singleflight.Group }

// together returns what read returns, for the first who asks, and gives it to the others of the
// same generation: that of all caches which the answer will fill, so that who asks after a
// change was committed never gets what was read before it. In generation 0 nothing is shared.
// read goes on without who asked first, for the others.
func together[T any](ctx context.Context, f *flights, generation uint64, key string, read func(context.Context) (T, error)) (T, error) {
	if generation == 0 {
		return read(ctx)
	}
	shared := f.group.DoChan(fmt.Sprint(generation, " ", key), func() (_ any, err error) {
		defer func() { // in a goroutine of its own it would be the end of the process
			if p := recover(); p != nil {
				err = fmt.Errorf("registry: panic: %v\n%s", p, debug.Stack())
			}
		}()
		return read(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case got := <-shared:
		value, _ := got.Val.(T)
		return value, got.Err
	}
}
