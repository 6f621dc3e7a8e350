package model

import "syscall"

// attributes have a node end with the test: if that is killed, or runs out of time, no
// cleanup runs.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
