package pgindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// Put implements [gallery.Index].
func (x *Index) Put(ctx context.Context, d gallery.Document) error { return x.PutAll(ctx, d) }

// putsAtOnce is how many documents are put in a transaction. While it runs others cannot put.
const putsAtOnce = 500

// PutAll puts documents in transactions of many, which is much faster than [Index.Put].
func (x *Index) PutAll(ctx context.Context, docs ...gallery.Document) error {
	for _, d := range docs {
		if alias, name, ok := strings.Cut(d.Name, "/"); !ok || alias == "" || name == "" {
			return fmt.Errorf("pgindex: %q is no alias/repository", d.Name)
		}
	}
	for part := range slices.Chunk(docs, putsAtOnce) {
		if err := x.put(ctx, part); err != nil {
			return wrap("put", err)
		}
	}
	return nil
}

// put puts those documents that are not there as they are.
func (x *Index) put(ctx context.Context, docs []gallery.Document) error {
	names, hashes := make([][]byte, len(docs)), make([][]byte, len(docs))
	for i := range docs {
		names[i], hashes[i] = []byte(docs[i].Name), x.hash(&docs[i], match.Encode(&docs[i]))
	}
	var changed []int
	err := ctx.Err()
	if err == nil {
		var rows pgx.Rows
		if rows, err = x.pool.Query(ctx, `SELECT n.i::int - 1 FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS n (name, hash, i)
LEFT JOIN esplanade_index_document d ON d.name = n.name WHERE d.hash IS DISTINCT FROM n.hash ORDER BY n.i`, names, hashes); err == nil {
			changed, err = pgx.CollectRows(rows, pgx.RowTo[int])
		}
	}
	if err != nil || len(changed) == 0 {
		return err
	}
	put := map[string]*entry{} // of a name that is there twice, the last
	for _, i := range changed {
		put[docs[i].Name] = x.newEntry(&docs[i])
	}
	return x.change(ctx, put)
}

// Delete implements [gallery.Index].
func (x *Index) Delete(ctx context.Context, name string) error {
	return wrap("delete", x.change(ctx, map[string]*entry{name: nil}))
}

// change makes the documents of some names what they are to be; nil is none.
func (x *Index) change(ctx context.Context, entries map[string]*entry) error {
	return x.transaction(ctx, writing, func(tx pgx.Tx) error {
		var documents, sequence int64
		err := tx.QueryRow(ctx, "SELECT documents, sequence FROM esplanade_index WHERE version = $1", x.version).Scan(&documents, &sequence)
		if errors.Is(err, pgx.ErrNoRows) {
			return errReplaced
		}
		if err != nil {
			return err
		}
		before, err := x.stored(ctx, tx, slices.Sorted(maps.Keys(entries)))
		if err != nil {
			return err
		}
		c := changes{counts: map[string]count{}}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			old, e := before[name], entries[name]
			switch {
			case e == nil && old == nil:
				continue
			case e == nil:
				documents--
			case old != nil && bytes.Equal(old.hash, e.hash):
				continue // another node was faster
			default:
				if old == nil {
					documents++
				}
				merit := match.Merit(x.ranker, e.Document, e.stuffed)
				if old != nil && old.id>>sequenceBits == merit {
					e.id = old.id
				} else {
					sequence++
					e.id = newID(merit, sequence)
				}
			}
			c.replace(old, e)
		}
		if len(c.gone) == 0 && len(c.added) == 0 {
			return nil
		}
		b := &pgx.Batch{}
		c.queue(b)
		b.Queue("UPDATE esplanade_index SET documents = $1, sequence = $2", documents, sequence)
		return tx.SendBatch(ctx, b).Close()
	})
}

// stored returns the documents of names as they are, by name.
func (x *Index) stored(ctx context.Context, tx pgx.Tx, names []string) (map[string]*entry, error) {
	keys := make([][]byte, len(names))
	for i, name := range names {
		keys[i] = []byte(name)
	}
	rows, err := tx.Query(ctx, "SELECT id, data, text FROM esplanade_index_document WHERE name = ANY($1)", keys)
	if err != nil {
		return nil, err
	}
	list := map[string]*entry{}
	var id int64
	var data, text []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &data, &text}, func() error {
		var d gallery.Document
		if err := match.Decode(data, &d); err != nil {
			return err
		}
		d.Text = string(text)
		e := x.newEntry(&d)
		e.id = id
		list[d.Name] = e
		return nil
	})
	return list, err
}

// changes is what a transaction writes.
type changes struct {
	gone     []int64  // rows of documents
	added    []*entry // likewise
	unfound  []int64  // rows of lexemes
	found    []*entry // likewise
	unknown  []int64  // whose rows of known names go
	imitable []*entry // likewise, that come
	counts   map[string]count
}

// replace makes one entry of another; both may be nil, but not both.
func (c *changes) replace(old, e *entry) {
	if old != nil {
		c.gone = append(c.gone, old.id)
		c.count(old, -1)
	}
	if e != nil {
		c.added = append(c.added, e)
		c.count(e, 1)
	}
	// What only has more pulls is found as it was, unless they make a difference.
	if old == nil || e == nil || old.id != e.id || old.lexemes != e.lexemes {
		if old != nil {
			c.unfound = append(c.unfound, old.id)
		}
		if e != nil {
			c.found = append(c.found, e)
		}
	}
	if old == nil || e == nil || old.id != e.id || !slices.Equal(old.known, e.known) {
		if old != nil && len(old.known) > 0 {
			c.unknown = append(c.unknown, old.id)
		}
		if e != nil && len(e.known) > 0 {
			c.imitable = append(c.imitable, e)
		}
	}
}

func (c *changes) count(e *entry, sign int64) {
	for word, n := range e.counts {
		sum := c.counts[word]
		sum.documents += sign * n.documents
		sum.named += sign * n.named
		sum.keyed += sign * n.keyed
		sum.spoken += sign * n.spoken
		sum.weight += sign * n.weight
		c.counts[word] = sum
	}
}

// queue adds the statements to a batch.
func (c *changes) queue(b *pgx.Batch) {
	for table, ids := range map[string][]int64{"document WHERE id": c.gone, "lexemes WHERE id": c.unfound, "known WHERE document": c.unknown} {
		if len(ids) > 0 {
			b.Queue("DELETE FROM esplanade_index_"+table+" = ANY($1)", ids)
		}
	}
	for _, e := range c.added {
		b.Queue(`INSERT INTO esplanade_index_document (id, name, hash, pulls, updated, verified, stuffed, phrases, words, body, data, text)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			e.id, []byte(e.Name), e.hash, e.Pulls, match.Moment(e.Updated), e.Verified, e.stuffed, e.phrases, string(e.words), string(e.body), e.data, []byte(e.Text))
	}
	for _, e := range c.found {
		b.Queue("INSERT INTO esplanade_index_lexemes (id, lexemes, folded) VALUES ($1, $2::text::tsvector, $3)", e.id, e.lexemes, e.folded)
	}
	for _, e := range c.imitable {
		var keys, names []string
		for _, k := range e.known {
			keys, names = append(keys, k.key), append(names, k.name)
		}
		b.Queue("INSERT INTO esplanade_index_known (key, name, document) SELECT key, name, $3 FROM unnest($1::text[], $2::text[]) AS k (key, name) ON CONFLICT DO NOTHING", keys, names, e.id)
	}
	c.queueCounts(b)
}

// queueCounts adds the statements that change the table of words.
func (c *changes) queueCounts(b *pgx.Batch) {
	var words, slips, fewer []string
	var documents, named, keyed, spoken, weights []int64
	for _, word := range slices.Sorted(maps.Keys(c.counts)) {
		n := c.counts[word]
		if n == (count{}) {
			continue
		}
		if n.documents < 0 {
			fewer = append(fewer, word)
		}
		var keys []string
		if n.documents > 0 && !match.IsMark(word) && !strings.HasPrefix(word, filter) {
			keys = match.SlipKeys(word)
		}
		words, slips = append(words, word), append(slips, strings.Join(keys, " "))
		documents, named, keyed = append(documents, n.documents), append(named, n.named), append(keyed, n.keyed)
		spoken, weights = append(spoken, n.spoken), append(weights, n.weight)
	}
	if len(words) > 0 {
		b.Queue(`INSERT INTO esplanade_index_word AS w (word, documents, named, keyed, spoken, weight, length, slips)
SELECT word, documents, named, keyed, spoken, weight, octet_length(word), string_to_array(slips, ' ')
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[]) AS n (word, documents, named, keyed, spoken, weight, slips)
ON CONFLICT (word) DO UPDATE SET documents = w.documents + excluded.documents, named = w.named + excluded.named, keyed = w.keyed + excluded.keyed,
	spoken = w.spoken + excluded.spoken, weight = w.weight + excluded.weight`, words, documents, named, keyed, spoken, weights, slips)
	}
	if len(fewer) > 0 {
		b.Queue("DELETE FROM esplanade_index_word WHERE word = ANY($1) AND documents <= 0", fewer)
	}
}
