package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/storagetest"
)

// storm is clients that push, cancel, fail and delete at once on two nodes.
type storm struct {
	t      *testing.T
	nodes  []*wire
	faulty *storagetest.Faulty

	mu      sync.Mutex
	uploads []stormUpload
}

type stormUpload struct {
	location string
	content  []byte
}

var stormRepos = []string{"test/a", "test/b", "test/c"}

// However pushes are mixed, cut short and failed by the bucket, no object is left that no
// row names, and nothing is served that lacks its objects.
func TestUploadStorm(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	onGrounds(t, func(t *testing.T, g ground) {
		t.Logf("seed %d", seed)
		faulty := &storagetest.Faulty{Bucket: g.bucket}
		g.bucket = faulty
		s := &storm{t: t, nodes: []*wire{g.node(t).failing(), g.node(t).failing()}, faulty: faulty}
		for i, repo := range stormRepos {
			s.nodes[0].pushBlob(repo, []byte("{}"))
			s.nodes[0].pushBlob(repo, fmt.Appendf(nil, "blob of %d", i))
		}
		steps := 200
		if testing.Short() {
			steps = 60
		}
		together(6, func(i int) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range steps {
				s.step(r)
			}
		})
		faulty.Set(storagetest.Faults{})
		g.wantNamed(t)
		s.wantWhole()
	}, "memory", "again", "disk")
}

// stormFaults are what the bucket may do at any time.
var stormFaults = []storagetest.Faults{
	{}, {}, {},
	{PutBefore: errors.New("put")},
	{PutAfter: 3, PutError: errors.New("put midway")},
	{PutAtEnd: errors.New("put at its end")},
	{Delete: errors.New("delete")},
	{Get: errors.New("get")},
}

// content draws one of few, so that pushers meet.
func (s *storm) content(r *rand.Rand) []byte {
	n := r.IntN(40)
	return []byte(strings.Repeat(fmt.Sprintf("content %d ", n), 1+n))
}

// body returns a body that may end early, or at the end of which the client is gone.
func (s *storm) body(r *rand.Rand, content []byte, leave func()) any {
	switch r.IntN(8) {
	case 0:
		return io.MultiReader(strings.NewReader(string(content[:r.IntN(len(content)+1)])), failingReader{})
	case 1:
		return io.MultiReader(strings.NewReader(string(content)), readerFunc(func([]byte) (int, error) { leave(); return 0, io.EOF }))
	case 2:
		return strings.NewReader(string(content))
	}
	return content
}

func (s *storm) upload(r *rand.Rand) (stormUpload, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uploads) == 0 {
		return stormUpload{}, false
	}
	return s.uploads[max(0, len(s.uploads)-1-r.IntN(8))], true
}

func (s *storm) step(r *rand.Rand) {
	ctx, leave := context.WithCancel(s.t.Context())
	defer leave()
	w := s.nodes[r.IntN(len(s.nodes))]
	repo := stormRepos[r.IntN(len(stormRepos))]
	content := s.content(r)
	blob := "/v2/" + repo + "/blobs/" + sha(content)
	ref := fmt.Sprintf("t%d", r.IntN(3))
	switch r.IntN(12) {
	case 0, 1:
		req := w.request("POST", "/v2/"+repo+"/blobs/uploads/", nil)
		if res, err := w.rt.RoundTrip(req); err == nil && res.StatusCode == 202 {
			s.mu.Lock()
			s.uploads = append(s.uploads, stormUpload{res.Header.Get("Location"), content})
			s.mu.Unlock()
		}
	case 2, 3, 4:
		if u, ok := s.upload(r); ok {
			at := s.end(w, u)
			if at < 0 || at >= len(u.content) {
				return
			}
			to := at + 1 + r.IntN(len(u.content)-at)
			w.try(ctx, "PATCH", u.location, s.body(r, u.content[at:to], leave), "Content-Range", fmt.Sprintf("%d-%d", at, to-1))
		}
	case 5, 6:
		if u, ok := s.upload(r); ok {
			at := s.end(w, u)
			if at < 0 {
				return
			}
			d := sha(u.content)
			if r.IntN(6) == 0 {
				d = emptyDigest
			}
			w.try(ctx, "PUT", closing(u.location, d), s.body(r, u.content[at:], leave))
		}
	case 7:
		if u, ok := s.upload(r); ok {
			w.try(ctx, "DELETE", u.location, nil)
		}
	case 8:
		w.try(ctx, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+sha(content), s.body(r, content, leave))
	case 9:
		w.try(ctx, "POST", "/v2/"+repo+"/blobs/uploads/?mount="+sha(content), nil)
		if r.IntN(2) == 0 {
			w.try(ctx, "DELETE", blob, nil)
		}
	case 10:
		w.try(ctx, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+sha(content), content)
		m := image([]byte("{}"), content).bytes()
		w.try(ctx, "PUT", "/v2/"+repo+"/manifests/"+ref, m, "Content-Type", ociImage)
		if r.IntN(3) == 0 {
			w.try(ctx, "DELETE", "/v2/"+repo+"/manifests/"+sha(m), nil)
		}
	case 11:
		s.faulty.Set(stormFaults[r.IntN(len(stormFaults))])
	}
}

// end asks where an upload ends, or returns -1.
func (s *storm) end(w *wire, u stormUpload) int {
	res, err := w.rt.RoundTrip(w.request("GET", u.location, nil))
	if err != nil || res.StatusCode != http.StatusNoContent {
		return -1
	}
	var last int
	fmt.Sscanf(res.Header.Get("Range"), "0-%d", &last) //nolint:errcheck // of the right form, or the PATCH fails
	if last == 0 {
		return 0 // or 1, which then is refused
	}
	return last + 1
}

// wantWhole reads all that can be pulled.
func (s *storm) wantWhole() {
	t, w := s.t, s.nodes[1]
	for _, row := range w.rows()["link"] {
		l := row.(meta.Link)
		var repo meta.Repository
		err := w.Store.View(t.Context(), func(tx meta.Tx) (err error) {
			repo, err = tx.RepositoryByID(l.Repository)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r := w.send("GET", "/v2/"+registrytest.Alias+"/"+repo.Name+"/blobs/"+string(l.Digest), nil).is(200)
		if sha(r.body) != string(l.Digest) {
			t.Errorf("blob %s has bytes of %s", l.Digest, sha(r.body))
		}
	}
	rows := w.rows()
	linked := map[meta.LinkKey]bool{}
	for _, row := range rows["link"] {
		l := row.(meta.Link)
		linked[meta.LinkKey{Repository: l.Repository, Digest: l.Digest}] = true
	}
	manifests := map[meta.ManifestKey]bool{}
	for _, row := range rows["manifest"] {
		m := row.(meta.Manifest)
		manifests[meta.ManifestKey{Repository: m.Repository, Digest: m.Digest}] = true
	}
	for _, row := range rows["tag"] {
		if tag := row.(meta.Tag); !manifests[meta.ManifestKey{Repository: tag.Repository, Digest: tag.Digest}] {
			t.Errorf("tag %s leads to no manifest", tag.Name)
		}
	}
	if len(rows["blob"]) < 5 || len(manifests) == 0 {
		t.Errorf("%d blobs and %d manifests came of it: the storm is none", len(rows["blob"]), len(manifests))
	}
}
