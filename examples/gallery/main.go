// Command gallery serves the search of a gallery over repositories from a file:
//
//	go run ./examples/gallery -seed FILE
//	curl '127.0.0.1:5003/-/search?q=redis'
//
// Each line of the file is a repository:
//
//	alias|name|log10 of pulls|1 if verified|days since update|1 if deprecated|description|keyword,keyword
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:5003", "`host:port` to listen on")
	seed := flag.String("seed", "", "`file` of repositories")
	flag.Parse()
	if err := run(context.Background(), *addr, *seed); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, seed string) error {
	if seed == "" {
		return errors.New("-seed is missing: a file of repositories, see go doc ./examples/gallery")
	}
	f, err := os.Open(seed)
	if err != nil {
		return err
	}
	defer f.Close()
	index := memindex.New(nil)
	n, err := load(ctx, index, f)
	if err != nil {
		return fmt.Errorf("%s: %w", seed, err)
	}
	log.Printf("%d repositories; listening on %s", n, addr)
	return http.ListenAndServe(addr, gallery.Handler(index, nil))
}

// load puts the repositories of a file into an index.
func load(ctx context.Context, index gallery.Index, r io.Reader) (n int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for line := 1; lines.Scan(); line++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		d, err := parse(lines.Text())
		if err == nil {
			err = index.Put(ctx, d)
		}
		if err != nil {
			return n, fmt.Errorf("line %d: %w", line, err)
		}
		n++
	}
	return n, lines.Err()
}

// parse reads a line.
func parse(line string) (d gallery.Document, err error) {
	f := strings.Split(line, "|")
	if len(f) != 8 {
		return d, fmt.Errorf("%d fields, want 8", len(f))
	}
	pulls, err := strconv.ParseFloat(f[2], 64)
	if err != nil || pulls < 0 || pulls > 18 {
		return d, fmt.Errorf("%q is no logarithm of a number of pulls", f[2])
	}
	days, err := strconv.ParseFloat(f[4], 64)
	if err != nil || days < 0 || days > 36500 {
		return d, fmt.Errorf("%q is no number of days", f[4])
	}
	d = gallery.Document{
		Name: f[0] + "/" + f[1], Pulls: int64(math.Pow(10, pulls)), Verified: f[3] == "1", Deprecated: f[5] == "1", Description: f[6],
		Updated: time.Now().Add(-time.Duration(days * 24 * float64(time.Hour))),
	}
	for k := range strings.SplitSeq(f[7], ",") {
		if k = strings.TrimSpace(k); k != "" {
			d.Keywords = append(d.Keywords, k)
		}
	}
	return d, nil
}
