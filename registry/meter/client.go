package meter

import "strings"

// Client is a kind of client.
type Client uint8

// The kinds of clients, by what they call themselves.
const (
	Other Client = iota + 1
	Docker
	Containerd
	Podman // and skopeo, buildah, CRI-O: what containers/image speaks for
	BuildKit
	Crane // and all that uses go-containerregistry: ko, kaniko, cosign
	Regctl
	ORAS
	Helm
	Browser
	Script // curl, wget, HTTP libraries
)

var clientNames = [...]string{
	Other: "other", Docker: "docker", Containerd: "containerd", Podman: "podman", BuildKit: "buildkit", Crane: "crane", Regctl: "regctl", ORAS: "oras",
	Helm: "helm", Browser: "browser", Script: "script",
}

// String returns the name of the kind.
func (c Client) String() string {
	if int(c) < len(clientNames) && clientNames[c] != "" {
		return clientNames[c]
	}
	return clientNames[Other]
}

// agents tells kinds by what a user agent begins with, the first that fits; BuildKit and docker
// call themselves by more than one product.
var agents = []struct {
	prefix string
	kind   Client
}{
	{"buildkit/", BuildKit}, {"docker/", Docker}, {"docker-", Docker}, {"containerd/", Containerd}, {"nerdctl", Containerd}, {"stargz", Containerd},
	{"containers/", Podman}, {"skopeo/", Podman}, {"buildah/", Podman}, {"libpod/", Podman}, {"cri-o/", Podman},
	{"crane/", Crane}, {"go-containerregistry", Crane}, {"ko/", Crane}, {"kaniko/", Crane}, {"cosign/", Crane},
	{"regclient/", Regctl}, {"regctl/", Regctl}, {"oras", ORAS}, {"helm/", Helm},
	{"mozilla/", Browser}, {"curl/", Script}, {"wget/", Script}, {"python", Script}, {"go-http-client/", Script}, {"okhttp/", Script},
}

// longestAgent is the length of the longest prefix.
const longestAgent = 24

// ClientOf tells the kind of client by its user agent.
func ClientOf(userAgent string) Client {
	head := strings.ToLower(userAgent[:min(len(userAgent), longestAgent)])
	for _, a := range agents {
		if strings.HasPrefix(head, a.prefix) {
			return a.kind
		}
	}
	return Other
}
