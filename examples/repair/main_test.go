package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// line is one of the output.
type line struct {
	repair.Finding
	Summary *repair.Summary `json:"summary"`
}

// call runs the program and returns its status, what it found and the summary.
func call(t *testing.T, ctx context.Context, args ...string) (status int, found []repair.Finding, sum repair.Summary, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
	dec := json.NewDecoder(&out)
	for {
		var l line
		if err := dec.Decode(&l); err == io.EOF {
			return status, found, sum, errs.String()
		} else if err != nil {
			t.Fatal(err)
		}
		if l.Summary != nil {
			if sum = *l.Summary; dec.More() {
				t.Error("the summary is not the last line")
			}
			continue
		}
		found = append(found, l.Finding)
	}
}

// layers are pushed to each folder.
var layers = [][]byte{[]byte("a layer"), []byte("another"), []byte("a third")}

// folder makes the folder of a server that has stopped, with an image in it.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	serve(t, dir, func(s *registrytest.Server) {
		s.Push("test/hat", registrytest.Image{Layers: layers}, "v1")
	})
	return dir
}

// serve opens a folder as a server does, and closes it.
func serve(t *testing.T, dir string, f func(s *registrytest.Server)) {
	t.Helper()
	store, err := sqlmeta.OpenSQLite(t.Context(), filepath.Join(dir, "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := gocloud.FileURL(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := gocloud.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	f(registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket = store, bucket }))
	if err := errors.Join(store.Close(), bucket.Close()); err != nil {
		t.Fatal(err)
	}
}

// damage flips a bit of each layer's object.
func damage(t *testing.T, dir string) {
	t.Helper()
	serve(t, dir, func(s *registrytest.Server) {
		err := s.Store.View(t.Context(), func(tx meta.Tx) error {
			for _, l := range layers {
				b, err := tx.Blobs().Get(meta.BlobKey(manifest.SHA256.FromBytes(l)))
				if err != nil {
					return err
				}
				changed := bytes.Clone(l)
				changed[0] ^= 1
				if err := os.WriteFile(filepath.Join(dir, "blobs", filepath.FromSlash(b.Segments[0].Key)), changed, 0o666); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	status, found, sum, stderr := call(t, t.Context(), "-data", dir)
	if status != clean || len(found) != 0 || sum.Blobs != 4 || sum.Objects != 4 || !sum.Complete || stderr != "" {
		t.Errorf("a healthy folder: %d, %v, %+v, %s", status, found, sum, stderr)
	}

	damage(t, dir)
	orphan := filepath.Join(dir, "blobs", "stray.txt")
	old := time.Now().Add(-48 * time.Hour)
	if err := errors.Join(os.WriteFile(orphan, []byte("what is this"), 0o666), os.Chtimes(orphan, old, old)); err != nil {
		t.Fatal(err)
	}
	want := map[repair.Kind]int64{repair.BlobCorrupt: 3, repair.ObjectOrphan: 1}
	for _, c := range []struct {
		flag   string
		mended map[repair.Kind]int64
		status int
	}{
		{"", nil, left},
		{"-mend", map[repair.Kind]int64{repair.ObjectOrphan: 1}, left},
		{"-mend-content", map[repair.Kind]int64{repair.BlobCorrupt: 3}, clean},
	} {
		args := []string{"-data", dir}
		if c.flag != "" {
			args = append(args, c.flag)
		}
		status, found, sum, stderr := call(t, t.Context(), args...)
		if status != c.status || int64(len(found)) != want[repair.BlobCorrupt]+want[repair.ObjectOrphan] || stderr != "" {
			t.Errorf("%q: status %d, %v, %s", c.flag, status, found, stderr)
		}
		if diff := cmp.Diff(want, sum.Found); diff != "" {
			t.Errorf("%q: found (-want +got):\n%s", c.flag, diff)
		}
		if diff := cmp.Diff(c.mended, sum.Mended); diff != "" {
			t.Errorf("%q: mended (-want +got):\n%s", c.flag, diff)
		}
		if c.flag == "-mend" {
			delete(want, repair.ObjectOrphan) // it is queued
		}
	}
	if status, _, sum, _ := call(t, t.Context(), "-data", dir); status != left || sum.Found[repair.LinkWithoutBlob] != 3 {
		t.Errorf("while the content is not there: %d, %+v", status, sum)
	}
	serve(t, dir, func(s *registrytest.Server) { s.Push("test/hat", registrytest.Image{Layers: layers}, "v1") })
	if status, found, _, _ := call(t, t.Context(), "-data", dir); status != clean || len(found) != 0 {
		t.Errorf("after another push: %d, %v", status, found)
	}
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	dir, file := folder(t), filepath.Join(t.TempDir(), "point")
	damage(t, dir)
	_, all, whole, _ := call(t, t.Context(), "-data", dir)

	// It is ended when it has printed its first finding.
	ctx, cancel := context.WithCancel(t.Context())
	var first bytes.Buffer
	if status := run(ctx, []string{"-data", dir, "-checkpoint", file}, ender{&first, cancel}, io.Discard); status != failed {
		t.Errorf("a run that was ended: status %d", status)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(first.String(), `"complete":false`) {
		t.Errorf("it printed %s", first.String())
	}
	status, rest, sum, stderr := call(t, t.Context(), "-data", dir, "-checkpoint", file)
	if status != left || stderr != "" {
		t.Errorf("the second part: %d, %s", status, stderr)
	}
	if n := strings.Count(first.String(), `"kind"`); n == 0 || n+len(rest) != len(all) {
		t.Errorf("%d findings and %d, of %d", n, len(rest), len(all))
	}
	if diff := cmp.Diff(whole, sum); diff != "" {
		t.Errorf("the summary of both (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the checkpoint of a complete run is left")
	}

	if err := os.WriteFile(file, []byte("no JSON"), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, _, stderr := call(t, t.Context(), "-data", dir, "-checkpoint", file); status != failed || !strings.Contains(stderr, file) {
		t.Errorf("a file that is no checkpoint: %d, %s", status, stderr)
	}
}

// ender ends the run when something is written.
type ender struct {
	io.Writer
	end func()
}

func (e ender) Write(p []byte) (int, error) {
	e.end()
	return e.Writer.Write(p)
}

func TestCannotRun(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	empty := t.TempDir()
	used := folder(t)
	lock := flock.New(filepath.Join(used, "lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer lock.Close() //nolint:errcheck // the test ends
	for _, c := range []struct {
		args string
		want string
	}{
		{"", "-data"},
		{"-data " + dir + " -database postgres://x -bucket mem://", "-data"},
		{"-database postgres://x", "-bucket"},
		{"-data " + dir + " -bucket mem://", "-bucket"},
		{"-data " + dir + " -rate -1", "-rate"},
		{"-data " + dir + " more", "more"},
		{"-data " + dir + " -unknown", "-unknown"},
		{"-data " + empty, "not the folder of a server"},
		{"-data " + used, "stop it first"},
	} {
		if status, _, _, stderr := call(t, t.Context(), strings.Fields(c.args)...); status != failed || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d, %s", c.args, status, stderr)
		}
	}
	if list, err := os.ReadDir(empty); err != nil || len(list) != 0 {
		t.Errorf("it made %v in a folder that is not a server's, %v", list, err)
	}
	if status, _, _, _ := call(t, t.Context(), "-help"); status != clean {
		t.Errorf("-help: status %d", status)
	}
}
