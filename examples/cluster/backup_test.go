//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/internal/s3test"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage"
)

// openTest opens a node whose collector the test runs itself, with the grace that is given.
func openTest(t *testing.T, dsn, bucketURL string, grace time.Duration) *node {
	t.Helper()
	n, err := openNode(t.Context(), options{database: dsn, bucket: bucketURL, grace: grace}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// copyBucket copies what a bucket has now, as a backup does.
func copyBucket(ctx context.Context, from, to storage.Bucket) (n int, err error) {
	for a, err := range from.List(ctx, "", "") {
		if err != nil {
			return n, err
		}
		o, err := from.Get(ctx, a.Key, 0, -1)
		if err != nil {
			continue // deleted since it was listed
		}
		err = to.Put(ctx, a.Key, o)
		o.Close()
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// publisher pushes images of its own and deletes some, and knows what must be there.
type publisher struct {
	actor *registry.Actor
	alias string
	n     int

	mu    sync.Mutex
	there map[string]image // by repository and tag
}

// image is what was pushed.
type image struct {
	digest manifest.Digest
	layer  []byte
}

// step pushes an image to a new repository, deletes a tag and its image, or a whole repository.
func (p *publisher) step(ctx context.Context) error {
	p.n++
	name, layer := fmt.Sprintf("%s/r%d", p.alias, p.n/3), bytes.Repeat(fmt.Appendf(nil, "layer %d of %s;", p.n, p.alias), 100)
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":"%s %d"}`, p.alias, p.n)
	d := manifest.SHA256.FromBytes(layer)
	for _, raw := range [][]byte{layer, config} {
		if err := p.actor.PushBlob(ctx, name, manifest.SHA256.FromBytes(raw), bytes.NewReader(raw)); err != nil {
			return err
		}
	}
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`, manifest.SHA256.FromBytes(config), len(config), d, len(layer))
	m, err := p.actor.PushManifest(ctx, name, "application/vnd.oci.image.manifest.v1+json", raw, fmt.Sprint("t", p.n))
	if err != nil {
		return err
	}
	p.set(name+":"+fmt.Sprint("t", p.n), image{m.Digest, layer})
	switch {
	case p.n%5 == 4:
		p.unset(name + ":" + fmt.Sprint("t", p.n))
		return p.actor.DeleteManifest(ctx, name, m.Digest)
	case p.n%21 == 20:
		for i := p.n / 3 * 3; i <= p.n; i++ {
			p.unset(name + ":" + fmt.Sprint("t", i))
		}
		_, err = p.actor.DeleteRepository(ctx, name, true)
	}
	return err
}

func (p *publisher) set(reference string, i image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.there[reference] = i
}

func (p *publisher) unset(reference string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.there, reference)
}

func (p *publisher) known() map[string]image {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.there)
}

// A backup of a registry in use, the database first and the bucket afterwards, while images come
// and go and garbage is collected, makes a registry that is whole: what the database had when its
// dump began is there bit for bit.
func TestBackup(t *testing.T) {
	t.Parallel()
	const grace = 20 * time.Second // longer than the backup takes
	ctx := t.Context()
	postgres, server := pgtest.Start(t), s3test.Start(t)
	dsn, bucketURL := postgres.Database(t), server.Bucket(t)
	n := openTest(t, dsn, bucketURL, grace)
	var publishers []*publisher
	for i := range 3 {
		a, err := n.createAccount(ctx, fmt.Sprintf("acme%d", i))
		if err != nil {
			t.Fatal(err)
		}
		publishers = append(publishers, &publisher{actor: n.reg.As(auth.Principal{Account: a.id, Name: auth.Root}), alias: a.alias, there: map[string]image{}})
	}
	storm, calm := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, p := range publishers {
		wg.Go(func() {
			for storm.Err() == nil {
				if err := p.step(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for storm.Err() == nil {
			if _, _, err := n.reg.Collect(ctx, 100); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-storm.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	defer wg.Wait()
	defer calm()
	for _, p := range publishers {
		for len(p.known()) < 60 {
			select {
			case <-ctx.Done():
				t.Fatal(ctx.Err())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	before := []map[string]image{}
	for _, p := range publishers {
		before = append(before, p.known())
	}
	dump := postgres.Dump(t, dsn)
	after := []map[string]image{}
	for _, p := range publishers {
		after = append(after, p.known())
	}
	to := server.Bucket(t)
	target := openTest(t, postgres.Database(t), to, grace) // for its bucket
	objects, err := copyBucket(ctx, n.bucket, target.bucket)
	if err != nil {
		t.Fatal(err)
	}
	calm()
	wg.Wait()

	other := pgtest.Start(t)
	restored := other.Database(t)
	other.Restore(t, dump, restored)
	r := openTest(t, restored, to, grace)
	sum, err := repair.Run(ctx, r.store, r.bucket, repair.Checkpoint{}, &repair.Options{Mend: true, MendContent: true, SizesOnly: true, Age: grace})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects were copied; repair: %+v", objects, sum)
	// What nobody has touched since before the dump is there.
	anyone, checked := r.reg.As(auth.Principal{}), 0
	for i, known := range before {
		for reference, img := range known {
			if after[i][reference].digest != img.digest {
				continue // deleted while the dump was made
			}
			name, tag, _ := strings.Cut(reference, ":")
			m, err := anyone.Manifest(ctx, name, tag)
			if err != nil || m.Digest != img.digest {
				t.Errorf("%s: %v", reference, err)
				continue
			}
			in, err := anyone.Blob(ctx, name, m.Layers[0].Digest)
			if err != nil {
				t.Errorf("%s: %v", reference, err)
				continue
			}
			raw, err := io.ReadAll(in)
			in.Close()
			if err != nil || !bytes.Equal(raw, img.layer) {
				t.Errorf("%s: %d bytes of its layer, %v", reference, len(raw), err)
			}
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("%d images were compared", checked)
	}
	// All that is pushed from now on is whole, and a full look finds nothing that is lost.
	p := &publisher{actor: r.reg.As(auth.Principal{Account: accountOf(t, r, publishers[0].alias), Name: auth.Root}), alias: publishers[0].alias, there: map[string]image{}, n: publishers[0].n + 100}
	for range 30 {
		if err := p.step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	sum, err = repair.Run(ctx, r.store, r.bucket, repair.Checkpoint{}, &repair.Options{Age: time.Hour, Found: func(f repair.Finding) error {
		if !f.Note && f.Kind != repair.LinkWithoutBlob {
			t.Errorf("%+v", f)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("afterwards: %+v", sum)
}

func accountOf(t *testing.T, n *node, alias string) string {
	t.Helper()
	id, err := n.reg.AccountOf(t.Context(), alias)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
