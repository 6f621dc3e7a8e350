package manifest_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
)

// The grammar of the distribution specification, copied from it.
var (
	specName = regexp.MustCompile(`\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z`)
	specTag  = regexp.MustCompile(`\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z`)
)

// clientLimit is what distribution's reference library allows for host and name together,
// and the specification names as what many clients have.
const clientLimit = 255

var names = []string{
	"a", "0", "alpine", "library/alpine", "a/b/c/d/e/f/g/h", "a.b", "a_b", "a__b", "a-b", "a--b", "a---------b", "a.b_c__d-e---f",
	"1/2/3", "tags", "blobs/uploads", "manifests", "referrers", "tags/list", "v2", "v2/x/manifests/latest", "catalog", "com.example/x",
	strings.Repeat("a", clientLimit), strings.Repeat("a/", clientLimit/2) + "a", "a" + strings.Repeat("-", clientLimit-2) + "b",
}

var badNames = map[string]string{
	"nothing":                    "",
	"a slash":                    "/",
	"a leading slash":            "/a",
	"a trailing slash":           "a/",
	"two slashes":                "a//b",
	"upper case":                 "Alpine",
	"upper case inside":          "library/alPine",
	"a leading dot":              ".a",
	"a trailing dot":             "a.",
	"two dots":                   "a..b",
	"a parent":                   "../a",
	"a parent inside":            "a/../b",
	"this folder":                "a/./b",
	"a leading underscore":       "_catalog",
	"a trailing underscore":      "a_",
	"three underscores":          "a___b",
	"four underscores":           "a____b",
	"a leading dash":             "-a",
	"a trailing dash":            "a-",
	"mixed separators":           "a.-b",
	"mixed separators again":     "a-_b",
	"an underscore and a dot":    "a_.b",
	"dash, then component":       "a/-b",
	"separator before a slash":   "a-/b",
	"a colon":                    "a:b",
	"a host with a port":         "localhost:5000/a",
	"a digest":                   "a@" + digestEmpty,
	"a space":                    "a b",
	"a newline after":            "a\n",
	"a newline before":           "\na",
	"a NUL":                      "a\x00b",
	"a backslash":                `a\b`,
	"a per cent":                 "a%2fb",
	"a question mark":            "a?b",
	"a hash":                     "a#b",
	"a plus":                     "a+b",
	"a letter of another script": "аlpine",
	"an accent":                  "café",
	"a full-width letter":        "ａ",
	"a long s":                   "ſ",
	"not UTF-8":                  "a\xff",
	"256 characters":             strings.Repeat("a", clientLimit+1),
	"a megabyte":                 strings.Repeat("a/", 1<<19) + "a",
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, s := range names {
		if err := manifest.CheckName(s); err != nil {
			t.Errorf("CheckName(%q): %v", s, err)
		}
	}
	for name, s := range badNames {
		if err := manifest.CheckName(s); !errors.Is(err, manifest.ErrName) {
			t.Errorf("%s: CheckName(%q) = %v, want an error wrapping ErrName", name, s, err)
		}
	}
}

var tags = []string{
	"latest", "a", "Z", "0", "_", "__", "v1.2.3", "1.0", "A-B_C.D", "_.", "a-", "a.", "3", "sha256-" + hexes(64), "sha256-" + hexes(64) + ".sig",
	strings.Repeat("x", 128), "_" + strings.Repeat(".", 127),
}

var badTags = map[string]string{
	"nothing":          "",
	"a leading dot":    ".a",
	"a parent":         "..",
	"a leading dash":   "-a",
	"129 characters":   strings.Repeat("x", 129),
	"a slash":          "a/b",
	"a colon":          "a:b",
	"an at":            "a@b",
	"a plus":           "1.0+build",
	"a space":          "a b",
	"a newline after":  "a\n",
	"a NUL":            "a\x00",
	"a per cent":       "%41",
	"an accent":        "é",
	"a full-width one": "１",
	"not UTF-8":        "a\xff",
	"a tilde":          "a~",
	"a star":           "*",
}

func TestCheckTag(t *testing.T) {
	t.Parallel()
	for _, s := range tags {
		if err := manifest.CheckTag(s); err != nil {
			t.Errorf("CheckTag(%q): %v", s, err)
		}
	}
	for name, s := range badTags {
		if err := manifest.CheckTag(s); !errors.Is(err, manifest.ErrTag) {
			t.Errorf("%s: CheckTag(%q) = %v, want an error wrapping ErrTag", name, s, err)
		}
	}
}

func TestParseReference(t *testing.T) {
	t.Parallel()
	for _, s := range tags {
		got, err := manifest.ParseReference(s)
		if diff := cmp.Diff(manifest.Reference{Tag: s}, got); err != nil || diff != "" {
			t.Errorf("ParseReference(%q): %v %s", s, err, diff)
		}
		if got.String() != s {
			t.Errorf("String() = %q, want %q", got, s)
		}
	}
	for _, s := range []string{digestEmptyJSON, "sha512:" + hexes(128)} {
		got, err := manifest.ParseReference(s)
		if diff := cmp.Diff(manifest.Reference{Digest: manifest.Digest(s)}, got); err != nil || diff != "" {
			t.Errorf("ParseReference(%q): %v %s", s, err, diff)
		}
		if got.String() != s {
			t.Errorf("String() = %q, want %q", got, s)
		}
	}
	for _, tt := range []struct {
		s    string
		want error
	}{
		{"", manifest.ErrTag},
		{".", manifest.ErrTag},
		{"..", manifest.ErrTag},
		{"-x", manifest.ErrTag},
		{"a/b", manifest.ErrTag},
		{strings.Repeat("x", 129), manifest.ErrTag},
		{"latest@" + digestEmpty, manifest.ErrDigest}, // what a registry never sees: both
		{"sha256:", manifest.ErrDigest},
		{"sha256:" + hexes(63), manifest.ErrDigest},
		{"SHA256:" + hexes(64), manifest.ErrDigest},
		{"sha256:" + strings.ToUpper(hexes(64)), manifest.ErrDigest},
		{"md5:" + hexes(32), manifest.ErrDigest},
		{"sha384:" + hexes(96), manifest.ErrDigest},
		{":latest", manifest.ErrDigest},
		{"latest:", manifest.ErrDigest},
	} {
		got, err := manifest.ParseReference(tt.s)
		if !errors.Is(err, tt.want) || got != (manifest.Reference{}) {
			t.Errorf("ParseReference(%q) = %+v, %v; want nothing and an error wrapping %v", tt.s, got, err, tt.want)
		}
	}
	if s := (manifest.Reference{}).String(); s != "" {
		t.Errorf("the zero Reference is %q", s)
	}
}

// A client that falls back to the referrers tag schema asks for a tag named after the
// digest. GitLab answers the subject itself, so that the fallback finds the wrong thing
// (oras-go#1396).
func TestReferrersTagIsNoDigest(t *testing.T) {
	t.Parallel()
	tag := strings.Replace(digestEmptyJSON, ":", "-", 1)
	got, err := manifest.ParseReference(tag)
	if err != nil || got.Digest != "" || got.Tag != tag {
		t.Errorf("ParseReference(%q) = %+v, %v; want the tag", tag, got, err)
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range names {
		f.Add(s)
	}
	for _, s := range badNames {
		f.Add(s[:min(len(s), 400)])
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := manifest.CheckName(s)
		if want := specName.MatchString(s) && len(s) <= clientLimit; want != (err == nil) {
			t.Fatalf("CheckName(%q): %v; the specification says valid: %v", s, err, want)
		}
		if err != nil && !errors.Is(err, manifest.ErrName) {
			t.Fatalf("CheckName(%q): %v does not wrap ErrName", s, err)
		}
	})
}

func FuzzCheckTag(f *testing.F) {
	for _, s := range tags {
		f.Add(s)
	}
	for _, s := range badTags {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := manifest.CheckTag(s)
		if want := specTag.MatchString(s); want != (err == nil) {
			t.Fatalf("CheckTag(%q): %v; the specification says valid: %v", s, err, want)
		}
		if err != nil && !errors.Is(err, manifest.ErrTag) {
			t.Fatalf("CheckTag(%q): %v does not wrap ErrTag", s, err)
		}
	})
}

func FuzzParseReference(f *testing.F) {
	for _, s := range tags {
		f.Add(s)
	}
	for _, s := range badTags {
		f.Add(s)
	}
	for _, s := range []string{digestEmptyJSON, "sha512:" + hexes(128), "sha384:" + hexes(96), "latest@" + digestEmpty, ":", "a:b", "sha256:a:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := manifest.ParseReference(s)
		digest := specSHA256.MatchString(s) || specSHA512.MatchString(s)
		tag := specTag.MatchString(s)
		if (err == nil) != (digest || tag) {
			t.Fatalf("ParseReference(%q) = %+v, %v; the specification says tag: %v, digest: %v", s, got, err, tag, digest)
		}
		if err != nil {
			if got != (manifest.Reference{}) || !errors.Is(err, manifest.ErrTag) && !errors.Is(err, manifest.ErrDigest) {
				t.Fatalf("ParseReference(%q) = %+v, %v", s, got, err)
			}
			return
		}
		if (got.Tag != "") != tag || (got.Digest != "") != digest || got.String() != s {
			t.Fatalf("ParseReference(%q) = %+v; want tag: %v, digest: %v", s, got, tag, digest)
		}
	})
}
