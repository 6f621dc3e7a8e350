package e2e

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// here is the platform that clients take from an index; elsewhere is another one.
var here, elsewhere = func() (string, string) {
	if runtime.GOARCH == "arm64" {
		return "linux/arm64", "linux/amd64"
	}
	return "linux/" + runtime.GOARCH, "linux/arm64"
}()

// gigabyte is the size of the file in a large layer.
const gigabyte = 1 << 30

// referrerType is the artifact type of referrers.
const referrerType = "application/vnd.example.signature"

// refName is the name of the only image in a fixture's layout.
const refName = "image"

// file is a file of random bytes, which no client can compress, made again wherever they
// are needed.
type file struct {
	name string
	size int64
	seed [32]byte
}

func newFile(fixture, platform, name string, size int64) file {
	return file{name, size, sha256.Sum256([]byte(fixture + " " + platform + " " + name))}
}

func (f file) open() io.Reader { return io.LimitReader(rand.NewChaCha8(f.seed), f.size) }

// write writes the file into a folder.
func (f file) write(dir string) error {
	name := filepath.Join(dir, filepath.FromSlash(f.name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, f.open())
	return err
}

// layer is the files of a layer.
type layer []file

// write writes the layer as a tar.
func (l layer) write(w io.Writer) error {
	out := tar.NewWriter(w)
	for _, f := range l {
		if err := out.WriteHeader(&tar.Header{Name: f.name, Size: f.size, Mode: 0o644, ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		if _, err := io.Copy(out, f.open()); err != nil {
			return err
		}
	}
	return out.Close()
}

// fixture is an image to be pushed, as clients need it: some copy an OCI layout, others
// build from files.
type fixture struct {
	name    string
	layers  map[string][]layer // by platform
	subject *ocispec.Descriptor
	content content

	layout layout // empty unless made
	desc   ocispec.Descriptor
}

// newFixture plans an image for the platforms, unlike that of any other name. Its layers
// have files of several sizes, none and more than any buffer among them.
func newFixture(t *testing.T, name string, platforms ...string) *fixture {
	t.Helper()
	f := &fixture{name: name, layers: map[string][]layer{}}
	for _, p := range platforms {
		f.layers[p] = []layer{
			{newFile(name, p, "bin/hat", 70_001), newFile(name, p, "etc/motd", 1), newFile(name, p, "etc/empty", 0)},
			{newFile(name, p, "usr/share/brim", 1<<20)},
		}
	}
	f.sum(t)
	return f
}

// newLarge plans an image with one layer, of 1 GiB and a little more.
func newLarge(t *testing.T, name string) *fixture {
	t.Helper()
	f := &fixture{name: name, layers: map[string][]layer{here: {{newFile(name, here, "crown", gigabyte)}}}}
	f.sum(t)
	return f
}

func (f *fixture) sum(t *testing.T) {
	t.Helper()
	f.content = content{}
	for p, layers := range f.layers {
		f.content[p] = files{}
		for _, l := range layers {
			for _, file := range l {
				sum, err := digest.FromReader(file.open())
				if err != nil {
					t.Fatal(err)
				}
				f.content[p][file.name] = sum
			}
		}
	}
}

// platforms returns those of the fixture, here first.
func (f *fixture) platforms() []string {
	if len(f.layers) > 1 {
		return []string{here, elsewhere}
	}
	return []string{here}
}

// large reports whether it is the kind of newLarge.
func (f *fixture) large() bool { return len(f.layers[here]) == 1 }

// makeLayout makes the OCI layout of the fixture: an image, or an index if there is more
// than one platform. It is removed when the test ends.
func (f *fixture) makeLayout(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	f.layout = layout(dir)
	must := func(d ocispec.Descriptor, err error) ocispec.Descriptor {
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	var manifests []ocispec.Descriptor
	for _, p := range f.platforms() {
		os, arch, _ := strings.Cut(p, "/")
		config := ocispec.Image{Platform: ocispec.Platform{OS: os, Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers"}}
		m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Subject: f.subject}
		if f.subject != nil {
			m.ArtifactType = referrerType
		}
		for i, l := range f.layers[p] {
			d, diffID, err := f.layout.addLayer(l, i == 0 && !f.large())
			m.Layers = append(m.Layers, must(d, err))
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		}
		m.Config = must(f.layout.addJSON(ocispec.MediaTypeImageConfig, config))
		d := must(f.layout.addJSON(m.MediaType, m))
		d.Platform, d.ArtifactType = &config.Platform, m.ArtifactType
		manifests = append(manifests, d)
	}
	f.desc = manifests[0]
	f.desc.Platform = nil
	if len(manifests) > 1 {
		f.desc = must(f.layout.addJSON(ocispec.MediaTypeImageIndex, ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests,
		}))
	}
	entry := f.desc
	entry.Annotations = map[string]string{ocispec.AnnotationRefName: refName}
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{entry}})
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		ocispec.ImageIndexFile:  index,
		ocispec.ImageLayoutFile: fmt.Appendf(nil, `{"imageLayoutVersion":%q}`, ocispec.ImageLayoutVersion),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (l layout) addJSON(mediaType string, v any) (ocispec.Descriptor, error) {
	return l.addBlob(mediaType, func(w io.Writer) error {
		raw, err := json.Marshal(v)
		if err == nil {
			_, err = w.Write(raw)
		}
		return err
	})
}

// addLayer adds a layer as a tar, and returns the digest of that beside the descriptor.
func (l layout) addLayer(files layer, compress bool) (ocispec.Descriptor, digest.Digest, error) {
	diffID := sha256.New()
	if !compress {
		d, err := l.addBlob(ocispec.MediaTypeImageLayer, files.write)
		return d, d.Digest, err
	}
	d, err := l.addBlob(ocispec.MediaTypeImageLayerGzip, func(w io.Writer) error {
		zip := gzip.NewWriter(w)
		if err := files.write(io.MultiWriter(zip, diffID)); err != nil {
			return err
		}
		return zip.Close()
	})
	return d, digest.NewDigest(digest.SHA256, diffID), err
}

// addBlob adds what write writes. Its digest is known only then, so it is renamed.
func (l layout) addBlob(mediaType string, write func(io.Writer) error) (ocispec.Descriptor, error) {
	dir := filepath.Join(string(l), "blobs", "sha256")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return ocispec.Descriptor{}, err
	}
	out, err := os.CreateTemp(string(l), "blob")
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer out.Close()
	sum, size := sha256.New(), counter(0)
	if err := write(io.MultiWriter(out, sum, &size)); err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.NewDigest(digest.SHA256, sum), Size: int64(size)}
	return d, os.Rename(out.Name(), filepath.Join(dir, d.Digest.Encoded()))
}

// writeContext writes the files for one platform, and a Dockerfile that builds an image of
// them with nothing below it, into a folder.
func (f *fixture) writeContext(dir, platform string) error {
	text := "FROM scratch\n"
	for i, l := range f.layers[platform] {
		text += fmt.Sprintf("COPY %d /\n", i)
		for _, file := range l {
			if err := file.write(filepath.Join(dir, fmt.Sprint(i))); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644)
}
