package accesslog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accesslog"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// gate is a sink that waits in every Write until it is opened.
type gate struct {
	open    chan struct{}
	entered chan struct{} // gets one for each Write
	batches []string
}

func newGate() *gate { return &gate{open: make(chan struct{}), entered: make(chan struct{}, 100)} }

func (g *gate) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	g.batches = append(g.batches, string(p))
	return len(p), nil
}

type sinkFunc func(p []byte) (int, error)

func (f sinkFunc) Write(p []byte) (int, error) { return f(p) }

func TestWriterBatches(t *testing.T) {
	t.Parallel()
	sink := newGate()
	w := accesslog.NewWriter(sink, 0)
	fmt.Fprintln(w, "one")
	<-sink.entered
	fmt.Fprintln(w, "two")
	fmt.Fprintln(w, "three")
	close(sink.open)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"one\n", "two\nthree\n"}, sink.batches); diff != "" {
		t.Errorf("writes (-want +got)\n%s", diff)
	}
	if n := w.Dropped(); n != 0 {
		t.Errorf("%d lines were dropped", n)
	}
}

func TestWriterDropsWhenFull(t *testing.T) {
	t.Parallel()
	sink := newGate()
	w := accesslog.NewWriter(sink, 10)
	fmt.Fprintln(w, "first") // being written, and waits no more
	<-sink.entered
	for i := range 5 {
		if n, err := fmt.Fprintf(w, "%03d\n", i); n != 4 || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	fmt.Fprintln(w, "much too long for it")
	fmt.Fprintln(w, "x") // there is room for this one
	if n := w.Dropped(); n != 4 {
		t.Errorf("%d lines were dropped, want 4", n)
	}
	close(sink.open)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"first\n", "000\n001\nx\n"}, sink.batches); diff != "" {
		t.Errorf("writes (-want +got)\n%s", diff)
	}
	if n, err := fmt.Fprintln(w, "late"); n != 0 || !errors.Is(err, os.ErrClosed) || w.Dropped() != 5 {
		t.Errorf("after Close: %d, %v, %d dropped", n, err, w.Dropped())
	}
}

func TestWriterGoesOnAfterFailures(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	for _, tt := range []struct {
		name    string
		fail    sinkFunc
		dropped int64
		is      error
	}{
		{"nothing is written", func([]byte) (int, error) { return 0, full }, 2, full},
		{"half is written", func(p []byte) (int, error) { return len("one\n"), full }, 1, full},
		{"less is written without a word", func(p []byte) (int, error) { return len("one\n"), nil }, 1, io.ErrShortWrite},
		{"more is written than there is", func(p []byte) (int, error) { return len(p) + 1, nil }, 2, nil},
		{"it panics", func([]byte) (int, error) { panic("a bug") }, 2, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var good bytes.Buffer
			failed, done := false, make(chan struct{}, 2)
			w := accesslog.NewWriter(sinkFunc(func(p []byte) (int, error) {
				defer func() { done <- struct{}{} }()
				if !failed {
					failed = true
					return tt.fail(p)
				}
				return good.Write(p)
			}), 0)
			io.WriteString(w, "one\ntwo\n") //nolint:errcheck // it never fails
			<-done
			io.WriteString(w, "three\n") //nolint:errcheck // it never fails
			err := w.Close()
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("Close = %v, want %v", err, tt.is)
			}
			if good.String() != "three\n" || w.Dropped() != tt.dropped {
				t.Errorf("wrote %q afterwards and dropped %d lines, want %d", good.String(), w.Dropped(), tt.dropped)
			}
		})
	}
}

func TestWriterTakesLinesFromManyAtOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := accesslog.NewWriter(&out, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 500 {
				fmt.Fprintf(w, "line of %d\n", i)
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	got := map[string]int{}
	for line := range bytes.Lines(out.Bytes()) {
		got[string(line)]++
	}
	want := map[string]int{}
	for i := range 8 {
		want[fmt.Sprintf("line of %d\n", i)] = 500
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got)\n%s", diff)
	}
}

func TestPullsGoOnWhileTheSinkIsBlocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := newGate()
		w := accesslog.NewWriter(sink, 4<<10)
		s := registrytest.New(t, func(c *registry.Config) {
			c.Observers = []registry.Observer{accesslog.New(slog.New(slog.NewJSONHandler(w, nil)))}
		})
		s.Push("test/hat", registrytest.Image{}, "v1")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					res, err := s.Client().Get("https://registry.example/v2/test/hat/manifests/v1")
					if err != nil || res.StatusCode != http.StatusOK {
						t.Errorf("pull: %v, %v", res, err)
						return
					}
				}
			})
		}
		wg.Wait() // the bubble would report a deadlock if one of them waited for the sink
		if n := w.Dropped(); n == 0 || n >= 200 {
			t.Errorf("%d of 200 lines were dropped; some have room, and most have not", n)
		}
		if err := w.Close(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Close = %v, want it to give up", err)
		}
		close(sink.open)
	})
}
