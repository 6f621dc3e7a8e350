package registry

import (
	"encoding/json"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// forgotten is what a transaction makes untrue of what caches hold: one of an alias, a
// repository, a reference, a link or a suspension.
type forgotten struct {
	Alias      string            `json:"a,omitempty"`
	Account    meta.AccountID    `json:"o,omitempty"`
	Name       string            `json:"n,omitempty"`
	Repository meta.RepositoryID `json:"r,omitempty"`
	Reference  string            `json:"t,omitempty"`
	Link       manifest.Digest   `json:"l,omitempty"`
	Takedown   string            `json:"s,omitempty"`
}

// heard is a message between processes: what to forget, or what has happened for those who
// follow.
type heard struct {
	From   string       `json:"f"` // the process, which knows already
	Forget *forgotten   `json:"x,omitempty"`
	Event  *event.Event `json:"e,omitempty"`
}

// forget invalidates an entry here before the Update returns, and elsewhere soon after.
func (c *caches) forget(tx meta.Tx, f forgotten) {
	tx.AfterCommit(func() { c.remove(f) })
	if c.shared {
		tx.Notify(c.message(heard{From: c.node, Forget: &f}))
	}
}

func (c *caches) message(h heard) string {
	raw, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return strings.ReplaceAll(string(raw), "\n", " ") // there are none: JSON escapes them
}

func (c *caches) remove(f forgotten) {
	switch {
	case f.Alias != "":
		c.aliases.Remove(f.Alias)
	case f.Account != "":
		c.repositories.Remove(meta.RepositoryKey{Account: f.Account, Name: f.Name})
	case f.Takedown != "":
		c.takedowns.Remove(struct{}{})
	case f.Link != "":
		c.links.Remove(meta.LinkKey{Repository: f.Repository, Digest: f.Link})
	default:
		c.pulls.Remove(pullKey{f.Repository, f.Reference})
	}
}

// suspend forgets everything and keeps nothing, until resume.
func (c *caches) suspend() {
	c.aliases.Suspend()
	c.repositories.Suspend()
	c.pulls.Suspend()
	c.links.Suspend()
	c.takedowns.Suspend()
}

func (c *caches) resume() {
	c.aliases.Resume()
	c.repositories.Resume()
	c.pulls.Resume()
	c.links.Resume()
	c.takedowns.Resume()
}

// hear takes a message of another process, or of this one, which it knows.
func (r *Registry) hear(message string) {
	var h heard
	if err := json.Unmarshal([]byte(message), &h); err != nil {
		r.cfg.Logger.Warn("a message of another process cannot be read", "error", err)
		r.caches.suspend() // it may be of a newer version, about anything
		r.caches.resume()
		return
	}
	if h.From == r.caches.node {
		return
	}
	if h.Forget != nil {
		r.caches.remove(*h.Forget)
	}
	if h.Event != nil {
		r.tell(*h.Event)
	}
}

// watching begins again: what was kept while nobody said what changes is not there, and who
// follows may have missed anything.
func (r *Registry) watching() {
	r.caches.resume()
	r.tell(event.Event{Type: event.Missed})
}

// tell passes an event to who follows.
func (r *Registry) tell(e event.Event) {
	for _, f := range r.followed() {
		(*f)(e)
	}
}
