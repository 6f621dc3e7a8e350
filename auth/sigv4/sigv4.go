// Package sigv4 authenticates requests that AWS's command line and SDKs have signed, with
// Signature Version 4 in the Authorization header.
//
// A presented signature is checked by making it again with the AWS SDK's own signer over
// what was received: method, path, query, the signed headers and the whole body. Every
// header that begins with x-amz-, the Host and the Content-Type must be among the signed
// ones, so that nothing that decides what a request does can be changed on its way. A
// signature is good for [MaxSkew] before and after its date; within that time it can be
// used again, as with AWS.
//
// Requests signed in the query and with Signature Version 4A are not accepted.
package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/esplanade-registry/esplanade/auth"
)

// MaxSkew is how far the date of a request may be from the verifier's clock, as with AWS.
const MaxSkew = 5 * time.Minute

// maxHeader bounds an Authorization header, in bytes.
const maxHeader = 16 << 10

// Error is what is wrong with a request's signature. It wraps auth.ErrInvalidCredential, and
// auth.ErrExpired where a credential was good once.
type Error struct {
	Code    string // AWS's name for it, such as InvalidSignatureException
	Message string
	kind    error
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap returns what the error is.
func (e *Error) Unwrap() error { return e.kind }

// The codes of errors, as AWS's services with a JSON protocol answer them.
const (
	CodeMissing      = "MissingAuthenticationTokenException"
	CodeIncomplete   = "IncompleteSignatureException"
	CodeUnrecognized = "UnrecognizedClientException"
	CodeExpired      = "ExpiredTokenException"
	CodeInvalid      = "InvalidSignatureException"
)

func refuse(code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...), auth.ErrInvalidCredential}
}

// Verifier checks signatures.
type Verifier struct {
	// Keys finds the secret of an access key.
	Keys auth.AccessKeys
	// Service is the name that requests must be signed for, such as ecr-public.
	Service string
	// Regions are those that requests may be signed for; any if empty.
	Regions []string
}

// claim is what a request's header says, and the key that it names.
func (v *Verifier) claim(r *http.Request) (s signed, key auth.AccessKey, date time.Time, err error) {
	if s, err = parse(r.Header); err != nil {
		return s, key, date, err
	}
	if s.service != v.Service {
		return s, key, date, refuse(CodeInvalid, "Credential should be scoped to correct service: '%s'.", v.Service)
	}
	if len(v.Regions) > 0 && !slices.Contains(v.Regions, s.region) {
		return s, key, date, refuse(CodeInvalid, "Credential should be scoped to a valid region.")
	}
	if date, err = s.date(r.Header); err != nil {
		return s, key, date, err
	}
	if err := s.covers(r); err != nil {
		return s, key, date, err
	}
	key, err = v.Keys.AccessKey(r.Context(), s.key)
	if errors.Is(err, auth.ErrInvalidCredential) || err == nil && key.Secret == "" {
		return s, key, date, refuse(CodeUnrecognized, "The security token included in the request is invalid.")
	}
	if err != nil {
		err = fmt.Errorf("sigv4: %w", err)
	}
	return s, key, date, err
}

// Check refuses what [Verifier.Verify] would refuse whatever the body is, before a large one
// is read. It returns the id of the access key that the request claims to be signed with.
func (v *Verifier) Check(r *http.Request) (id string, err error) {
	s, _, _, err := v.claim(r)
	return s.key, err
}

// Verify returns the identity that signed a request with that body. The error is an
// [*Error], unless the keys could not be asked.
func (v *Verifier) Verify(r *http.Request, body []byte) (auth.Identity, error) {
	s, key, date, err := v.claim(r)
	if err != nil {
		return auth.Identity{}, err
	}
	want, err := s.again(r, body, key, date)
	if err != nil {
		return auth.Identity{}, err
	}
	if !hmac.Equal([]byte(want), []byte(s.signature)) {
		return auth.Identity{}, refuse(CodeInvalid, "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	// After the signature, so that only who has the secret learns anything of the session.
	if !hmac.Equal([]byte(key.Session), []byte(r.Header.Get("X-Amz-Security-Token"))) {
		return auth.Identity{}, refuse(CodeUnrecognized, "The security token included in the request is invalid.")
	}
	if !key.Expires.IsZero() && time.Now().After(key.Expires) {
		e := refuse(CodeExpired, "The security token included in the request is expired")
		e.kind = errors.Join(auth.ErrInvalidCredential, auth.ErrExpired)
		return auth.Identity{}, e
	}
	return auth.Identity{Principal: key.Principal, AccessKey: s.key, Expires: key.Expires}, nil
}

// signed is what an Authorization header says.
type signed struct {
	key, day, region, service string
	headers                   []string // in lower case, in order
	signature                 string
}

const algorithm = "AWS4-HMAC-SHA256"

var (
	keySyntax       = regexp.MustCompile(`^[!-.0-~]{1,128}$`)
	scopeSyntax     = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	daySyntax       = regexp.MustCompile(`^[0-9]{8}$`)
	signatureSyntax = regexp.MustCompile(`^[0-9a-f]{64}$`)
	headerSyntax    = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$")
)

// parse reads the Authorization header: the algorithm and three parameters.
func parse(h http.Header) (s signed, err error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return s, refuse(CodeMissing, "Missing Authentication Token")
	}
	value := values[0]
	rest, ok := strings.CutPrefix(value, algorithm+" ")
	if len(values) > 1 || len(value) > maxHeader || !ok {
		return s, refuse(CodeIncomplete, "Authorization header requires the algorithm %s, once.", algorithm)
	}
	params := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := params[name]; !ok || twice {
			return s, refuse(CodeIncomplete, "Authorization header cannot be read.")
		}
		params[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if params[name] == "" {
			return s, refuse(CodeIncomplete, "Authorization header requires '%s' parameter.", name)
		}
	}
	if len(params) != 3 {
		return s, refuse(CodeIncomplete, "Authorization header has parameters that are not known.")
	}
	scope := strings.Split(params["Credential"], "/")
	if len(scope) != 5 || !keySyntax.MatchString(scope[0]) || !daySyntax.MatchString(scope[1]) || !scopeSyntax.MatchString(scope[2]) ||
		!scopeSyntax.MatchString(scope[3]) || scope[4] != "aws4_request" {
		return s, refuse(CodeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	s = signed{scope[0], scope[1], scope[2], scope[3], strings.Split(params["SignedHeaders"], ";"), params["Signature"]}
	if !signatureSyntax.MatchString(s.signature) {
		return s, refuse(CodeIncomplete, "Signature is not 64 hexadecimal digits.")
	}
	for i, name := range s.headers {
		if !headerSyntax.MatchString(name) || name == "authorization" || i > 0 && s.headers[i-1] >= name {
			return s, refuse(CodeIncomplete, "SignedHeaders must be names of headers in lower case and in order.")
		}
	}
	return s, nil
}

// layout is the format of X-Amz-Date.
const layout = "20060102T150405Z"

// date reads when the request was signed, and holds it against the clock.
func (s signed) date(h http.Header) (time.Time, error) {
	values := h.Values("X-Amz-Date")
	if len(values) != 1 {
		return time.Time{}, refuse(CodeIncomplete, "Authorization header requires existence of one 'X-Amz-Date' header.")
	}
	t, err := time.Parse(layout, values[0])
	if err != nil || t.Format(layout) != values[0] { // which the parser takes with a fraction too
		return t, refuse(CodeIncomplete, "Date must be in ISO-8601 'basic format'. Got '%s'.", clip(values[0]))
	}
	if t.Format("20060102") != s.day {
		return t, refuse(CodeInvalid, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'.", s.day, t.Format("20060102"))
	}
	now := time.Now().UTC()
	switch {
	case now.Sub(t) > MaxSkew:
		limit := now.Add(-MaxSkew)
		return t, refuse(CodeInvalid, "Signature expired: %s is now earlier than %s (%s - 5 min.)", values[0], limit.Format(layout), now.Format(layout))
	case t.Sub(now) > MaxSkew:
		limit := now.Add(MaxSkew)
		return t, refuse(CodeInvalid, "Signature not yet current: %s is still later than %s (%s + 5 min.)", values[0], limit.Format(layout), now.Format(layout))
	}
	return t, nil
}

func clip(s string) string {
	if len(s) > 32 {
		s = s[:32]
	}
	return s
}

// covers checks that the headers that decide what a request does are signed.
func (s signed) covers(r *http.Request) error {
	need := []string{"host"}
	for name := range r.Header {
		if name = strings.ToLower(name); name == "content-type" || strings.HasPrefix(name, "x-amz-") {
			need = append(need, name)
		}
	}
	slices.Sort(need)
	for _, name := range need {
		if !slices.Contains(s.headers, name) {
			return refuse(CodeInvalid, "'%s' must be a signed header in the Authorization header.", clip(name))
		}
	}
	return nil
}

// again signs the request as its sender should have, and returns the signature.
func (s signed) again(r *http.Request, body []byte, key auth.AccessKey, date time.Time) (string, error) {
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return "", refuse(CodeInvalid, "The query cannot be read.") // the signer would leave out what cannot
	}
	target := *r.URL // the signer puts the query in order
	copied := &http.Request{Method: r.Method, URL: &target, Host: r.Host, Header: http.Header{}}
	for _, name := range s.headers {
		values, ok := r.Header[http.CanonicalHeaderKey(name)]
		switch {
		case name == "host", name == "x-amz-date":
			continue // of which the signer sees to itself
		case name == "content-length":
			copied.ContentLength = r.ContentLength // the signer leaves out that of nothing at all
			continue
		case !ok:
			return "", refuse(CodeInvalid, "'%s' is signed and not there.", clip(name))
		}
		// In lower case, because the signer leaves out some headers by their usual names, of
		// which the SDK for .NET signs User-Agent.
		copied.Header[name] = slices.Clone(values)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != hash {
		return "", refuse(CodeInvalid, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	// The session token is a header that is signed already, so the signer is not told of it.
	err := v4.NewSigner().SignHTTP(context.WithoutCancel(r.Context()), aws.Credentials{AccessKeyID: s.key, SecretAccessKey: key.Secret},
		copied, hash, s.service, s.region, date)
	if err != nil {
		return "", fmt.Errorf("sigv4: %w", err)
	}
	made, err := parse(copied.Header)
	if err != nil {
		return "", fmt.Errorf("sigv4: the signer's own header: %w", err)
	}
	if !slices.Equal(made.headers, s.headers) {
		return "", refuse(CodeInvalid, "SignedHeaders has headers that cannot be signed.")
	}
	return made.signature, nil
}
