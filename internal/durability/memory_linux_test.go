package durability

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

var memoryLine = regexp.MustCompile(`(?m)^(Vm\w+):\s+(\d+) kB$`)

// memory returns a number of bytes of a process, as the kernel has it by a name, such as VmRSS;
// 0 of a process that has ended.
func memory(pid int, name string) (n int64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for _, m := range memoryLine.FindAllStringSubmatch(string(raw), -1) {
		if m[1] == name {
			n, _ = strconv.ParseInt(m[2], 10, 64)
		}
	}
	return n << 10
}
