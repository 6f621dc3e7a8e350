package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// The publishers. Two of them have names, one is verified.
const (
	lantern = "210000000001"
	misbah  = "210000000002"
	somaya  = "210000000003"
)

// shelf fills a registry.
type shelf struct {
	t   *testing.T
	reg *registry.Registry
}

// fill makes everything that pages show, over some months of the bubble's clock.
func fill(t *testing.T, server *registrytest.Server) {
	s := &shelf{t, server.Registry}
	ctx := t.Context()
	s.must(s.reg.AddAlias(ctx, lantern, "lanternworks"))
	s.must(s.reg.AddAlias(ctx, misbah, "misbah"))
	s.must(s.reg.AddAlias(ctx, somaya, "somaya-k"))
	s.must(s.reg.SetVerified(ctx, lantern, true))
	s.must(s.owner("lanternworks/").PutRegistryCatalogData(ctx, "Lantern Works"))
	s.must(s.owner("misbah/").PutRegistryCatalogData(ctx, "دار المصباح"))
	s.beacon()
	s.others()
	s.nightly()
	until("2026-11-20 12:00")
}

// until waits for a time, which is over at once in a bubble.
func until(text string) {
	at, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err) // of a constant
	}
	time.Sleep(time.Until(at))
}

func (s *shelf) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// owner acts for whose the repository is.
func (s *shelf) owner(name string) *registry.Actor {
	alias, _, _ := strings.Cut(name, "/")
	account, err := s.reg.AccountOf(s.t.Context(), alias)
	s.must(err)
	return s.reg.As(auth.Principal{Account: account, Name: "owner"})
}

// describe says what a repository is.
func (s *shelf) describe(name string, data registry.CatalogData, tags map[string]string) {
	s.t.Helper()
	_, err := s.owner(name).PutCatalogData(s.t.Context(), name, data)
	s.must(err)
	if len(tags) > 0 {
		s.must(s.owner(name).TagRepository(s.t.Context(), name, tags))
	}
}

// push pushes a manifest with the configuration given as a value. Its layers need not be there.
func (s *shelf) push(name string, m ocispec.Manifest, config any, tags ...string) manifest.Descriptor {
	s.t.Helper()
	raw := s.json(config)
	m.Config.Digest, m.Config.Size = manifest.SHA256.FromBytes(raw), int64(len(raw))
	s.must(s.owner(name).PushBlob(s.t.Context(), name, m.Config.Digest, bytes.NewReader(raw)))
	m.SchemaVersion, m.MediaType = 2, manifest.MediaTypeImage
	d, err := s.owner(name).PushManifest(s.t.Context(), name, m.MediaType, s.json(m), tags...)
	s.must(err)
	return d
}

func (s *shelf) json(v any) []byte {
	s.t.Helper()
	raw, err := json.Marshal(v)
	s.must(err)
	return raw
}

// layer describes a layer or file that nobody has pushed.
func layer(mediaType, title string, size int64) manifest.Descriptor {
	d := manifest.Descriptor{MediaType: mediaType, Digest: manifest.SHA256.FromString(fmt.Sprint(mediaType, title, size)), Size: size}
	if title != "" {
		d.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	}
	return d
}

// image pushes an image for a platform, os/architecture.
func (s *shelf) image(name, platform, version string, tags ...string) manifest.Descriptor {
	s.t.Helper()
	built := time.Now().UTC().Add(-10 * time.Minute)
	var c ocispec.Image
	c.OS, c.Architecture, _ = strings.Cut(platform, "/")
	c.Created, c.Author = &built, "Release robot <release@lantern.example>"
	c.Config = ocispec.ImageConfig{
		User: "65532:65532", WorkingDir: "/var/lib/beacon", StopSignal: "SIGTERM", Entrypoint: []string{"/usr/bin/beacon"},
		Cmd: []string{"serve", "--config=/etc/beacon/beacon.toml"}, ExposedPorts: map[string]struct{}{"8080/tcp": {}, "9090/tcp": {}},
		Volumes: map[string]struct{}{"/var/lib/beacon": {}},
		Env:     []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "BEACON_VERSION=" + version},
		Labels: map[string]string{
			ocispec.AnnotationVersion: version, ocispec.AnnotationLicenses: "Apache-2.0", ocispec.AnnotationSource: "https://git.lantern.example/beacon",
			ocispec.AnnotationRevision: "3f9c2b7e51a84d06c1e2f3a4b5c6d7e8f9012345", ocispec.AnnotationBaseImageName: "registry.example.com/lanternworks/base:12",
		},
	}
	sizes := []int64{29_124_180, 3_481, 8_812_402}
	c.RootFS.Type = "layers"
	var layers []manifest.Descriptor
	for i, size := range sizes {
		l := layer(ocispec.MediaTypeImageLayerGzip, "", size+int64(len(version)+i))
		layers, c.RootFS.DiffIDs = append(layers, l), append(c.RootFS.DiffIDs, l.Digest)
	}
	for _, h := range []struct {
		by    string
		empty bool
	}{
		{"COPY rootfs.tar / # buildkit", false},
		{"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", true},
		{"RUN /bin/sh -c useradd --system --uid 65532 --home-dir /var/lib/beacon --shell /usr/sbin/nologin beacon # buildkit", false},
		{"COPY beacon /usr/bin/beacon # buildkit", false},
		{"USER 65532:65532", true},
		{`ENTRYPOINT ["/usr/bin/beacon"]`, true},
	} {
		c.History = append(c.History, ocispec.History{Created: &built, CreatedBy: h.by, EmptyLayer: h.empty})
	}
	m := ocispec.Manifest{Config: manifest.Descriptor{MediaType: ocispec.MediaTypeImageConfig}, Layers: layers}
	d := s.push(name, m, c, tags...)
	d.Platform = &ocispec.Platform{OS: c.OS, Architecture: c.Architecture}
	return d
}

// index pushes an image for each of some platforms under one tag.
func (s *shelf) index(name, version string, platforms []string, tags ...string) manifest.Descriptor {
	s.t.Helper()
	var list []manifest.Descriptor
	for _, p := range platforms {
		list = append(list, s.image(name, p, version))
	}
	proof := layer(manifest.MediaTypeImage, "", 840)
	proof.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	proof.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": string(list[0].Digest)}
	index := ocispec.Index{MediaType: manifest.MediaTypeIndex, Manifests: append(list, proof), Annotations: map[string]string{
		ocispec.AnnotationVersion: version, ocispec.AnnotationDocumentation: "https://lantern.example/docs/beacon",
	}}
	index.SchemaVersion = 2
	d, err := s.owner(name).PushManifest(s.t.Context(), name, index.MediaType, s.json(index), tags...)
	s.must(err)
	return d
}

// beacon is the repository that has everything: four platforms, releases, a long text, a logo.
func (s *shelf) beacon() {
	const name = "lanternworks/beacon"
	platforms := []string{"linux/amd64", "linux/arm64", "linux/riscv64", "windows/amd64"}
	for _, r := range []struct{ at, version, tags string }{
		{"2026-02-03 09:30", "1.9.4", "1.9.4 1.9 1 latest"},
		{"2026-05-19 14:05", "2.0.0-rc.1", "2.0.0-rc.1 edge"},
		{"2026-06-11 08:12", "2.0.0", "2.0.0 2.0 2 latest"},
		{"2026-08-27 16:40", "2.0.1", "2.0.1 2.0 2 latest"},
		{"2026-10-02 10:00", "2.1.0", "2.1.0 2.1 2 latest"},
		{"2026-11-17 07:55", "2.2.0-beta.1", "2.2.0-beta.1 edge"},
	} {
		until(r.at)
		s.index(name, r.version, platforms, strings.Fields(r.tags)...)
	}
	until("2026-11-17 08:00")
	s.image(name, "linux/amd64", "2.1.0", "2.1.0-slim", "2.1-slim", "slim")
	s.must(s.owner(name).DeleteTag(s.t.Context(), name, "2.1-slim"))
	about, err := os.ReadFile("testdata/beacon.md")
	s.must(err)
	usage, err := os.ReadFile("testdata/beacon-usage.md")
	s.must(err)
	s.describe(name, registry.CatalogData{
		Description:   "Tells every service in a network where the others are, and which of them are well",
		Architectures: []string{"x86-64", "ARM 64"}, OperatingSystems: []string{"Linux", "Windows"},
		About: string(about), Usage: string(usage), Logo: s.logo(),
	}, map[string]string{"gallery:keywords": "discovery health-checks dns grpc"})
	s.must(s.reg.SetCertified(s.t.Context(), name, true))
}

// others are one repository of each other kind and condition.
func (s *shelf) others() {
	ctx := s.t.Context()
	const lead = "lanternworks/"
	chart := map[string]any{
		"apiVersion": "v2", "name": "beacon", "version": "4.3.1", "appVersion": "2.1.0", "type": "application", "kubeVersion": ">= 1.29.0-0",
		"description": "Beacon with its agents on every node", "home": "https://lantern.example/charts", "keywords": []string{"discovery"},
		"dependencies": []any{
			map[string]any{"name": "postgres", "version": "~16.2", "repository": "oci://registry.example.com/lanternworks/charts"},
			map[string]any{"name": "common", "version": "2.x", "repository": "oci://registry.example.com/lanternworks/charts"},
		},
	}
	s.push(lead+"charts/beacon", ocispec.Manifest{
		Config: manifest.Descriptor{MediaType: "application/vnd.cncf.helm.config.v1+json"},
		Layers: []manifest.Descriptor{layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "", 48_213)},
	}, chart, "4.3.1")
	s.describe(lead+"charts/beacon", registry.CatalogData{Description: "Helm chart of Beacon, with its agents on every node"}, nil)

	artifact := func(name, kind, config, tag, description string, files ...manifest.Descriptor) {
		s.push(name, ocispec.Manifest{
			ArtifactType: kind, Config: manifest.Descriptor{MediaType: config}, Layers: files,
			Annotations: map[string]string{ocispec.AnnotationCreated: "2026-11-01T00:00:00Z", "example.lantern/made-for": "services that face the public, and those behind them"},
		}, struct{}{}, tag)
		s.describe(name, registry.CatalogData{Description: description}, nil)
	}
	artifact(lead+"rules", "application/vnd.lantern.rules.v1+tar", ocispec.MediaTypeEmptyJSON, "2026.11", "Rules that Beacon checks services by",
		layer("application/vnd.lantern.rules.v1+tar", "baseline.tar", 182_400), layer("text/markdown", "CHANGES.md", 12_730),
		layer("application/json", "a-file-with-a-rather-long-name-that-nobody-would-break-by-hand.schema.json", 3_044))
	artifact(lead+"edge-filter", "", "application/vnd.wasm.config.v0+json", "0.8", "A filter for edge proxies", layer("application/wasm", "filter.wasm", 1_204_331))
	artifact(lead+"small-talk", "", "application/vnd.cncf.model.config.v1+json", "7b-q4", "A small language model for support desks",
		layer("application/vnd.cncf.model.weight.v1.raw", "model.safetensors", 4_112_993_122))

	s.index(lead+"old-lamp", "0.14.2", []string{"linux/amd64"}, "0.14.2", "latest")
	s.describe(lead+"old-lamp", registry.CatalogData{Description: "The first service directory of Lantern Works"}, map[string]string{
		"gallery:deprecated": "It gets no fixes since March. Use lanternworks/beacon which reads the same configuration.",
	})

	s.index("misbah/faanous", "3.1", []string{"linux/amd64", "linux/arm64"}, "3.1", "latest")
	s.describe("misbah/faanous", registry.CatalogData{
		Description: "فانوس: خادم صغير لعرض الصفحات الثابتة بسرعة",
		About:       "# فانوس\n\nخادم صغير للصفحات الثابتة، مكتوب بلغة Go. يعمل على `linux/amd64` و`linux/arm64`.\n\n- سريع\n- آمن افتراضيا\n- بلا اعتماديات\n\n> הגרסה בעברית נמצאת באתר.\n",
		Usage:       "شغله هكذا:\n\n```\ndocker run -p 8080:8080 registry.example.com/misbah/faanous:3.1\n```\n",
	}, map[string]string{"gallery:keywords": "صفحات http"})

	_, err := s.owner("somaya-k/").CreateRepository(ctx, "somaya-k/empty", nil)
	s.must(err)
	s.image("somaya-k/tools/a-name-with-many-parts/and-some-that-are-long/to-see-where-lines-break", "linux/amd64", "1", "v1")
}

// nightly has more tags than a page shows, some as long as tags can be.
func (s *shelf) nightly() {
	const name = "lanternworks/nightly"
	until("2026-11-18 00:00")
	d := s.image(name, "linux/amd64", "nightly", "nightly", "nightly-9999."+strings.Repeat("long", 28))
	for i := range 130 {
		until(time.Now().Add(time.Minute).Format("2006-01-02 15:04"))
		if i%10 == 0 {
			d = s.image(name, "linux/amd64", fmt.Sprint("build-", i))
		}
		m, err := s.owner(name).Manifest(s.t.Context(), name, string(d.Digest))
		s.must(err)
		_, err = s.owner(name).PushManifest(s.t.Context(), name, m.MediaType, m.Raw, fmt.Sprintf("build-%04d", i))
		s.must(err)
	}
	s.describe(name, registry.CatalogData{Description: "What was built last night, for those who cannot wait"}, nil)
}

// logo is a picture of a lamp, or close to one.
func (s *shelf) logo() []byte {
	img := image.NewRGBA(image.Rect(0, 0, 120, 120))
	for y := range 120 {
		for x := range 120 {
			dx, dy := x-60, y-52
			c := color.RGBA{24, 48, 72, 255}
			if dx*dx+dy*dy < 34*34 {
				c = color.RGBA{255, 196, 64, 255}
			}
			if y > 86 && y < 104 && dx > -20 && dx < 20 {
				c = color.RGBA{230, 236, 242, 255}
			}
			img.Set(x, y, c)
		}
	}
	var out bytes.Buffer
	s.must(png.Encode(&out, img))
	return out.Bytes()
}

// pulls is a [gallery.Metrics] that makes numbers of names and days.
type pulls struct{}

func (pulls) Pulls(_ context.Context, name, tag string, days int) ([]gallery.DayPulls, error) {
	h := fnv.New32a()
	h.Write([]byte(name + ":" + tag)) //nolint:errcheck // it cannot fail
	scale := int64(h.Sum32()%900) * int64(h.Sum32()/1000%900)
	if strings.HasPrefix(name, "somaya-k/") {
		scale = 0
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	list := make([]gallery.DayPulls, days)
	for i := range list {
		day := today.AddDate(0, 0, i-days+1)
		list[i] = gallery.DayPulls{Day: day, Pulls: scale * int64(60+i/2+17*(i*i%7)) / 100}
		if wd := day.Weekday(); wd == time.Saturday || wd == time.Sunday {
			list[i].Pulls /= 2
		}
	}
	return list, nil
}
