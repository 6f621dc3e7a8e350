package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

var (
	octetStream = []string{"application/octet-stream"}
	acceptBytes = []string{"bytes"}
)

// blobHeader sets the headers that GET and HEAD share. A blob is never encoded: clients
// ask for zstd and gzip, and would decode (containerd, docker).
func (c *call) blobHeader(d manifest.Digest) {
	h := c.Header()
	h["Content-Type"] = octetStream
	h["Docker-Content-Digest"] = []string{string(d)}
	h["Etag"] = []string{`"` + string(d) + `"`}
	h["Accept-Ranges"] = acceptBytes
	c.keep(true)
}

func (c *call) getBlob() error {
	d, err := manifest.ParseDigest(c.route.ref)
	if err != nil {
		return err
	}
	c.op.Reference.Digest = d
	return c.do(func(ctx context.Context) error {
		b, err := c.r.blob(ctx, &c.op, d)
		if err != nil {
			return err
		}
		c.op.Descriptor = manifest.Descriptor{Digest: d, Size: b.Size}
		req, asked, err := c.ranged(b.Size)
		if err != nil {
			return err
		}
		if sent, err := c.redirect(ctx, b, length(asked)); sent || err != nil {
			return err
		}
		in, err := c.r.openBlob(ctx, &c.op, b, asked[0].first)
		if err != nil {
			return err
		}
		defer in.Close()
		c.blobHeader(d)
		if raw := in.Bytes(); raw != nil && plain(req) {
			c.Header()["Content-Length"] = []string{strconv.Itoa(len(raw))}
			c.WriteHeader(http.StatusOK)
			c.Write(raw) //nolint:errcheck // the client has gone
			return nil
		}
		var content io.ReadSeeker = in
		if f := in.File(); f != nil {
			content = f // so that net/http finds a file for sendfile
		}
		if len(asked) > 1 && length(asked) <= b.Size && !conditional(req) {
			c.parts(content, asked, b.Size)
			return in.Err()
		}
		http.ServeContent(c, req, "", time.Time{}, content)
		return in.Err() // the bucket failed part-way: the connection is cut
	})
}

// plain reports whether a request asks for all of the content, whatever the client has:
// nothing for net/http to decide, and a third of the cost of a small blob to save.
func plain(req *http.Request) bool { return req.Header["Range"] == nil && !conditional(req) }

// conditional reports whether what a request gets depends on what the client has.
func conditional(req *http.Request) bool {
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		if req.Header[name] != nil {
			return true
		}
	}
	return false
}

func (c *call) headBlob() error {
	d, err := manifest.ParseDigest(c.route.ref)
	if err != nil {
		return err
	}
	c.op.Reference.Digest = d
	return c.do(func(ctx context.Context) error {
		b, err := c.r.blob(ctx, &c.op, d)
		if err != nil {
			return err
		}
		c.op.Descriptor = manifest.Descriptor{Digest: d, Size: b.Size}
		if err := c.r.renewFor(ctx, &c.op, d); err != nil {
			return err
		}
		c.blobHeader(d)
		c.Header()["Content-Length"] = []string{strconv.FormatInt(b.Size, 10)}
		c.WriteHeader(http.StatusOK)
		return nil
	})
}

func (c *call) deleteBlob() error {
	d, err := manifest.ParseDigest(c.route.ref)
	if err != nil {
		return err
	}
	c.op.Reference.Digest = d
	return c.do(func(ctx context.Context) error {
		if err := c.r.deleteBlob(ctx, &c.op, d); err != nil {
			return err
		}
		return c.empty(http.StatusAccepted)
	})
}

// postUpload begins an upload; or mounts a blob, or takes it whole, where that is asked for.
func (c *call) postUpload() error {
	q := c.req.URL.Query()
	algorithm := manifest.SHA256
	var mount, whole manifest.Digest
	var err error
	if s := q.Get("digest-algorithm"); s != "" {
		if algorithm, err = manifest.ParseAlgorithm(s); err != nil {
			return err
		}
	}
	if s := q.Get("mount"); s != "" {
		if mount, err = manifest.ParseDigest(s); err != nil {
			return err
		}
	}
	if s := q.Get("digest"); s != "" {
		if whole, err = manifest.ParseDigest(s); err != nil {
			return err
		}
	}
	return c.do(func(ctx context.Context) error {
		if mount != "" {
			mounted, err := c.r.mountBlob(ctx, &c.op, mount, q.Get("from"))
			if err != nil {
				return err
			}
			if mounted {
				return c.created(mount)
			}
		}
		if whole != "" {
			if err := c.r.uploadWhole(ctx, &c.op, whole, chunk{start: -1, size: c.req.ContentLength, body: c.input()}); err != nil {
				return err
			}
			return c.created(whole)
		}
		u, err := c.r.startUpload(ctx, &c.op, algorithm)
		if err != nil {
			return err
		}
		return c.uploadStatus(u, http.StatusAccepted)
	})
}

// created answers for a blob that is now in the repository.
func (c *call) created(d manifest.Digest) error {
	h := c.Header()
	h["Location"] = []string{"/v2/" + c.route.name + "/blobs/" + string(d)}
	h["Docker-Content-Digest"] = []string{string(d)}
	return c.empty(http.StatusCreated)
}

// uploadStatus says how far an upload has come. The location is path-absolute, which
// survives any proxy (distribution#2862).
func (c *call) uploadStatus(u meta.Upload, status int) error {
	h := c.Header()
	h["Location"] = []string{c.uploadLocation(u.ID)}
	h["Docker-Upload-Uuid"] = []string{string(u.ID)}
	h["Range"] = []string{uploadRange(u)}
	return c.empty(status)
}

func (c *call) uploadLocation(id meta.UploadID) string {
	return "/v2/" + c.route.name + "/blobs/uploads/" + url.PathEscape(string(id))
}

// chunk reads what the request says of its body. Content-Range is <start>-<end>, without
// the unit that RFC 9110 has.
func (c *call) chunk() (chunk, error) {
	part := chunk{start: -1, size: c.req.ContentLength, body: c.input()}
	header := c.req.Header.Get("Content-Range")
	if header == "" {
		return part, nil
	}
	first, last, ok := strings.Cut(header, "-")
	start, err := strconv.ParseUint(first, 10, 62)
	end, errEnd := strconv.ParseUint(last, 10, 62)
	if !ok || err != nil || errEnd != nil || end < start {
		return part, says(ErrBlobUploadInvalid, "Content-Range must be of the form <start>-<end>, both included")
	}
	part.start = int64(start)
	size := int64(end - start + 1)
	if part.size >= 0 && part.size != size {
		return part, says(ErrSizeInvalid, "Content-Range announces %d bytes, Content-Length %d", size, part.size)
	}
	part.size = size
	return part, nil
}

// whereItEnds adds to an error about a chunk out of order where to go on.
func (c *call) whereItEnds(err error) error {
	if errors.Is(err, ErrRange) {
		c.Header()["Location"] = []string{c.uploadLocation(meta.UploadID(c.route.ref))}
	}
	return err
}

func (c *call) patchUpload() error {
	part, err := c.chunk()
	if err != nil {
		return err
	}
	return c.do(func(ctx context.Context) error {
		u, err := c.r.upload(&c.op)
		if err == nil {
			u, err = c.r.appendUpload(ctx, &c.op, u, part)
		}
		if err != nil {
			return c.whereItEnds(err)
		}
		return c.uploadStatus(u, http.StatusAccepted)
	})
}

func (c *call) putUpload() error {
	d, err := manifest.ParseDigest(c.req.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	part, err := c.chunk()
	if err != nil {
		return err
	}
	c.op.Reference.Digest = d
	return c.do(func(ctx context.Context) error {
		u, err := c.r.upload(&c.op)
		if err == nil {
			err = c.r.finishUpload(ctx, &c.op, u, d, part)
		}
		if err != nil {
			return c.whereItEnds(err)
		}
		return c.created(d)
	})
}

func (c *call) getUpload() error {
	return c.do(func(context.Context) error {
		u, err := c.r.upload(&c.op)
		if err != nil {
			return err
		}
		return c.uploadStatus(u, http.StatusNoContent)
	})
}

func (c *call) deleteUpload() error {
	return c.do(func(ctx context.Context) error {
		if err := c.r.cancelUpload(ctx, &c.op, meta.UploadID(c.route.ref)); err != nil {
			return err
		}
		return c.empty(http.StatusNoContent)
	})
}
