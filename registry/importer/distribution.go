package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// Distribution is a [Source] and a [Lister]: the folder in which the registry of the
// distribution project (CNCF's, before that Docker's) keeps its data with the storage driver
// "filesystem". It is only read. What that registry would not serve is not copied either: blobs
// and manifests need their link in the repository.
type Distribution struct{ folder fs.FS }

// NewDistribution returns a source. folder is what the registry's configuration has as
// rootdirectory, /var/lib/registry by default, as os.DirFS or the FS of an os.Root.
func NewDistribution(folder fs.FS) *Distribution { return &Distribution{folder} }

// distributionRoot is where everything lies (registry/storage/paths.go of distribution).
const distributionRoot = "docker/registry/v2"

// of returns the path of something in a repository.
func (*Distribution) of(repository string, elem ...string) string {
	return path.Join(append([]string{distributionRoot, "repositories", repository}, elem...)...)
}

// Repositories lists the repositories of the folder.
func (s *Distribution) Repositories(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { s.walk(ctx, "", yield) }
}

// walk lists a repository and those whose names begin with its name and a slash.
func (s *Distribution) walk(ctx context.Context, name string, yield func(string, error) bool) bool {
	list, err := fs.ReadDir(s.folder, s.of(name))
	if err == nil {
		err = ctx.Err()
	} else if name != "" {
		return yield(name, nil) // to be reported once its tags cannot be read either
	}
	if err != nil {
		return yield("", err)
	}
	for _, e := range list {
		if e.Name() == "_manifests" && !yield(name, nil) {
			return false
		}
	}
	for _, e := range list {
		// No name begins with _, so that folders of a repository's own can.
		if e.IsDir() && !strings.HasPrefix(e.Name(), "_") && !s.walk(ctx, path.Join(name, e.Name()), yield) {
			return false
		}
	}
	return true
}

// Tags lists the tags of a repository, also those that point to nothing.
func (s *Distribution) Tags(_ context.Context, repository string) iter.Seq2[string, error] {
	return s.names(repository, "_manifests/tags")
}

// names lists a folder of a repository that need not be there, as long as the repository is.
func (s *Distribution) names(repository, folder string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		list, err := fs.ReadDir(s.folder, s.of(repository, folder))
		if errors.Is(err, fs.ErrNotExist) {
			_, err = fs.ReadDir(s.folder, s.of(repository))
		}
		if err != nil {
			yield("", err)
			return
		}
		for _, e := range list {
			if e.IsDir() && !yield(e.Name(), nil) {
				return
			}
		}
	}
}

// Resolve returns the digest that a tag points to.
func (s *Distribution) Resolve(_ context.Context, repository, tag string) (manifest.Digest, error) {
	if err := manifest.CheckTag(tag); err != nil {
		return "", err
	}
	return s.link(s.of(repository, "_manifests/tags", tag, "current/link"))
}

// link reads a file that holds a digest.
func (s *Distribution) link(name string) (manifest.Digest, error) {
	raw, err := fs.ReadFile(s.folder, name)
	if err != nil {
		return "", err
	}
	d, err := manifest.ParseDigest(strings.TrimSpace(string(raw)))
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return d, err
}

// open opens a blob to which a repository has a link, which says what the content is.
func (s *Distribution) open(repository, links string, d manifest.Digest) (fs.File, error) {
	if _, err := manifest.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	target, err := s.link(s.of(repository, links, string(d.Algorithm()), d.Encoded(), "link"))
	if err != nil {
		return nil, err
	}
	return s.folder.Open(path.Join(distributionRoot, "blobs", string(target.Algorithm()), target.Encoded()[:2], target.Encoded(), "data"))
}

// revisions is where the links of a repository's manifests are.
const revisions = "_manifests/revisions"

// Manifests lists the manifests of a repository, whether a tag leads to them or not.
func (s *Distribution) Manifests(_ context.Context, repository string) iter.Seq2[manifest.Digest, error] {
	return func(yield func(manifest.Digest, error) bool) {
		for algorithm, err := range s.names(repository, revisions) {
			if err != nil {
				yield("", err)
				return
			}
			for hex, err := range s.names(repository, path.Join(revisions, algorithm)) {
				if err != nil {
					yield("", err)
					return
				}
				d := manifest.Digest(algorithm + ":" + hex)
				// What is deleted loses its link and keeps its folder.
				_, err := fs.Stat(s.folder, s.of(repository, revisions, algorithm, hex, "link"))
				if !errors.Is(err, fs.ErrNotExist) && !yield(d, nil) {
					return
				}
			}
		}
	}
}

// Manifest returns a manifest. Its media type is that which it says, or else what its fields
// are those of: OCI lets a manifest leave it out, and the folder does not keep it.
func (s *Distribution) Manifest(_ context.Context, repository string, d manifest.Digest) (mediaType string, raw []byte, err error) {
	f, err := s.open(repository, revisions, d)
	if err != nil {
		return "", nil, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	raw, err = io.ReadAll(io.LimitReader(f, manifest.MaxSize+1))
	if err != nil {
		return "", nil, err
	}
	var doc struct {
		MediaType string          `json:"mediaType"`
		Config    json.RawMessage `json:"config"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return "", raw, nil // which the importer says better
	}
	switch {
	case doc.MediaType != "":
		return doc.MediaType, raw, nil
	case doc.Manifests != nil:
		return manifest.MediaTypeIndex, raw, nil
	case doc.Config != nil:
		return manifest.MediaTypeImage, raw, nil
	}
	return "", raw, nil
}

// Blob opens a blob. ctx is not asked while it is read.
func (s *Distribution) Blob(_ context.Context, repository string, d manifest.Descriptor) (io.ReadCloser, error) {
	return s.open(repository, "_layers", d.Digest)
}
