package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// wire looks at a repository with plain requests, without credentials: what it sees does not
// depend on what any client makes of it.
type wire struct {
	t          *testing.T
	host, repo string
}

func (w wire) request(method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.host+"/v2/"+w.repo+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// status returns that of a HEAD of a manifest.
func (w wire) status(ref string) int {
	w.t.Helper()
	res, err := w.request(http.MethodHead, "/manifests/"+ref)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// exists reports whether the repository exists.
func (w wire) exists() bool {
	w.t.Helper()
	res, err := w.request(http.MethodGet, "/tags/list")
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode != http.StatusNotFound
}

// resolve returns what a tag or digest leads to.
func (w wire) resolve(ref string) ocispec.Descriptor {
	w.t.Helper()
	res, err := w.request(http.MethodHead, "/manifests/"+ref)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("HEAD of the manifest %s of %s: %s", ref, w.repo, res.Status)
	}
	return ocispec.Descriptor{
		MediaType: res.Header.Get("Content-Type"), Size: res.ContentLength, Digest: digest.Digest(res.Header.Get("Docker-Content-Digest")),
	}
}

// content reads all of an image.
func (w wire) content(ref string) content {
	w.t.Helper()
	c, err := readContent(w, w.resolve(ref))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// open implements source.
func (w wire) open(d ocispec.Descriptor) (io.ReadCloser, error) {
	kind := "/blobs/"
	if strings.Contains(d.MediaType, ".manifest.") || strings.Contains(d.MediaType, ".index.") {
		kind = "/manifests/"
	}
	res, err := w.request(http.MethodGet, kind+d.Digest.String())
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("GET %s%s of %s: %s", kind, d.Digest, w.repo, res.Status)
	}
	return res.Body, nil
}

// tags lists the tags.
func (w wire) tags() []string {
	w.t.Helper()
	var list struct {
		Tags []string `json:"tags"`
	}
	w.get("/tags/list", &list)
	return list.Tags
}

// referrers lists the manifests that refer to one.
func (w wire) referrers(subject digest.Digest) []ocispec.Descriptor {
	w.t.Helper()
	var list ocispec.Index
	w.get("/referrers/"+subject.String(), &list)
	return list.Manifests
}

func (w wire) get(path string, v any) {
	w.t.Helper()
	res, err := w.request(http.MethodGet, path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s of %s: %s", path, w.repo, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		w.t.Fatal(err)
	}
}
