package conformance

import (
	"net/http"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

const (
	repoOne = registrytest.Alias + "/repo1"
	repoTwo = registrytest.Alias + "/repo2"
)

// tally logs, when all subtests are done, how much they checked together.
func tally(t *testing.T) (add func(t *testing.T, s *session)) {
	var (
		mu  sync.Mutex
		sum counts
	)
	t.Cleanup(func() {
		t.Logf("together %d requests, %d checks, %d challenges", sum.requests, sum.checks, sum.challenges)
	})
	return func(t *testing.T, s *session) {
		s.log(t)
		mu.Lock()
		defer mu.Unlock()
		sum.requests += s.requests
		sum.checks += s.checks
		sum.challenges += s.challenges
	}
}

// TestMainBranch does what the suite's program does.
func TestMainBranch(t *testing.T) {
	t.Parallel()
	add := tally(t)
	for _, how := range []setup{
		{name: "tokens kept", keeps: true},
		{name: "tokens not kept"},
		{name: "TLS", keeps: true, tls: true},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newSession(t, how)
			subject := s.content(digest.SHA256).random(64).digest
			s.table("ping", step{"GET /v2/", to(http.MethodGet, "/v2/"), status(http.StatusOK)})
			s.table("before there is a repository",
				step{"list of tags", to(http.MethodGet, "/v2/"+repoOne+"/tags/list"), status(http.StatusOK, http.StatusNotFound)},
				step{"referrers", to(http.MethodGet, "/v2/"+repoOne+"/referrers/"+string(subject)), refers()})
			for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
				s.blobs(algorithm, repoOne, repoTwo)
			}
			s.data(repoOne, false)
			s.errors(repoOne)
			add(t, s)
		})
	}
}

// TestSparse pushes what the suite calls sparse, to a registry that allows it.
func TestSparse(t *testing.T) {
	t.Parallel()
	s, _ := newSession(t, setup{keeps: true, sparse: true})
	s.data(repoOne, true)
	s.log(t)
}

// TestVersion11 does what version 1.1 of the suite does. Its client keeps no tokens.
func TestVersion11(t *testing.T) {
	t.Parallel()
	add := tally(t)
	for _, how := range []struct {
		setup
		variant
	}{
		{setup{name: "lengths"}, variant{}},
		{setup{name: "no lengths"}, variant{stream: true}},
		{setup{name: "blobs deleted before manifests"}, variant{blobsBefore: true}},
		{setup{name: "TLS", tls: true}, variant{stream: true}},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newSession(t, how.setup)
			s.version11(how.variant, repoOne, repoTwo)
			add(t, s)
		})
	}
}

// TestReadOnly asks, as nobody, for content that the suite is told of and does not push.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s, server := newSession(t, setup{nobody: true})
	subject := server.Push(repoOne, registrytest.Image{Layers: [][]byte{[]byte("a layer")}}, "v1")
	signature := server.Push(repoOne, registrytest.Image{ArtifactType: exampleOne, Subject: &subject})
	layer := blob{digest: digest.FromString("a layer"), content: []byte("a layer")}
	for _, reference := range []string{"v1", string(subject.Digest)} {
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			s.table(method+" of a manifest", step{
				"manifest", to(method, manifests(repoOne, reference)).accepting(),
				status(http.StatusOK).has("Content-Type", ociImage).digest(subject.Digest),
			})
		}
	}
	s.table("blob", layer.pull(repoOne)...)
	s.table("tags", step{"list of tags", to(http.MethodGet, "/v2/"+repoOne+"/tags/list"), listed([]string{"v1"})})
	s.table("referrers", step{
		"referrers", to(http.MethodGet, "/v2/"+repoOne+"/referrers/"+string(subject.Digest)),
		refers(referrer{MediaType: ociImage, Digest: signature.Digest, Size: signature.Size, ArtifactType: exampleOne}),
	})
	s.log(t)
}
