//go:build unix

package model

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nodeCount is how many nodes there are.
const nodeCount = 3

// cluster is what the nodes are started from.
type cluster struct {
	program, dsn, bucket string
	user, password       string
}

// alias is that of the registry that everybody pushes to.
const alias = "model"

// newCluster builds the program and makes an account.
func newCluster(t *testing.T, dsn, bucket string) *cluster {
	t.Helper()
	c := &cluster{program: filepath.Join(t.TempDir(), "cluster"), dsn: dsn, bucket: bucket}
	if out, err := exec.Command("go", "build", "-o", c.program, "github.com/esplanade-registry/esplanade/examples/cluster").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := c.command("-create-account", alias)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
	}
	m := regexp.MustCompile(`user\s+(\S+)\s+password\s+(\S+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("%v says no key:\n%s", cmd, out)
	}
	c.user, c.password = string(m[1]), string(m[2])
	return c
}

func (c *cluster) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.program, args...)
	cmd.Env = append(os.Environ(), "ESPLANADE_DATABASE="+c.dsn, "ESPLANADE_BUCKET="+c.bucket)
	cmd.SysProcAttr = attributes()
	return cmd
}

// node is one process.
type node struct {
	t    *testing.T
	base string // http://host:port
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
}

// nodeTime is how long a node may take to start, and to stop.
const nodeTime = time.Minute

func (c *cluster) start(t *testing.T, grace time.Duration) *node {
	t.Helper()
	n := &node{
		t: t, cmd: c.command("-nodes", "1", "-addr", "127.0.0.1:0", "-grace", grace.String()),
		out: &output{totals: map[string]int64{}}, done: make(chan struct{}),
	}
	hello := &greeting{found: make(chan string, 1)}
	n.cmd.Stdout, n.cmd.Stderr = hello, n.out
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(n.done)
		n.cmd.Wait() //nolint:errcheck // ProcessState has it
	}()
	t.Cleanup(func() {
		n.cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-n.done
	})
	select {
	case n.base = <-hello.found:
	case <-n.done:
		t.Fatalf("a node ended while starting:\n%s", n.out.text())
	case <-time.After(nodeTime):
		t.Fatalf("a node has not started within %v:\n%s", nodeTime, n.out.text())
	}
	return n
}

// stop ends the node by SIGTERM, and wants it to have met no error.
func (n *node) stop() {
	n.t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Errorf("a node has ended by itself: %v", err)
	}
	select {
	case <-n.done:
	case <-time.After(nodeTime):
		n.t.Errorf("a node has not ended within %v of SIGTERM", nodeTime)
		return
	}
	if code := n.cmd.ProcessState.ExitCode(); code != 0 {
		n.t.Errorf("a node ended with status %d", code)
	}
	said := n.out.text()
	for _, bad := range []string{"level=ERROR", "panic", "fatal error", "DATA RACE"} {
		if strings.Contains(said, bad) {
			n.t.Errorf("a node says:\n%s", said)
			return
		}
	}
	if said != "" {
		n.t.Logf("a node says:\n%s", said)
	}
}

// greeting finds in what a node prints where it is.
type greeting struct {
	found chan string
	all   []byte
	known bool
}

var address = regexp.MustCompile(`A node is at (http://\S+)\.`)

// Write implements io.Writer.
func (g *greeting) Write(p []byte) (int, error) {
	if g.known {
		return len(p), nil
	}
	g.all = append(g.all, p...)
	if m := address.FindSubmatch(g.all); m != nil {
		g.known = true
		g.found <- string(m[1])
	}
	return len(p), nil
}

// kept is how many lines of a node's log are kept.
const kept = 200

// total finds in a line of the log what was removed.
var total = regexp.MustCompile(` (links|blobs|bytes|objects|uploads|repositories)=(\d+)`)

// output is the log of a node: what it has removed is added up, and what is worse than
// information is kept.
type output struct {
	mu      sync.Mutex
	partial []byte
	lines   []string
	totals  map[string]int64
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, p...)
	for {
		line, rest, ok := bytes.Cut(o.partial, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		o.take(string(line))
		o.partial = rest
	}
}

func (o *output) take(line string) {
	switch {
	case strings.Contains(line, `msg="removed garbage"`):
		for _, m := range total.FindAllStringSubmatch(line, -1) {
			n, err := strconv.ParseInt(m[2], 10, 64)
			if err == nil {
				o.totals[m[1]] += n
			}
		}
	case !strings.Contains(line, "level=INFO") && len(o.lines) < kept:
		o.lines = append(o.lines, line)
	}
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "\n")
}

// removed returns what the nodes have removed, in words.
func removed(nodes []*node) string {
	sum := map[string]int64{}
	for _, n := range nodes {
		n.out.mu.Lock()
		for k, v := range n.out.totals {
			sum[k] += v
		}
		n.out.mu.Unlock()
	}
	return fmt.Sprintf("%d links, %d blobs with %d bytes, %d objects, %d uploads, %d repositories",
		sum["links"], sum["blobs"], sum["bytes"], sum["objects"], sum["uploads"], sum["repositories"])
}
