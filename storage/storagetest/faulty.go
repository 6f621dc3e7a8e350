package storagetest

import (
	"context"
	"io"
	"sync"

	"github.com/esplanade-registry/esplanade/storage"
)

// Faulty is a [storage.Bucket] that fails on purpose. Its zero faults pass everything on
// to the bucket within.
type Faulty struct {
	storage.Bucket

	mu     sync.Mutex
	faults Faults
}

// Faults says what fails from now on.
type Faults struct {
	PutBefore error         // Put fails at once
	PutAfter  int64         // Put fails with PutError after this many bytes
	PutError  error         //
	PutAtEnd  error         // Put reads everything, and fails
	PutStall  chan struct{} // Put waits for this to close, or for its context, before its last byte
	Get       error         // Get fails at once
	GetAfter  int64         // an object's Read fails with GetError after this many bytes
	GetError  error         //
	Delete    error         // Delete fails
}

// Set replaces the faults.
func (f *Faulty) Set(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

func (f *Faulty) now() Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults
}

// Put implements [storage.Bucket].
func (f *Faulty) Put(ctx context.Context, key string, r io.Reader) error {
	faults := f.now()
	if faults.PutBefore != nil {
		return faults.PutBefore
	}
	if faults.PutError != nil {
		r = &failing{r: r, left: faults.PutAfter, err: faults.PutError}
	}
	if faults.PutStall != nil {
		r = &failing{r: r, left: 1 << 62, stall: func() error {
			select {
			case <-faults.PutStall:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
	}
	if faults.PutAtEnd != nil {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		return faults.PutAtEnd
	}
	return f.Bucket.Put(ctx, key, r)
}

// Get implements [storage.Bucket].
func (f *Faulty) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	faults := f.now()
	if faults.Get != nil {
		return nil, faults.Get
	}
	o, err := f.Bucket.Get(ctx, key, off, n)
	if err != nil || faults.GetError == nil {
		return o, err
	}
	return &faultyObject{o, failing{r: o, left: faults.GetAfter, err: faults.GetError}}, nil
}

// Delete implements [storage.Bucket].
func (f *Faulty) Delete(ctx context.Context, key string) error {
	if err := f.now().Delete; err != nil {
		return err
	}
	return f.Bucket.Delete(ctx, key)
}

type faultyObject struct {
	storage.Object
	in failing
}

func (o *faultyObject) Read(p []byte) (int, error) { return o.in.Read(p) }

// failing reads a number of bytes and then fails; or stalls at the end of its reader.
type failing struct {
	r     io.Reader
	left  int64
	err   error
	stall func() error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, f.err
	}
	n, err := f.r.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	if err == io.EOF && f.stall != nil {
		if err := f.stall(); err != nil {
			return n, err
		}
	}
	return n, err
}
