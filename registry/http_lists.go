package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// next sets the Link header to the page that follows.
func (c *call) next(q url.Values) {
	c.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, c.req.URL.EscapedPath(), q.Encode()))
}

func (c *call) getTags() error {
	return c.list(c.r.tags, func(names []string) any {
		return struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		}{c.route.name, names}
	})
}

func (c *call) getCatalog() error {
	if !c.r.cfg.Catalog {
		return says(ErrUnsupported, "this registry does not list its repositories")
	}
	return c.list(c.r.repositories, func(names []string) any {
		return struct {
			Repositories []string `json:"repositories"`
		}{names}
	})
}

// list answers with a page of names.
func (c *call) list(read func(ctx context.Context, op *Op, after string, n int) ([]string, bool, error), body func([]string) any) error {
	n, err := c.number("n")
	if err != nil {
		return err
	}
	last := c.req.URL.Query().Get("last")
	return c.do(func(ctx context.Context) error {
		names, more, err := read(ctx, &c.op, last, page(n))
		if err != nil {
			return err
		}
		if names == nil {
			names = []string{}
		}
		if more {
			c.next(url.Values{"n": {strconv.Itoa(page(n))}, "last": {names[len(names)-1]}})
		}
		c.keep(false)
		return c.json(http.StatusOK, "application/json", body(names))
	})
}

// getReferrers always answers with an index, also for a repository that does not exist:
// the specification has no 404 here, and none tells less.
func (c *call) getReferrers() error {
	subject, err := manifest.ParseDigest(c.route.ref)
	if err != nil {
		return err
	}
	n, err := c.number("n")
	if err != nil {
		return err
	}
	q := c.req.URL.Query()
	var after manifest.Digest
	if s := q.Get("last"); s != "" {
		if after, err = manifest.ParseDigest(s); err != nil {
			return err
		}
	}
	types := q["artifactType"]
	if len(types) > MaxTags {
		return says(ErrBadRequest, "%d artifact types, one request may name %d", len(types), MaxTags)
	}
	limit := math.MaxInt // containerd does not ask for a second page
	if n >= 0 {
		limit = page(n)
	}
	var list referrerList
	err = c.do(func(ctx context.Context) error { return list.fill(ctx, c, subject, types, after, limit) })
	if err != nil && !errors.Is(err, ErrNameUnknown) {
		return err
	}
	if list.more {
		next := url.Values{"last": {string(list.last)}}
		if n >= 0 {
			next.Set("n", strconv.Itoa(limit))
		}
		if len(types) > 0 {
			next["artifactType"] = types
		}
		c.next(next)
	}
	if len(types) > 0 {
		c.Header()["Oci-Filters-Applied"] = []string{"artifactType"}
	}
	body := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[`, manifest.MediaTypeIndex)
	body = append(append(body, bytes.Join(list.entries, []byte{','})...), "]}"...)
	h := c.Header()
	h["Content-Type"] = []string{manifest.MediaTypeIndex} // without parameters: oras-go compares the whole
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if err == nil {
		c.keep(false)
	} else { // nobody else is to get it, and it must not be told from what a private one answers
		h["Cache-Control"] = revalidate
	}
	c.WriteHeader(http.StatusOK)
	if c.req.Method == http.MethodGet {
		c.Write(body) //nolint:errcheck // the client has gone
	}
	return nil
}

// referrerList is a page of referrers, each as JSON. It is as long as clients read, 4 MiB.
type referrerList struct {
	entries [][]byte
	size    int
	last    manifest.Digest
	more    bool
}

// maxReferrers leaves room for what stands around the entries.
const maxReferrers = manifest.MaxSize - 1024

// fill reads entries until there are n of them or they are long enough. Annotations can be
// as large as a manifest, so few are read at first, and more when they prove to be small.
func (l *referrerList) fill(ctx context.Context, c *call, subject manifest.Digest, types []string, after manifest.Digest, n int) error {
	l.last, l.more = after, true
	for batch := 16; l.more && len(l.entries) < n; batch = min(2*batch, MaxPage) {
		list, more, err := c.r.referrers(ctx, &c.op, subject, types, l.last, min(batch, n-len(l.entries)))
		if err != nil {
			return err
		}
		for _, d := range list {
			entry, err := encodeReferrer(d)
			if err != nil {
				return err
			}
			if l.size+len(entry)+1 > maxReferrers {
				return nil
			}
			l.entries, l.size, l.last = append(l.entries, entry), l.size+len(entry)+1, d.Digest
		}
		l.more = more
		if l.size > maxReferrers/8 {
			batch = 8
		}
	}
	if n == 0 {
		l.more = false
	}
	return nil
}

// encodeReferrer writes a descriptor. Annotations that would not fit into a page by
// themselves are left out.
func encodeReferrer(d manifest.Descriptor) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, err
	}
	if b.Len() > maxReferrers-1 {
		d.Annotations = nil
		return json.Marshal(d)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
