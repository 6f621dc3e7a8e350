// Package manifest owns the vocabulary of images: names, digests, references and
// media types, the decoding and validation of manifests, the walk over what they
// refer to, and the bounded cache that keeps decoded ones close.
//
// It is pure: nothing here reads a store or a network. [Decode] turns the bytes of a
// PUT into a [Manifest] or into an error that says what is wrong with them, and is
// the only way in: what it accepts is unambiguous, so that every client that reads the
// same bytes sees the same image. [Manifest.Edges] lists what a manifest refers to and
// [Walk] follows those edges.
//
// # Errors
//
// A name, tag, reference or digest outside its grammar is an error wrapping
// [ErrName], [ErrTag] or [ErrDigest]; a document that is not a valid manifest is one
// wrapping [ErrManifest]. Their texts quote at most [maxQuoted] characters of the input
// and are meant to be shown to the client that sent it.
package manifest
