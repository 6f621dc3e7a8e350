package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// TestMirrorPush has every client log in and push through nginx; and again once the
// repository is gone, though the cache still has all of it: nobody may be told then that the
// registry has what it has not.
func TestMirrorPush(t *testing.T) {
	t.Parallel()
	m := newMirror(t, newOrigin(t, sharedFor(time.Hour)))
	t.Run("clients", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				c.needed(t)
				t.Parallel()
				v := &visit{client: c, host: m.host, repo: owner.Alias + "/pushed/" + c.name}
				v.owner = c.open(t, m.host)(t, owner.person())
				if err := v.owner.login(t); err != nil {
					t.Fatal(err)
				}
				f := newFixture(t, v.repo, here)
				for i := range 2 {
					p, err := v.publish(t, v.repo, "1.0.0", f) // and reads it back through nginx
					if err != nil {
						t.Fatal(err)
					}
					direct := wire{t, m.origin.host, v.repo}
					if diff := cmp.Diff(v.owner.expect(f), direct.content(p.byTag())); diff != "" {
						t.Errorf("content of push %d (-made +in the registry):\n%s", i, diff)
					}
					if i == 0 {
						_, name, _ := strings.Cut(v.repo, "/")
						if _, err := m.ownerActor().DeleteRepository(t.Context(), owner.Alias+"/"+name, true); err != nil {
							t.Fatal(err)
						}
					}
				}
			})
		}
	})
	if log := m.nginx.printed(); strings.Contains(log, "buffered to a temporary file") {
		t.Errorf("a push was kept on disk on its way: %s", log)
	}
}

// takeDown writes the paths of an event where nginx reads what it is not to serve, in the way
// that the README tells.
func (m *mirror) takeDown(t *testing.T, paths []string) {
	t.Helper()
	text := ""
	for _, p := range paths {
		if strings.HasSuffix(p, "/") {
			p = "~^" + p
		}
		text += `"` + p + `" 1;` + "\n"
	}
	if err := os.WriteFile(m.down, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.nginx.cmd.Process.Signal(syscall.SIGHUP); err != nil { // nginx -s reload
		t.Fatal(err)
	}
}

// TestMirrorTakedown suspends what the cache has: with the paths of the event nginx asks the
// registry about it again, and serves it as before when it is restored.
func TestMirrorTakedown(t *testing.T) {
	t.Parallel()
	layer := []byte("layer")
	for name, target := range map[string]func(image, layer string) registry.Target{
		"account": func(string, string) registry.Target { return registry.Target{Account: registrytest.Account} },
		"alias":   func(string, string) registry.Target { return registry.Target{Alias: registrytest.Alias} },
		"repository": func(string, string) registry.Target {
			return registry.Target{Account: registrytest.Account, Repository: "hat"}
		},
		"manifest":        func(image, _ string) registry.Target { return registry.Target{Digest: manifest.Digest(image)} },
		"blob":            func(_, layer string) registry.Target { return registry.Target{Digest: manifest.Digest(layer)} },
		"blob everywhere": func(_, layer string) registry.Target { return registry.Target{Digest: manifest.Digest(layer)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t, sharedFor(time.Hour))
			m := newMirror(t, o)
			var told []event.Event
			o.Follow(func(e event.Event) {
				if e.Type == event.Suspended || e.Type == event.Restored {
					told = append(told, e)
				}
			})
			image := o.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1")
			o.Push("test/hatbox", registrytest.Image{}, "v1")
			l := string(image.Digest.Algorithm().FromBytes(layer))
			paths := []string{"/v2/test/hat/manifests/v1", "/v2/test/hat/manifests/" + string(image.Digest), "/v2/test/hat/blobs/" + l, "/v2/test/hatbox/manifests/v1"}
			statuses := func(host string) (list []int) {
				for _, p := range paths {
					list = append(list, ask(t, http.DefaultClient, "GET", "http://"+host+p).status)
				}
				return list
			}
			// same waits until nginx answers as the registry does.
			same := func(what string) {
				t.Helper()
				want, got := statuses(o.host), []int(nil)
				for range 500 {
					if got = statuses(m.host); cmp.Equal(want, got) {
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
				t.Fatalf("%s: nginx answers %v, the registry %v", what, got, want)
			}
			same("at first")
			tt := target(string(image.Digest), l)
			if err := o.Suspend(t.Context(), registry.Suspension{Target: tt, Reason: "court order 7", By: "ann"}); err != nil {
				t.Fatal(err)
			}
			if cmp.Equal(statuses(m.host), statuses(o.host)) {
				t.Fatal("the cache has nothing to forget")
			}
			down := told[0].Paths
			if name == "blob everywhere" { // as if the event were Incomplete
				down = []string{"~/" + l + `\z`}
			}
			m.takeDown(t, down)
			same("suspended")
			if err := o.Restore(t.Context(), tt, "ann"); err != nil {
				t.Fatal(err)
			}
			same("restored")
			m.takeDown(t, nil)
			same("restored, with the file empty")
		})
	}
}

// TestMirrorForgets removes the file of a key as the README tells, which makes nginx forget it.
func TestMirrorForgets(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, sharedFor(time.Hour))
	m := newMirror(t, o)
	image := o.Push("test/hat", registrytest.Image{}, "v1")
	path := "/v2/test/hat/manifests/" + string(image.Digest)
	m.ask(t, "GET", path)
	if err := o.Owner().DeleteManifest(t.Context(), "test/hat", image.Digest); err != nil {
		t.Fatal(err)
	}
	if a := m.ask(t, "GET", path); a.status != 200 || a.cache() != "HIT" {
		t.Errorf("deleted: %d by %s; the cache is to have it until it is told", a.status, a.cache())
	}
	if _, err := newShell(t).run(t, "sh", "-c", m.removal(t, path)); err != nil {
		t.Fatal(err)
	}
	if a := m.ask(t, "GET", path); a.status != 404 {
		t.Errorf("forgotten: %d by %s", a.status, a.cache())
	}
}

// removal is the script of the README that removes what is at a path.
func (m *mirror) removal(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(nginxFiles, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "```sh\nkey=")
	script, _, end := strings.Cut(rest, "```")
	_, script, line := strings.Cut(script, "\n")
	if !ok || !end || !line || !strings.Contains(script, "/var/cache/nginx/registry/") {
		t.Fatal("the README has no script that removes a file")
	}
	return "set -eu\nkey=" + path + "\n" + strings.ReplaceAll(script, "/var/cache/nginx/registry", m.cache)
}
