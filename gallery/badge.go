package gallery

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"strings"
)

// badgesPage shows a repository's badges and what to write to have them elsewhere.
type badgesPage struct {
	heading
	Badges []badgeView `json:"badges"`
}

// badgeView is a badge and how to show it.
type badgeView struct {
	Kind     string `json:"kind"`
	Path     string `json:"-"`
	URL      string `json:"url"`
	Alt      string `json:"alt"`
	Markdown string `json:"markdown"`
	HTML     string `json:"html"`
}

// badgeKinds are the badges that there are.
var badgeKinds = []string{"version", "size", "pulls", "verified"}

func (v *visit) badges(name string) (*page, error) {
	head, err := v.open(name, "badge")
	if err != nil {
		return nil, err
	}
	data := badgesPage{heading: head, Badges: []badgeView{}}
	target := v.origin + v.to(head.Repository.Name)
	for _, kind := range badgeKinds {
		label, value, err := v.badgeText(head.Repository, kind)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b := badgeView{Kind: kind, Path: v.to(head.Repository.Name, "-", "badge", kind+".svg"), Alt: label + ": " + value}
		b.URL = v.origin + b.Path
		b.Markdown = fmt.Sprintf("[![%s](%s)](%s)", b.Alt, b.URL, target)
		b.HTML = fmt.Sprintf(`<a href="%s"><img src="%s" alt="%s"></a>`, html.EscapeString(target), html.EscapeString(b.URL), html.EscapeString(b.Alt))
		data.Badges = append(data.Badges, b)
	}
	return &page{template: "badge", title: "Badges of " + head.Repository.Name, description: "Badges that tell of " + head.Reference + ".", noindex: true, data: data}, nil
}

// badge answers with an SVG of up to 2 KB. It is the same everywhere, so that it can stand in
// a README.
func (v *visit) badge(name, file string) (*page, error) {
	kind, ok := strings.CutSuffix(file, ".svg")
	if !ok {
		return nil, notFound("There is no such badge.")
	}
	head, err := v.open(name, "")
	if err != nil {
		return nil, err
	}
	label, value, err := v.badgeText(head.Repository, kind)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound("There is no such badge.")
	}
	if err != nil {
		return nil, err
	}
	return &page{noindex: true, raw: &raw{contentType: "image/svg+xml", body: badgeSVG(label, value), shared: true}}, nil
}

// badgeText returns what a badge says. Where there is nothing to say the error wraps
// fs.ErrNotExist.
func (v *visit) badgeText(repo Repository, kind string) (label, value string, err error) {
	none := fmt.Errorf("gallery: the badge %s: %w", kind, fs.ErrNotExist)
	switch kind {
	case "version", "size":
		tags, _, err := v.cfg.Source.Tags(v.ctx(), repo.Name, "", manyTags)
		if err != nil {
			return "", "", err
		}
		tag, img, err := v.defaultImage(repo.Name, repo.DefaultTag, tags)
		switch {
		case err != nil:
			return "", "", err
		case img == nil:
			return "", "", none
		case kind == "size":
			return "size", formatBytes(img.Size), nil
		}
		return "version", cut(30, tag), nil
	case "pulls":
		s, err := v.series(repo.Name, "", chartDays)
		if err == nil && s == nil {
			err = none
		}
		if err != nil {
			return "", "", err
		}
		return "pulls in 90 days", formatCount(s.Total), nil
	case "verified":
		if !repo.Verified {
			return "", "", none
		}
		return "publisher", "verified", nil
	}
	return "", "", none
}

// badgeWidth guesses how wide a text is in a usual font, with room at its ends.
func badgeWidth(s string) int {
	width := 0.0
	for _, r := range s {
		switch {
		case strings.ContainsRune("iljI|.,:;'!", r):
			width += 3.4
		case strings.ContainsRune("frt()[]-/ ", r):
			width += 4.6
		case strings.ContainsRune("mwMW%@", r):
			width += 10.2
		case r >= 'A' && r <= 'Z' || r > 0x7f:
			width += 8
		default:
			width += 6.9
		}
	}
	return 14 + int(width+0.5)
}

// badgeSVG draws a badge. The widths of its texts are guessed, and then kept to.
func badgeSVG(label, value string) []byte {
	a, b := badgeWidth(label), badgeWidth(value)
	l, t := html.EscapeString(label), html.EscapeString(value)
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="%[4]s: %[5]s"><title>%[4]s: %[5]s</title>`+
		`<clipPath id="r"><rect width="%[1]d" height="20" rx="4" fill="#fff"/></clipPath><g clip-path="url(#r)"><rect width="%[2]d" height="20" fill="#3f4654"/>`+
		`<rect x="%[2]d" width="%[3]d" height="20" fill="#0b6b6b"/></g><g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">`+
		`<text x="%[6]d" y="14" textLength="%[7]d">%[4]s</text><text x="%[8]d" y="14" textLength="%[9]d">%[5]s</text></g></svg>`,
		a+b, a, b, l, t, a/2, a-14, a+b/2, b-14)
}
