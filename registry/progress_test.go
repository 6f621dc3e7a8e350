package registry_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// pipes is a listener of connections in memory, whose deadlines go by the clock of a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// serveInMemory answers on pipes until the test ends.
func serveInMemory(t *testing.T, h http.Handler) *pipes {
	t.Helper()
	l := newPipes()
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { server.Serve(l); close(done) }() //nolint:errcheck // it is closed
	t.Cleanup(func() { server.Close(); <-done })
	return l
}

// What a client does not take, or send, for a minute is not waited for; one that is slow and goes
// on has the time it needs, and the connection is good for the next request.
func TestClientsThatStall(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	layer := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	get := "GET /v2/test/hat/blobs/" + string(manifest.SHA256.FromBytes(layer)) + " HTTP/1.1\r\nHost: registry.test\r\n\r\n"
	for name, pause := range map[string]time.Duration{"slow": 50 * time.Second, "stalled": 2 * time.Minute} {
		t.Run("reader, "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := registrytest.New(t)
				s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
				conn := serveInMemory(t, s).dial()
				defer conn.Close()
				in := bufio.NewReader(conn)
				for range 2 {
					go io.WriteString(conn, get) //nolint:errcheck // what comes is looked at
					resp, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					got := 0
					for piece := make([]byte, 1<<20); err == nil; {
						time.Sleep(pause)
						var n int
						n, err = io.ReadFull(resp.Body, piece)
						got += n
					}
					resp.Body.Close()
					if whole := got == size; whole != (name == "slow") {
						t.Errorf("%d bytes of %d came, %v", got, size, err)
					}
					if name != "slow" {
						return
					}
					time.Sleep(3 * time.Minute) // idle connections have no deadline
				}
			})
		})
		t.Run("writer, "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := registrytest.New(t)
				s.Push("test/hat", registrytest.Image{}, "v1")
				conn := serveInMemory(t, s).dial()
				defer conn.Close()
				head := fmt.Sprintf("POST /v2/test/hat/blobs/uploads/?digest=%s HTTP/1.1\r\nHost: registry.test\r\nContent-Length: %d\r\n", manifest.SHA256.FromBytes(layer), size)
				req, err := http.NewRequestWithContext(t.Context(), "POST", "http://registry.test/", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.SetBasicAuth(registrytest.Username, registrytest.Password)
				go func() {
					io.WriteString(conn, head+"Authorization: "+req.Header.Get("Authorization")+"\r\n\r\n") //nolint:errcheck // what comes is looked at
					for rest := layer; len(rest) > 0; rest = rest[1<<20:] {
						time.Sleep(pause)
						if _, err := conn.Write(rest[:1<<20]); err != nil {
							return
						}
					}
				}()
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if name == "slow" && (err != nil || resp.StatusCode != http.StatusCreated) {
					t.Errorf("%v, %v", resp, err)
				}
				if name != "slow" && err == nil && resp.StatusCode < 400 {
					t.Errorf("%v", resp)
				}
				conn.Close()
				time.Sleep(10 * pause) // until both ends have given up
			})
		})
	}
}

// Who takes a blob slowly takes no place from others.
func TestReadersTakeNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := registrytest.New(t, func(c *registry.Config) { c.MaxRequests = 2 })
		layer := bytes.Repeat([]byte("x"), 1<<20)
		s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
		l := serveInMemory(t, s)
		for range 5 {
			conn := l.dial()
			defer conn.Close()
			go io.WriteString(conn, "GET /v2/test/hat/blobs/"+string(manifest.SHA256.FromBytes(layer))+" HTTP/1.1\r\nHost: registry.test\r\n\r\n") //nolint:errcheck // it does
			if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if status, body := answer(t, s, "GET", "/v2/test/hat/manifests/v1"); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	})
}
