package registry

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// eventTypes are what sinks are told of changes.
var eventTypes = map[ChangeKind]event.Type{
	CreateRepository: event.RepositoryCreated,
	LinkBlob:         event.BlobLinked,
	PutManifest:      event.ManifestPushed,
	MoveTag:          event.TagMoved,
	DeleteTag:        event.TagDeleted,
	DeleteManifest:   event.ManifestDeleted,
	DeleteBlob:       event.BlobDeleted,
	DeleteRepository: event.RepositoryDeleted,
	ChangePolicy:     event.PolicyChanged,
	ChangeCatalog:    event.CatalogChanged,
	ChangeTags:       event.TagsChanged,
	ChangeRegistry:   event.RegistryChanged,
}

// change asks the guards about a change and, if they agree, writes its event into the
// outbox and tells who follows. Every change of a repository goes through here.
func (r *Registry) change(ctx context.Context, tx meta.Tx, op *Op, c *Change) error {
	for _, g := range r.cfg.Guards {
		if err := g.Check(ctx, tx, op, c); err != nil {
			return err
		}
	}
	if op.told == unasked {
		has, err := tx.HasSinks()
		if err != nil {
			return err
		}
		if op.told = nobody; has {
			op.told = somebody
		}
	}
	if op.told == nobody && len(r.followed()) == 0 && !r.caches.shared {
		return nil
	}
	e := event.Event{
		Request: op.RequestID(),
		ID:      rand.Text(), Type: eventTypes[c.Kind], Time: time.Now().UTC(),
		Account: string(op.Repository.Account), Repository: op.Repository.Name, RepositoryID: int64(op.Repository.ID),
		Principal: op.Identity.Principal.String(), Digest: c.Digest, Previous: c.Before, Tag: c.Tag, Size: c.Size,
	}
	if c.Manifest != nil {
		e.MediaType, e.ArtifactType = c.Manifest.MediaType, c.Manifest.ArtifactType
	}
	if op.Remote.IsValid() {
		e.Remote = op.Remote.String()
	}
	if op.told == somebody {
		var err error
		if e.Paths, err = pathsOfChange(tx, op.Repository, c); err != nil {
			return err
		}
	}
	return r.publish(tx, e, op.told == somebody)
}

// pathsOfChange returns what caches are to forget that may keep it for long: what a digest
// named, and what is not everyone's any more.
func pathsOfChange(tx meta.Tx, repo meta.Repository, c *Change) ([]string, error) {
	end := ""
	switch c.Kind {
	case DeleteManifest:
		end = "manifests/" + string(c.Digest)
	case DeleteBlob:
		end = "blobs/" + string(c.Digest)
	case DeleteRepository, ChangePolicy:
	default:
		return nil, nil
	}
	paths, err := pathsOf(tx, Target{Account: string(repo.Account), Repository: repo.Name})
	for i := range paths {
		paths[i] += end
	}
	return paths, err
}

// publish tells who follows of an event, here and on other nodes, once the transaction is
// committed, and writes it into the outbox if there are sinks.
func (r *Registry) publish(tx meta.Tx, e event.Event, sinks bool) error {
	tx.AfterCommit(func() { r.tell(e) })
	if r.caches.shared && e.Type != event.BlobLinked && e.Type != event.BlobDeleted { // of which nobody wants to hear in a hurry
		told := event.Event{ID: e.ID, Type: e.Type, Time: e.Time, Account: e.Account, Repository: e.Repository, RepositoryID: e.RepositoryID, Alias: e.Alias, Tag: e.Tag, Digest: e.Digest}
		tx.Notify(r.caches.message(heard{From: r.caches.node, Event: &told}))
	}
	if !sinks {
		return nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := tx.Sequence()
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	})
	return tx.Events().Put(meta.Event{Sequence: n, Repository: queueOf(e), At: e.Time, Data: data})
}

// queueOf is what an event is kept in order with: those of its repository, or else of its
// account, or takedowns, which must not wait for what anybody else did.
func queueOf(e event.Event) meta.RepositoryID {
	const takedowns = -1
	switch account, err := strconv.ParseInt(e.Account, 10, 64); {
	case e.Type == event.Suspended || e.Type == event.Restored:
		return takedowns
	case e.RepositoryID != 0:
		return meta.RepositoryID(e.RepositoryID)
	case err == nil && account > 1:
		return meta.RepositoryID(-account)
	}
	return 0
}

// update runs a transaction on the operation's repository, which is created within it if
// it does not exist and the operation may do that. It fails if the repository has been
// deleted, or replaced by another of its name, since the operation was authorized.
func (r *Registry) update(ctx context.Context, op *Op, fn func(tx meta.Tx) error, opts ...meta.UpdateOption) error {
	found := op.Repository
	return r.store.Update(ctx, func(tx meta.Tx) error {
		op.Repository, op.found, op.told = found, true, unasked // fn may run again
		_, name := splitName(op.Name)
		repo, err := tx.Repositories().Get(meta.RepositoryKey{Account: op.account, Name: name})
		switch {
		case err == nil && (found.ID == repo.ID || found.ID == 0 && op.creates):
			op.Repository = repo
		case errors.Is(err, fs.ErrNotExist) && found.ID == 0 && op.creates:
			if err := r.create(ctx, tx, op, name, meta.Public); err != nil {
				return err
			}
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nameUnknown(op.Name)
		default:
			return err
		}
		return fn(tx)
	}, opts...)
}

// create puts the operation's repository.
func (r *Registry) create(ctx context.Context, tx meta.Tx, op *Op, name string, v meta.Visibility) error {
	if err := r.CheckRepositoryName(name); err != nil {
		return err
	}
	if err := r.countRepository(tx, op.account); err != nil {
		return err
	}
	if err := r.open(ctx, tx, op); err != nil {
		return err
	}
	op.found = false
	op.Repository = meta.Repository{
		ID: newID(), Account: op.account, Name: name, Visibility: v, Created: time.Now().UTC(), CreatedBy: op.Identity.Principal.String(),
	}
	if err := tx.Repositories().Put(op.Repository); err != nil {
		return err
	}
	r.caches.forgetRepository(tx, op.Repository.Key())
	return r.change(ctx, tx, op, &Change{Kind: CreateRepository})
}

// review queues something to be looked at after the grace.
func (r *Registry) review(tx meta.Tx, kind meta.ReviewKind, repo meta.RepositoryID, subject string) error {
	return tx.Reviews().Put(meta.Review{Kind: kind, Subject: subject, Repository: repo, Due: time.Now().UTC().Add(r.cfg.Grace)})
}

// link gives the operation's repository the right to serve a blob, if it has not yet. A new
// link is queued for review, because the manifest that needs it may never come.
func (r *Registry) link(ctx context.Context, tx meta.Tx, op *Op, b meta.Blob) error {
	key := meta.LinkKey{Repository: op.Repository.ID, Digest: b.Digest}
	if err := r.review(tx, meta.ReviewLink, key.Repository, string(b.Digest)); err != nil {
		return err
	}
	if _, err := tx.Links().Get(key); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.change(ctx, tx, op, &Change{Kind: LinkBlob, Digest: b.Digest, Size: b.Size}); err != nil {
		return err
	}
	return tx.Links().Put(meta.Link{Repository: key.Repository, Digest: key.Digest, Created: time.Now().UTC()})
}

// moveTag points a tag to a manifest, or deletes it where there is none to point to, and
// keeps its history. A tag that points there already is left alone.
func (r *Registry) moveTag(ctx context.Context, tx meta.Tx, op *Op, name string, m *manifest.Manifest) error {
	key := meta.TagKey{Repository: op.Repository.ID, Name: name}
	old, err := tx.Tags().Get(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c := Change{Kind: DeleteTag, Tag: name, Before: old.Digest, Digest: old.Digest}
	var to manifest.Digest
	if m != nil {
		to = m.Digest
		c = Change{Kind: MoveTag, Tag: name, Before: old.Digest, Digest: to, Size: int64(len(m.Raw)), Manifest: m}
	}
	if old.Digest == to {
		return nil
	}
	if err := r.change(ctx, tx, op, &c); err != nil {
		return err
	}
	n, err := tx.Sequence()
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	if m != nil {
		err = tx.Tags().Put(meta.Tag{Repository: key.Repository, Name: name, Digest: to, Moved: now})
	} else {
		err = tx.Tags().Delete(key)
	}
	if err != nil {
		return fmt.Errorf("tag %s: %w", name, err)
	}
	r.caches.forgetReference(tx, key.Repository, name)
	return tx.Moves().Put(meta.Move{
		Repository: key.Repository, Tag: name, Sequence: n, From: old.Digest, To: to, At: now, By: op.Identity.Principal.String(),
	})
}
