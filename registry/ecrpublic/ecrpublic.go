// Package ecrpublic is the control plane of a registry as Amazon ECR Public has it: the API
// that AWS's command line, SDKs and Terraform speak. It is another front of registry.Actor;
// whatever it does can be done from Go in the same way.
//
// The protocol is AWS JSON 1.1: every operation is a POST of a JSON object to the root,
// named by the header X-Amz-Target and signed with Signature Version 4. All 23 operations
// are there, and four more for aliases, which ECR Public has in its console alone:
// RequestRegistryAlias, DeleteRegistryAlias, SetPrimaryRegistryAlias (each with
// {"registryAliasName": ...}) and DescribeRegistryAliasRequests. Without a client that knows
// them, curl signs as well:
//
//	curl --aws-sigv4 aws:amz:us-east-1:ecr-public --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
//	  -H 'Content-Type: application/x-amz-json-1.1' -H 'X-Amz-Target: SpencerFrontendService.RequestRegistryAlias' \
//	  -d '{"registryAliasName":"acme"}' https://registry.example.com/
//
// Tools are pointed at it with --endpoint-url, AWS_ENDPOINT_URL_ECR_PUBLIC or BaseEndpoint.
//
// # Where it differs from ECR Public
//
// Manifests of Docker's schema 1 are refused and none is converted. Who presents a token that
// has expired is answered 401 on the wire, where ECR Public says 403, so that clients ask for
// a new one. Referrers can be listed, and a push may create a repository, if the host wants
// that. There is no way to download a manifest or a layer by this API, as with ECR Public:
// bytes are pulled over the wire of the OCI distribution specification. A registry that does
// not exist yet has no aliases, and is listed as none. An account's id, and an alias that
// is the caller's to use, name a registry; whatever else is asked for is answered with
// AccessDeniedException, whether it exists or not.
package ecrpublic

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/sigv4"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

// Service is the name that requests are signed for.
const Service = "ecr-public"

// Config is what [New] needs.
type Config struct {
	Registry *registry.Registry
	Keys     auth.AccessKeys // whose signatures are accepted; the Registry's own AccessKeys should be the same
	Regions  []string        // for which requests may be signed; any if empty
	Logins   registry.Logins // slows down addresses whose signatures are wrong; the Registry's own; none if nil
	Logger   *slog.Logger    // gets what a host should look at; nil logs nothing
}

// Handler serves the control plane at the root of a host, and logos below
// registry.LogoPath.
type Handler struct {
	registry *registry.Registry
	verifier sigv4.Verifier
	logins   registry.Logins
	logger   *slog.Logger
	large    *slots // held by requests with large bodies
}

// New returns a handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Registry == nil || cfg.Keys == nil {
		return nil, errors.New("ecrpublic: Config needs a Registry and Keys")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{
		registry: cfg.Registry, verifier: sigv4.Verifier{Keys: cfg.Keys, Service: Service, Regions: cfg.Regions},
		logins: cfg.Logins, logger: cfg.Logger, large: newSlots(),
	}, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if strings.HasPrefix(req.URL.Path, registry.LogoPath) && (req.Method == http.MethodGet || req.Method == http.MethodHead) {
		h.serveLogo(w, req)
		return
	}
	c := &call{Handler: h, w: w, req: req}
	c.serve()
}

// serveLogo answers with an image that anybody may see who may pull. It is of no other
// type than it says, and no page.
func (h *Handler) serveLogo(w http.ResponseWriter, req *http.Request) {
	raw, mediaType, err := h.registry.AsIdentity(auth.Identity{}, h.registry.Client(req)).Logo(req.Context(), req.URL.Path)
	if err != nil {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, manifest.ErrName):
			http.NotFound(w, req)
		case errors.Is(err, registry.ErrTooManyRequests):
			http.Error(w, "too many requests", http.StatusTooManyRequests)
		case req.Context().Err() != nil:
			panic(http.ErrAbortHandler) // there is nobody to answer
		default:
			h.logger.ErrorContext(req.Context(), "logo", "path", req.URL.Path, "error", err)
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
		return
	}
	head := w.Header()
	head.Set("Content-Type", mediaType)
	head.Set("Content-Length", strconv.Itoa(len(raw)))
	head.Set("Cache-Control", "public, max-age=31536000, immutable")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if req.Method == http.MethodGet {
		w.Write(raw) //nolint:errcheck // the client has gone
	}
}
