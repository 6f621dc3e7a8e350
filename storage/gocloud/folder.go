package gocloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/storage"
)

// folder is a local bucket's place on disk. It keeps a handle of each of the 256 folders
// that storage.NewKey spreads objects over, to sync them without opening them.
type folder struct {
	dir  string
	subs map[string]*os.File
}

func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir, subs: map[string]*os.File{}}
	for i := range 256 {
		name := fmt.Sprintf("%02x", i)
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, errors.Join(err, f.close())
		}
		sub, err := os.Open(path)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.subs[name] = sub
	}
	parent := filepath.Dir(dir)
	if err := errors.Join(syncPath(dir), syncPath(parent)); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) close() (err error) {
	for _, sub := range f.subs {
		err = errors.Join(err, sub.Close())
	}
	return err
}

// path returns the file of a key. Keys are the library's own, but a driver's suite tries
// others, and none may lead out of the folder.
func (f *folder) path(key string) (string, error) {
	if strings.HasSuffix(key, "/") || !filepath.IsLocal(filepath.FromSlash(key)) || strings.ContainsFunc(key, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '/' || c == '-' || c == '_' || c == '.')
	}) {
		return "", fmt.Errorf("gocloud: key %q cannot be a file's name", key)
	}
	return filepath.Join(f.dir, filepath.FromSlash(key)), nil
}

func (f *folder) open(key string) (*os.File, error) {
	path, err := f.path(key)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

func (f *folder) get(key string, off, n int64) (storage.Object, error) {
	file, err := f.open(key)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if n < 0 {
		n = max(0, info.Size()-off)
	}
	return &part{io.NewSectionReader(file, off, n), file, info.Size()}, nil
}

// part reads a range of a file.
type part struct {
	io.Reader
	io.Closer
	size int64
}

func (p *part) Size() int64 { return p.size }

// list yields the objects in key order. gocloud's own list fails when a file goes while it
// walks, as files do in a folder that is written to.
func (f *folder) list(ctx context.Context, prefix, after string) iter.Seq2[storage.Attrs, error] {
	return func(yield func(storage.Attrs, error) bool) { f.walk(ctx, "", prefix, after, yield) }
}

// walk yields what is in a folder, whose key is empty or ends with a slash. It reports whether
// to go on.
func (f *folder) walk(ctx context.Context, folder, prefix, after string, yield func(storage.Attrs, error) bool) bool {
	entries, err := os.ReadDir(filepath.Join(f.dir, filepath.FromSlash(folder)))
	if err == nil {
		err = ctx.Err()
	}
	if errors.Is(err, fs.ErrNotExist) && folder != "" {
		return true // gone since
	}
	if err != nil {
		yield(storage.Attrs{}, fmt.Errorf("gocloud: list %s: %w", folder, err))
		return false
	}
	key := func(e fs.DirEntry) string {
		if e.IsDir() {
			return folder + e.Name() + "/"
		}
		return folder + e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(key(a), key(b)) })
	for _, e := range entries {
		k := key(e)
		if e.IsDir() {
			within := strings.HasPrefix(k, prefix) || strings.HasPrefix(prefix, k)
			if within && (k > after || strings.HasPrefix(after, k)) && !f.walk(ctx, k, prefix, after, yield) {
				return false
			}
			continue
		}
		if !strings.HasPrefix(k, prefix) || k <= after || unfinished(k) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since
		}
		if err != nil {
			yield(storage.Attrs{}, fmt.Errorf("gocloud: list %s: %w", k, err))
			return false
		}
		if !yield(storage.Attrs{Key: k, Size: info.Size(), Modified: info.ModTime()}, nil) {
			return false
		}
	}
	return true
}

// syncer is the temporary file that fileblob writes to before it renames it.
type syncer struct{ file *os.File }

func (s *syncer) find(as func(any) bool) { as(&s.file) }

func (s *syncer) sync() error {
	if s.file == nil {
		return errors.New("the driver has no file to sync")
	}
	return s.file.Sync()
}

// sync makes the entry of an object in its folder durable.
func (f *folder) sync(key string) error {
	sub, rest, _ := strings.Cut(key, "/")
	if h := f.subs[sub]; h != nil && !strings.Contains(rest, "/") {
		if runtime.GOOS == "windows" {
			return nil // there is no such call
		}
		return h.Sync()
	}
	// Not one of our own keys: fileblob may have made any of the folders above it.
	path, err := f.path(key)
	for err == nil && path != f.dir {
		path = filepath.Dir(path)
		err = syncPath(path)
	}
	return err
}

func syncPath(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	h, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(h.Sync(), h.Close())
}

// unfinished reports whether a file is one that fileblob has not yet renamed.
func unfinished(name string) bool { return strings.HasSuffix(name, ".tmp") }

// SweepUnfinished implements [storage.Sweeper].
func (b *Bucket) SweepUnfinished(ctx context.Context, before time.Time) (removed int, err error) {
	if b.folder == nil {
		return 0, fmt.Errorf("gocloud: sweep: %w", errors.ErrUnsupported)
	}
	err = filepath.WalkDir(b.folder.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if d.IsDir() || !unfinished(path) {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(before) {
			return nil
		}
		if err == nil {
			err = os.Remove(path)
		}
		if err == nil {
			removed++
		}
		return err
	})
	return removed, err
}
