package registry

import (
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Forget makes every node forget, once tx is committed, what it keeps of a blob or a manifest
// of a repository, and of the tags that lead to it: for who changes rows beside a registry, as
// package repair does. r is the one that serves from the same store in this process; nil if
// none does.
func (r *Registry) Forget(tx meta.Tx, repo meta.RepositoryID, d manifest.Digest, tags ...string) {
	c := &caches{shared: true} // empty ones, of no node: all that watch the store are told
	if r != nil {
		c = &r.caches
	}
	c.forgetLink(tx, repo, d)
	c.forgetReference(tx, repo, string(d))
	for _, tag := range tags {
		c.forgetReference(tx, repo, tag)
	}
}
