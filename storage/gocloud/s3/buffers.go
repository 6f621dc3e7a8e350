package s3

import (
	"context"
	"sync"
)

// buffers lends parts' worth of memory, no more than so many at a time. Who waits is served in
// order. What nobody uses is the garbage collector's.
type buffers struct {
	lent chan struct{}
	free sync.Pool
}

func newBuffers(size int64) *buffers {
	return &buffers{make(chan struct{}, max(1, size/PartSize)), sync.Pool{New: func() any { return new([PartSize]byte) }}}
}

func (b *buffers) take(ctx context.Context) (*[PartSize]byte, error) {
	select {
	case b.lent <- struct{}{}:
		return b.free.Get().(*[PartSize]byte), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *buffers) give(part *[PartSize]byte) {
	b.free.Put(part)
	<-b.lent
}
