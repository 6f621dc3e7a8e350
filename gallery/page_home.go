package gallery

import "net/http"

// homePage is what the first page shows.
type homePage struct {
	Total    int        `json:"total"`
	Verified int        `json:"verified"`
	Kinds    []Count    `json:"types"`
	Trusted  []Document `json:"trusted"` // of verified publishers, the most pulled first
	Popular  []Document `json:"popular"`
	Updated  []Document `json:"updated"`
	Pulls    bool       `json:"-"` // are counted
}

// homeList is how many repositories each list of the first page has.
const homeList = 6

func (v *visit) home() (*page, error) {
	// The parameters of the gallery of Amazon ECR Public, whose links people have kept.
	if v.query.Has("searchTerm") || v.query.Has("architectures") || v.query.Has("operatingSystems") || v.query.Has("verified") {
		return v.fromECR(), nil
	}
	data := homePage{Pulls: v.cfg.Metrics != nil}
	yes := true
	for _, list := range []struct {
		query Query
		sort  Sort
		docs  *[]Document
	}{
		{Query{Verified: &yes}, v.popular(), &data.Trusted}, {Query{}, v.popular(), &data.Popular}, {Query{}, ByUpdate, &data.Updated},
	} {
		found, err := v.cfg.Index.Search(v.ctx(), list.query, Page{Limit: homeList, Sort: list.sort})
		if err != nil {
			return nil, err
		}
		*list.docs = documents(found)
		if list.query.Verified == nil {
			data.Total, data.Verified, data.Kinds = found.Total, found.Facets.Verified, found.Facets.Kinds
		}
	}
	return &page{
		template: "home", title: v.cfg.Tagline, description: v.cfg.Tagline + ": search and pull from " + v.host() + " without an account.",
		canonical: "/", data: data,
		linked: map[string]any{
			"@context": "https://schema.org", "@type": "WebSite", "name": v.cfg.Name, "url": v.origin + v.cfg.Prefix + "/",
			"potentialAction": map[string]any{
				"@type": "SearchAction", "target": v.origin + v.cfg.Prefix + searchPath + "?q={q}", "query-input": "required name=q",
			},
		},
	}, nil
}

// popular is the order of what most people want: by pulls where they are counted, else as
// the ranker has it.
func (v *visit) popular() Sort {
	if v.cfg.Metrics != nil {
		return ByPulls
	}
	return ByRelevance
}

// fromECR leads to the same search by our own parameters.
func (v *visit) fromECR() *page {
	var params []string
	add := func(name string, values ...string) {
		for _, value := range values {
			if value != "" {
				params = append(params, name, value)
			}
		}
	}
	add("q", v.query.Get("searchTerm"))
	if v.query.Get("verified") == "verified" {
		add("verified", "yes")
	}
	for _, a := range v.query["architectures"] {
		add("arch", ecrPlatforms(a))
	}
	for _, o := range v.query["operatingSystems"] {
		add("os", ecrPlatforms(o))
	}
	return &page{raw: &raw{redirect: v.searchPath(params...), status: http.StatusMovedPermanently}}
}

// ecrPlatforms turns the names that ECR Public has for platforms into those of manifests.
func ecrPlatforms(s string) string {
	switch s {
	case "ARM 64", "ARM64":
		return "arm64"
	case "ARM":
		return "arm"
	case "x86":
		return "386"
	case "x86-64":
		return "amd64"
	case "Linux":
		return "linux"
	case "Windows":
		return "windows"
	}
	return s
}

// documents returns the hits of a page of results; none is an empty list of JSON too.
func documents(r Results) []Document {
	list := []Document{}
	for _, h := range r.Hits {
		list = append(list, h.Document)
	}
	return list
}
