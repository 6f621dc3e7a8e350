package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
)

// openSeed returns the gallery of the repositories of a file, and how many they are.
func openSeed(ctx context.Context, name string) (*gallery.Site, int, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	pages, n, err := newSeeded(ctx, f)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return pages, n, nil
}

// newSeeded returns the gallery of the repositories that are read.
func newSeeded(ctx context.Context, r io.Reader) (*gallery.Site, int, error) {
	index := memindex.New(nil)
	list, err := load(ctx, index, r)
	if err != nil {
		return nil, 0, err
	}
	pages, err := gallery.New(gallery.Config{
		Source: newListed(list), Index: index, Name: "Esplanade demo", Tagline: "The search, over repositories from a file",
	})
	return pages, len(list), err
}

// load puts the repositories of a file into an index and returns them.
func load(ctx context.Context, index gallery.Index, r io.Reader) (list []gallery.Document, err error) {
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
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		list = append(list, d)
	}
	return list, lines.Err()
}

// parse reads a line.
func parse(line string) (d gallery.Document, err error) {
	f := strings.Split(line, "|")
	if len(f) != 8 {
		return d, fmt.Errorf("%d fields, want 8", len(f))
	}
	pulls, err := strconv.ParseFloat(f[2], 64)
	if err != nil || !(pulls >= 0 && pulls <= 18) { // NaN is neither
		return d, fmt.Errorf("%q is no logarithm of a number of pulls", f[2])
	}
	days, err := strconv.ParseFloat(f[4], 64)
	if err != nil || !(days >= 0 && days <= 36500) {
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

// listed is a [gallery.Source] of repositories without tags.
type listed struct {
	names     []string // of all, in order
	documents map[string]gallery.Document
	verified  map[string]bool // by alias: one of its repositories is
}

var _ gallery.Lister = (*listed)(nil)

func newListed(list []gallery.Document) *listed {
	s := &listed{documents: map[string]gallery.Document{}, verified: map[string]bool{}}
	for _, d := range list {
		if _, again := s.documents[d.Name]; !again {
			s.names = append(s.names, d.Name)
		}
		s.documents[d.Name] = d // of a name that comes twice the last counts, as in the index
		alias, _, _ := strings.Cut(d.Name, "/")
		s.verified[alias] = s.verified[alias] || d.Verified
	}
	slices.Sort(s.names)
	return s
}

// Publisher implements [gallery.Source].
func (s *listed) Publisher(_ context.Context, alias string) (gallery.Publisher, error) {
	verified, ok := s.verified[alias]
	if !ok {
		return gallery.Publisher{}, fmt.Errorf("publisher %s: %w", alias, fs.ErrNotExist)
	}
	p := gallery.Publisher{Alias: alias, Aliases: []string{alias}, Verified: verified}
	if verified {
		p.Proof = "The file says so."
	}
	return p, nil
}

// Repositories implements [gallery.Source].
func (s *listed) Repositories(ctx context.Context, alias, after string, limit int) (list []gallery.Document, more bool, err error) {
	if _, err := s.Publisher(ctx, alias); err != nil {
		return nil, false, err
	}
	for _, name := range s.following(alias + "/" + after) {
		if !strings.HasPrefix(name, alias+"/") {
			break
		}
		if len(list) == limit {
			return list, true, nil
		}
		list = append(list, s.documents[name])
	}
	return list, false, nil
}

// following returns the names after one.
func (s *listed) following(after string) []string {
	i, found := slices.BinarySearch(s.names, after)
	if found {
		i++
	}
	return s.names[i:]
}

// Repository implements [gallery.Source].
func (s *listed) Repository(ctx context.Context, name string) (gallery.Repository, error) {
	d, ok := s.documents[name]
	if !ok {
		return gallery.Repository{}, fmt.Errorf("repository %s: %w", name, fs.ErrNotExist)
	}
	alias, _, _ := strings.Cut(name, "/")
	p, err := s.Publisher(ctx, alias)
	return gallery.Repository{Document: d, Publisher: p}, err
}

// Tags implements [gallery.Source]: there are none.
func (s *listed) Tags(ctx context.Context, name, _ string, _ int) ([]gallery.Tag, bool, error) {
	_, err := s.Repository(ctx, name)
	return nil, false, err
}

// Image implements [gallery.Source]: there is none.
func (s *listed) Image(_ context.Context, name, reference string) (gallery.Image, error) {
	return gallery.Image{}, fmt.Errorf("image %s of %s: %w", reference, name, fs.ErrNotExist)
}

// Names implements [gallery.Lister].
func (s *listed) Names(_ context.Context, after string, limit int) (names []string, more bool, err error) {
	rest := s.following(after)
	return rest[:min(limit, len(rest))], len(rest) > limit, nil
}
