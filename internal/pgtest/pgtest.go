//go:build unix

// Package pgtest starts PostgreSQL for tests: a server of its own in a temporary folder, that
// ends with the test, where the programs of a server are installed.
package pgtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a running server.
type Server struct {
	dir, bin string
	port     int
	who      *syscall.Credential // nil: who runs the test
	n        int
	mu       sync.Mutex
}

// Start starts a server, or skips the test where there are no programs for it, but for CI,
// which has them.
func Start(t testing.TB) *Server {
	t.Helper()
	bin := programs()
	if bin == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PostgreSQL's server is not installed")
		}
		t.Skip("PostgreSQL's server is not installed")
	}
	// not t.TempDir, whose parents another user may not enter
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir, bin: bin}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // it is in the temporary folder
	if os.Geteuid() == 0 {
		s.who = unprivileged(t)
		if err := os.Chown(dir, int(s.who.Uid), int(s.who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, "initdb", "--pgdata", s.data(), "--username", "test", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	s.port = freePort(t)
	s.Launch(t)
	t.Cleanup(func() { s.Stop(t, "immediate") })
	return s
}

// Launch starts the server again after [Server.Stop].
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	options := fmt.Sprintf("-c listen_addresses=127.0.0.1 -c port=%d -c unix_socket_directories=%s -c max_connections=200 -c fsync=off", s.port, s.dir)
	s.run(t, "pg_ctl", "--pgdata", s.data(), "--log", filepath.Join(s.dir, "log"), "--options", options, "--wait", "start")
}

// Stop stops the server: smart, fast or immediate, as pg_ctl has it.
func (s *Server) Stop(t testing.TB, mode string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.data(), "postmaster.pid")); err == nil {
		s.run(t, "pg_ctl", "--pgdata", s.data(), "--mode", mode, "--wait", "stop")
	}
}

// Database makes a database and returns how to connect to it.
func (s *Server) Database(t testing.TB) (dsn string) {
	t.Helper()
	s.mu.Lock()
	s.n++
	name := "test" + strconv.Itoa(s.n)
	s.mu.Unlock()
	s.run(t, "createdb", "--host", "127.0.0.1", "--port", strconv.Itoa(s.port), "--username", "test", name)
	return fmt.Sprintf("postgres://test@127.0.0.1:%d/%s?sslmode=disable", s.port, name)
}

// Dump writes a database into a file, as a backup does while it is in use.
func (s *Server) Dump(t testing.TB, dsn string) (path string) {
	t.Helper()
	s.mu.Lock()
	s.n++
	path = filepath.Join(s.dir, fmt.Sprintf("dump%d", s.n))
	s.mu.Unlock()
	s.run(t, "pg_dump", "--dbname", dsn, "--format", "custom", "--file", path)
	return path
}

// Restore fills an empty database of this server, or of another, from a file of [Server.Dump].
func (s *Server) Restore(t testing.TB, path, dsn string) {
	t.Helper()
	s.run(t, "pg_restore", "--dbname", dsn, "--exit-on-error", path)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) run(t testing.TB, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	if s.who != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.who}
	}
	// a file, because the server inherits it and a pipe would stay open
	out, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("out-%s-%d", program, time.Now().UnixNano())))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name()) //nolint:errcheck // the error above says enough
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, said)
	}
}

// programs returns the folder of the newest server that is installed.
func programs() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") //nolint:errcheck // the pattern is a valid one
	slices.SortFunc(found, func(a, b string) int { return len(a) - len(b) })
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

// unprivileged returns somebody who is not root, as whom the server refuses to run.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatal("there is no user to run PostgreSQL as")
	return nil
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
