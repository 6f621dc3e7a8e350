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
//	-pull-rate 0            no limit on pulls. There is no limiter, and any other value is
//	                        refused rather than ignored
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
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	_ "gocloud.dev/blob/fileblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/registry/gc"
	"github.com/esplanade-registry/esplanade/registry/site"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

func main() {
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
	cache                            int64
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
	rate := fs.Float64("pull-rate", 0, "limit of pulls; 0, the only value: there is no limiter")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case *rate != 0:
		return o, errors.New("-pull-rate must be 0: there is no limiter, and to ignore a limit would mislead")
	case (o.cert == "") != (o.key == ""):
		return o, errors.New("-tls-cert and -tls-key go together")
	case o.cache == 0:
		o.cache = -1
	}
	return o, nil
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
	reg, err := registry.New(registry.Config{
		Store: store, Bucket: bucket, Issuer: tokens, Verifier: tokens,
		Authenticators: []auth.Authenticator{basic.NewKeys(keys, "esplanade")}, AccessKeys: keys,
		Evaluators: []policy.Evaluator{policy.Public{}, iam.New(nil, registry.Policies{Store: store})},
		PublicURL:  o.publicURL, ManifestCache: o.cache, CreateOnPush: true, Logger: logger,
		AliasDecider: registry.Always{}, Quotas: registry.Quotas{TagsPerImage: -1},
	})
	if err != nil {
		return err
	}
	control, err := ecrpublic.New(ecrpublic.Config{Registry: reg, Keys: keys, Logger: logger})
	if err != nil {
		return err
	}
	for _, a := range creds.all() {
		if err := reg.AddAlias(ctx, a.AccountID, a.Alias); err != nil {
			return err
		}
	}
	pages, err := site.New(site.Config{Registry: reg, Logger: logger})
	if err != nil {
		return err
	}
	return serve(ctx, o, reg, control, pages, logger, func(addr net.Addr) { greet(stdout, o, addr, creds.account, made) })
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

// serve answers until ctx ends, and returns when all that runs has finished.
func serve(ctx context.Context, o options, reg *registry.Registry, control http.Handler, pages *site.Site, logger *slog.Logger, ready func(net.Addr)) error {
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler(reg, control, pages),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	running := make(chan error, 3)
	go func() { running <- reg.Run(background) }()
	go func() { running <- gc.New(reg, &gc.Options{Logger: logger}).Run(background) }()
	go func() { running <- pages.Run(background) }()
	serving := make(chan error, 1)
	go func() {
		if o.cert != "" {
			serving <- server.ServeTLS(listener, "", "")
		} else {
			serving <- server.Serve(listener)
		}
	}()
	ready(listener.Addr())
	select {
	case err = <-serving:
	case <-ctx.Done():
		logger.Info("finishing what runs")
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if err = server.Shutdown(limit); err != nil {
			err = errors.Join(err, server.Close())
		}
	}
	cancel()
	return errors.Join(err, <-running, <-running, <-running)
}

// handler passes the registry what is the registry's, and the rest to the gallery. A ServeMux would answer odd paths with
// redirects of its own, where clients expect the errors of the protocol.
func handler(reg, control, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == "/v2", strings.HasPrefix(p, "/v2/"), p == "/token", p == "/token/":
			reg.ServeHTTP(w, r)
		case p == "/" && r.Method == http.MethodPost:
			control.ServeHTTP(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})
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
