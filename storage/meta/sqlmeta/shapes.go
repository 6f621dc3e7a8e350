package sqlmeta

import (
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// The tables: their columns as in the schema, primary keys first.
var (
	registries = newShape[meta.AccountID, meta.Registry]("registry", 1, "account created display_name verified",
		func(r meta.Registry) []any {
			return []any{string(r.Account), nanos(r.Created), r.DisplayName, r.Verified}
		},
		func(r *meta.Registry) []column {
			return []column{text[meta.AccountID]{&r.Account}, timestamp{&r.Created}, text[string]{&r.DisplayName}, boolean{&r.Verified}}
		})

	aliases = newShape[meta.AliasName, meta.Alias]("alias", 1, "name account status is_default is_primary created skeleton released",
		func(a meta.Alias) []any {
			return []any{string(a.Name), string(a.Account), string(a.Status), a.Default, a.Primary, nanos(a.Created), a.Skeleton, nanos(a.Released)}
		},
		func(a *meta.Alias) []column {
			return []column{
				text[meta.AliasName]{&a.Name}, text[meta.AccountID]{&a.Account}, text[meta.AliasStatus]{&a.Status}, boolean{&a.Default},
				boolean{&a.Primary}, timestamp{&a.Created}, text[string]{&a.Skeleton}, timestamp{&a.Released},
			}
		})

	aliasRequests = newShape[meta.AliasRequestKey, meta.AliasRequest]("alias_request", 2, "account alias status reason challenge requested decided",
		func(r meta.AliasRequest) []any {
			return []any{string(r.Account), string(r.Alias), string(r.Status), r.Reason, r.Challenge, nanos(r.Requested), nanos(r.Decided)}
		},
		func(r *meta.AliasRequest) []column {
			return []column{
				text[meta.AccountID]{&r.Account}, text[meta.AliasName]{&r.Alias}, text[meta.AliasStatus]{&r.Status}, text[string]{&r.Reason},
				text[string]{&r.Challenge}, timestamp{&r.Requested}, timestamp{&r.Decided},
			}
		})

	repositories = newShape[meta.RepositoryKey, meta.Repository]("repository", 2, "account name id visibility created created_by has_policy",
		func(r meta.Repository) []any {
			return []any{string(r.Account), r.Name, int64(r.ID), string(r.Visibility), nanos(r.Created), r.CreatedBy, r.HasPolicy}
		},
		func(r *meta.Repository) []column {
			return []column{
				text[meta.AccountID]{&r.Account}, text[string]{&r.Name}, integer[meta.RepositoryID]{&r.ID},
				text[meta.Visibility]{&r.Visibility}, timestamp{&r.Created}, text[string]{&r.CreatedBy}, boolean{&r.HasPolicy},
			}
		})

	repositoryPolicies = newShape[meta.RepositoryID, meta.RepositoryPolicy]("repository_policy", 1, "repository text changed changed_by",
		func(p meta.RepositoryPolicy) []any {
			return []any{int64(p.Repository), p.Text, nanos(p.Changed), p.ChangedBy}
		},
		func(p *meta.RepositoryPolicy) []column {
			return []column{integer[meta.RepositoryID]{&p.Repository}, text[string]{&p.Text}, timestamp{&p.Changed}, text[string]{&p.ChangedBy}}
		})

	catalogs = newShape[meta.RepositoryID, meta.Catalog]("catalog", 1,
		"repository description architectures operating_systems about usage logo logo_type logo_digest logo_size certified",
		func(c meta.Catalog) []any {
			return []any{
				int64(c.Repository), c.Description, encode(len(c.Architectures), c.Architectures), encode(len(c.OperatingSystems), c.OperatingSystems),
				c.About, c.Usage, c.Logo, c.LogoType, string(c.LogoDigest), c.LogoSize, c.Certified,
			}
		},
		func(c *meta.Catalog) []column {
			return []column{
				integer[meta.RepositoryID]{&c.Repository}, text[string]{&c.Description}, document[[]string]{&c.Architectures},
				document[[]string]{&c.OperatingSystems}, text[string]{&c.About}, text[string]{&c.Usage}, text[string]{&c.Logo},
				text[string]{&c.LogoType}, text[manifest.Digest]{&c.LogoDigest}, integer[int64]{&c.LogoSize}, boolean{&c.Certified},
			}
		})

	resourceTags = newShape[meta.ResourceTagKey, meta.ResourceTag]("resource_tag", 2, "repository key value",
		func(t meta.ResourceTag) []any { return []any{int64(t.Repository), t.Key, t.Value} },
		func(t *meta.ResourceTag) []column {
			return []column{integer[meta.RepositoryID]{&t.Repository}, text[string]{&t.Key}, text[string]{&t.Value}}
		})

	accessKeys = newShape[meta.AccessKeyID, meta.AccessKey]("access_key", 1, "id account principal secret created disabled",
		func(k meta.AccessKey) []any {
			return []any{string(k.ID), string(k.Account), k.Principal, k.Secret, nanos(k.Created), k.Disabled}
		},
		func(k *meta.AccessKey) []column {
			return []column{
				text[meta.AccessKeyID]{&k.ID}, text[meta.AccountID]{&k.Account}, text[string]{&k.Principal}, text[string]{&k.Secret},
				timestamp{&k.Created}, boolean{&k.Disabled},
			}
		})

	principals = newShape[meta.PrincipalKey, meta.Principal]("principal", 2, "account name policies tags",
		func(p meta.Principal) []any {
			return []any{string(p.Account), p.Name, encode(len(p.Policies), p.Policies), encode(len(p.Tags), p.Tags)}
		},
		func(p *meta.Principal) []column {
			return []column{text[meta.AccountID]{&p.Account}, text[string]{&p.Name}, document[map[string]string]{&p.Policies}, document[map[string]string]{&p.Tags}}
		})

	manifests = newShape[meta.ManifestKey, meta.Manifest]("manifest", 2,
		"repository digest media_type artifact_type config_type size image_size platform subject annotations pushed pushed_by raw",
		func(m meta.Manifest) []any {
			return []any{
				int64(m.Repository), string(m.Digest), m.MediaType, m.ArtifactType, m.ConfigType, m.Size, m.ImageSize, m.Platform,
				string(m.Subject), encode(len(m.Annotations), m.Annotations), nanos(m.Pushed), m.PushedBy, m.Raw,
			}
		},
		func(m *meta.Manifest) []column { return append(manifestDest(m), bytes{&m.Raw}) })

	edges = newShape[meta.EdgeKey, meta.Edge]("edge", 3, "repository parent child kind",
		func(e meta.Edge) []any {
			return []any{int64(e.Repository), string(e.Parent), string(e.Child), int64(e.Kind)}
		},
		func(e *meta.Edge) []column {
			return []column{integer[meta.RepositoryID]{&e.Repository}, text[manifest.Digest]{&e.Parent}, text[manifest.Digest]{&e.Child}, integer[manifest.EdgeKind]{&e.Kind}}
		})

	tags = newShape[meta.TagKey, meta.Tag]("tag", 2, "repository name digest moved place",
		func(t meta.Tag) []any {
			return []any{int64(t.Repository), t.Name, string(t.Digest), nanos(t.Moved), manifest.TagOrder(t.Name)}
		},
		func(t *meta.Tag) []column {
			return []column{integer[meta.RepositoryID]{&t.Repository}, text[string]{&t.Name}, text[manifest.Digest]{&t.Digest}, timestamp{&t.Moved}, derived{}}
		})

	moves = newShape[meta.MoveKey, meta.Move]("move", 3, "repository tag sequence from_digest to_digest at by",
		func(m meta.Move) []any {
			return []any{int64(m.Repository), m.Tag, m.Sequence, string(m.From), string(m.To), nanos(m.At), m.By}
		},
		func(m *meta.Move) []column {
			return []column{
				integer[meta.RepositoryID]{&m.Repository}, text[string]{&m.Tag}, integer[int64]{&m.Sequence},
				text[manifest.Digest]{&m.From}, text[manifest.Digest]{&m.To}, timestamp{&m.At}, text[string]{&m.By},
			}
		})

	blobs = newShape[meta.BlobKey, meta.Blob]("blob", 1, "digest size segments created",
		func(b meta.Blob) []any {
			return []any{string(b.Digest), b.Size, encode(len(b.Segments), b.Segments), nanos(b.Created)}
		},
		func(b *meta.Blob) []column {
			return []column{text[manifest.Digest]{&b.Digest}, integer[int64]{&b.Size}, document[[]meta.Segment]{&b.Segments}, timestamp{&b.Created}}
		})

	links = newShape[meta.LinkKey, meta.Link]("link", 2, "repository digest created",
		func(l meta.Link) []any {
			return []any{int64(l.Repository), string(l.Digest), nanos(l.Created)}
		},
		func(l *meta.Link) []column {
			return []column{integer[meta.RepositoryID]{&l.Repository}, text[manifest.Digest]{&l.Digest}, timestamp{&l.Created}}
		})

	uploads = newShape[meta.UploadID, meta.Upload]("upload", 1, "id repository principal algorithm state position segments key started active",
		func(u meta.Upload) []any {
			return []any{
				string(u.ID), int64(u.Repository), u.Principal, string(u.Algorithm), u.State, u.Offset,
				encode(len(u.Segments), u.Segments), u.Key, nanos(u.Started), nanos(u.Active),
			}
		},
		func(u *meta.Upload) []column {
			return []column{
				text[meta.UploadID]{&u.ID}, integer[meta.RepositoryID]{&u.Repository}, text[string]{&u.Principal}, text[manifest.Algorithm]{&u.Algorithm},
				bytes{&u.State}, integer[int64]{&u.Offset}, document[[]meta.Segment]{&u.Segments}, text[string]{&u.Key}, timestamp{&u.Started}, timestamp{&u.Active},
			}
		})

	reviews = newShape[meta.ReviewKey, meta.Review]("review", 3, "kind subject repository due",
		func(r meta.Review) []any {
			return []any{string(r.Kind), r.Subject, int64(r.Repository), nanos(r.Due)}
		},
		func(r *meta.Review) []column {
			return []column{text[meta.ReviewKind]{&r.Kind}, text[string]{&r.Subject}, integer[meta.RepositoryID]{&r.Repository}, timestamp{&r.Due}}
		})

	events = newShape[meta.EventKey, meta.Event]("event", 1, "sequence repository at data",
		func(e meta.Event) []any {
			return []any{e.Sequence, int64(e.Repository), nanos(e.At), e.Data}
		},
		func(e *meta.Event) []column {
			return []column{integer[int64]{&e.Sequence}, integer[meta.RepositoryID]{&e.Repository}, timestamp{&e.At}, bytes{&e.Data}}
		})

	sinks = newShape[meta.SinkName, meta.Sink]("sink", 1, "name cursor",
		func(s meta.Sink) []any { return []any{string(s.Name), s.Cursor} },
		func(s *meta.Sink) []column { return []column{text[meta.SinkName]{&s.Name}, integer[int64]{&s.Cursor}} })

	stalls = newShape[meta.StallKey, meta.Stall]("stall", 2, "sink repository sequence attempts retry reason",
		func(s meta.Stall) []any {
			return []any{string(s.Sink), int64(s.Repository), s.Sequence, s.Attempts, nanos(s.Retry), s.Reason}
		},
		func(s *meta.Stall) []column {
			return []column{
				text[meta.SinkName]{&s.Sink}, integer[meta.RepositoryID]{&s.Repository}, integer[int64]{&s.Sequence},
				integer[int64]{&s.Attempts}, timestamp{&s.Retry}, text[string]{&s.Reason},
			}
		})

	signingKeys = newShape[meta.KeyID, meta.SigningKey]("signing_key", 1, "id algorithm private created",
		func(k meta.SigningKey) []any { return []any{string(k.ID), k.Algorithm, k.Private, nanos(k.Created)} },
		func(k *meta.SigningKey) []column {
			return []column{text[meta.KeyID]{&k.ID}, text[string]{&k.Algorithm}, bytes{&k.Private}, timestamp{&k.Created}}
		})

	counters = newShape[meta.CounterKey, meta.Counter]("counter", 3, "repository name at value",
		func(c meta.Counter) []any { return []any{int64(c.Repository), c.Name, c.At, c.Value} },
		func(c *meta.Counter) []column {
			return []column{integer[meta.RepositoryID]{&c.Repository}, text[string]{&c.Name}, integer[int64]{&c.At}, integer[int64]{&c.Value}}
		})

	records = newShape[meta.RecordKey, meta.Record]("record", 2, "namespace key value",
		func(r meta.Record) []any { return []any{r.Namespace, r.Key, r.Value} },
		func(r *meta.Record) []column {
			return []column{text[string]{&r.Namespace}, text[string]{&r.Key}, bytes{&r.Value}}
		})
)

// manifestDest has the destinations of all columns of manifest but the last, raw.
func manifestDest(m *meta.Manifest) []column {
	return []column{
		integer[meta.RepositoryID]{&m.Repository}, text[manifest.Digest]{&m.Digest}, text[string]{&m.MediaType}, text[string]{&m.ArtifactType},
		text[string]{&m.ConfigType}, integer[int64]{&m.Size}, integer[int64]{&m.ImageSize}, text[string]{&m.Platform}, text[manifest.Digest]{&m.Subject},
		document[map[string]string]{&m.Annotations}, timestamp{&m.Pushed}, text[string]{&m.PushedBy},
	}
}
