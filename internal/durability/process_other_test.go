//go:build !linux

package durability

import (
	"errors"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return nil }

func child(int) (int, error) { return 0, errors.ErrUnsupported }
