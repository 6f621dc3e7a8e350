// Package gallery is the public face of a registry: how strangers find images.
//
// What there is so far is search. An [Index] holds a [Document] for each repository and
// answers a [Query], which [ParseQuery] reads from what a person typed: words, pasted
// references (docker pull host/alias/name:tag) and filters (publisher:acme verified:yes).
// gallery/memindex is the default index, in memory. How hits are ordered is a [Ranker]'s
// matter. [Handler] serves the search as JSON:
//
//	GET /-/search?q=redis  ->  {"results":[{"name":"alias/repository", ...}], ...}
//
// The pages of the site are yet to come; see the README.
package gallery
