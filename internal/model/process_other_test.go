//go:build unix && !linux

package model

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
