//go:build unix

package durability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/internal/s3test"
)

// outage is a storm through which something that the nodes need fails for a while.
type outage struct {
	connect func(before func()) *client
	from    uint64
	market  *market
	lossy   bool
	width   int // how many push at a time
	// failing says that requests may be answered with 5xx.
	failing atomic.Bool

	steps, failed atomic.Int64

	mu      sync.Mutex
	pushers []*pusher // all there were
}

// pause is how long a pusher whose request failed waits, so that there is not a new one every
// millisecond.
const pause = 100 * time.Millisecond

func (o *outage) newPusher() *pusher {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.pushers) + 1
	p := newPusher(fmt.Sprintf("hatters/p%d", n), o.from, n, o.market)
	p.lossy = o.lossy
	o.pushers = append(o.pushers, p)
	return p
}

// run has pushers push until stop is closed. One whose request failed does nothing more, since
// what became of that is not known yet, and another takes its place.
func (o *outage) run(t *testing.T, stop <-chan struct{}) {
	var wg sync.WaitGroup
	for range o.width {
		wg.Go(func() {
			for open(stop) {
				o.push(t, stop)
			}
		})
	}
	wg.Wait()
}

func open(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	default:
		return true
	}
}

func (o *outage) push(t *testing.T, stop <-chan struct{}) {
	p := o.newPusher()
	p.c = o.connect(nil)
	defer p.c.close()
	for open(stop) {
		failing := o.failing.Load()
		err := p.step(t.Context())
		if err == nil {
			o.steps.Add(1)
			continue
		}
		if !o.excuses(err) || !failing && !o.failing.Load() {
			t.Errorf("%s: %v", p.repo, err)
			return
		}
		o.failed.Add(1)
		select {
		case <-stop:
		case <-time.After(pause):
		}
		return
	}
}

// excuses reports whether an outage may be the reason of an error. That no answer came at all
// it is not.
func (o *outage) excuses(err error) bool {
	bad, ok := errors.AsType[*statusError](err)
	lost := o.lossy && ok && (bad.status == http.StatusNotFound || bad.status == http.StatusRequestedRangeNotSatisfiable)
	return ok && bad.status >= http.StatusInternalServerError || lost
}

// goesOn waits until everybody has done something more.
func (o *outage) goesOn(t *testing.T) {
	t.Helper()
	begun := o.steps.Load()
	soon(t, "the storm goes on", func() bool { return o.steps.Load() > begun+5*int64(o.width) || t.Failed() })
}

// begin runs the storm, and returns what ends it.
func (o *outage) begin(t *testing.T) (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); o.run(t, stop) }()
	return func() { close(stop); <-done }
}

// works reports whether a node takes a push and gives it back.
func works(ctx context.Context, c *client, b blob) bool {
	const repo = "hatters/again"
	if err := c.whole(ctx, repo, b); err != nil {
		return false
	}
	a, err := c.send(ctx, "GET", "/v2/"+repo+"/blobs/"+b.digest, nil)
	return err == nil && a.status == http.StatusOK && sha(a.body) == b.digest
}

// waitWorking waits until all nodes take pushes again, as they are.
func (c *cluster) waitWorking(rng *rand.Rand) (took time.Duration) {
	c.t.Helper()
	for _, s := range c.nodes {
		cl := c.at(s)
		took += soon(c.t, "a node works again", func() bool { return works(c.t.Context(), cl, newBlob(rng, 600)) })
		cl.close()
	}
	return took
}

// finish compares all, has some go on without a failure, and compares again.
func (o *outage) finish(c *cluster) {
	t := c.t
	t.Helper()
	c.settle()
	examine(t, c.connect, o.pushers, true)
	c.calm(o.pushers[max(0, len(o.pushers)-pusherCount):])
	c.settle()
	examine(t, c.connect, o.pushers, true)
	o.report(t)
}

func (o *outage) report(t *testing.T) {
	t.Helper()
	acks, images := sum(o.pushers)
	lost := 0
	for _, p := range o.pushers {
		lost += p.lost
	}
	t.Logf("%d acknowledged requests, %d images at the end, %d requests failed, %d uploads lost chunks", acks, images, o.failed.Load(), lost)
	if acks == 0 {
		t.Error("nothing was acknowledged: the load is none")
	}
}

// PostgreSQL restarts: what was acknowledged is there, and the nodes go on by themselves.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"fast", "immediate"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			from := newSeed(t)
			rng := rand.New(rand.NewPCG(from, 0))
			c := newCluster(t, from, nil)
			c.disturbed = true
			for range nodeCount {
				c.add(longGrace)
			}
			// A server that is stopped at once loses what it has committed without waiting for the
			// disk, which is what it was told of chunks.
			o := &outage{connect: c.connect, from: from, lossy: mode == "immediate", width: pusherCount, market: &market{common: newCommon(rng)}}
			restarts := 2
			if testing.Short() {
				restarts = 1
			}
			for range restarts {
				end := o.begin(t)
				o.goesOn(t)
				o.failing.Store(true)
				c.pg.Stop(t, mode)
				c.pg.Launch(t)
				took := c.waitWorking(rng)
				t.Logf("nodes pushed again %v after the server was back", took)
				o.failing.Store(false)
				o.goesOn(t)
				end()
				if t.Failed() {
					t.FailNow()
				}
				c.settle()
				examine(t, c.connect, o.pushers, false)
			}
			o.finish(c)
			c.stop()
			inv := c.inventory()
			if mode == "immediate" {
				// That an object would be written may be among what was lost, and its writer's end too.
				t.Logf("%d objects are in the bucket that no row names", inv.forgive())
			}
			c.wantWhole(inv)
		})
	}
}

// S3 is busy, or gone: requests are late or fail, and what was acknowledged is there.
func TestBusyBucket(t *testing.T) {
	t.Parallel()
	from := newSeed(t)
	rng := rand.New(rand.NewPCG(from, 0))
	var front *s3test.Proxy
	c := newCluster(t, from, func(s *s3test.Server) string {
		front = s.Proxy(t)
		return front.Addr()
	})
	c.disturbed = true
	for range nodeCount {
		c.add(longGrace)
	}
	busy := 10 * time.Second
	if testing.Short() {
		busy = 2 * time.Second
	}
	o := &outage{connect: c.connect, from: from, width: 4 * pusherCount, market: &market{common: newCommon(rng)}}
	for what, fail := range map[string]func(){
		"busy": func() {
			front.Busy.Store(true)
			<-time.After(busy)
			front.Busy.Store(false)
		},
		"killed": func() {
			c.s3.Stop()
			c.s3.Launch(t)
		},
	} {
		refused := front.Refused.Load()
		end := o.begin(t)
		o.goesOn(t)
		o.failing.Store(true)
		fail()
		took := c.waitWorking(rng)
		o.failing.Store(false)
		o.goesOn(t)
		end()
		refused = front.Refused.Load() - refused
		t.Logf("S3 was %s and refused %d requests; nodes pushed again %v later", what, refused, took)
		if what == "busy" && refused == 0 {
			t.Error("S3 has refused nothing: the load is none")
		}
	}
	o.finish(c)
	c.stop()
	c.wantWhole(c.inventory())
}
