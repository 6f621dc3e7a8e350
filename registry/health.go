package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

const (
	readyTimeout = 5 * time.Second
	readyFresh   = time.Second // for which an answer is given again, since anybody may ask
)

// Ready asks the store and the bucket whether they answer.
func (r *Registry) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := r.store.View(ctx, func(tx meta.Tx) error {
		_, err := tx.Records().Get(meta.RecordKey{Namespace: "ready", Key: "none"})
		return absent(err)
	})
	if err != nil {
		return fmt.Errorf("registry: store: %w", err)
	}
	if _, err := r.cfg.Bucket.Stat(ctx, "00/ready"); absent(err) != nil {
		return fmt.Errorf("registry: bucket: %w", err)
	}
	return nil
}

// absent takes an error that something is not there for an answer.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readiness is what [Registry.Ready] said last.
type readiness struct {
	err   error
	asked time.Time
}

// ServeReady is a handler for /-/readyz: 200 while [Registry.Ready] finds nothing wrong, else 503, for
// load balancers. What is wrong is for the log. That the process lives at all is for another path,
// /-/healthz, which a gallery answers; a process that is restarted does not mend its database.
func (r *Registry) ServeReady(w http.ResponseWriter, req *http.Request) {
	r.readying.Lock()
	if time.Since(r.ready.asked) > readyFresh {
		err := r.Ready(context.WithoutCancel(req.Context()))
		if err != nil {
			r.cfg.Logger.ErrorContext(req.Context(), "not ready", "error", err)
		}
		r.ready = readiness{err, time.Now()}
	}
	err := r.ready.err
	r.readying.Unlock()
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h["Cache-Control"] = noStore
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte("not ready\n")) //nolint:errcheck // the client has gone
		return
	}
	w.Write([]byte("ok\n")) //nolint:errcheck // the client has gone
}
