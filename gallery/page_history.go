package gallery

import (
	"github.com/esplanade-registry/esplanade/manifest"
)

// historyPage is the moves of a repository's tags.
type historyPage struct {
	heading
	Tag   string `json:"tag,omitempty"`
	Moves []Move `json:"moves"`
	Next  string `json:"next,omitempty"` // the parameter after of the next page

	More  string `json:"-"` // path of the next page
	First string `json:"-"` // path of the first, if this is not it
	Kept  bool   `json:"-"` // a history is kept
}

// historyList is how many moves a page lists.
const historyList = 50

func (v *visit) history(name string) (*page, error) {
	head, err := v.open(name, "history")
	if err != nil {
		return nil, err
	}
	data := historyPage{heading: head, Tag: v.query.Get("tag"), Moves: []Move{}}
	if data.Tag != "" && manifest.CheckTag(data.Tag) != nil {
		return nil, badRequest("tag must be a tag.")
	}
	var historian Historian
	historian, data.Kept = v.cfg.Source.(Historian)
	after := v.query.Get("after")
	if data.Kept {
		moves, next, err := historian.History(v.ctx(), name, data.Tag, after, historyList)
		if err != nil {
			return nil, v.missing(name, err)
		}
		data.Moves, data.Next = append(data.Moves, moves...), next
	}
	path := v.to(head.Repository.Name, "-", "history") + "?"
	if data.Tag != "" {
		path += "tag=" + queryEscape(data.Tag) + "&"
	}
	if data.Next != "" {
		data.More = path + "after=" + queryEscape(data.Next)
	}
	if after != "" {
		data.First = path[:len(path)-1]
	}
	return &page{
		template: "history", title: "History of " + head.Repository.Name, description: "When tags of " + head.Reference + " moved.",
		canonical: "/" + head.Repository.Name + "/-/history", noindex: after != "" || data.Tag != "", feed: "/" + head.Repository.Name + "/-/feed.atom", data: data,
	}, nil
}
