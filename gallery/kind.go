package gallery

import (
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// Kind is what an artifact is for, which decides how its page looks and which commands
// fetch it.
type Kind string

// The kinds. New ones may come with any release.
const (
	KindImage    Kind = "image"    // runs in a container
	KindHelm     Kind = "helm"     // a chart
	KindWasm     Kind = "wasm"     // a WebAssembly module or component
	KindModel    Kind = "model"    // a machine-learning model
	KindArtifact Kind = "artifact" // any other: files
)

// KindOf tells the kind of an artifact from its artifact type, which for an image is the
// media type of its configuration, and for an index may be empty.
func KindOf(artifactType string) Kind {
	switch t := strings.ToLower(artifactType); {
	case t == "", t == manifest.MediaTypeConfig, t == manifest.MediaTypeDockerConfig:
		return KindImage
	case strings.HasPrefix(t, "application/vnd.cncf.helm."):
		return KindHelm
	case strings.Contains(t, "wasm"):
		return KindWasm
	case strings.HasPrefix(t, "application/vnd.cncf.model."), strings.Contains(t, "modelpack"), strings.HasPrefix(t, "application/vnd.docker.ai."), strings.HasPrefix(t, "application/vnd.ollama."):
		return KindModel
	}
	return KindArtifact
}

// Label is the kind in words, for one and for many.
func (k Kind) Label() string {
	switch k {
	case KindImage:
		return "Container image"
	case KindHelm:
		return "Helm chart"
	case KindWasm:
		return "WebAssembly"
	case KindModel:
		return "Model"
	}
	return "Artifact"
}
