package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// docker is the command line, which has the credentials, and the daemon, which pushes and
// pulls.
type docker struct {
	unable
	shell
	host string
	person
}

// newDocker starts a daemon that touches neither the network of the machine nor its images.
func newDocker(t *testing.T, host string) func(*testing.T, person) session {
	s := newShell(t)
	socket, config := s.path("docker.sock"), s.path("daemon.json")
	if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil { // instead of the machine's
		t.Fatal(err)
	}
	s.start(t, func(*daemon) error { return dial(socket) }, "dockerd",
		"--iptables=false", "--bridge=none", "--storage-driver=vfs", "--host", "unix://"+socket,
		"--data-root", s.path("data"), "--exec-root", s.path("exec"), "--pidfile", s.path("docker.pid"),
		"--config-file", config)
	return func(t *testing.T, p person) session {
		s := newShell(t)
		s.env = append(s.env, "DOCKER_CONFIG="+s.dir, "DOCKER_HOST=unix://"+socket,
			"DOCKER_BUILDKIT=0") // the builder that is in every daemon, and needs no plugin
		return docker{shell: s, host: host, person: p}
	}
}

// dial reports whether somebody listens on a socket.
func dial(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (s docker) login(t *testing.T) error {
	_, err := s.feed(t, strings.NewReader(s.password), "docker", "login", "--username", s.user, "--password-stdin", s.host)
	return err
}

// push pushes each platform, and a list of them if there are more than one.
func (s docker) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	if len(f.layers) == 1 {
		return s.pushImage(t, ref, f, here)
	}
	list := []string{"docker", "manifest", "create", "--insecure", ref}
	for i, p := range f.platforms() {
		image := fmt.Sprintf("%s-%d", ref, i)
		if _, err := s.pushImage(t, image, f, p); err != nil {
			return "", err
		}
		list = append(list, image)
	}
	if _, err := s.run(t, list...); err != nil {
		return "", err
	}
	out, err := s.run(t, "docker", "manifest", "push", "--insecure", ref)
	return digest.Digest(strings.TrimSpace(out)), err
}

// saysDigest is the last line of a push.
var saysDigest = regexp.MustCompile(`digest: (sha256:[0-9a-f]{64})`)

func (s docker) pushImage(t *testing.T, ref string, f *fixture, platform string) (digest.Digest, error) {
	if err := s.build(t, ref, f, platform); err != nil {
		return "", err
	}
	out, err := s.run(t, "docker", "push", ref)
	if err != nil {
		return "", err
	}
	m := saysDigest.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("no digest in %s", out)
	}
	return digest.Digest(m[1]), nil
}

func (s docker) build(t *testing.T, ref string, f *fixture, platform string) error {
	if f.large() {
		// Building would write the gigabyte three times more.
		in := feeding(f.layers[platform][0].write)
		defer in.Close()
		_, err := s.feed(t, in, "docker", "import", "-", ref)
		return err
	}
	dir := t.TempDir()
	if err := f.writeContext(dir, platform); err != nil {
		return err
	}
	_, err := s.run(t, "docker", "build", "--platform", platform, "--tag", ref, dir)
	return err
}

// pull first removes all images, the one that was pushed among them.
func (s docker) pull(t *testing.T, ref string) (pulled, error) {
	if _, err := s.run(t, "docker", "image", "prune", "--all", "--force"); err != nil {
		return pulled{}, err
	}
	if _, err := s.run(t, "docker", "pull", ref); err != nil {
		return pulled{}, err
	}
	out, err := s.run(t, "docker", "image", "inspect", "--format", "{{json .RepoDigests}}", ref)
	if err != nil {
		return pulled{}, err
	}
	got, err := repoDigests(out)
	if err != nil {
		return pulled{}, err
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if _, err := s.run(t, "docker", "image", "save", "--output", archive, ref); err != nil {
		return pulled{}, err
	}
	got.content, err = readArchive(archive)
	return got, err
}

// repoDigests reads the list of name@digest that docker knows an image by.
func repoDigests(raw string) (p pulled, err error) {
	var names []string
	err = json.Unmarshal([]byte(raw), &names)
	for _, name := range names {
		_, d, _ := strings.Cut(name, "@")
		p.digests = append(p.digests, digest.Digest(d))
	}
	return p, err
}
