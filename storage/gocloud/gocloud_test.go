package gocloud_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

func openFolder(t *testing.T) (*gocloud.Bucket, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a b%20#c")
	u, err := gocloud.FileURL(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := gocloud.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, dir
}

func TestFolder(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Bucket { b, _ := openFolder(t); return b })
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(*testing.T) storage.Bucket { return gocloud.New(memblob.OpenBucket(nil)) })
}

func TestFaultlessFaulty(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(*testing.T) storage.Bucket {
		return &storagetest.Faulty{Bucket: gocloud.New(memblob.OpenBucket(nil))}
	})
}

func TestFolderSweepsHalfWrittenFiles(t *testing.T) {
	t.Parallel()
	b, dir := openFolder(t)
	key := storage.NewKey()
	if err := b.Put(t.Context(), key, strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "00", "half.16f3.tmp")
	running := filepath.Join(dir, "01", "running.16f3.tmp")
	for _, name := range []string{old, running} {
		if err := os.WriteFile(name, []byte("ha"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	n, err := b.SweepUnfinished(t.Context(), time.Now().Add(-time.Minute))
	if n != 1 || err != nil {
		t.Errorf("removed %d, %v; want 1", n, err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old half is still there: %v", err)
	}
	if _, err := os.Stat(running); err != nil {
		t.Errorf("the running one is gone: %v", err)
	}
	if _, err := b.Stat(t.Context(), key); err != nil {
		t.Error(err)
	}
}

func TestFolderRefusesKeysThatLeadOut(t *testing.T) {
	t.Parallel()
	b, _ := openFolder(t)
	for _, key := range []string{"../x", "/etc/passwd", "a/../../x", "", "a/", "a\x00b", `a\b`} {
		if err := b.Put(t.Context(), key, strings.NewReader("x")); err == nil {
			t.Errorf("Put(%q) succeeded", key)
		}
		if o, err := b.Get(t.Context(), key, 0, -1); err == nil {
			o.Close()
			t.Errorf("Get(%q) succeeded", key)
		}
	}
}

// Objects come and go while a folder is listed. What was there all the time is yielded.
func TestFolderIsListedWhileItChanges(t *testing.T) {
	t.Parallel()
	b, _ := openFolder(t)
	put := func(key string) {
		if err := b.Put(t.Context(), key, strings.NewReader("x")); err != nil {
			t.Error(err)
		}
	}
	stays := map[string]bool{}
	for range 300 {
		key := storage.NewKey()
		put(key)
		stays[key] = true
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				key := storage.NewKey()
				put(key)
				if err := b.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 20 {
		n, last := 0, ""
		for a, err := range b.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			if a.Key <= last {
				t.Errorf("%s comes after %s", a.Key, last)
			}
			if last = a.Key; stays[a.Key] {
				n++
			}
		}
		if n != len(stays) {
			t.Errorf("%d objects, want %d", n, len(stays))
		}
	}
	close(stop)
	<-stopped
}
