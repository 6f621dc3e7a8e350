package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/manifest"
)

// bases are how large the images are that others are built on, in kilobytes, by their names
// below the publisher of all of them.
var bases = map[string]int{"base:12": 160, "alpine:3.22": 31, "static:2": 5, "jre:21": 210, "python:3.13": 190, "windows:ltsc2025": 320}

// baseRegistry is where they are pulled from.
const baseRegistry = "registry.example.com/oakiron/"

// pushContainer pushes an image for the platforms of a repository: an index, or the image
// itself where there is only one.
func pushContainer(ctx context.Context, p *pusher, rel release) manifest.Descriptor {
	c := p.repository.image
	platforms := strings.Fields(cmp.Or(c.platforms, "linux/amd64 linux/arm64"))
	annotations, single := p.annotations(rel), len(platforms) == 1 && !c.attested
	var list []manifest.Descriptor
	for _, text := range platforms {
		platform := parsePlatform(text)
		if platform.OS == "windows" && rel.variant != "" {
			continue
		}
		d := p.build(ctx, rel, platform, annotations, single)
		d.Platform, d.ArtifactType = &platform, "" // as BuildKit writes it
		list = append(list, d)
	}
	if single {
		list[0].Platform = nil
		return list[0]
	}
	if c.attested {
		for _, d := range slices.Clone(list) {
			list = append(list, p.attest(ctx, d, rel))
		}
	}
	return p.index(ctx, ocispec.Index{Manifests: list, Annotations: annotations}, rel.at)
}

// parsePlatform reads os/architecture/variant; of Windows it knows the version.
func parsePlatform(text string) manifest.Platform {
	f := append(strings.Split(text, "/"), "")
	platform := manifest.Platform{OS: f[0], Architecture: f[1], Variant: f[2]}
	if f[0] == "windows" {
		platform.OSVersion = "10.0.26100.2314"
	}
	return platform
}

// annotations say where a release comes from.
func (p *pusher) annotations(rel release) map[string]string {
	r, home := p.repository, "https://git.example.org/"+p.name
	a := map[string]string{
		ocispec.AnnotationTitle: r.name, ocispec.AnnotationVersion: strings.TrimPrefix(rel.version, "v"), ocispec.AnnotationVendor: p.publisher.name,
		ocispec.AnnotationSource: home, ocispec.AnnotationRevision: commit(p.name, rel.version), ocispec.AnnotationCreated: rel.at.Format(time.RFC3339),
		ocispec.AnnotationLicenses: cmp.Or(r.image.licenses, "Apache-2.0"), ocispec.AnnotationDocumentation: home + "/docs",
	}
	if r.make == nil {
		a[ocispec.AnnotationBaseImageName] = baseRegistry + r.base(rel.variant, "linux")
	}
	return a
}

// base is what a variant of an image is built on.
func (r *repository) base(variant, os string) string {
	switch {
	case os == "windows":
		return "windows:ltsc2025"
	case strings.HasPrefix(variant, "alpine"):
		return "alpine:3.22"
	}
	return cmp.Or(r.image.base, "base:12")
}

// build pushes the image of one platform. One that is single, without an index, has the
// annotations as well as the labels.
func (p *pusher) build(ctx context.Context, rel release, platform manifest.Platform, annotations map[string]string, single bool) manifest.Descriptor {
	c, architecture := p.container(platform.OS), platform.OS+"/"+platform.Architecture+platform.Variant
	base := p.repository.base(rel.variant, platform.OS)
	labels := maps.Clone(annotations)
	labels[ocispec.AnnotationBaseImageName] = baseRegistry + base
	config := ocispec.Image{
		Platform: platform, Created: &rel.at, Author: p.publisher.name,
		Config: ocispec.ImageConfig{
			Entrypoint: c.entrypoint, Cmd: c.cmd, User: c.user, WorkingDir: c.workdir, StopSignal: c.stopSignal,
			Env: versioned(c.env, rel), Labels: labels, ExposedPorts: set(c.ports), Volumes: set(c.volumes),
		},
	}
	if platform.OS != "windows" {
		config.Config.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, config.Config.Env...)
	}
	config.RootFS.Type = "layers"
	m := ocispec.Manifest{}
	if single {
		m.Annotations = annotations
	}
	add := func(created time.Time, command string, l *layer) {
		h := ocispec.History{Created: &created, CreatedBy: command, EmptyLayer: l == nil}
		if strings.HasSuffix(command, "# buildkit") || l == nil {
			h.Comment = "buildkit.dockerfile.v0"
		}
		if l != nil {
			m.Layers = append(m.Layers, l.Descriptor)
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
		}
		config.History = append(config.History, h)
	}
	// the base is built anew twice a year, and shared by all that is built meanwhile
	built := rel.at.Truncate(26 * 7 * 24 * time.Hour)
	root := p.layer(ctx, "usr/lib/base.img", base+architecture+built.Format(time.DateOnly), bases[base])
	add(built, "COPY /rootfs/ / # buildkit", &root)
	if platform.OS == "linux" && !strings.HasPrefix(base, "static") {
		add(built, `CMD ["/bin/sh"]`, nil)
	}
	major, _, _ := strings.Cut(rel.version, ".")
	for i, step := range slices.Concat(p.dockerfile(c, rel), p.ending(c)) {
		command, content := step, ""
		var l layer
		switch word, _, _ := strings.Cut(step, " "); word {
		case "RUN":
			content, command = major+rel.variant, strings.Replace(step, "RUN ", "RUN /bin/sh -c ", 1)+" # buildkit"
			size := max(3, c.kilobytes/(i+1))
			if strings.Contains(step, "groupadd") && !strings.Contains(step, "install") {
				size = 3
			}
			l = p.layer(ctx, "usr/lib/packages.img", p.name+step+content+architecture, size)
		case "COPY":
			size := max(2, c.kilobytes/10)
			if strings.Contains(step, "entrypoint") || strings.Contains(step, "/etc/") {
				size = 2
			} else {
				content = rel.version + rel.variant + architecture
			}
			command += " # buildkit"
			l = p.layer(ctx, "usr/lib/program.img", p.name+step+content, size)
		default:
			add(rel.at, step, nil)
			continue
		}
		add(rel.at, command, &l)
	}
	m.Config = p.json(ctx, ocispec.MediaTypeImageConfig, config)
	return p.manifest(ctx, m, rel.at)
}

// dockerfile returns the steps that are the repository's own.
func (p *pusher) dockerfile(c container, rel release) []string {
	steps := []string{"LABEL org.opencontainers.image.version=" + rel.version}
	for _, e := range versioned(c.env, rel) {
		steps = append(steps, "ENV "+e)
	}
	if c.steps != nil {
		return append(steps, versioned(c.steps, rel)...)
	}
	return append(steps, "COPY /out/"+p.program()+" /usr/local/bin/"+p.program())
}

// program is the last part of the repository's name.
func (p *pusher) program() string {
	return p.repository.name[strings.LastIndexByte(p.repository.name, '/')+1:]
}

// container returns how the image of an operating system is built and run. On Windows there is
// little to it.
func (p *pusher) container(os string) container {
	c := p.repository.image
	if os == "windows" && !strings.HasPrefix(c.base, "windows") {
		folder := `C:\Program Files\` + p.program()
		c.steps, c.workdir, c.user = []string{`COPY /out/windows/ ` + folder}, folder, "ContainerUser"
		c.entrypoint, c.cmd = []string{folder + `\` + p.program() + ".exe"}, nil
		c.env, c.volumes, c.stopSignal = nil, nil, ""
	}
	return c
}

// ending returns the steps at the end, which make no layer.
func (p *pusher) ending(c container) (steps []string) {
	list := func(words []string) string { return string(p.marshal(words)) }
	for _, port := range c.ports {
		steps = append(steps, "EXPOSE map["+port+":{}]")
	}
	if c.volumes != nil {
		steps = append(steps, "VOLUME ["+strings.Join(c.volumes, " ")+"]")
	}
	if c.workdir != "" {
		steps = append(steps, "WORKDIR "+c.workdir)
	}
	if c.user != "" {
		steps = append(steps, "USER "+c.user)
	}
	if c.stopSignal != "" {
		steps = append(steps, "STOPSIGNAL "+c.stopSignal)
	}
	if c.entrypoint != nil {
		steps = append(steps, "ENTRYPOINT "+list(c.entrypoint))
	}
	if c.cmd != nil {
		steps = append(steps, "CMD "+list(c.cmd))
	}
	return steps
}

// versioned puts the version in the place of {version}.
func versioned(list []string, rel release) (out []string) {
	for _, s := range list {
		out = append(out, strings.ReplaceAll(s, "{version}", rel.version))
	}
	return out
}

func set(list []string) map[string]struct{} {
	if list == nil {
		return nil
	}
	m := map[string]struct{}{}
	for _, s := range list {
		m[s] = struct{}{}
	}
	return m
}

// attest pushes what BuildKit attests of an image: it looks like an image for no platform.
func (p *pusher) attest(ctx context.Context, image manifest.Descriptor, rel release) manifest.Descriptor {
	config := ocispec.Image{Platform: manifest.Platform{OS: "unknown", Architecture: "unknown"}}
	config.RootFS.Type = "layers"
	m := ocispec.Manifest{}
	for _, predicate := range []string{"https://spdx.dev/Document", "https://slsa.dev/provenance/v1"} {
		raw := p.marshal(map[string]any{
			"_type": "https://in-toto.io/Statement/v0.1", "predicateType": predicate,
			"subject":   []any{map[string]any{"name": "pkg:oci/" + p.name + "@" + rel.version, "digest": map[string]string{"sha256": image.Digest.Encoded()}}},
			"predicate": map[string]any{"created": rel.at, "creator": p.publisher.name},
		})
		d := p.blob(ctx, "application/vnd.in-toto+json", raw)
		d.Annotations = map[string]string{"in-toto.io/predicate-type": predicate}
		m.Layers = append(m.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d.Digest)
	}
	m.Config = p.json(ctx, ocispec.MediaTypeImageConfig, config)
	d := p.manifest(ctx, m, rel.at)
	d.Platform, d.ArtifactType = &manifest.Platform{OS: "unknown", Architecture: "unknown"}, ""
	d.Annotations = map[string]string{"vnd.docker.reference.digest": string(image.Digest), "vnd.docker.reference.type": "attestation-manifest"}
	return d
}
