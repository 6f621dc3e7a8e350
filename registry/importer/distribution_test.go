package importer_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"oras.land/oras-go/v2/registry/remote"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/importer"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// write puts files into a folder.
func write(t *testing.T, dir string, files fstest.MapFS) {
	t.Helper()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
}

// TestRoot reads a folder of the operating system that is held open.
func TestRoot(t *testing.T) {
	t.Parallel()
	f := everything(t)
	dir := t.TempDir()
	write(t, dir, f.folder())
	// what else may lie about
	for _, name := range []string{root + "/test/_uploads/1", root + "/empty", root + "/test/hat/_uploads/2", root + "/uploads-only/_uploads/3"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	to := registrytest.New(t)
	report := copied(t, to, importer.NewDistribution(folder.FS()), nil)
	equal(t, "target", look(t, to), f.want())
	equal(t, "repositories", report.Repositories, 2)
}

// TestUnreadable has a repository that may not be read, and one in which another begins.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t}
	f.image("test/hat", []string{"a layer"}, "v1")
	f.image("test/hat/small", []string{"a layer"}, "v1")
	files := f.folder()
	source := importer.NewDistribution(unreadable{files, root + "/test/hat/small"})
	to := registrytest.New(t)
	like(t, "problems", problems(t, to, source), "test/hat/small:: list of tags: open *: permission denied", "test/hat/small:: list of manifests: *permission")
	want := f.want()
	delete(want, "test/hat/small")
	equal(t, "target", look(t, to), want)
	like(t, "problems once it may be read", problems(t, to, importer.NewDistribution(files)))
	equal(t, "target once it may be read", look(t, to), f.want())
}

// unreadable is a file system of which a part may not be read.
type unreadable struct {
	fstest.MapFS
	part string
}

func (u unreadable) ReadDir(name string) ([]os.DirEntry, error) {
	if strings.HasPrefix(name, u.part) {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrPermission}
	}
	return u.MapFS.ReadDir(name)
}

// client has connections of its own: those of the default one are closed by each httptest server
// that ends.
var client = &http.Client{Transport: &http.Transport{}}

// TestRealDistribution fills a registry of distribution, and imports it twice: over HTTP, and
// then from its folder.
func TestRealDistribution(t *testing.T) {
	t.Parallel()
	program := find("registry")
	if program == "" {
		t.Skip("the program registry, distribution's, is not installed")
	}
	dir := t.TempDir()
	host := launch(t, program, dir)
	f := everything(t)
	push(t, "http://"+host, f)
	// A client that lists referrers under a tag, as this registry has no list of them.
	subject := f.image(hat, []string{"signed"}, "signed")
	push(t, "http://"+host, f)
	referrer := f.artifact(hat, "application/vnd.example.by.tag", subject)
	last := f.items[len(f.items)-1]
	repo, err := remote.NewRepository(host + "/" + hat)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP, repo.SkipReferrersGC, repo.Client = true, true, client
	for _, b := range f.blobs {
		if b.repo == hat {
			d := manifest.Descriptor{Digest: manifest.SHA256.FromBytes(b.raw), Size: int64(len(b.raw))}
			if err := repo.Blobs().Push(t.Context(), d, bytes.NewReader(b.raw)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := repo.Manifests().Push(t.Context(), referrer, bytes.NewReader(last.raw)); err != nil {
		t.Fatal(err)
	}
	list := strings.Replace(string(subject.Digest), ":", "-", 1)
	index, err := repo.Resolve(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	body, err := repo.Fetch(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	f.items = append(f.items, item{hat, index.MediaType, raw, []string{list}})

	// Over HTTP, what has neither a tag nor a parent nor a list of referrers is not found.
	var hidden []manifest.Digest
	for _, i := range f.items {
		m, err := manifest.Decode(i.mediaType, i.raw, manifest.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != nil && m.Subject.Digest != subject.Digest && len(i.tags) == 0 {
			hidden = append(hidden, m.Digest)
		}
	}
	if len(hidden) != 3 {
		t.Fatalf("%d hidden manifests", len(hidden))
	}
	source, err := importer.NewRemote(host, &importer.RemoteOptions{PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	to := registrytest.New(t)
	copied(t, to, source, nil)
	equal(t, "target over HTTP", look(t, to), f.without(hidden...).want())

	report := copied(t, to, importer.NewDistribution(os.DirFS(dir)), nil)
	equal(t, "target from the folder too", look(t, to), f.want())
	equal(t, "manifests from the folder", report.Manifests, importer.Count{Copied: 3, Present: len(f.items) - 3})
	equal(t, "tags from the folder", report.Tags.Copied, 0)

	to = registrytest.New(t)
	copied(t, to, importer.NewDistribution(os.DirFS(dir)), nil)
	equal(t, "target from the folder", look(t, to), f.want())

	// A manifest that was deleted is not there any more, though its bytes are.
	gone := f.want()[hat].Tags["v2"]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+host+"/v2/"+hat+"/manifests/"+string(gone), nil)
	if err != nil {
		t.Fatal(err)
	}
	do(t, req, http.StatusAccepted)
	to = registrytest.New(t)
	copied(t, to, importer.NewDistribution(os.DirFS(dir)), nil)
	equal(t, "target after a delete", look(t, to), f.without(gone).want())
}

// find returns where the program of that name is that is distribution's, or "".
func find(program string) string {
	gopath, err := exec.Command("go", "env", "GOPATH").Output()
	if err != nil {
		gopath = nil
	}
	for _, name := range []string{program, filepath.Join(strings.TrimSpace(string(gopath)), "bin", program)} {
		version, err := exec.Command(name, "--version").Output()
		if err == nil && strings.Contains(string(version), "distribution/distribution") {
			return name
		}
	}
	return ""
}

// launch starts a registry over a folder and returns its host and port.
func launch(t *testing.T, program, dir string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: %q}\n  delete: {enabled: true}\nhttp: {addr: '127.0.0.1:0'}\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	listening := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			t.Cleanup(func() {
				cmd.Process.Kill() //nolint:errcheck // the test is over
				cmd.Wait()         //nolint:errcheck // it was killed
			})
			go io.Copy(io.Discard, logs) //nolint:errcheck // nobody reads it
			return m[1]
		}
		seen.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("%s does not listen: %v\n%s", program, cmd.Wait(), seen.String())
	return ""
}

// push pushes the content as clients do that know nothing of referrers.
func push(t *testing.T, base string, f *fixture) {
	t.Helper()
	request := func(method, url string, body []byte, mediaType string) *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		return req
	}
	for _, b := range f.blobs {
		res := do(t, request(http.MethodPost, base+"/v2/"+b.repo+"/blobs/uploads/", nil, ""), http.StatusAccepted)
		at, err := url.Parse(res.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		q := at.Query()
		q.Set("digest", string(manifest.SHA256.FromBytes(b.raw)))
		at.RawQuery = q.Encode()
		do(t, request(http.MethodPut, at.String(), b.raw, "application/octet-stream"), http.StatusCreated)
	}
	for _, i := range f.items {
		for _, ref := range append([]string{string(manifest.SHA256.FromBytes(i.raw))}, i.tags...) {
			do(t, request(http.MethodPut, base+"/v2/"+i.repo+"/manifests/"+ref, i.raw, i.mediaType), http.StatusCreated)
		}
	}
}

func do(t *testing.T, req *http.Request, want int) *http.Response {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.Body.Close() != nil || res.StatusCode != want {
		t.Fatalf("%s %s: %s %s, %v; want %d", req.Method, req.URL, res.Status, body, err, want)
	}
	return res
}
