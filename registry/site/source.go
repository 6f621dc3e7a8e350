package site

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

// source is a [gallery.Source] over a registry.
type source struct {
	reg     *registry.Registry
	viewer  func(context.Context) auth.Principal // nil: anonymous
	proof   string
	metrics gallery.Metrics
	digests *lru.Cache[manifest.Digest, string] // where images are
	feeds   bool                                // names may begin with an account's id, which events have and no page
}

var (
	_ gallery.Historian = (*source)(nil)
	_ gallery.Logos     = (*source)(nil)
	_ gallery.Lister    = (*source)(nil)
	_ gallery.Finder    = (*source)(nil)
)

// account is how names begin that only this process may use.
var account = regexp.MustCompile(`^[0-9]{12}(?:/|$)`)

// check refuses names that lead nowhere on a page. An [registry.Actor] takes accounts too.
func (s *source) check(name string) error {
	if !s.feeds && account.MatchString(name) {
		return registry.ErrNameUnknown
	}
	return nil
}

// as returns the actor who looks.
func (s *source) as(ctx context.Context) *registry.Actor {
	if s.viewer == nil {
		return s.reg.As(auth.Principal{})
	}
	return s.reg.As(s.viewer(ctx))
}

// The keys of a repository's tags, after registry.GalleryTagPrefix.
const (
	defaultTagKey = "default-tag"
	deprecatedKey = "deprecated"
	keywordsKey   = "keywords"
)

// Publisher implements [gallery.Source].
func (s *source) Publisher(ctx context.Context, alias string) (gallery.Publisher, error) {
	info, err := s.as(ctx).Publisher(ctx, alias)
	if err != nil {
		return gallery.Publisher{}, err
	}
	return s.publisher(info), nil
}

func (s *source) publisher(info registry.RegistryInfo) gallery.Publisher {
	p := gallery.Publisher{Alias: info.Primary(), Aliases: []string{}, Name: info.DisplayName, Verified: info.Verified, Created: info.Created}
	for _, a := range info.Aliases {
		p.Aliases = append(p.Aliases, string(a.Name))
	}
	if p.Verified {
		p.Proof = s.proof
	}
	return p
}

// Repositories implements [gallery.Source].
func (s *source) Repositories(ctx context.Context, alias, after string, limit int) (list []gallery.Document, more bool, err error) {
	names, more, err := s.as(ctx).RepositoriesUnder(ctx, alias, after, limit)
	for _, name := range names {
		repo, err := s.Repository(ctx, alias+"/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, false, err
		}
		list = append(list, repo.Document)
	}
	return list, more, err
}

// listedTags is among how many tags the one is looked for that is shown first.
const listedTags = 20

// Repository implements [gallery.Source].
func (s *source) Repository(ctx context.Context, name string) (gallery.Repository, error) {
	if err := s.check(name); err != nil {
		return gallery.Repository{}, err
	}
	o, err := s.as(ctx).Overview(ctx, name)
	if err != nil {
		return gallery.Repository{}, err
	}
	return s.describe(ctx, o)
}

// describe puts together what the pages and the index have of a repository.
func (s *source) describe(ctx context.Context, o registry.Overview) (gallery.Repository, error) {
	r := gallery.Repository{
		Publisher: s.publisher(o.Publisher), About: o.Catalog.About, Usage: o.Catalog.Usage, Certified: o.Catalog.Certified,
		Notice: o.Tags[deprecatedKey], DefaultTag: o.Tags[defaultTagKey], Created: o.Created,
		Document: gallery.Document{
			Name: o.Alias + "/" + o.Name, Description: o.Catalog.Description, Text: o.Catalog.About + "\n" + o.Catalog.Usage,
			Keywords: strings.Fields(o.Tags[keywordsKey]),
			Logo:     o.Catalog.LogoURL, Verified: o.Publisher.Verified, Deprecated: o.Tags[deprecatedKey] != "", Updated: o.Updated,
		},
	}
	addPlatforms(&r.Document, o.Catalog.OperatingSystems, o.Catalog.Architectures)
	tags, _, err := s.Tags(ctx, r.Name, "", listedTags)
	if err != nil {
		return r, err
	}
	if r.Tag = r.DefaultTag; r.Tag == "" {
		r.Tag = gallery.DefaultTag(tags)
	}
	for _, t := range tags {
		if s.feeds {
			s.digests.Add(t.Digest, r.Name)
		}
		if t.Name == r.Tag {
			r.Kind = t.Kind
			for _, p := range t.Platforms {
				system, arch, _ := strings.Cut(p, "/")
				arch, _, _ = strings.Cut(arch, "/") // without a variant
				addPlatforms(&r.Document, []string{system}, []string{arch})
			}
		}
	}
	if s.metrics != nil {
		days, err := s.metrics.Pulls(ctx, r.Name, "", countedDays)
		if err != nil {
			return r, err
		}
		for _, d := range days {
			r.Pulls += d.Pulls
		}
	}
	return r, nil
}

// knownDigests is how many images are known by their digests alone: those that tags of
// repositories point to first, of the repositories that changed last.
const knownDigests = 100_000

// Find implements [gallery.Finder].
func (s *source) Find(_ context.Context, d manifest.Digest) (string, error) {
	if name, ok := s.digests.Get(d); ok {
		return name, nil
	}
	return "", registry.ErrManifestUnknown
}

// countedDays is over how many days pulls are added up.
const countedDays = 90

// addPlatforms adds to where a repository's images run, by the names that manifests have:
// publishers may call them as ECR Public does.
func addPlatforms(d *gallery.Document, systems, architectures []string) {
	add := func(list, more []string) []string {
		for _, name := range more {
			if name = gallery.PlatformName(name); name != "" && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
		return list
	}
	d.OperatingSystems, d.Architectures = add(d.OperatingSystems, systems), add(d.Architectures, architectures)
}

// Tags implements [gallery.Source].
func (s *source) Tags(ctx context.Context, name, after string, limit int) (list []gallery.Tag, more bool, err error) {
	if err := s.check(name); err != nil {
		return nil, false, err
	}
	tags, more, err := s.as(ctx).TagsInOrder(ctx, name, after, limit)
	for _, t := range tags {
		list = append(list, gallery.Tag{
			Name: t.Name, Digest: t.Image.Digest, Moved: t.Moved, Pushed: t.Image.Pushed, Size: t.Image.Size,
			Kind: gallery.KindOf(t.Image.ArtifactType), Platforms: t.Platforms,
		})
	}
	return list, more, err
}

// Image implements [gallery.Source].
func (s *source) Image(ctx context.Context, name, reference string) (gallery.Image, error) {
	if err := s.check(name); err != nil {
		return gallery.Image{}, err
	}
	actor := s.as(ctx)
	found, err := actor.Inspect(ctx, name, reference)
	if err != nil {
		return gallery.Image{}, err
	}
	img := gallery.Image{Manifest: found.Manifest, Platform: found.Platform, Size: found.Image.Size, Tags: found.Tags, Pushed: found.Pushed}
	for _, c := range found.Children {
		img.Children = append(img.Children, gallery.Child{Descriptor: c.Descriptor, ImageSize: c.Image.Size})
	}
	if c := found.Manifest.Config; c != nil && c.Size <= manifest.MaxConfig {
		img.Config, err = readConfig(ctx, actor, name, *c)
		if errors.Is(err, fs.ErrNotExist) { // sparse manifests may be allowed
			err = nil
		}
	}
	return img, err
}

func readConfig(ctx context.Context, actor *registry.Actor, name string, d manifest.Descriptor) (raw []byte, err error) {
	r, err := actor.Blob(ctx, name, d.Digest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return io.ReadAll(io.LimitReader(r, manifest.MaxConfig))
}

// History implements [gallery.Historian].
func (s *source) History(ctx context.Context, name, tag, after string, limit int) (list []gallery.Move, next string, err error) {
	if err := s.check(name); err != nil {
		return nil, "", err
	}
	before, err := strconv.ParseInt(after, 36, 64)
	if after != "" && (err != nil || before < 1) {
		return nil, "", nil // no cursor of ours: nothing follows it
	}
	moves, more, err := s.as(ctx).History(ctx, name, tag, before, limit)
	for _, m := range moves {
		list = append(list, gallery.Move{Tag: m.Tag, From: m.From, To: m.To, At: m.At})
	}
	if more {
		next = strconv.FormatInt(moves[len(moves)-1].Sequence, 36)
	}
	return list, next, err
}

// Logo implements [gallery.Logos].
func (s *source) Logo(ctx context.Context, path string) (raw []byte, mediaType string, err error) {
	return s.as(ctx).Logo(ctx, path)
}

// Names implements [gallery.Lister].
func (s *source) Names(ctx context.Context, after string, limit int) (names []string, more bool, err error) {
	for name, err := range s.reg.As(auth.Principal{}).Repositories(ctx, after) {
		if err != nil {
			return nil, false, err
		}
		if len(names) == limit {
			return names, true, nil
		}
		names = append(names, name)
	}
	return names, false, nil
}
