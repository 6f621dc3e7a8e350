package meter

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Kind is what is counted of a repository.
type Kind string

// The kinds. Those that end with a slash are by what follows, such as ByTag+"latest".
const (
	Pulls      Kind = "pull"
	Heads      Kind = "head"
	Bytes      Kind = "bytes" // sent, of manifests and blobs
	Clients    Kind = "clients"
	ByTag      Kind = "tag/"
	ByDigest   Kind = "digest/"
	ByPlatform Kind = "platform/" // os/architecture[/variant], of images that say so
	ByClient   Kind = "client/"   // a [Client]
)

// Unit is how long what is counted together takes.
type Unit bool

// The units.
const (
	Day  Unit = false // in UTC
	Hour Unit = true  // kept for 8 days; there are none of Clients
)

// Point is a number of one hour or day.
type Point struct {
	At time.Time `json:"at"` // its beginning, in UTC
	N  int64     `json:"n"`
}

// Series returns what was counted of a repository, from an hour or day to another one, both
// included, the first first. Where nothing was counted there is no point.
func (m *Meter) Series(ctx context.Context, repo meta.RepositoryID, kind Kind, unit Unit, from, to time.Time) (list []Point, err error) {
	name, length := perDay+string(kind), int64(day)
	if unit == Hour {
		name, length = perHour+string(kind), hour
	}
	first, last := from.Unix()-from.Unix()%length, to.Unix()
	err = m.cfg.Store.View(ctx, func(tx meta.Tx) error {
		list = nil
		for c, err := range tx.Counters().Scan(meta.Range[meta.CounterKey]{
			Prefix: meta.CounterKey{Repository: repo, Name: name}, After: meta.CounterKey{Repository: repo, Name: name, At: first - 1},
		}) {
			if err != nil {
				return err
			}
			if c.At > last {
				break
			}
			list = append(list, Point{time.Unix(c.At, 0).UTC(), c.Value})
		}
		if kind != Clients || unit == Hour {
			return nil
		}
		return m.freshClients(tx, repo, first, last, &list)
	})
	return list, err
}

// freshClients appends the days whose sketches are not folded yet.
func (m *Meter) freshClients(tx meta.Tx, repo meta.RepositoryID, first, last int64, list *[]Point) error {
	for _, at := range unfolded(time.Now()) {
		if at < first || at > last || slices.ContainsFunc(*list, func(p Point) bool { return p.At.Unix() == at }) {
			continue
		}
		merged, _, err := sketches(tx, at, repo)
		if err != nil {
			return err
		}
		if s := merged[repo]; s != nil {
			*list = append(*list, Point{time.Unix(at, 0).UTC(), int64(s.Estimate())})
		}
	}
	slices.SortFunc(*list, func(a, b Point) int { return a.At.Compare(b.At) })
	return nil
}

// unfolded are the days that may have sketches.
func unfolded(now time.Time) []int64 {
	today := dayOf(now.Unix())
	return []int64{today - 2*day, today - day, today}
}

// Sum adds a series up.
func Sum(list []Point) (n int64) {
	for _, p := range list {
		n += p.N
	}
	return n
}

// Named is a number of what a kind is by, such as a tag.
type Named struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// By returns what was counted from a day to another, both included, of all that a kind is by,
// such as each tag: up to limit, those with the most first. It reads all that the
// repository has counted of the kind.
func (m *Meter) By(ctx context.Context, repo meta.RepositoryID, kind Kind, from, to time.Time, limit int) (list []Named, err error) {
	first, last := dayOf(from.Unix()), to.Unix()
	sums := map[string]int64{}
	err = m.cfg.Store.View(ctx, func(tx meta.Tx) error {
		clear(sums)
		for c, err := range tx.Counters().Scan(meta.Range[meta.CounterKey]{
			Prefix: meta.CounterKey{Repository: repo}, After: meta.CounterKey{Repository: repo, Name: perDay + string(kind)},
		}) {
			if err != nil {
				return err
			}
			name, ok := strings.CutPrefix(c.Name, perDay+string(kind))
			if !ok {
				break
			}
			if c.At >= first && c.At <= last {
				sums[name] += c.Value
			}
		}
		return nil
	})
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		list = append(list, Named{name, sums[name]})
	}
	slices.SortStableFunc(list, func(a, b Named) int { return int(max(-1, min(1, b.N-a.N))) })
	return list[:min(limit, len(list))], err
}

// LastPull returns the hour, or the day where that is long ago, in which an image was last pulled
// by its digest or by a tag. One that was not, as far as is known, is an error that wraps fs.ErrNotExist.
func (m *Meter) LastPull(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (at time.Time, err error) {
	err = m.cfg.Store.View(ctx, func(tx meta.Tx) error {
		for _, per := range []string{perHour, perDay} {
			for c, err := range tx.Counters().Scan(meta.Range[meta.CounterKey]{
				Prefix: meta.CounterKey{Repository: repo, Name: per + string(ByDigest) + string(d)}, Limit: 1, Reverse: true,
			}) {
				if err == nil {
					at = time.Unix(c.At, 0).UTC()
				}
				return err
			}
		}
		return errNotCounted
	})
	return at, err
}

// DailyPulls returns the pulls of a repository, by its name as clients know it, or of one of its
// tags, on each of the last days, today last, with those on which there were none: what a
// gallery shows. A repository that does not exist has none.
func (m *Meter) DailyPulls(ctx context.Context, name, tag string, days int) ([]Point, error) {
	alias, rest, _ := strings.Cut(name, "/")
	repo, err := m.cfg.Store.Find(ctx, alias, rest)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	kind, now := Pulls, time.Now().UTC()
	if tag != "" {
		kind = ByTag + Kind(tag)
	}
	today := dayOf(now.Unix())
	list := make([]Point, days)
	for i := range list {
		list[i].At = time.Unix(today-int64(days-1-i)*day, 0).UTC()
	}
	if repo.ID == 0 || days == 0 {
		return list, nil
	}
	counted, err := m.Series(ctx, repo.ID, kind, Day, list[0].At, now)
	for _, p := range counted {
		if i := (p.At.Unix() - list[0].At.Unix()) / day; i >= 0 && i < int64(days) {
			list[i].N = p.N
		}
	}
	return list, err
}
