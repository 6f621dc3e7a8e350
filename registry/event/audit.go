package event

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Audit returns a sink that writes events as lines of JSON, for a trail of who changed what:
// all but those of blobs, which are parts of pushes. Each line is one Write. Where that fails,
// events wait in the outbox; a line may be there twice.
func Audit(w io.Writer) Sink { return &audit{w: w} }

type audit struct {
	mu sync.Mutex
	w  io.Writer
}

func (a *audit) Deliver(_ context.Context, e Event) error {
	if e.Type == BlobLinked || e.Type == BlobDeleted {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("audit: %w: %w", ErrUnavailable, err)
	}
	return nil
}
