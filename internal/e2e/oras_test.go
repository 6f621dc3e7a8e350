package e2e

import (
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// orasGo is the oras-go library, within this process.
type orasGo struct {
	unable
	host string
	person
	client *auth.Client
	store  credentials.Store
}

func newOras(_ *testing.T, host string) func(*testing.T, person) session {
	return func(_ *testing.T, p person) session {
		store := credentials.NewMemoryStore()
		client := &auth.Client{Cache: auth.NewCache(), Credential: credentials.Credential(store)}
		return orasGo{host: host, person: p, client: client, store: store}
	}
}

func (s orasGo) login(t *testing.T) error {
	reg, err := remote.NewRegistry(s.host)
	if err != nil {
		return err
	}
	reg.PlainHTTP = true
	return credentials.Login(t.Context(), s.store, reg, auth.Credential{Username: s.user, Password: s.password})
}

// repository returns that of a ref, which may have a tag or digest.
func (s orasGo) repository(ref string) (*remote.Repository, error) {
	repo, err := remote.NewRepository(ref)
	if err != nil {
		return nil, err
	}
	repo.PlainHTTP, repo.Client = true, s.client
	return repo, nil
}

func (s orasGo) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	src, err := oci.New(string(f.layout))
	if err != nil {
		return "", err
	}
	repo, err := s.repository(ref)
	if err != nil {
		return "", err
	}
	d, err := oras.Copy(t.Context(), src, refName, repo, repo.Reference.Reference, oras.CopyOptions{})
	return d.Digest, err
}

func (s orasGo) pull(t *testing.T, ref string) (pulled, error) {
	dir := t.TempDir()
	dst, err := oci.New(dir)
	if err != nil {
		return pulled{}, err
	}
	repo, err := s.repository(ref)
	if err != nil {
		return pulled{}, err
	}
	if _, err := oras.Copy(t.Context(), repo, repo.Reference.Reference, dst, refName, oras.CopyOptions{}); err != nil {
		return pulled{}, err
	}
	return readLayout(dir)
}

func (s orasGo) tags(t *testing.T, ref string) (list []string, err error) {
	repo, err := s.repository(ref)
	if err != nil {
		return nil, err
	}
	return list, repo.Tags(t.Context(), "", func(page []string) error {
		list = append(list, page...)
		return nil
	})
}

func (s orasGo) deleteManifest(t *testing.T, ref string) error {
	repo, err := s.repository(ref)
	if err != nil {
		return err
	}
	d, err := repo.Resolve(t.Context(), repo.Reference.Reference)
	if err != nil {
		return err
	}
	return repo.Delete(t.Context(), d)
}

func (s orasGo) attach(t *testing.T, ref string, subject ocispec.Descriptor) (digest.Digest, error) {
	repo, err := s.repository(ref)
	if err != nil {
		return "", err
	}
	d, err := oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_1, referrerType, oras.PackManifestOptions{Subject: &subject})
	return d.Digest, err
}

func (s orasGo) referrers(t *testing.T, ref string) (list []digest.Digest, err error) {
	repo, err := s.repository(ref)
	if err != nil {
		return nil, err
	}
	subject, err := repo.Resolve(t.Context(), repo.Reference.Reference)
	if err != nil {
		return nil, err
	}
	err = repo.Referrers(t.Context(), subject, referrerType, func(page []ocispec.Descriptor) error {
		for _, d := range page {
			list = append(list, d.Digest)
		}
		return nil
	})
	slices.Sort(list)
	return list, err
}
