package registry_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// smallDisk mounts a file system of a size for the time of the test, or skips it.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a small disk at hand")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "esplanade-test", dir).CombinedOutput(); err != nil {
		t.Skipf("nothing may be mounted here: %v: %s", err, strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() {
		if exec.Command("umount", dir).Run() == nil {
			return
		}
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
		t.Error("something was still open on the small disk")
	})
	return dir
}

// ballast takes room on a disk, for the test to free.
func ballast(t *testing.T, dir string, size int) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// filler pushes images until there is no room for them.
type filler struct {
	*wire
	rng    *rand.Rand
	images []filled
	failed []filled // of which something could not be pushed
	blobs  map[string]bool
}

type filled struct {
	tag           string
	config, layer []byte
	raw           []byte
}

// random returns content that no file system makes smaller.
func (f *filler) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(f.rng.Uint32())
	}
	return b
}

// image makes one with a layer of a size, and a manifest of at least a size.
func (f *filler) image(layer, manifest int) filled {
	i := filled{
		tag:    fmt.Sprintf("v%d", len(f.images)+len(f.failed)),
		config: fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":"%x"}`, f.rng.Uint64()), layer: f.random(layer),
	}
	i.raw = image(i.config, i.layer).with(doc{"annotations": doc{"pad": fmt.Sprintf("%x", f.random(manifest/2))}}).bytes()
	return i
}

// push pushes an image and reports whether all of it was taken. What fails must say so as a
// fault of the server, and nothing of it may be visible.
func (f *filler) push(i filled) bool {
	f.t.Helper()
	for _, b := range [][]byte{i.config, i.layer} {
		r := f.send("POST", "/v2/test/hat/blobs/uploads/", nil)
		if r.status == 202 {
			location := r.header.Get("Location")
			if r = f.send("PATCH", location, b); r.status == 202 {
				r = f.send("PUT", closing(location, sha(b)), nil)
			}
		}
		if r.status != 201 {
			f.refused(r)
			if !f.blobs[sha(b)] {
				f.send("HEAD", "/v2/test/hat/blobs/"+sha(b), nil).is(404)
			}
			return false
		}
		f.blobs[sha(b)] = true
	}
	if r := f.put("test/hat", i.tag, ociImage, i.raw); r.status != 201 {
		f.refused(r)
		f.send("GET", "/v2/test/hat/manifests/"+i.tag, nil).is(404)
		f.send("GET", "/v2/test/hat/manifests/"+sha(i.raw), nil).is(404)
		return false
	}
	return true
}

func (f *filler) refused(r *reply) {
	f.t.Helper()
	wantFault(f.t, r)
	for _, word := range []string{"space", "sql", "SQL", "disk", "tmp", "database"} {
		if strings.Contains(string(r.body), word) {
			f.t.Errorf("%s: the client is told %s", r.what, r.body)
		}
	}
}

// fill pushes images of a size until one fails.
func (f *filler) fill(layer, manifest, most int) {
	f.t.Helper()
	for range most {
		i := f.image(layer, manifest)
		if !f.push(i) {
			f.failed = append(f.failed, i)
			return
		}
		f.images = append(f.images, i)
	}
	f.t.Fatalf("%d images of %d and %d bytes were taken, and the disk is not full", most, layer, manifest)
}

// together pushes manifests at once, which share commits for which there may be no room.
// Some may be taken, those that are refused have left nothing.
func (f *filler) together(n, manifest int) {
	f.t.Helper()
	blobs := f.images[0]
	all := make([]filled, n)
	statuses := make([]int, n)
	for i := range all {
		all[i] = filled{
			tag: fmt.Sprintf("t%d-%d", manifest, i), config: blobs.config, layer: blobs.layer,
			raw: image(blobs.config, blobs.layer).with(doc{"annotations": doc{"pad": fmt.Sprintf("%x", f.random(1+manifest/2))}}).bytes(),
		}
	}
	together(n, func(i int) { statuses[i] = f.put("test/hat", all[i].tag, ociImage, all[i].raw).status })
	for i, status := range statuses {
		switch {
		case status == 201:
			f.images = append(f.images, all[i])
		case status >= 500:
			f.failed = append(f.failed, all[i])
			f.send("GET", "/v2/test/hat/manifests/"+all[i].tag, nil).is(404)
			f.send("GET", "/v2/test/hat/manifests/"+sha(all[i].raw), nil).is(404)
		default:
			f.t.Errorf("a manifest for which there may be no room: %d", status)
		}
	}
}

// wantAll pulls everything that was acknowledged.
func (f *filler) wantAll(w *wire) {
	f.t.Helper()
	for _, i := range f.images {
		w.send("GET", "/v2/test/hat/manifests/"+i.tag, nil).is(200).content(i.raw)
		w.send("GET", "/v2/test/hat/manifests/"+sha(i.raw), nil).is(200).content(i.raw)
		for _, b := range [][]byte{i.config, i.layer} {
			w.send("GET", "/v2/test/hat/blobs/"+sha(b), nil).is(200).content(b)
		}
	}
	if got := len(w.tags("test/hat")); got != len(f.images) {
		f.t.Errorf("%d tags are listed, %d were acknowledged", got, len(f.images))
	}
}

// retry pushes what failed.
func (f *filler) retry() {
	f.t.Helper()
	for _, i := range f.failed {
		if f.push(i) {
			f.images = append(f.images, i)
		} else {
			f.t.Errorf("with room again, %s cannot be pushed", i.tag)
		}
	}
	f.failed = nil
}

// A disk that fills up refuses pushes and keeps what it has, whatever ran out first: room
// for large layers, for small ones, or for the database's log.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "12m")
	free := ballast(t, dir, 6<<20)
	f := &filler{rng: rand.New(rand.NewPCG(6, 6)), blobs: map[string]bool{}}
	var location string
	on := func(name string, test func(t *testing.T, g ground)) {
		t.Run(name, func(t *testing.T) {
			g := ground{database(t, dir), folder(t, dir)}
			f.wire = g.node(t).served().failing()
			test(t, g)
		})
	}
	on("filling", func(t *testing.T, g ground) {
		location = f.start("test/hat")
		f.send("PATCH", location, "some").want(202)
		for _, size := range []int{512 << 10, 64 << 10, 4 << 10, 100, 100} {
			f.fill(size, 100, 200)
			f.wantAll(f.wire)
			g.wantNamed(t)
		}
		f.refused(f.send("PATCH", location, f.random(1<<20)))
		f.send("GET", location, nil).is(204).has("Range", "0-3")
		// A deletion needs room as well. It is done or not.
		tag := f.images[0].tag
		if r := f.send("DELETE", "/v2/test/hat/manifests/"+tag, nil); r.status == 202 {
			f.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(404)
			f.images = f.images[1:]
		} else {
			f.refused(r)
		}
		f.wantAll(f.wire)
		wantNothingHalf(t, dir)
		t.Logf("%d images, %d refused", len(f.images), len(f.failed))
	})
	on("full, after a restart", func(t *testing.T, g ground) {
		f.wantAll(f.wire)
		for _, i := range f.failed {
			f.send("GET", "/v2/test/hat/manifests/"+i.tag, nil).is(404)
		}
	})
	free()
	on("with room again, after a restart", func(t *testing.T, g ground) {
		f.retry()
		f.send("GET", location, nil).is(204).has("Range", "0-3")
		f.send("PATCH", location, "thing").is(202)
		f.send("PUT", closing(location, sha([]byte("something"))), nil).is(201)
		f.wantAll(f.wire)
		g.wantNamed(t)
		wantNothingHalf(t, dir)
	})
	on("after another restart", func(t *testing.T, g ground) { f.wantAll(f.wire) })
}

// wantNothingHalf looks for files that were begun and neither finished nor removed.
func wantNothingHalf(t *testing.T, dir string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*.tmp"))
	if err != nil || len(list) > 0 {
		t.Errorf("half-written files are left: %v, %v", list, err)
	}
}

// A store that cannot write refuses what would change it, answers everything else, and goes
// on as soon as there is room.
func TestFullStore(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "32m")
	free := ballast(t, dir, 29<<20) // SQLite's log alone comes to 16 MiB before it is reused
	bucket := memory()
	f := &filler{rng: rand.New(rand.NewPCG(7, 7)), blobs: map[string]bool{}}
	t.Run("filling", func(t *testing.T) {
		g := ground{database(t, dir), bucket}
		f.wire = g.node(t).served().failing()
		for _, size := range []int{100 << 10, 10 << 10, 100} {
			f.fill(100, size, 1000)
			f.together(12, size/10)
			f.wantAll(f.wire)
			g.wantNamed(t)
		}
		t.Logf("%d images, %d refused", len(f.images), len(f.failed))
		free()
		f.retry()
		f.wantAll(f.wire)
		g.wantNamed(t)
	})
	t.Run("after a restart", func(t *testing.T) {
		g := ground{database(t, dir), bucket}
		f.wantAll(g.node(t))
		g.wantNamed(t)
	})
}
