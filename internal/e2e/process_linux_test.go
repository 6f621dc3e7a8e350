package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// attributes put a program and its children into a group that can be ended as one, and have
// it end with the test: if that is killed, or runs out of time, no cleanup runs.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

// unmountBelow unmounts what is mounted in a folder, the last mount first.
func unmountBelow(dir string) error {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	var failed []error
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		if len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			if err := syscall.Unmount(fields[4], syscall.MNT_DETACH); err != nil {
				failed = append(failed, fmt.Errorf("unmount %s: %w", fields[4], err))
			}
		}
	}
	return errors.Join(failed...)
}
