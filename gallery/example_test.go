package gallery_test

import (
	"fmt"

	"github.com/esplanade-registry/esplanade/gallery"
)

// Read what a person pasted into the search.
func ExampleParseQuery() {
	q := gallery.ParseQuery("docker pull registry.example.com/acme/hat:1.2 arch:arm64")
	fmt.Println(q.Name, q.Reference.Tag, q.Architectures)
	// Output: acme/hat 1.2 [arm64]
}

// Tell somebody how to pull an image.
func ExampleCommands() {
	for _, c := range gallery.Commands(gallery.KindImage, "registry.example.com/acme/hat", "1.2", "")[:3] {
		fmt.Println(c.Text)
	}
	// Output:
	// docker pull registry.example.com/acme/hat:1.2
	// podman pull registry.example.com/acme/hat:1.2
	// nerdctl pull registry.example.com/acme/hat:1.2
}
