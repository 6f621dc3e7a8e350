package accesslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
)

// JSON and slog's own handler write the same.
func TestJSONIsAsSlogHasIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // one time for both
		var fast, slow bytes.Buffer
		json, handler := accesslog.JSON(&fast), accesslog.New(slog.New(slog.NewJSONHandler(&slow, nil)))
		odd := []string{"", "plain", `a "quoted" \ word`, "naïve ☃ <b>&amp;", "tab\tnewline\n", "\x1b[31mred", "\xff\xfe", "\u2028\u2029", strings.Repeat("long", 400)}
		for i, text := range odd {
			for _, err := range []error{nil, registry.ErrNameUnknown, errors.New(text)} {
				op := registry.Op{
					Began: time.Now().Add(-time.Duration(i) * 1234567), Action: policy.BatchGetImage, Method: "GET", Path: "/v2/" + text, UserAgent: text, Name: text,
					Remote: netip.MustParseAddr("2001:db8::1"), Identity: auth.Identity{Principal: auth.Principal{Account: "123456789012", Name: text}},
					Reference: manifest.Reference{Tag: text}, Decision: policy.Decision{Reason: text}, Status: 200 + i, Sent: int64(i) << 40, Received: int64(i), Redirected: int64(i),
				}
				op.RequestID()
				again := op
				json(context.Background(), &op, err)
				handler(context.Background(), &again, err)
			}
		}
		if diff := cmp.Diff(slow.String(), fast.String()); diff != "" {
			t.Errorf("(-slog +own):\n%s", diff)
		}
		if n := bytes.Count(fast.Bytes(), []byte{'\n'}); n != 3*len(odd) {
			t.Error(fmt.Sprint(n, " lines"))
		}
	})
}
