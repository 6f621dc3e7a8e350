//go:build unix

package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
)

// commons is a repository that belongs to all, where what one does another undoes. Only what
// holds all the same is checked.
type commons struct {
	name string

	begun, ended atomic.Int64 // deletions of the repository

	mu   sync.Mutex
	docs []*commonDoc // the last that were pushed
}

// commonDoc is a manifest that belongs to all.
type commonDoc struct {
	*doc
	doomed atomic.Bool // somebody has begun to delete it
}

// commonsCount is how many of these there are, and commonsDocs how many manifests of each
// are remembered.
const (
	commonsCount = 3
	commonsDocs  = 30
)

func newCommons(n int) *commons { return &commons{name: fmt.Sprintf("%s/all/r%d", alias, n)} }

func (c *commons) path(parts ...string) string {
	return "/v2/" + c.name + "/" + strings.Join(parts, "/")
}

// watch returns a function that reports whether nobody has deleted the repository since.
func (c *commons) watch() (same func() bool) {
	ended := c.ended.Load()
	begun := c.begun.Load()
	return func() bool { return begun == ended && c.begun.Load() == begun }
}

func (c *commons) remember(d *doc) *commonDoc {
	e := &commonDoc{doc: d}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.docs = append(c.docs, e); len(c.docs) > commonsDocs {
		c.docs = c.docs[1:]
	}
	return e
}

// pick returns one of the manifests, or nil.
func (c *commons) pick(n int) *commonDoc {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.docs) == 0 {
		return nil
	}
	return c.docs[n%len(c.docs)]
}

// visit does one thing in a repository that belongs to all.
func (w *worker) visit(c *commons) {
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.pushCommon(c)
	case n < 42:
		w.moveCommonTag(c)
	case n < 48:
		w.count("all: tag: DELETE")
		w.want(c.name, w.ask(c.name, w.any(), request{method: "DELETE", path: c.path("manifests", drawTag(w.rng))}), http.StatusAccepted, http.StatusNotFound)
	case n < 60:
		w.deleteCommonDoc(c)
	case n < 82:
		w.pullCommon(c)
	case n < 88:
		w.listCommon(c)
	case n < 94:
		w.mountCommon(c)
	case n < 99:
		w.leaveCommonUpload(c)
	case w.rng.IntN(4) == 0:
		c.begun.Add(1)
		err := w.remove(c.name, w.any(), true)
		c.ended.Add(1)
		if _, ok := errors.AsType[*types.RepositoryNotFoundException](err); err != nil && !ok {
			w.fatal(c.name, "delete of the repository: %v", err)
		}
	}
}

// pushCommon pushes an image. For as long as the grace leaves its blobs alone, it must be
// taken.
func (w *worker) pushCommon(c *commons) {
	same := c.watch()
	var layers []blob
	for range w.rng.IntN(3) {
		if w.rng.IntN(2) == 0 {
			layers = append(layers, newBlob(w.rng))
		} else {
			layers = append(layers, w.pool.pick(w.rng).blob)
		}
	}
	kind, subject := "", (*doc)(nil)
	if about := c.pick(w.rng.IntN(commonsDocs)); about != nil && w.rng.IntN(4) == 0 {
		kind, subject = artifactTypes[0], about.doc
	}
	d := newImage(w.rng, kind, subject, layers...)
	safe := map[string]time.Time{}
	for _, b := range d.blobs {
		w.count("all: blob: HEAD")
		a := w.want(c.name, w.ask(c.name, w.any(), request{method: "HEAD", path: c.path("blobs", b.digest)}), http.StatusOK, http.StatusNotFound)
		if a.status == http.StatusOK {
			safe[b.digest] = a.began.Add(w.grace / 2)
			continue
		}
		w.count("all: blob: POST")
		a = w.ask(c.name, w.any(), request{method: "POST", path: c.path("blobs", "uploads") + "/?digest=" + b.digest, body: b.bytes()})
		if a.status == http.StatusNotFound && !same() {
			return
		}
		w.want(c.name, a, http.StatusCreated)
		safe[b.digest] = a.began.Add(w.grace)
		if w.rng.IntN(4) == 0 {
			w.pool.offer(c.name, b)
		}
	}
	path := c.path("manifests", d.digest)
	if w.rng.IntN(3) > 0 {
		path += "?tag=" + drawTag(w.rng)
	}
	w.count("all: manifest: PUT")
	e := c.remember(d)
	a := w.ask(c.name, w.any(), request{method: "PUT", path: path, body: d.raw, header: []string{"Content-Type", d.mediaType}})
	if a.status == http.StatusNotFound {
		_, digests := a.code()
		for _, digest := range digests {
			if a.ended.Before(safe[digest]) && same() {
				w.fatal(c.name, "%s: %s should be there for another %v", a.path, digest, safe[digest].Sub(a.ended))
			}
		}
		if len(digests) == 0 && same() {
			w.fatal(c.name, "%s: %s", a.path, a.body)
		}
		w.note("all: a blob was collected before its manifest came")
		return
	}
	w.want(c.name, a, http.StatusCreated)
	a = w.ask(c.name, w.any(), w.reader(http.MethodGet, c.path("manifests", d.digest)))
	if a.status == http.StatusNotFound && (e.doomed.Load() || w.mayBeOld(c, same)) {
		return
	}
	if w.want(c.name, a, http.StatusOK); string(a.body) != string(d.raw) {
		w.fatal(c.name, "GET %s: %q", a.path, a.body)
	}
}

// mayBeOld reports whether a node may still know an older repository of the name: there was
// one, which is reason enough.
func (w *worker) mayBeOld(c *commons, same func() bool) bool { return !same() || c.begun.Load() > 0 }

// moveCommonTag points a tag to what may be gone meanwhile.
func (w *worker) moveCommonTag(c *commons) {
	e := c.pick(w.rng.IntN(commonsDocs))
	if e == nil {
		return
	}
	w.count("all: tag: PUT")
	a := w.ask(c.name, w.any(), request{method: "PUT", path: c.path("manifests", drawTag(w.rng)), body: e.raw, header: []string{"Content-Type", e.mediaType}})
	w.want(c.name, a, http.StatusCreated, http.StatusNotFound)
}

func (w *worker) deleteCommonDoc(c *commons) {
	e := c.pick(w.rng.IntN(commonsDocs))
	if e == nil {
		return
	}
	w.count("all: manifest: DELETE")
	e.doomed.Store(true)
	w.want(c.name, w.ask(c.name, w.any(), request{method: "DELETE", path: c.path("manifests", e.digest)}), http.StatusAccepted, http.StatusNotFound)
}

// pullCommon pulls an image by a tag. Whatever it is, it must be whole, unless somebody
// deletes it.
func (w *worker) pullCommon(c *commons) {
	w.count("all: tag: GET")
	node := w.any()
	a := w.want(c.name, w.ask(c.name, node, w.reader(http.MethodGet, c.path("manifests", drawTag(w.rng)))), http.StatusOK, http.StatusNotFound)
	if a.status == http.StatusNotFound {
		return
	}
	digest := a.header.Get("Docker-Content-Digest")
	if sha(a.body) != digest {
		w.fatal(c.name, "GET %s: the body is not of digest %s: %q", a.path, digest, a.body)
	}
	var m struct {
		Config descriptor
		Layers []descriptor
	}
	if err := json.Unmarshal(a.body, &m); err != nil {
		w.fatal(c.name, "GET %s: %v: %q", a.path, err, a.body)
	}
	for _, d := range append(m.Layers, m.Config) {
		w.count("all: blob: GET")
		a := w.want(c.name, w.ask(c.name, w.any(), w.reader(http.MethodGet, c.path("blobs", d.Digest))), http.StatusOK, http.StatusNotFound)
		if a.status == http.StatusNotFound {
			w.lost(c, digest, d.Digest)
			return
		}
		if len(a.body) != d.Size || sha(a.body) != d.Digest {
			w.fatal(c.name, "GET %s: %d bytes of %s", a.path, len(a.body), sha(a.body))
		}
	}
}

// lost fails if a manifest stays and its blob is not there.
func (w *worker) lost(c *commons, manifest, blob string) {
	began := time.Now()
	for n := 0; time.Since(began) < lateTime || n < lateProbes; n++ {
		node := w.any()
		if w.ask(c.name, node, request{method: "HEAD", path: c.path("blobs", blob)}).status == http.StatusOK ||
			w.ask(c.name, node, request{method: "GET", path: c.path("manifests", manifest)}).status == http.StatusNotFound {
			w.note("all: an image was deleted while it was pulled")
			return
		}
		time.Sleep(latePause)
	}
	w.fatal(c.name, "%s stays, and its blob %s is gone", manifest, blob)
}

func (w *worker) listCommon(c *commons) {
	w.count("all: list")
	if e := c.pick(w.rng.IntN(commonsDocs)); e != nil && w.rng.IntN(2) == 0 {
		w.referrers(c.name, w.any(), c.path("referrers", e.digest))
		return
	}
	a := w.want(c.name, w.ask(c.name, w.any(), w.reader(http.MethodGet, c.path("tags", "list"))), http.StatusOK, http.StatusNotFound)
	var body struct{ Tags []string }
	if err := json.Unmarshal(a.body, &body); err != nil || !slices.IsSorted(body.Tags) {
		w.fatal(c.name, "GET %s: %v: %s", a.path, err, a.body)
	}
}

func (w *worker) mountCommon(c *commons) {
	w.count("all: blob: mount")
	same, s := c.watch(), w.pool.pick(w.rng)
	a := w.ask(c.name, w.any(), request{method: "POST", path: c.path("blobs", "uploads") + "/?mount=" + s.blob.digest + "&from=" + s.repo})
	if a.status == http.StatusNotFound && !same() {
		return
	}
	w.want(c.name, a, http.StatusCreated, http.StatusAccepted)
}

// leaveCommonUpload begins an upload that nobody goes on with.
func (w *worker) leaveCommonUpload(c *commons) {
	w.count("all: upload: left")
	same := c.watch()
	a := w.ask(c.name, w.any(), request{method: "POST", path: c.path("blobs", "uploads") + "/"})
	if a.status == http.StatusNotFound && !same() {
		return
	}
	w.want(c.name, a, http.StatusAccepted)
	began := a.began
	a = w.ask(c.name, w.any(), request{method: "PATCH", path: a.header.Get("Location"), body: newBlob(w.rng).bytes()})
	if a.status == http.StatusNotFound && (!same() || !a.ended.Before(began.Add(w.grace))) {
		return
	}
	w.want(c.name, a, http.StatusAccepted)
}
