package durability

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A disk that fails a sync: the push is not acknowledged, and whatever a server finds that
// starts on the folder after a crash, the next push of the same content counts.
func TestSyncThatFails(t *testing.T) {
	t.Parallel()
	// strace counts by thread: each may do what a start needs, and what comes then fails.
	for what, inject := range map[string]func(dir string) []string{
		"of the log": func(dir string) []string {
			return []string{"-P", filepath.Join(dir, "meta.db-wal"), "-e", "inject=fsync,fdatasync:error=EIO:when=4+"}
		},
		"of the log, once": func(dir string) []string {
			return []string{"-P", filepath.Join(dir, "meta.db-wal"), "-e", "inject=fsync,fdatasync:error=EIO:when=4"}
		},
		"of an object's folder": func(dir string) []string {
			args := []string{"-e", "inject=fsync,fdatasync:error=EIO"}
			for i := range 256 {
				args = append(args, "-P", filepath.Join(dir, "blobs", fmt.Sprintf("%02x", i)))
			}
			return args
		},
		"of anything": func(string) []string { return []string{"-e", "inject=fsync,fdatasync:error=EIO:when=20+"} },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t)
			s := start(t, dir, append(straceFor(t, os.DevNull), inject(dir)...)...)
			b, err := pushUntilRefused(t, s)
			if what == "of the log, once" && err == nil {
				// That the next sync would succeed says nothing of what the failed one lost.
				if _, err := newClient(s.host, nil).post(t.Context(), syncRepo+"-next"); err == nil {
					t.Error("the server goes on writing after a sync has failed")
				}
			}
			if pid, err := child(s.cmd.Process.Pid); err == nil {
				if p, err := os.FindProcess(pid); err == nil {
					p.Kill() //nolint:errcheck // it is waited for
				}
			}
			<-s.done
			if err != nil {
				t.Fatalf("%v\n%s", err, s.out.text())
			}
			s = start(t, dir)
			wantUsable(t, s, b)
			s.stop(s.cmd.Process)
			if list := unnamed(t, dir); len(list) > 0 {
				t.Errorf("half-written files are left: %v", list)
			}
			inv, err := takeInventory(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range inv.check() {
				t.Error(err)
			}
		})
	}
}

const syncRepo = "hatters/hat"

// pushUntilRefused pushes blobs and returns the one that was answered with 5xx. The sync that
// fails may be of something else, as counts of pulls; then it is the push's beginning that is refused.
func pushUntilRefused(t *testing.T, s *server) (blob, error) {
	c := newClient(s.host, nil)
	defer c.close()
	r := rand.New(rand.NewPCG(4, 4))
	for range 1000 {
		b := newBlob(r, 1000)
		a, err := c.send(t.Context(), "POST", "/v2/"+syncRepo+"/blobs/uploads/", nil)
		if err == nil && a.status == http.StatusAccepted {
			a, err = c.send(t.Context(), "PUT", a.header.Get("Location")+"?digest="+b.digest, b.reader())
		}
		if err != nil {
			return b, err
		}
		if a.status >= http.StatusInternalServerError {
			return b, nil
		}
		if err := a.want(http.StatusCreated); err != nil {
			return b, err
		}
	}
	return blob{}, errors.New("a thousand pushes were taken, though syncs fail")
}

// wantUsable checks that a blob is there, wholly, or not, and that it can be pushed.
func wantUsable(t *testing.T, s *server, b blob) {
	t.Helper()
	p := &pusher{repo: syncRepo, c: newClient(s.host, nil)}
	defer p.c.close()
	path := p.path("blobs", b.digest)
	there, err := p.isThere(t.Context(), path, b.bytes())
	if err != nil {
		t.Errorf("after a crash: %v", err)
	}
	if a, err := p.c.send(t.Context(), "HEAD", path, nil); err != nil || (a.status == http.StatusOK) != there {
		t.Errorf("after a crash: GET finds it: %v, HEAD: %v, %v", there, a.status, err)
	}
	if err := p.c.whole(t.Context(), syncRepo, b); err != nil {
		t.Errorf("the next push: %v", err)
	} else if there, err := p.isThere(t.Context(), path, b.bytes()); err != nil || !there {
		t.Errorf("after the next push, which was acknowledged: %v, %v", there, err)
	}
}
