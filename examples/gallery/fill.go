package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// fill does what a publisher would have done over the years, the way a program does it that
// has the registry at hand.
func fill(ctx context.Context, reg *registry.Registry, store meta.Store, who publisher, layers map[string]layer, now time.Time) error {
	if err := reg.AddAlias(ctx, who.account, who.alias); err != nil {
		return err
	}
	actor := reg.As(auth.Principal{Account: who.account, Name: "publisher"})
	if who.another != "" {
		if _, err := actor.RequestAlias(ctx, who.another); err != nil {
			return err
		}
	}
	if err := actor.PutRegistryCatalogData(ctx, who.name); err != nil {
		return err
	}
	if err := reg.SetVerified(ctx, who.account, who.verified); err != nil {
		return err
	}
	oldest := 0
	for i := range who.repositories {
		r := &who.repositories[i]
		oldest = max(oldest, r.age())
		p := &pusher{
			actor: actor, publisher: &who, repository: r, name: who.alias + "/" + r.name, layers: layers,
			pushed: map[manifest.Digest]bool{}, times: map[manifest.Digest]time.Time{},
		}
		row, err := p.create(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if r.certified {
			if err := reg.SetCertified(ctx, p.name, true); err != nil {
				return err
			}
		}
		tags := p.release(ctx, r.releases(now))
		if err := errors.Join(p.err, backdate(ctx, store, row, daysBefore(now, float64(r.age())), p.times, tags)); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return store.Update(ctx, func(tx meta.Tx) error {
		row, err := tx.Registries().Get(meta.AccountID(who.account))
		if err != nil {
			return err
		}
		row.Created = daysBefore(now, float64(oldest+9))
		return tx.Registries().Put(row)
	})
}

// create makes the repository with what its publisher says of it.
func (p *pusher) create(ctx context.Context) (meta.Repository, error) {
	r := p.repository
	logo, err := drawLogo(r.logo)
	if err != nil {
		return meta.Repository{}, err
	}
	tags := map[string]string{}
	for key, value := range map[string]string{"default-tag": r.defaultTag, "deprecated": r.deprecated, "keywords": r.keywords} {
		if value != "" {
			tags[registry.GalleryTagPrefix+key] = value
		}
	}
	return p.actor.CreateRepository(ctx, p.name, &registry.CreateOptions{Tags: tags, Catalog: &registry.CatalogData{
		Description: r.description, About: text(p.publisher.alias, r.name, "about"), Usage: text(p.publisher.alias, r.name, "usage"), Logo: logo,
	}})
}

// tagged is a tag that was made to point to a manifest.
type tagged struct {
	tag    string
	digest manifest.Digest
}

// release pushes releases, and returns when which tag was moved where.
func (p *pusher) release(ctx context.Context, list []release) map[tagged]time.Time {
	push := p.repository.make
	if push == nil {
		push = pushContainer
	}
	times := map[tagged]time.Time{}
	for _, rel := range list {
		d := push(ctx, p, rel)
		var tags []string
		for _, t := range rel.tags {
			tags = append(tags, t.name)
			times[tagged{t.name, d.Digest}] = t.at
		}
		p.tag(ctx, d, tags)
		if p.repository.signed {
			p.sign(ctx, d, rel.at)
		}
	}
	return times
}

// backdate gives the rows of a repository a past. A registry takes every time from the clock,
// so that a program that wants another must go behind its back.
func backdate(ctx context.Context, store meta.Store, repo meta.Repository, created time.Time, pushed map[manifest.Digest]time.Time, tags map[tagged]time.Time) error {
	return store.Update(ctx, func(tx meta.Tx) error {
		repo.Created = created
		if err := tx.Repositories().Put(repo); err != nil {
			return err
		}
		for m, err := range tx.Manifests().Scan(meta.Range[meta.ManifestKey]{Prefix: meta.ManifestKey{Repository: repo.ID}}) {
			if err != nil {
				return err
			}
			m.Pushed = pushed[m.Digest]
			if err := tx.Manifests().Put(m); err != nil {
				return err
			}
		}
		for t, err := range tx.Tags().Scan(meta.Range[meta.TagKey]{Prefix: meta.TagKey{Repository: repo.ID}}) {
			if err != nil {
				return err
			}
			t.Moved = tags[tagged{t.Name, t.Digest}]
			if err := tx.Tags().Put(t); err != nil {
				return err
			}
		}
		for m, err := range tx.Moves().Scan(meta.Range[meta.MoveKey]{Prefix: meta.MoveKey{Repository: repo.ID}}) {
			if err != nil {
				return err
			}
			m.At = tags[tagged{m.Tag, m.To}]
			if err := tx.Moves().Put(m); err != nil {
				return err
			}
		}
		return nil
	})
}
