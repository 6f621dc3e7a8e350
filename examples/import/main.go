// Command import copies a registry, or some of its repositories, into a registry of this
// library, whose server need not run:
//
//	go run ./examples/import -from https://registry.example.com -data ./esplanade-data
//	go run ./examples/import -from-folder /var/lib/registry -data ./esplanade-data
//
// It copies tags, images, indexes, signatures and other referrers, with the bytes that they
// have. What is in the target already is not copied again, so that it may be interrupted and
// repeated: once while the old registry still takes pushes, and a last time when it no longer
// does. Nothing is deleted from the target.
//
// The flags, of which one of each pair is needed:
//
//	-from URL               a registry, http:// or https://
//	-from-folder DIR        the data of a registry of distribution (registry:2, registry:3) that
//	                        keeps it in a folder: its rootdirectory. That registry is to be
//	                        read-only or stopped
//
//	-data DIR               the folder of a server such as examples/quickstart, which has been
//	                        started once and is stopped now
//	-database URL           or a PostgreSQL database, postgres://..., whose servers may run,
//	-bucket URL             with the bucket that goes with it, s3://images?region=... or file:///...
//
//	-alias NAME             under which the repositories are to be: hat becomes NAME/hat. It must
//	                        exist. With -data, it is the one of credentials.json if left out
//	-repositories A,B       which to copy. Needed where the registry does not list them by
//	                        /v2/_catalog; else all of them are copied
//
// It logs in to the registry at -from as docker does: run docker login for it before.
//
// Lines of progress go to the standard error, the report, as JSON, to the standard output. The
// exit status is 1 if anything could not be copied; the report says what, and why. Images of
// Docker's schema 1, which were made before 2017 or so, are skipped: this registry does not hold
// them. The report lists them, but they do not count as problems.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/esplanade-registry/esplanade/registry/importer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "import:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	from, folder           string
	data, database, bucket string
	alias                  string
	repositories           []string
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("import", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.from, "from", "", "`URL` of the registry to copy from")
	fs.StringVar(&o.folder, "from-folder", "", "`folder` of a registry of distribution to copy from")
	fs.StringVar(&o.data, "data", "", "`folder` of the server to copy to")
	fs.StringVar(&o.database, "database", "", "`URL` of the PostgreSQL database to copy to")
	fs.StringVar(&o.bucket, "bucket", "", "`URL` of the bucket that goes with -database")
	fs.StringVar(&o.alias, "alias", "", "`name` under which the repositories are to be")
	fs.Func("repositories", "`names` of the repositories to copy, with commas between them", func(s string) error {
		o.repositories = append(o.repositories, strings.Split(s, ",")...)
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case (o.from == "") == (o.folder == ""):
		return o, errors.New("one of -from and -from-folder is needed")
	case (o.data == "") == (o.database == ""):
		return o, errors.New("one of -data and -database is needed")
	case (o.database == "") != (o.bucket == ""):
		return o, errors.New("-database and -bucket go together")
	case o.database != "" && o.alias == "":
		return o, errors.New("-database needs -alias")
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	from, done, err := source(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	to, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()

	report, err := importer.Import(ctx, to.actor, from, importer.Under(to.alias), &importer.Options{
		Progress: func(e importer.Event) { progress(stderr, e) },
	})
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	err = errors.Join(err, out.Encode(report))
	if n := len(report.Problems); n > 0 && err == nil {
		err = fmt.Errorf("%d problems; see the report, and repeat the import once they are solved", n)
	}
	return err
}

// source opens what is copied from. The caller calls done at the end.
func source(o options) (from importer.Source, done func() error, err error) {
	if o.folder != "" {
		folder, err := os.OpenRoot(o.folder)
		if err != nil {
			return nil, nil, err
		}
		d := importer.NewDistribution(folder.FS())
		if o.repositories != nil {
			return chosen{d, o.repositories}, folder.Close, nil
		}
		return d, folder.Close, nil
	}
	u, err := url.Parse(o.from)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, nil, fmt.Errorf("-from %q is not of the form https://host[:port]", o.from)
	}
	logins, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("docker's configuration: %w", err)
	}
	from, err = importer.NewRemote(u.Host, &importer.RemoteOptions{
		PlainHTTP: u.Scheme == "http", Credential: credentials.Credential(logins), Repositories: o.repositories,
	})
	return from, func() error { return nil }, err
}

// chosen is some repositories of a folder, whether they are there or not.
type chosen struct {
	*importer.Distribution
	names []string
}

// Repositories lists the names.
func (c chosen) Repositories(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range c.names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// progress says what was done, but not what was there already.
func progress(w io.Writer, e importer.Event) {
	what := strings.TrimSpace(fmt.Sprintf("%s %s", e.Object, e.Reference))
	switch {
	case e.Outcome == importer.Begun:
		fmt.Fprintf(w, "%s -> %s\n", e.Repository, e.Target)
	case e.Outcome == importer.Present:
	case e.Err != nil:
		fmt.Fprintf(w, "%s: %s %s: %v\n", e.Target, what, e.Outcome, e.Err)
	case e.Size > 0:
		fmt.Fprintf(w, "%s: %s %s, %d bytes\n", e.Target, what, e.Outcome, e.Size)
	default:
		fmt.Fprintf(w, "%s: %s %s\n", e.Target, what, e.Outcome)
	}
}
