package gallery

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
)

// answer is a page as it goes out.
type answer struct {
	contentType string
	body        []byte
	etag        string
	noindex     bool
	immutable   bool   // the URL will always answer the same
	shared      bool   // pages of others may show it
	length      string // of body

	zip    sync.Once // compresses when first asked to
	zipped []byte
	zipTag string

	stamps  [2]stamp
	expires time.Time
}

func newAnswer(contentType string, body []byte) *answer {
	sum := sha256.Sum256(body)
	return &answer{contentType: contentType, body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, length: strconv.Itoa(len(body))}
}

// minZip is how many bytes are worth compressing.
const minZip = 512

// compressed returns the body in gzip with an entity tag of its own, or nil where that is
// not worth it.
func (a *answer) compressed() ([]byte, string) {
	a.zip.Do(func() {
		if len(a.body) < minZip || strings.HasPrefix(a.contentType, "image/") && a.contentType != "image/svg+xml" {
			return
		}
		var out bytes.Buffer
		z, _ := gzip.NewWriterLevel(&out, gzip.DefaultCompression) // the level is a valid one
		z.Write(a.body)                                            //nolint:errcheck // to memory
		z.Close()                                                  //nolint:errcheck // to memory
		a.zipped, a.zipTag = out.Bytes(), strings.TrimSuffix(a.etag, `"`)+`-gz"`
	})
	return a.zipped, a.zipTag
}

// serve answers a request, with 304 if the client has the page.
func (a *answer) serve(w http.ResponseWriter, r *http.Request, public bool) {
	h := w.Header()
	h["Vary"] = vary
	switch {
	case !public:
		h["Cache-Control"] = []string{"private, no-cache"}
	case a.immutable:
		h["Cache-Control"] = []string{"public, max-age=31536000, immutable"}
	default:
		h["Cache-Control"] = []string{"public, no-cache"}
	}
	if a.noindex {
		h["X-Robots-Tag"] = []string{"noindex"}
	}
	if a.shared {
		h["Cross-Origin-Resource-Policy"] = []string{"cross-origin"}
	}
	zip := acceptsGzip(r.Header["Accept-Encoding"])
	if match := r.Header["If-None-Match"]; len(match) > 0 {
		tag := a.etag
		if zip {
			if _, t := a.compressed(); t != "" {
				tag = t
			}
		}
		if etagMatches(match, tag) {
			h["Etag"] = []string{tag}
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	body, tag, length := a.body, a.etag, a.length
	if zip {
		if z, t := a.compressed(); z != nil {
			body, tag, length = z, t, strconv.Itoa(len(z))
			h["Content-Encoding"] = []string{"gzip"}
		}
	}
	h["Content-Type"] = []string{a.contentType}
	h["Content-Length"] = []string{length}
	h["Etag"] = []string{tag}
	if r.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // the client has gone
	}
}

// acceptsGzip reports whether a client takes gzip, and does not refuse it with q=0.
func acceptsGzip(headers []string) bool {
	for _, h := range headers {
		for part := range strings.SplitSeq(h, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if c := strings.TrimSpace(coding); c != "gzip" && c != "*" {
				continue
			}
			if q := quality(params); q > 0 {
				return true
			}
		}
	}
	return false
}

// etagMatches reports whether a client has what it would be sent. It compares weakly, as RFC
// 9110 asks for If-None-Match.
func etagMatches(headers []string, tag string) bool {
	for _, h := range headers {
		for part := range strings.SplitSeq(h, ",") {
			part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
			if part == tag || part == "*" {
				return true
			}
		}
	}
	return false
}

// pageCache keeps answers until what they show changes, or for a while.
type pageCache struct {
	answers *manifest.Cache[string, *answer]
	fresh   time.Duration
	seed    maphash.Seed
	// versions count the changes of repositories and publishers, each in the place that its
	// name hashes to. Two that share one only read the source more often.
	versions *[1024]atomic.Uint64
	index    *atomic.Uint64 // counts all changes
}

// stamp is a version as it was before a page was made.
type stamp struct {
	version *atomic.Uint64
	value   uint64
}

func newPageCache(bytes int64, fresh time.Duration) pageCache {
	return pageCache{
		answers: manifest.NewCache(bytes, func(key string, a *answer) int64 { return int64(len(key)+len(a.body)+len(a.body)/4) + 400 }),
		fresh:   fresh, seed: maphash.MakeSeed(), versions: new([1024]atomic.Uint64), index: new(atomic.Uint64),
	}
}

func (c *pageCache) version(name string) *atomic.Uint64 {
	return &c.versions[maphash.String(c.seed, name)%uint64(len(c.versions))]
}

// changed counts a change of a repository (alias/name), of what is said of a publisher (an
// alias), or of everything ("").
func (c *pageCache) changed(name string) {
	c.index.Add(1)
	alias, _, repository := strings.Cut(name, "/")
	switch {
	case name == "":
		for i := range c.versions {
			c.versions[i].Add(1)
		}
	case repository:
		c.version(name).Add(1)
		c.version(alias).Add(1) // the list of its repositories
	default:
		c.version(alias).Add(1)
		c.version(aboutAlias + alias).Add(1)
	}
}

// aboutAlias begins the name of what is said of a publisher, which is on the pages of all
// its repositories; what else the publisher has is not.
const aboutAlias = "@"

// stamps returns the versions of what the page of a path shows. Lists of all publishers
// depend on everything.
func (c *pageCache) stamps(path string) [2]stamp {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/-/")
	alias, _, repository := strings.Cut(name, "/")
	switch {
	case name == "" || strings.HasPrefix(path, "/-/"):
		return [2]stamp{stampOf(c.index)}
	case repository:
		return [2]stamp{stampOf(c.version(name)), stampOf(c.version(aboutAlias + alias))}
	}
	return [2]stamp{stampOf(c.version(alias))}
}

func stampOf(v *atomic.Uint64) stamp { return stamp{v, v.Load()} }

func (c *pageCache) get(key string) *answer {
	a, ok := c.answers.Get(key)
	if !ok || time.Now().After(a.expires) {
		return nil
	}
	for _, s := range a.stamps {
		if s.version != nil && s.version.Load() != s.value {
			return nil
		}
	}
	return a
}

func (c *pageCache) add(key string, a *answer, stamps [2]stamp) {
	if c.answers == nil || c.fresh < 0 {
		return
	}
	a.stamps, a.expires = stamps, time.Now().Add(c.fresh)
	c.answers.Begin().Add(key, a)
}
