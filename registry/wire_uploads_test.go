package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
)

func TestB20PostAnswersWhereToUpload(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	for _, client := range []*wire{w, w.served()} {
		r := client.send("POST", "/v2/test/hat/blobs/uploads/", nil).want(202).has("Range", "0-0", "Content-Length", "0")
		id, location := r.header.Get("Docker-Upload-UUID"), r.header.Get("Location")
		path, _, _ := strings.Cut(location, "?")
		if id == "" || !strings.HasSuffix(path, "/"+id) {
			t.Errorf("Docker-Upload-UUID %q, Location %s; want the id as the last segment", id, location)
		}
		if len(r.body) > 0 {
			t.Errorf("a body: %q", r.body)
		}
	}
}

func TestB21LocationTakesTheDigest(t *testing.T) {
	t.Parallel()
	w := newWire(t).served()
	content := []byte("content")
	d := sha(content)
	for _, closing := range []func(string) string{
		func(l string) string { return appended(l, "digest="+d) },
		func(l string) string { return appended(l, "digest="+strings.Replace(d, ":", "%3A", 1)) },
		func(l string) string { return appended(appended(l, "org.example=1"), "digest="+d) },
		func(l string) string { return appended(appended(l, "digest="+d), "_state=x") },
	} {
		location := w.start("test/hat") // check has it path-absolute
		r := w.send("PATCH", location, content).want(202)
		r = w.send("PUT", closing(r.header.Get("Location")), nil).want(201)
		w.send("GET", r.header.Get("Location"), nil).want(200).content(content)
	}
}

func TestB22UploadsWithoutTheSlashIsNoRedirect(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	mux := http.NewServeMux()
	mux.Handle("/v2/", w.Server)
	content := []byte("content")
	for _, rt := range []http.RoundTripper{w.rt, handlerTransport{mux}} {
		c := *w
		c.rt = rt
		for _, path := range []string{"/v2/test/hat/blobs/uploads", "/v2/test/hat/blobs/uploads/"} {
			location := c.send("POST", path, nil).want(202).header.Get("Location")
			c.send("PUT", closing(location, sha(content)), content).want(201)
			c.send("POST", path+"?digest="+sha(content), content).want(201)
		}
	}
}

// handlerTransport reaches a host's own mux.
type handlerTransport struct{ h http.Handler }

func (h handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI, in.RemoteAddr, in.Host = in.URL.RequestURI(), "192.0.2.1:1234", in.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	h.h.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// tap is a bucket that lets a test see what passes.
type tap struct {
	storage.Bucket
	put func(ctx context.Context, r io.Reader) io.Reader
	get func(ctx context.Context, key string, off int64) (storage.Object, bool)
}

func (b *tap) Put(ctx context.Context, key string, r io.Reader) error {
	if b.put != nil {
		r = b.put(ctx, r)
	}
	return b.Bucket.Put(ctx, key, r)
}

func (b *tap) Get(ctx context.Context, key string, off, n int64) (storage.Object, error) {
	if b.get != nil {
		if o, ok := b.get(ctx, key, off); ok {
			return o, nil
		}
	}
	return b.Bucket.Get(ctx, key, off, n)
}

func tapped(b *tap) func(*registry.Config) {
	return func(c *registry.Config) {
		b.Bucket = gocloud.New(memblob.OpenBucket(nil))
		c.Bucket = b
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// docker pushes by POST, one PATCH of unknown length and an empty PUT; containerd, BuildKit
// and oras by POST and PUT.
func TestB23BothWaysOfPushingStream(t *testing.T) {
	t.Parallel()
	first, rest := bytes.Repeat([]byte("a"), 64<<10), []byte("the rest")
	whole := append(bytes.Clone(first), rest...)
	for name, served := range map[string]bool{"in process": false, "over TCP": true} {
		for _, method := range []string{"PATCH", "PUT", "POST"} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				arrived := make(chan struct{})
				seen := 0
				w := newWire(t, tapped(&tap{put: func(_ context.Context, r io.Reader) io.Reader {
					return readerFunc(func(p []byte) (int, error) {
						n, err := r.Read(p)
						if was := seen; was < 1024 && was+n >= 1024 {
							close(arrived)
						}
						seen += n
						return n, err
					})
				}}))
				if served {
					w = w.served()
				}
				// The rest is sent once the bucket has the start.
				body := io.MultiReader(bytes.NewReader(first), readerFunc(func([]byte) (int, error) {
					select {
					case <-arrived:
						return 0, io.EOF
					case <-time.After(10 * time.Second):
						return 0, errors.New("the bucket gets nothing before the body is whole")
					}
				}), bytes.NewReader(rest))
				switch method {
				case "PATCH":
					location := w.send("PATCH", w.start("test/hat"), body, "Content-Type", "application/octet-stream").
						want(202).has("Range", fmt.Sprint("0-", len(whole)-1)).header.Get("Location")
					w.send("PUT", closing(location, sha(whole)), nil).want(201)
				case "PUT":
					w.send("PUT", closing(w.start("test/hat"), sha(whole)), body).want(201)
				case "POST":
					w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(whole), body).want(201)
				}
				w.send("GET", "/v2/test/hat/blobs/"+sha(whole), nil).want(200).content(whole)
			})
		}
	}
}

func TestB24PatchAnswersRangeOfWholeBlob(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		location := w.start("test/hat")
		whole := ""
		for _, chunk := range []string{"", "a", "bc", "", "defgh", "i"} {
			whole += chunk
			want := fmt.Sprint("0-", max(0, len(whole)-1))
			location = w.send("PATCH", location, chunk).want(202).has("Range", want, "Content-Length", "0").header.Get("Location")
			w.send("GET", location, nil).want(204).has("Range", want)
		}
		w.send("PUT", closing(location, sha([]byte(whole))), nil).want(201)
		w.send("GET", "/v2/test/hat/blobs/"+sha([]byte(whole)), nil).want(200).content([]byte(whole))
	})
}

var badRanges = []string{"bytes 4-7/8", "bytes=4-7", "bytes 4-7", "4", "4-", "-7", "x-y", "7-4", "4-7-9", "4 - 7", "4-99999999999999999999999", "-4-7", "+4-7", "0x4-7", "4-7,8-9", "*/8", "-"}

func TestB25ContentRangeMustFollow(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		location := w.send("PATCH", w.start("test/hat"), "0123", "Content-Range", "0-3").want(202).header.Get("Location")
		unchanged := func() { w.send("GET", location, nil).want(204).has("Range", "0-3") }
		for _, bad := range badRanges {
			w.send("PATCH", location, "4567", "Content-Range", bad).is(400, 416)
			unchanged()
		}
		for name, bad := range map[string]string{"gap": "5-8", "overlap": "3-6", "replay": "0-3", "far": "4611686018427387900-4611686018427387903"} {
			r := w.send("PATCH", location, "4567", "Content-Range", bad).want(416).has("Range", "0-3")
			if r.header.Get("Location") == "" {
				t.Errorf("%s: 416 without Location", name)
			}
			unchanged()
			w.send("GET", r.header.Get("Location"), nil).want(204).has("Range", "0-3")
		}
		for _, wrong := range []string{"4-6", "4-8", "4-4"} { // of another length than the body
			w.send("PATCH", location, "4567", "Content-Range", wrong).is(400, 416)
			w.send("PATCH", location, strings.NewReader("4567"), "Content-Range", wrong).is(400, 416)
			unchanged()
		}
		w.send("PATCH", location, strings.NewReader("4567"), "Content-Range", "4-7").want(202).has("Range", "0-7")
		w.send("PATCH", location, "89", "Content-Range", "8-9").want(202).has("Range", "0-9")
		w.send("PUT", closing(location, sha([]byte("0123456789"))), nil).want(201)
		// The first chunk, too, must begin at 0.
		location = w.start("test/hat")
		w.send("PATCH", location, "4567", "Content-Range", "4-7").want(416).has("Range", "0-0")
		w.send("GET", location, nil).want(204).has("Range", "0-0")
	})
}

func TestB26ClosingChunkMustFollow(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		content := []byte("01234567")
		location := w.send("PATCH", w.start("test/hat"), content[:4]).want(202).header.Get("Location")
		for _, bad := range []string{"5-8", "3-6", "0-3"} {
			r := w.send("PUT", closing(location, sha(content)), content[4:], "Content-Range", bad).want(416).has("Range", "0-3")
			w.send("GET", r.header.Get("Location"), nil).want(204).has("Range", "0-3")
			w.send("HEAD", "/v2/test/hat/blobs/"+sha(content), nil).is(404)
		}
		for _, bad := range badRanges {
			w.send("PUT", closing(location, sha(content)), content[4:], "Content-Range", bad).is(400, 416)
			w.send("GET", location, nil).want(204).has("Range", "0-3")
		}
		w.send("PUT", closing(location, sha(content)), content[4:], "Content-Range", "4-7").want(201)
		w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).want(200).content(content)
	})
}

func TestB27EveryLocationTellsTheState(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		locations := []string{w.start("test/hat")}
		w.send("GET", locations[0], nil).want(204).has("Range", "0-0").lacks("Content-Type")
		for n := range 3 {
			r := w.send("PATCH", locations[0], "abcd").want(202)
			locations = append(locations, r.header.Get("Location"))
			for _, l := range locations {
				r := w.send("GET", l, nil).want(204).has("Range", fmt.Sprint("0-", 4*n+3))
				locations = append(locations, r.header.Get("Location"))
				w.send("HEAD", l, nil).is(204, 200, 405)
			}
		}
		for _, l := range locations[1:3] {
			w.send("PATCH", l, "e").want(202)
		}
		w.send("PUT", closing(locations[0], sha([]byte("abcdabcdabcdee"))), nil).want(201)
	})
}

func TestB28ChunksMayBeOfAnyLength(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	r := w.send("POST", "/v2/test/hat/blobs/uploads/", nil).want(202).lacks("OCI-Chunk-Min-Length") // there is none
	content := []byte("one byte at a time")
	location := r.header.Get("Location")
	for i := range content[:len(content)-1] {
		location = w.send("PATCH", location, content[i:i+1], "Content-Range", fmt.Sprintf("%d-%d", i, i)).want(202).header.Get("Location")
	}
	last := len(content) - 1
	w.send("PUT", closing(location, sha(content)), content[last:], "Content-Range", fmt.Sprintf("%d-%d", last, last)).want(201)
	w.send("GET", "/v2/test/hat/blobs/"+sha(content), nil).want(200).content(content)
}

func TestB29FinishedBlobIsThereAtOnceOnEveryNode(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		node := newWire(t, func(c *registry.Config) { c.Store, c.Bucket = w.Store, w.Bucket })
		for i := range 20 {
			content := fmt.Appendf(nil, "content %d", i)
			path := "/v2/test/hat/blobs/" + sha(content)
			for _, n := range []*wire{w, node} {
				n.send("HEAD", path, nil).is(404)
				n.send("GET", path, nil).is(404)
			}
			// begun on one node, gone on with on the other, finished on the first
			location := w.start("test/hat")
			location = node.send("PATCH", location, content[:3]).want(202).header.Get("Location")
			location = w.send("PATCH", location, content[3:5]).want(202).header.Get("Location")
			r := w.send("PUT", closing(location, sha(content)), content[5:]).want(201).has("Docker-Content-Digest", sha(content))
			for _, n := range []*wire{node, w} {
				n.send("HEAD", r.header.Get("Location"), nil).want(200).has("Content-Length", fmt.Sprint(len(content)))
				n.anonymous().send("GET", path, nil).want(200).content(content)
			}
		}
	})
}

func TestB29WrongDigestLeavesNothing(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		content := []byte("content")
		d := sha(content)
		w.start("test/hat")
		before := w.visible()
		for _, bad := range []string{
			sha([]byte("other")), sha512of([]byte("other")), emptyDigest, "sha256:" + strings.ToUpper(d[7:]), d + "00", d[:70], "sha384:" + strings.Repeat("0", 96),
			"md5:" + strings.Repeat("0", 32), "sha1:" + strings.Repeat("0", 40), "SHA256:" + d[7:], d[7:], "", "sha256:", ":", "sha256:" + strings.Repeat("g", 64), "../" + d, "%00",
		} {
			for _, chunked := range []bool{false, true} {
				location, last := w.start("test/hat"), content
				if chunked {
					location, last = w.send("PATCH", location, content[:3]).want(202).header.Get("Location"), content[3:]
				}
				w.send("PUT", closing(location, bad), last).is(400).code("DIGEST_INVALID")
				if r := w.send("GET", location, nil).is(204, 404); r.status == 204 { // it may go on
					if chunked {
						r.has("Range", "0-2")
					}
					w.send("DELETE", location, nil).is(204)
				}
			}
			if bad != "" {
				w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+bad, content).is(400).code("DIGEST_INVALID")
			}
			w.send("HEAD", "/v2/test/hat/blobs/"+d, nil).is(404)
		}
		w.send("HEAD", "/v2/test/hat/blobs/"+sha([]byte("other")), nil).is(404)
		same(t, "rows", w.visible(), before)
		location := w.start("test/hat")
		w.send("PUT", location, content).is(400).code("DIGEST_INVALID")
		w.send("PUT", closing(location, sha([]byte("other"))), content).is(400)
		w.send("PUT", closing(location, d), content).is(201)
	})
}

func TestB30SingleRequestEmptyBlobAndSHA512(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		content := []byte("content")
		post := "/v2/test/hat/blobs/uploads/"
		r := w.send("POST", post+"?digest="+sha(content), content, "Content-Type", "application/octet-stream").want(201).has("Docker-Content-Digest", sha(content))
		w.send("GET", r.header.Get("Location"), nil).want(200).content(content)

		for i, push := range []func(repo string){
			func(repo string) { w.send("POST", "/v2/"+repo+"/blobs/uploads/?digest="+emptyDigest, nil).want(201) },
			func(repo string) { w.send("PUT", closing(w.start(repo), emptyDigest), nil).want(201) },
			func(repo string) {
				w.send("PUT", closing(w.send("PATCH", w.start(repo), "").want(202).header.Get("Location"), emptyDigest), "").want(201)
			},
			func(repo string) { w.send("PUT", closing(w.start(repo), emptyDigest), strings.NewReader("")).want(201) },
		} {
			repo := fmt.Sprint("test/empty", i)
			push(repo)
			for _, method := range []string{"GET", "HEAD"} {
				w.send(method, "/v2/"+repo+"/blobs/"+emptyDigest, nil).want(200).has("Content-Length", "0").content(nil)
			}
		}

		declared := post + "?digest-algorithm=sha512"
		for i, push := range []func(c []byte, d string){
			func(c []byte, d string) { w.send("POST", post+"?digest="+d, c).want(201) },
			func(c []byte, d string) {
				w.send("PUT", closing(w.send("POST", declared, nil).want(202).header.Get("Location"), d), c).want(201)
			},
			func(c []byte, d string) {
				l := w.send("POST", declared, nil).want(202).header.Get("Location")
				for _, b := range c[1:] {
					l = w.send("PATCH", l, []byte{b}).want(202).header.Get("Location")
				}
				w.send("PUT", closing(l, d), nil).is(400) // the first byte is missing
				w.send("DELETE", l, nil).is(204)
				l = w.send("POST", declared, nil).want(202).header.Get("Location")
				for _, b := range c {
					l = w.send("PATCH", l, []byte{b}).want(202).header.Get("Location")
				}
				w.send("PUT", closing(l, d), nil).want(201)
			},
			func(c []byte, d string) { // named only at the end
				l := w.send("PATCH", w.start("test/hat"), c[:2]).want(202).header.Get("Location")
				w.send("PUT", closing(l, d), c[2:]).want(201)
			},
			func(c []byte, d string) { w.send("PUT", closing(w.start("test/hat"), d), c).want(201) },
		} {
			c := fmt.Appendf(nil, "content %d", i)
			d := sha512of(c)
			push(c, d)
			w.send("GET", "/v2/test/hat/blobs/"+d, nil).want(200).has("Docker-Content-Digest", d).content(c)
			w.send("HEAD", "/v2/test/hat/blobs/"+sha(c), nil).is(404)
		}
		for _, bad := range []string{"md5", "sha384", "SHA512", "sha512:", "../"} {
			w.send("POST", post+"?digest-algorithm="+bad, nil).is(400).code("DIGEST_INVALID", "UNSUPPORTED")
		}
	})
}

func TestB30ManifestsTagsAndReferrersOfSHA512(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	layer := []byte("layer by sha512")
	w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+sha512of(layer), layer).want(201)
	raw := kinds()[ociImage].with(doc{"layers": []doc{{"mediaType": ociLayer, "digest": sha512of(layer), "size": len(layer)}}}).bytes()
	d := sha512of(raw)
	subject := doc{"mediaType": ociImage, "digest": d, "size": len(raw)}
	w.put("test/hat", d, ociImage, raw).want(201).has("Docker-Content-Digest", d)
	w.put("test/hat", d+"?tag=v1", ociImage, raw).want(201)
	for _, ref := range []string{d, "v1"} {
		w.send("GET", "/v2/test/hat/manifests/"+ref, nil).want(200).has("Docker-Content-Digest", d).content(raw)
		w.send("HEAD", "/v2/test/hat/manifests/"+ref, nil).want(200).has("Docker-Content-Digest", d)
	}
	w.putDoc("test/hat", "list", doc{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []doc{subject}}).want(201)
	referrer := artifact("application/vnd.example").with(doc{"subject": subject}).bytes()
	w.put("test/hat", sha512of(referrer), ociImage, referrer).want(201).has("OCI-Subject", d)
	same(t, "referrers", digests(w.referrers("test/hat", d, "")), []string{sha512of(referrer)})
	w.send("DELETE", "/v2/test/hat/manifests/"+d, nil).is(202)
	w.send("GET", "/v2/test/hat/manifests/v1", nil).is(404)
	w.send("GET", "/v2/test/hat/manifests/"+d, nil).is(404)
}

func TestB31CanceledUploadIsUnknown(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		for _, chunk := range []string{"", "abcd"} {
			location := w.start("test/hat")
			if chunk != "" {
				location = w.send("PATCH", location, chunk).want(202).header.Get("Location")
			}
			w.send("DELETE", location, nil).is(204)
			w.send("GET", location, nil).is(404).code("BLOB_UPLOAD_UNKNOWN")
			w.send("PATCH", location, "efgh").is(404).code("BLOB_UPLOAD_UNKNOWN")
			w.send("PUT", closing(location, sha([]byte(chunk))), nil).is(404).code("BLOB_UPLOAD_UNKNOWN")
			w.send("PUT", closing(location, sha([]byte("x"))), "x").is(404).code("BLOB_UPLOAD_UNKNOWN")
			w.send("DELETE", location, nil).is(404).code("BLOB_UPLOAD_UNKNOWN")
		}
		location := w.start("test/hat")
		w.send("PUT", closing(location, emptyDigest), nil).want(201)
		w.send("GET", location, nil).is(404).code("BLOB_UPLOAD_UNKNOWN") // finished
		w.send("PATCH", location, "x").is(404).code("BLOB_UPLOAD_UNKNOWN")
		if left := w.rows()["upload"]; len(left) > 0 {
			t.Errorf("uploads are left: %v", left)
		}
	})
}

func TestB32MountIs201Or202(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		other := w.as(otherBasic)
		own, foreign, hidden, never := []byte("own"), []byte("foreign"), []byte("hidden"), []byte("never mounted")
		unlinked := []byte("in the private repository alone")
		w.pushBlob("test/hat", own)
		other.pushBlob("other/hat", foreign)
		secret := w.private("secret")
		w.pushBlob(secret, hidden)
		w.pushBlob(secret, never)
		w.pushBlob(secret, unlinked)
		const push, read = "repository:%s:pull,push", "repository:%s:pull"
		n := 0
		for _, c := range []struct {
			name    string
			client  func(target string) *wire
			query   string
			content []byte
			want    []int
		}{
			{"own", nil, "mount=" + sha(own) + "&from=test/hat", own, []int{201}},
			{"of another account, public", nil, "mount=" + sha(foreign) + "&from=other/hat", foreign, []int{201}},
			{"own private", nil, "mount=" + sha(hidden) + "&from=" + secret, hidden, []int{201}},
			{"with origin", nil, "mount=" + sha(own) + "&from=test/hat&origin=https://docker.io", own, []int{201}},
			{"slash encoded", nil, "mount=" + sha(own) + "&from=test%2Fhat", own, []int{201}},
			{"without from", nil, "mount=" + sha(own), own, []int{201, 202}},
			{"token for both", func(target string) *wire {
				return w.withToken(fmt.Sprintf(push, target), fmt.Sprintf(read, secret))
			}, "mount=" + sha(hidden) + "&from=" + secret, hidden, []int{201}},
			{"token for the target", func(target string) *wire { return w.withToken(fmt.Sprintf(push, target)) }, "mount=" + sha(never) + "&from=" + secret, never, []int{202}},
			{"token for the target, no from", func(target string) *wire { return w.withToken(fmt.Sprintf(push, target)) }, "mount=" + sha(unlinked), unlinked, []int{202}},
			{"token for the target, public", func(target string) *wire { return w.withToken(fmt.Sprintf(push, target)) }, "mount=" + sha(own) + "&from=test/hat", own, []int{201, 202}},
			{"unknown repository", nil, "mount=" + sha(own) + "&from=test/none", own, []int{202}},
			{"unknown alias", nil, "mount=" + sha(own) + "&from=none/none", own, []int{202}},
			{"blob of elsewhere", nil, "mount=" + sha(foreign) + "&from=test/hat", foreign, []int{202}},
			{"unknown blob", nil, "mount=" + sha([]byte("x")) + "&from=test/hat", []byte("x"), []int{202}},
			{"unknown blob, no from", nil, "mount=" + sha([]byte("y")), []byte("y"), []int{202}},
			{"source out of grammar", nil, "mount=" + sha(own) + "&from=../Hat//", own, []int{202}},
			{"empty source", nil, "mount=" + sha(own) + "&from=", own, []int{201, 202}},
			{"source is an alias", nil, "mount=" + sha(own) + "&from=test", own, []int{202}},
		} {
			n++
			target, client := fmt.Sprint("test/target", n), w
			if c.client != nil {
				client = c.client(target)
			}
			r := client.send("POST", "/v2/"+target+"/blobs/uploads/?"+c.query, nil).is(c.want...)
			blob := "/v2/" + target + "/blobs/" + sha(c.content)
			switch r.status {
			case 201:
				r.has("Docker-Content-Digest", sha(c.content), "Content-Length", "0")
				client.send("GET", r.header.Get("Location"), nil).is(200).content(c.content)
			case 202: // a session as any other
				client.send("HEAD", blob, nil).is(404)
				r.has("Range", "0-0")
				client.send("PUT", closing(r.header.Get("Location"), sha(c.content)), c.content).is(201)
			}
			client.send("HEAD", blob, nil).is(200)
			if t.Failed() {
				t.Fatal(c.name)
			}
		}
		before := w.visible()
		w.send("POST", "/v2/test/hat/blobs/uploads/?mount=sha256:x&from=test/hat", nil).is(202, 400)
		w.send("POST", "/v2/test/hat/blobs/uploads/?mount="+sha(hidden)+"&from=test/hat&digest="+sha([]byte("no")), "x").is(202, 400)
		same(t, "rows", w.visible(), before)
	})
}

// containerd gives up a push on any other status.
func TestB33HeadOfBlobIs200Or404(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	pusher := w.withToken("repository:test/hat:pull,push", "repository:test/new:pull,push")
	for _, client := range []*wire{w, pusher} {
		client.send("HEAD", "/v2/test/hat/blobs/"+sha(p.layer), nil).is(200)
		client.send("HEAD", "/v2/test/hat/blobs/"+sha([]byte("none")), nil).is(404)
		client.send("HEAD", "/v2/test/hat/blobs/"+sha512of([]byte("none")), nil).is(404)
		client.send("HEAD", "/v2/test/hat/blobs/"+p.digest, nil).is(404)
		client.send("HEAD", "/v2/test/new/blobs/"+sha(p.layer), nil).is(404)
		client.send("HEAD", "/v2/test/new/manifests/v1", nil).is(404)
		client.send("HEAD", "/v2/test/hat/manifests/v2", nil).is(404)
	}
}
