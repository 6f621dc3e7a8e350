package ecrpublic

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/esplanade-registry/esplanade/auth/sigv4"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

// exception is an error as AWS's JSON protocol has it.
type exception struct {
	Type    string `json:"__type"`
	Message string `json:"message"`

	// of InvalidLayerPartException
	RegistryID            string `json:"registryId,omitempty"`
	RepositoryName        string `json:"repositoryName,omitempty"`
	UploadID              string `json:"uploadId,omitempty"`
	LastValidByteReceived *int64 `json:"lastValidByteReceived,omitempty"`
}

func (e *exception) Error() string { return e.Type + ": " + e.Message }

const (
	serverException = "ServerException"
	invalid         = "InvalidParameterException"
)

func invalidParameter(format string, args ...any) *exception {
	return &exception{Type: invalid, Message: fmt.Sprintf(format, args...)}
}

// exceptions maps errors of the registry to what ECR Public calls them. The first row that
// matches decides.
var exceptions = []struct {
	err  error
	name string
}{
	{registry.ErrSuspended, "AccessDeniedException"},
	{registry.ErrNameExists, "RepositoryAlreadyExistsException"},
	{registry.ErrRepositoryNotEmpty, "RepositoryNotEmptyException"},
	{registry.ErrPolicyUnknown, "RepositoryPolicyNotFoundException"},
	{registry.ErrPolicyInvalid, invalid},
	{registry.ErrCatalogInvalid, invalid},
	{registry.ErrResourceTagInvalid, "InvalidTagParameterException"},
	{registry.ErrTooManyResourceTags, "TooManyTagsException"},
	{registry.ErrAliasUnknown, invalid},
	{registry.ErrAliasInvalid, invalid},
	{registry.ErrAliasTaken, invalid},
	{registry.ErrImageExists, "ImageAlreadyExistsException"},
	{registry.ErrLayerExists, "LayerAlreadyExistsException"},
	{registry.ErrLayerPartTooSmall, "LayerPartTooSmallException"},
	{registry.ErrUploadEmpty, "EmptyUploadException"},
	{registry.ErrQuota, "LimitExceededException"},
	{registry.ErrTooLarge, "LimitExceededException"},
	{registry.ErrBlobUploadUnknown, "UploadNotFoundException"},
	{registry.ErrManifestUnknown, "ImageNotFoundException"},
	{registry.ErrManifestInvalid, invalid},
	{manifest.ErrManifest, invalid},
	{manifest.ErrTag, invalid},
	{manifest.ErrDigest, invalid},
	{manifest.ErrName, invalid},
	{registry.ErrNameInvalid, invalid},
	{registry.ErrRange, "InvalidLayerPartException"},
	{registry.ErrBlobUploadInvalid, "LimitExceededException"}, // too many parts: others were checked before
	{registry.ErrSizeInvalid, invalid},
	{registry.ErrDigestInvalid, invalid},
	{registry.ErrUnauthorized, "AccessDeniedException"},
	{registry.ErrDenied, "AccessDeniedException"},
	{registry.ErrUnsupported, "UnsupportedCommandException"},
	{registry.ErrBadRequest, invalid},
	{registry.ErrTooManyRequests, "ThrottlingException"},
}

// exception finds the words for an error. Those of an error that is in no table are for the
// log alone.
func (c *call) exception(err error) *exception {
	if e, ok := errors.AsType[*exception](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return &exception{Type: e.Code, Message: e.Message}
	}
	for _, row := range exceptions {
		if !errors.Is(err, row.err) {
			continue
		}
		e := &exception{Type: row.name, Message: row.err.Error()}
		if own, ok := errors.AsType[*registry.Error](err); ok && own.Message != "" {
			e.Message = own.Message
		} else if row.err == manifest.ErrManifest || row.err == manifest.ErrTag || row.err == manifest.ErrDigest {
			e.Message = err.Error()
		}
		if row.err == registry.ErrPolicyInvalid {
			// Terraform looks for these words, and tries again for two minutes.
			e.Message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided': " + e.Message
		}
		return e
	}
	if c.req.Context().Err() != nil {
		panic(http.ErrAbortHandler) // there is nobody to answer
	}
	c.logger.ErrorContext(c.req.Context(), "operation failed", "target", c.req.Header.Get("X-Amz-Target"), "error", err)
	return &exception{Type: serverException, Message: "internal error"}
}
