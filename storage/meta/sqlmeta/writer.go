package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// maxBatch is how many Updates share a commit at most.
const maxBatch = 64

// writer runs Updates on the one connection that writes. There is no goroutine of its own:
// of those that wait, whoever gets the turn runs the queue for all.
type writer struct {
	turn chan struct{} // holds one element while somebody writes
	conn *conn
	full bool // whether commits are synced at present
	// stopped is why nothing is written any more: a sync of the log failed, after which the
	// system may have forgotten what it could not write, and a later sync that succeeds says
	// nothing of it (the "fsyncgate" of 2018). What is in the log is read again on opening.
	stopped error
	mu      sync.Mutex
	queue   []*job
}

// job is one Update.
type job struct {
	ctx     context.Context
	fn      func(meta.Tx) error
	relaxed bool
	adds    bool // to counters alone
	after   []func()
	err     error
	done    chan struct{}
}

func newWriter(c *conn) *writer { return &writer{turn: make(chan struct{}, 1), conn: c, full: true} }

func (w *writer) do(j *job) error {
	w.mu.Lock()
	w.queue = append(w.queue, j)
	w.mu.Unlock()
	for {
		select {
		case <-j.done:
			return j.err
		case w.turn <- struct{}{}:
			runtime.Gosched() // others are about to come: each makes the commit cheaper for all
			w.run(w.take())
			<-w.turn
		}
	}
}

func (w *writer) take() []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.queue[:min(maxBatch, len(w.queue))]
	w.queue = w.queue[len(batch):]
	if len(w.queue) == 0 {
		w.queue = nil
	}
	return batch
}

// run commits the jobs together. Where one fails after it wrote, the transaction is of no
// more use to the others, and each is run alone.
func (w *writer) run(batch []*job) {
	var ready []*job
	for _, j := range batch {
		if j.err = j.ctx.Err(); j.err != nil {
			close(j.done) // gone before it began
		} else {
			ready = append(ready, j)
		}
	}
	if len(ready) == 0 {
		return
	}
	err := w.transaction(ready)
	for _, j := range ready {
		switch {
		case err == nil:
		case len(ready) > 1:
			j.err = w.transaction([]*job{j})
		default:
			j.err = err
		}
		if j.err == nil {
			for _, f := range j.after {
				f()
			}
		}
		close(j.done)
	}
}

// errRetry says that a job failed after it wrote, in a transaction shared with others.
var errRetry = errors.New("sqlmeta: transaction rolled back")

// transaction runs jobs in one transaction. With one job, its error is returned; with more,
// the error of one that wrote nothing is the job's own and does not hold up the others.
func (w *writer) transaction(jobs []*job) (err error) {
	if w.stopped != nil {
		return fmt.Errorf("sqlmeta: the store must be opened again, because an earlier commit failed: %w", w.stopped)
	}
	full := false
	for _, j := range jobs {
		full = full || !j.relaxed
	}
	if full != w.full {
		mode := "PRAGMA synchronous = NORMAL"
		if full {
			mode = "PRAGMA synchronous = FULL"
		}
		if err := w.conn.exec("set synchronous", mode); err != nil {
			return err
		}
		w.full = full
	}
	if err := w.conn.exec("begin", "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// After a full disk or an I/O error SQLite may have rolled back by itself.
			w.conn.script("rollback", "ROLLBACK") //nolint:errcheck
		}
	}()
	for _, j := range jobs {
		t := &tx{c: w.conn, writable: true}
		j.err = protect(j.fn, t)
		j.after = t.after
		switch {
		case j.err == nil:
		case len(jobs) == 1:
			return j.err
		case t.wrote:
			return errRetry
		}
	}
	err = w.conn.exec("commit", "COMMIT")
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_IOERR_FSYNC {
		w.stopped = err
	}
	return err
}

// protect turns a panic into an error, because fn may run on the goroutine of another
// request.
func protect(fn func(meta.Tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sqlmeta: panic in an update: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(t)
}
