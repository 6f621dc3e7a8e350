package importer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"sync"
	"time"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/esplanade-registry/esplanade/manifest"
)

// RemoteOptions are those of [NewRemote]; nil and the zero RemoteOptions stand for the
// defaults.
type RemoteOptions struct {
	// Repositories are those to list. If nil, the registry is asked for all that it has by
	// /v2/_catalog, which many do not answer.
	Repositories []string
	// PlainHTTP is for a registry that does not speak TLS.
	PlainHTTP bool
	// Credential returns the credential for a host: those of docker login by
	// oras-go's package registry/remote/credentials. Nobody logs in if it is nil.
	Credential auth.CredentialFunc
	// Client sends the requests, and then Credential is not used and what fails is not tried
	// again but by Client. It is usually an *auth.Client of oras-go.
	Client remote.Client
}

// Remote is a [Source] and a [ReferrerLister]: a registry that speaks the OCI distribution
// protocol over HTTP. Manifests that neither a tag nor an index nor a referrer leads to are
// not found: the protocol has no list of them.
//
// Where the registry cannot be asked for referrers, those are found that clients have
// listed under a tag made of the digest (the specification's referrers tag schema).
//
// What fails for the time being (429, 408, 5xx, a lost connection) is tried up to 6 times
// within some 8 seconds, or after a minute each if a Retry-After says so. A blob whose body is cut off is read on
// from there, up to 5 times.
type Remote struct {
	registry *remote.Registry
	names    []string

	mu           sync.Mutex
	repositories map[string]*remote.Repository // which know whether there is a referrers API
}

// maxListBytes bounds a page of tags or repositories; there are registries that give all of
// them on one.
const maxListBytes = 64 << 20

// NewRemote returns a source. host is a host name and perhaps a port, such as
// registry.example.com. Nothing is requested yet.
func NewRemote(host string, opts *RemoteOptions) (*Remote, error) {
	if opts == nil {
		opts = &RemoteOptions{}
	}
	r, err := remote.NewRegistry(host)
	if err != nil {
		return nil, err
	}
	r.PlainHTTP, r.MaxMetadataBytes, r.Client = opts.PlainHTTP, maxListBytes, opts.Client
	// The old types too: a registry must not convert what it has, or hide it.
	r.ManifestMediaTypes = []string{
		manifest.MediaTypeImage, manifest.MediaTypeIndex, manifest.MediaTypeDockerImage, manifest.MediaTypeDockerList, schema1, schema1Signed,
	}
	if r.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = time.Minute // else a registry that is stuck stops the import
		transport.MaxIdleConnsPerHost = 16            // of 2, most would be opened anew
		r.Client = &auth.Client{
			Client: &http.Client{Transport: &retry.Transport{Base: transport, Policy: func() retry.Policy { return patience }}},
			Cache:  auth.NewCache(), Credential: opts.Credential,
		}
	}
	return &Remote{registry: r, names: opts.Repositories, repositories: map[string]*remote.Repository{}}, nil
}

// patience is the policy of oras-go's own client, but for what it takes for temporary, and
// that it waits as long as a Retry-After says if that is no more than a minute.
var patience = &retry.GenericPolicy{
	Retryable: isTemporary, Backoff: retry.DefaultBackoff, MinWait: 200 * time.Millisecond, MaxWait: time.Minute, MaxRetry: 5,
}

// isTemporary takes a lost connection for temporary, which oras-go does only after a timeout.
// All requests of an import can be repeated.
func isTemporary(res *http.Response, err error) (bool, error) {
	if err == nil {
		return retry.DefaultPredicate(res, nil)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || isForGood(err) {
		return false, err
	}
	return true, nil
}

// isForGood reports whether there is no such host, or it is not who it should be.
func isForGood(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// translate says an error of oras-go in the words of [Source].
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return missing{errdef.ErrNotFound} // oras-go repeats the digest
	}
	if res, ok := errors.AsType[*errcode.ErrorResponse](err); ok && res.StatusCode == http.StatusNotFound {
		return missing{err}
	}
	if op, ok := errors.AsType[*net.OpError](err); isForGood(err) || ok && op.Op == "dial" {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

// missing is an error about something that is not there, in its own words.
type missing struct{ error }

func (e missing) Unwrap() []error { return []error{e.error, fs.ErrNotExist} }

// errStop ends a list of oras-go that nobody wants to read on.
var errStop = errors.New("stopped")

// listed makes an iterator of a list of oras-go.
func listed[T, U any](list func(func([]T) error) error, of func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		err := list(func(page []T) error {
			for _, item := range page {
				if !yield(of(item), nil) {
					return errStop
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			var none U
			yield(none, translate(err))
		}
	}
}

func same(s string) string { return s }

// Repositories lists the repositories of the options, or those of the registry's catalog.
func (s *Remote) Repositories(ctx context.Context) iter.Seq2[string, error] {
	return listed(func(fn func([]string) error) error {
		if s.names != nil {
			return fn(s.names)
		}
		err := s.registry.Repositories(ctx, "", fn)
		if _, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
			err = fmt.Errorf("the registry does not list them, so that they are to be named: %w", err)
		}
		return err
	}, same)
}

func (s *Remote) repository(ctx context.Context, name string) (*remote.Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo := s.repositories[name]; repo != nil {
		return repo, nil
	}
	made, err := s.registry.Repository(ctx, name)
	if err != nil {
		return nil, err
	}
	repo := made.(*remote.Repository)
	s.repositories[name] = repo
	return repo, nil
}

// Tags lists the tags of a repository. One of the catalog has none if the registry does not know
// it: distribution's says so of a repository that never had a tag.
func (s *Remote) Tags(ctx context.Context, repository string) iter.Seq2[string, error] {
	return listed(func(fn func([]string) error) error {
		repo, err := s.repository(ctx, repository)
		if err != nil {
			return err
		}
		err = repo.Tags(ctx, "", fn)
		if s.names == nil && errors.Is(translate(err), fs.ErrNotExist) {
			return nil
		}
		return err
	}, same)
}

// Resolve asks for the digest that a tag points to, with HEAD, which registries that count
// pulls do not take for one.
func (s *Remote) Resolve(ctx context.Context, repository, tag string) (manifest.Digest, error) {
	repo, err := s.repository(ctx, repository)
	if err != nil {
		return "", err
	}
	if err := manifest.CheckTag(tag); err != nil { // or oras-go would take it for a whole reference
		return "", err
	}
	d, err := repo.Resolve(ctx, tag)
	return d.Digest, translate(err)
}

// Manifest gets a manifest.
func (s *Remote) Manifest(ctx context.Context, repository string, d manifest.Digest) (mediaType string, raw []byte, err error) {
	repo, err := s.repository(ctx, repository)
	if err != nil {
		return "", nil, err
	}
	desc, body, err := repo.FetchReference(ctx, string(d))
	if err != nil {
		return "", nil, translate(err)
	}
	defer body.Close() //nolint:errcheck // it is only read
	raw, err = io.ReadAll(io.LimitReader(body, manifest.MaxSize+1))
	return desc.MediaType, raw, translate(err)
}

// Referrers lists the manifests whose subject is a given one.
func (s *Remote) Referrers(ctx context.Context, repository string, subject manifest.Digest) iter.Seq2[manifest.Digest, error] {
	return listed(func(fn func([]manifest.Descriptor) error) error {
		repo, err := s.repository(ctx, repository)
		if err != nil {
			return err
		}
		d := manifest.Descriptor{Digest: subject}
		err = repo.Referrers(ctx, d, "", fn)
		if res, ok := errors.AsType[*errcode.ErrorResponse](err); ok && isNoRoute(res.StatusCode) {
			// to oras-go, only 404 says so
			if err := repo.SetReferrersCapability(false); err != nil {
				return err
			}
			err = repo.Referrers(ctx, d, "", fn)
		}
		return err
	}, func(d manifest.Descriptor) manifest.Digest { return d.Digest })
}

// isNoRoute reports whether a status is one of those with which registries that do not know
// referrers refuse to list them; go-containerregistry falls back for 400 and 406 as well.
func isNoRoute(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusMethodNotAllowed || status == http.StatusNotAcceptable
}

// maxResumes is how often the body of a blob may be cut off.
const maxResumes = 5

// Blob opens a blob.
func (s *Remote) Blob(ctx context.Context, repository string, d manifest.Descriptor) (io.ReadCloser, error) {
	repo, err := s.repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) {
		body, err := repo.Blobs().Fetch(ctx, d)
		return body, translate(err)
	}
	body, err := open()
	if err != nil {
		return nil, err
	}
	return &resumed{open: open, body: body, size: d.Size}, nil
}

// resumed is a body that is asked for again where it was cut off.
type resumed struct {
	open   func() (io.ReadCloser, error)
	body   io.ReadCloser
	offset int64
	size   int64
	times  int
}

func (r *resumed) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.offset += int64(n)
	if err == nil || r.offset >= r.size || r.times == maxResumes {
		return n, err
	}
	r.times++
	return n, r.resume()
}

// resume goes on where the body ended, by a range if the registry has them.
func (r *resumed) resume() error {
	body, err := r.open()
	if err != nil {
		return err
	}
	r.body.Close() //nolint:errcheck // it has failed already
	r.body = body
	if at, ok := body.(io.Seeker); ok {
		_, err = at.Seek(r.offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, body, r.offset)
	}
	return translate(err)
}

func (r *resumed) Close() error { return r.body.Close() }
