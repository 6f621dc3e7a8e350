package sqlmeta

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// tx implements [meta.Tx].
type tx struct {
	c        *conn
	open     func() (*conn, error) // of a View: begins it when the first question is asked
	writable bool
	wrote    bool
	number   int64 // of the transaction and how many sequences it has drawn, where that makes them
	after    []func()
	messages []string // for other processes
}

func (t *tx) conn() (*conn, error) {
	if t.c == nil {
		c, err := t.open()
		if err != nil {
			return nil, err
		}
		t.c = c
	}
	return t.c, nil
}

func (t *tx) change(what, query string, args ...any) error {
	if !t.writable {
		return errReadOnly
	}
	t.wrote = true
	return t.c.exec(what, query, args...)
}

func (t *tx) Registries() meta.Table[meta.AccountID, meta.Registry] {
	return table[meta.AccountID, meta.Registry]{registries, t}
}

func (t *tx) Aliases() meta.Table[meta.AliasName, meta.Alias] {
	return table[meta.AliasName, meta.Alias]{aliases, t}
}

func (t *tx) AliasRequests() meta.Table[meta.AliasRequestKey, meta.AliasRequest] {
	return table[meta.AliasRequestKey, meta.AliasRequest]{aliasRequests, t}
}

func (t *tx) Repositories() meta.Table[meta.RepositoryKey, meta.Repository] {
	return table[meta.RepositoryKey, meta.Repository]{repositories, t}
}

func (t *tx) RepositoryPolicies() meta.Table[meta.RepositoryID, meta.RepositoryPolicy] {
	return table[meta.RepositoryID, meta.RepositoryPolicy]{repositoryPolicies, t}
}

func (t *tx) Catalogs() meta.Table[meta.RepositoryID, meta.Catalog] {
	return table[meta.RepositoryID, meta.Catalog]{catalogs, t}
}

func (t *tx) ResourceTags() meta.Table[meta.ResourceTagKey, meta.ResourceTag] {
	return table[meta.ResourceTagKey, meta.ResourceTag]{resourceTags, t}
}

func (t *tx) Manifests() meta.Table[meta.ManifestKey, meta.Manifest] {
	return table[meta.ManifestKey, meta.Manifest]{manifests, t}
}

func (t *tx) Edges() meta.Table[meta.EdgeKey, meta.Edge] {
	return table[meta.EdgeKey, meta.Edge]{edges, t}
}

func (t *tx) Tags() meta.Table[meta.TagKey, meta.Tag] {
	return table[meta.TagKey, meta.Tag]{tags, t}
}

func (t *tx) Moves() meta.Table[meta.MoveKey, meta.Move] {
	return table[meta.MoveKey, meta.Move]{moves, t}
}

func (t *tx) Blobs() meta.Table[meta.BlobKey, meta.Blob] {
	return table[meta.BlobKey, meta.Blob]{blobs, t}
}

func (t *tx) Links() meta.Table[meta.LinkKey, meta.Link] {
	return table[meta.LinkKey, meta.Link]{links, t}
}

func (t *tx) Uploads() meta.Table[meta.UploadID, meta.Upload] {
	return table[meta.UploadID, meta.Upload]{uploads, t}
}

func (t *tx) Reviews() meta.Table[meta.ReviewKey, meta.Review] {
	return table[meta.ReviewKey, meta.Review]{reviews, t}
}

func (t *tx) Events() meta.Table[meta.EventKey, meta.Event] {
	return table[meta.EventKey, meta.Event]{events, t}
}

func (t *tx) Sinks() meta.Table[meta.SinkName, meta.Sink] {
	return table[meta.SinkName, meta.Sink]{sinks, t}
}

func (t *tx) Stalls() meta.Table[meta.StallKey, meta.Stall] {
	return table[meta.StallKey, meta.Stall]{stalls, t}
}

func (t *tx) AccessKeys() meta.Table[meta.AccessKeyID, meta.AccessKey] {
	return table[meta.AccessKeyID, meta.AccessKey]{accessKeys, t}
}

func (t *tx) Principals() meta.Table[meta.PrincipalKey, meta.Principal] {
	return table[meta.PrincipalKey, meta.Principal]{principals, t}
}

func (t *tx) SigningKeys() meta.Table[meta.KeyID, meta.SigningKey] {
	return table[meta.KeyID, meta.SigningKey]{signingKeys, t}
}

func (t *tx) Records() meta.Table[meta.RecordKey, meta.Record] {
	return table[meta.RecordKey, meta.Record]{records, t}
}

func (t *tx) Counters() meta.Table[meta.CounterKey, meta.Counter] {
	return table[meta.CounterKey, meta.Counter]{counters, t}
}

func (t *tx) RepositoryByID(id meta.RepositoryID) (r meta.Repository, err error) {
	c, err := t.conn()
	if err != nil {
		return r, err
	}
	err = c.one("repository", "SELECT "+repositories.list()+" FROM repository WHERE id = ?", []any{int64(id)}, repositories.dest(&r)...)
	return r, err
}

func (t *tx) Linked(repo meta.RepositoryID, d manifest.Digest) (b meta.Blob, err error) {
	c, err := t.conn()
	if err != nil {
		return b, err
	}
	err = c.one("blob", linkedBlob, []any{int64(repo), string(d)}, blobs.dest(&b)...)
	return b, err
}

// ask reads all rows that a condition on a table selects.
func ask[K meta.Key, R any](t *tx, s *shape[K, R], condition string, args ...any) ([]R, error) {
	c, err := t.conn()
	if err != nil {
		return nil, err
	}
	return all(c, s.name, "SELECT "+s.list()+" FROM "+s.name+" WHERE "+condition, args, s.dest)
}

// askBy is ask by an index. Left to itself, SQLite takes the primary key for the sake of its
// order, and reads all that a repository has of a table.
func askBy[K meta.Key, R any](t *tx, s *shape[K, R], index, condition string, args ...any) ([]R, error) {
	c, err := t.conn()
	if err != nil {
		return nil, err
	}
	return all(c, s.name, "SELECT "+s.list()+" FROM "+s.name+c.dialect.by(index)+" WHERE "+condition, args, s.dest)
}

func (t *tx) AliasesOf(account meta.AccountID) ([]meta.Alias, error) {
	return ask(t, aliases, "account = ? ORDER BY name", string(account))
}

func (t *tx) AliasesLike(skeleton string) ([]meta.Alias, error) {
	return ask(t, aliases, "skeleton = ? AND skeleton <> '' ORDER BY name", skeleton)
}

func (t *tx) PendingAliases(after meta.AliasRequestKey, limit int) ([]meta.AliasRequest, error) {
	return ask(t, aliasRequests, "status = 'PENDING' AND (account, alias) > (?, ?) ORDER BY account, alias LIMIT ?", string(after.Account), string(after.Alias), limit)
}

func (t *tx) AccessKeysOf(p meta.PrincipalKey) ([]meta.AccessKey, error) {
	return ask(t, accessKeys, "account = ? AND principal = ? ORDER BY id", string(p.Account), p.Name)
}

func (t *tx) Images(repo meta.RepositoryID, after manifest.Digest, limit int) ([]meta.Manifest, error) {
	c, err := t.conn()
	if err != nil {
		return nil, err
	}
	return all(c, "manifest", "SELECT "+manifestColumns+" FROM manifest WHERE repository = ? AND digest > ? ORDER BY digest LIMIT ?",
		[]any{int64(repo), string(after), limit}, manifestDest)
}

func (t *tx) CountImages(repo meta.RepositoryID, limit int) (int, error) {
	return t.count("manifest WHERE repository = ?", int64(repo), limit)
}

func (t *tx) CountRepositories(account meta.AccountID, limit int) (int, error) {
	return t.count("repository WHERE account = ?", string(account), limit)
}

func (t *tx) LinkedBytes(account meta.AccountID) (n int64, err error) {
	c, err := t.conn()
	if err != nil {
		return 0, err
	}
	err = c.one("linked bytes", "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blob WHERE digest IN "+
		"(SELECT link.digest FROM repository JOIN link ON link.repository = repository.id WHERE repository.account = ?)", []any{string(account)}, integer[int64]{&n})
	return n, err
}

func (t *tx) count(of string, key any, limit int) (int, error) {
	c, err := t.conn()
	if err != nil {
		return 0, err
	}
	var n int64
	err = c.one("count", "SELECT count(*) FROM (SELECT 1 FROM "+of+" LIMIT ?) AS counted", []any{key, limit}, integer[int64]{&n})
	return int(n), err
}

func (t *tx) TagsOf(repo meta.RepositoryID, d manifest.Digest, limit int) ([]meta.Tag, error) {
	if limit == 0 {
		limit = math.MaxInt32
	}
	return askBy(t, tags, "tag_digest", "repository = ? AND digest = ? ORDER BY name LIMIT ?", int64(repo), string(d), limit)
}

func (t *tx) TagsInOrder(repo meta.RepositoryID, after string, limit int) ([]meta.Tag, error) {
	place := ""
	if after != "" {
		place = manifest.TagOrder(after)
	}
	return ask(t, tags, "repository = ? AND (place, name) > (?, ?) ORDER BY place, name LIMIT ?", int64(repo), place, after, limit)
}

func (t *tx) MovesOf(repo meta.RepositoryID, before int64, limit int) ([]meta.Move, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	return ask(t, moves, "repository = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?", int64(repo), before, limit)
}

func (t *tx) Parents(repo meta.RepositoryID, d manifest.Digest, limit int) ([]meta.Edge, error) {
	return askBy(t, edges, "edge_child", "repository = ? AND child = ? ORDER BY parent LIMIT ?", int64(repo), string(d), limit)
}

func (t *tx) LinksOf(d manifest.Digest, after meta.RepositoryID, limit int) ([]meta.Link, error) {
	return ask(t, links, "digest = ? AND repository > ? ORDER BY repository LIMIT ?", string(d), int64(after), limit)
}

func (t *tx) Referrers(repo meta.RepositoryID, d manifest.Digest, types []string, after manifest.Digest, limit int) ([]meta.Manifest, error) {
	c, err := t.conn()
	if err != nil {
		return nil, err
	}
	query := "SELECT " + manifestColumns + " FROM manifest WHERE repository = ? AND subject = ? AND subject <> '' AND digest > ?"
	args := []any{int64(repo), string(d), string(after)}
	if len(types) > 0 {
		query += " AND artifact_type IN (" + marks(len(types)) + ")"
		for _, s := range types {
			args = append(args, s)
		}
	}
	return all(c, "manifest", query+" ORDER BY digest LIMIT ?", append(args, limit), manifestDest)
}

func (t *tx) Due(now time.Time, limit int) ([]meta.Review, error) {
	return ask(t, reviews, "due <= ? ORDER BY due, kind, subject, repository LIMIT ?", nanos(now), limit)
}

func (t *tx) CountDue(now time.Time, limit int) (int, error) {
	return t.count("review WHERE due <= ?", nanos(now), limit)
}

func (t *tx) IdleUploads(before time.Time, limit int) ([]meta.Upload, error) {
	// Uploads are few, come and go, and are written with every chunk: an index would cost
	// each of those writes a page.
	return ask(t, uploads, "active < ? ORDER BY active, id LIMIT ?", nanos(before), limit)
}

// manifestColumns are what [manifestDest] reads.
var manifestColumns = strings.TrimSuffix(manifests.list(), ", raw")

func (t *tx) HasSinks() (bool, error) {
	c, err := t.conn()
	if err != nil {
		return false, err
	}
	var n int64
	err = c.one("sink", "SELECT EXISTS (SELECT 1 FROM sink)", nil, integer[int64]{&n})
	return n != 0, err
}

func (t *tx) Sequence() (n int64, err error) {
	if !t.writable {
		return 0, errReadOnly
	}
	t.wrote = true
	if t.c.dialect.sequence != "" {
		err = t.c.one("sequence", t.c.dialect.sequence, nil, integer[int64]{&n})
		return n, err
	}
	if t.number == 0 {
		if err := t.c.one("sequence", transactionNumber, nil, integer[int64]{&t.number}); err != nil {
			return 0, err
		}
		t.number <<= sequenceBits
	}
	t.number++
	return t.number, nil
}

func (t *tx) NextEvents(after int64, limit int) ([]meta.Event, error) {
	c, err := t.conn()
	if err != nil {
		return nil, err
	}
	condition := "sequence > ?"
	if c.dialect.settled != "" {
		condition += " AND " + c.dialect.settled
	}
	return ask(t, events, condition+" ORDER BY sequence LIMIT ?", after, limit)
}

func (t *tx) Notify(message string) {
	if !slices.Contains(t.messages, message) {
		t.messages = append(t.messages, message)
	}
}

func (t *tx) AfterCommit(f func()) { t.after = append(t.after, f) }
