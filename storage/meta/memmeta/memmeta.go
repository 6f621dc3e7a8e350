// Package memmeta is a meta.Store in memory: for unit tests, examples and registries that
// need not outlive their process.
//
// All rows of all tables are in one copy-on-write B-tree, ordered by table and key. A
// snapshot is a root, a View reads one, and an Update changes a copy and swaps the roots.
// Nothing is durable: an Update is as lasting as the process.
package memmeta

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Store implements [meta.Store]. Make one with [New].
type Store struct {
	mu   sync.Mutex // held by the one Update that runs
	root atomic.Pointer[state]
}

// state is one version of everything. It is immutable once it is the root.
type state struct {
	rows     btree.Map[string, any]
	sequence int64
}

// New returns an empty store.
func New() *Store {
	s := &Store{}
	s.root.Store(&state{})
	return s
}

// Close implements [meta.Store].
func (s *Store) Close() error { return nil }

// View implements [meta.Store].
func (s *Store) View(ctx context.Context, fn func(meta.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn(&tx{state: s.root.Load()})
}

// Update implements [meta.Store].
func (s *Store) Update(ctx context.Context, fn func(meta.Tx) error, _ ...meta.UpdateOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	root := s.root.Load()
	t := &tx{state: &state{rows: *root.rows.IsoCopy(), sequence: root.sequence}, writable: true}
	if err := fn(t); err != nil {
		return err
	}
	s.root.Store(t.state)
	for _, f := range t.after {
		f()
	}
	return nil
}

// flushes is the key of how far a node has come with its flushes.
const flushes = "flush"

// Add implements [meta.Store].
func (s *Store) Add(ctx context.Context, f meta.Flush) error {
	return s.Update(ctx, func(m meta.Tx) error {
		t := m.(*tx)
		key := encode(flushes, f.Node)
		if last, ok := t.rows.Get(key); ok && last.(int64) >= f.Number {
			return nil
		}
		t.rows.Set(key, f.Number)
		for _, c := range f.Counts {
			old, err := t.Counters().Get(c.Key())
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			c.Value += old.Value
			if err := t.Counters().Put(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// Find implements [meta.Store].
func (s *Store) Find(ctx context.Context, alias, name string) (repo meta.Repository, err error) {
	err = s.View(ctx, func(t meta.Tx) error {
		a, err := t.Aliases().Get(meta.AliasName(alias))
		if err != nil {
			return err
		}
		if a.Status != meta.AliasActive {
			return notExist("alias", a.Name)
		}
		repo, err = t.Repositories().Get(meta.RepositoryKey{Account: a.Account, Name: name})
		repo.Account = a.Account
		return err
	})
	return repo, err
}

// Resolve implements [meta.Store].
func (s *Store) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (repo meta.Repository, m meta.Manifest, err error) {
	err = s.View(ctx, func(t meta.Tx) error {
		if repo, err = s.Find(ctx, alias, name); err != nil {
			return err
		}
		d := ref.Digest
		if d == "" {
			tag, err := t.Tags().Get(meta.TagKey{Repository: repo.ID, Name: ref.Tag})
			if err != nil {
				return err
			}
			d = tag.Digest
		}
		row, err := t.Manifests().Get(meta.ManifestKey{Repository: repo.ID, Digest: d})
		m = meta.Manifest{Repository: row.Repository, Digest: row.Digest, MediaType: row.MediaType, ArtifactType: row.ArtifactType, Size: row.Size, Raw: row.Raw}
		return err
	})
	return repo, m, err
}

// Linked implements [meta.Store].
func (s *Store) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (b meta.Blob, err error) {
	err = s.View(ctx, func(t meta.Tx) error {
		b, err = t.Linked(repo, d)
		return err
	})
	return b, err
}

// Upload implements [meta.Store].
func (s *Store) Upload(ctx context.Context, alias, name string, id meta.UploadID) (repo meta.Repository, u meta.Upload, err error) {
	err = s.View(ctx, func(t meta.Tx) error {
		if repo, err = s.Find(ctx, alias, name); err != nil {
			return err
		}
		row, err := t.Uploads().Get(id)
		if err == nil && row.Repository != repo.ID {
			err = notExist("upload", id)
		}
		if err == nil {
			u = row
		}
		return err
	})
	return repo, u, err
}

// TagNames implements [meta.Store].
func (s *Store) TagNames(ctx context.Context, repo meta.RepositoryID, after string, limit int) (names []string, err error) {
	err = s.View(ctx, func(t meta.Tx) error {
		for tag, err := range t.Tags().Scan(meta.Range[meta.TagKey]{
			Prefix: meta.TagKey{Repository: repo}, After: meta.TagKey{Repository: repo, Name: after}, Limit: limit,
		}) {
			if err != nil {
				return err
			}
			names = append(names, tag.Name)
		}
		return nil
	})
	return names, err
}

// errReadOnly is what a change within a View is told.
var errReadOnly = errors.New("memmeta: a View cannot change anything")

func notExist(what string, key any) error {
	return fmt.Errorf("%s %v: %w", what, key, fs.ErrNotExist)
}

// table is a view of the rows whose keys begin with its name. index returns the keys of
// further entries, each of which leads to the row.
type table[K meta.Key, R any] struct {
	tx    *tx
	name  string
	key   func(R) K
	index func(R) []string
}

func (t table[K, R]) Get(key K) (row R, err error) {
	v, ok := t.tx.rows.Get(encode(t.name, key.Parts()...))
	if !ok {
		return row, notExist(t.name, key)
	}
	return v.(R), nil
}

func (t table[K, R]) Put(row R) error {
	if !t.tx.writable {
		return errReadOnly
	}
	key := encode(t.name, t.key(row).Parts()...)
	old, replaced := t.tx.rows.Set(key, row)
	if t.index != nil {
		if replaced {
			t.unindex(old.(R))
		}
		for _, entry := range t.index(row) {
			t.tx.rows.Set(entry, row)
		}
	}
	return nil
}

func (t table[K, R]) Delete(key K) error {
	if !t.tx.writable {
		return errReadOnly
	}
	if old, ok := t.tx.rows.Delete(encode(t.name, key.Parts()...)); ok && t.index != nil {
		t.unindex(old.(R))
	}
	return nil
}

func (t table[K, R]) unindex(row R) {
	for _, entry := range t.index(row) {
		t.tx.rows.Delete(entry)
	}
}

// page is how many rows a scan reads at once, as on a database.
const page = 500

func (t table[K, R]) Scan(r meta.Range[K]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var zero K
		prefix, after := encode(t.name, meta.Prefix(r.Prefix)...), ""
		if r.After != zero {
			after = encode(t.name, r.After.Parts()...)
		}
		for left := r.Limit; ; {
			n := page
			if r.Limit > 0 {
				n = min(n, left)
			}
			rows, last := scan[R](t.tx, prefix, after, n, r.Reverse)
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if left -= len(rows); len(rows) < n || left == 0 {
				return
			}
			after = last
		}
	}
}

// beyond sorts after every key part: nine bytes of 0xff are more than the largest integer
// has, and UTF-8 has none.
const beyond = "\xff\xff\xff\xff\xff\xff\xff\xff\xff"

// scan returns up to n rows whose keys begin with prefix, beyond after, and the last key.
func scan[R any](t *tx, prefix, after string, n int, reverse bool) (rows []R, last string) {
	visit := func(key string, value any) bool {
		if key == after {
			return true
		}
		if !strings.HasPrefix(key, prefix) || len(rows) == n {
			return false
		}
		rows, last = append(rows, value.(R)), key
		return true
	}
	switch {
	case !reverse:
		t.rows.Ascend(max(prefix, after), visit)
	case after != "":
		t.rows.Descend(min(after, prefix+beyond), visit)
	default:
		t.rows.Descend(prefix+beyond, visit)
	}
	return rows, last
}

// encode writes a key such that the order of the bytes is that of the parts.
func encode(table string, parts ...any) string {
	b := append([]byte(table), 0, 1)
	for _, part := range parts {
		switch p := part.(type) {
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(p)^1<<63)
		case string:
			b = append(b, strings.ReplaceAll(p, "\x00", "\x00\xfe")...)
			b = append(b, 0, 1)
		}
	}
	return string(b)
}
