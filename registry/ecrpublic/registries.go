package ecrpublic

import (
	"encoding/base64"
	"errors"
	"io/fs"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

func (c *call) getAuthorizationToken(*struct{}) (any, error) {
	t, err := c.actor.AuthorizationToken(c.req.Context())
	if err != nil {
		return nil, err
	}
	return map[string]any{"authorizationData": map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte(auth.LoginUser + ":" + t.Value)),
		"expiresAt":          timestamp(t.Expires),
	}}, nil
}

type aliasShape struct {
	Name    string           `json:"name"`
	Status  meta.AliasStatus `json:"status"`
	Primary bool             `json:"primaryRegistryAlias"`
	Default bool             `json:"defaultRegistryAlias"`
}

type registryShape struct {
	ID       string       `json:"registryId"`
	ARN      string       `json:"registryArn"`
	URI      string       `json:"registryUri"`
	Verified bool         `json:"verified"`
	Aliases  []aliasShape `json:"aliases"`
}

func (c *call) describeRegistries(in *struct {
	NextToken  *string `json:"nextToken"`
	MaxResults *int    `json:"maxResults"`
}) (any, error) {
	var v checks
	if v.page(in.MaxResults); v.err != nil {
		return nil, v.err
	}
	if _, err := c.after("", in.NextToken); err != nil {
		return nil, err
	}
	list := []registryShape{}
	info, err := c.actor.Registry(c.req.Context())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		id := string(info.Account)
		s := registryShape{ID: id, ARN: policy.Resource{Account: id}.ARN(), URI: c.registry.Host(c.req), Verified: info.Verified, Aliases: []aliasShape{}}
		for _, a := range info.Aliases {
			s.Aliases = append(s.Aliases, aliasShape{string(a.Name), a.Status, a.Primary, a.Default})
			if a.Primary {
				s.URI += "/" + string(a.Name)
			}
		}
		list = append(list, s)
	}
	return map[string]any{"registries": list}, nil
}

func (c *call) getRegistryCatalogData(*struct{}) (any, error) {
	name, err := c.actor.RegistryCatalogData(c.req.Context())
	if err != nil {
		return nil, err
	}
	return registryCatalog(name), nil
}

func registryCatalog(displayName string) any {
	data := map[string]any{}
	if displayName != "" {
		data["displayName"] = displayName
	}
	return map[string]any{"registryCatalogData": data}
}

func (c *call) putRegistryCatalogData(in *struct {
	DisplayName *string `json:"displayName"`
}) (any, error) {
	var v checks
	if v.length("displayName", in.DisplayName, 0, 100); v.err != nil {
		return nil, v.err
	}
	if err := c.actor.PutRegistryCatalogData(c.req.Context(), value(in.DisplayName)); err != nil {
		return nil, err
	}
	return registryCatalog(value(in.DisplayName)), nil
}

// aliasInput is the input of operations on one alias.
type aliasInput struct {
	Name *string `json:"registryAliasName"`
}

func (in *aliasInput) check() error {
	var v checks
	require(&v, "registryAliasName", in.Name)
	v.length("registryAliasName", in.Name, 2, 50)
	v.pattern("registryAliasName", in.Name, aliasSyntax)
	return v.err
}

type requestShape struct {
	Name      string           `json:"registryAliasName"`
	Status    meta.AliasStatus `json:"status"`
	Reason    string           `json:"reason,omitempty"`
	Challenge string           `json:"challenge,omitempty"`
	Requested timestamp        `json:"requestedAt"`
	Decided   *timestamp       `json:"decidedAt,omitempty"`
}

func requestOf(r meta.AliasRequest) requestShape {
	s := requestShape{Name: string(r.Alias), Status: r.Status, Reason: r.Reason, Challenge: r.Challenge, Requested: timestamp(r.Requested)}
	if !r.Decided.IsZero() {
		decided := timestamp(r.Decided)
		s.Decided = &decided
	}
	return s
}

func (c *call) requestRegistryAlias(in *aliasInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	req, err := c.actor.RequestAlias(c.req.Context(), *in.Name)
	if err != nil {
		return nil, err
	}
	return map[string]any{"aliasRequest": requestOf(req)}, nil
}

func (c *call) deleteRegistryAlias(in *aliasInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return struct{}{}, c.actor.DeleteAlias(c.req.Context(), *in.Name)
}

func (c *call) setPrimaryRegistryAlias(in *aliasInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return struct{}{}, c.actor.SetPrimaryAlias(c.req.Context(), *in.Name)
}

func (c *call) describeRegistryAliasRequests(*struct{}) (any, error) {
	list, err := c.actor.AliasRequests(c.req.Context())
	if err != nil {
		return nil, err
	}
	out := []requestShape{}
	for _, r := range list {
		out = append(out, requestOf(r))
	}
	return map[string]any{"aliasRequests": out}, nil
}
