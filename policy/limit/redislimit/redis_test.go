package redislimit_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server of a test's own, which ends with it.
type server struct {
	program, dir, addr, port string
	out                      bytes.Buffer
	cmd                      *exec.Cmd
}

// start starts a server on a port that is free, or skips the test where there is no program
// for it, but for CI, which has it.
func start(t testing.TB) *server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not installed")
		}
		t.Skip("redis-server is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{program: program, dir: t.TempDir(), addr: l.Addr().String()}
	if _, s.port, err = net.SplitHostPort(s.addr); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.launch(t)
	t.Cleanup(s.stop)
	return s
}

// launch starts the server, again after stop, with nothing in it.
func (s *server) launch(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.program, "--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no")
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for c.Ping(ctx).Err() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.stop()
			t.Fatalf("redis-server does not start:\n%s", s.out.String())
		}
	}
}

// stop ends the server at once.
func (s *server) stop() {
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	s.cmd.Wait()         //nolint:errcheck // it was killed
}

// client returns a client as hosts make them, which waits for seconds if it is let.
func (s *server) client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.addr})
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // nothing is lost
	return c
}
