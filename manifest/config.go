package manifest

import (
	"encoding/json"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxConfig is the largest image configuration in bytes that is looked into.
const MaxConfig = 4 << 20

// HasPlatform reports whether the configuration of m can say where the image runs.
func (m *Manifest) HasPlatform() bool {
	return m.Config != nil && m.Config.Size <= MaxConfig &&
		(m.Config.MediaType == MediaTypeConfig || m.Config.MediaType == MediaTypeDockerConfig)
}

// ConfigPlatform reads the platform from the bytes of an image's configuration. It is nil
// where there is none: configurations are the publisher's, and an odd one is no error.
func ConfigPlatform(raw []byte) *Platform {
	var p ocispec.Platform
	if json.Unmarshal(raw, &p) != nil || p.OS == "" || p.Architecture == "" {
		return nil
	}
	return &p
}
