package meter

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// The records of this package: secrets of days, and sketches of clients by day, repository and
// node.
const (
	recordSpace  = "meter"
	secretPrefix = "secret/"
	sketchPrefix = "clients/"
)

const (
	sketchPrecision = 12 // 2^12 registers: 1.04 / 64, some 1.6 %
	secretDays      = 2  // after which what was hashed is as random
	// maxSketches bounds how many repositories' clients a node counts apart in a day.
	maxSketches = 1 << 16
)

// clients estimates how many there were.
type clients struct {
	mu       sync.Mutex
	secret   map[int64][]byte // by day
	sketches map[sketchKey]*sketch
}

type sketchKey struct {
	day        int64
	repository meta.RepositoryID
}

type sketch struct {
	*hyperloglog.Sketch
	changed bool // since it was last written
}

func newClients() *clients {
	return &clients{secret: map[int64][]byte{}, sketches: map[sketchKey]*sketch{}}
}

// add counts a client by its address, or not where the secret of the day is not known yet.
func (c *clients) add(repo meta.RepositoryID, day int64, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	secret := c.secret[day]
	if secret == nil {
		return
	}
	var array [96]byte
	sum := sha256.Sum256(append(append(array[:0], secret...), address...))
	key := sketchKey{day, repo}
	s := c.sketches[key]
	if s == nil {
		if len(c.sketches) >= maxSketches {
			return
		}
		s = &sketch{Sketch: newSketch()}
		c.sketches[key] = s
	}
	s.InsertHash(binary.BigEndian.Uint64(sum[:8]))
	s.changed = true
}

func newSketch() *hyperloglog.Sketch {
	s, err := hyperloglog.NewSketch(sketchPrecision, true)
	if err != nil {
		panic(err) // the precision is one that it takes
	}
	return s
}

// secrets makes sure that those of today and tomorrow are known, which all nodes share, and
// deletes older ones, here and in the store.
func (c *clients) secrets(ctx context.Context, store meta.Store, now time.Time) error {
	today := dayOf(now.Unix())
	c.mu.Lock()
	known := c.secret[today] != nil && c.secret[today+day] != nil
	c.mu.Unlock()
	if known {
		return nil
	}
	found := map[int64][]byte{}
	err := store.Update(ctx, func(tx meta.Tx) error {
		clear(found)
		for row, err := range tx.Records().Scan(meta.Range[meta.RecordKey]{Prefix: meta.RecordKey{Namespace: recordSpace}, After: meta.RecordKey{Namespace: recordSpace, Key: secretPrefix}}) {
			if err != nil {
				return err
			}
			text, ok := strings.CutPrefix(row.Key, secretPrefix)
			if !ok {
				break
			}
			if at, err := strconv.ParseInt(text, 10, 64); err == nil && at > today-secretDays*day {
				found[at] = row.Value
			} else if err := tx.Records().Delete(meta.RecordKey{Namespace: row.Namespace, Key: row.Key}); err != nil {
				return err
			}
		}
		for _, at := range []int64{today, today + day} {
			if found[at] != nil {
				continue
			}
			found[at] = make([]byte, 32)
			rand.Read(found[at])
			if err := tx.Records().Put(meta.Record{Namespace: recordSpace, Key: secretPrefix + strconv.FormatInt(at, 10), Value: found[at]}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secret = found
	for key := range c.sketches {
		if found[key.day] == nil {
			delete(c.sketches, key)
		}
	}
	return nil
}

// sketchRecord is the key of a node's sketch: by day first, so that a day is done with at once.
func sketchRecord(k sketchKey, node string) string {
	return fmt.Sprintf("%s%d/%d/%s", sketchPrefix, k.day, k.repository, node)
}

// flushClients writes the sketches that have changed.
func (m *Meter) flushClients(ctx context.Context) error {
	c := m.clients
	c.mu.Lock()
	var rows []meta.Record
	var written []*sketch
	for key, s := range c.sketches {
		if !s.changed {
			continue
		}
		raw, err := s.MarshalBinary()
		if err != nil {
			c.mu.Unlock()
			return err
		}
		rows = append(rows, meta.Record{Namespace: recordSpace, Key: sketchRecord(key, m.node), Value: raw})
		s.changed = false
		written = append(written, s)
	}
	c.mu.Unlock()
	const batch = 200
	for len(rows) > 0 {
		n := min(batch, len(rows))
		err := m.cfg.Store.Update(ctx, func(tx meta.Tx) error {
			for _, row := range rows[:n] {
				if err := tx.Records().Put(row); err != nil {
					return err
				}
			}
			return nil
		}, meta.Relaxed)
		if err != nil {
			c.mu.Lock()
			for _, s := range written {
				s.changed = true
			}
			c.mu.Unlock()
			return err
		}
		rows, written = rows[n:], written[n:]
	}
	return nil
}

// sketches yields what all nodes have of a day, of one repository or of all (0), merged by repository.
func sketches(tx meta.Tx, at int64, repo meta.RepositoryID) (map[meta.RepositoryID]*hyperloglog.Sketch, []meta.RecordKey, error) {
	merged := map[meta.RepositoryID]*hyperloglog.Sketch{}
	var keys []meta.RecordKey
	prefix := sketchPrefix + strconv.FormatInt(at, 10) + "/"
	if repo != 0 {
		prefix += strconv.FormatInt(int64(repo), 10) + "/"
	}
	for row, err := range tx.Records().Scan(meta.Range[meta.RecordKey]{Prefix: meta.RecordKey{Namespace: recordSpace}, After: meta.RecordKey{Namespace: recordSpace, Key: prefix}}) {
		if err != nil {
			return nil, nil, err
		}
		rest, ok := strings.CutPrefix(row.Key, sketchPrefix+strconv.FormatInt(at, 10)+"/")
		if !ok || !strings.HasPrefix(row.Key, prefix) {
			break
		}
		id, _, _ := strings.Cut(rest, "/")
		number, err := strconv.ParseInt(id, 10, 64)
		s := newSketch()
		if err = errors.Join(err, s.UnmarshalBinary(row.Value)); err != nil {
			return nil, nil, fmt.Errorf("meter: record %s: %w", row.Key, err)
		}
		keys = append(keys, meta.RecordKey{Namespace: row.Namespace, Key: row.Key})
		if all := merged[meta.RepositoryID(number)]; all == nil {
			merged[meta.RepositoryID(number)] = s
		} else if err := all.Merge(s); err != nil {
			return nil, nil, fmt.Errorf("meter: record %s: %w", row.Key, err)
		}
	}
	return merged, keys, nil
}

// foldUntil folds all days up to one.
func (m *Meter) foldUntil(ctx context.Context, last int64) error {
	for {
		at := last + 1
		err := m.cfg.Store.View(ctx, func(tx meta.Tx) error {
			for row, err := range tx.Records().Scan(meta.Range[meta.RecordKey]{
				Prefix: meta.RecordKey{Namespace: recordSpace}, After: meta.RecordKey{Namespace: recordSpace, Key: sketchPrefix}, Limit: 1,
			}) {
				if err != nil {
					return err
				}
				if text, ok := strings.CutPrefix(row.Key, sketchPrefix); ok {
					text, _, _ = strings.Cut(text, "/")
					at, err = strconv.ParseInt(text, 10, 64)
				}
				return err
			}
			return nil
		})
		if err != nil || at > last {
			return err
		}
		if err := m.fold(ctx, at); err != nil {
			return err
		}
	}
}

// fold makes of a day that is over one number for each repository, and deletes its sketches.
func (m *Meter) fold(ctx context.Context, at int64) error {
	var (
		merged map[meta.RepositoryID]*hyperloglog.Sketch
		keys   []meta.RecordKey
	)
	err := m.cfg.Store.View(ctx, func(tx meta.Tx) (err error) {
		merged, keys, err = sketches(tx, at, 0)
		return err
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	f := meta.Flush{Node: fmt.Sprintf("meter clients %d", at), Number: 1}
	for repo, s := range merged {
		f.Counts = append(f.Counts, meta.Counter{Repository: repo, Name: perDay + string(Clients), At: at, Value: int64(s.Estimate())})
	}
	if err := m.cfg.Store.Add(ctx, f); err != nil {
		return err
	}
	return m.cfg.Store.Update(ctx, func(tx meta.Tx) error {
		for _, key := range keys {
			if err := tx.Records().Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

var errNotCounted = fmt.Errorf("meter: nothing was counted: %w", fs.ErrNotExist)
