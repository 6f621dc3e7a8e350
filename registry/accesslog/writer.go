package accesslog

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// DefaultBuffer is how many bytes wait in a [Writer] if [NewWriter] is not told.
	DefaultBuffer = 1 << 20
	// Delay is how long a line waits for others, so that they are written at once.
	Delay = 100 * time.Millisecond
	// CloseTimeout is how long [Writer.Close] waits.
	CloseTimeout = 5 * time.Second
)

// Writer passes lines on without ever waiting for what it writes to: a disk that is full or a
// pipe that nobody reads costs lines, and no request its time. Each Write must be of whole
// lines, as those of slog's handlers are. Its methods may be called by many goroutines at
// once.
type Writer struct {
	w    io.Writer
	size int

	mu      sync.Mutex
	waiting []byte
	spare   []byte        // to wait in next
	hurry   chan struct{} // tells who waits for more lines that there are enough
	idle    chan struct{} // closed when all is written; nil while nothing is being written
	closed  bool
	dropped int64
	err     error // of the last write that failed
}

// NewWriter returns a writer to w in which up to size bytes wait, and as many are being
// written: [DefaultBuffer] if size is 0. Lines are written [Delay] after they came, those of that time
// in one Write: a write for each would cost as much as the rest of a pull. What a process that is
// killed has not written yet is lost. Nothing runs while no line waits.
func NewWriter(w io.Writer, size int) *Writer {
	if size <= 0 {
		size = DefaultBuffer
	}
	return &Writer{w: w, size: size, hurry: make(chan struct{}, 1)}
}

// Write keeps a copy of p for writing, or drops it if there is no room; that is no error. After
// Close it is os.ErrClosed.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.drop(p)
		return 0, os.ErrClosed
	}
	if len(w.waiting)+len(p) > w.size {
		w.drop(p)
		return len(p), nil
	}
	w.waiting = append(w.waiting, p...)
	if w.idle == nil {
		w.idle = make(chan struct{})
		go w.drain(w.idle)
	}
	if len(w.waiting) > w.size/2 {
		w.rouse()
	}
	return len(p), nil
}

// rouse has what waits written without delay.
func (w *Writer) rouse() {
	select {
	case w.hurry <- struct{}{}:
	default:
	}
}

// gather waits for more lines, the caller holds mu.
func (w *Writer) gather() {
	if w.closed {
		return
	}
	w.mu.Unlock()
	defer w.mu.Lock()
	timer := time.NewTimer(Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.hurry:
	}
}

// drain writes until nothing waits.
func (w *Writer) drain(idle chan struct{}) {
	defer close(idle)
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 {
		w.gather()
		batch := w.waiting
		w.waiting, w.spare = w.spare[:0], nil
		w.mu.Unlock()
		n, err := w.pass(batch)
		w.mu.Lock()
		w.spare = batch
		if err != nil {
			w.err = err
			w.drop(batch[n:])
		}
	}
	w.idle = nil
}

// pass writes once. A panic here would be the end of the whole process, for the sake of a log.
func (w *Writer) pass(batch []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("panic: %v", p)
		}
	}()
	n, err = w.w.Write(batch)
	if n < 0 || n > len(batch) {
		return 0, fmt.Errorf("%d bytes of %d were written", n, len(batch))
	}
	if err == nil && n < len(batch) {
		err = io.ErrShortWrite
	}
	return n, err
}

// drop counts the lines of p, the caller holds mu.
func (w *Writer) drop(p []byte) { w.dropped += int64(bytes.Count(p, []byte{'\n'})) }

// Dropped returns how many lines were lost: for want of room, because they could not be
// written, or because they came after Close.
func (w *Writer) Dropped() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Close waits until what came before is written, for as long as [CloseTimeout]; what it writes
// to it leaves open. It returns the last error of writing, if there was any.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.rouse()
	idle := w.idle
	w.mu.Unlock()
	if idle != nil {
		timer := time.NewTimer(CloseTimeout)
		defer timer.Stop()
		select {
		case <-idle:
		case <-timer.C:
			return fmt.Errorf("accesslog: lines still wait after %v: %w", CloseTimeout, os.ErrDeadlineExceeded)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return fmt.Errorf("accesslog: %w", w.err)
	}
	return nil
}
