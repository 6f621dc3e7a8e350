package manifest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
)

// A document within the limit of 4 MiB must not cost many times that: who may push
// anything could else take the memory of the whole node with a few requests at once.
//
// The test is not parallel, because it counts what the process allocates.
func TestDecodeMemory(t *testing.T) {
	const bound = 32 * manifest.MaxSize // an honest document of that size takes 12
	fill := func(before, element, after string) []byte {
		n := (manifest.MaxSize - len(before) - len(after)) / (len(element) + 1)
		return []byte(before + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + after)
	}
	head := `{"schemaVersion":2,` + someConfig + `,`
	for name, raw := range map[string][]byte{
		"layers":                        fill(head+`"layers":[`, descriptorOf(layer, digestN(1), 1), `]}`),
		"layers that are empty":         fill(head+`"layers":[`, `{}`, `]}`),
		"layers that are null":          fill(head+`"layers":[`, `null`, `]}`),
		"layers that are lists":         fill(head+`"layers":[`, `[]`, `]}`),
		"unknown objects":               fill(head+someLayers+`,"x":[`, `{}`, `]}`),
		"unknown lists":                 fill(head+someLayers+`,"x":[`, `[]`, `]}`),
		"misplaced manifests, all null": fill(head+someLayers+`,"manifests":[`, `null`, `]}`),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := manifest.Decode(image, raw, manifest.SHA256)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > bound {
				t.Errorf("%d bytes allocated for a document of %d bytes (%.80s), want at most %d", got, len(raw), fmt.Sprint(err), bound)
			}
		})
	}
}
