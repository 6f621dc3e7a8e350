package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/importer"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

const alias, other = "k3v9f2x1", "acme"

// server makes the folder of a server that was started once.
func server(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := `{"accountId":"123456789012","alias":"` + alias + `","accessKeyId":"AKIA","secretAccessKey":"0123456789abcdef",
		"accounts":[{"accountId":"210987654321","alias":"` + other + `","accessKeyId":"AKIB","secretAccessKey":"0123456789abcdef"}]}`
	if err := os.WriteFile(filepath.Join(dir, "credentials.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// imports runs the program and returns its report.
func imports(t *testing.T, args ...string) (report importer.Report, progress string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err = run(t.Context(), args, &stdout, &stderr)
	if e := json.Unmarshal(stdout.Bytes(), &report); e != nil {
		t.Fatalf("%v: %s; %v", e, stdout.String(), err)
	}
	return report, stderr.String(), err
}

// tags reads the tags of a target, by the names of repositories.
func tags(t *testing.T, args ...string) map[string]manifest.Digest {
	t.Helper()
	o, err := parse(append(args, "-from", "-"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	to, err := open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]manifest.Digest{}
	for name, err := range to.actor.Repositories(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := to.actor.TagsInOrder(t.Context(), name, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range list {
			found[name+":"+tag.Name] = tag.Image.Digest
		}
	}
	if err := to.close(); err != nil {
		t.Fatal(err)
	}
	return found
}

// remote is a registry with two repositories, and its URL.
func remote(t *testing.T, catalog bool) (s *registrytest.Server, url string) {
	t.Helper()
	s = registrytest.New(t, func(c *registry.Config) { c.Catalog = catalog })
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, web.URL
}

func TestRemote(t *testing.T) {
	t.Parallel()
	from, url := remote(t, true)
	a := from.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("a layer")}}, "v1")
	b := from.Push("test/team/shoe", registrytest.Image{Layers: [][]byte{[]byte("a layer")}}, "v1", "latest")
	dir := server(t)
	report, progress, err := imports(t, "-from", url, "-data", dir)
	if err != nil || report.Tags.Copied != 3 || report.Blobs.Copied != 2 || report.Blobs.Mounted != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	for _, line := range []string{
		"test/hat -> " + alias + "/test/hat\n", alias + "/test/hat: tag v1 copied\n", " copied, 7 bytes\n", "/test/team/shoe: manifest " + string(b.Digest) + " copied\n",
	} {
		if !strings.Contains(progress, line) {
			t.Errorf("no line %q in\n%s", line, progress)
		}
	}
	want := map[string]manifest.Digest{alias + "/test/hat:v1": a.Digest, alias + "/test/team/shoe:v1": b.Digest, alias + "/test/team/shoe:latest": b.Digest}
	if diff := cmp.Diff(want, tags(t, "-data", dir)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	report, progress, err = imports(t, "-from", url+"/", "-data", dir)
	if err != nil || report.Tags.Present != 3 || report.Bytes > 0 || strings.Count(progress, "\n") != 2 {
		t.Errorf("the second time: %+v, %v\n%s", report, err, progress)
	}
}

func TestChosen(t *testing.T) {
	t.Parallel()
	from, url := remote(t, false)
	from.Push("test/hat", registrytest.Image{}, "v1")
	b := from.Push("test/shoe", registrytest.Image{}, "v1")
	dir := server(t)
	if _, _, err := imports(t, "-from", url, "-data", dir, "-alias", other); err == nil || !strings.Contains(err.Error(), "they are to be named") {
		t.Errorf("without a catalog: %v", err)
	}
	report, _, err := imports(t, "-from", url, "-data", dir, "-alias", other, "-repositories", "test/shoe,test/none")
	if err == nil || !strings.HasPrefix(err.Error(), "1 problems") || len(report.Problems) != 1 || report.Problems[0].Repository != "test/none" {
		t.Errorf("%+v, %v", report, err)
	}
	if diff := cmp.Diff(map[string]manifest.Digest{other + "/test/shoe:v1": b.Digest}, tags(t, "-data", dir)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// TestFolder has a tag that leads nowhere in one of two repositories.
func TestFolder(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	put := func(name string, content []byte) {
		name = filepath.Join(from, "docker/registry/v2", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	index := []byte(`{"schemaVersion":2,"mediaType":"` + manifest.MediaTypeIndex + `","manifests":[]}`)
	d := manifest.SHA256.FromBytes(index)
	put(path.Join("blobs/sha256", d.Encoded()[:2], d.Encoded(), "data"), index)
	for _, repo := range []string{"repositories/hat", "repositories/team/shoe"} {
		put(path.Join(repo, "_manifests/revisions/sha256", d.Encoded(), "link"), []byte(d))
		put(path.Join(repo, "_manifests/tags/v1/current/link"), []byte(d))
	}
	put("repositories/hat/_manifests/tags/v2/current/link", []byte(manifest.SHA256.FromString("gone")))
	dir := server(t)
	report, _, err := imports(t, "-from-folder", from, "-data", dir)
	if err == nil || report.Tags.Copied != 2 || len(report.Problems) != 1 || report.Problems[0].Reference != "v2" {
		t.Errorf("%+v, %v", report, err)
	}
	report, _, err = imports(t, "-from-folder", from, "-data", dir, "-repositories", "team/shoe", "-alias", other)
	if err != nil || report.Repositories != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if diff := cmp.Diff(map[string]manifest.Digest{alias + "/hat:v1": d, alias + "/team/shoe:v1": d, other + "/team/shoe:v1": d}, tags(t, "-data", dir)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	report, _, err = imports(t, "-from-folder", from, "-data", dir, "-repositories", "none")
	if err == nil || len(report.Problems) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	from, url := remote(t, true)
	from.Push("test/hat", registrytest.Image{}, "v1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout bytes.Buffer
	err := run(ctx, []string{"-from", url, "-data", server(t)}, &stdout, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	dir, empty := server(t), t.TempDir()
	busy := server(t)
	lock := flock.New(filepath.Join(busy, "lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer lock.Close() //nolint:errcheck // the test is over
	for args, want := range map[string]string{
		"":                                               "one of -from and -from-folder",
		"-from http://a":                                 "one of -data and -database",
		"-from http://a -from-folder b":                  "one of -from and -from-folder",
		"-from http://a -data b -database c":             "one of -data and -database",
		"-from http://a -data b -bucket c":               "go together",
		"-from http://a -database b":                     "go together",
		"-from http://a -database b -bucket c":           "needs -alias",
		"-from http://a -data b c":                       `unexpected argument "c"`,
		"-from a -data " + dir:                           "not of the form",
		"-from https://a/b -data " + dir:                 "not of the form",
		"-from http://a -data " + dir + " -alias nobody": "no such alias",
		"-from http://a -data " + empty:                  "start the server once",
		"-from http://a -data " + busy:                   "stop it first",
		"-from-folder " + empty + " -data " + dir:        "no such file",
		"-from-folder " + dir + "/none -data " + dir:     "no such file",
		"-x": "not defined",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
}
