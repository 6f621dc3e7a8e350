package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
)

// JSON returns an observer that writes what [New] does with a slog.JSONHandler without options,
// byte for byte, and cheaper: what there is to write is known beforehand. Each record is one
// Write; w has to take those of several goroutines at once, as a [Writer] does.
func JSON(w io.Writer) registry.Observer {
	return func(_ context.Context, op *registry.Op, err error) {
		operation := Operation(op)
		if operation == "" {
			return
		}
		var list [maxAttrs]slog.Attr
		buf := lines.Get().(*[]byte)
		line := appendTime((*buf)[:0], op.Began.Add(op.Duration))
		for _, a := range attributes(list[:0], op, operation, err) {
			line = append(append(append(line, `,"`...), a.Key...), `":`...)
			if a.Value.Kind() == slog.KindString {
				line = appendString(line, a.Value.String())
			} else if a.Value.Kind() == slog.KindDuration {
				line = strconv.AppendInt(line, int64(a.Value.Duration()), 10)
			} else {
				line = strconv.AppendInt(line, a.Value.Int64(), 10)
			}
		}
		line = append(line, "}\n"...)
		w.Write(line) //nolint:errcheck // as a handler of slog's that nobody asks
		*buf = line
		lines.Put(buf)
	}
}

// lines are buffers to write one in.
var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

func appendTime(line []byte, now time.Time) []byte {
	line = append(line, `{"time":"`...)
	line = now.AppendFormat(line, time.RFC3339Nano)
	return append(line, `","level":"INFO","msg":"`+message+`"`...)
}

// appendString appends text as JSON, as slog does it.
func appendString(line []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendEscaped(line, s)
		}
	}
	return append(append(append(line, '"'), s...), '"')
}

func appendEscaped(line []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return append(line, `""`...) // a string can always be encoded
	}
	return append(line, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})...)
}
