package registry

import (
	"time"

	"slices"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Quotas bound what an account may have. In each, 0 stands for the default, which is ECR
// Public's (its "Service quotas" page), and less than 0 for no limit.
type Quotas struct {
	Repositories int   // of an account: 10,000
	Images       int   // manifests of a repository: 100,000; each further node may add a 16th
	TagsPerImage int   // 1,000
	LayerParts   int   // parts or chunks of an upload: 1,000 by the control plane
	LayerSize    int64 // bytes of a blob: 10,000 MiB
	Aliases      int   // of an account: those asked for, rejected, active, or given up and still held: 20
}

// unlimited is more than there can be of anything.
const unlimited = 1 << 30

func (q Quotas) resolve() Quotas {
	for _, n := range []struct {
		field    *int
		standard int
	}{
		{&q.Repositories, 10_000}, {&q.Images, 100_000}, {&q.TagsPerImage, 1000}, {&q.LayerParts, 1000}, {&q.Aliases, 20},
	} {
		if *n.field == 0 {
			*n.field = n.standard
		} else if *n.field < 0 {
			*n.field = unlimited
		}
	}
	if q.LayerSize == 0 {
		q.LayerSize = 10_000 << 20
	} else if q.LayerSize < 0 {
		q.LayerSize = 1 << 62
	}
	return q
}

const (
	// rememberedCounts is for how many repositories it is remembered how far they are from
	// their quota.
	rememberedCounts = 8192
	// share is the part of what is left of a quota, as its divisor, that a node uses up before
	// it counts again.
	share = 16
	// fullFor is how long a repository that was found full is not counted again, unless this
	// node deletes something: clients repeat what is refused for a quota.
	fullFor = time.Second
)

// headroom is how far a repository is from its quota of images, as far as this node knows.
type headroom struct {
	left int       // how many this node may add before it counts again
	full time.Time // when the quota was found used up
}

// countImage refuses a manifest that would be one too many. Counting costs what the
// repository is large, so it is done again only once this node's part of what was left
// is used up.
func (r *Registry) countImage(tx meta.Tx, repo meta.RepositoryID, name string) error {
	limit := r.cfg.Quotas.Images
	if limit == unlimited {
		return nil
	}
	full := says(ErrQuota, "the repository %s has %d images, which is the limit; delete some first", name, limit)
	room, ok := r.headroom.Get(repo)
	if ok && room.left > 0 {
		room.left--
		r.headroom.Add(repo, room) // also if the transaction is not committed: it is counted again the sooner
		return nil
	}
	if ok && time.Since(room.full) < fullFor {
		return full
	}
	n, err := tx.CountImages(repo, limit)
	if err != nil {
		return err
	}
	if n >= limit {
		r.headroom.Add(repo, headroom{full: time.Now()})
		return full
	}
	r.headroom.Add(repo, headroom{left: (limit - n - 1) / share})
	return nil
}

// countTag refuses a tag that would be one too many for a manifest.
func (r *Registry) countTag(tx meta.Tx, t meta.Tag) error {
	if r.cfg.Quotas.TagsPerImage == unlimited {
		return nil
	}
	tags, err := tx.TagsOf(t.Repository, t.Digest, 0)
	if err == nil && len(tags) >= r.cfg.Quotas.TagsPerImage && !slices.ContainsFunc(tags, func(o meta.Tag) bool { return o.Name == t.Name }) {
		err = says(ErrQuota, "the image has %d tags, which is the limit", len(tags))
	}
	return err
}

// countRepository refuses a repository that would be one too many for an account.
func (r *Registry) countRepository(tx meta.Tx, account meta.AccountID) error {
	limit := r.cfg.Quotas.Repositories
	if limit == unlimited {
		return nil
	}
	n, err := tx.CountRepositories(account, limit)
	if err == nil && n >= limit {
		err = says(ErrQuota, "the registry has %d repositories, which is the limit", limit)
	}
	return err
}
