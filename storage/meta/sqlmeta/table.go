package sqlmeta

import (
	"errors"
	"iter"
	"strings"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// shape is what the statements of a table are made from. The first keys of the columns are
// its primary key.
type shape[K meta.Key, R any] struct {
	name    string
	keys    int
	columns []string
	values  func(R) []any     // in the order of the columns
	dest    func(*R) []column // likewise

	get, put, remove string
}

func newShape[K meta.Key, R any](name string, keys int, columns string, values func(R) []any, dest func(*R) []column) *shape[K, R] {
	s := &shape[K, R]{name: name, keys: keys, columns: strings.Fields(columns), values: values, dest: dest}
	where := " WHERE " + strings.Join(s.columns[:keys], " = ? AND ") + " = ?"
	s.get = "SELECT " + s.list() + " FROM " + name + where
	s.remove = "DELETE FROM " + name + where
	s.put = "INSERT INTO " + name + " (" + s.list() + ") VALUES (" + marks(len(s.columns)) + ")" +
		" ON CONFLICT (" + strings.Join(s.columns[:keys], ", ") + ") DO "
	if keys == len(s.columns) {
		s.put += "NOTHING"
		return s
	}
	s.put += "UPDATE SET "
	for i, c := range s.columns[keys:] {
		if i > 0 {
			s.put += ", "
		}
		s.put += c + " = excluded." + c
	}
	return s
}

func (s *shape[K, R]) list() string { return strings.Join(s.columns, ", ") }

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// table is a shape within a transaction.
type table[K meta.Key, R any] struct {
	*shape[K, R]
	tx *tx
}

func (t table[K, R]) Get(key K) (row R, err error) {
	c, err := t.tx.conn()
	if err != nil {
		return row, err
	}
	err = c.one(t.name, t.get, key.Parts(), t.dest(&row)...)
	return row, err
}

func (t table[K, R]) Put(row R) error { return t.tx.change(t.name, t.put, t.values(row)...) }

func (t table[K, R]) Delete(key K) error { return t.tx.change(t.name, t.remove, key.Parts()...) }

// page is how many rows a scan reads at once. It bounds what a scan holds in memory.
const page = 500

func (t table[K, R]) Scan(r meta.Range[K]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var (
			zero   K
			prefix = meta.Prefix(r.Prefix)
			after  []any
		)
		if r.After != zero {
			after = r.After.Parts()[len(prefix):]
		}
		for left := r.Limit; ; {
			n := page
			if r.Limit > 0 {
				n = min(n, left)
			}
			rows, last, err := t.page(prefix, after, n, r.Reverse)
			if err != nil {
				var none R
				yield(none, err)
				return
			}
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

// page reads up to n rows that begin with prefix and lie beyond after, which has the parts
// that follow the prefix. It returns those parts of the last row.
func (t table[K, R]) page(prefix, after []any, n int, reverse bool) (rows []R, last []any, err error) {
	c, err := t.tx.conn()
	if err != nil {
		return nil, nil, err
	}
	var where []string
	for _, column := range t.columns[:len(prefix)] {
		where = append(where, column+" = ?")
	}
	rest := t.columns[len(prefix):t.keys]
	beyond, order := " > ", ""
	if reverse {
		beyond, order = " < ", " DESC"
	}
	if len(after) > 0 {
		where = append(where, "("+strings.Join(rest, ", ")+")"+beyond+"("+marks(len(rest))+")")
	}
	query := "SELECT " + t.list() + " FROM " + t.name
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	if len(rest) > 0 {
		query += " ORDER BY " + strings.Join(rest, order+", ") + order
	}
	query += " LIMIT ?"
	args := append(append(append([]any{}, prefix...), after...), n)
	rows, err = all(c, t.name, query, args, t.dest)
	if err == nil && len(rows) == n {
		last = t.values(rows[n-1])[len(prefix):t.keys]
	}
	return rows, last, err
}

// errReadOnly is what a change within a View is told.
var errReadOnly = errors.New("sqlmeta: a View cannot change anything")
