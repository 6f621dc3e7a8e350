package meter_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
)

// signing is a bucket that signs URLs.
type signing struct{ storage.Bucket }

func (signing) SignedURL(_ context.Context, key string, _ time.Duration) (string, error) {
	return "https://bucket.example/" + url.PathEscape(key), nil
}

// failing is a bucket whose objects end early.
type failing struct{ storage.Bucket }

func (f failing) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	in, err := f.Bucket.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return early{in, io.MultiReader(io.LimitReader(in, 40_000), broken{})}, nil
}

type early struct {
	storage.Object
	r io.Reader
}

func (e early) Read(p []byte) (int, error) { return e.r.Read(p) }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the bucket is out") }

// things are what the tests of what counts pull, and where they are found.
type things struct {
	size map[string]int64
	path *strings.Replacer // of {name}
}

func (th *things) put(s *registrytest.Server) {
	layer, large := []byte("a layer of 24 bytes, yes"), bytes.Repeat([]byte("large"), 20_000)
	amd64 := s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer, large}}, "one")
	arm64 := s.Push("test/hat", registrytest.Image{OS: "linux", Architecture: "arm64"})
	index := s.PushIndex("test/hat", []manifest.Descriptor{amd64, arm64}, "v1", "latest")
	signature := s.Push("test/hat", registrytest.Image{ArtifactType: "application/vnd.example.signature", Subject: &amd64})
	th.size = map[string]int64{
		"amd64": amd64.Size, "arm64": arm64.Size, "index": index.Size, "signature": signature.Size, "layer": int64(len(layer)), "large": int64(len(large)),
	}
	th.path = strings.NewReplacer("{amd64}", string(amd64.Digest), "{arm64}", string(arm64.Digest), "{index}", string(index.Digest), "{signature}", string(signature.Digest),
		"{layer}", string(manifest.SHA256.FromBytes(layer)), "{large}", string(manifest.SHA256.FromBytes(large)))
}

const (
	docker     = "docker/28.1.1 go/go1.23.8 git-commit/01f442b kernel/6.8.0 os/linux arch/amd64 UpstreamClient(Docker-Client/28.1.1 \\(linux\\))"
	containerd = "containerd/v2.1.0+unknown"
)

// asks is a request: method, path, status and pairs of headers.
type asks struct {
	method, path string
	status       int
	headers      []string
}

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	dockers, containerds := []string{"User-Agent", docker}, []string{"User-Agent", containerd}
	for _, c := range []struct {
		name     string
		requests []asks
		bytes    []string         // of which things
		more     int64            // bytes
		want     map[string]int64 // but for bytes
	}{
		{name: "nothing"},
		{name: "by tag", requests: []asks{{"GET", "/manifests/one", 200, dockers}}, bytes: []string{"amd64"},
			want: map[string]int64{"pull": 1, "tag/one": 1, "digest/{amd64}": 1, "platform/linux/amd64": 1, "client/docker": 1}},
		{name: "by digest", requests: []asks{{"GET", "/manifests/{amd64}", 200, containerds}}, bytes: []string{"amd64"},
			want: map[string]int64{"pull": 1, "digest/{amd64}": 1, "platform/linux/amd64": 1, "client/containerd": 1}},
		{
			name:     "an index and its images",
			requests: []asks{{"GET", "/manifests/v1", 200, dockers}, {"GET", "/manifests/{arm64}", 200, dockers}, {"GET", "/manifests/latest", 200, containerds}, {"GET", "/manifests/{amd64}", 200, containerds}},
			bytes:    []string{"index", "arm64", "index", "amd64"},
			want: map[string]int64{
				"pull": 4, "tag/v1": 1, "tag/latest": 1, "digest/{index}": 2, "digest/{arm64}": 1, "digest/{amd64}": 1,
				"platform/linux/arm64": 1, "platform/linux/amd64": 1, "client/docker": 2, "client/containerd": 2,
			},
		},
		{name: "HEAD", requests: []asks{{"HEAD", "/manifests/one", 200, dockers}, {"HEAD", "/manifests/{amd64}", 200, dockers}}, want: map[string]int64{"head": 2}},
		{name: "an artifact", requests: []asks{{"GET", "/manifests/{signature}", 200, []string{"User-Agent", "cosign/v2.4.0"}}}, bytes: []string{"signature"},
			want: map[string]int64{"pull": 1, "digest/{signature}": 1, "client/crane": 1}},
		{name: "what the client has", requests: []asks{
			{"GET", "/manifests/one", 304, []string{"If-None-Match", "*"}}, {"HEAD", "/manifests/one", 304, []string{"If-None-Match", "*"}},
			{"GET", "/blobs/{layer}", 304, []string{"If-None-Match", "*"}}, {"GET", "/blobs/{large}", 304, []string{"If-None-Match", "*"}},
		}},
		{name: "what is not there", requests: []asks{
			{"GET", "/manifests/two", 404, nil}, {"GET", "/manifests/{layer}", 404, nil}, {"HEAD", "/manifests/two", 404, nil}, {"GET", "/manifests/*", 404, nil},
			{"GET", "/manifests/sha256:1", 400, nil}, {"GET", "/blobs/{arm64}", 404, nil}, {"GET", "/nothing", 404, nil},
		}},
		{name: "what is refused", requests: []asks{
			{"GET", "/manifests/one", 429, []string{"User-Agent", "refused"}}, {"GET", "/blobs/{layer}", 429, []string{"User-Agent", "refused"}},
			{"GET", "/manifests/one", 401, []string{"Authorization", "Bearer no"}}, {"DELETE", "/manifests/one", 401, nil}, {"POST", "/manifests/one", 405, nil},
		}},
		{name: "a blob", requests: []asks{{"GET", "/blobs/{layer}", 200, dockers}, {"GET", "/blobs/{large}", 200, dockers}}, bytes: []string{"layer", "large"}},
		{name: "HEAD of a blob", requests: []asks{{"HEAD", "/blobs/{layer}", 200, dockers}, {"HEAD", "/blobs/{large}", 200, dockers}}},
		{name: "ranges", requests: []asks{
			{"GET", "/blobs/{large}", 206, []string{"Range", "bytes=0-99"}}, {"GET", "/blobs/{large}", 206, []string{"Range", "bytes=-5"}}, {"GET", "/blobs/{layer}", 206, []string{"Range", "bytes=20-"}},
			{"GET", "/blobs/{layer}", 416, []string{"Range", "bytes=24-"}},
		}, more: 100 + 5 + 4},
		{name: "a range of a manifest is not heeded", requests: []asks{{"GET", "/manifests/{arm64}", 200, []string{"Range", "bytes=0-9"}}}, bytes: []string{"arm64"},
			want: map[string]int64{"pull": 1, "digest/{arm64}": 1, "platform/linux/arm64": 1, "client/other": 1}},
		{name: "from the bucket", requests: []asks{
			{"GET", "/blobs/{large}", 307, []string{"User-Agent", "redirect"}}, {"GET", "/blobs/{large}", 307, []string{"User-Agent", "redirect", "Range", "bytes=10-19"}},
			{"HEAD", "/blobs/{large}", 200, []string{"User-Agent", "redirect"}}, {"GET", "/blobs/{layer}", 200, []string{"User-Agent", "redirect"}},
		}, bytes: []string{"large", "layer"}, more: 10},
		{name: "lists", requests: []asks{{"GET", "/tags/list", 200, nil}, {"GET", "/referrers/{amd64}", 200, nil}, {"HEAD", "/tags/list", 200, nil}}},
		{name: "who is excluded", requests: []asks{{"GET", "/manifests/one", 200, []string{"User-Agent", "scanner/1"}}, {"GET", "/blobs/{layer}", 200, []string{"User-Agent", "scanner/1"}}}},
		{name: "with credentials", requests: []asks{{"GET", "/manifests/{arm64}", 200, []string{"Authorization", basicAuth()}}}, bytes: []string{"arm64"},
			want: map[string]int64{"pull": 1, "digest/{arm64}": 1, "platform/linux/arm64": 1, "client/other": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := inMemory()
				m, err := meter.New(meter.Config{Store: g.store, Exclude: func(op *registry.Op) bool { return op.UserAgent == "scanner/1" }})
				if err != nil {
					t.Fatal(err)
				}
				n := &node{registrytest.New(t, func(c *registry.Config) {
					c.Store, c.Bucket, c.Observers = g.store, signing{g.bucket}, []registry.Observer{m.Observe}
					c.Redirect = func(op *registry.Op, _ int64) bool { return op.UserAgent == "redirect" }
					c.Interceptors = []registry.Interceptor{refuse}
				}), m}
				var th things
				th.put(n.Server)
				repo := repositoryOf(t, g.store, "test/hat")
				for _, r := range c.requests {
					headers := r.headers
					if headers == nil {
						headers = []string{"User-Agent", "me"}
					}
					if rec := n.ask(t, r.method, "/v2/test/hat"+th.path.Replace(r.path), headers...); rec.Code != r.status {
						t.Fatalf("%s %s: %d %s, want %d", r.method, r.path, rec.Code, rec.Body, r.status)
					}
				}
				flush(t, m)
				want := map[string]int64{}
				for k, n := range c.want {
					want[th.path.Replace(k)] = n
				}
				sent := c.more
				for _, name := range c.bytes {
					sent += th.size[name]
				}
				var used []meter.Usage
				if sent > 0 {
					want["bytes"] = sent
					used = []meter.Usage{{Account: registrytest.Account, Month: date(2000, 1, 1, 0, 0, 0), Pulls: want["pull"], EgressBytes: sent}}
				}
				if diff := cmp.Diff(want, counted(t, m, repo.ID)); diff != "" {
					t.Errorf("counted (-want +got)\n%s", diff)
				}
				if diff := cmp.Diff(used, usage(t, m, time.Now())); diff != "" {
					t.Errorf("used (-want +got)\n%s", diff)
				}
			})
		})
	}
}

func basicAuth() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(registrytest.Username+":"+registrytest.Password))
}

// refuse refuses those who call themselves so.
func refuse(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
	if op.UserAgent == "refused" {
		return registry.ErrTooManyRequests
	}
	return next(ctx)
}

// TestCutShort is about what was sent of a reply that ended early, which the bucket charges for as
// well.
func TestCutShort(t *testing.T) {
	t.Parallel()
	g := inMemory()
	n := g.node(t, func(c *registry.Config) { c.Bucket = failing{c.Bucket} })
	var th things
	th.put(n.Server)
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("the reply ended with %v", p)
			}
		}()
		n.ask(t, "GET", th.path.Replace("/v2/test/hat/blobs/{large}"))
	}()
	flush(t, n.meter)
	if got := counted(t, n.meter, repositoryOf(t, g.store, "test/hat").ID)["bytes"]; got != 40_000 {
		t.Errorf("%d bytes were counted of 40,000 that were sent", got)
	}
}

// TestOwnReads is about what the process itself reads, for a gallery and for anything else.
func TestOwnReads(t *testing.T) {
	t.Parallel()
	g := inMemory()
	n := g.node(t)
	var th things
	th.put(n.Server)
	ctx, anyone := t.Context(), n.As(auth.Principal{})
	_, err1 := anyone.Manifest(ctx, "test/hat", "one")
	_, err2 := anyone.Overview(ctx, "test/hat")
	_, err3 := anyone.Inspect(ctx, "test/hat", "v1")
	_, _, err4 := anyone.TagsInOrder(ctx, "test/hat", "", 10)
	from := n.AsIdentity(auth.Identity{}, registry.Client{Remote: netip.MustParseAddr("192.0.2.9"), UserAgent: docker})
	_, err5 := from.Manifest(ctx, "test/hat", "one")
	in, err6 := from.Blob(ctx, "test/hat", manifest.Digest(th.path.Replace("{large}")))
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Error(err)
	}
	in.Close()
	flush(t, n.meter)
	if list := counters(t, g.store); len(list) > 0 {
		t.Errorf("counted %v", list)
	}
}

// TestHoursAndDays pulls around the ends of hours, days and months.
func TestHoursAndDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t, func(c *registry.Config) {
			c.Interceptors = []registry.Interceptor{func(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
				if op.UserAgent == "slow" {
					time.Sleep(2 * time.Second)
				}
				return next(ctx)
			}}
		})
		image := n.Push("test/hat", registrytest.Image{}, "v1")
		repo := repositoryOf(t, g.store, "test/hat")
		for _, at := range []time.Time{
			date(2000, 1, 1, 0, 0, 0), date(2000, 1, 1, 0, 59, 59), date(2000, 1, 1, 1, 0, 0), date(2000, 1, 1, 23, 59, 59), date(2000, 1, 2, 0, 0, 0),
			date(2000, 1, 31, 23, 59, 59), date(2000, 2, 1, 0, 0, 0), date(2000, 2, 28, 23, 0, 0), date(2000, 2, 29, 0, 0, 0), date(2000, 2, 29, 23, 59, 59), date(2000, 3, 1, 0, 0, 0),
		} {
			until(at)
			n.pull(t, "v1")
		}
		until(date(2000, 3, 31, 23, 59, 59))
		n.pull(t, string(image.Digest), "User-Agent", "slow") // ends in April
		n.pull(t, "v1")
		flush(t, n.meter)

		series := func(kind meter.Kind, unit meter.Unit, from, to time.Time) (text []string) {
			list, err := n.meter.Series(t.Context(), repo.ID, kind, unit, from, to)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				text = append(text, p.At.Format("01-02T15 ")+strconv.FormatInt(p.N, 10))
			}
			return text
		}
		for _, c := range []struct {
			name     string
			unit     meter.Unit
			kind     meter.Kind
			from, to time.Time
			want     []string
		}{
			{"all hours", meter.Hour, meter.Pulls, never, always, []string{
				"01-01T00 2", "01-01T01 1", "01-01T23 1", "01-02T00 1", "01-31T23 1", "02-01T00 1", "02-28T23 1", "02-29T00 1", "02-29T23 1", "03-01T00 1", "03-31T23 1", "04-01T00 1",
			}},
			{"all days", meter.Day, meter.Pulls, never, always, []string{"01-01T00 4", "01-02T00 1", "01-31T00 1", "02-01T00 1", "02-28T00 1", "02-29T00 2", "03-01T00 1", "03-31T00 1", "04-01T00 1"}},
			{"some days", meter.Day, meter.Pulls, date(2000, 1, 2, 13, 0, 0), date(2000, 2, 28, 0, 0, 0), []string{"01-02T00 1", "01-31T00 1", "02-01T00 1", "02-28T00 1"}},
			{"some hours", meter.Hour, meter.Pulls, date(2000, 1, 1, 1, 59, 59), date(2000, 1, 1, 23, 0, 0), []string{"01-01T01 1", "01-01T23 1"}},
			{"an hour", meter.Hour, meter.Pulls, date(2000, 1, 1, 0, 30, 0), date(2000, 1, 1, 0, 30, 0), []string{"01-01T00 2"}},
			{"an hour without", meter.Hour, meter.Pulls, date(2000, 1, 1, 2, 0, 0), date(2000, 1, 1, 22, 59, 59), nil},
			{"since 1970", meter.Day, meter.Pulls, time.Unix(0, 0), date(2000, 1, 1, 0, 0, 0), []string{"01-01T00 4"}},
			{"of a tag", meter.Day, meter.ByTag + "v1", date(2000, 3, 31, 0, 0, 0), always, []string{"04-01T00 1"}},
			{"of a digest", meter.Hour, meter.ByDigest + meter.Kind(image.Digest), date(2000, 3, 31, 0, 0, 0), always, []string{"03-31T23 1", "04-01T00 1"}},
			{"of a tag by the start of its name", meter.Day, meter.ByTag + "v", never, always, nil},
		} {
			if diff := cmp.Diff(c.want, series(c.kind, c.unit, c.from, c.to)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", c.name, diff)
			}
		}
		var months []int64
		for month := range 5 {
			var n0 int64
			for _, u := range usage(t, n.meter, date(2000, time.Month(month+1), 15, 0, 0, 0)) {
				if n0 = u.Pulls; u.EgressBytes != n0*image.Size {
					t.Errorf("month %d: %d pulls, %d bytes", month+1, u.Pulls, u.EgressBytes)
				}
			}
			months = append(months, n0)
		}
		if diff := cmp.Diff([]int64{6, 4, 2, 1, 0}, months); diff != "" {
			t.Errorf("pulls of months (-want +got)\n%s", diff)
		}
	})
}

func TestBy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "a", "b", "c", "d")
		repo := repositoryOf(t, g.store, "test/hat")
		for day, tags := range []string{"abbcd", "bccc", "d"} {
			until(date(2000, 1, 1+day, 23, 59, 59))
			for _, tag := range strings.Split(tags, "") {
				n.pull(t, tag)
			}
		}
		flush(t, n.meter)
		for _, c := range []struct {
			from, to int
			limit    int
			want     []meter.Named
		}{
			{1, 3, 10, []meter.Named{{"c", 4}, {"b", 3}, {"d", 2}, {"a", 1}}},
			{1, 3, 2, []meter.Named{{"c", 4}, {"b", 3}}},
			{1, 1, 10, []meter.Named{{"b", 2}, {"a", 1}, {"c", 1}, {"d", 1}}},
			{2, 2, 1, []meter.Named{{"c", 3}}},
			{4, 9, 10, nil},
			{1, 3, 0, nil},
		} {
			got, err := n.meter.By(t.Context(), repo.ID, meter.ByTag, date(2000, 1, c.from, 12, 0, 0), date(2000, 1, c.to, 12, 0, 0), c.limit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%+v (-want +got)\n%s", c, diff)
			}
		}
	})
}

func TestLastPull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		image := n.Push("test/hat", registrytest.Image{}, "v1")
		repo := repositoryOf(t, g.store, "test/hat")
		last := func(step string, d manifest.Digest, want time.Time) {
			t.Helper()
			flush(t, n.meter)
			at, err := n.meter.LastPull(t.Context(), repo.ID, d)
			if isMissing(err) != want.IsZero() || !at.Equal(want) {
				t.Errorf("%s: %v, %v; want %v", step, at, err, want)
			}
		}
		last("at first", image.Digest, time.Time{})
		n.ask(t, "HEAD", "/v2/test/hat/manifests/v1")
		last("after HEAD", image.Digest, time.Time{})
		until(date(2000, 1, 1, 7, 30, 0))
		n.pull(t, "v1")
		last("by tag", image.Digest, date(2000, 1, 1, 7, 0, 0))
		until(date(2000, 1, 3, 1, 2, 3))
		n.pull(t, string(image.Digest))
		last("by digest", image.Digest, date(2000, 1, 3, 1, 0, 0))
		until(date(2000, 2, 1, 0, 0, 0))
		if err := n.meter.Sweep(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
		last("when hours are gone", image.Digest, date(2000, 1, 3, 0, 0, 0))
		last("of another", manifest.SHA256.FromBytes(nil), time.Time{})
	})
}

func TestDailyPulls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1", "v2")
		n.pull(t, "v1")
		until(date(2000, 1, 3, 23, 0, 0))
		n.pull(t, "v1")
		n.pull(t, "v2")
		flush(t, n.meter)
		for _, c := range []struct {
			name, tag string
			days      int
			want      []int64
		}{
			{"test/hat", "", 4, []int64{0, 1, 0, 2}},
			{"test/hat", "", 2, []int64{0, 2}},
			{"test/hat", "v1", 3, []int64{1, 0, 1}},
			{"test/hat", "none", 2, []int64{0, 0}},
			{"test/none", "", 2, []int64{0, 0}},
			{"none", "", 1, []int64{0}},
			{"test/hat", "", 0, nil},
		} {
			list, err := n.meter.DailyPulls(t.Context(), c.name, c.tag, c.days)
			if err != nil {
				t.Error(err)
			}
			var got []int64
			for i, p := range list {
				got = append(got, p.N)
				if want := date(2000, 1, 3-(c.days-1-i), 0, 0, 0); !p.At.Equal(want) {
					t.Errorf("%s: point %d is of %v, want %v", c.name, i, p.At, want)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s %s (-want +got)\n%s", c.name, c.tag, diff)
			}
		}
	})
}

func TestClientOf(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		docker: "docker", containerd: "containerd", "": "other", "x": "other", "Docker-Client/1": "docker", "docker": "other", "containers/5.30 (github.com/containers/image)": "podman",
		"skopeo/1.2": "podman", "cri-o/1.31 go/1.23": "podman", "buildkit/v0.22": "buildkit", "nerdctl/2": "containerd", "crane/0.20": "crane", "go-containerregistry": "crane",
		"go-containerregistry/v0.20.6": "crane", "regclient/regctl (v0.8)": "regctl", "oras-go": "oras", "Helm/3.18.0": "helm", "Mozilla/5.0 (X11)": "browser", "curl/8.5.0": "script",
		"python-requests/2.32": "script", "Go-http-client/2.0": "script", strings.Repeat("x", 5000): "other", "\xff\xfe": "other",
	} {
		if got := meter.ClientOf(agent).String(); got != want {
			t.Errorf("%.60q is %s, want %s", agent, got, want)
		}
	}
	for _, c := range []meter.Client{0, meter.Other, 200} {
		if c.String() != "other" {
			t.Errorf("%d is %s", c, c)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := meter.New(meter.Config{}); err == nil {
		t.Error("a meter without a store")
	}
}
