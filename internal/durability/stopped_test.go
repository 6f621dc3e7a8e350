//go:build unix

package durability

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// freeze stops a node, which notices nothing, and has nobody ask it.
func (c *cluster) freeze(s *server) {
	c.t.Helper()
	c.leave(s)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
}

// thaw lets a stopped node go on.
func (c *cluster) thaw(s *server) {
	c.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		c.t.Fatal(err)
	}
	c.join(s)
}

// due counts what is to be looked at now.
func (c *cluster) due() (n int) {
	c.t.Helper()
	err := c.store.View(c.t.Context(), func(tx meta.Tx) (err error) {
		n, err = tx.CountDue(time.Now(), 1<<20)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// pushImages pushes images of three blobs, at all nodes.
func (c *cluster) pushImages(rng *rand.Rand, repo string, n int) (list []image) {
	c.t.Helper()
	for range n {
		list = append(list, newImage(rng, newBlob(rng, 300), newBlob(rng, 3000)))
	}
	c.each(list, func(cl *client, i int) error {
		for _, b := range list[i].blobs() {
			if err := cl.whole(c.t.Context(), repo, b); err != nil {
				return err
			}
		}
		return cl.manifest(c.t.Context(), repo, fmt.Sprintf("%s%d", tagOf(list[i]), i), list[i])
	})
	return list
}

// tagOf is a tag that no other image has.
func tagOf(img image) string { return "v" + img.digest[7:20] }

// each does something for all of some images, several at once.
func (c *cluster) each(list []image, f func(cl *client, i int) error) {
	c.t.Helper()
	var wg sync.WaitGroup
	for k := range pusherCount {
		wg.Go(func() {
			cl := c.connect(nil)
			defer cl.close()
			for i := k; i < len(list); i += pusherCount {
				if err := f(cl, i); err != nil {
					c.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// wantImages wants images to be there, as every node has them.
func (c *cluster) wantImages(repo string, list []image) {
	c.t.Helper()
	for _, s := range c.nodes {
		c.each(list, func(_ *client, i int) error {
			cl := c.at(s)
			defer cl.close()
			wantBytes(c.t, cl, "/v2/"+repo+"/manifests/"+list[i].digest, list[i].raw)
			for _, b := range list[i].blobs() {
				wantBytes(c.t, cl, "/v2/"+repo+"/blobs/"+b.digest, b.bytes())
			}
			return nil
		})
	}
}

const stoppedRepo = "hatters/hat"

// beginCollecting has one node of three collect a lot of garbage, and returns when it has begun.
func (c *cluster) beginCollecting(rng *rand.Rand) (holder *server, kept, garbage []image) {
	c.t.Helper()
	holder = c.add(shortGrace)
	soon(c.t, "the only node collects", func() bool { return c.collector().Holder != "" })
	c.add(shortGrace)
	c.add(shortGrace)
	kept, garbage = c.pushImages(rng, stoppedRepo, 10), c.pushImages(rng, stoppedRepo, 120)
	c.remove(garbage)
	most := 0
	soon(c.t, "garbage is being collected", func() bool {
		n := c.due()
		most = max(most, n)
		return n < most
	})
	return holder, kept, garbage
}

// remove deletes manifests.
func (c *cluster) remove(list []image) {
	c.t.Helper()
	c.each(list, func(cl *client, i int) error {
		return cl.remove(c.t.Context(), "/v2/"+stoppedRepo+"/manifests/"+list[i].digest)
	})
}

// What a session of PostgreSQL is like that has written, and that of a collector in the middle.
const (
	writing  = "state = 'idle in transaction' AND backend_xid IS NOT NULL"
	removing = writing + " AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_stat_activity.pid AND l.relation = 'link'::regclass AND l.mode = 'RowExclusiveLock')"
)

// stopHolder stops the node that collects, where it has removed rows and not committed that, or
// where it holds no locks.
func (c *cluster) stopHolder(holder *server, locks bool) {
	c.t.Helper()
	soon(c.t, "the holder is stopped", func() bool {
		c.freeze(holder)
		soon(c.t, "its statements have ended", func() bool { return c.sessions(holder, "state = 'active'") == 0 })
		if locks && c.sessions(holder, removing) > 0 || !locks && c.sessions(holder, writing) == 0 {
			return true
		}
		c.thaw(holder)
		return false
	})
	c.t.Logf("stopped while %d things were still to be looked at", c.due())
}

// pushAgain pushes images that were deleted.
func (c *cluster) pushAgain(list []image) {
	c.t.Helper()
	c.each(list, func(cl *client, i int) error {
		for _, b := range list[i].blobs() {
			if err := cl.whole(c.t.Context(), stoppedRepo, b); err != nil {
				return err
			}
		}
		return cl.manifest(c.t.Context(), stoppedRepo, tagOf(list[i]), list[i])
	})
}

// wantOnly wants the nodes to have these images, and the bucket nothing else.
func (c *cluster) wantOnly(list []image) {
	c.t.Helper()
	c.waitCollected()
	c.settle()
	c.wantImages(stoppedRepo, list)
	c.stop()
	inv := c.inventory()
	c.wantWhole(inv)
	if want := 3 * len(list); len(inv.blobs) != want || len(inv.objects) != want {
		c.t.Errorf("%d blobs and %d objects are left, want %d", len(inv.blobs), len(inv.objects), want)
	}
}

// The node that collects is stopped for longer than its lease lasts, in the middle of it.
// Another collects in its place, and what it does when it wakes harms nobody.
func TestStoppedHolder(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a lease lasts 15 seconds")
	}
	rng := rand.New(rand.NewPCG(newSeed(t), 0))
	c := newCluster(t, 0, nil)
	holder, kept, garbage := c.beginCollecting(rng)
	first := c.collector()
	c.stopHolder(holder, false)
	more := c.pushImages(rng, stoppedRepo, 5)
	c.remove(more)
	took := soon(t, "another node takes the lease", func() bool { l := c.collector(); return l.Fence > first.Fence && l.Holder != "" })
	second := c.collector()
	if second.Holder == first.Holder || second.Fence != first.Fence+1 {
		t.Errorf("after %+v the lease is held by %+v", first, second)
	}
	t.Logf("another node collects after %v", took)
	c.waitCollected()
	// The same content again, which the stopped node knows as garbage.
	again := garbage[:len(garbage)/2]
	c.pushAgain(again)
	c.thaw(holder)
	woken := c.at(holder)
	defer woken.close()
	for _, b := range more[0].blobs() {
		wantStatus(t, woken, http.StatusNotFound, "HEAD", "/v2/"+stoppedRepo+"/blobs/"+b.digest)
	}
	if err := woken.manifest(t.Context(), stoppedRepo, "v1", more[0]); err == nil {
		t.Error("the woken node takes a manifest whose blobs are gone")
	}
	pushImage(t, woken, stoppedRepo, "woken", more[1])
	// Each beat is five seconds: the woken node has asked for the lease again in two of them.
	soon(t, "the new holder lives on", func() bool { return c.collector().Beat >= second.Beat+2 })
	if l := c.collector(); l.Holder != second.Holder || l.Fence != second.Fence {
		t.Errorf("the lease of %+v was taken by %+v", second, l)
	}
	c.wantOnly(slices.Concat(kept, again, more[1:2]))
}

// A node is stopped within a transaction, and holds locks. Others get past it, though it never
// wakes before they do: a machine that is suspended, or cut off from the network, is no different.
func TestStoppedTransaction(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(newSeed(t), 0))
	c := newCluster(t, 0, nil)
	holder, kept, garbage := c.beginCollecting(rng)
	c.stopHolder(holder, true)
	c.pushAgain(garbage) // each row that may be locked is wanted
	c.thaw(holder)
	c.wantOnly(slices.Concat(kept, garbage))
}

// A node is stopped in the middle of a chunk, and others go on with the upload. When it wakes
// its client is told so, and nothing of what they did has changed.
func TestStoppedWriter(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(newSeed(t), 0))
	c := newCluster(t, 0, nil)
	var servers []*server
	for range nodeCount {
		servers = append(servers, c.add(longGrace))
	}
	ctx := t.Context()
	const repo, begun = "hatters/hat", 10 << 10
	for _, size := range []int{100 << 10, largeSize + 2<<20} {
		for _, finished := range []bool{true, false} {
			rng.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
			stopped, b, d := c.at(servers[0]), c.at(servers[1]), c.at(servers[2])
			content := newBlob(rng, size)
			raw := content.bytes()
			location, err := b.post(ctx, repo)
			if err == nil {
				err = b.patch(ctx, location, raw[:begun])
			}
			if err != nil {
				t.Fatal(err)
			}
			half := begun + (size-begun)*9/10
			chunk := startTrickle(ctx, stopped, location, raw[begun:half])
			soon(t, "the chunk is being written", func() bool {
				if size > largeSize {
					return len(c.unfinished()) > 0
				}
				return c.writes(location)
			})
			c.freeze(servers[0])
			wantEnd(t, b, location, begun)
			middle := begun + (size-begun)/2
			if err := d.patch(ctx, location, raw[begun:middle]); err != nil {
				t.Fatal(err)
			}
			want := http.StatusRequestedRangeNotSatisfiable
			if finished {
				want = http.StatusNotFound
				if err := b.put(ctx, location, content.digest, raw[middle:]); err != nil {
					t.Fatal(err)
				}
			}
			c.thaw(servers[0])
			a, err := chunk.end(raw[half:], nil)
			if err != nil || a.status != want {
				t.Errorf("the client of the stopped node is told %+v, %v; want %d", a, err, want)
			}
			if !finished {
				if got, want := a.header.Get("Range"), fmt.Sprintf("0-%d", middle-1); got != want {
					t.Errorf("the client of the stopped node is told Range %s, want %s", got, want)
				}
				wantEnd(t, stopped, location, middle)
				if err := stopped.put(ctx, location, content.digest, raw[middle:]); err != nil {
					t.Error(err)
				}
			}
			for _, n := range []*client{stopped, b, d} {
				wantBytes(t, n, "/v2/"+repo+"/blobs/"+content.digest, raw)
				n.close()
			}
			if n := len(c.unfinished()); n > 0 {
				t.Errorf("%d multi-part uploads are unfinished after their client was answered", n)
			}
		}
	}
	c.stop()
	c.wantWhole(c.inventory())
}

// writes reports whether a node is writing an object of an upload.
func (c *cluster) writes(location string) (yes bool) {
	c.t.Helper()
	err := c.store.View(c.t.Context(), func(tx meta.Tx) error {
		u, err := tx.Uploads().Get(meta.UploadID(location[len(location)-36:]))
		yes = u.Key != ""
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return yes
}
