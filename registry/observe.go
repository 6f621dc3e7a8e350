package registry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// Observer is told of an operation that is over, after its reply was sent: requests that were
// refused before the interceptors saw them too, such as those with bad credentials. err is
// what the reply tells of, or nil. The client may have what was asked for, and ask again,
// before the observer is called. It must be quick, and may be called by many goroutines at
// once; op is not to be used after it returned.
type Observer func(ctx context.Context, op *Op, err error)

// IsPull reports whether the operation reads one manifest, by GET or HEAD or from Go. What
// counts as a pull is a GET that was answered with 200.
func (op *Op) IsPull() bool { return op.pulls }

// RequestID returns a name for the operation that no other has; it is no secret. Replies that tell
// of an error have it as X-Request-Id.
func (op *Op) RequestID() string {
	if op.id == "" {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], rand.Uint64())
		binary.BigEndian.PutUint64(b[8:], rand.Uint64())
		op.id = hex.EncodeToString(b[:])
	}
	return op.id
}

// OnReply has f called just before the header of the reply is sent, when Status, Shared and
// Descriptor are known. It may add to Header what is about the client, unless the answer is
// Shared. For calls within the process it is never called.
func (op *Op) OnReply(f func()) { op.onReply = append(op.onReply, f) }

// observe tells of an operation that is over.
func (r *Registry) observe(ctx context.Context, op *Op, err error) {
	if len(r.cfg.Observers) == 0 {
		return
	}
	op.Duration = time.Since(op.Began)
	for _, o := range r.cfg.Observers {
		o(ctx, op, err)
	}
}
