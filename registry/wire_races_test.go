package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// together runs f of 0 to n-1 at once.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	wg.Wait()
}

func TestRaceOfTwoPushingOneTag(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushBlobs("test/hat")
	const clients = 4
	for round := range 20 {
		raws := make([][]byte, clients)
		for i := range raws {
			raws[i] = kinds()[ociImage].with(doc{"annotations": doc{"n": fmt.Sprint(round, i)}}).bytes()
		}
		var reading atomic.Bool
		reading.Store(true)
		var readers sync.WaitGroup
		readers.Go(func() { // sees one image or another, whole
			for reading.Load() {
				if r := w.send("GET", "/v2/test/hat/manifests/v1", nil); r.status == 200 && r.header.Get("Docker-Content-Digest") != sha(r.body) {
					t.Errorf("%d bytes of %s said to be %s", len(r.body), sha(r.body), r.header.Get("Docker-Content-Digest"))
				}
			}
		})
		together(clients, func(i int) { w.put("test/hat", "v1", ociImage, raws[i]).is(201) })
		reading.Store(false)
		readers.Wait()
		got := w.send("GET", "/v2/test/hat/manifests/v1", nil).want(200).body
		if !slices.ContainsFunc(raws, func(raw []byte) bool { return bytes.Equal(raw, got) }) {
			t.Fatalf("round %d: v1 is %.200s", round, got)
		}
		for _, raw := range raws {
			w.send("GET", "/v2/test/hat/manifests/"+sha(raw), nil).is(200).content(raw)
		}
		same(t, "tags", w.tags("test/hat"), []string{"v1"})
	}
	// The history is one chain.
	var last manifest.Digest
	for _, row := range w.rows()["move"] {
		m := row.(meta.Move)
		if m.From != last {
			t.Errorf("move %d is from %s, the one before led to %s", m.Sequence, m.From, last)
		}
		last = m.To
	}
	if r := w.send("HEAD", "/v2/test/hat/manifests/v1", nil); r.header.Get("Docker-Content-Digest") != string(last) {
		t.Errorf("the history ends at %s", last)
	}
}

func TestRaceOfTwoFinishingOneUpload(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		const clients = 4
		for round := range 20 {
			start, rest := fmt.Appendf(nil, "start %d ", round), []byte("rest")
			for name, c := range map[string]struct {
				first []byte
				body  []byte
			}{"empty": {append(bytes.Clone(start), rest...), nil}, "with the last chunk": {start, rest}, "whole": {nil, append(bytes.Clone(start), rest...)}} {
				repo := fmt.Sprintf("test/hat%d/%d", round, len(name))
				location := w.start(repo)
				if c.first != nil {
					location = w.send("PATCH", location, c.first).want(202).header.Get("Location")
				}
				whole := append(bytes.Clone(start), rest...)
				statuses := make([]int, clients)
				together(clients, func(i int) {
					statuses[i] = w.send("PUT", closing(location, sha(whole)), c.body).is(201, 404, 416).status
				})
				slices.Sort(statuses)
				if statuses[0] != 201 || statuses[1] == 201 {
					t.Errorf("%s: %v, want one 201", name, statuses)
				}
				w.send("GET", "/v2/"+repo+"/blobs/"+sha(whole), nil).want(200).content(whole)
				w.send("GET", location, nil).is(404).code("BLOB_UPLOAD_UNKNOWN")
			}
		}
	})
}

func TestRaceOfTwoChunksAtOnePlace(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		const clients = 4
		for range 20 {
			location := w.start("test/hat")
			var whole []byte
			for step := range 3 {
				chunks := make([][]byte, clients)
				statuses := make([]int, clients)
				together(clients, func(i int) {
					chunks[i] = bytes.Repeat([]byte{byte('a' + i)}, 100)
					header := []string{"Content-Range", fmt.Sprintf("%d-%d", 100*step, 100*step+99)}
					statuses[i] = w.send("PATCH", location, chunks[i], header...).is(202, 416).status
				})
				won := -1
				for i, s := range statuses {
					if s == 202 && won >= 0 {
						t.Fatalf("statuses %v, want one 202", statuses)
					} else if s == 202 {
						won = i
					}
				}
				if won < 0 {
					t.Fatalf("statuses %v, want one 202", statuses)
				}
				whole = append(whole, chunks[won]...)
				w.send("GET", location, nil).want(204).has("Range", fmt.Sprint("0-", len(whole)-1))
			}
			w.send("PUT", closing(location, sha(whole)), nil).want(201)
			w.send("GET", "/v2/test/hat/blobs/"+sha(whole), nil).want(200).content(whole)
		}
	})
}

// The loser of two chunks ends last: its bytes must not be the ones that are kept.
func TestRaceLoserThatEndsLastChangesNothing(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"PATCH", "PUT"} {
		w := newWire(t)
		location := w.send("PATCH", w.start("test/hat"), "0123").want(202).header.Get("Location")
		slow, begun, ended := make(chan struct{}), make(chan struct{}), make(chan *reply)
		go func() {
			body := io.MultiReader(bytes.NewReader([]byte("lo")), readerFunc(func([]byte) (int, error) {
				close(begun)
				<-slow
				return 0, io.EOF
			}), bytes.NewReader([]byte("st")))
			if method == "PUT" {
				ended <- w.send("PUT", closing(location, sha([]byte("0123lost"))), body)
			} else {
				ended <- w.send("PATCH", location, body)
			}
		}()
		<-begun
		w.send("PATCH", location, "4567").want(202).has("Range", "0-7")
		w.send("PUT", closing(location, sha([]byte("01234567"))), nil).want(201)
		close(slow)
		(<-ended).is(404, 416)
		w.send("GET", "/v2/test/hat/blobs/"+sha([]byte("01234567")), nil).want(200).content([]byte("01234567"))
		w.send("HEAD", "/v2/test/hat/blobs/"+sha([]byte("0123lost")), nil).is(404)
	}
}

func TestRaceOfFirstPushesMakesOneRepository(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		for round := range 20 {
			repo, raw := fmt.Sprint("test/new", round), index().bytes()
			together(6, func(i int) {
				content := fmt.Appendf(nil, "content %d", i)
				switch i % 3 {
				case 0:
					w.send("PUT", closing(w.send("POST", "/v2/"+repo+"/blobs/uploads/", nil).is(202).header.Get("Location"), sha(content)), content).is(201)
				case 1:
					w.send("POST", "/v2/"+repo+"/blobs/uploads/?digest="+sha(content), content).is(201)
				case 2:
					w.put(repo, fmt.Sprint("v", i), ociIndex, raw).is(201)
				}
			})
			if n := len(w.rows()["repository"]); n != round+1 {
				t.Fatalf("%d repositories after %d", n, round+1)
			}
			same(t, "tags", w.tags(repo), []string{"v2", "v5"})
			for i := range 6 {
				if content := fmt.Appendf(nil, "content %d", i); i%3 < 2 {
					w.send("GET", "/v2/"+repo+"/blobs/"+sha(content), nil).is(200).content(content)
				}
			}
		}
	})
}

// Once a deletion is answered, no cache has it any more, however many read meanwhile.
func TestRaceOfDeletingAndReading(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	p := w.pushImage("test/hat", "keep", "hat")
	for round := range 30 {
		raw := image(p.config, p.layer).with(doc{"annotations": doc{"n": fmt.Sprint(round)}}).bytes()
		w.put("test/hat", "v1", ociImage, raw).want(201)
		content := fmt.Appendf(nil, "content %d", round)
		blob := "/v2/test/hat/blobs/" + w.pushBlob("test/hat", content)
		paths := []string{"/v2/test/hat/manifests/v1", "/v2/test/hat/manifests/" + sha(raw), blob}
		var reading atomic.Bool
		reading.Store(true)
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				for reading.Load() {
					for _, path := range paths {
						w.send("GET", path, nil).is(200, 404)
						w.send("HEAD", path, nil).is(200, 404)
					}
				}
			})
		}
		for i, path := range []string{"/v2/test/hat/manifests/" + sha(raw), blob} {
			w.send("DELETE", path, nil).want(202)
			for range 20 {
				w.send("GET", path, nil).is(404)
				if i == 0 {
					w.send("GET", paths[0], nil).is(404)
				}
			}
		}
		reading.Store(false)
		readers.Wait()
		for _, path := range paths {
			w.send("GET", path, nil).is(404)
		}
	}
}

// Of a push and a deletion at once either is the last, and no tag leads nowhere.
func TestRaceOfDeletingAndPushing(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(c *registry.Config) { c.Grace = 1 }) // every HEAD renews a review
	p := w.pushImage("test/hat", "v1", "hat")
	for range 30 {
		together(4, func(i int) {
			switch i {
			case 0:
				w.send("DELETE", "/v2/test/hat/manifests/"+p.digest, nil).is(202, 404)
			case 1:
				w.put("test/hat", "v1", ociImage, p.raw).is(201, 400, 404)
			case 2:
				w.send("DELETE", "/v2/test/hat/blobs/"+sha(p.layer), nil).is(202, 404)
			case 3:
				for range 5 {
					w.send("HEAD", "/v2/test/hat/blobs/"+sha(p.layer), nil).is(200, 404)
					w.send("POST", "/v2/test/hat/blobs/uploads/?digest="+sha(p.layer), p.layer).is(201)
					w.send("POST", "/v2/test/coat/blobs/uploads/?from=test/hat&mount="+sha(p.layer), nil).is(201, 202)
				}
			}
		})
		for _, tag := range w.tags("test/hat") {
			w.send("GET", "/v2/test/hat/manifests/"+tag, nil).is(200)
		}
		w.send("GET", "/v2/test/hat/blobs/"+sha(p.layer), nil).is(200, 404)
		w.pushBlob("test/hat", p.layer)
		w.put("test/hat", "v1", ociImage, p.raw).want(201)
	}
}

// meddler is a store in which something happens just before one of the questions that it
// is asked.
type meddler struct {
	meta.Store
	calls, at atomic.Int64
	do        func()
}

func (m *meddler) step() {
	if m.calls.Add(1) == m.at.Load() {
		m.do()
	}
}

func (m *meddler) Find(ctx context.Context, alias, name string) (meta.Repository, error) {
	m.step()
	return m.Store.Find(ctx, alias, name)
}

func (m *meddler) Resolve(ctx context.Context, alias, name string, ref manifest.Reference) (meta.Repository, meta.Manifest, error) {
	m.step()
	return m.Store.Resolve(ctx, alias, name, ref)
}

func (m *meddler) Linked(ctx context.Context, repo meta.RepositoryID, d manifest.Digest) (meta.Blob, error) {
	m.step()
	return m.Store.Linked(ctx, repo, d)
}

func (m *meddler) View(ctx context.Context, fn func(meta.Tx) error) error {
	m.step()
	return m.Store.View(ctx, fn)
}

func (m *meddler) Update(ctx context.Context, fn func(meta.Tx) error, opts ...meta.UpdateOption) error {
	m.step()
	return m.Store.Update(ctx, fn, opts...)
}

// Every operation meets every deletion, before each of its questions to the store. Whoever
// loses is told so in the specification's words and leaves nothing behind.
func TestRaceOfEveryOperationWithEveryDeletion(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(meta.Tx) error{
		"uploads": func(tx meta.Tx) error {
			return clearTable(tx.Uploads(), func(r meta.Upload) meta.UploadID { return r.ID })
		},
		"links": func(tx meta.Tx) error { return clearTable(tx.Links(), linkKey) },
		"manifests": func(tx meta.Tx) error {
			return errorsOf(clearTable(tx.Tags(), tagKey), clearTable(tx.Manifests(), manifestKey))
		},
		"tags":         func(tx meta.Tx) error { return clearTable(tx.Tags(), tagKey) },
		"reviews":      func(tx meta.Tx) error { return clearTable(tx.Reviews(), reviewKey) },
		"repositories": func(tx meta.Tx) error { return clearTable(tx.Repositories(), meta.Repository.Key) },
		"aliases": func(tx meta.Tx) error {
			return clearTable(tx.Aliases(), func(r meta.Alias) meta.AliasName { return r.Name })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, n := 0, 1; i < n; i++ {
				for at := int64(1); ; at++ {
					store := &meddler{Store: memmeta.New()}
					w := newWire(t, func(c *registry.Config) { c.Store, c.Grace, c.ManifestCache = store, 1, -1 })
					list := w.operations("test/hat", func() string {
						location := w.start("test/hat")
						w.send("PATCH", location, "some").want(202)
						return location
					})
					n = len(list)
					o := list[i]
					if o.name == "finish an upload" {
						o.path, _, _ = strings.Cut(o.path, "?")
						o.path = closing(o.path, sha([]byte("somemore")))
					}
					var after map[string][]any
					store.do = func() {
						if err := store.Store.Update(t.Context(), remove); err != nil {
							t.Error(err)
						}
						after = w.visible()
					}
					store.calls.Store(0)
					store.at.Store(at)
					r := w.send(o.method, o.path, o.body, o.header...)
					if after == nil {
						break // it has fewer questions
					}
					if r.status >= 400 {
						if name == "repositories" { // a push may have made it anew
							continue
						}
						same(t, "rows after "+r.what, w.visible(), after)
					}
					if r.status >= 500 {
						t.Errorf("%s: %d, %s removed before question %d", o.name, r.status, name, at)
					}
				}
			}
		})
	}
}

func clearTable[K meta.Key, R any](table meta.Table[K, R], key func(R) K) error {
	for row, err := range table.Scan(meta.Range[K]{}) {
		if err == nil {
			err = table.Delete(key(row))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func linkKey(r meta.Link) meta.LinkKey {
	return meta.LinkKey{Repository: r.Repository, Digest: r.Digest}
}

func tagKey(r meta.Tag) meta.TagKey { return meta.TagKey{Repository: r.Repository, Name: r.Name} }

func manifestKey(r meta.Manifest) meta.ManifestKey {
	return meta.ManifestKey{Repository: r.Repository, Digest: r.Digest}
}

func reviewKey(r meta.Review) meta.ReviewKey {
	return meta.ReviewKey{Kind: r.Kind, Subject: r.Subject, Repository: r.Repository}
}
