package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// regctl is the tool of regclient.
type regctl struct {
	unable
	shell
	host string
	person
}

func newRegctl(_ *testing.T, host string) func(*testing.T, person) session {
	return func(t *testing.T, p person) session {
		s := newShell(t)
		s.env = append(s.env, "DOCKER_CONFIG="+s.dir, "REGCTL_CONFIG="+s.path("regctl.json"))
		if _, err := s.run(t, "regctl", "registry", "set", "--tls", "disabled", "--skip-check", host); err != nil {
			t.Fatal(err)
		}
		return regctl{shell: s, host: host, person: p}
	}
}

func (s regctl) login(t *testing.T) error {
	_, err := s.feed(t, strings.NewReader(s.password), "regctl", "registry", "login", s.host, "--user", s.user, "--pass-stdin")
	return err
}

func (s regctl) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	if _, err := s.run(t, "regctl", "image", "copy", "ocidir://"+string(f.layout)+":"+refName, ref); err != nil {
		return "", err
	}
	out, err := s.run(t, "regctl", "image", "digest", ref)
	return digest.Digest(strings.TrimSpace(out)), err
}

func (s regctl) pull(t *testing.T, ref string) (pulled, error) {
	dir := t.TempDir()
	if _, err := s.run(t, "regctl", "image", "copy", ref, "ocidir://"+dir+":"+refName); err != nil {
		return pulled{}, err
	}
	return readLayout(dir)
}

func (s regctl) tags(t *testing.T, repo string) ([]string, error) {
	out, err := s.run(t, "regctl", "tag", "ls", repo)
	return strings.Fields(out), err
}

func (s regctl) deleteTag(t *testing.T, ref string) error {
	_, err := s.run(t, "regctl", "tag", "delete", ref)
	return err
}

func (s regctl) deleteManifest(t *testing.T, ref string) error {
	_, err := s.run(t, "regctl", "manifest", "delete", ref)
	return err
}

func (s regctl) attach(t *testing.T, repo string, subject ocispec.Descriptor) (digest.Digest, error) {
	out, err := s.feed(t, strings.NewReader("signed"), "regctl", "artifact", "put", "--artifact-type", referrerType,
		"--subject", repo+"@"+subject.Digest.String(), "--format", "{{.Manifest.GetDescriptor.Digest}}")
	return digest.Digest(strings.TrimSpace(out)), err
}

func (s regctl) referrers(t *testing.T, ref string) ([]digest.Digest, error) {
	out, err := s.run(t, "regctl", "artifact", "list", ref, "--filter-artifact-type", referrerType, "--format", "body")
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	err = json.Unmarshal([]byte(out), &index)
	var list []digest.Digest
	for _, d := range index.Manifests {
		list = append(list, d.Digest)
	}
	return list, err
}
