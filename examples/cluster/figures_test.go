//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/internal/pgtest"
	"github.com/esplanade-registry/esplanade/internal/s3test"
	"github.com/esplanade-registry/esplanade/manifest"
)

// The sizes of what is measured. Those of the figures in the README are
//
//	GOMEMLIMIT=330MiB go test ./examples/cluster -run Figures -v -count=1 -timeout 1h -args \
//	    -layer 6442450944 -pushes 200 -push-size 67108864 -live 1000000 -garbage 1000 -pulls 20000
var (
	layerSize = flag.Int64("layer", 20<<20, "bytes of the large layer of TestFiguresOfLayers")
	pushes    = flag.Int("pushes", 10, "how many push at once in TestFiguresOfPushes")
	pushSize  = flag.Int64("push-size", 10<<20, "bytes that each pushes")
	live      = flag.Int("live", 20_000, "blobs that stay in TestFiguresOfCollection")
	garbage   = flag.Int("garbage", 100, "blobs that go")
	pulls     = flag.Int("pulls", 500, "pulls of TestFiguresOfPulls, of each kind")
)

// process is a node in a process of its own.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	host, alias string
	user, pass  string
}

// startProcess starts a node, and makes an account for the test.
func startProcess(t *testing.T, dsn, bucketURL string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(build(t), append([]string{"-nodes", "1", "-addr", "127.0.0.1:0", "-database", dsn, "-bucket", bucketURL}, args...)...)}
	var log bytes.Buffer
	p.cmd.Stderr = &log
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
		if err := p.cmd.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the node's log:\n%s", log.String())
		}
	})
	for lines := bufio.NewScanner(out); p.host == "" && lines.Scan(); {
		if m := nodeLine.FindStringSubmatch(lines.Text()); m != nil {
			p.host = m[1]
		}
	}
	if p.host == "" {
		t.Fatalf("the node does not start: %s", log.String())
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // what else it says
	p.alias = "acme" + strings.ToLower(random(8, "abcdefgh"))
	said, err := exec.Command(p.cmd.Path, "-database", dsn, "-bucket", bucketURL, "-create-account", p.alias).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(said)) {
		if m := userLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			p.user = m[1]
		}
		if m := passwordLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			p.pass = m[1]
		}
	}
	return p
}

// peak is the most memory that the node has had, in bytes.
func (p *process) peak() int64 {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return kilobytes << 10
}

// used is the processor time that the node has used.
func (p *process) used() time.Duration {
	p.t.Helper()
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "task", "*", "schedstat"))
	if err != nil || len(tasks) == 0 {
		p.t.Fatalf("the node's threads: %d, %v", len(tasks), err)
	}
	var sum int64
	for _, name := range tasks {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended
		}
		n, err := strconv.ParseInt(strings.Fields(string(raw))[0], 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum)
}

// ask sends a request, as the account, and returns the answer without its body.
func (p *process) ask(method, url string, body io.Reader, size int64, want int) (*http.Response, error) {
	if strings.HasPrefix(url, "/") {
		url = "http://" + p.host + url
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, url, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.SetBasicAuth(p.user, p.pass)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %s %s", method, url, resp.Status, raw)
	}
	return resp, err
}

// bytesOf are so many bytes that are no other's, which are hashed as they are read.
type bytesOf struct {
	left int64
	seed byte
	h    hash.Hash
}

func newBytes(size int64, seed byte) *bytesOf { return &bytesOf{size, seed, sha256.New()} }

func (b *bytesOf) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	for i := range p {
		p[i] = b.seed + byte(i)
	}
	b.left -= int64(len(p))
	b.h.Write(p)
	return len(p), nil
}

func (b *bytesOf) digest() string { return "sha256:" + hex.EncodeToString(b.h.Sum(nil)) }

// push pushes a blob by POST, one PATCH and a PUT without a body, and returns its digest and how
// long the PUT took.
func (p *process) push(repo string, size int64, seed byte) (digest string, closing time.Duration, err error) {
	resp, err := p.ask("POST", "/v2/"+p.alias+"/"+repo+"/blobs/uploads/", nil, 0, http.StatusAccepted)
	if err != nil {
		return "", 0, err
	}
	at, err := resp.Location()
	if err != nil {
		return "", 0, err
	}
	body := newBytes(size, seed)
	if resp, err = p.ask("PATCH", at.String(), body, size, http.StatusAccepted); err != nil {
		return "", 0, err
	}
	if at, err = resp.Location(); err != nil {
		return "", 0, err
	}
	q := at.Query()
	q.Set("digest", body.digest())
	at.RawQuery = q.Encode()
	begun := time.Now()
	_, err = p.ask("PUT", at.String(), nil, 0, http.StatusCreated)
	return body.digest(), time.Since(begun), err
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// Committing a layer costs the same whatever its size, and its bytes pass through the node in a
// bounded memory.
func TestFiguresOfLayers(t *testing.T) {
	p := startProcess(t, pgtest.Start(t).Database(t), s3test.Start(t).Bucket(t))
	times := map[int64][]time.Duration{}
	for i := range 5 {
		for _, size := range []int64{1 << 20, *layerSize} {
			if i > 0 && size > 1<<30 {
				continue
			}
			d, closing, err := p.push("hat", size, byte(i+1))
			if err != nil {
				t.Fatal(err)
			}
			times[size] = append(times[size], closing)
			resp, err := p.ask("HEAD", "/v2/"+p.alias+"/hat/blobs/"+d, nil, 0, http.StatusOK)
			if err != nil || resp.ContentLength != size {
				t.Errorf("%d bytes of %d, %v", resp.ContentLength, size, err)
			}
		}
	}
	for size, list := range times {
		slices.Sort(list)
		t.Logf("closing PUT after %s: %v", megabytes(size), list)
	}
	t.Logf("the most memory of the node: %s", megabytes(p.peak()))
	if got := p.peak(); got > 400<<20 {
		t.Errorf("the node had %s", megabytes(got))
	}
}

// Many who push at once share the memory that there is for it.
func TestFiguresOfPushes(t *testing.T) {
	p := startProcess(t, pgtest.Start(t).Database(t), s3test.Start(t).Bucket(t))
	before, begun := p.peak(), time.Now()
	var wg sync.WaitGroup
	for i := range *pushes {
		wg.Go(func() {
			if _, _, err := p.push(fmt.Sprint("hat", i%10), *pushSize, byte(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d pushes of %s at once: %v, memory %s before and at most %s", *pushes, megabytes(*pushSize), time.Since(begun).Round(time.Millisecond), megabytes(before), megabytes(p.peak()))
	if got := p.peak(); got > 400<<20 {
		t.Errorf("the node had %s", megabytes(got))
	}
}

// Collection costs what the garbage is, not what there is.
func TestFiguresOfCollection(t *testing.T) {
	ctx := t.Context()
	server := s3test.Start(t)
	proxy := server.Proxy(t)
	server.Bucket(t)
	dsn := pgtest.Start(t).Database(t)
	n := openTest(t, dsn, s3test.URL("test1", proxy.Addr()), time.Millisecond)
	a, err := n.createAccount(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the database goes with the test
	actor := n.reg.As(auth.Principal{Account: a.id, Name: auth.Root})
	for i := range *garbage {
		raw := fmt.Appendf(nil, "garbage %d", i)
		if err := actor.PushBlob(ctx, "acme/hat", manifest.SHA256.FromBytes(raw), bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
	}
	for _, fill := range []string{
		`INSERT INTO blob SELECT 'sha256:' || md5(g::text) || md5(g::text), 1, '[{"key":"00/' || md5(g::text) || '","size":1}]', 0 FROM generate_series(1, $1::bigint) g`,
		`INSERT INTO link SELECT (SELECT id FROM repository LIMIT 1), 'sha256:' || md5(g::text) || md5(g::text), 0 FROM generate_series(1, $1::bigint) g`,
		`INSERT INTO edge SELECT (SELECT id FROM repository LIMIT 1), 'sha256:' || md5((g / 10)::text), 'sha256:' || md5(g::text) || md5(g::text), 3 FROM generate_series(1, $1::bigint) g`,
	} {
		if _, err := db.Exec(ctx, fill, *live); err != nil {
			t.Fatalf("%s: %v", fill, err)
		}
	}
	if _, err := db.Exec(ctx, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	active := func() (ms float64) {
		if _, err := db.Exec(ctx, "SELECT pg_stat_force_next_flush()"); err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRow(ctx, "SELECT active_time FROM pg_stat_database WHERE datname = current_database()").Scan(&ms); err != nil {
			t.Fatal(err)
		}
		return ms
	}
	deletes, lists, before, begun := proxy.Deletes.Load(), proxy.Lists.Load(), active(), time.Now()
	objects, links := 0, 0
	for more := true; more; {
		got, again, err := n.reg.Collect(ctx, 200)
		if err != nil {
			t.Fatal(err)
		}
		objects, links = objects+got.Objects, links+got.Links
		more = again || got.Objects+got.Links+got.Blobs > 0
	}
	took := time.Since(begun)
	deletes, lists = proxy.Deletes.Load()-deletes, proxy.Lists.Load()-lists
	if objects != *garbage || links != *garbage || deletes > int64(*garbage) || lists != 0 {
		t.Errorf("%d objects and %d links of %d went by %d deletes and %d lists", objects, links, *garbage, deletes, lists)
	}
	t.Logf("%d live blobs, %d garbage: %d deletes, %d lists, %.0f ms of the database's time, %v in all", *live, *garbage, deletes, lists, active()-before, took.Round(time.Millisecond))
}

// Pulls while others push and garbage is collected, and over two nodes.
func TestFiguresOfPulls(t *testing.T) {
	postgres, server := pgtest.Start(t), s3test.Start(t)
	dsn, bucketURL := postgres.Database(t), server.Bucket(t)
	a, b := startProcess(t, dsn, bucketURL, "-grace", "2s"), startProcess(t, dsn, bucketURL, "-grace", "2s")
	var images []string
	for i := range 20 {
		if err := a.image("hat", fmt.Sprint("t", i)); err != nil {
			t.Fatal(err)
		}
		images = append(images, "/v2/"+a.alias+"/hat/manifests/t"+strconv.Itoa(i))
	}
	// one after the other, evenly, so that what is measured is not the queue
	pull := func(nodes ...*process) (p50, p99, cost time.Duration) {
		var list []time.Duration
		var before time.Duration
		for _, n := range nodes {
			before += n.used()
		}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := range *pulls {
			<-tick.C
			begun := time.Now()
			if _, err := nodes[i%len(nodes)].ask("GET", images[i%len(images)], nil, 0, http.StatusOK); err != nil {
				t.Fatal(err)
			}
			list = append(list, time.Since(begun))
		}
		for _, n := range nodes {
			cost += n.used()
		}
		slices.Sort(list)
		return list[len(list)/2], list[len(list)*99/100], (cost - before) / time.Duration(*pulls)
	}
	pull(a, b)
	one50, one99, one := pull(a)
	two50, two99, two := pull(a, b)
	t.Logf("one node: p50 %v, p99 %v, %v of its processor time a pull; two: p50 %v, p99 %v, %v", one50, one99, one, two50, two99, two)
	idle50, idle99, _ := pull(a)
	ctx, calm := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	pushed := 0
	wg.Go(func() { // five images a second to the other node, which collects what becomes of them
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := b.image("cap", fmt.Sprint("t", i%5)); err != nil {
					t.Error(err)
				}
				pushed++
			}
		}
	})
	busy50, busy99, _ := pull(a)
	calm()
	wg.Wait()
	t.Logf("idle: p50 %v, p99 %v; while %d images were pushed and garbage was collected: p50 %v, p99 %v", idle50, idle99, pushed, busy50, busy99)
}

var serial struct {
	sync.Mutex
	n int
}

// image pushes an image of one layer.
func (p *process) image(repo, tag string) error {
	serial.Lock()
	serial.n++
	n := serial.n
	serial.Unlock()
	var list []string
	for _, raw := range [][]byte{fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":"%d"}`, n), fmt.Appendf(nil, "layer %d", n)} {
		d := manifest.SHA256.FromBytes(raw)
		resp, err := p.ask("POST", "/v2/"+p.alias+"/"+repo+"/blobs/uploads/?digest="+string(d), bytes.NewReader(raw), int64(len(raw)), http.StatusCreated)
		if err != nil {
			return fmt.Errorf("%v: %w", resp, err)
		}
		list = append(list, fmt.Sprintf(`"digest":%q,"size":%d}`, d, len(raw)))
	}
	raw := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",` + list[0] +
		`,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",` + list[1] + `]}`)
	req, err := http.NewRequestWithContext(p.t.Context(), "PUT", "http://"+p.host+"/v2/"+p.alias+"/"+repo+"/manifests/"+tag, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	req.SetBasicAuth(p.user, p.pass)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("push of a manifest: %s", resp.Status)
	}
	return nil
}
