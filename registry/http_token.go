package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// audience is that of the tokens that /token answers. It does not depend on the public
// URL, so that a host may change that without logging everybody out.
const audience = "esplanade"

// refreshLifetime is that of refresh tokens.
const refreshLifetime = 12 * time.Hour

// maxForm bounds the body of a POST to /token, in bytes.
const maxForm = 64 << 10

// tokenReply is what Docker's token specification and OAuth2 have in common.
type tokenReply struct {
	Token        string `json:"token"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	IssuedAt     string `json:"issued_at"`
	Scope        string `json:"scope,omitempty"`
}

// getToken is the GET flow: credentials, if any, in the Authorization header. Without
// them the token is anonymous, and good for what anybody may pull. A token that was had here
// is no credential for another: it would never end.
func (c *call) getToken() error {
	q := c.req.URL.Query()
	identity, err := c.r.login(c.r.logins, c.req, pullsOnly(q["scope"]))
	if err != nil {
		return err
	}
	return c.answerToken(identity, q["scope"], q.Get("offline_token") == "true", "")
}

// postToken is the OAuth2 flow: a form with a password or a refresh token. containerd
// tries it first where it has credentials.
func (c *call) postToken() error {
	c.req.Body = http.MaxBytesReader(c, c.req.Body, maxForm)
	if err := c.req.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return says(ErrTooLarge, "the limit is %d bytes", maxForm)
		}
		return says(ErrBadRequest, "the form cannot be read")
	}
	form := c.req.PostForm
	var (
		identity auth.Identity
		refresh  string
		err      error
	)
	switch form.Get("grant_type") {
	case "password":
		req := c.req.Clone(c.req.Context())
		req.SetBasicAuth(form.Get("username"), form.Get("password"))
		identity, err = c.r.login(c.r.logins, req, pullsOnly(form["scope"]))
	case "refresh_token":
		refresh = form.Get("refresh_token")
		identity, err = c.r.cfg.Verifier.Verify(c.req.Context(), auth.RefreshToken, audience, refresh)
		if err == nil {
			err = c.r.checkKey(c.req.Context(), identity)
		}
		if c.r.cfg.ExpiredIsAnonymous && errors.Is(err, auth.ErrExpired) && pullsOnly(form["scope"]) {
			identity, refresh, err = auth.Identity{}, "", nil
		}
		if errors.Is(err, auth.ErrInvalidCredential) {
			err = &badCredentialError{err}
		}
	default:
		return says(ErrBadRequest, "grant_type must be password or refresh_token")
	}
	if err != nil {
		return err
	}
	return c.answerToken(identity, form["scope"], form.Get("access_type") == "offline", refresh)
}

// answerToken grants what the principal may do of what was asked for. It never fails for
// what they may not: clients ask for more than they need. A token does not outlive the
// credential that it was had for; a refresh token is good until its end and not renewed.
func (c *call) answerToken(identity auth.Identity, scopes []string, offline bool, refresh string) error {
	c.op.Identity = identity
	lifetime := c.r.cfg.TokenLifetime
	if end := identity.Expires; !end.IsZero() {
		if lifetime = min(lifetime, time.Until(end).Truncate(time.Second)); lifetime < MinTokenLifetime {
			if c.r.cfg.ExpiredIsAnonymous && pullsOnly(scopes) {
				return c.answerToken(auth.Identity{}, scopes, offline, "")
			}
			return &badCredentialError{fmt.Errorf("%w: %w", auth.ErrInvalidCredential, auth.ErrExpired)}
		}
	}
	return c.do(func(ctx context.Context) error {
		scope, granted, err := c.grant(ctx, auth.ParseScopes(scopes))
		if err != nil {
			return err
		}
		t, err := c.r.cfg.Issuer.Issue(ctx, auth.Grant{
			Kind: auth.AccessToken, Principal: identity.Principal, AccessKey: identity.AccessKey, Scope: scope, Audience: audience, Lifetime: lifetime,
		})
		if err != nil {
			return err
		}
		reply := tokenReply{
			Token: t.Value, AccessToken: t.Value, TokenType: "Bearer", ExpiresIn: int(t.Expires.Sub(t.Issued).Seconds()),
			IssuedAt: t.Issued.Format(time.RFC3339), Scope: granted,
		}
		if offline && refresh == "" && !identity.IsAnonymous() {
			lasts := refreshLifetime
			if end := identity.Expires; !end.IsZero() {
				lasts = min(lasts, time.Until(end).Truncate(time.Second))
			}
			t, err := c.r.cfg.Issuer.Issue(ctx, auth.Grant{
				Kind: auth.RefreshToken, Principal: identity.Principal, AccessKey: identity.AccessKey, Scope: identity.Scope,
				Audience: audience, Lifetime: lasts,
			})
			if err != nil {
				return err
			}
			refresh = t.Value
		}
		if offline {
			reply.RefreshToken = refresh
		}
		c.Header().Set("Cache-Control", "no-store")
		return c.json(http.StatusOK, "application/json", reply)
	})
}

// pullsOnly reports whether scopes are about nothing but pulling, as those of a pull are
// and those of logging in and pushing are not.
func pullsOnly(scopes []string) bool {
	list := auth.ParseScopes(scopes)
	for _, w := range list {
		if len(w.Verbs) != 1 || w.Verbs[0] != auth.Pull {
			return false
		}
	}
	return len(list) > 0
}

// needed has the actions that stand for each verb.
var needed = map[auth.Verb][]policy.Action{
	auth.Pull:   {policy.BatchGetImage},
	auth.Push:   {policy.InitiateLayerUpload, policy.PutImage},
	auth.Delete: {policy.BatchDeleteImage},
}

// grant evaluates the policy for each scope that was asked for.
func (c *call) grant(ctx context.Context, wanted []auth.Wanted) (*auth.Scope, string, error) {
	scope, granted := &auth.Scope{}, ""
	for _, w := range wanted {
		if w.Type != "repository" || manifest.CheckName(w.Name) != nil {
			continue
		}
		op := c.op
		op.Name, op.asks = w.Name, true
		if err := c.r.resolve(ctx, &op); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		if op.account == "" {
			continue
		}
		target := op.target()
		access := auth.Access{Account: string(target.Account), Repository: target.Name}
		for _, verb := range []auth.Verb{auth.Pull, auth.Push, auth.Delete} {
			if !hasVerb(w.Verbs, verb) {
				continue
			}
			ok, err := c.allowed(ctx, &op, target, needed[verb])
			if err != nil {
				return nil, "", err
			}
			if ok {
				access.Verbs = append(access.Verbs, verb)
			}
		}
		if len(access.Verbs) > 0 {
			scope.Access = append(scope.Access, access)
			if granted != "" {
				granted += " "
			}
			granted += auth.Wanted{Type: w.Type, Name: w.Name, Verbs: access.Verbs}.String()
		}
	}
	return scope, granted, nil
}

func hasVerb(list []auth.Verb, verb auth.Verb) bool {
	for _, v := range list {
		if v == verb || v == auth.Any {
			return true
		}
	}
	return false
}

func (c *call) allowed(ctx context.Context, op *Op, target meta.Repository, actions []policy.Action) (bool, error) {
	for _, a := range actions {
		d, err := c.r.permitted(ctx, op, a, target)
		if err != nil || d.Effect != policy.Allow {
			return false, err
		}
	}
	return true, nil
}
