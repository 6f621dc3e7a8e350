package manifest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxSize is the largest manifest in bytes that is accepted: what the specification
// asks every registry to take, and nearly the most that containerd reads back (4,393,216).
const MaxSize = 4 << 20

// ErrManifest is wrapped by errors about a document that is not a valid manifest.
var ErrManifest = errors.New("invalid manifest")

// Descriptor points at content by media type, digest and size.
type Descriptor = ocispec.Descriptor

// Platform says where an image runs.
type Platform = ocispec.Platform

// Manifest is a decoded image manifest or index, as [Decode] made it. It is immutable.
type Manifest struct {
	Digest    Digest
	MediaType string
	// ArtifactType is the document's own, else for an image the media type of its
	// configuration, else empty: what a referrers list shows.
	ArtifactType string
	Config       *Descriptor  // images alone
	Layers       []Descriptor // images alone
	Manifests    []Descriptor // indexes alone
	Subject      *Descriptor
	Annotations  map[string]string
	Raw          []byte // exactly as received
}

// IsIndex reports whether m lists manifests instead of layers.
func (m *Manifest) IsIndex() bool { return IsIndex(m.MediaType) }

// Descriptor returns what a list of referrers or an index says of m.
func (m *Manifest) Descriptor() Descriptor {
	return Descriptor{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: m.Digest, Size: int64(len(m.Raw)), Annotations: m.Annotations}
}

// document has the fields of all manifests, so that those out of place are seen.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *entry            `json:"config"`
	Layers        []entry           `json:"layers"`
	Manifests     []entry           `json:"manifests"`
	Subject       *entry            `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// entry is a descriptor as it is written. A size must be there, and data must be text,
// where encoding/json would take nothing for 0 and a list of numbers for bytes.
type entry struct {
	Descriptor
	Size *int64  `json:"size"`
	Data *string `json:"data"`
}

// descriptor checks an entry and returns it; field says where it stands.
func (e *entry) descriptor(field string) (*Descriptor, error) {
	if e == nil {
		return nil, nil
	}
	d := e.Descriptor
	switch {
	case e.Size == nil:
		return nil, fmt.Errorf("%w: %s: size is missing", ErrManifest, field)
	case e.Data != nil:
		data, err := base64.StdEncoding.DecodeString(*e.Data)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: data is not base64", ErrManifest, field)
		}
		d.Data = data
	}
	d.Size = *e.Size
	if err := checkDescriptor(&d); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrManifest, field, err)
	}
	return &d, nil
}

func descriptors(list []entry, field string) ([]Descriptor, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := make([]Descriptor, len(list))
	for i := range list {
		d, err := list[i].descriptor(fmt.Sprintf("%s[%d]", field, i))
		if err != nil {
			return nil, err
		}
		out[i] = *d
	}
	return out, nil
}

// Decode validates raw as a manifest of the type that the Content-Type header says, or
// its own mediaType where the header is empty, and computes its digest with the given
// algorithm. It keeps raw. Fields that it does not know are allowed.
//
// A document is refused, with an error that wraps [ErrManifest], if two readers could
// take it for different things (CVE-2021-41190): the header and mediaType disagree, a
// field of the other kind is present, or a key is repeated or differs from a known one in
// case alone.
func Decode(header string, raw []byte, algorithm Algorithm) (*Manifest, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrManifest, len(raw), MaxSize)
	}
	declared, err := contentType(header)
	if err != nil {
		return nil, err
	}
	if declared == schema1 || declared == schema1Signed {
		return nil, errSchema1
	}
	top, err := scan(raw)
	if err != nil {
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrManifest, jsonError(err))
	}
	mediaType := declared
	if mediaType == "" {
		mediaType = doc.MediaType
	}
	switch {
	case doc.SchemaVersion == 1 || top["fsLayers"] || top["signatures"]:
		return nil, errSchema1
	case mediaType == "":
		return nil, fmt.Errorf("%w: neither Content-Type nor mediaType says what it is", ErrManifest)
	case !isImage(mediaType) && !IsIndex(mediaType):
		return nil, fmt.Errorf("%w: media type %s is not supported, use %s or %s", ErrManifest, quote(mediaType), MediaTypeImage, MediaTypeIndex)
	case doc.MediaType != "" && doc.MediaType != mediaType:
		return nil, fmt.Errorf("%w: Content-Type is %s but mediaType is %s", ErrManifest, mediaType, quote(doc.MediaType))
	case doc.SchemaVersion != 2:
		return nil, fmt.Errorf("%w: schemaVersion is %d, must be 2", ErrManifest, doc.SchemaVersion)
	}
	if err := doc.check(mediaType, top); err != nil {
		return nil, err
	}
	m := &Manifest{
		Digest: algorithm.FromBytes(raw), MediaType: mediaType, ArtifactType: doc.ArtifactType, Annotations: doc.Annotations, Raw: raw,
	}
	if m.Config, err = doc.Config.descriptor("config"); err != nil {
		return nil, err
	}
	if m.Layers, err = descriptors(doc.Layers, "layers"); err != nil {
		return nil, err
	}
	if m.Manifests, err = descriptors(doc.Manifests, "manifests"); err != nil {
		return nil, err
	}
	if m.Subject, err = doc.Subject.descriptor("subject"); err != nil {
		return nil, err
	}
	if m.ArtifactType == "" && m.Config != nil {
		m.ArtifactType = m.Config.MediaType
	}
	return m, nil
}

var errSchema1 = fmt.Errorf("%w: Docker schema 1 is not supported; push with a client that writes %s or %s", ErrManifest, MediaTypeDockerImage, MediaTypeImage)

// check validates what the media type asks for. A list that is null counts as empty: Go
// programs write a nil slice so.
func (d *document) check(mediaType string, top map[string]bool) error {
	list, misplaced := "manifests", []string{"config", "layers"}
	if isImage(mediaType) {
		list, misplaced = "layers", []string{"manifests"}
		if d.Config == nil {
			return fmt.Errorf("%w: an image manifest needs a config", ErrManifest)
		}
	}
	if !top[list] {
		return fmt.Errorf("%w: a document of type %s needs %s", ErrManifest, mediaType, list)
	}
	for _, key := range misplaced {
		if top[key] {
			return fmt.Errorf("%w: %s is out of place in a document of type %s", ErrManifest, key, mediaType)
		}
	}
	if d.ArtifactType != "" && !validMediaType(d.ArtifactType) {
		return fmt.Errorf("%w: artifactType %s is not of the form type/subtype", ErrManifest, quote(d.ArtifactType))
	}
	return nil
}

func checkDescriptor(d *Descriptor) error {
	if !validMediaType(d.MediaType) {
		return fmt.Errorf("mediaType %s is not of the form type/subtype", quote(d.MediaType))
	}
	if _, err := ParseDigest(string(d.Digest)); err != nil {
		return err
	}
	if d.ArtifactType != "" && !validMediaType(d.ArtifactType) {
		return fmt.Errorf("artifactType %s is not of the form type/subtype", quote(d.ArtifactType))
	}
	if d.Size < 0 {
		return fmt.Errorf("size %d is negative", d.Size)
	}
	if d.Data != nil && (int64(len(d.Data)) != d.Size || d.Digest.Algorithm().FromBytes(d.Data) != d.Digest) {
		return errors.New("data does not match digest and size")
	}
	return nil
}

// validMediaType matches type/subtype of RFC 6838, as the image specification asks.
func validMediaType(s string) bool {
	kind, sub, ok := strings.Cut(s, "/")
	return ok && validMediaName(kind) && validMediaName(sub)
}

func validMediaName(s string) bool {
	if s == "" || len(s) > 127 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !alphanumeric(c) && !(c >= 'A' && c <= 'Z') && (i == 0 || strings.IndexByte("!#$&-^_.+", c) < 0) {
			return false
		}
	}
	return true
}
