package registry

import (
	"context"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
)

// AuthorizationToken returns the password of the actor, for docker login with the user
// name auth.LoginUser: it is good for 12 hours, or as long as the actor's own credential.
// It says who the actor is and nothing of what they may do, which is asked whenever it is
// used. Without an issuer of tokens the error is [ErrUnsupported].
func (a *Actor) AuthorizationToken(ctx context.Context) (t auth.Token, err error) {
	op := Op{Action: policy.GetAuthorizationToken, overall: true}
	err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
		if a.r.cfg.Issuer == nil {
			return says(ErrUnsupported, "this registry issues no tokens")
		}
		lifetime := loginLifetime
		if end := a.identity.Expires; !end.IsZero() {
			lifetime = min(lifetime, time.Until(end).Truncate(time.Second))
		}
		t, err = a.r.cfg.Issuer.Issue(ctx, auth.Grant{
			Kind: auth.LoginToken, Principal: a.identity.Principal, AccessKey: a.identity.AccessKey, Scope: a.identity.Scope,
			Audience: audience, Lifetime: lifetime,
		})
		return err
	})
	return t, err
}

// loginLifetime is that of passwords, as with ECR Public.
const loginLifetime = 12 * time.Hour
