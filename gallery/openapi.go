package gallery

import (
	"encoding/json"
	"html/template"
	"reflect"
	"strings"
	"time"
)

// apiRoute is a page that has JSON.
type apiRoute struct {
	Path    string   `json:"path"`
	Summary string   `json:"summary"`
	Query   []string `json:"query,omitempty"` // parameters
	reply   any
}

// apiRoutes are all of them.
var apiRoutes = []apiRoute{
	{"/", "What is popular and new", nil, homePage{}},
	{"/-/search", "Search, in the order of relevance", []string{"q", "publisher", "verified", "deprecated", "type", "os", "arch", "sort", "limit", "after"}, searchPage{}},
	{"/{alias}", "A publisher and its repositories, by name", []string{"after"}, publisherPage{}},
	{"/{alias}/{repository}", "A repository with the image that is shown first", nil, repositoryPage{}},
	{"/{alias}/{repository}/-/tags", "Tags, the highest versions first", []string{"filter", "after"}, tagsPage{}},
	{"/{alias}/{repository}/-/tag/{tag}", "What a tag points to", nil, imagePage{}},
	{"/{alias}/{repository}/-/digest/{digest}", "What a digest names", nil, imagePage{}},
	{"/{alias}/{repository}/-/pulls", "Pulls by day", []string{"tag", "days"}, pullsPage{}},
	{"/{alias}/{repository}/-/history", "Moves of tags, the last first", []string{"tag", "after"}, historyPage{}},
	{"/{alias}/{repository}/-/badge", "Badges", nil, badgesPage{}},
}

// openAPI writes the description of all JSON (OpenAPI 3.1) from the types that it is made of.
func openAPI(prefix string) ([]byte, error) {
	type object = map[string]any
	schemas := object{"Problem": schemaOf(reflect.TypeFor[Error](), nil)}
	paths := object{}
	for _, route := range apiRoutes {
		var params []object
		for part := range strings.SplitSeq(route.Path, "{") {
			if name, _, ok := strings.Cut(part, "}"); ok {
				params = append(params, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
			}
		}
		for _, name := range append(route.Query, "format") {
			params = append(params, object{"name": name, "in": "query", "schema": object{"type": "string"}})
		}
		answer := func(kind string, schema object) object { return object{kind: object{"schema": schema}} }
		paths[prefix+route.Path] = object{"get": object{
			"summary": route.Summary, "parameters": params,
			"responses": object{
				"200":     object{"description": route.Summary, "content": answer(typeJSON, schemaOf(reflect.TypeOf(route.reply), schemas))},
				"default": object{"description": "A problem (RFC 9457)", "content": answer(typeProblem, object{"$ref": "#/components/schemas/Problem"})},
			},
		}}
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Gallery", "version": "1",
			"description": "Every page as JSON, with Accept: application/json or ?format=json. Fields may be added; none changes its meaning.",
		},
		"paths": paths, "components": object{"schemas": schemas},
	})
}

// schemaOf describes a type as encoding/json writes it. Named structs go to schemas, if there
// are any, and are referred to.
func schemaOf(t reflect.Type, schemas map[string]any) map[string]any {
	type object = map[string]any
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[template.HTML]():
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Struct:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		ref := object{"$ref": "#/components/schemas/" + name}
		if schemas != nil {
			if _, ok := schemas[name]; ok {
				return ref
			}
			schemas[name] = nil // for types that refer to themselves
		}
		properties, required := object{}, []string{}
		fields(t, func(f reflect.StructField, name string, optional bool) {
			properties[name] = schemaOf(f.Type, schemas)
			if f.Type.Kind() == reflect.Pointer && !optional {
				properties[name] = object{"anyOf": []object{schemaOf(f.Type, schemas), {"type": "null"}}}
			}
			if !optional {
				required = append(required, name)
			}
		})
		schema := object{"type": "object", "properties": properties, "required": required}
		if schemas == nil {
			return schema
		}
		schemas[name] = schema
		return ref
	}
	return object{"type": "integer"}
}

// fields calls f with the fields that encoding/json writes, those of embedded structs too.
func fields(t reflect.Type, f func(field reflect.StructField, name string, optional bool)) {
	for field := range t.Fields() {
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && tag == "":
			fields(field.Type, f)
		case tag != "-" && field.IsExported():
			if tag == "" {
				tag = field.Name
			}
			f(field, tag, strings.Contains(options, "omit"))
		}
	}
}
