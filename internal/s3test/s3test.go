// Package s3test starts an S3 server for tests: versitygw over a temporary folder, which ends
// with the test, where the program is installed.
package s3test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The credentials of the server, which are also in this process's environment, where the AWS
// SDK looks for them, and so in that of the programs that it starts.
const (
	AccessKeyID     = "AKIAESPLANADETESTING"
	SecretAccessKey = "as-secret-as-it-needs-to-be"
	Region          = "us-east-1"
)

// Server is a running server.
type Server struct {
	program, dir, addr string
	out                bytes.Buffer
	cmd                *exec.Cmd
	n                  int
	mu                 sync.Mutex
}

// environment is what the AWS SDK reads. No file of whoever runs the test is to be read.
var environment = sync.OnceValue(func() (err error) {
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", AccessKeyID}, {"AWS_SECRET_ACCESS_KEY", SecretAccessKey}, {"AWS_REGION", Region},
		{"AWS_CONFIG_FILE", os.DevNull}, {"AWS_SHARED_CREDENTIALS_FILE", os.DevNull}, {"AWS_EC2_METADATA_DISABLED", "true"},
	} {
		if err = os.Setenv(v[0], v[1]); err != nil {
			return err
		}
	}
	return nil
})

// Start starts a server, or skips the test where there is no program for it, but for CI,
// which has it.
func Start(t testing.TB) *Server {
	t.Helper()
	program := find()
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("versitygw is not installed")
		}
		t.Skip("versitygw is not installed")
	}
	if err := environment(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{program: program, dir: t.TempDir(), addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.Launch(t)
	t.Cleanup(s.Stop)
	return s
}

// Launch starts the server again after [Server.Stop].
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	// In extended attributes, where it keeps them by default, what it notes of an object of more
	// than some 400 parts does not fit on ext4.
	notes := s.folder(t, "notes")
	s.cmd = exec.Command(s.program, "--port", s.addr, "--region", Region, "posix", "--sidecar", notes, s.folder(t, "buckets"))
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+AccessKeyID, "ROOT_SECRET_KEY="+SecretAccessKey)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Stop()
			t.Fatalf("versitygw does not start:\n%s", s.out.String())
		}
	}
}

func (s *Server) folder(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Stop ends the server at once, as a power cut would.
func (s *Server) Stop() {
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	s.cmd.Wait()         //nolint:errcheck // it was killed
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.addr }

// Bucket makes a bucket and returns its URL, for storage/gocloud/s3.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.n++
	name := "test" + strconv.Itoa(s.n)
	s.mu.Unlock()
	if err := os.Mkdir(filepath.Join(s.dir, "buckets", name), 0o700); err != nil {
		t.Fatal(err)
	}
	return URL(name, s.addr)
}

// URL is that of a bucket at an address.
func URL(name, addr string) string {
	return fmt.Sprintf("s3://%s?endpoint=http://%s&use_path_style=true&region=%s", name, addr, Region)
}

// find looks where programs are, and where go install puts them.
func find() string {
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path
	}
	out, err := exec.Command("go", "env", "GOPATH").Output()
	if err != nil {
		return ""
	}
	path := filepath.Join(string(bytes.TrimSpace(out)), "bin", "versitygw")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
