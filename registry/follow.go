package registry

import (
	"slices"

	"github.com/esplanade-registry/esplanade/registry/event"
)

// Follow has f called with every change that this process commits from now on, before the
// call that made it returns, and, where several processes share the store and [Registry.Run]
// runs, with those of others soon after, but for blobs, until stop is called. f must return at
// once. It is for what a
// node keeps in memory: read the truth after Follow, and then again what events name. Nothing
// is written for it, so a push costs no more; what must not be lost when a process ends goes
// to a sink ([Config.Sinks]).
func (r *Registry) Follow(f func(event.Event)) (stop func()) {
	r.following.Lock()
	defer r.following.Unlock()
	r.follow(append(slices.Clone(r.followed()), &f))
	return func() {
		r.following.Lock()
		defer r.following.Unlock()
		r.follow(slices.DeleteFunc(slices.Clone(r.followed()), func(g *func(event.Event)) bool { return g == &f }))
	}
}

func (r *Registry) follow(list []*func(event.Event)) { r.followers.Store(&list) }

// followed returns who follows. The list is never changed.
func (r *Registry) followed() []*func(event.Event) {
	if list := r.followers.Load(); list != nil {
		return *list
	}
	return nil
}
