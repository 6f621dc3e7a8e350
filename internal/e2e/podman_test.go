package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
)

// podman has no daemon. Nothing is run in it, so it needs neither cgroups nor a journal.
type podman struct{ containers }

func newPodman(_ *testing.T, host string) func(*testing.T, person) session {
	return func(t *testing.T, p person) session {
		s := newContainers(t, host, p, "podman", "--cgroup-manager", "cgroupfs", "--events-backend", "none")
		s.program = append(s.program, "--tmpdir", s.path("tmp"))
		return podman{s}
	}
}

func (s podman) tags(t *testing.T, repo string) ([]string, error) {
	out, err := s.run(t, s.within(s.dir, "search", "--list-tags", "--tls-verify=false", "--format", "json", repo)...)
	if err != nil {
		return nil, err
	}
	var found []struct{ Tags []string }
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found) != 1 {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return found[0].Tags, nil
}
