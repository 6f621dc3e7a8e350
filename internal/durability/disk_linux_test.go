package durability

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of some size.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("durability", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a file system cannot be mounted, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, f *os.File) {
	t.Helper()
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			if _, err := f.Write(make([]byte, size)); err == nil {
				continue
			} else if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
	}
}

// The disk is full: pushes fail, pulls do not, and when there is room again all goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	from := newSeed(t)
	rng := rand.New(rand.NewPCG(from, 0))
	disk := smallDisk(t, "64m")
	dir := folderIn(t, disk)
	s := start(t, dir)
	s.disturbed = true
	connect := func(before func()) *client { return newClient(s.host, before) }
	ctx := t.Context()
	o := &outage{connect: connect, from: from, width: pusherCount, market: &market{common: newCommon(rng)}}
	c := connect(nil)
	defer c.close()
	const repo = "hatters/hat"
	img := newImage(rng, newBlob(rng, 1000), newBlob(rng, 300<<10))
	pushImage(t, c, repo, "v1", img)
	for range 3 {
		ballast, err := os.Create(filepath.Join(disk, "ballast"))
		if err != nil {
			t.Fatal(err)
		}
		end := o.begin(t)
		o.goesOn(t)
		o.failing.Store(true)
		failed := o.failed.Load()
		soon(t, "pushes fail", func() bool {
			fill(t, ballast) // also what has become free since
			return o.failed.Load() > failed+2*pusherCount || t.Failed()
		})
		soon(t, "64 KiB are refused", func() bool {
			fill(t, ballast)
			return !works(ctx, c, newBlob(rng, 64<<10))
		})
		wantBytes(t, c, "/v2/"+repo+"/manifests/v1", img.raw)
		for _, b := range img.blobs() {
			wantBytes(t, c, "/v2/"+repo+"/blobs/"+b.digest, b.bytes())
		}
		if err := errors.Join(ballast.Close(), os.Remove(ballast.Name())); err != nil {
			t.Fatal(err)
		}
		took := soon(t, "the server works again", func() bool { return works(ctx, c, newBlob(rng, 600)) })
		t.Logf("the server pushed again %v after there was room", took)
		o.failing.Store(false)
		o.goesOn(t)
		end()
		if t.Failed() {
			t.FailNow()
		}
		wantNamed(t, dir)
		examine(t, connect, o.pushers, false)
	}
	o.report(t)
	s.kill()
	s = start(t, dir)
	wantNamed(t, dir)
	examine(t, connect, o.pushers, true)
	s.stop(s.cmd.Process)
	inv, err := takeInventory(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range append(inv.check(), intact(ctx, dir)) {
		if err != nil {
			t.Error(err)
		}
	}
}
