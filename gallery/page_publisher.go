package gallery

import "strings"

// publisherPage is what the page of a publisher shows.
type publisherPage struct {
	Publisher    Publisher  `json:"publisher"`
	Repositories []Document `json:"repositories"`
	Next         string     `json:"next,omitempty"` // the parameter after of the next page

	More   string   `json:"-"` // path of the next page
	First  string   `json:"-"` // path of the first, if this is not it
	Pulls  bool     `json:"-"`
	Others []string `json:"-"` // its other aliases
}

// publisherList is how many repositories a publisher's page lists.
const publisherList = 30

func (v *visit) publisher(alias string) (*page, error) {
	who, err := v.who(alias)
	if err != nil {
		return nil, err
	}
	after := v.query.Get("after")
	list, more, err := v.cfg.Source.Repositories(v.ctx(), alias, after, publisherList)
	if err != nil {
		return nil, v.missing(alias, err)
	}
	data := publisherPage{Publisher: who, Repositories: plainDocuments(list), Pulls: v.cfg.Metrics != nil}
	for _, a := range who.Aliases {
		if a != who.Alias {
			data.Others = append(data.Others, a)
		}
	}
	if more {
		data.Next = afterAlias(list[len(list)-1].Name)
		data.More = v.to(alias) + "?after=" + queryEscape(data.Next)
	}
	if after != "" {
		data.First = v.to(alias)
	}
	return &page{
		template: "publisher", title: who.Title(), description: "Public repositories of " + who.Title() + " at " + v.host() + ".",
		canonical: "/" + who.Alias, noindex: after != "", feed: "/" + who.Alias + "/-/feed.atom", data: data,
		linked: map[string]any{
			"@context": "https://schema.org", "@type": "Organization", "name": who.Title(), "url": v.origin + v.to(who.Alias),
		},
	}, nil
}

// who returns the publisher that an alias leads to.
func (v *visit) who(alias string) (Publisher, error) {
	p, err := v.cfg.Source.Publisher(v.ctx(), alias)
	if err != nil {
		return p, v.missing(alias, err)
	}
	return plainPublisher(p), nil
}

// afterAlias returns the name of a repository without its alias.
func afterAlias(name string) string { _, rest, _ := strings.Cut(name, "/"); return rest }
