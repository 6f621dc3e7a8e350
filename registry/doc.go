// Package registry composes a public container registry: an http.Handler that speaks the
// OCI distribution protocol, and the same operations in Go, over a metadata store and a
// bucket.
//
// [New] makes a [Registry] from a [Config] and starts nothing. The host mounts the Registry
// at "/v2/" and, if it issues tokens, at "/token", and runs [Registry.Run] for what is done
// in the background. [Registry.As] returns an [Actor], which pushes, pulls and lists as a
// principal without HTTP.
//
// # One path
//
// Every operation, from whichever front, is an [Op] that goes one way: it is parsed and
// its principal found; the interceptors are called; within them the repository is looked
// up, the policy evaluated and the operation carried out; the result is written. What a
// host adds is an [Interceptor] around all of that, a policy.Evaluator, or a [Guard] within
// the transaction of a change.
//
// # What may be relied on
//
// A push that was answered 201 survives a power cut if the bucket's Put and the store's
// Update do. A manifest is served only where it was pushed and a blob only where it is
// linked, whatever else is in the bucket. An error changes nothing. Clients are told of the
// errors of this package and of their own input, never the text of a driver; the rest goes
// to the logger as an internal error.
//
// # Deleting
//
// Deleting a tag deletes only the tag; deleting a manifest deletes its tags, and is done even
// where an index refers to it; deleting a blob is done even where a manifest refers to it.
// Nothing else ever removes a manifest. What becomes unreferenced by a deletion is queued for
// review, with a grace in which a push may refer to it again; registry/gc then removes it.
//
// # Stopping
//
// First the HTTP server is shut down, so that requests finish; then the context of Run ends
// and Run returns; then the store and the bucket are closed.
package registry
