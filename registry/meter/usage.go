package meter

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// What is counted of accounts, by month.
const (
	egress = "egress/"
	pulls  = "pulls/"
	stored = "stored/" // byte-hours
)

// Usage is what an account used in a month.
type Usage struct {
	Account string    `json:"account"`
	Month   time.Time `json:"month"` // its beginning, in UTC
	Pulls   int64     `json:"pulls"`
	// EgressBytes were sent of manifests and blobs, by the registry, by the bucket where clients were
	// sent there, and by caches whose logs were read.
	EgressBytes int64 `json:"egressBytes"`
	// StoredByteHours are the bytes of all blobs that the account's repositories had links to,
	// each counted once, added up at every hour of the month.
	StoredByteHours int64 `json:"storedByteHours"`
}

// StoredGBMonths is what was stored in the unit in which it is sold: 10^9 bytes for all hours of
// the month. Of a month that is not over, it is what has come together.
func (u Usage) StoredGBMonths() float64 {
	hours := u.Month.AddDate(0, 1, 0).Sub(u.Month).Hours()
	return float64(u.StoredByteHours) / hours / 1e9
}

// EgressGB is what was sent in units of 10^9 bytes.
func (u Usage) EgressGB() float64 { return float64(u.EgressBytes) / 1e9 }

// Usage returns what every account used in the month of a time that used anything, by account.
func (m *Meter) Usage(ctx context.Context, month time.Time) (list []Usage, err error) {
	at := monthOf(month.Unix())
	byAccount := map[string]*Usage{}
	err = m.cfg.Store.View(ctx, func(tx meta.Tx) error {
		clear(byAccount)
		for c, err := range tx.Counters().Scan(meta.Range[meta.CounterKey]{After: meta.CounterKey{Name: perMonth}}) {
			if err != nil {
				return err
			}
			name, ok := strings.CutPrefix(c.Name, perMonth)
			if c.Repository != 0 || !ok {
				break
			}
			if c.At != at {
				continue
			}
			kind, account, _ := strings.Cut(name, "/")
			u := byAccount[account]
			if u == nil {
				u = &Usage{Account: account, Month: time.Unix(at, 0).UTC()}
				byAccount[account] = u
			}
			switch kind + "/" {
			case egress:
				u.EgressBytes = c.Value
			case pulls:
				u.Pulls = c.Value
			case stored:
				u.StoredByteHours = c.Value
			}
		}
		return nil
	})
	for _, account := range slices.Sorted(maps.Keys(byAccount)) {
		list = append(list, *byAccount[account])
	}
	return list, err
}

// WriteCSV writes a report as text: a line of names, and one for each account.
func WriteCSV(w io.Writer, list []Usage) error {
	out := csv.NewWriter(w)
	out.Write([]string{"account", "month", "pulls", "egress_bytes", "stored_byte_hours", "egress_gb", "stored_gb_months"}) //nolint:errcheck // kept until Error
	for _, u := range list {
		out.Write([]string{ //nolint:errcheck // kept until Error
			u.Account, u.Month.Format("2006-01"), strconv.FormatInt(u.Pulls, 10), strconv.FormatInt(u.EgressBytes, 10), strconv.FormatInt(u.StoredByteHours, 10),
			strconv.FormatFloat(u.EgressGB(), 'f', 6, 64), strconv.FormatFloat(u.StoredGBMonths(), 'f', 6, 64),
		})
	}
	out.Flush()
	return out.Error()
}

// storedRecord says up to which hour it was counted what accounts store.
const storedRecord = "stored"

// maxMissed is of how many hours, in which no node ran, what is stored now is taken for what
// was stored then.
const maxMissed = 31 * 24

// countStored adds what every account stores, for each hour that has ended since it was last
// done. That of an hour is one flush, by a name that any node would give it, so that no hour is counted
// twice.
func (m *Meter) countStored(ctx context.Context, now time.Time) error {
	key := meta.RecordKey{Namespace: recordSpace, Key: storedRecord}
	var done int64
	bytes := map[meta.AccountID]int64{}
	current := hourOf(now)
	err := m.cfg.Store.View(ctx, func(tx meta.Tx) error {
		row, err := tx.Records().Get(key)
		if errors.Is(err, fs.ErrNotExist) {
			done = current - hour
			return nil
		}
		if err == nil {
			err = json.Unmarshal(row.Value, &done)
		}
		return err
	})
	if err != nil || done >= current {
		return err
	}
	var accounts []meta.AccountID
	err = m.cfg.Store.View(ctx, func(tx meta.Tx) error {
		accounts = nil
		for r, err := range tx.Registries().Scan(meta.Range[meta.AccountID]{}) {
			if err != nil {
				return err
			}
			accounts = append(accounts, r.Account)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range accounts {
		err := m.cfg.Store.View(ctx, func(tx meta.Tx) error { // one each, so that no snapshot is old
			n, err := tx.LinkedBytes(a)
			bytes[a] = n
			return err
		})
		if err != nil {
			return err
		}
	}
	for at := max(done+hour, current-maxMissed*hour); at <= current; at += hour {
		f := meta.Flush{Node: fmt.Sprintf("meter stored %d", at), Number: 1}
		for _, a := range accounts {
			if bytes[a] > 0 {
				f.Counts = append(f.Counts, meta.Counter{Name: perMonth + stored + string(a), At: monthOf(at), Value: bytes[a]})
			}
		}
		if err := m.cfg.Store.Add(ctx, f); err != nil {
			return err
		}
		raw, err := json.Marshal(at)
		if err != nil {
			return err
		}
		err = m.cfg.Store.Update(ctx, func(tx meta.Tx) error {
			return tx.Records().Put(meta.Record{Namespace: key.Namespace, Key: key.Key, Value: raw})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
