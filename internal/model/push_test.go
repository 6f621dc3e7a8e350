//go:build unix

package model

import (
	"net/http"
	"strings"
	"time"
)

// tries is how often something is tried again that the grace did not leave enough time for.
const tries = 20

// push pushes a blob in one of the ways that clients have.
func (w *worker) push(r *repository, b blob) {
	for range tries {
		switch w.rng.IntN(3) {
		case 0:
			w.count("blob: POST")
			a := w.want(r.name, w.ask(r.name, w.any(), request{method: "POST", path: r.path("blobs", "uploads") + "/?digest=" + b.digest, body: b.bytes()}), http.StatusCreated)
			r.have(b, a.began, w.grace)
			w.offer(r, b)
			return
		case 1:
			w.count("blob: POST, PUT")
			if w.finish(r, w.begin(r, b)) {
				return
			}
		case 2:
			w.count("blob: POST, PATCH, PUT")
			u := w.begin(r, b)
			for range w.rng.IntN(4) {
				if u != nil && !w.patch(r, u) {
					u = nil
				}
			}
			if u != nil && w.finish(r, u) {
				return
			}
		}
		w.note("push again: an upload was idle for the grace")
	}
	w.fatal(r.name, "%s cannot be pushed within the grace", b.digest)
}

// offer lets others have a blob, perhaps.
func (w *worker) offer(r *repository, b blob) {
	if w.rng.IntN(4) == 0 {
		r.link(b).shared = true
		w.pool.offer(r.name, b)
	}
}

// ensure sees to it that the repository has a blob, and will for as long as a pusher may rely on.
func (w *worker) ensure(r *repository, b blob) {
	l := r.link(b)
	if r.sure(l, time.Now().Add(w.grace/4)) {
		return
	}
	if l.has && w.head(r, l) {
		return
	}
	w.push(r, b)
}

// begin begins an upload.
func (w *worker) begin(r *repository, b blob) *upload {
	a := w.want(r.name, w.ask(r.name, w.any(), request{method: "POST", path: r.path("blobs", "uploads") + "/"}), http.StatusAccepted)
	r.exists = true
	return &upload{location: a.header.Get("Location"), blob: b, active: a.began}
}

// expired reports whether an answer says that the upload is not there any more, as it must
// not before the grace is over.
func (w *worker) expired(r *repository, u *upload, a *answer) bool {
	if a.status != http.StatusNotFound {
		return false
	}
	if code, _ := a.code(); code != "BLOB_UPLOAD_UNKNOWN" || a.ended.Before(u.active.Add(w.grace)) {
		w.fatal(r.name, "an upload is gone %v after its last activity: %s", a.ended.Sub(u.active), a.body)
	}
	return true
}

// resume asks where a contested upload ends. What was in its way has taken the upload from
// it, and is done.
func (w *worker) resume(r *repository, u *upload) bool {
	a := w.ask(r.name, w.any(), request{method: "GET", path: u.location})
	if w.expired(r, u, a) {
		return false
	}
	w.want(r.name, a, http.StatusNoContent)
	w.ends(r, u, a)
	return true
}

// ends compares where an upload ends.
func (w *worker) ends(r *repository, u *upload, a *answer) {
	if got, want := a.header.Get("Range"), "0-"+itoa(max(0, u.offset-1)); got != want {
		w.fatal(r.name, "%s %s: the upload ends at %q, want %q", a.method, a.path, got, want)
	}
}

// patch pushes a chunk, and reports whether the upload is still there.
func (w *worker) patch(r *repository, u *upload) bool {
	left := u.blob.size - u.offset
	if left == 0 {
		return true
	}
	n := 1 + w.rng.IntN(left)
	req := w.chunk(u, n)
	for range tries {
		a := w.ask(r.name, w.any(), req)
		if w.expired(r, u, a) {
			return false
		}
		if a.status == http.StatusRequestedRangeNotSatisfiable && u.contested {
			if !w.resume(r, u) {
				return false
			}
			continue
		}
		w.want(r.name, a, http.StatusAccepted)
		u.offset, u.active = u.offset+n, a.began
		w.ends(r, u, a)
		return true
	}
	w.fatal(r.name, "%s: 416 again and again", u.location)
	return false
}

// chunk is a request for the next n bytes, which may say where they belong.
func (w *worker) chunk(u *upload, n int) request {
	req := request{method: "PATCH", path: u.location, body: u.blob.bytes()[u.offset : u.offset+n]}
	if u.contested || w.rng.IntN(2) == 0 {
		req.header = []string{"Content-Range", itoa(u.offset) + "-" + itoa(u.offset+n-1)}
	}
	return req
}

// finish pushes the rest of an upload, and reports whether it was still there.
func (w *worker) finish(r *repository, u *upload) bool {
	for range tries {
		a := w.ask(r.name, w.any(), w.last(u))
		if w.expired(r, u, a) {
			return false
		}
		if a.status == http.StatusRequestedRangeNotSatisfiable && u.contested {
			if !w.resume(r, u) {
				return false
			}
			continue
		}
		w.want(r.name, a, http.StatusCreated)
		r.have(u.blob, a.began, w.grace)
		w.offer(r, u.blob)
		return true
	}
	w.fatal(r.name, "%s: 416 again and again", u.location)
	return false
}

// last is the request that ends an upload.
func (w *worker) last(u *upload) request {
	separator := "?"
	if strings.Contains(u.location, "?") {
		separator = "&"
	}
	return request{method: "PUT", path: u.location + separator + "digest=" + u.blob.digest, body: u.blob.bytes()[u.offset:]}
}

// pushAlone pushes a blob that no manifest needs yet.
func (w *worker) pushAlone(r *repository) {
	b := newBlob(w.rng)
	if w.rng.IntN(4) == 0 {
		b = w.pool.pick(w.rng).blob
		r.link(b).shared = true
	}
	w.push(r, b)
}

// mountAny mounts a blob of this worker's, which must work if it is there, or of another's.
func (w *worker) mountAny(r *repository) {
	source := w.repos[w.rng.IntN(len(w.repos))]
	if l := source.pickLink(w.rng, time.Now()); l != nil && w.rng.IntN(2) == 0 {
		if !w.mount(r, l.blob, source.name, source) && l.has {
			w.note("mount: it was collected")
		}
		return
	}
	s := w.pool.pick(w.rng)
	r.link(s.blob).shared = true
	w.mount(r, s.blob, s.repo, nil)
}

// mount takes a blob from a repository, perhaps without saying which, and reports whether it was
// there. Where the model knows the source the answer must be right.
func (w *worker) mount(r *repository, b blob, from string, source *repository) bool {
	w.count("blob: mount")
	path := r.path("blobs", "uploads") + "/?mount=" + b.digest
	named := from != "" && w.rng.IntN(3) > 0
	if named {
		path += "&from=" + from
	}
	a := w.want(r.name, w.ask(r.name, w.any(), request{method: "POST", path: path}), http.StatusCreated, http.StatusAccepted)
	if a.status == http.StatusCreated {
		if named && source != nil && !source.link(b).has {
			w.fatal(r.name, "%s was mounted from %s, which does not have it", b.digest, from)
		}
		r.have(b, a.began, w.grace).shared = true
		return true
	}
	// Without from, a source of another worker may have been chosen, and then lost the blob.
	if source != nil {
		if l := source.link(b); source.sure(l, a.ended) && (named || !l.shared) {
			w.fatal(r.name, "%s is in %s, and cannot be mounted", b.digest, from)
		}
	}
	u := &upload{location: a.header.Get("Location"), blob: b, active: a.began}
	r.exists = true
	if w.rng.IntN(2) == 0 {
		w.finish(r, u)
	} else {
		r.pushes = append(r.pushes, u)
	}
	return false
}

// deleteBlob deletes a blob, which a manifest may need.
func (w *worker) deleteBlob(r *repository) {
	l := r.pickLink(w.rng, time.Now())
	if l == nil || r.needs[l.digest] > 0 && w.rng.IntN(4) > 0 {
		return
	}
	w.count("blob: DELETE")
	a := w.ask(r.name, w.any(), request{method: "DELETE", path: r.path("blobs", l.digest)})
	switch sure := r.sure(l, a.ended); {
	case sure:
		w.want(r.name, a, http.StatusAccepted)
	case !l.has:
		w.want(r.name, a, http.StatusNotFound)
	default:
		w.want(r.name, a, http.StatusAccepted, http.StatusNotFound)
	}
	l.has = false
	r.changed(blobKey(l.digest), a.node)
}
