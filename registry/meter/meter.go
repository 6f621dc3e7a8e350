// Package meter counts what is pulled from a registry: by repository, tag, digest, hour and day,
// platform and kind of client, with HEAD apart; about how many clients there were; and, by
// account and month, what it sent and what it stored, for a bill.
//
//	m, err := meter.New(meter.Config{Store: store})
//	...
//	reg, err := registry.New(registry.Config{Observers: []registry.Observer{m.Observe}, ...})
//	...
//	go m.Run(ctx)
//
// # What is a pull
//
// A GET of a manifest that was answered with 200, over HTTP. HEAD is counted apart; 304, blobs,
// ranges and what the process reads itself are none. A client that pulls an image of an index
// makes two pulls, of the index by its tag and of the image by its digest: the number of a tag is
// how often it was asked for, that of a digest how often the bytes were.
//
// # How exact
//
// A pull writes nothing. Counts are added up in memory and written once a second, in a
// transaction that says of which node and which flush it is, so that one whose answer was
// lost is not counted twice. A process that is killed loses what it counted since its last
// flush, a second's worth; one that is told to end loses nothing. What caches before the
// registry answer, it does not see: [Meter.Ingest] reads their logs.
//
// The number of clients is an estimate (some 2 %), by a sketch of addresses that cannot be turned
// back: each is hashed with a secret of its day, which is deleted two days later. No address is
// stored. Sketches are written every 30 seconds.
//
// # How long
//
// Hours are kept for 8 days, days of tags, digests, platforms and clients for 400, days of
// repositories and months of accounts for good. What a repository had counted goes with it;
// what its account owes does not.
package meter

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// DefaultFlush is how often counts are written.
const DefaultFlush = time.Second

// Config is what [New] needs. Store is required, the one of the registry.
type Config struct {
	Store meta.Store
	// Exclude says which operations are not counted, such as those of the host's own scanner;
	// none if nil.
	Exclude func(*registry.Op) bool
	// Logger gets what a host should look at; nil logs nothing.
	Logger *slog.Logger
}

// Meter counts, on one of the nodes. It is safe for concurrent use.
type Meter struct {
	cfg  Config
	node string

	mu      sync.Mutex
	counts  map[what]tally
	clients *clients

	flushing  sync.Mutex // held by Flush
	number    int64      // of the last flush
	unwritten []meta.Counter
	platforms *lru.Cache[image, string]
}

// what is counted together: a pull, or bytes of blobs where there is no digest. Names are made of it
// when it is written, not when it is counted.
type what struct {
	repository meta.RepositoryID
	account    meta.AccountID
	tag        string
	digest     manifest.Digest
	client     Client
	hour       int64
	head       bool
}

type tally struct{ requests, bytes int64 }

// image is a manifest of a repository.
type image struct {
	repository meta.RepositoryID
	digest     manifest.Digest
}

const (
	// maxCounts bounds what is counted apart within one flush. What is beyond it is counted
	// of the repository alone.
	maxCounts = 1 << 17
	// rememberedPlatforms is of how many images the platform is remembered.
	rememberedPlatforms = 1 << 14
)

// New returns a Meter. It writes nothing until [Meter.Run] runs or [Meter.Flush] is called.
func New(cfg Config) (*Meter, error) {
	if cfg.Store == nil {
		return nil, errors.New("meter: Config needs a Store")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Meter{cfg: cfg, node: rand.Text(), counts: map[what]tally{}, clients: newClients()}
	var err error
	m.platforms, err = lru.New[image, string](rememberedPlatforms)
	return m, err
}

// Observe implements [registry.Observer].
func (m *Meter) Observe(_ context.Context, op *registry.Op, err error) {
	if op.Repository.ID == 0 || op.Method == "" || m.cfg.Exclude != nil && m.cfg.Exclude(op) {
		return
	}
	w := what{repository: op.Repository.ID, account: op.Repository.Account, hour: hourOf(op.Began)}
	switch bytes := op.Sent + op.Redirected; {
	case op.IsPull() && op.Status == http.StatusOK && err == nil:
		w.head = op.Method == http.MethodHead
		w.tag, w.digest, w.client = op.Reference.Tag, op.Descriptor.Digest, ClientOf(op.UserAgent)
		m.count(w, bytes, op.Remote)
	case op.Action == policy.GetDownloadURLForLayer && op.Method == http.MethodGet && op.Status < http.StatusBadRequest && bytes > 0:
		m.count(w, bytes, netip.Addr{})
	}
}

// count adds a request. A pull counts its client, by address.
func (m *Meter) count(w what, bytes int64, remote netip.Addr) {
	m.mu.Lock()
	t, known := m.counts[w]
	if !known && len(m.counts) >= maxCounts {
		w = what{repository: w.repository, account: w.account, hour: w.hour, head: w.head, client: w.client}
		t = m.counts[w]
	}
	t.requests++
	t.bytes += bytes
	m.counts[w] = t
	m.mu.Unlock()
	if remote.IsValid() && !w.head {
		m.clients.add(w.repository, dayOf(w.hour), limit.AddressKey("", remote, limit.SiteBits))
	}
}

const (
	hour = 3600
	day  = 24 * hour
)

func hourOf(t time.Time) int64 { return t.Unix() - t.Unix()%hour }
func dayOf(at int64) int64     { return at - at%day }
func monthOf(at int64) int64 {
	t := time.Unix(at, 0).UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).Unix()
}

// Run writes counts once a second, and does what has to be done now and then, until ctx ends.
// It then writes what is left, and returns nil. reg is the registry whose operations are
// observed: of the nodes that share a store, one does what is done once for all.
func (m *Meter) Run(ctx context.Context, reg *registry.Registry) error {
	var wg sync.WaitGroup
	wg.Go(func() {
		reg.WithLease(ctx, "meter", m.chores) //nolint:errcheck // they end with ctx
	})
	tick := time.NewTicker(DefaultFlush)
	defer tick.Stop()
	for n := 0; ; n++ {
		if err := m.clients.secrets(ctx, m.cfg.Store, time.Now()); err != nil && ctx.Err() == nil {
			m.cfg.Logger.ErrorContext(ctx, "clients are not counted", "error", err)
		}
		select {
		case <-ctx.Done():
			wg.Wait()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			if err := errors.Join(m.Flush(last), m.flushClients(last)); err != nil {
				m.cfg.Logger.ErrorContext(ctx, "the last counts are lost", "error", err)
			}
			return nil
		case <-tick.C:
		}
		err := m.Flush(ctx)
		if err == nil && n%clientFlushes == clientFlushes-1 {
			err = m.flushClients(ctx)
		}
		if err != nil && ctx.Err() == nil {
			m.cfg.Logger.ErrorContext(ctx, "counts are not written, they wait", "error", err)
		}
	}
}

const (
	lastFlush     = 10 * time.Second // that ending may take
	clientFlushes = 30               // flushes of counts for one of sketches
)

// Flush writes what was counted since the last flush. What cannot be written is written with the
// next one.
func (m *Meter) Flush(ctx context.Context) error {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	if m.unwritten != nil { // the last one may have been written after all, and is sent as it was
		if err := m.add(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	counts := m.counts
	m.counts = make(map[what]tally, len(counts))
	m.mu.Unlock()
	if len(counts) == 0 {
		return nil
	}
	list, err := m.expand(ctx, counts)
	if err != nil {
		m.putBack(counts)
		return err
	}
	m.unwritten = list
	m.number++
	return m.add(ctx)
}

// add writes what is unwritten.
func (m *Meter) add(ctx context.Context) error {
	err := m.cfg.Store.Add(ctx, meta.Flush{Node: m.node, Number: m.number, Counts: m.unwritten})
	if err == nil {
		m.unwritten = nil
	}
	return err
}

// putBack adds counts to those of the next flush.
func (m *Meter) putBack(counts map[what]tally) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w, t := range counts {
		now := m.counts[w]
		m.counts[w] = tally{now.requests + t.requests, now.bytes + t.bytes}
	}
}

// expand makes the counters of counts. It asks the store for platforms.
func (m *Meter) expand(ctx context.Context, counts map[what]tally) ([]meta.Counter, error) {
	sums := map[meta.CounterKey]int64{}
	for w, t := range counts {
		if err := m.sum(ctx, sums, w, t); err != nil {
			return nil, err
		}
	}
	list := make([]meta.Counter, 0, len(sums))
	for k, n := range sums {
		list = append(list, meta.Counter{Repository: k.Repository, Name: k.Name, At: k.At, Value: n})
	}
	return list, nil
}

// The names of counters: the length of time, what is counted, and of which. Those of accounts
// are of repository 0.
const (
	perHour, perDay, perMonth = "h ", "d ", "m "
)

func (m *Meter) sum(ctx context.Context, sums map[meta.CounterKey]int64, w what, t tally) error {
	days := dayOf(w.hour)
	both := func(name string, n int64) {
		sums[meta.CounterKey{Repository: w.repository, Name: perHour + name, At: w.hour}] += n
		sums[meta.CounterKey{Repository: w.repository, Name: perDay + name, At: days}] += n
	}
	if w.account != "" && t.bytes > 0 {
		sums[meta.CounterKey{Name: perMonth + egress + string(w.account), At: monthOf(w.hour)}] += t.bytes
	}
	if t.bytes > 0 {
		both(string(Bytes), t.bytes)
	}
	switch {
	case w.head:
		both(string(Heads), t.requests)
		return nil
	case w.client == 0:
		return nil // blobs
	}
	both(string(Pulls), t.requests)
	if w.account != "" {
		sums[meta.CounterKey{Name: perMonth + pulls + string(w.account), At: monthOf(w.hour)}] += t.requests
	}
	if w.tag != "" {
		both(string(ByTag)+w.tag, t.requests)
	}
	if w.digest != "" {
		both(string(ByDigest)+string(w.digest), t.requests)
		p, err := m.platform(ctx, image{w.repository, w.digest})
		if err != nil {
			return err
		}
		if p != "" {
			both(string(ByPlatform)+p, t.requests)
		}
	}
	both(string(ByClient)+w.client.String(), t.requests)
	return nil
}

// platformSyntax is what platforms are made of that are counted by name. A publisher can write
// anything there.
var platformSyntax = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,64}$`)

// platform is where an image runs, "" for an index, which says nothing of who pulls it, and for
// what is no more.
func (m *Meter) platform(ctx context.Context, i image) (p string, err error) {
	if p, ok := m.platforms.Get(i); ok {
		return p, nil
	}
	err = m.cfg.Store.View(ctx, func(tx meta.Tx) error {
		row, err := tx.Manifests().Get(meta.ManifestKey{Repository: i.repository, Digest: i.digest})
		if p = row.Platform; errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if p != "" && !platformSyntax.MatchString(p) {
		p = "other"
	}
	m.platforms.Add(i, p)
	return p, nil
}
