package registry

import (
	"strconv"
	"sync/atomic"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// caches hold what pulls read. Manifests and blobs never change; where a name, a tag or a
// link leads does, and every transaction that changes it invalidates the entry before its
// Update returns. Decisions made while pushing never ask them.
type caches struct {
	aliases      *manifest.Cache[string, meta.AccountID]
	repositories *manifest.Cache[meta.RepositoryKey, meta.Repository]
	pulls        *manifest.Cache[pullKey, *pulled]
	links        *manifest.Cache[meta.LinkKey, meta.Blob]
	takedowns    *manifest.Cache[struct{}, struct{}] // holds nothing: it counts changes, for recent
	recent       atomic.Pointer[recentSuspensions]
	shared       bool   // other processes change the store too
	node         string // a name for this one
}

// pullKey is a tag or digest of a repository.
type pullKey struct {
	repository meta.RepositoryID
	reference  string
}

// pulled is a manifest with the headers of its reply.
type pulled struct {
	raw           []byte
	descriptor    manifest.Descriptor
	contentType   []string
	contentLength []string
	digest        []string
	etag          []string
}

func newPulled(m meta.Manifest) *pulled {
	return &pulled{
		raw:           m.Raw,
		descriptor:    manifest.Descriptor{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: m.Digest, Size: m.Size},
		contentType:   []string{m.MediaType},
		contentLength: []string{strconv.FormatInt(m.Size, 10)},
		digest:        []string{string(m.Digest)},
		etag:          []string{`"` + string(m.Digest) + `"`},
	}
}

// newCaches divides a number of bytes: nearly all for manifests.
func newCaches(bytes int64) caches {
	part := bytes / 8
	return caches{
		aliases: manifest.NewCache(part/4, func(a string, id meta.AccountID) int64 { return int64(len(a) + len(id)) }),
		repositories: manifest.NewCache(part, func(k meta.RepositoryKey, r meta.Repository) int64 {
			return int64(200 + len(k.Name) + len(r.Name) + len(r.CreatedBy))
		}),
		pulls: manifest.NewCache(bytes-3*part, func(k pullKey, p *pulled) int64 {
			return int64(600 + len(k.reference) + len(p.raw) + len(p.descriptor.MediaType) + len(p.descriptor.ArtifactType))
		}),
		takedowns: manifest.NewCache(1, func(struct{}, struct{}) int64 { return 0 }),
		links:     manifest.NewCache(part, func(_ meta.LinkKey, b meta.Blob) int64 { return int64(320 + 64*len(b.Segments)) }),
	}
}

// The invalidations, each to be registered by the transaction that changes the row. Other
// processes hear of them; see watch.go.

func (c *caches) forgetAlias(tx meta.Tx, name meta.AliasName) {
	c.forget(tx, forgotten{Alias: string(name)})
}

func (c *caches) forgetRepository(tx meta.Tx, key meta.RepositoryKey) {
	c.forget(tx, forgotten{Account: key.Account, Name: key.Name})
}

func (c *caches) forgetReference(tx meta.Tx, repo meta.RepositoryID, reference string) {
	c.forget(tx, forgotten{Repository: repo, Reference: reference})
}

func (c *caches) forgetLink(tx meta.Tx, repo meta.RepositoryID, d manifest.Digest) {
	c.forget(tx, forgotten{Repository: repo, Link: d})
}
