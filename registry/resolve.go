package registry

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// splitName parts alias/repository at the first slash.
func splitName(name string) (alias, repo string) {
	alias, repo, _ = strings.Cut(name, "/")
	return alias, repo
}

// resolve finds the repository of an operation and, for a pull, the manifest in the same
// statement. What does not exist is left empty: whether the caller may know is not decided
// yet.
func (r *Registry) resolve(ctx context.Context, op *Op) (err error) {
	alias, name := splitName(op.Name)
	if op.local && isAccount(alias) {
		account := meta.AccountID(alias)
		op.byAccount = true
		own, err := r.primaryAlias(ctx, account)
		if err != nil {
			return err
		}
		if own == "" {
			op.account = account // without a registry, so that there are no repositories
			return nil
		}
		alias, op.Name = own, own+"/"+name
	}
	if !op.asks {
		if account, ok := r.caches.aliases.Get(alias); ok {
			if repo, ok := r.caches.repositories.Get(meta.RepositoryKey{Account: account, Name: name}); ok {
				op.account, op.Repository = account, repo
				return nil
			}
		}
	}
	aliases, repositories := r.caches.aliases.Begin(), r.caches.repositories.Begin()
	switch {
	case op.pulls:
		err = r.pull(ctx, op)
	case op.uploadID != "":
		var u meta.Upload
		if op.Repository, u, err = r.store.Upload(ctx, alias, name, op.uploadID); err == nil {
			op.upload = &u
		}
	default:
		op.Repository, err = r.store.Find(ctx, alias, name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	op.account = op.Repository.Account
	switch {
	case op.Repository.ID == 0:
		op.Repository = meta.Repository{}
	case op.Repository.Visibility == meta.Public:
		// others are always asked for, as what does not exist is, so that time tells nothing
		aliases.Add(alias, op.account)
		repositories.Add(op.Repository.Key(), op.Repository)
	}
	return nil
}

// AccountOf returns the account that an active alias belongs to, for the operator.
func (r *Registry) AccountOf(ctx context.Context, alias string) (account string, err error) {
	err = r.store.View(ctx, func(tx meta.Tx) error {
		a, err := tx.Aliases().Get(meta.AliasName(alias))
		if errors.Is(err, fs.ErrNotExist) || err == nil && a.Status != meta.AliasActive {
			return ErrAliasUnknown
		}
		account = string(a.Account)
		return err
	})
	return account, err
}

// isAccount reports whether the first part of a name is an account's id.
func isAccount(s string) bool { return checkAccount(s) == nil }

// primaryAlias returns the alias that an account's registry is shown by, or "" if the
// account has no registry.
func (r *Registry) primaryAlias(ctx context.Context, account meta.AccountID) (name string, err error) {
	err = r.store.View(ctx, func(tx meta.Tx) error {
		list, err := tx.AliasesOf(account)
		name = primary(list)
		return err
	})
	return name, err
}

// primary picks the primary alias, or any that is active.
func primary(list []meta.Alias) (name string) {
	for _, a := range list {
		if a.Status == meta.AliasActive && (a.Primary || name == "") {
			name = string(a.Name)
		}
	}
	return name
}

// pull asks the store for repository and manifest in one statement.
func (r *Registry) pull(ctx context.Context, op *Op) error {
	fill, aliases, repositories := r.caches.pulls.Begin(), r.caches.aliases.Begin(), r.caches.repositories.Begin()
	generation := fill.Generation()
	if generation > 0 {
		generation += aliases.Generation() + repositories.Generation()
	}
	name, ref := op.Name, op.Reference
	found, err := together(ctx, &r.flights, generation, name+" "+ref.String(), func(ctx context.Context) (f found, err error) {
		var m meta.Manifest
		if f, ok := r.kept(name, ref); ok {
			return f, nil // read by others between the look into the cache and this one
		}
		alias, name := splitName(name)
		if f.repository, m, err = r.store.Resolve(ctx, alias, name, ref); err == nil {
			f.id, f.pulled = m.Repository, newPulled(m)
			fill.Add(pullKey{f.id, ref.String()}, f.pulled)
			if f.repository.Visibility == meta.Public {
				aliases.Add(alias, f.repository.Account)
				repositories.Add(f.repository.Key(), f.repository)
			}
		}
		return f, err
	})
	op.missing = errors.Is(err, fs.ErrNotExist)
	if op.Repository.ID == 0 {
		op.Repository = found.repository
	}
	if err != nil {
		return err
	}
	if found.id != op.Repository.ID {
		op.missing = true // another repository has taken the name since it was authorized
		return nil
	}
	op.pulled = found.pulled
	return nil
}

// kept is what the caches have of a pull.
func (r *Registry) kept(name string, ref manifest.Reference) (f found, ok bool) {
	alias, name := splitName(name)
	account, ok := r.caches.aliases.Get(alias)
	if ok {
		f.repository, ok = r.caches.repositories.Get(meta.RepositoryKey{Account: account, Name: name})
	}
	if ok {
		f.id = f.repository.ID
		f.pulled, ok = r.caches.pulls.Get(pullKey{f.id, ref.String()})
	}
	return f, ok
}

// found is what the store knows of a pull.
type found struct {
	repository meta.Repository
	id         meta.RepositoryID // of the manifest's repository
	pulled     *pulled
}

// manifest returns what a pull asks for.
func (r *Registry) manifest(ctx context.Context, op *Op) (*pulled, error) {
	if op.pulled == nil && !op.missing {
		if p, ok := r.caches.pulls.Get(pullKey{op.Repository.ID, op.Reference.String()}); ok {
			op.pulled = p
		} else if err := r.pull(ctx, op); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if op.pulled == nil {
		return nil, manifestUnknown(op)
	}
	if s, err := r.suspended(ctx, Target{Digest: op.pulled.descriptor.Digest}); err != nil {
		return nil, err
	} else if s != nil {
		return nil, s.refuse(manifestUnknown(op))
	}
	op.Descriptor = op.pulled.descriptor
	return op.pulled, nil
}

func manifestUnknown(op *Op) error {
	return says(ErrManifestUnknown, "the repository %s has no manifest %s", op.Name, op.Reference)
}

// blob returns a blob that the repository has a link to.
func (r *Registry) blob(ctx context.Context, op *Op, d manifest.Digest) (meta.Blob, error) {
	if s, err := r.suspended(ctx, Target{Digest: d}); err != nil {
		return meta.Blob{}, err
	} else if s != nil {
		return meta.Blob{}, s.refuse(blobUnknown(op, d))
	}
	key := meta.LinkKey{Repository: op.Repository.ID, Digest: d}
	if !op.asks {
		if b, ok := r.caches.links.Get(key); ok {
			return b, nil
		}
	}
	if op.asks {
		b, err := r.store.Linked(ctx, key.Repository, d)
		return b, known(op, d, err)
	}
	fill := r.caches.links.Begin()
	b, err := together(ctx, &r.flights, fill.Generation(), strconv.FormatInt(int64(key.Repository), 10)+" "+string(d), func(ctx context.Context) (meta.Blob, error) {
		if b, ok := r.caches.links.Get(key); ok {
			return b, nil
		}
		b, err := r.store.Linked(ctx, key.Repository, d)
		if err == nil {
			fill.Add(key, b)
		}
		return b, err
	})
	return b, known(op, d, err)
}

// known turns the store's error about a blob that is not there into the client's.
func known(op *Op, d manifest.Digest, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return blobUnknown(op, d)
	}
	return err
}

// openBlob opens a blob of the operation's repository, ready to be read from an offset. Where an object
// is missing, what was known of the blob may be older than its collection, or than a push
// after that: the store decides.
func (r *Registry) openBlob(ctx context.Context, op *Op, b meta.Blob, first int64) (*storage.Reader, error) {
	for {
		in, err := r.openAt(ctx, b, first)
		if !errors.Is(err, fs.ErrNotExist) {
			return in, err
		}
		now, asked := r.store.Linked(ctx, op.Repository.ID, b.Digest)
		switch {
		case errors.Is(asked, fs.ErrNotExist):
			return nil, blobUnknown(op, b.Digest)
		case asked != nil:
			return nil, asked
		case slices.Equal(now.Segments, b.Segments):
			return nil, err // it is lost
		}
		b = now
	}
}

func (r *Registry) openAt(ctx context.Context, b meta.Blob, first int64) (*storage.Reader, error) {
	in, err := r.blobs.Open(ctx, stored(b))
	if err != nil {
		return nil, err
	}
	if err := in.Ready(first); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func blobUnknown(op *Op, d manifest.Digest) error {
	return says(ErrBlobUnknown, "the repository %s has no blob %s", op.Name, d)
}

// stored is a blob in the words of package storage.
func stored(b meta.Blob) storage.Blob {
	return storage.Blob{Digest: b.Digest, Size: b.Size, Segments: segments(b.Segments)}
}

func segments(list []meta.Segment) []storage.Segment {
	out := make([]storage.Segment, len(list))
	for i, s := range list {
		out[i] = storage.Segment(s)
	}
	return out
}
