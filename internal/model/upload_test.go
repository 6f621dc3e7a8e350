//go:build unix

package model

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// maxUploads is how many open uploads of a repository are remembered.
const maxUploads = 6

// goOn goes on with an upload that was left, or begins one.
func (w *worker) goOn(r *repository) {
	if len(r.pushes) == 0 || len(r.pushes) < maxUploads && w.rng.IntN(6) == 0 {
		w.count("upload: begin")
		r.pushes = append(r.pushes, w.begin(r, newBlob(w.rng)))
		return
	}
	i := w.rng.IntN(len(r.pushes))
	u := r.pushes[i]
	there := true
	switch n := w.rng.IntN(20); {
	case n < 6:
		w.count("upload: chunk")
		there = w.patch(r, u)
	case n < 8:
		w.count("upload: status")
		there = w.resume(r, u)
	case n < 10:
		w.count("upload: wrong place")
		there = w.misplace(r, u)
	case n < 12:
		w.count("upload: wrong digest")
		there = w.mistake(r, u)
	case n < 14:
		w.count("upload: two at once")
		there = w.race(r, u)
	case n < 15:
		w.count("upload: cut short")
		w.cutShort(r, u)
	case n < 16:
		w.count("upload: cancel")
		there = w.cancelUpload(r, u)
	case n < 17:
		w.count("upload: left")
		there = false
	default:
		w.count("upload: end")
		w.finish(r, u)
		there = false
	}
	if !there {
		r.pushes = slices.Delete(r.pushes, i, i+1)
	}
}

// misplace sends a chunk that does not follow the last.
func (w *worker) misplace(r *repository, u *upload) bool {
	at := u.offset + 1 + w.rng.IntN(9)
	a := w.ask(r.name, w.any(), request{
		method: "PATCH", path: u.location, body: []byte("beyond"), header: []string{"Content-Range", itoa(at) + "-" + itoa(at+5)},
	})
	if w.expired(r, u, a) {
		return false
	}
	w.want(r.name, a, http.StatusRequestedRangeNotSatisfiable)
	if !u.contested {
		w.ends(r, u, a)
	}
	return true
}

// mistake ends an upload with another digest than it has, which changes nothing.
func (w *worker) mistake(r *repository, u *upload) bool {
	req := w.last(u)
	req.path = req.path[:len(req.path)-64] + sha([]byte("another"))[len("sha256:"):]
	a := w.ask(r.name, w.any(), req)
	if w.expired(r, u, a) {
		return false
	}
	if u.contested && a.status == http.StatusRequestedRangeNotSatisfiable {
		return true
	}
	w.want(r.name, a, http.StatusBadRequest)
	if code, _ := a.code(); code != "DIGEST_INVALID" {
		w.fatal(r.name, "a wrong digest: %s", a.body)
	}
	return true
}

// race sends one chunk twice at once, of which one must win, or two ends.
func (w *worker) race(r *repository, u *upload) bool {
	left := u.blob.size - u.offset
	if u.contested || left == 0 {
		return true
	}
	n, ends, won, lost := 1+w.rng.IntN(left), w.rng.IntN(3) == 0, http.StatusAccepted, []int{http.StatusRequestedRangeNotSatisfiable}
	req := request{
		method: "PATCH", path: u.location, body: u.blob.bytes()[u.offset : u.offset+n],
		header: []string{"Content-Range", itoa(u.offset) + "-" + itoa(u.offset+n-1)},
	}
	if ends {
		n, req, won, lost = left, w.last(u), http.StatusCreated, append(lost, http.StatusNotFound)
	}
	var (
		wg      sync.WaitGroup
		answers [2]*answer
		errs    [2]error
		nodes   = [2]int{w.any(), w.any()}
	)
	for i := range answers {
		wg.Go(func() { answers[i], errs[i] = w.send(nodes[i], req) })
	}
	wg.Wait()
	for i, a := range answers {
		w.take(r.name, nodes[i], req, a, errs[i])
	}
	a, b := answers[0], answers[1]
	if b.status == won {
		a, b = b, a
	}
	switch {
	case a.status == won && slices.Contains(lost, b.status):
	case a.status == http.StatusNotFound && b.status == http.StatusNotFound:
		return !w.expired(r, u, a)
	case a.status == won && b.status == http.StatusNotFound && !b.ended.Before(u.active.Add(w.grace)): // it expired between
	default:
		w.fatal(r.name, "%s %s twice at once: %d %s and %d %s", req.method, req.path, a.status, a.body, b.status, b.body)
	}
	if ends {
		r.have(u.blob, a.began, w.grace)
		return false
	}
	u.offset, u.active = u.offset+n, a.began
	return true
}

// cutShort goes away in the middle of a chunk. Nothing was promised of it, and what it did can
// come later than what is done next.
func (w *worker) cutShort(r *repository, u *upload) {
	left := u.blob.size - u.offset
	if left < 2 {
		return
	}
	req := w.chunk(u, left)
	req.cut = 1 + w.rng.IntN(left-1)
	a, err := w.send(w.any(), req)
	if err == nil && a.status < http.StatusBadRequest {
		w.fatal(r.name, "half a chunk was taken: %d", a.status)
	}
	u.contested = true
}

// cancelUpload cancels an upload.
func (w *worker) cancelUpload(r *repository, u *upload) bool {
	node := w.any()
	a := w.ask(r.name, node, request{method: "DELETE", path: u.location})
	if w.expired(r, u, a) {
		return false
	}
	w.want(r.name, a, http.StatusNoContent)
	a = w.ask(r.name, w.any(), request{method: "GET", path: u.location})
	w.want(r.name, a, http.StatusNotFound)
	return false
}

// head asks for a blob as a pusher does: what is there then stays for half the grace.
func (w *worker) head(r *repository, l *link) bool {
	w.count("blob: HEAD")
	a := w.ask(r.name, w.any(), request{method: "HEAD", path: r.path("blobs", l.digest)})
	switch sure := r.sure(l, a.ended); {
	case sure:
		w.want(r.name, a, http.StatusOK)
	case !l.has:
		w.want(r.name, a, http.StatusNotFound)
	default:
		w.want(r.name, a, http.StatusOK, http.StatusNotFound)
	}
	if a.status == http.StatusNotFound {
		if l.has {
			w.note("a blob was collected")
			l.has = false
			r.seen[blobKey(l.digest)] = &[nodeCount]bool{}
		}
		return false
	}
	if got := a.header.Get("Content-Length"); got != itoa(l.size) {
		w.fatal(r.name, "HEAD of %s: %s bytes, want %d", l.digest, got, l.size)
	}
	l.safe = later(l.safe, a.began.Add(w.grace/2))
	return true
}

// headBlob asks for any blob, and then perhaps relies on the answer.
func (w *worker) headBlob(r *repository) {
	l := r.pickLink(w.rng, time.Now())
	if l == nil {
		return
	}
	sure := r.sure(l, time.Now())
	if w.head(r, l) && !sure {
		w.putDoc(r, newImage(w.rng, "", nil, l.blob), drawTag(w.rng))
	}
}
