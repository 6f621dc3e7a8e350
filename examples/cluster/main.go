// Command cluster is a public container registry on any number of equal nodes, which share a
// PostgreSQL database and a bucket and nothing else:
//
//	go run ./examples/cluster -database postgres://registry:registry@127.0.0.1/registry?sslmode=disable \
//	    -bucket 's3://images?endpoint=http://127.0.0.1:7070&use_path_style=true&region=us-east-1'
//
// starts three nodes, on ports 5000, 5001 and 5002, as three processes of one group, and ends
// them when it is ended. With -nodes 1 the process is a node itself: that is how it is run
// for real, one on each machine, behind any load balancer. No request needs to reach the node
// that the one before it reached. How to get PostgreSQL and a bucket running on a Debian machine,
// what to back up, how to upgrade and how much of everything is needed stands in the README beside
// this file.
//
// The node that finds an empty database makes an account with an alias and an access key, and prints
// it. Whoever has the key pushes to repositories under the alias, which are created by pushing;
// anyone pulls. Each node answers the API of Amazon ECR Public too, and shows the gallery.
//
// The flags:
//
//	-database DSN           PostgreSQL, 14 or later; or the environment's ESPLANADE_DATABASE
//	-bucket URL             s3://; or the environment's ESPLANADE_BUCKET. For gs:// and azblob:// import gocloud's
//	                        driver in node.go, which is not done here for the 35 modules that they bring
//	-addr host:port         where the first node listens (127.0.0.1:5000); the next takes the next port
//	-nodes N                how many to start (3)
//	-public-url URL         where clients reach the nodes, if a proxy stands before them
//	-trusted-proxies LIST   the addresses or networks, with commas, whose X-Forwarded-For is believed
//	-grace 24h              how long what may be garbage is left alone. It must be longer than a push
//	                        takes, and than a backup does
//	-create-account ALIAS   make an account with an alias and an access key, print them, and end
//
// SIGINT and SIGTERM let running requests finish, for up to 30 seconds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/gocloud/s3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	database, bucket, addr, publicURL, create string
	proxies                                   string
	trusted                                   []netip.Prefix // proxies
	nodes                                     int
	grace                                     time.Duration
}

// The environment's variables for what should not be seen in a list of processes.
const (
	databaseVariable = "ESPLANADE_DATABASE"
	bucketVariable   = "ESPLANADE_BUCKET"
)

func parse(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("cluster", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.database, "database", os.Getenv(databaseVariable), "`DSN` of PostgreSQL")
	fs.StringVar(&o.bucket, "bucket", os.Getenv(bucketVariable), "`URL` of the bucket")
	fs.StringVar(&o.addr, "addr", "127.0.0.1:5000", "`host:port` where the first node listens")
	fs.IntVar(&o.nodes, "nodes", 3, "how many nodes to start; 1: this process is one")
	fs.StringVar(&o.publicURL, "public-url", "", "`URL` where clients reach the nodes, if a proxy stands before them")
	fs.Func("trusted-proxies", "`addresses` or networks whose X-Forwarded-For is believed, with commas", func(s string) (err error) {
		o.proxies = s
		o.trusted, err = prefixes(s)
		return err
	})
	fs.DurationVar(&o.grace, "grace", registry.DefaultGrace, "how long what may be garbage is left alone")
	fs.StringVar(&o.create, "create-account", "", "make an account with this `alias`, and end")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.database == "" || o.bucket == "":
		return o, errors.New("-database and -bucket say where everything is kept; the README beside this program says how to get both running")
	case o.nodes < 1 || o.nodes > 100:
		return o, errors.New("-nodes must be from 1 to 100")
	case o.grace <= 0:
		return o, errors.New("-grace must be more than 0")
	}
	return o, nil
}

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

// memoryLimit makes the garbage collector work for a node that many push to at once: with the
// buffers of the bucket in use, the heap would grow to twice their size first. GOMEMLIMIT sets
// another.
const memoryLimit = s3.DefaultBuffers + 96<<20

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.nodes > 1 && o.create == "" {
		return supervise(ctx, o, stdout, stderr)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	n, err := openNode(ctx, o, logger)
	if err != nil {
		return err
	}
	if o.create != "" {
		a, err := n.createAccount(ctx, o.create)
		if err == nil {
			_, err = fmt.Fprintf(stdout, "account %s, alias %s\n  user      %s\n  password  %s\n", a.id, a.alias, a.key.ID, a.key.Secret)
		}
		return errors.Join(err, n.close())
	}
	made, err := n.firstAccount(ctx)
	if err == nil {
		err = n.serve(ctx, func(addr net.Addr) { greet(stdout, o, addr, made) })
	}
	return errors.Join(err, n.close())
}

// addrOf returns where the node of a number listens, from 0.
func addrOf(addr string, number int) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("port %q: %w", port, err)
	}
	if first == 0 {
		return addr, nil // any port, for each
	}
	return net.JoinHostPort(host, strconv.Itoa(int(first)+number)), nil
}

// greet says what a person needs to begin.
func greet(w io.Writer, o options, addr net.Addr, made *account) {
	host := addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = fmt.Sprintf("localhost:%d", tcp.Port)
	}
	text := fmt.Sprintf("A node is at http://%s.\n", host)
	if made != nil {
		if o.publicURL != "" {
			_, host, _ = strings.Cut(strings.TrimSuffix(o.publicURL, "/"), "://")
		}
		image := host + "/" + made.alias + "/hello:latest"
		text += fmt.Sprintf("\nMade an account with the alias %s. Its access key, shown only now:\n\n  user      %s\n  password  %s\n\n"+
			"Log in, push and pull, at any node:\n\n  docker login -u %s %s\n  docker tag IMAGE %s\n  docker push %s\n  docker pull %s\n\n",
			made.alias, made.key.ID, made.key.Secret, made.key.ID, host, image, image, image)
	}
	io.WriteString(w, text) //nolint:errcheck // nobody reads it
}
