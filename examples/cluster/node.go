package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/accounts"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/site"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// node is one process that serves.
type node struct {
	o      options
	logger *slog.Logger
	store  *sqlmeta.Watched
	bucket bucket
	users  *accounts.Store
	logins *limit.Logins
	meter  *meter.Meter
	reg    *registry.Registry
}

// bucket is what buckets of all kinds are.
type bucket interface {
	storage.Bucket
	storage.Sweeper
	Close() error
}

func openBucket(ctx context.Context, bucketURL string) (bucket, error) {
	if strings.HasPrefix(bucketURL, "s3://") {
		return s3.Open(ctx, bucketURL, nil)
	}
	return gocloud.Open(ctx, bucketURL)
}

func openNode(ctx context.Context, o options, logger *slog.Logger) (*node, error) {
	store, err := sqlmeta.OpenPostgres(ctx, o.database, nil)
	if err != nil {
		return nil, err
	}
	b, err := openBucket(ctx, o.bucket)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	pulls, err := meter.New(meter.Config{Store: store, Logger: logger})
	if err != nil {
		return nil, errors.Join(err, b.Close(), store.Close())
	}
	users, tokens, logins := accounts.New(store), token.New(registry.SigningKeys(store)), limit.NewLogins(nil)
	reg, err := registry.New(registry.Config{
		Store: store, Bucket: b, Issuer: tokens, Verifier: tokens, Logins: logins, Observers: []registry.Observer{pulls.Observe},
		Authenticators: []auth.Authenticator{basic.NewKeys(users, "esplanade")}, AccessKeys: users,
		Evaluators: []policy.Evaluator{policy.Public{}, iam.New(users, registry.Policies{Store: store})},
		PublicURL:  o.publicURL, TrustedProxies: o.trusted, Grace: o.grace, CreateOnPush: true, Logger: logger,
	})
	n := &node{o, logger, store, b, users, logins, pulls, reg}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// close closes what the node uses, after it has served.
func (n *node) close() error { return errors.Join(n.bucket.Close(), n.store.Close()) }

// shutdownTime is how long running requests may take to finish.
const shutdownTime = 30 * time.Second

// serve answers until ctx ends, and returns when all that runs has finished.
func (n *node) serve(ctx context.Context, ready func(net.Addr)) error {
	pages, err := site.New(site.Config{Registry: n.reg, Gallery: gallery.Config{Metrics: site.Metrics(n.meter)}, Logger: n.logger})
	if err != nil {
		return err
	}
	control, err := ecrpublic.New(ecrpublic.Config{Registry: n.reg, Keys: n.users, Logins: n.logins, Logger: n.logger})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", n.o.addr)
	if err != nil {
		return err
	}
	var requests sync.WaitGroup
	server := &http.Server{
		Handler:           handler(&requests, n.reg, http.HandlerFunc(n.reg.ServeReady), control, pages),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    20 << 10, // the longest credential, and some more
		ErrorLog:          slog.NewLogLogger(n.logger.Handler(), slog.LevelWarn),
	}
	collector := gc.New(n.reg, &gc.Options{Interval: min(gc.DefaultInterval, n.o.grace/2), Logger: n.logger})
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	jobs := []func(context.Context) error{n.reg.Run, collector.Run, pages.Run, n.sweep, n.count}
	running := make(chan error, len(jobs))
	for _, job := range jobs {
		go func() { running <- job(background) }()
	}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	ready(listener.Addr())
	select {
	case err = <-serving:
	case <-ctx.Done():
		n.logger.Info("finishing what runs")
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if err = server.Shutdown(limit); errors.Is(err, context.DeadlineExceeded) {
			n.logger.Warn("clients were cut off that have not finished", "after", shutdownTime)
			err = server.Close()
		}
	}
	requests.Wait() // what they did is counted
	cancel()
	for range jobs {
		err = errors.Join(err, <-running)
	}
	return err
}

// handler passes the registry what is the registry's, and the rest to the gallery.
func handler(running *sync.WaitGroup, reg, ready, control, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		switch p := r.URL.Path; {
		case p == "/v2", strings.HasPrefix(p, "/v2/"), p == "/token", p == "/token/":
			reg.ServeHTTP(w, r)
		case p == "/" && r.Method == http.MethodPost:
			control.ServeHTTP(w, r)
		case p == "/-/readyz":
			ready.ServeHTTP(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

// count writes what was pulled.
func (n *node) count(ctx context.Context) error { return n.meter.Run(ctx, n.reg) }

// sweepPeriod is how often what killed writers left unfinished in the bucket is removed.
const sweepPeriod = time.Hour

// sweep removes what writers that were killed left unfinished, on one node at a time. What was
// begun within the grace may still be written.
func (n *node) sweep(ctx context.Context) error {
	return n.reg.WithLease(ctx, "examples/cluster sweep", func(ctx context.Context, _ *registry.Lease) error {
		tick := time.NewTicker(sweepPeriod)
		defer tick.Stop()
		for {
			removed, err := storage.SweepUnfinished(ctx, n.bucket, time.Now().Add(-n.o.grace))
			if err != nil && ctx.Err() == nil {
				n.logger.Warn("what is unfinished in the bucket could not be removed", "error", err)
			} else if removed > 0 {
				n.logger.Info("removed what killed writers left in the bucket", "uploads", removed)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}
