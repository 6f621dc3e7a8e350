package durability

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// call is one system call of a trace. It began and ended at places in the trace, which are
// the numbers of lines: whatever ended at a smaller one than another began came before it.
type call struct {
	Name       string
	Path       string // of the file descriptor, or what is renamed or made
	To         string // the new name
	Text       string // the arguments as they stand in the trace
	Start, End int
	Failed     bool
}

var (
	traceLine   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	result      = regexp.MustCompile(`^(.*)\) += (-?\d+)[^"]*$`)
	descriptors = regexp.MustCompile(`^\d+<([^>]*)>`)
	quoted      = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
)

const unfinished = " <unfinished ...>"

// parseTrace reads what strace -f -y -o has written. Calls that never ended are left out.
func parseTrace(r io.Reader) (calls []call, err error) {
	open := map[string]call{} // by thread
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		var (
			c    call
			rest string
		)
		if m := resumedLine.FindStringSubmatch(line); m != nil {
			var ok bool
			if c, ok = open[m[1]]; !ok || c.Name != m[2] {
				return nil, fmt.Errorf("line %d resumes what was not begun: %s", n, line)
			}
			delete(open, m[1])
			rest = c.Text + m[3]
		} else if m := traceLine.FindStringSubmatch(line); m != nil {
			c = call{Name: m[2], Start: n}
			if before, found := strings.CutSuffix(m[3], unfinished); found {
				c.Text = before
				open[m[1]] = c
				continue
			}
			rest = m[3]
		} else {
			continue // a signal, or the end of a thread
		}
		m := result.FindStringSubmatch(rest)
		if m == nil {
			if strings.Contains(rest, ") = ?") || strings.HasSuffix(rest, "= ?") {
				continue // it ended with the process
			}
			return nil, fmt.Errorf("line %d has no result: %s", n, line)
		}
		c.Text, c.End = m[1], n
		value, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		c.Failed = value < 0
		c.name()
		calls = append(calls, c)
	}
	return calls, in.Err()
}

// name finds what the call is about.
func (c *call) name() {
	if m := descriptors.FindStringSubmatch(c.Text); m != nil && !strings.HasPrefix(c.Name, "rename") && !strings.HasPrefix(c.Name, "mkdir") {
		c.Path = m[1]
		return
	}
	names := quoted.FindAllStringSubmatch(c.Text, 2)
	if len(names) > 0 {
		c.Path = names[0][1]
	}
	if len(names) > 1 {
		c.To = names[1][1]
	}
}

// isSync reports whether the call has made a file, folder or log durable.
func (c call) isSync() bool { return !c.Failed && (c.Name == "fsync" || c.Name == "fdatasync") }

func TestTraceIsRead(t *testing.T) {
	t.Parallel()
	const text = `100 fsync(7</d/blobs/ab/x.1.tmp>)     = 0
100 renameat(AT_FDCWD</d>, "/d/blobs/ab/x.1.tmp", AT_FDCWD</d>, "/d/blobs/ab/x") = 0
101 pwrite64(9</d/meta.db-wal>, "7\177\"(\6) = 1"..., 4096, 56 <unfinished ...>
100 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=1, si_uid=0} ---
100 fdatasync(8</d/blobs/ab> <unfinished ...>
101 <... pwrite64 resumed>)             = 4096
100 <... fdatasync resumed>)            = -1 EIO (Input/output error)
102 write(10<socket:[4711]>, "HTTP/1.1 201 Created\r\nContent-Le"..., 300) = 300
103 mkdirat(AT_FDCWD</d>, "/d/blobs", 0777) = 0
101 fsync(9</d/meta.db-wal> <unfinished ...>
102 fsync(8</d/blobs/ab>) = ?
102 +++ exited with 0 +++
`
	got, err := parseTrace(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Text = ""
	}
	want := []call{
		{Name: "fsync", Path: "/d/blobs/ab/x.1.tmp", Start: 1, End: 1},
		{Name: "renameat", Path: "/d/blobs/ab/x.1.tmp", To: "/d/blobs/ab/x", Start: 2, End: 2},
		{Name: "pwrite64", Path: "/d/meta.db-wal", Start: 3, End: 6},
		{Name: "fdatasync", Path: "/d/blobs/ab", Start: 5, End: 7, Failed: true},
		{Name: "write", Path: "socket:[4711]", Start: 8, End: 8},
		{Name: "mkdirat", Path: "/d/blobs", Start: 9, End: 9},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
