package gocloud

import (
	"context"
	"io"
	"sync"
)

// Each write copies through a small buffer of its own, for a client that sends slowly keeps it
// for long, and there may be many. What comes fast goes through one of a few large ones, where
// one is free: with them, a layer costs a fifth less.
const (
	smallSize = 8 << 10
	largeSize = 128 << 10
	maxLarge  = 16 // 2 MiB
)

var (
	small = sync.Pool{New: func() any { return new([smallSize]byte) }}
	large = sync.Pool{New: func() any { return new([largeSize]byte) }}
	lent  = make(chan struct{}, maxLarge)
)

// copyTo copies all of r. blob.Writer.ReadFrom, which io.Copy would use, allocates 1 MiB for
// each object.
func copyTo(w io.Writer, r io.Reader) error {
	buf := small.Get().(*[smallSize]byte)
	defer small.Put(buf)
	for {
		n, err := copyOnce(w, r, buf[:])
		if err == nil && n == len(buf) {
			err = copyLarge(w, r)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// copyLarge copies what one read brings, if a large buffer is free. It is given back after each,
// as nobody knows how long the next one takes.
func copyLarge(w io.Writer, r io.Reader) error {
	select {
	case lent <- struct{}{}:
	default:
		return nil
	}
	buf := large.Get().(*[largeSize]byte)
	defer func() { large.Put(buf); <-lent }()
	_, err := copyOnce(w, r, buf[:])
	return err
}

func copyOnce(w io.Writer, r io.Reader, buf []byte) (int, error) {
	n, err := r.Read(buf)
	if n > 0 {
		if _, err := w.Write(buf[:n]); err != nil {
			return n, err
		}
	}
	return n, err
}

// canceling ends the context when its reader fails, before a driver can take that for the end
// of the object and commit it.
type canceling struct {
	r      io.Reader
	cancel context.CancelFunc
	err    error // of the reader
}

func (c *canceling) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		c.err = err
		c.cancel()
	}
	return n, err
}

// WriteTo is what blob.Bucket.Upload calls where the driver does not read by itself.
func (c *canceling) WriteTo(w io.Writer) (int64, error) {
	err := copyTo(w, struct{ io.Reader }{c})
	if err != nil {
		c.cancel()
	}
	return 0, err // how much it was, nobody asks
}
