package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
)

// FuzzDecode holds what every reader relies on: what is accepted means the same to each of
// them, whatever library they read it with.
func FuzzDecode(f *testing.F) {
	for _, raw := range []string{specImage, specIndex, specArtifact} {
		f.Add("", []byte(raw))
	}
	// in order, so that a failing seed has the same number in every run
	for _, table := range []map[string]struct{ header, raw string }{accepted, refused} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if tt := table[name]; len(tt.raw) < 8<<10 {
				f.Add(tt.header, []byte(tt.raw))
			}
		}
	}
	f.Fuzz(func(t *testing.T, header string, raw []byte) {
		before := bytes.Clone(raw)
		m, err := manifest.Decode(header, raw, manifest.SHA256)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was modified")
		}
		if err != nil {
			if m != nil || !errors.Is(err, manifest.ErrManifest) {
				t.Fatalf("%v, %v; want an error wrapping ErrManifest", m, err)
			}
			if text := err.Error(); len(text) > 800 || !utf8.ValidString(text) {
				t.Fatalf("the error of %d bytes is not for a client: %q", len(text), text)
			}
			return
		}
		checkDecoded(t, m, raw)
		checkUnambiguous(t, m)
		checkRoundTrip(t, m)
	})
}

// checkDecoded holds what Decode promises of every manifest.
func checkDecoded(t *testing.T, m *manifest.Manifest, raw []byte) {
	t.Helper()
	if !bytes.Equal(m.Raw, raw) || m.Digest != sha256Of(raw) || len(raw) > 4<<20 {
		t.Fatalf("digest %s of %d bytes, for %d bytes with %s", m.Digest, len(m.Raw), len(raw), sha256Of(raw))
	}
	switch m.MediaType {
	case image, dockerImage:
		if m.IsIndex() || m.Config == nil || len(m.Manifests) != 0 {
			t.Fatalf("an image with config %v, manifests %v", m.Config, m.Manifests)
		}
	case index, dockerList:
		if !m.IsIndex() || m.Config != nil || len(m.Layers) != 0 {
			t.Fatalf("an index with config %v, layers %v", m.Config, m.Layers)
		}
	default:
		t.Fatalf("media type %q", m.MediaType)
	}
	edges := 0
	for e := range m.Edges() {
		edges++
		d := e.Descriptor
		if _, err := manifest.ParseDigest(string(d.Digest)); err != nil || d.Size < 0 || !strings.Contains(d.MediaType, "/") {
			t.Fatalf("%s: descriptor %+v", e.Field(), d)
		}
		if d.Data != nil && int64(len(d.Data)) != d.Size {
			t.Fatalf("%s: %d bytes of data, size %d", e.Field(), len(d.Data), d.Size)
		}
	}
	want := len(m.Layers) + len(m.Manifests)
	if m.Config != nil {
		want++
	}
	if m.Subject != nil {
		want++
	}
	if edges != want {
		t.Fatalf("%d edges, want %d", edges, want)
	}
	again, err := manifest.Decode(m.MediaType, raw, manifest.SHA256)
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Fatalf("decoded again: %v %s", err, diff)
	}
}

// checkUnambiguous reads the document without regard to what it should hold, as a client
// in another language would: exactly by key.
func checkUnambiguous(t *testing.T, m *manifest.Manifest) {
	t.Helper()
	var top map[string]json.RawMessage
	if err := json.Unmarshal(m.Raw, &top); err != nil {
		t.Fatal(err)
	}
	wrong := []string{"manifests"}
	if m.IsIndex() {
		wrong = []string{"layers", "config"}
	}
	fields := []string{"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"}
	for key := range top {
		for _, field := range wrong {
			if strings.EqualFold(key, field) {
				t.Fatalf("%s has the key %q", m.MediaType, key)
			}
		}
		for _, field := range fields {
			if key != field && strings.EqualFold(key, field) {
				t.Fatalf("key %q passes for %q with readers that fold case, and not with others", key, field)
			}
		}
	}
	_, config := top["config"]
	if config != (m.Config != nil) {
		t.Fatalf("config in the document: %v, decoded: %v", config, m.Config)
	}
	for key, got := range map[string][]manifest.Descriptor{"layers": m.Layers, "manifests": m.Manifests} {
		var want []map[string]any
		if err := json.Unmarshal(cmpOr(top[key], "null"), &want); err != nil {
			t.Fatal(err)
		}
		if len(want) != len(got) {
			t.Fatalf("%d %s in the document, %d decoded", len(want), key, len(got))
		}
		for i := range want {
			if want[i]["mediaType"] != got[i].MediaType || want[i]["digest"] != string(got[i].Digest) {
				t.Fatalf("%s[%d] is %v in the document, %+v decoded", key, i, want[i], got[i])
			}
		}
	}
}

func cmpOr(raw json.RawMessage, otherwise string) json.RawMessage {
	if raw == nil {
		return json.RawMessage(otherwise)
	}
	return raw
}

// checkRoundTrip reads the document with the types that Go clients use, writes it, and
// finds the same.
func checkRoundTrip(t *testing.T, m *manifest.Manifest) {
	t.Helper()
	var (
		written []byte
		err     error
	)
	if m.IsIndex() {
		var doc ocispec.Index
		if err := json.Unmarshal(m.Raw, &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Manifests == nil {
			doc.Manifests = []ocispec.Descriptor{}
		}
		written, err = json.Marshal(doc)
	} else {
		var doc ocispec.Manifest
		if err := json.Unmarshal(m.Raw, &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Layers == nil {
			doc.Layers = []ocispec.Descriptor{}
		}
		written, err = json.Marshal(doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(written) > manifest.MaxSize {
		return // escaping made it longer
	}
	again, err := manifest.Decode(m.MediaType, written, manifest.SHA256)
	if err != nil {
		t.Fatalf("written by encoding/json it is refused: %v\n%s", err, written)
	}
	opts := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(manifest.Manifest{}, "Raw", "Digest")}
	if diff := cmp.Diff(m, again, opts); diff != "" {
		t.Fatalf("(-received +written and read)\n%s\n%s", diff, written)
	}
}
