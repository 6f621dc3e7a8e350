package registry

import (
	"fmt"
	"net/http"
	"time"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// What replies say of how long others may keep them. What a digest names never changes; where
// a tag or a list may be kept, it is for [Config.SharedMaxAge].
var (
	noStore         = []string{"no-store"}
	revalidate      = []string{"private, no-cache"}
	immutable       = []string{"private, max-age=31536000, immutable"}
	sharedImmutable = []string{"public, max-age=31536000, immutable"}
)

// sharedFor is the header of what caches between may keep for a while.
func sharedFor(d time.Duration) []string {
	return []string{fmt.Sprintf("public, max-age=%d", int(d.Seconds()))}
}

// keep says how long the answer to a GET or HEAD may be kept, and by whom. It is Shared only
// where everyone would get the same: asked without credentials, of a public repository that has no policy
// of its own. HEAD is kept by nobody: who pushes asks by it what need not be pushed, and must not
// be told of what is gone.
func (c *call) keep(forever bool) {
	op := &c.op
	get := op.Method == http.MethodGet
	op.Shared = get && c.r.cfg.SharedMaxAge > 0 && op.Identity.IsAnonymous() && op.Repository.ID != 0 && op.Repository.Visibility == meta.Public && !op.Repository.HasPolicy
	value := revalidate
	switch {
	case op.Shared && forever:
		value = sharedImmutable
	case op.Shared:
		value = c.r.sharedFor
	case get && forever:
		value = immutable
	}
	c.Header()["Cache-Control"] = value
}
