package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/memindex"
	"github.com/esplanade-registry/esplanade/manifest"
)

// filled is the demonstration, made once for all tests.
var filled = sync.OnceValues(func() (*demonstration, error) {
	return newDemonstration(context.Background(), time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC))
})

func fillOnce(t *testing.T) *demonstration {
	t.Helper()
	d, err := filled()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// get returns the body of a page that must be there.
func get(t *testing.T, h http.Handler, path string, header ...string) string {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:5003"+path, nil)
	req.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		t.Errorf("%s: %d\n%.300s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func TestPages(t *testing.T) {
	t.Parallel()
	d := fillOnce(t)
	anyone := d.registry.As(auth.Principal{})
	repositories, tagged := 0, 0
	for name, err := range anyone.Repositories(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		repositories++
		alias, _, _ := strings.Cut(name, "/")
		for _, page := range []string{"/" + alias, "/" + name, "/" + name + "/-/tags", "/" + name + "/-/pulls", "/" + name + "/-/history"} {
			get(t, d, page)
		}
		tags, more, err := anyone.TagsInOrder(t.Context(), name, "", 1000)
		if err != nil || more {
			t.Fatalf("%s: %v, %v", name, more, err)
		}
		tagged += len(tags)
		moved := map[string]bool{}
		for i, tag := range tags {
			if age := time.Since(tag.Moved); tag.Moved.IsZero() || tag.Image.Pushed.IsZero() || age < 0 {
				t.Errorf("%s:%s was moved at %v, pushed at %v", name, tag.Name, tag.Moved, tag.Image.Pushed)
			}
			if i%8 == 0 || i == len(tags)-1 {
				get(t, d, "/"+name+"/-/tag/"+tag.Name)
				moved[string(tag.Image.Digest)] = true
			}
		}
		for digest := range maps.Keys(moved) {
			get(t, d, "/"+name+"/-/digest/"+digest)
		}
	}
	if repositories != d.repositories || repositories < 36 || tagged < 900 {
		t.Errorf("%d repositories of %d, with %d tags", repositories, d.repositories, tagged)
	}
	home := get(t, d, "/")
	for _, want := range []string{"Invented publishers", "are made up"} {
		if !strings.Contains(home, want) {
			t.Errorf("the first page does not say %q", want)
		}
	}
}

func TestPast(t *testing.T) {
	t.Parallel()
	d := fillOnce(t)
	moves, _, err := d.registry.As(auth.Principal{}).History(t.Context(), "quillstone/postgres", "latest", 0, 100)
	if err != nil || len(moves) < 5 {
		t.Fatalf("%d moves, %v", len(moves), err)
	}
	for i, m := range moves[1:] {
		if !m.At.Before(moves[i].At) {
			t.Errorf("a move at %v is listed after one at %v", m.At, moves[i].At)
		}
	}
	tags, _, err := d.registry.As(auth.Principal{}).TagsInOrder(t.Context(), "brambleworks/builder", "", 1000)
	if err != nil || len(tags) != 400 {
		t.Errorf("brambleworks/builder has %d tags, want 400 (%v)", len(tags), err)
	}
}

// TestPull pulls an image as clients do, to the last byte.
func TestPull(t *testing.T) {
	t.Parallel()
	d := fillOnce(t)
	const name = "harbourlight/nginx"
	var index, image manifestOf
	read := func(path string, v any) {
		t.Helper()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:5003"+path, nil)
		req.Header.Set("Authorization", "Bearer "+bearer(t, d, name))
		w := httptest.NewRecorder()
		d.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		if v == nil {
			want := path[strings.LastIndexByte(path, '/')+1:]
			if got := manifest.SHA256.FromBytes(w.Body.Bytes()); string(got) != want {
				t.Errorf("%s has the digest %s", path, got)
			}
		} else if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
			t.Fatal(err)
		}
	}
	read("/v2/"+name+"/manifests/latest", &index)
	if len(index.Manifests) != 8 {
		t.Fatalf("%+v", index)
	}
	read("/v2/"+name+"/manifests/"+string(index.Manifests[0].Digest), &image)
	for _, layer := range image.Layers {
		read("/v2/"+name+"/blobs/"+string(layer.Digest), nil)
	}
}

type manifestOf struct{ Manifests, Layers []manifest.Descriptor }

func bearer(t *testing.T, d *demonstration, name string) string {
	t.Helper()
	var answer struct{ Token string }
	body := get(t, d, "/token?service=127.0.0.1:5003&scope=repository:"+name+":pull")
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Token == "" {
		t.Fatalf("%s: %v", body, err)
	}
	return answer.Token
}

func TestLimits(t *testing.T) {
	t.Parallel()
	if n := utf8.RuneCountInString(longDescription); n < 1000 || n > 1024 {
		t.Errorf("the long description has %d characters", n)
	}
	var unused []string
	err := fs.WalkDir(texts, "texts", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			unused = append(unused, path)
		}
		return err
	})
	for _, p := range allPublishers() {
		for _, r := range p.repositories {
			unused = slices.DeleteFunc(unused, func(s string) bool { return strings.TrimSuffix(s, "/"+path.Base(s)) == "texts/"+p.alias+"/"+r.name })
		}
	}
	if err != nil || len(unused) > 0 {
		t.Errorf("texts of no repository: %q (%v)", unused, err)
	}
}

func TestMadeUp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	m := newMadeUp(allPublishers(), now)
	total := func(name, tag string) (n int64) {
		days, err := m.Pulls(t.Context(), name, tag, 90)
		if err != nil || len(days) != 90 || !days[89].Day.Equal(now.Truncate(24*time.Hour)) {
			t.Fatalf("%s: %d days, %v", name, len(days), err)
		}
		for _, d := range days {
			n += d.Pulls
		}
		return n
	}
	all := total("harbourlight/nginx", "")
	if all < 1e6 || all != total("harbourlight/nginx", "") || total("harbourlight/nginx", "1.27.3") >= all {
		t.Errorf("nginx: %d", all)
	}
	if n := total("mika-attic/notes", "") + total("nobody/nothing", ""); n != 0 {
		t.Errorf("what nobody pulls: %d", n)
	}
}

func TestReleases(t *testing.T) {
	t.Parallel()
	r := repository{name: "x", versions: "1.9.1:30 1.10.0:20 1.9.2:10 2.0.0-rc.1:5", variants: []string{"alpine"}}
	var got []string
	for _, rel := range r.releases(time.Now()) {
		var tags []string
		for _, tag := range rel.tags {
			tags = append(tags, tag.name)
		}
		got = append(got, strings.Join(tags, " "))
	}
	want := []string{
		"1.9.1 latest 1 1.9", "1.9.1-alpine alpine 1-alpine 1.9-alpine", "1.10.0 latest 1 1.10", "1.10.0-alpine alpine 1-alpine 1.10-alpine",
		"1.9.2 1.9", "1.9.2-alpine 1.9-alpine", "2.0.0-rc.1", "2.0.0-rc.1-alpine",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

const seed = "acme|hat|3.5|1|10|0|A hat|clothes, head\n\nacme|tools/cap|0|0|400|1|An old cap|\nzed|hat|1|0|1|0|Another hat|clothes\n"

func TestLoad(t *testing.T) {
	t.Parallel()
	x := memindex.New(nil)
	if list, err := load(t.Context(), x, strings.NewReader(seed)); len(list) != 3 || err != nil {
		t.Fatalf("%v, %v", list, err)
	}
	r, err := x.Search(t.Context(), gallery.ParseQuery("clothes"), gallery.Page{})
	if err != nil || len(r.Hits) != 2 || r.Hits[0].Name != "acme/hat" || !r.Hits[0].Verified || r.Hits[0].Pulls != 3162 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, line := range []string{"acme|hat", "acme|hat|x|0|1|0|d|k", "acme|hat|1|0|-1|0|d|k", "|hat|1|0|1|0|d|k", "a|b|99|0|1|0|d|k", "a|b|NaN|0|1|0|d|k"} {
		if _, err := load(t.Context(), x, strings.NewReader("\n"+line)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestSeeded(t *testing.T) {
	t.Parallel()
	pages, n, err := newSeeded(t.Context(), strings.NewReader(seed))
	if err != nil || n != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	for _, as := range [][]string{
		{"/-/search?q=hat", "Accept", "application/json"}, {"/-/search?q=hat", "Accept", "*/*"}, {"/-/search?q=hat&format=json", "Accept", "text/html"},
	} {
		var answer struct {
			Results []struct{ Name string }
			Total   int
		}
		if err := json.Unmarshal([]byte(get(t, pages, as[0], as[1:]...)), &answer); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(answer); got != "{[{acme/hat} {zed/hat}] 2}" {
			t.Errorf("%q: %s", as, got)
		}
	}
	for _, path := range []string{"/", "/-/search?q=hat", "/acme", "/acme/hat", "/acme/tools/cap", "/acme/hat/-/tags", "/-/sitemap.xml"} {
		get(t, pages, path)
	}
	list, more, err := newListed([]gallery.Document{{Name: "a/b"}, {Name: "a/c"}, {Name: "b/a"}}).Repositories(t.Context(), "a", "", 1)
	if err != nil || !more || len(list) != 1 || list[0].Name != "a/b" {
		t.Errorf("%v, %v, %v", list, more, err)
	}
}
