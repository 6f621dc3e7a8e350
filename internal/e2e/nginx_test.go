package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/registry/meter"
)

// mirror is an nginx before a registry, with the configuration that people are given.
type mirror struct {
	host  string
	cache string // the folder
	log   string // the file
	down  string // the file of what was taken down
	nginx *daemon
	*origin
}

// nginxFiles is where the configuration and what tells of it are.
const nginxFiles = "../../examples/nginx"

// newMirror starts it with the file as it is, but for the addresses and folders in it.
func newMirror(t *testing.T, o *origin) *mirror {
	t.Helper()
	needs(t, installed("nginx"), "nginx")
	s := newShell(t)
	m := &mirror{origin: o, cache: s.path("cache/registry"), log: s.path("log/registry.log"), down: s.path("etc/takedowns.map")}
	raw, err := os.ReadFile(filepath.Join(nginxFiles, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"cache", "log", "etc"} {
		if err := os.Mkdir(s.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.host = freeAddress(t)
	text := string(raw)
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("\n%s_temp_path %s;", kind, s.path(kind))
	}
	for _, change := range [][2]string{
		{"worker_processes auto;", "worker_processes 1;"}, // so that the log is in order
		{"listen 80;", "listen " + m.host + ";"}, {"127.0.0.1:5000", o.host}, {"/var/cache/nginx", s.path("cache")}, {"/var/log/nginx", s.path("log")}, {"/etc/nginx", s.path("etc")},
		{"\nhttp {", "\nhttp {" + temp},
	} {
		if strings.Count(text, change[0]) != 1 {
			t.Fatalf("nginx.conf has %q %d times, want it once", change[0], strings.Count(text, change[0]))
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	if err := os.WriteFile(s.path("nginx.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	main := fmt.Sprintf("daemon off; pid %s; error_log stderr warn;", s.path("nginx.pid"))
	if os.Geteuid() == 0 {
		main += " user root;" // the folders are of nobody else
	}
	m.nginx = s.start(t, func(*daemon) error {
		conn, err := net.Dial("tcp", m.host)
		if err != nil {
			return err
		}
		return conn.Close()
	}, "nginx", "-p", s.dir, "-c", s.path("nginx.conf"), "-e", "stderr", "-g", main)
	if log := m.nginx.printed(); strings.Contains(log, "[warn]") {
		t.Errorf("nginx says of its configuration: %s", log)
	}
	return m
}

// freeAddress returns one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// lines waits until the log has n lines of a repository and returns them: nginx writes a
// line once the client has its answer. Where n is less than 0 it waits for nothing.
func (m *mirror) lines(t *testing.T, repo string, n int) (list []meter.Line) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		raw, err := os.ReadFile(m.log)
		if err != nil {
			t.Fatal(err)
		}
		list = nil
		for text := range bytes.Lines(raw) {
			var l meter.Line
			if err := json.Unmarshal(text, &l); err != nil {
				if !bytes.HasSuffix(text, []byte("\n")) {
					continue // it is being written
				}
				t.Fatalf("%v: %s", err, text)
			}
			if strings.HasPrefix(l.Path, "/v2/"+repo+"/") {
				list = append(list, l)
			}
		}
		if len(list) >= n || time.Now().After(deadline) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n >= 0 && len(list) != n {
		t.Fatalf("the log has %d lines of %s, want %d: %v", len(list), repo, n, list)
	}
	return list
}

// stored returns the keys of what the cache has, as its files tell.
func (m *mirror) stored(t *testing.T) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	err := filepath.WalkDir(m.cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, after, _ := bytes.Cut(raw, []byte("\nKEY: "))
		key, _, _ := bytes.Cut(after, []byte("\n"))
		keys[string(key)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// settled returns the lines of a repository once there are no more of them: a client that has
// what it asked for may be ahead of the log.
func (m *mirror) settled(t *testing.T, repo string) []meter.Line {
	t.Helper()
	m.ask(t, "GET", "/v2/"+repo+"/settled")
	for range 3000 {
		list := m.lines(t, repo, -1)
		if n := len(list); n > 0 && list[n-1].Path == "/v2/"+repo+"/settled" {
			return list[:n-1]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the log lags behind")
	return nil
}
