package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/gallery"
)

// plain is the flag by which each tool speaks HTTP, which the gallery's commands do not
// have, and the word of the command that it stands behind. Some do so to 127.0.0.1 unasked.
var plain = map[string][2]string{
	"podman": {"pull", "--tls-verify=false"}, "ctr": {"pull", "--plain-http"}, "skopeo": {"copy", "--src-tls-verify=false"}, "helm": {"pull", "--plain-http"},
}

// TestPullCommands has every tool that is here do what the gallery tells people to write.
func TestPullCommands(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the server is stopped by SIGTERM, which Windows does not have")
	}
	host := startServer(t)
	const tag = "1.0.0"
	image, chart := host+"/"+owner.Alias+"/e2e/commands", host+"/"+owner.Alias+"/e2e/chart"
	f := newFixture(t, "commands", here)
	f.makeLayout(t)
	pusher := newOras(t, host)(t, owner.person())
	if err := pusher.login(t); err != nil {
		t.Fatal(err)
	}
	d, err := pusher.push(t, image+":"+tag, f)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]func(*testing.T) session{}
	for _, c := range clients {
		if why := c.missing(); why == "" {
			start := c.open(t, host)
			open[c.name] = func(t *testing.T) session { return start(t, person{}) }
		}
	}
	for _, c := range gallery.Commands(gallery.KindImage, image, tag, d) {
		tryCommand(t, open, c)
	}
	t.Run("chart", func(t *testing.T) {
		needs(t, open["helm"] != nil, "helm")
		h := open["helm"](t).(helm)
		h.person = owner.person()
		if err := h.login(t); err != nil {
			t.Fatal(err)
		}
		d, err := h.push(t, chart+":"+tag, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range gallery.Commands(gallery.KindHelm, chart, tag, d) {
			if c.ID == "helm" {
				tryCommand(t, open, c)
			}
		}
	})
}

// needs skips a test where a program is missing, but for CI, which has all.
func needs(t *testing.T, has bool, program string) {
	t.Helper()
	if has {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(program + " is not installed")
	}
	t.Skip(program + " is not installed")
}

// installed reports whether a program is here.
func installed(program string) bool { _, err := exec.LookPath(program); return err == nil }

// tryCommand runs a command by tag and by digest, as the tool would be run in a shell, but
// for HTTP; files are read by the tool that they are for. nerdctl, crictl and oras cannot be
// installed here; what they are told is a reference as ctr takes it.
func tryCommand(t *testing.T, open map[string]func(*testing.T) session, c gallery.Command) {
	for kind, text := range map[string]string{"tag": c.Text, "digest": c.Pinned} {
		file := func(t *testing.T, name string) string {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		// try returns a tool's surroundings and what to run there.
		try := map[string]func(t *testing.T, args []string) (shell, []string){
			"docker": func(t *testing.T, args []string) (shell, []string) {
				needs(t, open["docker"] != nil, "docker")
				return open["docker"](t).(docker).shell, args
			},
			"dockerfile": func(t *testing.T, _ []string) (shell, []string) {
				needs(t, open["docker"] != nil, "docker")
				return open["docker"](t).(docker).shell, []string{"docker", "build", filepath.Dir(file(t, "Dockerfile"))}
			},
			"podman": func(t *testing.T, args []string) (shell, []string) {
				needs(t, open["podman"] != nil, "podman")
				p := open["podman"](t).(podman)
				return p.shell, p.within(newFolder(t), args[1:]...)
			},
			"ctr": func(t *testing.T, args []string) (shell, []string) {
				needs(t, open["ctr"] != nil, "ctr")
				o := open["ctr"](t).(ctr)
				return o.shell, o.args(o.namespace(), slices.Insert(args[1:], 2, "--snapshotter", "native")...)
			},
			"crane": func(t *testing.T, args []string) (shell, []string) {
				needs(t, installed("crane"), "crane")
				return newShell(t), args
			},
			"skopeo": func(t *testing.T, args []string) (shell, []string) {
				needs(t, installed("skopeo"), "skopeo")
				return newShell(t), args
			},
			"helm": func(t *testing.T, args []string) (shell, []string) { return newShell(t), args },
			"kubernetes": func(t *testing.T, _ []string) (shell, []string) {
				needs(t, installed("kubectl"), "kubectl")
				return newShell(t), []string{"kubectl", "label", "--local", "--filename", file(t, "pod.yaml"), "read=yes", "--output", "yaml"}
			},
			"compose": func(t *testing.T, _ []string) (shell, []string) {
				needs(t, installed("docker-compose"), "docker-compose")
				return newShell(t), []string{"docker-compose", "--file", file(t, "compose.yaml"), "config"}
			},
		}[c.ID]
		if try == nil {
			continue
		}
		t.Run(c.ID+"/"+kind, func(t *testing.T) {
			s, args := try(t, strings.Fields(text))
			if flag, ok := plain[c.ID]; ok {
				args = slices.Insert(args, slices.Index(args, flag[0])+1, flag[1])
			}
			out, err := s.run(t, args...)
			if err != nil {
				t.Error(err)
			}
			if read := c.ID == "kubernetes" || c.ID == "compose"; read && !strings.Contains(out, "image: ") {
				t.Errorf("the tool read no image: %s", out)
			}
		})
	}
}
