package gallery_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/manifest"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	const name = "r.example/acme/tools/hat_box.2"
	d := manifest.Digest("sha256:" + strings.Repeat("0", 64))
	find := func(kind gallery.Kind, tag string, d manifest.Digest) map[string][2]string {
		list := map[string][2]string{}
		for _, c := range gallery.Commands(kind, name, tag, d) {
			list[c.ID] = [2]string{c.Text, c.Pinned}
		}
		return list
	}
	image := find(gallery.KindImage, "1.2", d)
	want := map[string][2]string{
		"docker":     {"docker pull " + name + ":1.2", "docker pull " + name + ":1.2@" + string(d)},
		"podman":     {"podman pull " + name + ":1.2", "podman pull " + name + "@" + string(d)},
		"nerdctl":    {"nerdctl pull " + name + ":1.2", "nerdctl pull " + name + ":1.2@" + string(d)},
		"ctr":        {"ctr images pull " + name + ":1.2", "ctr images pull " + name + ":1.2@" + string(d)},
		"crictl":     {"crictl pull " + name + ":1.2", "crictl pull " + name + ":1.2@" + string(d)},
		"crane":      {"crane pull " + name + ":1.2 hat_box.2.tar", "crane pull " + name + ":1.2@" + string(d) + " hat_box.2.tar"},
		"skopeo":     {"skopeo copy docker://" + name + ":1.2 dir:hat_box.2", "skopeo copy docker://" + name + "@" + string(d) + " dir:hat_box.2"},
		"dockerfile": {"FROM " + name + ":1.2\n", "FROM " + name + ":1.2@" + string(d) + "\n"},
	}
	for id, c := range want {
		if diff := cmp.Diff(c, image[id]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	for i, text := range image["ecs"] {
		var task struct {
			Family               string
			ContainerDefinitions []struct {
				Name, Image string
				Memory      int
			}
		}
		if err := json.Unmarshal([]byte(text), &task); err != nil || len(task.ContainerDefinitions) != 1 || task.Family != "hat-box-2" {
			t.Fatalf("%v: %s", err, text)
		}
		if got := task.ContainerDefinitions[0].Image; got != []string{name + ":1.2", name + "@" + string(d)}[i] {
			t.Errorf("the task's image is %s", got)
		}
	}
	// without a tag, the digest is all there is; without a digest nothing is pinned
	if got := find(gallery.KindImage, "", d)["docker"]; got[0] != "docker pull "+name+"@"+string(d) {
		t.Errorf("by digest: %q", got)
	}
	if got := find(gallery.KindImage, "1.2", "")["docker"]; got[1] != "" {
		t.Errorf("pinned without a digest: %q", got)
	}
	chart := find(gallery.KindHelm, "1.2.3_build.4", d)
	for id, c := range map[string][2]string{
		"helm":         {"helm pull oci://" + name + " --version 1.2.3+build.4", "helm pull oci://" + name + "@" + string(d)},
		"helm-install": {"helm install hat-box-2 oci://" + name + " --version 1.2.3+build.4", "helm install hat-box-2 oci://" + name + "@" + string(d)},
	} {
		if diff := cmp.Diff(c, chart[id]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	for _, kind := range []gallery.Kind{gallery.KindArtifact, gallery.KindWasm, gallery.KindModel} {
		if got := gallery.Commands(kind, name, "1", d); got[0].ID != "oras" {
			t.Errorf("%s begins with %s", kind, got[0].ID)
		}
	}
}
