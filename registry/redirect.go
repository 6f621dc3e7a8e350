package registry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// How long a client may use a signed URL, and for how long it is given to others too, so that
// caches know the content again: whoever gets it has half an hour left.
const (
	signedLifetime = time.Hour
	signedReuse    = signedLifetime / 2
	rememberedURLs = 4096
)

// signedURL is a URL of an object.
type signedURL struct {
	url    string
	signed time.Time
}

// redirect sends the client to the bucket for a blob, where the host wants that and the bucket
// can. The answer tells of the blob what the bucket's will not, and must not be kept: the
// URL ends.
func (c *call) redirect(ctx context.Context, b meta.Blob, length int64) (sent bool, err error) {
	if c.r.cfg.Redirect == nil || c.req.Method != http.MethodGet || b.Size <= storage.MaxCachedBlob || len(b.Segments) != 1 || !c.r.cfg.Redirect(&c.op, b.Size) {
		return false, nil
	}
	now, key := time.Now(), b.Segments[0].Key
	s, ok := c.r.signed.Get(key)
	if !ok || now.Sub(s.signed) > signedReuse {
		u, err := storage.SignedURL(ctx, c.r.cfg.Bucket, key, signedLifetime)
		if errors.Is(err, errors.ErrUnsupported) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s = signedURL{u, now}
		c.r.signed.Add(key, s)
	}
	h := c.Header()
	h["Location"] = []string{s.url}
	h["Docker-Content-Digest"] = []string{string(b.Digest)}
	h["Cache-Control"] = noStore
	c.op.Redirected = length
	return true, c.empty(http.StatusTemporaryRedirect)
}
