package e2e

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// content is what an image holds: for each platform the files of its layers, by the digests
// of their bytes. It is the same for an image however its layers are compressed, and so
// comparable between what a client pushed and what another pulled.
type content map[string]files

type files map[string]digest.Digest

// of returns the content for one platform.
func (c content) of(platform string) content { return content{platform: c[platform]} }

// source is where manifests and blobs are.
type source interface {
	open(d ocispec.Descriptor) (io.ReadCloser, error)
}

// layout is the folder of an OCI layout.
type layout string

func (l layout) open(d ocispec.Descriptor) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(l), "blobs", d.Digest.Algorithm().String(), d.Digest.Encoded()))
}

// entry returns the manifest that the layout's index names, or else the only one it has:
// oras-go adds all children of an index to it, without names, and crane names nothing.
func (l layout) entry() (ocispec.Descriptor, error) {
	raw, err := os.ReadFile(filepath.Join(string(l), ocispec.ImageIndexFile))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, d := range index.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == refName || len(index.Manifests) == 1 {
			return d, nil
		}
	}
	return ocispec.Descriptor{}, fmt.Errorf("none of the layout's %d manifests is named", len(index.Manifests))
}

// readContent reads all that a manifest or index leads to, and checks every byte of it
// against the digests and sizes on the way.
func readContent(src source, d ocispec.Descriptor) (content, error) {
	c := content{}
	return c, c.add(src, d)
}

func (c content) add(src source, d ocispec.Descriptor) error {
	var doc struct {
		MediaType string               `json:"mediaType"`
		Manifests []ocispec.Descriptor `json:"manifests"`
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
	}
	if err := readJSON(src, d, &doc); err != nil {
		return err
	}
	if doc.MediaType != "" && doc.MediaType != d.MediaType {
		return fmt.Errorf("%s is of type %s, but says %s itself", d.Digest, d.MediaType, doc.MediaType)
	}
	for _, child := range doc.Manifests {
		if err := c.add(src, child); err != nil {
			return err
		}
	}
	if doc.Config == nil {
		return nil
	}
	var config ocispec.Platform
	if err := readJSON(src, *doc.Config, &config); err != nil {
		return err
	}
	f := files{}
	for _, layer := range doc.Layers {
		if err := readBlob(src, layer, f.addLayer); err != nil {
			return err
		}
	}
	c[config.OS+"/"+config.Architecture] = f
	return nil
}

func readJSON(src source, d ocispec.Descriptor, v any) error {
	return readBlob(src, d, func(r io.Reader) error { return json.NewDecoder(r).Decode(v) })
}

// readBlob reads a blob, the rest of it too, and checks size and digest.
func readBlob(src source, d ocispec.Descriptor, read func(io.Reader) error) (err error) {
	body, err := src.open(d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	sum, size := d.Digest.Algorithm().Hash(), counter(0)
	r := io.TeeReader(body, io.MultiWriter(sum, &size))
	if err := read(r); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	if got := digest.NewDigest(d.Digest.Algorithm(), sum); got != d.Digest || int64(size) != d.Size {
		return fmt.Errorf("%s, %d bytes, has %d bytes of digest %s", d.Digest, d.Size, size, got)
	}
	return nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// addLayer adds the files of a layer, a tar that is compressed by gzip or not at all.
func (f files) addLayer(r io.Reader) error {
	buffered := bufio.NewReader(r)
	r = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if r, err = gzip.NewReader(buffered); err != nil {
			return err
		}
	}
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		sum, err := digest.FromReader(in)
		if err != nil {
			return err
		}
		f[strings.TrimPrefix(path.Clean("/"+h.Name), "/")] = sum
	}
}

// readArchive reads what `docker save` writes: an archive whose manifest.json says where
// the configuration and the layers of its only image are.
func readArchive(name string) (content, error) {
	var list []struct {
		Config string
		Layers []string
	}
	if err := readArchived(name, "manifest.json", func(r io.Reader) error { return json.NewDecoder(r).Decode(&list) }); err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("the archive has %d images, want 1", len(list))
	}
	var config ocispec.Platform
	if err := readArchived(name, list[0].Config, func(r io.Reader) error { return json.NewDecoder(r).Decode(&config) }); err != nil {
		return nil, err
	}
	f := files{}
	for _, layer := range list[0].Layers {
		if err := readArchived(name, layer, f.addLayer); err != nil {
			return nil, err
		}
	}
	return content{config.OS + "/" + config.Architecture: f}, nil
}

// readArchived reads one file of an archive.
func readArchived(name, file string, read func(io.Reader) error) error {
	archive, err := os.Open(name)
	if err != nil {
		return err
	}
	defer archive.Close()
	in := tar.NewReader(archive)
	for {
		h, err := in.Next()
		if err != nil {
			return fmt.Errorf("%s in the archive: %w", file, err)
		}
		if h.Name == file {
			return read(in)
		}
	}
}
