package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// What caches between may keep, and what not.
func TestCacheControl(t *testing.T) {
	t.Parallel()
	const (
		immutable = "private, max-age=31536000, immutable"
		shared    = "public, max-age=31536000, immutable"
		fresh     = "private, no-cache"
		minute    = "public, max-age=60"
		never     = "no-store"
	)
	for name, c := range map[string]struct {
		age                time.Duration
		named              bool
		policy             bool
		digest, tag, error string
	}{
		"no cache":                       {0, false, false, immutable, fresh, never},
		"a cache":                        {time.Minute, false, false, shared, minute, never},
		"a cache, named":                 {time.Minute, true, false, immutable, fresh, never},
		"a cache, repository's own rule": {time.Minute, false, true, immutable, fresh, never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sharedOps atomic.Int32
			first := registrytest.New(t)
			d := string(first.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("layer")}}, "v1").Digest)
			if c.policy {
				err := first.Store.Update(t.Context(), func(tx meta.Tx) error {
					repo, err := tx.Repositories().Get(meta.RepositoryKey{Account: registrytest.Account, Name: "hat"})
					if err != nil {
						return err
					}
					repo.HasPolicy = true
					return tx.Repositories().Put(repo)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			s := registrytest.New(t, func(cfg *registry.Config) {
				cfg.Store, cfg.Bucket = first.Store, first.Bucket
				cfg.SharedMaxAge = c.age
				cfg.Interceptors = append(cfg.Interceptors, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
					op.OnReply(func() {
						if op.Shared {
							sharedOps.Add(1)
						} else {
							op.Header.Set("X-Client", "about you")
						}
					})
					return next(ctx)
				})
			})
			layer := string(manifest.SHA256.FromBytes([]byte("layer")))
			for path, want := range map[string]string{
				"/manifests/" + d: c.digest, "/blobs/" + layer: c.digest, "/manifests/v1": c.tag, "/tags/list": c.tag, "/referrers/" + d: c.tag,
				"/manifests/none": c.error, "/blobs/" + strings.Replace(layer, layer[10:20], "0123456789", 1): c.error,
			} {
				for _, method := range []string{"GET", "HEAD"} {
					want := want
					if method == "HEAD" && want != never {
						want = fresh // who pushes asks, and must not be told of what is gone
					}
					for _, etag := range []string{"", `"` + d + `"`} {
						req, err := http.NewRequestWithContext(t.Context(), method, "http://registry.test/v2/test/hat"+path, nil)
						if err != nil {
							t.Fatal(err)
						}
						if etag != "" {
							req.Header.Set("If-None-Match", etag)
						}
						if c.named {
							req.SetBasicAuth(registrytest.Username, registrytest.Password)
						}
						resp, err := s.Client().Do(req)
						if err != nil {
							t.Fatal(err)
						}
						resp.Body.Close()
						if got := resp.Header.Get("Cache-Control"); got != want {
							t.Errorf("%s %s %s: %d, Cache-Control %q, want %q", method, path, etag, resp.StatusCode, got, want)
						}
						if client := resp.Header.Get("X-Client"); (client == "") != strings.HasPrefix(want, "public") {
							t.Errorf("%s %s: %q, header of the client %q", method, path, want, client)
						}
						if resp.Header.Get("Vary") != "" || resp.Header.Get("Set-Cookie") != "" {
							t.Errorf("%s %s: %v", method, path, resp.Header)
						}
					}
				}
			}
			if (sharedOps.Load() > 0) != (c.digest == shared) {
				t.Errorf("%d shared answers", sharedOps.Load())
			}
		})
	}
}

// signing is a bucket in memory whose objects are at URLs too, by a server of its own.
type signing struct {
	storage.Bucket
	base  string
	signs atomic.Int32
	gets  atomic.Int32
}

func (s *signing) SignedURL(_ context.Context, key string, lifetime time.Duration) (string, error) {
	s.signs.Add(1)
	return fmt.Sprintf("%s/%s?signature=%d", s.base, url.PathEscape(key), int(lifetime.Seconds())), nil
}

func (s *signing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.gets.Add(1)
	if req.Header.Get("Authorization") != "" { // which S3 refuses along with a signed URL
		http.Error(w, "only one kind of credentials is allowed", http.StatusBadRequest)
		return
	}
	key, err := url.PathUnescape(strings.TrimPrefix(req.URL.EscapedPath(), "/"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in, err := s.Get(req.Context(), key, 0, -1)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer in.Close()
	raw, err := io.ReadAll(in)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	http.ServeContent(w, req, "", time.Time{}, strings.NewReader(string(raw)))
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	bucket := &signing{}
	other := httptest.NewServer(bucket)
	t.Cleanup(other.Close)
	bucket.base = strings.Replace(other.URL, "127.0.0.1", "localhost", 1) // another host, as a bucket is
	var redirected atomic.Int64
	s := registrytest.New(t, func(c *registry.Config) {
		bucket.Bucket, c.Bucket = c.Bucket, bucket
		c.Redirect = func(op *registry.Op, size int64) bool { return op.Repository.Name == "hat" && size > 70<<10 }
		c.Observers = append(c.Observers, func(_ context.Context, op *registry.Op, _ error) { redirected.Add(op.Redirected) })
	})
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	big, small := strings.Repeat("0123456789abcdef", 8<<10), strings.Repeat("x", 66<<10)
	for _, repo := range []string{"test/hat", "test/cap"} {
		s.Push(repo, registrytest.Image{Layers: [][]byte{[]byte(big), []byte(small)}}, "v1")
	}
	client := &http.Client{Transport: &http.Transport{}}
	bigDigest, smallDigest := string(manifest.SHA256.FromBytes([]byte(big))), string(manifest.SHA256.FromBytes([]byte(small)))
	for _, c := range []struct {
		method, path, ranged string
		status               int
		body                 string
		bucket               int32
		bytes                int64
	}{
		{"GET", "/v2/test/hat/blobs/" + bigDigest, "", 200, big, 1, int64(len(big))},
		{"GET", "/v2/test/hat/blobs/" + bigDigest, "bytes=3-9", 206, big[3:10], 1, 7},
		{"GET", "/v2/test/hat/blobs/" + bigDigest, "bytes=-5", 206, big[len(big)-5:], 1, 5},
		{"GET", "/v2/test/hat/blobs/" + bigDigest, "bytes=9999999-", 416, "*", 0, 0},
		{"HEAD", "/v2/test/hat/blobs/" + bigDigest, "", 200, "", 0, 0},
		{"GET", "/v2/test/hat/blobs/" + smallDigest, "", 200, small, 0, 0},
		{"GET", "/v2/test/cap/blobs/" + bigDigest, "", 200, big, 0, 0},
		{"GET", "/v2/test/hat/manifests/v1", "", 200, "*", 0, 0},
	} {
		before, bytesBefore := bucket.gets.Load(), redirected.Load()
		req, err := http.NewRequestWithContext(t.Context(), c.method, front.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(registrytest.Username, registrytest.Password)
		if c.ranged != "" {
			req.Header.Set("Range", c.ranged)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || c.body != "*" && string(body) != c.body {
			t.Errorf("%s %s %s: %d, %d bytes, %v", c.method, c.path, c.ranged, resp.StatusCode, len(body), err)
		}
		if got := bucket.gets.Load() - before; got != c.bucket {
			t.Errorf("%s %s %s: %d requests to the bucket, want %d", c.method, c.path, c.ranged, got, c.bucket)
		}
		if got := redirected.Load() - bytesBefore; got != c.bytes {
			t.Errorf("%s %s %s: %d bytes redirected, want %d", c.method, c.path, c.ranged, got, c.bytes)
		}
	}
	if n := bucket.signs.Load(); n != 1 {
		t.Errorf("%d URLs were signed for one object, want 1 that is used again", n)
	}
}

// watched is a store that counts what pulls ask of it, and answers when all have asked.
type watched struct {
	meta.Store
	resolves, links atomic.Int32
	hold            atomic.Pointer[chan struct{}]
}

// wait waits until the test lets everybody go on.
func (c *watched) wait() {
	if hold := c.hold.Load(); hold != nil {
		<-*hold
	}
}

func (c *watched) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	c.resolves.Add(1)
	c.wait()
	return c.Store.Resolve(ctx, alias, name, ref)
}

func (c *watched) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	c.links.Add(1)
	c.wait()
	return c.Store.Linked(ctx, repo, d)
}

// Thousands who pull one image that nobody has pulled before cost one read of the store.
func TestHerd(t *testing.T) {
	t.Parallel()
	store := &watched{}
	s := registrytest.New(t, func(c *registry.Config) { store.Store, c.Store = c.Store, store })
	d := string(s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("layer")}}, "v1").Digest)
	fresh, err := registry.New(registry.Config{Store: store, Bucket: s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	layer := string(manifest.SHA256.FromBytes([]byte("layer")))
	for i, path := range []string{"/v2/test/hat/manifests/v1", "/v2/test/hat/manifests/" + d, "/v2/test/hat/manifests/none", "/v2/test/hat/blobs/" + layer} {
		store.resolves.Store(0)
		store.links.Store(0)
		hold := make(chan struct{})
		store.hold.Store(&hold)
		const clients = 500
		var wg, asked sync.WaitGroup
		statuses := make([]int, clients)
		asked.Add(clients)
		for n := range clients {
			wg.Go(func() {
				req := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
				rec := httptest.NewRecorder()
				asked.Done()
				fresh.ServeHTTP(rec, req)
				statuses[n] = rec.Code
			})
		}
		asked.Wait()
		close(hold)
		wg.Wait()
		store.hold.Store(nil)
		want := 200
		if strings.HasSuffix(path, "none") {
			want = 404
		}
		for _, status := range statuses {
			if status != want {
				t.Fatalf("%s: %d", path, status)
			}
		}
		// What is not there is kept by nobody: who comes after the answer asks again.
		if reads := store.resolves.Load() + store.links.Load(); want == 200 && reads > 2 {
			t.Errorf("%d: %s: %d reads of the store for %d clients", i, path, reads, clients)
		}
	}
}

// A client that goes away does not take the answer from those who asked after it.
func TestHerdSurvivesItsFirst(t *testing.T) {
	t.Parallel()
	store := &watched{}
	s := registrytest.New(t, func(c *registry.Config) { store.Store, c.Store = c.Store, store })
	s.Push("test/hat", registrytest.Image{}, "v1")
	fresh, err := registry.New(registry.Config{Store: store, Bucket: s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	store.hold.Store(&hold)
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error)
	before := store.resolves.Load()
	go func() {
		_, err := fresh.As(auth.Principal{}).Manifest(ctx, "test/hat", "v1")
		first <- err
	}()
	for store.resolves.Load() == before {
		time.Sleep(time.Millisecond) // it has to be the first
	}
	second := make(chan error)
	go func() {
		_, err := fresh.As(auth.Principal{}).Manifest(context.Background(), "test/hat", "v1")
		second <- err
	}()
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	close(hold)
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestMaxRequests(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	s := registrytest.New(t, func(c *registry.Config) {
		c.MaxRequests = 2
		c.Interceptors = append(c.Interceptors, func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
			if op.Reference.Tag == "slow" {
				inside <- struct{}{}
				<-leave
			}
			return next(ctx)
		})
	})
	s.Push("test/hat", registrytest.Image{}, "slow", "v1")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if status, _ := answer(t, s, "GET", "/v2/test/hat/manifests/slow"); status != 200 {
				t.Errorf("of the two that are let in: %d", status)
			}
		})
		<-inside
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/v2/test/hat/manifests/v1", nil))
	got := fmt.Sprint(rec.Code, rec.Header().Get("Retry-After"), rec.Body.String())
	if diff := cmp.Diff(`5031{"errors":[{"code":"UNKNOWN","message":"the registry is busy, try again in a moment"}]}`, got); diff != "" {
		t.Errorf("a third (-want +got):\n%s", diff)
	}
	close(leave)
	wg.Wait()
	if status, _ := answer(t, s, "GET", "/v2/test/hat/manifests/v1"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}
