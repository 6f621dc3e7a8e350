//go:build unix

package durability

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// patchAt sends a chunk that says where it begins.
func patchAt(t *testing.T, c *client, location string, from int, chunk []byte) *answer {
	t.Helper()
	a, err := c.send(t.Context(), "PATCH", location, bytes.NewReader(chunk), "Content-Range", fmt.Sprintf("%d-%d", from, from+len(chunk)-1))
	if err != nil {
		t.Error(err)
		return &answer{header: http.Header{}}
	}
	return a
}

// wantEnd wants an upload to have so many bytes, wherever that is asked.
func wantEnd(t *testing.T, c *client, location string, size int) {
	t.Helper()
	a, err := c.sendFor(t.Context(), empty, "GET", location, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.header.Get("Range"), fmt.Sprintf("0-%d", max(0, size-1)); got != want {
		t.Errorf("%s: Range %s, want %s", a.what, got, want)
	}
}

// An upload belongs to no node.
func TestNodesShareUploads(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(newSeed(t), 0))
	c := newCluster(t, 0, nil)
	var nodes []*client
	for range nodeCount {
		nodes = append(nodes, c.at(c.add(longGrace)))
	}
	ctx := t.Context()
	for _, size := range []int{3000, 300 << 10, largeSize + 100} {
		rng.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		b := newBlob(rng, size)
		raw := b.bytes()
		location, err := nodes[0].post(ctx, "hatters/hat")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			wantEnd(t, nodes[i], location, 0)
		}
		third := size / 3
		for i, n := range []*client{nodes[1], nodes[2]} {
			if err := n.patch(ctx, location, raw[i*third:(i+1)*third]); err != nil {
				t.Fatal(err)
			}
			for _, m := range nodes {
				wantEnd(t, m, location, (i+1)*third)
			}
		}
		if err := nodes[1].put(ctx, location, b.digest, raw[2*third:]); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			wantBytes(t, n, "/v2/hatters/hat/blobs/"+b.digest, raw)
			if a, err := n.send(ctx, "GET", location, nil); err != nil || a.status != http.StatusNotFound {
				t.Errorf("a finished upload is known: %+v, %v", a, err)
			}
		}
	}

	// Two send the same bytes to two nodes at once, as a client does whose first request timed out.
	b := newBlob(rng, 40<<10)
	raw := b.bytes()
	location, err := nodes[0].post(ctx, "hatters/hat")
	if err != nil {
		t.Fatal(err)
	}
	end := 0
	for i := range 20 {
		next := end + 1 + rng.IntN(2000)
		answers := make([]*answer, 2)
		var wg sync.WaitGroup
		for k := range answers {
			wg.Go(func() { answers[k] = patchAt(t, nodes[(i+k)%nodeCount], location, end, raw[end:next]) })
		}
		wg.Wait()
		slices.SortFunc(answers, func(a, b *answer) int { return a.status - b.status })
		won, lost := answers[0], answers[1]
		if won.status != http.StatusAccepted || lost.status != http.StatusRequestedRangeNotSatisfiable {
			t.Fatalf("two chunks at %d: %d and %d, want 202 and 416", end, won.status, lost.status)
		}
		// The loser may have been told while the winner was still sending.
		was, is := fmt.Sprintf("0-%d", max(0, end-1)), fmt.Sprintf("0-%d", next-1)
		if got := won.header.Get("Range"); got != is {
			t.Errorf("who won is told %s, want %s", got, is)
		}
		if got := lost.header.Get("Range"); got != is && got != was {
			t.Errorf("who lost is told %s, want %s or %s", got, is, was)
		}
		again := patchAt(t, nodes[(i+2)%nodeCount], location, end, raw[end:next])
		if got := again.header.Get("Range"); again.status != http.StatusRequestedRangeNotSatisfiable || got != is {
			t.Errorf("the same bytes again: %d, %s, want 416, %s", again.status, got, is)
		}
		end = next
		for _, n := range nodes {
			wantEnd(t, n, location, end)
		}
	}
	if err := nodes[1].put(ctx, location, b.digest, raw[end:]); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, nodes[2], "/v2/hatters/hat/blobs/"+b.digest, raw)
	c.stop()
	c.wantWhole(c.inventory())
}

// wantBytes wants something to be there.
func wantBytes(t *testing.T, c *client, path string, want []byte) {
	t.Helper()
	a, err := c.sendFor(t.Context(), []int{http.StatusOK}, "GET", path, nil)
	if err != nil {
		t.Error(err)
	} else if !bytes.Equal(a.body, want) {
		t.Errorf("%s: %d bytes of %s, want %d", a.what, len(a.body), sha(a.body), len(want))
	}
}

// wantStatus wants an answer at once.
func wantStatus(t *testing.T, c *client, status int, method, path string) {
	t.Helper()
	if _, err := c.sendFor(t.Context(), []int{status}, method, path, nil); err != nil {
		t.Error(err)
	}
}

// pushImage pushes an image to a tag, each blob in a request.
func pushImage(t *testing.T, c *client, repo, tag string, img image) {
	t.Helper()
	for _, b := range img.blobs() {
		if err := c.whole(t.Context(), repo, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.manifest(t.Context(), repo, tag, img); err != nil {
		t.Fatal(err)
	}
}

// What one node deletes, and collects, is gone for whoever pushes at another at once, and
// for whoever pulls there soon.
func TestDeleteIsSeenEverywhere(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(newSeed(t), 0))
	c := newCluster(t, 0, nil)
	var nodes []*client
	for range nodeCount {
		nodes = append(nodes, c.at(c.add(shortGrace)))
	}
	ctx := t.Context()
	const repo, other, at = "hatters/hat", "hatters/glove", "/v2/hatters/hat/"
	var slowest time.Duration
	pulled := func(n *client, path string, want string) {
		t.Helper()
		took := soon(t, "a pull elsewhere sees what was changed", func() bool {
			a, err := n.send(ctx, "GET", path, nil)
			return err == nil && (a.status == http.StatusOK) == (want != "") && (want == "" || sha(a.body) == want)
		})
		slowest = max(slowest, took)
	}
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for i := range rounds {
		a, b, d := nodes[i%nodeCount], nodes[(i+1)%nodeCount], nodes[(i+2)%nodeCount]
		img := newImage(rng, newBlob(rng, 1000), newBlob(rng, 100<<10))
		alone := newBlob(rng, 2000)
		pushImage(t, a, repo, "v1", img)
		if err := a.whole(ctx, repo, alone); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes { // into all caches
			for range 2 {
				pulled(n, at+"manifests/v1", img.digest)
				wantBytes(t, n, at+"manifests/"+img.digest, img.raw)
				for _, l := range append(img.blobs(), alone) {
					wantBytes(t, n, at+"blobs/"+l.digest, l.bytes())
				}
			}
		}

		if err := a.remove(ctx, at+"blobs/"+alone.digest); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, b, http.StatusNotFound, "HEAD", at+"blobs/"+alone.digest)
		wantStatus(t, b, http.StatusAccepted, "POST", "/v2/"+other+"/blobs/uploads/?from="+repo+"&mount="+alone.digest)
		wantStatus(t, b, http.StatusNotFound, "DELETE", at+"blobs/"+alone.digest)
		if err := a.remove(ctx, at+"manifests/"+img.digest); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, b, http.StatusNotFound, "DELETE", at+"manifests/v1")
		wantStatus(t, b, http.StatusNotFound, "DELETE", at+"manifests/"+img.digest)
		pulled(b, at+"manifests/v1", "")
		pulled(b, at+"manifests/"+img.digest, "")
		pulled(d, at+"blobs/"+alone.digest, "")

		c.waitCollected()
		for _, l := range img.blobs() {
			wantStatus(t, b, http.StatusNotFound, "HEAD", at+"blobs/"+l.digest)
			wantStatus(t, b, http.StatusAccepted, "POST", "/v2/"+other+"/blobs/uploads/?from="+repo+"&mount="+l.digest)
		}
		if err := b.manifest(ctx, repo, "v1", img); err == nil {
			t.Error("a manifest is taken whose blobs are gone")
		}
		// Nobody takes the new blobs for the old ones, whose objects are gone.
		pushImage(t, b, repo, "v1", img)
		for _, n := range []*client{d, a, b} {
			wantBytes(t, n, at+"manifests/"+img.digest, img.raw)
			for _, l := range img.blobs() {
				wantBytes(t, n, at+"blobs/"+l.digest, l.bytes())
			}
			pulled(n, at+"manifests/v1", img.digest)
		}

		// Tags that move.
		next := newImage(rng, newBlob(rng, 500))
		pushImage(t, a, repo, "v2", next)
		for k := range 20 {
			mover, puller := nodes[k%nodeCount], nodes[(k+1)%nodeCount]
			want := []image{img, next}[k%2]
			if err := mover.manifest(ctx, repo, "v1", want); err != nil {
				t.Fatal(err)
			}
			pulled(puller, at+"manifests/v1", want.digest)
			pulled(puller, at+"manifests/v1", want.digest)
		}
		if err := a.manifest(ctx, repo, "v3", next); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, b, http.StatusAccepted, "DELETE", at+"manifests/v3")
		wantStatus(t, d, http.StatusNotFound, "DELETE", at+"manifests/v3")
	}
	t.Logf("pulls saw the changes of other nodes after at most %v", slowest)
	if slowest > 30*time.Second {
		t.Errorf("pulls saw what another node changed after %v only", slowest)
	}
	c.stop()
	c.wantWhole(c.inventory())
}
