package main

import (
	"embed"
	"io/fs"
	"strings"
)

// texts are the long texts of repositories: alias/repository/about.md and usage.md.
//
//go:embed texts
var texts embed.FS

// publisher is an invented one with what it has published.
type publisher struct {
	account, alias string
	another        string // a further alias, which it has asked for
	name           string
	verified       bool
	repositories   []repository
}

// repository is a repository as its publisher describes it, and how it came to be what it is.
type repository struct {
	name        string
	description string
	keywords    string // with spaces between them
	defaultTag  string
	deprecated  string  // why, and what to use instead
	certified   bool    // by the operator
	logo        string  // shape and two colours: see drawLogo
	pulls       float64 // log10 of those of 90 days

	versions string    // with the days since each: "1.27.2:41 1.27.3:4"
	exact    bool      // there are no floating tags such as 1.27
	variants []string  // of each version, such as alpine
	channels []channel // builds between versions
	make     maker     // what is pushed of each release; nil: a container image
	signed   bool      // each release has a signature that refers to it
	image    container
}

// container is how a repository's images are built and run.
type container struct {
	base       string   // of oakiron; by default base:12
	platforms  string   // with spaces between them; linux/amd64 and linux/arm64 by default
	attested   bool     // with an SBOM and provenance for each platform, as BuildKit does it
	kilobytes  int      // of the largest layer of its own
	licenses   string   // Apache-2.0 by default
	steps      []string // of its Dockerfile, after FROM: see image.dockerfile
	entrypoint []string
	cmd        []string
	env        []string
	ports      []string
	volumes    []string
	user       string
	workdir    string
	stopSignal string
}

// text returns a long text of a repository, if it has one.
func text(alias, name, which string) string {
	raw, err := fs.ReadFile(texts, "texts/"+alias+"/"+name+"/"+which+".md")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// allPublishers returns all that the demonstration shows.
func allPublishers() []publisher {
	return []publisher{
		harbourlight(), quillstone(), lanternfish(), mossgate(), brambleworks(), oakiron(), fernhollow(), pebblecast(), zaytoon(), mika(),
	}
}
