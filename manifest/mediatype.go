package manifest

import (
	"fmt"
	"mime"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of the manifests that are accepted. Docker's version 2 types have the same
// structure as OCI's and are served as they were pushed, without conversion.
const (
	MediaTypeImage       = ocispec.MediaTypeImageManifest
	MediaTypeIndex       = ocispec.MediaTypeImageIndex
	MediaTypeDockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// Media types of image configurations, which hold the platform of an image.
const (
	MediaTypeConfig       = ocispec.MediaTypeImageConfig
	MediaTypeDockerConfig = "application/vnd.docker.container.image.v1+json"
)

// schema1 are Docker's manifests of 2014, which containerd 2 no longer pulls.
const (
	schema1       = "application/vnd.docker.distribution.manifest.v1+json"
	schema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

// foreign layers are fetched from elsewhere; the registry need not have them.
var foreign = map[string]bool{
	"application/vnd.oci.image.layer.nondistributable.v1.tar":      true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":         true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd":    true,
}

// isImage reports whether a media type is that of a manifest with layers.
func isImage(mediaType string) bool {
	return mediaType == MediaTypeImage || mediaType == MediaTypeDockerImage
}

// IsIndex reports whether a media type is that of a manifest that lists others.
func IsIndex(mediaType string) bool {
	return mediaType == MediaTypeIndex || mediaType == MediaTypeDockerList
}

// contentType returns the media type of a Content-Type header without its parameters,
// which clients may add and the registry never sends back.
func contentType(header string) (string, error) {
	if !strings.ContainsAny(header, "; \t") {
		return strings.ToLower(header), nil
	}
	mediaType, _, err := mime.ParseMediaType(header)
	if err != nil {
		return "", fmt.Errorf("%w: Content-Type %s cannot be read", ErrManifest, quote(header))
	}
	return mediaType, nil
}
