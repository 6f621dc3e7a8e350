package manifest_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
)

func TestTagOrder(t *testing.T) {
	t.Parallel()
	fallback := "sha256-" + strings.Repeat("ab", 32)
	want := []string{
		"latest", "stable", "lts", "main", "nightly",
		"20", "20.1.0", "3", "3.12", "3.12-slim", "2", "2.0.0", "v1.27.10", "1.27.9", "1.27.9-alpine", "1.27.9-alpine3.20", "1.27.9-alpine3.19", "1.27.9-bookworm",
		"1.27.9-rc.10", "1.27.9-rc2", "1.27.9-beta.1", "1.27.9b1", "1.27.9-alpha", "1.27.9-SNAPSHOT", "1.27.8", "1.2.3.4", "0", "0.9",
		"20240615", "20240614", "bookworm", "build-102", "build-99", "pr-7", "sha-1b2c3d4", "1b2c3d4", fallback, fallback + ".sig",
	}
	got := slices.Clone(want)
	rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
	at := func(s string) int { return slices.Index(want, s) }
	slices.SortFunc(got, func(a, b string) int {
		return cmp.Or(cmp.Compare(manifest.TagOrder(a), manifest.TagOrder(b)), cmp.Compare(at(a), at(b)))
	})
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseTagVersion(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]manifest.TagVersion{
		"1":                     {Numbers: []string{"1"}},
		"v1.27":                 {Numbers: []string{"1", "27"}},
		"1.02.3":                {Numbers: []string{"1", "2", "3"}},
		"1.2.3.4.5":             {Numbers: []string{"1", "2", "3", "4"}, Suffix: "5"},
		"7-alpine":              {Numbers: []string{"7"}, Suffix: "alpine"},
		"3.12.0rc1":             {Numbers: []string{"3", "12", "0"}, Suffix: "rc1", Prerelease: true},
		"1.0-beta":              {Numbers: []string{"1", "0"}, Suffix: "beta", Prerelease: true},
		"1.0-a":                 {Numbers: []string{"1", "0"}, Suffix: "a"},
		"2024.06.15":            {Numbers: []string{"2024", "6", "15"}},
		"latest":                {},
		"20240615":              {},
		"3fa4c2d":               {},
		"v":                     {},
		"version1":              {},
		"1.9999999999999999999": {},
	} {
		got, ok := manifest.ParseTagVersion(tag)
		if diff := gocmp.Diff(want, got); diff != "" || ok != (len(want.Numbers) > 0) {
			t.Errorf("%s: %v (-want +got):\n%s", tag, ok, diff)
		}
	}
}

func FuzzTagOrder(f *testing.F) {
	for _, s := range []string{"1.2.3", "v1-rc.1", "latest", "sha-abcdef0", "1.", "0000", "1.999999999999999999"} {
		f.Add(s, "2")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if manifest.CheckTag(a) != nil || manifest.CheckTag(b) != nil {
			return
		}
		if key := manifest.TagOrder(a); len(key) > 3*len(a)+8 || key != manifest.TagOrder(a) {
			t.Errorf("the key of %q is %q", a, key)
		}
		va, oka := manifest.ParseTagVersion(a)
		vb, okb := manifest.ParseTagVersion(b)
		if !oka || !okb || manifest.IsChannel(a) || manifest.IsChannel(b) || len(va.Numbers) != len(vb.Numbers) {
			return
		}
		higher := slices.CompareFunc(va.Numbers, vb.Numbers, func(x, y string) int {
			return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
		})
		if order := cmp.Compare(manifest.TagOrder(a), manifest.TagOrder(b)); higher != 0 && order != -higher {
			t.Errorf("%q and %q: %d, their numbers %d", a, b, order, higher)
		}
	})
}
