package gallery

import (
	"errors"
	"html/template"
	"io/fs"
	"net/url"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// heading is what stands above every page of a repository.
type heading struct {
	Repository Repository `json:"repository"`
	View       string     `json:"-"` // which of the pages this is
	Reference  string     `json:"-"` // host/alias/repository
}

// repositoryPage is what the first page of a repository shows.
type repositoryPage struct {
	heading
	Tag      string     `json:"tag,omitempty"` // that is shown: see defaultTag
	Image    *imageView `json:"image,omitempty"`
	Commands []Command  `json:"commands,omitempty"`
	Tags     []tagRow   `json:"tags"`
	MoreTags bool       `json:"moreTags"`
	Pulls    *series    `json:"pulls,omitempty"`

	About template.HTML `json:"-"`
	Usage template.HTML `json:"-"`
}

// previewTags is how many tags the first page of a repository lists.
const previewTags = 10

// open returns what stands above the pages of a repository.
func (v *visit) open(name, view string) (heading, error) {
	repo, err := v.cfg.Source.Repository(v.ctx(), name)
	if err != nil {
		return heading{}, v.missing(name, err)
	}
	repo = plainRepository(repo)
	return heading{repo, view, v.host() + "/" + repo.Name}, nil
}

func (v *visit) repository(name string) (*page, error) {
	head, err := v.open(name, "overview")
	if err != nil {
		return nil, err
	}
	repo := head.Repository
	tags, more, err := v.cfg.Source.Tags(v.ctx(), name, "", manyTags)
	if err != nil {
		return nil, v.missing(name, err)
	}
	tags = plainTags(tags)
	data := repositoryPage{
		heading: head, Tags: rows(preview(tags, previewTags), tags), MoreTags: more || len(tags) > previewTags,
		About: v.rendered(repo.About, "about"), Usage: v.rendered(repo.Usage, "usage"),
	}
	if data.Tag, data.Image, err = v.defaultImage(name, repo.DefaultTag, tags); err != nil {
		return nil, err
	}
	if data.Image != nil {
		data.Commands = Commands(data.Image.Kind, head.Reference, data.Tag, data.Image.Digest)
	}
	if data.Pulls, err = v.series(name, "", chartDays); err != nil {
		return nil, err
	}
	p := &page{
		template: "repository", title: repo.Name, description: repo.Description, canonical: "/" + repo.Name, feed: "/" + repo.Name + "/-/feed.atom", data: data,
	}
	if p.description == "" {
		p.description = "Pull " + head.Reference + "."
	}
	linked := map[string]any{
		"@context": "https://schema.org", "@type": "SoftwareApplication", "name": repo.Name, "description": p.description,
		"url": v.origin + v.to(repo.Name), "applicationCategory": "DeveloperApplication",
		"author": map[string]any{"@type": "Organization", "name": repo.Publisher.Title(), "url": v.origin + v.to(repo.Publisher.Alias)},
	}
	if !repo.Updated.IsZero() {
		linked["dateModified"] = repo.Updated
	}
	if data.Tag != "" {
		linked["softwareVersion"] = data.Tag
	}
	if len(repo.OperatingSystems) > 0 {
		linked["operatingSystem"] = strings.Join(repo.OperatingSystems, ", ")
	}
	p.linked = linked
	return p, nil
}

// manyTags is among how many tags the one is looked for that is shown first.
const manyTags = 100

// defaultImage returns the image that is shown first, and its tag. There may be none.
func (v *visit) defaultImage(name, chosen string, tags []Tag) (string, *imageView, error) {
	for _, tag := range []string{chosen, DefaultTag(tags)} {
		if tag == "" {
			continue
		}
		img, err := v.cfg.Source.Image(v.ctx(), name, tag)
		if err == nil {
			return tag, newImageView(img), nil
		}
		if !errors.Is(err, fs.ErrNotExist) { // it may have been deleted since
			return "", nil, err
		}
	}
	return "", nil, nil
}

// DefaultTag picks the tag that is shown first where the owner has not chosen one: that of the
// highest release, else latest, else the first that clients did not make of a digest.
func DefaultTag(tags []Tag) string {
	best, latest, first := "", "", ""
	numbers := 0
	for _, t := range tags {
		if t.Name == "latest" {
			latest = t.Name
		}
		if first == "" && !manifest.IsFallbackTag(t.Name) {
			first = t.Name
		}
		// 1 and 1.27 float above 1.27.3, which comes after them
		if version, ok := manifest.ParseTagVersion(t.Name); ok && version.IsRelease() && numbers < min(len(version.Numbers), 3) {
			best, numbers = t.Name, min(len(version.Numbers), 3)
		}
	}
	switch {
	case best != "":
		return best
	case latest != "":
		return latest
	}
	return first
}

// rendered returns Markdown as HTML, where that is what is wanted.
func (v *visit) rendered(text, prefix string) template.HTML {
	if strings.TrimSpace(text) == "" || v.format != "html" {
		return ""
	}
	key := prefix + "\x00" + text
	if html, ok := v.texts.Get(key); ok {
		return html
	}
	html := template.HTML(v.markdown.Render(text, prefix)) // which is what sanitizes it
	v.texts.Begin().Add(key, html)
	return html
}

// logo answers with an image of the source's.
func (v *visit) logo(file string) (*page, error) {
	logos, ok := v.cfg.Source.(Logos)
	if name := file[:max(0, strings.LastIndexByte(file, '/'))]; !ok || manifest.CheckName(name) != nil {
		return nil, notFound("There is no such image.")
	}
	raster, mediaType, err := logos.Logo(v.ctx(), LogoPath+file)
	if err != nil {
		return nil, err
	}
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
	default:
		return nil, notFound("There is no such image.") // an SVG, say, would be a document
	}
	return &page{raw: &raw{contentType: mediaType, body: raster, immutable: true}}, nil
}

// pull answers with one command as text: curl .../-/pull?with=docker
func (v *visit) pull(name string) (*page, error) {
	head, err := v.open(name, "")
	if err != nil {
		return nil, err
	}
	var img *imageView
	tag := v.query.Get("tag")
	if tag != "" && manifest.CheckTag(tag) != nil { // it would be part of a command
		return nil, badRequest("tag must be a tag.")
	}
	if ref := v.query.Get("reference"); ref != "" || tag != "" {
		if ref == "" {
			ref = tag
		}
		if tag == "" && !strings.Contains(ref, ":") {
			tag = ref
		}
		found, err := v.image(name, ref)
		if err != nil {
			return nil, err
		}
		img = newImageView(found)
	} else {
		tags, _, err := v.cfg.Source.Tags(v.ctx(), name, "", manyTags)
		if err == nil {
			tag, img, err = v.defaultImage(name, head.Repository.DefaultTag, tags)
		}
		if err != nil {
			return nil, err
		}
	}
	if img == nil {
		return nil, notFound("The repository has no image.")
	}
	list := Commands(img.Kind, head.Reference, tag, img.Digest)
	with := v.query.Get("with")
	if with == "" {
		with = list[0].ID
	}
	for _, c := range list {
		if c.ID == with {
			text := c.Text
			if v.query.Has("pin") && c.Pinned != "" {
				text = c.Pinned
			}
			return &page{noindex: true, raw: &raw{contentType: typeText, body: []byte(strings.TrimSuffix(text, "\n") + "\n")}}, nil
		}
	}
	return nil, notFound("There is no such way to pull it.")
}

// image returns what a reference names, or an error for the visitor.
func (v *visit) image(name, reference string) (Image, error) {
	if _, err := manifest.ParseReference(reference); err != nil {
		return Image{}, notFound("That is no tag and no digest.")
	}
	img, err := v.cfg.Source.Image(v.ctx(), name, reference)
	if errors.Is(err, fs.ErrNotExist) {
		return img, notFound("The repository has no image of that name.")
	}
	return img, err
}

func queryEscape(s string) string { return url.QueryEscape(s) }
