package auth_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
)

func TestScopeAllows(t *testing.T) {
	t.Parallel()
	const a, b = "111111111111", "222222222222"
	limited := &auth.Scope{Access: []auth.Access{
		{Account: a, Repository: "app", Verbs: []auth.Verb{auth.Pull}},
		{Account: a, Repository: "app", Verbs: []auth.Verb{auth.Push}},
		{Account: a, Repository: "team/app", Verbs: []auth.Verb{auth.Pull, auth.Delete}},
		{Account: b, Repository: "app", Verbs: []auth.Verb{auth.Any}},
		{Account: b, Repository: "none"},
	}}
	for _, tt := range []struct {
		name                string
		scope               *auth.Scope
		account, repository string
		verb                auth.Verb
		want                bool
	}{
		{"unrestricted", nil, a, "app", auth.Delete, true},
		{"unrestricted, even of nothing", nil, "", "", "", true},
		{"the zero scope", &auth.Scope{}, a, "app", auth.Pull, false},
		{"the zero scope, of nothing", &auth.Scope{}, "", "", "", false},
		{"a verb", limited, a, "app", auth.Pull, true},
		{"a verb of a second entry", limited, a, "app", auth.Push, true},
		{"another verb", limited, a, "app", auth.Delete, false},
		{"every verb is not had by having each", limited, a, "app", auth.Any, false},
		{"another repository", limited, a, "team", auth.Pull, false},
		{"a repository inside", limited, a, "app/x", auth.Pull, false},
		{"a prefix of the repository", limited, a, "ap", auth.Pull, false},
		{"a repository with a slash", limited, a, "team/app", auth.Delete, true},
		{"the same name of another account", limited, "333333333333", "app", auth.Pull, false},
		{"no account", limited, "", "app", auth.Pull, false},
		{"any verb", limited, b, "app", auth.Delete, true},
		{"any verb, asked for itself", limited, b, "app", auth.Any, true},
		{"an unknown verb, had by any", limited, b, "app", "tag", true},
		{"an unknown verb", limited, a, "app", "tag", false},
		{"an entry without verbs", limited, b, "none", auth.Pull, false},
		{"case matters", limited, a, "App", auth.Pull, false},
		{"no wildcard in names", &auth.Scope{Access: []auth.Access{{Account: "*", Repository: "*", Verbs: []auth.Verb{auth.Any}}}}, a, "app", auth.Pull, false},
	} {
		if got := tt.scope.Allows(tt.account, tt.repository, tt.verb); got != tt.want {
			t.Errorf("%s: Allows(%q, %q, %q) = %v", tt.name, tt.account, tt.repository, tt.verb, got)
		}
	}
}

func wanted(kind, name string, verbs ...auth.Verb) auth.Wanted {
	return auth.Wanted{Type: kind, Name: name, Verbs: verbs}
}

// The examples and the grammar of distribution's docs/content/spec/auth/scope.md.
func TestParseScopes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		values []string
		want   []auth.Wanted
	}{
		"none":                       {nil, nil},
		"empty":                      {[]string{""}, nil},
		"spaces":                     {[]string{"   "}, nil},
		"pull":                       {[]string{"repository:samalba/my-app:pull"}, []auth.Wanted{wanted("repository", "samalba/my-app", auth.Pull)}},
		"pull,push":                  {[]string{"repository:samalba/my-app:pull,push"}, []auth.Wanted{wanted("repository", "samalba/my-app", auth.Pull, auth.Push)}},
		"push,pull":                  {[]string{"repository:samalba/my-app:push,pull"}, []auth.Wanted{wanted("repository", "samalba/my-app", auth.Push, auth.Pull)}},
		"delete":                     {[]string{"repository:a:delete"}, []auth.Wanted{wanted("repository", "a", auth.Delete)}},
		"every verb":                 {[]string{"repository:a:*"}, []auth.Wanted{wanted("repository", "a", auth.Any)}},
		"a verb twice":               {[]string{"repository:a:pull,pull,push,pull"}, []auth.Wanted{wanted("repository", "a", auth.Pull, auth.Push)}},
		"an unknown verb":            {[]string{"repository:a:pull,frobnicate"}, []auth.Wanted{wanted("repository", "a", auth.Pull)}},
		"only unknown verbs":         {[]string{"repository:a:tag"}, []auth.Wanted{wanted("repository", "a")}},
		"no verbs, which matches":    {[]string{"repository:a:"}, []auth.Wanted{wanted("repository", "a")}},
		"empty verbs, which match":   {[]string{"repository:a:,pull,"}, []auth.Wanted{wanted("repository", "a", auth.Pull)}},
		"verbs are lower case":       {[]string{"repository:a:PULL,Push"}, []auth.Wanted{wanted("repository", "a")}},
		"a class":                    {[]string{"repository(plugin):samalba/my-plugin:pull"}, []auth.Wanted{wanted("repository", "samalba/my-plugin", auth.Pull)}},
		"a host":                     {[]string{"repository:example.com/a:pull"}, []auth.Wanted{wanted("repository", "example.com/a", auth.Pull)}},
		"a host with a port":         {[]string{"repository:localhost:5000/a/b:pull,push"}, []auth.Wanted{wanted("repository", "localhost:5000/a/b", auth.Pull, auth.Push)}},
		"the catalog":                {[]string{"registry:catalog:*"}, []auth.Wanted{wanted("registry", "catalog", auth.Any)}},
		"an unknown type":            {[]string{"aws:x:pull"}, []auth.Wanted{wanted("aws", "x", auth.Pull)}},
		"two parameters":             {[]string{"repository:a:pull", "repository:b:push"}, []auth.Wanted{wanted("repository", "a", auth.Pull), wanted("repository", "b", auth.Push)}},
		"two in a list":              {[]string{"repository:a:pull repository:b:push"}, []auth.Wanted{wanted("repository", "a", auth.Pull), wanted("repository", "b", auth.Push)}},
		"a list with more spaces":    {[]string{"  repository:a:pull   repository:b:push "}, []auth.Wanted{wanted("repository", "a", auth.Pull), wanted("repository", "b", auth.Push)}},
		"one repository twice":       {[]string{"repository:a:pull", "repository:a:push"}, []auth.Wanted{wanted("repository", "a", auth.Pull), wanted("repository", "a", auth.Push)}},
		"good among bad":             {[]string{"x repository:a:pull y:z", "", "repository"}, []auth.Wanted{wanted("repository", "a", auth.Pull)}},
		"no colon":                   {[]string{"repository"}, nil},
		"one colon":                  {[]string{"repository:a"}, nil},
		"two colons, no name":        {[]string{"repository::pull"}, nil},
		"colons alone":               {[]string{"::"}, nil},
		"no type":                    {[]string{":a:pull"}, nil},
		"a class without a type":     {[]string{"(plugin):a:pull"}, nil},
		"a class that does not end":  {[]string{"repository(plugin:a:pull"}, nil},
		"a class followed by others": {[]string{"repository(plugin)x:a:pull"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, auth.ParseScopes(tt.values)); diff != "" {
				t.Errorf("ParseScopes(%q): (-want +got)\n%s", tt.values, diff)
			}
		})
	}
}

// A request cannot make the server work for thousands of resources.
func TestParseScopesIsBounded(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("repository:a:pull ", 10_000)
	for name, values := range map[string][]string{
		"in a list": {many}, "in parameters": slices.Repeat([]string{"repository:a:pull"}, 10_000), "in both": {many, many},
		"verbs": {"repository:a:" + strings.Repeat("pull,push,x,", 100_000)},
	} {
		got := auth.ParseScopes(values)
		if len(got) == 0 || len(got) > 100 {
			t.Errorf("%s: %d resources", name, len(got))
		}
		for _, w := range got {
			if len(w.Verbs) > 4 {
				t.Errorf("%s: %d verbs", name, len(w.Verbs))
			}
		}
	}
}

func TestWantedString(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]auth.Wanted{
		"repository:a:":                   wanted("repository", "a"),
		"repository:a/b:pull":             wanted("repository", "a/b", auth.Pull),
		"repository:h:5000/b:push,pull":   wanted("repository", "h:5000/b", auth.Push, auth.Pull),
		"registry:catalog:*":              wanted("registry", "catalog", auth.Any),
		"repository:a:pull,push,delete,*": wanted("repository", "a", auth.Pull, auth.Push, auth.Delete, auth.Any),
	} {
		if got := w.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

// entryGrammar is resourcescope of docker's grammar with "*" among the actions, as the
// registry uses it, and a name of any characters that cannot end it.
var entryGrammar = regexp.MustCompile(`\A([a-z0-9]+)(\([a-z0-9]+\))?:([^ ]+):([a-z]*|\*)((,([a-z]*|\*))*)\z`)

func FuzzParseScopes(f *testing.F) {
	for _, s := range []string{
		"", " ", ":", "::", "repository:samalba/my-app:pull,push", "repository(plugin):a:pull", "repository:localhost:5000/a:*",
		"registry:catalog:*", "repository:a:pull repository:b:push", "repository:a:", "repository::pull", ":a:pull", "a:b:c:d:e", "repository:a:,,pull,,",
		"repository:\xff:pull", "repository:a\x00b:pull", strings.Repeat("a:b:pull ", 100),
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		got := auth.ParseScopes([]string{one, two})
		if len(got) > 100 {
			t.Fatalf("%d resources", len(got))
		}
		for _, w := range got {
			if w.Name == "" || strings.ContainsAny(w.Type, ": (") || strings.Contains(w.Name, " ") {
				t.Fatalf("ParseScopes(%q, %q) has %+v", one, two, w)
			}
			for i, v := range w.Verbs {
				if !slices.Contains([]auth.Verb{auth.Pull, auth.Push, auth.Delete, auth.Any}, v) || slices.Contains(w.Verbs[:i], v) {
					t.Fatalf("ParseScopes(%q, %q) has verbs %q", one, two, w.Verbs)
				}
			}
			if diff := cmp.Diff([]auth.Wanted{w}, auth.ParseScopes([]string{w.String()})); diff != "" {
				t.Fatalf("%q read again: (-want +got)\n%s", w, diff)
			}
		}
		var texts []string
		for _, w := range got {
			texts = append(texts, w.String())
		}
		if diff := cmp.Diff(got, auth.ParseScopes([]string{strings.Join(texts, " ")})); diff != "" {
			t.Fatalf("%q read again: (-want +got)\n%s", texts, diff)
		}
		// What the grammar allows is never left out.
		if m := entryGrammar.FindStringSubmatch(one); m != nil {
			if len(got) == 0 || got[0].Type != m[1] || got[0].Name != m[3] {
				t.Fatalf("ParseScopes(%q) = %+v, want type %q and name %q", one, got, m[1], m[3])
			}
		}
	})
}
