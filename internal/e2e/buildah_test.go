package e2e

import "testing"

// buildah builds, and does with images what podman does.
type buildah struct{ containers }

func newBuildah(_ *testing.T, host string) func(*testing.T, person) session {
	return func(t *testing.T, p person) session {
		return buildah{newContainers(t, host, p, "buildah")}
	}
}
