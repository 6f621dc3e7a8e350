package gallery_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/manifest"
)

func TestParseQuery(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	zeros := manifest.Digest("sha256:" + strings.Repeat("0", 64))
	words := func(w ...string) []string { return w }
	for in, want := range map[string]gallery.Query{
		"":                                     {},
		"  ":                                   {},
		"Redis":                                {Terms: words("redis")},
		"message  queue":                       {Terms: words("message", "queue")},
		"fluent-bit":                           {Terms: words("fluent", "bit")},
		"c++":                                  {Terms: words("cpp")},
		".NET runtime":                         {Terms: words("dotnet", "runtime")},
		"bitnami/redis":                        {Terms: words("bitnami", "redis"), Name: "bitnami/redis"},
		"docker pull quay.io/acme/hat:1.2":     {Terms: words("acme", "hat"), Name: "acme/hat", Reference: manifest.Reference{Tag: "1.2"}},
		"docker run --rm -it acme/tools/hat":   {Terms: words("acme", "tools", "hat"), Name: "acme/tools/hat"},
		"crane pull localhost:5000/acme/hat":   {Terms: words("acme", "hat"), Name: "acme/hat"},
		"oci://registry.example/acme/chart":    {Terms: words("acme", "chart"), Name: "acme/chart"},
		"https://registry.example/acme/chart/": {Terms: words("acme", "chart"), Name: "acme/chart"},
		"acme/hat@sha256:" + strings.Repeat("0", 64): {Terms: words("acme", "hat"), Name: "acme/hat", Reference: manifest.Reference{Digest: zeros}},
		"acme/hat:1@sha256:0":                        {Terms: words("acme", "hat"), Name: "acme/hat", Reference: manifest.Reference{Tag: "1"}},
		string(zeros):                                {Terms: words(zeros.Encoded()), Reference: manifest.Reference{Digest: zeros}},
		"https://r.example/acme/hat/-/tags":          {Terms: words("acme", "hat"), Name: "acme/hat"},
		"docker compose":                             {Terms: words("docker", "compose")}, // no reference: these are words
		"publisher:acme redis":                       {Terms: words("redis"), Publisher: "acme"},
		"database verified:yes deprecated:no":        {Terms: words("database"), Verified: &yes, Deprecated: &no},
		"is:verified is:odd":                         {Terms: words("is", "odd"), Verified: &yes},
		"arch:arm64 os:Linux type:helm x":            {Terms: words("x"), Architectures: words("arm64"), OperatingSystems: words("linux"), Kinds: words("helm")},
		"nginx:1.27":                                 {Terms: words("nginx", "1", "27")},
		"\x00\xff <script>":                          {Terms: words("script")},
	} {
		if diff := cmp.Diff(want, gallery.ParseQuery(in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"", "a/b:c@d", "docker pull x/y", "verified:yes arch:", "::::", "c++ .net", strings.Repeat("x ", 400)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := gallery.ParseQuery(s)
		for _, w := range q.Terms {
			if w == "" || strings.ToLower(w) != w || strings.ContainsAny(w, " /:@") {
				t.Errorf("%q: the word %q", s, w)
			}
		}
		if q.Name != "" && !strings.Contains(q.Name, "/") {
			t.Errorf("%q names %q", s, q.Name)
		}
	})
}
