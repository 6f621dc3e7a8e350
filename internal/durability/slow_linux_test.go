package durability

import (
	"bufio"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

var slowConns = flag.Int("slow", 0, "how many connections of each kind TestSlowClients holds, and waits for those to be closed that send no request; 0: 400, and it does not wait")

// slowBytes is how much of the server's memory a connection that does not get on may hold.
const slowBytes = 64 << 10

// slow is connections that do not get on.
type slow struct {
	t     *testing.T
	host  string
	login string // the header that says who it is
	large blob
	conns []net.Conn
}

func (s *slow) dial() net.Conn {
	d := net.Dialer{Timeout: requestTime, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) }) //nolint:errcheck // the kernel's memory alone
	}}
	c, err := d.DialContext(s.t.Context(), "tcp", s.host)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(soonTime)); err != nil {
		s.t.Fatal(err)
	}
	s.conns = append(s.conns, c)
	return c
}

func (s *slow) write(c net.Conn, format string, args ...any) {
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		s.t.Fatal(err)
	}
}

// wantStatus reads no more of an answer than how it begins.
func (s *slow) wantStatus(c net.Conn, want int) {
	s.t.Helper()
	var b [len("HTTP/1.1 200")]byte
	if _, err := io.ReadFull(c, b[:]); err != nil || string(b[:]) != fmt.Sprint("HTTP/1.1 ", want) {
		s.t.Fatalf("%s, %v, want status %d", b[:], err, want)
	}
}

// close ends all connections, and waits until the server has too.
func (s *slow) close(server *server) {
	s.t.Helper()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
	soon(s.t, "the server has closed its connections", func() bool {
		sockets := 0
		names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", server.cmd.Process.Pid))
		for _, name := range names {
			if to, err := os.Readlink(name); err == nil && len(to) > 7 && to[:7] == "socket:" {
				sockets++
			}
		}
		return sockets <= 2
	})
}

const slowRepo = "hatters/slow"

// header sends one, byte by byte, which never ends.
func (s *slow) header(n int) {
	const text = "GET /v2/ HTTP/1.1\r\nHost: registry.example\r\nX-Nothing: "
	var all []net.Conn
	for range n {
		all = append(all, s.dial())
	}
	for i := range text {
		for _, c := range all {
			s.write(c, "%c", text[i])
		}
	}
}

// longHeader sends nearly as much of one as the server takes, and not its end.
func (s *slow) longHeader(n int) {
	for range n {
		s.write(s.dial(), "GET /v2/ HTTP/1.1\r\nHost: registry.example\r\nX-Nothing: %022000d", 0)
	}
}

// reads asks for a large blob and reads no more of it than a status.
func (s *slow) reads(status int, header string) func(n int) {
	return func(n int) {
		for range n {
			c := s.dial()
			s.write(c, "GET /v2/%s/blobs/%s HTTP/1.1\r\nHost: registry.example\r\n%s\r\n", slowRepo, s.large.digest, header)
			s.wantStatus(c, status)
		}
	}
}

// sends begins an upload, and stalls after a number of bytes.
func (s *slow) sends(length string, body []byte) func(n int) {
	return func(n int) {
		for range n {
			c := s.dial()
			s.write(c, "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\nHost: registry.example\r\n%s\r\nContent-Length: 0\r\n\r\n", slowRepo, s.login)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != http.StatusAccepted {
				s.t.Fatalf("an upload is begun: %v, %v", res, err)
			}
			s.write(c, "PATCH %s HTTP/1.1\r\nHost: registry.example\r\n%s\r\n%s\r\n\r\n%s", res.Header.Get("Location"), s.login, length, body)
		}
	}
}

// Connections that send or read slowly, or not at all, hold little memory, whatever they were about to do.
func TestSlowClients(t *testing.T) {
	n := *slowConns
	if n == 0 {
		n = 400
	}
	rng := rand.New(rand.NewPCG(newSeed(t), 0))
	dir := newFolder(t)
	large := newBlob(rng, 32<<20)
	before := start(t, dir)
	c := newClient(before.host, nil)
	if err := c.whole(t.Context(), slowRepo, large); err != nil {
		t.Fatal(err)
	}
	c.close()
	before.stop(before.cmd.Process)
	body := newBlob(rng, 512<<10).bytes()
	chunked := fmt.Appendf(nil, "%x\r\n%s", len(body)*2, body)
	s := &slow{t: t, large: large, login: "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(owner.AccessKeyID+":"+owner.SecretAccessKey))}
	for _, c := range []struct {
		name string
		hold func(n int)
		// unheard are those that have sent no request, of which the server must keep what came.
		unheard bool
	}{
		{name: "sends a header byte by byte", hold: s.header, unheard: true},
		{name: "sends a header of 22 KB", hold: s.longHeader, unheard: true},
		{name: "reads nothing of a blob", hold: s.reads(http.StatusOK, "")},
		{name: "reads nothing of a range", hold: s.reads(http.StatusPartialContent, "Range: bytes=1000-\r\n")},
		{name: "reads nothing of several ranges", hold: s.reads(http.StatusPartialContent, "Range: bytes=0-9999999,20000000-29999999\r\n")},
		{name: "sends nothing of a chunk", hold: s.sends("Content-Length: 1000000", nil)},
		{name: "sends a little of a chunk", hold: s.sends("Content-Length: 1000000", body[:1000])},
		{name: "sends half of a chunk", hold: s.sends("Content-Length: 1000000", body)},
		{name: "sends as much as is read at first", hold: s.sends("Content-Length: 1000000", body[:8<<10])},
		{name: "sends half of a chunk of no known length", hold: s.sends("Transfer-Encoding: chunked", chunked)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			server := start(t, dir)
			s.host = server.host
			pid := server.cmd.Process.Pid
			c.hold(10) // what is allocated once
			s.close(server)
			steady(t, pid)
			was := memory(pid, "VmRSS")
			begun := time.Now()
			c.hold(n)
			now := steady(t, pid)
			each := (now - was) / int64(n)
			t.Logf("%d connections: %d KiB of memory before, %d KiB with them, %d KiB each", n, was>>10, now>>10, each>>10)
			if each > slowBytes {
				t.Errorf("a connection that %s holds %d bytes of memory, want %d at most", c.name, each, slowBytes)
			}
			// the others are served
			other := newClient(server.host, nil)
			wantStatus(t, other, http.StatusOK, "GET", "/v2/")
			other.close()
			if c.unheard && *slowConns > 0 {
				var wg sync.WaitGroup
				for _, conn := range s.conns {
					wg.Go(func() {
						if _, err := io.Copy(io.Discard, conn); err != nil && !isReset(err) {
							t.Errorf("a connection that sent no request: %v", err)
						}
					})
				}
				wg.Wait()
				t.Logf("all were closed within %v", time.Since(begun).Round(time.Millisecond))
			}
			s.close(server)
			server.stop(server.cmd.Process)
		})
	}
}

func isReset(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && !op.Timeout()
}

// steady waits until the memory of a process does not grow any more, and returns it.
func steady(t *testing.T, pid int) (now int64) {
	t.Helper()
	same := 0
	soon(t, "the memory of the server is steady", func() bool {
		time.Sleep(50 * time.Millisecond)
		last := now
		now = memory(pid, "VmRSS")
		if same++; now > last+128<<10 || now == 0 {
			same = 0
		}
		return same >= 6
	})
	return now
}
