package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// containers is what podman and buildah have in common, down to their commands.
type containers struct {
	unable
	shell
	program []string // with the flags that every command needs
	host    string
	person
}

// containersConfig keeps what the machine's own containers share, locks and networks, out
// of it.
const containersConfig = `[engine]
lock_type = "file"
[network]
network_config_dir = %q
`

func newContainers(t *testing.T, host string, p person, program ...string) containers {
	s := newShell(t)
	for variable, text := range map[string]string{
		"REGISTRY_AUTH_FILE": "{}", // buildah wants it to be there
		"CONTAINERS_CONF":    fmt.Sprintf(containersConfig, s.path("networks")),
	} {
		file := s.path(variable)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.env = append(s.env, variable+"="+file)
	}
	return containers{shell: s, program: append(program, "--storage-driver", "vfs"), host: host, person: p}
}

// within returns a command that keeps images in a folder.
func (s containers) within(dir string, command ...string) []string {
	args := append([]string{}, s.program...)
	return append(append(args, "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run")), command...)
}

func (s containers) login(t *testing.T) error {
	_, err := s.feed(t, strings.NewReader(s.password), s.within(s.dir, "login", "--tls-verify=false", "--username", s.user, "--password-stdin", s.host)...)
	return err
}

func (s containers) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	dir := newFolder(t)
	const name = "localhost/fixture"
	for _, p := range f.platforms() {
		from := t.TempDir()
		if err := f.writeContext(from, p); err != nil {
			return "", err
		}
		kind := "--tag"
		if len(f.layers) > 1 {
			kind = "--manifest"
		}
		if _, err := s.run(t, s.within(dir, "build", "--isolation", "chroot", "--platform", p, kind, name, from)...); err != nil {
			return "", err
		}
	}
	told := filepath.Join(dir, "digest")
	command := []string{"push"}
	if len(f.layers) > 1 {
		command = []string{"manifest", "push", "--all"}
	}
	command = append(command, "--tls-verify=false", "--digestfile", told, name, "docker://"+ref)
	if _, err := s.run(t, s.within(dir, command...)...); err != nil {
		return "", err
	}
	raw, err := os.ReadFile(told)
	return digest.Digest(strings.TrimSpace(string(raw))), err
}

func (s containers) pull(t *testing.T, ref string) (pulled, error) {
	dir := newFolder(t)
	if _, err := s.run(t, s.within(dir, "pull", "--tls-verify=false", ref)...); err != nil {
		return pulled{}, err
	}
	out, err := s.run(t, s.within(dir, "images", "--digests", "--format", "{{.Digest}}", ref)...)
	if err != nil {
		return pulled{}, err
	}
	got := pulled{digests: []digest.Digest{digest.Digest(strings.TrimSpace(out))}}
	archive := filepath.Join(dir, "image.tar")
	if _, err := s.run(t, s.within(dir, "push", ref, "docker-archive:"+archive)...); err != nil {
		return pulled{}, err
	}
	got.content, err = readArchive(archive)
	return got, err
}
