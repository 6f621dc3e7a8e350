package gallery

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/gallery/markdown"
)

// atomFeed is a feed of RFC 4287.
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Link    atomLink `xml:"link"`
	Summary string   `xml:"summary"`
	at      time.Time
}

// The bounds of feeds.
const (
	feedEntries      = 50
	feedRepositories = 20 // of a publisher, those that changed last
	feedMoves        = 10 // of each of them
)

// atom answers with a feed of what is at a path.
func (v *visit) atom(title, path, author string, entries []atomEntry) (*page, error) {
	slices.SortStableFunc(entries, func(a, b atomEntry) int { return b.at.Compare(a.at) })
	feed := atomFeed{
		ID: v.origin + path, Title: markdown.Plain(title), Author: author, Entries: entries[:min(len(entries), feedEntries)],
		Links: []atomLink{{Rel: "alternate", Type: "text/html", Href: v.origin + path}, {Rel: "self", Type: "application/atom+xml", Href: v.origin + v.r.URL.RequestURI()}},
	}
	updated := time.Unix(0, 0)
	if len(entries) > 0 {
		updated = entries[0].at
	}
	feed.Updated = updated.UTC().Format(time.RFC3339)
	return xmlPage("application/atom+xml; charset=utf-8", feed)
}

func xmlPage(contentType string, v any) (*page, error) {
	body, err := xml.Marshal(v)
	if err != nil {
		return nil, err
	}
	return &page{noindex: true, raw: &raw{contentType: contentType, body: append([]byte(xml.Header), body...)}}, nil
}

// moveEntries are the moves of a repository's tags as entries.
func (v *visit) moveEntries(name string, limit int) (list []atomEntry, err error) {
	historian, ok := v.cfg.Source.(Historian)
	if !ok {
		return nil, nil
	}
	moves, _, err := historian.History(v.ctx(), name, "", "", limit)
	if err != nil {
		return nil, err
	}
	for _, m := range moves {
		e := atomEntry{at: m.At, Updated: m.At.UTC().Format(time.RFC3339Nano)}
		path := v.origin + v.to(name, "-", "history") + "?tag=" + queryEscape(m.Tag) // which is there when the tag is not
		switch {
		case m.To == "":
			e.Title, e.Summary = name+":"+m.Tag+" was deleted", "It pointed to "+string(m.From)+"."
		case m.From == "":
			e.Title, e.Summary = name+":"+m.Tag+" is new", "It points to "+string(m.To)+"."
		default:
			e.Title, e.Summary = name+":"+m.Tag+" has moved", "From "+string(m.From)+" to "+string(m.To)+"."
		}
		e.ID, e.Link = path+"#"+m.At.UTC().Format(time.RFC3339Nano), atomLink{Href: path}
		list = append(list, e)
	}
	return list, nil
}

func (v *visit) feed(name string) (*page, error) {
	head, err := v.open(name, "")
	if err != nil {
		return nil, err
	}
	name = head.Repository.Name
	entries, err := v.moveEntries(name, feedEntries)
	if err != nil {
		return nil, v.missing(name, err)
	}
	return v.atom("Tags of "+name, v.to(name), head.Repository.Publisher.Title(), entries)
}

func (v *visit) publisherFeed(alias string) (*page, error) {
	who, err := v.who(alias)
	if err != nil {
		return nil, err
	}
	found, err := v.cfg.Index.Search(v.ctx(), Query{Publisher: who.Alias}, Page{Limit: feedRepositories, Sort: ByUpdate})
	if err != nil {
		return nil, err
	}
	var entries []atomEntry
	for _, h := range found.Hits {
		list, err := v.moveEntries(h.Name, feedMoves)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the index may not know yet that it has gone
			return nil, err
		}
		entries = append(entries, list...)
	}
	return v.atom("Tags of "+who.Title(), v.to(who.Alias), who.Title(), entries)
}

// searchFeed has what a search finds, the last updated first.
func (v *visit) searchFeed() (*page, error) {
	q, part, err := v.readSearch()
	if err != nil {
		return nil, err
	}
	part.Sort, part.Limit, part.After = ByUpdate, feedEntries, ""
	found, err := v.cfg.Index.Search(v.ctx(), q, part)
	if err != nil {
		return nil, err
	}
	var entries []atomEntry
	for _, h := range found.Hits {
		path := v.origin + v.to(h.Name)
		if h.Updated.IsZero() {
			h.Updated = time.Unix(0, 0) // nothing has been pushed; a feed wants a date
		}
		entries = append(entries, atomEntry{
			ID: path + "#" + h.Updated.UTC().Format(time.RFC3339), Title: h.Name, Updated: h.Updated.UTC().Format(time.RFC3339),
			Link: atomLink{Href: path}, Summary: markdown.Plain(h.Description), at: h.Updated,
		})
	}
	return v.atom(cmp.Or(v.query.Get("q"), "All repositories")+" - "+v.cfg.Name, v.again("after"), v.cfg.Name, entries)
}
