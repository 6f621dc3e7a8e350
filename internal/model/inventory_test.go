//go:build unix

package model

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// inventory is what the database and the bucket hold.
type inventory struct {
	repositories map[string]*holding // by name, with the alias
	byID         map[meta.RepositoryID]*holding
	blobs        map[string]meta.Blob
	links        map[string]int // blobs, by how many repositories link to them
	objects      map[string]int64
	uploads      int
	reviews      map[meta.ReviewKind]int
	strays       int // rows of repositories that are not there
	problems     []error
}

// holding is what a repository holds.
type holding struct {
	manifests map[string]meta.Manifest
	tags      map[string]string
	links     map[string]bool
	edges     map[string][]meta.Edge // by parent
	needs     map[string]bool        // blobs
	last      map[string]meta.Move   // of each tag
}

// takeInventory reads everything.
func takeInventory(ctx context.Context, store meta.Store, bucket storage.Bucket) (*inventory, error) {
	inv := &inventory{
		repositories: map[string]*holding{}, byID: map[meta.RepositoryID]*holding{}, blobs: map[string]meta.Blob{}, links: map[string]int{},
		objects: map[string]int64{}, reviews: map[meta.ReviewKind]int{},
	}
	if err := store.View(ctx, inv.read); err != nil {
		return nil, err
	}
	return inv, each(bucket.List(ctx, "", ""), func(o storage.Attrs) { inv.objects[o.Key] = o.Size })
}

func each[T any](rows iter.Seq2[T, error], f func(T)) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		f(row)
	}
	return nil
}

func all[K meta.Key, R any](table meta.Table[K, R], f func(R)) error {
	return each(table.Scan(meta.Range[K]{}), f)
}

// of returns what a repository holds, or what no repository does.
func (inv *inventory) of(id meta.RepositoryID) *holding {
	h := inv.byID[id]
	if h == nil {
		inv.strays++
		h = &holding{
			manifests: map[string]meta.Manifest{}, tags: map[string]string{}, links: map[string]bool{}, edges: map[string][]meta.Edge{},
			needs: map[string]bool{}, last: map[string]meta.Move{},
		}
		inv.byID[id] = h
	}
	return h
}

func (inv *inventory) read(tx meta.Tx) error {
	return errors.Join(
		all(tx.Repositories(), func(r meta.Repository) { inv.repositories[alias+"/"+r.Name] = inv.of(r.ID); inv.strays-- }),
		all(tx.Manifests(), func(m meta.Manifest) { inv.of(m.Repository).manifests[string(m.Digest)] = m }),
		all(tx.Tags(), func(t meta.Tag) { inv.of(t.Repository).tags[t.Name] = string(t.Digest) }),
		all(tx.Moves(), func(m meta.Move) { inv.of(m.Repository).last[m.Tag] = m }),
		all(tx.Links(), func(l meta.Link) { inv.of(l.Repository).links[string(l.Digest)] = true; inv.links[string(l.Digest)]++ }),
		all(tx.Edges(), func(e meta.Edge) {
			h := inv.of(e.Repository)
			h.edges[string(e.Parent)] = append(h.edges[string(e.Parent)], e)
		}),
		all(tx.Blobs(), func(b meta.Blob) { inv.blobs[string(b.Digest)] = b }),
		all(tx.Uploads(), func(meta.Upload) { inv.uploads++ }),
		all(tx.Reviews(), func(r meta.Review) { inv.reviews[r.Kind]++ }),
	)
}

func (inv *inventory) problem(format string, args ...any) {
	inv.problems = append(inv.problems, fmt.Errorf(format, args...))
}

// check holds what must be true once there is nothing to collect.
func (inv *inventory) check() {
	if inv.strays > 0 || inv.uploads > 0 || len(inv.reviews) > 0 {
		inv.problem("%d rows of no repository, %d uploads, reviews: %v", inv.strays, inv.uploads, inv.reviews)
	}
	for name, h := range inv.repositories {
		inv.checkRepository(name, h)
	}
	named := map[string]bool{}
	for d, b := range inv.blobs {
		if inv.links[d] == 0 {
			inv.problem("blob %s is linked to by nobody", d)
		}
		size := int64(0)
		for _, s := range b.Segments {
			if got, ok := inv.objects[s.Key]; !ok || got != s.Size {
				inv.problem("blob %s: object %s has %d bytes, want %d (there: %v)", d, s.Key, got, s.Size, ok)
			}
			if named[s.Key] {
				inv.problem("blob %s: object %s belongs to another", d, s.Key)
			}
			named[s.Key] = true
			size += s.Size
		}
		if size != b.Size {
			inv.problem("blob %s has %d bytes, its segments %d", d, b.Size, size)
		}
	}
	for key := range inv.objects {
		if !named[key] {
			inv.problem("no row names the object %s", key)
		}
	}
}

func (inv *inventory) checkRepository(name string, h *holding) {
	for tag, d := range h.tags {
		if _, ok := h.manifests[d]; !ok {
			inv.problem("%s:%s leads to %s, which is not there", name, tag, d)
		}
		if last := h.last[tag]; string(last.To) != d {
			inv.problem("%s:%s leads to %s, by its history to %s", name, tag, d, last.To)
		}
	}
	for tag, last := range h.last {
		if h.tags[tag] != string(last.To) {
			inv.problem("%s:%s leads to %q, by its history to %q", name, tag, h.tags[tag], last.To)
		}
	}
	for parent, edges := range h.edges {
		m, ok := h.manifests[parent]
		if !ok {
			inv.problem("%s: %d edges of %s, which is not there", name, len(edges), parent)
			continue
		}
		for _, e := range edges {
			if e.Kind == manifest.EdgeConfig || e.Kind == manifest.EdgeLayer {
				h.needs[string(e.Child)] = true
			}
		}
		if sha(m.Raw) != parent || m.Size != int64(len(m.Raw)) {
			inv.problem("%s: the manifest %s has the bytes of %s", name, parent, sha(m.Raw))
		}
	}
	for d := range h.links {
		if _, ok := inv.blobs[d]; !ok {
			inv.problem("%s has a link to %s, which is not there", name, d)
		}
		if !h.needs[d] {
			inv.problem("%s has %s, which no manifest needs", name, d)
		}
	}
}

// compare compares a repository with the model of it.
func (inv *inventory) compare(r *repository) {
	h, ok := inv.repositories[r.name]
	if ok != r.exists {
		inv.problem("%s exists: %v, want %v", r.name, ok, r.exists)
	}
	if !ok {
		return
	}
	if want := slices.Sorted(maps.Keys(r.byDoc)); !slices.Equal(want, slices.Sorted(maps.Keys(h.manifests))) {
		inv.problem("%s has the manifests\n%v, want\n%v", r.name, slices.Sorted(maps.Keys(h.manifests)), want)
	}
	if !maps.Equal(h.tags, r.tags) {
		inv.problem("%s has the tags\n%v, want\n%v", r.name, h.tags, r.tags)
	}
	want := map[string]bool{}
	for d := range r.needs {
		if r.byLink[d].has {
			want[d] = true
		}
	}
	if !maps.Equal(h.links, want) {
		inv.problem("%s has the blobs\n%v, want\n%v", r.name, slices.Sorted(maps.Keys(h.links)), slices.Sorted(maps.Keys(want)))
	}
	for _, d := range r.docs {
		children := map[string]bool{}
		for _, e := range h.edges[d.digest] {
			children[string(e.Child)] = true
		}
		want := map[string]bool{}
		for _, b := range d.blobs {
			want[b.digest] = true
		}
		for _, c := range d.children {
			want[c.digest] = true
		}
		if d.subject != "" {
			want[d.subject] = true
		}
		if !maps.Equal(children, want) {
			inv.problem("%s: %s has edges to\n%v, want\n%v", r.name, d.digest, children, want)
		}
	}
}

// readers is how many objects are read at once.
const readers = 8

// readAll reads all blobs from the bucket.
func (inv *inventory) readAll(ctx context.Context, bucket storage.Bucket) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	running := make(chan struct{}, readers)
	for d, b := range inv.blobs {
		running <- struct{}{}
		wg.Go(func() {
			defer func() { <-running }()
			got, err := digestOf(ctx, bucket, b.Segments)
			if err != nil || got != d {
				mu.Lock()
				defer mu.Unlock()
				inv.problem("blob %s has the bytes of %s: %w", d, got, err)
			}
		})
	}
	wg.Wait()
}

func digestOf(ctx context.Context, bucket storage.Bucket, list []meta.Segment) (string, error) {
	h := sha256.New()
	for _, s := range list {
		o, err := bucket.Get(ctx, s.Key, 0, -1)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, o)
		if err := errors.Join(err, o.Close()); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), nil
}
