//go:build unix

package model

import (
	"math/rand/v2"
	"slices"
	"time"
)

// repository is what its owner knows of it, which is everything: nobody else changes it.
type repository struct {
	name   string // with the alias
	exists bool
	docs   []*doc
	byDoc  map[string]*doc
	tags   map[string]string
	links  []*link
	byLink map[string]*link
	needs  map[string]int // blobs, by how many manifests refer to them
	forgot map[string]bool
	pushes []*upload
	gone   []string // tags and digests of manifests that were deleted lately
	// seen is which nodes have shown the last change of a tag or a digest, after which none
	// goes back.
	seen map[string]*[nodeCount]bool
	// stale is until when nodes may know an older repository of this name.
	stale time.Time
}

// link is a blob that the repository has, or may have.
type link struct {
	blob
	has    bool      // unless it was collected since
	safe   time.Time // until when it is not collected, whoever needs it
	shared bool      // others have it too
}

// upload is one that was begun.
type upload struct {
	location  string
	blob      blob
	offset    int
	active    time.Time // not before its last activity
	contested bool      // a request that came to nothing may still be running
}

func newRepository(name string) *repository {
	r := &repository{name: name}
	r.clear()
	return r
}

// clear makes the repository one that does not exist.
func (r *repository) clear() {
	*r = repository{
		name: r.name, byDoc: map[string]*doc{}, tags: map[string]string{}, byLink: map[string]*link{}, needs: map[string]int{},
		forgot: map[string]bool{}, seen: map[string]*[nodeCount]bool{},
	}
}

func (r *repository) path(parts ...string) string {
	p := "/v2/" + r.name
	for _, s := range parts {
		p += "/" + s
	}
	return p
}

// sure reports whether a blob was in the repository until a time.
func (r *repository) sure(l *link, until time.Time) bool {
	return l.has && (r.needs[l.digest] > 0 || until.Before(l.safe))
}

// link returns what is known of a blob.
func (r *repository) link(b blob) *link {
	l := r.byLink[b.digest]
	if l == nil {
		l = &link{blob: b, has: r.forgot[b.digest], shared: r.forgot[b.digest]}
		delete(r.forgot, b.digest)
		r.byLink[b.digest] = l
		r.links = append(r.links, l)
	}
	return l
}

// maxLinks is how many blobs are remembered. What is forgotten is what no manifest needs.
const maxLinks = 150

// forget lets the oldest of what no manifest needs go.
func (r *repository) forget() {
	if len(r.links) <= maxLinks {
		return
	}
	surplus := len(r.links) - maxLinks
	r.links = slices.DeleteFunc(r.links, func(l *link) bool {
		if surplus == 0 || r.needs[l.digest] > 0 {
			return false
		}
		surplus--
		delete(r.byLink, l.digest)
		delete(r.seen, blobKey(l.digest))
		if l.has {
			r.forgot[l.digest] = true // it may still be there
		}
		return true
	})
}

// have notes that a blob was given to the repository after a time.
func (r *repository) have(b blob, after time.Time, grace time.Duration) *link {
	l := r.link(b)
	l.has, l.safe = true, later(l.safe, after.Add(grace))
	r.exists = true
	return l
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// put notes that a manifest was pushed.
func (r *repository) put(d *doc, node int) {
	r.exists = true
	if r.byDoc[d.digest] != nil {
		return
	}
	r.docs, r.byDoc[d.digest] = append(r.docs, d), d
	for _, b := range d.blobs {
		r.needs[b.digest]++
	}
	r.changed(d.digest, node)
}

// point notes that a tag was moved, or deleted if the digest is empty.
func (r *repository) point(tag, digest string, node int) {
	if r.tags[tag] == digest {
		return
	}
	if digest == "" {
		delete(r.tags, tag)
		r.bury(tag)
	} else {
		r.tags[tag] = digest
	}
	r.changed(tag, node)
}

// drop notes that a manifest was deleted after a time.
func (r *repository) drop(d *doc, node int, after time.Time, grace time.Duration) {
	delete(r.byDoc, d.digest)
	r.docs = slices.DeleteFunc(r.docs, func(o *doc) bool { return o == d })
	for tag, digest := range r.tags {
		if digest == d.digest {
			r.point(tag, "", node)
		}
	}
	for _, b := range d.blobs {
		if r.needs[b.digest]--; r.needs[b.digest] == 0 {
			delete(r.needs, b.digest)
			l := r.link(b)
			l.safe = later(l.safe, after.Add(grace))
		}
	}
	r.bury(d.digest)
	r.changed(d.digest, node)
}

// changed notes that a node has changed what a tag or digest leads to, and knows it.
func (r *repository) changed(key string, node int) {
	s := &[nodeCount]bool{}
	s[node] = true
	r.seen[key] = s
}

// blobKey is what seen calls a blob.
func blobKey(digest string) string { return "blob " + digest }

// maxGone is how much of what was deleted is remembered.
const maxGone = 12

func (r *repository) bury(ref string) {
	r.gone = append(r.gone, ref)
	if len(r.gone) > maxGone {
		old := r.gone[0]
		r.gone = r.gone[1:]
		if !slices.Contains(r.gone, old) && r.byDoc[old] == nil && r.tags[old] == "" {
			delete(r.seen, old)
		}
	}
}

// pick returns a manifest that is there, or nil.
func (r *repository) pick(rng *rand.Rand) *doc {
	if len(r.docs) == 0 {
		return nil
	}
	return r.docs[rng.IntN(len(r.docs))]
}

// pickLink returns a blob that is or was there, or nil: often one that is due to be
// collected about now.
func (r *repository) pickLink(rng *rand.Rand, now time.Time) *link {
	if len(r.links) == 0 {
		return nil
	}
	if rng.IntN(2) == 0 {
		for range 8 {
			l := r.links[rng.IntN(len(r.links))]
			if over := now.Sub(l.safe); l.has && r.needs[l.digest] == 0 && over > 0 && over < time.Second {
				return l
			}
		}
	}
	return r.links[rng.IntN(len(r.links))]
}

// pickTag returns a tag that is there, or "".
func (r *repository) pickTag(rng *rand.Rand) string {
	for range 3 {
		if tag := drawTag(rng); r.tags[tag] != "" {
			return tag
		}
	}
	return ""
}

// tagNames are what tags are called.
var tagNames = []string{"latest", "stable", "v1", "v2", "v2.1", "v10", "edge", "nightly-1", "nightly-2", "A", "a", "z_9"}

func drawTag(rng *rand.Rand) string { return tagNames[rng.IntN(len(tagNames))] }
