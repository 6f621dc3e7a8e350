package browser_test

// page is a page to be looked at.
type page struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Status int    `json:"status"`
	// Picture is whether there are pictures of it.
	Picture bool `json:"picture"`
	// Weighed is whether the budgets of transfer hold for it.
	Weighed bool `json:"weighed"`
}

const beacon = "/lanternworks/beacon"

// pages are all kinds of pages, and each kind in all conditions that look different.
var pages = []page{
	{Name: "home", Path: "/", Picture: true, Weighed: true},
	{Name: "home without anything", Path: "/empty/", Picture: true},
	{Name: "home under a prefix", Path: "/gallery/"},
	{Name: "search", Path: "/-/search?q=beacon", Picture: true, Weighed: true},
	{Name: "search with filters", Path: "/-/search?verified=yes&arch=amd64&arch=arm64&sort=name", Picture: true},
	{Name: "search with a slip", Path: "/-/search?q=becon"},
	{Name: "search without results", Path: "/-/search?q=xyzzyplugh", Picture: true},
	{Name: "search without anything", Path: "/empty/-/search"},
	{Name: "browse", Path: "/-/search"},
	{Name: "publisher", Path: "/lanternworks", Picture: true},
	{Name: "publisher without a name", Path: "/somaya-k"},
	{Name: "publisher from right to left", Path: "/misbah"},
	{Name: "repository", Path: beacon, Picture: true, Weighed: true},
	{Name: "repository of a chart", Path: "/lanternworks/charts/beacon", Picture: true},
	{Name: "repository of an artifact", Path: "/lanternworks/rules"},
	{Name: "repository of a model", Path: "/lanternworks/small-talk"},
	{Name: "repository deprecated", Path: "/lanternworks/old-lamp", Picture: true},
	{Name: "repository from right to left", Path: "/misbah/faanous", Picture: true},
	{Name: "repository without images", Path: "/somaya-k/empty", Picture: true},
	{Name: "repository with a long name", Path: "/somaya-k/tools/a-name-with-many-parts/and-some-that-are-long/to-see-where-lines-break"},
	{Name: "repository without pulls", Path: "/gallery/lanternworks/beacon"},
	{Name: "tags", Path: "/lanternworks/nightly/-/tags", Picture: true, Weighed: true},
	{Name: "tags filtered", Path: "/lanternworks/nightly/-/tags?filter=01"},
	{Name: "tags filtered to none", Path: beacon + "/-/tags?filter=none"},
	{Name: "tag", Path: beacon + "/-/tag/2.1.0", Picture: true},
	{Name: "tag of an image", Path: beacon + "/-/tag/2.1.0-slim", Picture: true},
	{Name: "tag of a chart", Path: "/lanternworks/charts/beacon/-/tag/4.3.1", Picture: true},
	{Name: "tag of an artifact", Path: "/lanternworks/rules/-/tag/2026.11", Picture: true},
	{Name: "history", Path: beacon + "/-/history", Picture: true},
	{Name: "history of a tag", Path: beacon + "/-/history?tag=latest"},
	{Name: "pulls", Path: beacon + "/-/pulls", Picture: true},
	{Name: "pulls not counted", Path: "/gallery/lanternworks/beacon/-/pulls"},
	{Name: "badges", Path: beacon + "/-/badge", Picture: true},
	{Name: "help", Path: "/-/help", Picture: true},
	{Name: "api", Path: "/-/api", Picture: true},
	{Name: "not found", Path: "/lanternworks/beakon", Status: 404, Picture: true},
	{Name: "not found at all", Path: "/-/nothing", Status: 404},
	{Name: "bad request", Path: beacon + "/-/pulls?days=many", Status: 400},
}
