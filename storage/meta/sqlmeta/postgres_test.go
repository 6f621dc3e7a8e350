//go:build unix

package sqlmeta_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/metatest"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	metatest.Run(t, func(t *testing.T) meta.Store {
		s, err := sqlmeta.OpenPostgres(t.Context(), server.Database(t), &sqlmeta.PostgresOptions{Conns: 8})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func openPostgres(t *testing.T, dsn string) *sqlmeta.Watched {
	t.Helper()
	s, err := sqlmeta.OpenPostgres(t.Context(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestEventsOfOthersThatRun has two transactions that commit in the other order than that of
// their sequences: nobody is given the later event while the earlier may still come.
func TestEventsOfOthersThatRun(t *testing.T) {
	t.Parallel()
	s := openPostgres(t, pgtest.Start(t).Database(t))
	next := func() (names []string) {
		t.Helper()
		err := s.View(t.Context(), func(tx meta.Tx) error {
			list, err := tx.NextEvents(0, 10)
			for _, e := range list {
				names = append(names, string(e.Data))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	put := func(ctx context.Context, name string, wait func()) error {
		return s.Update(ctx, func(tx meta.Tx) error {
			n, err := tx.Sequence()
			if err != nil {
				return err
			}
			wait()
			return tx.Events().Put(meta.Event{Sequence: n, Repository: 1, Data: []byte(name)})
		})
	}
	drawn, commit, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- put(context.WithoutCancel(t.Context()), "early", func() { close(drawn); <-commit })
	}()
	<-drawn
	if err := put(t.Context(), "late", func() {}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string(nil), next()); diff != "" {
		t.Errorf("while the early one runs (-want +got):\n%s", diff)
	}
	close(commit)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"early", "late"}, next()); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
}

// TestRestart restarts the server: what was acknowledged is there, and the store goes on.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := openPostgres(t, server.Database(t))
	put := func(name string) error {
		return s.Update(t.Context(), func(tx meta.Tx) error {
			return tx.Tags().Put(meta.Tag{Repository: 1, Name: name, Digest: "d"})
		})
	}
	var want []string
	for _, name := range []string{"a", "b", "c"} {
		if err := put(name); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
		server.Stop(t, "fast")
		if err := put("while it is away"); err == nil {
			t.Error("an update without a server")
		}
		server.Launch(t)
		got, err := s.TagNames(t.Context(), 1, "", 10)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

// TestRestore restores a dump to another server, whose transactions have lower numbers: sequences
// go on where they were.
func TestRestore(t *testing.T) {
	t.Parallel()
	old, fresh := pgtest.Start(t), pgtest.Start(t)
	dsn := old.Database(t)
	s := openPostgres(t, dsn)
	draw := func(s *sqlmeta.Watched, name string) (n int64) {
		t.Helper()
		err := s.Update(t.Context(), func(tx meta.Tx) (err error) {
			if n, err = tx.Sequence(); err != nil {
				return err
			}
			return errors.Join(tx.Events().Put(meta.Event{Sequence: n, Data: []byte(name)}), tx.Moves().Put(meta.Move{Repository: 1, Tag: "v1", Sequence: n}))
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 500 {
		draw(s, "many")
	}
	last := draw(s, "last")
	to := fresh.Database(t)
	fresh.Restore(t, old.Dump(t, dsn), to)
	restored := openPostgres(t, to)
	for i := range 3 {
		n := draw(restored, fmt.Sprint("after ", i))
		if n <= last {
			t.Errorf("after %d comes %d", last, n)
		}
		last = n
		err := restored.View(t.Context(), func(tx meta.Tx) error {
			events, err := tx.NextEvents(last-1, 10)
			if len(events) != 1 || events[0].Sequence != n {
				t.Errorf("the event %d is not delivered: %v", n, events)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		restored = openPostgres(t, to) // on the same server nothing is shifted again
	}
}
