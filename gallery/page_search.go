package gallery

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// searchPath is where searches are answered, below the prefix.
const searchPath = "/-/search"

// searchPage is what a search shows.
type searchPage struct {
	Results   []Document `json:"results"`
	Total     int        `json:"total"`
	Corrected string     `json:"corrected,omitempty"`
	Next      string     `json:"next,omitempty"` // the parameter after of the next page
	Facets    Facets     `json:"facets"`

	Terms   []string `json:"-"`
	Applied []chip   `json:"-"`
	Groups  []group  `json:"-"`
	Sorts   []option `json:"-"`
	More    string   `json:"-"` // path of the next page
	First   string   `json:"-"` // path of the first, if this is not it
	Feed    string   `json:"-"`
	Pulls   bool     `json:"-"`
	Empty   bool     `json:"-"` // there is nothing to be found at all
}

// chip is a filter that holds, with the path of the search without it.
type chip struct{ Label, Without string }

// group is a filter with its values and how many hits each would leave.
type group struct {
	Title, Name string
	Options     []option
}

// option is one choice.
type option struct {
	Label, Value string
	N            int
	On           bool
}

// filters are the parameters that filter a search, by what people call them.
var filters = []struct{ param, label string }{
	{"publisher", "Publisher"}, {"verified", "Verified"}, {"deprecated", "Deprecated"}, {"type", "Type"}, {"os", "Operating system"}, {"arch", "Architecture"},
}

// readSearch reads the query and the part of the hits that a request asks for.
func (v *visit) readSearch() (q Query, p Page, err error) {
	if text := v.query.Get("q"); len(text) > MaxQuery {
		v.query.Set("q", strings.ToValidUTF8(text[:MaxQuery], ""))
	}
	q = ParseQuery(v.query.Get("q"))
	for _, f := range filters {
		var values []string // that count; links to other pages of the search have no more
		for _, value := range v.query[f.param] {
			if value != "" && len(value) <= maxFilter && len(values) < maxValuesOf && !slices.Contains(values, value) {
				values = append(values, value)
				q.filter(f.param + ":" + value)
			}
		}
		v.query[f.param] = values
	}
	p = Page{After: v.query.Get("after"), Sort: Sort(v.query.Get("sort"))}
	if s := v.query.Get("limit"); s != "" {
		if p.Limit, err = strconv.Atoi(s); err != nil || p.Limit < 1 {
			return q, p, badRequest("limit must be a number of 1 or more.")
		}
	}
	switch p.Sort {
	case ByRelevance, ByPulls, ByUpdate, ByName:
	default:
		return q, p, badRequest("sort must be pulls, updated or name.")
	}
	return q, p, nil
}

func (v *visit) search() (*page, error) {
	q, part, err := v.readSearch()
	if err != nil {
		return nil, err
	}
	text := v.query.Get("q")
	if v.format == "html" && part.After == "" {
		if to := v.pasted(q); to != "" {
			return &page{raw: &raw{redirect: to, status: http.StatusFound}}, nil
		}
	}
	found, err := v.cfg.Index.Search(v.ctx(), q, part)
	if err != nil {
		return nil, err
	}
	data := searchPage{Results: documents(found), Total: found.Total, Corrected: found.Corrected, Facets: found.Facets, Terms: q.Terms, Pulls: v.cfg.Metrics != nil}
	if found.Corrected != "" {
		data.Terms = Words(found.Corrected)
	}
	if found.More {
		data.Next = data.Results[len(data.Results)-1].Name
		data.More = v.again("after", data.Next)
	}
	if part.After != "" {
		data.First = v.again("after")
	}
	data.Feed = strings.Replace(v.again("after"), searchPath, searchPath+".atom", 1)
	data.Applied, data.Groups = v.applied(), groups(q, found.Facets)
	for _, s := range []option{{Label: "Relevance"}, {Label: "Pulls", Value: string(ByPulls)}, {Label: "Last updated", Value: string(ByUpdate)}, {Label: "Name", Value: string(ByName)}} {
		if s.Value == string(ByPulls) && !data.Pulls {
			continue
		}
		s.On = Sort(s.Value) == part.Sort
		data.Sorts = append(data.Sorts, s)
	}
	if found.Total == 0 {
		all, err := v.cfg.Index.Search(v.ctx(), Query{}, Page{Limit: 1})
		if err != nil {
			return nil, err
		}
		data.Empty = all.Total == 0
	}
	title := "Search"
	if text != "" {
		title = cut(80, text) + " - search"
	}
	return &page{template: "search", title: title, noindex: true, feed: strings.TrimPrefix(data.Feed, v.cfg.Prefix), data: data}, nil
}

// pasted returns the path of what a query names as a reference, if it is there.
func (v *visit) pasted(q Query) string {
	if q.Name != "" && (q.Reference != manifest.Reference{} || len(strings.Fields(v.query.Get("q"))) > 1 || strings.Count(v.query.Get("q"), "/") > 1) {
		repo, err := v.cfg.Source.Repository(v.ctx(), q.Name)
		if err != nil {
			return "" // the search says what there is instead
		}
		return v.reference(repo.Name, q.Reference)
	}
	finder, ok := v.cfg.Source.(Finder)
	if !ok || q.Name != "" || q.Reference.Digest == "" {
		return ""
	}
	name, err := finder.Find(v.ctx(), q.Reference.Digest)
	if err != nil {
		return ""
	}
	if _, err := v.cfg.Source.Image(v.ctx(), name, string(q.Reference.Digest)); err != nil {
		return "" // it has been deleted since, or is not for this viewer
	}
	return v.reference(name, q.Reference)
}

// reference returns the path of a repository, or of the tag or digest in it.
func (v *visit) reference(name string, ref manifest.Reference) string {
	switch {
	case ref.Digest != "":
		return v.to(name, "-", "digest", string(ref.Digest))
	case ref.Tag != "":
		return v.to(name, "-", "tag", ref.Tag)
	}
	return v.to(name)
}

// again returns the path of the same search with other values of a parameter. Another search
// begins at its first page.
func (v *visit) again(param string, values ...string) string {
	var params []string
	for _, name := range []string{"q", "publisher", "verified", "deprecated", "type", "os", "arch", "sort", "limit", "after"} {
		list := v.query[name]
		switch name {
		case param:
			list = values
		case "after":
			list = nil
		}
		for _, value := range list {
			if value != "" {
				params = append(params, name, value)
			}
		}
	}
	return v.searchPath(params...)
}

// applied lists the filters that the parameters set, with ways back.
func (v *visit) applied() (list []chip) {
	for _, f := range filters {
		for _, value := range v.query[f.param] {
			rest := slices.DeleteFunc(slices.Clone(v.query[f.param]), func(s string) bool { return s == value })
			list = append(list, chip{f.label + ": " + cut(40, line(value)), v.again(f.param, rest...)})
		}
	}
	return list
}

// shownOptions is how many values of a filter are offered.
const shownOptions = 8

func groups(q Query, f Facets) (list []group) {
	if f.Verified > 0 || q.Verified != nil {
		list = append(list, group{"Trust", "verified", []option{{"Verified publisher", "yes", f.Verified, q.Verified != nil && *q.Verified}}})
	}
	for _, g := range []struct {
		title, name string
		counts      []Count
		on          []string
		label       func(string) string
	}{
		{"Type", "type", f.Kinds, q.Kinds, func(s string) string { return Kind(s).Label() }},
		{"Operating system", "os", f.OperatingSystems, q.OperatingSystems, nil},
		{"Architecture", "arch", f.Architectures, q.Architectures, nil},
	} {
		out := group{Title: g.title, Name: g.name}
		for _, c := range g.counts {
			on := slices.ContainsFunc(g.on, func(s string) bool { return strings.EqualFold(s, c.Value) })
			if len(out.Options) >= shownOptions && !on {
				continue
			}
			label := c.Value
			if g.label != nil {
				label = g.label(label)
			}
			out.Options = append(out.Options, option{cut(30, label), c.Value, c.N, on})
		}
		if len(out.Options) > 0 {
			list = append(list, out)
		}
	}
	return list
}

// suggestions is how many names are suggested while one types.
const suggestions = 8

// suggest answers in the form that OpenSearch wants: the query, names, what they are, and
// where.
func (v *visit) suggest() (*page, error) {
	text := v.query.Get("q")
	names, descriptions, urls := []string{}, []string{}, []string{}
	if strings.TrimSpace(text) != "" {
		found, err := v.cfg.Index.Search(v.ctx(), ParseQuery(text), Page{Limit: suggestions})
		if err != nil {
			return nil, err
		}
		for _, h := range found.Hits {
			names, descriptions = append(names, h.Name), append(descriptions, cut(100, h.Description))
			urls = append(urls, v.origin+v.to(h.Name))
		}
	}
	body, err := json.Marshal([]any{text, names, descriptions, urls})
	return &page{noindex: true, raw: &raw{contentType: "application/x-suggestions+json", body: body}}, err
}
