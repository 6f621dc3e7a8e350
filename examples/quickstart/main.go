// Command quickstart is a public container registry in one process, which keeps everything
// in one folder:
//
//	go run ./examples/quickstart
//
// At first start it makes an account with an alias and an access key, and prints how to log
// in, push and pull. Whoever has the key pushes to repositories under the alias, which are
// created by pushing; anyone pulls. The same address answers the API of Amazon ECR Public, for
// the AWS command line and SDKs, with the same access keys and for any region. Aliases that
// are asked for are given at once. A browser sees the gallery there.
//
// The folder holds
//
//	credentials.json   the accounts; edit it while the server is stopped
//	aws-credentials    the same for the AWS command line, written anew at each start
//	meta.db            the metadata, an SQLite database
//	blobs/             the bytes
//	lock               held by the server that runs
//
// and belongs to one server at a time. A backup is a copy of meta.db by SQLite's own means,
// and after that one of blobs/.
//
// The flags:
//
//	-addr host:port         where to listen (127.0.0.1:5000)
//	-data DIR               the folder (./esplanade-data)
//	-public-url URL         where clients reach the server, if a proxy stands before it
//	-tls-cert, -tls-key     files of a certificate and its key, to serve HTTPS
//	-manifest-cache BYTES   memory for manifests; 0: none, every pull asks the store
//	-pull-rate RATE         how many images an address may pull a second, in bursts of 100
//	                        or more; an account ten times as many; 0, as it is: no limit
//	-access-log FILE        a line of JSON for every request; - is standard output
//	-audit-log FILE         a line of JSON for every change, who made it and from where
//	-traces                 send spans by OTLP over HTTP, where and how many as OpenTelemetry's
//	                        variables say: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER
//	-shared-max-age TIME    how long caches before the server may serve where tags lead, such
//	                        as 60s; 0, as it is: they are told to keep nothing
//	-trusted-proxies LIST   addresses or networks whose X-Forwarded-For is believed
//	-private-addr ADDRESS   where to answer the operator, on a loopback address: /metrics for
//	                        Prometheus, /usage for bills, /takedowns
//
// Pulls are counted, and shown in the gallery. The private address has no password; it answers
//
//	GET /metrics                           see package registry/prom
//	GET /debug/pprof/                      profiles of the process; see net/http/pprof
//	GET /usage?month=2026-11&format=csv    pulls, bytes sent and stored of each account
//	POST /ingest                           counts what a cache's log tells; see meter.Ingest
//	GET /takedowns                         what is suspended, as JSON
//	POST /takedowns                        suspends: {"account": "...", "repository": "...", "reason": "...", "by": "..."},
//	                                       or with "alias" or "digest" instead; see registry.Suspension
//	DELETE /takedowns                      restores, with the same body
//
// SIGINT and SIGTERM let running requests finish, for up to 30 seconds, and then close the
// store and the bucket.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	_ "gocloud.dev/blob/fileblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/site"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// ballast is memory that nobody touches, so that it is none of the machine's. Go collects garbage
// whenever there is as much as what is alive, which of a registry is 5 MiB or so: a busy one would
// spend a tenth of its time on collections, dozens a second. With the ballast, there are 8 MiB
// more between them; a larger GOGC would let garbage grow with what thousands of connections hold.
const ballast = 8 << 20

func main() {
	unused := make([]byte, ballast)
	defer runtime.KeepAlive(unused)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	addr, data, publicURL, cert, key string
	private, accessLog, auditLog     string
	cache                            int64
	pullRate                         float64
	sharedMaxAge                     time.Duration
	trusted                          []netip.Prefix // proxies
	traces                           bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:5000", "`host:port` to listen on")
	fs.StringVar(&o.data, "data", "./esplanade-data", "`folder` that holds everything")
	fs.StringVar(&o.publicURL, "public-url", "", "`URL` where clients reach the server, if a proxy stands before it")
	fs.StringVar(&o.cert, "tls-cert", "", "`file` of the certificate, to serve HTTPS")
	fs.StringVar(&o.key, "tls-key", "", "`file` of the certificate's key")
	fs.Int64Var(&o.cache, "manifest-cache", registry.DefaultManifestCache, "`bytes` of memory for manifests; 0: no caching at all")
	fs.Float64Var(&o.pullRate, "pull-rate", 0, "`images` that an address may pull a second, an account ten times as many; 0: no limit")
	fs.StringVar(&o.accessLog, "access-log", "", "`file` for a line of every request; -: standard output")
	fs.StringVar(&o.auditLog, "audit-log", "", "`file` for a line of every change")
	fs.BoolVar(&o.traces, "traces", false, "send spans by OTLP over HTTP, as OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_TRACES_SAMPLER say")
	fs.DurationVar(&o.sharedMaxAge, "shared-max-age", 0, "how long caches before the server may serve where tags lead; 0: not at all")
	fs.StringVar(&o.private, "private-addr", "", "loopback `host:port` for the operator: /metrics, /usage, /takedowns")
	fs.Func("trusted-proxies", "`addresses` or networks whose X-Forwarded-For is believed, with commas", func(s string) (err error) {
		o.trusted, err = prefixes(s)
		return err
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case !(o.pullRate >= 0) || o.pullRate > maxPullRate:
		return o, fmt.Errorf("-pull-rate must be from 0 to %g", float64(maxPullRate))
	case (o.cert == "") != (o.key == ""):
		return o, errors.New("-tls-cert and -tls-key go together")
	case o.cache == 0:
		o.cache = -1
	}
	return o, nil
}

// maxPullRate is where limits end; a limiter counts nanoseconds.
const maxPullRate = 1e9

// prefixes reads a list of addresses and networks.
func prefixes(s string) (list []netip.Prefix, err error) {
	for part := range strings.SplitSeq(s, ",") {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(part); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// shutdownTime is how long running requests may take to finish.
const shutdownTime = 30 * time.Second

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	if err := makeFolder(o.data); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(o.data, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return errors.Join(fmt.Errorf("another server uses the folder %s", o.data), err)
	}
	defer lock.Close() //nolint:errcheck // the process ends

	creds, made, err := loadCredentials(filepath.Join(o.data, "credentials.json"), logger)
	if err != nil {
		return err
	}
	store, err := sqlmeta.OpenSQLite(ctx, filepath.Join(o.data, "meta.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	bucketURL, err := gocloud.FileURL(filepath.Join(o.data, "blobs"))
	if err != nil {
		return err
	}
	bucket, err := gocloud.Open(ctx, bucketURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	// The folder is ours alone, so whatever is half-written was left by a kill.
	if n, err := bucket.SweepUnfinished(ctx, time.Now()); err != nil {
		return err
	} else if n > 0 {
		logger.Info("removed half-written files of an earlier run", "files", n)
	}

	if err := writeSecret(filepath.Join(o.data, "aws-credentials"), []byte(creds.awsProfiles())); err != nil {
		return err
	}
	tokens, keys := token.New(registry.SigningKeys(store)), creds.keys()
	cfg := registry.Config{
		Store: store, Bucket: bucket, Issuer: tokens, Verifier: tokens, Logins: limit.NewLogins(nil),
		Authenticators: []auth.Authenticator{basic.NewKeys(keys, "esplanade")}, AccessKeys: keys,
		Evaluators: []policy.Evaluator{policy.Public{}, iam.New(nil, registry.Policies{Store: store})},
		PublicURL:  o.publicURL, TrustedProxies: o.trusted, ManifestCache: o.cache, SharedMaxAge: o.sharedMaxAge, CreateOnPush: true, Logger: logger,
		AliasDecider: registry.Always{}, Quotas: registry.Quotas{TagsPerImage: -1},
	}
	e, err := open(ctx, &cfg, o, stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	reg, err := registry.New(cfg)
	if err != nil {
		return err
	}
	if o.auditLog == "" { // or events would be kept for it
		if err := reg.RemoveSink(ctx, auditSink); err != nil {
			return err
		}
	}
	control, err := ecrpublic.New(ecrpublic.Config{Registry: reg, Keys: keys, Logins: cfg.Logins, Logger: logger})
	if err != nil {
		return err
	}
	for _, a := range creds.all() {
		if err := reg.AddAlias(ctx, a.AccountID, a.Alias); err != nil {
			return err
		}
	}
	pages, err := site.New(site.Config{Registry: reg, Gallery: gallery.Config{Metrics: site.Metrics(e.meter)}, Logger: logger})
	if err != nil {
		return err
	}
	return serve(ctx, o, &host{reg: reg, control: control, pages: pages, eyes: e, garbage: gc.New(reg, &gc.Options{Logger: logger}), logger: logger}, func(addr net.Addr) { greet(stdout, o, addr, creds.account, made) })
}

// makeFolder makes a folder and those above it, each to stay after a power cut.
func makeFolder(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // there is no such call
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// host is what answers, and what runs beside.
type host struct {
	reg     *registry.Registry
	control http.Handler
	pages   *site.Site
	eyes    *eyes
	garbage *gc.Collector
	logger  *slog.Logger
	serving sync.WaitGroup // requests
}

// serve answers until ctx ends, and returns when all that runs has finished.
func serve(ctx context.Context, o options, s *host, ready func(net.Addr)) error {
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	public := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    20 << 10, // the longest credential, and some more
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		public.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	serving := make(chan error, 2)
	if o.private != "" {
		private, err := listenPrivately(o.private)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		operator := &http.Server{Handler: s.eyes.operator(s.reg, s.garbage), ReadHeaderTimeout: 30 * time.Second, ErrorLog: public.ErrorLog}
		defer operator.Close() //nolint:errcheck // nothing is lost
		s.logger.Info("the operator's address", "url", "http://"+private.Addr().String())
		go func() {
			if err := operator.Serve(private); !errors.Is(err, http.ErrServerClosed) {
				serving <- err
			}
		}()
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	jobs := []func(context.Context) error{
		s.reg.Run, s.garbage.Run, s.pages.Run,
		func(ctx context.Context) error { return s.eyes.meter.Run(ctx, s.reg) },
	}
	running := make(chan error, len(jobs))
	for _, job := range jobs {
		go func() { running <- job(background) }()
	}
	go func() {
		if o.cert != "" {
			serving <- public.ServeTLS(listener, "", "")
		} else {
			serving <- public.Serve(listener)
		}
	}()
	ready(listener.Addr())
	select {
	case err = <-serving:
	case <-ctx.Done():
		s.logger.Info("finishing what runs")
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if err = public.Shutdown(limit); errors.Is(err, context.DeadlineExceeded) {
			s.logger.Warn("clients were cut off that have not finished", "after", shutdownTime)
			err = public.Close()
		}
	}
	s.serving.Wait() // what they did is counted
	cancel()
	for range jobs {
		err = errors.Join(err, <-running)
	}
	return err
}

// ServeHTTP passes the registry what is the registry's, and the rest to the gallery. A ServeMux would answer odd paths with
// redirects of its own, where clients expect the errors of the protocol.
func (s *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serving.Add(1)
	defer s.serving.Done()
	switch p := r.URL.Path; {
	case p == "/v2", strings.HasPrefix(p, "/v2/"), p == "/token", p == "/token/":
		s.reg.ServeHTTP(w, r)
	case p == "/" && r.Method == http.MethodPost:
		s.control.ServeHTTP(w, r)
	case p == "/-/readyz":
		s.reg.ServeReady(w, r)
	default:
		s.pages.ServeHTTP(w, r)
	}
}

// greet says what a person needs to begin.
func greet(w io.Writer, o options, addr net.Addr, a account, made bool) {
	credentialsFile, err := filepath.Abs(filepath.Join(o.data, "aws-credentials"))
	if err != nil {
		credentialsFile = filepath.Join(o.data, "aws-credentials")
	}
	scheme, host := "http://", addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = fmt.Sprintf("localhost:%d", tcp.Port)
	}
	if o.cert != "" {
		scheme = "https://"
	}
	address := scheme + host
	if o.publicURL != "" {
		address = strings.TrimSuffix(o.publicURL, "/")
		_, host, _ = strings.Cut(address, "://")
	}
	text := fmt.Sprintf("\nThe registry is at %s, its data in %s. In a browser, the same address is the gallery.\n\n", address, o.data)
	if made {
		text += fmt.Sprintf("Made an account with the alias %s. Its access key, shown only now and kept in credentials.json:\n\n  user      %s\n  password  %s\n\n",
			a.Alias, a.AccessKeyID, a.SecretAccessKey)
	}
	image := host + "/" + a.Alias + "/hello:latest"
	text += fmt.Sprintf("Log in, push and pull:\n\n  docker login -u %s %s\n  docker tag IMAGE %s\n  docker push %s\n  docker pull %s\n\n",
		a.AccessKeyID, host, image, image, image)
	aws := "aws ecr-public %s --endpoint-url " + address + " --region us-east-1"
	text += fmt.Sprintf("Or as with Amazon ECR Public, with the AWS command line:\n\n  export AWS_SHARED_CREDENTIALS_FILE=%s\n  "+
		aws+" | docker login -u AWS --password-stdin %s\n  "+aws+"\n\n",
		credentialsFile, "get-login-password", host, "create-repository --repository-name hat-cat-generator")
	io.WriteString(w, text) //nolint:errcheck // nobody reads it
}
