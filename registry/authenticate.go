package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
)

// keyState is what was found of an access key.
type keyState struct {
	identity auth.Principal
	good     bool
	asked    time.Time
}

const (
	// rememberedKeys is of how many access keys the state is remembered, and keyFresh for
	// how long: what a request costs that presents a token, against how long a key still
	// works after it was disabled.
	rememberedKeys = 4096
	keyFresh       = time.Second / 2
)

// Logins decides who may try to log in with a user name and a password, before they are
// verified, and hears what became of it. Clients try the same credentials more than once for
// one login. It may be called by many goroutines at once.
type Logins interface {
	// Check returns false, and how long to wait, for who has to.
	Check(client netip.Addr, user, password string) (retry time.Duration, ok bool)
	Failed(client netip.Addr, user, password string)
	Succeeded(client netip.Addr, user string)
}

// login authenticates a request that may come with a user name and a password.
func (r *Registry) login(list []auth.Authenticator, req *http.Request, pull bool) (auth.Identity, error) {
	user, password, ok := auth.BasicCredential(req)
	if !ok || r.cfg.Logins == nil {
		return r.authenticate(list, req, pull)
	}
	client := r.remote(req)
	if user == auth.LoginUser {
		user += " " + client.String() // which is everybody's, and not to be made to wait for everybody
	}
	if retry, ok := r.cfg.Logins.Check(client, user, password); !ok {
		seconds := strconv.Itoa(max(1, int(math.Ceil(retry.Seconds()))))
		return auth.Identity{}, &Error{
			Err: ErrTooManyRequests, Message: "there were too many logins with wrong credentials; check them, and try again in " + seconds + " seconds",
			Header: http.Header{"Retry-After": {seconds}},
		}
	}
	id, err := r.authenticate(list, req, pull)
	switch {
	case err == nil && !id.IsAnonymous():
		r.cfg.Logins.Succeeded(client, user)
	case errors.Is(err, auth.ErrInvalidCredential):
		r.cfg.Logins.Failed(client, user, password)
	}
	return id, err
}

// authenticate asks authenticators in turn. With pull, who presents what has expired may be
// let in as anonymous.
func (r *Registry) authenticate(list []auth.Authenticator, req *http.Request, pull bool) (auth.Identity, error) {
	for _, a := range list {
		id, err := a.Authenticate(req)
		if err == nil {
			err = r.checkKey(req.Context(), id)
		}
		switch {
		case err == nil:
			return id, nil
		case errors.Is(err, auth.ErrNoCredential):
		case pull && r.cfg.ExpiredIsAnonymous && errors.Is(err, auth.ErrExpired):
			return auth.Identity{}, nil
		case errors.Is(err, auth.ErrInvalidCredential):
			return auth.Identity{}, &badCredentialError{err}
		default:
			return auth.Identity{}, fmt.Errorf("authenticate: %w", err)
		}
	}
	if len(list) > 0 && len(req.Header["Authorization"]) > 0 {
		return auth.Identity{}, &badCredentialError{fmt.Errorf("%w: of no known kind", auth.ErrInvalidCredential)}
	}
	return auth.Identity{}, nil
}

// checkKey refuses a credential whose access key is no longer good, or somebody else's.
func (r *Registry) checkKey(ctx context.Context, id auth.Identity) error {
	if id.AccessKey == "" || r.cfg.AccessKeys == nil {
		return nil
	}
	s, ok := r.keys.Get(id.AccessKey)
	if !ok || time.Since(s.asked) > keyFresh {
		asked := time.Now()
		k, err := r.cfg.AccessKeys.AccessKey(ctx, id.AccessKey)
		if err != nil && !errors.Is(err, auth.ErrInvalidCredential) {
			return err
		}
		s = keyState{k.Principal, err == nil && (k.Expires.IsZero() || asked.Before(k.Expires)), asked}
		r.keys.Add(id.AccessKey, s)
	}
	if !s.good || s.identity != id.Principal {
		return fmt.Errorf("%w: the access key is not good any more", auth.ErrInvalidCredential)
	}
	return nil
}
