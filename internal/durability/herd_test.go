//go:build unix

package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

var herdSize = flag.Int("herd", 0, "how many clients TestHerd has; 0: 5000, fewer with -short")

// pushIndex pushes an index of images to a tag.
func pushIndex(t *testing.T, c *client, repo, tag string, images ...image) (raw []byte) {
	t.Helper()
	var list []any
	for i, img := range images {
		if err := errors.Join(c.pushBlobs(t.Context(), repo, img), c.manifest(t.Context(), repo, img.digest, img)); err != nil {
			t.Fatal(err)
		}
		list = append(list, map[string]any{
			"mediaType": imageType, "digest": img.digest, "size": len(img.raw),
			"platform": map[string]string{"os": "linux", "architecture": []string{"amd64", "arm64"}[i]},
		})
	}
	raw = mustJSON(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": list})
	if _, err := c.sendFor(t.Context(), created, "PUT", "/v2/"+repo+"/manifests/"+tag, bytes.NewReader(raw), "Content-Type", indexType); err != nil {
		t.Fatal(err)
	}
	return raw
}

func (c *client) pushBlobs(ctx context.Context, repo string, img image) error {
	for _, b := range img.blobs() {
		if err := c.whole(ctx, repo, b); err != nil {
			return err
		}
	}
	return nil
}

// herd is clients that pull as docker does, without credentials.
type herd struct {
	http *http.Client
	host string

	mu    sync.Mutex
	times map[string][]time.Duration // by what was asked for
}

// note keeps how long something took.
func (h *herd) note(what string, begun time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.times[what] = append(h.times[what], time.Since(begun))
}

// quantile returns the time within which a part of the requests was answered.
func (h *herd) quantile(what string, part float64) time.Duration {
	list := h.times[what]
	slices.Sort(list)
	return list[min(len(list)-1, int(part*float64(len(list))))].Round(time.Millisecond)
}

// get asks once, and compares what comes. It returns the header.
func (h *herd) get(ctx context.Context, what, path, token string, status int, want []byte) (http.Header, error) {
	defer h.note(what, time.Now())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.host+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := h.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	rest := &expected{want}
	_, err = io.Copy(rest, res.Body)
	if res.StatusCode != status {
		return nil, fmt.Errorf("%s: %s, want %d", what, res.Status, status)
	}
	if want != nil && (err != nil || len(rest.bytes) > 0) {
		return nil, fmt.Errorf("%s: %w, %d bytes are missing", what, err, len(rest.bytes))
	}
	return res.Header, nil
}

// expected is an io.Writer of bytes that are known; of none, it takes any.
type expected struct{ bytes []byte }

func (e *expected) Write(p []byte) (int, error) {
	if e.bytes == nil {
		return len(p), nil
	}
	if !bytes.HasPrefix(e.bytes, p) {
		return 0, errors.New("other bytes came than were pushed")
	}
	e.bytes = e.bytes[len(p):]
	return len(p), nil
}

// token asks for one that lets anyone pull.
func (h *herd) token(ctx context.Context, repo string) (string, error) {
	defer h.note("token", time.Now())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.host+"/token?service="+h.host+"&scope=repository:"+repo+":pull", http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := h.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var t struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&t); err != nil || res.StatusCode != http.StatusOK || t.Token == "" {
		return "", fmt.Errorf("token: %s, %w", res.Status, err)
	}
	return t.Token, nil
}

// pull pulls the image of an index.
func (h *herd) pull(ctx context.Context, repo, tag string, index []byte, img image) error {
	defer h.note("all of a pull", time.Now())
	if _, err := h.get(ctx, "ping", "/v2/", "", http.StatusUnauthorized, nil); err != nil {
		return err
	}
	token, err := h.token(ctx, repo)
	if err != nil {
		return err
	}
	path := "/v2/" + repo + "/"
	if _, err := h.get(ctx, "index", path+"manifests/"+tag, token, http.StatusOK, index); err != nil {
		return err
	}
	if _, err := h.get(ctx, "manifest", path+"manifests/"+img.digest, token, http.StatusOK, img.raw); err != nil {
		return err
	}
	for _, b := range img.blobs() {
		if _, err := h.get(ctx, "blob", path+"blobs/"+b.digest, token, http.StatusOK, b.raw); err != nil {
			return err
		}
	}
	return nil
}

// Thousands pull an image at once that nobody has pulled before: everyone gets it, whole and at the first
// try, and everyone is counted.
func TestHerd(t *testing.T) {
	const repo = "hatters/crowded"
	rng := rand.New(rand.NewPCG(newSeed(t), 0))
	n := *herdSize
	if n == 0 {
		n = 5000
		if testing.Short() {
			n = 500
		}
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	conns := min(n, int(min(files.Cur, 1<<20)/2)-100) // a client and a file of a blob take one each there
	dir := newFolder(t)
	amd64, arm64 := newImage(rng, newBlob(rng, 64<<10), newBlob(rng, 200<<10)), newImage(rng)
	for i, l := range amd64.layers {
		amd64.layers[i].raw = l.bytes() // made once
	}
	s := start(t, dir)
	c := newClient(s.host, nil)
	index := pushIndex(t, c, repo, "v1", amd64, arm64)
	c.close()
	s.stop(s.cmd.Process)
	s = start(t, dir) // with nothing in its caches

	h := &herd{host: s.host, times: map[string][]time.Duration{}, http: &http.Client{
		Timeout:   requestTime,
		Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns},
	}}
	defer h.http.CloseIdleConnections()
	begin := make(chan struct{})
	failures := map[string]int{}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			<-begin
			if err := h.pull(t.Context(), repo, "v1", index, amd64); err != nil {
				h.mu.Lock()
				defer h.mu.Unlock()
				failures[err.Error()]++
			}
		})
	}
	begun := time.Now()
	close(begin)
	wg.Wait()
	took := time.Since(begun)
	if len(failures) > 0 {
		t.Errorf("of %d clients, these failed: %v", n, failures)
	}
	t.Logf("%d clients on %d connections in %v; the server's memory at its peak %d KiB, now %d KiB", n, conns, took.Round(time.Millisecond),
		memory(s.cmd.Process.Pid, "VmHWM")>>10, memory(s.cmd.Process.Pid, "VmRSS")>>10)
	for _, what := range slices.Sorted(maps.Keys(h.times)) {
		t.Logf("%-14s %6d times, half within %v, 99 %% within %v, all within %v", what, len(h.times[what]),
			h.quantile(what, .5), h.quantile(what, .99), h.quantile(what, 1))
	}
	if t.Failed() {
		return
	}
	s.stop(s.cmd.Process)
	want := traffic{Pulls: 2 * int64(n), Bytes: int64(n * (len(index) + len(amd64.raw)))}
	for _, b := range amd64.blobs() {
		want.Bytes += int64(n * b.size)
	}
	if diff := cmp.Diff(want, readCounts(t, dir, repo)); diff != "" {
		t.Errorf("counted (-want +got)\n%s", diff)
	}
}

// reads is a store that counts what is read.
type reads struct {
	meta.Store
	before func() // the store is asked

	mu    sync.Mutex
	times map[string]int
}

func (s *reads) count(what ...any) {
	s.mu.Lock()
	s.times[strings.TrimSpace(fmt.Sprintln(what...))]++
	s.mu.Unlock()
	s.before()
}

func (s *reads) Find(ctx context.Context, alias, name string) (meta.Repository, error) {
	s.count("repository", alias, name)
	return s.Store.Find(ctx, alias, name)
}

func (s *reads) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	s.count("manifest", ref)
	return s.Store.Resolve(ctx, alias, name, ref)
}

func (s *reads) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	s.count("blob", d)
	return s.Store.Linked(ctx, repo, d)
}

func (s *reads) View(ctx context.Context, fn func(meta.Tx) error) error {
	s.count("snapshot")
	return s.Store.View(ctx, fn)
}

// However many ask for a manifest at once that nobody has asked for before, the store is asked once.
func TestHerdReadsOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		times, herd int
		before      func()
	}{
		{name: "a store that answers at once", times: 50, herd: 200, before: func() {}},
		{name: "a store that is slow", times: 5, herd: 2000, before: func() { time.Sleep(5 * time.Millisecond) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := memmeta.New()
			origin := registrytest.New(t, func(cfg *registry.Config) { cfg.Store = store })
			image := origin.Push("test/hat", registrytest.Image{Layers: [][]byte{bytes.Repeat([]byte("layer "), 1000)}})
			index := origin.PushIndex("test/hat", []manifest.Descriptor{image}, "v1")
			m, err := origin.Owner().Manifest(t.Context(), "test/hat", string(image.Digest))
			if err != nil {
				t.Fatal(err)
			}
			paths := []string{"manifests/v1", "manifests/" + string(index.Digest), "manifests/" + string(image.Digest)}
			for _, d := range append(m.Layers, *m.Config) {
				paths = append(paths, "blobs/"+string(d.Digest))
			}
			worst, all := map[string]int{}, map[string]int{}
			for range c.times {
				counted := &reads{Store: store, before: c.before, times: map[string]int{}}
				cold, err := registry.New(registry.Config{Store: counted, Bucket: origin.Bucket})
				if err != nil {
					t.Fatal(err)
				}
				begin := make(chan struct{})
				var wg sync.WaitGroup
				for range c.herd {
					wg.Go(func() {
						<-begin
						for _, p := range paths {
							rec := httptest.NewRecorder()
							cold.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "https://registry.example/v2/test/hat/"+p, http.NoBody))
							if rec.Code != http.StatusOK {
								t.Errorf("%s: %d %s", p, rec.Code, rec.Body)
							}
						}
					})
				}
				close(begin)
				wg.Wait()
				for what, n := range counted.times {
					worst[what] = max(worst[what], n)
					all[what] += n
				}
			}
			for _, what := range slices.Sorted(maps.Keys(worst)) {
				t.Logf("%s: read %d times in %d herds, %d times for one of them", what, all[what], c.times, worst[what])
				if strings.HasPrefix(what, "manifest") && worst[what] > 1 {
					t.Errorf("%s was read %d times for one herd, want once", what, worst[what])
				}
			}
		})
	}
}
