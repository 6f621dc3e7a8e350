package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
)

// Errors that clients are told of. Those about something that is not there wrap
// fs.ErrNotExist.
var (
	ErrBlobUnknown         = missing("blob unknown to registry")
	ErrBlobUploadInvalid   = errors.New("blob upload invalid")
	ErrBlobUploadUnknown   = missing("blob upload unknown to registry")
	ErrRange               = errors.New("the range does not begin where the upload ends")
	ErrContentRange        = errors.New("the range cannot be satisfied")
	ErrDigestInvalid       = errors.New("provided digest did not match uploaded content")
	ErrManifestBlobUnknown = errors.New("manifest references a manifest or blob unknown to registry")
	ErrManifestInvalid     = errors.New("manifest invalid")
	ErrManifestUnknown     = missing("manifest unknown to registry")
	ErrNameInvalid         = errors.New("invalid repository name")
	ErrNameUnknown         = missing("repository name not known to registry")
	ErrSizeInvalid         = errors.New("provided length did not match content length")
	ErrTooLarge            = errors.New("the content is too large")
	ErrTooManyTags         = errors.New("too many tags in one request")
	ErrUnauthorized        = errors.New("authentication required")
	ErrDenied              = errors.New("requested access to the resource is denied")
	ErrUnsupported         = errors.New("the operation is unsupported")
	ErrBadRequest          = errors.New("a parameter cannot be read")
	ErrTooManyRequests     = errors.New("too many requests")
	ErrUnavailable         = errors.New("the service is not available for now")
	ErrQuota               = errors.New("a quota is used up")
	ErrReferenced          = errors.New("something refers to the content")
)

func missing(text string) error { return &missingError{text} }

type missingError struct{ text string }

func (e *missingError) Error() string { return e.text }
func (e *missingError) Unwrap() error { return fs.ErrNotExist }

// Error is an error with words for the client. Err is one of those above; its place in the
// table decides code and status.
type Error struct {
	Err     error
	Message string // instead of Err's text
	Detail  any    // of JSON
	Header  http.Header
	Cause   error // for the log, never for the client
}

// Error returns the message, and the cause if there is one.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Err.Error()
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns what the error is, and its cause.
func (e *Error) Unwrap() []error { return []error{e.Err, e.Cause} }

// says returns an error of a kind with a message for the client.
func says(err error, format string, args ...any) *Error {
	return &Error{Err: err, Message: fmt.Sprintf(format, args...)}
}

// wireError is a row of the table below.
type wireError struct {
	err    error
	code   string
	status int
}

// wireErrors maps errors to what the distribution specification calls them. The first row
// that matches decides. The specification has no code for a fault of the server's own; UNKNOWN
// is what clients have met for it elsewhere.
var wireErrors = []wireError{
	{ErrSuspended, "DENIED", http.StatusUnavailableForLegalReasons},
	{ErrBlobUnknown, "BLOB_UNKNOWN", http.StatusNotFound},
	{ErrRange, "BLOB_UPLOAD_INVALID", http.StatusRequestedRangeNotSatisfiable},
	{ErrContentRange, "SIZE_INVALID", http.StatusRequestedRangeNotSatisfiable},
	{ErrBlobUploadInvalid, "BLOB_UPLOAD_INVALID", http.StatusBadRequest},
	{ErrBlobUploadUnknown, "BLOB_UPLOAD_UNKNOWN", http.StatusNotFound},
	{ErrDigestInvalid, "DIGEST_INVALID", http.StatusBadRequest},
	{manifest.ErrDigest, "DIGEST_INVALID", http.StatusBadRequest},
	{ErrManifestBlobUnknown, "MANIFEST_BLOB_UNKNOWN", http.StatusNotFound},
	{ErrManifestInvalid, "MANIFEST_INVALID", http.StatusBadRequest},
	{manifest.ErrManifest, "MANIFEST_INVALID", http.StatusBadRequest},
	{manifest.ErrTag, "MANIFEST_INVALID", http.StatusBadRequest},
	{ErrManifestUnknown, "MANIFEST_UNKNOWN", http.StatusNotFound},
	{ErrNameInvalid, "NAME_INVALID", http.StatusBadRequest},
	{manifest.ErrName, "NAME_INVALID", http.StatusBadRequest},
	{ErrNameUnknown, "NAME_UNKNOWN", http.StatusNotFound},
	{ErrSizeInvalid, "SIZE_INVALID", http.StatusBadRequest},
	{ErrTooLarge, "SIZE_INVALID", http.StatusRequestEntityTooLarge},
	{ErrTooManyTags, "UNSUPPORTED", http.StatusRequestURITooLong},
	{ErrUnauthorized, "UNAUTHORIZED", http.StatusUnauthorized},
	{auth.ErrInvalidCredential, "UNAUTHORIZED", http.StatusUnauthorized},
	{ErrDenied, "DENIED", http.StatusForbidden},
	{ErrUnsupported, "UNSUPPORTED", http.StatusMethodNotAllowed},
	{ErrBadRequest, "UNSUPPORTED", http.StatusBadRequest},
	{ErrTooManyRequests, "TOOMANYREQUESTS", http.StatusTooManyRequests},
	{ErrUnavailable, "UNKNOWN", http.StatusServiceUnavailable},
	{ErrQuota, "DENIED", http.StatusForbidden},
	{ErrReferenced, "DENIED", http.StatusConflict},
}

// rows are those of the table by their errors.
var rows = func() map[error]wireError {
	m := map[error]wireError{}
	for _, r := range wireErrors {
		m[r.err] = r
	}
	return m
}()

// internal is the row of every other error.
var internal = wireError{errors.New("internal error"), "UNKNOWN", http.StatusInternalServerError}

// Status returns what a client is told of an error: the status of HTTP and the distribution
// specification's code, 200 and "" for nil. The control plane has words of its own.
func Status(err error) (status int, code string) {
	if err == nil {
		return http.StatusOK, ""
	}
	row, _, _ := wire(err)
	return row.status, row.code
}

// wire finds the row of an error and the words for the client. Errors of package manifest
// speak of the client's own input and are shown as they are; others have the text of their
// row unless an [Error] has words.
func wire(err error) (row wireError, message string, detail any) {
	own, ok := errors.AsType[*Error](err)
	known := false
	if ok {
		row, known = rows[own.Err] // nearly always, and what a refusal costs is little
	}
	if !known {
		row = internal
		for _, r := range wireErrors {
			if errors.Is(err, r.err) {
				row = r
				break
			}
		}
	}
	message = row.err.Error()
	if ok {
		if own.Message != "" {
			message = own.Message
		}
		return row, message, own.Detail
	}
	switch row.err {
	case manifest.ErrDigest, manifest.ErrManifest, manifest.ErrTag, manifest.ErrName:
		message = err.Error()
	}
	return row, message, nil
}
