package e2e

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// helm pushes charts and pulls them. A fixture becomes a chart that has its files.
type helm struct {
	unable
	shell
	host string
	person
}

func newHelm(_ *testing.T, host string) func(*testing.T, person) session {
	return func(t *testing.T, p person) session {
		s := newShell(t)
		// helm also looks for docker's credentials.
		s.env = append(s.env, "DOCKER_CONFIG="+s.path("docker"), "HELM_REGISTRY_CONFIG="+s.path("registry.json"),
			"HELM_CACHE_HOME="+s.path("cache"), "HELM_CONFIG_HOME="+s.path("config"), "HELM_DATA_HOME="+s.path("data"))
		return helm{shell: s, host: host, person: p}
	}
}

func (s helm) login(t *testing.T) error {
	_, err := s.feed(t, strings.NewReader(s.password), "helm", "registry", "login", "--plain-http", "--username", s.user, "--password-stdin", s.host)
	return err
}

// saysPulled is what helm prints after a pull, and after a push, to one output or the other.
var saysPulled = regexp.MustCompile(`Digest: (sha256:[0-9a-f]{64})`)

// push takes the name and the version of the chart from the ref: helm makes that of them.
func (s helm) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	i := strings.LastIndex(ref, ":")
	repo, name := path.Split(ref[:i])
	chart := filepath.Join(t.TempDir(), "chart.tgz")
	if err := writeChart(chart, name, ref[i+1:], f); err != nil {
		return "", err
	}
	out, said, err := s.outputs(t, nil, "helm", "push", "--plain-http", chart, "oci://"+strings.TrimSuffix(repo, "/"))
	if err != nil {
		return "", err
	}
	return findDigest(out + said)
}

func findDigest(out string) (digest.Digest, error) {
	m := saysPulled.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("no digest in %s", out)
	}
	return digest.Digest(m[1]), nil
}

// chartFile is the description of a chart.
func chartFile(name, version string) string {
	return fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", name, version)
}

func writeChart(file, name, version string, f *fixture) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	zip := gzip.NewWriter(out)
	archive := tar.NewWriter(zip)
	text := chartFile(name, version)
	if err := archive.WriteHeader(&tar.Header{Name: name + "/Chart.yaml", Size: int64(len(text)), Mode: 0o644}); err != nil {
		return err
	}
	if _, err := io.WriteString(archive, text); err != nil {
		return err
	}
	for _, l := range f.layers[here] {
		for _, file := range l {
			if err := archive.WriteHeader(&tar.Header{Name: name + "/files/" + file.name, Size: file.size, Mode: 0o644}); err != nil {
				return err
			}
			if _, err := io.Copy(archive, file.open()); err != nil {
				return err
			}
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zip.Close()
}

// expect has the files of the chart. Its configuration names no platform.
func (s helm) expect(f *fixture) content {
	const name = "helm"
	c := files{name + "/Chart.yaml": digest.FromString(chartFile(name, "1.0.0"))}
	for file, sum := range f.content[here] {
		c[name+"/files/"+file] = sum
	}
	return content{"/": c}
}

// pull asks for the newest version of a range instead of the tag itself, for which helm
// lists the tags.
func (s helm) pull(t *testing.T, ref string) (pulled, error) {
	dir := t.TempDir()
	command := []string{"helm", "pull", "--plain-http", "--destination", dir}
	if repo, version, ok := strings.Cut(strings.TrimPrefix(ref, s.host), ":"); ok && !strings.Contains(ref, "@") {
		command = append(command, "oci://"+s.host+repo, "--version", "^"+version)
	} else {
		command = append(command, "oci://"+ref)
	}
	out, said, err := s.outputs(t, nil, command...)
	if err != nil {
		return pulled{}, err
	}
	d, err := findDigest(out + said)
	if err != nil {
		return pulled{}, err
	}
	list, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(list) != 1 {
		return pulled{}, fmt.Errorf("pulled the files %s, want one (%v)", list, err)
	}
	chart, err := os.Open(list[0])
	if err != nil {
		return pulled{}, err
	}
	defer chart.Close()
	c := files{}
	return pulled{[]digest.Digest{d}, content{"/": c}}, c.addLayer(chart)
}
