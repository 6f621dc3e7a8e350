// Package gallery is the room of the public site: pages, search, badges and feeds over what
// a registry holds. It is empty so far; see the README for what is planned.
package gallery
