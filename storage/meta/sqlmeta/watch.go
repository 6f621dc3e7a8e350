package sqlmeta

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// channel is what processes listen to.
const channel = "esplanade"

// maxPayload is what PostgreSQL takes in one notification, less one byte.
const maxPayload = 7999

// notify sends what the transaction tells, in as few notifications as it fits in.
func (t *tx) notify() error {
	send := func(payload string) error { return t.c.exec("notify", "SELECT pg_notify('"+channel+"', ?)", payload) }
	payload := ""
	for _, m := range t.messages {
		if payload != "" && len(payload)+1+len(m) > maxPayload {
			if err := send(payload); err != nil {
				return err
			}
			payload = ""
		}
		if payload != "" {
			payload += "\n"
		}
		payload += m
	}
	if payload == "" {
		return nil
	}
	return send(payload)
}

// Watched is a store of PostgreSQL. It implements [meta.Watcher].
type Watched struct {
	*Store
	dsn string
}

// The times of watching.
const (
	watchIdle  = 10 * time.Second // after which the connection is asked whether it is still there
	watchRetry = time.Second      // between attempts to connect
)

// Watch implements [meta.Watcher].
func (s *Watched) Watch(ctx context.Context, f func(string), up, down func()) {
	for ctx.Err() == nil {
		s.listen(ctx, f, up) //nolint:errcheck // it is tried again, and down says so
		down()
		timer := time.NewTimer(watchRetry)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// listen hears until the connection is lost.
func (s *Watched) listen(ctx context.Context, f func(string), up func()) error {
	c, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it may be lost
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	up()
	for {
		idle, cancel := context.WithTimeout(ctx, watchIdle)
		n, err := c.WaitForNotification(idle)
		cancel()
		switch {
		case err == nil:
			for message := range strings.SplitSeq(n.Payload, "\n") {
				f(message)
			}
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			if err := c.Ping(ctx); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

var _ meta.Watcher = (*Watched)(nil)
