package gallery

import (
	"cmp"
	"encoding/json"
	"html/template"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/gallery/markdown"
	"github.com/esplanade-registry/esplanade/manifest"
)

// The most that a page shows of what publishers may have any number of, and how much of a
// value, in characters.
const (
	maxRows  = 100
	maxSteps = 200
	maxValue = 600
	maxText  = 150 << 10 // bytes of all together, as they are in a page
)

// imageView is an image, or another artifact, as pages show it.
type imageView struct {
	Digest       manifest.Digest `json:"digest"`
	MediaType    string          `json:"mediaType"`
	ArtifactType string          `json:"artifactType,omitempty"`
	Kind         Kind            `json:"kind"`
	Size         int64           `json:"size"` // to pull; of an index, of its largest image
	Pushed       time.Time       `json:"pushed"`
	Tags         []string        `json:"tags"`
	Platform     string          `json:"platform,omitempty"`
	Platforms    []platformView  `json:"platforms,omitempty"`
	Attestations int             `json:"attestations,omitempty"` // entries of the index that are no images
	Config       *configView     `json:"config,omitempty"`
	Layers       []layerView     `json:"layers,omitempty"`
	Steps        []stepView      `json:"history,omitempty"`
	Chart        *chartView      `json:"chart,omitempty"`
	Labels       []pair          `json:"labels,omitempty"`
	Annotations  []pair          `json:"annotations,omitempty"`
	Subject      manifest.Digest `json:"subject,omitempty"`
	About        about           `json:"about,omitzero"`
	Left         int             `json:"left,omitempty"` // rows that are not shown

	text int // bytes so far
}

// fits reports whether a row of some texts is to be shown, and counts it if not.
func (view *imageView) fits(rows, limit int, texts ...string) bool {
	for _, s := range texts {
		view.text += len(template.HTMLEscapeString(s))
	}
	if rows < limit && view.text <= maxText {
		return true
	}
	view.Left++
	return false
}

// platformView is an image of an index.
type platformView struct {
	Platform string          `json:"platform"`
	Digest   manifest.Digest `json:"digest"`
	Size     int64           `json:"size,omitempty"`
}

// configView is how an image runs.
type configView struct {
	Created    time.Time `json:"created,omitzero"`
	Author     string    `json:"author,omitempty"`
	Entrypoint []string  `json:"entrypoint,omitempty"`
	Cmd        []string  `json:"cmd,omitempty"`
	User       string    `json:"user,omitempty"`
	WorkingDir string    `json:"workingDir,omitempty"`
	Env        []string  `json:"env,omitempty"`
	Ports      []string  `json:"ports,omitempty"`
	Volumes    []string  `json:"volumes,omitempty"`
	StopSignal string    `json:"stopSignal,omitempty"`
}

// layerView is a layer of an image, or a file of another artifact.
type layerView struct {
	Digest    manifest.Digest `json:"digest"`
	MediaType string          `json:"mediaType"`
	Size      int64           `json:"size"`
	Title     string          `json:"title,omitempty"`
	Share     float64         `json:"-"` // of the largest layer, in percent
}

// stepView is a step of how an image was built.
type stepView struct {
	Created time.Time `json:"created,omitzero"`
	Command string    `json:"command"`
	Size    int64     `json:"size,omitempty"` // of the layer that it made
	Empty   bool      `json:"empty,omitempty"`
}

// chartView is a Helm chart, from its configuration.
type chartView struct {
	Name         string       `json:"name"`
	Version      string       `json:"version"`
	AppVersion   string       `json:"appVersion,omitempty"`
	Description  string       `json:"description,omitempty"`
	Type         string       `json:"type,omitempty"`
	KubeVersion  string       `json:"kubeVersion,omitempty"`
	Home         string       `json:"home,omitempty"`
	Keywords     []string     `json:"keywords,omitempty"`
	Deprecated   bool         `json:"deprecated,omitempty"`
	Dependencies []dependency `json:"dependencies,omitempty"`
}

type dependency struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Repository string `json:"repository,omitempty"`
}

// pair is a label or an annotation.
type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// about is what annotations or labels say of where an image comes from.
type about struct {
	Version       string `json:"version,omitempty"`
	Licenses      string `json:"licenses,omitempty"`
	Source        string `json:"source,omitempty"`        // a URL
	Documentation string `json:"documentation,omitempty"` // a URL
	Revision      string `json:"revision,omitempty"`
	Base          string `json:"base,omitempty"` // name of the image that it is built on
}

// newImageView reads what is to be shown. Configurations are the publisher's: what cannot be
// read is left out.
func newImageView(i Image) *imageView {
	m := i.Manifest
	view := &imageView{
		Digest: m.Digest, MediaType: m.MediaType, ArtifactType: line(m.ArtifactType), Kind: KindOf(m.ArtifactType), Size: i.Size, Pushed: i.Pushed,
		Tags: i.Tags, Platform: line(i.Platform),
	}
	if m.IsIndex() {
		view.Kind = kindOfIndex(m)
	}
	if view.Tags == nil {
		view.Tags = []string{}
	}
	if m.Subject != nil {
		view.Subject = m.Subject.Digest
	}
	view.children(i.Children, len(m.Manifests))
	view.layers(m.Layers)
	labels := map[string]string{}
	if i.Config != nil {
		switch view.Kind {
		case KindImage:
			labels = view.config(i.Config)
		case KindHelm:
			view.chart(i.Config)
		}
	}
	view.Labels, view.Annotations = view.pairs(labels), view.pairs(m.Annotations)
	view.about(m.Annotations, labels)
	return view
}

// kindOfIndex is the kind of its entries, if they have a type that says so.
func kindOfIndex(m *manifest.Manifest) Kind {
	for _, d := range m.Manifests {
		if t := cmp.Or(d.ArtifactType, m.ArtifactType); t != "" {
			return KindOf(t)
		}
	}
	return KindOf(m.ArtifactType)
}

func (view *imageView) children(children []Child, all int) {
	for _, c := range children {
		p := manifest.PlatformString(c.Platform)
		// BuildKit writes what it attests of an image as an image for unknown/unknown
		if strings.HasPrefix(p, "unknown/") || c.Annotations["vnd.docker.reference.type"] != "" {
			view.Attestations++
			continue
		}
		if c.Platform != nil && c.Platform.OSVersion != "" {
			p += " (" + c.Platform.OSVersion + ")"
		}
		if p == "" {
			p = "any"
		}
		if p = line(p); view.fits(len(view.Platforms), maxRows, p) {
			view.Platforms = append(view.Platforms, platformView{p, c.Digest, c.ImageSize})
		}
	}
	view.Left += max(0, all-len(children))
}

func (view *imageView) layers(layers []manifest.Descriptor) {
	var largest int64 = 1
	for _, l := range layers {
		largest = max(largest, l.Size)
	}
	for _, l := range layers {
		row := layerView{
			Digest: l.Digest, MediaType: line(l.MediaType), Size: l.Size, Title: line(l.Annotations[ocispec.AnnotationTitle]),
			Share: max(1, 100*float64(l.Size)/float64(largest)),
		}
		if view.fits(len(view.Layers), maxSteps, row.MediaType, row.Title) {
			view.Layers = append(view.Layers, row)
		}
	}
}

// config reads an image's configuration and returns its labels.
func (view *imageView) config(raw []byte) map[string]string {
	var c ocispec.Image
	if json.Unmarshal(raw, &c) != nil {
		return nil
	}
	v := &configView{
		Author: line(c.Author), Entrypoint: view.lines(c.Config.Entrypoint), Cmd: view.lines(c.Config.Cmd), User: line(c.Config.User),
		WorkingDir: line(c.Config.WorkingDir), Env: view.lines(c.Config.Env), StopSignal: line(c.Config.StopSignal),
		Ports: view.lines(slices.Sorted(maps.Keys(c.Config.ExposedPorts))), Volumes: view.lines(slices.Sorted(maps.Keys(c.Config.Volumes))),
	}
	if c.Created != nil && c.Created.Year() > 1980 { // builds that can be repeated have a time of old
		v.Created = c.Created.UTC()
	}
	view.Config = v
	made := 0
	for _, h := range c.History {
		step := stepView{Command: instruction(h.CreatedBy), Empty: h.EmptyLayer}
		if step.Command == "" {
			step.Command = line(h.Comment)
		}
		if h.Created != nil && h.Created.Year() > 1980 {
			step.Created = h.Created.UTC()
		}
		if !h.EmptyLayer && made < len(view.Layers) {
			step.Size = view.Layers[made].Size
			made++
		}
		if (step.Command != "" || step.Size > 0) && view.fits(len(view.Steps), maxSteps, step.Command) {
			view.Steps = append(view.Steps, step)
		}
	}
	return c.Config.Labels
}

// exposed is how old builders wrote the ports of an image into its history.
var exposed = regexp.MustCompile(`^EXPOSE map\[([^\]]*)\]$`)

// instruction writes the command of a step as it stood in the Dockerfile.
func instruction(s string) string {
	s = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "# buildkit"))
	if rest, ok := strings.CutPrefix(s, "/bin/sh -c #(nop)"); ok {
		return line(rest)
	}
	if m := exposed.FindStringSubmatch(s); m != nil {
		return line("EXPOSE " + strings.ReplaceAll(m[1], ":{}", ""))
	}
	if rest, ok := strings.CutPrefix(s, "/bin/sh -c "); ok {
		return line("RUN " + rest)
	}
	return line(strings.Replace(s, "RUN /bin/sh -c ", "RUN ", 1))
}

func (view *imageView) chart(raw []byte) {
	var c chartView
	if json.Unmarshal(raw, &c) != nil {
		return
	}
	for _, s := range []*string{&c.Name, &c.Version, &c.AppVersion, &c.Description, &c.Type, &c.KubeVersion} {
		*s = line(*s)
	}
	c.Home, c.Keywords = webURL(line(c.Home)), view.lines(c.Keywords)
	var list []dependency
	for _, d := range c.Dependencies {
		if d = (dependency{line(d.Name), line(d.Version), line(d.Repository)}); view.fits(len(list), maxRows, d.Name, d.Version, d.Repository) {
			list = append(list, d)
		}
	}
	c.Dependencies = list
	view.Chart = &c
}

// pairs returns labels or annotations by key, not all of too many.
func (view *imageView) pairs(m map[string]string) (list []pair) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if len(list) >= maxRows {
			view.Left++
			continue
		}
		if p := (pair{line(key), line(m[key])}); view.fits(len(list), maxRows, p.Key, p.Value) {
			list = append(list, p)
		}
	}
	return list
}

func (view *imageView) about(annotations, labels map[string]string) {
	said := func(key string) string { return line(cmp.Or(annotations[key], labels[key])) }
	view.About = about{
		Version: said(ocispec.AnnotationVersion), Licenses: said(ocispec.AnnotationLicenses), Source: webURL(said(ocispec.AnnotationSource)),
		Documentation: webURL(cmp.Or(said(ocispec.AnnotationDocumentation), said(ocispec.AnnotationURL))), Revision: said(ocispec.AnnotationRevision),
		Base: said(ocispec.AnnotationBaseImageName),
	}
}

// line returns a publisher's text as a page shows it in one place: not too long, and in the
// order in which it is read.
func line(s string) string {
	return cut(maxValue, strings.TrimSpace(markdown.Plain(strings.ToValidUTF8(s[:min(len(s), 8*maxValue)], "\uFFFD"))))
}

func (view *imageView) lines(list []string) (out []string) {
	for _, s := range list {
		if s = line(s); view.fits(len(out), maxRows, s) {
			out = append(out, s)
		}
	}
	return out
}

// webURL returns a URL that a page may link to, or "".
func webURL(s string) string {
	if len(s) <= maxValue && (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")) && !strings.ContainsAny(s, " \t\r\n\"<>…") {
		return s
	}
	return ""
}
