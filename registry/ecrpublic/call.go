package ecrpublic

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/sigv4"
	"github.com/esplanade-registry/esplanade/registry"
)

// call is one request.
type call struct {
	*Handler
	w        http.ResponseWriter
	req      *http.Request
	op       *operation
	identity auth.Identity
	actor    *registry.Actor
}

const (
	contentType  = "application/x-amz-json-1.1"
	targetPrefix = "SpencerFrontendService."
	largeTime    = 5 * time.Minute
	smallBody    = 2 << 20 // more than catalog data can be, with a logo and every character escaped
)

func (c *call) serve() {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	h := c.w.Header()
	h.Set("X-Amzn-Requestid", fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	out, err := c.answer()
	status := http.StatusOK
	if err != nil {
		e := c.exception(err)
		h.Set("X-Amzn-Errortype", e.Type)
		status, out = http.StatusBadRequest, e
		if e.Type == serverException {
			status = http.StatusInternalServerError
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		c.logger.ErrorContext(c.req.Context(), "reply cannot be written", "error", err)
		status, body = http.StatusInternalServerError, []byte(`{"__type":"ServerException","message":"internal error"}`)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	c.w.Write(body) //nolint:errcheck // the client has gone
}

// answer finds the operation, checks who asks and carries it out.
func (c *call) answer() (any, error) {
	if c.req.URL.Path != "/" && c.req.URL.Path != "" || c.req.Method != http.MethodPost {
		return nil, &exception{Type: "UnknownOperationException", Message: "operations are POSTs to the root of this host"}
	}
	name, ok := strings.CutPrefix(c.req.Header.Get("X-Amz-Target"), targetPrefix)
	if c.op = operations[name]; !ok || c.op == nil {
		return nil, &exception{Type: "UnknownOperationException", Message: "the header X-Amz-Target names no operation of this service"}
	}
	mediaType, _, _ := strings.Cut(c.req.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(mediaType), contentType) {
		return nil, &exception{Type: "SerializationException", Message: "the Content-Type must be " + contentType}
	}
	client := c.registry.Client(c.req)
	signer := "signature " + client.Remote.String() // the keys that are named may be anybody's
	signature := c.req.Header.Get("Authorization")
	if c.logins != nil {
		if retry, ok := c.logins.Check(client.Remote, signer, signature); !ok {
			return nil, &exception{Type: "ThrottlingException", Message: fmt.Sprintf("there were too many requests with wrong signatures; try again in %d seconds", int(math.Ceil(retry.Seconds())))}
		}
	}
	key, err := c.verifier.Check(c.req)
	if err != nil {
		return nil, c.unsigned(client.Remote, signer, signature, err)
	}
	if c.op.limit > smallBody && (c.req.ContentLength < 0 || c.req.ContentLength > smallBody) {
		free, err := c.large.take(c.req.Context(), key)
		if err != nil {
			return nil, err
		}
		defer free()
		// whoever holds one of few places must not take forever; some writers know no deadline
		http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(largeTime)) //nolint:errcheck
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	if c.identity, err = c.verifier.Verify(c.req, body); err != nil {
		return nil, c.unsigned(client.Remote, signer, signature, err)
	}
	c.actor = c.registry.AsIdentity(c.identity, client)
	return c.op.serve(c, body)
}

// unsigned counts a request whose signature is wrong, and returns the error.
func (c *call) unsigned(client netip.Addr, signer, signature string, err error) error {
	if _, ok := errors.AsType[*sigv4.Error](err); ok && c.logins != nil {
		c.logins.Failed(client, signer, signature)
	}
	return err
}

// body reads all of the request's body.
func (c *call) body() ([]byte, error) {
	limit := c.op.limit
	if limit == 0 {
		limit = smallBody
	}
	tooLarge := invalidParameter("the body of %s has more than %d bytes", c.op.name, limit)
	if c.req.ContentLength > limit {
		c.w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.req.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, &exception{Type: "SerializationException", Message: "the body ended early"}
	}
	return body, nil
}

// repository returns the name of a repository for the actor: below the registry that is
// named, by account or alias, or the caller's own.
func (c *call) repository(registryID *string, name *string) string {
	return c.account(registryID) + "/" + value(name)
}

func (c *call) account(registryID *string) string {
	if registryID == nil {
		return c.identity.Account
	}
	return *registryID
}

// id returns the id of the registry that was named, for an answer to who has been let in.
func (c *call) id(registryID *string) (string, error) {
	name := c.account(registryID)
	if registryIDSyntax.MatchString(name) {
		return name, nil
	}
	return c.registry.AccountOf(c.req.Context(), name)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
