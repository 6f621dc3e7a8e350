package registrytest_test

import (
	"fmt"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// A unit test of a program that pulls images: give it an image, and a client that finds it.
func ExampleNew() {
	_ = func(t *testing.T) { // func TestPuller(t *testing.T) {
		server := registrytest.New(t)
		want := server.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("a layer")}}, "v1")

		res, err := server.Client().Get("https://registry.example/v2/test/hat/manifests/v1")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got := res.Header.Get("Docker-Content-Digest"); got != string(want.Digest) {
			t.Errorf("pulled %s, want %s", got, want.Digest)
		}
	}
}

// An image for two platforms, and a signature that refers to it.
func ExampleServer_PushIndex() {
	_ = func(t *testing.T) {
		server := registrytest.New(t)
		amd64 := server.Push("test/hat", registrytest.Image{OS: "linux", Architecture: "amd64"})
		arm64 := server.Push("test/hat", registrytest.Image{OS: "linux", Architecture: "arm64"})
		index := server.PushIndex("test/hat", []manifest.Descriptor{amd64, arm64}, "v1", "latest")
		server.Push("test/hat", registrytest.Image{ArtifactType: "application/vnd.example.signature", Subject: &index})

		for d, err := range server.Owner().Referrers(t.Context(), "test/hat", index.Digest) {
			fmt.Println(d.ArtifactType, err)
		}
	}
}
