package durability

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// attributes have a program end with the test: if that is killed, or runs out of time, no
// cleanup runs. strace passes the signal on to the program that it runs.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// child returns the one child of a process.
func child(pid int) (int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0, err
	}
	var all []string
	for _, name := range lists {
		raw, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		all = append(all, strings.Fields(string(raw))...)
	}
	if len(all) != 1 {
		return 0, errors.New("want one child, have " + strconv.Itoa(len(all)))
	}
	return strconv.Atoi(all[0])
}
