//go:build unix

package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// How late caches may be. A machine with too much to do is late with everything, so that a
// number of answers must be wrong too.
const (
	lateTime   = time.Second
	lateProbes = 50
	latePause  = 20 * time.Millisecond
)

// settle asks a node until it says what it should. Where it must know at once, or has known, it
// has to the first time.
func (w *worker) settle(r *repository, key string, strict bool, node int, want string, probe func() string) {
	began, s := time.Now(), r.seen[key]
	strict = (strict || s != nil && s[node]) && began.After(r.stale)
	for n := 0; ; n++ {
		got := probe()
		if got == want {
			break
		}
		passed := time.Since(began)
		if strict || passed > lateTime && n >= lateProbes {
			w.fatal(r.name, "node %d says of %s %q for %v, want %q (at once: %v)", node, key, got, passed, want, strict)
		}
		if n == 0 {
			w.late.Add(1)
			w.note("late: " + kindOf(key))
		}
		time.Sleep(latePause)
	}
	passed := time.Since(began)
	for old := w.latest.Load(); passed > time.Duration(old) && !w.latest.CompareAndSwap(old, int64(passed)); {
		old = w.latest.Load()
	}
	if s != nil {
		s[node] = true
	}
}

// kindOf says what a key of [repository.seen] is about.
func kindOf(key string) string {
	switch {
	case strings.HasPrefix(key, "sha256:"):
		return "a manifest"
	case strings.HasPrefix(key, blobKey("")):
		return "a blob"
	case strings.HasPrefix(key, "the list"):
		return key
	}
	return "a tag"
}

// reader draws how a request is made: mostly as anybody pulls.
func (w *worker) reader(method, path string) request {
	return request{method: method, path: path, anonymous: w.rng.IntN(4) > 0}
}

// manifest asks for a manifest, and returns its digest, or "" if there is none.
func (w *worker) manifest(r *repository, node int, req request) string {
	a := w.ask(r.name, node, req)
	if a.status == http.StatusNotFound {
		return ""
	}
	w.want(r.name, a, http.StatusOK, http.StatusNotModified)
	digest := a.header.Get("Docker-Content-Digest")
	d := r.byDoc[digest]
	switch {
	case a.status == http.StatusNotModified:
	case req.method == http.MethodHead:
		if d != nil && a.header.Get("Content-Length") != itoa(len(d.raw)) {
			w.fatal(r.name, "HEAD %s: %s bytes, want %d", a.path, a.header.Get("Content-Length"), len(d.raw))
		}
	case sha(a.body) != digest:
		w.fatal(r.name, "GET %s: the body is not of digest %s: %q", a.path, digest, a.body)
	}
	if d != nil && a.status == http.StatusOK && a.header.Get("Content-Type") != d.mediaType {
		w.fatal(r.name, "%s %s: type %s", req.method, a.path, a.header.Get("Content-Type"))
	}
	return digest
}

func (w *worker) pullTag(r *repository) {
	tag := r.pickTag(w.rng)
	if tag == "" {
		return
	}
	method := http.MethodGet
	if w.rng.IntN(3) == 0 {
		method = http.MethodHead
	}
	w.count("tag: " + method)
	req, node, want := w.reader(method, r.path("manifests", tag)), w.any(), r.tags[tag]
	if w.rng.IntN(6) == 0 {
		req.header = []string{"If-None-Match", `"` + want + `"`}
	}
	w.settle(r, tag, false, node, want, func() string { return w.manifest(r, node, req) })
}

func (w *worker) pullDigest(r *repository) {
	if d := r.pick(w.rng); d != nil {
		method := http.MethodGet
		if w.rng.IntN(3) == 0 {
			method = http.MethodHead
		}
		w.pullDoc(r, d, method)
	}
}

func (w *worker) pullDoc(r *repository, d *doc, method string) {
	w.count("manifest: " + method)
	req, node := w.reader(method, r.path("manifests", d.digest)), w.any()
	w.settle(r, d.digest, true, node, d.digest, func() string { return w.manifest(r, node, req) })
}

// pullGone asks for what was deleted.
func (w *worker) pullGone(r *repository) {
	if len(r.gone) == 0 {
		return
	}
	ref := r.gone[w.rng.IntN(len(r.gone))]
	if r.byDoc[ref] != nil || r.tags[ref] != "" {
		return
	}
	w.count("gone: GET")
	req, node := w.reader(http.MethodGet, r.path("manifests", ref)), w.any()
	w.settle(r, ref, false, node, "", func() string { return w.manifest(r, node, req) })
}

// pullWhole pulls a manifest with all that is below it.
func (w *worker) pullWhole(r *repository) {
	if d := r.pick(w.rng); d != nil {
		w.pullTree(r, d, 0)
	}
}

func (w *worker) pullTree(r *repository, d *doc, depth int) {
	w.pullDoc(r, d, http.MethodGet)
	for _, b := range d.blobs {
		w.getBlob(r, r.link(b))
	}
	for _, c := range d.children {
		if r.byDoc[c.digest] != nil && depth < 3 {
			w.pullTree(r, c, depth+1)
		}
	}
}

// readBlob reads a blob or a part of it.
func (w *worker) readBlob(r *repository) {
	l := r.pickLink(w.rng, time.Now())
	switch {
	case l == nil:
	case w.rng.IntN(3) == 0 && l.size > 1:
		w.getRange(r, l)
	default:
		w.getBlob(r, l)
	}
}

const (
	found   = "found"
	missing = "missing"
)

func (w *worker) getBlob(r *repository, l *link) {
	w.count("blob: GET")
	req := w.reader(http.MethodGet, r.path("blobs", l.digest))
	w.readTo(r, l, req, func(a *answer) {
		if w.want(r.name, a, http.StatusOK); len(a.body) != l.size || sha(a.body) != l.digest {
			w.fatal(r.name, "GET %s: %d bytes of %s", a.path, len(a.body), sha(a.body))
		}
	})
}

func (w *worker) getRange(r *repository, l *link) {
	w.count("blob: GET range")
	from := w.rng.IntN(l.size)
	to := from + w.rng.IntN(l.size-from)
	req := w.reader(http.MethodGet, r.path("blobs", l.digest))
	req.header = []string{"Range", fmt.Sprintf("bytes=%d-%d", from, to)}
	w.readTo(r, l, req, func(a *answer) {
		if w.want(r.name, a, http.StatusPartialContent); string(a.body) != string(l.bytes()[from:to+1]) {
			w.fatal(r.name, "GET %s: bytes %d to %d are others: %d bytes of %s", a.path, from, to, len(a.body), sha(a.body))
		}
	})
}

// readTo asks for a blob, and checks what comes if there is something.
func (w *worker) readTo(r *repository, l *link, req request, check func(*answer)) {
	node := w.any()
	var last *answer
	probe := func() string {
		last = w.ask(r.name, node, req)
		if last.status == http.StatusNotFound {
			return missing
		}
		check(last)
		return found
	}
	switch {
	case !l.has:
		w.settle(r, blobKey(l.digest), false, node, missing, probe)
	case r.sure(l, time.Now()):
		if probe() == missing && r.sure(l, last.ended) {
			w.settle(r, blobKey(l.digest), last.began.After(r.stale), node, found, func() string {
				if !r.sure(l, time.Now()) {
					return found // not any more
				}
				return probe()
			})
		}
	default:
		probe()
	}
}

// listTags compares the list of tags, read in pages at several nodes.
func (w *worker) listTags(r *repository) {
	w.count("tags: list")
	want := missing
	if r.exists {
		want = strings.Join(slices.Sorted(maps.Keys(r.tags)), " ")
	}
	node := w.any()
	path := r.path("tags", "list")
	if w.rng.IntN(2) == 0 {
		path += "?n=" + itoa(1+w.rng.IntN(6))
	}
	w.settle(r, "the list of tags", false, node, want, func() string {
		var names []string
		for at, page := node, path; page != ""; at = w.any() {
			a := w.ask(r.name, at, w.reader(http.MethodGet, page))
			if a.status == http.StatusNotFound {
				return missing
			}
			w.want(r.name, a, http.StatusOK)
			var body struct{ Tags []string }
			if err := json.Unmarshal(a.body, &body); err != nil {
				w.fatal(r.name, "%s: %v: %s", a.path, err, a.body)
			}
			names, page = append(names, body.Tags...), next(a)
		}
		return strings.Join(names, " ")
	})
}

// next returns the path of the page that follows, or "".
func next(a *answer) string {
	link := a.header.Get("Link")
	from, to := strings.Index(link, "<"), strings.Index(link, ">")
	if from < 0 || to < from {
		return ""
	}
	return link[from+1 : to]
}

// listReferrers compares what is about a manifest.
func (w *worker) listReferrers(r *repository) {
	d := r.pick(w.rng)
	if d == nil {
		return
	}
	w.count("referrers: list")
	subject, kind := d.digest, ""
	if d.subject != "" && w.rng.IntN(2) == 0 {
		subject = d.subject // which may not be there
	}
	path := r.path("referrers", subject)
	if w.rng.IntN(3) == 0 {
		kind = artifactTypes[w.rng.IntN(len(artifactTypes))]
		path += "?artifactType=" + url.QueryEscape(kind)
	}
	var list []string
	for _, o := range r.docs {
		if o.subject == subject && (kind == "" || o.artifactType == kind) {
			list = append(list, o.digest)
		}
	}
	slices.Sort(list)
	node := w.any()
	w.settle(r, "the list of referrers", false, node, strings.Join(list, " "), func() string {
		var digests []string
		for _, d := range w.referrers(r.name, node, path) {
			digests = append(digests, d.Digest)
		}
		return strings.Join(digests, " ")
	})
}

// referrers reads a list of referrers, page by page.
func (w *worker) referrers(repo string, node int, path string) (list []descriptor) {
	for path != "" {
		a := w.want(repo, w.ask(repo, node, w.reader(http.MethodGet, path)), http.StatusOK)
		var body struct{ Manifests []descriptor }
		if err := json.Unmarshal(a.body, &body); err != nil {
			w.fatal(repo, "%s: %v: %s", a.path, err, a.body)
		}
		list, path = append(list, body.Manifests...), next(a)
	}
	return list
}
