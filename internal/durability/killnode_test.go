//go:build unix

package durability

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
)

const nodeCount = 3

// Whatever moment a node is killed at, the others have what it acknowledged, and go on with
// what it left, while it is gone and when it is back.
func TestKillNode(t *testing.T) {
	t.Parallel()
	n, from := killCount(6, 2), newSeed(t)
	rng := rand.New(rand.NewPCG(from, 0))
	c := newCluster(t, from, nil)
	for range nodeCount {
		c.add(longGrace)
	}
	stopCollecting := c.collect()
	defer stopCollecting()
	m := &market{}
	var pushers []*pusher
	for i := range pusherCount {
		p := newPusher(fmt.Sprintf("hatters/p%d", i), from, i+1, m)
		p.large = true
		pushers = append(pushers, p)
	}
	slow := newPusher("hatters/slow", from, pusherCount+1, m)
	everybody := append(pushers, slow)
	accounts := 0
	for i := range n {
		m.common = newCommon(rng)
		victim := c.nodes[rng.IntN(len(c.nodes))]
		end := func() {}
		if i%2 == 0 {
			end = c.halfParts(victim, slow)
		}
		made := c.beginAccount(rng, fmt.Sprintf("made%d", i))
		storm(t, c.connect, pushers, newMoment(rng), victim)
		end()
		c.bury(victim)
		c.settle()
		examine(t, c.connect, everybody, false)
		accounts += made()
		c.calm(pushers)
		c.settle()
		examine(t, c.connect, pushers, false)
		// What no image needs is garbage from here on, and is collected in the next storm.
		m.stalls = nil
		for _, p := range everybody {
			p.forget()
		}
		if i == n-1 {
			stopCollecting() // what comes now is for the nodes
		}
		c.age()
		c.add(longGrace)
		if t.Failed() {
			t.FailNow()
		}
	}
	c.settle()
	examine(t, c.connect, everybody, true)
	for _, p := range pushers {
		p.c = c.connect(nil)
		for range len(p.images) / 2 {
			if err := p.deleteImage(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.c.close()
	}
	c.stop()
	c.wantWhole(c.inventory())
	left := len(c.unfinished())
	c.collectAll(everybody)
	acks, images := sum(pushers)
	t.Logf("%d kills, %d acknowledged requests, %d images and %d accounts at the end, %d multi-part uploads left unfinished by kills", n, acks, images, accounts, left)
	if left == 0 || acks == 0 {
		t.Errorf("%d multi-part uploads were unfinished, %d requests acknowledged: the load is none", left, acks)
	}
}

// collect removes garbage all the time, as a node does now and then, until the function
// returned is called.
func (c *cluster) collect() (stop func()) {
	c.t.Helper()
	reg, err := registry.New(registry.Config{Store: c.store, Bucket: c.bucket, Grace: longGrace})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all registry.Collected
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			got, _, err := reg.Collect(ctx, 25)
			if err != nil && ctx.Err() == nil {
				c.t.Error(err)
			}
			all.Add(got)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		c.t.Logf("collected in the storms: %+v", all)
	}()
	return func() { cancel(); <-done }
}

// halfParts sends half of a chunk that is stored in parts to the node that is to be killed,
// and returns when one is.
func (c *cluster) halfParts(victim *server, p *pusher) (end func()) {
	c.t.Helper()
	p.c = c.at(victim)
	u, err := p.begin(c.t.Context(), p.hold(newBlob(p.rng, largeSize+2<<20)))
	if err == nil {
		err = p.c.patch(c.t.Context(), u.location, u.blob.bytes()[:10<<10])
	}
	if err != nil {
		c.t.Fatal(err)
	}
	u.end.answer(10 << 10)
	before := c.unfinished()
	chunk := startTrickle(c.t.Context(), p.c, u.location, u.blob.bytes()[10<<10:largeSize+1<<20])
	soon(c.t, "a chunk is sent in parts", func() bool {
		now := c.unfinished() // of which older ones may be swept meanwhile
		maps.DeleteFunc(now, func(id string, _ bool) bool { return before[id] })
		return len(now) > 0
	})
	return func() {
		if a, err := chunk.end(nil, io.ErrUnexpectedEOF); err == nil {
			c.t.Errorf("half a chunk was answered: %d", a.status)
		}
		p.c.close()
	}
}

// beginAccount makes an account meanwhile, by a process that may be killed too. If the account
// was shown it can push, which the function returned checks.
func (c *cluster) beginAccount(rng *rand.Rand, alias string) (made func() int) {
	limit := time.Minute
	if rng.IntN(2) == 0 {
		limit = time.Duration(rng.IntN(100)) * time.Millisecond
	}
	var (
		a    account
		err  error
		done = make(chan struct{})
	)
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(c.t.Context(), limit) // which kills
		defer cancel()
		a, err = c.createAccount(ctx, alias)
	}()
	return func() int {
		c.t.Helper()
		<-done
		if err != nil {
			if limit == time.Minute {
				c.t.Error(err)
			}
			return 0
		}
		cl := c.connect(nil)
		defer cl.close()
		cl.account = a
		if _, err := cl.post(c.t.Context(), alias+"/hat"); err != nil {
			c.t.Errorf("an account that was made: %v", err)
		}
		return 1
	}
}

// calm has everybody do a few things, of which none may fail.
func (c *cluster) calm(pushers []*pusher) {
	c.t.Helper()
	var wg sync.WaitGroup
	for _, p := range pushers {
		wg.Go(func() {
			p.c = c.connect(nil)
			defer p.c.close()
			for range 3 {
				if err := p.step(c.t.Context()); err != nil {
					c.t.Errorf("%s: %v", p.repo, err)
				}
			}
		})
	}
	wg.Wait()
}

// collectAll has new nodes collect all that no image needs. What is left is exactly what
// everybody was told, and nothing besides.
func (c *cluster) collectAll(everybody []*pusher) {
	c.t.Helper()
	t, ctx := c.t, c.t.Context()
	want := map[string]bool{}
	for _, p := range everybody {
		p.forget()
		for _, b := range p.blobs {
			want[b.digest] = true
		}
	}
	garbage := len(c.inventory().objects)
	c.age()
	c.vacate()
	s := c.add(shortGrace)
	if !testing.Short() { // the others wait for the lease of the dead
		soon(t, "something is collected", func() bool { return len(c.inventory().objects) < garbage })
		s.kill()
		c.bury(s)
	}
	for range nodeCount {
		c.add(shortGrace)
	}
	c.waitCollected()
	c.settle()
	examine(t, c.connect, everybody, true)
	c.stop()
	inv := c.inventory()
	c.wantWhole(inv)
	for d := range want {
		if _, found := inv.blobs[d]; !found {
			t.Errorf("the blob %s is needed and was collected", d)
		}
	}
	for d := range inv.blobs {
		if !want[d] {
			t.Errorf("nobody needs the blob %s, which is left", d)
		}
	}
	if len(inv.dropped) > 0 || len(inv.uploads) > 0 {
		t.Errorf("left are %d objects to be deleted and the uploads %v", len(inv.dropped), inv.uploads)
	}
	before := c.unfinished()
	removed, err := storage.SweepUnfinished(ctx, c.bucket, time.Now().Add(time.Hour))
	if err != nil || removed != len(before) || len(c.unfinished()) != 0 {
		t.Error(errors.Join(err, fmt.Errorf("of %d unfinished multi-part uploads %d were removed", len(before), removed)))
	}
	c.wantWhole(c.inventory())
}
