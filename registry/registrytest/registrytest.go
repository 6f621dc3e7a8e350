// Package registrytest gives unit tests a real registry: the code that serves in production,
// over memory, with no port and ready in a millisecond.
//
// [New] returns a [Server] with one account, its alias and an access key. Images come from
// an OCI layout or from Go values ([Server.Import], [Server.Push]); clients reach it through
// [Server.Transport] under any host name, or over a port by httptest.NewServer(server).
package registrytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"testing"

	"gocloud.dev/blob/memblob"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/auth/token"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// What every [Server] begins with.
const (
	Account  = "123456789012"
	Alias    = "test"
	Username = "AKIATESTTESTTESTTEST"
	Password = "test-secret-0123456789"
)

// Owner is the principal of Username and Password.
var Owner = auth.Principal{Account: Account, Name: "owner"}

// Server is a registry in memory.
type Server struct {
	*registry.Registry
	Store  meta.Store
	Bucket storage.Bucket
	t      testing.TB
}

// New returns a registry in which [Owner] may push to repositories under [Alias], which a
// push creates, and anyone may pull. Each function may change the configuration first.
func New(t testing.TB, change ...func(*registry.Config)) *Server {
	t.Helper()
	store := memmeta.New()
	tokens := token.New(registry.SigningKeys(store))
	cfg := registry.Config{
		Store:  store,
		Bucket: gocloud.New(memblob.OpenBucket(nil)),
		Issuer: tokens, Verifier: tokens,
		Authenticators: []auth.Authenticator{basic.New(basic.Static{Username: {Password: Password, Principal: Owner}}, "")},
		CreateOnPush:   true,
		WideNames:      true,
	}
	for _, f := range change {
		f(&cfg)
	}
	r, err := registry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AddAlias(t.Context(), Account, Alias); err != nil {
		t.Fatal(err)
	}
	return &Server{Registry: r, Store: cfg.Store, Bucket: cfg.Bucket, t: t}
}

// Owner returns the actor of [Owner].
func (s *Server) Owner() *registry.Actor { return s.As(Owner) }

// Import pushes the images of an OCI layout to a repository, alias/name.
func (s *Server) Import(name string, layout fs.FS) {
	s.t.Helper()
	if err := s.Owner().ImportLayout(s.t.Context(), name, layout); err != nil {
		s.t.Fatal(err)
	}
}

// Image is an image, or another artifact, as Go values. The zero Image is an image for
// linux/amd64 without layers.
type Image struct {
	OS, Architecture string
	Layers           [][]byte // as they are stored; by their media type, gzip
	LayerType        string   // media type of the layers, if not a gzip tar
	ArtifactType     string   // of an artifact that is no image: it then has an empty config
	Subject          *manifest.Descriptor
	Annotations      map[string]string
}

// Push pushes an image to a repository, alias/name, and tags it.
func (s *Server) Push(name string, img Image, tags ...string) manifest.Descriptor {
	s.t.Helper()
	config := manifest.Descriptor{MediaType: ocispec.MediaTypeImageConfig}
	var raw []byte
	if img.ArtifactType != "" {
		config.MediaType, raw = ocispec.MediaTypeEmptyJSON, []byte("{}")
	} else {
		c := ocispec.Image{Platform: ocispec.Platform{OS: img.OS, Architecture: img.Architecture}}
		if c.OS == "" {
			c.OS, c.Architecture = "linux", "amd64"
		}
		c.RootFS.Type = "layers"
		for _, l := range img.Layers {
			c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, manifest.SHA256.FromBytes(l))
		}
		raw = s.json(c)
	}
	config = s.blob(name, config.MediaType, raw)
	m := ocispec.Manifest{
		MediaType: manifest.MediaTypeImage, ArtifactType: img.ArtifactType, Config: config, Layers: []manifest.Descriptor{},
		Subject: img.Subject, Annotations: img.Annotations,
	}
	m.SchemaVersion = 2
	layerType := img.LayerType
	if layerType == "" {
		layerType = ocispec.MediaTypeImageLayerGzip
	}
	for _, l := range img.Layers {
		m.Layers = append(m.Layers, s.blob(name, layerType, l))
	}
	return s.manifest(name, m.MediaType, s.json(m), tags)
}

// PushIndex pushes an index of manifests that the repository has, and tags it.
func (s *Server) PushIndex(name string, manifests []manifest.Descriptor, tags ...string) manifest.Descriptor {
	s.t.Helper()
	index := ocispec.Index{MediaType: manifest.MediaTypeIndex, Manifests: manifests}
	index.SchemaVersion = 2
	return s.manifest(name, index.MediaType, s.json(index), tags)
}

func (s *Server) manifest(name, mediaType string, raw []byte, tags []string) manifest.Descriptor {
	s.t.Helper()
	d, err := s.Owner().PushManifest(s.t.Context(), name, mediaType, raw, tags...)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *Server) blob(name, mediaType string, raw []byte) manifest.Descriptor {
	s.t.Helper()
	d := manifest.Descriptor{MediaType: mediaType, Digest: manifest.SHA256.FromBytes(raw), Size: int64(len(raw))}
	if err := s.Owner().PushBlob(s.t.Context(), name, d.Digest, bytes.NewReader(raw)); err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *Server) json(v any) []byte {
	s.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}

// Client returns an HTTP client that reaches the registry at every host.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }

// Transport returns the transport of [Server.Client], for clients of other libraries. A
// reply is complete when RoundTrip returns; one that the server cuts short has a body that
// ends in io.ErrUnexpectedEOF.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	// A server's context ends with the request, a client's does not.
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr = in.URL.RequestURI(), "192.0.2.1:1234"
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	} else {
		defer in.Body.Close()
		if in.ContentLength == 0 {
			in.ContentLength = -1
		}
	}
	rec := httptest.NewRecorder()
	cut := serve(t.handler, rec, in)
	res := rec.Result()
	res.Request = req
	if cut {
		res.Body = io.NopCloser(io.MultiReader(res.Body, failing{io.ErrUnexpectedEOF}))
	}
	return res, nil
}

// serve reports whether the handler cut its reply short, as http.Server lets it.
func serve(h http.Handler, w http.ResponseWriter, req *http.Request) (cut bool) {
	defer func() {
		if p := recover(); p != nil {
			err, ok := p.(error)
			if cut = ok && errors.Is(err, http.ErrAbortHandler); !cut {
				panic(p)
			}
		}
	}()
	h.ServeHTTP(w, req)
	return false
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
