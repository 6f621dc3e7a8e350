package gallery

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// setTheme keeps a visitor's choice between light and dark in a cookie, the only one there
// is, and leads back to the page.
func (v *visit) setTheme(w http.ResponseWriter) {
	if v.r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		v.fail(w, &Error{Status: http.StatusMethodNotAllowed, Title: "The theme is set by POST."})
		return
	}
	if err := v.guard.Check(v.r); err != nil {
		v.fail(w, &Error{Status: http.StatusForbidden, Title: "This request comes from another site."})
		return
	}
	v.r.Body = http.MaxBytesReader(w, v.r.Body, 8<<10)
	if err := v.r.ParseForm(); err != nil {
		v.fail(w, badRequest("The form cannot be read."))
		return
	}
	cookie := &http.Cookie{
		Name: themeCookie, Value: v.r.PostForm.Get("theme"), Path: v.cfg.Prefix + "/", MaxAge: 365 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(v.origin, "https://"),
	}
	switch cookie.Value {
	case "light", "dark":
	case "auto":
		cookie.MaxAge = -1
	default:
		v.fail(w, badRequest("theme must be light, dark or auto."))
		return
	}
	http.SetCookie(w, cookie)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, v.r, v.back(v.r.PostForm.Get("back")), http.StatusSeeOther)
}

// back returns a path of this site, whatever a form says.
func (v *visit) back(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, v.cfg.Prefix+"/") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") && u.Path != "/" || strings.ContainsAny(to, "\\\r\n\t") {
		return v.cfg.Prefix + "/"
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String()
}

const (
	themePath   = "/-/theme"
	themeCookie = "theme"
)

// themeOf returns the visitor's choice.
func themeOf(r *http.Request) string {
	if len(r.Header["Cookie"]) == 0 {
		return ""
	}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// helpPage explains the search and the pages.
type helpPage struct {
	Kinds []Kind `json:"types"`
}

func (v *visit) help() (*page, error) {
	return &page{
		template: "help", title: "Help", description: "How to search " + v.cfg.Name + " and what its pages show.", canonical: "/-/help",
		data: helpPage{[]Kind{KindImage, KindHelm, KindWasm, KindModel, KindArtifact}},
	}, nil
}

// healthz says that the site answers.
func (v *visit) healthz() (*page, error) {
	return &page{noindex: true, raw: &raw{contentType: typeText, body: []byte("ok\n")}}, nil
}

// robots keeps crawlers from what is made for each query.
func (v *visit) robots() (*page, error) {
	p := v.cfg.Prefix
	text := "User-agent: *\nDisallow: " + p + "/-/search\nDisallow: " + p + "/-/suggest\nDisallow: /v2/\nSitemap: " + v.origin + p + "/-/sitemap.xml\n"
	return &page{raw: &raw{contentType: typeText, body: []byte(text)}}, nil
}

// openSearchFile is the description of OpenSearch 1.1, by which browsers add the search.
type openSearchFile struct {
	XMLName     xml.Name        `xml:"http://a9.com/-/spec/opensearch/1.1/ OpenSearchDescription"`
	ShortName   string          `xml:"ShortName"`
	Description string          `xml:"Description"`
	Encoding    string          `xml:"InputEncoding"`
	URLs        []openSearchURL `xml:"Url"`
}

type openSearchURL struct {
	Type     string `xml:"type,attr"`
	Template string `xml:"template,attr"`
}

func (v *visit) openSearch() (*page, error) {
	base := v.origin + v.cfg.Prefix
	return xmlPage("application/opensearchdescription+xml", openSearchFile{
		ShortName: cut(15, v.cfg.Name), Description: "Search " + v.cfg.Name, Encoding: "UTF-8",
		URLs: []openSearchURL{
			{"text/html", base + searchPath + "?q={searchTerms}"}, {"application/json", base + searchPath + "?format=json&q={searchTerms}"},
			{"application/x-suggestions+json", base + "/-/suggest?q={searchTerms}"}, {"application/atom+xml", base + searchPath + ".atom?q={searchTerms}"},
		},
	})
}

// urlSet is a sitemap, and sitemapIndex one of several.
type urlSet struct {
	XMLName xml.Name  `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
	URLs    []siteURL `xml:"url"`
}

type sitemapIndex struct {
	XMLName  xml.Name  `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 sitemapindex"`
	Sitemaps []siteURL `xml:"sitemap"`
}

type siteURL struct {
	Loc string `xml:"loc"`
}

// The bounds of a sitemap: of the protocol, and of a page of names.
const (
	sitemapURLs = 50000
	namesPage   = 1000
)

// sitemap lists all repositories, or the sitemaps that do where they are too many for one.
func (v *visit) sitemap() (*page, error) {
	lister, ok := v.cfg.Source.(Lister)
	if !ok {
		return nil, notFound("There is no sitemap.")
	}
	after := v.query.Get("after")
	first := after == "" && !v.query.Has("after")
	names, more, last, err := v.names(lister, after, sitemapURLs)
	if err != nil {
		return nil, err
	}
	if first && more {
		index := sitemapIndex{Sitemaps: []siteURL{{v.origin + v.cfg.Prefix + "/-/sitemap.xml?after="}}}
		for more && len(index.Sitemaps) < sitemapURLs {
			index.Sitemaps = append(index.Sitemaps, siteURL{v.origin + v.cfg.Prefix + "/-/sitemap.xml?after=" + queryEscape(last)})
			if _, more, last, err = v.names(lister, last, sitemapURLs); err != nil {
				return nil, err
			}
		}
		return xmlPage("application/xml", index)
	}
	set := urlSet{}
	if first {
		set.URLs = append(set.URLs, siteURL{v.origin + v.cfg.Prefix + "/"}, siteURL{v.origin + v.cfg.Prefix + "/-/help"})
	}
	for _, name := range names {
		set.URLs = append(set.URLs, siteURL{v.origin + v.to(name)})
	}
	return xmlPage("application/xml", set)
}

// names reads names page by page.
func (v *visit) names(lister Lister, after string, limit int) (names []string, more bool, last string, err error) {
	for more = true; more && len(names) < limit; {
		var list []string
		if list, more, err = lister.Names(v.ctx(), after, min(namesPage, limit-len(names))); err != nil {
			return nil, false, "", err
		}
		if len(list) == 0 {
			break
		}
		names, after = append(names, list...), list[len(list)-1]
	}
	return names, more, after, nil
}

// apiPage describes the JSON of the pages.
type apiPage struct {
	OpenAPI string     `json:"openapi"` // path of the document
	Routes  []apiRoute `json:"routes"`
}

func (v *visit) api() (*page, error) {
	return &page{
		template: "api", title: "API", description: "The pages of " + v.cfg.Name + " as JSON.", canonical: "/-/api",
		data: apiPage{v.cfg.Prefix + "/-/openapi.json", apiRoutes},
	}, nil
}

func (v *visit) openAPIFile() (*page, error) {
	return &page{noindex: true, raw: &raw{contentType: typeJSON, body: v.Site.openAPI}}, nil
}
