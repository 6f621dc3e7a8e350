package e2e

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// crane is the tool of go-containerregistry.
type crane struct {
	unable
	shell
	host string
	person
}

func newCrane(_ *testing.T, host string) func(*testing.T, person) session {
	return func(t *testing.T, p person) session {
		s := newShell(t)
		s.env = append(s.env, "DOCKER_CONFIG="+s.dir)
		return crane{shell: s, host: host, person: p}
	}
}

func (s crane) login(t *testing.T) error {
	_, err := s.feed(t, strings.NewReader(s.password), "crane", "auth", "login", s.host, "--username", s.user, "--password-stdin")
	return err
}

func (s crane) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	out, err := s.run(t, "crane", "push", string(f.layout), ref)
	if err != nil {
		return "", err
	}
	_, told, _ := strings.Cut(strings.TrimSpace(out), "@")
	return digest.Digest(told), nil
}

func (s crane) pull(t *testing.T, ref string) (pulled, error) {
	dir := t.TempDir()
	if _, err := s.run(t, "crane", "pull", "--format=oci", ref, dir); err != nil {
		return pulled{}, err
	}
	return readLayout(dir)
}

func (s crane) tags(t *testing.T, repo string) ([]string, error) {
	out, err := s.run(t, "crane", "ls", repo)
	return strings.Fields(out), err
}

func (s crane) deleteTag(t *testing.T, ref string) error {
	_, err := s.run(t, "crane", "delete", ref)
	return err
}

func (s crane) deleteManifest(t *testing.T, ref string) error {
	_, err := s.run(t, "crane", "delete", ref)
	return err
}

func (s crane) attach(t *testing.T, repo string, subject ocispec.Descriptor) (digest.Digest, error) {
	return attachByPush(t, s, repo, subject)
}
