//go:build unix

package durability

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// traffic is what a repository is asked for, as it is counted.
type traffic struct{ Pulls, Heads, Bytes int64 }

func (a traffic) plus(b traffic) traffic {
	return traffic{a.Pulls + b.Pulls, a.Heads + b.Heads, a.Bytes + b.Bytes}
}

func (a traffic) minus(b traffic) traffic { return a.plus(traffic{-b.Pulls, -b.Heads, -b.Bytes}) }

// within reports whether no number is more than one of b's.
func (a traffic) within(b traffic) bool {
	return a.Pulls <= b.Pulls && a.Heads <= b.Heads && a.Bytes <= b.Bytes
}

// question is a request, and what its answer counts for.
type question struct {
	method, path string
	header       []string
	status       int
	worth        traffic
}

// questions are all that clients ask for of an image.
func questions(repo, tag string, img image) []question {
	manifests, blobs := "/v2/"+repo+"/manifests/", "/v2/"+repo+"/blobs/"
	size := int64(len(img.raw))
	list := []question{
		{"GET", manifests + tag, nil, http.StatusOK, traffic{Pulls: 1, Bytes: size}},
		{"GET", manifests + img.digest, nil, http.StatusOK, traffic{Pulls: 1, Bytes: size}},
		{"HEAD", manifests + tag, nil, http.StatusOK, traffic{Heads: 1}},
		{"GET", manifests + tag, []string{"If-None-Match", `"` + img.digest + `"`}, http.StatusNotModified, traffic{}},
		{"GET", manifests + "none", nil, http.StatusNotFound, traffic{}},
		{"GET", "/v2/" + repo + "/tags/list", nil, http.StatusOK, traffic{}},
	}
	for _, b := range img.blobs() {
		list = append(list,
			question{"GET", blobs + b.digest, nil, http.StatusOK, traffic{Bytes: int64(b.size)}},
			question{"GET", blobs + b.digest, []string{"Range", "bytes=10-19"}, http.StatusPartialContent, traffic{Bytes: 10}},
			question{"HEAD", blobs + b.digest, nil, http.StatusOK, traffic{}},
		)
	}
	return list
}

// ledger is what clients know of one life of a server.
type ledger struct {
	mu    sync.Mutex
	asked traffic // what has begun, answered or not
	acks  []ack
}

type ack struct {
	at    time.Time
	worth traffic
}

// ask asks one question.
func (l *ledger) ask(ctx context.Context, c *client, q question) error {
	l.mu.Lock()
	l.asked = l.asked.plus(q.worth)
	l.mu.Unlock()
	if _, err := c.sendFor(ctx, []int{q.status}, q.method, q.path, nil, q.header...); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, ack{time.Now(), q.worth})
	return nil
}

// until is what was acknowledged until a time.
func (l *ledger) until(at time.Time) (sum traffic) {
	for _, a := range l.acks {
		if !a.at.After(at) {
			sum = sum.plus(a.worth)
		}
	}
	return sum
}

// lost is for how long before the end pulls were not counted, at most.
func (l *ledger) lost(counted traffic, end time.Time) time.Duration {
	slices.SortFunc(l.acks, func(a, b ack) int { return a.at.Compare(b.at) })
	var sum traffic
	for _, a := range l.acks {
		if sum = sum.plus(a.worth); sum.Pulls > counted.Pulls {
			return end.Sub(a.at)
		}
	}
	return 0
}

// crowd has clients ask until one of them is not answered, which only the end of the server excuses.
func (l *ledger) crowd(t *testing.T, host string, list []question, from uint64, doomed *atomic.Bool) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range pusherCount {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(from, uint64(i)))
			c := newClient(host, nil)
			defer c.close()
			for {
				err := l.ask(t.Context(), c, list[rng.IntN(len(list))])
				if bad := (*statusError)(nil); err != nil && (errors.As(err, &bad) || !doomed.Load()) {
					t.Error(err)
				}
				if err != nil {
					return
				}
			}
		})
	}
	return wg.Wait
}

var operatorURL = regexp.MustCompile(`msg="the operator's address" url=(\S+)`)

// startCounting starts quickstart, with an address for its operator.
func startCounting(t *testing.T, dir string) (s *server, operator string) {
	t.Helper()
	s = launch(t, quickstart(t), "-addr", "127.0.0.1:0", "-data", dir, "-private-addr", "127.0.0.1:0")
	m := operatorURL.FindStringSubmatch(s.out.text())
	if m == nil {
		t.Fatalf("the server does not say where its operator asks:\n%s", s.out.text())
	}
	return s, m[1]
}

// billed asks the operator's address what the account used this month.
func billed(ctx context.Context, operator string) (sum traffic, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", operator+"/usage", http.NoBody)
	if err != nil {
		return sum, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return sum, err
	}
	defer res.Body.Close()
	var list []meter.Usage
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return sum, fmt.Errorf("/usage: %s: %w", res.Status, err)
	}
	return bill(list), nil
}

func bill(list []meter.Usage) (sum traffic) {
	for _, u := range list {
		sum = sum.plus(traffic{Pulls: u.Pulls, Bytes: u.EgressBytes})
	}
	return sum
}

// readCounts returns all that was ever counted of a repository, while no server runs. What is billed
// must be the same.
func readCounts(t *testing.T, dir, name string) (sum traffic) {
	t.Helper()
	ctx := t.Context()
	store, err := sqlmeta.OpenSQLite(ctx, filepath.Join(dir, "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m, err := meter.New(meter.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	alias, rest, _ := strings.Cut(name, "/")
	repo, err := store.Find(ctx, alias, rest)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	before := now.AddDate(0, 0, -1)
	for kind, n := range map[meter.Kind]*int64{meter.Pulls: &sum.Pulls, meter.Heads: &sum.Heads, meter.Bytes: &sum.Bytes} {
		for _, unit := range []meter.Unit{meter.Day, meter.Hour} {
			points, err := m.Series(ctx, repo.ID, kind, unit, before, now)
			if err != nil {
				t.Fatal(err)
			}
			if unit == meter.Hour && meter.Sum(points) != *n {
				t.Errorf("%s: %d by day, %d by hour", kind, *n, meter.Sum(points))
			}
			*n = meter.Sum(points)
		}
	}
	list, err := m.Usage(ctx, now)
	if err == nil && before.Month() != now.Month() {
		var earlier []meter.Usage
		earlier, err = m.Usage(ctx, before)
		list = append(list, earlier...)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sum, bill(list).plus(traffic{Heads: sum.Heads})); diff != "" {
		t.Errorf("billed (-counted +billed)\n%s", diff)
	}
	return sum
}

// lossTime is of how long before its end a server that is killed may forget what it counted: since its last
// flush, while another one was being written, on a machine that has other things to do.
const lossTime = meter.DefaultFlush + 2*time.Second

// Whatever moment the server is killed at, no pull and no byte was counted that was not asked for, what the
// operator was shown is still there, and at most the pulls of about the last second are not
// counted. A server that was told to end has counted all that it answered.
func TestCountsSurvive(t *testing.T) {
	t.Parallel()
	const repo = "hatters/counted"
	n, from := killCount(6, 2), newSeed(t)
	rng := rand.New(rand.NewPCG(from, 0))
	dir := newFolder(t)
	img := newImage(rng, newBlob(rng, 3000), newBlob(rng, 300<<10))
	list := questions(repo, "v1", img)
	s := start(t, dir)
	c := newClient(s.host, nil)
	pushImage(t, c, repo, "v1", img)
	c.close()
	s.stop(s.cmd.Process)
	total := readCounts(t, dir, repo)
	if diff := cmp.Diff(traffic{}, total); diff != "" {
		t.Fatalf("a push was counted (-want +got)\n%s", diff)
	}
	var worst time.Duration
	var acked traffic
	killed := traffic{}
	for i := range n {
		s, operator := startCounting(t, dir)
		l := &ledger{}
		var doomed atomic.Bool
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(4*time.Second))))
		wait := l.crowd(t, s.host, list, from+uint64(i), &doomed)
		var shown traffic
		for ctx.Err() == nil {
			if now, err := billed(ctx, operator); err == nil {
				shown = now
			} else if ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
		cancel()
		doomed.Store(true)
		told, end := i%3 == 2, time.Now() // some are told to end, the others killed
		if told {
			s.stop(s.cmd.Process)
		} else {
			s.kill()
			s.quiet()
		}
		wait()
		after := readCounts(t, dir, repo)
		got, all := after.minus(total), l.until(time.Now())
		least := l.until(end.Add(-lossTime))
		if told {
			least = all
		} else {
			worst = max(worst, l.lost(got, end))
			killed = killed.plus(traffic{Pulls: max(0, all.Pulls-got.Pulls), Heads: max(0, all.Heads-got.Heads), Bytes: max(0, all.Bytes-got.Bytes)})
		}
		switch {
		case !least.within(got):
			t.Errorf("life %d, told to end: %v: counted %+v, want %+v at least, of %+v acknowledged", i, told, got, least, all)
		case !got.within(l.asked):
			t.Errorf("life %d: counted %+v, and only %+v was asked for", i, got, l.asked)
		case !shown.within(after):
			t.Errorf("life %d: the operator was shown %+v, and now it is %+v", i, shown, after)
		}
		if t.Failed() {
			t.FailNow()
		}
		total, acked = after, acked.plus(all)
	}
	t.Logf("%d lives: acknowledged %+v, not counted for kills %+v, the oldest of those pulls %v before its kill", n, acked, killed, worst)

	// the last one is told to end as soon as everything is answered
	s, _ = startCounting(t, dir)
	c = newClient(s.host, nil)
	defer c.close()
	var want traffic
	l := &ledger{}
	for range 10 {
		for _, q := range list {
			if err := l.ask(t.Context(), c, q); err != nil {
				t.Fatal(err)
			}
			want = want.plus(q.worth)
		}
	}
	s.stop(s.cmd.Process)
	if diff := cmp.Diff(want, readCounts(t, dir, repo).minus(total)); diff != "" {
		t.Errorf("counted by a server that was told to end (-want +got)\n%s", diff)
	}
}
