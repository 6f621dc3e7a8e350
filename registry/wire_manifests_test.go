package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// kinds are documents of each media type, over blobs that [pushBlobs] pushes.
func kinds() map[string]doc {
	config, layer := []byte(`{"architecture":"amd64","os":"linux"}`), []byte("layer")
	oci := image(config, layer)
	docker := doc{
		"schemaVersion": 2, "mediaType": dockerImage,
		"config": descriptor("application/vnd.docker.container.image.v1+json", config),
		"layers": []doc{descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)},
	}
	return map[string]doc{
		ociImage: oci, dockerImage: docker, ociIndex: index(oci.bytes()),
		dockerList: {"schemaVersion": 2, "mediaType": dockerList, "manifests": []doc{
			descriptor(dockerImage, docker.bytes()).with(doc{"platform": doc{"os": "linux", "architecture": "amd64"}}),
		}},
	}
}

var kindOrder = []string{ociImage, dockerImage, ociIndex, dockerList}

func (w *wire) pushBlobs(repo string) {
	w.t.Helper()
	w.pushBlob(repo, []byte(`{"architecture":"amd64","os":"linux"}`))
	w.pushBlob(repo, []byte("layer"))
	w.pushBlob(repo, []byte("{}"))
}

func TestB10ManifestHasDigestTypeAndLength(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int64{"cached": 0, "uncached": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, func(c *registry.Config) { c.ManifestCache = cache }).served()
			w.pushBlobs("test/hat")
			for i, kind := range kindOrder {
				raw, tag := kinds()[kind].bytes(), fmt.Sprint("v", i)
				w.put("test/hat", tag, kind+"; charset=utf-8", raw).want(201)
				for _, ref := range []string{tag, sha(raw), tag, sha(raw)} {
					for _, method := range []string{"HEAD", "GET"} {
						r := w.anonymous().send(method, "/v2/test/hat/manifests/"+ref, nil).want(200).
							has("Docker-Content-Digest", sha(raw), "Content-Type", kind, "Content-Length", fmt.Sprint(len(raw)))
						if method == "GET" {
							r.content(raw)
						}
					}
				}
			}
		})
	}
}

func TestB11BytesAreServedAsPushed(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	config, layer := descriptor(ociConfig, []byte(`{"architecture":"amd64","os":"linux"}`)), descriptor(ociLayer, []byte("layer"))
	body := fmt.Sprintf(`"mediaType":%q,"config":%s,"layers":[%s]`, ociImage, config.bytes(), layer.bytes())
	for i, raw := range []string{
		"\n\t {" + body + `,"schemaVersion":2}` + "\r\n\n",
		`{"schemaVersion":2,` + body + `,"org.example.unknown":{"a":[1,2.50,1e3,null,true,"\u00e9é\/"]},"z":"<&>"}`,
		`{"schemaVersion" : 2 , ` + strings.ReplaceAll(body, ":", ":   ") + `, "annotations":{"b":"2","a":"1"}}`,
		strings.Replace(`{"schemaVersion":2,`+body+`}`, `"size"`, `"org.example.more":[[]],"size"`, 1),
	} {
		if i == 2 { // the digests must stay as they are
			raw = strings.ReplaceAll(raw, "sha256:   ", "sha256:")
		}
		ref := fmt.Sprint("v", i)
		w.put("test/hat", ref, ociImage, []byte(raw)).want(201).has("Docker-Content-Digest", sha([]byte(raw)))
		w.send("GET", "/v2/test/hat/manifests/"+ref, nil).want(200).content([]byte(raw))
		w.send("GET", "/v2/test/hat/manifests/"+sha([]byte(raw)), nil).want(200).content([]byte(raw))
	}
}

func TestB12TypeIsAsStoredWhateverIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	for i, kind := range kindOrder {
		raw, ref := kinds()[kind].bytes(), fmt.Sprint("v", i)
		w.put("test/hat", ref, kind, raw).want(201)
		for _, accept := range [][]string{
			nil, {"Accept", "*/*"}, {"Accept", kind + ", */*"}, {"Accept", "application/json"}, {"Accept", ociIndex}, {"Accept", dockerImage},
			{"Accept", "application/vnd.docker.distribution.manifest.v1+prettyjws"}, {"Accept", "text/html;q=0.5"}, {"Accept", ";;,"},
			{"Accept", ociImage, "Accept", ociIndex, "Accept", dockerList},
		} {
			w.send("GET", "/v2/test/hat/manifests/"+ref, nil, accept...).is(200).has("Content-Type", kind).content(raw)
			w.send("HEAD", "/v2/test/hat/manifests/"+ref, nil, accept...).is(200).has("Content-Type", kind)
		}
	}
}

func TestB13Schema1IsRefused(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	v1 := []byte(`{"schemaVersion":1,"name":"test/hat","tag":"v1","architecture":"amd64","fsLayers":[{"blobSum":"` + emptyDigest + `"}],"history":[{"v1Compatibility":"{}"}]}`)
	before := w.rows()
	for _, kind := range []string{
		"application/vnd.docker.distribution.manifest.v1+prettyjws", "application/vnd.docker.distribution.manifest.v1+json", ociImage, dockerImage, "application/json", "",
	} {
		r := w.put("test/hat", "v1", kind, v1).is(400).code("MANIFEST_INVALID", "UNSUPPORTED")
		if !strings.Contains(strings.ToLower(string(r.body)), "schema") {
			t.Errorf("as %q: the client is not told that it is the schema: %s", kind, r.body)
		}
		w.send("GET", "/v2/test/hat/manifests/v1", nil).is(404)
	}
	same(t, "rows", w.rows(), before)
}

// padded is a valid manifest of exactly so many bytes.
func padded(size int) []byte {
	raw := image([]byte(`{"architecture":"amd64","os":"linux"}`), []byte("layer")).with(doc{"annotations": doc{"pad": ""}}).bytes()
	return bytes.Replace(raw, []byte(`"pad":""`), fmt.Appendf(nil, `"pad":%q`, strings.Repeat("x", size-len(raw))), 1)
}

func TestB14ManifestLimitIsFourMiB(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	full := padded(fourMiB)
	if len(full) != fourMiB {
		t.Fatalf("made %d bytes", len(full))
	}
	w.put("test/hat", "full", ociImage, full).want(201)
	w.send("GET", "/v2/test/hat/manifests/full", nil).want(200).content(full)
	before := w.rows()
	over := padded(fourMiB + 1)
	w.put("test/hat", "over", ociImage, over).is(413)
	w.send("PUT", "/v2/test/hat/manifests/over", bytes.NewReader(over), "Content-Type", ociImage).is(413) // of unknown length
	w.put("test/hat", sha(over), ociImage, over).is(413)
	same(t, "rows", w.rows(), before)
	w.send("GET", "/v2/test/hat/manifests/over", nil).is(404)
}

func TestB15IfNoneMatchAnswers304(t *testing.T) {
	t.Parallel()
	w := newWire(t).served()
	p := w.pushImage("test/hat", "v1", "hat")
	q := w.pushImage("test/hat", "v2", "other")
	etag := `"` + p.digest + `"`
	for _, ref := range []string{"v1", p.digest} {
		path := "/v2/test/hat/manifests/" + ref
		for _, method := range []string{"GET", "HEAD"} {
			w.send(method, path, nil).is(200).has("ETag", etag)
			for _, match := range []string{etag, p.digest, "W/" + etag, "*", `"` + q.digest + `", ` + etag} {
				w.send(method, path, nil, "If-None-Match", match).is(304).has("ETag", etag)
			}
			for _, match := range []string{`"` + q.digest + `"`, q.digest, `"x"`, `""`, p.digest[:20]} {
				w.send(method, path, nil, "If-None-Match", match).is(200)
			}
		}
	}
	w.send("GET", "/v2/test/hat/manifests/none", nil, "If-None-Match", "*").is(404)
	// A tag that moved does not match any more.
	w.put("test/hat", "v1", ociImage, q.raw).want(201)
	w.send("GET", "/v2/test/hat/manifests/v1", nil, "If-None-Match", etag).is(200).content(q.raw)
}

// containerd looks for a digest among manifests, then among blobs; FetchByDigest the other
// way round.
func TestB16DigestOfTheOtherKindIs404WithoutTheBucket(t *testing.T) {
	t.Parallel()
	var bucket *storagetest.Faulty
	w := newWire(t, faulty(&bucket))
	p := w.pushImage("test/hat", "v1", "hat")
	bucket.Set(storagetest.Faults{Get: errors.New("a miss asks the bucket"), PutBefore: errors.New("a miss writes")})
	for range 100 {
		w.anonymous().send("GET", "/v2/test/hat/blobs/"+p.digest, nil).is(404).code("BLOB_UNKNOWN")
	}
	for _, method := range []string{"GET", "HEAD"} {
		w.anonymous().send(method, "/v2/test/hat/blobs/"+p.digest, nil).is(404)
		w.anonymous().send(method, "/v2/test/hat/manifests/"+sha(p.layer), nil).is(404)
		w.anonymous().send(method, "/v2/test/hat/manifests/"+sha(p.config), nil).is(404)
	}
}

func TestB17UnknownIs404(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	none := sha([]byte("none"))
	pusher := w.withToken("repository:test/none:pull,push", "repository:test/hat:pull,push")
	for _, client := range []*wire{w, pusher} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, path := range []string{
				"test/none/manifests/v1", "test/none/manifests/" + p.digest, "test/none/blobs/" + sha(p.layer),
				"test/hat/manifests/none", "test/hat/manifests/" + none, "test/hat/blobs/" + none,
			} {
				client.send(method, "/v2/"+path, nil).is(404)
			}
		}
	}
	for _, path := range []string{"test/hat/manifests/none", "test/hat/manifests/" + none, "test/hat/blobs/" + none} {
		w.anonymous().send("GET", "/v2/"+path, nil).is(404)
	}
}

// Who may not pull cannot tell the private repository from the one that is not there.
func TestB17PrivateIsAnsweredAsTheAbsentIs(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	secret := w.private("secret")
	p := w.pushImage(secret, "v1", "secret")
	for _, path := range []string{"/manifests/v1", "/manifests/" + p.digest, "/blobs/" + sha(p.layer), "/tags/list"} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, client := range []*wire{w.anonymous(), w.as(otherBasic), w.anonymous().withToken("repository:" + secret + ":pull")} {
				r := client.send(method, "/v2/"+secret+path, nil).is(401, 403, 404)
				client.send(method, "/v2/test/absent"+path, nil).is(r.status)
			}
			w.send(method, "/v2/"+secret+path, nil).is(200)
			w.withToken("repository:"+secret+":pull").send(method, "/v2/"+secret+path, nil).is(200)
		}
	}
}

func TestB18NamespaceAndUnknownParametersAreIgnored(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	const q = "ns=docker.io&org.example.unknown=%20x&ns="
	with := func(path string) string { return appended(path, q) }
	content := []byte("content")
	location := w.send("POST", with("/v2/test/hat/blobs/uploads/"), nil).want(202).header.Get("Location")
	location = w.send("PATCH", with(location), content).want(202).header.Get("Location")
	w.send("PUT", appended(with(location), "digest="+sha(content)), nil).want(201)
	w.pushBlob("test/hat", []byte("{}"))
	raw := artifact("application/vnd.example").bytes()
	w.send("PUT", with("/v2/test/hat/manifests/v1"), raw, "Content-Type", ociImage).want(201)
	for _, method := range []string{"GET", "HEAD"} {
		for _, path := range []string{"manifests/v1", "manifests/" + sha(raw), "blobs/" + sha(content), "tags/list", "referrers/" + sha(raw)} {
			r := w.send(method, with("/v2/test/hat/"+path), nil).is(200)
			if ns := r.header.Get("OCI-Namespace"); ns != "" && ns != "docker.io" {
				t.Errorf("%s: OCI-Namespace %q", r.what, ns)
			}
		}
	}
	w.send("GET", with("/v2/"), nil).is(200)
	w.send("DELETE", with("/v2/test/hat/manifests/v1"), nil).is(202)
}

func TestB19TagThatLooksLikeADigestIsATag(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "v1", "hat")
	q := w.pushImage("test/hat", "v2", "other")
	tag := strings.Replace(p.digest, ":", "-", 1)
	w.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(404)
	w.put("test/hat", tag, ociImage, q.raw).want(201)
	w.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(200).content(q.raw)
	w.send("GET", "/v2/test/hat/manifests/"+p.digest, nil).is(200).content(p.raw)
	same(t, "tags", w.tags("test/hat"), []string{tag, "v1", "v2"})
	w.send("DELETE", "/v2/test/hat/manifests/"+tag, nil).is(202)
	w.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(404)
	w.send("GET", "/v2/test/hat/manifests/"+q.digest, nil).is(200)
}

func TestB40PutManifestAnswersWhereItIs(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	raw := kinds()[ociImage].bytes()
	d := sha(raw)
	for _, ref := range []string{"v1", "v1", d, d, "v2", "v1"} {
		r := w.put("test/hat", ref, ociImage, raw).want(201).has("Docker-Content-Digest", d)
		w.send("GET", r.header.Get("Location"), nil).want(200).content(raw)
		w.send("GET", "/v2/test/hat/manifests/"+ref, nil).want(200).content(raw)
	}
	before := w.rows()
	other := image([]byte(`{"architecture":"amd64","os":"linux"}`)).bytes()
	for _, ref := range []string{d, sha([]byte("none")), sha512of([]byte("none")), sha512of(raw)} {
		w.put("test/hat", ref, ociImage, other).is(400).code("DIGEST_INVALID", "MANIFEST_INVALID")
	}
	same(t, "rows", w.rows(), before)
	w.send("GET", "/v2/test/hat/manifests/"+d, nil).is(200).content(raw)
	w.send("GET", "/v2/test/hat/manifests/"+sha(other), nil).is(404)
}

func TestB41MissingBlobsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	w.pushImage("test/coat", "v1", "coat")
	config, layer, none := []byte(`{"architecture":"amd64","os":"linux"}`), []byte("layer"), []byte("none")
	child := image(config, layer).bytes()
	before := w.rows()
	for name, d := range map[string]doc{
		"layer":                  image(config, layer, none),
		"config":                 image(none, layer),
		"child":                  index(child),
		"in another repository":  image(config, []byte("layer of coat")),
		"blob as a child":        index(layer),
		"layer twice, one there": image(config, layer, layer, none),
	} {
		w.putDoc("test/hat", "v1", d).is(400, 404).code("MANIFEST_BLOB_UNKNOWN")
		w.send("GET", "/v2/test/hat/manifests/v1", nil).is(404)
		w.send("GET", "/v2/test/hat/manifests/"+sha(d.bytes()), nil).is(404)
		same(t, "rows after a missing "+name, w.rows(), before)
	}
	sparse := newWire(t, func(c *registry.Config) { c.AllowMissing = true })
	sparse.putDoc("test/hat", "v1", index(child)).is(201)
}

func TestB41WhatNeedNotExistIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	config, layer := []byte(`{"architecture":"amd64","os":"linux"}`), []byte("layer")
	plain := image(config, layer)
	absent := descriptor(ociImage, []byte("absent"))
	foreign := func(mediaType string) doc {
		return plain.with(doc{"layers": []doc{descriptor(ociLayer, layer), descriptor(mediaType, []byte("elsewhere")).with(doc{"urls": []string{"https://example.com/l"}})}})
	}
	w.putDoc("test/hat", "plain", plain).want(201)
	w.putDoc("test/hat", "index", index(plain.bytes())).want(201)
	for name, d := range map[string]doc{
		"missing subject":          plain.with(doc{"subject": absent}),
		"missing subject of index": index(plain.bytes()).with(doc{"subject": absent}),
		"foreign":                  foreign("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
		"foreign tar":              foreign("application/vnd.oci.image.layer.nondistributable.v1.tar"),
		"foreign zstd":             foreign("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
		"docker foreign":           foreign("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
		"data":                     artifact("application/vnd.example").with(doc{"config": descriptor(ociEmpty, []byte("{}")).with(doc{"data": "e30="})}),
		"nested index":             doc{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []doc{descriptor(ociIndex, index(plain.bytes()).bytes())}},
		"artifact index":           index(plain.bytes()).with(doc{"artifactType": "application/vnd.example"}),
		"empty index":              index(),
		"empty layers":             plain.with(doc{"layers": []doc{}}),
		"unknown config type":      plain.with(doc{"config": descriptor("application/vnd.example.config", config)}),
		"unknown layer type":       plain.with(doc{"layers": []doc{descriptor("application/vnd.example.layer", layer)}}),
		"platforms and annotations": index(plain.bytes()).with(doc{"annotations": doc{"a": "b"}, "manifests": []doc{
			descriptor(ociImage, plain.bytes()).with(doc{"platform": doc{"os": "windows", "architecture": "amd64", "os.version": "10.0", "os.features": []string{"win32k"}}, "annotations": doc{"a": ""}}),
		}}),
	} {
		ref := strings.ReplaceAll(name, " ", "-")
		w.putDoc("test/hat", ref, d).is(201)
		w.send("GET", "/v2/test/hat/manifests/"+ref, nil).is(200).content(d.bytes())
	}
}

func TestB42TypeOfManifestIsUnambiguous(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	for i, kind := range kindOrder {
		for j, param := range []string{"; charset=utf-8", ";charset=utf-8", "; a=b; c=\"d\"", " ; x=y"} {
			ref := fmt.Sprintf("v%d-%d", i, j)
			w.put("test/hat", ref, kind+param, kinds()[kind].bytes()).is(201)
			w.send("GET", "/v2/test/hat/manifests/"+ref, nil).is(200).has("Content-Type", kind)
		}
	}
	before := w.rows()
	for _, kind := range kindOrder {
		raw := kinds()[kind].bytes()
		for _, header := range append(slices.Clone(kindOrder), "application/json", "application/octet-stream", "text/plain", "application/vnd.example", "not a type;;", ociConfig) {
			if header != kind {
				w.put("test/hat", "new", header, raw).is(400, 415).code("MANIFEST_INVALID", "UNSUPPORTED")
			}
		}
	}
	same(t, "rows", w.rows(), before)
}

func TestB43SubjectIsAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	subject := sha([]byte("subject"))
	s := doc{"subject": descriptor(ociImage, []byte("subject"))}
	plain := kinds()[ociImage]
	w.putDoc("test/hat", "plain", plain).want(201).lacks("OCI-Subject")
	for i, d := range []doc{plain.with(s), index(plain.bytes()).with(s), artifact("application/vnd.example").with(s)} {
		w.putDoc("test/hat", fmt.Sprint("v", i), d).want(201).has("OCI-Subject", subject)
		w.putDoc("test/hat", sha(d.bytes()), d).want(201).has("OCI-Subject", subject) // again
	}
	s512 := doc{"subject": doc{"mediaType": ociImage, "digest": sha512of([]byte("subject")), "size": 7}}
	w.putDoc("test/hat", "s512", plain.with(s512)).want(201).has("OCI-Subject", sha512of([]byte("subject")))
}

func TestB44TagParametersSetTags(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	raw := kinds()[ociImage].bytes()
	query := func(n int) (q string, tags []string) {
		for i := range n {
			tags = append(tags, fmt.Sprintf("t%05d", i))
			q = appended(q, "tag="+tags[i])
		}
		return q, tags
	}
	for _, n := range []int{1, 10, 12} {
		q, tags := query(n)
		r := w.put("test/hat", sha(raw)+q, ociImage, raw).want(201).has("Docker-Content-Digest", sha(raw))
		var told []string
		for _, v := range r.header.Values("OCI-Tag") {
			for tag := range strings.SplitSeq(v, ",") {
				told = append(told, strings.TrimSpace(tag))
			}
		}
		slices.Sort(told)
		same(t, "OCI-Tag", told, tags)
		same(t, "tags", w.tags("test/hat"), tags)
		for _, tag := range tags {
			w.send("GET", "/v2/test/hat/manifests/"+tag, nil).want(200).content(raw)
		}
	}
	d512 := sha512of(raw)
	w.put("test/hat", d512+"?tag=s512", ociImage, raw).want(201)
	w.send("GET", "/v2/test/hat/manifests/s512", nil).want(200).has("Docker-Content-Digest", d512)

	before := w.rows()
	other := kinds()[ociImage].with(doc{"annotations": doc{"a": "b"}}).bytes()
	q, _ := query(5000)
	w.put("test/hat", sha(other)+q, ociImage, other).is(http.StatusRequestURITooLong)
	for _, q := range []string{"?tag=ok&tag=.bad", "?tag=ok&tag=a%20b", "?tag=ok&tag=", "?tag=ok&tag=" + strings.Repeat("x", 129), "?tag=ok&tag=sha256:x"} {
		w.put("test/hat", sha(other)+q, ociImage, other).is(400)
	}
	w.put("test/hat", sha(raw)+"?tag=ok", ociImage, other).is(400) // another digest
	same(t, "rows", w.rows(), before)
	w.send("GET", "/v2/test/hat/manifests/ok", nil).is(404)
}

func TestB45EmptyConfigIsABlob(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	const d = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	w.send("HEAD", "/v2/test/hat/blobs/"+d, nil).is(404)
	if got := w.pushBlob("test/hat", []byte("{}")); got != d {
		t.Fatalf("digest %s", got)
	}
	w.send("GET", "/v2/test/hat/blobs/"+d, nil).is(200).content([]byte("{}"))
	w.send("POST", "/v2/test/coat/blobs/uploads/?mount="+d+"&from=test/hat", nil).is(201)
	for _, repo := range []string{"test/hat", "test/coat"} {
		w.putDoc(repo, "v1", artifact("application/vnd.example")).is(201)
	}
}
