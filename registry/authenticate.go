package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	if len(list) > 0 && req.Header.Get("Authorization") != "" {
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
