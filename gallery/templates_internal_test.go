package gallery

import (
	"reflect"
	"testing"
	"testing/fstest"

	"github.com/jba/templatecheck"
)

// Each template can be executed with what its page shows, whatever that is.
func TestTemplateTypes(t *testing.T) {
	t.Parallel()
	files := overlaid{}
	s := &Site{}
	var err error
	if s.assets, err = newAssets(files); err != nil {
		t.Fatal(err)
	}
	if s.templates, err = parseTemplates(files, s.functions()); err != nil {
		t.Fatal(err)
	}
	pages := map[string]any{
		"home": homePage{}, "search": searchPage{}, "publisher": publisherPage{}, "repository": repositoryPage{}, "tags": tagsPage{}, "image": imagePage{},
		"history": historyPage{}, "pulls": pullsPage{}, "badge": badgesPage{}, "help": helpPage{}, "api": apiPage{}, "error": &Error{},
	}
	for name := range s.templates {
		if pages[name] == nil {
			t.Errorf("%s.tmpl has no page", name)
		}
	}
	for name, page := range pages {
		tmpl, ok := s.templates[name]
		if !ok {
			t.Errorf("there is no template for the page %s", name)
			continue
		}
		if err := templatecheck.CheckHTML(tmpl, layoutOf(page)); err != nil {
			t.Errorf("%s.tmpl: %v", name, err)
		}
	}
}

// layoutOf returns a layout whose page has a type, so that what is done with it can be
// checked.
func layoutOf(page any) any {
	var fields []reflect.StructField
	for f := range reflect.TypeFor[layout]().Fields() {
		if f.Name == "Page" {
			f.Type = reflect.TypeOf(page)
		}
		fields = append(fields, reflect.StructField{Name: f.Name, Type: f.Type})
	}
	return reflect.New(reflect.StructOf(fields)).Elem().Interface()
}

// The check finds what it is for.
func TestTemplateTypesAreChecked(t *testing.T) {
	t.Parallel()
	s := &Site{assets: assets{}}
	for text, wrong := range map[string]bool{
		`{{define "main"}}{{.Page.Total}}{{end}}`: false, `{{define "main"}}{{.Page.Totl}}{{end}}`: true, `{{define "main"}}{{range .Page.Popular}}{{.Nme}}{{end}}{{end}}`: true, `{{define "main"}}{{$.Titel}}{{end}}`: true,
	} {
		tmpl, err := parseTemplates(overlaid{fstest.MapFS{"home.tmpl": {Data: []byte(text)}}}, s.functions())
		if err != nil {
			t.Fatal(err)
		}
		if err := templatecheck.CheckHTML(tmpl["home"], layoutOf(homePage{})); (err != nil) != wrong {
			t.Errorf("%s: %v", text, err)
		}
	}
}
