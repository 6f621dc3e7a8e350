//go:build unix

package model

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"
)

// repositoryCount is how many repositories each worker owns.
const repositoryCount = 3

// worker is one client, which does one thing after the other.
type worker struct {
	*world
	n     int
	rng   *rand.Rand
	repos []*repository
	trail []answer // a ring of what was answered last, without bodies
	steps int
}

func newWorker(w *world, n int, seed uint64) *worker {
	c := &worker{world: w, n: n, rng: rand.New(rand.NewPCG(seed, uint64(n)+1))}
	for i := range repositoryCount {
		c.repos = append(c.repos, newRepository(fmt.Sprintf("%s/w%02d/r%d", alias, n, i)))
	}
	return c
}

// trailLength is how many answers a worker remembers.
const trailLength = 400

// fatal reports a failure with what was answered about its repository, and ends all workers.
func (w *worker) fatal(repo string, format string, args ...any) {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, format, args...)
	now := time.Now()
	list := slices.Concat(w.trail[w.steps%max(1, len(w.trail)):], w.trail[:w.steps%max(1, len(w.trail))])
	for _, a := range list {
		if strings.Contains(a.path, repo) {
			fmt.Fprintf(&b, "\n  %8.3f to %8.3f s, node %d: %s %s: %d", a.began.Sub(now).Seconds(), a.ended.Sub(now).Seconds(), a.node, a.method, a.path, a.status)
		}
	}
	w.t.Errorf("worker %d: %s", w.n, b.String())
	w.cancel()
	runtime.Goexit()
}

// any returns a node.
func (w *worker) any() int { return w.rng.IntN(len(w.nodes)) }

// ask makes a request of a node, and ends the worker where no whole answer comes or it is an
// error of the server.
func (w *worker) ask(repo string, node int, r request) *answer {
	w.t.Helper()
	a, err := w.send(node, r)
	return w.take(repo, node, r, a, err)
}

// send makes a request from any goroutine.
func (w *worker) send(node int, r request) (*answer, error) {
	w.requests.Add(1)
	return w.client.send(w.ctx, node, w.nodes[node].base, r)
}

// take remembers an answer.
func (w *worker) take(repo string, node int, r request, a *answer, err error) *answer {
	w.t.Helper()
	if err != nil {
		if w.ctx.Err() != nil {
			runtime.Goexit() // another has failed
		}
		w.fatal(repo, "node %d: %s %s: %v", node, r.method, r.path, err)
	}
	short := *a
	short.body, short.header = nil, nil
	if len(w.trail) < trailLength {
		w.trail = append(w.trail, short)
	} else {
		w.trail[w.steps%trailLength] = short
	}
	w.steps++
	if a.status >= http.StatusInternalServerError {
		w.fatal(repo, "node %d: %s %s: %d %s", node, r.method, r.path, a.status, a.body)
	}
	return a
}

// want fails unless the answer is one of some statuses.
func (w *worker) want(repo string, a *answer, statuses ...int) *answer {
	w.t.Helper()
	if !slices.Contains(statuses, a.status) {
		w.fatal(repo, "node %d: %s %s: %d %.400s; want %v", a.node, a.method, a.path, a.status, a.body, statuses)
	}
	return a
}

// run works until there is nothing more to do.
func (w *worker) run() {
	for !w.done() {
		w.step()
	}
}

// maxDocs is how many manifests a repository has, about.
const maxDocs = 24

// act is something that workers do, as often as its weight says.
type act struct {
	weight int
	do     func(w *worker, r *repository)
}

var acts = []act{
	{14, (*worker).pushImage},
	{5, (*worker).pushIndex},
	{6, (*worker).pushArtifact},
	{7, (*worker).moveTag},
	{7, (*worker).pushAlone},
	{7, (*worker).mountAny},
	{14, (*worker).goOn},
	{5, (*worker).deleteTag},
	{6, (*worker).deleteDoc},
	{2, (*worker).deleteBlob},
	{18, (*worker).pullTag},
	{16, (*worker).pullDigest},
	{7, (*worker).pullGone},
	{3, (*worker).pullWhole},
	{18, (*worker).readBlob},
	{14, (*worker).headBlob},
	{5, (*worker).listTags},
	{4, (*worker).listReferrers},
}

// rare is how seldom a repository is deleted, and common how often one is visited that belongs
// to all.
const (
	rare   = 400
	common = 8
)

var weights = func() (sum int) {
	for _, a := range acts {
		sum += a.weight
	}
	return sum
}()

// step does one thing.
func (w *worker) step() {
	if w.rng.IntN(common) == 0 {
		w.visit(w.shared[w.rng.IntN(len(w.shared))])
		return
	}
	r := w.repos[w.rng.IntN(len(w.repos))]
	r.forget()
	switch {
	case w.rng.IntN(rare) == 0:
		w.deleteRepository(r)
		return
	case len(r.docs) > maxDocs:
		w.deleteDoc(r)
		return
	}
	n := w.rng.IntN(weights)
	for _, a := range acts {
		if n -= a.weight; n < 0 {
			a.do(w, r)
			return
		}
	}
}
