package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/registry"
)

// referrer is an entry of a list of referrers.
type referrer struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int               `json:"size"`
	Annotations  map[string]string `json:"annotations"`
}

// referrersPage reads one page, and where the next one is.
func (w *wire) referrersPage(path string) (list []referrer, next string) {
	w.t.Helper()
	r := w.send("GET", path, nil).want(200).has("Content-Type", ociIndex)
	var page struct {
		SchemaVersion int         `json:"schemaVersion"`
		MediaType     string      `json:"mediaType"`
		Manifests     *[]referrer `json:"manifests"`
	}
	r.json(&page)
	if page.SchemaVersion != 2 || page.MediaType != ociIndex || page.Manifests == nil {
		w.t.Errorf("%s: not an index: %.300s", r.what, r.body)
		return nil, ""
	}
	if len(r.body) > fourMiB {
		w.t.Errorf("%s: a page of %d bytes", r.what, len(r.body))
	}
	return *page.Manifests, nextOf(r)
}

func (w *wire) referrers(repo, subject, query string) (all []referrer) {
	w.t.Helper()
	for path := "/v2/" + repo + "/referrers/" + subject + query; path != ""; {
		var list []referrer
		list, path = w.referrersPage(path)
		all = append(all, list...)
		if len(list) == 0 && path != "" {
			w.t.Fatalf("an empty page of referrers leads to %s", path)
		}
	}
	return all
}

func digests(list []referrer) []string {
	all := []string{}
	for _, r := range list {
		all = append(all, r.Digest)
	}
	slices.Sort(all)
	return all
}

// nextOf returns where the Link header leads, or "".
func nextOf(r *reply) string {
	r.t.Helper()
	link := r.header.Get("Link")
	if link == "" {
		return ""
	}
	path, rest, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !ok || !strings.HasPrefix(link, "<") || rest != `; rel="next"` || !strings.HasPrefix(path, "/v2/") {
		r.t.Errorf("%s: Link %s", r.what, link)
		return ""
	}
	return path
}

type tagList struct {
	Name string    `json:"name"`
	Tags *[]string `json:"tags"`
}

func (w *wire) tagPage(path string) (tags []string, next string) {
	w.t.Helper()
	var list tagList
	r := w.send("GET", path, nil).want(200).json(&list)
	if list.Tags == nil {
		w.t.Errorf("%s: no list of tags: %s", r.what, r.body)
		return nil, ""
	}
	if ct := r.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		w.t.Errorf("%s: Content-Type %s", r.what, ct)
	}
	return *list.Tags, nextOf(r)
}

func TestB46TagsAreListedInOrderAndByPage(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		w.pushBlobs("test/hat")
		raw := kinds()[ociImage].bytes()
		want := []string{"0", "1.10", "1.9", "A", "B-1", "Z", "_", "a", "a-", "a.b", "a_b", "aa", "b", "latest", "v1", "v10", "v2"}
		if !sort.StringsAreSorted(want) {
			t.Fatal("not in the order of ASCII")
		}
		for _, i := range []int{5, 0, 16, 3, 9, 1, 12, 7, 2, 14, 4, 11, 6, 15, 8, 13, 10} {
			w.put("test/hat", want[i], ociImage, raw).want(201)
		}
		list := func(query string) ([]string, string) { return w.tagPage("/v2/test/hat/tags/list" + query) }
		check := func(query string, expected []string, more bool) {
			t.Helper()
			got, next := list(query)
			same(t, query, got, expected)
			if (next != "") != more {
				t.Errorf("%s: Link to %q, want one: %v", query, next, more)
			}
		}
		check("", want, false)
		check("?n=17", want, false)
		check("?n=100", want, false)
		check("?n=16", want[:16], true)
		check("?n=0", []string{}, false)
		check("?last=Z", want[6:], false)
		check("?last=Y", want[5:], false) // which is not there
		check("?last=zzz", []string{}, false)
		check("?last=v2", []string{}, false)
		check("?n=2&last=a", want[8:10], true)
		check("?n=1&last=v10", want[16:], false)
		check("?n=0&last=a", []string{}, false)
		for n := 1; n < 18; n++ {
			var all []string
			for path := fmt.Sprintf("/v2/test/hat/tags/list?n=%d", n); path != ""; {
				var page []string
				page, path = w.tagPage(path)
				if len(page) > n || len(page) == 0 {
					t.Fatalf("n=%d: a page of %d", n, len(page))
				}
				all = append(all, page...)
			}
			same(t, fmt.Sprint("pages of ", n), all, want)
		}
		// A page goes on where it ended though that tag is gone.
		_, next := list("?n=3")
		w.send("DELETE", "/v2/test/hat/manifests/"+want[2], nil).want(202)
		got, _ := w.tagPage(next)
		same(t, "after a deletion", got, want[3:6])

		var named tagList
		w.send("GET", "/v2/test/hat/tags/list", nil).want(200).json(&named)
		same(t, "name", named.Name, "test/hat")
		w.pushBlob("test/empty", []byte("x"))
		w.send("GET", "/v2/test/empty/tags/list", nil).want(200).json(&named)
		if named.Tags == nil || len(*named.Tags) > 0 {
			t.Error("an empty repository has no empty list")
		}
	})
}

func TestB14PagesAreWithinFourMiB(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(c *registry.Config) { c.Quotas.TagsPerImage = -1 })
	w.pushBlobs("test/hat")
	raw := kinds()[ociImage].bytes()
	var want []string
	for i := range 70 {
		q := ""
		for j := range 32 {
			tag := fmt.Sprintf("%0128d", 32*i+j)
			want, q = append(want, tag), appended(q, "tag="+tag)
		}
		w.put("test/hat", sha(raw)+q, ociImage, raw).want(201)
	}
	for _, query := range []string{"", "?n=100000", "?n=1099511627776", "?n=2000"} {
		var all []string
		for path := "/v2/test/hat/tags/list" + query; path != ""; {
			r := w.send("GET", path, nil).want(200)
			var page tagList
			r.json(&page)
			if len(r.body) > fourMiB {
				t.Errorf("%s: %d bytes", r.what, len(r.body))
			}
			all, path = append(all, *page.Tags...), nextOf(r)
		}
		same(t, "tags"+query, all, want)
	}
}

func TestB47OversizedPageIsClamped(t *testing.T) {
	t.Parallel()
	w := newWire(t, catalog)
	p := w.pushImage("test/hat", "v1", "hat")
	for _, n := range []string{"1099511627776", "9223372036854775807", "18446744073709551616", strings.Repeat("9", 400)} {
		got, next := w.tagPage("/v2/test/hat/tags/list?n=" + n)
		same(t, n, got, []string{"v1"})
		same(t, n, next, "")
		w.referrersPage("/v2/test/hat/referrers/" + p.digest + "?n=" + n)
		w.send("GET", "/v2/_catalog?n="+n, nil).is(200)
	}
	for _, n := range []string{"-1", "x", "1.5", "0x10", "-9223372036854775809", "1e9", "%00", "1 "} {
		for _, path := range []string{"/v2/test/hat/tags/list", "/v2/test/hat/referrers/" + p.digest, "/v2/_catalog"} {
			w.send("GET", path+"?n="+strings.ReplaceAll(n, " ", "%20"), nil).is(400, 200)
		}
	}
}

func TestB48ReferrersAreAlwaysAnIndex(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	for _, subject := range []string{p.digest, sha(p.layer), sha([]byte("none")), sha512of([]byte("none"))} {
		for _, client := range []*wire{w, w.anonymous(), w.served()} {
			list, next := client.referrersPage("/v2/test/hat/referrers/" + subject)
			if len(list) > 0 || next != "" {
				t.Errorf("referrers of %s: %v, %q", subject, list, next)
			}
			client.send("HEAD", "/v2/test/hat/referrers/"+subject, nil).is(200).has("Content-Type", ociIndex)
		}
	}
	for _, bad := range []string{"sha256:x", "v1", "sha256", "md5:" + strings.Repeat("0", 32), strings.ToUpper(p.digest), p.digest + "0", "sha256-" + p.digest[7:]} {
		w.send("GET", "/v2/test/hat/referrers/"+bad, nil).is(400)
	}
}

func TestB49ReferrersAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		w.pushBlobs("test/hat")
		subject := kinds()[ociImage].bytes()
		w.put("test/hat", "v1", ociImage, subject).want(201)
		byType := map[string][]string{}
		var all []string
		for i := range 25 {
			kind := fmt.Sprintf("application/vnd.example.%d+json", i%3)
			raw := artifact(kind).with(doc{"subject": descriptor(ociImage, subject), "annotations": doc{"i": fmt.Sprint(i)}}).bytes()
			w.put("test/hat", sha(raw), ociImage, raw).want(201)
			byType[kind], all = append(byType[kind], sha(raw)), append(all, sha(raw))
		}
		slices.Sort(all)
		kind := func(i int) string { return fmt.Sprintf("application/vnd.example.%d+json", i) }
		for _, n := range []string{"", "n=1", "n=7", "n=25", "n=26", "n=1000"} {
			same(t, "all "+n, digests(w.referrers("test/hat", sha(subject), "?"+n)), all)
			for i := range 3 {
				want := slices.Sorted(slices.Values(byType[kind(i)]))
				same(t, kind(i), digests(w.referrers("test/hat", sha(subject), "?artifactType="+strings.ReplaceAll(kind(i), "+", "%2B")+"&"+n)), want)
			}
			want := slices.Sorted(slices.Values(append(slices.Clone(byType[kind(0)]), byType[kind(2)]...)))
			got := w.referrers("test/hat", sha(subject), "?artifactType=application/vnd.example.0%2Bjson&artifactType=application/vnd.example.2%2Bjson&"+n)
			same(t, "two types", digests(got), want)
		}
		path := "/v2/test/hat/referrers/" + sha(subject)
		w.send("GET", path, nil).lacks("OCI-Filters-Applied")
		w.send("GET", path+"?artifactType=application/vnd.none", nil).want(200).has("OCI-Filters-Applied", "artifactType")
		same(t, "no such type", digests(w.referrers("test/hat", sha(subject), "?artifactType=application/vnd.none")), []string{})
		w.send("GET", path+"?n=3&artifactType=application/vnd.example.0%2Bjson", nil).want(200).has("OCI-Filters-Applied", "artifactType")
		// The body is one JSON object and nothing else.
		dec := json.NewDecoder(strings.NewReader(string(w.send("GET", path, nil).body)))
		var v map[string]any
		if err := dec.Decode(&v); err != nil || dec.More() || dec.InputOffset() != int64(len(w.send("GET", path, nil).body)) {
			t.Errorf("something follows the index: %v", err)
		}
	})
}

// containerd reads one page of 4 MiB and does not ask for the next.
func TestB49ReferrersFillPages(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	subject := []byte("subject")
	var want []string
	for i := range 5 { // more than a page
		raw := artifact("application/vnd.example").with(doc{
			"subject": descriptor(ociImage, subject), "annotations": doc{"pad": strings.Repeat("<", 900<<10), "i": fmt.Sprint(i)},
		})
		b := rawJSON(raw)
		w.put("test/hat", sha(b), ociImage, b).want(201)
		want = append(want, sha(b))
	}
	// 2 MiB that an encoder makes more than 4 MiB of.
	full := bytes.ReplaceAll(rawJSON(artifact("application/vnd.example").with(doc{
		"subject": descriptor(ociImage, subject), "annotations": doc{"pad": strings.Repeat("\u2028", 720_000)},
	})), []byte(`\u2028`), []byte("\u2028"))
	w.put("test/hat", sha(full), ociImage, full).want(201)
	want = append(want, sha(full))
	slices.Sort(want)
	same(t, "referrers", digests(w.referrers("test/hat", sha(subject), "")), want)

	const small = 1100 // 330 KiB
	subject = []byte("subject of many")
	for i := range small {
		raw := artifact("application/vnd.example").with(doc{"subject": descriptor(ociImage, subject), "annotations": doc{"i": fmt.Sprint(i)}}).bytes()
		w.put("test/hat", sha(raw), ociImage, raw).want(201)
	}
	list, next := w.referrersPage("/v2/test/hat/referrers/" + sha(subject))
	if len(list) < small {
		t.Errorf("the first page has %d of %d small referrers, next %q; 4 MiB hold all", len(list), small, next)
	}
	if got := len(w.referrers("test/hat", sha(subject), "")); got != small {
		t.Errorf("%d referrers by page, want %d", got, small)
	}
}

// rawJSON writes characters as they are, so that a document is as long as its text.
func rawJSON(d doc) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		panic(err)
	}
	return []byte(b.String())
}

func TestB50ReferrerIsDescribed(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	subject := kinds()[ociImage].bytes()
	s := doc{"subject": descriptor(ociImage, subject), "annotations": doc{"org.example": "<&>é", "empty": ""}}
	annotations := map[string]string{"org.example": "<&>é", "empty": ""}
	plain := kinds()[ociImage]
	config := descriptor("application/vnd.example.config", []byte("{}"))
	for name, c := range map[string]struct {
		doc  doc
		want string
	}{
		"own type":                 {artifact("application/vnd.example.sig"), "application/vnd.example.sig"},
		"own type beside a config": {plain.with(doc{"config": config, "artifactType": "application/vnd.example.x"}), "application/vnd.example.x"},
		"type of the config":       {plain.with(doc{"config": config}), "application/vnd.example.config"},
		"an image":                 {plain, ociConfig},
		"index with a type":        {index(subject).with(doc{"artifactType": "application/vnd.example.index"}), "application/vnd.example.index"},
		"index without":            {index(subject), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			w.pushBlobs("test/hat")
			d := c.doc.with(s)
			w.put("test/hat", "v1", ociImage, subject).want(201)
			w.putDoc("test/hat", "referrer", d).want(201)
			raw := d.bytes()
			want := referrer{MediaType: d["mediaType"].(string), ArtifactType: c.want, Digest: sha(raw), Size: len(raw), Annotations: annotations}
			same(t, name, w.referrers("test/hat", sha(subject), ""), []referrer{want})
			if r := w.send("GET", "/v2/test/hat/referrers/"+sha(subject), nil); c.want == "" && strings.Contains(string(r.body), "artifactType") {
				t.Errorf("an empty artifactType: %s", r.body)
			}
		})
	}
}

func TestB50ReferrersOfTheFallbackTagAppear(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	subject := kinds()[ociImage].bytes()
	w.put("test/hat", "v1", ociImage, subject).want(201)
	sig := artifact("application/vnd.example.sig").with(doc{"subject": descriptor(ociImage, subject)}).bytes()
	w.put("test/hat", sha(sig), ociImage, sig).want(201)
	fallback := doc{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []doc{descriptor(ociImage, sig).with(doc{"artifactType": "application/vnd.example.sig"})}}
	tag := strings.Replace(sha(subject), ":", "-", 1)
	w.putDoc("test/hat", tag, fallback).want(201)
	same(t, "referrers", digests(w.referrers("test/hat", sha(subject), "")), []string{sha(sig)})
	w.send("GET", "/v2/test/hat/manifests/"+tag, nil).want(200).content(fallback.bytes())
	w.send("DELETE", "/v2/test/hat/manifests/"+sha(sig), nil).want(202)
	same(t, "referrers after deletion", digests(w.referrers("test/hat", sha(subject), "")), []string{})
}
