package memmeta

import (
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// tx implements [meta.Tx] on one state.
type tx struct {
	*state
	writable bool
	after    []func()
}

// Names of the index entries, which lie beside the tables they belong to.
const (
	byID      = "repository.id"
	byDigest  = "tag.digest"
	byOrder   = "tag.order"
	byTime    = "move.sequence"
	byChild   = "edge.child"
	byBlob    = "link.blob"
	bySubject = "manifest.subject"
	byDue     = "review.due"
	byActive  = "upload.active"
	byAccount = "alias.account"
	byLook    = "alias.skeleton"
	byPending = "alias_request.pending"
	byOwner   = "access_key.principal"
)

func (t *tx) Registries() meta.Table[meta.AccountID, meta.Registry] {
	return table[meta.AccountID, meta.Registry]{t, "registry", func(r meta.Registry) meta.AccountID { return r.Account }, nil}
}

func (t *tx) Aliases() meta.Table[meta.AliasName, meta.Alias] {
	return table[meta.AliasName, meta.Alias]{t, "alias", func(r meta.Alias) meta.AliasName { return r.Name }, func(r meta.Alias) []string {
		entries := []string{encode(byAccount, string(r.Account), string(r.Name))}
		if r.Skeleton != "" {
			entries = append(entries, encode(byLook, r.Skeleton, string(r.Name)))
		}
		return entries
	}}
}

func (t *tx) AliasRequests() meta.Table[meta.AliasRequestKey, meta.AliasRequest] {
	key := func(r meta.AliasRequest) meta.AliasRequestKey {
		return meta.AliasRequestKey{Account: r.Account, Alias: r.Alias}
	}
	return table[meta.AliasRequestKey, meta.AliasRequest]{t, "alias_request", key, func(r meta.AliasRequest) []string {
		if r.Status != meta.AliasPending {
			return nil
		}
		return []string{encode(byPending, key(r).Parts()...)}
	}}
}

func (t *tx) RepositoryPolicies() meta.Table[meta.RepositoryID, meta.RepositoryPolicy] {
	return table[meta.RepositoryID, meta.RepositoryPolicy]{t, "repository_policy", func(r meta.RepositoryPolicy) meta.RepositoryID { return r.Repository }, nil}
}

func (t *tx) Catalogs() meta.Table[meta.RepositoryID, meta.Catalog] {
	return table[meta.RepositoryID, meta.Catalog]{t, "catalog", func(r meta.Catalog) meta.RepositoryID { return r.Repository }, nil}
}

func (t *tx) ResourceTags() meta.Table[meta.ResourceTagKey, meta.ResourceTag] {
	return table[meta.ResourceTagKey, meta.ResourceTag]{t, "resource_tag", func(r meta.ResourceTag) meta.ResourceTagKey {
		return meta.ResourceTagKey{Repository: r.Repository, Key: r.Key}
	}, nil}
}

func (t *tx) AccessKeys() meta.Table[meta.AccessKeyID, meta.AccessKey] {
	return table[meta.AccessKeyID, meta.AccessKey]{t, "access_key", func(r meta.AccessKey) meta.AccessKeyID { return r.ID }, func(r meta.AccessKey) []string {
		return []string{encode(byOwner, string(r.Account), r.Principal, string(r.ID))}
	}}
}

func (t *tx) Principals() meta.Table[meta.PrincipalKey, meta.Principal] {
	return table[meta.PrincipalKey, meta.Principal]{t, "principal", func(r meta.Principal) meta.PrincipalKey {
		return meta.PrincipalKey{Account: r.Account, Name: r.Name}
	}, nil}
}

func (t *tx) Counters() meta.Table[meta.CounterKey, meta.Counter] {
	return table[meta.CounterKey, meta.Counter]{t, "counter", meta.Counter.Key, nil}
}

func (t *tx) Repositories() meta.Table[meta.RepositoryKey, meta.Repository] {
	return table[meta.RepositoryKey, meta.Repository]{t, "repository", meta.Repository.Key, func(r meta.Repository) []string {
		return []string{encode(byID, int64(r.ID))}
	}}
}

func (t *tx) Manifests() meta.Table[meta.ManifestKey, meta.Manifest] {
	key := func(m meta.Manifest) meta.ManifestKey {
		return meta.ManifestKey{Repository: m.Repository, Digest: m.Digest}
	}
	return table[meta.ManifestKey, meta.Manifest]{t, "manifest", key, func(m meta.Manifest) []string {
		if m.Subject == "" {
			return nil
		}
		return []string{encode(bySubject, int64(m.Repository), string(m.Subject), string(m.Digest))}
	}}
}

func (t *tx) Edges() meta.Table[meta.EdgeKey, meta.Edge] {
	key := func(e meta.Edge) meta.EdgeKey {
		return meta.EdgeKey{Repository: e.Repository, Parent: e.Parent, Child: e.Child}
	}
	return table[meta.EdgeKey, meta.Edge]{t, "edge", key, func(e meta.Edge) []string {
		return []string{encode(byChild, int64(e.Repository), string(e.Child), string(e.Parent))}
	}}
}

func (t *tx) Tags() meta.Table[meta.TagKey, meta.Tag] {
	key := func(r meta.Tag) meta.TagKey { return meta.TagKey{Repository: r.Repository, Name: r.Name} }
	return table[meta.TagKey, meta.Tag]{t, "tag", key, func(r meta.Tag) []string {
		return []string{
			encode(byDigest, int64(r.Repository), string(r.Digest), r.Name),
			encode(byOrder, int64(r.Repository), manifest.TagOrder(r.Name), r.Name),
		}
	}}
}

func (t *tx) Moves() meta.Table[meta.MoveKey, meta.Move] {
	return table[meta.MoveKey, meta.Move]{t, "move", func(m meta.Move) meta.MoveKey {
		return meta.MoveKey{Repository: m.Repository, Tag: m.Tag, Sequence: m.Sequence}
	}, func(m meta.Move) []string { return []string{encode(byTime, int64(m.Repository), m.Sequence)} }}
}

func (t *tx) Blobs() meta.Table[meta.BlobKey, meta.Blob] {
	return table[meta.BlobKey, meta.Blob]{t, "blob", func(b meta.Blob) meta.BlobKey { return meta.BlobKey(b.Digest) }, nil}
}

func (t *tx) Links() meta.Table[meta.LinkKey, meta.Link] {
	key := func(l meta.Link) meta.LinkKey { return meta.LinkKey{Repository: l.Repository, Digest: l.Digest} }
	return table[meta.LinkKey, meta.Link]{t, "link", key, func(l meta.Link) []string {
		return []string{encode(byBlob, string(l.Digest), int64(l.Repository))}
	}}
}

func (t *tx) Uploads() meta.Table[meta.UploadID, meta.Upload] {
	return table[meta.UploadID, meta.Upload]{t, "upload", func(u meta.Upload) meta.UploadID { return u.ID }, func(u meta.Upload) []string {
		return []string{encode(byActive, u.Active.UnixNano(), string(u.ID))}
	}}
}

func (t *tx) Reviews() meta.Table[meta.ReviewKey, meta.Review] {
	key := func(r meta.Review) meta.ReviewKey {
		return meta.ReviewKey{Kind: r.Kind, Subject: r.Subject, Repository: r.Repository}
	}
	return table[meta.ReviewKey, meta.Review]{t, "review", key, func(r meta.Review) []string {
		return []string{encode(byDue, append([]any{r.Due.UnixNano()}, key(r).Parts()...)...)}
	}}
}

func (t *tx) Events() meta.Table[meta.EventKey, meta.Event] {
	return table[meta.EventKey, meta.Event]{t, "event", func(e meta.Event) meta.EventKey { return meta.EventKey(e.Sequence) }, nil}
}

func (t *tx) Sinks() meta.Table[meta.SinkName, meta.Sink] {
	return table[meta.SinkName, meta.Sink]{t, "sink", func(s meta.Sink) meta.SinkName { return s.Name }, nil}
}

func (t *tx) Stalls() meta.Table[meta.StallKey, meta.Stall] {
	return table[meta.StallKey, meta.Stall]{t, "stall", func(s meta.Stall) meta.StallKey {
		return meta.StallKey{Sink: s.Sink, Repository: s.Repository}
	}, nil}
}

func (t *tx) SigningKeys() meta.Table[meta.KeyID, meta.SigningKey] {
	return table[meta.KeyID, meta.SigningKey]{t, "signing_key", func(k meta.SigningKey) meta.KeyID { return k.ID }, nil}
}

func (t *tx) Records() meta.Table[meta.RecordKey, meta.Record] {
	return table[meta.RecordKey, meta.Record]{t, "record", func(r meta.Record) meta.RecordKey {
		return meta.RecordKey{Namespace: r.Namespace, Key: r.Key}
	}, nil}
}

func (t *tx) AliasesOf(account meta.AccountID) ([]meta.Alias, error) {
	list, _ := scan[meta.Alias](t, encode(byAccount, string(account)), "", -1, false)
	return list, nil
}

func (t *tx) AliasesLike(skeleton string) ([]meta.Alias, error) {
	list, _ := scan[meta.Alias](t, encode(byLook, skeleton), "", -1, false)
	return list, nil
}

func (t *tx) PendingAliases(after meta.AliasRequestKey, limit int) ([]meta.AliasRequest, error) {
	cursor := ""
	if after != (meta.AliasRequestKey{}) {
		cursor = encode(byPending, after.Parts()...)
	}
	list, _ := scan[meta.AliasRequest](t, encode(byPending), cursor, limit, false)
	return list, nil
}

func (t *tx) AccessKeysOf(p meta.PrincipalKey) ([]meta.AccessKey, error) {
	list, _ := scan[meta.AccessKey](t, encode(byOwner, p.Parts()...), "", -1, false)
	return list, nil
}

func (t *tx) RepositoryByID(id meta.RepositoryID) (meta.Repository, error) {
	row, ok := t.rows.Get(encode(byID, int64(id)))
	if !ok {
		return meta.Repository{}, notExist("repository", id)
	}
	return row.(meta.Repository), nil
}

func (t *tx) Linked(repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	if _, err := t.Links().Get(meta.LinkKey{Repository: repo, Digest: d}); err != nil {
		return meta.Blob{}, err
	}
	return t.Blobs().Get(meta.BlobKey(d))
}

func (t *tx) TagsOf(repo meta.RepositoryID, d manifest.Digest, limit int) ([]meta.Tag, error) {
	if limit == 0 {
		limit = -1
	}
	tags, _ := scan[meta.Tag](t, encode(byDigest, int64(repo), string(d)), "", limit, false)
	return tags, nil
}

func (t *tx) TagsInOrder(repo meta.RepositoryID, after string, limit int) ([]meta.Tag, error) {
	cursor := ""
	if after != "" {
		cursor = encode(byOrder, int64(repo), manifest.TagOrder(after), after)
	}
	tags, _ := scan[meta.Tag](t, encode(byOrder, int64(repo)), cursor, limit, false)
	return tags, nil
}

func (t *tx) MovesOf(repo meta.RepositoryID, before int64, limit int) ([]meta.Move, error) {
	cursor := ""
	if before > 0 {
		cursor = encode(byTime, int64(repo), before)
	}
	moves, _ := scan[meta.Move](t, encode(byTime, int64(repo)), cursor, limit, true)
	return moves, nil
}

func (t *tx) Parents(repo meta.RepositoryID, d manifest.Digest, limit int) ([]meta.Edge, error) {
	edges, _ := scan[meta.Edge](t, encode(byChild, int64(repo), string(d)), "", limit, false)
	return edges, nil
}

func (t *tx) LinksOf(d manifest.Digest, after meta.RepositoryID, limit int) ([]meta.Link, error) {
	links, _ := scan[meta.Link](t, encode(byBlob, string(d)), encode(byBlob, string(d), int64(after)), limit, false)
	return links, nil
}

func (t *tx) Referrers(repo meta.RepositoryID, d manifest.Digest, types []string, after manifest.Digest, limit int) (found []meta.Manifest, err error) {
	prefix := encode(bySubject, int64(repo), string(d))
	for cursor := encode(bySubject, int64(repo), string(d), string(after)); len(found) < limit; {
		rows, last := scan[meta.Manifest](t, prefix, cursor, page, false)
		for _, m := range rows {
			if len(found) < limit && (len(types) == 0 || slices.Contains(types, m.ArtifactType)) {
				m.Raw = nil
				found = append(found, m)
			}
		}
		if len(rows) < page {
			break
		}
		cursor = last
	}
	return found, nil
}

func (t *tx) Images(repo meta.RepositoryID, after manifest.Digest, limit int) ([]meta.Manifest, error) {
	cursor := ""
	if after != "" {
		cursor = encode("manifest", int64(repo), string(after))
	}
	list, _ := scan[meta.Manifest](t, encode("manifest", int64(repo)), cursor, limit, false)
	for i := range list {
		list[i].Raw = nil
	}
	return list, nil
}

func (t *tx) CountImages(repo meta.RepositoryID, limit int) (int, error) {
	list, _ := scan[meta.Manifest](t, encode("manifest", int64(repo)), "", limit, false)
	return len(list), nil
}

func (t *tx) CountRepositories(account meta.AccountID, limit int) (int, error) {
	list, _ := scan[meta.Repository](t, encode("repository", string(account)), "", limit, false)
	return len(list), nil
}

func (t *tx) LinkedBytes(account meta.AccountID) (n int64, err error) {
	counted := map[manifest.Digest]bool{}
	repositories, _ := scan[meta.Repository](t, encode("repository", string(account)), "", -1, false)
	for _, r := range repositories {
		links, _ := scan[meta.Link](t, encode("link", int64(r.ID)), "", -1, false)
		for _, l := range links {
			b, err := t.Blobs().Get(meta.BlobKey(l.Digest))
			if err != nil || counted[l.Digest] {
				continue
			}
			counted[l.Digest] = true
			n += b.Size
		}
	}
	return n, nil
}

func (t *tx) Due(now time.Time, limit int) (due []meta.Review, err error) {
	reviews, _ := scan[meta.Review](t, encode(byDue), "", limit, false)
	for _, r := range reviews {
		if !r.Due.After(now) {
			due = append(due, r)
		}
	}
	return due, nil
}

func (t *tx) CountDue(now time.Time, limit int) (int, error) {
	due, err := t.Due(now, limit)
	return len(due), err
}

func (t *tx) IdleUploads(before time.Time, limit int) (idle []meta.Upload, err error) {
	uploads, _ := scan[meta.Upload](t, encode(byActive), "", limit, false)
	for _, u := range uploads {
		if u.Active.Before(before) {
			idle = append(idle, u)
		}
	}
	return idle, nil
}

func (t *tx) NextEvents(after int64, limit int) ([]meta.Event, error) {
	cursor := ""
	if after > 0 {
		cursor = encode("event", after)
	}
	list, _ := scan[meta.Event](t, encode("event"), cursor, limit, false)
	return list, nil
}

func (t *tx) HasSinks() (bool, error) {
	sinks, _ := scan[meta.Sink](t, encode("sink"), "", 1, false)
	return len(sinks) > 0, nil
}

func (t *tx) Sequence() (int64, error) {
	if !t.writable {
		return 0, errReadOnly
	}
	t.sequence++
	return t.sequence, nil
}

func (t *tx) Notify(string) {}

func (t *tx) AfterCommit(f func()) { t.after = append(t.after, f) }
