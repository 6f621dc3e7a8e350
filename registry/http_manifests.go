package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// MaxTags is how many tags one PUT of a manifest may set.
const MaxTags = 32

// reference reads the tag or digest of a request for something that exists. A tag outside
// the grammar is one that does not.
func (c *call) reference() error {
	ref, err := manifest.ParseReference(c.route.ref)
	if errors.Is(err, manifest.ErrTag) {
		return &Error{Err: ErrManifestUnknown, Message: err.Error()}
	}
	c.op.Reference = ref
	return err
}

// getManifest answers GET and HEAD. The manifest has the media type that it was pushed
// with whatever the client accepts: nothing is ever converted.
func (c *call) getManifest() error {
	if err := c.reference(); err != nil {
		return err
	}
	return c.do(func(ctx context.Context) error {
		p, err := c.r.manifest(ctx, &c.op)
		if err != nil {
			return err
		}
		h := c.Header()
		h["Docker-Content-Digest"], h["Etag"] = p.digest, p.etag
		c.keep(c.op.Reference.Digest != "")
		if match := c.req.Header["If-None-Match"]; len(match) > 0 && etagMatches(match, string(p.descriptor.Digest)) {
			c.WriteHeader(http.StatusNotModified)
			return nil
		}
		h["Content-Type"], h["Content-Length"] = p.contentType, p.contentLength
		c.WriteHeader(http.StatusOK)
		if c.req.Method == http.MethodGet {
			c.Write(p.raw) //nolint:errcheck // the client has gone
		}
		return nil
	})
}

// etagMatches compares as RFC 9110 says, and takes a digest without quotes too, which some
// clients send.
func etagMatches(values []string, digest string) bool {
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == "*" || strings.Trim(tag, `"`) == digest {
				return true
			}
		}
	}
	return false
}

func (c *call) putManifest() error {
	ref, err := manifest.ParseReference(c.route.ref)
	if err != nil {
		return err
	}
	c.op.Reference = ref
	extra := c.req.URL.Query()["tag"]
	if len(extra) > MaxTags {
		return says(ErrTooManyTags, "%d tags, one request may set %d", len(extra), MaxTags)
	}
	for _, tag := range extra {
		if err := manifest.CheckTag(tag); err != nil {
			return err
		}
	}
	tags := extra
	if ref.Tag != "" {
		tags = append([]string{ref.Tag}, extra...)
	}
	return c.do(func(ctx context.Context) error {
		raw, err := c.body(manifest.MaxSize)
		if err != nil {
			return err
		}
		algorithm := manifest.SHA256
		if ref.Digest != "" {
			algorithm = ref.Digest.Algorithm()
		}
		m, err := manifest.Decode(c.req.Header.Get("Content-Type"), raw, algorithm)
		if err != nil {
			return err
		}
		if ref.Digest != "" && ref.Digest != m.Digest {
			return says(ErrDigestInvalid, "the content has digest %s, not %s", m.Digest, ref.Digest)
		}
		if err := c.r.putManifest(ctx, &c.op, m, tags); err != nil {
			return err
		}
		h := c.Header()
		h["Location"] = []string{"/v2/" + c.route.name + "/manifests/" + string(m.Digest)}
		h["Docker-Content-Digest"] = []string{string(m.Digest)}
		if m.Subject != nil {
			h["Oci-Subject"] = []string{string(m.Subject.Digest)}
		}
		if len(extra) > 0 {
			h["Oci-Tag"] = extra
		}
		return c.empty(http.StatusCreated)
	})
}

// body reads the request's body, of at most limit bytes. It never holds more than twice
// the limit, and of a body that is longer not more than the limit.
func (c *call) body(limit int64) ([]byte, error) {
	tooLarge := says(ErrTooLarge, "the limit is %d bytes", limit)
	if c.req.ContentLength > limit {
		return nil, tooLarge
	}
	if n := c.req.ContentLength; n >= 0 {
		raw := make([]byte, n)
		in := c.input()
		got, err := io.ReadFull(in, raw)
		in.done()
		c.op.Received += int64(got)
		if err != nil {
			return nil, &Error{Err: ErrManifestInvalid, Message: "the body ended early", Cause: err}
		}
		return raw, nil
	}
	in := c.input()
	var pieces [][]byte
	var total int64
	for end := false; !end; {
		p := make([]byte, 64<<10)
		n := 0
		for n < len(p) && !end {
			got, err := in.Read(p[n:])
			n += got
			if end = err == io.EOF; err != nil && !end {
				return nil, &Error{Err: ErrManifestInvalid, Message: "the body ended early", Cause: err}
			}
		}
		pieces, total = append(pieces, p[:n]), total+int64(n)
		c.op.Received += int64(n)
		if total > limit {
			return nil, tooLarge
		}
	}
	return slices.Concat(pieces...), nil
}

func (c *call) deleteManifest() error {
	if err := c.reference(); err != nil {
		return err
	}
	return c.do(func(ctx context.Context) error {
		var err error
		if c.op.Reference.Tag != "" {
			err = c.r.deleteTag(ctx, &c.op, c.op.Reference.Tag)
		} else {
			err = c.r.deleteManifest(ctx, &c.op, c.op.Reference.Digest)
		}
		if err != nil {
			return err
		}
		return c.empty(http.StatusAccepted)
	})
}
