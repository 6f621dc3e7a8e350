package sqlindex

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// writer is a transaction that writes.
type writer struct {
	tx *sql.Tx
	x  *Index
}

// background is the context of statements. database/sql starts a goroutine for each under a
// context that can end, and they take microseconds: contexts are asked before, not during.
var background = context.Background()

// transaction runs fn in a transaction, once there is a connection for it.
func transaction(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) (err error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	tx, err := c.BeginTx(background, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// write runs fn in a transaction. They come one after the other: there is one connection.
func (x *Index) write(ctx context.Context, fn func(*writer) error) error {
	return transaction(ctx, x.writer, func(tx *sql.Tx) error { return fn(&writer{tx, x}) })
}

// Put implements [gallery.Index].
func (x *Index) Put(ctx context.Context, d gallery.Document) error {
	return x.PutAll(ctx, d)
}

// PutAll puts documents in one transaction, which for many is much faster than [Index.Put].
func (x *Index) PutAll(ctx context.Context, docs ...gallery.Document) error {
	for _, d := range docs {
		if alias, name, ok := strings.Cut(d.Name, "/"); !ok || alias == "" || name == "" {
			return fmt.Errorf("sqlindex: %q is no alias/repository", d.Name)
		}
	}
	return wrap("put", x.write(ctx, func(w *writer) error {
		for i := range docs {
			if err := w.put(&docs[i]); err != nil {
				return fmt.Errorf("%s: %w", docs[i].Name, err)
			}
		}
		return nil
	}))
}

// Delete implements [gallery.Index].
func (x *Index) Delete(ctx context.Context, name string) error {
	return wrap("delete", x.write(ctx, func(w *writer) error {
		old, err := w.find(name)
		if err != nil || old == nil {
			return err
		}
		return w.remove(old, true)
	}))
}

// stored is what of a document is needed to take it out again.
type stored struct {
	id      int64
	filters string
	words   match.WordList
	pulls   int64
}

// find returns the document of a name, nil if there is none.
func (w *writer) find(name string) (*stored, error) {
	var s stored
	var words string
	err := w.tx.QueryRow("SELECT id, filters, words, pulls FROM document WHERE name = ?", []byte(name)).Scan(&s.id, &s.filters, &words, &s.pulls)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	s.words = match.WordList(words)
	return &s, err
}

// exec runs statements until one fails.
func (w *writer) exec(statements ...statement) error {
	for _, s := range statements {
		if _, err := w.tx.Exec(s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}

type statement struct {
	text string
	args []any
}

func do(text string, args ...any) statement { return statement{text, args} }

// sequenceBits is how much of an id is not merit.
const sequenceBits = 32

func (w *writer) put(d *gallery.Document) error {
	read := match.Read(d)
	words, filters := match.NewWordList(read.Words), strings.Join(match.FilterWords(d), " ")
	old, err := w.find(d.Name)
	if err != nil {
		return err
	}
	merit := match.Merit(w.x.ranker, d, read.Stuffed)
	// What only has more pulls is where it was, unless they make a difference.
	same := old != nil && old.id>>sequenceBits == merit && old.words == words && old.filters == filters
	if old != nil {
		if err := w.remove(old, !same); err != nil {
			return err
		}
	}
	var id int64
	if same {
		id = old.id
	} else {
		var sequence int64
		if err := w.tx.QueryRow("UPDATE state SET sequence = sequence + 1 RETURNING sequence").Scan(&sequence); err != nil {
			return err
		}
		id = merit<<sequenceBits | sequence&(1<<sequenceBits-1)
		var name, keyword, body []string
		for word, set := range read.Words {
			switch {
			case set&match.NameFields != 0:
				name = append(name, word)
			case set&match.Bit(gallery.Keyword) != 0:
				keyword = append(keyword, word)
			default:
				body = append(body, word)
			}
		}
		if err := w.exec(
			do("INSERT INTO words (rowid, name, keyword, body, filter) VALUES (?, ?, ?, ?, ?)", id, strings.Join(name, " "), strings.Join(keyword, " "), strings.Join(body, " "), filters),
			do("INSERT INTO parts (rowid, folded) VALUES (?, ?)", id, read.Shape.Folded),
		); err != nil {
			return err
		}
	}
	if err := w.count(words, d.Pulls, 1); err != nil {
		return err
	}
	for _, k := range match.Imitable(d) {
		keys, err := json.Marshal(k.Keys())
		if err != nil {
			return err
		}
		if err := w.exec(do("INSERT OR IGNORE INTO known SELECT value, ?, ?, ?, ? FROM json_each(?)", k.Name, id, k.Pulls, k.Verified, string(keys))); err != nil {
			return err
		}
	}
	return w.exec(
		do("INSERT INTO document (id, name, pulls, updated, stuffed, phrases, filters, words, data, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			id, []byte(d.Name), d.Pulls, match.Moment(d.Updated), read.Stuffed, read.Shape.Phrases, filters, string(words), match.Encode(d), append([]byte{}, d.Text...)),
		do("UPDATE state SET documents = documents + 1"))
}

// remove takes a document out, and what is found of it if it will be another.
func (w *writer) remove(old *stored, changed bool) error {
	if changed {
		if err := w.exec(do("DELETE FROM words WHERE rowid = ?", old.id), do("DELETE FROM parts WHERE rowid = ?", old.id)); err != nil {
			return err
		}
	}
	if err := w.count(old.words, old.pulls, -1); err != nil {
		return err
	}
	return w.exec(do("DELETE FROM known WHERE document = ?", old.id), do("DELETE FROM document WHERE id = ?", old.id),
		do("UPDATE state SET documents = documents - 1"))
}

// count adds the words of a document to the table of all, or takes them away.
func (w *writer) count(words match.WordList, pulls, sign int64) error {
	type counted struct {
		Word   string
		Spoken int64
		Weight int64
		Head   string
		Tail   string
	}
	var list []counted
	for word, set := range words.All("") {
		if word == "" || set&^match.Bit(gallery.Text) == 0 {
			continue
		}
		c := counted{Word: word, Weight: sign * w.x.weights.Likely(set, pulls)}
		if set != match.Bit(gallery.FoldedName) {
			c.Spoken = sign
		}
		if !match.IsMark(word) {
			c.Head, c.Tail = ends(word)
		}
		list = append(list, c)
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := w.exec(do(`INSERT INTO word (word, documents, spoken, weight, length, head, tail)
SELECT value->>'Word', ?, value->>'Spoken', value->>'Weight', length(CAST(value->>'Word' AS BLOB)), value->>'Head', value->>'Tail' FROM json_each(?) WHERE true
ON CONFLICT DO UPDATE SET documents = documents + excluded.documents, spoken = spoken + excluded.spoken, weight = weight + excluded.weight`, sign, string(b))); err != nil || sign > 0 {
		return err
	}
	return w.exec(do("DELETE FROM word WHERE documents <= 0 AND word IN (SELECT value->>'Word' FROM json_each(?))", string(b)))
}

// ends returns the head and the tail of a word, by which the words are found that it may be
// a slip of: of most slips one of them is right. Of short words there are few, and a letter
// will do.
func ends(w string) (head, tail string) {
	r := []rune(w)
	if len(w) < longWord {
		return string(r[:1]), ""
	}
	n := min(3, len(r))
	return string(r[:n]), string(r[len(r)-n:])
}

// longWord is how long a word is that has a tail.
const longWord = 7
