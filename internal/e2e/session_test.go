package e2e

import (
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// person is who uses a client. The zero person has no credentials.
type person struct{ user, password string }

// session is a client in the hands of one person. Errors are what the client says.
//
// A ref is host/alias/name with a tag or digest.
type session interface {
	// login gives the registry the person's credentials, and the client keeps them. Where a
	// client takes credentials with each command there is nothing to do.
	login(t *testing.T) error
	// push pushes the fixture to a tag and returns the digest of what was pushed.
	push(t *testing.T, ref string, f *fixture) (digest.Digest, error)
	// pull pulls into a place where nothing of the image is yet.
	pull(t *testing.T, ref string) (pulled, error)
	// expect returns what the fixture's content is when pushed by this client.
	expect(f *fixture) content

	tags(t *testing.T, repo string) ([]string, error)
	deleteTag(t *testing.T, ref string) error
	deleteManifest(t *testing.T, ref string) error
	attach(t *testing.T, repo string, subject ocispec.Descriptor) (digest.Digest, error)
	referrers(t *testing.T, ref string) ([]digest.Digest, error)
}

// pulled is what a client has after a pull.
type pulled struct {
	digests []digest.Digest // that the client knows the image by
	content content         // of every platform, or of the machine's own
}

// unable is embedded by sessions. Its methods are those of clients that cannot.
type unable struct{}

func (unable) expect(f *fixture) content { return f.content }

func (unable) tags(*testing.T, string) ([]string, error) { return nil, errors.ErrUnsupported }

func (unable) deleteTag(*testing.T, string) error { return errors.ErrUnsupported }

func (unable) deleteManifest(*testing.T, string) error { return errors.ErrUnsupported }

func (unable) attach(*testing.T, string, ocispec.Descriptor) (digest.Digest, error) {
	return "", errors.ErrUnsupported
}

func (unable) referrers(*testing.T, string) ([]digest.Digest, error) {
	return nil, errors.ErrUnsupported
}

// attachByPush attaches an image whose manifest has a subject, for clients that push
// manifests as they are.
func attachByPush(t *testing.T, s session, repo string, subject ocispec.Descriptor) (digest.Digest, error) {
	f := newFixture(t, "a referrer of "+subject.Digest.String(), here)
	f.subject = &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	f.makeLayout(t)
	return s.push(t, repo+":referrer", f)
}

// readLayout is what a client that pulled into an OCI layout has.
func readLayout(dir string) (pulled, error) {
	d, err := layout(dir).entry()
	if err != nil {
		return pulled{}, err
	}
	c, err := readContent(layout(dir), d)
	return pulled{[]digest.Digest{d.Digest}, c}, err
}
