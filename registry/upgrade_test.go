//go:build unix

package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	_ "gocloud.dev/blob/fileblob"
	"oras.land/oras-go/v2"
	orascontent "oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	remoteauth "oras.land/oras-go/v2/registry/remote/auth"

	"encoding/json"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
)

// oldCommit is the last one with version 3 of the schema, the version before the present one.
const oldCommit = "5e2e746"

// oldNode compiles the node of the version before, from the repository's history, and starts it.
func oldNode(t *testing.T, dsn, bucketURL string) (host string) {
	t.Helper()
	dir := t.TempDir()
	root := exec.CommandContext(t.Context(), "git", "archive", "--format=tar", "--output", filepath.Join(dir, "old.tar"), oldCommit)
	root.Dir = ".."
	if out, err := root.CombinedOutput(); err != nil {
		t.Skipf("the history of this folder does not reach back to the version before: %v: %s", err, out)
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("tar", "-xf", "old.tar")
	source, err := os.ReadFile("testdata/oldnode/main.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "examples", "oldnode")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, "main.go"), source, 0o600)); err != nil {
		t.Fatal(err)
	}
	run("go", "build", "-o", "node", "./examples/oldnode")
	cmd := exec.Command(filepath.Join(dir, "node"), dsn, bucketURL)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	if host, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the old node: %v: %s", err, said.String())
	}
	return strings.TrimSpace(host)
}

// pushImage pushes an image of one layer over HTTP, as clients do, and returns its digest.
func pushImage(ctx context.Context, repo *remote.Repository, layer []byte, tag string) (digest.Digest, error) {
	var list []ocispec.Descriptor
	for mediaType, data := range map[string][]byte{ocispec.MediaTypeImageConfig: fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":%q}`, tag), ocispec.MediaTypeImageLayer: layer} {
		d := orascontent.NewDescriptorFromBytes(mediaType, data)
		if err := repo.Push(ctx, d, bytes.NewReader(data)); err != nil {
			return "", err
		}
		list = append(list, d)
	}
	if list[0].MediaType != ocispec.MediaTypeImageConfig {
		list[0], list[1] = list[1], list[0]
	}
	raw, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: list[0], Layers: list[1:]})
	if err != nil {
		return "", err
	}
	d := orascontent.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, raw)
	return d.Digest, repo.PushReference(ctx, d, bytes.NewReader(raw), tag)
}

// A node of the version before serves, is pushed to and pulled from while one of this version
// upgrades the database, and afterwards, beside it.
func TestUpgradeWhileOldNodesServe(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compiles the version before")
	}
	ctx, dsn := t.Context(), pgtest.Start(t).Database(t)
	bucketURL, err := gocloud.FileURL(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	host := oldNode(t, dsn, bucketURL)
	if got := schemaVersion(t, dsn); got != 3 {
		t.Fatalf("the old node made version %d of the schema, want 3", got)
	}
	old, err := remote.NewRepository(host + "/test/old")
	if err != nil {
		t.Fatal(err)
	}
	old.PlainHTTP = true
	// connections of its own: those of the default client are closed by each httptest server that ends
	old.Client = &remoteauth.Client{Client: &http.Client{Transport: &http.Transport{}}, Credential: remoteauth.StaticCredential(host, remoteauth.Credential{Username: "user", Password: "password"})}

	// The old node is pushed to all the while.
	type pushed struct {
		tag    string
		digest digest.Digest
	}
	pushes, stop, failed := make(chan pushed, 10_000), make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failed)
		defer close(pushes)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			tag := fmt.Sprintf("v%d", i)
			d, err := pushImage(ctx, old, []byte(tag), tag)
			if err == nil {
				_, _, err = oras.FetchBytes(ctx, old.Manifests(), tag, oras.DefaultFetchBytesOptions)
			}
			if err != nil {
				failed <- fmt.Errorf("push %d: %w", i, err)
				return
			}
			pushes <- pushed{tag, d}
		}
	}()
	first := <-pushes
	bucket, err := gocloud.Open(ctx, bucketURL)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	fresh := node(t, dsn, bucket)
	if got := schemaVersion(t, dsn); got != 4 {
		t.Errorf("the new node made version %d of the schema, want 4", got)
	}
	mine := map[string]manifest.Digest{}
	for i := range 30 {
		tag := fmt.Sprintf("n%d", i)
		mine[tag] = fresh.Push("test/old", registrytest.Image{Layers: [][]byte{[]byte(tag)}}, tag).Digest
	}
	close(stop)
	n := 1
	check := func(p pushed) {
		m, err := fresh.As(auth.Principal{}).Manifest(ctx, "test/old", p.tag)
		if err != nil || string(m.Digest) != string(p.digest) {
			t.Errorf("%s, pushed to the old node: %v", p.tag, err)
		}
	}
	check(first)
	for p := range pushes {
		check(p)
		n++
	}
	if err := <-failed; err != nil {
		t.Errorf("the old node, while the database was upgraded: %v", err)
	}
	for tag, want := range mine {
		if d, err := old.Resolve(ctx, tag); err != nil || string(d.Digest) != string(want) {
			t.Errorf("%s, pushed to the new node, is %s on the old one: %v", tag, d.Digest, err)
		}
	}
	t.Logf("%d images were pushed to the old node meanwhile", n)
}

func schemaVersion(t *testing.T, dsn string) (version int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the database goes with the test
	if err := c.QueryRow(t.Context(), "SELECT version FROM esplanade_schema").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}
