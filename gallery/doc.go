// Package gallery is the public face of a registry: the site where strangers find images,
// judge them and learn how to pull them.
//
// A [Site] is an http.Handler. What it shows comes from a [Source], what its search finds from
// an [Index]; registry/site has both for a registry. Every page is made on the server and
// works without scripts, and is JSON too ([Config] and the site's own page /-/api say more).
//
// # Addresses
//
// A repository is at /alias/repository, and /-/ separates its name from a view of it, which no
// name can contain: /alias/repository/-/tags, .../-/tag/1.27, .../-/digest/sha256:..., .../-/history,
// .../-/pulls, .../-/feed.atom, .../-/badge. What belongs to no repository is below /-/ too:
// /-/search, /-/help, /-/api, /-/static/.... A publisher is at /alias, by each of its aliases;
// canonical links have the primary one. Pages about trust will be below .../-/digest/....
//
// # Search
//
// An [Index] holds a [Document] for each repository and answers a [Query], which [ParseQuery]
// reads from what a person typed: words, pasted references (docker pull host/alias/name:tag)
// and filters (publisher:acme verified:yes arch:arm64). How hits are ordered is a [Ranker]'s
// matter.
//
// # What a host may change
//
// Name, tagline, footer and [Config.Overlay]: templates, and a style sheet that sets the CSS
// variables at the head of ui/static/style.css. Templates of a host are trusted like its code.
//
// # What publishers may do
//
// Nothing but be read. Their Markdown is rendered by gallery/markdown to an allow list of
// elements; all else is escaped where it stands. The Content-Security-Policy lets pages load
// what the site itself serves and nothing else, so that even a fault there could neither run
// a script nor tell another host who reads what.
package gallery
