//go:build unix

package meter_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// onPostgres opens a new database so many times over, as nodes do.
func onPostgres(t *testing.T, server *pgtest.Server, nodes int) (grounds []ground) {
	t.Helper()
	dsn, bucket := server.Database(t), gocloud.New(memblob.OpenBucket(nil))
	for range nodes {
		store, err := sqlmeta.OpenPostgres(t.Context(), dsn, &sqlmeta.PostgresOptions{Conns: 6})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		grounds = append(grounds, ground{store, bucket})
	}
	return grounds
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	t.Run("replay", func(t *testing.T) {
		nodes, log := threeNodes(t, onPostgres(t, server, 3)...)
		replay(t, nodes, log, 4000, 3, func(*rand.Rand) {}, func() {})
	})

	// What is too old goes, here as everywhere.
	t.Run("sweep", func(t *testing.T) {
		g := onPostgres(t, server, 1)[0]
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1")
		n.pull(t, "v1")
		flush(t, n.meter)
		if err := n.meter.Sweep(t.Context(), time.Now().AddDate(0, 0, 10)); err != nil {
			t.Fatal(err)
		}
		for _, c := range counters(t, g.store) {
			if strings.HasPrefix(c.Name, "h ") {
				t.Errorf("an hour of ten days ago: %+v", c)
			}
		}
	})

	// What publishers write into configurations, and clients into paths, must not keep a node from
	// writing what it has counted.
	t.Run("odd names", func(t *testing.T) {
		g := onPostgres(t, server, 1)[0]
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{OS: unlike(20_000), Architecture: "amd64"}, "v1")
		n.pull(t, "v1")
		flush(t, n.meter)
	})
	t.Run("odd lines", func(t *testing.T) {
		g := onPostgres(t, server, 1)[0]
		n := g.node(t)
		image := n.Push("test/hat", registrytest.Image{}, "v1")
		log := strings.Replace(line(time.Now(), "192.0.2.1", "GET", "/v2/test/NUL/manifests/v1", 200, 5, "HIT", "", docker), "NUL", "\\u0000", 1) +
			line(time.Now(), "192.0.2.1", "GET", "/v2/test/hat/manifests/v1", 200, 1<<63-1, "HIT", image.Digest, docker) +
			line(time.Now(), "192.0.2.1", "GET", "/v2/test/hat/manifests/v1", 200, 5, "HIT", image.Digest, docker)
		got, err := n.meter.Ingest(t.Context(), strings.NewReader(log))
		if err != nil || got.Lines != 3 || got.Counted == 0 {
			t.Errorf("%+v, %v", got, err)
		}
		flush(t, n.meter)
		n.pull(t, "v1")
		flush(t, n.meter)
		list, err := n.meter.Series(t.Context(), repositoryOf(t, g.store, "test/hat").ID, meter.ByTag+"v1", meter.Day, never, always)
		if err != nil || meter.Sum(list) < 2 {
			t.Errorf("%v, %v", list, err)
		}
	})

	// Three nodes make one secret, take turns with chores, and fold clients once.
	t.Run("clients", func(t *testing.T) {
		nodes, _ := threeNodes(t, onPostgres(t, server, 3)...)
		nodes[0].Push("test/hat", registrytest.Image{}, "v1")
		var ends []func()
		for _, n := range nodes {
			ends = append(ends, n.run(t))
		}
		secretsKnown(t, nodes)
		at := time.Now()
		for _, n := range nodes {
			for _, address := range addresses(1000) {
				n.pull(t, "v1", remote, address)
			}
		}
		for _, end := range ends {
			end()
		}
		repo := repositoryOf(t, nodes[0].Store, "test/hat")
		if time.Now().UTC().Day() == at.UTC().Day() { // else they were clients of two days
			near(t, clientsOn(t, nodes[0].meter, repo.ID, at), 1000, 0.03)
		}
		if n := len(records(t, nodes[0].Store, "secret/")); n < 2 || n > 3 {
			t.Errorf("%d secrets", n)
		}
	})
}

// secretsKnown waits until every node counts clients, which nothing else tells: it pulls an image
// that nobody asks about until a sketch of the node could be written. Nodes read secrets as they
// begin, so that two writes of a counter are enough.
func secretsKnown(t *testing.T, nodes []*node) {
	t.Helper()
	deadline, cancel := time.Now().Add(30*time.Second), errors.New("not within 30 seconds")
	for len(records(t, nodes[0].Store, "secret/")) < 2 {
		if time.Now().After(deadline) {
			t.Fatal(cancel)
		}
	}
	for i, n := range nodes {
		name := "test/first" + string(rune('a'+i))
		n.Push(name, registrytest.Image{}, "v1")
		if rec := n.ask(t, "GET", "/v2/"+name+"/manifests/v1"); rec.Code != 200 {
			t.Fatal(rec.Code)
		}
		repo := repositoryOf(t, n.Store, name)
		for {
			list, err := n.meter.Series(t.Context(), repo.ID, meter.Pulls, meter.Day, never, always)
			if err != nil || time.Now().After(deadline) {
				t.Fatal(err, cancel)
			}
			if meter.Sum(list) > 0 {
				break // the first flush comes after the secrets
			}
		}
	}
}
