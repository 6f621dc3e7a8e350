package durability

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	kills = flag.Int("kills", 0, "how often TestKill and TestKillNode kill a server, each; 0: a few times, fewer with -short")
	seed  = flag.Uint64("seed", 0, "of content, operations and moments; 0: a new one")
)

const pusherCount = 4

// killCount is how often a test kills.
func killCount(usual, short int) int {
	switch {
	case *kills != 0:
		return *kills
	case testing.Short():
		return short
	}
	return usual
}

// newSeed returns the seed of a test, and says what it is.
func newSeed(t *testing.T) uint64 {
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-seed=%d repeats it", from)
	return from
}

// newCommon makes what all pushers push in a round.
func newCommon(rng *rand.Rand) []blob {
	return []blob{newBlob(rng, 1+rng.IntN(400)), newBlob(rng, 1+rng.IntN(64<<10))}
}

// Whatever moment the server is killed at, what it acknowledged is there when it starts
// again, what it did not is there whole or not at all, and nothing half-written is left.
func TestKill(t *testing.T) {
	t.Parallel()
	n, from := killCount(15, 3), newSeed(t)
	rng := rand.New(rand.NewPCG(from, 0))
	dir := newFolder(t)
	m := &market{}
	var pushers []*pusher
	for i := range pusherCount {
		pushers = append(pushers, newPusher(fmt.Sprintf("hatters/p%d", i), from, i+1, m))
	}
	slow := newPusher("hatters/slow", from, pusherCount+1, m)
	everybody := append(pushers, slow)
	halves := 0
	for range n {
		m.common = newCommon(rng)
		s := start(t, dir)
		connect := func(before func()) *client { return newClient(s.host, before) }
		wantNamed(t, dir)
		examine(t, connect, everybody, false)
		end := half(t, s, dir, slow)
		storm(t, connect, pushers, newMoment(rng), s)
		end()
		s.quiet()
		halves += len(unnamed(t, dir))
		if t.Failed() {
			t.FailNow()
		}
	}
	s := start(t, dir)
	wantNamed(t, dir)
	examine(t, func(before func()) *client { return newClient(s.host, before) }, everybody, true)
	s.stop(s.cmd.Process)
	inv, err := takeInventory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range append(inv.check(), intact(t.Context(), dir)) {
		if err != nil {
			t.Error(err)
		}
	}
	acks, images := sum(pushers)
	t.Logf("%d kills, %d acknowledged requests, %d images at the end, %d files half-written at a kill", n, acks, images, halves)
	if halves < n || acks == 0 {
		t.Errorf("%d files were half-written in %d kills, %d requests acknowledged: the load is none", halves, n, acks)
	}
}

// sum counts what pushers have been told, and the images that are there.
func sum(pushers []*pusher) (acks, images int) {
	for _, p := range pushers {
		acks += p.acks
		for _, h := range p.images {
			if h.there.is {
				images++
			}
		}
	}
	return acks, images
}

// unnamed returns the half-written files.
func unnamed(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*.tmp"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func wantNamed(t *testing.T, dir string) {
	t.Helper()
	if list := unnamed(t, dir); len(list) > 0 {
		t.Errorf("half-written files are left after a start: %s", list)
	}
}

// examine compares what is there with what everybody was told.
func examine(t *testing.T, connect func(before func()) *client, all []*pusher, everything bool) {
	t.Helper()
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			p.c = connect(nil)
			defer p.c.close()
			if err := p.review(t.Context(), everything); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// moment is when to kill: some time after a number of requests.
type moment struct {
	requests int
	delay    time.Duration
}

func newMoment(rng *rand.Rand) moment {
	return moment{requests: 1 + rng.IntN(200), delay: time.Duration(rng.IntN(4000)) * time.Microsecond}
}

// storm has the pushers push until the server is killed, which alone excuses that a request
// to it is not answered.
func storm(t *testing.T, connect func(before func()) *client, pushers []*pusher, at moment, victim *server) {
	t.Helper()
	var requests atomic.Int64
	var doomed, dead atomic.Bool
	kill := func() {
		doomed.Store(true)
		victim.kill()
		dead.Store(true)
	}
	before := func() {
		if requests.Add(1) == int64(at.requests) {
			time.AfterFunc(at.delay, kill)
		}
	}
	var wg sync.WaitGroup
	for _, p := range pushers {
		wg.Go(func() {
			p.c = connect(before)
			defer p.c.close()
			for !dead.Load() {
				err := p.step(t.Context())
				if err == nil {
					continue
				}
				if bad := (*statusError)(nil); errors.As(err, &bad) || !doomed.Load() || p.c.host != victim.host {
					t.Errorf("%s: %v", p.repo, err)
					kill()
				}
				return
			}
		})
	}
	wg.Wait()
	<-victim.done
}

// half begins an upload and sends half of a chunk, which is in a file when it returns. The
// rest never comes: the upload ends where it ended before. The function returned is to be
// called when the server has ended.
func half(t *testing.T, s *server, dir string, p *pusher) (end func()) {
	t.Helper()
	p.c = newClient(s.host, nil)
	u, err := p.begin(t.Context(), p.hold(newBlob(p.rng, 64<<10)))
	if err == nil {
		err = p.c.patch(t.Context(), u.location, u.blob.bytes()[:10<<10])
	}
	if err != nil {
		t.Fatal(err)
	}
	u.end.answer(10 << 10)
	chunk := startTrickle(t.Context(), p.c, u.location, u.blob.bytes()[10<<10:50<<10])
	soon(t, "half a chunk is in a file", func() bool { return len(unnamed(t, dir)) > 0 })
	return func() {
		if a, err := chunk.end(nil, io.ErrUnexpectedEOF); err == nil {
			t.Errorf("half a chunk was answered: %d", a.status)
		}
		p.c.close()
	}
}

// trickle is a PATCH of which the rest is still to come.
type trickle struct {
	out        *io.PipeWriter
	sent, done chan struct{}
	a          *answer
	err        error
}

// startTrickle begins a PATCH, of a length that it does not say.
func startTrickle(ctx context.Context, c *client, location string, begun []byte) *trickle {
	body, out := io.Pipe()
	s := &trickle{out: out, sent: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.a, s.err = c.send(ctx, "PATCH", location, body)
		body.CloseWithError(io.ErrClosedPipe) // whoever still writes
	}()
	go func() {
		defer close(s.sent)
		out.Write(begun) //nolint:errcheck // the answer says so
	}()
	return s
}

// end sends the rest, or breaks off with an error, and returns the answer.
func (s *trickle) end(rest []byte, broken error) (*answer, error) {
	if broken == nil {
		<-s.sent
		s.out.Write(rest) //nolint:errcheck // the answer says so
	}
	s.out.CloseWithError(broken)
	<-s.done
	return s.a, s.err
}

// soonTime is how long may pass until something comes true that is sure to.
const soonTime = 2 * time.Minute

// soon waits until something is true, and returns how long that took.
func soon(t *testing.T, what string, f func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Since(begun) > soonTime {
			t.Fatalf("not within %v: %s", soonTime, what)
		}
		<-tick.C
	}
	return time.Since(begun)
}
