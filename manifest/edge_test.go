package manifest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
)

func mustDecode(tb testing.TB, raw string) *manifest.Manifest {
	tb.Helper()
	header := image
	if strings.Contains(raw, `"manifests"`) {
		header = index
	}
	m, err := manifest.Decode(header, []byte(raw), manifest.SHA256)
	if err != nil {
		tb.Fatalf("%v\n%s", err, raw)
	}
	return m
}

// edge is what a test says of a manifest.Edge.
type edge struct {
	Kind      manifest.EdgeKind
	Field     string
	Digest    string
	NeedsBlob bool
}

func edgesOf(m *manifest.Manifest) (list []edge) {
	for e := range m.Edges() {
		list = append(list, edge{e.Kind, e.Field(), string(e.Descriptor.Digest), e.NeedsBlob()})
	}
	return list
}

func TestEdgesOfAnImage(t *testing.T) {
	t.Parallel()
	var layers []string
	var want []edge
	want = append(want, edge{manifest.EdgeConfig, "config", digestN(100), true})
	for i, tt := range []struct {
		mediaType string
		foreign   bool
	}{
		{"application/vnd.oci.image.layer.v1.tar", false},
		{"application/vnd.oci.image.layer.v1.tar+gzip", false},
		{"application/vnd.oci.image.layer.v1.tar+zstd", false},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", false},
		{"application/vnd.oci.empty.v1+json", false},
		{"application/vnd.unknown", false},
		{image, false}, // a manifest's type does not make a layer a manifest
		// Layers that need not be pushed: layer.md and Docker's manifest specification.
		{"application/vnd.oci.image.layer.nondistributable.v1.tar", true},
		{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", true},
		{"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", true},
		{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true},
	} {
		layers = append(layers, descriptorOf(tt.mediaType, digestN(i), 1))
		kind := manifest.EdgeLayer
		if tt.foreign {
			kind = manifest.EdgeForeign
		}
		want = append(want, edge{kind, fmt.Sprintf("layers[%d]", i), digestN(i), !tt.foreign})
	}
	// urls alone do not make a layer foreign
	layers = append(layers, descriptorOf(layer, digestN(50), 1, `"urls":["https://example.com/x"]`))
	want = append(want, edge{manifest.EdgeLayer, fmt.Sprintf("layers[%d]", len(layers)-1), digestN(50), true})
	want = append(want, edge{manifest.EdgeSubject, "subject", digestN(101), false})

	m := mustDecode(t, imageOf(
		`"config":`+descriptorOf(config, digestN(100), 1),
		`"layers":[`+strings.Join(layers, ",")+`]`,
		`"subject":`+descriptorOf(image, digestN(101), 1),
	))
	if diff := cmp.Diff(want, edgesOf(m)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEdgesOfAnIndex(t *testing.T) {
	t.Parallel()
	var entries []string
	var want []edge
	for i, tt := range []struct {
		mediaType string
		kind      manifest.EdgeKind
	}{
		{image, manifest.EdgeChild},
		{index, manifest.EdgeChild},
		{dockerImage, manifest.EdgeChild},
		{dockerList, manifest.EdgeChild},
		{layer, manifest.EdgeBlob}, // a cache of BuildKit
		{"application/vnd.buildkit.cacheconfig.v0", manifest.EdgeBlob},
	} {
		entries = append(entries, descriptorOf(tt.mediaType, digestN(i), 1))
		want = append(want, edge{tt.kind, fmt.Sprintf("manifests[%d]", i), digestN(i), tt.kind == manifest.EdgeBlob})
	}
	want = append(want, edge{manifest.EdgeSubject, "subject", digestN(101), false})
	m := mustDecode(t, imageOf(`"manifests":[`+strings.Join(entries, ",")+`]`, `"subject":`+descriptorOf(image, digestN(101), 1)))
	if diff := cmp.Diff(want, edgesOf(m)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEdgesPointIntoTheManifest(t *testing.T) {
	t.Parallel()
	m := mustDecode(t, imageOf(someConfig, someLayers, `"subject":`+descriptorOf(image, digestN(9), 1)))
	want := []*manifest.Descriptor{m.Config, &m.Layers[0], &m.Layers[1], m.Subject}
	for stop := range want {
		i := 0
		for e := range m.Edges() {
			if e.Descriptor != want[i] {
				t.Errorf("edge %d is %+v, want %+v", i, e.Descriptor, want[i])
			}
			if i == stop {
				break // at every place: the sequence must not go on
			}
			i++
		}
		if i != stop {
			t.Errorf("%d edges seen before the break at %d", i, stop)
		}
	}
}

// The values are stored.
func TestEdgeKindsNeverChange(t *testing.T) {
	t.Parallel()
	want := map[manifest.EdgeKind]int{
		manifest.EdgeConfig: 1, manifest.EdgeLayer: 2, manifest.EdgeForeign: 3, manifest.EdgeChild: 4, manifest.EdgeBlob: 5, manifest.EdgeSubject: 6,
	}
	for kind, value := range want {
		if int(kind) != value {
			t.Errorf("an edge kind changed from %d to %d", value, kind)
		}
	}
}

// graph is a set of manifests to walk over.
type graph struct {
	byDigest map[manifest.Digest]*manifest.Manifest
	name     map[manifest.Digest]string
	fetched  []string
}

// image adds an image, index an index of what was added before.
func (g *graph) image(tb testing.TB, name string, more ...string) *manifest.Manifest {
	return g.add(tb, name, imageOf(append([]string{someConfig, someLayers, `"annotations":{"name":"` + name + `"}`}, more...)...))
}

func (g *graph) index(tb testing.TB, name string, children ...*manifest.Manifest) *manifest.Manifest {
	list := make([]string, len(children))
	for i, c := range children {
		list[i] = descriptorOf(c.MediaType, string(c.Digest), len(c.Raw))
	}
	return g.add(tb, name, imageOf(`"manifests":[`+strings.Join(list, ",")+`]`, `"annotations":{"name":"`+name+`"}`))
}

func (g *graph) add(tb testing.TB, name, raw string) *manifest.Manifest {
	m := mustDecode(tb, raw)
	if g.byDigest == nil {
		g.byDigest, g.name = map[manifest.Digest]*manifest.Manifest{}, map[manifest.Digest]string{}
	}
	g.byDigest[m.Digest], g.name[m.Digest] = m, name
	return m
}

func (g *graph) fetch(_ context.Context, d manifest.Descriptor) (*manifest.Manifest, error) {
	g.fetched = append(g.fetched, g.name[d.Digest])
	m, ok := g.byDigest[d.Digest]
	if !ok {
		return nil, fmt.Errorf("asked for %s of type %s, which is no child", d.Digest, d.MediaType)
	}
	return m, nil
}

func (g *graph) walk(ctx context.Context, root *manifest.Manifest) (order []string, err error) {
	err = manifest.Walk(ctx, root, g.fetch, func(m *manifest.Manifest) error {
		order = append(order, g.name[m.Digest])
		return nil
	})
	return order, err
}

func TestWalk(t *testing.T) {
	t.Parallel()
	var g graph
	amd64, arm64, ppc := g.image(t, "amd64"), g.image(t, "arm64"), g.image(t, "ppc")
	inner := g.index(t, "inner", arm64, amd64)
	root := g.index(t, "root", amd64, inner, ppc, inner, amd64)
	order, err := g.walk(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	// the only order of the document in which children come before parents, each once
	if diff := cmp.Diff([]string{"amd64", "arm64", "inner", "ppc", "root"}, order); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"amd64", "inner", "arm64", "ppc"}, g.fetched); diff != "" {
		t.Errorf("fetched: (-want +got)\n%s", diff)
	}
}

func TestWalkOfAnImage(t *testing.T) {
	t.Parallel()
	var g graph
	root := g.image(t, "image", `"subject":`+descriptorOf(image, digestN(1), 1))
	order, err := g.walk(t.Context(), root)
	if diff := cmp.Diff([]string{"image"}, order); err != nil || diff != "" || len(g.fetched) != 0 {
		t.Errorf("%v, fetched %v, order %s", err, g.fetched, diff)
	}
}

// Subjects point upwards, blobs and unknown entries are no manifests.
func TestWalkFollowsChildrenOnly(t *testing.T) {
	t.Parallel()
	var g graph
	child := g.image(t, "child")
	root := g.add(t, "root", imageOf(
		`"manifests":[`+descriptorOf(layer, digestN(1), 1)+`,`+descriptorOf(child.MediaType, string(child.Digest), len(child.Raw))+`,`+descriptorOf("a/b", digestN(2), 1)+`]`,
		`"subject":`+descriptorOf(image, digestN(3), 1),
	))
	order, err := g.walk(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"child", "root"}, order); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWalkLeavesOutWhatIsNil(t *testing.T) {
	t.Parallel()
	var g graph
	below, kept := g.image(t, "below"), g.image(t, "kept")
	left := g.index(t, "left", below)
	root := g.index(t, "root", left, kept, left)
	var order []string
	err := manifest.Walk(t.Context(), root, func(ctx context.Context, d manifest.Descriptor) (*manifest.Manifest, error) {
		if d.Digest == left.Digest {
			return nil, nil
		}
		return g.fetch(ctx, d)
	}, func(m *manifest.Manifest) error { order = append(order, g.name[m.Digest]); return nil })
	if diff := cmp.Diff([]string{"kept", "root"}, order); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestWalkStops(t *testing.T) {
	t.Parallel()
	var g graph
	first, second := g.image(t, "first"), g.image(t, "second")
	root := g.index(t, "root", first, second)
	stop := errors.New("stop")
	visits := 0
	count := func(*manifest.Manifest) error { visits++; return nil }

	err := manifest.Walk(t.Context(), root, func(ctx context.Context, d manifest.Descriptor) (*manifest.Manifest, error) {
		if d.Digest == second.Digest {
			return nil, stop
		}
		return g.fetch(ctx, d)
	}, count)
	if !errors.Is(err, stop) || visits != 1 {
		t.Errorf("after an error of fetch: %v, %d visits; want it after one visit", err, visits)
	}

	visits = 0
	err = manifest.Walk(t.Context(), root, g.fetch, func(*manifest.Manifest) error { visits++; return stop })
	if !errors.Is(err, stop) || visits != 1 {
		t.Errorf("after an error of visit: %v, %d visits; want it after one visit", err, visits)
	}

	visits = 0
	ctx, cancel := context.WithCancel(t.Context())
	err = manifest.Walk(ctx, root, func(ctx context.Context, d manifest.Descriptor) (*manifest.Manifest, error) {
		cancel()
		return g.fetch(ctx, d)
	}, count)
	if !errors.Is(err, context.Canceled) || visits > 1 {
		t.Errorf("after a cancel: %v, %d visits", err, visits)
	}
}

// A digest cannot refer to itself, but a store that is wrong can say that it does, and a
// publisher can make chains of any length and graphs with more paths than atoms.
func TestWalkEnds(t *testing.T) {
	t.Parallel()
	t.Run("a long chain", func(t *testing.T) {
		t.Parallel()
		var g graph
		m := g.image(t, "0")
		for i := range 10_000 {
			m = g.index(t, fmt.Sprint(i+1), m)
		}
		if order, err := g.walk(t.Context(), m); !errors.Is(err, manifest.ErrManifest) || len(order) != 0 {
			t.Errorf("%d visits, %v; want an error wrapping ErrManifest", len(order), err)
		}
	})
	t.Run("a chain as clients make it", func(t *testing.T) {
		t.Parallel()
		var g graph
		m := g.image(t, "0")
		for i := range 10 {
			m = g.index(t, fmt.Sprint(i+1), m)
		}
		if order, err := g.walk(t.Context(), m); err != nil || len(order) != 11 {
			t.Errorf("%v, %v", order, err)
		}
	})
	t.Run("many paths", func(t *testing.T) {
		t.Parallel()
		var g graph
		row := []*manifest.Manifest{g.image(t, "a0"), g.image(t, "b0")}
		for i := 1; i <= 50; i++ { // 2^50 paths to the last row
			row = []*manifest.Manifest{g.index(t, fmt.Sprint("a", i), row...), g.index(t, fmt.Sprint("b", i), row...)}
		}
		root := g.index(t, "root", row...)
		if order, err := g.walk(t.Context(), root); err != nil || len(order) != 2*51+1 || len(g.fetched) != 2*51 {
			t.Errorf("%d visits, %d fetches, %v; want each once", len(order), len(g.fetched), err)
		}
	})
	t.Run("a store that is wrong", func(t *testing.T) {
		t.Parallel()
		var g graph
		root := g.index(t, "root", g.image(t, "child"))
		var order []string
		err := manifest.Walk(t.Context(), root, func(context.Context, manifest.Descriptor) (*manifest.Manifest, error) { return root, nil },
			func(m *manifest.Manifest) error { order = append(order, g.name[m.Digest]); return nil })
		if err == nil && len(order) > 1 {
			t.Errorf("visited %v", order)
		}
	})
}

func TestPlatformString(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]*manifest.Platform{
		"linux/amd64":     {OS: "linux", Architecture: "amd64"},
		"linux/arm/v7":    {OS: "linux", Architecture: "arm", Variant: "v7"},
		"windows/amd64":   {OS: "windows", Architecture: "amd64", OSVersion: "10.0.14393.1066", OSFeatures: []string{"win32k"}},
		"unknown/unknown": {OS: "unknown", Architecture: "unknown"}, // BuildKit's attestations
	} {
		if got := manifest.PlatformString(p); got != want {
			t.Errorf("PlatformString(%+v) = %q, want %q", p, got, want)
		}
	}
	for _, p := range []*manifest.Platform{nil, {}, {OS: "linux"}, {Architecture: "amd64"}, {Variant: "v7"}, {Architecture: "arm", Variant: "v7"}} {
		if got := manifest.PlatformString(p); got != "" {
			t.Errorf("PlatformString(%+v) = %q, want nothing", p, got)
		}
	}
}

func TestConfigPlatform(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]*manifest.Platform{
		`{"architecture":"amd64","os":"linux"}`: {OS: "linux", Architecture: "amd64"},
		`{"architecture":"arm","variant":"v7","os":"windows","os.version":"10","os.features":["win32k"],"config":{"Env":[]},"rootfs":{"type":"layers"}}`: {
			OS: "windows", Architecture: "arm", Variant: "v7", OSVersion: "10", OSFeatures: []string{"win32k"},
		},
		`{"os":"linux"}`:                  nil,
		`{"architecture":"arm"}`:          nil,
		`{}`:                              nil,
		`{"os":1,"architecture":"amd64"}`: nil,
		`[]`:                              nil,
		`null`:                            nil,
		``:                                nil,
		`{"os":"linux","archit`:           nil,
		"\x1f\x8b\x08":                    nil,
	} {
		if diff := cmp.Diff(want, manifest.ConfigPlatform([]byte(raw))); diff != "" {
			t.Errorf("ConfigPlatform(%s): (-want +got)\n%s", raw, diff)
		}
	}
}

func TestHasPlatform(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		someImage: true,
		withConfig(descriptorOf(dockerConfig, digestN(1), 1)):                               true,
		withConfig(descriptorOf(empty, digestEmptyJSON, 2)):                                 false, // content of an unknown type must not be parsed (manifest.md)
		withConfig(descriptorOf("application/vnd.cncf.helm.config.v1+json", digestN(1), 1)): false,
		withConfig(descriptorOf(config, digestN(1), manifest.MaxConfig)):                    true,
		withConfig(descriptorOf(config, digestN(1), manifest.MaxConfig+1)):                  false,
		someIndex: false,
	} {
		if got := mustDecode(t, raw).HasPlatform(); got != want {
			t.Errorf("HasPlatform() = %v for %s", got, raw)
		}
	}
}
