package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // a logo may be one
	"image/jpeg"
	"image/png"
	"io/fs"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// CatalogData is what the gallery shows of a repository. About and Usage are Markdown.
type CatalogData struct {
	Description      string   // up to 1,024 characters
	Architectures    []string // up to 50, of 1 to 50 characters each
	OperatingSystems []string // likewise
	About, Usage     string   // up to 25,600 characters each
	// Logo is an image to set: PNG, JPEG or GIF of up to 512,000 bytes, with sides of 60 to
	// 2048 pixels. It is decoded and written anew, so that what strangers see is an image
	// and nothing else. Empty removes the one that is set.
	Logo []byte
	// LogoURL is the path of the logo that is set, below the registry's URL; "" for none.
	LogoURL string
	// Certified is the operator's word; it cannot be set here.
	Certified bool
}

// The bounds of catalog data (ECR Public's API model; the sides of a logo by its user guide).
const (
	maxDescription = 1024
	maxMarkdown    = 25600
	maxPlatforms   = 50
	maxPlatform    = 50
	maxLogo        = 512000
	minLogoSide    = 60
	maxLogoSide    = 2048
	maxLogos       = 2 // decoded at once: each takes up to some 64 MB
)

// LogoPath is what the paths of logos begin with.
const LogoPath = "/-/logo/"

// check refuses catalog data that is out of bounds.
func (c *CatalogData) check() error {
	if err := checkText("catalogData.description", c.Description, maxDescription, true); err != nil {
		return err
	}
	if err := checkText("catalogData.aboutText", c.About, maxMarkdown, true); err != nil {
		return err
	}
	if err := checkText("catalogData.usageText", c.Usage, maxMarkdown, true); err != nil {
		return err
	}
	for field, list := range map[string][]string{"architectures": c.Architectures, "operatingSystems": c.OperatingSystems} {
		if len(list) > maxPlatforms {
			return says(ErrCatalogInvalid, "Invalid parameter at 'catalogData.%s' failed to satisfy constraint: 'Member must have length less than or equal to %d'", field, maxPlatforms)
		}
		for _, s := range list {
			if s == "" {
				return says(ErrCatalogInvalid, "Invalid parameter at 'catalogData.%s' failed to satisfy constraint: 'Member must have length greater than or equal to 1'", field)
			}
			if err := checkText("catalogData."+field, s, maxPlatform, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// putter puts rows of what was prepared outside a transaction.
type putter func(ctx context.Context, tx meta.Tx, op *Op) error

// prepareCatalog checks catalog data, stores the logo and returns what puts the row. A logo
// whose row never comes is left for review.
func (r *Registry) prepareCatalog(ctx context.Context, c *CatalogData) (putter, error) {
	if c == nil {
		return func(context.Context, meta.Tx, *Op) error { return nil }, nil
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	row := meta.Catalog{
		Description: c.Description, Architectures: c.Architectures, OperatingSystems: c.OperatingSystems, About: c.About, Usage: c.Usage,
	}
	if len(c.Logo) > 0 {
		select {
		case r.logos <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		raw, mediaType, err := renderLogo(c.Logo)
		<-r.logos
		if err != nil {
			return nil, err
		}
		row.Logo, row.LogoType, row.LogoDigest = storage.NewKey(), mediaType, manifest.SHA256.FromBytes(raw)
		row.LogoSize = int64(len(raw))
		if err := r.store.Update(ctx, func(tx meta.Tx) error { return r.review(tx, meta.ReviewObject, 0, row.Logo) }); err != nil {
			return nil, err
		}
		if _, err := r.blobs.Write(ctx, row.Logo, bytes.NewReader(raw), manifest.SHA256.Hash()); err != nil {
			return nil, fmt.Errorf("logo: %w", err)
		}
	}
	return func(ctx context.Context, tx meta.Tx, op *Op) error {
		row.Repository = op.Repository.ID
		old, err := tx.Catalogs().Get(row.Repository)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		row.Certified = old.Certified
		if old.Logo != "" && old.Logo != row.Logo {
			if err := r.review(tx, meta.ReviewObject, 0, old.Logo); err != nil {
				return err
			}
		}
		if row.Logo != "" {
			if _, err := tx.Reviews().Get(meta.ReviewKey{Kind: meta.ReviewObject, Subject: row.Logo}); err != nil {
				return fmt.Errorf("the logo was collected before its row came: %v", err) // no fs.ErrNotExist for the client
			}
			if err := tx.Reviews().Delete(meta.ReviewKey{Kind: meta.ReviewObject, Subject: row.Logo}); err != nil {
				return err
			}
		}
		if err := tx.Catalogs().Put(row); err != nil {
			return err
		}
		return r.change(ctx, tx, op, &Change{Kind: ChangeCatalog})
	}, nil
}

// renderLogo decodes an image and encodes it again: as JPEG if it is one, else as PNG.
func renderLogo(raw []byte) ([]byte, string, error) {
	invalid := func(format string, args ...any) error {
		return says(ErrCatalogInvalid, "Invalid parameter at 'catalogData.logoImageBlob' failed to satisfy constraint: '"+format+"'", args...)
	}
	if len(raw) > maxLogo {
		return nil, "", invalid("Member must have length less than or equal to %d", maxLogo)
	}
	// the sides are read first: a small file can be a picture of gigabytes
	config, format, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return nil, "", invalid("Member must be an image in PNG, JPEG or GIF format")
	}
	fits := func(size image.Point) bool {
		return min(size.X, size.Y) >= minLogoSide && max(size.X, size.Y) <= maxLogoSide
	}
	if size := image.Pt(config.Width, config.Height); !fits(size) {
		return nil, "", invalid("Member must have sides of %d to %d pixels, it has %dx%d", minLogoSide, maxLogoSide, size.X, size.Y)
	}
	img, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil || !fits(img.Bounds().Size()) { // a GIF's picture may be smaller than its screen
		return nil, "", invalid("Member must be an image that can be decoded, and as large as it says")
	}
	var out bytes.Buffer
	if format == "jpeg" {
		err = jpeg.Encode(&out, img, &jpeg.Options{Quality: 90})
	} else {
		format, err = "png", png.Encode(&out, img)
	}
	return out.Bytes(), "image/" + format, err
}

// CatalogData returns what the gallery shows of a repository; the zero CatalogData where
// nothing was set.
func (a *Actor) CatalogData(ctx context.Context, name string) (c CatalogData, err error) {
	err = a.do(ctx, Op{Action: policy.GetRepositoryCatalogData, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		c, err = a.r.CatalogOf(ctx, op.Repository)
		return err
	})
	return c, err
}

// CatalogOf returns what the gallery shows of a repository, for handlers of the host's own.
func (r *Registry) CatalogOf(ctx context.Context, repo meta.Repository) (c CatalogData, err error) {
	err = r.store.View(ctx, func(tx meta.Tx) error {
		row, err := tx.Catalogs().Get(repo.ID)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		aliases, err := tx.AliasesOf(repo.Account)
		c = catalogData(primary(aliases)+"/"+repo.Name, row)
		return err
	})
	return c, err
}

func catalogData(name string, row meta.Catalog) CatalogData {
	c := CatalogData{
		Description: row.Description, Architectures: row.Architectures, OperatingSystems: row.OperatingSystems,
		About: row.About, Usage: row.Usage, Certified: row.Certified,
	}
	if row.Logo != "" {
		c.LogoURL = LogoPath + name + "/" + row.LogoDigest.Encoded() + "." + strings.TrimPrefix(row.LogoType, "image/")
	}
	return c
}

// PutCatalogData sets what the gallery shows of a repository, in place of what it showed.
func (a *Actor) PutCatalogData(ctx context.Context, name string, c CatalogData) (CatalogData, error) {
	err := a.do(ctx, Op{Action: policy.PutRepositoryCatalogData, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		put, err := a.r.prepareCatalog(ctx, &c)
		if err != nil {
			return err
		}
		if err := a.r.update(ctx, op, func(tx meta.Tx) error { return put(ctx, tx, op) }); err != nil {
			return err
		}
		c, err = a.r.CatalogOf(ctx, op.Repository)
		return err
	})
	return c, err
}

// SetCertified says whether the operator certifies a repository, named as alias/repository.
func (r *Registry) SetCertified(ctx context.Context, name string, certified bool) error {
	alias, rest := splitName(name)
	repo, err := r.store.Find(ctx, alias, rest)
	if err != nil {
		return err
	}
	op := operator(repo.Account)
	op.Repository = repo
	return r.store.Update(ctx, func(tx meta.Tx) error {
		if _, err := tx.RepositoryByID(repo.ID); err != nil {
			return err // deleted since it was found
		}
		op.told = unasked
		row, err := tx.Catalogs().Get(repo.ID)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		row.Repository, row.Certified = repo.ID, certified
		if err := tx.Catalogs().Put(row); err != nil {
			return err
		}
		return r.change(ctx, tx, op, &Change{Kind: ChangeCatalog})
	})
}

// Logo returns the logo that a path leads to, [LogoPath] and what follows it, and its media
// type. Whoever may pull from the repository may see it; its bytes never change.
func (a *Actor) Logo(ctx context.Context, path string) (raw []byte, mediaType string, err error) {
	name, file, ok := cutLast(strings.TrimPrefix(path, LogoPath))
	if alias, _ := splitName(name); !ok || isAccount(alias) {
		return nil, "", nameUnknown(path)
	}
	err = a.do(ctx, Op{Action: policy.BatchGetImage, Name: name}, func(ctx context.Context, op *Op) error {
		var row meta.Catalog
		err := a.r.store.View(ctx, func(tx meta.Tx) (err error) {
			row, err = tx.Catalogs().Get(op.Repository.ID)
			return err
		})
		if errors.Is(err, fs.ErrNotExist) || err == nil && (row.Logo == "" || file != row.LogoDigest.Encoded()+"."+strings.TrimPrefix(row.LogoType, "image/")) {
			return says(ErrBlobUnknown, "the repository %s has no such logo", op.Name)
		}
		if err != nil {
			return err
		}
		mediaType = row.LogoType
		raw, err = a.r.blobs.ReadAll(ctx, storage.Blob{
			Digest: row.LogoDigest, Size: row.LogoSize, Segments: []storage.Segment{{Key: row.Logo, Size: row.LogoSize}},
		})
		return err
	})
	return raw, mediaType, err
}
