package e2e

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// client is one of the clients.
type client struct {
	name     string
	programs []string // that must be installed
	root     bool     // it runs on Linux only, and as root
	verbatim bool     // it pushes manifests as they are, and pulls every platform
	// open starts what the client needs for a registry, and returns a function that opens
	// sessions.
	open func(t *testing.T, host string) func(t *testing.T, p person) session
}

// clients begin with those that take longest.
var clients = []client{
	{"docker", []string{"docker", "dockerd", "containerd"}, true, false, newDocker},
	{"ctr", []string{"ctr", "containerd"}, true, true, newCtr},
	{"crane", []string{"crane"}, false, true, newCrane},
	{"podman", []string{"podman"}, true, false, newPodman},
	{"buildah", []string{"buildah"}, true, false, newBuildah},
	{"skopeo", []string{"skopeo"}, false, true, newSkopeo},
	{"regctl", []string{"regctl"}, false, true, newRegctl},
	{"helm", []string{"helm"}, false, false, newHelm},
	{"oras-go", nil, false, true, newOras},
}

// needed skips a test that the client cannot run in, but for CI, which has all.
func (c client) needed(t *testing.T) {
	t.Helper()
	if why := c.missing(); why != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
}

// missing says why the client cannot run here, or nothing.
func (c client) missing() string {
	if c.root && (runtime.GOOS != "linux" || os.Geteuid() != 0) {
		return "it needs Linux and root"
	}
	for _, p := range c.programs {
		if _, err := exec.LookPath(p); err != nil {
			return p + " is not installed"
		}
	}
	return ""
}
