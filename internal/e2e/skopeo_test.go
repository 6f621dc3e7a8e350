package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// skopeo copies between registries and folders.
type skopeo struct {
	unable
	shell
	host string
	person
}

func newSkopeo(_ *testing.T, host string) func(*testing.T, person) session {
	return func(t *testing.T, p person) session {
		s := newShell(t)
		s.env = append(s.env, "REGISTRY_AUTH_FILE="+s.path("auth.json"))
		return skopeo{shell: s, host: host, person: p}
	}
}

func (s skopeo) login(t *testing.T) error {
	_, err := s.feed(t, strings.NewReader(s.password), "skopeo", "login", "--tls-verify=false", "--username", s.user, "--password-stdin", s.host)
	return err
}

func (s skopeo) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	told := s.path("digest")
	_, err := s.run(t, "skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "--digestfile", told,
		"oci:"+string(f.layout)+":"+refName, "docker://"+ref)
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(told)
	return digest.Digest(strings.TrimSpace(string(raw))), err
}

func (s skopeo) pull(t *testing.T, ref string) (pulled, error) {
	dir := t.TempDir()
	_, err := s.run(t, "skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "docker://"+ref, "oci:"+dir+":"+refName)
	if err != nil {
		return pulled{}, err
	}
	return readLayout(dir)
}

func (s skopeo) tags(t *testing.T, repo string) ([]string, error) {
	out, err := s.run(t, "skopeo", "list-tags", "--tls-verify=false", "docker://"+repo)
	if err != nil {
		return nil, err
	}
	var list struct{ Tags []string }
	err = json.Unmarshal([]byte(out), &list)
	return list.Tags, err
}

func (s skopeo) deleteManifest(t *testing.T, ref string) error {
	_, err := s.run(t, "skopeo", "delete", "--tls-verify=false", "docker://"+ref)
	return err
}

func (s skopeo) attach(t *testing.T, repo string, subject ocispec.Descriptor) (digest.Digest, error) {
	return attachByPush(t, s, repo, subject)
}
