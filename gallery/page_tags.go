package gallery

import (
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// tagsPage is a list of tags.
type tagsPage struct {
	heading
	Filter string   `json:"filter,omitempty"`
	Tags   []tagRow `json:"tags"`
	Next   string   `json:"next,omitempty"` // the parameter after of the next page

	More    string `json:"-"` // path of the next page
	First   string `json:"-"` // path of the first, if this is not it
	Partial bool   `json:"-"` // the filter has not looked at all tags yet
}

// tagRow is a tag in a list.
type tagRow struct {
	Tag
	// Same is a more exact tag on the page for the same image: latest is 1.27.3.
	Same string `json:"same,omitempty"`
}

// The bounds of lists of tags.
const (
	tagsList  = 50
	maxFilter = 128
	// maxLooked is how many tags a page looks at for those that the filter wants, so that
	// it costs no more than that. The next page goes on from there.
	maxLooked = 2000
)

// visible returns the first n tags without those that clients make of digests.
func visible(tags []Tag, n int) (list []Tag) {
	for _, t := range tags {
		if len(list) < n && !manifest.IsFallbackTag(t.Name) {
			list = append(list, t)
		}
	}
	return list
}

// preview picks n tags for a first page: those that people pull, before variants and
// prereleases. They stay in their order.
func preview(tags []Tag, n int) []Tag {
	tags = visible(tags, len(tags))
	plain := func(t Tag) bool {
		v, ok := manifest.ParseTagVersion(t.Name)
		return manifest.IsChannel(t.Name) || ok && v.IsRelease()
	}
	left := n
	for _, t := range tags {
		if plain(t) {
			left--
		}
	}
	var list []Tag
	for _, t := range tags {
		switch {
		case len(list) == n:
			return list
		case plain(t):
			list = append(list, t)
		case left > 0:
			list = append(list, t)
			left--
		}
	}
	return list
}

// rows says of each tag which more exact one among others is the same.
func rows(tags, among []Tag) []tagRow {
	exact := map[manifest.Digest]string{}
	depth := func(tag string) int { v, _ := manifest.ParseTagVersion(tag); return len(v.Numbers) }
	for _, t := range among {
		if depth(t.Name) > depth(exact[t.Digest]) { // of as many numbers, the one without a suffix comes first
			exact[t.Digest] = t.Name
		}
	}
	list := []tagRow{}
	for _, t := range tags {
		row := tagRow{Tag: t}
		if same := exact[t.Digest]; same != t.Name && depth(same) > depth(t.Name) {
			row.Same = same
		}
		list = append(list, row)
	}
	return list
}

func (v *visit) tags(name string) (*page, error) {
	head, err := v.open(name, "tags")
	if err != nil {
		return nil, err
	}
	data := tagsPage{heading: head, Filter: strings.TrimSpace(v.query.Get("filter"))}
	if len(data.Filter) > maxFilter {
		return nil, badRequest("filter must have at most %d characters.", maxFilter)
	}
	after := v.query.Get("after")
	if after != "" && manifest.CheckTag(after) != nil {
		return nil, badRequest("after must be a tag.")
	}
	var tags []Tag
	more := false
	if data.Filter == "" {
		if tags, more, err = v.cfg.Source.Tags(v.ctx(), name, after, tagsList); err != nil {
			return nil, v.missing(name, err)
		}
		if more {
			data.Next = tags[len(tags)-1].Name
		}
		if head.Repository.Kind == KindImage || len(tags) == 0 || !manifest.IsFallbackTag(tags[0].Name) {
			tags = visible(tags, tagsList)
		}
	} else if tags, data.Next, err = v.filtered(name, data.Filter, after); err != nil {
		return nil, v.missing(name, err)
	}
	tags = plainTags(tags)
	data.Tags, data.Partial = rows(tags, tags), data.Filter != "" && data.Next != ""
	if data.Next != "" {
		data.More = v.tagsPath(head.Repository.Name, data.Filter, data.Next)
	}
	if after != "" {
		data.First = v.tagsPath(head.Repository.Name, data.Filter, "")
	}
	return &page{
		template: "tags", title: "Tags of " + head.Repository.Name, description: "All tags of " + head.Reference + ".",
		canonical: "/" + head.Repository.Name + "/-/tags", noindex: after != "" || data.Filter != "", feed: "/" + head.Repository.Name + "/-/feed.atom", data: data,
	}, nil
}

// filtered returns tags that contain a text, and where to go on.
func (v *visit) filtered(name, filter, after string) (tags []Tag, next string, err error) {
	filter = strings.ToLower(filter)
	for looked := 0; looked < maxLooked; {
		list, more, err := v.cfg.Source.Tags(v.ctx(), name, after, 4*tagsList)
		if err != nil {
			return nil, "", err
		}
		for i, t := range list {
			after = t.Name
			if strings.Contains(strings.ToLower(t.Name), filter) {
				if tags = append(tags, t); len(tags) == tagsList && (more || i < len(list)-1) {
					return tags, after, nil
				}
			}
		}
		if !more {
			return tags, "", nil
		}
		looked += len(list)
	}
	return tags, after, nil
}

func (v *visit) tagsPath(name, filter, after string) string {
	path, sep := v.to(name, "-", "tags"), "?"
	for _, p := range [][2]string{{"filter", filter}, {"after", after}} {
		if p[1] != "" {
			path += sep + p[0] + "=" + queryEscape(p[1])
			sep = "&"
		}
	}
	return path
}

// imagePage is what the page of a tag or digest shows.
type imagePage struct {
	heading
	Tag      string     `json:"tag,omitempty"`
	Image    *imageView `json:"image"`
	Commands []Command  `json:"commands"`
}

func (v *visit) tag(name, tag string) (*page, error) {
	if manifest.CheckTag(tag) != nil {
		return nil, notFound("That is no tag.")
	}
	return v.imagePage(name, tag, tag)
}

func (v *visit) digest(name, digest string) (*page, error) {
	if _, err := manifest.ParseDigest(digest); err != nil {
		return nil, notFound("That is no digest.")
	}
	return v.imagePage(name, "", digest)
}

func (v *visit) imagePage(name, tag, reference string) (*page, error) {
	head, err := v.open(name, "image")
	if err != nil {
		return nil, err
	}
	img, err := v.image(name, reference)
	if err != nil {
		return nil, err
	}
	data := imagePage{heading: head, Tag: tag, Image: newImageView(img)}
	data.Commands = Commands(data.Image.Kind, head.Reference, tag, data.Image.Digest)
	p := &page{template: "image", data: data, canonical: "/" + head.Repository.Name + "/-/digest/" + string(data.Image.Digest)}
	p.title = head.Repository.Name + "@" + short(data.Image.Digest)
	if tag != "" {
		p.title = head.Repository.Name + ":" + tag
		p.canonical = "/" + head.Repository.Name + "/-/tag/" + tag
	}
	p.description = data.Image.Kind.Label() + " " + head.Reference + ", " + formatBytes(data.Image.Size) + "."
	p.noindex = tag == "" && len(data.Image.Tags) == 0 // old ones
	return p, nil
}
