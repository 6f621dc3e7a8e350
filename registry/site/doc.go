// Package site ties a gallery to a registry: the pages show what the registry has, and the
// index of the search follows what is pushed.
//
//	s, err := site.New(site.Config{Registry: reg})
//	...
//	go s.Run(ctx) // fills the index, and keeps it up to date
//	mux.Handle("/", s)
//
// A change that this process makes is on the pages when the call that made it returns, and
// in the search [Delay] later.
//
// # What publishers say of a repository
//
// Description, about, usage, logo and platforms are its catalog data. More is said by tags of
// the repository (TagResource of the API, not tags of images), which everyone may read:
//
//	gallery:default-tag   the tag that is shown first
//	gallery:deprecated    why the repository should not be used, and what instead
//	gallery:keywords      words to be found by, with spaces between them
package site
