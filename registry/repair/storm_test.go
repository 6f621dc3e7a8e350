package repair_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// storm does anything in any order, many at once, while the collector and repair run. What one
// does, another undoes, so that errors are expected; findings are not.
type storm struct {
	*registrytest.Server
	t       *testing.T
	pushed  atomic.Int64
	looks   int
	workers sync.WaitGroup
	wait    func(time.Duration)
}

func (s *storm) run(workers, steps int) {
	ctx := s.t.Context()
	for w := range workers {
		s.workers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 11))
			for range steps {
				s.step(ctx, random)
			}
		})
	}
	var others sync.WaitGroup
	done := make(chan struct{})
	beside := func(f func(), pause time.Duration) {
		others.Go(func() {
			for {
				f()
				select {
				case <-done:
					return
				default:
					s.wait(pause)
				}
			}
		})
	}
	beside(func() {
		if _, _, err := s.Collect(ctx, 50); err != nil {
			s.t.Error(err)
		}
	}, time.Minute)
	beside(func() { s.look(ctx) }, 10*time.Minute)
	s.workers.Wait()
	close(done)
	others.Wait()
	s.look(ctx)
	if s.pushed.Load() < int64(workers*steps/10) {
		s.t.Errorf("only %d images were pushed", s.pushed.Load())
	}
}

// look fails on every finding that is no note. Objects of every age count. Every other time it
// may mend, for which there must be nothing.
func (s *storm) look(ctx context.Context) {
	s.looks++
	mends := s.looks%2 == 0
	o := repair.Options{Mend: mends, MendContent: mends, Age: 1, Serving: s.Registry, Found: func(f repair.Finding) error {
		if !f.Note {
			s.t.Errorf("%+v", f)
		}
		return nil
	}}
	o.SetPages(7, 20)
	if _, err := repair.Run(ctx, s.Store, s.Bucket, repair.Checkpoint{}, &o); err != nil {
		s.t.Error(err)
	}
}

func (s *storm) step(ctx context.Context, random *rand.Rand) {
	owner := s.Owner()
	repo, tag := fmt.Sprint("test/r", random.IntN(3)), fmt.Sprint("t", random.IntN(5))
	layer := func() []byte {
		n := random.IntN(14)
		return bytes.Repeat(fmt.Append(nil, "layer ", n, "; "), 1+n*n*100)
	}
	switch random.IntN(16) {
	default:
		s.image(ctx, repo, tag, layer(), layer())
	case 0, 1:
		if m, err := owner.Manifest(ctx, repo, tag); err == nil {
			owner.DeleteManifest(ctx, repo, m.Digest) //nolint:errcheck // another may have done it
		}
	case 2:
		owner.DeleteTag(ctx, repo, tag) //nolint:errcheck // likewise
	case 3:
		if random.IntN(4) == 0 {
			owner.DeleteRepository(ctx, repo, true) //nolint:errcheck // likewise
		}
	case 4:
		owner.MountBlob(ctx, repo, digestOf(layer()), fmt.Sprint("test/r", random.IntN(3))) //nolint:errcheck // likewise
	case 5:
		owner.DeleteBlob(ctx, repo, digestOf(layer())) //nolint:errcheck // likewise
	case 6:
		img := image.NewGray(image.Rect(0, 0, 60, 60))
		img.Set(random.IntN(60), random.IntN(60), color.White)
		var raw bytes.Buffer
		if err := png.Encode(&raw, img); err != nil {
			s.t.Error(err)
		}
		owner.PutCatalogData(ctx, repo, registry.CatalogData{Logo: raw.Bytes()}) //nolint:errcheck // likewise
	case 7:
		if id, err := owner.StartLayer(ctx, repo); err == nil {
			owner.PutLayerPart(ctx, repo, id, 0, layer()) //nolint:errcheck // left to expire
		}
	case 8: // a client that goes away
		owner.PushBlob(ctx, repo, digestOf([]byte("never")), io.MultiReader(bytes.NewReader(layer()), broken{})) //nolint:errcheck // it must fail
	case 9, 10:
		s.wait(time.Duration(random.Int64N(int64(4 * time.Hour))))
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (s *storm) image(ctx context.Context, repo, tag string, layers ...[]byte) {
	owner := s.Owner()
	config := []byte(`{"os":"linux","architecture":"amd64"}`)
	text := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[`,
		manifest.MediaTypeImage, digestOf(config), len(config))
	for i, l := range append([][]byte{config}, layers...) {
		if owner.PushBlob(ctx, repo, digestOf(l), bytes.NewReader(l)) != nil {
			return
		}
		if i > 1 {
			text = append(text, ',')
		}
		if i > 0 {
			text = fmt.Appendf(text, `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}`, digestOf(l), len(l))
		}
	}
	if _, err := owner.PushManifest(ctx, repo, manifest.MediaTypeImage, append(text, "]}"...), tag); err == nil {
		s.pushed.Add(1)
	}
}

func TestStormInMemory(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := registrytest.New(t, func(c *registry.Config) {
					c.Store, c.Bucket, c.Grace = memmeta.New(), gocloud.New(memblob.OpenBucket(nil)), grace
				})
				s := &storm{Server: server, t: t, wait: time.Sleep}
				s.run(6, 150)
			})
		})
	}
}

// TestStormOnDisk runs in real time, in which only what deleted repositories leave is due.
func TestStormOnDisk(t *testing.T) {
	t.Parallel()
	store, bucket := openDisk(t, t.TempDir())
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		bucket.Close() //nolint:errcheck // it is in a temporary folder
	})
	server := registrytest.New(t, func(c *registry.Config) { c.Store, c.Bucket, c.Grace = store, bucket, grace })
	s := &storm{Server: server, t: t, wait: func(time.Duration) {}}
	s.run(4, 60)
}
