package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Reader reads a blob from any place in it. It is used by one goroutine.
type Reader struct {
	in     io.ReadSeeker
	closer io.Closer
	file   *os.File
	small  []byte
	size   int64
}

// Size is the blob's size in bytes.
func (r *Reader) Size() int64 { return r.size }

// Bytes returns all of a small blob, which must not be modified, and nil for others.
func (r *Reader) Bytes() []byte { return r.small }

// File returns the one local file that holds the blob, or nil. It is valid until Close.
func (r *Reader) File() *os.File { return r.file }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) { return r.in.Read(p) }

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) { return r.in.Seek(offset, whence) }

// Err returns the error that a Read of the bucket ended with, if it was one. It tells a
// body that was cut short by the bucket from one whose client went away.
func (r *Reader) Err() error {
	s, ok := r.in.(*segments)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close closes what is open.
func (r *Reader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}

// Ready opens what the next read from an offset needs, so that a bucket that cannot serve
// it says so before the reply begins.
func (r *Reader) Ready(off int64) error {
	s, ok := r.in.(*segments)
	if !ok || off >= s.size {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
	return s.open()
}

// segments reads objects one after the other as if they were one.
//
// net/http reads the parts of a request for several ranges on a goroutine of its own, which
// it does not wait for when the client goes away, so that a Read may meet a Close.
type segments struct {
	ctx    context.Context // of the request that reads
	cancel context.CancelFunc
	bucket Bucket
	list   []Segment
	size   int64
	off    int64  // where to read next
	object Object // open at the offset at, or nil
	at     int64
	left   int64 // of object
	err    error

	mu sync.Mutex // of what follows bucket
}

func newSegments(ctx context.Context, b Bucket, list []Segment, size int64) *segments {
	s := &segments{bucket: b, list: list, size: size}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// open opens the object that holds the current offset, which must be within size.
func (s *segments) open() error {
	if s.object != nil && s.at == s.off {
		return nil
	}
	if err := s.shut(); err != nil {
		return err
	}
	off := s.off
	for _, seg := range s.list {
		if off >= seg.Size {
			off -= seg.Size
			continue
		}
		object, err := s.bucket.Get(s.ctx, seg.Key, off, -1)
		if err != nil {
			return err
		}
		if object.Size() != seg.Size {
			return errors.Join(fmt.Errorf("storage: object %s has %d bytes, want %d", seg.Key, object.Size(), seg.Size), object.Close())
		}
		s.object, s.at, s.left = object, s.off, seg.Size-off
		return nil
	}
	return fmt.Errorf("storage: offset %d is beyond the segments: %w", s.off, io.ErrUnexpectedEOF)
}

func (s *segments) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	if s.off >= s.size {
		return 0, io.EOF
	}
	if s.err = s.open(); s.err != nil {
		return 0, s.err
	}
	n, err := s.object.Read(p[:min(int64(len(p)), s.left)])
	s.off += int64(n)
	s.at += int64(n)
	s.left -= int64(n)
	switch {
	case s.left == 0:
		err = s.shut()
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	s.err = err
	return n, err
}

// Seek opens nothing and closes nothing: net/http seeks to the end and back for the size.
func (s *segments) Seek(offset int64, whence int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += s.off
	case io.SeekEnd:
		offset += s.size
	default:
		return s.off, fmt.Errorf("storage: seek from %d", whence)
	}
	if offset < 0 {
		return s.off, errors.New("storage: seek before the start")
	}
	s.off = offset
	return offset, nil
}

// Close ends a Read that is under way, and whatever comes later.
func (s *segments) Close() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fs.ErrClosed
	}
	return s.shut()
}

func (s *segments) shut() error {
	if s.object == nil {
		return nil
	}
	err := s.object.Close()
	s.object = nil
	return err
}
