// Package otel traces the operations of a registry by OpenTelemetry.
//
//	cfg.Interceptors = append([]registry.Interceptor{otel.Tracing(provider)}, cfg.Interceptors...)
//	mux.Handle("/v2/", otelhttp.NewHandler(reg, "registry"))
//
// What comes first in Interceptors is within the span. A span's parent is the one in the
// request's context: whoever mounts the registry puts it there, from the headers of the
// request, as the handler of otelhttp does.
//
// A span is named as [accesslog.Operation] has it. There is none for what the process asks of
// itself, such as the pages of a gallery, nor for what is refused before interceptors are
// called, such as bad credentials, nor for logins: those otelhttp tells of.
//
// # Attributes
//
// By the semantic conventions: http.request.method, url.path, http.response.status_code,
// user_agent.original and, of failures of the server's own, error.type. The address of the
// client and its principal are left out: traces are read by more people than access logs,
// which have them by esplanade.request_id.
//
//	esplanade.request_id  as in the access log, and in X-Request-Id of replies that tell of an error
//	esplanade.repository  as the client names it
//	esplanade.reference   the tag or digest that the client names
//	esplanade.digest      of what was read or written
//	esplanade.error       what the reply tells of
//
// The status of a span is an error where the server failed: it answered 5xx, or cut a reply
// short. What came by the control plane has no status, since there the front decides what an
// error is to the client.
package otel

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
)

// Attributes of the registry's own.
const (
	requestID  = attribute.Key("esplanade.request_id")
	repository = attribute.Key("esplanade.repository")
	reference  = attribute.Key("esplanade.reference")
	digest     = attribute.Key("esplanade.digest")
	failure    = attribute.Key("esplanade.error")
)

// maxText is what is kept of text that clients choose, in bytes.
const maxText = 512

// Tracing returns an interceptor that makes a span of each operation that a client asked for.
// Of one that is not sampled there is no more than its start. It should be the first
// interceptor.
func Tracing(tp trace.TracerProvider) registry.Interceptor {
	tracer := tp.Tracer("github.com/esplanade-registry/esplanade/registry/otel", trace.WithSchemaURL(semconv.SchemaURL))
	server := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	internal := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindInternal)}
	return func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
		operation := accesslog.Operation(op)
		if operation == "" {
			return next(ctx)
		}
		kind := server
		if parent := trace.SpanContextFromContext(ctx); parent.IsValid() && !parent.IsRemote() {
			kind = internal // the host has a span of the request already
		}
		within, span := tracer.Start(ctx, operation, kind...)
		if !span.IsRecording() {
			defer span.End()
			return next(within)
		}
		answered := false // by a reply that is yet to come
		defer func() {
			if !answered {
				span.End()
			}
		}()
		asked(span, op)
		err := next(within)
		if known := op.Descriptor.Digest; known != "" {
			span.SetAttributes(digest.String(string(known)))
		}
		if err != nil {
			span.SetAttributes(failure.String(text(err.Error())))
		}
		switch gone := ctx.Err(); {
		case err == nil:
			replied(span, op, nil)
		case op.Method == "":
		case op.Status != 0:
			span.SetAttributes(semconv.HTTPResponseStatusCode(op.Status), semconv.ErrorTypeKey.String("cut"))
			span.SetStatus(codes.Error, "the reply was cut short: "+text(err.Error()))
		case gone != nil && errors.Is(err, gone):
			// Nobody is answered.
		default:
			// Only the reply knows what the error is to the client.
			answered = true
			op.OnReply(func() {
				replied(span, op, err)
				span.End()
			})
		}
		return err
	}
}

// asked sets what is known before the operation is carried out.
func asked(span trace.Span, op *registry.Op) {
	attrs := append(make([]attribute.KeyValue, 0, 6), requestID.String(op.RequestID()))
	add := func(key attribute.Key, value string) {
		if value != "" {
			attrs = append(attrs, key.String(text(value)))
		}
	}
	add(semconv.HTTPRequestMethodKey, op.Method)
	add(semconv.URLPathKey, op.Path)
	add(semconv.UserAgentOriginalKey, op.UserAgent)
	add(repository, op.Name)
	add(reference, op.Reference.String())
	span.SetAttributes(attrs...)
}

// replied sets what the client was told.
func replied(span trace.Span, op *registry.Op, err error) {
	if op.Status == 0 {
		return // not by HTTP
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(op.Status))
	if op.Status < http.StatusInternalServerError {
		return
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(op.Status)))
	description := ""
	if err != nil {
		description = text(err.Error())
	}
	span.SetStatus(codes.Error, description)
}

// text bounds what clients choose, and makes it UTF-8: OTLP loses a whole batch of spans to one
// string that is not.
func text(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "�") }
