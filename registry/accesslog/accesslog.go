// Package accesslog writes a record of everything that clients ask of a registry, to a
// [slog.Logger] of the host's.
//
//	lines := accesslog.NewWriter(file, 0)
//	defer lines.Close()
//	cfg.Observers = append(cfg.Observers, accesslog.New(slog.New(slog.NewJSONHandler(lines, nil))))
//
// [JSON] writes the same lines for a third of what they cost through slog.
//
// A handler is called before net/http sends the end of a reply, so one that waits holds pulls
// up. A [Writer] under it never waits, and drops lines instead when what it writes to has
// stopped.
//
// # Attributes
//
// A record has the attributes below, but none that is empty or zero, save principal, duration
// and, of requests by HTTP, status. Text that clients choose is cut where it is long, and
// what does not print is replaced. No header but User-Agent is looked at, nor the query, so
// that no credential is ever written.
//
//	request_id  as in X-Request-Id of replies that tell of an error
//	remote      address of the client
//	principal   account/name, or anonymous, as it is while credentials are refused
//	operation   see [Operation]
//	method      of HTTP; it has none, and no path and status, where it came by the control plane
//	path        of the request
//	repository  as the client names it
//	reference   the tag or digest that the client names
//	digest      of what was read or written
//	status      of the reply, 0 if there was none: the client had gone
//	received    bytes of the request's body
//	sent        bytes of the reply's body
//	redirected  bytes of a blob that the client was sent to the bucket for
//	duration    until the end of the reply
//	decision    why the policy allows or denies
//	user_agent  of the client
//	error       what the reply tells of, and its cause; with a status below 400, why the reply
//	            was cut short
package accesslog

import (
	"context"
	"log/slog"

	"github.com/esplanade-registry/esplanade/registry"
)

// What is kept of text that clients choose, in bytes. A path has a name of up to 255 and a
// digest.
const (
	maxMethod = 16
	maxText   = 512
)

// New returns an observer that writes a record to the logger, at the level of Info, for each
// operation that a client asked for. What the process asks of itself, such as the pages of a
// gallery, is left out.
func New(logger *slog.Logger) registry.Observer {
	handler := logger.Handler()
	return func(ctx context.Context, op *registry.Op, err error) {
		if !handler.Enabled(ctx, slog.LevelInfo) {
			return
		}
		if operation := Operation(op); operation != "" {
			// Not by Logger.LogAttrs: it looks for its caller, which is always this one.
			var list [maxAttrs]slog.Attr
			r := slog.NewRecord(op.Began.Add(op.Duration), slog.LevelInfo, message, 0)
			r.AddAttrs(attributes(list[:0], op, operation, err)...)
			handler.Handle(ctx, r) //nolint:errcheck // as Logger does
		}
	}
}

const (
	message  = "request"
	maxAttrs = 18 // there are, so that a list of them stays on the stack
)

// attributes appends those of a record.
func attributes(attrs []slog.Attr, op *registry.Op, operation string, err error) []slog.Attr {
	attrs = append(attrs, slog.String("request_id", op.RequestID()))
	if op.Remote.IsValid() {
		attrs = append(attrs, slog.String("remote", op.Remote.String()))
	}
	attrs = append(attrs, slog.String("principal", clean(op.Identity.String(), maxText)), slog.String("operation", operation))
	attrs = text(attrs, "method", op.Method, maxMethod)
	attrs = text(attrs, "path", op.Path, maxText)
	attrs = text(attrs, "repository", op.Name, maxText)
	attrs = text(attrs, "reference", op.Reference.String(), maxText)
	attrs = text(attrs, "digest", string(op.Descriptor.Digest), maxText)
	if op.Method != "" {
		attrs = append(attrs, slog.Int("status", op.Status))
	}
	attrs = number(attrs, "received", op.Received)
	attrs = number(attrs, "sent", op.Sent)
	attrs = number(attrs, "redirected", op.Redirected)
	attrs = append(attrs, slog.Duration("duration", op.Duration))
	attrs = text(attrs, "decision", op.Decision.Reason, maxText)
	attrs = text(attrs, "user_agent", op.UserAgent, maxText)
	if err != nil {
		attrs = text(attrs, "error", err.Error(), maxText)
	}
	return attrs
}

func text(attrs []slog.Attr, key, value string, limit int) []slog.Attr {
	if value == "" {
		return attrs
	}
	return append(attrs, slog.String(key, clean(value, limit)))
}

func number(attrs []slog.Attr, key string, value int64) []slog.Attr {
	if value == 0 {
		return attrs
	}
	return append(attrs, slog.Int64(key, value))
}
