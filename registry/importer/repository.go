package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

// repository is one that is being copied.
type repository struct {
	*run
	source, target string

	mu      sync.Mutex
	settled map[manifest.Digest]error // blobs and manifests that are done, and those that failed
}

// root is a manifest that is to be copied with all that belongs to it.
type root struct {
	digest manifest.Digest
	tags   []string
}

// repository copies a repository. It returns only what ends the import.
func (r *run) repository(ctx context.Context, name string) error {
	target, ok := r.name(name)
	if !ok {
		return nil
	}
	c := &repository{run: r, source: name, target: target, settled: map[manifest.Digest]error{}}
	c.tell(Event{Object: Repository, Outcome: Begun, Repository: name, Target: target})
	roots, err := c.roots(ctx)
	if err != nil || len(roots) == 0 {
		return err
	}
	tags, err := c.prepare(ctx)
	if err != nil {
		return c.failed(ctx, Repository, "", err)
	}
	if err := each(ctx, c.limit, roots, func(ctx context.Context, r root) error { return c.closure(ctx, r.digest) }); err != nil {
		return err
	}
	return each(ctx, c.limit, roots, func(ctx context.Context, r root) error { return c.tag(ctx, r, tags) })
}

// failed reports what could not be copied, unless the error ends the import, which it then
// returns.
func (c *repository) failed(ctx context.Context, o Object, reference string, err error) error {
	if err := fatal(ctx, err); err != nil {
		return err
	}
	outcome := Failed
	if errors.Is(err, errSchema1) {
		outcome = Skipped
	}
	c.tell(Event{Object: o, Outcome: outcome, Repository: c.source, Target: c.target, Reference: reference, Err: err})
	return nil
}

// did reports something else.
func (c *repository) did(o Object, outcome Outcome, reference string, size int64) {
	c.tell(Event{Object: o, Outcome: outcome, Repository: c.source, Target: c.target, Reference: reference, Size: size})
}

// roots returns the manifests of the source that tags lead to, and then those that the source
// knows besides. What cannot be listed or resolved is reported, and the rest copied.
func (c *repository) roots(ctx context.Context) (roots []root, err error) {
	tags, err := collect(ctx, c.run, c.from.Tags(ctx, c.source))
	if err != nil {
		ends := c.failed(ctx, Repository, "", fmt.Errorf("list of tags: %w", err))
		if ends != nil || errors.Is(err, fs.ErrNotExist) { // there is no such repository
			return nil, ends
		}
	}
	digests := make([]manifest.Digest, len(tags))
	places := make([]int, len(tags))
	for i := range places {
		places[i] = i
	}
	err = each(ctx, c.limit, places, func(ctx context.Context, i int) error {
		answered, err := c.ask(ctx)
		if err != nil {
			return err
		}
		defer answered()
		d, err := c.from.Resolve(ctx, c.source, tags[i])
		if err != nil {
			return c.failed(ctx, Tag, tags[i], err)
		}
		digests[i] = d
		return nil
	})
	if err != nil {
		return nil, err
	}
	at := map[manifest.Digest]int{}
	for i, d := range digests {
		if d == "" {
			continue
		}
		n, known := at[d]
		if !known {
			n = len(roots)
			at[d] = n
			roots = append(roots, root{digest: d})
		}
		roots[n].tags = append(roots[n].tags, tags[i])
	}
	lister, ok := c.from.(Lister)
	if !ok {
		return roots, nil
	}
	all, err := collect(ctx, c.run, lister.Manifests(ctx, c.source))
	if err != nil {
		if err := c.failed(ctx, Repository, "", fmt.Errorf("list of manifests: %w", err)); err != nil {
			return nil, err
		}
	}
	for _, d := range all {
		if _, known := at[d]; !known {
			roots = append(roots, root{digest: d})
		}
	}
	return roots, nil
}

// prepare returns where the tags of the target point. A repository that is not there is made,
// rather than by the first push, which not every registry allows to do it.
func (c *repository) prepare(ctx context.Context) (map[string]manifest.Digest, error) {
	tags := map[string]manifest.Digest{}
	for after := ""; ; {
		list, more, err := c.to.TagsInOrder(ctx, c.target, after, registry.MaxPage)
		if errors.Is(err, fs.ErrNotExist) {
			if _, err = c.to.CreateRepository(ctx, c.target, nil); errors.Is(err, fs.ErrExist) {
				err = nil // there are no tags that the actor may see
			}
			return tags, c.judge(err)
		}
		if err != nil {
			return nil, c.judge(err)
		}
		for _, t := range list {
			tags[t.Name], after = t.Image.Digest, t.Name
		}
		if !more {
			return tags, nil
		}
	}
}

// closure copies a manifest with all that it refers to, and what refers to any of that.
func (c *repository) closure(ctx context.Context, d manifest.Digest) error {
	lister, asks := c.from.(ReferrerLister)
	for queue := []manifest.Digest{d}; len(queue) > 0; queue = queue[1:] {
		copied, err := c.tree(ctx, queue[0])
		if err != nil {
			if err := fatal(ctx, err); err != nil {
				return err
			}
			c.settle(ctx, queue[0], err)
			if queue[0] != d { // which is reported by its tags
				if err := c.failed(ctx, Manifest, string(queue[0]), err); err != nil {
					return err
				}
			}
		}
		if !asks {
			continue
		}
		for _, subject := range copied {
			list, err := collect(ctx, c.run, lister.Referrers(ctx, c.source, subject))
			if err != nil {
				if err := c.failed(ctx, Manifest, string(subject), fmt.Errorf("list of referrers: %w", err)); err != nil {
					return err
				}
			}
			queue = append(queue, list...)
		}
	}
	return nil
}

// settle remembers what became of a blob or manifest, so that it is not tried again for each
// image that needs it. What was settled stays so: two images may have tried the same one.
func (c *repository) settle(ctx context.Context, d manifest.Digest, err error) {
	if ctx.Err() != nil {
		return // which is why it failed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.settled[d]; !ok {
		c.settled[d] = err
	}
}

// outcome returns what became of a blob or manifest, if that is settled.
func (c *repository) outcome(d manifest.Digest) (err error, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err, ok = c.settled[d]
	return err, ok
}

// tree copies a manifest with all that it refers to. It returns which manifests are there now,
// also if there is an error, but for those that were settled before.
func (c *repository) tree(ctx context.Context, d manifest.Digest) (copied []manifest.Digest, err error) {
	if err, ok := c.outcome(d); ok {
		return nil, err
	}
	top, err := c.load(ctx, d)
	if err != nil {
		return nil, err
	}
	fetch := func(ctx context.Context, child manifest.Descriptor) (*manifest.Manifest, error) {
		err, ok := c.outcome(child.Digest)
		if ok && err == nil {
			return nil, nil
		}
		var m *manifest.Manifest
		if !ok {
			if m, err = c.load(ctx, child.Digest); err != nil {
				c.settle(ctx, child.Digest, err)
			}
		}
		if err != nil {
			err = fmt.Errorf("manifest %s: %w", child.Digest, err)
		}
		return m, err
	}
	err = manifest.Walk(ctx, top, fetch, func(m *manifest.Manifest) error {
		first, err := c.put(ctx, m)
		if first {
			copied = append(copied, m.Digest)
		}
		if err != nil && m != top {
			err = fmt.Errorf("manifest %s: %w", m.Digest, err)
		}
		return err
	})
	return copied, err
}

// load reads a manifest from the target or, where that does not have it, from the source. To
// look into the target is no pull.
func (c *repository) load(ctx context.Context, d manifest.Digest) (*manifest.Manifest, error) {
	if _, err := manifest.ParseDigest(string(d)); err != nil {
		return nil, err // a source may say anything, even the name of a tag
	}
	in, err := c.to.Inspect(ctx, c.target, string(d))
	if err == nil {
		return in.Manifest, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, c.judge(err)
	}
	answered, err := c.ask(ctx)
	if err != nil {
		return nil, err
	}
	defer answered()
	mediaType, raw, err := c.from.Manifest(ctx, c.source, d)
	if err != nil {
		return nil, err
	}
	if isSchema1(mediaType, raw) {
		return nil, errSchema1
	}
	m, err := manifest.Decode(mediaType, raw, d.Algorithm())
	if err == nil && m.Digest != d {
		err = fmt.Errorf("%w: the source's content has digest %s", registry.ErrDigestInvalid, m.Digest)
	}
	return m, err
}

var errSchema1 = errors.New("manifests of Docker's schema 1 are not supported")

// The media types of Docker's schema 1.
const (
	schema1       = "application/vnd.docker.distribution.manifest.v1+json"
	schema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

// isSchema1 is asked before the digest, which is not that of the bytes: signatures are left
// out of it.
func isSchema1(mediaType string, raw []byte) bool {
	if strings.HasPrefix(mediaType, schema1) || strings.HasPrefix(mediaType, schema1Signed) {
		return true
	}
	var doc struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	return json.Unmarshal(raw, &doc) == nil && doc.SchemaVersion == 1
}

// put copies a manifest, whose children are there, and its blobs. It reports whether it was
// the first to do so in this import.
func (c *repository) put(ctx context.Context, m *manifest.Manifest) (first bool, err error) {
	release, err := c.hold(ctx, m.Digest)
	if err != nil {
		return false, err
	}
	defer release()
	if err, ok := c.outcome(m.Digest); ok {
		return false, err
	}
	err = c.blobs(ctx, m)
	outcome := Copied
	if err == nil {
		_, err = c.to.PutImage(ctx, c.target, m.MediaType, m.Raw, "", m.Digest)
		if errors.Is(err, registry.ErrImageExists) {
			outcome, err = Present, nil
		}
		err = c.judge(err)
	}
	c.settle(ctx, m.Digest, err)
	if err != nil {
		return false, err
	}
	c.did(Manifest, outcome, string(m.Digest), 0)
	return true, nil
}

// blobs copies the blobs of a manifest: all that can be, so that next time one is left that is
// broken.
func (c *repository) blobs(ctx context.Context, m *manifest.Manifest) error {
	var list []manifest.Descriptor
	seen := map[manifest.Digest]bool{}
	for e := range m.Edges() {
		if e.NeedsBlob() && !seen[e.Descriptor.Digest] {
			seen[e.Descriptor.Digest] = true
			list = append(list, *e.Descriptor)
		}
	}
	failures := make(chan error, len(list))
	err := each(ctx, c.limit, list, func(ctx context.Context, d manifest.Descriptor) error {
		err := c.blob(ctx, d)
		if err != nil {
			failures <- fmt.Errorf("blob %s: %w", d.Digest, err)
			return fatal(ctx, err)
		}
		return nil
	})
	if err == nil && len(failures) > 0 {
		err = <-failures
	}
	return err
}

// blob copies a blob, if the target does not have it.
func (c *repository) blob(ctx context.Context, d manifest.Descriptor) error {
	release, err := c.hold(ctx, d.Digest)
	if err != nil {
		return err
	}
	defer release()
	if err, ok := c.outcome(d.Digest); ok {
		return err
	}
	outcome, err := c.provide(ctx, d)
	c.settle(ctx, d.Digest, err)
	if err != nil {
		return err
	}
	size := int64(0)
	if outcome == Copied {
		size = d.Size
	}
	c.did(Blob, outcome, string(d.Digest), size)
	return nil
}

func (c *repository) provide(ctx context.Context, d manifest.Descriptor) (Outcome, error) {
	if has, err := c.to.HasBlob(ctx, c.target, d.Digest); has || err != nil {
		return Present, c.judge(err)
	}
	// from whichever repository has it: this import may have brought it, or one before
	if mounted, err := c.to.MountBlob(ctx, c.target, d.Digest, ""); mounted || err != nil {
		return Mounted, c.judge(err)
	}
	answered, err := c.ask(ctx)
	if err != nil {
		return "", err
	}
	defer answered()
	in, err := c.from.Blob(ctx, c.source, d)
	if err != nil {
		return "", err
	}
	defer in.Close() //nolint:errcheck // it was read to its end, or is of no use
	return Copied, c.judge(c.to.PushBlob(ctx, c.target, d.Digest, in))
}

// tag points the tags of a root to it that point elsewhere, one by one, because a guard may
// refuse to move one of them.
func (c *repository) tag(ctx context.Context, r root, now map[string]manifest.Digest) error {
	if err, _ := c.outcome(r.digest); err != nil {
		if len(r.tags) == 0 {
			return c.failed(ctx, Manifest, string(r.digest), err)
		}
		for _, tag := range r.tags {
			if err := c.failed(ctx, Tag, tag, err); err != nil {
				return err
			}
		}
		return nil
	}
	var m *manifest.Manifest
	for _, tag := range r.tags {
		if now[tag] == r.digest {
			c.did(Tag, Present, tag, 0)
			continue
		}
		var err error
		if m == nil {
			m, err = c.load(ctx, r.digest)
		}
		if err == nil {
			_, err = c.to.PutImage(ctx, c.target, m.MediaType, m.Raw, tag, r.digest)
			err = c.judge(err)
		}
		if err == nil {
			c.did(Tag, Copied, tag, 0)
		} else if err := c.failed(ctx, Tag, tag, err); err != nil {
			return err
		}
	}
	return nil
}
