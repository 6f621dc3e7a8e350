package durability

import (
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
	kills = flag.Int("kills", 0, "how often TestKill kills the server; 0: 15 times, 3 with -short")
	seed  = flag.Uint64("seed", 0, "of content, operations and moments of TestKill; 0: a new one")
)

const pusherCount = 4

// Whatever moment the server is killed at, what it acknowledged is there when it starts
// again, what it did not is there whole or not at all, and nothing half-written is left.
func TestKill(t *testing.T) {
	t.Parallel()
	n, from := *kills, *seed
	if n == 0 {
		n = 15
		if testing.Short() {
			n = 3
		}
	}
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("%d kills; -seed=%d repeats it", n, from)
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
		m.common = []blob{newBlob(rng, 1+rng.IntN(400)), newBlob(rng, 1+rng.IntN(64<<10))}
		s := start(t, dir)
		examine(t, s, dir, everybody, false)
		load(t, s, dir, pushers, slow, moment{requests: 1 + rng.IntN(200), delay: time.Duration(rng.IntN(4000)) * time.Microsecond})
		halves += len(unnamed(t, dir))
		if t.Failed() {
			t.FailNow()
		}
	}
	s := start(t, dir)
	examine(t, s, dir, everybody, true)
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
	acks, images := 0, 0
	for _, p := range pushers {
		acks += p.acks
		for _, h := range p.images {
			if h.there.is {
				images++
			}
		}
	}
	t.Logf("%d acknowledged requests, %d images at the end, %d files half-written at a kill", acks, images, halves)
	if halves < n || acks == 0 {
		t.Errorf("%d files were half-written in %d kills, %d requests acknowledged: the load is none", halves, n, acks)
	}
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

// examine compares what a server that has just started has with what everybody was told.
func examine(t *testing.T, s *server, dir string, all []*pusher, everything bool) {
	t.Helper()
	if list := unnamed(t, dir); len(list) > 0 {
		t.Errorf("half-written files are left after a start: %s", list)
	}
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			p.c = newClient(s.host, nil)
			defer p.c.close()
			if err := p.review(t.Context(), everything); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		s.kill()
		t.Fatalf("the server's log:\n%s", s.out.text())
	}
}

// moment is when to kill: some time after a number of requests.
type moment struct {
	requests int
	delay    time.Duration
}

// load has the pushers push until the server is killed, which is under way to the end.
func load(t *testing.T, s *server, dir string, pushers []*pusher, slow *pusher, at moment) {
	t.Helper()
	ctx := t.Context()
	end := half(t, s, dir, slow)
	var requests atomic.Int64
	var killed atomic.Bool
	before := func() {
		if requests.Add(1) == int64(at.requests) {
			time.AfterFunc(at.delay, func() { killed.Store(true); s.kill() })
		}
	}
	var wg sync.WaitGroup
	for _, p := range pushers {
		wg.Go(func() {
			p.c = newClient(s.host, before)
			defer p.c.close()
			for {
				err := p.step(ctx)
				if err == nil {
					continue
				}
				if bad := (*statusError)(nil); errors.As(err, &bad) || !killed.Load() {
					t.Errorf("%s: %v", p.repo, err)
					s.kill()
				}
				return
			}
		})
	}
	wg.Wait()
	<-s.done
	end()
	s.quiet()
}

// half begins an upload and sends half of a chunk, which is in a file when it returns. The
// rest never comes: the upload ends where it ended before. The function returned is to be
// called when the server has ended.
func half(t *testing.T, s *server, dir string, p *pusher) (end func()) {
	t.Helper()
	ctx := t.Context()
	p.c = newClient(s.host, nil)
	u, err := p.begin(ctx, p.hold(newBlob(p.rng, 64<<10)))
	if err == nil {
		err = p.c.patch(ctx, u.location, u.blob.bytes()[:10<<10])
	}
	if err != nil {
		s.kill()
		t.Fatal(err)
	}
	u.end.answer(10 << 10)
	body, out := io.Pipe()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer p.c.close()
		if _, err := p.c.send(ctx, "PATCH", u.location, body); err == nil {
			t.Error("half a chunk was answered")
		}
	}()
	go out.Write(u.blob.bytes()[10<<10 : 50<<10]) //nolint:errcheck // it ends with body
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(requestTime)
	for len(unnamed(t, dir)) == 0 {
		select {
		case <-tick.C:
		case <-limit:
			s.kill()
			t.Fatal("half a chunk is in no file")
		}
	}
	return func() { out.CloseWithError(io.ErrUnexpectedEOF); <-finished }
}
