package meter_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

func TestIngest(t *testing.T) {
	t.Parallel()
	const manifests = "/v2/test/hat/manifests/"
	now := date(2000, 1, 1, 12, 0, 0)
	text := strings.NewReplacer("@now", now.Format(time.RFC3339))
	pulled := map[string]int64{"pull": 1, "bytes": 700, "tag/v1": 1, "digest/{image}": 1, "platform/linux/amd64": 1, "client/docker": 1}
	sent := map[string]int64{"bytes": 700}
	ok := func(cache string) func(d manifest.Digest) string {
		return func(d manifest.Digest) string {
			return line(now, "192.0.2.1", "GET", manifests+"v1", 200, 700, cache, d, docker)
		}
	}
	of := func(method, path string, status int, bytes int64) func(manifest.Digest) string {
		return func(d manifest.Digest) string {
			return line(now, "192.0.2.1", method, strings.ReplaceAll(path, "{image}", string(d)), status, bytes, "HIT", d, docker)
		}
	}
	raw := func(s string) func(manifest.Digest) string {
		return func(d manifest.Digest) string { return text.Replace(strings.ReplaceAll(s, "{image}", string(d))) }
	}
	for _, c := range []struct {
		name    string
		line    func(manifest.Digest) string
		counted bool
		bad     bool
		want    map[string]int64
	}{
		{"HIT", ok("HIT"), true, false, pulled},
		{"STALE", ok("STALE"), true, false, pulled},
		{"UPDATING", ok("UPDATING"), true, false, pulled},
		{"REVALIDATED", ok("REVALIDATED"), true, false, pulled},
		{"MISS", ok("MISS"), false, false, nil},
		{"EXPIRED", ok("EXPIRED"), false, false, nil},
		{"BYPASS", ok("BYPASS"), false, false, nil},
		{"no cache", ok(""), false, false, nil},
		{"a dash", ok("-"), false, false, nil},
		{"lower case", ok("hit"), false, false, nil},
		{"HEAD", of("HEAD", manifests+"v1", 200, 0), true, false, map[string]int64{"head": 1}},
		{"HEAD by digest", of("HEAD", manifests+"{image}", 200, 0), true, false, map[string]int64{"head": 1}},
		{"POST", of("POST", manifests+"v1", 200, 700), false, false, nil},
		{"by digest", of("GET", manifests+"{image}", 200, 700), true, false, map[string]int64{"pull": 1, "bytes": 700, "digest/{image}": 1, "platform/linux/amd64": 1, "client/docker": 1}},
		{"304", of("GET", manifests+"v1", 304, 0), false, false, nil},
		{"404", of("GET", manifests+"v1", 404, 100), false, false, nil},
		{"499", of("GET", manifests+"v1", 499, 0), false, false, nil},
		{"a part of a manifest", of("GET", manifests+"v1", 206, 10), false, false, nil},
		{"a blob", of("GET", "/v2/test/hat/blobs/{image}", 200, 700), true, false, sent},
		{"a part of a blob", of("GET", "/v2/test/hat/blobs/{image}", 206, 700), true, false, sent},
		{"HEAD of a blob", of("HEAD", "/v2/test/hat/blobs/{image}", 200, 0), true, false, nil},
		{"a blob by tag", of("GET", "/v2/test/hat/blobs/no:digest", 200, 700), false, false, nil},
		{"tags", of("GET", "/v2/test/hat/tags/list", 200, 700), false, false, nil},
		{"another path", of("GET", "/v3/test/hat/manifests/v1", 200, 700), false, false, nil},
		{"the base", of("GET", "/v2/", 200, 2), false, false, nil},
		{"no path", of("GET", "", 200, 2), false, false, nil},
		{"a repository that is not", of("GET", "/v2/test/none/manifests/v1", 200, 700), false, false, nil},
		{"an alias that is not", of("GET", "/v2/none/hat/manifests/v1", 200, 700), false, false, nil},
		{"an alias alone", of("GET", "/v2/test/manifests/v1", 200, 700), false, false, nil},
		{"no tag", of("GET", manifests, 200, 700), false, false, nil},
		{"no such tag", of("GET", manifests+"v 1", 200, 700), false, false, nil},
		{"a tag with a slash", of("GET", manifests+"v/1", 200, 700), false, false, nil},
		{"less than no bytes", of("GET", manifests+"v1", 200, -700), false, false, nil},
		{"no digest", func(manifest.Digest) string {
			return line(now, "192.0.2.1", "GET", manifests+"v1", 200, 700, "HIT", "", docker)
		}, true, false, map[string]int64{"pull": 1, "bytes": 700, "tag/v1": 1, "client/docker": 1}},
		{"a wrong digest", func(manifest.Digest) string {
			return line(now, "192.0.2.1", "GET", manifests+"v1", 200, 700, "HIT", "sha256:zz", docker)
		}, true, false, map[string]int64{"pull": 1, "bytes": 700, "tag/v1": 1, "client/docker": 1}},
		{"IPv6", func(d manifest.Digest) string {
			return line(now, "2001:db8::1", "GET", manifests+"v1", 200, 700, "HIT", d, docker)
		}, true, false, pulled},
		{"a socket", func(d manifest.Digest) string {
			return line(now, "unix:", "GET", manifests+"v1", 200, 700, "HIT", d, docker)
		}, true, false, pulled},
		{"no newline", func(d manifest.Digest) string { return strings.TrimSpace(ok("HIT")(d)) }, true, false, pulled},
		{"another zone", func(d manifest.Digest) string {
			return line(now.In(time.FixedZone("", -5*3600)), "192.0.2.1", "GET", manifests+"v1", 200, 700, "HIT", d, docker)
		}, true, false, pulled},
		{"as long as can be", func(d manifest.Digest) string { return padded(ok("HIT")(d), 64<<10-1) }, true, false, pulled},
		{"too long", func(d manifest.Digest) string { return padded(ok("HIT")(d), 64<<10) + "\n" }, false, true, nil},
		{"far too long", func(d manifest.Digest) string { return padded(ok("HIT")(d), 1<<20) + "\n" }, false, true, nil},
		{"too long at the end", func(d manifest.Digest) string { return padded(ok("HIT")(d), 200_000) }, false, true, nil},
		{"no JSON", raw("192.0.2.1 - - [01/Jan/2000:12:00:00 +0000] \"GET / HTTP/1.1\" 200\n"), false, true, nil},
		{"half a line", raw(`{"time":"@now","remote":"192.0.2.1","meth`), false, true, nil},
		{"an array", raw("[]\n"), false, true, nil},
		{"no bytes", raw(`{"time":"@now","method":"GET","path":"/v2/test/hat/manifests/v1","status":"200","bytes":"-","cache":"HIT"}` + "\n"), false, true, nil},
		{"no status", raw(`{"time":"@now","method":"GET","path":"/v2/test/hat/manifests/v1","status":"","bytes":"1","cache":"HIT"}` + "\n"), false, true, nil},
		{"too many bytes", raw(`{"time":"@now","method":"GET","path":"/v2/test/hat/manifests/v1","status":"200","bytes":"99999999999999999999","cache":"HIT"}` + "\n"), false, true, nil},
		{"a wrong time", raw(`{"time":"01/Jan/2000","method":"GET","path":"/v2/test/hat/manifests/v1","status":"200","bytes":"1","cache":"HIT"}` + "\n"), false, true, nil},
		{"more than is read", raw(`{"time":"@now","method":"GET","path":"/v2/test/hat/manifests/v1","status":"200","bytes":"700","cache":"HIT","digest":"{image}","agent":"docker/1","more":[1]}` + "\n"), true, false, pulled},
		{"two values", func(d manifest.Digest) string {
			return strings.TrimSpace(ok("HIT")(d)) + ok("HIT")(d)
		}, false, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				until(now)
				g := inMemory()
				n := g.node(t)
				image := n.Push("test/hat", registrytest.Image{}, "v1")
				repo := repositoryOf(t, g.store, "test/hat")
				log := c.line(image.Digest)
				want := meter.Ingested{Lines: 1, Bytes: int64(len(log))}
				if c.counted {
					want.Counted = 1
				}
				if c.bad {
					want.Bad = 1
				}
				// Alone, and in the middle of others.
				alone := want
				if c.bad && !strings.HasSuffix(log, "\n") {
					alone = meter.Ingested{} // its end may be yet to come
				}
				if diff := cmp.Diff(alone, ingest(t, n.meter, log)); diff != "" {
					t.Errorf("ingested (-want +got)\n%s", diff)
				}
				flush(t, n.meter)
				counts := map[string]int64{}
				for k, n := range c.want {
					counts[strings.ReplaceAll(k, "{image}", string(image.Digest))] = n
				}
				if diff := cmp.Diff(counts, counted(t, n.meter, repo.ID)); diff != "" {
					t.Errorf("counted (-want +got)\n%s", diff)
				}
				if c.counted {
					used := []meter.Usage{{Account: registrytest.Account, Month: date(2000, 1, 1, 0, 0, 0), Pulls: counts["pull"], EgressBytes: counts["bytes"]}}
					if got := usage(t, n.meter, now); counts["bytes"] > 0 && cmp.Diff(used, got) != "" {
						t.Errorf("used (-want +got)\n%s", cmp.Diff(used, got))
					}
				}
				between := ok("HIT")(image.Digest) + "\n" + strings.TrimSuffix(log, "\n") + "\n" + ok("HIT")(image.Digest)
				want.Bytes = int64(len(between))
				want.Lines += 2
				want.Counted += 2
				for _, r := range []io.Reader{strings.NewReader(between), iotest.HalfReader(strings.NewReader(between)), iotest.DataErrReader(strings.NewReader(between))} {
					got, err := n.meter.Ingest(t.Context(), r)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("between others (-want +got)\n%s", diff)
					}
				}
			})
		})
	}
}

// padded makes a line of a log so many bytes long, without its newline.
func padded(line string, length int) string {
	return strings.Replace(strings.TrimSpace(line), "{", "{"+strings.Repeat(" ", length-len(strings.TrimSpace(line))), 1)
}

// TestIngestOdd has lines that can be read and cannot be true.
func TestIngestOdd(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no time":         `{"method":"GET","path":"/v2/test/hat/manifests/v1","status":"200","bytes":"700","cache":"HIT"}`,
		"a time long ago": `{"time":"0001-01-01T00:00:00Z","method":"GET","path":"/v2/test/hat/manifests/v1","status":"200","bytes":"700","cache":"HIT"}`,
		"more bytes than can be added up": strings.Repeat(`{"time":"2000-01-01T00:00:00Z","method":"GET","path":"/v2/test/hat/manifests/v1","status":"200","bytes":"9223372036854775807","cache":"HIT"}`+
			"\n", 3),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := inMemory()
			n := g.node(t)
			n.Push("test/hat", registrytest.Image{}, "v1")
			if got := ingest(t, n.meter, text); got.Bad != got.Lines {
				t.Errorf("%+v, want all of them bad", got)
			}
			flush(t, n.meter)
			for _, c := range counters(t, g.store) {
				if c.Value < 0 || c.At < date(1990, 1, 1, 0, 0, 0).Unix() {
					t.Errorf("counted %d at %v: %s", c.Value, time.Unix(c.At, 0).UTC(), c.Name)
				}
			}
		})
	}
}

func TestIngestFails(t *testing.T) {
	t.Parallel()
	g := inMemory()
	n := g.node(t)
	n.Push("test/hat", registrytest.Image{}, "v1")
	text := line(time.Now(), "192.0.2.1", "GET", "/v2/test/hat/manifests/v1", 200, 5, "HIT", "", docker)
	torn := errors.New("torn")
	got, err := n.meter.Ingest(t.Context(), io.MultiReader(strings.NewReader(text+text), iotest.ErrReader(torn)))
	if want := (meter.Ingested{Lines: 2, Counted: 2, Bytes: 2 * int64(len(text))}); !errors.Is(err, torn) || got != want {
		t.Errorf("%+v, %v; want %+v, %v", got, err, want, torn)
	}
}

// cache is a cache before a registry, as nginx is one: it answers what it has, and writes a line for
// each request.
type cache struct {
	n    *node
	r    *rand.Rand
	has  map[string]http.Header
	size map[string]int64
	log  bytes.Buffer
}

// answer answers a request, and returns what the client gets.
func (c *cache) answer(t *testing.T, method, path, agent, from string) (status int, sent int64) {
	key, state := method+path, "MISS"
	header, hit := c.has[key]
	if hit {
		state = []string{"HIT", "HIT", "HIT", "HIT", "STALE", "UPDATING", "EXPIRED", "REVALIDATED", "BYPASS"}[c.r.IntN(9)]
	}
	headers := []string{"User-Agent", agent, remote, from}
	switch state {
	case "HIT", "STALE", "UPDATING":
		status, sent = 200, c.size[key]
	case "REVALIDATED":
		// HEADs of blobs are answered in full
		if rec := c.n.ask(t, method, path, append(headers, "If-None-Match", header.Get("Etag"))...); rec.Code == 200 {
			state = "EXPIRED"
		} else if rec.Code != 304 {
			t.Errorf("%s: %d, want 304", path, rec.Code)
		}
		status, sent = 200, c.size[key]
	default:
		rec := c.n.ask(t, method, path, headers...)
		status, sent, header = rec.Code, int64(rec.Body.Len()), rec.Header()
		if status == 200 {
			c.has[key], c.size[key] = header, sent
		}
	}
	if hit && state == "HIT" && status == 200 {
		switch what := c.r.IntN(6); {
		case what == 0: // the client has it already
			status, sent = 304, 0
		case what == 1 && method == "GET" && strings.Contains(path, "/blobs/sha256:"):
			status, sent = 206, sent/2
		}
	}
	c.log.WriteString(line(time.Now(), from, method, path, status, sent, state, manifest.Digest(header.Get("Docker-Content-Digest")), agent))
	if c.r.IntN(50) == 0 {
		c.log.WriteString("not a line of ours\n")
	}
	return status, sent
}

// TestCacheAndRegistry counts the traffic of a cache and of the registry behind it, from both, and
// compares that with what the clients got.
func TestCacheAndRegistry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		until(date(2000, 1, 31, 20, 0, 0))
		nodes, log := threeNodes(t, g)
		n := nodes[0]
		things := fill(n.Server, t)
		end := n.run(t)
		c := &cache{n: n, r: rand.New(rand.NewPCG(5, 5)), has: map[string]http.Header{}, size: map[string]int64{}}
		log.entries = nil
		var got []entry // by clients
		for range 5000 {
			name, method := things.names[c.r.IntN(len(things.names))], "GET"
			if c.r.IntN(4) == 0 {
				method = "HEAD"
			}
			path := "/v2/" + name + "/manifests/" + things.refs[name][c.r.IntN(len(things.refs[name]))]
			if c.r.IntN(3) == 0 {
				path = "/v2/" + name + "/blobs/" + things.blobs[name][c.r.IntN(len(things.blobs[name]))]
			}
			agent := []string{docker, containerd, "crane/0.20"}[c.r.IntN(3)]
			began := time.Now()
			status, sent := c.answer(t, method, path, agent, "198.51.100."+strconv.Itoa(c.r.IntN(250)))
			got = append(got, entry{began, method, path, agent, status, sent})
			time.Sleep(time.Duration(c.r.IntN(8000)) * time.Millisecond)
		}
		end()
		ingested := ingest(t, n.meter, c.log.String())
		flush(t, n.meter)
		want, used := things.truth(got)
		for _, name := range things.names {
			if diff := cmp.Diff(want[name], asCounted(t, n.meter, repositoryOf(t, g.store, name).ID)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
		}
		months := 0
		for _, u := range used {
			for _, v := range usage(t, n.meter, u.Month) {
				if v.Account == u.Account {
					months++
					if diff := cmp.Diff(*u, v); diff != "" {
						t.Errorf("usage (-want +got)\n%s", diff)
					}
				}
			}
		}
		if months != len(used) || months != 4 {
			t.Errorf("%d of %d months of accounts", months, len(used))
		}
		t.Logf("%d requests of clients, %d of the cache; ingested %+v", len(got), len(log.entries), ingested)
		if ingested.Counted < 2000 || ingested.Bad == 0 || len(log.entries) < 1000 {
			t.Errorf("%d requests of the cache, %+v: too few to say anything", len(log.entries), ingested)
		}
	})
}

func FuzzIngest(f *testing.F) {
	at := date(2000, 1, 1, 0, 0, 0)
	f.Add(line(at, "192.0.2.1", "GET", "/v2/test/hat/manifests/v1", 200, 700, "HIT", "", docker))
	f.Add(line(at, "2001:db8::1", "HEAD", "/v2/test/hat/manifests/v1", 200, 0, "STALE", "", docker) + "\n\n" +
		line(at, "", "GET", "/v2/test/hat/blobs/"+string(manifest.SHA256.FromBytes(nil)), 206, 12, "REVALIDATED", "", ""))
	f.Fuzz(func(t *testing.T, log string) {
		synctest.Test(t, func(t *testing.T) { // where it is the year 2000
			g := inMemory()
			n := g.node(t)
			n.Push("test/hat", registrytest.Image{}, "v1")
			got := ingest(t, n.meter, log)
			if got.Lines < got.Counted+got.Bad || got.Counted < 0 || got.Bad < 0 || got.Lines > strings.Count(log, "\n")+1 {
				t.Errorf("%+v of %d lines", got, strings.Count(log, "\n")+1)
			}
			flush(t, n.meter)
			for _, c := range counters(t, g.store) {
				if c.Value < 0 {
					t.Errorf("%+v", c)
				}
				if c.Repository == 0 && !strings.HasPrefix(c.Name, "m ") {
					t.Errorf("of no repository: %+v", c)
				}
			}
			if list := counters(t, g.store); got.Counted == 0 && len(list) > 0 {
				t.Errorf("nothing was counted, and yet there is %v", list)
			}
			if _, err := n.meter.Usage(t.Context(), at); err != nil {
				t.Error(err)
			}
			var out bytes.Buffer
			if list, err := n.meter.Usage(t.Context(), at); err != nil || meter.WriteCSV(&out, list) != nil {
				t.Error(err)
			}
		})
	})
}

// A log that is being written is read as far as it goes, and on from there: no line is lost, none
// counted twice, wherever it was cut.
func TestIngestFollows(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(line(time.Now(), "192.0.2.1", "GET", "/v2/test/hat/manifests/v1", 200, 5, "HIT", "", docker), 3)
	for cut := range len(text) {
		g := inMemory()
		n := g.node(t)
		n.Push("test/hat", registrytest.Image{}, "v1")
		total := meter.Ingested{}
		for _, end := range []int{cut, len(text)} {
			got, err := n.meter.Ingest(t.Context(), strings.NewReader(text[total.Bytes:end]))
			if err != nil {
				t.Fatal(err)
			}
			total = meter.Ingested{Lines: total.Lines + got.Lines, Counted: total.Counted + got.Counted, Bad: total.Bad + got.Bad, Bytes: total.Bytes + got.Bytes}
		}
		if want := (meter.Ingested{Lines: 3, Counted: 3, Bytes: int64(len(text))}); total != want {
			t.Errorf("cut at %d: %+v, want %+v", cut, total, want)
		}
	}
}
