//go:build !linux

package e2e

import (
	"os"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) error { return p.Kill() }

// unmountBelow has nothing to do: the clients that mount run on Linux only.
func unmountBelow(string) error { return nil }
