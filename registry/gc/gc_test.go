package gc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

const grace = 24 * time.Hour

// ground is a registry whose garbage is collected each minute, in a bubble of time.
type ground struct {
	*registrytest.Server
	t         *testing.T
	collector *gc.Collector
}

func bubble(t *testing.T, f func(g *ground)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := registrytest.New(t, func(c *registry.Config) { c.Grace = grace })
		collector := gc.New(s.Registry, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- collector.Run(ctx) }()
		f(&ground{s, t, collector})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pass lets time go by.
func (g *ground) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// state is what there is.
type state struct{ Blobs, Links, Objects, Uploads, Reviews int }

// state counts, and fails if a blob lacks an object or an object has no row.
func (g *ground) state() (s state) {
	g.t.Helper()
	named := map[string]bool{}
	err := g.Store.View(g.t.Context(), func(tx meta.Tx) error {
		for b, err := range tx.Blobs().Scan(meta.Range[meta.BlobKey]{}) {
			if err != nil {
				return err
			}
			s.Blobs++
			for _, segment := range b.Segments {
				named[segment.Key] = true
				if _, err := g.Bucket.Stat(g.t.Context(), segment.Key); err != nil {
					g.t.Errorf("blob %s: %v", b.Digest, err)
				}
			}
		}
		for _, err := range tx.Links().Scan(meta.Range[meta.LinkKey]{}) {
			if err != nil {
				return err
			}
			s.Links++
		}
		for u, err := range tx.Uploads().Scan(meta.Range[meta.UploadID]{}) {
			if err != nil {
				return err
			}
			s.Uploads++
			named[u.Key] = true
			for _, segment := range u.Segments {
				named[segment.Key] = true
			}
		}
		for r, err := range tx.Reviews().Scan(meta.Range[meta.ReviewKey]{}) {
			if err != nil {
				return err
			}
			s.Reviews++
			if r.Kind == meta.ReviewObject {
				named[r.Subject] = true
			}
		}
		for c, err := range tx.Catalogs().Scan(meta.Range[meta.RepositoryID]{}) {
			if err != nil {
				return err
			}
			named[c.Logo] = true
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	for a, err := range g.Bucket.List(g.t.Context(), "", "") {
		if err != nil {
			g.t.Fatal(err)
		}
		s.Objects++
		if !named[a.Key] {
			g.t.Errorf("the object %s has no row", a.Key)
		}
	}
	return s
}

func (g *ground) want(when string, want state) {
	g.t.Helper()
	if diff := cmp.Diff(want, g.state()); diff != "" {
		g.t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// whole fails unless an image can be pulled with all its blobs.
func (g *ground) whole(name, reference string) {
	g.t.Helper()
	ctx, anyone := g.t.Context(), g.As(auth.Principal{})
	m, err := anyone.Manifest(ctx, name, reference)
	if err != nil {
		g.t.Errorf("%s:%s: %v", name, reference, err)
		return
	}
	for e := range m.Edges() {
		if !e.NeedsBlob() {
			continue
		}
		r, err := anyone.Blob(ctx, name, e.Descriptor.Digest)
		if err != nil {
			g.t.Errorf("%s:%s: %s: %v", name, reference, e.Field(), err)
			continue
		}
		raw, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || manifest.SHA256.FromBytes(raw) != e.Descriptor.Digest {
			g.t.Errorf("%s:%s: %s: %v", name, reference, e.Field(), err)
		}
	}
}

func TestDeletedImages(t *testing.T) {
	bubble(t, func(g *ground) {
		shared := []byte("shared")
		a := g.Push("test/hat", registrytest.Image{Layers: [][]byte{shared, []byte("a")}}, "a")
		g.Push("test/hat", registrytest.Image{Layers: [][]byte{shared, []byte("b")}}, "b")
		g.Push("test/cap", registrytest.Image{Layers: [][]byte{shared}}, "c")
		g.pass(grace + time.Hour)
		g.want("with all images", state{Blobs: 6, Links: 7, Objects: 6}) // three layers and three configurations
		if err := g.Owner().DeleteManifest(g.t.Context(), "test/hat", a.Digest); err != nil {
			g.t.Fatal(err)
		}
		g.pass(grace - time.Minute)
		if s := g.state(); s.Blobs != 6 {
			g.t.Errorf("within the grace: %+v", s)
		}
		g.pass(5 * time.Minute)
		g.want("after the grace", state{Blobs: 4, Links: 5, Objects: 4})
		g.whole("test/hat", "b")
		g.whole("test/cap", "c")
		if got := g.collector.Progress(); got.Links != 2 || got.Blobs != 2 || got.Objects != 2 || got.Failed != 0 || got.Bytes == 0 {
			g.t.Errorf("the progress is %+v", got)
		}
		g.Push("test/hat", registrytest.Image{Layers: [][]byte{shared, []byte("a")}}, "a") // again, as if it had never been
		g.whole("test/hat", "a")
	})
}

func TestPusherAsks(t *testing.T) {
	bubble(t, func(g *ground) {
		layer := []byte("a layer whose manifest comes late")
		d := manifest.SHA256.FromBytes(layer)
		owner, ctx := g.Owner(), g.t.Context()
		if err := owner.PushBlob(ctx, "test/hat", d, bytes.NewReader(layer)); err != nil {
			g.t.Fatal(err)
		}
		for range 3 {
			g.pass(grace - time.Hour)
			if has, err := owner.HasBlob(ctx, "test/hat", d); !has || err != nil {
				g.t.Fatalf("a pusher is told %v, %v", has, err)
			}
		}
		g.pass(grace - time.Hour)
		g.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "late")
		g.pass(3 * grace)
		g.whole("test/hat", "late")
		if has, err := g.As(auth.Principal{}).HasBlob(ctx, "test/hat", manifest.SHA256.FromString("nothing")); has || err != nil {
			g.t.Errorf("%v, %v", has, err)
		}
	})
}

func TestAbandonedUploads(t *testing.T) {
	bubble(t, func(g *ground) {
		g.Push("test/hat", registrytest.Image{}, "1")
		owner, ctx := g.Owner(), g.t.Context()
		id, err := owner.StartLayer(ctx, "test/hat")
		if err != nil {
			g.t.Fatal(err)
		}
		if _, err := owner.PutLayerPart(ctx, "test/hat", id, 0, []byte("some bytes")); err != nil {
			g.t.Fatal(err)
		}
		g.pass(grace - time.Hour)
		if _, err := owner.PutLayerPart(ctx, "test/hat", id, 10, []byte(" and more")); err != nil {
			g.t.Fatal(err)
		}
		g.pass(grace - time.Hour)
		g.want("while somebody may go on", state{Blobs: 1, Links: 1, Objects: 3, Uploads: 1})
		g.pass(2 * time.Hour)
		if _, err := owner.LayerReceived(ctx, "test/hat", id); !errors.Is(err, fs.ErrNotExist) {
			g.t.Errorf("the upload that nobody went on with: %v", err)
		}
		g.pass(grace + time.Hour)
		g.want("at the end", state{Blobs: 1, Links: 1, Objects: 1})
	})
}

func TestDeletedRepositories(t *testing.T) {
	bubble(t, func(g *ground) {
		for i := range 40 {
			g.Push("test/gone", registrytest.Image{Layers: [][]byte{[]byte(fmt.Sprint("layer ", i)), []byte("kept")}}, "a", fmt.Sprint("t", i))
		}
		g.Push("test/stays", registrytest.Image{Layers: [][]byte{[]byte("kept")}}, "a")
		g.pass(grace + time.Hour)
		repo, err := g.Owner().DeleteRepository(g.t.Context(), "test/gone", true)
		if err != nil {
			g.t.Fatal(err)
		}
		g.pass(grace - time.Hour)
		if s := g.state(); s.Objects != 82 { // a backup of the bucket may still be under way
			g.t.Errorf("within the grace: %+v", s)
		}
		g.pass(2 * time.Hour)
		g.want("afterwards", state{Blobs: 2, Links: 2, Objects: 2})
		g.whole("test/stays", "a")
		err = g.Store.View(g.t.Context(), func(tx meta.Tx) error {
			images, err := tx.CountImages(repo.ID, 10)
			tags, err2 := tx.TagsInOrder(repo.ID, "", 10)
			moves, err3 := tx.MovesOf(repo.ID, 0, 10)
			if images+len(tags)+len(moves) > 0 {
				g.t.Errorf("%d images, %d tags and %d moves are left", images, len(tags), len(moves))
			}
			return errors.Join(err, err2, err3)
		})
		if err != nil {
			g.t.Fatal(err)
		}
	})
}

// TestRandom does anything in any order while time goes by: what was acknowledged can be
// pulled whole all the time, and at the end nothing is left that nobody needs.
func TestRandom(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(g *ground) {
				random := rand.New(rand.NewPCG(seed, 7))
				owner, ctx := g.Owner(), g.t.Context()
				type image struct{ repo, tag string }
				have := map[image]manifest.Digest{}
				for step := range 600 {
					i := image{fmt.Sprint("test/r", random.IntN(3)), fmt.Sprint("t", random.IntN(6))}
					switch random.IntN(10) {
					default:
						img := registrytest.Image{}
						for range random.IntN(4) {
							img.Layers = append(img.Layers, fmt.Append(nil, "layer ", random.IntN(12)))
						}
						have[i] = g.Push(i.repo, img, i.tag).Digest
					case 0, 1:
						d, ok := have[i]
						if !ok {
							continue
						}
						if err := owner.DeleteManifest(ctx, i.repo, d); err != nil {
							t.Fatal(err)
						}
						for other, digest := range have {
							if other.repo == i.repo && digest == d {
								delete(have, other)
							}
						}
					case 2:
						if _, ok := have[i]; ok && random.IntN(4) == 0 {
							if _, err := owner.DeleteRepository(ctx, i.repo, true); err != nil {
								t.Fatal(err)
							}
							for other := range have {
								if other.repo == i.repo {
									delete(have, other)
								}
							}
						}
					case 3:
						layer := fmt.Append(nil, "layer ", random.IntN(12))
						from := fmt.Sprint("test/r", random.IntN(3))
						if _, err := owner.MountBlob(ctx, i.repo, manifest.SHA256.FromBytes(layer), from); err != nil && !errors.Is(err, fs.ErrNotExist) {
							t.Fatal(err)
						}
					case 4, 5:
						g.pass(time.Duration(random.Int64N(int64(grace))))
					}
					if step%50 == 0 {
						for i := range have {
							g.whole(i.repo, i.tag)
						}
					}
				}
				g.pass(4 * grace)
				needed := map[manifest.Digest]bool{}
				for i := range have {
					g.whole(i.repo, i.tag)
				}
				for _, name := range []string{"test/r0", "test/r1", "test/r2"} {
					for img, err := range owner.Images(ctx, name, "") {
						if errors.Is(err, fs.ErrNotExist) {
							break
						}
						if err != nil {
							t.Fatal(err)
						}
						m, err := owner.Manifest(ctx, name, string(img.Digest))
						if err != nil {
							t.Fatal(err)
						}
						for e := range m.Edges() {
							needed[e.Descriptor.Digest] = true
						}
					}
				}
				if s := g.state(); s.Blobs != len(needed) || s.Objects != len(needed) || s.Uploads+s.Reviews != 0 {
					t.Errorf("%d blobs are needed, and there is %+v", len(needed), s)
				}
			})
		})
	}
}

// slowBucket takes a second to delete an object.
type slowBucket struct{ storage.Bucket }

func (b slowBucket) Delete(ctx context.Context, key string) error {
	time.Sleep(time.Second)
	return b.Bucket.Delete(ctx, key)
}

func TestProgressSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := registrytest.New(t, func(c *registry.Config) { c.Bucket, c.Grace = slowBucket{c.Bucket}, time.Minute })
		for i := range 40 {
			raw := fmt.Append(nil, "nobody needs it ", i)
			if err := s.Owner().PushBlob(t.Context(), "test/hat", manifest.SHA256.FromBytes(raw), bytes.NewReader(raw)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		if n, err := s.CountGarbage(t.Context(), 1000); n != 40 || err != nil {
			t.Errorf("%d things to look at, %v; want 40", n, err)
		}
		collector := gc.New(s.Registry, &gc.Options{Batch: 4})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- collector.Run(ctx) }()
		time.Sleep(gc.DefaultInterval + 5500*time.Millisecond)
		synctest.Wait()
		got := collector.Progress()
		if !got.Behind || got.Left == 0 || got.Left >= 40 || got.ETA <= 0 || got.ETA > time.Minute {
			t.Errorf("on the way: %+v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := collector.Progress(); got.Behind || got.Left != 0 || got.ETA != 0 || got.Objects != 40 {
			t.Errorf("at the end: %+v", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
