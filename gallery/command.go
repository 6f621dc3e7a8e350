package gallery

import (
	"fmt"
	"strings"

	"github.com/esplanade-registry/esplanade/manifest"
)

// Command fetches an artifact with one tool.
type Command struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Text  string `json:"text"`
	// Pinned is the same for the digest, so that it always fetches the same bytes; "" where
	// the digest is not known.
	Pinned string `json:"pinned,omitempty"`
}

// Commands returns how to fetch an artifact with the tools that are for its kind. The name
// is host/alias/repository. Where the tool takes both, a pinned reference has tag and digest,
// so that one can still read which version it is; podman, skopeo and Amazon ECS refuse that.
func Commands(kind Kind, name, tag string, d manifest.Digest) (list []Command) {
	at := func(sep, s string) string {
		if s == "" {
			return ""
		}
		return name + sep + s
	}
	tagged := at(":", tag)
	if tagged == "" {
		tagged = at("@", string(d))
	}
	byDigest := at("@", string(d))
	both := byDigest
	if d != "" && tag != "" {
		both = name + ":" + tag + "@" + string(d)
	}
	base := name[strings.LastIndexByte(name, '/')+1:]
	add := func(id, label, format, pinned string) {
		c := Command{ID: id, Label: label, Text: strings.ReplaceAll(format, "REF", tagged)}
		if pinned != "" {
			c.Pinned = strings.ReplaceAll(format, "REF", pinned)
		}
		list = append(list, c)
	}
	switch kind {
	case KindImage:
		add("docker", "docker", "docker pull REF", both)
		add("podman", "podman", "podman pull REF", byDigest)
		add("nerdctl", "nerdctl", "nerdctl pull REF", both)
		add("ctr", "ctr", "ctr images pull REF", both)
		add("crictl", "crictl", "crictl pull REF", both)
		add("crane", "crane", "crane pull REF "+base+".tar", both)
		add("skopeo", "skopeo", "skopeo copy docker://REF dir:"+base, byDigest)
		add("kubernetes", "Kubernetes", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: "+dnsLabel(base)+"\nspec:\n  containers:\n    - name: "+dnsLabel(base)+"\n      image: REF\n", both)
		add("compose", "Compose", "services:\n  "+serviceName(base)+":\n    image: REF\n", both)
		add("ecs", "Amazon ECS", fmt.Sprintf("{\n  \"family\": %q,\n  \"containerDefinitions\": [\n    {\n      \"name\": %q,\n      \"image\": \"REF\",\n      \"memory\": 512,\n      \"essential\": true\n    }\n  ]\n}\n",
			dnsLabel(base), dnsLabel(base)), byDigest)
		add("dockerfile", "Dockerfile", "FROM REF\n", both)
	case KindHelm:
		helm := "oci://" + name
		version := strings.ReplaceAll(tag, "_", "+") // tags cannot have the + of a version
		pull, install := "helm pull "+helm, "helm install "+dnsLabel(base)+" "+helm
		pinned := ""
		if tag != "" {
			pull, install = pull+" --version "+version, install+" --version "+version
		} else {
			pull, install = pull+"@"+string(d), install+"@"+string(d)
		}
		if d != "" {
			pinned = "@" + string(d)
		}
		c := Command{ID: "helm", Label: "helm pull", Text: pull}
		i := Command{ID: "helm-install", Label: "helm install", Text: install}
		if pinned != "" {
			c.Pinned, i.Pinned = "helm pull "+helm+pinned, "helm install "+dnsLabel(base)+" "+helm+pinned
		}
		list = append(list, i, c)
		add("oras", "oras", "oras pull REF", both)
		add("skopeo", "skopeo", "skopeo copy docker://REF dir:"+base, byDigest)
	default:
		add("oras", "oras", "oras pull REF", both)
		add("crane", "crane", "crane manifest REF", both)
		add("skopeo", "skopeo", "skopeo copy docker://REF dir:"+base, byDigest)
	}
	return list
}

// dnsLabel makes a name that Kubernetes, Helm and ECS accept of the last part of a
// repository's: letters, digits and dashes.
func dnsLabel(s string) string {
	s = strings.Trim(strings.NewReplacer("_", "-", ".", "-").Replace(s), "-")
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = "app-" + s
	}
	return strings.TrimRight(s[:min(len(s), 53)], "-")
}

// serviceName makes one that YAML does not take for a number.
func serviceName(s string) string {
	if s = dnsLabel(s); s == "null" || s == "true" || s == "false" || s == "yes" || s == "no" || s == "on" || s == "off" || s == "y" || s == "n" {
		return s + "-app"
	}
	return s
}
