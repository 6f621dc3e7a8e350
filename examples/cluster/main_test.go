//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/internal/s3test"
)

func TestParse(t *testing.T) {
	t.Setenv(databaseVariable, "")
	t.Setenv(bucketVariable, "s3://of-the-environment")
	base := options{database: "postgres://x", bucket: "s3://of-the-environment", addr: "127.0.0.1:5000", nodes: 3, grace: 24 * time.Hour}
	with := func(f func(*options)) options { o := base; f(&o); return o }
	for args, want := range map[string]options{
		"-database postgres://x":                              base,
		"-database postgres://x -bucket s3://b":               with(func(o *options) { o.bucket = "s3://b" }),
		"-database postgres://x -nodes 1 -addr :80 -grace 1h": with(func(o *options) { o.nodes, o.addr, o.grace = 1, ":80", time.Hour }),
		"-database postgres://x -trusted-proxies 10.0.0.0/8,::1": with(func(o *options) {
			o.proxies, o.trusted = "10.0.0.0/8,::1", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		}),
		"-database postgres://x -create-account acme -public-url u ": with(func(o *options) { o.create, o.publicURL = "acme", "u" }),
		"":                       {},
		"-database x -nodes 0":   {},
		"-database x -nodes 101": {},
		"-database x -grace 0":   {},
		"-database x more":       {},
		"-database x -trusted-proxies 10.0.0.0/8,all": {},
	} {
		got, err := parse(strings.Fields(args), io.Discard)
		if (err != nil) != (want.database == "") {
			t.Errorf("%q: %v", args, err)
		}
		if err == nil {
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("%q (-want +got):\n%s", args, diff)
			}
		}
	}
	if err := run(t.Context(), []string{"-help"}, io.Discard, io.Discard); err != nil || errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
}

func TestAddressesOfNodes(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{":5000": ":5002", "[::1]:80": "[::1]:82", "127.0.0.1:0": "127.0.0.1:0", "5000": "", "a:b": "", "a:70000": ""} {
		if got, err := addrOf(addr, 2); got != want || (err != nil) != (want == "") {
			t.Errorf("the third node after %s is at %s, %v; want %s", addr, got, err, want)
		}
	}
}

// client has connections of its own: those of the default one are closed by each httptest server
// that ends.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}

// bin is where the program is built, for as long as the tests run.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	os.RemoveAll(dir) //nolint:errcheck // it is a temporary folder
	os.Exit(code)
}

// program builds the program, once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(bin, "cluster")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func build(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	nodeLine     = regexp.MustCompile(`A node is at http://([^\s]+)\.$`)
	aliasLine    = regexp.MustCompile(`with the alias (\S+)\. `)
	userLine     = regexp.MustCompile(`^  user      (\S+)$`)
	passwordLine = regexp.MustCompile(`^  password  (\S+)$`)
)

// One command starts three nodes; what one is given, another has; and all end with it.
func TestThreeNodes(t *testing.T) {
	t.Parallel()
	dsn, bucketURL := pgtest.Start(t).Database(t), s3test.Start(t).Bucket(t)
	cmd := exec.Command(build(t), "-database", dsn, "-bucket", bucketURL, "-addr", "127.0.0.1:0")
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // they have ended
	var hosts []string
	var alias, user, password string
	find := func(re *regexp.Regexp, line string, into *string) {
		if m := re.FindStringSubmatch(line); m != nil {
			*into = m[1]
		}
	}
	lines := bufio.NewScanner(out)
	for (len(hosts) < 3 || password == "") && lines.Scan() {
		var host string
		if find(nodeLine, lines.Text(), &host); host != "" {
			hosts = append(hosts, host)
		}
		find(aliasLine, lines.Text(), &alias)
		find(userLine, lines.Text(), &user)
		find(passwordLine, lines.Text(), &password)
	}
	if len(hosts) != 3 {
		t.Fatalf("nodes %v, account %s %s; log:\n%s", hosts, alias, user, log.String())
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // what else it says
	open := func(host string) *remote.Repository {
		repo, err := remote.NewRepository(host + "/" + alias + "/hat")
		if err != nil {
			t.Fatal(err)
		}
		repo.PlainHTTP = true
		repo.Client = &auth.Client{Client: client, Credential: auth.StaticCredential(host, auth.Credential{Username: user, Password: password})}
		return repo
	}
	ctx := t.Context()
	layer, err := oras.PushBytes(ctx, open(hosts[0]), "application/vnd.example", []byte("hat"))
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := oras.PackManifest(ctx, open(hosts[1]), oras.PackManifestVersion1_1, "application/vnd.example", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if err == nil {
		err = open(hosts[2]).Tag(ctx, pushed, "v1")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range hosts {
		if d, err := open(host).Resolve(ctx, "v1"); err != nil || d.Digest != pushed.Digest {
			t.Errorf("%s: %s, %v", host, d.Digest, err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v; log:\n%s", err, log.String())
	}
	for _, host := range hosts {
		if c, err := net.Dial("tcp", host); err == nil {
			c.Close()
			t.Errorf("a node is still at %s", host)
		}
	}
	// An account more, by a command of its own.
	said, err := exec.CommandContext(ctx, cmd.Path, "-database", dsn, "-bucket", bucketURL, "-create-account", "acme").Output()
	if err != nil || !strings.Contains(string(said), "alias acme") {
		t.Errorf("-create-account: %v: %s", err, said)
	}
}

// needs skips the test where a program is not installed, but for CI, which has it.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", program)
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

// The files to run it with are read by the programs that they are for.
func TestUnit(t *testing.T) {
	t.Parallel()
	needs(t, "systemd-analyze")
	unit, err := os.ReadFile("deploy/esplanade.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "esplanade.service")
	unit = bytes.ReplaceAll(unit, []byte("/usr/local/bin/cluster"), []byte("/bin/true"))
	if err := os.WriteFile(path, unit, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := command(t, "systemd-analyze", "verify", path); strings.Contains(out, path) {
		t.Error(out)
	}
}

// key is a key of a YAML mapping at the beginning of a line.
var key = regexp.MustCompile(`(?m)^[\s-]*([A-Za-z/.]+):`)

func TestKubernetes(t *testing.T) {
	t.Parallel()
	needs(t, "kubectl")
	file, err := os.ReadFile("deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// kubectl drops what its types do not have.
	out := command(t, "kubectl", "label", "--local", "--filename", "deploy/kubernetes.yaml", "read=yes", "--output", "yaml")
	for _, m := range key.FindAllStringSubmatch(string(file), -1) {
		if !strings.Contains(out, m[1]+":") {
			t.Errorf("kubectl knows no %s there", m[1])
		}
	}
	if n := strings.Count(out, "read: \"yes\""); n != 3 {
		t.Errorf("kubectl found %d objects, want 3", n)
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	needs(t, "buildah")
	if os.Geteuid() != 0 {
		t.Skip("buildah is run as root")
	}
	dir := t.TempDir()
	file, err := os.ReadFile("deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	executable, err := os.ReadFile(build(t))
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "Dockerfile"), file, 0o600), os.WriteFile(filepath.Join(dir, "cluster"), executable, 0o700),
			os.WriteFile(filepath.Join(dir, "ca-certificates.crt"), nil, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	store := []string{"--root", filepath.Join(t.TempDir(), "root"), "--runroot", filepath.Join(t.TempDir(), "run"), "--storage-driver", "vfs"}
	command(t, "buildah", append(store, "bud", "--isolation", "chroot", "--tag", "node", dir)...)
	if out := command(t, "buildah", append(store, "inspect", "--type", "image", "--format", "{{.OCIv1.Config.Entrypoint}}", "node")...); !strings.Contains(out, "/cluster") {
		t.Errorf("the image runs %s", out)
	}
}
