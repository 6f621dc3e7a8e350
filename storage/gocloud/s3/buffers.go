package s3

import (
	"context"
	"sync"
)

// buffers lends memory of one size, no more than so many at a time. Who waits is served in
// order. What nobody uses is the garbage collector's.
type buffers struct {
	lent chan struct{}
	free sync.Pool
}

// buffer is memory that was lent.
type buffer struct {
	bytes []byte
	of    *buffers
}

func newBuffers(size, count int) *buffers {
	b := &buffers{lent: make(chan struct{}, count)}
	b.free.New = func() any { return &buffer{make([]byte, size), b} }
	return b
}

func (b *buffers) take(ctx context.Context) (*buffer, error) {
	select {
	case b.lent <- struct{}{}:
		return b.free.Get().(*buffer), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *buffer) give() {
	b.of.free.Put(b)
	<-b.of.lent
}
