//go:build unix

package model

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
)

// layers draws what an image is made of: new blobs, those that the repository has, and those of
// others.
func (w *worker) layers(r *repository) (list []blob) {
	for range w.rng.IntN(4) {
		switch n := w.rng.IntN(8); {
		case n < 4:
			list = append(list, newBlob(w.rng))
		case n < 6:
			if l := r.pickLink(w.rng, time.Now()); l != nil {
				list = append(list, l.blob)
			}
		default:
			s := w.pool.pick(w.rng)
			r.link(s.blob).shared = true
			if l := r.link(s.blob); w.rng.IntN(2) == 0 && !r.sure(l, time.Now().Add(w.grace/4)) {
				w.mount(r, s.blob, s.repo, nil)
			}
			list = append(list, s.blob)
		}
	}
	return list
}

// pushImage pushes an image with its blobs.
func (w *worker) pushImage(r *repository) {
	layers := w.layers(r)
	var subject *doc
	if w.rng.IntN(10) == 0 {
		subject = r.pick(w.rng)
	}
	w.putDoc(r, newImage(w.rng, "", subject, layers...), w.reference()...)
}

// pushArtifact pushes an artifact about an image, or about one that is not there.
func (w *worker) pushArtifact(r *repository) {
	subject := r.pick(w.rng)
	if subject == nil || w.rng.IntN(8) == 0 {
		subject = newImage(w.rng, "", nil)
	}
	layers := w.layers(r)
	w.putDoc(r, newImage(w.rng, artifactTypes[w.rng.IntN(len(artifactTypes))], subject, layers...))
}

// pushIndex pushes an index of images and indexes.
func (w *worker) pushIndex(r *repository) {
	var children []*doc
	for range 1 + w.rng.IntN(3) {
		if d := r.pick(w.rng); d != nil && !slices.Contains(children, d) {
			children = append(children, d)
		}
	}
	if len(children) == 0 {
		return
	}
	w.putDoc(r, newIndex(w.rng, nil, children...), w.reference()...)
}

// moveTag pushes a manifest again that is there, to a tag.
func (w *worker) moveTag(r *repository) {
	if d := r.pick(w.rng); d != nil {
		w.putDoc(r, d, drawTag(w.rng))
	}
}

// reference draws the tags that a manifest is pushed to: often none.
func (w *worker) reference() (tags []string) {
	for range w.rng.IntN(3) {
		if tag := drawTag(w.rng); !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// putDoc pushes a manifest, and the blobs that it needs.
func (w *worker) putDoc(r *repository, d *doc, tags ...string) {
	path := r.path("manifests", d.digest)
	more := tags
	if len(tags) > 0 && w.rng.IntN(2) == 0 {
		path, more = r.path("manifests", tags[0]), tags[1:]
	}
	for i, tag := range more {
		separator := "&"
		if i == 0 {
			separator = "?"
		}
		path += separator + "tag=" + tag
	}
	for range tries {
		if r.byDoc[d.digest] == nil {
			for _, b := range d.blobs {
				w.ensure(r, b)
			}
		}
		w.count("manifest: PUT")
		a := w.ask(r.name, w.any(), request{method: "PUT", path: path, body: d.raw, header: []string{"Content-Type", d.mediaType}})
		if a.status == http.StatusNotFound && r.byDoc[d.digest] == nil {
			w.excuse(r, d, a)
			continue
		}
		w.want(r.name, a, http.StatusCreated)
		if got := a.header.Get("Docker-Content-Digest"); got != d.digest {
			w.fatal(r.name, "%s: digest %q", a.path, got)
		}
		r.put(d, a.node)
		for _, tag := range tags {
			r.point(tag, d.digest, a.node)
		}
		return
	}
	w.fatal(r.name, "%s cannot be pushed within the grace", d.digest)
}

// excuse fails unless every blob that is said to be missing may have been collected.
func (w *worker) excuse(r *repository, d *doc, a *answer) {
	code, digests := a.code()
	if code != "MANIFEST_BLOB_UNKNOWN" || len(digests) == 0 {
		w.fatal(r.name, "%s: %s", a.path, a.body)
	}
	for _, digest := range digests {
		i := slices.IndexFunc(d.blobs, func(b blob) bool { return b.digest == digest })
		if i < 0 {
			w.fatal(r.name, "%s: %s is there: %s", a.path, digest, a.body)
		}
		l := r.link(d.blobs[i])
		if r.sure(l, a.ended) {
			w.fatal(r.name, "%s: %s should be there for another %v, or as long as %d manifests need it: %s",
				a.path, digest, l.safe.Sub(a.ended), r.needs[digest], a.body)
		}
		l.has = false
		r.seen[blobKey(digest)] = &[nodeCount]bool{}
	}
	w.note("push again: a blob was collected before its manifest came")
}

// deleteTag deletes a tag, or one that is not there.
func (w *worker) deleteTag(r *repository) {
	tag := drawTag(w.rng)
	w.count("tag: DELETE")
	a := w.ask(r.name, w.any(), request{method: "DELETE", path: r.path("manifests", tag)})
	if r.tags[tag] == "" {
		w.want(r.name, a, http.StatusNotFound)
		return
	}
	w.want(r.name, a, http.StatusAccepted)
	r.point(tag, "", a.node)
}

// deleteDoc deletes a manifest with its tags, whether an index needs it or not.
func (w *worker) deleteDoc(r *repository) {
	d := r.pick(w.rng)
	if d == nil {
		return
	}
	w.count("manifest: DELETE")
	a := w.want(r.name, w.ask(r.name, w.any(), request{method: "DELETE", path: r.path("manifests", d.digest)}), http.StatusAccepted)
	r.drop(d, a.node, a.began, w.grace)
	a = w.ask(r.name, w.any(), request{method: "DELETE", path: r.path("manifests", d.digest)})
	w.want(r.name, a, http.StatusNotFound)
}

// staleTime is for how long after a repository was deleted other nodes are not held to
// know it: its name may lead them to the old one.
const staleTime = 2 * time.Second

// deleteRepository deletes a repository by the API of Amazon ECR Public.
func (w *worker) deleteRepository(r *repository) {
	if !r.exists {
		return
	}
	if len(r.docs) > 0 && w.rng.IntN(2) == 0 {
		err := w.remove(r.name, w.any(), false)
		if _, ok := errors.AsType[*types.RepositoryNotEmptyException](err); !ok {
			w.fatal(r.name, "delete of a repository with %d manifests: %v", len(r.docs), err)
		}
	}
	if err := w.remove(r.name, w.any(), true); err != nil {
		w.fatal(r.name, "delete of the repository: %v", err)
	}
	tags := r.tags
	r.clear()
	r.stale = time.Now().Add(staleTime)
	for tag := range tags {
		r.bury(tag)
	}
	slices.Sort(r.gone)
}

// remove deletes a repository, at most once.
func (w *worker) remove(name string, node int, force bool) error {
	w.count("repository: DELETE")
	w.requests.Add(1)
	c := ecrpublic.New(ecrpublic.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(w.nodes[node].base), HTTPClient: w.client.http, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: w.keys.user, SecretAccessKey: w.keys.password}, nil
		}),
	})
	_, err := c.DeleteRepository(w.ctx, &ecrpublic.DeleteRepositoryInput{RepositoryName: aws.String(name[len(alias)+1:]), Force: force})
	return err
}
