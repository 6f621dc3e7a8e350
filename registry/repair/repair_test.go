package repair_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// harm is something that is done to a registry by hand.
type harm struct {
	name string
	do   func(g *ground) []repair.Finding // and what must be found then
	// mends says that both options together leave nothing to be found once the collector has
	// run; else heal does what people do, after which nothing may be left.
	mends bool
	heal  func(g *ground)
}

func pushAgain(g *ground) { g.push() }

var harms = []harm{
	{name: "nothing", do: func(*ground) []repair.Finding { return nil }, mends: true},
	{
		name: "an object is gone",
		do: func(g *ground) []repair.Finding {
			key := g.key(digestOf(layerA), 0)
			g.must(g.Bucket.Delete(g.t.Context(), key))
			return []repair.Finding{{Kind: repair.BlobMissing, Digest: digestOf(layerA), Key: key}}
		},
		heal: pushAgain,
	},
	{
		name: "the second of two objects is gone",
		do: func(g *ground) []repair.Finding {
			key := g.key(digestOf(parts...), 1)
			g.must(g.Bucket.Delete(g.t.Context(), key))
			return []repair.Finding{{Kind: repair.BlobMissing, Digest: digestOf(parts...), Key: key}}
		},
		heal: pushAgain,
	},
	{
		name: "an object of an upload is gone",
		do: func(g *ground) []repair.Finding {
			ctx := g.t.Context()
			id, err := g.Owner().StartLayer(ctx, "test/hat")
			g.must(err)
			for i, part := range parts {
				_, err := g.Owner().PutLayerPart(ctx, "test/hat", id, int64(i*len(parts[0])), part)
				g.must(err)
			}
			var u meta.Upload
			g.view(func(tx meta.Tx) (err error) { u, err = tx.Uploads().Get(id); return err })
			key := u.Segments[0].Key
			g.must(g.Bucket.Delete(ctx, key))
			return []repair.Finding{{Kind: repair.UploadMissing, Name: string(id), Key: key}}
		},
		mends: true,
	},
	{
		name: "an object is cut short",
		do: func(g *ground) []repair.Finding {
			key := g.key(digestOf(layerB), 0)
			g.rewrite(key, func(raw []byte) []byte { return raw[:len(raw)-1] })
			return []repair.Finding{{Kind: repair.BlobSize, Digest: digestOf(layerB), Key: key}}
		},
		heal: pushAgain,
	},
	{
		name: "a bit of a blob of two repositories has turned",
		do: func(g *ground) []repair.Finding {
			key := g.key(digestOf(sharedLayer), 0)
			g.rewrite(key, flip)
			return []repair.Finding{{Kind: repair.BlobCorrupt, Digest: digestOf(sharedLayer), Key: key}}
		},
		// the content comes back to one repository, and heals both
		heal: func(g *ground) {
			g.must(g.Owner().PushBlob(g.t.Context(), "test/cap", digestOf(sharedLayer), bytes.NewReader(sharedLayer)))
		},
	},
	{
		name: "a bit of a blob of two objects has turned",
		do: func(g *ground) []repair.Finding {
			g.rewrite(g.key(digestOf(parts...), 0), flip)
			return []repair.Finding{{Kind: repair.BlobCorrupt, Digest: digestOf(parts...)}}
		},
		heal: pushAgain,
	},
	{
		name: "a blob's row has another size than its objects",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error {
				b, err := tx.Blobs().Get(meta.BlobKey(digestOf(layerB)))
				b.Size++
				return errors.Join(err, tx.Blobs().Put(b))
			})
			return []repair.Finding{{Kind: repair.BlobSize, Digest: digestOf(layerB)}}
		},
		heal: pushAgain,
	},
	{
		name: "a logo is gone",
		do: func(g *ground) []repair.Finding {
			g.must(g.Bucket.Delete(g.t.Context(), g.logo))
			return []repair.Finding{g.ofLogo(repair.LogoMissing)}
		},
		mends: true,
	},
	{
		name: "a bit of a logo has turned",
		do: func(g *ground) []repair.Finding {
			g.rewrite(g.logo, flip)
			return []repair.Finding{g.ofLogo(repair.LogoCorrupt)}
		},
		mends: true,
	},
	{
		name: "a logo is cut short",
		do: func(g *ground) []repair.Finding {
			g.rewrite(g.logo, func(raw []byte) []byte { return raw[1:] })
			return []repair.Finding{g.ofLogo(repair.LogoCorrupt)}
		},
		mends: true,
	},
	{
		name: "objects that nobody knows",
		do: func(g *ground) (want []repair.Finding) {
			for _, key := range []string{storage.NewKey(), storage.NewKey(), "stray.txt", "ab/CDEF0123456789abcdef0123456789ab", "zz"} {
				g.must(g.Bucket.Put(g.t.Context(), key, strings.NewReader("what is this")))
				want = append(want, repair.Finding{Kind: repair.ObjectOrphan, Key: key})
			}
			g.pass(grace + time.Minute)
			g.must(g.Bucket.Put(g.t.Context(), storage.NewKey(), strings.NewReader("too young to be found")))
			return want
		},
		heal: func(g *ground) {
			g.pass(grace + time.Minute)
			g.run(repair.Options{Mend: true})
			g.pass(grace + time.Minute)
		},
	},
	{
		name: "a blob's row is gone",
		do: func(g *ground) []repair.Finding {
			key := g.key(digestOf(sharedLayer), 0)
			g.update(func(tx meta.Tx) error { return tx.Blobs().Delete(meta.BlobKey(digestOf(sharedLayer))) })
			inHat, inCap := g.inHat(repair.LinkWithoutBlob, digestOf(sharedLayer)), g.inCap(repair.LinkWithoutBlob, digestOf(sharedLayer))
			inHat.NeededBy, inCap.NeededBy = min(g.a.Digest, g.b.Digest), g.cap.Digest
			return []repair.Finding{inHat, inCap, {Kind: repair.ObjectOrphan, Key: key}}
		},
		heal: pushAgain,
	},
	{
		name: "a link to nothing",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error {
				return tx.Links().Put(meta.Link{Repository: g.capID.ID, Digest: digestOf([]byte("nothing"))})
			})
			return []repair.Finding{g.inCap(repair.LinkWithoutBlob, digestOf([]byte("nothing")))}
		},
		mends: true,
	},
	{
		name: "a tag of no manifest",
		do: func(g *ground) []repair.Finding {
			d := digestOf([]byte("nothing"))
			g.update(func(tx meta.Tx) error {
				return tx.Tags().Put(meta.Tag{Repository: g.hat.ID, Name: "lost", Digest: d})
			})
			f := g.inHat(repair.TagWithoutManifest, d)
			f.Name = "lost"
			return []repair.Finding{f}
		},
		heal: func(g *ground) { g.must(g.Owner().DeleteTag(g.t.Context(), "test/hat", "lost")) },
	},
	{
		name: "edges of no manifest, and of one that does not refer to that",
		do: func(g *ground) []repair.Finding {
			d := digestOf([]byte("nothing"))
			extra := digestOf([]byte("another"))
			g.update(func(tx meta.Tx) error {
				return errors.Join(
					tx.Edges().Put(meta.Edge{Repository: g.capID.ID, Parent: d, Child: digestOf(sharedLayer), Kind: manifest.EdgeLayer}),
					tx.Edges().Put(meta.Edge{Repository: g.capID.ID, Parent: d, Child: extra, Kind: manifest.EdgeLayer}),
					tx.Edges().Put(meta.Edge{Repository: g.capID.ID, Parent: g.cap.Digest, Child: extra, Kind: manifest.EdgeLayer}),
					tx.Links().Put(meta.Link{Repository: g.capID.ID, Digest: digestOf(layerA)}),
					tx.Edges().Put(meta.Edge{Repository: g.capID.ID, Parent: d, Child: digestOf(layerA), Kind: manifest.EdgeLayer}),
				)
			})
			var want []repair.Finding
			for _, edge := range [][2]manifest.Digest{{d, digestOf(sharedLayer)}, {d, extra}, {g.cap.Digest, extra}, {d, digestOf(layerA)}} {
				f := g.inCap(repair.EdgeWithoutManifest, edge[0])
				f.Child = edge[1]
				want = append(want, f)
			}
			return want
		},
		mends: true,
	},
	{
		name: "a publisher deletes a blob that an image needs",
		do: func(g *ground) []repair.Finding {
			g.must(g.Owner().DeleteBlob(g.t.Context(), "test/hat", digestOf(sharedLayer)))
			first, second := g.inHat(repair.ManifestWithoutBlob, g.a.Digest), g.inHat(repair.ManifestWithoutBlob, g.b.Digest)
			first.Child, second.Child = digestOf(sharedLayer), digestOf(sharedLayer)
			return []repair.Finding{first, second}
		},
		heal: pushAgain,
	},
	{
		name: "a publisher deletes a manifest of an index",
		do: func(g *ground) []repair.Finding {
			g.must(g.Owner().DeleteManifest(g.t.Context(), "test/hat", g.a.Digest))
			f := g.inHat(repair.ManifestWithoutChild, g.index.Digest)
			f.Child = g.a.Digest
			return []repair.Finding{f}
		},
		heal: pushAgain,
	},
	{
		name: "a bit of a manifest has turned",
		do: func(g *ground) []repair.Finding {
			g.change(g.a.Digest, func(m *meta.Manifest) { m.Raw = flip(slices.Clone(m.Raw)) })
			return []repair.Finding{g.inHat(repair.ManifestCorrupt, g.a.Digest)}
		},
		heal: pushAgain,
	},
	{
		name: "a manifest's row has another size",
		do: func(g *ground) []repair.Finding {
			g.change(g.a.Digest, func(m *meta.Manifest) { m.Size-- })
			return []repair.Finding{g.inHat(repair.ManifestSize, g.a.Digest)}
		},
		mends: true,
	},
	{
		name: "a manifest that is none",
		do: func(g *ground) []repair.Finding {
			d := digestOf([]byte("{}"))
			g.update(func(tx meta.Tx) error {
				return tx.Manifests().Put(meta.Manifest{Repository: g.hat.ID, Digest: d, MediaType: manifest.MediaTypeImage, Size: 2, Raw: []byte("{}")})
			})
			return []repair.Finding{g.inHat(repair.ManifestInvalid, d)}
		},
		heal: func(g *ground) {
			g.must(g.Owner().DeleteManifest(g.t.Context(), "test/hat", digestOf([]byte("{}"))))
		},
	},
	{
		name: "an edge is gone, and another is of another kind",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error {
				return errors.Join(
					tx.Edges().Delete(meta.EdgeKey{Repository: g.hat.ID, Parent: g.a.Digest, Child: digestOf(sharedLayer)}),
					tx.Edges().Put(meta.Edge{Repository: g.hat.ID, Parent: g.a.Digest, Child: digestOf(layerA), Kind: manifest.EdgeForeign}),
				)
			})
			gone, other := g.inHat(repair.EdgeMissing, g.a.Digest), g.inHat(repair.EdgeMissing, g.a.Digest)
			gone.Child, other.Child = digestOf(sharedLayer), digestOf(layerA)
			return []repair.Finding{gone, other}
		},
		mends: true,
	},
	{
		name: "the row of a repository is gone",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error { return tx.Repositories().Delete(g.capID.Key()) })
			return []repair.Finding{{Kind: repair.RowsWithoutRepository, RepositoryID: g.capID.ID}}
		},
		mends: true,
	},
	{
		name: "catalog data and a policy of no repository",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error {
				return errors.Join(tx.Catalogs().Put(meta.Catalog{Repository: 7}), tx.RepositoryPolicies().Put(meta.RepositoryPolicy{Repository: 1<<63 - 1}))
			})
			return []repair.Finding{{Kind: repair.RowsWithoutRepository, RepositoryID: 7}, {Kind: repair.RowsWithoutRepository, RepositoryID: 1<<63 - 1}}
		},
		mends: true,
	},
	{
		name: "the row of a registry is gone",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error { return tx.Registries().Delete(registrytest.Account) })
			return []repair.Finding{{Kind: repair.AliasWithoutRegistry, Account: registrytest.Account, Name: registrytest.Alias}}
		},
		mends: true,
	},
	{
		name: "a registry that nothing leads to",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error {
				return errors.Join(tx.Registries().Put(meta.Registry{Account: "210987654321"}),
					tx.Aliases().Put(meta.Alias{Name: "given-up", Account: "210987654321", Status: meta.AliasReleased}))
			})
			return []repair.Finding{{Kind: repair.RegistryWithoutAlias, Account: "210987654321"}}
		},
		heal: func(g *ground) { g.must(g.AddAlias(g.t.Context(), "210987654321", "another")) },
	},
	{
		name: "links that nobody needs",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error {
				return errors.Join(
					tx.Links().Put(meta.Link{Repository: g.capID.ID, Digest: digestOf(layerA)}),
					tx.Links().Put(meta.Link{Repository: g.capID.ID, Digest: digestOf(layerB)}),
					// a manifest that it is the subject of does not need it
					tx.Edges().Put(meta.Edge{Repository: g.hat.ID, Parent: g.artifact.Digest, Child: g.index.Digest, Kind: manifest.EdgeSubject}),
				)
			})
			return []repair.Finding{g.inCap(repair.LinkUnneeded, digestOf(layerA)), g.inCap(repair.LinkUnneeded, digestOf(layerB))}
		},
		mends: true,
	},
	{
		name: "a blob that no repository has",
		do: func(g *ground) []repair.Finding {
			raw, key := []byte("nobody's"), storage.NewKey()
			g.must(g.Bucket.Put(g.t.Context(), key, bytes.NewReader(raw)))
			g.update(func(tx meta.Tx) error {
				return tx.Blobs().Put(meta.Blob{Digest: digestOf(raw), Size: int64(len(raw)), Segments: []meta.Segment{{Key: key, Size: int64(len(raw))}}})
			})
			return []repair.Finding{{Kind: repair.BlobUnlinked, Digest: digestOf(raw)}}
		},
		mends: true,
	},
	{
		name: "what is needed waits to be deleted",
		do: func(g *ground) []repair.Finding {
			key := g.key(digestOf(parts...), 1)
			g.update(func(tx meta.Tx) error {
				due := time.Now().Add(grace).UTC()
				return errors.Join(tx.Reviews().Put(meta.Review{Kind: meta.ReviewObject, Subject: key, Due: due}),
					tx.Reviews().Put(meta.Review{Kind: meta.ReviewObject, Subject: g.logo, Due: due}))
			})
			return []repair.Finding{{Kind: repair.ObjectDoomed, Digest: digestOf(parts...), Key: key}, g.ofLogo(repair.ObjectDoomed)}
		},
		mends: true,
	},
	{
		name: "a blob whose digest is none",
		do: func(g *ground) []repair.Finding {
			g.update(func(tx meta.Tx) error {
				return errors.Join(tx.Blobs().Put(meta.Blob{Digest: "md5:abc"}), tx.Links().Put(meta.Link{Repository: g.capID.ID, Digest: "md5:abc"}))
			})
			return []repair.Finding{g.inCap(repair.LinkUnneeded, "md5:abc"), {Kind: repair.BlobCorrupt, Digest: "md5:abc"}}
		},
		mends: true,
	},
}

func (g *ground) ofLogo(k repair.Kind) repair.Finding {
	f := g.inHat(k, "")
	f.Key = g.logo
	g.view(func(tx meta.Tx) error {
		c, err := tx.Catalogs().Get(g.hat.ID)
		f.Digest = c.LogoDigest
		return err
	})
	return f
}

// change changes the row of a manifest of test/hat.
func (g *ground) change(d manifest.Digest, f func(*meta.Manifest)) {
	g.t.Helper()
	g.update(func(tx meta.Tx) error {
		m, err := tx.Manifests().Get(meta.ManifestKey{Repository: g.hat.ID, Digest: d})
		if err != nil {
			return err
		}
		f(&m)
		return tx.Manifests().Put(m)
	})
}

func TestHarms(t *testing.T) {
	t.Parallel()
	for _, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			worlds(t, func(g *ground) {
				g.allWhole()
				want := h.do(g)
				before := g.everything()
				g.want("found", want, g.run(repair.Options{}))
				if diff := cmp.Diff(before, g.everything()); diff != "" {
					g.t.Errorf("looking has changed something (-before +after):\n%s", diff)
				}
				both := repair.Options{Mend: true, MendContent: true}
				mended := g.run(both)
				for _, f := range mended {
					if f.Mended != (isMendable(f.Kind) && f.NeededBy == "") {
						g.t.Errorf("mended is %v of %+v", f.Mended, f)
					}
				}
				g.pass(grace + time.Minute)
				if h.heal != nil {
					h.heal(g)
				}
				g.want("at the end", nil, g.run(repair.Options{}))
				if h.name != "the row of a repository is gone" {
					g.allWhole()
				}
			})
		})
	}
}

func isMendable(k repair.Kind) bool {
	return !slices.Contains([]repair.Kind{repair.RegistryWithoutAlias, repair.TagWithoutManifest, repair.ManifestInvalid, repair.ManifestWithoutBlob, repair.ManifestWithoutChild}, k)
}

// TestOptionsApart holds that each option mends what is its own and nothing else.
func TestOptionsApart(t *testing.T) {
	t.Parallel()
	content := []repair.Kind{repair.ManifestCorrupt, repair.BlobMissing, repair.BlobSize, repair.BlobCorrupt, repair.LogoMissing, repair.LogoCorrupt}
	for _, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGround(t, memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), "")
				h.do(g)
				for _, o := range []repair.Options{{Mend: true}, {MendContent: true}} {
					for _, f := range g.run(o) {
						if f.Mended && slices.Contains(content, f.Kind) != o.MendContent {
							t.Errorf("%+v mended %+v", o, f)
						}
					}
				}
			})
		})
	}
}

// TestLostContent follows a client through what MendContent is for.
func TestLostContent(t *testing.T) {
	t.Parallel()
	worlds(t, func(g *ground) {
		ctx, owner, d := g.t.Context(), g.Owner(), digestOf(layerB)
		g.whole("test/hat", "b") // so that where the blob is, is in caches
		key := g.key(d, 0)
		g.rewrite(key, flip)
		g.must(owner.PushBlob(ctx, "test/hat", d, bytes.NewReader(layerB)))
		if g.key(d, 0) != key {
			g.t.Error("a push replaces damaged content by itself; MendContent is not needed any more")
		}
		if has, err := owner.HasBlob(ctx, "test/hat", d); !has || err != nil {
			g.t.Errorf("before: %v, %v", has, err)
		}
		g.run(repair.Options{MendContent: true})
		if has, err := owner.HasBlob(ctx, "test/hat", d); has || err != nil {
			g.t.Errorf("a pusher is told %v, %v", has, err)
		}
		if _, err := owner.Blob(ctx, "test/hat", d); !errors.Is(err, registry.ErrBlobUnknown) {
			g.t.Errorf("who pulls is told %v", err)
		}
		missing := g.inHat(repair.LinkWithoutBlob, d)
		missing.NeededBy = g.b.Digest
		g.want("while it is not pushed", []repair.Finding{missing}, g.run(repair.Options{Mend: true, MendContent: true}))
		g.must(owner.PushBlob(ctx, "test/hat", d, bytes.NewReader(layerB)))
		g.whole("test/hat", "b")
		g.pass(grace + time.Minute)
		g.allWhole()
		g.want("at the end", nil, g.run(repair.Options{}))
		if _, err := g.Bucket.Stat(ctx, key); err == nil {
			g.t.Error("the damaged object was not collected")
		}
	})
}

// TestUnreadable holds that a bucket which fails is not taken for one that has lost its bytes.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faulty := &storagetest.Faulty{Bucket: gocloud.New(memblob.OpenBucket(nil))}
		g := newGround(t, memmeta.New(), faulty, "")
		before := g.everything()
		for _, faults := range []storagetest.Faults{
			{Get: errors.New("the network is down")}, {GetError: errors.New("a bad sector"), GetAfter: 1}, {GetError: context.DeadlineExceeded},
		} {
			faulty.Set(faults)
			kinds := map[repair.Kind]int{}
			for _, f := range g.run(repair.Options{Mend: true, MendContent: true}) {
				kinds[f.Kind]++
				if f.Mended {
					t.Errorf("mended %+v", f)
				}
			}
			if diff := cmp.Diff(map[repair.Kind]int{repair.BlobUnreadable: 8, repair.LogoUnreadable: 1}, kinds); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", faults, diff)
			}
		}
		faulty.Set(storagetest.Faults{})
		if diff := cmp.Diff(before, g.everything()); diff != "" {
			t.Errorf("something has changed (-before +after):\n%s", diff)
		}
	})
}

// once is a bucket one of whose objects is read wrongly the first time.
type once struct {
	storage.Bucket
	key string
}

func (b *once) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	o, err := b.Bucket.Get(ctx, key, off, n)
	if err != nil || key != b.key {
		return o, err
	}
	b.key = ""
	return garbled{o}, nil
}

type garbled struct{ storage.Object }

func (o garbled) Read(p []byte) (int, error) {
	n, err := o.Object.Read(p)
	if n > 0 {
		p[0] ^= 1
	}
	return n, err
}

func TestGarbledOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := &once{Bucket: gocloud.New(memblob.OpenBucket(nil))}
		g := newGround(t, memmeta.New(), bucket, "")
		bucket.key = g.key(digestOf(layerA), 0)
		g.want("read wrongly once", nil, g.run(repair.Options{Mend: true, MendContent: true}))
	})
}

// TestOtherBucket holds that a mistake in naming the bucket or the database costs nothing.
func TestOtherBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mine := newGround(t, memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), "")
		fresh := registrytest.New(t)
		fresh.Push("test/other", registrytest.Image{Layers: [][]byte{[]byte("other")}}, "v1")
		time.Sleep(2 * grace)
		for _, c := range []struct {
			store  meta.Store
			bucket storage.Bucket
			ok     bool
		}{
			{mine.Store, fresh.Bucket, false},
			{fresh.Store, mine.Bucket, false},
			{memmeta.New(), mine.Bucket, false},
			{memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), true},
			{mine.Store, mine.Bucket, true},
			{mine.Store, gocloud.New(memblob.OpenBucket(nil)), true}, // all is lost; it comes last
		} {
			for _, o := range []repair.Options{{}, {Mend: true}, {MendContent: true}} {
				sum, err := repair.Run(t.Context(), c.store, c.bucket, repair.Checkpoint{}, &o)
				if mends := o.Mend || o.MendContent; (err == nil) != (c.ok || !mends) {
					t.Errorf("%+v, %+v: %v", o, sum, err)
				} else if err != nil && len(sum.Mended) > 0 {
					t.Errorf("mended %+v", sum)
				}
			}
		}
		if _, err := fresh.Owner().Manifest(t.Context(), "test/other", "v1"); err != nil {
			t.Error(err)
		}
	})
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	store, bucket := memmeta.New(), gocloud.New(memblob.OpenBucket(nil))
	for _, c := range []struct {
		after repair.Checkpoint
		opts  repair.Options
		want  string
	}{
		{opts: repair.Options{Age: -1}, want: "negative"},
		{opts: repair.Options{BytesPerSecond: -1}, want: "negative"},
		{after: repair.Checkpoint{Phase: "dreams"}, want: `"dreams"`},
		{after: repair.Checkpoint{Phase: "tags", After: []byte(`"x"`)}, want: "checkpoint"},
	} {
		if _, err := repair.Run(t.Context(), store, bucket, c.after, &c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sum, err := repair.Run(ctx, store, bucket, repair.Checkpoint{}, nil); !errors.Is(err, context.Canceled) || sum.Complete {
		t.Errorf("%+v, %v", sum, err)
	}
	stop := errors.New("enough")
	if _, err := repair.Run(t.Context(), store, bucket, repair.Checkpoint{}, &repair.Options{Reached: func(repair.Checkpoint) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("Reached: %v", err)
	}
}

func TestEveryKindIsHarmed(t *testing.T) {
	t.Parallel()
	found := map[repair.Kind]bool{repair.BlobUnreadable: true, repair.LogoUnreadable: true} // TestUnreadable
	synctest.Test(t, func(t *testing.T) {
		for _, h := range harms {
			for _, f := range h.do(newGround(t, memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), "")) {
				found[f.Kind] = true
			}
		}
	})
	for _, k := range repair.Kinds() {
		if !found[k] {
			t.Errorf("no test finds %s", k)
		}
	}
}
