package e2e

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ctr speaks to a containerd. It pulls each time into a new namespace of that, where nothing
// is; so it reads from there too.
type ctr struct {
	unable
	shell
	socket string
	person
	namespaces *atomic.Int64
}

// containerdConfig keeps namespaces apart, or blobs of one would not be pulled into another,
// and leaves out the plugins that nothing here needs.
const containerdConfig = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = %q
[plugins."io.containerd.metadata.v1.bolt"]
  content_sharing_policy = "isolated"
`

func newCtr(t *testing.T, _ string) func(*testing.T, person) session {
	s := newShell(t)
	socket := s.path("containerd.sock")
	config := fmt.Appendf(nil, containerdConfig, s.path("root"), s.path("state"), socket)
	if err := os.WriteFile(s.path("config.toml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, func(*daemon) error { return dial(socket) }, "containerd", "--config", s.path("config.toml"))
	var namespaces atomic.Int64
	return func(t *testing.T, p person) session {
		return ctr{shell: newShell(t), socket: socket, person: p, namespaces: &namespaces}
	}
}

// login only keeps in mind what every command says anew.
func (s ctr) login(*testing.T) error { return nil }

// args returns the start of a command in a namespace.
func (s ctr) args(namespace string, command ...string) []string {
	return append([]string{"ctr", "--address", s.socket, "--namespace", namespace}, command...)
}

// images returns the start of a command that speaks to the registry.
func (s ctr) images(namespace, command string) []string {
	args := s.args(namespace, "images", command, "--plain-http")
	if s.user != "" {
		args = append(args, "--user", s.user+":"+s.password)
	}
	return args
}

func (s ctr) namespace() string { return fmt.Sprint("n", s.namespaces.Add(1)) }

func (s ctr) push(t *testing.T, ref string, f *fixture) (digest.Digest, error) {
	in := feeding(func(w io.Writer) error {
		out := tar.NewWriter(w)
		if err := out.AddFS(os.DirFS(string(f.layout))); err != nil {
			return err
		}
		return out.Close()
	})
	defer in.Close()
	// The name within the archive follows the base name.
	namespace, base := s.namespace(), "fixture.example/fixture"
	if _, err := s.feed(t, in, s.args(namespace, "images", "import", "--all-platforms", "--no-unpack", "--base-name", base, "-")...); err != nil {
		return "", err
	}
	if _, err := s.run(t, append(s.images(namespace, "push"), ref, base+":"+refName)...); err != nil {
		return "", err
	}
	d, err := s.target(t, namespace, base+":"+refName)
	return d.Digest, err
}

// target returns what an image's name leads to.
func (s ctr) target(t *testing.T, namespace, name string) (ocispec.Descriptor, error) {
	out, err := s.run(t, s.args(namespace, "images", "list", "name=="+name)...)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	_, row, _ := strings.Cut(out, "\n") // below the heading: name, type, digest, size, ...
	fields := strings.Fields(row)
	if len(fields) < 3 {
		return ocispec.Descriptor{}, fmt.Errorf("no image %s in %s", name, out)
	}
	return ocispec.Descriptor{MediaType: fields[1], Digest: digest.Digest(fields[2])}, nil
}

func (s ctr) pull(t *testing.T, ref string) (pulled, error) {
	namespace := s.namespace()
	if _, err := s.run(t, append(s.images(namespace, "pull"), "--all-platforms", "--snapshotter", "native", ref)...); err != nil {
		return pulled{}, err
	}
	d, err := s.target(t, namespace, ref)
	if err != nil {
		return pulled{}, err
	}
	store := ctrContent{s, t, namespace}
	raw, err := store.open(d)
	if err != nil {
		return pulled{}, err
	}
	if d.Size, err = io.Copy(io.Discard, raw); err != nil {
		return pulled{}, err
	}
	c, err := readContent(store, d)
	return pulled{[]digest.Digest{d.Digest}, c}, err
}

func (s ctr) attach(t *testing.T, repo string, subject ocispec.Descriptor) (digest.Digest, error) {
	return attachByPush(t, s, repo, subject)
}

// ctrContent is the source that a namespace is.
type ctrContent struct {
	ctr
	t         *testing.T
	namespace string
}

func (s ctrContent) open(d ocispec.Descriptor) (io.ReadCloser, error) {
	return s.read(s.t, s.args(s.namespace, "content", "get", d.Digest.String())...)
}
