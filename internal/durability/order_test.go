package durability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// traced are the system calls that are recorded; the mark is for those that a machine
// does not have.
const traced = "trace=?fsync,?fdatasync,?rename,?renameat,?renameat2,?write,?pwrite64,?writev,?sendto,?mkdir,?mkdirat"

// straceFor returns the command that records into a file, or skips the test.
func straceFor(t *testing.T, file string) []string {
	t.Helper()
	program, err := exec.LookPath("strace")
	switch {
	case runtime.GOOS != "linux":
		t.Skip("there is no strace but on Linux")
	case err != nil && os.Getenv("CI") != "":
		t.Fatal("strace is missing; install it, CI does not go without")
	case err != nil:
		t.Skip("strace is not installed")
	}
	// By -I 2 it passes on the signal that it gets when the test is killed.
	args := []string{program, "-f", "-y", "-I", "2", "-e", traced, "-s", "400", "-o", file}
	if out, err := exec.Command(args[0], append(args[1:], quickstart(t), "-h")...).CombinedOutput(); err != nil {
		last := strings.TrimSpace(string(out))
		t.Skipf("strace may not trace here: %v: %s", err, last[strings.LastIndexByte(last, '\n')+1:])
	}
	return args
}

// record runs a server under strace, has it do some work and returns the record.
func recordOf(t *testing.T, dir string, work func(s *server)) *record {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	s := start(t, dir, straceFor(t, file)...)
	pid, err := child(s.cmd.Process.Pid)
	if err != nil {
		s.cmd.Process.Kill() //nolint:errcheck // it may have ended
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	work(s)
	s.stop(p)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := parseTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	return newRecord(dir, calls)
}

// deed is something that the server must not answer for before it is durable.
type deed struct {
	name    string
	status  int
	digest  string // that the answer has
	objects int    // how many the blob has
	tidies  bool   // whether the log is written once more, relaxed, before the answer
	do      func(ctx context.Context, c *client) error
}

// deeds are all kinds of them, in an order in which they can be done one after the other.
func deeds(r *rand.Rand) []deed {
	const repo, other = "hatters/hat", "hatters/glove"
	var list []deed
	add := func(name string, status int, digest string, objects int, do func(context.Context, *client) error) {
		list = append(list, deed{name: name, status: status, digest: digest, objects: objects, do: do})
	}
	chunked := func(b blob, sizes ...int) func(context.Context, *client) error {
		return func(ctx context.Context, c *client) error {
			location, err := c.post(ctx, repo)
			raw := b.bytes()
			for _, n := range sizes {
				if err == nil {
					err = c.patch(ctx, location, raw[:n])
					raw = raw[n:]
				}
			}
			if err != nil {
				return err
			}
			return c.put(ctx, location, b.digest, raw)
		}
	}
	var layers []blob
	// Under 512 bytes there is the least that a driver could keep to itself; 300 KiB are
	// more than one write.
	for _, size := range []int{1, 511, 512, 4096, 300 << 10} {
		for _, way := range []string{"POST, PATCH and PUT", "POST and PUT", "POST with the digest", "chunks"} {
			b := newBlob(r, size)
			name := fmt.Sprintf("%d bytes by %s", size, way)
			switch way {
			case "POST, PATCH and PUT":
				add(name, 201, b.digest, 1, chunked(b, size))
			case "POST and PUT":
				add(name, 201, b.digest, 1, chunked(b))
			case "POST with the digest":
				add(name, 201, b.digest, 1, func(ctx context.Context, c *client) error { return c.whole(ctx, repo, b) })
			case "chunks":
				if size < 3 {
					continue
				}
				add(name, 201, b.digest, 3, chunked(b, size/3, size/3))
			}
			layers = append(layers, b)
		}
	}
	nothing := newBlob(r, 0)
	add("empty blob", 201, nothing.digest, 0, chunked(nothing))
	add("blob that is there, in another repository", 201, layers[0].digest, 1, func(ctx context.Context, c *client) error {
		return c.whole(ctx, other, layers[0])
	})
	list[len(list)-1].tidies = true // the object that was not needed is gone, which its row need not be
	add("mount", 201, layers[1].digest, 1, func(ctx context.Context, c *client) error {
		mounted, err := c.mount(ctx, other, layers[1].digest, repo)
		if err == nil && !mounted {
			err = errors.New("not mounted")
		}
		return err
	})
	for _, by := range []string{"tag", "digest"} {
		img := newImage(r, layers[2:4]...)
		reference := "v1"
		if by == "digest" {
			reference = img.digest
		}
		add("configuration", 201, img.config.digest, 1, func(ctx context.Context, c *client) error { return c.whole(ctx, repo, img.config) })
		add("manifest by "+by, 201, img.digest, 0, func(ctx context.Context, c *client) error { return c.manifest(ctx, repo, reference, img) })
		add("manifest that is there, by another tag", 201, img.digest, 0, func(ctx context.Context, c *client) error {
			return c.manifest(ctx, repo, "v2", img)
		})
		path := "/v2/" + repo + "/manifests/"
		add("deletion of a tag", 202, "", 0, func(ctx context.Context, c *client) error { return c.remove(ctx, path+"v2") })
		add("deletion of a manifest", 202, "", 0, func(ctx context.Context, c *client) error { return c.remove(ctx, path+img.digest) })
	}
	add("deletion of a blob", 202, "", 0, func(ctx context.Context, c *client) error {
		return c.remove(ctx, "/v2/"+repo+"/blobs/"+layers[5].digest)
	})
	return list
}

// check holds one deed to its answer.
func (d deed) check(r *record, inv *inventory, p promise, strict bool) error {
	after := p.after
	if list, ok := inv.blobs[d.digest]; ok {
		if len(list) != d.objects {
			return fmt.Errorf("%d objects, want %d", len(list), d.objects)
		}
		for _, s := range list {
			synced, err := r.object(s.Key, p.at)
			if err != nil {
				return err
			}
			after = max(after, synced)
		}
	} else if d.objects > 0 {
		return errors.New("the database does not know it afterwards")
	}
	return r.commit(after, p.at, strict && !d.tidies)
}

// One request at a time: all that was written to the log before an answer belongs to it.
func TestOrderOfOnePusher(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	list := deeds(rand.New(rand.NewPCG(1, 1)))
	type span struct{ from, to int }
	spans := make([]span, len(list)) // of requests, by number
	r := recordOf(t, dir, func(s *server) {
		n := 0
		c := newClient(s.host, func() { n++ })
		defer c.close()
		for i, d := range list {
			from := n
			if err := d.do(t.Context(), c); err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
			spans[i] = span{from, n}
		}
	})
	inv, err := takeInventory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := spans[len(spans)-1].to; len(r.answers) != n {
		t.Fatalf("%d answers are recorded, %d came", len(r.answers), n)
	}
	for i, d := range list {
		p := r.answers[spans[i].to-1]
		if p.status != d.status || p.digest != d.digest {
			t.Errorf("%s: the record has %d %s, want %d %s", d.name, p.status, p.digest, d.status, d.digest)
			continue
		}
		if err := d.check(r, inv, p, true); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}

// Several at once share commits: each answer comes after one that came after its objects.
func TestOrderOfManyPushers(t *testing.T) {
	t.Parallel()
	const pushers = 6
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	dir := newFolder(t)
	var all []deed
	var work [pushers][]deed
	for p := range work {
		r := rand.New(rand.NewPCG(2, uint64(p)))
		repo := fmt.Sprintf("hatters/p%d", p)
		for range rounds {
			img := newImage(r, newBlob(r, 1+r.IntN(400)), newBlob(r, 1+r.IntN(100<<10)))
			for _, b := range img.blobs() {
				work[p] = append(work[p], deed{name: "blob", status: 201, digest: b.digest, objects: 1, do: func(ctx context.Context, c *client) error {
					return c.whole(ctx, repo, b)
				}})
			}
			work[p] = append(work[p], deed{name: "manifest", status: 201, digest: img.digest, do: func(ctx context.Context, c *client) error {
				return c.manifest(ctx, repo, "v1", img)
			}})
		}
		all = append(all, work[p]...)
	}
	r := recordOf(t, dir, func(s *server) {
		var wg sync.WaitGroup
		for _, list := range work {
			wg.Go(func() {
				c := newClient(s.host, nil)
				defer c.close()
				for _, d := range list {
					if err := d.do(t.Context(), c); err != nil {
						t.Errorf("%s %s: %v", d.name, d.digest, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
	inv, err := takeInventory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	answered := map[string]promise{}
	for _, p := range r.answers {
		if p.status == 201 {
			answered[p.digest] = p
		}
	}
	for _, d := range all {
		p, ok := answered[d.digest]
		if !ok {
			t.Errorf("%s %s: no answer of 201 is recorded", d.name, d.digest)
		} else if err := d.check(r, inv, p, false); err != nil {
			t.Errorf("%s %s: %v", d.name, d.digest, err)
		}
	}
	for _, err := range inv.check() {
		t.Error(err)
	}
	commits := len(r.syncs[r.wal()])
	t.Logf("%d answers of 201 by %d syncs of the log", len(answered), commits)
}

// A power cut soon after the first push of all must not take the folder itself.
func TestOrderOfFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "new", "data")
	r := recordOf(t, dir, func(s *server) {
		defer func() {
			if t.Failed() {
				t.Log(s.out.text())
			}
		}()
		a, err := readAccount(dir)
		if err != nil {
			t.Error(err)
			return
		}
		c := newClient(s.host, nil)
		defer c.close()
		b := newBlob(rand.New(rand.NewPCG(3, 3)), 100)
		c.account = a
		if err := c.whole(t.Context(), a.Alias+"/hat", b); err != nil {
			t.Error(err)
		}
	})
	i := slices.IndexFunc(r.answers, func(p promise) bool { return p.status == 201 })
	if i < 0 {
		t.Fatal("no answer of 201 is recorded")
	}
	before := r.answers[i].at
	made := 0
	for _, f := range r.folders {
		if f.Path != root && !strings.HasPrefix(f.Path, root+"/") {
			continue
		}
		made++
		if _, ok := within(r.syncs[filepath.Dir(f.Path)], f.End, before); !ok {
			t.Errorf("the folder %s was made, and %s not synced before the first answer of 201", f.Path, filepath.Dir(f.Path))
		}
	}
	if made < 256 {
		t.Errorf("%d folders were made by the record", made)
	}
}
