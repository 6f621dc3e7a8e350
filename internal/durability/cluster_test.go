//go:build unix

package durability

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/internal/s3test"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// clusterNode is the program of one node.
var clusterNode = example("cluster")

// cluster is nodes over one PostgreSQL and one bucket of S3, with what a test sees of both
// for itself.
type cluster struct {
	t         *testing.T
	pg        *pgtest.Server
	s3        *s3test.Server
	dsn       string
	bucketURL string // of the nodes
	owner     account
	store     *sqlmeta.Watched
	bucket    *s3.Bucket
	seed      uint64
	disturbed bool // what the nodes need fails them at times

	mu      sync.Mutex
	nodes   []*server // that are asked
	names   map[*server]string
	started int
	clients uint64
	marks   int
}

// longGrace is that of storms, in which nothing that was acknowledged may be collected.
const (
	longGrace  = 10 * time.Minute
	shortGrace = 2 * time.Second
)

// newCluster makes one without nodes, whose account has the alias hatters. Between its nodes
// and S3 stands what front returns the address of, if that is not nil.
func newCluster(t *testing.T, seed uint64, front func(*s3test.Server) string) *cluster {
	t.Helper()
	c := &cluster{t: t, pg: pgtest.Start(t), s3: s3test.Start(t), seed: seed, names: map[*server]string{}}
	c.dsn, c.bucketURL = c.pg.Database(t), c.s3.Bucket(t)
	var err error
	if c.bucket, err = s3.Open(t.Context(), c.bucketURL, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.bucket.Close() })
	if front != nil {
		c.bucketURL = s3test.URL("test1", front(c.s3))
	}
	if c.store, err = sqlmeta.OpenPostgres(t.Context(), c.dsn, &sqlmeta.PostgresOptions{Conns: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.store.Close() })
	a, err := c.createAccount(t.Context(), "hatters")
	if err != nil {
		t.Fatal(err)
	}
	c.owner = a
	return c
}

var madeAccount = regexp.MustCompile(`account (\d+), alias (\S+)\n +user +(\S+)\n +password +(\S+)\n`)

// createAccount makes an account as an operator does. It is an error if that is not said to
// have been done when ctx ends.
func (c *cluster) createAccount(ctx context.Context, alias string) (account, error) {
	out, err := exec.CommandContext(ctx, clusterNode(c.t), "-create-account", alias, "-database", c.dsn, "-bucket", c.bucketURL).Output()
	m := madeAccount.FindStringSubmatch(string(out))
	if m == nil {
		return account{}, fmt.Errorf("-create-account: %w: %s", err, out)
	}
	return account{m[1], m[2], m[3], m[4]}, nil
}

// add starts a node.
func (c *cluster) add(grace time.Duration) *server {
	c.t.Helper()
	c.mu.Lock()
	c.started++
	name := fmt.Sprintf("node%d", c.started)
	c.mu.Unlock()
	s := launch(c.t, clusterNode(c.t), "-nodes", "1", "-addr", "127.0.0.1:0", "-database", c.dsn+"&application_name="+name, "-bucket", c.bucketURL, "-grace", grace.String())
	s.disturbed = c.disturbed
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[s] = name
	c.nodes = append(c.nodes, s)
	return s
}

// bury asks a node that is dead no more, and waits until PostgreSQL has noticed: a COMMIT
// that a killed node has sent is carried out all the same, if a little later.
func (c *cluster) bury(s *server) {
	c.t.Helper()
	c.leave(s)
	soon(c.t, "PostgreSQL has closed a killed node's connections", func() bool { return c.sessions(s, "true") == 0 })
}

// sessions counts those of a node's sessions of PostgreSQL for which a condition holds.
func (c *cluster) sessions(s *server, condition string) (n int) {
	c.t.Helper()
	ctx := c.t.Context()
	db, err := pgx.Connect(ctx, c.dsn)
	if err == nil {
		err = db.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND "+condition, c.names[s]).Scan(&n)
		err = errors.Join(err, db.Close(ctx))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// leave asks a node no more.
func (c *cluster) leave(s *server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.DeleteFunc(slices.Clone(c.nodes), func(n *server) bool { return n == s })
}

// join asks a node again.
func (c *cluster) join(s *server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(slices.Clone(c.nodes), s)
}

// stop ends all nodes as their operator does.
func (c *cluster) stop() {
	c.t.Helper()
	for _, s := range c.nodes {
		s.stop(s.cmd.Process)
	}
	c.nodes = nil
}

// at returns a client of one node.
func (c *cluster) at(s *server) *client {
	cl := newClient(s.host, nil)
	cl.account = c.owner
	return cl
}

// connect returns a client that makes each request at a random node.
func (c *cluster) connect(before func()) *client {
	cl := newClient("", before)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients++
	rng := rand.New(rand.NewPCG(c.seed, 1000+c.clients))
	cl.account = c.owner
	cl.pick = func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.nodes[rng.IntN(len(c.nodes))].host
	}
	return cl
}

const (
	indexType = "application/vnd.oci.image.index.v1+json"
	markPath  = "/v2/hatters/mark/manifests/mark"
)

// settle waits until all nodes have heard of what was changed at any of them, while nothing
// else is changed: each has a tag in its cache, and what it hears comes in the order of
// commits, so that whoever has heard that the tag moved has heard all.
func (c *cluster) settle() {
	c.t.Helper()
	ctx := c.t.Context()
	cl := c.connect(nil)
	defer cl.close()
	put := func() (mark string) {
		c.marks++
		mark = fmt.Sprintf(`{"schemaVersion":2,"mediaType":"%s","manifests":[],"annotations":{"mark":"%d"}}`, indexType, c.marks)
		if _, err := cl.sendFor(ctx, created, "PUT", markPath, strings.NewReader(mark), "Content-Type", indexType); err != nil {
			c.t.Fatal(err)
		}
		return mark
	}
	if c.marks == 0 {
		put()
	}
	get := func(s *server) string {
		one := c.at(s)
		defer one.close()
		a, err := one.sendFor(ctx, []int{http.StatusOK}, "GET", markPath, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		return string(a.body)
	}
	for _, s := range c.nodes {
		get(s)
	}
	mark := put()
	for _, s := range c.nodes {
		soon(c.t, "a node hears of a tag", func() bool { return get(s) == mark })
	}
}

// age has the grace be over of everything that waits for it.
func (c *cluster) age() {
	c.t.Helper()
	past := time.Now().Add(-24 * time.Hour).UTC()
	err := c.store.Update(c.t.Context(), func(tx meta.Tx) error {
		for r, err := range tx.Reviews().Scan(meta.Range[meta.ReviewKey]{}) {
			r.Due = past
			if err = errors.Join(err, tx.Reviews().Put(r)); err != nil {
				return err
			}
		}
		for u, err := range tx.Uploads().Scan(meta.Range[meta.UploadID]{}) {
			u.Active = past
			if err = errors.Join(err, tx.Uploads().Put(u)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// vacate has nobody hold the lease of the collector, while no node runs.
func (c *cluster) vacate() {
	c.t.Helper()
	err := c.store.Update(c.t.Context(), func(tx meta.Tx) error { return tx.Records().Delete(leaseKey) })
	if err != nil {
		c.t.Fatal(err)
	}
}

// inventory reads the database and the bucket.
func (c *cluster) inventory() *inventory {
	c.t.Helper()
	inv, err := readInventory(c.t.Context(), c.store, c.bucket)
	if err != nil {
		c.t.Fatal(err)
	}
	return inv
}

// wantWhole checks an inventory.
func (c *cluster) wantWhole(inv *inventory) {
	c.t.Helper()
	for _, err := range inv.check() {
		c.t.Error(err)
	}
}

// waitCollected waits until nothing is left to be looked at.
func (c *cluster) waitCollected() {
	c.t.Helper()
	soon(c.t, "all garbage is collected", func() bool {
		left := 0
		err := c.store.View(c.t.Context(), func(tx meta.Tx) (err error) {
			for range tx.Uploads().Scan(meta.Range[meta.UploadID]{Limit: 1}) {
				left++
			}
			for range tx.Reviews().Scan(meta.Range[meta.ReviewKey]{Limit: 1}) {
				left++
			}
			return nil
		})
		return err == nil && left == 0
	})
}

var leaseKey = meta.RecordKey{Namespace: "lease", Key: "gc"}

// lease is the record of who collects.
type lease struct {
	Holder      string
	Fence, Beat int64
}

// collector reads who collects.
func (c *cluster) collector() (l lease) {
	c.t.Helper()
	err := c.store.View(c.t.Context(), func(tx meta.Tx) error {
		r, err := tx.Records().Get(leaseKey)
		if err != nil {
			return nil // nobody ever did
		}
		return json.Unmarshal(r.Value, &l)
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

// unfinished is the multi-part uploads that have no end yet, by their ids.
func (c *cluster) unfinished() map[string]bool {
	c.t.Helper()
	client := awss3.New(awss3.Options{
		Region: s3test.Region, BaseEndpoint: aws.String("http://" + c.s3.Addr()), UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s3test.AccessKeyID, SecretAccessKey: s3test.SecretAccessKey}, nil
		}),
	})
	ids := map[string]bool{}
	for pages := awss3.NewListMultipartUploadsPaginator(client, &awss3.ListMultipartUploadsInput{Bucket: aws.String("test1")}); pages.HasMorePages(); {
		page, err := pages.NextPage(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		for _, u := range page.Uploads {
			ids[aws.ToString(u.UploadId)] = true
		}
	}
	return ids
}
