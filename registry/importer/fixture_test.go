package importer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"testing"
	"testing/fstest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// fixture is the content of a registry, to be written into sources of each kind.
type fixture struct {
	t     *testing.T
	blobs []blob
	items []item // children before indexes
}

type blob struct {
	repo string
	raw  []byte
}

type item struct {
	repo, mediaType string
	raw             []byte
	tags            []string
}

func (f *fixture) blob(repo, mediaType, text string) manifest.Descriptor {
	raw := []byte(text)
	if !slices.ContainsFunc(f.blobs, func(b blob) bool { return b.repo == repo && bytes.Equal(b.raw, raw) }) {
		f.blobs = append(f.blobs, blob{repo, raw})
	}
	return manifest.Descriptor{MediaType: mediaType, Digest: manifest.SHA256.FromBytes(raw), Size: int64(len(raw))}
}

func (f *fixture) manifest(repo, mediaType string, v any, tags []string) manifest.Descriptor {
	f.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	f.items = append(f.items, item{repo, mediaType, raw, tags})
	return manifest.Descriptor{MediaType: mediaType, Digest: manifest.SHA256.FromBytes(raw), Size: int64(len(raw))}
}

// image adds an OCI image, whose layers are texts.
func (f *fixture) image(repo string, layers []string, tags ...string) manifest.Descriptor {
	f.t.Helper()
	m := ocispec.Manifest{MediaType: manifest.MediaTypeImage, Config: f.blob(repo, manifest.MediaTypeConfig, `{"os":"linux","architecture":"amd64"}`)}
	m.SchemaVersion = 2
	for _, l := range layers {
		m.Layers = append(m.Layers, f.blob(repo, ocispec.MediaTypeImageLayerGzip, l))
	}
	return f.manifest(repo, m.MediaType, m, tags)
}

// artifact adds something about a subject.
func (f *fixture) artifact(repo, artifactType string, subject manifest.Descriptor, tags ...string) manifest.Descriptor {
	f.t.Helper()
	m := ocispec.Manifest{
		MediaType: manifest.MediaTypeImage, ArtifactType: artifactType, Subject: &subject,
		Config: f.blob(repo, ocispec.MediaTypeEmptyJSON, "{}"), Layers: []manifest.Descriptor{f.blob(repo, "text/plain", artifactType)},
	}
	m.SchemaVersion = 2
	return f.manifest(repo, m.MediaType, m, tags)
}

func (f *fixture) index(repo string, children []manifest.Descriptor, tags ...string) manifest.Descriptor {
	f.t.Helper()
	m := ocispec.Index{MediaType: manifest.MediaTypeIndex, Manifests: children}
	m.SchemaVersion = 2
	return f.manifest(repo, m.MediaType, m, tags)
}

const (
	hat  = "test/hat"
	tool = "test/team/nested/tool"
)

// everything has what a registry may have.
func everything(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t}
	const common = "a layer that several images have"
	f.image(hat, []string{common, "hat 1"}, "v1", "latest")
	f.image(hat, []string{common, "hat 2"}, "v2")

	// Docker's schema 2, with a spelling of its own
	docker := `{ "schemaVersion":2,  "mediaType":"` + manifest.MediaTypeDockerImage + `","config":` + text(f.blob(hat, manifest.MediaTypeDockerConfig, `{"os":"linux"}`)) +
		`,"layers":[` + text(f.blob(hat, "application/vnd.docker.image.rootfs.diff.tar.gzip", common)) + "] }\n"
	f.items = append(f.items, item{hat, manifest.MediaTypeDockerImage, []byte(docker), []string{"docker"}})

	// OCI lets the media type out
	plain := `{"schemaVersion":2,"config":` + text(f.blob(hat, manifest.MediaTypeConfig, `{}`)) + `,"layers":[]}`
	f.items = append(f.items, item{hat, manifest.MediaTypeImage, []byte(plain), []string{"plain"}})

	amd := f.image(tool, []string{common, "tool amd64"})
	arm := f.image(tool, []string{common, "tool arm64"})
	old := f.image(tool, []string{"tool s390x"})
	inner := f.index(tool, []manifest.Descriptor{amd, arm})
	outer := f.index(tool, []manifest.Descriptor{inner, old}, "multi")
	signature := f.artifact(tool, "application/vnd.example.signature", outer)
	f.artifact(tool, "application/vnd.example.signature.of.signature", signature)
	f.artifact(tool, "application/vnd.example.sbom", arm)
	f.artifact(tool, "application/vnd.example.tagged", amd, "attached")
	return f
}

func text(d manifest.Descriptor) string {
	raw, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// without returns the fixture without the manifests with a digest.
func (f *fixture) without(digests ...manifest.Digest) *fixture {
	out := *f
	out.items = slices.DeleteFunc(slices.Clone(f.items), func(i item) bool { return slices.Contains(digests, manifest.SHA256.FromBytes(i.raw)) })
	return &out
}

// esplanade pushes the content to another registry of this library.
func (f *fixture) esplanade(actor *registry.Actor) {
	f.t.Helper()
	for _, b := range f.blobs {
		if err := actor.PushBlob(f.t.Context(), b.repo, manifest.SHA256.FromBytes(b.raw), bytes.NewReader(b.raw)); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, i := range f.items {
		if _, err := actor.PushManifest(f.t.Context(), i.repo, i.mediaType, i.raw, i.tags...); err != nil {
			f.t.Fatal(err)
		}
	}
}

// folder writes the content as the registry of distribution does.
func (f *fixture) folder() fstest.MapFS {
	files := fstest.MapFS{root: &fstest.MapFile{Mode: fs.ModeDir | 0o755}}
	for _, b := range f.blobs {
		d := manifest.SHA256.FromBytes(b.raw)
		files[dataOf(d)] = &fstest.MapFile{Data: b.raw}
		files[linkOf(b.repo, "_layers", d)] = &fstest.MapFile{Data: []byte(d)}
	}
	for _, i := range f.items {
		d := manifest.SHA256.FromBytes(i.raw)
		files[dataOf(d)] = &fstest.MapFile{Data: i.raw}
		files[linkOf(i.repo, "_manifests/revisions", d)] = &fstest.MapFile{Data: []byte(d)}
		for _, tag := range i.tags {
			files[tagOf(i.repo, tag)] = &fstest.MapFile{Data: []byte(d)}
			files[path.Join(root, i.repo, "_manifests/tags", tag, "index/sha256", d.Encoded(), "link")] = &fstest.MapFile{Data: []byte(d)}
		}
	}
	return files
}

const root = "docker/registry/v2/repositories"

func dataOf(d manifest.Digest) string {
	return path.Join("docker/registry/v2/blobs/sha256", d.Encoded()[:2], d.Encoded(), "data")
}

func linkOf(repo, kind string, d manifest.Digest) string {
	return path.Join(root, repo, kind, "sha256", d.Encoded(), "link")
}

func tagOf(repo, tag string) string {
	return path.Join(root, repo, "_manifests/tags", tag, "current/link")
}

// state is all that is seen of a registry.
type state map[string]repository

type repository struct {
	Tags      map[string]manifest.Digest
	Manifests map[manifest.Digest]string // media type and bytes
	Referrers map[manifest.Digest][]manifest.Digest
	Blobs     map[manifest.Digest]string
}

// want is the state of a registry with the content of the fixture.
func (f *fixture) want() state {
	s := state{}
	at := func(name string) repository {
		if s[name].Tags == nil {
			s[name] = repository{
				map[string]manifest.Digest{}, map[manifest.Digest]string{}, map[manifest.Digest][]manifest.Digest{}, map[manifest.Digest]string{},
			}
		}
		return s[name]
	}
	for _, i := range f.items {
		repo := at(i.repo)
		d := manifest.SHA256.FromBytes(i.raw)
		repo.Manifests[d] = i.mediaType + " " + string(i.raw)
		for _, tag := range i.tags {
			repo.Tags[tag] = d
		}
		m, err := manifest.Decode(i.mediaType, i.raw, manifest.SHA256)
		if err != nil {
			f.t.Fatal(err)
		}
		for e := range m.Edges() {
			for _, b := range f.blobs {
				if e.NeedsBlob() && b.repo == i.repo && manifest.SHA256.FromBytes(b.raw) == e.Descriptor.Digest {
					repo.Blobs[e.Descriptor.Digest] = string(b.raw)
				}
			}
			if e.Kind == manifest.EdgeSubject {
				repo.Referrers[e.Descriptor.Digest] = append(repo.Referrers[e.Descriptor.Digest], d)
				slices.Sort(repo.Referrers[e.Descriptor.Digest])
			}
		}
	}
	return s
}

// look reads the state of a registry.
func look(t *testing.T, s *registrytest.Server) state {
	t.Helper()
	out, actor := state{}, s.Owner()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range actor.Repositories(t.Context(), "") {
		check(err)
		repo := repository{
			map[string]manifest.Digest{}, map[manifest.Digest]string{}, map[manifest.Digest][]manifest.Digest{}, map[manifest.Digest]string{},
		}
		for img, err := range actor.Images(t.Context(), name, "") {
			check(err)
			m, err := actor.Manifest(t.Context(), name, string(img.Digest))
			check(err)
			repo.Manifests[m.Digest] = m.MediaType + " " + string(m.Raw)
			for _, tag := range img.Tags {
				repo.Tags[tag] = m.Digest
			}
			for r, err := range actor.Referrers(t.Context(), name, m.Digest) {
				check(err)
				repo.Referrers[m.Digest] = append(repo.Referrers[m.Digest], r.Digest)
			}
			for e := range m.Edges() {
				if !e.NeedsBlob() {
					continue
				}
				in, err := actor.Blob(t.Context(), name, e.Descriptor.Digest)
				check(err)
				raw, err := io.ReadAll(in)
				check(errors.Join(err, in.Close()))
				repo.Blobs[e.Descriptor.Digest] = string(raw)
			}
		}
		out[name] = repo
	}
	return out
}
