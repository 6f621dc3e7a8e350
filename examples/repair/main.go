// Command repair looks for what must not be in a registry's metadata and bucket, and mends it if
// it is told to. For what it finds, and what mending means, see package registry/repair.
//
// Over the folder of examples/quickstart, whose server must be stopped:
//
//	go run ./examples/repair -data ./esplanade-data
//
// Over PostgreSQL and a bucket, while nodes serve, on any machine that reaches both:
//
//	go run ./examples/repair -database postgres://... -bucket s3://images?region=eu-west-1
//
// The flags:
//
//	-data DIR          the folder of a server that is stopped
//	-database URL      PostgreSQL, and
//	-bucket URL        the bucket, s3:// or file://, as for gocloud.dev/blob
//	-mend              mend what can be without a loss
//	-mend-content      remove the rows of damaged content, so that it can be pushed again. Until
//	                   then, images that need it fail to be pulled with "blob unknown"
//	-sizes-only        look at the sizes of objects alone, not at their bytes: enough after a backup was
//	                   restored
//	-rate BYTES        read no more of the bucket than so many bytes a second (0: no limit)
//	-checkpoint FILE   write to FILE every ten seconds, and when the run is ended early, how far
//	                   it has come; go on from there if the file exists. A run that comes to its end
//	                   removes it. Findings before the checkpoint are counted, not printed again
//
// It prints a line of JSON for each finding, and the summary as the last line:
//
//	{"kind":"blob-corrupt","digest":"sha256:…","key":"…","text":"…","mend":"…"}
//	{"summary":{"rows":1200,"blobs":310,"bytes":88123456,"objects":312,"found":{"blob-corrupt":1},"complete":true}}
//
// The exit status is 0 if nothing is left that is wrong, 1 if there are findings that were not
// mended (notes do not count), and 2 if it could not run or was ended before its end. What is
// mended by queueing it is gone when the server's collector has run and the grace is over.
//
// A database of an older version is upgraded, as by a server: use the program of the version
// that serves.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	_ "gocloud.dev/blob/fileblob"

	"github.com/esplanade-registry/esplanade/registry/repair"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/sqlmeta"
)

// The exit statuses.
const (
	clean  = 0
	left   = 1
	failed = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// options are the flags.
type options struct {
	data, database, bucket, checkpoint string
	mend, mendContent, sizes           bool
	rate                               int64
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("repair", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.data, "data", "", "`folder` of examples/quickstart, whose server is stopped")
	flags.StringVar(&o.database, "database", "", "`URL` of PostgreSQL, with -bucket")
	flags.StringVar(&o.bucket, "bucket", "", "`URL` of the bucket, with -database")
	flags.BoolVar(&o.mend, "mend", false, "mend what can be without a loss")
	flags.BoolVar(&o.mendContent, "mend-content", false, "remove the rows of damaged content, so that it can be pushed again")
	flags.BoolVar(&o.sizes, "sizes-only", false, "look at the sizes of objects, not at their bytes")
	flags.Int64Var(&o.rate, "rate", 0, "`bytes` of the bucket to read each second; 0: no limit")
	flags.StringVar(&o.checkpoint, "checkpoint", "", "`file` to go on from after an interruption")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case (o.data == "") == (o.database == ""), (o.database == "") != (o.bucket == ""):
		return o, errors.New("give either -data, or -database and -bucket")
	case o.rate < 0:
		return o, errors.New("-rate must not be negative")
	}
	return o, nil
}

// run returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	sum, err := check(ctx, args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return clean
	case err != nil:
		fmt.Fprintln(stderr, "repair:", err)
		return failed
	case sum.Left() > 0:
		return left
	}
	return clean
}

func check(ctx context.Context, args []string, stdout, stderr io.Writer) (sum repair.Summary, err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return sum, err
	}
	file := progress{path: o.checkpoint}
	if err := file.load(); err != nil {
		return sum, err
	}
	in, err := open(ctx, o)
	defer func() { err = errors.Join(err, in.close()) }()
	if err != nil {
		return sum, err
	}
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false)
	sum, err = repair.Run(ctx, in.store, in.bucket, file.last, &repair.Options{
		Mend: o.mend, MendContent: o.mendContent, SizesOnly: o.sizes, BytesPerSecond: o.rate,
		Found: func(f repair.Finding) error { return out.Encode(f) }, Reached: file.reached,
	})
	return sum, errors.Join(err, file.end(err == nil), out.Encode(map[string]any{"summary": sum}))
}

// opened is what the flags name.
type opened struct {
	store   meta.Store
	bucket  storage.Bucket
	closers []func() error
}

func (o *opened) close() (err error) {
	for _, f := range slices.Backward(o.closers) {
		err = errors.Join(err, f())
	}
	return err
}

// open opens what the flags name. Whatever it returns is to be closed.
func open(ctx context.Context, o options) (*opened, error) {
	in := &opened{}
	if o.data != "" {
		// What does not exist would be made, and everything found to be missing in it.
		for _, name := range []string{"meta.db", "blobs"} {
			if _, err := os.Stat(filepath.Join(o.data, name)); err != nil {
				return in, fmt.Errorf("%s is not the folder of a server: %w", o.data, err)
			}
		}
		lock := flock.New(filepath.Join(o.data, "lock"))
		if ok, err := lock.TryLock(); err != nil || !ok {
			return in, errors.Join(fmt.Errorf("a server uses the folder %s; stop it first", o.data), err)
		}
		in.closers = append(in.closers, lock.Close)
	}
	store, err := openStore(ctx, o)
	if err != nil {
		return in, err
	}
	in.store, in.closers = store, append(in.closers, store.Close)
	if o.data != "" {
		if o.bucket, err = gocloud.FileURL(filepath.Join(o.data, "blobs")); err != nil {
			return in, err
		}
	}
	bucket, err := openBucket(ctx, o.bucket)
	if err != nil {
		return in, err
	}
	in.bucket, in.closers = bucket, append(in.closers, bucket.Close)
	return in, nil
}

func openStore(ctx context.Context, o options) (meta.Store, error) {
	if o.data != "" {
		return sqlmeta.OpenSQLite(ctx, filepath.Join(o.data, "meta.db"))
	}
	return sqlmeta.OpenPostgres(ctx, o.database, nil)
}

// bucket is what buckets of both kinds are.
type bucket interface {
	storage.Bucket
	Close() error
}

// openBucket opens a bucket by its URL: s3:// or file://.
func openBucket(ctx context.Context, bucketURL string) (bucket, error) {
	if strings.HasPrefix(bucketURL, "s3://") {
		return s3.Open(ctx, bucketURL, nil)
	}
	return gocloud.Open(ctx, bucketURL)
}

// progress keeps a checkpoint in a file.
type progress struct {
	path    string // "": nowhere
	last    repair.Checkpoint
	written time.Time
}

// interval is how often the file is written.
const interval = 10 * time.Second

func (p *progress) load() error {
	if p.path == "" {
		return nil
	}
	raw, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &p.last)
	}
	if err != nil {
		return fmt.Errorf("the checkpoint %s: %w", p.path, err)
	}
	return nil
}

func (p *progress) reached(c repair.Checkpoint) error {
	p.last = c
	if time.Since(p.written) < interval {
		return nil
	}
	return p.write()
}

// write replaces the file: it is there whole or not at all.
func (p *progress) write() error {
	if p.path == "" {
		return nil
	}
	p.written = time.Now()
	raw, err := json.Marshal(p.last)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(p.path), filepath.Base(p.path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), p.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// end keeps the last checkpoint of a run that was ended early, and removes that of one which
// is complete.
func (p *progress) end(complete bool) error {
	if !complete || p.path == "" {
		return p.write()
	}
	if err := os.Remove(p.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
