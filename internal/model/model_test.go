//go:build unix

package model

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/internal/s3test"
	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

var (
	operations  = flag.Int64("operations", 0, "how many; 0: 6000, 1000 with -short")
	seed        = flag.Uint64("seed", 0, "of what is drawn; 0: a new one")
	workerCount = flag.Int("workers", 16, "how many at once")
	grace       = flag.Duration("grace", 2*time.Second, "of the nodes")
)

func TestModel(t *testing.T) {
	limit, from := *operations, *seed
	if limit == 0 {
		limit = 6000
		if testing.Short() {
			limit = 1000
		}
	}
	if from == 0 {
		from = rand.Uint64()
	}
	dsn, bucketURL := pgtest.Start(t).Database(t), s3test.Start(t).Bucket(t)
	t.Logf("%d operations by %d workers; -seed=%d repeats them", limit, *workerCount, from)
	c := newCluster(t, dsn, bucketURL)
	w := &world{
		t: t, client: newClient(c.user, c.password, *workerCount), grace: *grace, pool: newPool(rand.New(rand.NewPCG(from, 0))), keys: c,
		limit: limit, counts: map[string]int64{},
	}
	w.ctx, w.cancel = context.WithCancel(t.Context())
	defer w.cancel()
	w.open(dsn, bucketURL)
	for range nodeCount {
		w.nodes = append(w.nodes, c.start(t, w.grace))
	}
	for i := range commonsCount {
		w.shared = append(w.shared, newCommons(i))
	}
	var workers []*worker
	for i := range *workerCount {
		workers = append(workers, newWorker(w, i, from))
	}

	begun := time.Now()
	reporting, stop := context.WithCancel(w.ctx)
	var wg, reports sync.WaitGroup
	reports.Go(func() { w.report(reporting) })
	for _, c := range workers {
		wg.Go(c.run)
	}
	wg.Wait()
	took := time.Since(begun).Seconds()
	stop()
	reports.Wait()
	t.Logf("%d operations in %.1f s: %.0f a second; %d requests: %.0f a second\n%s", w.operations.Load(), took, float64(w.operations.Load())/took,
		w.requests.Load(), float64(w.requests.Load())/took, w.table())
	t.Logf("%d answers of caches were late, by at most %v", w.late.Load(), time.Duration(w.latest.Load()))
	if t.Failed() {
		for i, n := range w.nodes {
			t.Logf("node %d says:\n%s", i, n.out.text())
		}
		t.FailNow()
	}
	w.end(workers)
}

// open opens what the nodes share.
func (w *world) open(dsn, bucketURL string) {
	store, err := sqlmeta.OpenPostgres(w.t.Context(), dsn, &sqlmeta.PostgresOptions{Conns: 4})
	if err != nil {
		w.t.Fatal(err)
	}
	bucket, err := s3.Open(w.t.Context(), bucketURL, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := errors.Join(bucket.Close(), store.Close()); err != nil {
			w.t.Error(err)
		}
	})
	w.store, w.bucket = store, bucket
}

// end compares what is left with the model.
func (w *world) end(workers []*worker) {
	t, ctx, store, bucket := w.t, w.t.Context(), w.store, w.bucket
	begun := time.Now()
	w.settled(ctx)
	t.Logf("removed %s; the last was waited for %.1f s", removed(w.nodes), time.Since(begun).Seconds())
	inv, err := takeInventory(ctx, store, bucket)
	if err != nil {
		t.Fatal(err)
	}
	inv.check()
	var wg sync.WaitGroup
	for _, c := range workers {
		for _, r := range c.repos {
			inv.compare(r)
		}
		wg.Go(c.pullAll)
	}
	wg.Go(func() { newWorker(w, len(workers), 0).pullCommons(inv) })
	wg.Wait()
	inv.readAll(ctx, bucket)
	for i, err := range inv.problems {
		if t.Error(err); i == 50 {
			t.Fatalf("and so on: %d problems", len(inv.problems))
		}
	}
	for _, n := range w.nodes {
		n.stop()
	}
	swept, err := storage.SweepUnfinished(ctx, bucket, time.Now())
	if err != nil || swept > 0 {
		t.Errorf("%d unfinished uploads were left in the bucket, %v", swept, err)
	}
	sum, err := repair.Run(ctx, store, bucket, repair.Checkpoint{}, &repair.Options{Age: 1, Found: func(f repair.Finding) error {
		if !f.Note {
			t.Errorf("repair finds %+v", f)
		}
		return nil
	}})
	if err != nil || sum.Left() > 0 || !sum.Complete {
		t.Errorf("repair: %+v, %v", sum, err)
	}
	t.Logf("at the end: %d repositories, %d blobs, %d objects; repair looked at %d rows: %v", len(inv.repositories), len(inv.blobs), len(inv.objects), sum.Rows, sum.Found)
}

// idleTime is how long the collector may make no progress while there is something to
// collect.
const idleTime = time.Minute

// settled waits until nothing is left to be collected.
func (w *world) settled(ctx context.Context) {
	w.t.Helper()
	for last, since := -1, time.Now(); ; time.Sleep(100 * time.Millisecond) {
		left := 0
		err := w.store.View(ctx, func(tx meta.Tx) error {
			left = 0
			return errors.Join(all(tx.Reviews(), func(meta.Review) { left++ }), all(tx.Uploads(), func(meta.Upload) { left++ }))
		})
		switch {
		case err != nil:
			w.t.Fatal(err)
		case left == 0:
			return
		case left != last:
			last, since = left, time.Now()
		case time.Since(since) > idleTime:
			w.t.Errorf("%d reviews and uploads are left", left)
			return
		}
	}
}

// pullAll pulls all that the worker's repositories have, from every node.
func (w *worker) pullAll() {
	for _, r := range w.repos {
		for node := range w.nodes {
			for tag, want := range r.tags {
				if got := w.manifest(r, node, request{method: http.MethodGet, path: r.path("manifests", tag), anonymous: true}); got != want {
					w.fatal(r.name, "node %d: %s leads to %q in the end, want %s", node, tag, got, want)
				}
			}
			for _, d := range r.docs {
				a := w.want(r.name, w.ask(r.name, node, request{method: http.MethodGet, path: r.path("manifests", d.digest), anonymous: true}), http.StatusOK)
				if string(a.body) != string(d.raw) {
					w.fatal(r.name, "node %d: %s in the end: %q", node, d.digest, a.body)
				}
			}
			for _, l := range r.links {
				want := http.StatusNotFound
				if l.has && r.needs[l.digest] > 0 {
					want = http.StatusOK
				}
				a := w.want(r.name, w.ask(r.name, node, request{method: http.MethodGet, path: r.path("blobs", l.digest), anonymous: true}), want)
				if want == http.StatusOK && sha(a.body) != l.digest {
					w.fatal(r.name, "node %d: %s in the end: %d bytes of %s", node, l.digest, len(a.body), sha(a.body))
				}
			}
		}
	}
}

// pullCommons pulls what there is in the repositories of all.
func (w *worker) pullCommons(inv *inventory) {
	for _, c := range w.shared {
		h := inv.repositories[c.name]
		if h == nil {
			continue
		}
		for node := range w.nodes {
			get := func(path, digest string) {
				a := w.want(c.name, w.ask(c.name, node, request{method: http.MethodGet, path: path, anonymous: true}), http.StatusOK)
				if sha(a.body) != digest {
					w.fatal(c.name, "node %d: %s in the end: %d bytes of %s, want %s", node, path, len(a.body), sha(a.body), digest)
				}
			}
			for tag, d := range h.tags {
				get(c.path("manifests", tag), d)
			}
			for d := range h.manifests {
				get(c.path("manifests", d), d)
			}
			for d := range h.needs {
				get(c.path("blobs", d), d)
			}
		}
	}
}
