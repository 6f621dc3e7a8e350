package gallery

import (
	"net/http"
	"slices"
)

// homePage is what the first page shows.
type homePage struct {
	Total    int        `json:"total"`
	Verified int        `json:"verified"`
	Kinds    []Count    `json:"types"`
	Trusted  []Document `json:"trusted"` // of verified publishers, the most pulled first
	Popular  []Document `json:"popular"` // the most pulled of the rest; none where pulls are not counted
	Updated  []Document `json:"updated"`
	Example  string     `json:"example,omitempty"` // of pulling one of these
	Pulls    bool       `json:"-"`                 // are counted
}

// homeList is how many repositories each list of the first page has.
const homeList = 6

func (v *visit) home() (*page, error) {
	// The parameters of the gallery of Amazon ECR Public, whose links people have kept.
	if v.query.Has("searchTerm") || v.query.Has("architectures") || v.query.Has("operatingSystems") || v.query.Has("verified") {
		return v.fromECR(), nil
	}
	data := homePage{Pulls: v.cfg.Metrics != nil, Popular: []Document{}}
	yes, best := true, ByRelevance
	if data.Pulls {
		best = ByPulls
	}
	trusted, err := v.cfg.Index.Search(v.ctx(), Query{Verified: &yes}, Page{Limit: homeList, Sort: best})
	if err != nil {
		return nil, err
	}
	updated, err := v.cfg.Index.Search(v.ctx(), Query{}, Page{Limit: homeList, Sort: ByUpdate})
	if err != nil {
		return nil, err
	}
	data.Trusted, data.Updated = documents(trusted), documents(updated)
	data.Total, data.Verified, data.Kinds = updated.Total, updated.Facets.Verified, updated.Facets.Kinds
	if data.Pulls {
		popular, err := v.cfg.Index.Search(v.ctx(), Query{}, Page{Limit: 2 * homeList, Sort: ByPulls})
		if err != nil {
			return nil, err
		}
		for _, d := range documents(popular) {
			listed := slices.ContainsFunc(data.Trusted, func(t Document) bool { return t.Name == d.Name })
			if !listed && len(data.Popular) < homeList {
				data.Popular = append(data.Popular, d)
			}
		}
	}
	for _, list := range [][]Document{data.Trusted, data.Popular, data.Updated} {
		for _, d := range list {
			if data.Example == "" && d.Kind == KindImage && d.Tag != "" {
				data.Example = "docker pull " + v.host() + "/" + d.Name + ":" + d.Tag
			}
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
		add("arch", PlatformName(a))
	}
	for _, o := range v.query["operatingSystems"] {
		add("os", PlatformName(o))
	}
	return &page{raw: &raw{redirect: v.searchPath(params...), status: http.StatusMovedPermanently}}
}

// documents returns the hits of a page of results; none is an empty list of JSON too.
func documents(r Results) []Document {
	list := make([]Document, len(r.Hits))
	for i, h := range r.Hits {
		list[i] = h.Document
	}
	return plainDocuments(list)
}
