package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// The operations of this file are what a gallery needs. Whoever may pull from a repository
// may see all of it, and looking is no pull.

// GalleryTagPrefix is what the keys of those tags of a repository begin with that are for
// everyone to see. Other tags are their owner's alone.
const GalleryTagPrefix = "gallery:"

// maxParsedIndex is the largest index that lists of tags look into, in bytes: a page shows
// many, and there is no need for so many platforms.
const maxParsedIndex = 64 << 10

// How much [Actor.Inspect] tells about, at most: images of an index, and tags that point to
// the manifest, by name.
const (
	MaxChildren      = 200
	MaxInspectedTags = 50
)

// Overview is a repository as everyone sees it who may pull from it.
type Overview struct {
	meta.Repository
	Alias     string // the primary one
	Publisher RegistryInfo
	Catalog   CatalogData
	Tags      map[string]string // those of the repository that begin with [GalleryTagPrefix], without it
	Updated   time.Time         // when one of its image tags was last moved; zero if none was
}

// Publisher returns the registry that an active alias leads to, with its active aliases.
// Aliases are public.
func (a *Actor) Publisher(ctx context.Context, alias string) (info RegistryInfo, err error) {
	err = a.do(ctx, Op{Action: policy.DescribeRegistries, wide: true}, func(ctx context.Context, _ *Op) error {
		err := a.r.store.View(ctx, func(tx meta.Tx) error {
			row, err := tx.Aliases().Get(meta.AliasName(alias))
			if errors.Is(err, fs.ErrNotExist) || err == nil && row.Status != meta.AliasActive {
				return ErrAliasUnknown
			}
			if err == nil {
				info, err = publicRegistry(tx, row.Account)
			}
			return err
		})
		if err != nil {
			return err
		}
		s, err := a.r.suspended(ctx, Target{Alias: alias}, Target{Account: string(info.Account)})
		if s != nil {
			info, err = RegistryInfo{}, s.refuse(ErrAliasUnknown)
		}
		return err
	})
	return info, err
}

// publicRegistry returns a registry without the aliases that are not active.
func publicRegistry(tx meta.Tx, account meta.AccountID) (info RegistryInfo, err error) {
	if info.Registry, err = tx.Registries().Get(account); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	info.Account = account
	list, err := tx.AliasesOf(account)
	for _, alias := range list {
		if alias.Status == meta.AliasActive {
			info.Aliases = append(info.Aliases, alias)
		}
	}
	return info, err
}

// Primary returns the alias that the registry is shown by; "" if it has none.
func (i RegistryInfo) Primary() string { return primary(i.Aliases) }

// RepositoriesUnder returns the names, without the alias, of up to limit repositories of the
// registry that an alias leads to, of those that the actor may pull from, after a name, and
// whether there are more.
func (a *Actor) RepositoriesUnder(ctx context.Context, alias, after string, limit int) (names []string, more bool, err error) {
	info, err := a.Publisher(ctx, alias)
	if err != nil || limit <= 0 {
		return nil, false, err
	}
	err = a.do(ctx, Op{Action: policy.BatchGetImage, wide: true}, func(ctx context.Context, op *Op) error {
		for {
			var rows []meta.Repository
			err := a.r.store.View(ctx, func(tx meta.Tx) error {
				for repo, err := range tx.Repositories().Scan(meta.Range[meta.RepositoryKey]{
					Prefix: meta.RepositoryKey{Account: info.Account}, After: meta.RepositoryKey{Account: info.Account, Name: after}, Limit: limit + 1,
				}) {
					if err != nil {
						return err
					}
					rows = append(rows, repo)
				}
				return nil
			})
			if err != nil {
				return err
			}
			for _, repo := range rows {
				d, err := a.r.permitted(ctx, op, policy.BatchGetImage, repo)
				if err != nil {
					return err
				}
				if d.Effect != policy.Allow {
					continue
				}
				if more = len(names) == limit; more {
					return nil
				}
				names = append(names, repo.Name)
			}
			if len(rows) <= limit {
				return nil
			}
			after = rows[limit].Name
		}
	})
	return names, more, err
}

// Overview returns what everyone sees of a repository.
func (a *Actor) Overview(ctx context.Context, name string) (o Overview, err error) {
	err = a.do(ctx, Op{Action: policy.BatchGetImage, Name: name}, func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) error {
			o = Overview{Repository: op.Repository, Tags: map[string]string{}}
			if o.Publisher, err = publicRegistry(tx, op.Repository.Account); err != nil {
				return err
			}
			o.Alias = o.Publisher.Primary()
			row, err := tx.Catalogs().Get(op.Repository.ID)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			o.Catalog = catalogData(o.Alias+"/"+op.Repository.Name, row)
			tags, err := tagsOf(tx, op.Repository.ID)
			if err != nil {
				return err
			}
			for key, value := range tags {
				if key, ok := strings.CutPrefix(key, GalleryTagPrefix); ok {
					o.Tags[key] = value
				}
			}
			moves, err := tx.MovesOf(op.Repository.ID, 0, 1)
			if len(moves) > 0 {
				o.Updated = moves[0].At
			}
			return err
		})
	})
	return o, err
}

// ListedTag is a tag with the image that it points to.
type ListedTag struct {
	ImageTag
	// Platforms are those of the image, or of the images of an index, as os/architecture.
	Platforms []string
}

// TagsInOrder returns up to limit tags of a repository in the order of manifest.TagOrder,
// after the one of a name, and whether there are more.
func (a *Actor) TagsInOrder(ctx context.Context, name, after string, limit int) (list []ListedTag, more bool, err error) {
	err = a.do(ctx, Op{Action: policy.ListImages, Name: name}, func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) error {
			list = nil
			tags, err := tx.TagsInOrder(op.Repository.ID, after, limit+1)
			if err != nil {
				return err
			}
			if more = len(tags) > limit; more {
				tags = tags[:limit]
			}
			seen := map[manifest.Digest]ListedTag{}
			for _, t := range tags {
				listed, ok := seen[t.Digest]
				if !ok {
					m, err := tx.Manifests().Get(meta.ManifestKey{Repository: op.Repository.ID, Digest: t.Digest})
					if err != nil {
						return err
					}
					listed = ListedTag{ImageTag: ImageTag{Image: summarize(m)}, Platforms: platforms(m)}
					if m.ArtifactType != "" {
						listed.Image.ArtifactType = m.ArtifactType // what a configuration that says nothing is for
					}
					seen[t.Digest] = listed
				}
				listed.Name, listed.Moved = t.Name, t.Moved
				list = append(list, listed)
			}
			return nil
		})
	})
	return list, more, err
}

// platforms returns where an image runs, or those of an index.
func platforms(m meta.Manifest) (list []string) {
	if !manifest.IsIndex(m.MediaType) {
		if m.Platform != "" {
			list = append(list, m.Platform)
		}
		return list
	}
	var index struct {
		Manifests []struct {
			Platform *manifest.Platform `json:"platform"`
		} `json:"manifests"`
	}
	if len(m.Raw) > maxParsedIndex || json.Unmarshal(m.Raw, &index) != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, child := range index.Manifests {
		// BuildKit gives what it attests of an image the platform unknown/unknown
		if s := manifest.PlatformString(child.Platform); s != "" && !strings.HasPrefix(s, "unknown/") && !seen[s] {
			seen[s] = true
			list = append(list, s)
		}
	}
	return list
}

// Inspection is a manifest with what the repository knows of it.
type Inspection struct {
	Image
	Platform string // of an image whose configuration says so
	Manifest *manifest.Manifest
	Children []Child // of an index
}

// Child is an entry of an index.
type Child struct {
	manifest.Descriptor
	Image Image // without its Tags; the zero Image where the repository does not have it
}

// Inspect returns the manifest that a reference names and what it holds. One that is not
// there is [ErrManifestUnknown].
func (a *Actor) Inspect(ctx context.Context, name, reference string) (i Inspection, err error) {
	ref, err := manifest.ParseReference(reference)
	if err != nil {
		return i, err
	}
	err = a.do(ctx, Op{Action: policy.BatchGetImage, Name: name, Reference: ref}, func(ctx context.Context, op *Op) error {
		err := a.r.store.View(ctx, func(tx meta.Tx) error {
			m, err := find(tx, op.Repository.ID, ref)
			if errors.Is(err, fs.ErrNotExist) {
				return manifestUnknown(op)
			}
			if err != nil {
				return err
			}
			i = Inspection{Platform: m.Platform}
			if i.Image, err = describe(tx, m, MaxInspectedTags); err != nil {
				return err
			}
			if i.Manifest, err = manifest.Decode(m.MediaType, m.Raw, m.Digest.Algorithm()); err != nil {
				return err
			}
			for _, d := range i.Manifest.Manifests[:min(len(i.Manifest.Manifests), MaxChildren)] {
				child := Child{Descriptor: d}
				row, err := tx.Manifests().Get(meta.ManifestKey{Repository: op.Repository.ID, Digest: d.Digest})
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				if err == nil {
					child.Image = summarize(row)
				}
				i.Children = append(i.Children, child)
			}
			return nil
		})
		if err != nil {
			return err
		}
		s, err := a.r.suspended(ctx, Target{Digest: i.Manifest.Digest})
		if s != nil {
			i, err = Inspection{}, s.refuse(manifestUnknown(op))
		}
		return err
	})
	return i, err
}

// History returns up to limit moves of a repository's tags, or of one tag if it is not "",
// the last first, before the one with a sequence (0: all), and whether there are more.
func (a *Actor) History(ctx context.Context, name, tag string, before int64, limit int) (moves []meta.Move, more bool, err error) {
	err = a.do(ctx, Op{Action: policy.ListImages, Name: name}, func(ctx context.Context, op *Op) error {
		return a.r.store.View(ctx, func(tx meta.Tx) (err error) {
			moves = nil
			if tag == "" {
				moves, err = tx.MovesOf(op.Repository.ID, before, limit+1)
				return err
			}
			r := meta.Range[meta.MoveKey]{Prefix: meta.MoveKey{Repository: op.Repository.ID, Tag: tag}, Limit: limit + 1, Reverse: true}
			if before > 0 {
				r.After = meta.MoveKey{Repository: op.Repository.ID, Tag: tag, Sequence: before}
			}
			for m, err := range tx.Moves().Scan(r) {
				if err != nil {
					return err
				}
				moves = append(moves, m)
			}
			return nil
		})
	})
	if len(moves) > limit {
		return moves[:limit], true, err
	}
	return moves, false, err
}
