package durability

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bin is the folder of the program under test, for as long as the tests run.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "durability")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	os.RemoveAll(dir) //nolint:errcheck // it is a temporary folder
	os.Exit(code)
}

// quickstart is the program that keeps everything in a folder.
var quickstart = example("quickstart")

// example returns what builds an example, once.
func example(name string) func(t *testing.T) string {
	once := sync.OnceValues(func() (string, error) {
		program := filepath.Join(bin, name)
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		out, err := exec.Command("go", "build", "-o", program, "github.com/esplanade-registry/esplanade/examples/"+name).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("go build: %w\n%s", err, out)
		}
		return program, nil
	})
	return func(t *testing.T) string {
		t.Helper()
		program, err := once()
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
}

// account is credentials.json.
type account struct {
	AccountID       string `json:"accountId"`
	Alias           string `json:"alias"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

var owner = account{"111122223333", "hatters", "AKIAHATTERSHATTERS22", "a-hat-for-every-head-and-no-head-bare"}

// newFolder makes the folder of a server that knows the owner.
func newFolder(t *testing.T) string {
	t.Helper()
	return folderIn(t, t.TempDir())
}

func folderIn(t *testing.T, parent string) string {
	t.Helper()
	dir := filepath.Join(parent, "data")
	raw, err := json.Marshal(owner)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "credentials.json"), raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// readAccount reads the account that a server has made.
func readAccount(dir string) (a account, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(raw, &a)
}

// server is a running server.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	host string // host:port
	out  *output
	done chan struct{}
	// disturbed says that what it needs has failed it, which its log may say.
	disturbed bool
}

// startTime is how long a server may take to start, and to stop.
const startTime = time.Minute

// start runs quickstart over a folder; before are a program that runs it and its arguments.
func start(t *testing.T, dir string, before ...string) *server {
	t.Helper()
	return launch(t, append(before, quickstart(t), "-addr", "127.0.0.1:0", "-data", dir)...)
}

// launch starts a server, which ends with the test.
func launch(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, cmd: exec.Command(args[0], args[1:]...), out: newOutput(), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = s.out, s.out, attributes()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		s.cmd.Wait() //nolint:errcheck // ProcessState has it
	}()
	t.Cleanup(s.end)
	select {
	case s.host = <-s.out.greeted:
		return s
	case <-s.done:
		t.Fatalf("%s ended while starting:\n%s", args[0], s.out.text())
	case <-time.After(startTime):
		s.kill()
		t.Fatalf("%s has not started within %v:\n%s", args[0], startTime, s.out.text())
	}
	return nil
}

// end ends the server with its test, and shows what it said if that has failed.
func (s *server) end() {
	select {
	case <-s.done:
		return
	default:
	}
	s.kill()
	if s.t.Failed() {
		text := s.out.text()
		s.t.Logf("the end of the log of %s:\n%s", s.host, text[max(0, len(text)-4000):])
	}
}

// kill ends the server as kill -9 does.
func (s *server) kill() {
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-s.done
}

// stop ends the server, or what it runs under, by SIGTERM to a process, and wants it to have
// met no error.
func (s *server) stop(p *os.Process) {
	s.t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		s.kill()
		if runtime.GOOS != "windows" { // which has no SIGTERM
			s.t.Error(err)
		}
		return
	}
	select {
	case <-s.done:
	case <-time.After(startTime):
		s.kill()
		s.t.Errorf("the server has not ended within %v of SIGTERM", startTime)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("the server ended with status %d:\n%s", code, s.out.text())
	}
	s.quiet()
}

// quiet wants the server's log to have no error, but for what was done to it.
func (s *server) quiet() {
	s.t.Helper()
	for line := range strings.Lines(s.out.text()) {
		if strings.Contains(line, "level=ERROR") && !s.disturbed || strings.Contains(line, "panic") {
			s.t.Errorf("the server says: %s", line)
		}
	}
}

// greeting is how the server says where it is.
var greeting = regexp.MustCompile(`(?:The registry|A node) is at http://([^\s,]+:\d+)[,.]`)

// output is what a server prints.
type output struct {
	greeted chan string

	mu    sync.Mutex
	all   bytes.Buffer
	known bool
}

func newOutput() *output { return &output{greeted: make(chan string, 1)} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all.Write(p)
	if m := greeting.FindSubmatch(o.all.Bytes()); !o.known && m != nil {
		o.known = true
		o.greeted <- string(m[1])
	}
	return len(p), nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}
