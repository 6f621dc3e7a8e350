package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunAll(t *testing.T) {
	t.Parallel()
	after := func(d time.Duration, output string, err error) func(context.Context, io.Writer) error {
		return func(_ context.Context, out io.Writer) error {
			time.Sleep(d)
			_, _ = io.WriteString(out, output)
			return err
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		failed := runAll(t.Context(), &out, []step{
			{"slow", after(2*time.Second, "a\nb\n", errors.New("wrong"))},
			{"silent", after(time.Second, "not shown", nil)},
			{"last", after(0, "", errors.New("wrong too"))},
		})
		if !slices.Equal(failed, []string{"slow", "last"}) {
			t.Errorf("failed = %q", failed)
		}
		const want = `FAIL  slow                2.0s
      a
      b
      wrong
ok    silent              1.0s
FAIL  last                0.0s
      wrong too
`
		if out.String() != want {
			t.Errorf("printed\n%s\nwant\n%s", &out, want)
		}
	})
}
