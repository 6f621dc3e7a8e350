package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/throttle"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// sharedFor lets caches keep where tags lead.
func sharedFor(d time.Duration) func(*registry.Config) {
	return func(c *registry.Config) { c.SharedMaxAge = d }
}

// answer is what a plain request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// cache is what nginx says of how it came by the answer.
func (a answer) cache() string { return a.header.Get("X-Cache") }

// ask sends a request, with headers in pairs of name and value.
func ask(t *testing.T, client *http.Client, method, url string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (m *mirror) ask(t *testing.T, method, path string, headers ...string) answer {
	t.Helper()
	return ask(t, http.DefaultClient, method, "http://"+m.host+path, headers...)
}

// from returns an HTTP client with an address of its own.
func from(addr string) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	return &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
}

// counts is what the meter has of a repository.
type counts struct{ Pulls, Heads, Bytes int64 }

func (o *origin) counts(t *testing.T, repo string) (c counts) {
	t.Helper()
	if err := o.meter.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := o.find(t, repo)
	now := time.Now()
	for kind, n := range map[meter.Kind]*int64{meter.Pulls: &c.Pulls, meter.Heads: &c.Heads, meter.Bytes: &c.Bytes} {
		*n = meter.Sum(must[[]meter.Point](t)(o.meter.Series(t.Context(), r.ID, kind, meter.Day, now.Add(-48*time.Hour), now.Add(time.Hour))))
	}
	return c
}

func (o *origin) find(t *testing.T, repo string) meta.Repository {
	t.Helper()
	alias, name, _ := strings.Cut(repo, "/")
	return must[meta.Repository](t)(o.Store.Find(t.Context(), alias, name))
}

// ingest has the meter read the whole log of nginx.
func (m *mirror) ingest(t *testing.T) meter.Ingested {
	t.Helper()
	f, err := os.Open(m.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return must[meter.Ingested](t)(m.meter.Ingest(t.Context(), f))
}

// TestMirrorPulls has every client pull an index twice through nginx, without credentials: the
// second time the registry is asked where the tag leads, by clients that do so by HEAD, and
// nothing else. What it has counted, with what it reads in the log, is what was pulled.
func TestMirrorPulls(t *testing.T) {
	t.Parallel()
	m := newMirror(t, newOrigin(t, sharedFor(time.Hour)))
	before := map[string]counts{}
	var mu sync.Mutex
	t.Run("clients", func(t *testing.T) {
		for _, c := range clients {
			if c.name == "helm" {
				continue // it asks for a chart as for an image
			}
			t.Run(c.name, func(t *testing.T) {
				c.needed(t)
				t.Parallel()
				v := &visit{client: c, host: m.host, repo: owner.Alias + "/mirror/" + c.name}
				v.owner = newOras(t, m.origin.host)(t, owner.person()) // which pushes what it is given
				p := m.publish(t, v.repo, "1.0.0", newFixture(t, v.repo, here, elsewhere))
				mu.Lock()
				before[v.repo] = m.counts(t, v.repo)
				mu.Unlock()
				nobody := c.open(t, m.host)(t, person{})
				m.origin.log.of(t, v.repo)
				for i := range 2 {
					got, err := nobody.pull(t, v.ref(v.repo, p.tag))
					if err != nil {
						t.Fatal(err)
					}
					v.compare(t, p, got)
					gets := 0
					for _, r := range m.origin.log.of(t, v.repo) {
						if r.Method == http.MethodGet {
							gets++
							if i > 0 {
								t.Errorf("the second pull reached the registry: GET %s", r.Path)
							}
						}
					}
					if i == 0 && gets == 0 {
						t.Error("the first pull did not reach the registry")
					}
				}
			})
		}
	})
	tokens := 0
	for _, r := range m.origin.log.take(t, func(r request) bool { return r.Path == "/token" && strings.HasPrefix(r.UserAgent, "docker/") }) {
		if r.Principal != "anonymous" || r.Status != http.StatusOK {
			t.Errorf("docker asked for a token as %s and got %d", r.Principal, r.Status)
		}
		tokens++
	}
	if tokens == 0 && before[owner.Alias+"/mirror/docker"] != (counts{}) {
		t.Error("docker sent no token, or its pulls would not show that they can be served from the cache all the same")
	}
	want := map[string]counts{}
	for repo, c := range before {
		for _, l := range m.settled(t, repo) {
			pull := l.Status == http.StatusOK && strings.Contains(l.Path, "/manifests/")
			switch {
			case pull && l.Method == http.MethodGet:
				c.Pulls++
			case pull && l.Method == http.MethodHead:
				c.Heads++
			}
			c.Bytes += l.Bytes
			if l.Agent == "" || l.Time.IsZero() || l.Remote != "127.0.0.1" || l.Status == http.StatusOK && !strings.HasPrefix(string(l.Digest), "sha256:") {
				t.Errorf("a line that says too little: %+v", l)
			}
		}
		want[repo] = c
	}
	if n := m.ingest(t); n.Bad > 0 || n.Counted == 0 {
		t.Errorf("the log was read so: %+v", n)
	}
	got := map[string]counts{}
	for repo := range before {
		got[repo] = m.counts(t, repo)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counted (-done by clients +counted):\n%s", diff)
	}
}

// TestMirrorKeeps asks twice for each of what there is to ask for. The cache keeps what
// everybody may have, if nobody's credentials were needed to ask, and nothing else.
func TestMirrorKeeps(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all addresses of 127.0.0.0/8")
	}
	limits, err := throttle.New(throttle.Config{Limits: limit.Preset{Anonymous: limit.Rule{Rate: 0.001, Burst: 50}, Named: limit.Rule{Rate: 1, Burst: 100}}})
	if err != nil {
		t.Fatal(err)
	}
	o := newOrigin(t, sharedFor(time.Hour), func(c *registry.Config) { c.Interceptors = []registry.Interceptor{limits.Intercept} })
	m := newMirror(t, o)
	layer := []byte(strings.Repeat("layer ", 1000))
	basicOwner := "Basic " + basicAuth(registrytest.Username, registrytest.Password)
	named := m.token(t, "repository:test/named:pull", "Authorization", basicOwner)
	anonymous := m.token(t, "repository:test/anonymous:pull")
	push := m.token(t, "repository:test/upload:pull,push", "Authorization", basicOwner)
	exhausted := from("127.0.0.99")
	for range 50 {
		ask(t, exhausted, "GET", "http://"+m.host+"/v2/test/nothing/manifests/v1")
	}
	for _, tt := range []struct {
		name, method, path string // {image} and {layer} are their digests
		auth               string
		client             *http.Client
		status             int
		kept               bool
	}{
		{"tag", "GET", "manifests/v1", "", nil, 200, true},
		{"digest", "GET", "manifests/{image}", "", nil, 200, true},
		{"blob", "GET", "blobs/{layer}", "", nil, 200, true},
		{"ns", "GET", "manifests/v1?ns=docker.io", "", nil, 200, true},
		{"anonymous", "GET", "manifests/v1", anonymous, nil, 200, true},
		{"named", "GET", "manifests/v1", named, nil, 200, false},
		{"password", "GET", "manifests/{image}", basicOwner, nil, 200, false},
		{"password-blob", "GET", "blobs/{layer}", basicOwner, nil, 200, false},
		{"wrong-token", "GET", "manifests/v1", "Bearer nonsense", nil, 401, false},
		{"wrong-password", "GET", "manifests/v1", "Basic " + basicAuth("nobody", "nothing"), nil, 401, false},
		{"head", "HEAD", "manifests/{image}", "", nil, 200, false},
		{"head-blob", "HEAD", "blobs/{layer}", "", nil, 200, false},
		{"absent-tag", "GET", "manifests/v2", "", nil, 404, false},
		{"absent-blob", "GET", "blobs/sha256:" + strings.Repeat("0", 64), "", nil, 404, false},
		{"limited", "GET", "manifests/v1", "", exhausted, 429, false},
		{"list", "GET", "tags/list", "", nil, 200, false},
		{"upload", "POST", "blobs/uploads/", push, nil, 202, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := "test/" + tt.name
			image := o.Push(repo, registrytest.Image{Layers: [][]byte{layer}}, "v1")
			path := "/v2/" + repo + "/" + strings.NewReplacer("{image}", string(image.Digest), "{layer}", string(image.Digest.Algorithm().FromBytes(layer))).Replace(tt.path)
			client := tt.client
			if client == nil {
				client = http.DefaultClient
			}
			var headers []string
			if tt.auth != "" {
				headers = []string{"Authorization", tt.auth}
			}
			o.log.of(t, repo)
			var got [2]answer
			for i := range got {
				a := ask(t, client, tt.method, "http://"+m.host+path, headers...)
				if got[i] = a; a.status != tt.status {
					t.Errorf("request %d: %d %s, want %d", i, a.status, a.body, tt.status)
				}
				if tt.kept {
					for name := range a.header {
						if strings.HasPrefix(name, "Ratelimit") || name == "Set-Cookie" {
							t.Errorf("kept with %s: %s", name, a.header.Get(name))
						}
					}
				}
			}
			requests := 2
			if tt.kept {
				requests = 1
				if got[0].cache() != "MISS" || got[1].cache() != "HIT" || got[0].body != got[1].body {
					t.Errorf("answered by %s, %s", got[0].cache(), got[1].cache())
				}
			}
			if n := len(o.log.of(t, repo)); n != requests {
				t.Errorf("%d requests reached the registry, want %d", n, requests)
			}
			key, _, _ := strings.Cut(path, "?")
			if kept := m.stored(t)[key]; kept != tt.kept {
				t.Errorf("kept: %v, want %v", kept, tt.kept)
			}
		})
	}
	if a := ask(t, exhausted, "GET", "http://"+m.host+"/v2/test/tag/manifests/v1"); a.status != 200 || a.cache() != "HIT" {
		t.Errorf("who has used up the limit gets %d by %s of what is kept", a.status, a.cache())
	}
	for key := range m.stored(t) {
		if !strings.Contains(key, "/manifests/") && !strings.Contains(key, "/blobs/") {
			t.Errorf("kept: %s", key)
		}
	}
}

// TestMirrorAddress has clients come through nginx with addresses that they are limited by, and
// that they cannot choose.
func TestMirrorAddress(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all addresses of 127.0.0.0/8")
	}
	o := newOrigin(t, sharedFor(time.Hour))
	m := newMirror(t, o)
	const repo = "test/address"
	o.Push(repo, registrytest.Image{}, "v1")
	o.log.of(t, repo)
	var got []string
	for _, headers := range [][]string{nil, {"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-For", "192.0.2.1, 127.0.0.1"}} {
		ask(t, from("127.0.0.98"), "HEAD", "http://"+m.host+"/v2/"+repo+"/manifests/v1", headers...)
		for _, r := range o.log.of(t, repo) {
			got = append(got, r.Remote)
		}
	}
	if diff := cmp.Diff([]string{"127.0.0.98", "127.0.0.98", "127.0.0.98"}, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	for _, l := range m.lines(t, repo, 3) {
		if l.Remote != "127.0.0.98" {
			t.Errorf("the log has %s", l.Remote)
		}
	}
}

// TestMirrorLog has the meter read lines about requests that are odd or no requests at all.
func TestMirrorLog(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, sharedFor(time.Hour))
	m := newMirror(t, o)
	const repo = "test/log"
	o.Push(repo, registrytest.Image{}, "v1")
	const get = "GET /v2/" + repo + "/manifests/v1 HTTP/1.0\r\nHost: registry.test\r\n"
	requests := []string{
		get + "\r\n",
		get + "User-Agent: \"a\\hat\"\t\xff\xfe {}\r\n\r\n",
		get + "User-Agent: \x01\x7f\r\n\r\n", // which the cache answers; the registry would not
		get + "User-Agent: " + strings.Repeat("hat", 2000) + "\r\n\r\n",
		get + "Cookie: " + strings.Repeat("hat", 20_000) + "\r\n\r\n",
		"GET /v2/" + repo + "/manifests/%22%5c%0a%ff HTTP/1.0\r\n\r\n",
		"hat\r\n\r\n", "GET /" + strings.Repeat("hat", 20_000) + "\r\n\r\n", "\x16\x03\x01\x00\r\n\r\n", "GET /v2/\r\n",
	}
	for _, r := range requests {
		conn, err := net.Dial("tcp", m.host)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, r)   //nolint:errcheck // nginx may have closed it
		io.Copy(io.Discard, conn) //nolint:errcheck // as above
		conn.Close()
	}
	m.settled(t, repo)
	if n := m.ingest(t); n.Counted != 3 || n.Bad > 0 || n.Lines != len(requests)+1 {
		raw := must[[]byte](t)(os.ReadFile(m.log))
		t.Errorf("the log was read so: %+v\n%.2000q", n, raw)
	}
	if c := o.counts(t, repo); c.Pulls != 4 {
		t.Errorf("%d pulls were counted, want 4", c.Pulls)
	}
}

// TestMirrorPaths asks by paths that nginx and the registry might understand differently. No
// answer to one path may be kept for another.
func TestMirrorPaths(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, sharedFor(time.Hour))
	m := newMirror(t, o)
	o.Push("test/paths", registrytest.Image{}, "v1")
	want := m.ask(t, "GET", "/v2/test/paths/manifests/v1").body
	for path, status := range map[string]int{
		"/v2/test/paths/manifests/%76%31":       200,
		"/v2/test/x/../paths/manifests/v1":      200,
		"/v2//test/paths/manifests/v1":          200,
		"/v2/test/paths/manifests/v1%0a":        404,
		"/v2/test/paths/manifests/v1%20":        404,
		"/v2/test%2fpaths/manifests/v1":         200,
		"/v2/test/paths/manifests/v1/":          404,
		"/v2/test/paths/manifests/v1%3Fx=y":     404,
		"/v2/test/paths/manifests/v1?Key=other": 200,
	} {
		conn, err := net.Dial("tcp", m.host) // net/http would not send some of them
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, m.host)
		raw := must[[]byte](t)(io.ReadAll(conn))
		conn.Close()
		head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
		line, _, _ := strings.Cut(head, "\r\n")
		if !strings.Contains(line, fmt.Sprint(" ", status, " ")) || (body == want) != (status == 200) {
			t.Errorf("%s: %s\n%s, want %d", path, head, body, status)
		}
	}
	if diff := cmp.Diff(map[string]bool{"/v2/test/paths/manifests/v1": true}, m.stored(t)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// TestMirrorTags moves a tag. The cache may serve the old image while it lives, a second, and
// no longer, also after nobody has asked for some time; what has not moved is not sent again.
func TestMirrorTags(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, sharedFor(time.Second))
	m := newMirror(t, o)
	const repo, path = "test/tags", "/v2/test/tags/manifests/latest"
	first := o.Push(repo, registrytest.Image{Annotations: map[string]string{"n": "1"}}, "latest")
	until := func(what string, ok func(answer) bool) {
		t.Helper()
		for range 1000 {
			if a := m.ask(t, "GET", path); a.status == 200 && ok(a) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("not within 10 seconds: %s", what)
	}
	digestOf := func(a answer) string { return a.header.Get("Docker-Content-Digest") }
	until("a stored answer", func(a answer) bool { return a.cache() == "HIT" && digestOf(a) == string(first.Digest) })
	until("one that is still right", func(a answer) bool { return a.cache() == "REVALIDATED" && digestOf(a) == string(first.Digest) })
	second := o.Push(repo, registrytest.Image{Annotations: map[string]string{"n": "2"}}, "latest")
	if a := m.ask(t, "HEAD", path); digestOf(a) != string(second.Digest) {
		t.Error("HEAD tells of the old image")
	}
	until("the new image", func(a answer) bool { return digestOf(a) == string(second.Digest) })
	third := o.Push(repo, registrytest.Image{Annotations: map[string]string{"n": "3"}}, "latest")
	time.Sleep(2500 * time.Millisecond) // nginx counts whole seconds
	if a := m.ask(t, "GET", path); digestOf(a) != string(third.Digest) {
		t.Errorf("the first to ask after the lifetime gets the old image, by %s", a.cache())
	}
	before := o.counts(t, repo)
	served := 0
	for _, l := range m.settled(t, repo) {
		if l.Method == "GET" && l.Status == 200 {
			served++
		}
	}
	m.ingest(t)
	after := o.counts(t, repo)
	if after.Pulls != int64(served) || before.Pulls >= after.Pulls {
		t.Errorf("counted %d and with the log %d, but %d were served", before.Pulls, after.Pulls, served)
	}
	o.http.Close()
	time.Sleep(2500 * time.Millisecond)
	if a := m.ask(t, "GET", path); digestOf(a) != string(third.Digest) || a.cache() != "STALE" {
		t.Errorf("while the registry is away: %d by %s", a.status, a.cache())
	}
}

// TestMirrorHerd has many ask at once for what the cache does not have.
func TestMirrorHerd(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, sharedFor(time.Hour))
	m := newMirror(t, o)
	const repo, herd = "test/herd", 40
	layer := []byte(strings.Repeat("a herd of hats ", 1<<16))
	image := o.Push(repo, registrytest.Image{Layers: [][]byte{layer}}, "v1")
	o.log.of(t, repo)
	base := o.counts(t, repo)
	paths := []string{"/v2/" + repo + "/manifests/v1", "/v2/" + repo + "/blobs/" + string(image.Digest.Algorithm().FromBytes(layer))}
	var wg sync.WaitGroup
	var size [2]int
	var mu sync.Mutex
	for i := range herd * len(paths) {
		wg.Go(func() {
			a := m.ask(t, "GET", paths[i%2])
			mu.Lock()
			defer mu.Unlock()
			if size[i%2] = len(a.body); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	reached := map[string]int{}
	for _, r := range o.log.of(t, repo) {
		reached[r.Path]++
	}
	if diff := cmp.Diff(map[string]int{paths[0]: 1, paths[1]: 1}, reached); diff != "" {
		t.Errorf("requests of the registry (-want +got):\n%s", diff)
	}
	m.lines(t, repo, herd*len(paths))
	if n := m.ingest(t); n.Lines != 2*herd || n.Counted != 2*herd-2 || n.Bad != 0 {
		t.Errorf("the log was read so: %+v", n)
	}
	want := counts{base.Pulls + herd, base.Heads, base.Bytes + int64(herd*(size[0]+size[1]))}
	if got := o.counts(t, repo); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// TestMirrorRanges has nginx answer for parts of a blob, of one that it has and of one that it
// fetches for it, and conditions.
func TestMirrorRanges(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, sharedFor(time.Hour))
	m := newMirror(t, o)
	var text strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&text, "%07d\n", i)
	}
	layer := text.String()
	image := o.Push("test/ranges", registrytest.Image{Layers: [][]byte{[]byte(layer)}}, "v1")
	d := string(image.Digest.Algorithm().FromBytes([]byte(layer)))
	path, size := "/v2/test/ranges/blobs/"+d, len(layer)
	head := func() {
		t.Helper()
		a := m.ask(t, "HEAD", path)
		want := fmt.Sprint(200, strconv.Itoa(size), d, `"`+d+`"`, "application/octet-stream", "bytes")
		if got := fmt.Sprint(a.status, a.header.Get("Content-Length"), a.header.Get("Docker-Content-Digest"), a.header.Get("Etag"), a.header.Get("Content-Type"), a.header.Get("Accept-Ranges")); got != want {
			t.Errorf("HEAD is %s, want %s", got, want)
		}
	}
	head()
	for _, tt := range []struct {
		value, cache string
		from, to     int
	}{
		{"bytes=100-199", "MISS", 100, 200},
		{"bytes=100-199", "HIT", 100, 200},
		{"bytes=0-0", "HIT", 0, 1},
		{fmt.Sprintf("bytes=%d-", size-9), "HIT", size - 9, size},
		{"bytes=-8", "HIT", size - 8, size},
		{"bytes=399990-999999", "HIT", 399990, size},
	} {
		a := m.ask(t, "GET", path, "Range", tt.value)
		span := fmt.Sprintf("bytes %d-%d/%d", tt.from, tt.to-1, size)
		if a.status != http.StatusPartialContent || a.body != layer[tt.from:tt.to] || a.header.Get("Content-Range") != span || a.cache() != tt.cache {
			t.Errorf("%s: %d, %s, %d bytes by %s", tt.value, a.status, a.header.Get("Content-Range"), len(a.body), a.cache())
		}
	}
	if a := m.ask(t, "GET", path, "Range", fmt.Sprintf("bytes=%d-", size)); a.status != http.StatusRequestedRangeNotSatisfiable || a.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
		t.Errorf("beyond the end: %d, %s", a.status, a.header.Get("Content-Range"))
	}
	if a := m.ask(t, "GET", path, "Range", "bytes=0-7, 16-23"); a.status != http.StatusOK && a.status != http.StatusPartialContent || a.status == http.StatusOK && a.body != layer {
		t.Errorf("two ranges: %d, %d bytes", a.status, len(a.body))
	}
	if a := m.ask(t, "GET", path, "If-None-Match", `"`+d+`"`); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("what the client has: %d", a.status)
	}
	if a := m.ask(t, "GET", path); a.body != layer {
		t.Errorf("the whole has %d bytes, want %d", len(a.body), size)
	}
	head()
}

// token asks for one through nginx.
func (m *mirror) token(t *testing.T, scope string, headers ...string) string {
	t.Helper()
	a := m.ask(t, "GET", "/token?service="+m.host+"&scope="+scope, headers...)
	_, rest, _ := strings.Cut(a.body, `"token":"`)
	value, _, ok := strings.Cut(rest, `"`)
	if a.status != http.StatusOK || !ok || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("token: %d %s", a.status, a.body)
	}
	return "Bearer " + value
}

func basicAuth(user, password string) string {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, password)
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Basic ")
}
